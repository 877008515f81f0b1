/* Flows that belong to the node itself and to its peers: hooks, table misses, what is inside the cluster,
 * and who may speak through the tunnel. */

#include <config.h>
#include "pipeline/compile.h"

#include <netinet/icmp6.h>
#include <string.h>
#include "openvswitch/ofp-actions.h"
#include "packets.h"
#include "pipeline/draft.h"
#include "pipeline/stable-hash.h"

/* Priorities of stage 'classify': before what is inside the cluster, as its nodes are. */
#define PRIORITY_FORGED 110
#define PRIORITY_INTERNAL 100

/* Priorities of stage 'uplink_in': before what an egress IP takes in, as a neighbour's advertisement comes to an
 * egress IP. */
#define PRIORITY_NEIGHBOUR_ANSWER 150

/* The MAC address under which 'node_name' answers for its egress IPs: locally administered, and the same
 * after a restart and in every peer's eyes. */
struct eth_addr
egress_mac_of_node(const char *node_name)
{
    struct eth_addr mac;

    eth_addr_from_uint64(stable_hash_string(node_name), &mac);
    mac.ea[0] = 0x0e;
    return mac;
}

static void
emit_entrance(const struct compile_context *ctx, ofp_port_t port, enum egress_table table)
{
    struct flow_draft d;

    draft_start_in_table(&d, ctx, 0, ctx->hook_priority + 1, egress_cookie(EGRESS_OWNER_NODE, 0));
    match_set_in_port(&d.match, port);
    act_go_to(&d, table);
    draft_emit(&d);
}

/* What arrives on our own ports is ours from table 0 on, before the hook, should that be there as well. */
void
compile_entrances(const struct compile_context *ctx)
{
    emit_entrance(ctx, ctx->tunnel_port, EGRESS_TABLE_TUNNEL_IN);
    emit_entrance(ctx, ctx->uplink_port, EGRESS_TABLE_UPLINK_IN);
}

/* Takes IP packets out of the CNI's hook table.  'tun_gbp_flags' lets those pass that were here before.  The
 * condition is the CNI's own --hook-match, which may be about one family only. */
void
compile_hook(const struct compile_context *ctx)
{
    for (int family = 0; family < N_IP_FAMILIES; family++) {
        ovs_be16 dl_type = htons(family == IP_V4 ? ETH_TYPE_IP : ETH_TYPE_IPV6);
        struct flow_draft d;

        if (ctx->hook_match.wc.masks.dl_type && ctx->hook_match.flow.dl_type != dl_type) {
            continue;
        }
        draft_start_in_table(&d, ctx, ctx->hook_table, ctx->hook_priority,
                             egress_cookie(EGRESS_OWNER_NODE, 0));
        d.match = ctx->hook_match;
        match_family(&d, family);
        match_set_tun_gbp_flags(&d.match, 0);
        act_go_to(&d, EGRESS_TABLE_CLASSIFY);
        draft_emit(&d);
    }
}

static void
emit_miss(const struct compile_context *ctx, enum egress_table table, enum egress_table next)
{
    struct flow_draft d;

    draft_start(&d, ctx, table, 0, egress_cookie(EGRESS_OWNER_NODE, 0));
    if (next != table) {
        act_go_to(&d, next);
    }
    draft_emit(&d);
}

static void
emit_return(const struct compile_context *ctx)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_RETURN, 0, egress_cookie(EGRESS_OWNER_NODE, 0));
    act_set_u8(&d, MFF_TUN_GBP_FLAGS, 1);
    act_resubmit(&d, ctx->hook_table);
    draft_emit(&d);
}

/* Destinations that are nobody's egress anywhere: link-local (RFC 3927, RFC 4291 section 2.5.6), multicast
 * (RFC 5771, RFC 4291 section 2.7), the limited broadcast (RFC 919). */
