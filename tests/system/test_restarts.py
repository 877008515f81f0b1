"""Whatever is ended and started again: traffic goes on, and comes back where it cannot."""

import re
import signal

import pytest

from flow_monitor import FlowMonitor
from lab import cni, process
from objects import EXTERNAL, GREEN, RED, SWITCH_GONE, check_sources, pair, policy, sources
from traffic import Traffic


@pytest.fixture
def pods(make_egress):
    """Two pods, one on the gateway of their egress IPs and one on the other node; the lab is pods[0].egress."""
    egress = make_egress(nodes=2)
    pods = [egress.lab.add_pod("lab/near", 1), egress.lab.add_pod("lab/far", 2)]
    egress.apply(policy("lab", RED, namespace="lab", gateway=egress.lab.node(1).name))
    egress.start()
    for pod in pods:
        egress.wait(lambda pod=pod: sources(pod) == RED, "the way out")
        pod.egress = egress
    return pods


def database_transactions(switch):
    """How many lasting changes the database has seen; counters do not last."""
    with open(f"{switch.directory}/conf.db", "rb") as file:
        return file.read().count(b"OVSDB ")


def test_agents_killed_under_traffic(pods):
    egress = pods[0].egress
    nodes = egress.lab.nodes
    monitors = [FlowMonitor(node.switch) for node in nodes]
    flows = [node.flows() for node in nodes]
    transactions = [database_transactions(node.switch) for node in nodes]
    traffic = Traffic(egress, pods)

    for node in nodes:
        node.agent.kill()
    traffic.flow()
    for node in nodes:
        node.agent.start()
        egress.settle()
        traffic.flow()

    assert traffic.stop() == {}
    assert [monitor.stop() for monitor in monitors] == [[], []]
    assert [egress.flow_mods(node.name) for node in nodes] == [0, 0]
    assert [node.flows() for node in nodes] == flows
    assert [database_transactions(node.switch) for node in nodes] == transactions
    seen = {each["src"] for each in egress.external.seen()}
    assert seen == set(RED)


