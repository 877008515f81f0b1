"""What a cluster should look like, from those who know nothing of how it became what it is:
agents of another lab, with the same nodes and pods, that are started anew on a copy of the API
server's objects and decide on their own."""

import concurrent.futures
import functools
import ipaddress
import json
import re

OWN, ANTREA = "/apis/ovs-egress.io/v1alpha1", "/apis/crd.antrea.io/v1beta1"
PATHS = {"EgressPolicy": f"{OWN}/egresspolicies", "EgressPool": f"{OWN}/egresspools",
         "Egress": f"{ANTREA}/egresses", "ExternalIPPool": f"{ANTREA}/externalippools"}
API_VERSIONS = {"EgressPolicy": "ovs-egress.io/v1alpha1", "EgressPool": "ovs-egress.io/v1alpha1",
                "Egress": "crd.antrea.io/v1beta1", "ExternalIPPool": "crd.antrea.io/v1beta1"}
_CORE = {"Node": "/api/v1/nodes", "Namespace": "/api/v1/namespaces", "Pod": "/api/v1/pods"}


def object_id(kind, name):
    return f"{kind}.{API_VERSIONS[kind].partition('/')[0]}/{name}"


@functools.cache
def _router_mac(lab):
    return json.loads(lab.router.run(["ip", "-j", "link", "show", "dev", "uplink"]))[0]["address"]


def flows(lab):
    """All flows of each node's bridge.  What differs between labs is the router's MAC address."""
    return {node.name: sorted(flow.replace(_router_mac(lab), "ROUTER") for flow in node.flows())
            for node in lab.nodes}


def _conditions(status):
    return sorted((each["type"], each["status"], each["message"])
                  for each in status.get("conditions", []))


def _pool_size(kind, spec):
    """How many addresses a pool has; of a CIDR all but the first and the last."""
    first, last = ("first", "last") if kind == "EgressPool" else ("start", "end")
    ranges = spec.get("ranges", []) if kind == "EgressPool" else spec["ipRanges"]
    return sum(int(ipaddress.ip_address(each[last])) - int(ipaddress.ip_address(each[first])) + 1
               for each in ranges)


class Reference:
    def __init__(self, egress, control):
        """'egress' has a lab with a directory, which this makes its own; 'control' is the other
        lab's control plane."""
        self.egress = egress
        self._control = control
        for node in egress.lab.nodes:
            egress.lab.manifests.remove("node", node.name)

    def _list(self, kind):
        answer = self._control.client.get({**PATHS, **_CORE}[kind])
        return [{"apiVersion": answer["apiVersion"], "kind": kind, **item}
                for item in answer["items"]]

    def decide(self):
        """Has the present objects decided from scratch."""
        lab = self.egress.lab
        objects = {kind: self._list(kind) for kind in (*_CORE, *PATHS)}
        everything = {"apiVersion": "v1", "kind": "List", "items": sum(objects.values(), [])}
        lab.manifests.write_text("objects.json", json.dumps(everything))
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(lambda node: node.agent.restart(), lab.nodes))
        self.egress.settle()

        self.routes = self._routes()
        problems = self.egress.ctl(1, "show")["problems"]
        self.statuses = self._statuses(objects, problems)
        self.flows = flows(lab)

    def _routes(self):
        """What the EgressRoutes should say, by id of the policy."""
        return {each["id"]: (each["number"], each["egress_ips"], each["candidates"], each["state"],
                             each.get("reason"))
                for each in self.egress.ctl(1, "routes")["routes"]}

    def _statuses(self, objects, problems):
        """What the statuses should say, by id: usage and conditions of pools, addresses, node
        and conditions of policies."""
        def problem(identity):
            texts = [each["text"] for each in problems if each["object"] == identity]
            return [("Valid", "False", "; ".join(texts))] if texts else []

        wanted = {}
        for kind in ("EgressPolicy", "Egress"):
            for each in objects[kind]:
                identity = object_id(kind, each["metadata"]["name"])
                _, ips, candidates, state, reason = self.routes[identity]
                node = candidates[0] if state == "active" else None
                wanted[identity] = (ips, node, sorted([
                    ("IPAssigned", "True", f"the gateway is node {node}") if node
                    else ("IPAssigned", "False", reason),
                    ("IPAllocated", "False", reason) if state == "no egress IP"
                    else ("IPAllocated", "True", "the policy has an egress IP"),
                    *problem(identity)]))
        for kind, user, field in (("EgressPool", "EgressPolicy", "egressPool"),
                                  ("ExternalIPPool", "Egress", "externalIPPool")):
            for pool in objects[kind]:
                name = pool["metadata"]["name"]
                used = sum(len(self.routes[object_id(user, each["metadata"]["name"])][1])
                           for each in objects[user] if each["spec"].get(field) == name)
                usage = {"total": _pool_size(kind, pool["spec"]), "used": used}
                wanted[object_id(kind, name)] = (usage, problem(object_id(kind, name)))
        return wanted

    # What the cluster has, in the same words.

    def _decided(self):
        routes = {}
        states = {"Active": "active", "NoEgressIP": "no egress IP", "NoGateway": "no gateway"}
        for each in self._control.client.get(f"{OWN}/egressroutes")["items"]:
            spec = each["spec"]
            identity = object_id(spec["policyRef"]["kind"], spec["policyRef"]["name"])
            routes[identity] = (spec["number"], spec.get("egressIPs", []),
                                spec.get("candidates", []), states[spec["state"]],
                                spec.get("reason"))
        return routes

    def _written(self):
        statuses = {}
        for kind in PATHS:
            for each in self._list(kind):
                status = each.get("status", {})
                if kind.endswith("Pool"):
                    said = (status.get("usage"), _conditions(status))
                else:
                    ips = status.get("egressIPs", list(filter(None, [status.get("egressIP")])))
                    said = (ips, status.get("egressNode"), _conditions(status))
                statuses[object_id(kind, each["metadata"]["name"])] = said
        return statuses

    def differences(self, lab):
        """How 'lab', which has the API server, differs from what was decided, in words."""
        found = {}
        for what, have, want in (("route", self._decided(), self.routes),
                                 ("status", self._written(), self.statuses)):
            found.update({f"{what} {key}": (have.get(key), want.get(key)) for key in {*have, *want}
                          if have.get(key) != want.get(key)})
        have = flows(lab)
        for node, want in self.flows.items():
            if have[node] != want:
                found[f"flows of {node}"] = (sorted({*have[node]} - {*want}),
                                             sorted({*want} - {*have[node]}))
        return found
