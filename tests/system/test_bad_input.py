"""Whatever is wrong with what users write is said in words that help, stops nothing else, and is gone once mended."""

import json

import pytest

from objects import EXTERNAL, GREEN, RED, check_sources, pair, policy, sources

API = "apiVersion: ovs-egress.io/v1alpha1\n"
WEB = """\
  appliedTo:
    namespaceSelector:
      matchLabels:
        kubernetes.io/metadata.name: default
"""
GREEN_IPS = f"  egressIPs: [{GREEN[0]}, '{GREEN[1]}']\n"
POLICY = API + "kind: EgressPolicy\nmetadata:\n  name: web\nspec:\n"
POOL = API + "kind: EgressPool\nmetadata:\n  name: {}\nspec:\n"
ID = "EgressPolicy.ovs-egress.io/web"
POOL_ID = "EgressPool.ovs-egress.io/"

# What is wrong, in a file of its own; what is said about it, with the file as FILE; and the same, mended.
GOOD = POLICY + WEB + GREEN_IPS
MISTAKES = {
    "broken-yaml": (
        POLICY + WEB + "  egressIPs: [172.16.18.132\n",
        "FILE:11: did not find expected ',' or ']', while parsing a flow sequence that starts in line 10",
        GOOD),
    "unknown-field": (
        GOOD + "  egresIP: 172.16.18.132\n",
        f"{ID}: spec.egresIP: unknown field, did you mean egressIPs? (FILE:11)",
        GOOD),
    "unknown-kind": (
        GOOD.replace("EgressPolicy", "EgressPolice"),
        "FILE:2: kind: \"EgressPolice\" is unknown in ovs-egress.io, expected EgressPolicy or EgressPool or "
        "EgressRoute",
        GOOD),
    "unknown-group": (
        GOOD.replace("ovs-egress.io", "egress.example.com"),
        "FILE:1: unknown kind EgressPolicy in egress.example.com/v1alpha1",
        GOOD),
    "unknown-version": (
        GOOD.replace("v1alpha1", "v9"),
        "FILE:1: apiVersion: \"ovs-egress.io/v9\" is unknown for kind EgressPolicy, expected "
        "ovs-egress.io/v1alpha1",
        GOOD),
    "bad-cidr": (
        GOOD + "  destinationCIDRs: [172.29.161.0/33]\n",
        f"{ID}: spec.destinationCIDRs[0]: \"172.29.161.0/33\" is no CIDR: the length of an IPv4 "
        "prefix is a number from 0 to 32 (FILE:11)",
        GOOD + "  destinationCIDRs: [172.29.161.0/24, '::/0']\n"),
    "bad-address": (
        GOOD.replace(GREEN[0], "172.16.18.300"),
        f"{ID}: spec.egressIPs[0]: \"172.16.18.300\" is no IP address, expected like 10.0.0.1 or fd00::1 "
        "(FILE:10)",
        GOOD),
    "empty-applied-to": (
        POLICY + "  appliedTo: {}\n" + GREEN_IPS,
        f"{ID}: spec.appliedTo: selects no pods, expected at least one of namespaceSelector, podSelector and "
        "podCIDRs (FILE:6)",
        GOOD),
    "bad-operator": (
        GOOD.replace("      matchLabels:\n        kubernetes.io/metadata.name: default\n",
                     "      matchExpressions:\n      - {key: app, operator: Is, values: [web]}\n"),
        f"{ID}: spec.appliedTo.namespaceSelector.matchExpressions[0].operator: \"Is\" is no operator, expected In, "
        "NotIn, Exists or DoesNotExist (FILE:9)",
        GOOD),
    "ip-outside-its-pool": (
        POOL.format("office") + "  ranges: [{first: 172.16.18.140, last: 172.16.18.149}]\n"
        "---\n" + GOOD + "  egressPool: office\n",
        f"{ID}: spec.egressIPs: \"172.16.18.132\" is outside pool {POOL_ID}office "
        "(172.16.18.140-172.16.18.149)",
        POOL.format("office") + "  ranges: [{first: 172.16.18.130, last: 172.16.18.149}]\n"
        "  cidrs: ['fd00:172:16:18::130/125']\n---\n" + GOOD + "  egressPool: office\n"),
    "unknown-pool": (
        POLICY + WEB + "  egressPool: office\n",
        f"{ID}: spec.egressPool: there is no pool {POOL_ID}office",
        POLICY + WEB + "  egressPool: office\n---\n" + POOL.format("office")
        + "  ranges: [{first: 172.16.18.132, last: 172.16.18.132}]\n  cidrs: ['fd00:172:16:18::132/128']\n"),
    "exhausted-pool": (
        POOL.format("one") + "  cidrs: [172.16.18.101/32, 'fd00:172:16:18::132/128']\n---\n"
        + POLICY + WEB + "  egressPool: one\n",
        f"{ID}: spec.egressPool: pool {POOL_ID}one has no IPv4 address that it could hand out",
        POOL.format("one") + "  cidrs: [172.16.18.132/32, 'fd00:172:16:18::132/128']\n---\n"
        + POLICY + WEB + "  egressPool: one\n"),
    "pool-used-up": (
        POOL.format("one") + "  cidrs: [172.16.18.132/32]\n---\n"
        + POLICY.replace("name: web", "name: first") + WEB + "  egressPool: one\n---\n"
        + POLICY + WEB + "  egressPool: one\n",
        f"{ID}: spec.egressPool: pool {POOL_ID}one is exhausted: its 1 IPv4 address is in use",
        GOOD),
    "ip-claimed-twice": (
        POLICY.replace("name: web", "name: later") + WEB + f"  egressIPs: [{RED[0]}, '{GREEN[1]}']\n",
        f"EgressPolicy.ovs-egress.io/later: spec.egressIPs: \"{RED[0]}\" is already claimed by "
        "EgressPolicy.ovs-egress.io/good, whose other egress IP is not the same: policies share all of their "
        "egress IPs or none",
        GOOD),
    "no-eligible-node": (
        GOOD + "  gateway: {nodeSelector: {matchLabels: {egress: 'yes'}}}\n",
        f"{ID}: node selector: \"egress=yes\" matches no Ready node with an IPv4 InternalIP",
        GOOD + "  gateway: {nodeSelector: {matchLabels: {kubernetes.io/os: linux}}}\n"),
    "pools-that-overlap": (
        POOL.format("a") + "  ranges: [{first: 172.16.18.140, last: 172.16.18.149}]\n---\n"
        + POOL.format("b") + "  cidrs: [172.16.18.144/28]\n---\n" + GOOD,
        f"{POOL_ID}b: addresses: pool {POOL_ID}b overlaps pool {POOL_ID}a in 172.16.18.144-172.16.18.149: these "
        "addresses are handed out by the latter alone; an address may be in one pool only",
        POOL.format("a") + "  ranges: [{first: 172.16.18.140, last: 172.16.18.143}]\n---\n"
        + POOL.format("b") + "  cidrs: [172.16.18.144/28]\n---\n" + GOOD),
}


