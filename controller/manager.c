#include <config.h>
#include "controller/manager.h"

#include <stdlib.h>
#include <string.h>
#include "controller/manager-private.h"
#include "controller/metrics-server.h"
#include "controller/resolve.h"
#include "k8s/kube-source.h"
#include "k8s/node-leases.h"
#include "k8s/status.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_manager);

/* How often everything is compared, should a change have been missed: what somebody else changed on the server is
 * noticed by the watches anyhow. */
#define PASS_INTERVAL_MS 300000

/* Writes that wait to be sent.  What more there is waits as an id, which takes less room and is up to date whenever its turn
 * comes. */
#define MAX_WAITING 64

/* How many objects are looked at until other business has its turn. */
#define MAX_LOOKS 500

/* Up to one in so many policies may change until deciding about all is about as fast. */
#define FEW 4

/* Goes by the time that it is, not by when the main loop's turn began: deciding takes time, too. */
static bool
may_write(long long int turn OVS_UNUSED, void *m_)
{
    const struct manager *m = m_;

    return m->leading && kube_lease_is_held(m->lease, time_msec());
}

/* Stores in '*errorp' that 'error', which is consumed, is about 'option'. */
static void
set_option_error(char **errorp, const char *option, char *error)
{
    *errorp = xasprintf("--%s: %s", option, error);
    free(error);
}

/* Returns the manager that does what 'options' say, or NULL with an error that the caller frees in '*errorp'. */
struct manager *
manager_create(const struct manager_options *options, char **errorp)
{
    char *error = NULL;
    struct kube_config *config = kube_config_load(options->kubeconfig, &error);
    struct source_config source_config = { .view = SOURCE_VIEW_CLUSTER };
    struct manager *m;

    if (!config) {
        set_option_error(errorp, "kubeconfig", error);
        return NULL;
    }
    m = xzalloc(sizeof *m);
    m->config = config;
    m->http = kube_http_create(config);
    shash_init(&m->routes);
    problem_list_init(&m->problems);
    sset_init(&m->dirty_routes);
    sset_init(&m->dirty_statuses);
    shash_init(&m->objects);
    shash_init(&m->sent_routes);
    shash_init(&m->refusals);
    shash_init(&m->sent_statuses);
    m->event_tokens_at = time_msec();
    m->event_tokens = MANAGER_EVENT_BURST;
    m->source = kube_source_create(m->http, &source_config, manager_status_observe, m);

    manager_nodes_init(m, options->node_lease_namespace);

    struct kube_lease_args lease_args = {
        .namespace = options->lease_namespace, .name = options->lease_name,
        .identity = options->identity, .duration_ms = options->lease_duration_ms,
        .renew_deadline_ms = options->renew_deadline_ms, .retry_ms = options->retry_ms,
    };
    m->lease = kube_lease_create(m->http, &lease_args);
    struct kube_writer_args writer_args = { .may_write = may_write, .aux = m };
    m->writer = kube_writer_create(m->http, &writer_args);
    manager_show_init(m);
    if (!manager_metrics_init(m, options->metrics, &error)) {
        set_option_error(errorp, "metrics", error);
        manager_destroy(m);
        return NULL;
    }
    return m;
}

static void
routes_clear(struct shash *routes)
{
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, routes) {
        egress_route_unref(node->data);
        shash_delete(routes, node);
    }
}

void
manager_destroy(struct manager *m)
{
    m->leading = false;
    metrics_server_destroy(m->metrics_server);
    kube_writer_destroy(m->writer);
    manager_routes_forget_sent(m);
    kube_lease_destroy(m->lease);
    manager_nodes_destroy(m);
    source_close(m->source);
    manager_status_destroy(m);
    kube_http_destroy(m->http);
    kube_config_destroy(m->config);
    routes_clear(&m->routes);
    shash_destroy(&m->routes);
    shash_destroy(&m->sent_routes);
    manager_routes_clear_refusals(m);
    shash_destroy(&m->refusals);
    problem_list_destroy(&m->problems);
    sset_destroy(&m->dirty_routes);
    sset_destroy(&m->dirty_statuses);
    free(m);
}

