#ifndef PIPELINE_MODEL_H
#define PIPELINE_MODEL_H 1

/* The one model in the middle: what users asked for (policies and pools), what the cluster is made
 * of (nodes, namespaces, pods), and what was decided (routes).  No policy language and no flow is
 * known here.
 *
 * Everything is immutable once built and counted by reference, so that routes may share their
 * policy and a changed object is simply another object.
 *
 * Names.  An 'id' names an object in the whole model and in messages to people:
 *
 *    policies and pools   "KIND.GROUP/NAME" or "KIND.GROUP/NAMESPACE/NAME", as in
 *                         "Egress.crd.antrea.io/egress-lab"
 *    nodes, namespaces    "NAME"
 *    pods                 "NAMESPACE/NAME" */

#include <stdbool.h>
#include <stdint.h>
#include "openvswitch/shash.h"
#include "openvswitch/types.h"
#include "ovs-atomic.h"
#include "pipeline/address.h"
#include "pipeline/selector.h"
#include "smap.h"
#include "sset.h"
#include "svec.h"

/* What becomes of packets that a policy selects while no gateway, or no egress IP of their
 * family, is there for them. */
enum on_no_gateway {
    ON_NO_GATEWAY_DROP,
    ON_NO_GATEWAY_FALLBACK,         /* Back to the CNI, which gives them the node's IP. */
};

/* Whom a policy selects: pods that satisfy all of namespaces, labels and addresses. */
struct policy_subject {
    bool has_namespace_selector;
    struct label_selector namespace_selector;
    bool has_pod_selector;
    struct label_selector pod_selector;
    char *namespace;                /* Of a namespaced policy: its own pods only.  Else NULL. */
    struct ip_prefix *pod_cidrs;    /* Empty means any address. */
    size_t n_pod_cidrs;
};

/* A policy language's object as a whole, in neutral terms. */
struct egress_policy {
    struct ovs_refcount ref_cnt;
    char *id;
    char *name;                     /* metadata.name */
    char *origin;                   /* For messages: "FILE:LINE" or the API's path. */
    long long int created;          /* creationTimestamp, seconds since 1970; 0 if none. */

    /* Who.  One of several subjects suffices. */
    struct policy_subject *subjects;
    size_t n_subjects;

    /* To where.  No destination at all means any, of either family. */
    struct ip_prefix *destinations;
    size_t n_destinations;
    struct ip_prefix *exceptions;   /* Destinations that the policy does not apply to after all. */
    size_t n_exceptions;

    /* As whom. */
    struct in6_addr egress_ips[N_IP_FAMILIES];  /* Explicit ones, else in6addr_any. */
    const char *egress_ip_field;    /* Static string: the language's word for them, for messages, as
                                     * in "spec.egressIP". */
    char *pool;                     /* A pool's id, or NULL. */
    const char *pool_field;         /* Static string, like 'egress_ip_field'. */
    bool use_node_ip;

    /* Through whom. */
    bool has_node_selector;
    struct label_selector node_selector;

    /* How. */
    int32_t priority;               /* Higher wins. */
    uint64_t bandwidth;             /* Bits per second, 0 for no limit. */
    uint64_t burst;                 /* Bits, 0 for a default. */
    enum on_no_gateway on_no_gateway;
};

/* Addresses to hand out, and the nodes that may hold them. */
struct egress_pool {
    struct ovs_refcount ref_cnt;
    char *id;
    char *name;
    char *origin;
    long long int created;          /* As a policy's. */
    struct ip_range *ranges;        /* Given as first and last address: used to the full. */
    size_t n_ranges;
    struct ip_prefix *cidrs;        /* Network and broadcast address are never handed out. */
    size_t n_cidrs;
    struct in6_addr gateways[N_IP_FAMILIES];    /* The subnet's routers, else in6addr_any: never
                                                 * handed out. */
    bool has_node_selector;
    struct label_selector node_selector;
};

struct cluster_node {
    struct ovs_refcount ref_cnt;
    char *name;
    struct smap labels;
    struct in6_addr addresses[N_IP_FAMILIES];   /* InternalIP per family, else in6addr_any. */
    struct in6_addr *all_addresses;             /* Every address in status.addresses. */
    size_t n_all_addresses;
    struct ip_prefix *pod_cidrs;
    size_t n_pod_cidrs;
    bool ready;                     /* No Ready condition at all counts as ready. */
    bool avoided;                   /* Cordoned or about to go: a gateway only where there is no other node. */
};

struct cluster_namespace {
    struct ovs_refcount ref_cnt;
    char *name;
    struct smap labels;             /* With kubernetes.io/metadata.name, always. */
};

struct cluster_pod {
    struct ovs_refcount ref_cnt;
    char *id;
    char *namespace;
    char *name;
    char *node;                     /* spec.nodeName, or NULL. */
    struct smap labels;
    struct smap annotations;
    struct in6_addr *ips;           /* status.podIPs, may be empty. */
    size_t n_ips;
    bool host_network;
    bool finished;                  /* Succeeded or Failed. */
};

