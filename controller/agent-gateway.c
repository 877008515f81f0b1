/* The gateway's side: routes and where they lead, egress IPs that are claimed on the wire, the uplink's routes and
 * next hops. */

#include <config.h>
#include "controller/agent-private.h"

#include <netinet/icmp6.h>
#include <stdlib.h>
#include "dp-packet.h"
#include "ofp/arp-nd.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-packet.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vconn.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_gateway);

/* How long reading the old flows at start may take.  The switch is a process on the same host. */
#define ADOPT_TIMEOUT_MS 5000

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);

/* How often next hops that answer are kept in use: within the time after which an unused one is forgotten. */
#define KEEP_INTERVAL_MS 60000

static struct eth_addr
own_mac(const struct agent *a)
{
    return egress_mac_of_node(a->options->node);
}

static void
packet_out(struct agent *a, const struct dp_packet *packet, const struct ofpbuf *actions)
{
    of_switch_packet_out(a->sw, dp_packet_data(packet), dp_packet_size(packet), OFPP_CONTROLLER, actions);
}

/* Sends a frame of ours as it is. */
static void
send_frame(const struct dp_packet *packet, void *a_)
{
    struct agent *a = a_;
    uint64_t stub[64 / 8];
    struct ofpbuf actions = OFPBUF_STUB_INITIALIZER(stub);

    ofpact_put_OUTPUT(&actions)->port = ports_get_view(a->ports)->uplink;
    packet_out(a, packet, &actions);
    ofpbuf_uninit(&actions);
}

/* Sends a translated packet, which missed in stage 'neighbour', on to the next hop that is known now. */
static void
send_released(const struct dp_packet *packet, const struct in6_addr *next_hop OVS_UNUSED,
              struct eth_addr mac, void *a_)
{
    struct agent *a = a_;
    uint64_t stub[128 / 8];
    struct ofpbuf actions = OFPBUF_STUB_INITIALIZER(stub);

    ofpact_put_SET_ETH_SRC(&actions)->mac = own_mac(a);
    ofpact_put_SET_ETH_DST(&actions)->mac = mac;
    ofpact_put_OUTPUT(&actions)->port = ports_get_view(a->ports)->uplink;
    packet_out(a, packet, &actions);
    ofpbuf_uninit(&actions);
}

static bool
is_own_node_address(const struct agent *a, const struct in6_addr *ip)
{
    const struct cluster_node *self = agent_find_self(a);
    enum ip_family family = ip_family_of(ip);

    return self && ip_is_set(&self->addresses[family]) && ipv6_addr_equals(&self->addresses[family], ip);
}

/* Finds in '*from' an address to ask for next hops of 'family' from.  The node's own address would do for a packet that
 * has it as source, but told with our MAC address it would draw the node's traffic to us.  So such a question is asked as
 * from nobody (RFC 5227, section 2.1.1), or from our MAC address's own link-local one (RFC 4291, appendix A). */
static void
anonymous_source(const struct agent *a, enum ip_family family, struct in6_addr *from)
{
    if (family == IP_V4) {
        *from = ip_from_v4(htonl(INADDR_ANY));
    } else {
        in6_generate_lla(own_mac(a), from);
    }
}

/* A translated packet whose next hop has no MAC address yet: reg1 or xxreg1 say which one it is. */
static void
handle_neighbour_miss(struct agent *a, const struct ofputil_packet_in *pin, long long int now)
{
    const struct flow *metadata = &pin->flow_metadata.flow;
    struct in6_addr next_hop, source;
    struct dp_packet *packet;
    struct flow headers;

    packet = dp_packet_clone_data(pin->packet, pin->packet_len);
    flow_extract(packet, &headers);
    if (headers.dl_type == htons(ETH_TYPE_IP)) {
        next_hop = ip_from_v4(htonl(metadata->regs[1]));
        source = ip_from_v4(headers.nw_src);
    } else {
        ovs_be128 address = hton128(flow_get_xxreg(metadata, 1));

        memcpy(&next_hop, &address, sizeof next_hop);
        source = headers.ipv6_src;
    }
    if (is_own_node_address(a, &source)) {
        anonymous_source(a, ip_family_of(&source), &source);
    } else if (!claims_is_claimed(a->claims, &source)) {
        /* Not ours any more: a question from it would draw its traffic back here. */
        next_hop = in6addr_any;
    }
    if (ip_is_set(&next_hop)) {
        neighbours_want(a->neighbours, &next_hop, &source, own_mac(a), false, now);
        neighbours_queue(a->neighbours, &next_hop, packet, now);
    } else {
        dp_packet_delete(packet);
    }
}

