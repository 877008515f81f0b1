"""useNodeIP: pods leave with the address of a certain node, which that node's own traffic goes on using."""

import pytest

POLICY = """\
apiVersion: ovs-egress.io/v1alpha1
kind: EgressPolicy
metadata:
  name: node-ip
spec:
  appliedTo:
    podSelector:
      matchLabels:
        app: build
  useNodeIP: true
  gateway:
    nodeSelector:
      matchLabels:
        kubernetes.io/hostname: antrea-lab-node-03
"""


@pytest.fixture
def node_ip(egress):
    """A pod on another node than the gateway, one on the gateway, and the policy."""
    egress.remote = egress.lab.add_pod("default/remote", 1, {"app": "build"})
    egress.local = egress.lab.add_pod("default/local", 3, {"app": "build"})
    egress.apply(POLICY)
    egress.start()
    egress.node3 = egress.lab.node(3)
    return egress


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
@pytest.mark.parametrize("pod", ["remote", "local"])
def test_pods_leave_with_the_nodes_address(node_ip, pod, family):
    pod = getattr(node_ip, pod)
    outside, source = getattr(node_ip.external, family), getattr(node_ip.node3, family)
    mark = node_ip.external.mark()

    assert pod.ping(outside)["received"] == 1
    assert pod.tcp(outside)["src"] == source
    assert pod.udp(outside)["src"] == source
    assert pod.tcp(outside)["port"] >= 0xf000
    assert {each["src"] for each in node_ip.external.seen(mark, family=int(family[-1]))} == {source}


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_the_node_itself_is_not_disturbed(node_ip, family):
    outside = getattr(node_ip.external, family)
    stream = node_ip.remote.stream(outside, port=8080)

    # Its own connections, those from a port of ours included, its pings, and those that come in.
    for port in (0, 0xf000, 0xffff):
        options = {"source_port": port} if port else {}
        answer = node_ip.node3.tcp(outside, **options)
        assert answer["ok"], answer
        assert not port or answer["port"] == port
        assert node_ip.node3.udp(outside, **options)["ok"]
    assert node_ip.node3.ping(outside)["received"] == 1
    assert node_ip.external.ping(getattr(node_ip.node3, family))["received"] == 1

    stream.wait_answers(3)
    summary = stream.stop()
    assert summary["missing"] == [] and not summary["broken"], summary


def test_nothing_is_left_on_the_uplink_bridge(node_ip):
    def ours():
        return node_ip.node3.switch.flows("br-phy", "cookie=0x6567000000000000/0xffff000000000000")

    node_ip.wait(ours, "flows on the uplink bridge")
    node_ip.lab.delete("policy")
    node_ip.wait(lambda: not ours(), "no flows on the uplink bridge")
