#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "pipeline/model.h"
#include "util.h"

static struct in6_addr
ip(const char *s)
{
    struct in6_addr addr;

    assert_true(ip_parse_address(s, &addr));
    return addr;
}

static struct ip_prefix *
one_prefix(const char *s)
{
    struct ip_prefix *p = xmalloc(sizeof *p);

    assert_null(ip_parse_prefix(s, p));
    return p;
}

static struct cluster_pod *
web_pod(void)
{
    struct cluster_pod *pod = cluster_pod_create("lab", "web-0");

    smap_add(&pod->labels, "app", "web");
    return pod;
}

static struct policy_subject *
select_app(struct egress_policy *policy, const char *app)
{
    struct policy_subject *subject = egress_policy_add_subject(policy);

    subject->has_pod_selector = true;
    smap_add(&subject->pod_selector.match_labels, "app", app);
    return subject;
}

static bool
selects(const struct egress_policy *policy, const struct cluster_pod *pod)
{
    return egress_policy_selects(policy, pod, NULL, pod->ips, pod->n_ips);
}

static void
test_any_subject_suffices(void **state)
{
    struct egress_policy *policy = egress_policy_create("Egress.x/a", "a");
    struct cluster_pod *pod = web_pod();

    assert_false(selects(policy, pod));
    egress_policy_add_subject(policy);
    assert_false(selects(policy, pod));     /* Nothing set selects nothing. */
    select_app(policy, "db");
    assert_false(selects(policy, pod));
    select_app(policy, "web");
    assert_true(selects(policy, pod));

    cluster_pod_unref(pod);
    egress_policy_unref(policy);
}

static void
test_host_network_and_finished(void **state)
{
    struct egress_policy *policy = egress_policy_create("Egress.x/a", "a");
    struct cluster_pod *pod = web_pod();

    select_app(policy, "web");
    assert_true(selects(policy, pod));
    pod->host_network = true;
    assert_false(selects(policy, pod));
    pod->host_network = false;
    pod->finished = true;
    assert_false(selects(policy, pod));

    cluster_pod_unref(pod);
    egress_policy_unref(policy);
}

static void
test_subject_needs_all(void **state)
{
    struct egress_policy *policy = egress_policy_create("Egress.x/a", "a");
    struct cluster_namespace *namespace = cluster_namespace_create("lab");
    struct cluster_pod *pod = web_pod();
    struct policy_subject *subject = select_app(policy, "web");
    struct in6_addr ips[] = { ip("10.203.1.9"), ip("fd00:203:1::9") };

    subject->has_namespace_selector = true;
    smap_add(&subject->namespace_selector.match_labels, "env", "prod");
    assert_false(egress_policy_selects(policy, pod, namespace, ips, 2));
    smap_add(&namespace->labels, "env", "prod");
    assert_true(egress_policy_selects(policy, pod, namespace, ips, 2));
    /* What is not known of a namespace does not hold. */
    assert_false(egress_policy_selects(policy, pod, NULL, ips, 2));

    subject->pod_cidrs = one_prefix("fd00:203:1::/64");
    subject->n_pod_cidrs = 1;
    assert_true(egress_policy_selects(policy, pod, namespace, ips, 2));
    assert_false(egress_policy_selects(policy, pod, namespace, ips, 1));
    assert_false(egress_policy_selects(policy, pod, namespace, NULL, 0));

    subject->namespace = xstrdup("shop");
    assert_false(egress_policy_selects(policy, pod, namespace, ips, 2));
    free(subject->namespace);
    subject->namespace = xstrdup("lab");
    assert_true(egress_policy_selects(policy, pod, namespace, ips, 2));

    cluster_pod_unref(pod);
    cluster_namespace_unref(namespace);
    egress_policy_unref(policy);
}

static void
test_namespace_alone_selects_nothing(void **state)
{
    struct egress_policy *policy = egress_policy_create("EgressPolicy.x/lab/a", "a");
    struct policy_subject *subject = egress_policy_add_subject(policy);
    struct cluster_pod *pod = web_pod();

    subject->namespace = xstrdup("lab");
    assert_false(selects(policy, pod));
    assert_false(egress_policy_may_select(policy, "lab", NULL));
    subject->has_pod_selector = true;
    assert_true(selects(policy, pod));
    assert_true(egress_policy_may_select(policy, "lab", NULL));
    assert_false(egress_policy_may_select(policy, "shop", NULL));

    cluster_pod_unref(pod);
    egress_policy_unref(policy);
}