/* Why a route has nothing to send packets to. */
enum route_state {
    ROUTE_ACTIVE,
    ROUTE_NO_EGRESS_IP,             /* No address could be given to it. */
    ROUTE_NO_GATEWAY,               /* No eligible node is ready. */
};
const char *route_state_name(enum route_state);

/* Route numbers fit a Geneve VNI (RFC 8926, section 3.4: 24 bits) with one bit to spare, which
 * tells a reply on its way back to the pod's node from a request on its way to the gateway. */
#define ROUTE_NUMBER_BITS 23
#define ROUTE_NUMBER_MAX ((1u << ROUTE_NUMBER_BITS) - 1)

/* The most gateway candidates that a route lists.  candidates[0] is the owner of the egress IPs. */
#define ROUTE_MAX_CANDIDATES 3

/* A decided policy. */
struct egress_route {
    struct ovs_refcount ref_cnt;
    const struct egress_policy *policy;         /* Owned reference. */
    uint32_t number;                            /* 1..ROUTE_NUMBER_MAX, unique among routes. */
    struct in6_addr egress_ips[N_IP_FAMILIES];  /* in6addr_any where it has none.  With
                                                 * policy->use_node_ip, the owner's addresses. */
    struct svec candidates;                     /* Node names, best first (not sorted). */
    enum route_state state;
    char *reason;                               /* For people, NULL when ROUTE_ACTIVE. */
};

/* Everything that is known, as shashes of references, keyed by id. */
struct egress_model {
    struct shash policies;          /* struct egress_policy. */
    struct shash pools;             /* struct egress_pool. */
    struct shash nodes;             /* struct cluster_node. */
    struct shash namespaces;        /* struct cluster_namespace. */
    struct shash pods;              /* struct cluster_pod. */
    struct shash routes;            /* struct egress_route, keyed by its policy's id: what somebody
                                     * else decided and a source read.  Not what resolve() says. */
};

/* Ids that were added, replaced or removed in a model since the changes were last cleared. */
struct model_changes {
    struct sset policies;
    struct sset pools;
    struct sset nodes;
    struct sset namespaces;
    struct sset pods;
    struct sset routes;
};

/* Something that a person has to mend: one per object and field. */
struct egress_problem {
    char *object;                   /* An id, or "FILE:LINE". */
    char *text;                     /* "spec.egressIP: \"10.0.0.300\" is no IP address". */
};
struct problem_list {
    struct egress_problem *problems;
    size_t n, allocated;
};
void problem_list_init(struct problem_list *);
void problem_list_clear(struct problem_list *);
void problem_list_destroy(struct problem_list *);
void problem_list_add(struct problem_list *, const char *object, const char *format, ...)
    OVS_PRINTF_FORMAT(3, 4);

struct egress_policy *egress_policy_create(const char *id, const char *name);
struct egress_policy *egress_policy_ref(const struct egress_policy *);
void egress_policy_unref(const struct egress_policy *);
struct policy_subject *egress_policy_add_subject(struct egress_policy *);
bool egress_policy_equals(const struct egress_policy *, const struct egress_policy *);
bool egress_policy_selects(const struct egress_policy *, const struct cluster_pod *,
                           const struct cluster_namespace *,
                           const struct in6_addr *ips, size_t n_ips);
bool egress_policy_may_select(const struct egress_policy *, const char *namespace_name,
                              const struct cluster_namespace *);

int egress_policy_compare_age(const struct egress_policy *, const struct egress_policy *);

struct egress_pool *egress_pool_create(const char *id, const char *name);
struct egress_pool *egress_pool_ref(const struct egress_pool *);
void egress_pool_unref(const struct egress_pool *);
bool egress_pool_equals(const struct egress_pool *, const struct egress_pool *);

struct cluster_node *cluster_node_create(const char *name);
struct cluster_node *cluster_node_ref(const struct cluster_node *);
void cluster_node_unref(const struct cluster_node *);
bool cluster_node_equals(const struct cluster_node *, const struct cluster_node *);

struct cluster_namespace *cluster_namespace_create(const char *name);
struct cluster_namespace *cluster_namespace_ref(const struct cluster_namespace *);
void cluster_namespace_unref(const struct cluster_namespace *);
bool cluster_namespace_equals(const struct cluster_namespace *, const struct cluster_namespace *);

struct cluster_pod *cluster_pod_create(const char *namespace, const char *name);
struct cluster_pod *cluster_pod_ref(const struct cluster_pod *);
void cluster_pod_unref(const struct cluster_pod *);
bool cluster_pod_equals(const struct cluster_pod *, const struct cluster_pod *);

struct egress_route *egress_route_create(const struct egress_policy *, uint32_t number);
struct egress_route *egress_route_ref(const struct egress_route *);
void egress_route_unref(const struct egress_route *);
bool egress_route_equals(const struct egress_route *, const struct egress_route *);
int egress_route_compare_precedence(const struct egress_route *, const struct egress_route *);

void egress_model_init(struct egress_model *);
void egress_model_destroy(struct egress_model *);
void model_changes_init(struct model_changes *);
void model_changes_destroy(struct model_changes *);
void model_changes_clear(struct model_changes *);
bool model_changes_is_empty(const struct model_changes *);

#endif /* pipeline/model.h */
