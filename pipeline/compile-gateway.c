/* Flows that lead to the gateway and those on the gateway itself: translation, next hops, and answers for the
 * egress IPs.  None of them names a pod. */

#include <config.h>
#include "pipeline/compile.h"

#include <netinet/icmp6.h>
#include <stdlib.h>
#include <string.h>
#include "openflow/nicira-ext.h"
#include "openvswitch/ofp-actions.h"
#include "packets.h"
#include "pipeline/draft.h"
#include "pipeline/stable-hash.h"

/* Flags in the reserved word of a neighbour advertisement (RFC 4861, section 4.4). */
#define ND_ADVERT_SOLICITED 0x40000000u
#define ND_ADVERT_OVERRIDE  0x20000000u

/* The conntrack zone of the connections that leave as 'egress_ip'. */
uint16_t
egress_ct_zone(const struct in6_addr *egress_ip)
{
    uint64_t hash = stable_hash_finish(stable_hash_bytes(egress_ip, sizeof *egress_ip, STABLE_HASH_BASIS));

    return EGRESS_CT_ZONE_FIRST + hash % EGRESS_N_CT_ZONES;
}

static void
emit_snat(const struct compile_context *ctx, const struct egress_route *route, enum ip_family family,
          uint32_t meter_id)
{
    struct flow_draft d;
    size_t ct;

    draft_start(&d, ctx, EGRESS_TABLE_SNAT, 100, egress_cookie(EGRESS_OWNER_ROUTE, route->number));
    match_set_tun_id(&d.match, htonll(route->number));
    match_family(&d, family);
    if (meter_id) {
        act_meter(&d, meter_id);
    }
    ct = act_ct_start(&d, NX_CT_F_COMMIT, egress_ct_zone(&route->egress_ips[family]), EGRESS_TABLE_VERIFY);
    if (route->policy->use_node_ip) {
        act_ct_nat_source(&d, &route->egress_ips[family], NODE_IP_FIRST_PORT, NODE_IP_LAST_PORT);
    } else {
        act_ct_nat_source(&d, &route->egress_ips[family], 0, 0);
    }
    act_move(&d, MFF_TUN_SRC, 0, MFF_CT_LABEL, 0, 32);
    act_set_be32(&d, MFF_CT_MARK, route->number);
    act_ct_end(&d, ct);
    draft_emit(&d);
}

/* Conntrack goes on translating a connection as it did at first.  Egress IPs have zones of their own, so that a connection is
 * not found again once its pod has another one; but there are fewer zones than addresses, and so this has the last
 * word. */
static void
emit_verify(const struct compile_context *ctx, const struct egress_route *route, enum ip_family family)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_VERIFY, 100, egress_cookie(EGRESS_OWNER_ROUTE, route->number));
    match_set_tun_id(&d.match, htonll(route->number));
    match_source(&d, &route->egress_ips[family]);
    act_go_to(&d, EGRESS_TABLE_NEXT_HOP);
    draft_emit(&d);
}

/* Where 'route' leads, and if that is here, its translation. */
void
compile_route(const struct compile_context *ctx, const struct egress_route *route,
              const struct gateway_view *view)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_GATEWAY, 100, egress_cookie(EGRESS_OWNER_ROUTE, route->number));
    match_set_tun_id(&d.match, htonll(route->number));
    if (view->place == GATEWAY_HERE) {
        act_go_to(&d, EGRESS_TABLE_SNAT);
    } else if (view->place == GATEWAY_REMOTE) {
        act_set(&d, MFF_TUN_DST, &view->tunnel_dst);
        act_output(&d, ctx->tunnel_port);
    }
    draft_emit(&d);

    for (int family = 0; view->place == GATEWAY_HERE && family < N_IP_FAMILIES; family++) {
        if (egress_route_serves(route, family) && view->claimed[family]) {
            emit_snat(ctx, route, family, view->meter_id);
            emit_verify(ctx, route, family);
        }
    }
}

/* Replies, and errors about what was sent, are all that an egress IP accepts. */
static void
emit_egress_ip_entrance(const struct compile_context *ctx, const struct in6_addr *ip, uint64_t cookie)
{
    struct ip_prefix host = { *ip, ip_family_of(ip) == IP_V4 ? 32 : 128 };
    struct flow_draft d;
    size_t ct;

    draft_start(&d, ctx, EGRESS_TABLE_UPLINK_IN, 100, cookie);
    match_destination(&d, &host);
    ct = act_ct_start(&d, 0, egress_ct_zone(ip), EGRESS_TABLE_UNSNAT);
    act_ct_nat_reverse(&d);
    act_ct_end(&d, ct);
    draft_emit(&d);
}

