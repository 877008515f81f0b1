"""The lab's control plane is a real one, and what tests do to it has the effect that they rely on."""

import json

import pytest

from lab import addresses, kube, kube_api, process


def refusal(control, *arguments, user):
    with pytest.raises(process.LabError) as caught:
        control.kubectl(*arguments, user=user)
    return str(caught.value)


def config_map(name, **data):
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                       "data": data})


def test_version(control):
    version = json.loads(control.kubectl("version", "-o", "json"))

    assert (version["clientVersion"]["gitVersion"], version["serverVersion"]["gitVersion"]) == (
        "v1.20.2", "v1.20.2")


def test_objects_come_change_and_go(control):
    def data():
        return control.kubectl("get", "configmap", "sky", "-o", "jsonpath={.data}")

    control.kubectl("apply", "-f", "-", stdin=config_map("sky", colour="blue"))
    assert data() == '{"colour":"blue"}'
    control.kubectl("apply", "-f", "-", stdin=config_map("sky", colour="grey"))
    assert data() == '{"colour":"grey"}'
    control.kubectl("delete", "configmap", "sky")
    assert "configmap/sky" not in control.kubectl("get", "configmaps", "-o", "name").split()


def test_rights(control):
    guest = refusal(control, "get", "nodes", user="guest")
    agent = refusal(control, "delete", "node", addresses.CONTROL4, user="agent-antrea-lab-node-01")
    code, _ = kube_api.Client(control.netns, control.ipv6, kube.PORT,
                              ca=control.credentials.path("ca.crt")).raw("GET", "/readyz")

    assert 'User "guest" cannot list resource "nodes"' in guest
    assert f'User "{kube.account_user(kube.AGENT_ACCOUNT)}" cannot delete resource "nodes"' in agent
    assert code == 401


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_data_outlives_the_daemons(control, end):
    control.kubectl("apply", "-f", "-", stdin=config_map("grass", colour="green", end=end))
    before = control.client.get("/api/v1/namespaces/default/configmaps/grass")

    getattr(control, end)()
    assert (control.etcd.pid(), control.api_server.pid(), control.ready()) == (None, None, False)
    control.start()

    assert control.client.get("/api/v1/namespaces/default/configmaps/grass") == before


def test_compaction_ends_continued_lists(control):
    def refuse_second_page(number):
        first = control.client.get("/api/v1/namespaces", limit=1)
        control.kubectl("create", "namespace", f"new-{number}")

        control.compact()

        with pytest.raises(kube_api.ApiError) as caught:
            control.client.get("/api/v1/namespaces", **{"continue": first["metadata"]["continue"]})
        return (caught.value.code, caught.value.reason)

    # On a machine that is very busy it is 500 at times.
    assert (410, "Expired") in (refuse_second_page(number) for number in range(3))


def test_compaction_ends_watches_that_resume(control):
    version = control.client.get("/api/v1/namespaces")["metadata"]["resourceVersion"]
    control.kubectl("create", "namespace", "newer")

    control.compact()
    control.restart()

    event = control.client.get("/api/v1/namespaces", watch="true", resourceVersion=version,
                               timeoutSeconds=20)
    assert (event["type"], event["object"]["code"]) == ("ERROR", 410)


def test_audit_tells_who_did_what(control):
    mark = control.mark()

    refusal(control, "create", "namespace", "mine", user="guest")

    # It is written after the answer.
    audited = process.wait_until(lambda: control.audit(mark, user="guest", verbs=["create"]),
                                 "a line in the audit log")
    asked = [(each["verb"], each["requestURI"].partition("?")[0], each["responseStatus"]["code"])
             for each in audited]
    assert asked == [("create", "/api/v1/namespaces", 403)]


def test_tokens_are_renewed_in_place(control):
    with open(control.credentials.path("manager.token"), encoding="ascii") as file:
        old = file.read()

    control.renew_token("manager", kube.MANAGER_ACCOUNT, seconds=600)

    with open(control.credentials.path("manager.token"), encoding="ascii") as file:
        assert file.read() != old
    assert kube.account_user(kube.MANAGER_ACCOUNT) in refusal(control, "delete", "node", "x",
                                                              user="manager")
