"""The lab as a whole: bring it up, change it, take it down.

    with Cluster.up("demo", nodes=3) as cluster:
        cluster.add_namespace("lab")
        pod = cluster.add_pod("lab/web", node=1)
        print(pod.tcp(cluster.external.ipv4))

All that a lab is lives in namespaces that carry its name and below STATE_ROOT/NAME, so another
process can open it with Cluster(name)."""

import concurrent.futures
import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import signal

from . import (addresses, cni, fabric, flavours, kube_objects, manager, manifests, netns, node, ovs,
               pod, process)
from .kube import ControlPlane, prepare_programs

STATE_ROOT = "/run/ovs-egress-lab"
NODE_PREFIX = "antrea-lab-node-"


def labs():
    """The names of all labs that left anything, whole or not."""
    with_state = os.listdir(STATE_ROOT) if os.path.isdir(STATE_ROOT) else []
    return sorted({*with_state, *(netns.lab_of(name) for name in netns.names())})


def _write_json(path, value):
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        json.dump(value, file, indent=1)
    os.rename(f"{path}.new", path)


def _read_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def split_name(full_name):
    """Splits NAMESPACE/NAME."""
    namespace, slash, name = full_name.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise process.LabError(f'pod "{full_name}": a pod is named NAMESPACE/NAME')
    return namespace, name


