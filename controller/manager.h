#ifndef CONTROLLER_MANAGER_H
#define CONTROLLER_MANAGER_H 1

/* ovs-egress-manager's core.  Of several replicas the one that holds the Lease decides: it resolves policies, pools, nodes
 * and namespaces into routes, keeps what was decided before wherever that is possible, and writes
 *
 *    - an EgressRoute for each policy, which the agents follow;
 *    - each policy's and pool's own status;
 *    - Events about what a user should know.
 *
 * The others follow the same objects, ready to go on. */

#include <stdbool.h>

struct manager;

struct manager_options {
    char *kubeconfig;           /* NULL: in-cluster. */
    char *identity;             /* In the Lease; unique among the replicas. */
    char *lease_namespace;
    char *lease_name;
    char *node_lease_namespace; /* Where agents tell about their nodes. */
    int lease_duration_ms;      /* 0 for the defaults of k8s/kube-lease.h. */
    int renew_deadline_ms;
    int retry_ms;
    char *metrics;              /* [ADDRESS:]PORT to serve metrics at; NULL for nowhere. */
};

struct manager *manager_create(const struct manager_options *, char **errorp);
void manager_destroy(struct manager *);
void manager_run(struct manager *);
void manager_wait(struct manager *);

/* Ending: gives the Lease back, so that another replica need not wait for it to run out. */
void manager_release(struct manager *);
bool manager_is_released(const struct manager *);

#endif /* controller/manager.h */
