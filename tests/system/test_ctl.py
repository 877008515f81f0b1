"""What ovs-egressctl says, to people and to programs, and with which exit status."""

import json
import re
import subprocess

import pytest

from lab import netns
from objects import GREEN, RED, policy

LAB, WEB = "EgressPolicy.ovs-egress.io/lab", "EgressPolicy.ovs-egress.io/web"
GATEWAY = "antrea-lab-node-02"


@pytest.fixture
def egress(make_egress):
    """Two policies for lab/web, one of which is for one destination only; a pod without, and one held back."""
    egress = make_egress(nodes=2)
    egress.web = egress.lab.add_pod("lab/web", 1)
    egress.free = egress.lab.add_pod("default/free", 1)
    egress.lab.add_pod("lab/far", 2)
    egress.apply(policy("lab", RED, namespace="lab", gateway=GATEWAY), "lab")
    egress.apply(policy("web", GREEN, namespace="lab", gateway=GATEWAY, priority=10,
                        destinationCIDRs=["172.29.161.0/24"], exceptCIDRs=["172.29.161.99/32"],
                        bandwidth={"rate": "100M"}, onNoGateway="Fallback"), "web")
    egress.start()
    egress.held = egress.lab.add_pod("lab/held", 1, manifest="later")
    egress.wait(lambda: egress.ctl(1, "show")["pods"]["held_back"] == 1, "pod held back")
    return egress


def ctl(egress, *arguments):
    """Runs ovs-egressctl against node 1 and returns its exit status, output and errors."""
    node = egress.lab.node(1)
    with netns.inside(node.netns):
        done = subprocess.run(node.agent.ctl_arguments(*arguments), capture_output=True, text=True,
                              env=node.switch.env, timeout=20)
    return done.returncode, done.stdout, done.stderr


def number(egress, name):
    return egress.route(name)["number"]


def route(egress, name, **more):
    """What a route's entry is in JSON."""
    ips, priority = {"lab": (RED, 0), "web": (GREEN, 10)}[name]
    return {"id": f"EgressPolicy.ovs-egress.io/{name}", "name": name, "number": number(egress, name),
            "state": "active", "reason": None, "egress_ips": list(ips), "gateway": GATEWAY,
            "candidates": [GATEWAY], "priority": priority, **more}


def pod(which, state="known", **more):
    return {"pod": which.full_name, "port": which.record["ifname"], "ofport": which.ofport, "state": state,
            "waits_for": None, "ips": [which.ipv4, which.ipv6], "route": None, "egress_ips": [],
            "gateway": None, **more}


def the_pods(egress):
    return [pod(egress.free),
            pod(egress.held, "held back", waits_for="the Pod object", ips=[]),
            pod(egress.web, route=WEB, egress_ips=list(GREEN), gateway=GATEWAY)]


def test_show(egress):
    manifests = egress.lab.manifests.path
    target = f"unix:{egress.lab.node(1).switch.directory}/br-int.mgmt"
    shown = egress.ctl(1, "show")
    flows = shown["switch"]["flows"]

    for volatile in ("acked_seqno", "last_sync_ms", "flow_mods", "bundles", "flows"):
        assert shown["switch"].pop(volatile) >= 0
    version = shown.pop("version")
    assert shown == {
        "node": "antrea-lab-node-01",
        "source": {"from": f"dir:{manifests}", "synced": True, "nodes": 2, "namespaces": 2, "pods": 3,
                   "policies": 2, "pools": 0},
        "switch": {"bridge": "br-int", "connected": True, "settled": True, "pending": 0, "bundle_errors": 0,
                   "foreign_changes": 0, "status": f"{target}: connected, in sync"},
        "routes": {"active": 2, "inactive": 0},
        "egress_ips": {"claimed": 0, "unclaimed": 0},
        "pods": {"local": 3, "selected": 1, "held_back": 1},
        "problems": []}
    assert re.sub(r"\d+ flow-mods sent in \d+ bundles", "N flow-mods sent in N bundles",
                  egress.text(1, "show")) == f"""\
node: antrea-lab-node-01, ovs-egressd {version}
source: dir:{manifests}, read
    2 nodes, 2 namespaces, 3 pods, 2 policies, 0 pools
switch: br-int, {target}: connected, in sync
    {flows} flows, 0 of them not in the switch yet; N flow-mods sent in N bundles
routes: 2 active, 0 not
egress IPs of this node: 0, 0 of them not claimed yet
pods here: 3, 1 of them selected, 1 held back
"""


