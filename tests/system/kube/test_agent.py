"""An agent of a cluster: it follows the routes, its own pods, nodes and namespaces of the API server, and
lives without the server."""

import json

import pytest

import objects
from lab import kube

ROUTES = "/apis/ovs-egress.io/v1alpha1/egressroutes"
AGENT = kube.account_user(kube.AGENT_ACCOUNT)


def route(name, ips, gateway, number, namespace="lab"):
    """The EgressRoute for the pods of 'namespace', as a manager would write it."""
    return {"apiVersion": "ovs-egress.io/v1alpha1", "kind": "EgressRoute",
            "metadata": {"name": f"{name}.egresspolicy.ovs-egress.io"},
            "spec": {"policyRef": {"group": "ovs-egress.io", "kind": "EgressPolicy", "name": name},
                     "number": number, "state": "Active", "egressIPs": list(ips),
                     "requestedIPs": list(ips), "candidates": [gateway],
                     "appliedTo": [{"namespaceSelector": {
                         "matchLabels": {"kubernetes.io/metadata.name": namespace}}}]}}


def write_route(egress, name, ips, gateway, number=7):
    egress.lab.control.kubectl("apply", "-f", "-",
                               stdin=json.dumps(route(name, ips, gateway, number)))


@pytest.fixture
def routed(make_egress):
    """Two nodes, a pod on the first that leaves through the second, and one without a route."""
    egress = make_egress(nodes=2)
    egress.control = egress.lab.control
    egress.pod = egress.lab.add_pod("lab/web", 1)
    egress.other = egress.lab.add_pod("default/other", 1)
    write_route(egress, "red", objects.RED, egress.lab.node(2).name)
    egress.start()
    # Tests end agents as a kubelet does.
    egress.expect_warning(r"fatal_signal\|WARN\|terminating with signal 15")
    return egress


def wait_sources(egress, pod, sources):
    egress.wait(lambda: objects.sources(pod) == sources, f"{pod.full_name} as {sources}")


def test_routes_are_followed(routed):
    nodes = [objects.pair(routed.lab.node(index)) for index in (1, 2)]
    objects.check_sources(routed.pod, objects.RED)
    objects.check_sources(routed.other, nodes[0])

    write_route(routed, "red", objects.GREEN, routed.lab.node(1).name)
    wait_sources(routed, routed.pod, objects.GREEN)

    routed.control.client.delete(f"{ROUTES}/red.egresspolicy.ovs-egress.io")
    wait_sources(routed, routed.pod, nodes[0])


def test_cluster_is_followed(routed):
    """A new pod, a namespace's new label, and the node that they need."""
    late = routed.lab.add_pod("lab/late", 2)
    wait_sources(routed, late, objects.RED)

    changed = route("red", objects.RED, routed.lab.node(2).name, 7)
    changed["spec"]["appliedTo"] = [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]
    routed.control.kubectl("apply", "-f", "-", stdin=json.dumps(changed))
    wait_sources(routed, routed.pod, objects.pair(routed.lab.node(1)))
    routed.control.kubectl("label", "namespace", "default", "team=a")
    wait_sources(routed, routed.other, objects.RED)


def test_restart_without_the_server(routed):
    """The agent goes by what the server said last, and changes nothing when it is back."""
    agent = routed.lab.node(1).agent
    agent.stop()
    routed.control.api_server.stop()

    agent.start()
    routed.settle(without_server=True)
    assert routed.flow_mods(1) == 0
    objects.check_sources(routed.pod, objects.RED)
    # One says that the server cannot be reached, one that the file is in force instead.
    routed.wait(lambda: "out of reach since" in routed.problems(1)[0], "a server out of reach")
    unreachable, file_in_force = routed.problems(1)
    assert unreachable.startswith("API server: ")
    assert file_in_force.startswith(routed.lab.node(1).switch.directory)
    # What settle() goes by elsewhere.
    assert ": in force, because the API server has not answered since the start" in file_in_force

    routed.control.start()
    for index in (1, 2):
        routed.wait(lambda index=index: not routed.problems(index), "a server that is back", 120)
    routed.settle()
    assert routed.flow_mods(1) == 0
    objects.check_sources(routed.pod, objects.RED)


def test_changes_while_the_agent_is_away(routed):
    """A restart ends what went away meanwhile, although the file still has it."""
    agent = routed.lab.node(1).agent
    agent.stop()
    routed.control.client.delete(f"{ROUTES}/red.egresspolicy.ovs-egress.io")
    agent.start()
    routed.settle()

    assert routed.ctl(1, "routes")["routes"] == []
    wait_sources(routed, routed.pod, objects.pair(routed.lab.node(1)))


def test_what_the_agent_asks_for(routed):
    """Its own node's pods, and reading, but for its own node's Lease."""
    def pods_seen(event):
        return event["objectRef"]["resource"] == "pods"

    def of_lease(event):
        return event["objectRef"]["resource"] == "leases"

    names = {node.name for node in routed.lab.nodes}
    routed.wait(lambda: {event["objectRef"].get("name") for event in routed.control.audit(user=AGENT)
                         if of_lease(event) and event["verb"] == "update"} == names,
                "renewed Leases", 60)
    every = routed.control.audit(user=AGENT)
    assert {(event["verb"], event["objectRef"]["namespace"]) for event in every if of_lease(event)} == {
        (verb, kube.NODES_NAMESPACE) for verb in ("get", "create", "update")}
    events = [event for event in every if not of_lease(event)]
    selectors = {name for event in events if pods_seen(event) for name in names
                 if f"fieldSelector=spec.nodeName%3D{name}" in event["requestURI"]}

    assert selectors == names
    assert all("fieldSelector=spec.nodeName" in event["requestURI"]
               for event in events if pods_seen(event))
    assert {event["verb"] for event in events} <= {"list", "watch", "get"}
    assert {event["objectRef"]["resource"] for event in events} == {
        "nodes", "namespaces", "pods", "egressroutes"}
    assert {event["responseStatus"]["code"] for event in events} == {200}
