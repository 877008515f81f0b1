/* What machines ask the manager, over HTTP: see docs/metrics.md. */

#include <config.h>
#include "controller/manager-private.h"

#include <stdlib.h>
#include "controller/metrics-common.h"
#include "controller/metrics-server.h"
#include "controller/metrics.h"
#include "k8s/node-leases.h"
#include "timeval.h"
#include "util.h"

static void
put_lease(struct metrics *m, const struct manager *manager)
{
    const struct kube_lease_stats *stats = kube_lease_get_stats(manager->lease);

    metrics_family(m, "ovs_egress_leader", METRIC_GAUGE, "1 if this replica decides, else 0.");
    metrics_put(m, manager->leading, NULL);
    metrics_family(m, "ovs_egress_lease_acquired_total", METRIC_COUNTER,
                   "Times that this replica became the leader.");
    metrics_put(m, stats->acquired, NULL);
    metrics_family(m, "ovs_egress_lease_lost_total", METRIC_COUNTER,
                   "Times that it ceased to be, not by its own will.");
    metrics_put(m, stats->lost, NULL);
    metrics_family(m, "ovs_egress_lease_errors_total", METRIC_COUNTER,
                   "Attempts to read or renew the Lease that failed.");
    metrics_put(m, stats->errors, NULL);
}

static void
put_pools(struct metrics *m, const struct manager *manager)
{
    const struct shash *pools = &source_get_model(manager->source)->pools;
    struct shash_node *node;

    metrics_family(m, "ovs_egress_pool_addresses", METRIC_GAUGE, "Addresses that a pool has to give.");
    SHASH_FOR_EACH (node, pools) {
        metrics_put(m, manager_pool_total(node->data), "pool", node->name, NULL);
    }
    metrics_family(m, "ovs_egress_pool_addresses_used", METRIC_GAUGE,
                   "Those of them that some policy has.  Only the leader tells.");
    SHASH_FOR_EACH (node, pools) {
        if (manager->leading) {
            metrics_put(m, manager_pool_used(manager, node->name), "pool", node->name, NULL);
        }
    }
}

static void
put_nodes(struct metrics *m, const struct manager *manager)
{
    struct node_lease_counts counts = node_leases_count(manager->node_leases);

    metrics_family(m, "ovs_egress_nodes", METRIC_GAUGE,
                   "Nodes whose agents tell whether they can be gateways, by what they tell.");
    metrics_put(m, counts.ready, "gateway", "ready", NULL);
    metrics_put(m, counts.not_ready, "gateway", "not_ready", NULL);
    metrics_put(m, counts.silent, "gateway", "silent", NULL);
}

static void
put_decisions(struct metrics *m, const struct manager *manager)
{
    const struct egress_model *model = source_get_model(manager->source);

    metrics_family(m, "ovs_egress_policies", METRIC_GAUGE, "Policies that make sense.");
    metrics_put(m, shash_count(&model->policies), NULL);
    /* A replica that does not lead knows what the leader decided. */
    metrics_put_routes(m, manager->leading ? &manager->routes : &model->routes);
    metrics_put_problems(m, source_get_problems(manager->source)->n + manager->problems.n);
}

static void
put_writes(struct metrics *m, const struct manager *manager)
{
    const struct kube_writer_stats *stats = kube_writer_get_stats(manager->writer);

    metrics_family(m, "ovs_egress_writes_total", METRIC_COUNTER,
                   "Writes of routes, statuses and Events that are over, by result.");
    metrics_put(m, stats->succeeded, "result", "succeeded", NULL);
    metrics_put(m, stats->refused, "result", "refused", NULL);
    metrics_put(m, stats->replaced, "result", "replaced", NULL);
    metrics_family(m, "ovs_egress_write_retries_total", METRIC_COUNTER,
                   "Writes that were tried again because the API server was not able to take them.");
    metrics_put(m, stats->retries, NULL);
    metrics_family(m, "ovs_egress_pending_writes", METRIC_GAUGE, "Writes that are not over yet, by state.");
    metrics_put(m, manager_count_waiting(manager), "state", "waiting", NULL);
    metrics_put(m, kube_writer_n_in_flight(manager->writer), "state", "in_flight", NULL);
    metrics_family(m, "ovs_egress_events_total", METRIC_COUNTER,
                   "Events for users, by whether there were too many to write them.");
    metrics_put(m, manager->n_events, "result", "written", NULL);
    metrics_put(m, manager->n_events_dropped, "result", "dropped", NULL);
}

static void
put_metrics(struct metrics *m, void *manager_)
{
    const struct manager *manager = manager_;

    metrics_put_build(m);
    put_lease(m, manager);
    put_decisions(m, manager);
    put_nodes(m, manager);
    put_pools(m, manager);
    put_writes(m, manager);
    metrics_put_api(m, manager->source);
}

static const char *
why_not_ready(void *manager_)
{
    const struct manager *manager = manager_;

    return source_is_synced(manager->source) ? NULL : "not everything has been read from the API server yet";
}

/* Starts to serve metrics at 'where', unless that is NULL.  Returns false with an error that the caller frees in
 * '*errorp' if that fails. */
bool
manager_metrics_init(struct manager *m, const char *where, char **errorp)
{
    static const struct metrics_server_ops ops = { .put = put_metrics, .why_not_ready = why_not_ready };

    if (where) {
        m->metrics_server = metrics_server_create(where, &ops, m, errorp);
    }
    return !where || m->metrics_server;
}
