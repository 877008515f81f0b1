"""What is taken away from a policy is taken away from its route and from its pool."""

import json

import kubectl

ROUTES = "/apis/ovs-egress.io/v1alpha1/egressroutes"
API_VERSION = "ovs-egress.io/v1alpha1"

# Fields of a policy, and those of its route's spec that go with them.
FIELDS = {
    "bandwidth": "bandwidth",
    "destinationCIDRs": "destinations",
    "exceptCIDRs": "exceptions",
    "gateway": "nodeSelector",
    "egressPool": "poolRef",
}


def spec(index):
    return {"appliedTo": {"podSelector": {"matchLabels": {"app": f"web-{index}"}}},
            "egressIPs": [f"172.16.18.15{index}"], "egressPool": "office",
            "bandwidth": {"rate": "10M", "burst": "1M"},
            "destinationCIDRs": ["198.51.100.0/24"], "exceptCIDRs": ["198.51.100.1/32"],
            "gateway": {"nodeSelector": {"matchLabels":
                {"kubernetes.io/hostname": "antrea-lab-node-01"}}}}


def test_fields_of_a_policy(make_egress):
    """One optional field after the other goes, of one policy among several."""
    egress = make_egress(nodes=1)
    control = egress.lab.control
    egress.lab.manager().start()
    control.kubectl("apply", "-f", "-", stdin=kubectl.manifest(
        API_VERSION, "EgressPool", {"cidrs": ["172.16.18.144/28"]}, "office"))
    for index in range(6):
        control.kubectl("apply", "-f", "-", stdin=kubectl.manifest(
            API_VERSION, "EgressPolicy", spec(index), f"policy-{index}"))

    def route():
        items = control.client.get(ROUTES)["items"]
        return {each["metadata"]["name"]: each["spec"] for each in items}.get(
            "policy-1.egresspolicy.ovs-egress.io", {})

    def used():
        pool = control.kubectl("get", "egresspool", "office", "-o", "json")
        return json.loads(pool).get("status", {}).get("usage", {}).get("used")

    egress.wait(lambda: used() == 6 and {*FIELDS.values()} <= {*route()}, "routes with everything")
    for field, decided in FIELDS.items():
        patch = json.dumps({"spec": {field: None}})
        control.kubectl("patch", "egresspolicy", "policy-1", "--type=merge", "-p", patch)
        egress.wait(lambda gone=decided: gone not in route(), f"a route without {decided}")
    egress.wait(lambda: used() == 5, "the pool's usage")
