#include <config.h>

#include "ofp/arp-nd.h"

#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <string.h>
#include "csum.h"
#include "dp-packet.h"
#include "packets.h"
#include "util.h"

/* RFC 4861, section 7.1: whatever crossed a router has another hop limit. */
#define ND_HOP_LIMIT 255

/* The solicited-node multicast prefix ff02::1:ff00:0/104 (RFC 4291, section 2.7.1). */
#define SOLICITED_NODE_PREFIX_BYTES 13

static bool
is_mapped_ipv4(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_V4MAPPED(ip);
}

/* Is 'mac' something that one host may have? */
static bool
is_station_mac(const struct eth_addr mac)
{
    return !eth_addr_is_zero(mac) && !eth_addr_is_multicast(mac);
}

/* May 'ip' be the address of a host on the link?  0.0.0.0 may not either. */
static bool
is_host_ipv4(ovs_be32 ip)
{
    uint8_t first = ntohl(ip) >> 24;

    return first != 0 && first != 127 && first < 224;
}

/* Parses the 'len' bytes of ARP at 'data'.  What pads a short frame is not looked at. */
static const char *
parse_arp(const uint8_t *data, size_t len, struct neighbour_message *msg)
{
    struct arp_eth_header arp;

    if (len < sizeof arp) {
        return "ARP: truncated";
    }
    memcpy(&arp, data, sizeof arp);
    if (arp.ar_hrd != htons(ARP_HRD_ETHERNET) || arp.ar_pro != htons(ARP_PRO_IP)
        || arp.ar_hln != ETH_ADDR_LEN || arp.ar_pln != sizeof(ovs_be32)) {
        return "ARP: not IPv4 over Ethernet";
    }

    if (arp.ar_op == htons(ARP_OP_REQUEST)) {
        msg->kind = ARP_REQUEST;
    } else if (arp.ar_op == htons(ARP_OP_REPLY)) {
        msg->kind = ARP_REPLY;
    } else {
        return "ARP: neither request nor reply";
    }

    if (!is_station_mac(arp.ar_sha)) {
        return "ARP: sender hardware address is no host's";
    }
    msg->has_sender_mac = true;
    msg->sender_mac = arp.ar_sha;

    /* Only a probe has no sender address, and a probe is a request. */
    ovs_be32 spa = get_16aligned_be32(&arp.ar_spa);
    if (!is_host_ipv4(spa) && (spa || msg->kind != ARP_REQUEST)) {
        return "ARP: sender address is no host's";
    }
    in6_addr_set_mapped_ipv4(&msg->sender_ip, spa);
    in6_addr_set_mapped_ipv4(&msg->target_ip, get_16aligned_be32(&arp.ar_tpa));
    return NULL;
}

/* Walks the 'len' bytes of ND options at 'data'.  The first option of 'type' goes to 'msg'. */
static const char *
parse_nd_options(const uint8_t *data, size_t len, uint8_t type, struct neighbour_message *msg)
{
    while (len > 0) {
        if (len < 2) {
            return "ND: truncated option";
        }
        size_t opt_len = data[1] * ND_LLA_OPT_LEN;
        if (!opt_len) {
            return "ND: option of length 0";
        }
        if (opt_len > len) {
            return "ND: truncated option";
        }
        if (data[0] == type && !msg->has_sender_mac) {
            struct ovs_nd_lla_opt lla;

            if (opt_len != sizeof lla) {
                return "ND: link-layer address option is not Ethernet's";
            }
            memcpy(&lla, data, sizeof lla);
            if (!is_station_mac(lla.mac)) {
                return "ND: link-layer address is no host's";
            }
            msg->has_sender_mac = true;
            msg->sender_mac = lla.mac;
        }
        data += opt_len;
        len -= opt_len;
    }
    return NULL;
}

static bool
is_solicited_node(const struct in6_addr *ip)
{
    struct in6_addr group;

    in6_addr_solicited_node(&group, ip);
    return !memcmp(ip, &group, SOLICITED_NODE_PREFIX_BYTES);
}

