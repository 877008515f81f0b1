"""A new pod's first packet leaves with the egress IP, or is held back until that is possible."""

import json
import re

import pytest

from lab import fabric
from objects import EXTERNAL, RED, policy

V4, V6 = 0, 1
N_PODS = 50

# In which order a pod's manifest, its port and its first packet come.  A process that is there before the port
# sends from the very first moment on at which something can leave.
ORDERS = [{"manifest": manifest, "first_time": first_time}
          for manifest in ("before", "after", "later") for first_time in ("before", "after")]


@pytest.fixture(params=[V4, V6], ids=["ipv4", "ipv6"])
def start(request, make_egress):
    """A lab where the namespace "lab" has egress IPs by another node than its pods'."""
    egress = make_egress(nodes=2)
    egress.family = request.param
    egress.lab.add_namespace("lab")
    egress.apply(policy("lab", RED, namespace="lab", gateway=egress.lab.node(2).name))
    egress.start()
    return egress


def knocking(egress):
    """A command that sends a datagram every few milliseconds until one is answered."""
    return [*fabric.CLIENT, "knock", EXTERNAL[egress.family], "--interval=4", "--timeout=15"]


def answer(pod):
    """What the pod's first process says at its end."""
    output, _ = pod.first.communicate(timeout=20)
    return json.loads(output.splitlines()[-1])


def node_ip(egress, pod):
    return (pod.node.ipv4, pod.node.ipv6)[egress.family]


def sources_seen(egress):
    return {each["src"] for each in egress.external.seen(family=6 if egress.family else 4)}


def held_pods(egress, node=1):
    return [each["pod"] for each in egress.ctl(node, "pods")["pods"] if each["state"] == "held back"]


def dropped_unknown(node):
    """How many packets of unknown senders the stage "source" of 'node' has dropped."""
    text = node.switch.ofctl("dump-flows", "br-int", "table=201")
    miss, = [line for line in text.splitlines() if "priority=0 " in line]
    return int(re.search(r"n_packets=(\d+)", miss)[1])


def test_many_pods_in_a_row(start):
    for number in range(N_PODS):
        order = ORDERS[number % len(ORDERS)]
        name = f"lab/pod-{number}"
        pod = start.lab.add_pod(name, 1, first=knocking(start), **order)
        if order["manifest"] == "later":
            start.wait(lambda name=name: held_pods(start) == [name], f"{name} held back")
            assert pod.first.poll() is None
            start.lab.write_manifest(pod)
        assert answer(pod)["src"] == RED[start.family], order

    assert sources_seen(start) == {RED[start.family]}


def test_pods_that_use_an_address_again(start):
    """What a pod had is no way out for the one that comes after it."""
    first = start.lab.add_pod("default/free", 1)
    assert first.udp(EXTERNAL[start.family])["src"] == node_ip(start, first)
    start.lab.remove_pod("default/free")
    mark = start.external.mark()

    # The lab hands addresses out in a circle; the next pod is made to get the same ones.
    with open(f"{first.node.directory}/last-pod", "w", encoding="ascii") as file:
        file.write(str(first.record["number"] - 1))
    second = start.lab.add_pod("lab/web", 1, first=knocking(start), first_time="before", manifest="after")

    assert (second.ipv4, second.ipv6) == (first.ipv4, first.ipv6)
    assert answer(second)["src"] == RED[start.family]
    assert {each["src"] for each in start.external.seen(mark)} == {RED[start.family]}


def test_held_until_the_manifest_comes(start):
    pod = start.lab.add_pod("lab/web", 1, first=knocking(start), first_time="before", manifest="later")
    start.wait(lambda: held_pods(start) == ["lab/web"], "pod held back")
    assert start.ctl(1, "pod", "lab/web")["waits_for"] == "the Pod object"
    # It has sent by now, as the flow knows that drops it.
    start.wait(lambda: dropped_unknown(pod.node), "dropped packets")
    assert not start.external.seen()

    start.lab.write_manifest(pod)

    assert answer(pod)["src"] == RED[start.family]
    assert sources_seen(start) == {RED[start.family]}


def test_unconcerned_pods_are_not_held(start):
    pod = start.lab.add_pod("default/other", 1, first=knocking(start), first_time="before",
                            manifest="later")

    assert answer(pod)["src"] == node_ip(start, pod)
    assert start.ctl(1, "pod", "default/other")["state"] == "not concerned"


def test_pod_that_starts_without_an_agent(start):
    """The flows that hold back are the switch's; nobody has to be there for them."""
    start.lab.node(1).agent.kill()
    pod = start.lab.add_pod("lab/web", 1, first=knocking(start), first_time="before")
    start.wait(lambda: dropped_unknown(pod.node), "dropped packets")
    assert not start.external.seen()

    pod.node.agent.start()

    assert answer(pod)["src"] == RED[start.family]
    assert sources_seen(start) == {RED[start.family]}


def test_pod_before_its_namespace(start):
    """A policy that selects by a namespace's labels waits for the Namespace object."""
    start.apply(json.dumps({
        "apiVersion": "ovs-egress.io/v1alpha1", "kind": "EgressPolicy", "metadata": {"name": "team"},
        "spec": {"appliedTo": {"namespaceSelector": {"matchLabels": {"team": "a"}}},
                 "egressIPs": list(RED), "gateway": {"nodeSelector": {"matchLabels": {
                     "kubernetes.io/hostname": start.lab.node(2).name}}}}}))
    start.wait(lambda: start.route("team") and not start.route("lab"), "new policy")
    start.settle()
    pod = start.lab.add_pod("new/web", 1, first=knocking(start), first_time="before", manifest="later")
    start.wait(lambda: held_pods(start) == ["new/web"], "pod held back")
    start.wait(lambda: dropped_unknown(pod.node), "dropped packets")

    start.lab.add_namespace("new", {"team": "a"})
    start.lab.write_manifest(pod)

    assert answer(pod)["src"] == RED[start.family]
    assert sources_seen(start) == {RED[start.family]}
