/* Which nodes can be gateways, by what their agents say. */

#include <config.h>
#include "controller/manager-private.h"

#include <stdlib.h>
#include "k8s/kube-reflector.h"
#include "k8s/node-leases.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_manager_nodes);

static void
upsert(struct json_object *lease, void *m_)
{
    struct manager *m = m_;

    node_leases_upsert(m->node_leases, lease, time_msec());
}

static void
remove_lease(const char *namespace OVS_UNUSED, const char *name, void *m_)
{
    struct manager *m = m_;

    node_leases_remove(m->node_leases, name);
}

/* Begins to follow the agents' Leases in 'namespace'. */
void
manager_nodes_init(struct manager *m, const char *namespace)
{
    char *path = kube_path("coordination.k8s.io", "v1", "leases", namespace, NULL, NULL);
    struct kube_reflector_args args = { .path = path, .upsert = upsert, .remove = remove_lease, .aux = m };

    m->node_leases = node_leases_create();
    m->node_leases_reflector = kube_reflector_create(m->http, &args);
    free(path);
}

/* Logs who is unfit and was not in 'before', and the other way round. */
static void
log_changes(const struct manager *m, const struct sset *before)
{
    const struct shash *unfit = node_leases_get_unfit(m->node_leases);
    struct shash_node *node;
    const char *name;

    SHASH_FOR_EACH (node, unfit) {
        if (!sset_contains(before, node->name)) {
            VLOG_INFO("node %s is no gateway as long as there are others: %s", node->name,
                      (const char *) node->data);
        }
    }
    SSET_FOR_EACH (name, before) {
        if (!shash_find(unfit, name)) {
            VLOG_INFO("node %s can be a gateway again", name);
        }
    }
}

/* Returns true if other nodes can be gateways now than before. */
bool
manager_nodes_run(struct manager *m, long long int now)
{
    struct sset before = SSET_INITIALIZER(&before);
    struct shash_node *node;
    bool changed;

    SHASH_FOR_EACH (node, node_leases_get_unfit(m->node_leases)) {
        sset_add(&before, node->name);
    }
    kube_reflector_run(m->node_leases_reflector, now);
    changed = node_leases_run(m->node_leases, now);
    if (changed) {
        log_changes(m, &before);
    }
    sset_destroy(&before);
    return changed;
}

void
manager_nodes_wait(struct manager *m)
{
    kube_reflector_wait(m->node_leases_reflector);
    poll_timer_wait_until(node_leases_next_wakeup(m->node_leases));
}

void
manager_nodes_destroy(struct manager *m)
{
    kube_reflector_destroy(m->node_leases_reflector);
    node_leases_destroy(m->node_leases);
}