/* RFC 4861, section 7.1.1. */
static const char *
check_solicitation(const struct neighbour_message *msg, const struct in6_addr *dst)
{
    if (!ipv6_addr_is_set(&msg->sender_ip)) {
        if (!is_solicited_node(dst)) {
            return "ND: solicitation without source to other than a solicited-node address";
        }
        if (msg->has_sender_mac) {
            return "ND: solicitation without source but with link-layer address";
        }
    }
    return NULL;
}

/* RFC 4861, section 7.1.2; its section 4.4 says that the source is an address of the sender. */
static const char *
check_advertisement(const struct neighbour_message *msg, const struct in6_addr *dst)
{
    if (!ipv6_addr_is_set(&msg->sender_ip)) {
        return "ND: advertisement without source";
    }
    if (msg->solicited && ipv6_addr_is_multicast(dst)) {
        return "ND: solicited advertisement to a multicast address";
    }
    return NULL;
}

/* Parses the ICMPv6 message of 'len' bytes at 'data', whose checksum is right and which came to
 * 'dst'. */
static const char *
parse_nd(const uint8_t *data, size_t len, const struct in6_addr *dst, struct neighbour_message *msg)
{
    struct ovs_nd_msg nd;

    if (len < sizeof nd) {
        return "ND: truncated";
    }
    memcpy(&nd, data, sizeof nd);
    if (nd.icmph.icmp6_type == ND_NEIGHBOR_SOLICIT) {
        msg->kind = ND_SOLICIT;
    } else if (nd.icmph.icmp6_type == ND_NEIGHBOR_ADVERT) {
        uint32_t flags = ntohl(get_16aligned_be32(&nd.rso_flags));

        msg->kind = ND_ADVERT;
        msg->router = (flags & ND_RSO_ROUTER) != 0;
        msg->solicited = (flags & ND_RSO_SOLICITED) != 0;
        msg->override = (flags & ND_RSO_OVERRIDE) != 0;
    } else {
        return "ICMPv6: neither neighbour solicitation nor advertisement";
    }
    if (nd.icmph.icmp6_code) {
        return "ND: code is not 0";
    }

    memcpy(&msg->target_ip, &nd.target, sizeof msg->target_ip);
    if (ipv6_addr_is_multicast(&msg->target_ip) || !ipv6_addr_is_set(&msg->target_ip)
        || is_mapped_ipv4(&msg->target_ip)) {
        return "ND: target is no host's address";
    }

    bool solicit = msg->kind == ND_SOLICIT;
    uint8_t lla_type = solicit ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR;
    const char *error = parse_nd_options(data + sizeof nd, len - sizeof nd, lla_type, msg);
    if (error) {
        return error;
    }
    return solicit ? check_solicitation(msg, dst) : check_advertisement(msg, dst);
}

/* Parses the 'len' bytes of IPv6 at 'data'.  An extension header is refused: no host puts one
 * there, and RFC 6980 forbids the one that would hide something, the fragment header. */
static const char *
parse_ipv6(const uint8_t *data, size_t len, struct neighbour_message *msg)
{
    struct ovs_16aligned_ip6_hdr ip6;
    struct in6_addr dst;

    if (len < sizeof ip6) {
        return "IPv6: truncated";
    }
    memcpy(&ip6, data, sizeof ip6);
    data += sizeof ip6;
    len -= sizeof ip6;
    if (ip6.ip6_vfc >> 4 != 6) {
        return "IPv6: version is not 6";
    }
    if (ip6.ip6_nxt != IPPROTO_ICMPV6) {
        return "IPv6: not ICMPv6";
    }
    if (ip6.ip6_hlim != ND_HOP_LIMIT) {
        return "ND: hop limit is not 255";
    }
    if (ntohs(ip6.ip6_plen) > len) {
        return "IPv6: truncated";
    }
    len = ntohs(ip6.ip6_plen);

    memcpy(&msg->sender_ip, &ip6.ip6_src, sizeof msg->sender_ip);
    memcpy(&dst, &ip6.ip6_dst, sizeof dst);
    /* A mapped address would be taken for an IPv4 host's. */
    if (ipv6_addr_is_multicast(&msg->sender_ip) || is_mapped_ipv4(&msg->sender_ip)) {
        return "IPv6: source is no host's address";
    }
    if (csum_finish(csum_continue(packet_csum_pseudoheader6(&ip6), data, len))) {
        return "ICMPv6: wrong checksum";
    }
    return parse_nd(data, len, &dst, msg);
}

