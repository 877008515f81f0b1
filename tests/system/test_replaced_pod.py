"""A pod takes another one's name, as those of StatefulSets do, before the news of its Pod object is there."""

import json

from lab import fabric
from objects import EXTERNAL, RED, policy


def pod_object(full_name, node, ip):
    namespace, name = full_name.split("/")
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": namespace, "name": name},
                       "spec": {"nodeName": node.name},
                       "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}]}})


def test_the_old_object_says_nothing_about_the_new_pod(egress):
    """No policy selects the pod that was, so its labels would let the new one's packets out as the node."""
    node = egress.lab.node(1)
    egress.lab.add_namespace("any")
    egress.apply(policy("red", RED, gateway=egress.lab.node(2).name,
                        appliedTo={"podSelector": {"matchLabels": {"colour": "red"}}}), "red")
    egress.apply(pod_object("any/web-0", node, "10.203.1.250"), "old")
    egress.start()
    knock = [*fabric.CLIENT, "knock", EXTERNAL[0], "--interval=4", "--timeout=15"]

    pod = egress.lab.add_pod("any/web-0", 1, first=knock, first_time="before", manifest="later")
    egress.wait(lambda: any(each["waits_for"] == "a Pod object with the port's addresses"
                            for each in egress.ctl(1, "pods")["pods"]), "pod held back")
    assert not egress.external.seen()

    egress.lab.delete("old")
    egress.lab.write_manifest(pod, {"colour": "red"})

    output, _ = pod.first.communicate(timeout=20)
    assert json.loads(output.splitlines()[-1])["src"] == RED[0]
    assert {each["src"] for each in egress.external.seen()} == {RED[0]}
