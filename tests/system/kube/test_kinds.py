"""Our own kinds and Antrea's, as deploy/ defines them: what the API server takes, refuses,
fills in and prints."""

import json
import re

import pytest

from kubectl import dry_run, manifest, table
from lab import kube

TOP = kube.TOP
OWN = "ovs-egress.io/v1alpha1"


VALID = [
    (OWN, "EgressPolicy", {"appliedTo": {"podSelector": {}}, "egressIPs": ["10.0.0.1", "fd00::1"],
                           "egressPool": "p", "bandwidth": {"rate": "10M", "burst": 1000000},
                           "gateway": {"nodeSelector": {"matchExpressions": [
                               {"key": "a", "operator": "In", "values": ["b"]},
                               {"key": "c", "operator": "DoesNotExist"}]}},
                           "destinationCIDRs": ["198.51.100.0/24", "2001:db8::/32"],
                           "exceptCIDRs": ["198.51.100.1/32"], "priority": -5,
                           "onNoGateway": "Fallback"}),
    (OWN, "EgressPolicy", {"appliedTo": {"podCIDRs": ["10.0.0.0/8"]}, "useNodeIP": True}),
    (OWN, "EgressPool", {"cidrs": ["2001:db8::/64"], "gatewayIPs": ["2001:db8::1"],
                         "ranges": [{"first": "10.0.0.1", "last": "10.0.0.9"}],
                         "nodeSelector": {"matchLabels": {"egress": "true"}}}),
    ("crd.antrea.io/v1beta1", "Egress", {"appliedTo": {"podSelector": {}}, "egressIP": "fd00::1",
                                         "externalIPPool": "p", "bandwidth": {"rate": 1000}}),
    ("crd.antrea.io/v1beta1", "ExternalIPPool", {"ipRanges": [
        {"cidr": "10.0.0.0/24"}, {"start": "fd00::1", "end": "fd00::9"}],
        "nodeSelector": {}, "subnetInfo": {"gateway": "10.0.0.1", "prefixLength": 24}}),
]

SELECTOR = {"podSelector": {}}
POLICY = {"appliedTo": SELECTOR, "egressIPs": ["10.0.0.1"]}
EXPRESSION = "spec.appliedTo.podSelector.matchExpressions"
# What is wrong with an EgressPolicy that is otherwise right: the field, and its value.
WRONG_POLICIES = [
    ("spec.appliedTo", {"appliedTo": {}}),
    ("spec.appliedTo", {"appliedTo": {"podCIDRs": []}}),
    ("spec.appliedTo.podCIDRs", {"appliedTo": {"podCIDRs": ["10.0.0.0"]}}),
    ("spec.egressIPs", {"egressIPs": ["10.0.0.300"]}),
    ("spec.egressIPs", {"egressIPs": ["10.0.0.1", "10.0.0.2", "10.0.0.3"]}),
    ("spec.egressIPs", {"egressIPs": "10.0.0.1"}),
    ("spec.useNodeIP", {"useNodeIP": "yes"}),
    ("spec", {"egressIPs": []}),
    ("spec.egressPool", {"egressPool": ""}),
    ("spec.destinationCIDRs", {"destinationCIDRs": ["anywhere"]}),
    ("spec.exceptCIDRs", {"exceptCIDRs": ["10.0.0.0/33"]}),
    ("spec.bandwidth.rate", {"bandwidth": {"burst": "1M"}}),
    ("spec.bandwidth.rate", {"bandwidth": {"rate": "fast"}}),
    ("spec.priority", {"priority": 1.5}),
    ("spec.priority", {"priority": 1 << 31}),
    ("spec.onNoGateway", {"onNoGateway": "Panic"}),
    (f"{EXPRESSION}.operator", {"appliedTo": {"podSelector": {"matchExpressions": [
        {"key": "a", "operator": "Is", "values": ["b"]}]}}}),
    (f"{EXPRESSION}", {"appliedTo": {"podSelector": {"matchExpressions": [
        {"key": "a", "operator": "In"}]}}}),
    (f"{EXPRESSION}", {"appliedTo": {"podSelector": {"matchExpressions": [
        {"key": "a", "operator": "Exists", "values": ["b"]}]}}}),
    ("spec.appliedTo.podSelector.matchLabels.a",
     {"appliedTo": {"podSelector": {"matchLabels": {"a": "no value!"}}}}),
]
WRONG_POOLS = [
    ("spec", {}),
    ("spec", {"cidrs": []}),
    ("spec.cidrs", {"cidrs": ["10.0.0.1"]}),
    ("spec.ranges.last", {"ranges": [{"first": "10.0.0.1"}]}),
    ("spec.ranges.first", {"ranges": [{"first": "ten", "last": "10.0.0.1"}]}),
    ("spec.gatewayIPs", {"cidrs": ["10.0.0.0/8"], "gatewayIPs": ["10.0.0.0/8"]}),
]
ANTREA = {"appliedTo": SELECTOR, "egressIP": "10.0.0.1"}
WRONG_EGRESSES = [
    ("spec.appliedTo", {"appliedTo": {}}),
    ("spec.egressIP", {"egressIP": "ten"}),
]
WRONG_EXTERNAL_POOLS = [
    ("spec.ipRanges", {"ipRanges": []}),
    ("spec.ipRanges", {"ipRanges": [{"start": "10.0.0.1"}]}),
    ("spec.ipRanges", {"ipRanges": [{"cidr": "10.0.0.0/24", "start": "10.0.0.1",
                                     "end": "10.0.0.9"}]}),
    ("spec.subnetInfo.vlan", {"ipRanges": [{"cidr": "10.0.0.0/24"}],
                              "subnetInfo": {"gateway": "10.0.0.1", "vlan": 5000}}),
]
ROUTE = {"policyRef": {"kind": "EgressPolicy", "group": "ovs-egress.io", "name": "x"}, "number": 1,
         "state": "Active"}
