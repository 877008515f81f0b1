#ifndef PIPELINE_COMPILE_H
#define PIPELINE_COMPILE_H 1

/* From the model to the flows it calls for.  Everything here is a pure function: what goes in is in the
 * arguments, what comes out goes through 'emit', one call per flow.
 *
 * Two things carry a packet's state through the tables, and both are left as they were found when the packet
 * is handed back to the CNI:
 *
 *    tun_id          first the class of the sending pod, then the number of its route, which is also the
 *                    VNI of the tunnel: no stage needs both.  A class that knows one route only has that
 *                    route's number.
 *    tun_gbp_flags   1 once the packet was handed back, so that the hook lets it pass.
 *
 * reg1 and xxreg1 hold the next hop, past the point of no return. */

#include <stdbool.h>
#include <stdint.h>
#include "openvswitch/match.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/types.h"
#include "pipeline/cookies.h"
#include "pipeline/model.h"
#include "pipeline/tables.h"

struct ofpbuf;

/* The conntrack zones of the egress translations: each egress IP's follows from the address.  What conntrack knows of a
 * connection it translates as before, whatever the flow says; so a connection whose pod has got another egress IP must not
 * be found again.  OVN hands zones out from 1 upwards, Antrea uses 65500 and above. */
#define EGRESS_CT_ZONE_FIRST 57344
#define EGRESS_N_CT_ZONES    8000

/* The id that our 'controller' actions carry, so that nobody else's packet-ins reach us. */
#define EGRESS_CONTROLLER_ID 0x6567

/* Source ports of packets that leave with the gateway node's own address.  All have the upper four bits set, so that one
 * match tells their replies from the node's own, and none is in the range from which Linux takes the node's own
 * ports (net.ipv4.ip_local_port_range: 32768 to 60999). */
#define NODE_IP_FIRST_PORT  0xf000
#define NODE_IP_LAST_PORT   0xffff

/* VNI bit of replies, see ROUTE_NUMBER_BITS. */
#define EGRESS_REPLY_BIT (1u << ROUTE_NUMBER_BITS)

typedef void flow_emit_func(void *aux, uint8_t table_id, uint16_t priority, uint64_t cookie,
                            const struct match *, const struct ofpbuf *ofpacts);

/* What every compiler needs to know about this node's bridge. */
struct compile_context {
    flow_emit_func *emit;
    void *aux;

    uint8_t table_base;
    uint8_t hook_table;
    uint16_t hook_priority;             /* One more is used, too. */
    struct match hook_match;            /* The CNI's condition for traffic that may be hooked. */
    uint8_t reply_table;
    ofp_port_t reply_port;              /* As whose port replies enter the CNI's pipeline. */
    struct eth_addr reply_mac;          /* And from which MAC address: the pods' router's. */
    ofp_port_t tunnel_port;
    uint16_t tunnel_dst_port;           /* UDP port on which all nodes' tunnels listen. */
    ofp_port_t uplink_port;             /* The patch port to the uplink bridge. */
    struct eth_addr egress_mac;         /* The MAC address of this node's egress IPs. */

    /* Of the uplink bridge. */
    ofp_port_t uplink_peer_port;        /* The other end of 'uplink_port'. */
    struct eth_addr uplink_mac;         /* Of its LOCAL port, which has the node's addresses. */
};

/* A pod with a port on this node's bridge. */
struct local_pod {
    const char *id;
    ofp_port_t ofport;
    bool has_mac;
    struct eth_addr mac;
    const struct in6_addr *ips;
    size_t n_ips;
};

/* The ordered set of routes that select a pod, by precedence.  No route at all is no class. */
struct route_class {
    const struct egress_route **routes;
    size_t n_routes;
};

/* Who the gateway of a route is, as this node sees it. */
enum gateway_place { GATEWAY_NOWHERE, GATEWAY_HERE, GATEWAY_REMOTE };
struct gateway_view {
    enum gateway_place place;
    ovs_be32 tunnel_dst;                /* GATEWAY_REMOTE only. */
    bool claimed[N_IP_FAMILIES];        /* GATEWAY_HERE only: the egress IP is this node's for certain. */
    uint32_t meter_id;                  /* GATEWAY_HERE only: 0 for no limit. */
};

struct eth_addr egress_mac_of_node(const char *node_name);
uint16_t egress_ct_zone(const struct in6_addr *egress_ip);
uint64_t route_class_id(const struct route_class *);
bool egress_route_serves(const struct egress_route *, enum ip_family);

void compile_entrances(const struct compile_context *);
void compile_hook(const struct compile_context *);
void compile_fixed(const struct compile_context *);
void compile_internal_prefix(const struct compile_context *, const struct ip_prefix *, uint64_t cookie);
void compile_peer(const struct compile_context *, const struct cluster_node *, bool is_self);

void compile_pod(const struct compile_context *, const struct local_pod *, const struct route_class *);
void compile_free_port(const struct compile_context *, ofp_port_t, uint64_t cookie);
void compile_class(const struct compile_context *, const struct route_class *);

void compile_route(const struct compile_context *, const struct egress_route *, const struct gateway_view *);
void compile_egress_ip(const struct compile_context *, const struct in6_addr *, bool claimed);
void compile_node_ip(const struct compile_context *, const struct in6_addr *);
void compile_node_ip_uplink(const struct compile_context *, const struct in6_addr *);
void compile_uplink_prefix(const struct compile_context *, const struct ip_prefix *,
                           const struct in6_addr *gateway);
void compile_neighbour(const struct compile_context *, const struct in6_addr *next_hop, struct eth_addr);

#endif /* pipeline/compile.h */
