"""kubectl egress: what the plugin says of a whole cluster, by its API alone."""

import json
import os
import subprocess

import pytest

from lab import agent, kube, netns, process
from objects import BLUE, GREEN, RED, policy

OWN = "ovs-egress.io"
NODES = ("antrea-lab-node-01", "antrea-lab-node-02")
POOL = {"apiVersion": f"{OWN}/v1alpha1", "kind": "EgressPool", "metadata": {"name": "blue"},
        "spec": {"ranges": [{"first": BLUE[0], "last": "172.16.18.139"}]}}
POLICIES = [
    policy("lab", RED, namespace="lab", gateway=NODES[1]),
    policy("web", GREEN, namespace="lab", gateway=NODES[1], priority=10,
           destinationCIDRs=["172.29.161.0/24"]),
    policy("pooled", [BLUE[0]], namespace="other", egressPool="blue", gateway=NODES[0]),
    policy("lost", namespace="lab", egressPool="nowhere"),
    policy("stranded", ["172.16.18.150"], namespace="lab", gateway="no-such-node", priority=-1),
]
NOWHERE = f"spec.egressPool: there is no pool EgressPool.{OWN}/nowhere"


@pytest.fixture(scope="module")
def plugin(shared_lab, tmp_path_factory):
    """kubectl with the plugin on its PATH, in a cluster whose manager has decided."""
    path = tmp_path_factory.mktemp("bin")
    os.symlink(agent.program("ovs-egressctl"), path / "kubectl-egress")
    lab = shared_lab
    lab.add_pod("lab/web", 1)
    lab.add_pod("default/free", 1)
    lab.control.client.post("/api/v1/namespaces/lab/pods", {
        "metadata": {"name": "host"},
        "spec": {"nodeName": NODES[0], "hostNetwork": True,
                 "containers": [{"name": "main", "image": "lab"}]}})
    lab.apply_text("plugin", "".join(f"---\n{each}\n" for each in (json.dumps(POOL), *POLICIES)))
    lab.manager().start()
    plugin = Plugin(lab, str(path))
    process.wait_until(plugin.is_settled, "all statuses", 60, 0.2)
    yield plugin
    lab.manager().stop()


class Plugin:
    def __init__(self, lab, path):
        self.control = lab.control
        self._path = path

    def run(self, *arguments, user="admin", **environment):
        """kubectl's exit status, its output and its errors."""
        environment = {**os.environ, "PATH": f"{self._path}:{os.environ['PATH']}",
                       "KUBECONFIG": self.control.kubeconfig(user), **environment}
        kubectl = self.control.kubectl_arguments()[0]
        with netns.inside(self.control.netns):
            done = subprocess.run([kubectl, "egress", *arguments], capture_output=True, text=True,
                                  env=environment, timeout=30)
        return done.returncode, done.stdout, done.stderr

    def text(self, *arguments):
        status, output, errors = self.run(*arguments)
        assert (status, errors) == (0, "")
        return output

    def ask(self, *arguments):
        return json.loads(self.text("--json", *arguments))

    def is_settled(self):
        """Has the manager written everything?"""
        shown = self.ask("status")
        return (not shown["policies_without_status"] and len(shown["problems"]) == 2
                and all(each.get("used") for each in shown["pools"]))


def test_status(plugin):
    assert plugin.ask("status") == {
        "server": f"https://{plugin.control.ipv4}:6443",
        "nodes": 2, "nodes_ready": 2, "policies": 5, "policies_without_status": 0,
        "routes": {"active": 3, "no egress IP": 1, "no gateway": 1},
        "gateways": [{"node": NODES[0], "egress_ips": 1, "routes": 1},
                     {"node": NODES[1], "egress_ips": 4, "routes": 2}],
        "pools": [{"id": f"EgressPool.{OWN}/blue", "used": 1, "total": 7}],
        "problems": [{"object": f"EgressPolicy.{OWN}/lost", "text": NOWHERE},
                     {"object": f"EgressPolicy.{OWN}/stranded", "text": plugin.ask(
                         "route", "stranded")["reason"]}]}


def test_status_as_text(plugin):
    reason = plugin.ask("route", "stranded")["reason"]
    assert plugin.text("status") == f"""\
server: https://{plugin.control.ipv4}:6443
nodes: 2, 2 of them ready
policies: 5, 0 of them without a status yet
routes: 5, 3 active, 1 no egress IP, 1 no gateway
gateways:
    {NODES[0]}: 1 egress IPs, 1 routes
    {NODES[1]}: 4 egress IPs, 2 routes
pools:
    EgressPool.{OWN}/blue: 1 of 7 addresses used
problems:
    EgressPolicy.{OWN}/lost: {NOWHERE}
    EgressPolicy.{OWN}/stranded: {reason}
"""


