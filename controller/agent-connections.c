/* How many connections leave by each egress IP of this node.  Each has a conntrack zone of its own (egress_ct_zone()), which
 * is what ct-counts.c can have counted. */

#include <config.h>
#include "controller/agent-private.h"

#include <stdlib.h>
#include <string.h>
#include "controller/ct-counts.h"
#include "controller/metrics.h"
#include "util.h"

struct agent_connections {
    struct shash egress_ips;    /* struct own_ip, by egress IP as text. */
    struct ct_counts *counts;
    uint64_t own_routes_seqno;  /* The agent's, of 'egress_ips'. */
    uint64_t n_switches;        /* Connections to the switch, as of what 'counts' knows. */
};

struct own_ip {
    uint16_t zone;
    uint32_t n_ports;           /* That connections from here may have. */
};

/* Open vSwitch translates to unprivileged ports (lib/conntrack.c, MIN_NAT_EPHEMERAL_PORT). */
#define N_PORTS (65535 - 1024 + 1)
#define N_NODE_IP_PORTS (NODE_IP_LAST_PORT - NODE_IP_FIRST_PORT + 1)

/* To be called only if anybody is to be told. */
void
agent_connections_init(struct agent *a)
{
    struct agent_connections *ac = xzalloc(sizeof *ac);

    shash_init(&ac->egress_ips);
    ac->counts = ct_counts_create();
    a->connections = ac;
}

void
agent_connections_destroy(struct agent *a)
{
    if (a->connections) {
        ct_counts_destroy(a->connections->counts);
        shash_destroy_free_data(&a->connections->egress_ips);
        free(a->connections);
    }
}

static void
add_egress_ip(struct agent_connections *ac, const struct in6_addr *ip, bool is_node_ip)
{
    char *text = ip_to_string(ip);

    if (!shash_find(&ac->egress_ips, text)) {
        struct own_ip own = { .zone = egress_ct_zone(ip), .n_ports = is_node_ip ? N_NODE_IP_PORTS : N_PORTS };

        shash_add(&ac->egress_ips, text, xmemdup(&own, sizeof own));
    }
    free(text);
}

/* Makes the egress IPs those of the routes that this node is the gateway of, and has their zones counted. */
static void
follow_routes(struct agent *a)
{
    struct agent_connections *ac = a->connections;
    struct shash_node *node;

    shash_clear_free_data(&ac->egress_ips);
    SHASH_FOR_EACH (node, &a->routes) {
        const struct egress_route *route = node->data;

        for (int family = 0; agent_is_gateway_of(a, route) && family < N_IP_FAMILIES; family++) {
            if (ip_is_set(&route->egress_ips[family])) {
                add_egress_ip(ac, &route->egress_ips[family], route->policy->use_node_ip);
            }
        }
    }

    uint16_t *zones = xmalloc(shash_count(&ac->egress_ips) * sizeof *zones);
    size_t n = 0;
    SHASH_FOR_EACH (node, &ac->egress_ips) {
        const struct own_ip *own = node->data;

        zones[n++] = own->zone;
    }
    ct_counts_set_zones(ac->counts, zones, n);
    free(zones);
}

/* Begins to ask for fresh numbers. */
void
agent_connections_refresh(struct agent *a, long long int now)
{
    if (a->connections) {
        ct_counts_refresh(a->connections->counts, now);
    }
}

/* Are fresh numbers on their way? */
bool
agent_connections_is_busy(const struct agent *a)
{
    return a->connections && ct_counts_is_busy(a->connections->counts);
}

void
agent_connections_run(struct agent *a, long long int now)
{
    struct agent_connections *ac = a->connections;
    uint64_t n_switches = of_switch_get_stats(a->sw)->n_connections;

    if (!ac) {
        return;
    }
    ct_counts_set_datapath(ac->counts, ports_get_view(a->ports)->datapath_type);
    if (ac->n_switches != n_switches) {
        ac->n_switches = n_switches;
        ct_counts_start_over(ac->counts);
    }
    if (ac->own_routes_seqno != a->own_routes_seqno) {
        ac->own_routes_seqno = a->own_routes_seqno;
        follow_routes(a);
    }
    ct_counts_run(ac->counts, now);
}

void
agent_connections_wait(struct agent *a)
{
    if (a->connections) {
        ct_counts_wait(a->connections->counts);
    }
}

void
agent_connections_put(const struct agent *a, struct metrics *m)
{
    const struct agent_connections *ac = a->connections;
    struct shash_node *node;

    metrics_family(m, "ovs_egress_connections", METRIC_GAUGE,
                   "Connections in conntrack that leave by an egress IP of this node.");
    SHASH_FOR_EACH (node, &ac->egress_ips) {
        const struct own_ip *own = node->data;
        uint32_t count;

        if (ct_counts_get(ac->counts, own->zone, &count)) {
            metrics_put(m, count, "egress_ip", node->name, NULL);
        }
    }
    metrics_family(m, "ovs_egress_source_ports", METRIC_GAUGE,
                   "Source ports that connections from an egress IP of this node to one service may have.");
    SHASH_FOR_EACH (node, &ac->egress_ips) {
        const struct own_ip *own = node->data;

        metrics_put(m, own->n_ports, "egress_ip", node->name, NULL);
    }
}