static void
test_unknown_namespace_has_its_name(void **state)
{
    struct egress_policy *policy = egress_policy_create("Egress.x/a", "a");
    struct policy_subject *subject = egress_policy_add_subject(policy);
    struct cluster_pod *pod = web_pod();

    subject->has_namespace_selector = true;
    smap_add(&subject->namespace_selector.match_labels, "kubernetes.io/metadata.name", "lab");
    assert_true(selects(policy, pod));
    assert_true(egress_policy_may_select(policy, "lab", NULL));
    assert_false(egress_policy_may_select(policy, "shop", NULL));

    cluster_pod_unref(pod);
    egress_policy_unref(policy);
}

static void
test_may_select(void **state)
{
    struct egress_policy *policy = egress_policy_create("Egress.x/a", "a");
    struct cluster_namespace *lab = cluster_namespace_create("lab");

    assert_false(egress_policy_may_select(policy, "lab", lab));
    select_app(policy, "web");
    assert_true(egress_policy_may_select(policy, "lab", lab));
    assert_true(egress_policy_may_select(policy, "lab", NULL));

    struct policy_subject *subject = &policy->subjects[0];
    subject->has_namespace_selector = true;
    smap_add(&subject->namespace_selector.match_labels, "env", "prod");
    assert_false(egress_policy_may_select(policy, "lab", lab));
    /* An unknown namespace may turn out to have any label. */
    assert_true(egress_policy_may_select(policy, "lab", NULL));
    smap_add(&lab->labels, "env", "prod");
    assert_true(egress_policy_may_select(policy, "lab", lab));

    cluster_namespace_unref(lab);
    egress_policy_unref(policy);
}

/* Returns the route of a new policy. */
static struct egress_route *
make_route(const char *id, const char *name, int32_t priority, long long int created)
{
    struct egress_policy *policy = egress_policy_create(id, name);

    policy->priority = priority;
    policy->created = created;
    struct egress_route *route = egress_route_create(policy, 1);
    egress_policy_unref(policy);
    return route;
}

static void
test_precedence(void **state)
{
    /* In order of precedence. */
    struct egress_route *routes[] = {
        make_route("Egress.x/z", "z", 10, 900),
        make_route("Egress.x/b", "b", 0, 0),
        make_route("Egress.x/y", "y", 0, 100),
        make_route("Zegress.x/a", "a", 0, 200),
        make_route("Egress.x/c", "c", 0, 200),
        make_route("Gegress.x/c", "c", 0, 200),
        make_route("Egress.x/d", "d", -1, 1),
    };

    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        for (size_t j = 0; j < ARRAY_SIZE(routes); j++) {
            int cmp = egress_route_compare_precedence(routes[i], routes[j]);

            assert_int_equal(cmp < 0 ? -1 : cmp > 0, i < j ? -1 : i > j);
        }
    }
    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        egress_route_unref(routes[i]);
    }
}

/* A policy in which every member differs from its default. */
static struct egress_policy *
full_policy(void)
{
    struct egress_policy *policy = egress_policy_create("Egress.x/a", "a");
    struct policy_subject *subject = select_app(policy, "web");

    subject->namespace = xstrdup("lab");
    policy->origin = xstrdup("egress.yaml:1");
    policy->created = 100;
    policy->destinations = one_prefix("203.0.113.0/24");
    policy->n_destinations = 1;
    policy->exceptions = one_prefix("203.0.113.128/25");
    policy->n_exceptions = 1;
    policy->egress_ips[IP_V4] = ip("172.16.18.131");
    policy->egress_ip_field = "spec.egressIP";
    policy->pool = xstrdup("Pool.x/p");
    policy->has_node_selector = true;
    smap_add(&policy->node_selector.match_labels, "role", "gateway");
    policy->priority = 5;
    policy->bandwidth = 1000000;
    policy->on_no_gateway = ON_NO_GATEWAY_FALLBACK;
    return policy;
}