/* Parses the Ethernet frame of 'len' bytes at 'frame', which needs no alignment, into '*msg'.
 *
 * Returns NULL if it is a valid ARP request or reply, neighbour solicitation or advertisement.
 * Otherwise returns a static string that says why not, and '*msg' means nothing.  Frames with a
 * VLAN tag are refused: they are of another link. */
const char *
neighbour_message_parse(const void *frame, size_t len, struct neighbour_message *msg)
{
    struct eth_header eth;

    memset(msg, 0, sizeof *msg);
    if (len < sizeof eth) {
        return "Ethernet: truncated";
    }
    memcpy(&eth, frame, sizeof eth);
    if (!is_station_mac(eth.eth_src)) {
        return "Ethernet: source is no host's";
    }
    msg->eth_src = eth.eth_src;

    const uint8_t *payload = (const uint8_t *) frame + sizeof eth;
    size_t payload_len = len - sizeof eth;
    if (eth.eth_type == htons(ETH_TYPE_ARP)) {
        return parse_arp(payload, payload_len, msg);
    } else if (eth.eth_type == htons(ETH_TYPE_IPV6)) {
        return parse_ipv6(payload, payload_len, msg);
    } else {
        return "Ethernet: neither ARP nor IPv6";
    }
}

/* Does 'msg' ask whether its target address is free (RFC 5227, section 2.1.1; RFC 4862, section
 * 5.4.2)? */
bool
neighbour_message_is_probe(const struct neighbour_message *msg)
{
    switch (msg->kind) {
    case ARP_REQUEST:
        return !in6_addr_get_mapped_ipv4(&msg->sender_ip);
    case ND_SOLICIT:
        return !ipv6_addr_is_set(&msg->sender_ip);
    case ARP_REPLY:
    case ND_ADVERT:
        return false;
    }
    OVS_NOT_REACHED();
}

/* Stores into '*ip' the address that 'msg' says to be at neighbour_message_mac(msg).  Returns
 * false if it is a probe, which says this of no address. */
bool
neighbour_message_subject(const struct neighbour_message *msg, struct in6_addr *ip)
{
    if (neighbour_message_is_probe(msg)) {
        return false;
    }
    *ip = msg->kind == ND_ADVERT ? msg->target_ip : msg->sender_ip;
    return true;
}

/* Returns the MAC of whoever sent 'msg': what it says itself, else the frame's source. */
struct eth_addr
neighbour_message_mac(const struct neighbour_message *msg)
{
    return msg->has_sender_mac ? msg->sender_mac : msg->eth_src;
}

/* Where everybody listens who might have 'ip': its solicited-node multicast address. */
static void
solicited_node(const struct in6_addr *ip, struct in6_addr *group, struct eth_addr *mac)
{
    in6_addr_solicited_node(group, ip);
    ipv6_multicast_to_ethernet(mac, group);
}

/* Composes a solicitation for 'target' from 'src_ip' to 'eth_dst' and 'dst_ip'.  Other than Open
 * vSwitch's compose_nd_ns() it may be unicast, and leaves the option out if there is no source,
 * as it must. */
