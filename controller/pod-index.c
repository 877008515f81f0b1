#include <config.h>

#include "controller/pod-index.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "util.h"

/* The label that every namespace has by definition, with its name as value. */
#define NAME_LABEL "kubernetes.io/metadata.name"

/* One subject of a route. */
struct filed_subject {
    struct hmap_node node;          /* In struct route_index's 'subjects'. */
    const struct egress_route *route;
};

struct filed_route {
    struct hmap_node node;          /* In struct route_index's 'routes'. */
    const struct egress_route *route;       /* Owned reference. */
    struct filed_subject *subjects;
    size_t n_subjects;
};

/* Subjects are filed by hash alone.  Whoever looks there checks what he finds anyway. */
struct route_index {
    struct hmap routes;             /* struct filed_route, by policy id. */
    struct hmap subjects;           /* struct filed_subject, by hash_pair(). */
};

/* Hashes of labels.  0 stands for "no certain value". */

static uint32_t
hash_namespace_label(const char *key, const char *value)
{
    return hash_string(value, hash_string(key, 1)) | 1;
}

static uint32_t
hash_pod_label(const char *key, const char *value)
{
    return hash_string(value, hash_string(key, 2)) | 1;
}

static uint32_t
hash_pair(uint32_t namespace_hash, uint32_t pod_hash)
{
    return hash_2words(namespace_hash, pod_hash);
}

static uint32_t
hash_subject(const struct policy_subject *subject)
{
    uint32_t namespace_hash = 0;
    uint32_t pod_hash = 0;
    const char *key, *value;

    if (subject->namespace) {
        namespace_hash = hash_namespace_label(NAME_LABEL, subject->namespace);
    } else if (subject->has_namespace_selector) {
        key = label_selector_get_equality(&subject->namespace_selector, &value);
        namespace_hash = key ? hash_namespace_label(key, value) : 0;
    }
    if (subject->has_pod_selector) {
        key = label_selector_get_equality(&subject->pod_selector, &value);
        pod_hash = key ? hash_pod_label(key, value) : 0;
    }
    return hash_pair(namespace_hash, pod_hash);
}

struct route_index *
route_index_create(void)
{
    struct route_index *index = xmalloc(sizeof *index);

    hmap_init(&index->routes);
    hmap_init(&index->subjects);
    return index;
}

static void
remove_filed(struct route_index *index, struct filed_route *filed)
{
    for (size_t i = 0; i < filed->n_subjects; i++) {
        hmap_remove(&index->subjects, &filed->subjects[i].node);
    }
    hmap_remove(&index->routes, &filed->node);
    egress_route_unref(filed->route);
    free(filed->subjects);
    free(filed);
}

/* 'index' may be NULL. */
void
route_index_destroy(struct route_index *index)
{
    if (!index) {
        return;
    }

    struct filed_route *filed;
    HMAP_FOR_EACH_SAFE (filed, node, &index->routes) {
        remove_filed(index, filed);
    }
    hmap_destroy(&index->routes);
    hmap_destroy(&index->subjects);
    free(index);
}

static struct filed_route *
find_filed(const struct route_index *index, const char *policy_id)
{
    struct filed_route *filed;

    HMAP_FOR_EACH_WITH_HASH (filed, node, hash_string(policy_id, 0), &index->routes) {
        if (!strcmp(filed->route->policy->id, policy_id)) {
            return filed;
        }
    }
    return NULL;
}

/* Adds 'route', of which 'index' keeps a reference of its own, in place of any other route of
 * the same policy. */
void
route_index_insert(struct route_index *index, const struct egress_route *route)
{
    const struct egress_policy *policy = route->policy;
    struct filed_route *filed = xmalloc(sizeof *filed);

    filed->route = egress_route_ref(route);
    route_index_remove(index, route);
    filed->n_subjects = policy->n_subjects;
    filed->subjects = xmalloc(policy->n_subjects * sizeof *filed->subjects);
    for (size_t i = 0; i < policy->n_subjects; i++) {
        filed->subjects[i].route = route;
        hmap_insert(&index->subjects, &filed->subjects[i].node,
                    hash_subject(&policy->subjects[i]));
    }
    hmap_insert(&index->routes, &filed->node, hash_string(policy->id, 0));
}