static void
mark_pools_dirty(struct manager *m)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &source_get_model(m->source)->pools) {
        sset_add(&m->dirty_statuses, node->name);
    }
}

/* Everything that exists may have to be written. */
static void
mark_all_dirty(struct manager *m)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &source_get_model(m->source)->routes) {
        sset_add(&m->dirty_routes, node->name);
    }
    SHASH_FOR_EACH (node, &m->routes) {
        sset_add(&m->dirty_routes, node->name);
    }
    SHASH_FOR_EACH (node, &m->objects) {
        sset_add(&m->dirty_statuses, node->name);
    }
}

static void
mark_problems_dirty(struct manager *m, const struct problem_list *problems)
{
    for (size_t i = 0; i < problems->n; i++) {
        sset_add(&m->dirty_statuses, problems->problems[i].object);
    }
}

/* Marks what has to be written because the route of 'id' is 'new' instead of what it was, and tells people.  Either may be
 * NULL. */
static void
follow_decision(struct manager *m, const char *id, const struct egress_route *new)
{
    const struct egress_route *old = shash_find_data(&m->routes, id);

    if (!old != !new || (new && !egress_route_equals(old, new))) {
        sset_add(&m->dirty_routes, id);
        sset_add(&m->dirty_statuses, id);
        if (new) {
            manager_events_about_route(m, old, new);
        }
    }
}

/* Puts 'routes' in force instead of what was decided before, and marks what is different. */
static void
adopt_decision(struct manager *m, struct shash *routes)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, routes) {
        follow_decision(m, node->name, node->data);
    }
    SHASH_FOR_EACH (node, &m->routes) {
        if (!shash_find(routes, node->name)) {
            follow_decision(m, node->name, NULL);
        }
    }
    shash_swap(&m->routes, routes);
    routes_clear(routes);
}

/* What is decided from. */
static struct resolve_input
resolve_input_of(const struct manager *m)
{
    return (struct resolve_input) {
        .model = source_get_model(m->source), .previous = &m->routes,
        .unfit = node_leases_get_unfit(m->node_leases),
    };
}

static void
decide(struct manager *m)
{
    struct resolve_input input = resolve_input_of(m);
    struct shash routes = SHASH_INITIALIZER(&routes);

    mark_problems_dirty(m, &m->problems);
    problem_list_clear(&m->problems);
    resolve(&input, &routes, &m->problems);
    mark_problems_dirty(m, &m->problems);
    adopt_decision(m, &routes);
    mark_pools_dirty(m);
    shash_destroy(&routes);
}

/* From here on this replica decides.  What the one before decided is the history. */
static void
begin_to_lead(struct manager *m, long long int now)
{
    struct shash_node *node;

    VLOG_INFO("leading");
    m->leading = true;
    routes_clear(&m->routes);
    SHASH_FOR_EACH (node, &source_get_model(m->source)->routes) {
        shash_add(&m->routes, node->name, egress_route_ref(node->data));
    }
    decide(m);
    mark_all_dirty(m);
    m->next_pass = now + PASS_INTERVAL_MS;
    model_changes_clear(source_get_changes(m->source));
}

static void
cease_to_lead(struct manager *m)
{
    VLOG_INFO("no longer leading");
    m->leading = false;
    kube_writer_clear(m->writer);
    manager_routes_forget_sent(m);
    manager_routes_clear_refusals(m);
    manager_status_forget_sent(m);
    routes_clear(&m->routes);
    problem_list_clear(&m->problems);
    sset_clear(&m->dirty_routes);
    sset_clear(&m->dirty_statuses);
}

/* Decides about the policies 'ids' alone.  Returns false if that is not possible. */
static bool
decide_some(struct manager *m, const struct sset *ids)
{
    struct resolve_input input = resolve_input_of(m);
    struct shash routes = SHASH_INITIALIZER(&routes);
    bool ok = (sset_count(ids) <= shash_count(&m->routes) / FEW
               && resolve_changes(&input, ids, &m->problems, &routes));
    bool same_usage = true;        /* Of pools. */
    const char *id;

    SSET_FOR_EACH (id, ids) {
        if (ok) {
            struct egress_route *new = shash_find_and_delete(&routes, id);
            struct egress_route *old = shash_find_data(&m->routes, id);

            same_usage = (same_usage && old && new
                          && nullable_string_is_equal(old->policy->pool, new->policy->pool)
                          && !memcmp(old->egress_ips, new->egress_ips, sizeof old->egress_ips));
            follow_decision(m, id, new);
            egress_route_unref(shash_find_and_delete(&m->routes, id));
            if (new) {
                shash_add(&m->routes, id, new);
            }
        }
    }
    if (!same_usage) {
        mark_pools_dirty(m);
    }
    shash_destroy(&routes);
    return ok;
}

