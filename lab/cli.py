"""The lab's commands.

  lab up --nodes 3                          a cluster with three nodes
  lab pod add web/shop --node 1 app=shop    a pod; NAMESPACE/NAME, labels behind it
  lab exec web/shop -- ip addr              a command in it
  lab client web/shop tcp 172.29.161.22     a request to the external host
  lab seen                                  what the external host saw
  lab apply policy.yaml                     a manifest for the agents
  lab agent start                           the egress agent on every node
  lab ctl 1 show                            ovs-egressctl on the first node
  lab down

A NODE is its name or its number, a POD is NAMESPACE/NAME.  $OVS_EGRESS_BUILDDIR says where the
agent's programs were built, if not in the source tree."""

import argparse
import collections
import os
import signal
import sys
import time

from . import agent, cluster, fabric, flavours, netns, process


def _labels(words, removal=False):
    """KEY=VALUE words as a dict; KEY- is None where 'removal' allows it."""
    labels = {}
    for word in words:
        key, equals, value = word.partition("=")
        if equals and key:
            labels[key] = value
        elif removal and word.endswith("-") and len(word) > 1:
            labels[word[:-1]] = None
        else:
            raise process.LabError(f'label "{word}": a label is written KEY=VALUE'
                                   f'{" or, to take it away, KEY-" if removal else ""}')
    return labels


def _place(lab, name):
    """The pod, node, host or router called 'name'."""
    if "/" in name:
        return lab.pod(name)
    hosts = {"external": lab.external, "onprem": lab.onprem, "router": lab.router}
    return hosts[name] if name in hosts else lab.node(name)


def _table(header, rows):
    rows = [header, *rows]
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(header))]
    for row in rows:
        print("  ".join(str(cell).ljust(width) for cell, width in zip(row, widths)).rstrip())


def up(args):
    start = time.monotonic()
    lab = cluster.Cluster.up(args.name, args.nodes, args.flavour, prefix=args.prefix,
                             agent_options=args.agent_option, kube=args.kube)
    where = lab.control.kubeconfig("admin") if lab.control else lab.manifests.path
    print(f"lab {lab.name} is up after {time.monotonic() - start:.1f} s; "
          f"{'kubeconfig' if lab.control else 'manifests in'} {where}")
    _table(("node", "IPv4", "IPv6", "namespace"),
           [(each.name, each.ipv4, each.ipv6, each.netns) for each in lab.nodes])


def down(args):
    names = cluster.labs() if args.all else [args.name]
    if not args.all and args.name not in cluster.labs():
        raise process.LabError(f"there is no lab {args.name}")
    for name in names:
        cluster.tear_down(name)


def list_labs(args):
    rows = []
    for name in cluster.labs():
        try:
            lab = cluster.Cluster(name)
            rows.append((name, lab.flavour, len(lab.nodes), len(lab.pods()),
                         sum(each.agent.pid() is not None for each in lab.nodes)))
        except (process.LabError, OSError, ValueError):
            rows.append((name, "half made", "", "", ""))
    _table(("lab", "flavour", "nodes", "pods", "agents"), rows)


def ns(args):
    lab = cluster.Cluster(args.name)
    if args.what == "add":
        lab.add_namespace(args.namespace, _labels(args.labels))
    elif args.what == "label":
        lab.label_namespace(args.namespace, _labels(args.labels, removal=True))
    else:
        lab.remove_namespace(args.namespace)


def pod_add(args):
    lab = cluster.Cluster(args.name)
    start = time.monotonic()
    pod = lab.add_pod(args.pod, args.node, _labels(args.labels), manifest=args.manifest)
    print(f"{pod.full_name} on {pod.node.name}: {pod.ipv4}, {pod.ipv6}, port {pod.ofport}, "
          f"{time.monotonic() - start:.2f} s")


def pod_del(args):
    cluster.Cluster(args.name).remove_pod(args.pod)


def pod_label(args):
    cluster.Cluster(args.name).label_pod(args.pod, _labels(args.labels, removal=True))


def pod_list(args):
    lab = cluster.Cluster(args.name)
    _table(("pod", "node", "IPv4", "IPv6", "port", "interface"),
           [(each.full_name, each.node.name, each.ipv4, each.ipv6, each.ofport,
             each.record["ifname"]) for each in lab.pods()])


