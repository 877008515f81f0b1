"""The small CNI: the flows of br-int, staged like Antrea's, both IP families in every stage.

A packet goes through the tables in their order.  Every packet that policy lets pass and whose
connection is committed ends in OUTPUT, the table that egress hooks into.  What leaves the cluster
is sent to the gateway port; the node's kernel takes it from there."""

import enum

from . import addresses

BRIDGE = "br-int"
UPLINK_BRIDGE = "br-phy"
GATEWAY_PORT = "gw0"
TUNNEL_PORT = "geneve0"
TUNNEL_OFPORT = 1
GATEWAY_OFPORT = 2
FIRST_POD_OFPORT = 1000
CT_ZONE = 65520

# The upper 16 bits say "the CNI's", the next 16 what kind; a pod's flows carry its port number.
COOKIE = 0x0C41 << 48
COOKIE_NODE = COOKIE
COOKIE_POD = COOKIE | 1 << 32
COOKIE_RULE = COOKIE | 2 << 32

# The destination MAC of what goes to another node, which sets the real one on arrival.
VIRTUAL_MAC = "0a:58:00:00:00:01"


class Table(enum.IntEnum):
    CLASSIFY = 0            # Where a packet comes from, into reg0.
    SPOOF_GUARD = 10        # A pod sends with its own MAC and IP addresses only.
    NEIGHBOUR = 20          # ARP and neighbour solicitation are answered here.
    ND_ANSWER = 21          # Second half of the answer to a neighbour solicitation.
    CONNTRACK = 30          # Connection lookup.
    CT_STATE = 31           # Invalid packets end, known connections skip the policies.
    EGRESS_POLICY = 40      # Deny rules on what a pod sends.
    L3_FORWARD = 50         # The port to leave by, into reg1, and the MAC addresses.
    INGRESS_POLICY = 60     # Deny rules on what a pod gets.
    COMMIT = 70             # New connections are committed.
    OUTPUT = 80             # The last one.


class Source(enum.IntEnum):
    POD = 1
    GATEWAY = 2
    TUNNEL = 3


HOOK_TABLE = int(Table.OUTPUT)
HOOK_MATCH = "ct_state=-rpl+trk"
REPLY_TABLE = int(Table.CLASSIFY)

_DROP = "drop"


def _goto(table):
    return f"goto_table:{table:d}"


def _add(cookie, table, priority, match, *actions):
    fields = f"cookie={cookie:#x},table={table:d},priority={priority}"
    return f"add {fields}{',' + match if match else ''} actions={','.join(actions)}"


def _node(table, priority, match, *actions):
    return _add(COOKIE_NODE, table, priority, match, *actions)


def _answer_neighbours(cookie, mac, ipv4, ipv6):
    """Whoever asks for 'ipv4' or 'ipv6' gets 'mac' as answer."""
    arp = ("move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]", f"set_field:{mac}->eth_src",
           "set_field:2->arp_op", "move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[]",
           f"set_field:{mac}->arp_sha", "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[]",
           f"set_field:{ipv4}->arp_spa", "in_port")
    nd = ("move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]", f"set_field:{mac}->eth_src",
          "move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[]", f"set_field:{ipv6}->ipv6_src",
          "set_field:136->icmpv6_type", "set_field:0->icmpv6_code",
          "set_field:2->nd_options_type", "set_field:0x60000000->nd_reserved",
          _goto(Table.ND_ANSWER))
    return [
        _add(cookie, Table.NEIGHBOUR, 100, f"arp,arp_op=1,arp_tpa={ipv4}", *arp),
        _add(cookie, Table.NEIGHBOUR, 100, f"icmp6,icmp_type=135,icmp_code=0,nd_target={ipv6}",
             *nd),
        # Only now that it is an advertisement it has a target's address to be set.
        _add(cookie, Table.ND_ANSWER, 100, f"icmp6,icmp_type=136,icmp_code=0,nd_target={ipv6}",
             f"set_field:{mac}->nd_tll", "in_port"),
    ]


