"""The agent's metrics and probes over HTTP."""

import contextlib
import socket
import struct
import subprocess
import time

import pytest

import scrape
from lab import cni, netns, process
from objects import EXTERNAL, GREEN, RED, SWITCH_GONE, policy, sources

ROUTE = "EgressPolicy.ovs-egress.io/lab"
PACKETS, BYTES = "ovs_egress_route_packets_total", "ovs_egress_route_bytes_total"
CONNECTIONS = "ovs_egress_connections"


@pytest.fixture
def measured(make_egress):
    """A pod on node 2 that leaves through node 1, and one that leaves through node 2 itself."""
    egress = make_egress(nodes=2, agent_options=("--metrics=9474",))
    egress.pod = egress.lab.add_pod("lab/web", 2)
    egress.other = egress.lab.add_pod("shop/web", 2)
    egress.apply(policy("lab", RED, namespace="lab", gateway=egress.lab.node(1).name))
    egress.apply(policy("shop", GREEN, namespace="shop", gateway=egress.lab.node(2).name), "shop")
    egress.start()
    egress.wait(lambda: (sources(egress.pod), sources(egress.other)) == (RED, GREEN), "the way out")
    return egress


def metrics(egress, node, **where):
    return scrape.Metrics(egress.lab.node(node).switch.namespace, **where)


def test_route_counters_count_packets(measured):
    """On the gateway alone, both families, and no other route's."""
    name = {"route": ROUTE}
    measured.wait(lambda: metrics(measured, 1).get(PACKETS, **name), "counters")
    before = metrics(measured, 1)

    def stand_still():
        nonlocal before
        last, before = before, metrics(measured, 1)
        return last.get(PACKETS, **name) == before.get(PACKETS, **name)

    # Counters may be a few seconds old.
    process.wait_until(stand_still, "counters that stand still", 20, 5.5)
    for host in EXTERNAL:
        assert measured.pod.ping(host, count=10, timeout=5)["received"] == 10

    def counted():
        now = metrics(measured, 1)
        return now.get(PACKETS, **name) - before.get(PACKETS, **name) >= 20 and now

    now = process.wait_until(counted, "the packets in the counters", 15, 0.2)
    assert now.get(PACKETS, **name) - before.get(PACKETS, **name) == 20
    # Ethernet, IP, ICMP, and 8 bytes of data.
    assert (now.get(BYTES, **name) - before.get(BYTES, **name)
            == 10 * (14 + 20 + 8 + 8) + 10 * (14 + 40 + 8 + 8))
    assert set(now.all(PACKETS, "route")) == {ROUTE}
    assert set(metrics(measured, 2).all(BYTES, "route")) == {"EgressPolicy.ovs-egress.io/shop"}


def in_conntrack(node, ip):
    """How many connections the gateway has whose replies go to 'ip'."""
    table = node.switch.appctl("dpctl/dump-conntrack").splitlines()
    return sum(f"dst={ip}," in entry.partition("reply=")[2] for entry in table)


def test_connections_are_those_in_conntrack(measured):
    """By egress IP, on its gateway alone, and again after the switch was started anew."""
    node = measured.lab.node(1)

    def open_connections():
        for host in EXTERNAL:
            for _ in range(10):
                measured.pod.udp(host)

    def counted(least):
        told = metrics(measured, 1).all(CONNECTIONS, "egress_ip")
        return set(told) == set(RED) and all(told[ip] == in_conntrack(node, ip) >= least for ip in RED)

    # Numbers may be a few seconds old, and entries may time out between the two looks.
    open_connections()
    process.wait_until(lambda: counted(10), "the connections in the metrics", 60, 0.2)
    node.switch.appctl("dpctl/flush-conntrack")
    process.wait_until(lambda: metrics(measured, 1).all(CONNECTIONS, "egress_ip") == dict.fromkeys(RED, 0),
                       "the end of the connections", 60, 0.2)

    measured.expect_warning(SWITCH_GONE)
    measured.expect_warning(r"jsonrpc\|WARN|stream_unix\|WARN")
    process.stop([node.switch.vswitchd_pid()])
    measured.lab.start_vswitchd(1)
    measured.wait(lambda: sources(measured.pod) == RED, "the way out")
    node.switch.appctl("dpctl/flush-conntrack")
    open_connections()
    process.wait_until(lambda: counted(10), "the new connections in the metrics", 60, 0.2)
    assert metrics(measured, 2).all("ovs_egress_source_ports", "egress_ip") == dict.fromkeys(GREEN, 64512)
    assert set(metrics(measured, 2).all(CONNECTIONS, "egress_ip")) == set(GREEN)


def test_source_ports_of_a_node_ip(make_egress):
    egress = make_egress(nodes=1, agent_options=("--metrics=9474",))
    pod = egress.lab.add_pod("lab/web", 1)
    node = egress.lab.node(1)
    egress.apply(policy("lab", namespace="lab", gateway=node.name, useNodeIP=True))
    egress.start()

    def translated():
        answer = pod.udp(EXTERNAL[0], timeout=1)
        return answer["ok"] and answer["src"] == node.ipv4 and answer["port"] >= 0xf000

    egress.wait(translated, "our translation to the node's address")
    now = metrics(egress, 1)
    assert now.all("ovs_egress_source_ports", "egress_ip") == dict.fromkeys((node.ipv4, node.ipv6), 4096)
    egress.wait(lambda: metrics(egress, 1).get(CONNECTIONS, egress_ip=node.ipv4), "its connections", 20)


