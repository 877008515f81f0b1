"""Two managers, of which one leads: it ends, is told to end, or comes back when it should have
ended.  Whoever leads next moves nothing."""

import json

import pytest

import kubectl
import objects
from lab import kube, kube_proxy

# A leader whose Lease would last very long, and one whose Lease is soon over.
LONG = ("--lease-duration=600", "--renew-deadline=60", "--retry-period=1")
SHORT_S = 15
SHORT = (f"--lease-duration={SHORT_S}", "--renew-deadline=12", "--retry-period=1")
# How long others may take to find out that they may lead: a period, and what a busy machine needs.
SLACK_S = 30

OWN = "/apis/ovs-egress.io/v1alpha1"
WRITES = ("create", "update", "patch", "delete")


def writes(control, since, user):
    """What 'user' tried to write since the mark 'since', but for the Lease, as (verb, URI)."""
    return [(event["verb"], event["requestURI"].partition("?")[0])
            for event in control.audit(since, user, WRITES)
            if event["objectRef"]["resource"] != "leases"]


def idle(manager):
    return "writes: 0 waiting, 0 in flight" in manager.show()


def start(egress, manager, leader, *options):
    """Starts 'manager' and waits until it knows that 'leader' leads."""
    manager.start(*options)
    egress.wait(lambda: manager.show().startswith(f"leader: {leader.name}"),
                f"{leader.name} as leader")


def wait_gateway(egress, wanted):
    """Waits until one of the nodes 'wanted' has the egress IP, in the eyes of both; returns
    which."""
    names = {egress.lab.node(index).name for index in wanted}

    def agreed():
        routes = [egress.route("egress-lab", node) for node in (1, 2)]
        owners = {route and route["gateway"] for route in routes}
        return len(owners) == 1 and owners <= names

    egress.wait(agreed, f"a gateway of {wanted}")
    egress.settle()
    return egress.gateway("egress-lab").index


@pytest.fixture
def replicas(make_egress):
    """Managers "a", which leads, and "b", and two nodes.  Where the egress IP is follows from
    what happened: without a history, its gateway would be another one."""
    egress = make_egress(nodes=2)
    egress.control = egress.lab.control
    egress.pod = egress.lab.add_pod("lab/web", 1)
    egress.a, egress.b = egress.lab.manager("a"), egress.lab.manager("b")
    egress.example("antrea.yaml", 2)
    start(egress, egress.a, egress.a, *LONG)
    for node in egress.lab.nodes:
        node.agent.start()

    first = wait_gateway(egress, {1, 2})
    egress.lab.set_ready(first, False)
    egress.owner = wait_gateway(egress, {1, 2} - {first})
    egress.lab.set_ready(first, True)
    egress.wait(lambda: len(egress.route("egress-lab")["candidates"]) == 2, "two candidates")
    assert wait_gateway(egress, {1, 2}) == egress.owner
    egress.wait(lambda: idle(egress.a), "all statuses")
    start(egress, egress.b, egress.a, *SHORT)
    return egress


def check_take_over(egress, end, successor, deadline):
    """After 'end', 'successor' has to lead within 'deadline' seconds, to move nothing, and to
    decide what comes next."""
    before = kubectl.versions(egress.control)
    flow_mods = [egress.flow_mods(node) for node in (1, 2)]
    mark = egress.control.mark()

    end()
    egress.wait(successor.leads, f"{successor.name} as leader", deadline)
    egress.wait(lambda: idle(successor), "an idle leader")

    assert kubectl.versions(egress.control) == before
    assert writes(egress.control, mark, kube.account_user(kube.MANAGER_ACCOUNT)) == []
    assert [egress.flow_mods(node) for node in (1, 2)] == flow_mods
    assert egress.gateway("egress-lab").index == egress.owner
    assert egress.pod.udp(egress.external.ipv4)["src"] == "172.16.18.131"

    egress.apply(objects.policy("late", objects.GREEN, namespace="lab", priority=1), "late")
    egress.wait_source(egress.pod, objects.GREEN[0])
    egress.lab.delete("late")
    egress.wait_source(egress.pod, "172.16.18.131")
    egress.wait(lambda: idle(successor), "an idle leader")
    egress.settle()


def test_who_leads_next(replicas):
    """A leader that is asked to end hands over.  One that is killed cannot: its Lease has to
    run out."""
    a, b = replicas.a, replicas.b
    check_take_over(replicas, a.stop, b, SLACK_S)
    start(replicas, a, b, *LONG)
    check_take_over(replicas, b.kill, a, SHORT_S + SLACK_S)


def account(control, name):
    """Makes an account with a manager's rights, to be told from others."""
    subject = f"--serviceaccount={kube.SYSTEM_NAMESPACE}:{name}"
    space = ("-n", kube.SYSTEM_NAMESPACE)
    control.kubectl(*space, "create", "serviceaccount", name)
    control.kubectl("create", "clusterrolebinding", name, "--clusterrole=ovs-egress-manager",
                    subject)
    control.kubectl(*space, "create", "rolebinding", name, "--role=ovs-egress-manager", subject)
    control.renew_token(name, name)


def create_policies(control, count):
    """Faster than kubectl does it."""
    for number in range(count):
        ip = f"10.9.{number // 200}.{number % 200 + 1}"
        selector = {"podSelector": {"matchLabels": {"number": str(number)}}}
        control.client.post(f"{OWN}/egresspolicies",
                            json.loads(objects.policy(f"p{number}", [ip], appliedTo=selector)))


def test_no_write_without_the_lease(make_egress):
    """A leader is paused in the middle of its work, which is slow.  When it goes on, it is no leader
    any more, and writes nothing of what is left."""
    egress = make_egress(nodes=1)
    control, count = egress.lab.control, 400
    a, b = egress.lab.manager("a"), egress.lab.manager("b")
    egress.expect_warning(r"egress_kube_lease\|WARN\|.*no longer leading: it could not be renewed")
    create_policies(control, count)
    for each in (a, b):
        account(control, f"manager-{each.name}")

    def routes():
        return len(control.client.get(f"{OWN}/egressroutes")["items"])

    with kube_proxy.Proxy(control) as proxy:
        # Of 16 writes at a time: all of them take half a minute.
        proxy.misbehave(kube_proxy.Delay(1.2), "^PATCH .*/egressroutes/")
        a.start(*SHORT, f"--kubeconfig={proxy.kubeconfig('manager-a')}")
        egress.wait(lambda: control.client.get(f"{OWN}/egressroutes", limit=1)["items"],
                    "the first route")
        a.pause_between_turns()
        assert routes() < count, "there was nothing left to do for the one that was paused"
        start(egress, b, a, *SHORT, f"--kubeconfig={control.kubeconfig('manager-b')}")
        egress.wait(b.leads, "another leader", SHORT_S + SLACK_S)
        egress.wait(lambda: routes() == count and idle(b), "all routes", 120)
        before, mark = kubectl.versions(control), control.mark()

        a.resume()
        egress.wait(lambda: a.show().startswith("leader: b\n"), "a follower")
        egress.apply(objects.policy("late", objects.GREEN, namespace="lab"), "late")
        egress.wait(lambda: routes() == count + 1 and idle(b), "one more")
        # It is in the audit log after it is done.
        egress.wait(lambda: ("patch", f"{OWN}/egressroutes/late.egresspolicy.ovs-egress.io") in writes(
            control, mark, kube.account_user("manager-b")), "the other leader's write")

        assert writes(control, mark, kube.account_user("manager-a")) == []
        after = kubectl.versions(control)
        assert {key: after.get(key) for key in before} == before
        a.stop()
