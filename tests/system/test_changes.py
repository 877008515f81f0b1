"""Changes take effect without a restart, and whom they do not concern loses neither a connection
nor an answer."""

import contextlib

import pytest

import objects

DROPPED = (None, None)


@pytest.fixture
def busy(egress):
    """Two selected pods of 'keep', whose gateway is node 2, and a pod that no policy selects: in
    every test here they talk all the time.  'green' and 'red' select pods by a label, and share the
    gateway of 'keep'."""
    gateway = egress.lab.node(2).name
    egress.talkers = {egress.lab.add_pod("keep/away", 1): objects.BLUE,
                      egress.lab.add_pod("keep/at-gateway", 2): objects.BLUE,
                      egress.lab.add_pod("plain/talker", 1): objects.pair(egress.lab.node(1))}
    egress.apply(objects.policy("keep", objects.BLUE, namespace="keep", gateway=gateway), "keep")
    for name, ips in (("red", objects.RED), ("green", objects.GREEN)):
        selector = {"podSelector": {"matchLabels": {"colour": name}}}
        egress.apply(objects.policy(name, ips, gateway=gateway, appliedTo=selector), name)
    return egress


@contextlib.contextmanager
def others_undisturbed(egress, protocols=("tcp", "udp")):
    """The talkers' connections, which last from before to after, get every answer and have one
    source.  While ports come and go, Open vSwitch's userspace datapath loses packets of any Geneve
    tunnel; then it takes TCP to get every answer."""
    streams = {talker.stream(host, proto=proto, interval=40): ip
               for talker, ips in egress.talkers.items()
               for host, ip in zip(objects.EXTERNAL, ips) for proto in protocols}
    for stream in streams:
        stream.wait_answers(2)
    yield
    for stream, ip in streams.items():
        stream.wait_answers(2)
        summary = stream.stop()
        assert summary["ok"] and not summary["errors"], summary
        assert {each["src"] for each in stream.answers} == {ip}


def wait_sources(egress, pod, expected):
    egress.wait(lambda: objects.sources(pod) == expected, f"{pod.full_name} as {expected}")


def strangers(egress, mark, *ips):
    """Whom the external host saw since 'mark', but for the talkers and 'ips'."""
    known = {*sum(egress.talkers.values(), ()), *sum(ips, ())}
    return {each["src"] for each in egress.external.seen(mark)} - known


def start_own(pod):
    """Connections of a pod that is about to change."""
    own = [pod.stream(host, proto=proto, interval=40, timeout=0.5)
           for host in objects.EXTERNAL for proto in ("tcp", "udp")]
    for each in own:
        each.wait_answers(2)
    return own


def check_own(egress, ips):
    """Those connections, too, leave as 'ips' soon, and then only so: conntrack does not hold them back."""
    for _ in range(2):
        mark = egress.external.mark()
        for ip in ips:
            egress.external.wait_seen(3, mark, proto="udp", src=ip)
    assert not strangers(egress, mark, ips)


def stop_own(own):
    """Ends connections that their other side may have lost."""
    for each in own:
        each.stop()


def node_ips(pod):
    return objects.pair(pod.node)


@pytest.mark.parametrize("home", [2, 3])
def test_pod_label(busy, home):
    pod = busy.lab.add_pod("any/changing", home)
    busy.start()
    objects.check_sources(pod, node_ips(pod))
    own = start_own(pod)

    with others_undisturbed(busy):
        before = node_ips(pod)
        for label, expected in (("red", objects.RED), ("green", objects.GREEN),
                                (None, node_ips(pod)), ("green", objects.GREEN)):
            mark = busy.external.mark()
            busy.lab.label_pod(pod.full_name, {"colour": label})
            wait_sources(busy, pod, expected)
            assert not strangers(busy, mark, before, expected)
            before = expected
            check_own(busy, expected)
    stop_own(own)


def test_namespace_label(busy):
    for namespace, node in (("team", 1), ("other", 3)):
        busy.lab.add_pod(f"{namespace}/pod", node)
    pod, other = busy.lab.pod("team/pod"), busy.lab.pod("other/pod")
    for name, ips in (("red", objects.RED), ("green", objects.GREEN)):
        selector = {"namespaceSelector": {"matchLabels": {"colour": name}}}
        busy.apply(objects.policy(name, ips, appliedTo=selector), name)
    busy.start()

    with others_undisturbed(busy):
        for label, expected in (("red", objects.RED), ("green", objects.GREEN),
                                (None, node_ips(pod))):
            busy.lab.label_namespace("team", {"colour": label})
            wait_sources(busy, pod, expected)
            objects.check_sources(other, node_ips(other))


def test_new_and_deleted_pods(busy):
    busy.start()

    with others_undisturbed(busy, ["tcp"]):
        old = busy.lab.add_pod("any/pod", 1, {"colour": "red"})
        wait_sources(busy, old, objects.RED)
        busy.lab.remove_pod("any/pod")
        # Neither the tool nor the switch knows it any more.
        busy.wait(lambda: "any/pod" not in busy.text(1, "pods"), "any/pod gone")
        busy.settle()
        assert not [flow for flow in busy.lab.node(1).flows()
                    if f"={old.ipv4}," in flow or f"={old.ipv6}," in flow]

        # One with the same name is another pod, wherever it is.
        mark = busy.external.mark()
        for home in (1, 3):
            new = busy.lab.add_pod("any/pod", home, {"colour": "red"})
            assert new.ipv4 != old.ipv4
            wait_sources(busy, new, objects.RED)
            busy.lab.remove_pod("any/pod", manifest="before")
        assert not strangers(busy, mark, objects.RED)