static void
handle_neighbour_message(struct agent *a, const struct ofputil_packet_in *pin, long long int now)
{
    struct neighbour_message message;
    const char *error = neighbour_message_parse(pin->packet, pin->packet_len, &message);

    if (error) {
        VLOG_DBG_RL(&rl, "ignored a frame from the uplink: %s", error);
        return;
    }
    neighbours_input(a->neighbours, &message, now);
    claims_input(a->claims, &message, now);
}

static void
handle_packet_in(const struct ofputil_packet_in *pin, void *a_)
{
    struct agent *a = a_;
    long long int now = time_msec();

    if (pin->table_id == a->options->table_base + EGRESS_TABLE_NEIGHBOUR) {
        handle_neighbour_miss(a, pin, now);
    } else if (pin->table_id == a->options->table_base + EGRESS_TABLE_UPLINK_IN) {
        handle_neighbour_message(a, pin, now);
    }
}

void
agent_gateway_init(struct agent *a)
{
    a->neighbours = neighbours_create(send_frame, send_released, a);
    a->claims = claims_create(send_frame, a);
    claims_set_mac(a->claims, own_mac(a), time_msec());
    shash_init(&a->egress_ips);
    of_switch_set_packet_in_handler(a->sw, handle_packet_in, a);
}

void
agent_gateway_destroy(struct agent *a)
{
    neighbours_destroy(a->neighbours);
    claims_destroy(a->claims);
    shash_destroy_free_data(&a->egress_ips);
}

/* Restart. */

/* Finds in 'fs' the egress IP that it takes replies in for: "ip,nw_dst=IP actions=ct(...)".  Only a claimed one has
 * such a flow. */
static void
adopt_egress_ip(struct agent *a, const struct ofputil_flow_stats *fs, long long int now OVS_UNUSED)
{
    struct in6_addr ip;

    if (fs->match.flow.dl_type == htons(ETH_TYPE_IP) && fs->match.wc.masks.nw_dst == OVS_BE32_MAX) {
        ip = ip_from_v4(fs->match.flow.nw_dst);
    } else if (fs->match.flow.dl_type == htons(ETH_TYPE_IPV6)
               && ipv6_mask_is_exact(&fs->match.wc.masks.ipv6_dst)
               && !fs->match.wc.masks.nw_proto) {
        ip = fs->match.flow.ipv6_dst;
    } else {
        return;
    }
    claims_adopt(a->claims, &ip, 1);
}

/* Finds in 'fs' a next hop and its MAC address: "reg1=NEXT_HOP actions=...,mod_dl_dst:MAC,...". */
static void
adopt_neighbour(struct agent *a, const struct ofputil_flow_stats *fs, long long int now)
{
    const struct ofpact *ofpact;
    struct in6_addr next_hop;

    if (fs->match.flow.dl_type == htons(ETH_TYPE_IP)) {
        next_hop = ip_from_v4(htonl(fs->match.flow.regs[1]));
    } else {
        ovs_be128 address = hton128(flow_get_xxreg(&fs->match.flow, 1));

        memcpy(&next_hop, &address, sizeof next_hop);
    }
    OFPACT_FOR_EACH (ofpact, fs->ofpacts, fs->ofpacts_len) {
        const struct ofpact_set_field *set;

        if (ofpact->type == OFPACT_SET_ETH_DST) {
            neighbours_adopt(a->neighbours, &next_hop, ofpact_get_SET_ETH_DST(ofpact)->mac, now);
        } else if (ofpact->type == OFPACT_SET_FIELD
                   && (set = ofpact_get_SET_FIELD(ofpact))->field->id == MFF_ETH_DST) {
            neighbours_adopt(a->neighbours, &next_hop, set->value->mac, now);
        }
    }
}

static void
adopt_table(struct agent *a, struct vconn *vconn, enum egress_table table,
            void (*adopt)(struct agent *, const struct ofputil_flow_stats *, long long int now),
            enum egress_owner owner)
{
    struct ofputil_flow_stats_request request = {
        .table_id = a->options->table_base + table, .out_port = OFPP_ANY, .out_group = OFPG_ANY,
        .cookie = htonll(egress_cookie(owner, 0)), .cookie_mask = htonll(UINT64_C(0xffffff0000000000)),
    };
    struct ofputil_flow_stats *flows;
    size_t n;
    int error;