def test_show_of_a_gateway_with_a_problem(egress):
    egress.apply(policy("lost", namespace="lab", egressPool="nowhere"), "lost")
    problem = {"object": "EgressPolicy.ovs-egress.io/lost",
               "text": "spec.egressPool: there is no pool EgressPool.ovs-egress.io/nowhere"}

    egress.wait_problem(f"{problem['object']}: {problem['text']}", node=2)
    shown = egress.ctl(2, "show")

    assert shown["problems"] == [problem]
    assert shown["routes"] == {"active": 2, "inactive": 1}
    assert shown["egress_ips"] == {"claimed": 4, "unclaimed": 0}
    assert egress.text(2, "show").endswith(f"problems:\n    {problem['object']}: {problem['text']}\n")
    assert egress.route("lost")["reason"] == problem["text"]


def test_routes(egress):
    assert egress.ctl(1, "routes") == {"routes": [route(egress, "lab"), route(egress, "web")]}
    lines = [line.split() for line in egress.text(1, "routes").splitlines()]
    assert lines == [
        ["NUMBER", "POLICY", "EGRESS", "IP", "GATEWAY", "STATE"],
        [str(number(egress, "lab")), LAB, ",".join(RED), GATEWAY, "active"],
        [str(number(egress, "web")), WEB, ",".join(GREEN), GATEWAY, "active"]]


def test_route(egress):
    expected = route(egress, "web", destinations=["172.29.161.0/24"], exceptions=["172.29.161.99/32"],
                     bandwidth=100000000, pods=["lab/web"])
    assert egress.ctl(1, "route", "web") == egress.ctl(1, "route", WEB) == expected
    assert egress.text(1, "route", "web") == f"""\
policy: {WEB}
read from: {egress.lab.manifests.path}/policy_web.yaml:1
number: {expected["number"]} (VNI and tun_id; cookie {0x6567020000000000 | expected["number"]:#x})
state: active
egress IP: {",".join(GREEN)}
gateway candidates, best first: {GATEWAY}
priority: 10
with no gateway: fall back to the node's IP
bandwidth: 100000000 bit/s
destinations: 172.29.161.0/24
exceptions: 172.29.161.99/32
selected pods on this node: lab/web
"""


def test_pods(egress):
    assert egress.ctl(1, "pods") == {"pods": the_pods(egress)}
    lines = [re.split(r"  +", line) for line in egress.text(1, "pods").splitlines()]
    assert lines == [
        ["POD", "PORT", "STATE", "EGRESS IP", "POLICY"],
        ["default/free", egress.free.record["ifname"], "known", "-", "-"],
        ["lab/held", egress.held.record["ifname"], "held back", "-", "-"],
        ["lab/web", egress.web.record["ifname"], "known", ",".join(GREEN), WEB]]


def test_pod(egress):
    free, held, web = the_pods(egress)
    assert egress.ctl(1, "pod", "default/free") == {**free, "routes": []}
    assert egress.ctl(1, "pod", "lab/held") == {**held, "routes": []}
    assert egress.ctl(1, "pod", "lab/web") == {**web, "routes": [
        route(egress, "web", destinations=["172.29.161.0/24"], exceptions=["172.29.161.99/32"],
              wins_by="higher priority"),
        route(egress, "lab", destinations=[], exceptions=[], wins_by=None)]}

    assert egress.text(1, "pod", "lab/web") == f"""\
pod: lab/web
port: {web["port"]} (ofport {web["ofport"]})
addresses: {",".join(web["ips"])}
state: known
first: {WEB}, priority 10: egress IP {",".join(GREEN)}, gateway {GATEWAY}, active
    only to: 172.29.161.0/24
    not to: 172.29.161.99/32
    before the next one as: higher priority
then: {LAB}, priority 0: egress IP {",".join(RED)}, gateway {GATEWAY}, active
"""
    assert egress.text(1, "pod", "lab/held") == f"""\
pod: lab/held
port: {held["port"]} (ofport {held["ofport"]})
addresses: -
state: held back, waits for the Pod object
which policies select it is not known yet
"""
    assert egress.text(1, "pod", "default/free").endswith("state: known\nno policy selects it\n")