static void
emit_never_external(const struct compile_context *ctx)
{
    static const char *const cidrs[] = {
        "169.254.0.0/16", "224.0.0.0/4", "255.255.255.255/32", "fe80::/10", "ff00::/8",
    };

    for (size_t i = 0; i < ARRAY_SIZE(cidrs); i++) {
        struct ip_prefix prefix;
        char *error = ip_parse_prefix(cidrs[i], &prefix);

        ovs_assert(!error);
        compile_internal_prefix(ctx, &prefix, egress_cookie(EGRESS_OWNER_NODE, 0));
    }
}

/* What a translated packet may not do is leave without being translated, so 'next_hop' has no way but through
 * compile_uplink_prefix().  What the uplink brings for our MAC address teaches neighbours. */
static void
emit_neighbour_learning(const struct compile_context *ctx)
{
    uint64_t cookie = egress_cookie(EGRESS_OWNER_NODE, 0);
    struct flow_draft d;

    for (int family = 0; family < N_IP_FAMILIES; family++) {
        draft_start(&d, ctx, EGRESS_TABLE_NEIGHBOUR, 0, cookie);
        match_family(&d, family);
        act_controller(&d);
        draft_emit(&d);
    }

    draft_start(&d, ctx, EGRESS_TABLE_UPLINK_IN, PRIORITY_NEIGHBOUR_ANSWER, cookie);
    match_set_dl_type(&d.match, htons(ETH_TYPE_ARP));
    match_set_dl_dst(&d.match, ctx->egress_mac);
    match_set_nw_proto(&d.match, ARP_OP_REPLY);
    act_controller(&d);
    draft_emit(&d);

    draft_start(&d, ctx, EGRESS_TABLE_UPLINK_IN, PRIORITY_NEIGHBOUR_ANSWER, cookie);
    match_family(&d, IP_V6);
    match_set_dl_dst(&d.match, ctx->egress_mac);
    match_set_nw_proto(&d.match, IPPROTO_ICMPV6);
    match_set_icmp_type(&d.match, ND_NEIGHBOR_ADVERT);
    act_controller(&d);
    draft_emit(&d);
}

/* Which way a reply goes is in its connection: ct_label[0..31] is the tunnel address of the pod's node, 0 if
 * the pod is on this one.  Only what was translated back ('dnat') may go anywhere. */
static void
emit_unsnat(const struct compile_context *ctx, enum ip_family family)
{
    const uint32_t flags = CS_TRACKED | CS_DST_NAT;
    const uint32_t mask = flags | CS_INVALID | CS_NEW;
    const ovs_u128 here = OVS_U128_ZERO;
    const ovs_u128 source_node = { .u64.lo = UINT32_MAX };
    uint64_t cookie = egress_cookie(EGRESS_OWNER_NODE, 0);
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_UNSNAT, 110, cookie);
    match_family(&d, family);
    match_set_ct_state_masked(&d.match, flags, mask);
    match_set_ct_label_masked(&d.match, here, source_node);
    act_dec_ttl(&d);
    act_go_to(&d, EGRESS_TABLE_DELIVER);
    draft_emit(&d);

    draft_start(&d, ctx, EGRESS_TABLE_UNSNAT, 100, cookie);
    match_family(&d, family);
    match_set_ct_state_masked(&d.match, flags, mask);
    act_dec_ttl(&d);
    act_move(&d, MFF_CT_LABEL, 0, MFF_TUN_DST, 0, 32);
    act_move(&d, MFF_CT_MARK, 0, MFF_TUN_ID, 0, ROUTE_NUMBER_BITS);
    act_load(&d, MFF_TUN_ID, ROUTE_NUMBER_BITS, 1, 1);
    act_output(&d, ctx->tunnel_port);
    draft_emit(&d);
}

