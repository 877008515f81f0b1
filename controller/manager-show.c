/* What people ask the manager, over unixctl. */

#include <config.h>
#include "controller/manager-private.h"
#include "k8s/node-leases.h"

#include <stdlib.h>
#include "openvswitch/dynamic-string.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

static void
show(struct unixctl_conn *conn, int argc OVS_UNUSED, const char *argv[] OVS_UNUSED, void *m_)
{
    const struct manager *m = m_;
    const struct egress_model *model = source_get_model(m->source);
    const struct kube_writer_stats *writes = kube_writer_get_stats(m->writer);
    const char *holder = kube_lease_get_holder(m->lease);
    const char *problem = kube_writer_get_problem(m->writer);
    const struct problem_list *lists[] = { source_get_problems(m->source), &m->problems };
    struct ds ds = DS_EMPTY_INITIALIZER;
    struct shash_node *node;

    ds_put_format(&ds, "leader: %s%s\n", holder ? holder : "nobody", m->leading ? " (this one)" : "");
    ds_put_format(&ds, "source: %s, %"PRIuSIZE" policies, %"PRIuSIZE" pools, %"PRIuSIZE" nodes, "
                  "%"PRIuSIZE" namespaces, %"PRIuSIZE" routes\n",
                  source_is_synced(m->source) ? "read" : "not read yet", shash_count(&model->policies),
                  shash_count(&model->pools), shash_count(&model->nodes),
                  shash_count(&model->namespaces), shash_count(&model->routes));
    ds_put_format(&ds, "writes: %"PRIuSIZE" waiting, %"PRIuSIZE" in flight; %llu succeeded, %llu refused, "
                  "%llu tried again\n", manager_count_waiting(m),
                  kube_writer_n_in_flight(m->writer), writes->succeeded, writes->refused, writes->retries);
    ds_put_format(&ds, "events: %"PRIu64", %"PRIu64" too many\n", m->n_events, m->n_events_dropped);
    SHASH_FOR_EACH (node, node_leases_get_unfit(m->node_leases)) {
        ds_put_format(&ds, "node %s is no gateway as long as there are others: %s\n", node->name,
                      (const char *) node->data);
    }
    if (problem) {
        ds_put_format(&ds, "the server does not take writes: %s\n", problem);
    }
    SHASH_FOR_EACH (node, &m->refusals) {
        ds_put_format(&ds, "problem: %s: its EgressRoute cannot be written: %s\n", node->name,
                      (const char *) node->data);
    }
    for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
        for (size_t j = 0; j < lists[i]->n; j++) {
            ds_put_format(&ds, "problem: %s: %s\n", lists[i]->problems[j].object,
                          lists[i]->problems[j].text);
        }
    }
    unixctl_command_reply(conn, ds_cstr(&ds));
    ds_destroy(&ds);
}

void
manager_show_init(struct manager *m)
{
    unixctl_command_register("manager/show", "", 0, 0, show, m);
}
