"""Metrics of the manager, and of both daemons about the API server."""

import time

import pytest

import objects
import scrape
from lab import process

POOL = """\
apiVersion: crd.antrea.io/v1beta1
kind: ExternalIPPool
metadata:
  name: pool
spec:
  ipRanges:
  - start: 172.16.18.131
    end: 172.16.18.139
  nodeSelector: {}
"""
EGRESS = """\
---
apiVersion: crd.antrea.io/v1beta1
kind: Egress
metadata:
  name: %s
spec:
  appliedTo:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: %s
  externalIPPool: pool
"""
AGENT_RESOURCES = {"nodes", "namespaces", "pods", "egressroutes.ovs-egress.io"}
MANAGER_RESOURCES = {"nodes", "namespaces", "egressroutes.ovs-egress.io",
                     "egresspolicies.ovs-egress.io", "egresspools.ovs-egress.io",
                     "egresses.crd.antrea.io", "externalippools.crd.antrea.io"}


@pytest.fixture
def measured(make_egress):
    """An agent and a manager, a pool and two policies that are settled."""
    egress = make_egress(nodes=1, agent_options=("--metrics=9474",))
    egress.control = egress.lab.control
    egress.pod = egress.lab.add_pod("lab/web", 1)
    egress.manager = egress.lab.manager()
    egress.manager.start("--metrics=9475")
    egress.start()
    egress.control.kubectl("apply", "-f", "-",
                           stdin=POOL + EGRESS % ("lab", "lab") + EGRESS % ("shop", "shop"))
    wait_routes(egress, 2)
    egress.expect_warning(r"fatal_signal\|WARN\|terminating with signal 15")
    return egress


def wait_routes(egress, count):
    egress.wait(lambda: len(egress.ctl(1, "routes")["routes"]) == count, f"{count} routes", 60)
    egress.settle()


def of_agent(egress):
    return scrape.Metrics(egress.lab.node(1).switch.namespace)


def of_manager(egress, port=9475):
    return scrape.Metrics(egress.control.netns, port=port)


def test_manager(measured):
    # One that is to be tried again waits.
    process.wait_until(lambda: of_manager(measured).all("ovs_egress_pending_writes", "state")
                       == {"waiting": 0, "in_flight": 0}, "writes", 60, 0.1)
    now = of_manager(measured)

    assert now.types == scrape.documented("M")
    assert now.get("ovs_egress_leader") == 1
    assert now.get("ovs_egress_lease_acquired_total") == 1
    assert now.get("ovs_egress_policies") == 2
    assert now.all("ovs_egress_routes", "state") == {"Active": 2, "NoEgressIP": 0, "NoGateway": 0}
    pool = {"pool": "ExternalIPPool.crd.antrea.io/pool"}
    assert now.get("ovs_egress_pool_addresses", **pool) == 9
    assert now.get("ovs_egress_pool_addresses_used", **pool) == 2
    # Two routes, their policies' statuses and the pool's, and Events.
    assert now.get("ovs_egress_writes_total", result="succeeded") >= 5
    assert now.get("ovs_egress_writes_total", result="refused") == 0
    assert now.all("ovs_egress_events_total", "result")["written"] >= 2
    assert set(now.all("ovs_egress_api_lists_total", "resource")) == MANAGER_RESOURCES
    assert now.get("ovs_egress_api_objects", resource="egresses.crd.antrea.io") == 2
    assert scrape.get(measured.control.netns, "/readyz", port=9475).status == 200

    measured.control.kubectl("delete", "egress", "shop")
    measured.wait(lambda: of_manager(measured).get("ovs_egress_pool_addresses_used", **pool) == 1,
                  "an address that is free again")
    assert of_manager(measured).get("ovs_egress_policies") == 1
    wait_routes(measured, 1)


def test_one_replica_leads(measured):
    second = measured.lab.manager("second")
    second.start("--metrics=9476")
    measured.wait(lambda: scrape.get(measured.control.netns, "/readyz", port=9476).status == 200,
                  "a second replica that is ready")
    now = of_manager(measured, 9476)
    assert now.get("ovs_egress_leader") == 0
    assert now.get("ovs_egress_routes", state="Active") == 2
    assert now.all("ovs_egress_pool_addresses_used", "pool") == {}

    measured.manager.stop()
    measured.wait(lambda: of_manager(measured, 9476).get("ovs_egress_leader") == 1, "a new leader", 60)
    second.stop()


def test_agent_and_its_server(measured):
    """Reachable, out of reach, reachable."""
    measured.manager.stop()
    before = of_agent(measured)
    assert before.types == scrape.documented("A")
    assert before.get("ovs_egress_api_reachable") == 1
    assert before.all("ovs_egress_api_lists_total", "resource") == dict.fromkeys(AGENT_RESOURCES, 1)
    assert before.all("ovs_egress_api_objects", "resource")["pods"] == 1
    assert before.get("ovs_egress_api_objects", resource="egressroutes.ovs-egress.io") == 2
    assert before.get("ovs_egress_api_watch_events_total", resource="egressroutes.ovs-egress.io") >= 2
    assert before.get("ovs_egress_api_requests_total", code="2xx") >= len(AGENT_RESOURCES)
    # Its node's Lease, which it asks for before it creates it.
    assert before.get("ovs_egress_api_requests_total", code="4xx") <= 1
    contact = "ovs_egress_api_last_contact_timestamp_seconds"
    assert time.time() - 120 < before.get(contact) <= time.time()

    measured.control.api_server.stop()
    measured.wait(lambda: of_agent(measured).get("ovs_egress_api_reachable") == 0,
                  "a server out of reach", 60)
    gone = of_agent(measured)
    assert gone.get("ovs_egress_problems") == 1
    assert gone.get("ovs_egress_routes", state="Active") == 2
    # What is decided stays in force: the node does its part.
    assert scrape.get(measured.lab.node(1).switch.namespace, "/readyz").status == 200
    assert all(value > before.all("ovs_egress_api_errors_total", "resource")[name]
               for name, value in gone.all("ovs_egress_api_errors_total", "resource").items())
    assert gone.get("ovs_egress_api_requests_total", code="none") > 0

    measured.control.start()
    measured.wait(lambda: of_agent(measured).get("ovs_egress_problems") == 0, "a server that is back", 120)
    back = of_agent(measured)
    assert back.get("ovs_egress_api_reachable") == 1
    assert back.get(contact) > before.get(contact)
    assert all(value > before.all("ovs_egress_api_watches_total", "resource")[name]
               for name, value in back.all("ovs_egress_api_watches_total", "resource").items())
    assert measured.ctl(1, "show")["egress_ips"]["claimed"] == 2
    assert measured.pod.udp(objects.EXTERNAL[0])["src"].startswith("172.16.18.13")