def _classification():
    is_gateway = f"reg0={Source.GATEWAY:d}"
    flows = [
        _node(Table.CLASSIFY, 200, f"in_port={GATEWAY_OFPORT}",
              f"set_field:{Source.GATEWAY:d}->reg0", _goto(Table.SPOOF_GUARD)),
        _node(Table.CLASSIFY, 200, f"in_port={TUNNEL_OFPORT}",
              f"set_field:{Source.TUNNEL:d}->reg0", _goto(Table.CONNTRACK)),
        _node(Table.SPOOF_GUARD, 200, f"{is_gateway},arp", _goto(Table.NEIGHBOUR)),
        _node(Table.SPOOF_GUARD, 300, f"{is_gateway},icmp6,icmp_type=135", _goto(Table.NEIGHBOUR)),
        # No multicast but neighbour solicitation, and nobody answers it but the flows here.
        _node(Table.SPOOF_GUARD, 250, "ipv6,ipv6_dst=ff00::/8", _DROP),
        _node(Table.SPOOF_GUARD, 250, "ip,nw_dst=224.0.0.0/4", _DROP),
        _node(Table.SPOOF_GUARD, 250, "icmp6,icmp_type=136", _DROP),
    ]
    flows += [_node(Table.SPOOF_GUARD, 200, f"{is_gateway},{family}", _goto(Table.CONNTRACK))
              for family in ("ip", "ipv6")]
    return flows


def _connection_tracking():
    flows = []
    for family in ("ip", "ipv6"):
        flows += [
            _node(Table.CONNTRACK, 100, family, f"ct(table={Table.CT_STATE:d},zone={CT_ZONE})"),
            _node(Table.CT_STATE, 200, f"{family},ct_state=+inv+trk", _DROP),
            _node(Table.CT_STATE, 100, f"{family},ct_state=-new+trk", _goto(Table.L3_FORWARD)),
            _node(Table.CT_STATE, 90, f"{family},ct_state=+new+trk", _goto(Table.EGRESS_POLICY)),
            _node(Table.COMMIT, 100, f"{family},ct_state=+new+trk",
                  f"ct(commit,table={Table.OUTPUT:d},zone={CT_ZONE})"),
        ]
    return flows + [
        _node(Table.EGRESS_POLICY, 0, "", _goto(Table.L3_FORWARD)),
        _node(Table.INGRESS_POLICY, 0, "", _goto(Table.COMMIT)),
        _node(Table.COMMIT, 0, "", _goto(Table.OUTPUT)),
    ]


def _to_gateway(mac):
    return (f"set_field:{mac}->eth_dst", f"set_field:{GATEWAY_OFPORT}->reg1",
            _goto(Table.INGRESS_POLICY))


def _forwarding(index, peers):
    gateway4, gateway6 = addresses.gateway4(index), addresses.gateway6(index)
    mac = addresses.mac_of(gateway4)
    # The node's own addresses, for what other nodes' pods send through the tunnel.
    own = (f"ip,nw_dst={gateway4}", f"ipv6,ipv6_dst={gateway6}",
           f"ip,nw_dst={addresses.node4(index)}", f"ipv6,ipv6_dst={addresses.node6(index)}")
    flows = [_node(Table.L3_FORWARD, 200, match, *_to_gateway(mac)) for match in own]

    # A pod that is not there.
    flows.append(_node(Table.L3_FORWARD, 140, f"ip,nw_dst={addresses.pod_cidr4(index)}", _DROP))
    flows.append(_node(Table.L3_FORWARD, 140, f"ipv6,ipv6_dst={addresses.pod_cidr6(index)}", _DROP))

    for peer in peers:
        # A pod reaches another node through the tunnel, too: so each node sees both directions.
        to = (f"ip,nw_dst={addresses.pod_cidr4(peer)}", f"ip,nw_dst={addresses.node4(peer)}",
              f"ipv6,ipv6_dst={addresses.pod_cidr6(peer)}",
              f"ipv6,ipv6_dst={addresses.node6(peer)}")
        flows += [_node(Table.L3_FORWARD, 150, match, "dec_ttl", f"set_field:{mac}->eth_src",
                        f"set_field:{VIRTUAL_MAC}->eth_dst",
                        f"set_field:{addresses.node4(peer)}->tun_dst",
                        f"set_field:{TUNNEL_OFPORT}->reg1", _goto(Table.INGRESS_POLICY))
                  for match in to]

    # A node is no way out for other nodes' pods.
    flows.append(_node(Table.L3_FORWARD, 100, f"reg0={Source.TUNNEL:d}", _DROP))
    flows += [_node(Table.L3_FORWARD, 0, family, *_to_gateway(mac)) for family in ("ip", "ipv6")]
    return flows