/* Removes the route of the policy with the id of 'route''s, if there is one. */
void
route_index_remove(struct route_index *index, const struct egress_route *route)
{
    struct filed_route *filed = find_filed(index, route->policy->id);

    if (filed) {
        remove_filed(index, filed);
    }
}

/* Stores in '*hashes', which the caller frees, those of what subjects could ask of a namespace,
 * and returns how many there are. */
static size_t
hash_namespace(const char *name, const struct cluster_namespace *namespace, uint32_t **hashes)
{
    size_t n = 0;

    *hashes = xmalloc((2 + (namespace ? smap_count(&namespace->labels) : 0)) * sizeof **hashes);
    (*hashes)[n++] = 0;
    (*hashes)[n++] = hash_namespace_label(NAME_LABEL, name);
    if (namespace) {
        const struct smap_node *node;

        SMAP_FOR_EACH (node, &namespace->labels) {
            if (strcmp(node->key, NAME_LABEL)) {
                (*hashes)[n++] = hash_namespace_label(node->key, node->value);
            }
        }
    }
    return n;
}

/* The same for a pod. */
static size_t
hash_pod(const struct cluster_pod *pod, uint32_t **hashes)
{
    const struct smap_node *node;
    size_t n = 0;

    *hashes = xmalloc((1 + smap_count(&pod->labels)) * sizeof **hashes);
    (*hashes)[n++] = 0;
    SMAP_FOR_EACH (node, &pod->labels) {
        (*hashes)[n++] = hash_pod_label(node->key, node->value);
    }
    return n;
}

static int
compare_routes(const void *a_, const void *b_)
{
    const struct egress_route *const *a = a_;
    const struct egress_route *const *b = b_;

    return egress_route_compare_precedence(*a, *b);
}

/* Sorts the '*n' routes in 'routes' by precedence and drops those that several subjects led to. */
static void
sort_unique(const struct egress_route **routes, size_t *n)
{
    size_t n_unique = 0;

    if (*n) {
        qsort(routes, *n, sizeof *routes, compare_routes);
    }
    for (size_t i = 0; i < *n; i++) {
        if (!n_unique || routes[n_unique - 1] != routes[i]) {
            routes[n_unique++] = routes[i];
        }
    }
    *n = n_unique;
}

/* Stores in '*routes' the '*n' routes whose policies select 'pod', the one that wins first (see
 * egress_route_compare_precedence()).  The arguments are those of egress_policy_selects().  The
 * caller frees the array; the references in it are the index's. */
void
route_index_find(const struct route_index *index, const struct cluster_pod *pod,
                 const struct cluster_namespace *namespace,
                 const struct in6_addr *ips, size_t n_ips,
                 const struct egress_route ***routes, size_t *n)
{
    uint32_t *namespace_hashes, *pod_hashes;
    size_t n_namespace_hashes = hash_namespace(pod->namespace, namespace, &namespace_hashes);
    size_t n_pod_hashes = hash_pod(pod, &pod_hashes);
    size_t allocated = 0;

    *routes = NULL;
    *n = 0;
    for (size_t i = 0; i < n_namespace_hashes; i++) {
        for (size_t j = 0; j < n_pod_hashes; j++) {
            uint32_t hash = hash_pair(namespace_hashes[i], pod_hashes[j]);
            const struct filed_subject *subject;

            HMAP_FOR_EACH_WITH_HASH (subject, node, hash, &index->subjects) {
                if (egress_policy_selects(subject->route->policy, pod, namespace, ips, n_ips)) {
                    if (*n >= allocated) {
                        *routes = x2nrealloc(*routes, &allocated, sizeof **routes);
                    }
                    (*routes)[(*n)++] = subject->route;
                }
            }
        }
    }
    free(namespace_hashes);
    free(pod_hashes);
    sort_unique(*routes, n);
}