static void
follow_source(struct manager *m)
{
    struct model_changes *changes = source_get_changes(m->source);
    const char *id;

    if (model_changes_is_empty(changes)) {
        return;
    }
    manager_routes_forget_sent(m);
    if (!sset_is_empty(&changes->pools) || !sset_is_empty(&changes->nodes)
        || !decide_some(m, &changes->policies)) {
        decide(m);
    }
    SSET_FOR_EACH (id, &changes->routes) {
        sset_add(&m->dirty_routes, id);
    }
    model_changes_clear(changes);
}

static bool
may_submit(const struct manager *m)
{
    return kube_writer_n_waiting(m->writer) < MAX_WAITING;
}

/* Has 'write' look at what is 'dirty', '*budget' of it at most. */
static void
write_some(struct manager *m, struct sset *dirty, void (*write)(struct manager *, const char *id), int *budget)
{
    while (!sset_is_empty(dirty) && may_submit(m) && (*budget)-- > 0) {
        char *id = sset_pop(dirty);

        write(m, id);
        free(id);
    }
}

/* Routes go first: agents wait for them. */
static void
write_dirty(struct manager *m)
{
    int budget = MAX_LOOKS;

    write_some(m, &m->dirty_routes, manager_routes_write, &budget);
    write_some(m, &m->dirty_statuses, manager_status_write, &budget);
}

/* How many writes there are, or may be, that are not sent yet. */
size_t
manager_count_waiting(const struct manager *m)
{
    return (kube_writer_n_waiting(m->writer) + sset_count(&m->dirty_routes)
            + sset_count(&m->dirty_statuses));
}

void
manager_run(struct manager *m)
{
    long long int now = time_msec();
    bool nodes_changed;

    /* Before anything is sent: after a pause, of the whole process for instance, the writes that were about to be sent
     * would be somebody else's business. */
    if (m->leading && !kube_lease_is_held(m->lease, now)) {
        cease_to_lead(m);
    }
    kube_http_run(m->http, now);
    source_run(m->source);
    nodes_changed = manager_nodes_run(m, now);
    kube_lease_run(m->lease, now);

    bool held = kube_lease_is_held(m->lease, now);
    if (held && !m->held) {
        /* We may have yet to hear of what another leader decided, and of what for. */
        kube_source_refresh(m->source);
    }
    m->held = held;
    if (held && !m->leading && kube_source_is_fresh(m->source)) {
        begin_to_lead(m, now);
    } else if (!held && m->leading) {
        cease_to_lead(m);
    }
    if (m->leading) {
        follow_source(m);
        if (nodes_changed) {
            decide(m);
        }
        if (now >= m->next_pass) {
            mark_all_dirty(m);
            m->next_pass = now + PASS_INTERVAL_MS;
        }
        write_dirty(m);
    }
    kube_writer_run(m->writer, now);
    metrics_server_run(m->metrics_server, now);
}

void
manager_wait(struct manager *m)
{
    kube_http_wait(m->http);
    source_wait(m->source);
    manager_nodes_wait(m);
    kube_lease_wait(m->lease);
    kube_writer_wait(m->writer);
    metrics_server_wait(m->metrics_server);
    if (m->leading) {
        if (may_submit(m) && !(sset_is_empty(&m->dirty_routes) && sset_is_empty(&m->dirty_statuses))) {
            poll_immediate_wake();
        }
        poll_timer_wait_until(m->next_pass);
    }
}

void
manager_release(struct manager *m)
{
    if (m->leading) {
        cease_to_lead(m);
    }
    kube_lease_release(m->lease);
}

bool
manager_is_released(const struct manager *m)
{
    return kube_lease_is_released(m->lease);
}