@pytest.mark.parametrize("which", [1, 2], ids=["gateway", "source"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_vswitchd_restarted(pods, which, number):
    egress = pods[0].egress
    node = egress.lab.node(which)
    egress.expect_warning(SWITCH_GONE)
    flows = set(node.flows())

    egress.lab.restart_vswitchd(which, number)

    egress.wait(lambda: set(node.flows()) == flows, "flows")
    egress.wait(lambda: [sources(pod) for pod in pods] == [RED, RED], "traffic")
    egress.settle()


def test_agent_starts_while_vswitchd_is_down(pods):
    egress = pods[0].egress
    node = egress.lab.node(1)
    egress.expect_warning(SWITCH_GONE)
    flows = set(node.flows())
    node.agent.kill()
    node.switch.stop_vswitchd(signal.SIGKILL)

    node.agent.start()
    egress.lab.start_vswitchd(1)

    egress.wait(lambda: set(node.flows()) == flows, "flows")
    egress.wait(lambda: [sources(pod) for pod in pods] == [RED, RED], "traffic")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill", "term"])
def test_database_restarted(pods, number):
    """Without its database a userspace switch rests; that is no reason to change a flow."""
    egress = pods[0].egress
    node = egress.lab.node(1)
    flow_mods = egress.flow_mods(1)
    monitor = FlowMonitor(node.switch)

    process.stop([process.read_pidfile(f"{node.switch.directory}/ovsdb-server.pid")], number)
    node.switch.start_database()
    for pod in pods:
        egress.wait(lambda pod=pod: sources(pod) == RED, "traffic")

    # The agent, too, is connected again.
    egress.wait(lambda: egress.problems() == [], "database connection")
    assert monitor.stop() == []
    assert egress.flow_mods(1) == flow_mods
    new = egress.lab.add_pod("lab/new", 1)
    egress.wait(lambda: sources(new) == RED, "a new pod's way out")


def test_policies_changed_while_no_agent_runs(pods):
    egress = pods[0].egress
    first, second = egress.lab.nodes
    egress.apply(policy("other", GREEN, namespace="default", gateway=first.name), "other")
    other = egress.lab.add_pod("default/other", 2)
    egress.wait(lambda: sources(other) == GREEN, "the other policy")
    for node in egress.lab.nodes:
        node.agent.kill()

    # One policy has gone, and one has its gateway elsewhere and another address.
    egress.lab.delete("other")
    egress.apply(policy("lab", ("172.16.18.137", "fd00:172:16:18::137"), namespace="lab",
                        gateway=second.name))
    mark = egress.external.mark()
    for node in egress.lab.nodes:
        node.agent.start()
    egress.settle()

    new = ("172.16.18.137", "fd00:172:16:18::137")
    for pod in pods:
        egress.wait(lambda pod=pod: sources(pod) == new, "new source")
    egress.wait(lambda: sources(other) == pair(second), "the node's own addresses")
    assert {each["src"] for each in egress.external.seen(mark)} <= {*new, *RED, *GREEN, *pair(second)}
    # Nothing is left of what no longer is.
    for node in egress.lab.nodes:
        text = "\n".join(node.flows())
        assert not [ip for ip in RED + GREEN if f"{ip}," in text or f"{ip} " in text]


def test_agent_before_the_bridge(make_egress):
    egress = make_egress(nodes=1)
    node = egress.lab.node(1)
    egress.apply(policy("lab", RED, namespace="lab"))
    setup = node._bridges()     # All of the node's Open vSwitch; br-int is the last bridge in it.
    setup = setup[setup.index(cni.BRIDGE) - 1:]
    node.switch.vsctl("del-br", cni.BRIDGE)

    node.agent.start()
    egress.wait_problem(f"{node.name}: flows are not computed yet: the Open vSwitch database has not been "
                        "read yet, or has no such bridge")
    node.switch.vsctl(*setup)
    node._set_up_kernel()
    node.switch.change_flows(cni.BRIDGE, cni.node_flows(node.index, node.peers))

    egress.settle()
    pod = egress.lab.add_pod("lab/web", 1)
    egress.wait(lambda: sources(pod) == RED, "the way out")
    assert egress.problems() == []


def inventory(node):
    """All that somebody could find on the node's switch and in its database."""
    bridges = (cni.BRIDGE, cni.UPLINK_BRIDGE)
    find = ("--bare", "--no-headings", "--columns=name,type,options,external_ids,other_config", "find")
    return {
        "interfaces": sorted(node.switch.vsctl(*find, "Interface").split("\n\n")),
        "ports": [node.switch.vsctl("list-ports", bridge).split() for bridge in bridges],
        "bridges": [node.switch.vsctl("--columns=external_ids,other_config,protocols,flow_tables",
                                      "list", "Bridge", bridge) for bridge in bridges],
        "flows": [node.switch.flows(bridge) for bridge in bridges],
        "groups": node.switch.ofctl("dump-groups", cni.BRIDGE).splitlines()[1:],
        "meters": node.switch.ofctl("dump-meters", cni.BRIDGE).splitlines()[1:],
        "counting": re.findall(r"zone=\d+", node.switch.appctl("dpctl/ct-get-limits")),
    }


def uninstall(node):
    return node.switch.run([*node.agent.ctl_arguments("uninstall"), f"--db={node.switch.database}"])


def test_uninstall(make_egress):
    """A bridge is left as it was before, by an agent that runs as well as by one that has crashed."""
    egress = make_egress(nodes=2, agent_options=("--metrics=9474",))
    pods = [egress.lab.add_pod("lab/near", 1), egress.lab.add_pod("lab/far", 2)]
    before = [inventory(node) for node in egress.lab.nodes]
    egress.apply(policy("lab", RED, namespace="lab", gateway=egress.lab.node(1).name,
                        bandwidth={"rate": "100M"}))
    egress.start()
    for pod in pods:
        egress.wait(lambda pod=pod: sources(pod) == RED, "the way out")
    changed = inventory(egress.lab.node(1))
    assert [key for key in changed if changed[key] != before[0][key]] == [
        "interfaces", "ports", "flows", "meters", "counting"]

    egress.lab.node(2).agent.kill()
    said = [uninstall(node) for node in egress.lab.nodes]

    assert [inventory(node) for node in egress.lab.nodes] == before
    assert [node.agent.pid() for node in egress.lab.nodes] == [None, None]
    for pod in pods:
        check_sources(pod, pair(pod.node))
    no_more = "bridge br-phy: removed flows: 0, meters: 0\n"
    removed = ("bridge br-int: removed port: egress-tun\n"
               "bridge br-int: removed port: egress-uplink\n"
               "bridge br-phy: removed port: egress-uplink-p\n")
    assert [re.sub(r"br-int: removed flows: [1-9]\d+", "br-int: removed flows: N", text) for text in said] == [
        "agent: ovs-egressd stopped\nbridge br-int: removed flows: N, meters: 1\n" + no_more
        + removed + "conntrack: stopped counting in zones: 2\n",
        f"agent: ovs-egressd is not running (nobody listens on {egress.lab.node(2).agent.control})\n"
        "bridge br-int: removed flows: N, meters: 0\n" + no_more + removed]
    # The second time there is nothing left to do.
    assert uninstall(egress.lab.node(1)) == (
        f"agent: ovs-egressd is not running (nobody listens on {egress.lab.node(1).agent.control})\n"
        "bridge br-int: removed flows: 0, meters: 0\nbridge br-phy: removed flows: 0, meters: 0\n"
        "ports: none is marked as ours\n")