    match_init_catchall(&request.match);
    error = vconn_dump_flows(vconn, &request,
                             ofputil_protocol_from_ofp_version(vconn_get_version(vconn)), &flows, &n);
    if (error) {
        VLOG_WARN("%s: flows of before are not to be had (%s): next hops will be looked up again",
                  a->switch_target, ovs_strerror(error));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        if (flows[i].priority == 100) {
            adopt(a, &flows[i], time_msec());
        }
        free(CONST_CAST(struct ofpact *, flows[i].ofpacts));
    }
    free(flows);
}

/* Takes over from a run before what only the switch's flows still know: the egress IPs that are ours already and the
 * next hops' MAC addresses.  So a restart changes no flow.  Blocks, but only here at the start. */
void
agent_gateway_adopt(struct agent *a)
{
    struct vconn *vconn;
    int error = vconn_open_block(a->switch_target, 1u << OFP15_VERSION, 0, ADOPT_TIMEOUT_MS, &vconn);

    if (error) {
        VLOG_INFO("%s: no switch there yet (%s)", a->switch_target, ovs_strerror(error));
        return;
    }
    adopt_table(a, vconn, EGRESS_TABLE_NEIGHBOUR, adopt_neighbour, EGRESS_OWNER_NEIGHBOUR);
    adopt_table(a, vconn, EGRESS_TABLE_UPLINK_IN, adopt_egress_ip, EGRESS_OWNER_EGRESS_IP);
    vconn_close(vconn);
}

/* Routes and egress IPs. */

/* Is this node the gateway of 'route'? */
bool
agent_is_gateway_of(const struct agent *a, const struct egress_route *route)
{
    return (route->state == ROUTE_ACTIVE && route->candidates.n
            && !strcmp(route->candidates.names[0], a->options->node));
}

static struct gateway_view
view_gateway(const struct agent *a, const struct egress_route *route)
{
    const struct egress_model *model = source_get_model(a->source);
    struct gateway_view view = { .place = GATEWAY_NOWHERE };
    const struct cluster_node *gateway;

    if (agent_is_gateway_of(a, route)) {
        view.place = GATEWAY_HERE;
        for (int family = 0; family < N_IP_FAMILIES; family++) {
            view.claimed[family] = (route->policy->use_node_ip
                                    || claims_is_claimed(a->claims, &route->egress_ips[family]));
        }
        view.meter_id = meters_id_of(&a->meters, route);
    } else if (route->state == ROUTE_ACTIVE && route->candidates.n) {
        gateway = shash_find_data(&model->nodes, route->candidates.names[0]);
        if (gateway && ip_is_set(&gateway->addresses[IP_V4])) {
            view.place = GATEWAY_REMOTE;
            view.tunnel_dst = ip_to_v4(&gateway->addresses[IP_V4]);
        }
    }
    return view;
}

static void
update_route(struct agent *a, const char *policy_id)
{
    const struct egress_route *route = shash_find_data(&a->routes, policy_id);
    char *owner = xasprintf("route/%s", policy_id);
    struct flow_batch batch;

    flow_batch_init(&batch);
    if (route) {
        struct compile_context ctx = agent_compile_context(a, &batch);
        struct gateway_view view = view_gateway(a, route);

        compile_route(&ctx, route, &view);
    }
    agent_replace_flows(a, owner, &batch);
    free(owner);
}

/* Compiles the flows of the routes of 'policy_ids', or of all if that is NULL. */
void
agent_gateway_update_routes(struct agent *a, const struct sset *policy_ids)
{
    const char *id;

    if (policy_ids) {
        SSET_FOR_EACH (id, policy_ids) {
            update_route(a, id);
        }
    } else {
        struct shash_node *node;

        SHASH_FOR_EACH (node, &a->routes) {
            update_route(a, node->name);
        }
    }
}

/* Makes the node's own addresses egress IPs if some route wants them. */
static void
update_node_ips(struct agent *a)
{
    const struct cluster_node *self = agent_find_self(a);
    struct flow_batch batch, uplink_batch;
    struct shash_node *node;
    bool wanted = false;

    SHASH_FOR_EACH (node, &a->routes) {
        const struct egress_route *route = node->data;

        wanted = wanted || (route->policy->use_node_ip && agent_is_gateway_of(a, route));
    }
    flow_batch_init(&batch);
    flow_batch_init(&uplink_batch);
    for (int family = 0; wanted && self && family < N_IP_FAMILIES; family++) {
        if (ip_is_set(&self->addresses[family])) {
            struct compile_context ctx = agent_compile_context(a, &batch);
            struct compile_context uplink_ctx = agent_compile_context(a, &uplink_batch);

            compile_node_ip(&ctx, &self->addresses[family]);
            compile_node_ip_uplink(&uplink_ctx, &self->addresses[family]);
        }
    }
    agent_replace_flows(a, "node-ip", &batch);
    flow_set_replace(a->uplink_flows, "node-ip", &uplink_batch);
}