/* Tells the agent what somebody says about 'ip' being his: of an egress IP that is a conflict (RFC 5227, section
 * 2.4), of a next hop it is news.  An ARP request of a next hop's is not such a saying, but it is one if the
 * address is an egress IP. */
static void
emit_watch(const struct compile_context *ctx, const struct in6_addr *ip, bool gratuitous_only,
           uint64_t cookie)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_UPLINK_IN, 300, cookie);
    if (ip_family_of(ip) == IP_V4) {
        match_set_dl_type(&d.match, htons(ETH_TYPE_ARP));
        match_set_nw_src(&d.match, ip_to_v4(ip));
        if (gratuitous_only) {
            match_set_nw_dst(&d.match, ip_to_v4(ip));
        }
    } else {
        match_family(&d, IP_V6);
        match_set_nw_proto(&d.match, IPPROTO_ICMPV6);
        match_set_icmp_type(&d.match, ND_NEIGHBOR_ADVERT);
        match_set_nd_target(&d.match, ip);
    }
    act_controller(&d);
    draft_emit(&d);
}

/* Whoever asks for 'ip', asks the agent: while it finds out whether the address is free, another gateway that wants it
 * may be doing the same (RFC 5227, section 2.1.1). */
static void
emit_rival_watch(const struct compile_context *ctx, const struct in6_addr *ip, uint64_t cookie)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_UPLINK_IN, 200, cookie);
    if (ip_family_of(ip) == IP_V4) {
        match_set_dl_type(&d.match, htons(ETH_TYPE_ARP));
        match_set_nw_proto(&d.match, ARP_OP_REQUEST);
        match_set_nw_dst(&d.match, ip_to_v4(ip));
    } else {
        match_family(&d, IP_V6);
        match_set_nw_proto(&d.match, IPPROTO_ICMPV6);
        match_set_icmp_type(&d.match, ND_NEIGHBOR_SOLICIT);
        match_set_nd_target(&d.match, ip);
    }
    act_controller(&d);
    draft_emit(&d);
}

static void
emit_arp_answer(const struct compile_context *ctx, const struct in6_addr *ip, uint64_t cookie)
{
    ovs_be32 address = ip_to_v4(ip);
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_UPLINK_IN, 200, cookie);
    match_set_dl_type(&d.match, htons(ETH_TYPE_ARP));
    match_set_nw_proto(&d.match, ARP_OP_REQUEST);
    match_set_nw_dst(&d.match, address);
    act_move_field(&d, MFF_ETH_SRC, MFF_ETH_DST);
    act_set_mac(&d, MFF_ETH_SRC, ctx->egress_mac);
    act_set_be16(&d, MFF_ARP_OP, ARP_OP_REPLY);
    act_move_field(&d, MFF_ARP_SHA, MFF_ARP_THA);
    act_set_mac(&d, MFF_ARP_SHA, ctx->egress_mac);
    act_move_field(&d, MFF_ARP_SPA, MFF_ARP_TPA);
    act_set(&d, MFF_ARP_SPA, &address);
    act_output(&d, OFPP_IN_PORT);
    draft_emit(&d);
}

/* The first half of an answer to a solicitation of 'ip'; stage 'nd_answer' does the other.  One that comes from
 * the unspecified address is duplicate address detection and is answered to all nodes (RFC 4861, section
 * 7.2.4), without the Override flag that an announcement has: it says that the address is taken, and if the address
 * has moved meanwhile, an answer that comes late must not draw its traffic back. */