def node(args):
    lab = cluster.Cluster(args.name)
    if args.what == "label":
        lab.label_node(args.node, _labels(args.labels, removal=True))
    elif args.what == "restart-ovs":
        lab.restart_vswitchd(args.node, signal.SIGKILL)
    else:
        lab.set_ready(args.node, args.what == "ready")


def execute(args):
    lab = cluster.Cluster(args.name)
    place = _place(lab, args.place)
    env = place.switch.env if hasattr(place, "switch") else os.environ
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    os.execvpe("ip", ["ip", "netns", "exec", place.netns, *(command or ["bash"])], env)


def client(args):
    place = _place(cluster.Cluster(args.name), args.place)
    os.execvp("ip", ["ip", "netns", "exec", place.netns, *fabric.CLIENT, args.what, args.host,
                     *args.options])


def apply(args):
    lab = cluster.Cluster(args.name)
    for path in args.files:
        lab.apply(path)


def delete(args):
    lab = cluster.Cluster(args.name)
    for path in args.files:
        lab.delete(path)


def agents(args):
    lab = cluster.Cluster(args.name)
    for each in [lab.node(args.node)] if args.node else lab.nodes:
        getattr(each.agent, args.what)()


def manager(args):
    lab = cluster.Cluster(args.name)
    for name in args.replicas or (["manager"] if args.what == "start" else
                                  [each.name for each in lab.managers()]):
        replica = lab.manager(name)
        if args.what == "show":
            print(f"{name}:\n{replica.show()}", end="")
        else:
            getattr(replica, args.what)()


def ctl(args):
    tool = cluster.Cluster(args.name).node(args.node).agent
    netns_name = tool.node.netns
    with netns.inside(netns_name):
        program = agent.program("ovs-egressctl")
        try:
            os.execve(program, tool.ctl_arguments(*args.arguments), tool.switch.env)
        except OSError as error:
            raise process.LabError(f"{program}: {error.strerror}") from None


def kubectl(args):
    control = cluster.Cluster(args.name).control
    if not control:
        raise process.LabError(f"lab {args.name} has no API server: bring it up with --kube")
    arguments = control.kubectl_arguments(*args.arguments)
    with netns.inside(control.netns):
        os.execv(arguments[0], arguments)


def flows(args):
    print("\n".join(cluster.Cluster(args.name).node(args.node).flows(args.match)))


def seen(args):
    lab = cluster.Cluster(args.name)
    host = lab.onprem if args.onprem else lab.external
    records = host.seen()
    if args.all:
        _table(("time", "proto", "from", "port", "to", "port", "what"),
               [(f"{r['time']:.3f}", r["proto"], r["src"], r.get("sport", ""), r["dst"],
                 r.get("dport", ""), _what(r)) for r in records])
        return
    counts = collections.Counter((r["src"], r["proto"], r["dst"], r.get("dport", ""))
                                 for r in records)
    _table(("from", "who", "proto", "to", "port", "packets"),
           [(src, lab.who(src), proto, dst, port, n)
            for (src, proto, dst, port), n in counts.items()])


def _what(record):
    if "flags" in record:
        return record["flags"]
    if "icmp_type" in record:
        return f"type {record['icmp_type']} code {record['icmp_code']}"
    return ""


def policy(args):
    lab = cluster.Cluster(args.name)
    if args.what == "clear":
        lab.undeny(args.pod)
    elif not args.cidr:
        raise process.LabError(f"{args.what} wants a CIDR")
    else:
        lab.deny(args.pod, args.what.removeprefix("deny-"), args.cidr, args.protocol, args.port)


def expose(args):
    cluster.Cluster(args.name).expose(args.pod, args.port, args.node_port, args.protocol)


def _lab_commands(add):
    command = add("up", up, "bring a lab up")
    command.add_argument("--nodes", type=int, default=3)
    command.add_argument("--flavour", choices=flavours.NAMES, default="antrea",
                         help="whose external_ids the pods' interfaces get")
    command.add_argument("--prefix", default=cluster.NODE_PREFIX, help="of the nodes' names")
    command.add_argument("--agent-option", action="append", default=[], metavar="OPTION",
                         help="a further option for every agent, as --agent-option=--OPTION")
    command.add_argument("--kube", action="store_true",
                         help="with an API server; the first time, it is built for minutes")
    command = add("down", down, "take a lab down, also what is left of one")
    command.add_argument("--all", action="store_true", help="every lab of this machine")
    add("list", list_labs, "the labs that there are")
    command = add("seen", seen, "what the external host saw")
    command.add_argument("--all", action="store_true", help="each packet")
    command.add_argument("--onprem", action="store_true", help="the host onprem instead")