def test_routes(plugin):
    routes = plugin.ask("routes")["routes"]

    assert [(each["name"], each["egress_ips"], each["gateway"], each["state"], each["reason"])
            for each in routes if each["name"] != "stranded"] == [
        ("lab", list(RED), NODES[1], "active", None),
        ("lost", [], None, "no egress IP", NOWHERE),
        ("pooled", [BLUE[0]], NODES[0], "active", None),
        ("web", list(GREEN), NODES[1], "active", None)]
    lost = next(line for line in plugin.text("routes").splitlines() if "/lost" in line)
    assert lost.endswith(f"no egress IP: {NOWHERE}")


def test_route(plugin):
    assert plugin.ask("route", "web")["destinations"] == ["172.29.161.0/24"]
    assert f"gateway candidates, best first: {NODES[1]}\n" in plugin.text("route", "web")

    status, output, errors = plugin.run("route", "none")
    assert (status, output) == (1, "")
    assert errors == 'kubectl-egress: none: no such route; "routes" lists them\n'


def test_pod(plugin):
    shown = plugin.ask("pod", "lab/web")
    assert (shown["pod"], shown["node"], shown["route"], shown["egress_ips"], shown["gateway"]) == (
        "lab/web", NODES[0], f"EgressPolicy.{OWN}/web", list(GREEN), NODES[1])
    assert [(each["name"], each["wins_by"]) for each in shown["routes"]][0] == (
        "web", "higher priority")
    assert [each["name"] for each in shown["routes"]][-1] == "stranded"
    assert "before the next one as: higher priority" in plugin.text("pod", "lab/web")


def test_pods_without_a_route(plugin):
    free = plugin.ask("pod", "free")        # The context's namespace is "default".
    assert (free["pod"], free["route"], free["routes"]) == ("default/free", None, [])
    assert plugin.text("pod", "default/free").endswith("no policy selects it\n")
    assert plugin.text("pod", "lab/host").endswith(
        "no policy selects it, because it is on its node's network\n")

    status, _, errors = plugin.run("pod", "lab/none")
    assert status == 1 and 'pods "none" not found' in errors


@pytest.mark.parametrize("name", ["", "lab/", "/web", "lab/web/log", "../lab", "lab/web?x"])
def test_what_is_no_pod(plugin, name):
    assert plugin.run("pod", name) == (
        1, "", f'kubectl-egress: "{name}" is no pod, expected [NAMESPACE/]NAME\n')


def test_nodes(plugin):
    ips = sorted((*RED, *GREEN))
    expected = {"nodes": [
        {"node": NODES[0], "ready": True, "avoided": False, "eligible_for": 2,
         "egress_ips": [BLUE[0]]},
        {"node": NODES[1], "ready": True, "avoided": False, "eligible_for": 3, "egress_ips": ips}]}
    assert plugin.ask("nodes") == expected
    assert [line.split() for line in plugin.text("nodes").splitlines()] == [
        ["NODE", "READY", "ELIGIBLE", "FOR", "EGRESS", "IPS"],
        [NODES[0], "yes", "2", BLUE[0]], [NODES[1], "yes", "3", ",".join(ips)]]

    plugin.control.kubectl("cordon", NODES[1])
    try:
        cordoned = plugin.ask("nodes")["nodes"][1]
        assert (cordoned["node"], cordoned["ready"], cordoned["avoided"]) == (NODES[1], True, True)
    finally:
        plugin.control.kubectl("uncordon", NODES[1])


def test_who_asks(plugin, tmp_path):
    """The user's rights count, and the options and variables that kubectl has."""
    status, output, errors = plugin.run("routes", user="guest")
    assert (status, output) == (1, "") and "forbidden" in errors

    admin = plugin.control.kubeconfig("admin")
    assert plugin.run("nodes", f"--kubeconfig={admin}", user="guest")[0] == 0
    home = tmp_path / ".kube"
    home.mkdir()
    os.symlink(admin, home / "config")
    assert plugin.run("nodes", KUBECONFIG="", HOME=str(tmp_path))[0] == 0

    status, _, errors = plugin.run("nodes", "--context=elsewhere")
    assert status == 1 and 'contexts: there is no context "elsewhere"' in errors


def test_nothing_is_written(plugin):
    mark = plugin.control.mark()
    for arguments in (("status",), ("routes",), ("route", "web"), ("pod", "lab/web"), ("nodes",)):
        plugin.text(*arguments)

    verbs = {event["verb"] for event in plugin.control.audit(since=mark)
             if event["userAgent"].startswith("ovs-egress/")
             and event["user"]["username"] != kube.account_user(kube.MANAGER_ACCOUNT)}
    assert verbs <= {"get", "list", "watch"} and verbs
