/* EgressRoutes: what is decided, as objects that the agents follow. */

#include <config.h>
#include "controller/manager-private.h"

#include <stdlib.h>
#include "k8s/route-object.h"
#include "k8s/status.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_manager_routes);

/* How long a write that the server refuses waits until it is tried again. */
#define REFUSED_DELAY_MS 10000

struct route_write {
    struct manager *manager;
    char *policy_id;
};

static void
set_sent(struct manager *m, const char *policy_id, const struct egress_route *route)
{
    struct shash_node *node = shash_find(&m->sent_routes, policy_id);

    if (node) {
        egress_route_unref(node->data);
    } else {
        node = shash_add(&m->sent_routes, policy_id, NULL);
    }
    node->data = route ? egress_route_ref(route) : NULL;
}

static void
forget_sent(struct manager *m, const char *policy_id)
{
    egress_route_unref(shash_find_and_delete(&m->sent_routes, policy_id));
}

/* Takes note that the server refused the route of 'policy_id', because of 'error', or if that is NULL, that it has
 * what it should.  The policy's status tells. */
static void
note_refusal(struct manager *m, const char *policy_id, const char *error)
{
    char *old = shash_find_and_delete(&m->refusals, policy_id);

    if (error) {
        shash_add(&m->refusals, policy_id, xstrdup(error));
    }
    if (!nullable_string_is_equal(old, error)) {
        sset_add(&m->dirty_statuses, policy_id);
    }
    free(old);
}

static void
route_written(const struct kube_response *response, long long int now, void *write_)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);
    struct route_write *write = write_;
    struct manager *m = write->manager;

    /* That an object that should go has gone already is as good. */
    if (response && response->error && response->status != 404) {
        VLOG_WARN_RL(&rl, "EgressRoute of %s: %s", write->policy_id, response->error);
        note_refusal(m, write->policy_id, response->error);
        forget_sent(m, write->policy_id);
        m->next_pass = MIN(m->next_pass, now + REFUSED_DELAY_MS);
    } else if (response) {
        note_refusal(m, write->policy_id, NULL);
    }
    free(write->policy_id);
    free(write);
}

static void
submit(struct manager *m, const char *policy_id, const struct egress_route *route)
{
    char *name = egress_route_object_name(policy_id);
    char *path = kube_path("ovs-egress.io", "v1alpha1", EGRESS_ROUTE_PLURAL, NULL, name, NULL);
    struct json_object *body = route ? egress_route_to_json(route) : NULL;
    struct route_write *write = xmalloc(sizeof *write);

    write->manager = m;
    write->policy_id = xstrdup(policy_id);
    struct kube_write args = {
        .op = route ? KUBE_APPLY : KUBE_DELETE, .path = path, .body = body,
        .field_manager = route ? program_name : NULL, .force = route != NULL,
        .done = route_written, .aux = write,
    };
    kube_writer_submit(m->writer, &args);
    json_body_unref(body);
    free(path);
    free(name);
}

static bool
same_route(const struct egress_route *a, const struct egress_route *b)
{
    return a && b ? egress_route_equals(a, b) : a == b;
}

/* Writes or deletes the EgressRoute of 'policy_id' if the server has another than was decided. */
void
manager_routes_write(struct manager *m, const char *policy_id)
{
    const struct egress_route *want = shash_find_data(&m->routes, policy_id);
    const struct shash_node *sent = shash_find(&m->sent_routes, policy_id);
    const struct egress_route *have = (sent ? sent->data
                                       : shash_find_data(&source_get_model(m->source)->routes, policy_id));

    if (!same_route(want, have)) {
        set_sent(m, policy_id, want);
        submit(m, policy_id, want);
    } else if (!sent) {
        note_refusal(m, policy_id, NULL);
    }
}

void
manager_routes_clear_refusals(struct manager *m)
{
    shash_clear_free_data(&m->refusals);
}

/* Goes by what the server says alone from now on: called with those routes of which it said something new, and with
 * all when leadership ends. */
void
manager_routes_forget_sent(struct manager *m)
{
    struct model_changes *changes = source_get_changes(m->source);
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &m->sent_routes) {
        if (!m->leading || sset_contains(&changes->routes, node->name)) {
            egress_route_unref(node->data);
            shash_delete(&m->sent_routes, node);
        }
    }
}
