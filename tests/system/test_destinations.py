"""What a selected pod sends to somewhere inside, or to where its policy does not apply, keeps the
pod's own source; only the rest leaves as the egress IP."""

import re

import pytest

import objects
from lab import cni, fabric

# The nodes do not masquerade what goes to the host onprem: it sees pods with their own addresses.
ONPREM_CIDRS = ["10.99.0.0/24", "fd00:10:99::/64"]
EXTERNAL_CIDRS = ["172.29.161.0/24", "fd00:172:29:161::/64"]

# Sends one datagram to an address that may have a scope, as in fe80::1%eth0.
SEND = """
import socket, sys
info = socket.getaddrinfo(sys.argv[1], 8080, type=socket.SOCK_DGRAM)[0]
socket.socket(*info[:3]).sendto(b"x", info[4])
"""


@pytest.fixture(params=[1, 2], ids=["own-gateway", "other-gateway"])
def red(request, egress):
    """One selected pod on node 1, whose gateway is on the node with the number 'request.param'."""
    egress.pod = egress.lab.add_pod("red/sender", 1)
    egress.gateway_name = egress.lab.node(request.param).name
    return egress


def apply_red(egress, **spec):
    egress.apply(objects.policy("red", objects.RED, namespace="red", gateway=egress.gateway_name,
                                **spec))


def test_between_pods(red):
    red.lab.add_pod("red/near", 1)
    red.lab.add_pod("red/far", 2)
    red.lab.add_pod("plain/far", 3)
    receivers = [red.lab.pod(name) for name in ("red/near", "red/far", "plain/far")]
    plain = red.lab.pod("plain/far")
    for each in receivers:
        each.witness = red.lab.serve(each)
    apply_red(red)
    red.start()

    for each in receivers:
        assert objects.send_all_kinds(red.pod, objects.pair(each)) == set(objects.pair(red.pod))
        objects.check_seen(each.witness, objects.all_kinds_from(*objects.pair(red.pod)))
    # The other way round, too: from a pod that no policy selects to one that is selected.
    near = receivers[0]
    assert objects.send_all_kinds(plain, objects.pair(near)) == set(objects.pair(plain))
    objects.check_sources(red.pod, objects.RED)


def test_to_nodes(red):
    witnesses = [red.lab.serve(node) for node in red.lab.nodes]
    apply_red(red)
    red.start()

    for node in red.lab.nodes:
        assert objects.send_all_kinds(red.pod, objects.pair(node)) == set(objects.pair(red.pod))
    # The nodes talk to each other over the same device; nothing there came from an egress IP.
    for witness in witnesses:
        assert not {each["src"] for each in witness.seen()} & set(objects.RED)
    objects.check_sources(red.pod, objects.RED)


def test_nobody_speaks_to_a_tunnel_in_a_nodes_name(red):
    """A CNI may masquerade what goes to nodes: the gateway's node would take it for a peer's."""
    peer = red.lab.node(2)
    knocker = red.lab.add_pod("plain/knocker", 1)
    apply_red(red)
    red.start()

    def stopped():
        flows = red.lab.node(1).switch.ofctl("dump-flows", "br-int",
                                             f"table=200,udp,nw_dst={peer.ipv4},tp_dst=6082")
        return int(re.search(r"n_packets=(\d+),.*actions=drop", flows)[1])

    for pod in (red.pod, knocker):
        before = stopped()
        pod.udp(peer.ipv4, port=6082, timeout=0.1)
        red.wait(lambda before=before: stopped() == before + 1, "a packet that was dropped")
    objects.check_sources(red.pod, objects.RED)


@pytest.mark.parametrize("option", ["--except-cidr", "--cluster-cidr"])
def test_to_cidrs_that_the_agent_excepts(red, option):
    apply_red(red)
    red.start(*(f"{option}={cidr}" for cidr in ONPREM_CIDRS))

    assert objects.send_all_kinds(red.pod, objects.ONPREM) == set(objects.pair(red.pod))
    objects.check_seen(red.onprem, objects.all_kinds_from(*objects.pair(red.pod)))
    objects.check_sources(red.pod, objects.RED)


def test_to_cidrs_that_the_policy_excepts(red):
    apply_red(red)
    red.start()
    objects.check_sources(red.pod, objects.RED, objects.ONPREM)

    apply_red(red, exceptCIDRs=ONPREM_CIDRS)
    red.wait(lambda: objects.sources(red.pod, objects.ONPREM) == objects.pair(red.pod),
             "exceptions in force")
    mark = red.onprem.mark()

    assert objects.send_all_kinds(red.pod, objects.ONPREM) == set(objects.pair(red.pod))
    objects.check_seen(red.onprem, objects.all_kinds_from(*objects.pair(red.pod)), mark)
    objects.check_sources(red.pod, objects.RED)


def test_to_destination_cidrs_only(red):
    apply_red(red, destinationCIDRs=EXTERNAL_CIDRS)
    red.start()

    assert objects.send_all_kinds(red.pod) == set(objects.RED)
    assert objects.send_all_kinds(red.pod, objects.ONPREM) == set(objects.pair(red.pod))
    objects.check_seen(red.external, objects.all_kinds_from(*objects.RED))
    objects.check_seen(red.onprem, objects.all_kinds_from(*objects.pair(red.pod)))


