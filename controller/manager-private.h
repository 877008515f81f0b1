#ifndef CONTROLLER_MANAGER_PRIVATE_H
#define CONTROLLER_MANAGER_PRIVATE_H 1

/* What the manager's own files share: manager.c (the loop, deciding), manager-routes.c (EgressRoutes),
 * manager-status.c (statuses and Events), manager-show.c (what people ask), manager-metrics.c (what machines
 * ask), manager-nodes.c (who can be a gateway). */

#include <stdbool.h>
#include <stdint.h>
#include "controller/manager.h"
#include "k8s/kube-config.h"
#include "k8s/kube-http.h"
#include "k8s/kube-lease.h"
#include "k8s/kube-write.h"
#include "k8s/source.h"
#include "openvswitch/shash.h"
#include "pipeline/model.h"
#include "sset.h"

struct json_object;
struct kube_reflector;
struct metrics_server;
struct node_leases;
struct object_kind;

/* How many Events there may be at once. */
#define MANAGER_EVENT_BURST 200

struct manager {
    struct kube_config *config;
    struct kube_http *http;
    struct kube_lease *lease;
    struct kube_writer *writer;
    struct source *source;

    /* Which nodes can be gateways. */
    struct kube_reflector *node_leases_reflector;
    struct node_leases *node_leases;

    bool leading;               /* As of the last run. */
    bool held;                  /* The Lease is ours; the same. */
    long long int next_pass;    /* When everything is compared again, whatever happened. */
    struct shash routes;        /* What is decided: struct egress_route by policy id.  Only while 'leading'. */
    struct problem_list problems;       /* Of deciding. */

    /* What may have to be written, by policy id, and by policy's or pool's. */
    struct sset dirty_routes;
    struct sset dirty_statuses;

    struct shash objects;       /* struct status_object by id: policies and pools as the server has them. */
    struct shash sent_routes;   /* struct egress_route by policy id, or NULL for a deletion: what the server was
                                 * told, but has not told us yet. */
    struct shash refusals;      /* Why the server did not take a route (char *), by policy id. */
    struct shash sent_statuses; /* struct json_object by id: likewise. */

    /* Events, with a bound on how many there may be. */
    long long int event_tokens_at;
    double event_tokens;
    uint64_t n_events, n_events_dropped;

    struct metrics_server *metrics_server;      /* NULL if there is none. */
};

/* manager.c */
size_t manager_count_waiting(const struct manager *);

/* manager-routes.c */
void manager_routes_write(struct manager *, const char *policy_id);
void manager_routes_forget_sent(struct manager *);
void manager_routes_clear_refusals(struct manager *);

/* manager-status.c */
void manager_status_observe(const struct object_kind *, const char *namespace, const char *name,
                            struct json_object *, void *manager);
void manager_status_write(struct manager *, const char *id);
void manager_status_forget_sent(struct manager *);
void manager_status_destroy(struct manager *);
void manager_events_about_route(struct manager *, const struct egress_route *old,
                                const struct egress_route *new);

uint64_t manager_pool_total(const struct egress_pool *);
uint64_t manager_pool_used(const struct manager *, const char *id);

/* manager-nodes.c */
void manager_nodes_init(struct manager *, const char *namespace);
bool manager_nodes_run(struct manager *, long long int now);
void manager_nodes_wait(struct manager *);
void manager_nodes_destroy(struct manager *);

/* manager-metrics.c */
bool manager_metrics_init(struct manager *, const char *where, char **errorp);

/* manager-show.c */
void manager_show_init(struct manager *);

#endif /* controller/manager-private.h */
