#ifndef CONTROLLER_AGENT_PRIVATE_H
#define CONTROLLER_AGENT_PRIVATE_H 1

/* What the agent's own files share: agent.c (the loop), agent-pods.c (who sends), agent-gateway.c (egress IPs,
 * next hops), agent-settle.c (who waits for the switch), agent-ready.c (what this node is good for), agent-lease.c (telling the
 * manager so), agent-show.c and agent-show-objects.c (what people ask), agent-metrics.c (what machines ask),
 * agent-connections.c (how many connections leave here). */

#include <stdbool.h>
#include <stdint.h>
#include "controller/claims.h"
#include "controller/meters.h"
#include "controller/neighbours.h"
#include "controller/options.h"
#include "controller/pod-index.h"
#include "controller/ports.h"
#include "controller/uplink-routes.h"
#include "k8s/source.h"
#include "ofp/flow-set.h"
#include "ofp/switch.h"
#include "openvswitch/hmap.h"
#include "openvswitch/shash.h"
#include "pipeline/compile.h"
#include "pipeline/model.h"

/* What is known of the pod behind a port. */
enum pod_state {
    POD_UNHOOKED,               /* There is no route at all: nothing is hooked. */
    POD_FREE,                   /* No policy could select it, whatever it turns out to be. */
    POD_HELD,                   /* A policy might: no way out until more is known. */
    POD_KNOWN,                  /* Its routes, maybe none, are known. */
};

/* What a gateway needs, as the agent of a node sees it. */
enum agent_condition {
    AGENT_SWITCH_CONNECTED,
    AGENT_UPLINK_FOUND,
    AGENT_SETTLED,              /* The switch has what it should have, but for changes of this moment. */
};
#define N_AGENT_CONDITIONS 3

/* How long the switch may take for changes until that is a failure. */
#define AGENT_SETTLE_GRACE_MS 5000

/* A pod with a port on this node, in 'pods' of struct agent. */
struct agent_pod {
    struct pod_port port;       /* Owned copy. */
    char *id;                   /* "NAMESPACE/NAME". */
    char *owner;                /* Of its flows. */
    bool present;               /* Mark for the sweep over ports. */

    enum pod_state state;
    const char *held_for;       /* POD_HELD: what is missing. */
    struct in6_addr *ips;
    size_t n_ips;
    struct eth_addr mac;
    bool has_mac;
    struct agent_class *class;  /* POD_KNOWN with at least one route, else NULL. */
};

/* Routes that some local pod follows, in 'classes' of struct agent. */
struct agent_class {
    struct hmap_node node;      /* By id. */
    uint64_t id;
    char *owner;
    struct egress_route **routes;       /* Owned references. */
    size_t n_routes;
    size_t n_pods;
};

struct agent {
    const struct agent_options *options;
    char *switch_target;        /* The integration bridge. */
    char *uplink_target;        /* The uplink bridge. */

    /* Inputs. */
    struct source *source;
    struct ports *ports;
    struct uplink_routes *uplink_routes;

    /* What was made of them. */
    struct shash routes;        /* struct egress_route, by the policy's id. */
    bool own_routes_changed;    /* Did one change that has, or had, this node as its gateway? */
    uint64_t own_routes_seqno;  /* Grows whenever one may have. */
    struct problem_list resolve_problems;
    struct route_index *index;
    struct shash pods;          /* struct agent_pod, by interface name. */
    struct hmap classes;        /* struct agent_class. */

    /* The gateway's side. */
    struct neighbours *neighbours;
    struct claims *claims;
    struct shash egress_ips;    /* Those that are to be this node's, as text: the owner of their flows. */
    struct meters meters;

    /* Output: to the integration bridge, and to the uplink bridge, which gets flows only while this node's own
     * address is somebody's egress IP. */
    struct flow_set *flows;
    struct of_switch *sw;
    struct flow_set *uplink_flows;
    struct of_switch *uplink_sw;

