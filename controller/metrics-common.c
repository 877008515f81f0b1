#include <config.h>
#include "controller/metrics-common.h"

#include <stdlib.h>
#include "controller/metrics.h"
#include "k8s/kube-http.h"
#include "k8s/kube-reflector.h"
#include "k8s/kube-source.h"
#include "k8s/route-object.h"
#include "openvswitch/shash.h"
#include "pipeline/model.h"
#include "util.h"

void
metrics_put_build(struct metrics *m)
{
    metrics_family(m, "ovs_egress_build_info", METRIC_GAUGE, "The program's version; always 1.");
    metrics_put(m, 1, "program", program_name, "version", OVS_EGRESS_VERSION, NULL);
}

/* Puts how many of 'routes', of struct egress_route, are in which state. */
void
metrics_put_routes(struct metrics *m, const struct shash *routes)
{
    static const enum route_state states[] = { ROUTE_ACTIVE, ROUTE_NO_EGRESS_IP, ROUTE_NO_GATEWAY };
    size_t counts[ARRAY_SIZE(states)] = { 0 };
    struct shash_node *node;

    SHASH_FOR_EACH (node, routes) {
        const struct egress_route *route = node->data;

        for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
            counts[i] += route->state == states[i];
        }
    }
    metrics_family(m, "ovs_egress_routes", METRIC_GAUGE, "Routes, that is decided policies, by state.");
    for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
        metrics_put(m, counts[i], "state", egress_route_state_word(states[i]), NULL);
    }
}

void
metrics_put_problems(struct metrics *m, size_t n)
{
    metrics_family(m, "ovs_egress_problems", METRIC_GAUGE, "What a person has to mend, as the tool shows it.");
    metrics_put(m, n, NULL);
}

/* The server as such. */
static void
put_server(struct metrics *m, const struct source *source)
{
    static const char *const codes[] = { NULL, "1xx", "2xx", "3xx", "4xx", "5xx" };
    const struct kube_http_stats *stats = kube_http_get_stats(kube_source_get_http(source));

    metrics_family(m, "ovs_egress_api_reachable", METRIC_GAUGE,
                   "1 if the API server answers for at least one resource, else 0.");
    metrics_put(m, kube_source_is_reachable(source), NULL);
    metrics_family(m, "ovs_egress_api_last_contact_timestamp_seconds", METRIC_GAUGE,
                   "When the API server last sent anything, since 1970; 0 for never.");
    metrics_put(m, stats->last_contact / 1000.0, NULL);
    metrics_family(m, "ovs_egress_api_requests_total", METRIC_COUNTER,
                   "Requests to the API server that are over, by the answer's status; "
                   "\"none\" had no complete answer.");
    metrics_put(m, stats->errors, "code", "none", NULL);
    for (size_t i = 2; i < ARRAY_SIZE(codes); i++) {
        metrics_put(m, stats->answers[i], "code", codes[i], NULL);
    }
    metrics_family(m, "ovs_egress_api_connections_total", METRIC_COUNTER,
                   "Connections to the API server that were opened.");
    metrics_put(m, stats->connections, NULL);
}

/* The resources that are followed, with their names as kubectl knows them. */
struct resource {
    char *name;                 /* Owned. */
    struct kube_feed_status status;
};

static struct resource *
list_resources(const struct source *source, size_t *n)
{
    struct resource *resources;

    *n = kube_source_n_feeds(source);
    resources = xmalloc(*n * sizeof *resources);
    for (size_t i = 0; i < *n; i++) {
        struct kube_feed_status status = kube_source_get_feed(source, i);

        resources[i].status = status;
        resources[i].name = xasprintf("%s%s%s", status.plural, *status.group ? "." : "", status.group);
    }
    return resources;
}

static void
put_resources(struct metrics *m, const struct resource *resources, size_t n)
{
    metrics_family(m, "ovs_egress_api_objects", METRIC_GAUGE,
                   "Objects that the API server told of and that exist, by resource.");
    for (size_t i = 0; i < n; i++) {
        metrics_put(m, resources[i].status.n_objects, "resource", resources[i].name, NULL);
    }
    metrics_family(m, "ovs_egress_api_lists_total", METRIC_COUNTER,
                   "Complete lists, by resource: one, and one for each time that a watch could not "
                   "be taken up where it ended.");
    for (size_t i = 0; i < n; i++) {
        metrics_put(m, resources[i].status.stats->lists, "resource", resources[i].name, NULL);
    }
    metrics_family(m, "ovs_egress_api_watches_total", METRIC_COUNTER,
                   "Watches begun, by resource; they end now and then by intention.");
    for (size_t i = 0; i < n; i++) {
        metrics_put(m, resources[i].status.stats->watches, "resource", resources[i].name, NULL);
    }
    metrics_family(m, "ovs_egress_api_watch_events_total", METRIC_COUNTER,
                   "Changes that watches told, by resource.");
    for (size_t i = 0; i < n; i++) {
        metrics_put(m, resources[i].status.stats->events, "resource", resources[i].name, NULL);
    }
    metrics_family(m, "ovs_egress_api_errors_total", METRIC_COUNTER,
                   "Lists and watches that failed, by resource.");
    for (size_t i = 0; i < n; i++) {
        metrics_put(m, resources[i].status.stats->errors, "resource", resources[i].name, NULL);
    }
}

/* Puts how 'source' gets along with the API server, if that is where it has its objects from. */
void
metrics_put_api(struct metrics *m, const struct source *source)
{
    struct resource *resources;
    size_t n;

    if (!kube_source_get_http(source)) {
        return;
    }
    put_server(m, source);
    resources = list_resources(source, &n);
    put_resources(m, resources, n);
    for (size_t i = 0; i < n; i++) {
        free(resources[i].name);
    }
    free(resources);
}