static void
test_policy_equality(void **state)
{
    struct egress_policy *a = full_policy();

#define CHECK_DIFFERS(CHANGE)                       \
    do {                                            \
        struct egress_policy *b = full_policy();    \
        assert_true(egress_policy_equals(a, b));    \
        CHANGE;                                     \
        assert_false(egress_policy_equals(a, b));   \
        egress_policy_unref(b);                     \
    } while (0)

    CHECK_DIFFERS(b->created++);
    CHECK_DIFFERS(egress_policy_add_subject(b));
    CHECK_DIFFERS(b->subjects[0].namespace[0] = 'x');
    CHECK_DIFFERS(b->subjects[0].has_namespace_selector = true);
    CHECK_DIFFERS(smap_add(&b->subjects[0].pod_selector.match_labels, "tier", "x"));
    CHECK_DIFFERS(b->destinations[0].plen = 25);
    CHECK_DIFFERS(b->n_exceptions = 0);
    CHECK_DIFFERS(b->egress_ips[IP_V4] = ip("172.16.18.132"));
    CHECK_DIFFERS(b->egress_ips[IP_V6] = ip("2001:db8::1"));
    CHECK_DIFFERS(b->egress_ip_field = "spec.egressIPs[0]");
    CHECK_DIFFERS(b->pool[0] = 'x');
    CHECK_DIFFERS(b->use_node_ip = true);
    CHECK_DIFFERS(b->has_node_selector = false);
    CHECK_DIFFERS(smap_replace(&b->node_selector.match_labels, "role", "x"));
    CHECK_DIFFERS(b->priority = 6);
    CHECK_DIFFERS(b->bandwidth = 1);
    CHECK_DIFFERS(b->burst = 1);
    CHECK_DIFFERS(b->on_no_gateway = ON_NO_GATEWAY_DROP);

    /* To have moved in its file is no change. */
    struct egress_policy *moved = full_policy();
    free(moved->origin);
    moved->origin = xstrdup("egress.yaml:9");
    assert_true(egress_policy_equals(a, moved));
    egress_policy_unref(moved);
    egress_policy_unref(a);
}

static void
test_route_equality(void **state)
{
    struct egress_route *a = make_route("Egress.x/a", "a", 0, 0);
    struct egress_route *b = make_route("Egress.x/a", "a", 0, 0);

    assert_true(egress_route_equals(a, b));
    svec_add(&a->candidates, "n2");
    svec_add(&a->candidates, "n1");
    assert_false(egress_route_equals(a, b));
    svec_add(&b->candidates, "n1");
    svec_add(&b->candidates, "n2");
    assert_false(egress_route_equals(a, b));    /* Their order counts. */
    svec_clear(&b->candidates);
    svec_append(&b->candidates, &a->candidates);
    assert_true(egress_route_equals(a, b));
    b->number = 2;
    assert_false(egress_route_equals(a, b));
    b->number = a->number;

    /* What a policy asks for counts, its language's words for that do not. */
    CONST_CAST(struct egress_policy *, b->policy)->egress_ip_field = "spec.egressIP";
    assert_true(egress_route_equals(a, b));
    CONST_CAST(struct egress_policy *, b->policy)->burst++;
    assert_false(egress_route_equals(a, b));
    egress_route_unref(a);
    egress_route_unref(b);
}

static void
test_references(void **state)
{
    struct egress_policy *policy = egress_policy_create("Egress.x/a", "a");
    struct egress_route *route = egress_route_create(policy, 7);

    egress_policy_unref(policy);
    assert_ptr_equal(egress_route_ref(route), route);
    egress_route_unref(route);
    assert_string_equal(route->policy->id, "Egress.x/a");
    egress_route_unref(route);
    egress_route_unref(NULL);
}

static void
test_problems(void **state)
{
    struct problem_list list;

    problem_list_init(&list);
    problem_list_add(&list, "Egress.x/a", "spec.egressIP: \"%s\" is no IP address", "10.0.0.300");
    assert_int_equal(list.n, 1);
    assert_string_equal(list.problems[0].object, "Egress.x/a");
    assert_string_equal(list.problems[0].text, "spec.egressIP: \"10.0.0.300\" is no IP address");
    problem_list_clear(&list);
    assert_int_equal(list.n, 0);
    problem_list_destroy(&list);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_subject_suffices),
        cmocka_unit_test(test_host_network_and_finished),
        cmocka_unit_test(test_subject_needs_all),
        cmocka_unit_test(test_namespace_alone_selects_nothing),
        cmocka_unit_test(test_unknown_namespace_has_its_name),
        cmocka_unit_test(test_may_select),
        cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_policy_equality),
        cmocka_unit_test(test_route_equality),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_problems),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
