"""Random changes to a cluster: everything that the manager or the agents go by is created,
changed, deleted and created again, in an order that follows from the seed.

Where history decides (which of several gateways, which of several addresses), somebody without
a history cannot know.  So each policy here has at most one eligible gateway at a time, and
pools have one address for each, or one for all of their policies: that goes to the oldest."""

import random
import time

import objects
from lab import process
from reference import API_VERSIONS, PATHS

NODES = (1, 2, 3)
EDGE = "edge"                   # The label that gateways of most policies must have.
NAMESPACES = ("lab", "shop", "default")
PODS = {"lab/a": 1, "lab/b": 2, "shop/c": 1, "shop/d": 3, "default/e": 2}


def _hosts(prefix):
    return [{"matchLabels": {"kubernetes.io/hostname": f"{prefix}{index:02d}", EDGE: "yes"}}
            for index in NODES]


def _team(name):
    return {"namespaceSelector": {"matchLabels": {"team": name}}}


def _app(name):
    return {"podSelector": {"matchLabels": {"app": name}}}


def variants(prefix):
    """What each object may look like: (kind, name) and a list of specs, one of which it has at
    a time."""
    hosts = _hosts(prefix)
    range4 = [("172.16.18.140", "172.16.18.140"), ("172.16.18.141", "172.16.18.145")]
    range6 = [("fd00:172:16:18::140", "fd00:172:16:18::14f")]

    def ranges(pairs, first, last):
        return [{first: a, last: b} for a, b in pairs]

    return {
        ("ExternalIPPool", "antrea"): [
            {"ipRanges": ranges(pairs, "start", "end"), "nodeSelector": host}
            for pairs in (range4[1:], range6) for host in hosts],
        ("ExternalIPPool", "scarce"): [
            {"ipRanges": ranges(range4[:1], "start", "end"), "nodeSelector": host}
            for host in hosts],
        ("EgressPool", "own"): [
            {"ranges": ranges([("172.16.18.150", "172.16.18.155"), ("fd00:172:16:18::150",
                                                                    "fd00:172:16:18::150")][:count],
                              "first", "last"), "nodeSelector": host}
            for count in (1, 2) for host in hosts],
        ("Egress", "from-antrea"): [{"appliedTo": each, "externalIPPool": "antrea"}
                                    for each in (_team("red"), {**_team("blue"), **_app("web")})],
        ("Egress", "scarce-1"): [{"appliedTo": _app("db"), "externalIPPool": "scarce"}],
        ("Egress", "scarce-2"): [{"appliedTo": _team("blue"), "externalIPPool": "scarce",
                                  "egressIP": "172.16.18.140"}],
        ("Egress", "outside"): [{"appliedTo": _team("red"), "externalIPPool": "antrea",
                                 "egressIP": "172.16.18.160"}],
        ("EgressPolicy", "from-own"): [{"appliedTo": _app("web"), "egressPool": "own",
                                        "destinationCIDRs": to}
                                       for to in (["172.29.161.0/24"], ["10.99.0.0/16", "::/0"])],
        ("EgressPolicy", "red"): [
            {"appliedTo": _team("red"), "egressIPs": list(objects.RED), "priority": priority,
             "gateway": {"nodeSelector": host}, "onNoGateway": without}
            for priority, without in ((0, "Drop"), (7, "Fallback")) for host in hosts[:2]],
        ("EgressPolicy", "red-too"): [
            {"appliedTo": _app("db"), "egressIPs": list(objects.RED),
             "exceptCIDRs": ["10.99.0.0/24"], "gateway": {"nodeSelector": hosts[0]}}],
        ("EgressPolicy", "node-ip"): [
            {"appliedTo": {"podCIDRs": ["10.203.2.0/24", "fd00:10:203:2::/64"]}, "useNodeIP": True,
             "gateway": {"nodeSelector": host}} for host in hosts],
        ("EgressPolicy", "slow"): [
            {"appliedTo": _app("web"), "egressIPs": list(objects.BLUE), "bandwidth": {"rate": rate},
             "gateway": {"nodeSelector": hosts[2]}, "priority": -3} for rate in ("10M", "20M")],
    }


