"""The lab in the place of kubelets: what it does to nodes, namespaces and pods is on the API server."""

import pytest

from lab import manifests, process


@pytest.fixture
def lab(shared_lab, control):
    """The lab of all tests here."""
    return shared_lab


def test_nodes(lab):
    def node(number):
        found = lab.manifests.read("node", lab.node(number).name)
        return (found["metadata"]["name"], found["spec"]["podCIDRs"],
                [each["address"] for each in found["status"]["addresses"]],
                [each["status"] for each in found["status"]["conditions"] if each["type"] == "Ready"])

    lab.set_ready(2, False)

    assert [node(1), node(2)] == [
        ("antrea-lab-node-01", ["10.203.1.0/24", "fd00:10:203:1::/64"],
         ["172.16.18.101", "fd00:172:16:18::101", "antrea-lab-node-01"], ["True"]),
        ("antrea-lab-node-02", ["10.203.2.0/24", "fd00:10:203:2::/64"],
         ["172.16.18.102", "fd00:172:16:18::102", "antrea-lab-node-02"], ["False"])]


def test_labels(lab):
    lab.add_pod("web/shop", 1, {"app": "shop", "old": "yes"})

    lab.label_pod("web/shop", {"app": "bar", "old": None})
    lab.label_namespace("web", {"team": "red"})
    lab.label_node(2, {"egress": "yes"})

    assert [lab.manifests.read(kind, name)["metadata"]["labels"]
            for kind, name in (("pod", "web_shop"), ("namespace", "web"),
                               ("node", "antrea-lab-node-02"), ("namespace", "default"))] == [
        {"app": "bar"},
        {"kubernetes.io/metadata.name": "web", "team": "red"},
        {"kubernetes.io/hostname": "antrea-lab-node-02", "kubernetes.io/os": "linux", "egress": "yes"},
        {"kubernetes.io/metadata.name": "default"}]


def test_pods(lab):
    pod = lab.add_pod("pods/one", 1)

    found = lab.manifests.read("pod", "pods_one")
    assert (found["spec"]["nodeName"], found["status"]["phase"], found["status"]["hostIP"],
            found["status"]["podIPs"]) == (
        pod.node.name, "Running", pod.node.ipv4, [{"ip": pod.ipv4}, {"ip": pod.ipv6}])

    lab.manifests.set_phase("pods_one", "Succeeded")
    assert lab.manifests.read("pod", "pods_one")["status"]["phase"] == "Succeeded"

    lab.remove_pod("pods/one")
    assert not lab.manifests.exists("pod", "pods_one")


def test_what_is_written_again_replaces_labels_annotations_and_status(lab):
    def write(ips, labels, annotations):
        lab.manifests.write(manifests.pod("default", "again", lab.nodes[0].name, "172.16.18.101", ips,
                                          labels, annotations))
        found = lab.manifests.read("pod", "default_again")
        return (found["metadata"].get("labels"), found["metadata"].get("annotations"),
                [each["ip"] for each in found["status"]["podIPs"]])

    first, second = ["10.203.1.201", "fd00:10:203:1::201"], ["10.203.1.202"]
    assert write(first, {"a": "1"}, {"mac": "x"}) == ({"a": "1"}, {"mac": "x"}, first)
    assert write(second, {"b": "2"}, None) == ({"b": "2"}, None, second)
    lab.manifests.remove("pod", "default_again")


def test_namespaces_go_with_their_pods(lab):
    lab.add_pod("gone/shop", 1)

    lab.remove_namespace("gone")
    assert (lab.manifests.exists("namespace", "gone"), lab.manifests.exists("pod", "gone_shop")) == (
        False, False)

    lab.remove_namespace("gone")
    lab.remove_pod("gone/shop")


def test_agents_are_told_where_the_api_server_is(lab):
    sources = [[each for each in node.agent.arguments() if each.startswith("--source")]
               for node in lab.nodes]

    assert sources == [[f"--source=kube:{lab.control.kubeconfig(f'agent-{node.name}')}"]
                       for node in lab.nodes]


def test_applied_objects_are_those_of_the_last_text(lab):
    def manifest(*names):
        return "\n---\n".join(f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"
                              for name in names)

    def present():
        return lab.control.kubectl("get", "configmaps", "-o", "name").split()

    lab.apply_text("numbers", manifest("one", "two"))
    assert present() == ["configmap/one", "configmap/two"]
    lab.apply_text("numbers", manifest("three", "two"))
    assert present() == ["configmap/three", "configmap/two"]
    assert lab.manifests.applied() == ["numbers.yaml"]

    lab.delete("numbers")
    assert (present(), lab.manifests.applied()) == ([], [])
    with pytest.raises(process.LabError, match="nothing was applied under the name numbers"):
        lab.delete("numbers")