class Cluster:
    def __init__(self, name):
        """Opens the lab 'name', which is up."""
        self.name = name
        self.state = f"{STATE_ROOT}/{name}"
        try:
            self.config = _read_json(f"{self.state}/lab.json")
        except FileNotFoundError:
            raise process.LabError(f"there is no lab {name}") from None
        self.flavour = self.config["flavour"]
        if self.config["kube"]:
            self.control = ControlPlane(name, f"{self.state}/control", self.config["kube"])
            self.manifests = kube_objects.Objects(self.control.client, self.control.kubectl,
                                                  f"{self.state}/manifests")
        else:
            self.control = None
            self.manifests = manifests.Directory(f"{self.state}/manifests")
        self.router = fabric.Place(netns.full_name(name, "router"))
        self.external = fabric.Host(name, "external", f"{self.state}/external")
        self.onprem = fabric.Host(name, "onprem", f"{self.state}/onprem")
        indices = range(1, len(self.config["nodes"]) + 1)
        self.nodes = [node.Node(name, node_name, index, indices, f"{self.state}/{node_name}",
                                self._source(node_name), self.config["agent_options"])
                      for index, node_name in zip(indices, self.config["nodes"])]

    def _source(self, node_name):
        """Where the agent of a node gets its objects from."""
        if self.control:
            return f"kube:{self.control.kubeconfig(f'agent-{node_name}')}"
        return f"dir:{self.manifests.path}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()

    @classmethod
    def up(cls, name="lab", nodes=3, flavour="antrea", *, prefix=NODE_PREFIX, agent_options=(),
           kube=False):
        """Brings the lab 'name' up, with an API server if 'kube' is true; what fails on the way is
        taken down again."""
        if not netns.LAB_NAME.fullmatch(name):
            raise process.LabError(f'lab "{name}": a name has up to 20 lower-case letters, digits '
                                   "and '-'")
        if not 1 <= nodes <= addresses.MAX_NODES:
            raise process.LabError(f"{nodes} nodes: a lab has 1 to {addresses.MAX_NODES}")
        if flavour not in flavours.NAMES:
            raise process.LabError(f'flavour "{flavour}": there are {", ".join(flavours.NAMES)}')
        if name in labs():
            raise process.LabError(f"there is a lab {name} already")
        programs = prepare_programs() if kube else None
        state = f"{STATE_ROOT}/{name}"
        os.makedirs(STATE_ROOT, exist_ok=True)
        os.mkdir(state)                 # Fails for the second one of two at once.
        try:
            for directory in ("manifests", "pods"):
                os.mkdir(f"{state}/{directory}")
            _write_json(f"{state}/lab.json", {
                "flavour": flavour, "agent_options": list(agent_options), "kube": programs,
                "nodes": [f"{prefix}{index:02d}" for index in range(1, nodes + 1)]})
            cluster = cls(name)
            cluster._build()
            return cluster
        except BaseException:
            tear_down(name)
            raise

    def _build(self):
        empty_database = f"{self.state}/empty.db"
        ovs.Switch.create_database(empty_database)
        fabric.build(self.name, [(each.index, each.netns) for each in self.nodes])
        if self.control:
            self.control.connect()
            self.control.create()       # It gets ready while the nodes are set up.
        started = [(host.witness, host.witness.start()) for host in (self.external, self.onprem)]
        self._each_node(lambda each: each.set_up(empty_database))
        if self.control:
            self.control.wait_ready()
            self.control.install(self.config["nodes"])
        for each in self.nodes:
            self.manifests.write(manifests.node(
                each.name, [addresses.pod_cidr4(each.index), addresses.pod_cidr6(each.index)],
                [each.ipv4, each.ipv6]))
        self._each_node(lambda each: each.wait_for_tunnel_neighbours(self.nodes))
        for witness, child in started:
            witness.wait(child)

    def _each_node(self, action):
        """Does 'action' with all nodes at once."""
        with concurrent.futures.ThreadPoolExecutor(max_workers=4) as pool:
            for done in [pool.submit(action, each) for each in self.nodes]:
                done.result()

    def down(self):
        tear_down(self.name)

    @contextlib.contextmanager
    def _locked(self):
        """Keeps other processes from changing the lab's records."""
        with open(f"{self.state}/lock", "w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def node(self, which):
        """The node with the name or the number 'which'."""
        for each in self.nodes:
            if which in (each.name, each.index, str(each.index)):
                return each
        raise process.LabError(f"lab {self.name} has no node {which}")

    def manager(self, name="manager"):
        """The replica 'name' of ovs-egress-manager, whether or not it runs."""
        if not self.control:
            raise process.LabError(f"lab {self.name} has no API server that a manager could ask")
        return manager.Manager(self.control, f"{self.state}/control", name)

    def managers(self):
        """Those that run."""
        names = [re.search(r"manager-(.*)\.pid$", path)[1]
                 for path in sorted(glob.glob(f"{self.state}/control/manager-*.pid"))]
        return [each for each in map(self.manager, names) if each.pid()]

    def add_namespace(self, name, labels=None):
        self.manifests.write(manifests.namespace(name, labels))

    def remove_namespace(self, name):
        self.manifests.remove("namespace", name)

    def _record_path(self, namespace, name):
        return f"{self.state}/pods/{namespace}_{name}.json"

    def _save(self, record):
        _write_json(self._record_path(record["namespace"], record["name"]), record)

    def _pod(self, record):
        return pod.Pod(record, self.node(record["node"]), self.flavour)

    def pods(self):
        paths = sorted(glob.glob(f"{self.state}/pods/*.json"))
        return [self._pod(_read_json(path)) for path in paths]

    def pod(self, full_name):
        try:
            return self._pod(_read_json(self._record_path(*split_name(full_name))))
        except FileNotFoundError:
            raise process.LabError(f"lab {self.name} has no pod {full_name}") from None

    def records_of(self, node_name):
        return [each.record for each in self.pods() if each.node.name == node_name]

    def _new_pod(self, full_name, which_node):
        namespace, name = split_name(full_name)
        home = self.node(which_node)
        with self._locked():
            if os.path.exists(self._record_path(namespace, name)):
                raise process.LabError(f"there is a pod {full_name} already")
            used = {record["number"] for record in self.records_of(home.name)}
            # Going round before an address is used again, as IPAM does.
            size = addresses.LAST_POD - addresses.FIRST_POD + 1
            counter = f"{home.directory}/last-pod"
            last = process.read_pidfile(counter) or addresses.FIRST_POD - 1
            for step in range(1, size + 1):
                number = addresses.FIRST_POD + (last - addresses.FIRST_POD + step) % size
                if number not in used:
                    break
            else:
                raise process.LabError(f"no pod address is left on {home.name}")
            with open(counter, "w", encoding="ascii") as file:
                file.write(str(number))
            record = pod.new_record(self.name, namespace, name, home, number)
            self._save(record)
        return self._pod(record)

    def add_pod(self, full_name, node, labels=None, *, manifest="before", first=None,
                first_time="after"):
        """Adds the pod NAMESPACE/NAME on 'node' (name or number) and returns it.

        Its manifest is written "before" its port is there, "after" that, or "later" by
        write_manifest().  The command 'first' runs in the pod "after" its port came up, earlier
        than anything else in the pod, or is started "before", which is for commands that keep
        trying and write a line when they begin, as client.py knock does; Pod.first is its
        process."""
        if manifest not in pod.MANIFEST_TIMES or first_time not in pod.FIRST_TIMES:
            raise ValueError((manifest, first_time))
        new = self._new_pod(full_name, node)
        try:
            new.make_namespace()
            if manifest == "before":
                self.write_manifest(new, labels)
            if first and first_time == "before":
                new.start_before_port(first)
            new.add_port()
            if first and first_time == "after":
                new.start_first(first)
            if manifest == "after":
                self.write_manifest(new, labels)
        except BaseException:
            self.remove_pod(full_name)
            raise
        return new

    def write_manifest(self, which, labels=None):
        """Writes the manifest of the Pod 'which'."""
        if not self.manifests.exists("namespace", which.namespace):
            self.add_namespace(which.namespace)
        self.manifests.write(manifests.pod(
            which.namespace, which.name, which.node.name, which.node.ipv4,
            [which.ipv4, which.ipv6], labels, flavours.annotations(self.flavour, which.record)))

    def remove_pod(self, full_name, manifest="after"):
        """Removes a pod; its manifest goes "before" or "after" its port."""
        which = self.pod(full_name)
        if manifest == "before":
            self.manifests.remove("pod", which.manifest_name)
        for protocol, node_port in which.record["node_ports"]:
            which.node.unexpose(node_port, protocol)
        which.remove_port()
        which.remove_namespace()
        self.manifests.remove("pod", which.manifest_name)
        os.unlink(self._record_path(which.namespace, which.name))

    def label_pod(self, full_name, changes):
        """Sets each label in 'changes'; None takes a label away."""
        self.manifests.relabel("pod", "_".join(split_name(full_name)), changes)

    def label_namespace(self, name, changes):
        self.manifests.relabel("namespace", name, changes)

    def label_node(self, which, changes):
        self.manifests.relabel("node", self.node(which).name, changes)

    def set_ready(self, which, ready):
        """Writes a node's condition Ready; the node itself goes on."""
        self.manifests.set_ready(self.node(which).name, ready)

    def deny(self, full_name, direction, cidr, protocol=None, port=None):
        """Denies the pod new connections to ("egress") or from ("ingress") 'cidr'."""
        rule = {"direction": direction, "cidr": cidr, "protocol": protocol, "port": port}
        self._change_rules(full_name, lambda rules: rules + [rule])

    def undeny(self, full_name):
        """Takes all deny rules of the pod away."""
        self._change_rules(full_name, lambda rules: [])

    def _change_rules(self, full_name, change):
        with self._locked():
            which = self.pod(full_name)
            which.record["deny"] = change(which.record["deny"])
            which.change_rules()
            self._save(which.record)

    def expose(self, full_name, port, node_port, protocol="tcp"):
        """Opens 'node_port' of the pod's node for the pod's 'port'."""
        with self._locked():
            which = self.pod(full_name)
            which.node.expose(which.record, port, node_port, protocol)
            which.record["node_ports"].append([protocol, node_port])
            self._save(which.record)

    def serve(self, place):
        """Starts a witness, which is also an echo service, in a Pod or a Node and returns it."""
        device = cni.UPLINK_BRIDGE if isinstance(place, node.Node) else "eth0"
        witness = fabric.Witness(place, device, f"{self.state}/witness-{place.netns}")
        witness.wait(witness.start())
        return witness

    def restart_vswitchd(self, which_node, number=signal.SIGTERM):
        """Ends a node's ovs-vswitchd and starts it again; the CNI puts its own flows back."""
        home = self.node(which_node)
        home.restart_vswitchd(self.records_of(home.name), number)

    def start_vswitchd(self, which_node):
        """Starts ovs-vswitchd after Node.switch.stop_vswitchd()."""
        home = self.node(which_node)
        home.start_vswitchd(self.records_of(home.name))

    def apply(self, path):
        """Gives a manifest, of policies for instance, to the agents: by kubectl, or as a copy in
        the directory where they look."""
        self.manifests.apply_file(path)

    def apply_text(self, name, text):
        """The same with a text, under a name.  Returns what kubectl said, if there was one."""
        return self.manifests.apply_text(name, text)

    def delete(self, name):
        self.manifests.delete(name)

    def who(self, ip):
        """Whose address 'ip' is, in words; "" if nobody's that the lab knows."""
        known = {addresses.ROUTER4: "router", addresses.ROUTER6: "router"}
        control = [self.control] if self.control else []
        for place in (self.external, self.onprem, *control, *self.nodes):
            known |= {place.ipv4: place.name, place.ipv6: place.name}
        for each in self.pods():
            known |= {each.ipv4: f"pod {each.full_name}", each.ipv6: f"pod {each.full_name}"}
        return known.get(ip, "")


def _daemons(state):
    """The processes that the pidfiles below 'state' name, as far as they are the lab's."""
    for path in glob.glob(f"{glob.escape(state)}/*/*.pid"):
        pid = process.read_pidfile(path)
        if pid and process.environment(pid).get("OVS_RUNDIR", "").startswith(f"{state}/"):
            yield pid


def tear_down(name):
    """Takes away whatever there is of the lab 'name', whole or not."""
    state = f"{STATE_ROOT}/{name}"
    if not netns.LAB_NAME.fullmatch(name):
        raise process.LabError(f'"{name}" is no name of a lab')
    namespaces = netns.names(name)
    # A monitor may start what was ended again, so look until there is nobody.
    while pids := {*netns.inhabitants(namespaces), *_daemons(state)}:
        process.stop(pids, grace=1.0)
    netns.delete(namespaces)
    shutil.rmtree(state, ignore_errors=True)
