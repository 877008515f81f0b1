#ifndef K8S_NODE_LEASES_H
#define K8S_NODE_LEASES_H 1

/* Which nodes can be gateways, as their agents say: each renews a Lease that is called like its node
 * (k8s/kube-lease.h, 'sign_of_life'), with annotations that say whether the node is ready, and in
 * detail why not.
 *
 * A node without a Lease is fit: nothing is known against it.  One is unfit whose agent is silent,
 * that is, did not renew the Lease for as long as that says, or says for
 * NODE_LEASES_GRACE_MS that the node is not ready.  An agent that is started again is back before.
 *
 * Clocks are never compared: what counts is when we saw a renewal.  While nobody is heard at all, the
 * API server or the way to it is at fault and not the nodes: then nobody becomes silent, and once
 * somebody is heard again, everybody has the whole time anew.
 *
 * No requests here: objects come in with node_leases_upsert(). */

#include <stdbool.h>
#include <stdint.h>

struct json_object;
struct node_leases;
struct shash;

/* "true", or something else. */
#define NODE_LEASE_READY "ovs-egress.io/gateway-ready"
/* The names of conditions have this before them.  "True", or "False: " and the reason. */
#define NODE_LEASE_CONDITION_PREFIX "conditions.ovs-egress.io/"
#define NODE_LEASE_FAILED "False: "

#define NODE_LEASES_GRACE_MS 5000

struct node_leases *node_leases_create(void);
void node_leases_destroy(struct node_leases *);

void node_leases_upsert(struct node_leases *, struct json_object *lease, long long int now);
void node_leases_remove(struct node_leases *, const char *node);

bool node_leases_run(struct node_leases *, long long int now);
long long int node_leases_next_wakeup(const struct node_leases *);

const struct shash *node_leases_get_unfit(const struct node_leases *);
struct node_lease_counts {
    unsigned int ready, not_ready, silent;
};
struct node_lease_counts node_leases_count(const struct node_leases *);

#endif /* k8s/node-leases.h */