def node_flows(index, peers):
    """What node number 'index' needs before it has any pod; 'peers' are the other nodes'."""
    gateway4 = addresses.gateway4(index)
    return [
        *_classification(),
        *_answer_neighbours(COOKIE_NODE, addresses.mac_of(gateway4), gateway4,
                            addresses.gateway6(index)),
        *_connection_tracking(),
        *_forwarding(index, peers),
        _node(Table.OUTPUT, 100, "ip", "output:NXM_NX_REG1[]"),
        _node(Table.OUTPUT, 100, "ipv6", "output:NXM_NX_REG1[]"),
    ]


def pod_flows(pod):
    """The flows of one pod, a record with ofport, mac, ipv4, ipv6 and the number of its node."""
    cookie = COOKIE_POD | pod["ofport"]
    guard = f"in_port={pod['ofport']},dl_src={pod['mac']}"
    link_local = addresses.link_local(pod["mac"])
    gateway_mac = addresses.mac_of(addresses.gateway4(pod["node_index"]))
    flows = [
        _add(cookie, Table.CLASSIFY, 200, f"in_port={pod['ofport']}",
             f"set_field:{Source.POD:d}->reg0", _goto(Table.SPOOF_GUARD)),
        _add(cookie, Table.SPOOF_GUARD, 200, f"{guard},arp,arp_sha={pod['mac']},"
             f"arp_spa={pod['ipv4']}", _goto(Table.NEIGHBOUR)),
        _add(cookie, Table.SPOOF_GUARD, 200, f"{guard},ip,nw_src={pod['ipv4']}",
             _goto(Table.CONNTRACK)),
        _add(cookie, Table.SPOOF_GUARD, 200, f"{guard},ipv6,ipv6_src={pod['ipv6']}",
             _goto(Table.CONNTRACK)),
        *_answer_neighbours(cookie, pod["mac"], pod["ipv4"], pod["ipv6"]),
    ]
    flows += [_add(cookie, Table.SPOOF_GUARD, 300, f"{guard},icmp6,icmp_type=135,"
                   f"ipv6_src={source},nd_sll={pod['mac']}", _goto(Table.NEIGHBOUR))
              for source in (pod["ipv6"], link_local)]
    flows += [_add(cookie, Table.L3_FORWARD, 200, match, f"set_field:{gateway_mac}->eth_src",
                   f"set_field:{pod['mac']}->eth_dst", f"set_field:{pod['ofport']}->reg1",
                   _goto(Table.INGRESS_POLICY))
              for match in (f"ip,nw_dst={pod['ipv4']}", f"ipv6,ipv6_dst={pod['ipv6']}")]
    return flows + [flow for rule in pod["deny"] for flow in rule_flows(pod, rule)]


def rule_flows(pod, rule):
    """The flow of a deny rule: {direction: egress or ingress, cidr, protocol, port}, where None
    is any protocol or port."""
    v6 = ":" in rule["cidr"]
    protocol = rule["protocol"]
    if protocol is None:
        match = "ipv6" if v6 else "ip"
    else:
        match = f"{protocol}6" if v6 else protocol
    if rule["direction"] == "egress":
        match += f",in_port={pod['ofport']},{'ipv6_dst' if v6 else 'nw_dst'}={rule['cidr']}"
        table = Table.EGRESS_POLICY
    else:
        match += f",reg1={pod['ofport']},{'ipv6_src' if v6 else 'nw_src'}={rule['cidr']}"
        table = Table.INGRESS_POLICY
    match += ",ct_state=+new+trk"
    if rule["port"] is not None:
        match += f",tp_dst={rule['port']}"
    return [_add(COOKIE_RULE | pod["ofport"], table, 100, match, _DROP)]


def delete_pod(pod):
    return [f"delete cookie={kind | pod['ofport']:#x}/-1" for kind in (COOKIE_POD, COOKIE_RULE)]


def delete_rules(pod):
    return [f"delete cookie={COOKIE_RULE | pod['ofport']:#x}/-1"]