static void
compose_solicitation(struct dp_packet *b, struct eth_addr eth_src, struct eth_addr eth_dst,
                     const struct in6_addr *src_ip, const struct in6_addr *dst_ip,
                     const struct in6_addr *target)
{
    bool with_lla = ipv6_addr_is_set(src_ip);
    size_t size = ND_MSG_LEN + (with_lla ? ND_LLA_OPT_LEN : 0);

    eth_compose(b, eth_dst, eth_src, ETH_TYPE_IPV6, IPV6_HEADER_LEN);
    struct ovs_nd_msg *ns = compose_ipv6(b, IPPROTO_ICMPV6, src_ip, dst_ip, 0, 0, ND_HOP_LIMIT,
                                         size);

    ns->icmph.icmp6_type = ND_NEIGHBOR_SOLICIT;
    memcpy(&ns->target, target, sizeof ns->target);
    if (with_lla) {
        ns->options[0].type = ND_OPT_SOURCE_LINKADDR;
        ns->options[0].len = 1;
        ns->options[0].mac = eth_src;
    }
    ns->icmph.icmp6_cksum = 0;
    ns->icmph.icmp6_cksum = csum_finish(csum_continue(packet_csum_pseudoheader6(dp_packet_l3(b)),
                                                      ns, size));
}

/* Replaces what 'b' holds by a frame that asks for the MAC of 'target_ip', on behalf of
 * 'src_ip', which is of the same family and at 'src_mac'.  With 'known_mac' it goes to that host
 * alone (does it still have the address?), with NULL to everybody. */
void
neighbour_compose_request(struct dp_packet *b, struct eth_addr src_mac,
                          const struct in6_addr *src_ip,
                          const struct in6_addr *target_ip, const struct eth_addr *known_mac)
{
    if (is_mapped_ipv4(target_ip)) {
        compose_arp(b, ARP_OP_REQUEST, src_mac, eth_addr_zero, true,
                    in6_addr_get_mapped_ipv4(src_ip), in6_addr_get_mapped_ipv4(target_ip));
        if (known_mac) {
            struct eth_header *eth = dp_packet_eth(b);
            eth->eth_dst = *known_mac;
        }
    } else if (known_mac) {
        compose_solicitation(b, src_mac, *known_mac, src_ip, target_ip, target_ip);
    } else {
        struct in6_addr group;
        struct eth_addr group_mac;

        solicited_node(target_ip, &group, &group_mac);
        compose_solicitation(b, src_mac, group_mac, src_ip, &group, target_ip);
    }
}

/* Replaces what 'b' holds by a frame that asks everybody whether 'ip' is free, without claiming
 * it. */
void
neighbour_compose_probe(struct dp_packet *b, struct eth_addr src_mac, const struct in6_addr *ip)
{
    struct in6_addr nobody = in6addr_any;

    if (is_mapped_ipv4(ip)) {
        in6_addr_set_mapped_ipv4(&nobody, 0);
    }
    neighbour_compose_request(b, src_mac, &nobody, ip, NULL);
}

/* Replaces what 'b' holds by a frame that tells everybody that 'ip' is at 'src_mac'.  Hosts
 * differ in which form of a gratuitous ARP they heed. */
void
neighbour_compose_announcement(struct dp_packet *b, struct eth_addr src_mac,
                               const struct in6_addr *ip, enum announcement_form form)
{
    if (is_mapped_ipv4(ip)) {
        bool reply = form == ANNOUNCE_AS_REPLY;
        ovs_be32 ip4 = in6_addr_get_mapped_ipv4(ip);

        /* RFC 5227, section 3: the request form leaves the target hardware address zero. */
        compose_arp(b, reply ? ARP_OP_REPLY : ARP_OP_REQUEST, src_mac,
                    reply ? eth_addr_broadcast : eth_addr_zero, true, ip4, ip4);
    } else {
        struct eth_addr all_hosts_mac;

        ipv6_multicast_to_ethernet(&all_hosts_mac, &in6addr_all_hosts);
        compose_nd_na(b, src_mac, all_hosts_mac, ip, &in6addr_all_hosts, htonl(ND_RSO_OVERRIDE));
    }
}