static void
emit_nd_answer(const struct compile_context *ctx, const struct in6_addr *ip, uint64_t cookie,
               bool duplicate_detection)
{
    static const struct in6_addr all_nodes = { { { 0xff, 2, [15] = 1 } } };
    static const struct eth_addr all_nodes_mac = ETH_ADDR_C(33, 33, 00, 00, 00, 01);
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_UPLINK_IN, duplicate_detection ? 210 : 200, cookie);
    match_family(&d, IP_V6);
    match_set_nw_proto(&d.match, IPPROTO_ICMPV6);
    match_set_icmp_type(&d.match, ND_NEIGHBOR_SOLICIT);
    match_set_icmp_code(&d.match, 0);
    match_set_nd_target(&d.match, ip);
    if (duplicate_detection) {
        match_set_ipv6_src(&d.match, &in6addr_any);
        act_set_mac(&d, MFF_ETH_DST, all_nodes_mac);
        act_set(&d, MFF_IPV6_DST, &all_nodes);
    } else {
        act_move_field(&d, MFF_ETH_SRC, MFF_ETH_DST);
        act_move_field(&d, MFF_IPV6_SRC, MFF_IPV6_DST);
    }
    act_set_mac(&d, MFF_ETH_SRC, ctx->egress_mac);
    act_set(&d, MFF_IPV6_SRC, ip);
    act_set_u8(&d, MFF_ICMPV6_TYPE, ND_NEIGHBOR_ADVERT);
    act_set_u8(&d, MFF_ND_OPTIONS_TYPE, ND_OPT_TARGET_LINKADDR);
    act_set_be32(&d, MFF_ND_RESERVED,
                 duplicate_detection ? 0 : ND_ADVERT_OVERRIDE | ND_ADVERT_SOLICITED);
    act_go_to(&d, EGRESS_TABLE_ND_ANSWER);
    draft_emit(&d);
}

/* An egress IP that this node should own.  Once it is 'claimed' it is answered for, and replies to it are taken in;
 * before, the agent only listens. */
void
compile_egress_ip(const struct compile_context *ctx, const struct in6_addr *ip, bool claimed)
{
    char *name = ip_to_string(ip);
    uint64_t cookie = egress_cookie_for_name(EGRESS_OWNER_EGRESS_IP, name);

    emit_watch(ctx, ip, false, cookie);
    if (!claimed) {
        emit_rival_watch(ctx, ip, cookie);
    } else if (ip_family_of(ip) == IP_V4) {
        emit_arp_answer(ctx, ip, cookie);
    } else {
        emit_nd_answer(ctx, ip, cookie, false);
        emit_nd_answer(ctx, ip, cookie, true);
    }
    if (claimed) {
        emit_egress_ip_entrance(ctx, ip, cookie);
    }
    free(name);
}

/* The node's own address as an egress IP.  The node's kernel goes on answering for it; what may be a reply to a pod comes
 * here by way of compile_node_ip_uplink(), and what conntrack does not know goes back, to the kernel. */
void
compile_node_ip(const struct compile_context *ctx, const struct in6_addr *ip)
{
    struct ip_prefix host = { *ip, ip_family_of(ip) == IP_V4 ? 32 : 128 };
    char *name = ip_to_string(ip);
    uint64_t cookie = egress_cookie_for_name(EGRESS_OWNER_EGRESS_IP, name);
    struct flow_draft d;

    emit_egress_ip_entrance(ctx, ip, cookie);

    draft_start(&d, ctx, EGRESS_TABLE_UNSNAT, 50, cookie);
    match_destination(&d, &host);
    act_output(&d, OFPP_IN_PORT);
    draft_emit(&d);
    free(name);
}

static void
emit_node_ip_reply(const struct compile_context *ctx, const struct in6_addr *ip, uint8_t nw_proto,
                   int icmp_type, uint64_t cookie)
{
    struct ip_prefix host = { *ip, ip_family_of(ip) == IP_V4 ? 32 : 128 };
    struct flow_draft d;

    draft_start_in_table(&d, ctx, 0, ctx->hook_priority, cookie);
    match_destination(&d, &host);
    match_set_nw_proto(&d.match, nw_proto);
    if (icmp_type >= 0) {
        match_set_icmp_type(&d.match, icmp_type);
    } else {
        match_set_tp_dst_masked(&d.match, htons(NODE_IP_FIRST_PORT), htons(NODE_IP_FIRST_PORT));
    }
    act_output(&d, ctx->uplink_peer_port);
    draft_emit(&d);
}

/* Flows of the uplink bridge for the node's own address 'ip' as an egress IP: what may be a reply to a pod goes to the
 * integration bridge first, and what comes back from there goes to the node without teaching the bridge where the sender's
 * MAC address is. */