def test_flows(egress):
    """The flows that the agent shows are those that the switch has, and say what their tables are for."""
    shown = egress.ctl(1, "flows")["flows"]
    assert egress.text(1, "flows").splitlines() == shown
    ours = [flow for flow in egress.lab.node(1).flows() if "cookie=0x6567" in flow]
    assert len(shown) == len(ours)
    assert {re.search(r"cookie=(0x\w+)", flow)[1] for flow in shown} == {
        re.search(r"cookie=(0x\w+)", flow)[1] for flow in ours}

    number_of_lab = number(egress, "lab")
    assert egress.ctl(1, "flows", "lab") == {"flows": [
        f"cookie={0x6567020000000000 | number_of_lab:#x}, table=gateway(203), priority=100,"
        f"tun_id={number_of_lab:#x} actions=set_field:172.16.18.102->tun_dst,"
        f"output:{tunnel_port(egress.lab.node(1))}"]}
    assert egress.ctl(1, "flows", "lab/held") == {"flows": []}
    of_pod = egress.ctl(1, "flows", "lab/web")["flows"]
    assert {re.search(r"table=(\w+)\(", flow)[1] for flow in of_pod} == {"source", "route", "deliver"}
    assert set(of_pod) < set(shown)


def tunnel_port(node):
    return node.switch.vsctl("get", "Interface", "egress-tun", "ofport").strip()


def test_recompute(egress):
    flows = egress.ctl(1, "show")["switch"]["flows"]
    assert egress.ctl(1, "recompute") == {"flows": flows, "flow_mods": 0}
    assert egress.text(1, "recompute") == f"{flows} flows computed anew; nothing changed\n"


def test_version(egress):
    version = egress.ctl(1, "show")["version"]
    assert egress.ctl(1, "version") == {"ovs-egressctl": version, "ovs-egressd": version}
    assert re.sub(r"(?m)^Open vSwitch Library .*\n", "", egress.text(1, "version")) == (
        f"ovs-egressctl {version}\novs-egressd {version}\n")


REFUSALS = {
    ("route", "nope"): 'nope: no such route; "routes" lists them',
    ("pod", "lab/nope"): 'lab/nope: no such pod on this node; "pods" lists them',
    ("pod", "lab/far"): "lab/far: has no port on this node's bridge (it runs on antrea-lab-node-02)",
    ("flows", "nope"): "nope: neither a pod on this node nor a route",
}

MISUSE = {
    (): "no command (--help lists them)",
    ("nope",): 'unknown command "nope" (--help lists them)',
    ("route",): '"route" needs an argument: NAME',
    ("show", "x"): '"show" takes no argument ("x" is too much)',
    ("--json", "uninstall"): '"uninstall" does not know --json',
    ("--timeout=0", "show"): '--timeout: "0" is no number of seconds above 0',
}


def test_refusals_and_misuse(egress):
    for arguments, words in REFUSALS.items():
        assert ctl(egress, *arguments) == (2, "", words + "\n")
        assert ctl(egress, "--json", *arguments) == (2, "", words + "\n")
    for arguments, words in MISUSE.items():
        assert ctl(egress, *arguments) == (1, "", f"ovs-egressctl: {words}\n")


def test_same_name_in_two_languages(egress):
    egress.apply(json.dumps({
        "apiVersion": "crd.antrea.io/v1beta1", "kind": "Egress", "metadata": {"name": "lab"},
        "spec": {"appliedTo": {"podSelector": {}}, "egressIP": "172.16.18.139"}}), "antrea")
    egress.wait(lambda: len(egress.ctl(1, "routes")["routes"]) == 3, "third route")

    status, output, words = ctl(egress, "route", "lab")

    assert (status, output) == (2, "")
    assert words in {f"lab: 2 policies have that name, say which as in {name}\n"
                     for name in (LAB, "Egress.crd.antrea.io/lab")}
    assert egress.ctl(1, "route", LAB)["egress_ips"] == list(RED)


def test_agent_does_not_run(egress):
    agent = egress.lab.node(1).agent
    version = egress.ctl(1, "show")["version"]
    agent.kill()

    nobody = f"ovs-egressctl: ovs-egressd is not running (nobody listens on {agent.control})\n"
    for command in (["show"], ["routes"], ["route", "lab"], ["pods"], ["pod", "lab/web"], ["flows"], ["recompute"]):
        assert ctl(egress, *command) == (1, "", nobody)
        assert ctl(egress, "--json", *command) == (1, "", nobody)
    assert egress.ctl(1, "version") == {"ovs-egressctl": version, "ovs-egressd": None}
    assert egress.text(1, "version").endswith("\novs-egressd is not running\n")
