"""An egress IP that somebody else on the link has is his: reported, not taken, and taken once it is free."""

import json
import os

import pytest

from lab import fabric, netns
from objects import EXTERNAL, GREEN, RED, check_sources, policy, sources

V4, V6 = 0, 1
INTRUDER = [*fabric.PYTHON, f"{os.path.dirname(os.path.realpath(__file__))}/announce.py"]


@pytest.fixture
def egress(make_egress):
    egress = make_egress(nodes=2)
    egress.web = egress.lab.add_pod("lab/web", 1)
    egress.free = egress.lab.add_pod("default/free", 1)
    return egress


def router_mac(egress):
    links = json.loads(egress.lab.router.run(["ip", "-j", "link", "show", "dev", "uplink"]))
    return links[0]["address"]


def give_to_router(egress, ip):
    nodad = "nodad" if ":" in ip else ""
    netns.ip_batch([f"addr add {ip}/{128 if ':' in ip else 32} dev uplink {nodad}"], egress.lab.router.netns)


def take_from_router(egress, ip):
    netns.ip_batch([f"addr del {ip}/{128 if ':' in ip else 32} dev uplink"], egress.lab.router.netns)


@pytest.mark.parametrize("family", [V4, V6], ids=["ipv4", "ipv6"])
@pytest.mark.parametrize("gateway", [1, 2], ids=["gateway-here", "gateway-remote"])
def test_somebody_has_it(egress, family, gateway):
    egress.expect_warning(r"has the egress IP, standing back")
    ip, other = RED[family], 1 - family
    give_to_router(egress, ip)
    egress.apply(policy("lab", RED, namespace="lab", gateway=egress.lab.node(gateway).name))
    egress.apply(policy("free", GREEN, namespace="default", gateway=egress.lab.node(gateway).name), "free")
    for node in egress.lab.nodes:
        node.agent.start()

    problem = (f"{ip}: this egress IP is in use by {router_mac(egress)}, which is no gateway: not claimed until "
               "that host stops answering for it")
    egress.wait(lambda: egress.problems(gateway) == [problem], problem)
    egress.wait(lambda: egress.problems(3 - gateway) == [], "no problem elsewhere")

    # Others are not concerned, not even the pod's own other family.
    egress.wait(lambda: sources(egress.free) == GREEN, "another policy")
    egress.wait(lambda: sources(egress.web)[other] == RED[other], "the other family")
    assert egress.ctl(gateway, "show")["egress_ips"] == {"claimed": 3, "unclaimed": 1}
    mark = egress.external.mark()
    assert not egress.web.udp(EXTERNAL[family], timeout=0.3)["ok"]
    assert not egress.web.tcp(EXTERNAL[family], timeout=0.3)["ok"]
    assert egress.web.ping(EXTERNAL[family], timeout=0.1)["received"] == 0
    assert egress.external.seen(mark) == []

    take_from_router(egress, ip)
    egress.wait(lambda: sources(egress.web) == RED, "the address once it is free", deadline=40)
    assert egress.problems(gateway) == []
    assert {each["src"] for each in egress.external.seen(mark)} <= {*RED}


@pytest.mark.parametrize("family", [V4, V6], ids=["ipv4", "ipv6"])
def test_somebody_takes_it_later(egress, family):
    """Who comes later is told that the address is taken, as well as the people who run the cluster."""
    ip = RED[family]
    gateway = egress.lab.node(2)
    egress.expect_warning(r"used the egress IP, defending it")
    egress.apply(policy("lab", RED, namespace="lab", gateway=gateway.name))
    egress.start()
    egress.wait(lambda: sources(egress.web) == RED, "the way out")
    stream = egress.web.stream(EXTERNAL[family], proto="udp", interval=10)
    stream.wait_answers(5)

    egress.lab.router.run([*INTRUDER, "uplink", "02:00:00:00:00:99", ip])

    problem = f"{ip}: 02:00:00:00:00:99 uses this egress IP, too: that host should get another address"
    egress.wait_problem(problem, node=2)
    # What the neighbours were made to believe has been put right.
    stream.wait_answers(5)
    assert stream.stop()["missing"] == []
    check_sources(egress.web, RED)


def neighbour(egress, ip):
    """The MAC address that the router has for 'ip'."""
    entries = json.loads(egress.lab.router.run(["ip", "-j", "neigh", "show", "to", ip, "dev", "uplink"]))
    return entries[0].get("lladdr") if entries else None


def test_move_is_announced(egress):
    """The router, which knows the old gateway's MAC address, hears of the new one without asking."""
    first, second = egress.lab.nodes
    egress.apply(policy("lab", RED, namespace="lab", gateway=first.name))
    egress.start()
    egress.wait(lambda: sources(egress.web) == RED, "the way out")
    old = [neighbour(egress, ip) for ip in RED]
    assert old[0] == old[1] is not None

    egress.apply(policy("lab", RED, namespace="lab", gateway=second.name))

    egress.wait_gateway("lab", second.name)
    egress.settle()
    egress.wait(lambda: all(mac not in (None, old[0]) for mac in (neighbour(egress, ip) for ip in RED)),
                "the router's knowledge")
    check_sources(egress.web, RED)
    # Only one of them answers.
    assert [node.name for node in egress.lab.nodes
            if egress.ctl(node.name, "show")["egress_ips"]["claimed"]] == [second.name]


def test_ready_node_takes_over_and_gives_back(egress):
    """A gateway that is not Ready any more loses its egress IPs to another one, which was not there before."""
    egress.apply(policy("lab", RED, namespace="lab"))
    egress.start()
    egress.wait(lambda: sources(egress.web) == RED, "the way out")
    old = egress.gateway("lab")

    egress.lab.set_ready(old.name, False)

    egress.wait_gateway("lab", 3 - old.index)
    egress.wait(lambda: sources(egress.web) == RED, "the way out by another gateway")
    egress.settle()
    assert {each["src"] for each in egress.external.seen()} == {*RED}