def take_address_of(lab, pod, full_name, labels=None):
    """Adds a pod with the address of 'pod', which is gone."""
    with open(f"{pod.node.directory}/last-pod", "w", encoding="ascii") as file:
        file.write(str(pod.record["number"] - 1))
    new = lab.add_pod(full_name, pod.node.index, labels)
    assert new.ipv4 == pod.ipv4
    return new


def test_address_passes_to_another_pod(busy):
    pod = busy.lab.add_pod("any/first", 1, {"colour": "red"})
    busy.start()
    objects.check_sources(pod, objects.RED)

    with others_undisturbed(busy, ["tcp"]):
        for name, colour, expected in (("second", "none", node_ips(pod)),
                                       ("third", "green", objects.GREEN),
                                       ("fourth", "red", objects.RED)):
            busy.lab.remove_pod(pod.full_name)
            mark = busy.external.mark()
            pod = take_address_of(busy.lab, pod, f"any/{name}", {"colour": colour})
            wait_sources(busy, pod, expected)
            assert not strangers(busy, mark, expected)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_finished_pod(busy, phase):
    pod = busy.lab.add_pod("any/job", 1, {"colour": "red"})
    busy.start()
    objects.check_sources(pod, objects.RED)

    with others_undisturbed(busy, ["tcp"]):
        busy.lab.manifests.set_phase(pod.manifest_name, phase)
        wait_sources(busy, pod, DROPPED)
        assert busy.ctl(1, "route", "red")["pods"] == []

        # Its address may be another pod's while its object is still there.
        busy.lab.remove_pod(pod.full_name)
        busy.lab.write_manifest(pod, {"colour": "red"})
        busy.lab.manifests.set_phase(pod.manifest_name, phase)
        mark = busy.external.mark()
        heir = take_address_of(busy.lab, pod, "any/heir")
        wait_sources(busy, heir, node_ips(heir))
        assert not strangers(busy, mark, node_ips(heir))


@pytest.mark.parametrize("home", [2, 3])
def test_egress_ip(busy, home):
    pod = busy.lab.add_pod("any/pod", home, {"colour": "red"})
    other_ips = ("172.16.18.139", "fd00:172:16:18::139")
    selector = {"podSelector": {"matchLabels": {"colour": "red"}}}
    busy.start()
    own = start_own(pod)

    with others_undisturbed(busy):
        mark = busy.external.mark()
        busy.apply(objects.policy("red", other_ips, gateway=busy.lab.node(2).name,
                                  appliedTo=selector), "red")
        wait_sources(busy, pod, other_ips)
        assert not strangers(busy, mark, objects.RED, other_ips)
        check_own(busy, other_ips)
    stop_own(own)


def test_deleted_policy(busy):
    pods = [busy.lab.add_pod(f"any/on-{home}", home, {"colour": "red"}) for home in (1, 2)]
    busy.start()
    for pod in pods:
        objects.check_sources(pod, objects.RED)

    with others_undisturbed(busy):
        busy.lab.delete("red")
        for pod in pods:
            wait_sources(busy, pod, node_ips(pod))
            assert busy.ctl(pod.node.name, "pod", pod.full_name)["routes"] == []
        assert busy.route("red") is None
        assert [each["gateway"] for each in busy.ctl(2, "routes")["routes"]] == [
            busy.lab.node(2).name] * 2


def move_gateway(busy, move, expected, pod, own):
    """Does 'move', after which the node number 'expected' has to be the gateway of 'pod', whose
    connections 'own' go on there."""
    mark = busy.external.mark()
    move()
    busy.wait_gateway("red", expected)
    wait_sources(busy, pod, objects.RED)
    for each in own:
        each.wait_answers(2)
    assert not strangers(busy, mark, objects.RED)


@pytest.mark.parametrize("by", ["readiness", "label"])
def test_gateway_moves(busy, by):
    pod = busy.lab.add_pod("any/pod", 1, {"colour": "red"})
    for node in (1, 3):
        busy.lab.label_node(node, {"edge": "yes"})
    busy.apply(objects.policy(
        "red", objects.RED, gateway={"edge": "yes"},
        appliedTo={"podSelector": {"matchLabels": {"colour": "red"}}}), "red")
    busy.start()
    first = busy.gateway("red").index
    second = 4 - first

    def leave(node):
        if by == "readiness":
            busy.lab.set_ready(node, False)
        else:
            busy.lab.label_node(node, {"edge": None})

    def join(node):
        if by == "readiness":
            busy.lab.set_ready(node, True)
        else:
            busy.lab.label_node(node, {"edge": "yes"})

    own = [pod.stream(host, interval=40) for host in objects.EXTERNAL]
    for each in own:
        each.wait_answers(2)
    with others_undisturbed(busy):
        move_gateway(busy, lambda: leave(first), second, pod, own)
        move_gateway(busy, lambda: join(first), first, pod, own)
        leave(second)
        move_gateway(busy, lambda: None, first, pod, own)
        leave(first)
        wait_sources(busy, pod, DROPPED)
        move_gateway(busy, lambda: join(second), second, pod, own)
    for each in own:
        summary = each.stop()
        assert summary["ok"], summary
