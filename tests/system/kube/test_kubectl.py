"""The published walk-through by kubectl alone: what pods look like outside, and what kubectl
tells."""

import re

import pytest

import kubectl
import walkthrough as published


@pytest.fixture
def walkthrough(make_egress):
    """Three nodes, the published pods and policies, and a manager."""
    egress = make_egress()
    egress.control = egress.lab.control
    egress.pods = published.add_pods(egress)
    egress.lab.manager().start()
    egress.example("antrea.yaml", 3)
    for node in egress.lab.nodes:
        node.agent.start()
    wait_gateways(egress, {})
    return egress


def gateways(egress, node):
    """Who owns the egress IPs of "egress-lab" and "egress-yelb-app", as 'node' knows it."""
    return {each["name"]: each["gateway"] for each in egress.ctl(node, "routes")["routes"]}


def wait_gateways(egress, without):
    """Waits until all agents know gateways for both, none of which is 'without', and are
    settled."""
    def agreed():
        known = [gateways(egress, node.name) for node in egress.lab.nodes]
        return (len(known[0]) == 2 and None not in known[0].values()
                and without not in known[0].values() and known == [known[0]] * 3)

    egress.wait(agreed, "gateways that all agents agree on")
    egress.settle()


def test_packets_and_tables(walkthrough):
    """The same packets as with a directory of manifests, and what "kubectl get" says of them."""
    published.check_sources(walkthrough, walkthrough.pods)

    owners = gateways(walkthrough, 1)
    routes = {each["name"]: each for each in walkthrough.ctl(1, "routes")["routes"]}
    expected = [("egress-lab", "172.16.18.131"), ("egress-yelb-app", "172.16.18.132")]

    walkthrough.wait(lambda: len(kubectl.table(walkthrough.control, "egress")[-1]) == 4, "statuses")

    assert kubectl.table(walkthrough.control, "egress") == [
        ["NAME", "EGRESSIP", "AGE", "NODE"],
        *([name, ip, "AGE", owners[name]] for name, ip in expected)]
    assert kubectl.table(walkthrough.control, "externalippools") == [
        ["NAME", "TOTAL", "USED", "AGE"], ["external-ip-pool", "9", "2", "AGE"]]
    assert kubectl.table(walkthrough.control, "egressroutes", "-o", "wide") == [
        ["NAME", "EGRESSIP", "GATEWAY", "STATE", "AGE", "NUMBER", "EGRESSIPS", "CANDIDATES",
         "REASON"],
        *([f"{name}.egress.crd.antrea.io", ip, owners[name], "Active", "AGE",
           str(routes[name]["number"]), f'["{ip}"]',
           str(routes[name]["candidates"]).replace("'", '"').replace(" ", "")]
          for name, ip in expected)]


def test_cordon(walkthrough):
    """A node that is about to be drained hands its egress IPs over, and does not get them back."""
    owner = gateways(walkthrough, 1)["egress-lab"]
    walkthrough.control.kubectl("cordon", owner)
    wait_gateways(walkthrough, owner)
    published.check_sources(walkthrough, walkthrough.pods)

    moved = gateways(walkthrough, 1)
    walkthrough.control.kubectl("uncordon", owner)
    walkthrough.example("antrea.yaml", 4)       # What is decided next is decided with the node.
    walkthrough.wait(lambda: len(gateways(walkthrough, 1)) == 3, "another route")
    assert moved.items() <= gateways(walkthrough, 1).items()


def described(egress, name):
    """What "kubectl describe" says of an Egress, with the white space and the times made simple."""
    text = egress.control.kubectl("describe", "egress", name)
    return re.sub(r"\d+s", "0s", re.sub(r"[^\S\n]+", " ", text))


def wait_told(egress, events, owner):
    """Waits until Events and the status of "egress-lab" tell just that."""
    egress.wait(lambda: kubectl.events(egress.control, "egress-lab") == events, "the events")
    egress.wait(lambda: f"Egress Node: {owner}" in described(egress, "egress-lab"), "the status")


def test_story(walkthrough):
    """A gateway fails, a policy goes: what the pods look like, and what kubectl tells."""
    first = gateways(walkthrough, 1)["egress-lab"]
    told = [("Normal", "Allocated", f"egress IP 172.16.18.131, gateway {first}")]
    wait_told(walkthrough, told, first)

    # Its gateway is no longer Ready: the pods go through another one, and kubectl tells.
    walkthrough.lab.set_ready(first, False)
    wait_gateways(walkthrough, first)
    published.check_sources(walkthrough, walkthrough.pods)

    second = gateways(walkthrough, 1)["egress-lab"]
    told.append(("Normal", "Moved", f"egress IP 172.16.18.131 moved from {first} to {second}"))
    wait_told(walkthrough, told, second)
    text = described(walkthrough, "egress-lab")
    assert [line.strip() for line in text.splitlines()
            if line.startswith((" Message:", " Reason:", " Status:", " Type:"))] == [
        "Message: the policy has an egress IP", "Reason: Allocated", "Status: True",
        "Type: IPAllocated",
        f"Message: the gateway is node {second}", "Reason: Assigned", "Status: True",
        "Type: IPAssigned"]
    assert [line.strip() for line in text.splitlines() if " 0s ovs-egress-manager" in line] == [
        f"{kind} {reason} 0s ovs-egress-manager {message}" for kind, reason, message in told]

    walkthrough.control.kubectl("delete", "egress", "egress-lab")

    for name in ("lab/web-1", "lab/web-2"):
        pod = walkthrough.pods[name]
        walkthrough.wait_source(pod, pod.node.ipv4)
    walkthrough.wait_source(walkthrough.pods["yelb-app/ui"], "172.16.18.132")
    assert [line[0] for line in kubectl.table(walkthrough.control, "egressroutes")[1:]] == [
        "egress-yelb-app.egress.crd.antrea.io"]


def test_both_sources_lead_to_the_same_flows(walkthrough, tmp_path):
    """Agents that only have the objects as files, and decide on their own, find nothing to
    change in the switch, and neither do those that follow the API server again."""
    before = [node.flows() for node in walkthrough.lab.nodes]
    routes = [walkthrough.ctl(node.name, "routes") for node in walkthrough.lab.nodes]
    objects = walkthrough.control.kubectl("get", kubectl.INPUT, "--all-namespaces", "-o", "json")
    (tmp_path / "objects.json").write_text(objects, encoding="utf-8")
    # Which might take agents that read files for silent, and move what they are gateways for.
    walkthrough.lab.manager().stop()

    for options in ([f"--source=dir:{tmp_path}"], []):
        for node in walkthrough.lab.nodes:
            node.agent.stop()
            node.agent.start(*options)
        walkthrough.settle()
        assert [walkthrough.ctl(node.name, "show")["source"]["from"].partition(":")[0]
                for node in walkthrough.lab.nodes] == ["dir" if options else "kube"] * 3
        assert [walkthrough.flow_mods(node.name) for node in walkthrough.lab.nodes] == [0] * 3
        assert [node.flows() for node in walkthrough.lab.nodes] == before
        assert [walkthrough.ctl(node.name, "routes") for node in walkthrough.lab.nodes] == routes
    walkthrough.expect_warning(r"fatal_signal\|WARN\|terminating with signal 15")
