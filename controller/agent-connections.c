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
    struct shash zones;         /* By egress IP as text: uint16_t. */
    struct ct_counts *counts;
    uint64_t own_routes_seqno;  /* The agent's, of 'zones'. */
    uint64_t n_switches;        /* Connections to the switch, up to when it was asked last. */
};

/* To be called only if anybody is to be told. */
void
agent_connections_init(struct agent *a)
{
    struct agent_connections *ac = xzalloc(sizeof *ac);

    shash_init(&ac->zones);
    ac->counts = ct_counts_create();
    a->connections = ac;
}

void
agent_connections_destroy(struct agent *a)
{
    if (a->connections) {
        ct_counts_destroy(a->connections->counts);
        shash_destroy_free_data(&a->connections->zones);
        free(a->connections);
    }
}

/* Makes the zones those of the routes that this node is the gateway of. */
static void
follow_routes(struct agent *a)
{
    struct agent_connections *ac = a->connections;
    uint16_t *ids = NULL;
    size_t n = 0, allocated = 0;
    struct shash_node *node;

    shash_clear_free_data(&ac->zones);
    SHASH_FOR_EACH (node, &a->routes) {
        const struct egress_route *route = node->data;

        for (int family = 0; agent_is_gateway_of(a, route) && family < N_IP_FAMILIES; family++) {
            const struct in6_addr *ip = &route->egress_ips[family];
            char *text = ip_to_string(ip);

            if (ip_is_set(ip) && !shash_find(&ac->zones, text)) {
                uint16_t zone = egress_ct_zone(ip);

                if (n >= allocated) {
                    ids = x2nrealloc(ids, &allocated, sizeof *ids);
                }
                ids[n++] = zone;
                shash_add(&ac->zones, text, xmemdup(&zone, sizeof zone));
            }
            free(text);
        }
    }
    ct_counts_set_zones(ac->counts, ids, n);
    free(ids);
}

/* Begins to ask for fresh numbers. */
void
agent_connections_refresh(struct agent *a, long long int now)
{
    const char *datapath_type = ports_get_view(a->ports)->datapath_type;

    if (a->connections && datapath_type && strcmp(datapath_type, "system")) {
        ct_counts_refresh(a->connections->counts, datapath_type, now);
    }
}

/* Are fresh numbers on their way? */
bool
agent_connections_is_busy(const struct agent *a)
{
    return a->connections && ct_counts_is_busy(a->connections->counts);
}

/* Has new zones counted from the start, and all of them again after a restart of the switch. */
void
agent_connections_run(struct agent *a, long long int now)
{
    struct agent_connections *ac = a->connections;
    uint64_t n_switches = of_switch_get_stats(a->sw)->n_connections;

    if (!ac) {
        return;
    }
    if (ac->own_routes_seqno != a->own_routes_seqno) {
        ac->own_routes_seqno = a->own_routes_seqno;
        follow_routes(a);
        agent_connections_refresh(a, now);
    }
    if (ac->n_switches != n_switches) {
        ac->n_switches = n_switches;
        agent_connections_refresh(a, now);
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
    struct shash_node *node;

    metrics_family(m, "ovs_egress_connections", METRIC_GAUGE,
                   "Connections in conntrack that leave by an egress IP of this node.");
    SHASH_FOR_EACH (node, &a->connections->zones) {
        const uint16_t *zone = node->data;
        uint32_t count;

        if (ct_counts_get(a->connections->counts, *zone, &count)) {
            metrics_put(m, count, "egress_ip", node->name, NULL);
        }
    }
}
