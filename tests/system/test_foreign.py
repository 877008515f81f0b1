"""Whoever else has something on the bridge keeps it, and what he takes away of ours comes back."""

import re
import time

import pytest

from lab import cni
from objects import RED, policy, sources

OURS = "cookie=0x6567000000000000/0xffff000000000000"

# Flows of somebody else: in the CNI's tables, in those numbered as ours, and next to our own in table 0; with
# cookies that are none, everybody's, and as close to ours as can be.
FOREIGN_FLOWS = [
    "table=0,cookie=0x0,priority=65000,udp,tp_dst=4242 actions=drop",
    "table=0,cookie=0x6566ffffffffffff,priority=60000,tcp,tp_dst=4243 actions=drop",
    "table=80,cookie=0x6568000000000000,priority=60001,ip,nw_dst=203.0.113.1 actions=drop",
    "table=199,cookie=0x1,priority=1,ip actions=group:7",
    "table=200,cookie=0x2,priority=500,ip,nw_dst=203.0.113.2 actions=meter:7,NORMAL",
    "table=201,cookie=0x8000000000000000,priority=500,ip,nw_dst=203.0.113.3 actions=drop",
    "table=222,cookie=0xffffffffffffffff,priority=500,ip,nw_dst=203.0.113.4 actions=group:7",
    "table=253,cookie=0x2,priority=0 actions=drop",
]
FOREIGN_METER = "meter=7,kbps,band=type=drop,rate=1000"
FOREIGN_GROUP = "group_id=7,type=select,bucket=bucket_id:1,weight:100,actions=drop"


def others(egress, node):
    """What is not ours on the node's br-int."""
    flows, groups, meters = egress.foreign(node)
    return {"flows": sorted(flows), "groups": groups, "meters": meters}


@pytest.fixture
def pods(make_egress):
    """Two pods, one on the gateway of their egress IPs, with something of others' on both bridges; the lab is
    pods[0].egress."""
    egress = make_egress(nodes=2)
    for node in egress.lab.nodes:
        node.switch.ofctl("add-meter", cni.BRIDGE, FOREIGN_METER)
        node.switch.ofctl("add-group", cni.BRIDGE, FOREIGN_GROUP)
        node.switch.change_flows(cni.BRIDGE, [f"add {flow}" for flow in FOREIGN_FLOWS])
    pods = [egress.lab.add_pod("lab/near", 1), egress.lab.add_pod("lab/far", 2)]
    before = [others(egress, node) for node in egress.lab.nodes]
    egress.apply(policy("lab", RED, namespace="lab", gateway=egress.lab.node(1).name,
                        bandwidth={"rate": "1G"}))
    egress.start()
    for pod in pods:
        egress.wait(lambda pod=pod: sources(pod) == RED, "the way out")
        pod.egress = egress

    yield pods

    for node, old in zip(egress.lab.nodes, before):
        new = others(egress, node)
        for what in old:
            assert new[what] == old[what], f"{what} of {node.name}"
    # The lab itself knows only what is the CNI's.
    for node in egress.lab.nodes:
        for flow in FOREIGN_FLOWS:
            cookie = flow.split("cookie=")[1].split(",")[0]
            node.switch.ofctl("del-flows", cni.BRIDGE, f"cookie={cookie}/-1")
        node.switch.ofctl("del-groups", cni.BRIDGE)
        node.switch.ofctl("del-meter", cni.BRIDGE, "meter=7")


def ours(node):
    return sorted(node.switch.flows(cni.BRIDGE, OURS))


def check_flows_return(pods, which, *change):
    """Does 'change' with ovs-ofctl on node 'which': within a second everything is as before.  A machine that is busy
    with something else has three tries: once is enough to see that nobody waits for a timer."""
    egress = pods[0].egress
    node = egress.lab.node(which)
    before = ours(node)
    times = []
    while len(times) < 3 and min(times, default=1) >= 1:
        start = time.monotonic()
        node.switch.ofctl(change[0], cni.BRIDGE, *change[1:])
        egress.wait(lambda: ours(node) == before, "our flows")
        times.append(time.monotonic() - start)
    assert min(times) < 1, f"it took {times} s"
    for pod in pods:
        egress.wait(lambda pod=pod: sources(pod) == RED, "traffic")


@pytest.mark.parametrize("which", [1, 2], ids=["gateway", "source"])
@pytest.mark.parametrize("change", [
    ["del-flows", OURS],
    ["del-flows", f"table=202,{OURS}"],
    ["del-flows", "--strict", "table=201,priority=0"],
    ["mod-flows", f"{OURS},actions=drop"],
    ["mod-flows", f"table=203,{OURS},actions=NORMAL"],
    ["add-flow", "table=201,priority=0,cookie=0x6567010000000000,actions=NORMAL"],
    ["add-flow", "table=204,priority=9,cookie=0x6567010000000000,ip,actions=NORMAL"],
], ids=["delete-all", "delete-table", "delete-one", "modify-all", "modify-table", "replace-one", "add-one"])
def test_flows_changed_by_hand(pods, which, change):
    check_flows_return(pods, which, *change)


def test_others_flow_in_the_place_of_ours(pods):
    """A flow that has exactly the match and priority of ours but another's cookie is still where ours must be."""
    check_flows_return(pods, 1, "add-flow", "table=201,priority=0,cookie=0x5,actions=NORMAL")


@pytest.mark.parametrize("port", ["egress-tun", "egress-uplink"])
def test_port_deleted_by_hand(pods, port):
    egress = pods[0].egress
    node = egress.lab.node(1)
    node.switch.vsctl("del-port", cni.BRIDGE, port)

    egress.wait(lambda: port in node.switch.vsctl("list-ports", cni.BRIDGE).split(), "our port")
    for pod in pods:
        egress.wait(lambda pod=pod: sources(pod) == RED, "traffic")
    assert egress.problems() == []


def test_port_of_the_uplink_bridge_deleted_by_hand(pods):
    egress = pods[0].egress
    node = egress.lab.node(1)
    node.switch.vsctl("del-port", cni.UPLINK_BRIDGE, "egress-uplink-p")

    egress.wait(lambda: "egress-uplink-p" in node.switch.vsctl("list-ports", cni.UPLINK_BRIDGE).split(),
                "our port")
    for pod in pods:
        egress.wait(lambda pod=pod: sources(pod) == RED, "traffic")
    assert egress.problems() == []


def our_meters(node):
    return [line for line in node.switch.ofctl("dump-meters", cni.BRIDGE).splitlines()
            if "meter=" in line and "meter=7 " not in line]


def test_meter_deleted_by_hand(pods):
    """Deleting a meter takes the flows with it that use it."""
    node = pods[0].node
    meter, = our_meters(node)
    check_flows_return(pods, 1, "del-meter", re.search(r"meter=\d+", meter)[0])
    assert our_meters(node) == [meter]


def test_agent_killed_and_started(pods):
    egress = pods[0].egress
    for node in egress.lab.nodes:
        node.agent.kill()
        node.agent.start()
    egress.settle()
    assert [egress.flow_mods(node.name) for node in egress.lab.nodes] == [0, 0]


def test_policies_gone(pods):
    egress = pods[0].egress
    egress.lab.delete("policy")
    for pod in pods:
        egress.wait_source(pod, pod.node.ipv4)


def test_uninstalled(pods):
    for node in pods[0].egress.lab.nodes:
        node.switch.run([*node.agent.ctl_arguments("uninstall"), f"--db={node.switch.database}"])
        assert ours(node) == []
