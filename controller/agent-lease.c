/* The Lease by which this node's agent tells the manager that it is there, and whether its node can be a gateway. */

#include <config.h>
#include "controller/agent-private.h"

#include <stdlib.h>
#include "k8s/kube-lease.h"
#include "k8s/kube-source.h"
#include "k8s/node-leases.h"
#include "openvswitch/poll-loop.h"
#include "smap.h"
#include "timeval.h"
#include "util.h"

/* How long an agent that has just been started may keep silent about not being ready yet: what the one before it said is
 * in force meanwhile. */
#define START_GRACE_MS 10000

static void
annotate(const struct agent *a, struct smap *annotations)
{
    smap_add(annotations, NODE_LEASE_READY, agent_is_gateway_ready(a) ? "true" : "false");
    for (int i = 0; i < N_AGENT_CONDITIONS; i++) {
        const char *failure = agent_condition_failure(a, i);
        char *key = xasprintf("%s%s", NODE_LEASE_CONDITION_PREFIX, agent_condition_name(i));

        smap_add_nocopy(annotations, key,
                        failure ? xasprintf("%s%s", NODE_LEASE_FAILED, failure) : xstrdup("True"));
    }
}

/* Begins to have a Lease, unless the source is not a cluster's. */
void
agent_lease_init(struct agent *a)
{
    struct kube_http *http = kube_source_get_http(a->source);
    int duration_ms = a->options->lease_duration_s * 1000;

    if (http && duration_ms) {
        struct kube_lease_args args = {
            .namespace = a->options->lease_namespace, .name = a->options->node,
            .identity = a->options->node, .sign_of_life = true,
            /* Several may be lost. */
            .duration_ms = duration_ms, .renew_deadline_ms = duration_ms / 4 * 3,
            .retry_ms = duration_ms / 4,
        };

        a->lease = kube_lease_create(http, &args);
        a->lease_from = time_msec() + START_GRACE_MS;
    }
}

static bool
may_speak(const struct agent *a, long long int now)
{
    return now >= a->lease_from || agent_is_gateway_ready(a);
}

/* To be called after the source's. */
void
agent_lease_run(struct agent *a, long long int now)
{
    struct smap annotations = SMAP_INITIALIZER(&annotations);

    if (!a->lease || !may_speak(a, now)) {
        return;
    }
    a->lease_from = now;
    annotate(a, &annotations);
    kube_lease_set_annotations(a->lease, &annotations);
    smap_destroy(&annotations);
    kube_lease_run(a->lease, now);
}

void
agent_lease_wait(struct agent *a)
{
    if (a->lease && may_speak(a, time_msec())) {
        kube_lease_wait(a->lease);
        if (a->unsettled_since != LLONG_MAX) {
            poll_timer_wait_until(a->unsettled_since + AGENT_SETTLE_GRACE_MS);
        }
    } else if (a->lease) {
        poll_timer_wait_until(a->lease_from);
    }
}

/* Returns what is wrong with the Lease, or NULL. */
const char *
agent_lease_problem(const struct agent *a)
{
    return a->lease ? kube_lease_get_problem(a->lease) : NULL;
}

/* Ends it without giving it up: the next agent of this node goes on with it.  To be called before the source is closed. */
void
agent_lease_destroy(struct agent *a)
{
    kube_lease_destroy(a->lease);
}