static void
set_egress_ip_flows(struct agent *a, const char *owner, const struct in6_addr *ip)
{
    struct flow_batch batch;

    flow_batch_init(&batch);
    if (ip) {
        struct compile_context ctx = agent_compile_context(a, &batch);

        compile_egress_ip(&ctx, ip, claims_is_claimed(a->claims, ip));
    }
    agent_replace_flows(a, owner, &batch);
}

static void
add_egress_ip(struct agent *a, struct shash *egress_ips, const struct in6_addr *ip)
{
    char *text = ip_to_string(ip);

    if (!shash_find(egress_ips, text)) {
        char *owner = xasprintf("egress-ip/%s", text);

        set_egress_ip_flows(a, owner, ip);
        shash_add(egress_ips, text, owner);
    }
    free(text);
}

/* Makes the flows of egress IPs, and of the routes that use them, follow what is claimed. */
static void
update_egress_ips(struct agent *a)
{
    struct sset routes = SSET_INITIALIZER(&routes);
    struct shash egress_ips = SHASH_INITIALIZER(&egress_ips);
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->routes) {
        const struct egress_route *route = node->data;

        if (!agent_is_gateway_of(a, route) || route->policy->use_node_ip) {
            continue;
        }
        sset_add(&routes, node->name);
        for (int family = 0; family < N_IP_FAMILIES; family++) {
            if (ip_is_set(&route->egress_ips[family])) {
                add_egress_ip(a, &egress_ips, &route->egress_ips[family]);
            }
        }
    }
    SHASH_FOR_EACH (node, &a->egress_ips) {
        struct in6_addr ip;

        if (!shash_find(&egress_ips, node->name)) {
            set_egress_ip_flows(a, node->data, NULL);
            if (ip_parse_address(node->name, &ip)) {
                neighbours_drop_source(a->neighbours, &ip);
            }
        }
    }
    shash_swap(&a->egress_ips, &egress_ips);
    shash_destroy_free_data(&egress_ips);
    agent_gateway_update_routes(a, &routes);
    sset_destroy(&routes);
}

/* Tells the claims which egress IPs should be this node's, and who else may answer for one during a handover.  The flows of
 * those that are not claimed yet follow at once: the agent has to hear a rival before it can claim anything. */
void
agent_gateway_update_claims(struct agent *a)
{
    const struct egress_model *model = source_get_model(a->source);
    struct in6_addr *ips = NULL;
    size_t n = 0, allocated = 0;
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->routes) {
        const struct egress_route *route = node->data;

        for (int family = 0; agent_is_gateway_of(a, route) && family < N_IP_FAMILIES; family++) {
            if (ip_is_set(&route->egress_ips[family]) && !route->policy->use_node_ip) {
                if (n >= allocated) {
                    ips = x2nrealloc(ips, &allocated, sizeof *ips);
                }
                ips[n++] = route->egress_ips[family];
            }
        }
    }
    claims_set(a->claims, ips, n, time_msec());
    free(ips);
    update_node_ips(a);

    struct eth_addr *macs = xmalloc(shash_count(&model->nodes) * sizeof *macs);
    n = 0;
    SHASH_FOR_EACH (node, &model->nodes) {
        if (strcmp(node->name, a->options->node)) {
            macs[n++] = egress_mac_of_node(node->name);
        }
    }
    claims_set_peers(a->claims, macs, n);
    free(macs);
    update_egress_ips(a);
    a->own_routes_seqno++;
}

/* How many of the egress IPs that are to be this node's are so on the wire. */
size_t
agent_gateway_count_claimed(const struct agent *a)
{
    struct shash_node *node;
    size_t n = 0;

    SHASH_FOR_EACH (node, &a->egress_ips) {
        struct in6_addr ip;

        n += ip_parse_address(node->name, &ip) && claims_is_claimed(a->claims, &ip);
    }
    return n;
}

/* The uplink. */

/* Finds in '*ip' a claimed egress IP of 'family' to ask for next hops from. */
static bool
find_claimed(const struct agent *a, enum ip_family family, struct in6_addr *ip)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->egress_ips) {
        if (ip_parse_address(node->name, ip) && ip_family_of(ip) == family
            && claims_is_claimed(a->claims, ip)) {
            return true;
        }
    }
    return false;
}

