"""A pod: a namespace with a veth on its node's br-int."""

import hashlib
import subprocess

from . import addresses, cni, fabric, flavours, netns, process

MANIFEST_TIMES = ("before", "after", "later")
FIRST_TIMES = ("before", "after")


def new_record(lab, namespace, name, node, number):
    """What the lab knows about a pod, as it is kept on disk; 'number' is its own on its node."""
    digest = hashlib.sha256(f"{namespace}/{name}".encode()).hexdigest()
    ipv4 = addresses.pod4(node.index, number)
    return {
        "namespace": namespace,
        "name": name,
        "node": node.name,
        "node_index": node.index,
        "number": number,
        "netns": netns.full_name(lab, f"pod.{namespace}.{name}"),
        "ifname": f"pod{digest[:10]}",
        "ofport": cni.FIRST_POD_OFPORT + number,
        "ipv4": ipv4,
        "ipv6": addresses.pod6(node.index, number),
        "mac": addresses.mac_of(ipv4),
        "container_id": flavours.container_id(namespace, name),
        "deny": [],
        "node_ports": [],
    }


class Pod(fabric.Place):
    def __init__(self, record, node, flavour):
        super().__init__(record["netns"])
        self.record = record
        self.node = node
        self.flavour = flavour
        self.name, self.namespace = record["name"], record["namespace"]
        self.full_name = f"{self.namespace}/{self.name}"
        self.manifest_name = f"{self.namespace}_{self.name}"
        self.ipv4, self.ipv6 = record["ipv4"], record["ipv6"]
        self.mac, self.ofport = record["mac"], record["ofport"]
        self.first = None           # The process that sent the pod's first packet, if asked for.

    def make_namespace(self):
        """Makes the pod's namespace with its device, still without a port on the switch."""
        netns.ip_batch([f"netns add {self.netns}"])
        netns.prepare(self.netns)
        index, mtu, ifname = self.node.index, addresses.POD_MTU, self.record["ifname"]
        with netns.inside(self.netns):
            netns.ip_batch([
                "link set lo up",
                f"link add eth0 address {self.mac} mtu {mtu} type veth "
                f"peer name {ifname} mtu {mtu} netns {self.node.netns}",
                f"addr add {self.ipv4}/24 dev eth0",
                f"addr add {self.ipv6}/64 dev eth0 nodad",
                "link set eth0 up",
                f"route add default via {addresses.gateway4(index)}",
                f"route add default via {addresses.gateway6(index)}"])
            netns.checksum_in_software("eth0")
        with netns.inside(self.node.netns):
            netns.give_to_switch(ifname)
            netns.ip_batch([f"link set {ifname} up"])

    def add_port(self):
        """Plugs the pod in.  Its flows are there before its port, so nothing that it ever sends is
        lost in the CNI."""
        switch, ifname = self.node.switch, self.record["ifname"]
        switch.change_flows(cni.BRIDGE, cni.pod_flows(self.record))
        ids = flavours.external_ids(self.flavour, self.record)
        switch.vsctl("add-port", cni.BRIDGE, ifname, "--", "set", "Interface", ifname,
                     f"ofport_request={self.ofport}",
                     *(f'external_ids:{key}="{value}"' for key, value in ids.items()))
        ofport = switch.vsctl("get", "Interface", ifname, "ofport").strip()
        if ofport != str(self.ofport):
            raise process.LabError(f"pod {self.full_name} got port {ofport}, not {self.ofport}")

    def start_first(self, argv):
        """Starts the command that sends the pod's first packet; Pod.first is its process."""
        self.first = self.popen(argv, stdout=subprocess.PIPE, text=True)

    def start_before_port(self, argv):
        """Starts a command that sends again and again, and waits for its first line of output,
        which says that it does.  The pod knows its router's MAC address already, or all its
        packets would wait for the kernel to ask again."""
        index = self.node.index
        mac = addresses.mac_of(addresses.gateway4(index))
        netns.ip_batch([f"neigh replace {gateway} lladdr {mac} dev eth0 nud reachable"
                        for gateway in (addresses.gateway4(index), addresses.gateway6(index))],
                       self.netns)
        self.start_first(argv)
        self.first.stdout.readline()

    def remove_port(self):
        switch = self.node.switch
        switch.vsctl("--if-exists", "del-port", cni.BRIDGE, self.record["ifname"])
        switch.change_flows(cni.BRIDGE, cni.delete_pod(self.record))

    def remove_namespace(self):
        # A namespace's devices go some time after it; the next pod of this name needs the device's.
        netns.ip_batch([f"link del {self.record['ifname']}"], self.node.netns, force=True)
        if netns.exists(self.netns):
            process.stop(netns.inhabitants([self.netns]), grace=1.0)
            netns.delete([self.netns])

    def change_rules(self):
        """Makes the deny rules on the switch those of the record."""
        flows = [flow for rule in self.record["deny"] for flow in cni.rule_flows(self.record, rule)]
        self.node.switch.change_flows(cni.BRIDGE, [*cni.delete_rules(self.record), *flows])
