/* What machines ask the agent, over HTTP: see docs/metrics.md. */

#include <config.h>
#include "controller/agent-private.h"

#include <stdlib.h>
#include "byte-order.h"
#include "controller/metrics-common.h"
#include "controller/metrics-server.h"
#include "controller/metrics.h"
#include "hash.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "util.h"

/* How old what is told of routes' counters may be.  The switch has to look at all of its 'snat' stage for them, once,
 * however many ask. */
#define COUNTERS_MAX_AGE_MS 5000

static const double latency_bounds[] = {
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
};

/* Changes that the switch has to confirm. */
struct pending_sync {
    uint64_t seqno;             /* The switch's, of the first of them; 0 for none. */
    long long int begun_us;     /* When it was noticed. */
};

/* What went through a route's translation here, in 'counters' of struct agent_metrics. */
struct route_counter {
    struct hmap_node node;      /* By 'number'. */
    uint32_t number;
    uint64_t n_packets, n_bytes;
};

struct agent_metrics {
    struct metrics_server *server;      /* NULL if there is none. */

    struct metrics_histogram latency;
    uint64_t seqno;             /* The switch's, up to which changes were seen. */
    struct pending_sync current, next;

    struct hmap counters;       /* struct route_counter. */
    struct hmap fresh;          /* The same, while the switch tells them. */
    bool fetching;
    long long int counters_at;  /* When they were asked for last. */
};

/* Latency. */

/* Follows what becomes of changes.  What is sent goes out in rounds, of which one is under way at a time, so at most two
 * times have to be kept: those of the first change in the round, and of the first one after it. */
static void
follow_sync(struct agent *a, long long int begun_us)
{
    struct agent_metrics *am = a->metrics;
    uint64_t seqno = of_switch_get_target_seqno(a->sw);

    if (am->current.seqno && of_switch_get_acked_seqno(a->sw) >= am->current.seqno) {
        metrics_histogram_add(&am->latency, (time_usec() - am->current.begun_us) / 1e6);
        am->current = am->next;
        am->next.seqno = 0;
    }
    if (seqno != am->seqno) {
        am->seqno = seqno;
        if (!am->current.seqno) {
            am->current = (struct pending_sync) { seqno, begun_us };
        } else if (!am->next.seqno) {
            am->next = (struct pending_sync) { seqno, begun_us };
        }
    }
}

/* Routes' counters. */

static struct route_counter *
find_counter(const struct hmap *counters, uint32_t number)
{
    struct route_counter *counter;

    HMAP_FOR_EACH_WITH_HASH (counter, node, hash_int(number, 0), counters) {
        if (counter->number == number) {
            return counter;
        }
    }
    return NULL;
}

static void
clear_counters(struct hmap *counters)
{
    struct route_counter *counter;

    HMAP_FOR_EACH_POP (counter, node, counters) {
        free(counter);
    }
}

/* Takes one flow of stage 'snat': a route has one per family. */
static void
take_flow(const struct ofputil_flow_stats *fs, void *am_)
{
    struct agent_metrics *am = am_;
    uint32_t number = ntohll(fs->cookie) & ROUTE_NUMBER_MAX;
    struct route_counter *counter = find_counter(&am->fresh, number);

    if (!counter) {
        counter = xzalloc(sizeof *counter);
        counter->number = number;
        hmap_insert(&am->fresh, &counter->node, hash_int(number, 0));
    }
    counter->n_packets += fs->packet_count;
    counter->n_bytes += fs->byte_count;
}

static void
fetched(bool complete, void *am_)
{
    struct agent_metrics *am = am_;

    am->fetching = false;
    if (complete) {
        hmap_swap(&am->counters, &am->fresh);
    }
    clear_counters(&am->fresh);
    poll_immediate_wake();      /* For whoever waits for them. */
}

static bool
is_fetching(long long int now, void *a_)
{
    struct agent *a = a_;
    struct agent_metrics *am = a->metrics;

    if (!am->fetching && a->started && now >= am->counters_at + COUNTERS_MAX_AGE_MS) {
        struct flow_query_args args = {
            .table_id = a->options->table_base + EGRESS_TABLE_SNAT,
            .cookie = egress_cookie(EGRESS_OWNER_ROUTE, 0), .cookie_mask = UINT64_C(0xffffff0000000000),
            .flow = take_flow, .done = fetched, .aux = am,
        };

        am->fetching = of_switch_query_flows(a->sw, &args);
        agent_connections_refresh(a, now);
        am->counters_at = now;
    }
    return am->fetching || agent_connections_is_busy(a);
}