/* Asks for the routers' MAC addresses ahead of the first packet, and anew for those that a run before left, as soon as
 * there is an egress IP to ask from. */
static void
want_next_hops(struct agent *a, long long int now)
{
    const struct uplink_view *view = uplink_routes_get(a->uplink_routes);

    for (enum ip_family family = 0; family < N_IP_FAMILIES; family++) {
        struct neighbour_binding *bindings;
        struct in6_addr ip;
        size_t n;

        if (!find_claimed(a, family, &ip)) {
            continue;
        }
        for (size_t i = 0; i < view->n_routes; i++) {
            const struct uplink_route *route = &view->routes[i];

            if (route->has_gateway && ip_family_of(&route->gateway) == family) {
                neighbours_want(a->neighbours, &route->gateway, &ip, own_mac(a), true, now);
            }
        }
        n = neighbours_list(a->neighbours, &bindings);
        for (size_t i = 0; i < n; i++) {
            if (ip_family_of(&bindings[i].next_hop) == family) {
                neighbours_want(a->neighbours, &bindings[i].next_hop, &ip, own_mac(a), false, now);
            }
        }
        free(bindings);
    }
}

/* A next hop that answers is kept: packets to it do not come past here, so that its use is not seen, and asking for it
 * anew would hold up the packets of that moment. */
static void
keep_next_hops(struct agent *a, long long int now)
{
    struct neighbour_binding *bindings;
    size_t n;

    if (now < a->next_keep) {
        return;
    }
    a->next_keep = now + KEEP_INTERVAL_MS;
    n = neighbours_list(a->neighbours, &bindings);
    for (size_t i = 0; i < n; i++) {
        neighbours_mark_used(a->neighbours, &bindings[i].next_hop, now);
    }
    free(bindings);
}

static void
update_uplink(struct agent *a)
{
    const struct uplink_view *view = uplink_routes_get(a->uplink_routes);
    struct flow_batch batch;

    flow_batch_init(&batch);
    struct compile_context ctx = agent_compile_context(a, &batch);
    for (size_t i = 0; i < view->n_routes; i++) {
        const struct uplink_route *route = &view->routes[i];

        compile_uplink_prefix(&ctx, &route->prefix, route->has_gateway ? &route->gateway : &in6addr_any);
    }
    agent_replace_flows(a, "uplink", &batch);
}

static void
update_neighbours(struct agent *a)
{
    struct neighbour_binding *bindings;
    size_t n = neighbours_list(a->neighbours, &bindings);
    struct flow_batch batch;

    flow_batch_init(&batch);
    struct compile_context ctx = agent_compile_context(a, &batch);
    for (size_t i = 0; i < n; i++) {
        compile_neighbour(&ctx, &bindings[i].next_hop, bindings[i].mac);
    }
    agent_replace_flows(a, "neighbours", &batch);
    free(bindings);
}

/* Compiles all of the gateway's flows. */
void
agent_gateway_recompute(struct agent *a)
{
    agent_gateway_update_routes(a, NULL);
    update_egress_ips(a);
    update_node_ips(a);
    update_uplink(a);
    update_neighbours(a);
}

/* Does what is due on the wire, and makes the flows follow. */
void
agent_gateway_run(struct agent *a, long long int now)
{
    if (of_switch_connected(a->sw)) {
        claims_run(a->claims, now);
        keep_next_hops(a, now);
        neighbours_run(a->neighbours, now);
    }
    if (a->claims_seqno != claims_seqno(a->claims)) {
        a->claims_seqno = claims_seqno(a->claims);
        update_egress_ips(a);
        want_next_hops(a, now);
    }
    if (a->uplink_seqno != uplink_routes_seqno(a->uplink_routes)) {
        a->uplink_seqno = uplink_routes_seqno(a->uplink_routes);
        update_uplink(a);
        want_next_hops(a, now);
    }
    if (a->neighbours_seqno != neighbours_seqno(a->neighbours)) {
        a->neighbours_seqno = neighbours_seqno(a->neighbours);
        update_neighbours(a);
    }
}

void
agent_gateway_wait(struct agent *a)
{
    if (a->claims_seqno != claims_seqno(a->claims)
        || a->uplink_seqno != uplink_routes_seqno(a->uplink_routes)
        || a->neighbours_seqno != neighbours_seqno(a->neighbours)) {
        poll_immediate_wake();
    } else if (of_switch_connected(a->sw)) {
        poll_timer_wait_until(claims_next_wakeup(a->claims));
        poll_timer_wait_until(neighbours_next_wakeup(a->neighbours));
        poll_timer_wait_until(a->next_keep);
    }
}