def test_exceptions_within_destinations_and_within_each_other(red):
    objects.add_neighbour_addresses(red.external)
    apply_red(red, destinationCIDRs=["172.29.0.0/16", "fd00:172:29::/48"],
              exceptCIDRs=["172.29.161.22/31", "172.29.161.22/32",
                           "fd00:172:29:161::22/127", "fd00:172:29:161::22/128"])
    red.start()
    node = objects.pair(red.lab.node(1))

    objects.check_sources(red.pod, node + node, objects.EXTERNAL + objects.NEIGHBOUR)

    apply_red(red, destinationCIDRs=["172.29.0.0/16", "fd00:172:29::/48"],
              exceptCIDRs=["172.29.161.22/32", "fd00:172:29:161::22/128"])
    red.wait(lambda: objects.sources(red.pod, objects.NEIGHBOUR) == objects.RED,
             "a smaller exception")
    objects.check_sources(red.pod, node)


def test_nothing_is_taken_that_never_leaves_a_link(red):
    """Link-local and multicast destinations stay with the CNI, which has its gateway port for
    them."""
    node = red.lab.node(1)
    to = {"169.254.7.7": "169.254.7.7", "224.0.0.77": "224.0.0.77", "ff0e::77": "ff0e::77",
          "fe80::77": "fe80::77%eth0"}
    # A pod's neighbour discovery gets no answer for fe80::77; and as source it takes an address
    # that the CNI lets pass.
    red.pod.run(["ip", "-6", "addr", "flush", "dev", "eth0", "scope", "link"])
    red.pod.run(["ip", "-6", "route", "replace", "fe80::/64", "dev", "eth0"])
    red.pod.run(["ip", "-6", "neigh", "replace", "fe80::77", "lladdr", "0a:58:00:00:00:02", "dev",
                 "eth0", "nud", "permanent"])
    # The lab's CNI drops multicast before policy, where another one may not.
    passing = [f"table=10,priority=260,{match} actions=goto_table:30"
               for match in ("ip,nw_dst=224.0.0.77", "ipv6,ipv6_dst=ff0e::77")]
    node.switch.change_flows("br-int", [f"add cookie={cni.COOKIE:#x},{flow}" for flow in passing])
    gateway_port = fabric.Witness(node, "gw0", f"{node.directory}/gw0")
    gateway_port.wait(gateway_port.start())
    apply_red(red)
    red.start()

    for destination in to.values():
        red.pod.run([*fabric.PYTHON, "-c", SEND, destination])
    for destination in to:
        gateway_port.wait_seen(dst=destination)
    objects.check_sources(red.pod, objects.RED)
    packets = {(each["src"], each["dst"]) for each in gateway_port.seen(proto="udp")}
    assert packets == {(red.pod.ipv6 if ":" in destination else red.pod.ipv4, destination)
                       for destination in to}

    node.switch.change_flows("br-int", [f"delete_strict {flow.split()[0]}" for flow in passing])


@pytest.mark.parametrize("on_no_gateway, leaves", [("Drop", False), ("Fallback", True)])
def test_without_a_gateway(egress, on_no_gateway, leaves):
    pod = egress.lab.add_pod("red/sender", 1)
    other = egress.lab.add_pod("green/sender", 1)
    node = objects.pair(egress.lab.node(1))
    egress.apply(objects.policy("red", objects.RED, namespace="red", onNoGateway=on_no_gateway,
                                gateway="nobody"), "red")
    egress.apply(objects.policy("green", objects.GREEN, namespace="green"), "green")
    egress.start()

    objects.check_sources(pod, node if leaves else (None, None))
    objects.check_sources(other, objects.GREEN)
    objects.check_seen(egress.external,
                       {("udp", ip) for ip in (*objects.GREEN, *(node if leaves else ()))})

    # As soon as there is a gateway, it is taken.
    egress.lab.label_node(2, {"kubernetes.io/hostname": "nobody"})
    egress.wait(lambda: objects.sources(pod) == objects.RED, "a gateway")
    assert egress.gateway("red").index == 2


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("on_no_gateway, leaves", [("Drop", False), ("Fallback", True)])
def test_egress_ip_of_one_family(egress, family, on_no_gateway, leaves):
    pod = egress.lab.add_pod("red/sender", 1)
    mine = 0 if family == 4 else 1
    egress.apply(objects.policy("red", [objects.RED[mine]], namespace="red",
                                onNoGateway=on_no_gateway))
    egress.start()
    expected = list(objects.pair(egress.lab.node(1)) if leaves else (None, None))
    expected[mine] = objects.RED[mine]

    objects.check_sources(pod, expected)
    objects.check_seen(egress.external, {("udp", ip) for ip in expected if ip})


@pytest.mark.parametrize("family", [4, 6])
def test_destinations_of_one_family_leave_the_other_alone(egress, family):
    pod = egress.lab.add_pod("red/sender", 1)
    mine = 0 if family == 4 else 1
    egress.apply(objects.policy("red", objects.RED, namespace="red",
                                destinationCIDRs=[EXTERNAL_CIDRS[mine]]))
    egress.start()
    expected = list(objects.pair(egress.lab.node(1)))
    expected[mine] = objects.RED[mine]

    objects.check_sources(pod, expected)