/* The flows that are there whatever the policies say, but for the hooks. */
void
compile_fixed(const struct compile_context *ctx)
{
    static const enum egress_table drops[] = {
        /* 'source' first: a packet of a pod that is not known yet is held back here. */
        EGRESS_TABLE_SOURCE, EGRESS_TABLE_ROUTE, EGRESS_TABLE_GATEWAY, EGRESS_TABLE_TUNNEL_IN,
        EGRESS_TABLE_SNAT, EGRESS_TABLE_VERIFY, EGRESS_TABLE_NEXT_HOP, EGRESS_TABLE_UPLINK_IN,
        EGRESS_TABLE_UNSNAT, EGRESS_TABLE_DELIVER,
    };

    emit_never_external(ctx);
    emit_miss(ctx, EGRESS_TABLE_CLASSIFY, EGRESS_TABLE_SOURCE);
    for (size_t i = 0; i < ARRAY_SIZE(drops); i++) {
        emit_miss(ctx, drops[i], drops[i]);
    }
    emit_return(ctx);
    emit_neighbour_learning(ctx);
    for (int family = 0; family < N_IP_FAMILIES; family++) {
        emit_unsnat(ctx, family);
    }

    /* Second half of the answer to a solicitation, see compile_egress_ip(): nd_tll may only be set in a table
     * that the packet enters as an advertisement. */
    struct flow_draft d;
    draft_start(&d, ctx, EGRESS_TABLE_ND_ANSWER, 0, egress_cookie(EGRESS_OWNER_NODE, 0));
    match_family(&d, IP_V6);
    match_set_nw_proto(&d.match, IPPROTO_ICMPV6);
    match_set_icmp_type(&d.match, ND_NEIGHBOR_ADVERT);
    match_set_icmp_code(&d.match, 0);
    act_set_mac(&d, MFF_ND_TLL, ctx->egress_mac);
    act_output(&d, OFPP_IN_PORT);
    draft_emit(&d);
}

/* Packets to 'prefix' stay with the CNI. */
void
compile_internal_prefix(const struct compile_context *ctx, const struct ip_prefix *prefix,
                        uint64_t cookie)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_CLASSIFY, PRIORITY_INTERNAL, cookie);
    match_destination(&d, prefix);
    act_go_to(&d, EGRESS_TABLE_RETURN);
    draft_emit(&d);
}

/* What a pod sends to the tunnel of the node with address 'node' would seem to come from a node, should the CNI
 * masquerade it. */
static void
emit_forgery_guard(const struct compile_context *ctx, ovs_be32 node, uint64_t cookie)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_CLASSIFY, PRIORITY_FORGED, cookie);
    match_family(&d, IP_V4);
    match_set_nw_dst(&d.match, node);
    match_set_nw_proto(&d.match, IPPROTO_UDP);
    match_set_tp_dst(&d.match, htons(ctx->tunnel_dst_port));
    draft_emit(&d);
}

static void
emit_tunnel_sender(const struct compile_context *ctx, ovs_be32 sender, uint64_t cookie, bool reply)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_TUNNEL_IN, 100, cookie);
    match_set_tun_src(&d.match, sender);
    match_set_tun_id_masked(&d.match, htonll(reply ? EGRESS_REPLY_BIT : 0), htonll(EGRESS_REPLY_BIT));
    act_go_to(&d, reply ? EGRESS_TABLE_DELIVER : EGRESS_TABLE_SNAT);
    draft_emit(&d);
}

/* 'node''s addresses and pods are inside the cluster, and unless it is this node ('is_self') it, but none of
 * this node's pods in its name, may send requests and replies through the tunnel. */
void
compile_peer(const struct compile_context *ctx, const struct cluster_node *node, bool is_self)
{
    uint64_t cookie = egress_cookie_for_name(EGRESS_OWNER_PEER, node->name);

    for (size_t i = 0; i < node->n_pod_cidrs; i++) {
        compile_internal_prefix(ctx, &node->pod_cidrs[i], cookie);
    }
    for (size_t i = 0; i < node->n_all_addresses; i++) {
        const struct in6_addr *addr = &node->all_addresses[i];
        struct ip_prefix host = { *addr, ip_family_of(addr) == IP_V4 ? 32 : 128 };

        compile_internal_prefix(ctx, &host, cookie);
    }
    if (!is_self && ip_is_set(&node->addresses[IP_V4])) {
        ovs_be32 tunnel = ip_to_v4(&node->addresses[IP_V4]);

        emit_forgery_guard(ctx, tunnel, cookie);
        emit_tunnel_sender(ctx, tunnel, cookie, false);
        emit_tunnel_sender(ctx, tunnel, cookie, true);
    }
}
