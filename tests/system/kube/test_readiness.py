"""Agents tell whether their nodes can be gateways, and the manager goes by it."""

import json
import time

import pytest

import objects
import scrape
from lab import cni, kube
from traffic import Traffic

ROUTES = "/apis/ovs-egress.io/v1alpha1/egressroutes"
LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{kube.NODES_NAMESPACE}/leases"
CONDITIONS = "conditions.ovs-egress.io/"
# Long enough for a busy machine.
DURATION = 12
MANAGER = kube.account_user(kube.MANAGER_ACCOUNT)


class Readiness:
    """Two nodes that could be the gateway of the policy "red"; only the one that it has may be that of
    "green"."""

    def __init__(self, egress):
        self.egress = egress
        self.control = egress.lab.control
        self.pods = {node.name: [egress.lab.add_pod(f"{namespace}/on-{node.index}", node.index)
                                 for namespace in ("red", "green")] for node in egress.lab.nodes}
        egress.lab.manager().start("--metrics=9475")
        egress.start()
        self.apply(objects.policy("red", objects.RED, namespace="red"))
        egress.wait(lambda: self.owner("red"), "a gateway", 60)
        self.gateway = egress.lab.node(self.owner("red"))
        self.other = next(node for node in egress.lab.nodes if node.name != self.gateway.name)
        self.apply(objects.policy("green", objects.GREEN, namespace="green",
                                  gateway=self.gateway.name))
        egress.wait(lambda: self.owner("green"), "a gateway", 60)
        egress.wait(lambda: len(self.leases()) == 2, "two Leases", 60)
        for node in egress.lab.nodes:
            self.wait_sources(node)

    def apply(self, manifest):
        self.control.kubectl("apply", "-f", "-", stdin=manifest)

    def candidates(self, policy):
        code, body = self.control.client.raw("GET", f"{ROUTES}/{policy}.egresspolicy.ovs-egress.io")
        return json.loads(body)["spec"].get("candidates", []) if code == 200 else []

    def owner(self, policy):
        return (self.candidates(policy) or [None])[0]

    def leases(self):
        return {each["metadata"]["name"]: each
                for each in self.control.client.get(LEASES)["items"]}

    def annotations(self, node):
        return self.leases()[node.name]["metadata"]["annotations"]

    def wait_sources(self, node):
        """Both pods of 'node' leave as their policies say."""
        self.egress.wait(lambda: [objects.sources(pod) for pod in self.pods[node.name]]
                         == [objects.RED, objects.GREEN], f"the pods of {node.name}", 60)

    def wait_renewals(self, seconds):
        """Waits until all agents that run renewed their Leases 'seconds' after now."""
        end = time.time() + seconds
        names = [node.name for node in self.egress.running()]

        def renewed():
            leases = self.leases()
            return all(renewal_time(leases[name]) > end for name in names)

        self.egress.wait(renewed, "renewed Leases", seconds + 60)

    def counts(self):
        return scrape.Metrics(self.control.netns, port=9475).all("ovs_egress_nodes", "gateway")

    def route_writes(self, mark):
        return [event["requestURI"] for event in self.control.audit(mark, MANAGER, ("patch", "delete"))
                if event["objectRef"]["resource"] == "egressroutes"]


def renewal_time(lease):
    text = lease["spec"]["renewTime"].partition(".")[0]
    return time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) - time.timezone


@pytest.fixture
def readiness(make_egress):
    egress = make_egress(nodes=2, agent_options=(f"--lease-duration={DURATION}",))
    # Ending things is what the tests are about.
    egress.expect_warning(r"fatal_signal\|WARN\|terminating with signal 15")
    egress.expect_warning(r"egress_kube_lease\|WARN\|.*no longer leading")
    return Readiness(egress)


def test_lease_tells_the_conditions(readiness):
    lease = readiness.leases()[readiness.gateway.name]
    assert lease["spec"]["holderIdentity"] == readiness.gateway.name
    assert lease["spec"]["leaseDurationSeconds"] == DURATION
    assert lease["metadata"]["annotations"] == {
        "ovs-egress.io/gateway-ready": "true", f"{CONDITIONS}SwitchConnected": "True",
        f"{CONDITIONS}UplinkFound": "True", f"{CONDITIONS}Settled": "True"}
    assert readiness.counts() == {"ready": 2, "not_ready": 0, "silent": 0}


