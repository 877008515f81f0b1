"""What the kinds' schemas cannot tell is told in a condition, rule by rule; and the files in
deploy/ as a whole."""

import contextlib
import copy
import glob
import json
import time

import pytest
import yaml

import kubectl
from lab import kube, process

OWN, ANTREA = "ovs-egress.io/v1alpha1", "crd.antrea.io/v1beta1"
PODS = {"appliedTo": {"podSelector": {}}}
NODE = "172.16.18.101"


def policy(**spec):
    return (OWN, "EgressPolicy", {**PODS, **spec})


def pool(**spec):
    return (OWN, "EgressPool", spec)


def egress(**spec):
    return (ANTREA, "Egress", {**PODS, **spec})


def antrea_pool(*ranges, **spec):
    return (ANTREA, "ExternalIPPool", {"ipRanges": list(ranges), **spec})


def on_node(index):
    name = f"antrea-lab-node-{index:02d}"
    return {"nodeSelector": {"matchLabels": {"kubernetes.io/hostname": name}}}


# Nothing is wrong with these.
GOOD = {
    "a-pool": pool(cidrs=["10.7.0.0/29"], gatewayIPs=["10.7.0.1"]),
    "b-pool": pool(ranges=[{"first": "10.8.0.1", "last": "10.8.0.1"}]),
    "a-policy": policy(egressIPs=["10.9.0.1"]),
    "b-policy": policy(egressPool="b-pool"),
    "c-pool": pool(ranges=[{"first": "10.8.1.1", "last": "10.8.1.1"}]),
    "a-policy-of-c": policy(egressPool="c-pool", egressIPs=["10.8.1.1"]),
    "c-policy": policy(egressIPs=["10.9.0.3"], gateway=on_node(1)),
    "last": policy(egressIPs=["10.9.0.4"]),
}