def _object_commands(add, groups):
    command = add("ns", ns, "namespaces")
    command.add_argument("what", choices=["add", "label", "del"])
    command.add_argument("namespace")
    command.add_argument("labels", nargs="*", metavar="KEY=VALUE")

    pods = groups("pod", "pods")
    command = pods("add", pod_add, "add a pod")
    command.add_argument("pod")
    command.add_argument("--node", required=True)
    command.add_argument("labels", nargs="*", metavar="KEY=VALUE")
    command.add_argument("--manifest", choices=["before", "after", "later"], default="before",
                         help="when to write its manifest, as seen from its port")
    command = pods("del", pod_del, "remove a pod")
    command.add_argument("pod")
    command = pods("label", pod_label, "change its labels")
    command.add_argument("pod")
    command.add_argument("labels", nargs="+", metavar="KEY=VALUE|KEY-")
    pods("list", pod_list, "the pods that there are")

    command = add("node", node, "label a node, make it Ready or not; restart its switch")
    command.add_argument("what", choices=["label", "ready", "not-ready", "restart-ovs"])
    command.add_argument("node")
    command.add_argument("labels", nargs="*", metavar="KEY=VALUE|KEY-")

    for name, action, words in (("apply", apply, "give manifests to the agents"),
                                ("delete", delete, "take applied manifests away")):
        command = add(name, action, words)
        command.add_argument("files", nargs="+", metavar="FILE")

    command = add("policy", policy, "the CNI's own network policy of a pod")
    command.add_argument("what", choices=["deny-egress", "deny-ingress", "clear"])
    command.add_argument("pod")
    command.add_argument("cidr", nargs="?")
    command.add_argument("--protocol", choices=["tcp", "udp", "icmp"])
    command.add_argument("--port", type=int)

    command = add("expose", expose, "a pod's port as NodePort of its node")
    command.add_argument("pod")
    command.add_argument("port", type=int)
    command.add_argument("node_port", type=int)
    command.add_argument("--protocol", choices=["tcp", "udp"], default="tcp")


def _running_commands(add):
    command = add("exec", execute, "run a command in a pod, a node, external, onprem or router")
    command.add_argument("place")
    command.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND")
    command = add("client", client, "traffic from there: tcp, udp, ping, knock, stream")
    command.add_argument("place")
    command.add_argument("what", choices=["tcp", "udp", "ping", "knock", "stream"])
    command.add_argument("host")
    command.add_argument("options", nargs=argparse.REMAINDER)
    command = add("agent", agents, "the egress agents of one or all nodes")
    command.add_argument("what", choices=["start", "stop", "kill", "restart"])
    command.add_argument("node", nargs="?")
    command = add("manager", manager, "replicas of the manager, of a lab with an API server")
    command.add_argument("what", choices=["start", "stop", "kill", "show"])
    command.add_argument("replicas", nargs="*", metavar="REPLICA",
                         help="by name; without one, all that run, or for start the one \"manager\"")
    command = add("ctl", ctl, "ovs-egressctl of a node")
    command.add_argument("node")
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    command = add("kubectl", kubectl, "kubectl, as the lab's administrator")
    command.add_argument("arguments", nargs=argparse.REMAINDER)
    command = add("flows", flows, "the flows of a node's br-int")
    command.add_argument("node")
    command.add_argument("match", nargs="?", default="")


def _parser():
    parser = argparse.ArgumentParser(prog="lab", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.set_defaults(name="lab")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def adder(where):
        def add(name, action, words):
            command = where.add_parser(name, help=words, description=words)
            command.set_defaults(action=action)
            command.add_argument("--name", default=argparse.SUPPRESS, metavar="LAB",
                                 help='name of the lab (default "lab")')
            return command

        return add

    def groups(name, words):
        group = commands.add_parser(name, help=words, description=words)
        return adder(group.add_subparsers(required=True, metavar="COMMAND"))

    add = adder(commands)
    _lab_commands(add)
    _object_commands(add, groups)
    _running_commands(add)
    return parser


def _parse():
    """Parses the command line.  Labels may also stand behind options, which argparse cannot do."""
    parser = _parser()
    args, rest = parser.parse_known_args()
    if rest:
        if not hasattr(args, "labels") or any(word.startswith("-") for word in rest):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        args.labels += rest
    return args


def main():
    args = _parse()
    try:
        args.action(args)
    except process.LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