@pytest.fixture
def egress(make_egress):
    """One node, where the policy "good" is in force for the pod 'egress.good'; 'egress.web' has none so far."""
    egress = make_egress(nodes=1)
    egress.good = egress.lab.add_pod("lab/good", 1)
    egress.web = egress.lab.add_pod("default/web", 1)
    egress.apply(policy("good", RED, namespace="lab"), "good")
    egress.start()
    egress.wait(lambda: sources(egress.good) == RED, "the good policy")
    return egress


def file_of(egress, name):
    return f"{egress.lab.manifests.path}/policy_{name}.yaml"


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake(egress, mistake):
    bad, problem, good = MISTAKES[mistake]
    stream = egress.good.stream(EXTERNAL[0], proto="udp", interval=10)
    stream.wait_answers(1)

    egress.apply(bad, "web")

    problem = problem.replace("FILE", file_of(egress, "web"))
    egress.wait_problem(problem)
    # Nothing else is wrong, and what is right goes on.
    assert egress.problems() == [problem]
    check_sources(egress.good, RED)

    egress.apply(good, "web")
    egress.wait(lambda: sources(egress.web) == GREEN, "mended policy")
    egress.wait(lambda: egress.problems() == [], "no problem")
    check_sources(egress.good, RED)
    assert stream.stop()["missing"] == []