# By name: what is wrong, and what the condition "Valid" says of it.
WRONG = {
    "both": (
        policy(useNodeIP=True, egressIPs=["10.9.1.1"]),
        "spec.useNodeIP: is true together with egressIPs, expected one of them"),
    "node-and-pool": (
        policy(useNodeIP=True, egressPool="a-pool"),
        "spec.useNodeIP: is true together with egressPool, expected one of them"),
    "one-family": (
        policy(egressIPs=["10.9.1.3", "10.9.1.4"]),
        "spec.egressIPs[1]: 10.9.1.4 is a second IPv4 address after 10.9.1.3, expected at "
        "most one per family"),
    "label-key": (
        policy(egressIPs=["10.9.1.5"], gateway={"nodeSelector": {"matchLabels": {"no key!":
            "x"}}}),
        'spec.gateway.nodeSelector.matchLabels: "no key!" is no label key, expected like app '
        "or example.com/app"),
    "no-pool": (
        policy(egressPool="nowhere"),
        "spec.egressPool: there is no pool EgressPool.ovs-egress.io/nowhere"),
    "outside": (
        policy(egressPool="a-pool", egressIPs=["10.7.0.9"]),
        'spec.egressIPs: "10.7.0.9" is outside pool EgressPool.ovs-egress.io/a-pool '
        "(10.7.0.0/29)"),
    "network": (
        policy(egressPool="a-pool", egressIPs=["10.7.0.0"]),
        'spec.egressIPs: "10.7.0.0" is the network or broadcast address of a subnet in pool '
        "EgressPool.ovs-egress.io/a-pool, which nobody can have"),
    "gateway": (
        policy(egressPool="a-pool", egressIPs=["10.7.0.1"]),
        'spec.egressIPs: "10.7.0.1" is the gateway of pool EgressPool.ovs-egress.io/a-pool: '
        "an egress IP must be nobody else's"),
    "claimed": (
        policy(egressPool="c-pool", egressIPs=["10.8.1.1"]),
        'spec.egressIPs: "10.8.1.1" is already claimed by '
        "EgressPolicy.ovs-egress.io/a-policy-of-c"),
    "exhausted": (
        policy(egressPool="b-pool"),
        "spec.egressPool: pool EgressPool.ovs-egress.io/b-pool is exhausted: its 1 IPv4 "
        "address is in use"),
    "multicast": (
        policy(egressIPs=["224.0.0.1"]),
        'spec.egressIPs: "224.0.0.1" is no unicast address: an egress IP must be an address '
        "that a host can have"),
    "of-a-node": (
        policy(egressIPs=[NODE]),
        'spec.egressIPs: "172.16.18.101" is an address of node antrea-lab-node-01: an egress '
        "IP must be nobody else's"),
    "half-shared": (
        policy(egressIPs=["10.9.0.1", "fd00:9::1"]),
        'spec.egressIPs: "10.9.0.1" is already claimed by '
        "EgressPolicy.ovs-egress.io/a-policy, whose other egress IP is not the same: policies"
        " share all of their egress IPs or none"),
    "elsewhere": (
        policy(egressIPs=["10.9.0.3"], gateway=on_node(2)),
        'spec.egressIPs: "10.9.0.3" is already claimed by '
        "EgressPolicy.ovs-egress.io/c-policy, whose node selector is not the same: policies "
        "that share an egress IP share its gateway"),
    "nowhere": (
        policy(egressIPs=["10.9.1.6"], gateway=on_node(7)),
        'node selector: "kubernetes.io/hostname=antrea-lab-node-07" matches no Ready node '
        "with an IPv4 InternalIP"),
    "backwards": (
        pool(ranges=[{"first": "10.6.0.9", "last": "10.6.0.1"}]),
        "spec.ranges[0]: first 10.6.0.9 comes after last 10.6.0.1"),
    "two-families": (
        pool(ranges=[{"first": "10.6.0.9", "last": "fd00::1"}]),
        "spec.ranges[0]: first and last are of different IP families"),
    "two-gateways": (
        pool(cidrs=["10.6.1.0/24"], gatewayIPs=["10.6.1.1", "10.6.1.2"]),
        "spec.gatewayIPs[1]: 10.6.1.2 is a second IPv4 address after 10.6.1.1, expected at "
        "most one per family"),
    "overlap": (
        pool(cidrs=["10.7.0.0/24"]),
        "addresses: pool EgressPool.ovs-egress.io/overlap overlaps pool "
        "EgressPool.ovs-egress.io/a-pool in 10.7.0.0-10.7.0.7: these addresses are handed out"
        " by the latter alone; an address may be in one pool only"),
    "antrea-both": (
        egress(egressIP="10.9.1.7", egressIPs=["10.9.1.7"]),
        "spec.egressIPs: is there together with egressIP, expected one of them"),
    "antrea-two-pools": (
        egress(externalIPPools=["a", "b"]),
        "spec.externalIPPools: has 2 pools, expected one pool (which may have ranges of both "
        "IP families)"),
    "antrea-pool-twice": (
        egress(externalIPPool="a", externalIPPools=["a"]),
        "spec.externalIPPools: is there together with externalIPPool, expected one of them"),
    "antrea-no-pool": (
        egress(externalIPPool="a"),
        "spec.externalIPPool: there is no pool ExternalIPPool.crd.antrea.io/a"),
    "antrea-vlan": (
        antrea_pool({"cidr": "10.5.0.0/24"}, subnetInfo={"gateway": "10.5.0.1",
            "prefixLength": 24, "vlan": 7}),
        "spec.subnetInfo.vlan: 7 is not supported, expected 0 or none"),
    "antrea-prefix": (
        antrea_pool({"cidr": "10.5.1.0/24"}, subnetInfo={"gateway": "10.5.1.1",
            "prefixLength": 64}),
        "spec.subnetInfo.prefixLength: 64 is out of range, expected 1 to 32"),
    "antrea-backwards": (
        antrea_pool({"start": "10.5.2.9", "end": "10.5.2.1"}),
        "spec.ipRanges[0]: start 10.5.2.9 comes after end 10.5.2.1"),
}