WRONG_ROUTES = [
    ("spec.number", {"number": 0}),
    ("spec.number", {"number": 1 << 23}),
    ("spec.state", {"state": "Well"}),
    ("spec.candidates", {"candidates": ["a", "b", "c", "d"]}),
    ("spec.policyRef.name", {"policyRef": {"kind": "EgressPolicy"}}),
]


def test_kinds_take_what_is_right(control):
    assert [dry_run(control, manifest(*each)) for each in VALID] == [None] * len(VALID)


@pytest.mark.parametrize("name", ["antrea", "ovs-egress"])
def test_examples(control, name):
    with open(f"{TOP}/examples/{name}.yaml", encoding="utf-8") as file:
        assert dry_run(control, file.read()) is None


def test_kinds_refuse_what_is_wrong(control):
    """By the field that the message names."""
    cases = [(api, kind, {**base, **changes}, field)
             for api, kind, base, wrong in (
                 (OWN, "EgressPolicy", POLICY, WRONG_POLICIES),
                 (OWN, "EgressPool", {}, WRONG_POOLS),
                 (OWN, "EgressRoute", ROUTE, WRONG_ROUTES),
                 ("crd.antrea.io/v1beta1", "Egress", ANTREA, WRONG_EGRESSES),
                 ("crd.antrea.io/v1beta1", "ExternalIPPool", {}, WRONG_EXTERNAL_POOLS))
             for field, changes in wrong]

    def named(api, kind, spec):
        refusal = dry_run(control, manifest(api, kind, spec)) or ""
        # Indexes of lists do not matter here.
        return set(re.findall(r'(spec[\w.]*)(?=:| in body|")', re.sub(r"\[\w+\]", "", refusal)))

    unnamed = [(spec, field, found) for api, kind, spec, field in cases
               if field not in (found := named(api, kind, spec))]
    assert unnamed == []


def test_defaults(control):
    control.kubectl("apply", "-f", "-", stdin=manifest(OWN, "EgressPolicy", POLICY, "plain"))

    spec = json.loads(control.kubectl("get", "egresspolicy", "plain", "-o", "json"))["spec"]

    assert spec == {**POLICY, "onNoGateway": "Drop", "priority": 0, "useNodeIP": False}


def test_get_egress(control):
    spec = {"appliedTo": SELECTOR, "egressIP": "172.16.18.131"}
    control.kubectl("apply", "-f", "-", stdin=manifest("crd.antrea.io/v1alpha2", "Egress", spec))
    control.client.patch("/apis/crd.antrea.io/v1beta1/egresses/x/status",
                         {"status": {"egressIP": "172.16.18.131", "egressNode": "node-02"}})

    assert table(control, "egress", "x") == [["NAME", "EGRESSIP", "AGE", "NODE"],
                                        ["x", "172.16.18.131", "AGE", "node-02"]]


def test_get_own_kinds(control):
    route = {**ROUTE, "egressIPs": ["10.0.0.1"], "candidates": ["node-02", "node-01"]}
    for kind, spec in (("EgressPolicy", POLICY), ("EgressRoute", route),
                       ("EgressPool", {"cidrs": ["10.0.0.0/24"]})):
        control.kubectl("apply", "-f", "-", stdin=manifest(OWN, kind, spec))
    base = "/apis/ovs-egress.io/v1alpha1"
    control.client.patch(f"{base}/egresspolicies/x/status",
                         {"status": {"egressIPs": ["10.0.0.1"], "egressNode": "node-02"}})
    control.client.patch(f"{base}/egresspools/x/status",
                         {"status": {"usage": {"total": 254, "used": 1}}})

    assert table(control, "egp", "x") == [["NAME", "EGRESSIP", "NODE", "AGE"],
                                     ["x", "10.0.0.1", "node-02", "AGE"]]
    assert table(control, "egpool", "x") == [["NAME", "TOTAL", "USED", "AGE"],
                                        ["x", "254", "1", "AGE"]]
    assert table(control, "egr", "x") == [["NAME", "EGRESSIP", "GATEWAY", "STATE", "AGE"],
                                     ["x", "10.0.0.1", "node-02", "Active", "AGE"]]
    assert table(control, "egr", "-o", "wide")[0] == [
        "NAME", "EGRESSIP", "GATEWAY", "STATE", "AGE", "NUMBER", "EGRESSIPS", "CANDIDATES",
        "REASON"]


def test_status_is_apart(control):
    """Whoever may write a policy cannot write its status along with it."""
    text = manifest(OWN, "EgressPolicy", POLICY, "sly") + "status: {egressNode: mine}\n"
    control.kubectl("apply", "--validate=false", "-f", "-", stdin=text)

    assert "status" not in json.loads(control.kubectl("get", "egp", "sly", "-o", "json"))
