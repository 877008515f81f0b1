"""A CNI's NetworkPolicy and connections from outside, with a pod that an egress policy selects."""

import pytest

import objects

ANYWHERE = ("0.0.0.0/0", "::/0")
NODE_PORT = 30080


@pytest.fixture(params=[1, 2], ids=["own-gateway", "other-gateway"])
def red(request, egress):
    """One selected pod on node 1, whose gateway is on the node with the number 'request.param'."""
    egress.pod = egress.lab.add_pod("red/shop", 1)
    egress.apply(objects.policy("red", objects.RED, namespace="red",
                                gateway=egress.lab.node(request.param).name))
    return egress


def test_denied_egress_stays_denied(red):
    red.start()
    assert objects.send_all_kinds(red.pod) == set(objects.RED)
    for cidr in ANYWHERE:
        red.lab.deny(red.pod.full_name, "egress", cidr, "tcp", 8080)
    mark = red.external.mark()

    for host in objects.EXTERNAL:
        assert not red.pod.tcp(host, timeout=0.3)["ok"]
        assert red.pod.udp(host)["ok"]
    objects.check_seen(red.external, {("udp", ip) for ip in objects.RED}, mark)

    for cidr in ANYWHERE:
        red.lab.deny(red.pod.full_name, "egress", cidr)
    mark = red.external.mark()
    for host in objects.EXTERNAL:
        assert red.pod.ping(host, timeout=0.3)["received"] == 0
    objects.check_sources(red.pod, (None, None))
    objects.check_sources(red.pod, (None, None), objects.ONPREM)
    assert not red.external.seen(mark)
    assert not red.onprem.seen()

    red.lab.undeny(red.pod.full_name)
    assert objects.send_all_kinds(red.pod) == set(objects.RED)


def test_egress_is_denied_before_the_policy_comes(red):
    for cidr in ("172.29.161.22/32", "fd00:172:29:161::22/128"):
        red.lab.deny(red.pod.full_name, "egress", cidr)
    red.start()

    objects.check_sources(red.pod, (None, None))
    objects.check_sources(red.pod, objects.RED, objects.ONPREM)
    assert not red.external.seen()


def test_denied_ingress_stays_denied(red):
    client = red.lab.add_pod("plain/client", 2)
    served = red.lab.serve(red.pod)
    red.lab.expose(red.pod.full_name, 8080, NODE_PORT)
    red.start()
    objects.check_sources(client, objects.pair(client), objects.pair(red.pod))
    for cidr in ("172.29.161.0/24", "fd00:172:29:161::/64", "10.203.2.0/24", "fd00:10:203:2::/64"):
        red.lab.deny(red.pod.full_name, "ingress", cidr)
    mark = served.mark()

    objects.check_sources(client, (None, None), objects.pair(red.pod))
    for ip in objects.pair(red.lab.node(1)):
        assert not red.external.tcp(ip, port=NODE_PORT, timeout=0.3)["ok"]
    assert not served.seen(mark)
    # What the pod itself asks for is answered all the same.
    assert objects.send_all_kinds(red.pod) == set(objects.RED)


def test_answers_through_a_node_port(red):
    red.lab.serve(red.pod)
    node = red.lab.node(1)
    for protocol in ("tcp", "udp"):
        red.lab.expose(red.pod.full_name, 8080, NODE_PORT, protocol)
    red.start()

    for mine, ip in zip(objects.EXTERNAL, objects.pair(node)):
        for ask in (red.external.tcp, red.external.udp):
            # The pod saw the client's own address, and the client an answer of the node's.
            assert ask(ip, port=NODE_PORT)["src"] == mine
    objects.check_seen(red.external, {(proto, ip) for proto in ("tcp", "udp")
                                      for ip in objects.pair(node)})
    assert {each["sport"] for each in red.external.seen()} == {NODE_PORT}
    # And now the other way round, with the same two ends.
    assert objects.send_all_kinds(red.pod) == set(objects.RED)


def test_answers_to_the_pods_own_address(red):
    red.lab.serve(red.pod)
    red.start()

    for ip, mine in zip(objects.pair(red.pod), objects.EXTERNAL):
        assert red.external.ping(ip)["received"] == 1
        for ask in (red.external.tcp, red.external.udp):
            assert ask(ip)["src"] == mine
    objects.check_seen(red.external, objects.all_kinds_from(*objects.pair(red.pod)))
    objects.check_sources(red.pod, objects.RED)


def test_connection_from_outside_outlives_policies(red):
    """Replies go back as they came, whatever a policy that changes or goes says about the pod."""
    red.lab.serve(red.pod)
    red.lab.expose(red.pod.full_name, 8080, NODE_PORT)
    red.start()
    streams = [red.external.stream(ip, port=NODE_PORT) for ip in objects.pair(red.lab.node(1))]
    for each in streams:
        each.wait_answers(3)

    for ips in (objects.GREEN, objects.RED):
        red.apply(objects.policy("red", ips, namespace="red"))
        red.wait(lambda ips=ips: objects.sources(red.pod) == ips, f"egress IPs {ips}")
    red.lab.delete("policy")
    red.wait(lambda: objects.sources(red.pod) == objects.pair(red.lab.node(1)), "no policy")

    for each in streams:
        each.wait_answers(3)
        summary = each.stop()
        assert summary["ok"], summary
