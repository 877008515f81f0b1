"""A node: a namespace with its own Open vSwitch, the CNI's bridge, and a kernel that routes."""

import os
import signal

from . import addresses, agent, cni, fabric, netns, ovs, process

_NFT = """
table inet lab {{
    map nodeports4 {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
    map nodeports6 {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        fib daddr type local dnat ip addr . port to meta l4proto . th dport map @nodeports4
        fib daddr type local dnat ip6 addr . port to meta l4proto . th dport map @nodeports6
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        oifname != "{uplink}" accept
        ip saddr {pods4} ip daddr != {{ {pods4}, {fabric4}, {onprem4} }} masquerade
        ip6 saddr {pods6} ip6 daddr != {{ {pods6}, {fabric6}, {onprem6} }} masquerade
    }}
}}
"""


class Node(fabric.Place):
    def __init__(self, lab, name, index, indices, directory, source, agent_options):
        super().__init__(netns.full_name(lab, name))
        self.name = name
        self.index = index
        self.peers = [other for other in indices if other != index]
        self.directory = directory
        self.ipv4, self.ipv6 = addresses.node4(index), addresses.node6(index)
        self.switch = ovs.Switch(self.netns, directory)
        self.agent = agent.Agent(self, source, agent_options)

    def set_up(self, empty_database):
        """Starts the node: its switch, its kernel, its CNI."""
        os.makedirs(self.directory, exist_ok=True)
        with netns.inside(self.netns):
            netns.give_to_switch("eth0")
        netns.ip_batch(["link set lo up", "link set eth0 up"], self.netns)
        self.switch.start(empty_database, self._bridges())
        self._set_up_kernel()
        netns.run(self.netns, ["nft", "-f", "-"], stdin=_NFT.format(
            uplink=cni.UPLINK_BRIDGE, pods4=addresses.PODS4, pods6=addresses.PODS6,
            fabric4=addresses.FABRIC4, fabric6=addresses.FABRIC6,
            onprem4=addresses.ONPREM4, onprem6=addresses.ONPREM6))
        self.switch.change_flows(cni.BRIDGE, cni.node_flows(self.index, self.peers))

    def _bridges(self):
        gateway_mac = addresses.mac_of(addresses.gateway4(self.index))
        uplink_mac = addresses.mac_of(self.ipv4)
        return ["set", "Open_vSwitch", ".", "other_config:n-handler-threads=1",
                "other_config:n-revalidator-threads=1",
                f"external_ids:system-id={self.name}", f"external_ids:hostname={self.name}", "--",
                "add-br", cni.UPLINK_BRIDGE, "--", "set", "Bridge", cni.UPLINK_BRIDGE,
                "datapath_type=netdev", f'other_config:hwaddr="{uplink_mac}"', "--",
                "add-port", cni.UPLINK_BRIDGE, "eth0", "--",
                "add-br", cni.BRIDGE, "--", "set", "Bridge", cni.BRIDGE,
                "datapath_type=netdev", "fail_mode=secure", "--",
                "add-port", cni.BRIDGE, cni.TUNNEL_PORT, "--",
                "set", "Interface", cni.TUNNEL_PORT, "type=geneve", "options:remote_ip=flow",
                f"ofport_request={cni.TUNNEL_OFPORT}", "--",
                "add-port", cni.BRIDGE, cni.GATEWAY_PORT, "--",
                "set", "Interface", cni.GATEWAY_PORT, "type=internal", f'mac="{gateway_mac}"',
                f"mtu_request={addresses.POD_MTU}", f"ofport_request={cni.GATEWAY_OFPORT}"]

    def _set_up_kernel(self):
        """Gives the bridges' ports, which may be new when ovs-vswitchd is, addresses and routes."""
        uplink, gateway = cni.UPLINK_BRIDGE, cni.GATEWAY_PORT
        lines = [f"link set {uplink} up", f"link set {gateway} up",
                 f"addr replace {self.ipv4}/24 dev {uplink}",
                 f"addr replace {self.ipv6}/64 dev {uplink} nodad",
                 f"route replace default via {addresses.ROUTER4}",
                 f"route replace default via {addresses.ROUTER6}",
                 f"addr replace {addresses.gateway4(self.index)}/24 dev {gateway}",
                 f"addr replace {addresses.gateway6(self.index)}/64 dev {gateway} nodad"]
        for peer in self.peers:
            # The CNI's tunnel takes what goes to other nodes' pods: nobody is asked for a MAC.
            for cidr, via in ((addresses.pod_cidr4(peer), addresses.gateway4(peer)),
                              (addresses.pod_cidr6(peer), addresses.gateway6(peer))):
                lines += [f"neigh replace {via} lladdr {cni.VIRTUAL_MAC} dev {gateway} "
                          "nud permanent",
                          f"route replace {cidr} via {via} dev {gateway} onlink"]
        netns.ip_batch(lines, self.netns)

    def wait_for_tunnel_neighbours(self, nodes):
        """Makes the switch learn the MAC addresses of the other nodes, as it does from any traffic
        between them, because it drops what it would have to send through a tunnel before."""
        others = [node for node in nodes if node is not self]

        def known():
            table = {line.split()[0] for line in self.switch.appctl("tnl/neigh/show").splitlines()
                     if line.strip()}
            missing = [ip for node in others for ip in (node.ipv4, node.ipv6) if ip not in table]
            if missing:
                # It learns from answers only; so nobody's answer may be known already.
                netns.ip_batch([f"neigh flush to {ip} dev {cni.UPLINK_BRIDGE}" for ip in missing],
                               self.netns, force=True)
                with netns.inside(self.netns):
                    fabric.greet(missing)
            return not missing

        process.wait_until(known, f"neighbours of {self.name}", interval=0.05)

    def restart_vswitchd(self, pods, number=signal.SIGTERM):
        """Ends ovs-vswitchd with the signal 'number' and starts it again; as any CNI would, this
        one puts its flows back.  'pods' are the records of the node's pods."""
        self.switch.stop_vswitchd(number)
        self.start_vswitchd(pods)

    def start_vswitchd(self, pods):
        self.switch.start_vswitchd()
        self._set_up_kernel()
        self.switch.change_flows(cni.BRIDGE, self.cni_flows(pods))

    def cni_flows(self, pods):
        return [*cni.node_flows(self.index, self.peers),
                *(flow for pod in pods for flow in cni.pod_flows(pod))]

    def flows(self, match=""):
        return self.switch.flows(cni.BRIDGE, match)

    def expose(self, pod, port, node_port, protocol="tcp"):
        """Opens 'node_port' of this node for 'port' of 'pod', a record; clients keep their
        source."""
        elements = [f"add element inet lab nodeports{v} {{ {protocol} . {node_port} : "
                    f"{pod[key]} . {port} }}" for v, key in ((4, "ipv4"), (6, "ipv6"))]
        netns.run(self.netns, ["nft", "-f", "-"], stdin="\n".join(elements) + "\n")

    def unexpose(self, node_port, protocol="tcp"):
        elements = [f"delete element inet lab nodeports{v} {{ {protocol} . {node_port} }}"
                    for v in (4, 6)]
        netns.run(self.netns, ["nft", "-f", "-"], stdin="\n".join(elements) + "\n")