@pytest.mark.parametrize("mistake", ["broken-yaml", "unknown-field", "bad-address", "bad-operator"])
def test_last_good_version_stays_in_force(egress, mistake):
    bad, problem, _ = MISTAKES[mistake]
    egress.apply(GOOD, "web")
    egress.wait(lambda: sources(egress.web) == GREEN, "good version")

    egress.apply(bad, "web")

    problem = problem.replace("FILE", file_of(egress, "web"))
    egress.wait_problem(problem + "; the file's last good content stays in force" if mistake == "broken-yaml"
                        else problem.removesuffix(")") + "; its last good version stays in force)")
    check_sources(egress.web, GREEN)
    check_sources(egress.good, RED)

    egress.apply(GOOD, "web")
    egress.wait(lambda: egress.problems() == [], "no problem")


def test_same_object_in_two_files(egress):
    egress.apply(GOOD, "web")
    egress.wait(lambda: sources(egress.web) == GREEN, "first file")

    egress.apply(GOOD.replace(GREEN[0], "172.16.18.139"), "web-again")

    egress.wait_problem(f"{ID}: is in {file_of(egress, 'web-again')}:1 and again in {file_of(egress, 'web')}:1; "
                        "the first is in force")
    egress.lab.delete("web")
    egress.wait(lambda: egress.problems() == [], "no problem")
    egress.wait(lambda: sources(egress.web) == ("172.16.18.139", GREEN[1]), "second file")


def test_policy_without_a_gateway_lets_nothing_out(egress):
    """A policy that is right but cannot be followed holds its pods' packets back."""
    egress.apply(MISTAKES["no-eligible-node"][0], "web")
    egress.wait_problem(MISTAKES["no-eligible-node"][1])
    egress.settle()
    mark = egress.external.mark()

    check_sources(egress.web, (None, None))
    assert egress.external.seen(mark) == []

    egress.apply(GOOD + "  gateway: {nodeSelector: {matchLabels: {egress: 'yes'}}}\n  onNoGateway: Fallback\n",
                 "web")
    egress.wait(lambda: sources(egress.web) == pair(egress.web.node), "fallback")

    egress.lab.label_node(1, {"egress": "yes"})
    egress.wait(lambda: sources(egress.web) == GREEN, "gateway")
    assert egress.problems() == []


def test_antrea_mistakes(egress):
    """The same care for the other language: several mistakes in one file, each said where it is."""
    egress.apply("\n---\n".join(json.dumps(each) for each in [
        {"apiVersion": "crd.antrea.io/v1beta1", "kind": "Egress", "metadata": {"name": "a"},
         "spec": {"appliedTo": {}, "egressIP": "172.16.18.133"}},
        {"apiVersion": "crd.antrea.io/v1beta1", "kind": "Egress", "metadata": {"name": "b"},
         "spec": {"appliedTo": {"podSelector": {}}, "egressIP": "nowhere"}},
        {"apiVersion": "crd.antrea.io/v1beta1", "kind": "ExternalIPPool", "metadata": {"name": "c"},
         "spec": {"ipRanges": [{"start": "172.16.18.149", "end": "172.16.18.140"}]}},
    ]), "antrea")

    where = file_of(egress, "antrea")
    egress.wait(lambda: len(egress.problems()) == 3, "problems")
    assert egress.problems() == [
        "Egress.crd.antrea.io/a: spec.appliedTo: selects no pods, expected podSelector, namespaceSelector or both "
        f"({where}:1)",
        "Egress.crd.antrea.io/b: spec.egressIP: \"nowhere\" is no IP address, expected like 10.0.0.1 or fd00::1 "
        f"({where}:3)",
        "ExternalIPPool.crd.antrea.io/c: spec.ipRanges[0]: start 172.16.18.149 comes after end 172.16.18.140 "
        f"({where}:5)",
    ]