def items(objects):
    return [{"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec}
            for name, (api, kind, spec) in objects.items()]


def apply(control, objects):
    control.kubectl("apply", "--validate=false", "-f", "-", stdin=json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": items(objects)}))


def problems(control):
    """What the conditions say is wrong, by name."""
    found = json.loads(control.kubectl("get", "egp,egpool,eg,eip", "-o", "json"))["items"]
    return {item["metadata"]["name"]: condition["message"] for item in found
            for condition in item.get("status", {}).get("conditions", [])
            if condition["type"] == "Valid"}


@pytest.fixture
def managed(shared_lab, control):
    """The control plane of the shared lab, with a manager."""
    shared_lab.manager().start()
    yield control
    shared_lab.manager().stop()


def test_conditions_explain(managed):
    """Each rule that the schemas cannot tell, once; and Events tell the same."""
    wanted = {name: text for name, (_, text) in WRONG.items()}
    apply(managed, GOOD)
    policies = {name for name, (_, kind, _) in GOOD.items() if kind == "EgressPolicy"}
    process.wait_until(lambda: {route["spec"]["policyRef"]["name"] for route in managed.client.get(
        f"/apis/{OWN}/egressroutes")["items"]} >= policies, "routes", 60)
    # Of two that want the same, the older has it, and ages are in seconds.
    born = time.time()
    process.wait_until(lambda: time.time() > born + 1, "another second")
    apply(managed, {name: each for name, (each, _) in WRONG.items()})

    with contextlib.suppress(process.LabError):
        process.wait_until(lambda: problems(managed) == wanted, "conditions", 60, 0.2)
    assert problems(managed) == wanted

    process.wait_until(lambda: all(kubectl.events(managed, name) for name in wanted), "events",
                       60, 0.2)
    told = {name: kubectl.events(managed, name)[-1] for name in wanted}
    reasons = {"nowhere": "NoGateway", "exhausted": "PoolExhausted", "claimed": "Conflict",
               "half-shared": "Conflict", "elsewhere": "Conflict"}
    assert told == {name: ("Warning", reasons.get(name, "Invalid"), text)
                    for name, text in wanted.items()}


def test_bad_update_leaves_the_version_before(managed):
    def route():
        name = "unsteady.egresspolicy.ovs-egress.io"
        return managed.client.get(f"/apis/{OWN}/egressroutes/{name}")["spec"]

    def say(**spec):
        apply(managed, {"unsteady": policy(**spec)})

    say(egressIPs=["10.9.2.1"])
    process.wait_until(lambda: "unsteady." in managed.kubectl("get", "egr", "-o", "name"),
                       "a route", 60)
    before = route()
    say(egressIPs=["10.9.2.2", "10.9.2.3"])
    process.wait_until(lambda: problems(managed).get("unsteady"), "a condition", 60)

    assert problems(managed)["unsteady"] == (
        "spec.egressIPs[1]: 10.9.2.3 is a second IPv4 address after 10.9.2.2, expected at most one "
        "per family; its last good version stays in force")
    assert route() == before

    say(egressIPs=["10.9.2.2"])
    process.wait_until(lambda: "unsteady" not in problems(managed), "a condition that is gone", 60)
    process.wait_until(lambda: route()["egressIPs"] == ["10.9.2.2"], "another route", 60)


@pytest.mark.parametrize("directory", ["deploy", "deploy/crds", "deploy/crds-antrea"])
def test_dry_run(control, directory):
    """kubectl takes all that is there to be installed, and the API server would, too."""
    files = glob.glob(f"{kube.TOP}/{directory}/*.yaml")
    if directory == "deploy":
        files += glob.glob(f"{kube.TOP}/deploy/crds/*.yaml")
    wanted = 0
    for path in files:
        with open(path, encoding="utf-8") as file:
            wanted += sum(bool(each) and each["kind"] != "Kustomization"
                          for each in yaml.safe_load_all(file))

    said = control.kubectl("apply", "--dry-run=server", "-k", f"{kube.TOP}/{directory}")

    assert wanted and said.count("(server dry run)\n") == wanted


@pytest.mark.parametrize("name", ["egresspolicies", "egresspools"])
def test_cel_rules(control, name):
    """They add rules to the schemas that there are, and nothing else.  This version of the API
    server does not know CEL: it takes the schemas and drops the rules.  Its kubectl cannot read
    a directory as a resource, so the patch is applied here."""
    with open(f"{kube.TOP}/deploy/crds/{name}.yaml", encoding="utf-8") as file:
        plain = yaml.safe_load(file)
    with open(f"{kube.TOP}/deploy/crds-cel/{name}.json", encoding="utf-8") as file:
        changes = json.load(file)
    patched = copy.deepcopy(plain)
    for change in changes:
        schema = patched
        *path, last = change["path"].strip("/").split("/")
        for part in path:
            schema = schema[int(part) if part.isdigit() else part]
        assert (change["op"], last) == ("add", "x-kubernetes-validations") and last not in schema
        assert all(sorted(rule) == ["message", "rule"] for rule in change["value"])
        schema[last] = change["value"]

    said = json.loads(control.kubectl("apply", "--dry-run=server", "--validate=false", "-o", "json",
                                      "-f", "-", stdin=yaml.safe_dump(patched)))
    there = control.client.get(
        f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}.ovs-egress.io")
    assert changes and said["spec"] == there["spec"]