void
compile_node_ip_uplink(const struct compile_context *ctx, const struct in6_addr *ip)
{
    /* Echo replies, and the errors that concern a sender: RFC 792; RFC 4443, sections 3 and 4.2. */
    static const uint8_t icmp4_types[] = { 0, 3, 11, 12 };
    static const uint8_t icmp6_types[] = { 1, 2, 3, 4, 129 };
    enum ip_family family = ip_family_of(ip);
    const uint8_t *types = family == IP_V4 ? icmp4_types : icmp6_types;
    size_t n_types = family == IP_V4 ? ARRAY_SIZE(icmp4_types) : ARRAY_SIZE(icmp6_types);
    struct ip_prefix host = { *ip, family == IP_V4 ? 32 : 128 };
    char *name = ip_to_string(ip);
    uint64_t cookie = egress_cookie_for_name(EGRESS_OWNER_EGRESS_IP, name);
    struct flow_draft d;

    emit_node_ip_reply(ctx, ip, IPPROTO_TCP, -1, cookie);
    emit_node_ip_reply(ctx, ip, IPPROTO_UDP, -1, cookie);
    for (size_t i = 0; i < n_types; i++) {
        emit_node_ip_reply(ctx, ip, family == IP_V4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, types[i], cookie);
    }

    draft_start_in_table(&d, ctx, 0, ctx->hook_priority + 1, cookie);
    match_destination(&d, &host);
    match_set_in_port(&d.match, ctx->uplink_peer_port);
    match_set_dl_dst(&d.match, ctx->uplink_mac);
    act_output(&d, OFPP_LOCAL);
    draft_emit(&d);
    free(name);
}

/* A route of the uplink: what is translated and goes to 'prefix' has 'gateway' as next hop, or with no gateway
 * (in6addr_any) the destination itself.  This is the only way on from 'snat', and it asks for 'snat' in
 * ct_state: a packet that conntrack did not translate, be it invalid or the table full, stays here. */
void
compile_uplink_prefix(const struct compile_context *ctx, const struct ip_prefix *prefix,
                      const struct in6_addr *gateway)
{
    const uint32_t flags = CS_TRACKED | CS_SRC_NAT;
    enum ip_family family = ip_prefix_family(prefix);
    char *name = ip_prefix_to_string(prefix);
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_NEXT_HOP, 100 + prefix->plen,
                egress_cookie_for_name(EGRESS_OWNER_UPLINK, name));
    match_destination(&d, prefix);
    match_set_ct_state_masked(&d.match, flags, flags | CS_INVALID);
    act_dec_ttl(&d);
    if (family == IP_V4) {
        if (ip_is_set(gateway)) {
            act_set_be32(&d, MFF_REG1, ntohl(ip_to_v4(gateway)));
        } else {
            act_move_field(&d, MFF_IPV4_DST, MFF_REG1);
        }
    } else {
        if (ip_is_set(gateway)) {
            act_set(&d, MFF_XXREG1, gateway);
        } else {
            act_move_field(&d, MFF_IPV6_DST, MFF_XXREG1);
        }
    }
    act_go_to(&d, EGRESS_TABLE_NEIGHBOUR);
    draft_emit(&d);
    free(name);
}

/* Out of the uplink to 'next_hop', whose address is 'mac'.  What it says to everybody about its address later
 * on goes to the agent. */
void
compile_neighbour(const struct compile_context *ctx, const struct in6_addr *next_hop,
                  struct eth_addr mac)
{
    enum ip_family family = ip_family_of(next_hop);
    char *name = ip_to_string(next_hop);
    uint64_t cookie = egress_cookie_for_name(EGRESS_OWNER_NEIGHBOUR, name);
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_NEIGHBOUR, 100, cookie);
    match_family(&d, family);
    if (family == IP_V4) {
        match_set_reg(&d.match, 1, ntohl(ip_to_v4(next_hop)));
    } else {
        ovs_be128 address;

        memcpy(&address, next_hop, sizeof address);
        match_set_xxreg(&d.match, 1, ntoh128(address));
    }
    act_set_mac(&d, MFF_ETH_SRC, ctx->egress_mac);
    act_set_mac(&d, MFF_ETH_DST, mac);
    act_output(&d, ctx->uplink_port);
    draft_emit(&d);

    emit_watch(ctx, next_hop, true, cookie);
    free(name);
}