    struct sset *fresh_owners;  /* While everything is recomputed: the owners that have flows now. */

    bool started;               /* Flows are computed and the switch is told. */
    const char *waiting_for;    /* Until started: what is missing. */
    unsigned int ports_seqno;
    struct compile_context compiled_for;    /* What the flows were compiled for last. */
    uint64_t uplink_seqno, neighbours_seqno, claims_seqno;
    long long int next_keep;    /* When known next hops are to be kept in use again. */
    struct ovs_list recomputes; /* struct pending_recompute, see agent-settle.c. */
    struct ovs_list waits;      /* struct pending_wait, see agent-settle.c. */
    bool settled_once;
    long long int unsettled_since;      /* LLONG_MAX while the switch has everything. */
    struct agent_metrics *metrics;
    struct agent_connections *connections;      /* NULL if nobody asks for metrics. */

    struct kube_lease *lease;   /* NULL if there is nobody to tell. */
    long long int lease_from;   /* When to begin with it, ready or not. */
};

/* agent.c */
const struct cluster_node *agent_find_self(const struct agent *);
void agent_replace_flows(struct agent *, const char *owner, struct flow_batch *);
struct compile_context agent_compile_context(const struct agent *, struct flow_batch *);
void agent_recompute(struct agent *);

/* agent-pods.c */
void agent_pods_update_ports(struct agent *);
void agent_pods_update_all(struct agent *);
void agent_pods_update_changed(struct agent *, const struct sset *pod_ids);
void agent_classes_recompile(struct agent *);
void agent_pods_destroy(struct agent *);
const char *pod_state_name(enum pod_state);

/* agent-gateway.c */
bool agent_is_gateway_of(const struct agent *, const struct egress_route *);
void agent_gateway_init(struct agent *);
void agent_gateway_adopt(struct agent *);
void agent_gateway_update_claims(struct agent *);
void agent_gateway_update_routes(struct agent *, const struct sset *policy_ids);
void agent_gateway_recompute(struct agent *);
size_t agent_gateway_count_claimed(const struct agent *);
void agent_gateway_run(struct agent *, long long int now);
void agent_gateway_wait(struct agent *);
void agent_gateway_destroy(struct agent *);

/* agent-ready.c */
const char *agent_why_not_ready(const struct agent *);
const char *agent_condition_name(enum agent_condition);
const char *agent_condition_failure(const struct agent *, enum agent_condition);
bool agent_is_gateway_ready(const struct agent *);
void agent_ready_init(struct agent *);
void agent_ready_run(struct agent *, long long int now);

/* agent-lease.c */
void agent_lease_init(struct agent *);
void agent_lease_run(struct agent *, long long int now);
void agent_lease_wait(struct agent *);
const char *agent_lease_problem(const struct agent *);
void agent_lease_destroy(struct agent *);

/* agent-metrics.c */
void agent_metrics_init(struct agent *);
void agent_metrics_run(struct agent *, long long int now, long long int begun_us);
void agent_metrics_wait(struct agent *);
void agent_metrics_destroy(struct agent *);

/* agent-connections.c */
struct metrics;
void agent_connections_init(struct agent *);
void agent_connections_refresh(struct agent *, long long int now);
bool agent_connections_is_busy(const struct agent *);
void agent_connections_put(const struct agent *, struct metrics *);
void agent_connections_run(struct agent *, long long int now);
void agent_connections_wait(struct agent *);
void agent_connections_destroy(struct agent *);

/* agent-show.c */
void agent_show_init(struct agent *);
void agent_collect_problems(const struct agent *, struct problem_list *);

/* agent-show-objects.c */
void agent_show_objects_init(struct agent *);

/* agent-settle.c */
uint64_t agent_count_flow_mods(const struct agent *);
bool agent_is_settled(const struct agent *);
void agent_settle_init(struct agent *);
void agent_settle_run(struct agent *);
void agent_settle_destroy(struct agent *);

#endif /* controller/agent-private.h */
