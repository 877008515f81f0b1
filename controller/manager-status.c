/* The statuses of policies and pools, and Events about them. */

#include <config.h>
#include "controller/manager-private.h"

#include <stdlib.h>
#include "byte-order.h"
#include "k8s/language.h"
#include "k8s/status.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_manager_status);

#define REFUSED_DELAY_MS 10000

/* Events are a courtesy: no more than so many in the long run per second. */
#define EVENTS_PER_S 10

/* What the server has. */

/* Called for every object of the source, before the model changes. */
void
manager_status_observe(const struct object_kind *kind, const char *namespace, const char *name,
                       struct json_object *json, void *m_)
{
    struct manager *m = m_;
    char *id;

    if (kind->type != OBJECT_POLICY && kind->type != OBJECT_POOL) {
        return;
    }
    id = status_object_id(kind, namespace, name);
    status_object_destroy(shash_find_and_delete(&m->objects, id));
    if (json) {
        shash_add(&m->objects, id, status_object_create(kind, namespace, name, json));
        sset_add(&m->dirty_statuses, id);
    }
    json_body_unref(shash_find_and_delete(&m->sent_statuses, id));
    free(id);
}

void
manager_status_destroy(struct manager *m)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &m->objects) {
        status_object_destroy(node->data);
    }
    shash_destroy(&m->objects);
    m->leading = false;
    manager_status_forget_sent(m);
    shash_destroy(&m->sent_statuses);
}

/* Goes by what the server says alone from now on. */
void
manager_status_forget_sent(struct manager *m)
{
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &m->sent_statuses) {
        json_body_unref(node->data);
        shash_delete(&m->sent_statuses, node);
    }
}

/* What it should have. */

/* The problems of 'id' as one text that the caller frees, or NULL if there are none. */
static char *
find_problems(const struct manager *m, const char *id)
{
    const struct problem_list *lists[] = { source_get_problems(m->source), &m->problems };
    const char *refusal = shash_find_data(&m->refusals, id);
    struct ds ds = DS_EMPTY_INITIALIZER;

    if (refusal) {
        ds_put_format(&ds, "its EgressRoute cannot be written: %s", refusal);
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (size_t j = 0; j < lists[i]->n; j++) {
            if (!strcmp(lists[i]->problems[j].object, id)) {
                ds_put_format(&ds, "%s%s", ds.length ? "; " : "", lists[i]->problems[j].text);
            }
        }
    }
    return ds.length ? ds_steal_cstr(&ds) : NULL;
}

static uint64_t
range_size(const struct ip_range *range)
{
    uint64_t first[2], last[2];

    memcpy(first, &range->first, sizeof first);
    memcpy(last, &range->last, sizeof last);
    if (first[0] != last[0]) {
        return UINT64_MAX;
    }
    return ntohll((OVS_FORCE ovs_be64) last[1]) - ntohll((OVS_FORCE ovs_be64) first[1]) + 1;
}

/* Addresses in 'pool': of a CIDR all but the first and the last. */
uint64_t
manager_pool_total(const struct egress_pool *pool)
{
    uint64_t total = 0;

    for (size_t i = 0; i < pool->n_ranges; i++) {
        uint64_t size = range_size(&pool->ranges[i]);

        total = size > UINT64_MAX - total ? UINT64_MAX : total + size;
    }
    for (size_t i = 0; i < pool->n_cidrs; i++) {
        struct ip_range range = ip_prefix_range(&pool->cidrs[i]);
        uint64_t size = range_size(&range);

        size -= MIN(size, 2);
        total = size > UINT64_MAX - total ? UINT64_MAX : total + size;
    }
    return total;
}

/* Addresses of the pool 'id' that the decided routes have. */
uint64_t
manager_pool_used(const struct manager *m, const char *id)
{
    struct shash_node *node;
    uint64_t used = 0;

    SHASH_FOR_EACH (node, &m->routes) {
        const struct egress_route *route = node->data;

        if (nullable_string_is_equal(route->policy->pool, id)) {
            for (int family = 0; family < N_IP_FAMILIES; family++) {
                used += ip_is_set(&route->egress_ips[family]);
            }
        }
    }
    return used;
}

static struct json_object *
wanted_status(const struct manager *m, const struct status_object *object)
{
    char *problem = find_problems(m, object->id);
    struct json_object *status;

    if (object->kind->type == OBJECT_POOL) {
        const struct egress_pool *pool = shash_find_data(&source_get_model(m->source)->pools, object->id);

        status = status_of_pool(pool ? manager_pool_total(pool) : 0, manager_pool_used(m, object->id), problem);
    } else {
        status = status_of_policy(object->kind, shash_find_data(&m->routes, object->id), problem);
    }
    free(problem);
    return status;
}

/* Events. */

static bool
take_event_token(struct manager *m)
{
    long long int now = time_msec();

    m->event_tokens = MIN(MANAGER_EVENT_BURST,
                          m->event_tokens + (now - m->event_tokens_at) * (EVENTS_PER_S / 1000.0));
    m->event_tokens_at = now;
    if (m->event_tokens < 1) {
        m->n_events_dropped++;
        return false;
    }
    m->event_tokens--;
    m->n_events++;
    return true;
}

