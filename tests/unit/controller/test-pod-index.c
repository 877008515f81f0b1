#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "controller/pod-index.h"
#include "random.h"
#include "util.h"

static const char *const keys[] = { "app", "tier", "env" };
static const char *const values[] = { "a", "b", "c" };
static const char *const namespaces[] = { "lab", "shop", "mail" };

static const char *
any(const char *const strings[3])
{
    return strings[random_range(3)];
}

/* Adds up to two labels to 'labels'. */
static void
add_random_labels(struct smap *labels)
{
    for (size_t n = random_range(3); n > 0; n--) {
        smap_replace(labels, any(keys), any(values));
    }
}

static void
fill_random_selector(struct label_selector *selector, bool of_namespace)
{
    for (size_t n = random_range(3); n > 0; n--) {
        struct svec some = SVEC_EMPTY_INITIALIZER;

        for (size_t n_values = 1 + random_range(2); n_values > 0; n_values--) {
            svec_add(&some, any(values));
        }
        label_selector_add_requirement(selector, any(keys), random_range(4), &some);
        svec_destroy(&some);
    }
    if (!random_range(2)) {
        add_random_labels(&selector->match_labels);
    }
    if (of_namespace && !random_range(3)) {
        smap_add(&selector->match_labels, "kubernetes.io/metadata.name", any(namespaces));
    }
}

static struct egress_route *
random_route(size_t i)
{
    char *id = xasprintf("Egress/p%"PRIuSIZE, i);
    struct egress_policy *policy = egress_policy_create(id, id);

    policy->priority = random_range(3);
    policy->created = random_range(5);
    for (size_t n = random_range(4); n > 0; n--) {
        struct policy_subject *subject = egress_policy_add_subject(policy);

        subject->has_namespace_selector = random_range(2);
        subject->has_pod_selector = random_range(2);
        subject->namespace = random_range(4) ? NULL : xstrdup(any(namespaces));
        fill_random_selector(&subject->namespace_selector, true);
        fill_random_selector(&subject->pod_selector, false);
        if (!random_range(4)) {
            subject->pod_cidrs = xmalloc(sizeof *subject->pod_cidrs);
            subject->n_pod_cidrs = 1;
            assert_null(ip_parse_prefix(random_range(2) ? "10.0.0.0/25" : "10.0.0.128/25",
                                        subject->pod_cidrs));
        }
    }

    struct egress_route *route = egress_route_create(policy, i + 1);
    egress_policy_unref(policy);
    free(id);
    return route;
}

static int
compare_routes(const void *a, const void *b)
{
    return egress_route_compare_precedence(*(struct egress_route *const *) a,
                                           *(struct egress_route *const *) b);
}

/* Asserts that 'index' finds for 'pod' exactly those of the 'n' 'routes' (some of which may be
 * NULL) that select it.  Returns how many those are. */
static size_t
check_find(const struct route_index *index, struct egress_route *const routes[], size_t n,
           const struct cluster_pod *pod, const struct cluster_namespace *namespace)
{
    const struct egress_route **expected = xmalloc(n * sizeof *expected);
    const struct egress_route **found;
    size_t n_expected = 0, n_found;

    for (size_t i = 0; i < n; i++) {
        if (routes[i] && egress_policy_selects(routes[i]->policy, pod, namespace, pod->ips,
                                               pod->n_ips)) {
            expected[n_expected++] = routes[i];
        }
    }
    qsort(expected, n_expected, sizeof *expected, compare_routes);

    route_index_find(index, pod, namespace, pod->ips, pod->n_ips, &found, &n_found);
    assert_int_equal(n_found, n_expected);
    for (size_t i = 0; i < n_found; i++) {
        assert_ptr_equal(found[i], expected[i]);
    }
    free(found);
    free(expected);
    return n_found;
}

/* Checks 'index' with many random pods.  Returns how many routes were found in all. */
static size_t
check_random_pods(const struct route_index *index, struct egress_route *const routes[], size_t n)
{
    size_t n_found = 0;

    for (size_t i = 0; i < 500; i++) {
        struct cluster_pod *pod = cluster_pod_create(any(namespaces), "pod");
        struct cluster_namespace *namespace = NULL;

        pod->n_ips = random_range(2);
        pod->ips = xmalloc(sizeof *pod->ips);
        pod->ips[0] = ip_from_v4(htonl(0x0a000000 + random_range(256)));
        pod->host_network = !random_range(20);
        add_random_labels(&pod->labels);
        if (random_range(4)) {
            namespace = cluster_namespace_create(pod->namespace);
            add_random_labels(&namespace->labels);
        }
        n_found += check_find(index, routes, n, pod, namespace);
        cluster_namespace_unref(namespace);
        cluster_pod_unref(pod);
    }
    return n_found;
}

static void
test_against_brute_force(void **state)
{
    struct route_index *index = route_index_create();
    struct egress_route *routes[300];

    random_set_seed(4711);
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        routes[i] = random_route(i);
        route_index_insert(index, routes[i]);
    }
    assert_in_range(check_random_pods(index, routes, ARRAY_SIZE(routes)), 5000, 100000);

    /* Remove some, replace some. */
    for (size_t i = 0; i < ARRAY_SIZE(routes); i += 3) {
        struct egress_route *new = i % 2 ? random_route(i) : NULL;

        if (new) {
            route_index_insert(index, new);
        } else {
            route_index_remove(index, routes[i]);
        }
        egress_route_unref(routes[i]);
        routes[i] = new;
    }
    assert_in_range(check_random_pods(index, routes, ARRAY_SIZE(routes)), 3000, 100000);

    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        egress_route_unref(routes[i]);
    }
    route_index_destroy(index);
}

/* A route that several subjects lead to is found once. */
static void
test_found_once(void **state)
{
    struct route_index *index = route_index_create();
    struct egress_policy *policy = egress_policy_create("Egress/a", "a");
    struct cluster_pod *pod = cluster_pod_create("lab", "web-0");

    smap_add(&pod->labels, "app", "web");
    for (size_t i = 0; i < 3; i++) {
        struct policy_subject *subject = egress_policy_add_subject(policy);

        subject->has_pod_selector = true;
        if (i) {
            smap_add(&subject->pod_selector.match_labels, "app", "web");
        }
    }
    struct egress_route *route = egress_route_create(policy, 1);
    route_index_insert(index, route);
    assert_int_equal(check_find(index, &route, 1, pod, NULL), 1);

    route_index_remove(index, route);
    struct egress_route *none = NULL;
    assert_int_equal(check_find(index, &none, 1, pod, NULL), 0);

    egress_route_unref(route);
    egress_policy_unref(policy);
    cluster_pod_unref(pod);
    route_index_destroy(index);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_brute_force),
        cmocka_unit_test(test_found_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
