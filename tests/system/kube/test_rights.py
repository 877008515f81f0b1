"""Agents and managers may do what they have to, which the other tests show, and no more."""

import pytest

from lab import kube, kube_api

OWN = "/apis/ovs-egress.io/v1alpha1"
ANTREA = "/apis/crd.antrea.io/v1beta1"
LEASES = "/apis/coordination.k8s.io/v1/namespaces"
NODE_LEASES = f"{LEASES}/{kube.NODES_NAMESPACE}/leases"
NAMED = {"metadata": {"name": "x"}}
LABELLED = {"metadata": {"labels": {"x": "y"}}}

# What neither of them may do.
FOR_NOBODY = [
    ("POST", f"{OWN}/egresspolicies", NAMED),
    ("PATCH", f"{OWN}/egresspolicies/x", {"spec": {"priority": 1}}),
    ("DELETE", f"{OWN}/egresspolicies/x", None),
    ("PATCH", f"{OWN}/egresspools/x", {"spec": {}}),
    ("PATCH", f"{ANTREA}/egresses/x", {"spec": {}}),
    ("DELETE", f"{ANTREA}/externalippools/x", None),
    ("PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/egressroutes.ovs-egress.io",
     LABELLED),
    ("GET", "/api/v1/secrets", None),
    ("GET", "/api/v1/namespaces/ovs-egress/configmaps", None),
    ("PATCH", "/api/v1/nodes/antrea-lab-node-01", LABELLED),
    ("PATCH", "/api/v1/nodes/antrea-lab-node-01/status", {"status": {}}),
    ("PATCH", "/api/v1/namespaces/default", LABELLED),
    ("PATCH", "/api/v1/namespaces/lab/pods/web", LABELLED),
    ("DELETE", "/api/v1/namespaces/lab/pods/web", None),
    ("POST", "/api/v1/namespaces/lab/pods", NAMED),
    ("POST", f"{LEASES}/default/leases", NAMED),
    ("PUT", f"{LEASES}/ovs-egress/leases/x", NAMED),
    ("GET", f"{LEASES}/ovs-egress/leases", None),
    ("DELETE", f"{NODE_LEASES}/antrea-lab-node-01", None),
    ("DELETE", NODE_LEASES, None),
    ("PATCH", f"{NODE_LEASES}/antrea-lab-node-01", LABELLED),
    ("GET", f"/api/v1/namespaces/{kube.NODES_NAMESPACE}/configmaps", None),
    ("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/ovs-egress-agent", LABELLED),
]
FORBIDDEN = {
    "agent-antrea-lab-node-01": FOR_NOBODY + [
        ("POST", f"{OWN}/egressroutes", NAMED),
        ("PATCH", f"{OWN}/egressroutes/x", {"spec": {"number": 9}}),
        ("DELETE", f"{OWN}/egressroutes/x", None),
        ("GET", f"{OWN}/egresspolicies", None),
        ("GET", f"{ANTREA}/egresses", None),
        ("PATCH", f"{OWN}/egresspolicies/x/status", {"status": {}}),
        ("PATCH", f"{ANTREA}/egresses/x/status", {"status": {}}),
        ("POST", "/api/v1/namespaces/default/events", NAMED),
        ("POST", f"{LEASES}/ovs-egress/leases", NAMED),
        ("PUT", f"{LEASES}/ovs-egress/leases/ovs-egress-manager", NAMED),
        ("GET", NODE_LEASES, None),
        ("GET", f"{LEASES}/kube-node-lease/leases/antrea-lab-node-01", None),
        ("PUT", f"{LEASES}/kube-node-lease/leases/antrea-lab-node-01", NAMED),
    ],
    "manager": FOR_NOBODY + [
        ("GET", "/api/v1/pods", None),
        ("GET", "/api/v1/events", None),
        ("DELETE", f"{LEASES}/ovs-egress/leases/ovs-egress-manager", None),
        ("POST", NODE_LEASES, NAMED),
        ("PUT", f"{NODE_LEASES}/antrea-lab-node-01", NAMED),
    ],
}


@pytest.mark.parametrize("who", FORBIDDEN)
def test_everything_else_is_refused(control, who):
    """Whether or not the object is there."""
    with open(control.credentials.path(f"{who}.token"), encoding="ascii") as file:
        token = file.read()
    client = kube_api.Client(control.netns, control.ipv4, kube.PORT,
                             ca=control.credentials.path("ca.crt"), token=token)

    allowed = [(method, path) for method, path, body in FORBIDDEN[who]
               if client.raw(method, path, body, kube_api.MERGE_PATCH if method == "PATCH"
                             else "application/json")[0] != 403]
    client.close()

    assert allowed == []