static void OVS_PRINTF_FORMAT(5, 6)
send_event(struct manager *m, const char *id, bool warning, const char *reason, const char *format, ...)
{
    const struct status_object *object = shash_find_data(&m->objects, id);
    va_list args;
    char *message;

    if (!object || !take_event_token(m)) {
        return;
    }
    va_start(args, format);
    message = xvasprintf(format, args);
    va_end(args);

    struct json_object *event = event_encode(object, warning, reason, message, time_wall_msec());
    char *path = event_path(object);
    char *key = xasprintf("event/%s/%s/%"PRIu64, id, reason, m->n_events);
    struct kube_write write = {
        .op = KUBE_CREATE, .key = key, .path = path, .body = event, .field_manager = program_name,
    };
    kube_writer_submit(m->writer, &write);
    json_body_unref(event);
    free(key);
    free(path);
    free(message);
}

/* Tells the user of 'object' what is wrong with it, if that is news: it was not in the status 'have', and no decision's
 * event tells it. */
static void
tell_problem(struct manager *m, const struct status_object *object, struct json_object *have,
             struct json_object *want)
{
    const struct egress_route *route = shash_find_data(&m->routes, object->id);
    const char *problem = status_get_problem(want);

    if (problem && !nullable_string_is_equal(problem, status_get_problem(have))
        && !(route && nullable_string_is_equal(problem, route->reason))) {
        send_event(m, object->id, true, "Invalid", "%s", problem);
    }
}

/* Writing. */

struct status_write {
    struct manager *manager;
    char *id;
};

static void
status_written(const struct kube_response *response, long long int now, void *write_)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);
    struct status_write *write = write_;
    struct manager *m = write->manager;

    if (response && response->error) {
        if (response->status != 404) {          /* It may have been deleted meanwhile. */
            VLOG_WARN_RL(&rl, "status of %s: %s", write->id, response->error);
        }
        json_body_unref(shash_find_and_delete(&m->sent_statuses, write->id));
        m->next_pass = MIN(m->next_pass, now + REFUSED_DELAY_MS);
    }
    free(write->id);
    free(write);
}

/* Writes the status of the policy or pool 'id' if the server has another than it should be. */
void
manager_status_write(struct manager *m, const char *id)
{
    const struct status_object *object = shash_find_data(&m->objects, id);

    if (!object) {
        return;
    }
    struct json_object *want = wanted_status(m, object);
    struct json_object *sent = shash_find_data(&m->sent_statuses, id);
    struct json_object *have = status_object_parse(object);
    if (status_is_in_force(sent ? sent : have, want)) {
        json_body_unref(have);
        json_body_unref(want);
        return;
    }
    tell_problem(m, object, sent ? sent : have, want);

    struct status_write *write = xmalloc(sizeof *write);
    char *path = status_object_path(object);
    struct json_object *patch = status_to_patch(want, have, time_wall());
    *write = (struct status_write) { m, xstrdup(id) };
    struct kube_write args = {
        .op = KUBE_MERGE_PATCH, .path = path, .body = patch, .field_manager = program_name,
        .done = status_written, .aux = write,
    };
    kube_writer_submit(m->writer, &args);
    json_body_unref(sent);
    shash_replace(&m->sent_statuses, id, json_body_ref(want));
    json_body_unref(patch);
    json_body_unref(have);
    free(path);
}

/* Events about decisions. */

static char *
egress_ips_to_string(const struct egress_route *route)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    for (int family = 0; family < N_IP_FAMILIES; family++) {
        if (ip_is_set(&route->egress_ips[family])) {
            ds_put_cstr(&ds, ds.length ? ", " : "");
            ip_format(&route->egress_ips[family], &ds);
        }
    }
    return ds_steal_cstr(&ds);
}

static const char *
failure_reason(const struct egress_route *route)
{
    if (route->state == ROUTE_NO_GATEWAY) {
        return "NoGateway";
    } else if (strstr(route->reason, "exhausted")) {
        return "PoolExhausted";
    } else if (strstr(route->reason, "already claimed")) {
        return "Conflict";
    }
    return "Invalid";
}

/* Tells the user of a policy what changed for it: 'old' is NULL if it is new. */
void
manager_events_about_route(struct manager *m, const struct egress_route *old,
                           const struct egress_route *new)
{
    const char *id = new->policy->id;
    bool was_active = old && old->state == ROUTE_ACTIVE;

    if (new->state != ROUTE_ACTIVE) {
        if (!old || old->state != new->state || !nullable_string_is_equal(old->reason, new->reason)) {
            send_event(m, id, true, failure_reason(new), "%s", new->reason);
        }
        return;
    }
    char *ips = egress_ips_to_string(new);
    const char *node = new->candidates.names[0];
    if (!was_active || memcmp(old->egress_ips, new->egress_ips, sizeof old->egress_ips)) {
        send_event(m, id, false, "Allocated", "egress IP %s, gateway %s", ips, node);
    } else if (strcmp(old->candidates.names[0], node)) {
        send_event(m, id, false, "Moved", "egress IP %s moved from %s to %s", ips,
                   old->candidates.names[0], node);
    }
    free(ips);
}