def test_values_are_what_the_switch_and_the_tool_say(measured):
    node = measured.lab.node(1)
    now = metrics(measured, 1)
    state = measured.ctl(1, "show")

    assert now.types == {name: kind for name, kind in scrape.documented("A").items()
                         if not name.startswith("ovs_egress_api_")}
    assert now.all("ovs_egress_routes", "state") == {"Active": 2, "NoEgressIP": 0, "NoGateway": 0}
    assert now.get("ovs_egress_local_pods") == state["pods"]["local"]
    assert metrics(measured, 2).get("ovs_egress_selected_pods") == 2
    assert sum(now.all("ovs_egress_flow_mods_total", "type").values()) == state["switch"]["flow_mods"]
    assert now.all("ovs_egress_egress_ips", "state") == {"claimed": 2, "unclaimed": 0}
    assert now.get("ovs_egress_problems") == 0
    assert now.get("ovs_egress_gateway_ready") == 1
    assert now.all("ovs_egress_gateway_condition", "condition") == {
        "SwitchConnected": 1, "UplinkFound": 1, "Settled": 1}

    flows = now.all("ovs_egress_flows", "table")
    in_switch = {}
    for line in node.switch.ofctl("dump-flows", "br-int",
                                  "cookie=0x6567000000000000/0xffff000000000000").splitlines():
        if "table=" in line:
            table = int(line.partition("table=")[2].partition(",")[0])
            in_switch[table] = in_switch.get(table, 0) + 1
    assert flows["snat"] == in_switch[211] == 3         # One per family, and who comes with no route.
    assert flows[str(cni.HOOK_TABLE)] == in_switch[cni.HOOK_TABLE]
    assert sum(flows.values()) == sum(in_switch.values()) == state["switch"]["flows"]


def test_latency_counts_changes(measured):
    begin = time.monotonic()
    before = metrics(measured, 2)
    measured.lab.label_pod("lab/web", {"a": "b"})
    measured.apply(policy("lab", RED, namespace="shop", priority=5,
                          gateway=measured.lab.node(1).name))
    measured.wait(lambda: sources(measured.other) == RED, "the change")
    after = metrics(measured, 2)

    name = "ovs_egress_sync_latency_seconds"
    count = after.get(f"{name}_count")
    n_new = count - before.get(f"{name}_count")
    assert n_new > 0
    assert 0 < after.get(f"{name}_sum") - before.get(f"{name}_sum") < n_new * (time.monotonic() - begin)
    buckets = after.all(f"{name}_bucket", "le")
    assert buckets["+Inf"] == count
    assert list(buckets.values()) == sorted(buckets.values())


def test_probes_follow_the_switch(measured):
    node = measured.lab.node(1)
    namespace = node.switch.namespace
    measured.expect_warning(SWITCH_GONE)
    measured.expect_warning(r"reconnect\|WARN|jsonrpc\|WARN|stream_unix\|WARN")
    assert (scrape.get(namespace, "/readyz").status, scrape.get(namespace, "/readyz").text) == (200, "ok\n")

    process.stop([node.switch.vswitchd_pid()])
    measured.wait(lambda: scrape.get(namespace, "/readyz").status == 503, "an agent that is not ready")
    assert scrape.get(namespace, "/readyz").text == "there is no connection to the switch\n"
    assert scrape.get(namespace, "/healthz").status == 200
    now = metrics(measured, 1)
    assert now.get("ovs_egress_gateway_ready") == 0
    assert now.get("ovs_egress_gateway_condition", condition="SwitchConnected") == 0

    measured.lab.start_vswitchd(1)
    measured.wait(lambda: scrape.get(namespace, "/readyz").status == 200, "an agent that is ready again")
    measured.settle()


def test_whoever_asks_for_nonsense_disturbs_nobody(measured):
    namespace = measured.lab.node(1).switch.namespace
    assert scrape.get(namespace, "/").status == 404
    assert scrape.get(namespace, "/metrics", method="DELETE").status == 405
    assert scrape.get(namespace, "/healthz", method="HEAD").status == 200

    with netns.inside(namespace):
        silent = [socket.create_connection(("127.0.0.1", 9474), source_address=("127.0.0.2", 0))
                  for _ in range(40)]
        for number, connection in enumerate(silent):
            with contextlib.suppress(ConnectionError):      # More than one peer may have.
                connection.sendall(b"GET /metrics HTTP/1.1\r\nX: " + b"y" * (1000 * (number % 20)))
        with socket.create_connection(("127.0.0.1", 9474)) as gone:
            gone.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert metrics(measured, 1).get("ovs_egress_gateway_ready") == 1
    for connection in silent:
        connection.close()


@pytest.mark.parametrize("where, reachable", [
    ("9474", ["127.0.0.1"]), ("[::1]:9474", ["::1"]), ("*:9474", ["127.0.0.1", "::1", "node"])])
def test_where_it_listens(make_egress, where, reachable):
    egress = make_egress(nodes=1, agent_options=(f"--metrics={where}",))
    egress.start()
    node = egress.lab.node(1)
    answers = []
    for host in ("127.0.0.1", "::1", "node"):
        try:
            scrape.get(node.switch.namespace, "/healthz", host=node.ipv4 if host == "node" else host)
            answers.append(host)
        except ConnectionRefusedError:
            pass

    assert answers == reachable


@pytest.mark.parametrize("where", ["", "x", "0", "65536", "127.0.0.1:", "::1:9474", "[::1]", "host:1"])
def test_an_address_that_is_none(make_egress, where):
    egress = make_egress(nodes=1)
    egress.expect_warning(r"socket_util\|ERR")
    node = egress.lab.node(1)
    with netns.inside(node.switch.namespace):
        done = subprocess.run([*node.agent.arguments(), f"--metrics={where}"], env=node.switch.env,
                              capture_output=True, text=True, timeout=20, check=False)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(
        f'--metrics: "{where}" is no [ADDRESS:]PORT, with an IPv6 address in brackets, or * for all')