/* What is told. */

static void
put_pods(struct metrics *m, const struct agent *a)
{
    size_t n_selected = 0, n_held = 0;
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->pods) {
        const struct agent_pod *pod = node->data;

        n_selected += pod->class != NULL;
        n_held += pod->state == POD_HELD;
    }
    metrics_family(m, "ovs_egress_local_pods", METRIC_GAUGE, "Pods with a port on this node's bridge.");
    metrics_put(m, shash_count(&a->pods), NULL);
    metrics_family(m, "ovs_egress_selected_pods", METRIC_GAUGE,
                   "Pods on this node that follow at least one route.");
    metrics_put(m, n_selected, NULL);
    metrics_family(m, "ovs_egress_held_pods", METRIC_GAUGE,
                   "Pods on this node that a policy might select and that have no way out until more "
                   "is known of them.");
    metrics_put(m, n_held, NULL);
}

static void
put_flows(struct metrics *m, const struct agent *a)
{
    unsigned int counts[256] = { 0 };
    unsigned int base = a->options->table_base;

    flow_set_count_by_table(a->flows, counts);
    metrics_family(m, "ovs_egress_flows", METRIC_GAUGE,
                   "Flows of ours that the integration bridge should have, by stage; in others' tables "
                   "by their number.");
    for (unsigned int table = 0; table < ARRAY_SIZE(counts); table++) {
        const char *name = table >= base ? egress_table_name(table - base) : NULL;

        if (name) {
            metrics_put(m, counts[table], "table", name, NULL);
        } else if (counts[table]) {
            char number[8];

            snprintf(number, sizeof number, "%u", table);
            metrics_put(m, counts[table], "table", number, NULL);
        }
    }
    metrics_family(m, "ovs_egress_pending_flows", METRIC_GAUGE,
                   "Flows that the switch does not have as it should yet.");
    metrics_put(m, flow_set_count_pending(a->flows), NULL);
    metrics_family(m, "ovs_egress_rejected_flows", METRIC_GAUGE, "Flows that the switch refuses.");
    metrics_put(m, flow_set_count_rejected(a->flows), NULL);
}

static void
put_switch(struct metrics *m, const struct agent *a)
{
    const struct of_switch_stats *stats = of_switch_get_stats(a->sw);

    metrics_family(m, "ovs_egress_switch_connections_total", METRIC_COUNTER,
                   "Connections to the integration bridge.");
    metrics_put(m, stats->n_connections, NULL);
    metrics_family(m, "ovs_egress_flow_mods_total", METRIC_COUNTER, "Changes to flows sent, by kind.");
    metrics_put(m, stats->sync.n_adds, "type", "add", NULL);
    metrics_put(m, stats->sync.n_modifies, "type", "modify", NULL);
    metrics_put(m, stats->sync.n_deletes, "type", "delete", NULL);
    metrics_family(m, "ovs_egress_bundles_total", METRIC_COUNTER, "Bundles of changes sent.");
    metrics_put(m, stats->sync.n_bundles, NULL);
    metrics_family(m, "ovs_egress_bundle_errors_total", METRIC_COUNTER,
                   "Bundles that did not come into force.");
    metrics_put(m, stats->sync.n_bundle_errors, NULL);
    metrics_family(m, "ovs_egress_foreign_flow_changes_total", METRIC_COUNTER,
                   "Changes of others to our flows, which were put right.");
    metrics_put(m, stats->n_foreign_changes, NULL);
    metrics_family(m, "ovs_egress_packet_ins_total", METRIC_COUNTER,
                   "Packets that the switch handed to the agent.");
    metrics_put(m, stats->n_packet_ins, NULL);
    metrics_family(m, "ovs_egress_sync_latency_seconds", METRIC_HISTOGRAM,
                   "From a change noticed, by whatever input, until the switch has confirmed its flows.");
    metrics_put_histogram(m, &a->metrics->latency);
}