def test_silent_agent_loses_what_others_can_take(readiness):
    """And stays the gateway where there is no other.  When it is back, nothing moves back, until the other
    one is silent."""
    gateway, other, egress = readiness.gateway, readiness.other, readiness.egress
    # Its flows go on answering for the address.
    egress.expect_warning(r"egress_claims\|WARN")

    gateway.agent.kill()
    egress.wait(lambda: readiness.owner("red") == other.name, "another gateway", 60)
    assert readiness.candidates("red") == [other.name]
    assert readiness.owner("green") == gateway.name
    assert readiness.counts() == {"ready": 1, "not_ready": 0, "silent": 1}
    assert (f"node {gateway.name} is no gateway as long as there are others: its agent has not renewed "
            f"its Lease for {DURATION} s" in egress.lab.manager().show())
    readiness.wait_sources(other)

    gateway.agent.start()
    egress.wait(lambda: readiness.counts()["ready"] == 2, "an agent that is back", 60)
    egress.wait(lambda: readiness.candidates("red") == [other.name, gateway.name], "both nodes", 60)
    readiness.wait_sources(gateway)

    other.agent.kill()
    egress.wait(lambda: readiness.owner("red") == gateway.name, "the first gateway", 60)
    readiness.wait_sources(gateway)


def test_restart_moves_nothing(readiness):
    """Under traffic, which loses nothing."""
    gateway, egress = readiness.gateway, readiness.egress
    traffic = Traffic(egress, [readiness.pods[readiness.other.name][0]])
    mark = readiness.control.mark()

    gateway.agent.kill()
    gateway.agent.start()
    egress.settle()
    readiness.wait_renewals(DURATION + 2)

    traffic.flow()
    assert traffic.stop() == {}
    assert readiness.route_writes(mark) == []
    assert readiness.owner("red") == gateway.name
    assert egress.flow_mods(gateway.name) == 0


def test_node_without_a_switch_is_no_gateway(readiness):
    """The agent runs and says so.  Its switch refuses to talk to it, and goes on forwarding."""
    gateway, other, egress = readiness.gateway, readiness.other, readiness.egress
    egress.expect_warning(r"\|(rconn|vconn)\|WARN\||egress_claims\|WARN")

    gateway.switch.vsctl("set", "bridge", cni.BRIDGE, "protocols=OpenFlow10")
    egress.wait(lambda: readiness.annotations(gateway)["ovs-egress.io/gateway-ready"] == "false",
                "a node that is not ready", 60)
    assert (readiness.annotations(gateway)[f"{CONDITIONS}SwitchConnected"]
            == "False: there is no connection to the switch")
    egress.wait(lambda: readiness.owner("red") == other.name, "another gateway", 60)
    assert readiness.counts() == {"ready": 1, "not_ready": 1, "silent": 0}
    egress.wait(lambda: objects.sources(readiness.pods[other.name][0]) == objects.RED, "the new way", 60)

    gateway.switch.vsctl("clear", "bridge", cni.BRIDGE, "protocols")
    egress.wait(lambda: readiness.counts()["ready"] == 2, "a node that is ready again", 60)
    readiness.wait_sources(other)
    assert readiness.owner("red") == other.name


def test_silence_of_the_server_is_nobodys_fault(readiness):
    """An outage that is longer than the Leases moves nothing."""
    mark = readiness.control.mark()
    readiness.control.api_server.stop()
    end = time.monotonic() + 2 * DURATION
    readiness.egress.wait(lambda: time.monotonic() > end, "the end of the Leases", 60)
    readiness.wait_sources(readiness.other)

    readiness.control.start()
    readiness.wait_renewals(DURATION + 2)
    readiness.egress.wait(lambda: readiness.counts() == {"ready": 2, "not_ready": 0, "silent": 0},
                          "agents that are heard", 60)
    assert readiness.route_writes(mark) == []
