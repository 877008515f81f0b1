#include <config.h>

#include "pipeline/model.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define NAME_LABEL "kubernetes.io/metadata.name"

/* Helpers. */

static bool
nullable_equals(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static bool
addresses_equal(const struct in6_addr *a, size_t n_a, const struct in6_addr *b, size_t n_b)
{
    return n_a == n_b && (!n_a || !memcmp(a, b, n_a * sizeof *a));
}

static bool
prefixes_equal(const struct ip_prefix *a, size_t n_a, const struct ip_prefix *b, size_t n_b)
{
    if (n_a != n_b) {
        return false;
    }
    for (size_t i = 0; i < n_a; i++) {
        if (!ip_prefix_equals(&a[i], &b[i])) {
            return false;
        }
    }
    return true;
}

static bool
ranges_equal(const struct ip_range *a, size_t n_a, const struct ip_range *b, size_t n_b)
{
    if (n_a != n_b) {
        return false;
    }
    for (size_t i = 0; i < n_a; i++) {
        if (ip_compare(&a[i].first, &b[i].first) || ip_compare(&a[i].last, &b[i].last)) {
            return false;
        }
    }
    return true;
}

static bool
optional_selectors_equal(bool has_a, const struct label_selector *a,
                         bool has_b, const struct label_selector *b)
{
    return has_a == has_b && (!has_a || label_selector_equals(a, b));
}

/* Returns true if the caller has just given up the last reference. */
static bool
unref_is_last(const struct ovs_refcount *ref_cnt)
{
    return ovs_refcount_unref_relaxed(CONST_CAST(struct ovs_refcount *, ref_cnt)) == 1;
}

static void
ref(const struct ovs_refcount *ref_cnt)
{
    ovs_refcount_ref(CONST_CAST(struct ovs_refcount *, ref_cnt));
}

/* Policies. */

/* Returns a policy that selects nothing, as whom and through whom are open.  The caller fills it
 * in before anybody else sees it, and owns the one reference. */
struct egress_policy *
egress_policy_create(const char *id, const char *name)
{
    struct egress_policy *policy = xzalloc(sizeof *policy);

    ovs_refcount_init(&policy->ref_cnt);
    policy->id = xstrdup(id);
    policy->name = xstrdup(name);
    label_selector_init(&policy->node_selector);
    return policy;
}

struct egress_policy *
egress_policy_ref(const struct egress_policy *policy)
{
    ref(&policy->ref_cnt);
    return CONST_CAST(struct egress_policy *, policy);
}

static void
policy_subject_destroy(struct policy_subject *subject)
{
    label_selector_destroy(&subject->namespace_selector);
    label_selector_destroy(&subject->pod_selector);
    free(subject->namespace);
    free(subject->pod_cidrs);
}

/* 'policy' may be NULL. */
void
egress_policy_unref(const struct egress_policy *policy_)
{
    struct egress_policy *policy = CONST_CAST(struct egress_policy *, policy_);

    if (!policy || !unref_is_last(&policy->ref_cnt)) {
        return;
    }
    for (size_t i = 0; i < policy->n_subjects; i++) {
        policy_subject_destroy(&policy->subjects[i]);
    }
    free(policy->subjects);
    free(policy->id);
    free(policy->name);
    free(policy->origin);
    free(policy->destinations);
    free(policy->exceptions);
    free(policy->pool);
    label_selector_destroy(&policy->node_selector);
    free(policy);
}

/* Adds a subject that selects nothing yet to 'policy'.  The pointer is good until the next one is
 * added. */
struct policy_subject *
egress_policy_add_subject(struct egress_policy *policy)
{
    policy->subjects = xrealloc(policy->subjects,
                                (policy->n_subjects + 1) * sizeof *policy->subjects);
    for (size_t i = 0; i < policy->n_subjects; i++) {
        label_selector_moved(&policy->subjects[i].namespace_selector);
        label_selector_moved(&policy->subjects[i].pod_selector);
    }

    struct policy_subject *subject = &policy->subjects[policy->n_subjects++];
    memset(subject, 0, sizeof *subject);
    label_selector_init(&subject->namespace_selector);
    label_selector_init(&subject->pod_selector);
    return subject;
}

static bool
policy_subject_equals(const struct policy_subject *a, const struct policy_subject *b)
{
    return (optional_selectors_equal(a->has_namespace_selector, &a->namespace_selector,
                                     b->has_namespace_selector, &b->namespace_selector)
            && optional_selectors_equal(a->has_pod_selector, &a->pod_selector,
                                        b->has_pod_selector, &b->pod_selector)
            && nullable_equals(a->namespace, b->namespace)
            && prefixes_equal(a->pod_cidrs, a->n_pod_cidrs, b->pod_cidrs, b->n_pod_cidrs));
}

/* Do 'a' and 'b' ask for the same, whatever words their languages have for it? */
static bool
policies_mean_same(const struct egress_policy *a, const struct egress_policy *b)
{
    if (strcmp(a->id, b->id)
        || strcmp(a->name, b->name)
        || a->created != b->created
        || a->n_subjects != b->n_subjects
        || !prefixes_equal(a->destinations, a->n_destinations, b->destinations, b->n_destinations)
        || !prefixes_equal(a->exceptions, a->n_exceptions, b->exceptions, b->n_exceptions)
        || !addresses_equal(a->egress_ips, N_IP_FAMILIES, b->egress_ips, N_IP_FAMILIES)
        || !nullable_equals(a->pool, b->pool)
        || a->use_node_ip != b->use_node_ip
        || !optional_selectors_equal(a->has_node_selector, &a->node_selector,
                                     b->has_node_selector, &b->node_selector)
        || a->priority != b->priority
        || a->bandwidth != b->bandwidth
        || a->burst != b->burst
        || a->on_no_gateway != b->on_no_gateway) {
        return false;
    }
    for (size_t i = 0; i < a->n_subjects; i++) {
        if (!policy_subject_equals(&a->subjects[i], &b->subjects[i])) {
            return false;
        }
    }
    return true;
}

/* Do 'a' and 'b' ask for the same? Where they were read ('origin') is no part of that: a policy
 * that only moved within its file has not changed. */
bool
egress_policy_equals(const struct egress_policy *a, const struct egress_policy *b)
{
    return (policies_mean_same(a, b)
            && nullable_equals(a->egress_ip_field, b->egress_ip_field)
            && nullable_equals(a->pool_field, b->pool_field));
}

static bool
subject_is_empty(const struct policy_subject *subject)
{
    return (!subject->has_namespace_selector
            && !subject->has_pod_selector
            && !subject->n_pod_cidrs);
}

static bool
subject_contains_any(const struct policy_subject *subject, const struct in6_addr *ips, size_t n_ips)
{
    for (size_t i = 0; i < subject->n_pod_cidrs; i++) {
        for (size_t j = 0; j < n_ips; j++) {
            if (ip_prefix_contains(&subject->pod_cidrs[i], &ips[j])) {
                return true;
            }
        }
    }
    return !subject->n_pod_cidrs;
}

static bool
subject_selects(const struct policy_subject *subject, const struct cluster_pod *pod,
                const struct smap *namespace_labels, const struct in6_addr *ips, size_t n_ips)
{
    return (!subject_is_empty(subject)
            && (!subject->namespace || !strcmp(subject->namespace, pod->namespace))
            && (!subject->has_namespace_selector
                || label_selector_matches(&subject->namespace_selector, namespace_labels))
            && (!subject->has_pod_selector
                || label_selector_matches(&subject->pod_selector, &pod->labels))
            && subject_contains_any(subject, ips, n_ips));
}

/* Does 'policy' select 'pod', which has the 'n_ips' addresses 'ips' (they may be known from
 * elsewhere before its status has them)? 'namespace' is the pod's, NULL if that object is
 * unknown: then only the label with its name, which it has by definition, counts.
 *
 * A subject's 'namespace' only narrows: a subject that has neither selectors nor addresses
 * selects nothing. */
bool
egress_policy_selects(const struct egress_policy *policy, const struct cluster_pod *pod,
                      const struct cluster_namespace *namespace,
                      const struct in6_addr *ips, size_t n_ips)
{
    if (pod->host_network || pod->finished) {
        return false;
    }

    struct smap by_definition = SMAP_INITIALIZER(&by_definition);
    if (!namespace) {
        smap_add(&by_definition, NAME_LABEL, pod->namespace);
    }

    bool selects = false;
    for (size_t i = 0; i < policy->n_subjects && !selects; i++) {
        selects = subject_selects(&policy->subjects[i], pod,
                                  namespace ? &namespace->labels : &by_definition, ips, n_ips);
    }
    smap_destroy(&by_definition);
    return selects;
}

/* Could 'policy' select some pod of the namespace named 'namespace_name', whatever labels and
 * addresses that pod had? 'namespace' is its object, or NULL if that is unknown: then the answer
 * is "yes" unless the name alone rules it out. */
bool
egress_policy_may_select(const struct egress_policy *policy, const char *namespace_name,
                         const struct cluster_namespace *namespace)
{
    struct smap by_definition = SMAP_INITIALIZER(&by_definition);
    smap_add(&by_definition, NAME_LABEL, namespace_name);

    bool may = false;
    for (size_t i = 0; i < policy->n_subjects && !may; i++) {
        const struct policy_subject *subject = &policy->subjects[i];
        const struct label_selector *selector = &subject->namespace_selector;

        may = (!subject_is_empty(subject)
               && (!subject->namespace || !strcmp(subject->namespace, namespace_name))
               && (!subject->has_namespace_selector
                   || (namespace
                       ? label_selector_matches(selector, &namespace->labels)
                       : label_selector_may_match(selector, &by_definition))));
    }
    smap_destroy(&by_definition);
    return may;
}

/* Orders policies by who was there first: negative if 'a' was.  A policy without creation time,
 * as in a manifest that no API server has seen, counts as older than any that has one.  The name,
 * then the id, decide among policies of one age. */
int
egress_policy_compare_age(const struct egress_policy *a, const struct egress_policy *b)
{
    if (a->created != b->created) {
        return a->created < b->created ? -1 : 1;
    }
    int cmp = strcmp(a->name, b->name);
    return cmp ? cmp : strcmp(a->id, b->id);
}

/* Pools. */

struct egress_pool *
egress_pool_create(const char *id, const char *name)
{
    struct egress_pool *pool = xzalloc(sizeof *pool);

    ovs_refcount_init(&pool->ref_cnt);
    pool->id = xstrdup(id);
    pool->name = xstrdup(name);
    label_selector_init(&pool->node_selector);
    return pool;
}

struct egress_pool *
egress_pool_ref(const struct egress_pool *pool)
{
    ref(&pool->ref_cnt);
    return CONST_CAST(struct egress_pool *, pool);
}

/* 'pool' may be NULL. */
void
egress_pool_unref(const struct egress_pool *pool_)
{
    struct egress_pool *pool = CONST_CAST(struct egress_pool *, pool_);

    if (!pool || !unref_is_last(&pool->ref_cnt)) {
        return;
    }
    free(pool->id);
    free(pool->name);
    free(pool->origin);
    free(pool->ranges);
    free(pool->cidrs);
    label_selector_destroy(&pool->node_selector);
    free(pool);
}

/* As with policies, 'origin' does not count. */
bool
egress_pool_equals(const struct egress_pool *a, const struct egress_pool *b)
{
    return (!strcmp(a->id, b->id)
            && !strcmp(a->name, b->name)
            && a->created == b->created
            && ranges_equal(a->ranges, a->n_ranges, b->ranges, b->n_ranges)
            && prefixes_equal(a->cidrs, a->n_cidrs, b->cidrs, b->n_cidrs)
            && addresses_equal(a->gateways, N_IP_FAMILIES, b->gateways, N_IP_FAMILIES)
            && optional_selectors_equal(a->has_node_selector, &a->node_selector,
                                        b->has_node_selector, &b->node_selector));
}

/* Nodes. */

struct cluster_node *
cluster_node_create(const char *name)
{
    struct cluster_node *node = xzalloc(sizeof *node);

    ovs_refcount_init(&node->ref_cnt);
    node->name = xstrdup(name);
    smap_init(&node->labels);
    node->ready = true;
    return node;
}

struct cluster_node *
cluster_node_ref(const struct cluster_node *node)
{
    ref(&node->ref_cnt);
    return CONST_CAST(struct cluster_node *, node);
}

/* 'node' may be NULL. */
void
cluster_node_unref(const struct cluster_node *node_)
{
    struct cluster_node *node = CONST_CAST(struct cluster_node *, node_);

    if (!node || !unref_is_last(&node->ref_cnt)) {
        return;
    }
    free(node->name);
    smap_destroy(&node->labels);
    free(node->all_addresses);
    free(node->pod_cidrs);
    free(node);
}

bool
cluster_node_equals(const struct cluster_node *a, const struct cluster_node *b)
{
    return (!strcmp(a->name, b->name)
            && smap_equal(&a->labels, &b->labels)
            && addresses_equal(a->addresses, N_IP_FAMILIES, b->addresses, N_IP_FAMILIES)
            && addresses_equal(a->all_addresses, a->n_all_addresses,
                               b->all_addresses, b->n_all_addresses)
            && prefixes_equal(a->pod_cidrs, a->n_pod_cidrs, b->pod_cidrs, b->n_pod_cidrs)
            && a->ready == b->ready && a->avoided == b->avoided);
}

/* Namespaces. */

/* Returns a namespace whose only label is the one with its name. */
struct cluster_namespace *
cluster_namespace_create(const char *name)
{
    struct cluster_namespace *namespace = xzalloc(sizeof *namespace);

    ovs_refcount_init(&namespace->ref_cnt);
    namespace->name = xstrdup(name);
    smap_init(&namespace->labels);
    smap_add(&namespace->labels, NAME_LABEL, name);
    return namespace;
}

struct cluster_namespace *
cluster_namespace_ref(const struct cluster_namespace *namespace)
{
    ref(&namespace->ref_cnt);
    return CONST_CAST(struct cluster_namespace *, namespace);
}

/* 'namespace' may be NULL. */
void
cluster_namespace_unref(const struct cluster_namespace *namespace_)
{
    struct cluster_namespace *namespace = CONST_CAST(struct cluster_namespace *, namespace_);

    if (!namespace || !unref_is_last(&namespace->ref_cnt)) {
        return;
    }
    free(namespace->name);
    smap_destroy(&namespace->labels);
    free(namespace);
}

bool
cluster_namespace_equals(const struct cluster_namespace *a, const struct cluster_namespace *b)
{
    return !strcmp(a->name, b->name) && smap_equal(&a->labels, &b->labels);
}

/* Pods. */

struct cluster_pod *
cluster_pod_create(const char *namespace, const char *name)
{
    struct cluster_pod *pod = xzalloc(sizeof *pod);

    ovs_refcount_init(&pod->ref_cnt);
    pod->id = xasprintf("%s/%s", namespace, name);
    pod->namespace = xstrdup(namespace);
    pod->name = xstrdup(name);
    smap_init(&pod->labels);
    smap_init(&pod->annotations);
    return pod;
}

struct cluster_pod *
cluster_pod_ref(const struct cluster_pod *pod)
{
    ref(&pod->ref_cnt);
    return CONST_CAST(struct cluster_pod *, pod);
}

/* 'pod' may be NULL. */
void
cluster_pod_unref(const struct cluster_pod *pod_)
{
    struct cluster_pod *pod = CONST_CAST(struct cluster_pod *, pod_);

    if (!pod || !unref_is_last(&pod->ref_cnt)) {
        return;
    }
    free(pod->id);
    free(pod->namespace);
    free(pod->name);
    free(pod->node);
    smap_destroy(&pod->labels);
    smap_destroy(&pod->annotations);
    free(pod->ips);
    free(pod);
}

bool
cluster_pod_equals(const struct cluster_pod *a, const struct cluster_pod *b)
{
    return (!strcmp(a->id, b->id)
            && nullable_equals(a->node, b->node)
            && smap_equal(&a->labels, &b->labels)
            && smap_equal(&a->annotations, &b->annotations)
            && addresses_equal(a->ips, a->n_ips, b->ips, b->n_ips)
            && a->host_network == b->host_network
            && a->finished == b->finished);
}

/* Routes. */

const char *
route_state_name(enum route_state state)
{
    switch (state) {
    case ROUTE_ACTIVE:
        return "active";
    case ROUTE_NO_EGRESS_IP:
        return "no egress IP";
    case ROUTE_NO_GATEWAY:
        return "no gateway";
    }
    OVS_NOT_REACHED();
}

/* Returns an active route without egress IPs and candidates for 'policy', of which it takes a
 * reference of its own. */
struct egress_route *
egress_route_create(const struct egress_policy *policy, uint32_t number)
{
    struct egress_route *route = xzalloc(sizeof *route);

    ovs_refcount_init(&route->ref_cnt);
    route->policy = egress_policy_ref(policy);
    route->number = number;
    svec_init(&route->candidates);
    return route;
}

struct egress_route *
egress_route_ref(const struct egress_route *route)
{
    ref(&route->ref_cnt);
    return CONST_CAST(struct egress_route *, route);
}

/* 'route' may be NULL. */
void
egress_route_unref(const struct egress_route *route_)
{
    struct egress_route *route = CONST_CAST(struct egress_route *, route_);

    if (!route || !unref_is_last(&route->ref_cnt)) {
        return;
    }
    egress_policy_unref(route->policy);
    svec_destroy(&route->candidates);
    free(route->reason);
    free(route);
}

/* Do 'a' and 'b' decide the same, of policies that ask for the same?  The words for messages in a
 * policy do not count: who carries routes from here to there need not carry them along. */
bool
egress_route_equals(const struct egress_route *a, const struct egress_route *b)
{
    return (a->number == b->number
            && a->state == b->state
            && addresses_equal(a->egress_ips, N_IP_FAMILIES, b->egress_ips, N_IP_FAMILIES)
            && svec_equal(&a->candidates, &b->candidates)
            && nullable_equals(a->reason, b->reason)
            && (a->policy == b->policy || policies_mean_same(a->policy, b->policy)));
}

/* Orders routes that select one pod: negative if 'a' wins over 'b'.  The higher priority wins, then
 * the older, then the name (see egress_policy_compare_age()).  The length of the destination prefix
 * ranks between priority and age, but it depends on the packet, so it is not decided here. */
int
egress_route_compare_precedence(const struct egress_route *a, const struct egress_route *b)
{
    if (a->policy->priority != b->policy->priority) {
        return a->policy->priority > b->policy->priority ? -1 : 1;
    }
    return egress_policy_compare_age(a->policy, b->policy);
}

/* Models. */

void
egress_model_init(struct egress_model *model)
{
    shash_init(&model->policies);
    shash_init(&model->pools);
    shash_init(&model->nodes);
    shash_init(&model->namespaces);
    shash_init(&model->pods);
    shash_init(&model->routes);
}

#define SHASH_UNREF_AND_DESTROY(SHASH, UNREF)       \
    do {                                            \
        struct shash_node *NODE;                    \
        SHASH_FOR_EACH (NODE, SHASH) {              \
            UNREF(NODE->data);                      \
        }                                           \
        shash_destroy(SHASH);                       \
    } while (0)

/* Gives up 'model''s references along with it. */
void
egress_model_destroy(struct egress_model *model)
{
    SHASH_UNREF_AND_DESTROY(&model->policies, egress_policy_unref);
    SHASH_UNREF_AND_DESTROY(&model->pools, egress_pool_unref);
    SHASH_UNREF_AND_DESTROY(&model->nodes, cluster_node_unref);
    SHASH_UNREF_AND_DESTROY(&model->namespaces, cluster_namespace_unref);
    SHASH_UNREF_AND_DESTROY(&model->pods, cluster_pod_unref);
    SHASH_UNREF_AND_DESTROY(&model->routes, egress_route_unref);
}

void
model_changes_init(struct model_changes *changes)
{
    sset_init(&changes->policies);
    sset_init(&changes->pools);
    sset_init(&changes->nodes);
    sset_init(&changes->namespaces);
    sset_init(&changes->pods);
    sset_init(&changes->routes);
}

void
model_changes_destroy(struct model_changes *changes)
{
    sset_destroy(&changes->policies);
    sset_destroy(&changes->pools);
    sset_destroy(&changes->nodes);
    sset_destroy(&changes->namespaces);
    sset_destroy(&changes->pods);
    sset_destroy(&changes->routes);
}

void
model_changes_clear(struct model_changes *changes)
{
    sset_clear(&changes->policies);
    sset_clear(&changes->pools);
    sset_clear(&changes->nodes);
    sset_clear(&changes->namespaces);
    sset_clear(&changes->pods);
    sset_clear(&changes->routes);
}

bool
model_changes_is_empty(const struct model_changes *changes)
{
    return (sset_is_empty(&changes->policies)
            && sset_is_empty(&changes->pools)
            && sset_is_empty(&changes->nodes)
            && sset_is_empty(&changes->namespaces)
            && sset_is_empty(&changes->pods)
            && sset_is_empty(&changes->routes));
}

/* Problems. */

void
problem_list_init(struct problem_list *list)
{
    list->problems = NULL;
    list->n = list->allocated = 0;
}

void
problem_list_clear(struct problem_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->problems[i].object);
        free(list->problems[i].text);
    }
    list->n = 0;
}

void
problem_list_destroy(struct problem_list *list)
{
    problem_list_clear(list);
    free(list->problems);
}

/* Adds a problem of 'object' ("KIND.GROUP/NAME", or "FILE:LINE" for what could not be read at
 * all). */
void
problem_list_add(struct problem_list *list, const char *object, const char *format, ...)
{
    if (list->n >= list->allocated) {
        list->problems = x2nrealloc(list->problems, &list->allocated, sizeof *list->problems);
    }

    struct egress_problem *problem = &list->problems[list->n++];
    va_list args;

    problem->object = xstrdup(object);
    va_start(args, format);
    problem->text = xvasprintf(format, args);
    va_end(args);
}