static void
put_gateway(struct metrics *m, const struct agent *a)
{
    size_t n_claimed = agent_gateway_count_claimed(a);

    metrics_family(m, "ovs_egress_gateway_ready", METRIC_GAUGE,
                   "1 if this node could be a gateway, that is if all conditions are met, else 0.");
    metrics_put(m, agent_is_gateway_ready(a), NULL);
    metrics_family(m, "ovs_egress_gateway_condition", METRIC_GAUGE,
                   "1 if the condition of a gateway is met, else 0.");
    for (int i = 0; i < N_AGENT_CONDITIONS; i++) {
        metrics_put(m, !agent_condition_failure(a, i), "condition", agent_condition_name(i), NULL);
    }
    metrics_family(m, "ovs_egress_egress_ips", METRIC_GAUGE,
                   "Egress IPs that are to be this node's, by whether they are claimed on the wire.");
    metrics_put(m, n_claimed, "state", "claimed", NULL);
    metrics_put(m, shash_count(&a->egress_ips) - n_claimed, "state", "unclaimed", NULL);
}

static void
put_route_counters(struct metrics *m, const struct agent *a)
{
    for (int bytes = 0; bytes < 2; bytes++) {
        struct shash_node *node;

        if (bytes) {
            metrics_family(m, "ovs_egress_route_bytes_total", METRIC_COUNTER,
                           "Bytes of those packets, with Ethernet headers.");
        } else {
            metrics_family(m, "ovs_egress_route_packets_total", METRIC_COUNTER,
                           "Packets of pods that this node, the gateway, translated, by policy.");
        }
        SHASH_FOR_EACH (node, &a->routes) {
            const struct egress_route *route = node->data;
            const struct route_counter *counter = find_counter(&a->metrics->counters, route->number);

            if (counter) {
                metrics_put(m, bytes ? counter->n_bytes : counter->n_packets, "route", node->name, NULL);
            }
        }
    }
}

static void
put_metrics(struct metrics *m, void *a_)
{
    const struct agent *a = a_;
    struct problem_list problems;

    agent_collect_problems(a, &problems);
    metrics_put_build(m);
    metrics_put_problems(m, problems.n);
    metrics_put_routes(m, &a->routes);
    put_pods(m, a);
    put_flows(m, a);
    put_switch(m, a);
    put_gateway(m, a);
    put_route_counters(m, a);
    agent_connections_put(a, m);
    metrics_put_api(m, a->source);
    problem_list_destroy(&problems);
}

static const char *
why_not_ready(void *a_)
{
    return agent_why_not_ready(a_);
}

/* Starts to serve metrics, if the options say so.  Ends the program if that fails. */
void
agent_metrics_init(struct agent *a)
{
    static const struct metrics_server_ops ops = {
        .is_fetching = is_fetching, .put = put_metrics, .why_not_ready = why_not_ready,
    };
    struct agent_metrics *am = xzalloc(sizeof *am);
    char *error = NULL;

    metrics_histogram_init(&am->latency, latency_bounds, ARRAY_SIZE(latency_bounds));
    am->seqno = of_switch_get_target_seqno(a->sw);
    hmap_init(&am->counters);
    hmap_init(&am->fresh);
    a->metrics = am;
    if (a->options->metrics) {
        am->server = metrics_server_create(a->options->metrics, &ops, a, &error);
        if (error) {
            ovs_fatal(0, "--metrics: %s", error);
        }
        agent_connections_init(a);
    }
}

/* To be called at the end of a turn of the loop that began at 'begun_us', by time_usec(). */
void
agent_metrics_run(struct agent *a, long long int now, long long int begun_us)
{
    follow_sync(a, begun_us);
    agent_connections_run(a, now);
    metrics_server_run(a->metrics->server, now);
}

void
agent_metrics_wait(struct agent *a)
{
    agent_connections_wait(a);
    metrics_server_wait(a->metrics->server);
}

/* To be called when the switch's connection is gone. */
void
agent_metrics_destroy(struct agent *a)
{
    metrics_server_destroy(a->metrics->server);
    agent_connections_destroy(a);
    clear_counters(&a->metrics->counters);
    clear_counters(&a->metrics->fresh);
    hmap_destroy(&a->metrics->counters);
    hmap_destroy(&a->metrics->fresh);
    free(a->metrics);
}
