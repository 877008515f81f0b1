"""The walk-through that scripts/demo shows: three nodes, two namespaces with an egress IP each, one without.
With --kube it is kubectl on a real API server that applies the policies, and tells what became of them."""

import argparse
import json
import os
import re
import sys

from . import cluster, process

EXAMPLE = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))),
                       "examples", "antrea.yaml")
NAME = "demo"

# Pod, node.
PODS = [("lab/web-1", 1), ("lab/web-2", 2), ("yelb-app/ui", 1), ("default/other", 1)]


def first_documents(path, count):
    with open(path, encoding="utf-8") as file:
        return "\n---\n".join(file.read().split("\n---\n")[:count]) + "\n"


def ask(node, command):
    return json.loads(node.agent.ctl("--json", command))


def settled(lab):
    """Does every agent know a gateway for each of the two policies, and is that in force?"""
    def node_settled(node):
        state = ask(node, "show")
        return (state["switch"]["settled"] and not state["egress_ips"]["unclaimed"]
                and [each["state"] for each in ask(node, "routes")["routes"]] == ["active"] * 2)

    return all(map(node_settled, lab.nodes))


def start(lab):
    for name, node in PODS:
        lab.add_pod(name, node)
    if lab.control:
        lab.manager().start()
    for node in lab.nodes:
        node.agent.start()
    said = lab.apply_text("antrea", first_documents(EXAMPLE, 3))
    if said:
        print(f"\n$ kubectl apply -f examples/antrea.yaml    (the first three objects of it)\n{said.rstrip()}")
    process.wait_until(lambda: settled(lab), "agents that are settled", 20)


def observe(lab, pod):
    """Sends an ICMP echo, a TCP connection and a UDP datagram; returns who the external host saw."""
    mark = lab.external.mark()
    pod.ping(lab.external.ipv4)
    pod.tcp(lab.external.ipv4)
    pod.udp(lab.external.ipv4)
    return {proto: ",".join(sorted({each["src"] for each in lab.external.seen(mark, proto=proto)}))
            for proto in ("icmp", "tcp", "udp")}


def flow_that_did_it(lab, source):
    """The node and the flow that translates to 'source', with its counters."""
    for node in lab.nodes:
        for line in node.switch.ofctl("dump-flows", "br-int", "table=211").splitlines():
            if f"nat(src={source})" in line:
                return node.name, line.strip()
    return None


def show(lab):
    print(f"\n{'POD':15} {'NODE':20} {'POD IP':13} {'ICMP FROM':15} {'TCP FROM':15} UDP FROM")
    sources = set()
    for name, _ in PODS:
        pod = lab.pod(name)
        saw = observe(lab, pod)
        sources |= set(saw.values())
        print(f"{name:15} {pod.node.name:20} {pod.ipv4:13} {saw['icmp']:15} {saw['tcp']:15} "
              f"{saw['udp']}")
    print(f"\nThat is what {lab.external.ipv4}, a host outside of the cluster, saw.  It was these flows, "
          "one per egress IP\nwhatever the number of pods (ovs-ofctl dump-flows br-int table=211):\n")
    for source in sorted(sources):
        found = flow_that_did_it(lab, source)
        if found:
            print(f"  on {found[0]}:\n    {found[1]}\n")


def show_kubectl(lab):
    """What somebody who has nothing but kubectl gets to know."""
    for arguments in (("wait", "--for=condition=IPAssigned", "egress", "--all"), ("get", "egress"),
                      ("get", "externalippools"), ("get", "egressroutes", "-o", "wide"),
                      ("describe", "egress", "egress-lab"), ("get", "events")):
        said = lab.control.kubectl(*arguments)
        # Later kubectls leave these out on their own.
        said = re.sub(r"(  Managed Fields:).*?(?=\n  \w)", r"\1  (left out here)", said, flags=re.DOTALL)
        lines = [line.rstrip() for line in said.rstrip().splitlines()]
        print("\n".join(["", f"$ kubectl {' '.join(arguments)}", *lines]))


def show_how_to_look_around(lab):
    commands = [
        ("ctl 1 show", "the agent of the first node at a glance"),
        ("ctl 1 routes", "what was decided for each policy"),
        ("ctl 1 pod lab/web-1", "which policies select a pod, and which one wins"),
        ("ctl 1 flows lab/web-1", "its flows, with the tables' names"),
        ("flows 1", "every flow on the first node's br-int"),
        ("exec lab/web-1 -- ip addr", "a command in a pod"),
        ("seen", "all that the external host saw"),
        ("apply FILE", "a policy of your own, at once in force"),
        *([("kubectl get egress", "or whatever else you ask kubectl"),
           ("manager show", "who decides, and how much there was to write")] if lab.control else []),
        ("down", "when you have seen enough"),
    ]
    print("Look around:")
    for command, text in commands:
        what, space, rest = command.partition(" ")
        print(f"  {f'lab/lab {what} --name {NAME}{space}{rest}':48} {text}")


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the cluster up")
    parser.add_argument("--kube", action="store_true", help="with a real API server, and kubectl")
    arguments = parser.parse_args()

    cluster.tear_down(NAME)
    print(f"Bringing up three nodes{' and an API server' if arguments.kube else ''}.", flush=True)
    lab = cluster.Cluster.up(name=NAME, kube=arguments.kube)
    try:
        start(lab)
        if lab.control:
            show_kubectl(lab)
        show(lab)
        show_how_to_look_around(lab)
    except BaseException:
        if not arguments.keep:
            lab.down()
        raise
    if arguments.keep:
        print("\nThe cluster stays up.")
    else:
        lab.down()
        print("\nThe cluster is down again; with --keep it stays up.")


if __name__ == "__main__":
    try:
        main()
    except process.LabError as error:
        sys.exit(f"scripts/demo: {error}")
