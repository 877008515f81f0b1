"""Routes are the manager's: what others make of them is put right, and is no fault of the policies."""

import json

import kubectl
from lab import kube_proxy

API_VERSION = "ovs-egress.io/v1alpha1"
SPEC = {"appliedTo": {"podSelector": {"matchLabels": {"app": "web"}}}, "egressIPs": ["172.16.18.150"]}
FINE = {"IPAllocated": "True", "IPAssigned": "True"}
ROUTE = "web.egresspolicy.ovs-egress.io"


def get(control, kind, name):
    return json.loads(control.kubectl("get", kind, name, "-o", "json"))


def conditions(control):
    """Of the policy: the status by the type."""
    status = get(control, "egresspolicy", "web").get("status", {})
    return {each["type"]: each["status"] for each in status.get("conditions", [])}


def apply_policy(control, **changes):
    control.kubectl("apply", "-f", "-", stdin=kubectl.manifest(API_VERSION, "EgressPolicy",
                                                               {**SPEC, **changes}, "web"))


def test_routes_that_make_no_sense(make_egress):
    egress = make_egress(nodes=1)
    control = egress.lab.control
    egress.lab.manager().start()
    apply_policy(control)
    egress.wait(lambda: conditions(control) == FINE, "a policy with a status")
    right = get(control, "egressroute", ROUTE)
    # The second address is of the same family as the first one, which no schema can tell.
    egress.expect_warning(rf"egressroutes.ovs-egress.io/{ROUTE}: spec.egressIPs")
    egress.expect_warning("egressroutes.ovs-egress.io/stray: ")

    for last in ("201", "202"):
        patch = {"spec": {"egressIPs": ["172.16.18.200", f"172.16.18.{last}"]}}
        control.kubectl("patch", "egressroute", ROUTE, "--type=merge", "-p", json.dumps(patch))
        egress.wait(lambda: get(control, "egressroute", ROUTE)["spec"] == right["spec"],
                    "the route as it was decided")

    stray = {**right, "metadata": {"name": "stray"}}
    control.kubectl("create", "-f", "-", stdin=json.dumps(stray))
    # Whatever the manager has to say about the stray one, it says before it answers to this.
    apply_policy(control, egressIPs=["172.16.18.151"])
    egress.wait(lambda: get(control, "egressroute", ROUTE)["spec"]["egressIPs"] == ["172.16.18.151"],
                "a new decision")
    egress.wait(lambda: get(control, "egresspolicy", "web")["status"]["egressIPs"]
                == ["172.16.18.151"], "a new status")
    assert conditions(control) == FINE


def test_a_route_that_the_server_refuses(make_egress):
    """The policy's status says so, as long as it is so."""
    egress = make_egress(nodes=1)
    control = egress.lab.control
    manager = egress.lab.manager()
    egress.expect_warning("EgressRoute of EgressPolicy.ovs-egress.io/web: ")
    with kube_proxy.Proxy(control) as proxy:
        refusal = proxy.misbehave(kube_proxy.Answer(422), "^PATCH /manager.*/egressroutes/")
        manager.start(f"--kubeconfig={proxy.kubeconfig('manager')}")
        apply_policy(control)
        egress.wait(lambda: conditions(control).get("Valid") == "False", "a status that says so", 60)
        assert refusal.hits
        problem = "its EgressRoute cannot be written: "
        assert problem in control.kubectl("describe", "egresspolicy", "web")
        assert f"problem: EgressPolicy.ovs-egress.io/web: {problem}" in manager.show()

        proxy.behave()
        egress.wait(lambda: conditions(control) == FINE, "a status that is fine", 90)
        assert problem not in manager.show()
        assert get(control, "egressroute", ROUTE)["spec"]["egressIPs"] == SPEC["egressIPs"]
        manager.stop()                  # It gives the Lease back.