# Of these, the oldest has what they want; ages are in seconds.  They never change what that is: who already has
# something keeps it, even if somebody older comes to want it.
RIVALS = [{"scarce-1", "scarce-2"}, {"red", "red-too"}]


class Changes:
    """Changes 'lab', and the ports of pods in 'mirror', too."""

    def __init__(self, lab, mirror, seed):
        self._lab, self._mirror = lab, mirror
        self._client = lab.control.client
        self._random = random.Random(seed)
        self._variants = variants(lab.nodes[0].name[:-2])
        self._present = {}              # By kind and name: when it was created.
        self._pods = set()
        for name in NAMESPACES:
            lab.add_namespace(name)

    def change(self):
        """Does something, and says what."""
        actions = [self._object] * 12 + [self._pod, self._pod_label, self._namespace, self._edge,
                                         self._edge, self._ready]
        return self._random.choice(actions)()

    def create_all(self):
        for key in self._variants:
            self._create(*key)
        for name in PODS:
            self._add_pod(name)
        for index in NODES:
            self._lab.label_node(index, {EDGE: "yes"})

    # Policies and pools.

    def _object(self):
        key = self._random.choice(list(self._variants))
        if key not in self._present:
            action = self._create
        else:
            action = self._random.choice([self._delete, self._replace, self._recreate])
        action(*key)
        return f"{action.__name__} {key}"

    def _body(self, kind, name):
        return {"apiVersion": API_VERSIONS[kind], "kind": kind, "metadata": {"name": name},
                "spec": self._random.choice(self._variants[kind, name])}

    def _create(self, kind, name):
        rivals = [self._present[key] for key in self._present
                  if any({key[1], name} <= each for each in RIVALS)]
        process.wait_until(lambda: int(time.time()) > max(rivals, default=0), "another second")
        self._client.post(PATHS[kind], self._body(kind, name))
        self._present[kind, name] = int(time.time())

    def _delete(self, kind, name):
        self._client.delete(f"{PATHS[kind]}/{name}")
        del self._present[kind, name]

    def _replace(self, kind, name):
        spec = self._body(kind, name)["spec"]
        change = [{"op": "replace", "path": "/spec", "value": spec}]
        self._client.patch(f"{PATHS[kind]}/{name}", change, "application/json-patch+json")

    def _recreate(self, kind, name):
        self._delete(kind, name)
        self._create(kind, name)

    # The cluster.

    def _add_pod(self, name):
        labels = {"app": self._random.choice(["web", "db"])}
        self._lab.add_pod(name, PODS[name], labels)
        self._mirror.add_pod(name, PODS[name], manifest="later")
        self._pods.add(name)

    def _pod(self):
        name = self._random.choice(list(PODS))
        if name not in self._pods:
            self._add_pod(name)
            return f"add {name}"
        self._lab.remove_pod(name)
        self._mirror.remove_pod(name)
        self._pods.remove(name)
        return f"remove {name}"

    def _pod_label(self):
        name = self._random.choice(sorted(self._pods) or [None])
        label = self._random.choice(["web", "db", None])
        if name:
            self._lab.label_pod(name, {"app": label})
        return f"label {name} app={label}"

    def _namespace(self):
        name, label = self._random.choice(NAMESPACES), self._random.choice(["red", "blue", None])
        self._lab.label_namespace(name, {"team": label})
        return f"label {name} team={label}"

    def _edge(self):
        index, label = self._random.choice(NODES), self._random.choice(["yes", "yes", "yes", None])
        self._lab.label_node(index, {EDGE: label})
        return f"label node {index} {EDGE}={label}"

    def _ready(self):
        index, ready = self._random.choice(NODES), self._random.random() < 0.75
        self._lab.set_ready(index, ready)
        return f"node {index} ready={ready}"
