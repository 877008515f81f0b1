#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/controller/resolve-fixture.h"
#include "util.h"

/* One node, so that no gateway needs to be chosen. */
static int
setup(void **state)
{
    struct egress_model *model = xmalloc(sizeof *model);

    egress_model_init(model);
    add_nodes(model, 1);
    *state = model;
    return 0;
}

static int
teardown(void **state)
{
    egress_model_destroy(*state);
    free(*state);
    return 0;
}

/* A policy's place in a pool follows from its id alone. */
static void
test_place_by_hash(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "range", "10.0.0.1-10.0.0.5");
    add_pool(model, "cidr", "10.1.0.0/24 2001:db8::/64");
    add_policy(model, "a", NULL, "range");
    add_policy(model, "b", NULL, "cidr");
    add_policy(model, "c", NULL, "range");
    check_resolves(model, NULL,
                   "a: 10.0.0.1 via n0\n"
                   "b: 10.1.0.120 2001:db8::3e90:d1ed:b17a:9700 via n0\n"
                   "c: 10.0.0.5 via n0\n");
}

/* Every address of a range, and of a CIDR all but its first and last, less what is not free. */
static void
test_exhausted(void **state)
{
    struct egress_model *model = *state;
    struct egress_pool *pool = add_pool(model, "p", "10.0.0.0/29 10.0.0.9-10.0.0.10");

    assert_true(ip_parse_address("10.0.0.1", &pool->gateways[IP_V4]));
    add_node(model, "n1", "10.0.0.2")->ready = false;
    for (size_t i = 0; i < 7; i++) {
        add_policy(model, (const char *[]) { "a", "b", "c", "d", "e", "f", "g" }[i], NULL, "p");
    }
    add_policy(model, "x", "10.0.0.3", "p");
    check_resolves(model, NULL,
                   "a: 10.0.0.9 via n0\n"
                   "b: 10.0.0.10 via n0\n"
                   "c: 10.0.0.4 via n0\n"
                   "d: 10.0.0.5 via n0\n"
                   "e: 10.0.0.6 via n0\n"
                   "f: (no egress IP)\n"
                   "g: (no egress IP)\n"
                   "x: 10.0.0.3 via n0\n"
                   "Egress/f: spec.pool: pool Pool/p is exhausted: its 6 IPv4 addresses are all "
                   "in use\n"
                   "Egress/g: spec.pool: pool Pool/p is exhausted: its 6 IPv4 addresses are all "
                   "in use\n");
}

static void
test_one_family_exhausted(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "p", "10.0.0.1-10.0.0.1 2001:db8::1-2001:db8::2");
    add_policy(model, "a", NULL, "p");
    add_policy(model, "b", NULL, "p")->created = 100;
    check_resolves(model, NULL,
                   "a: 10.0.0.1 2001:db8::1 via n0\n"
                   "b: 2001:db8::2 via n0\n"
                   "Egress/b: spec.pool: pool Pool/p is exhausted: its 1 IPv4 address is in "
                   "use\n");
}

static void
test_nothing_to_hand_out(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "empty", "");
    add_pool(model, "taken", "192.168.0.0-192.168.0.0");
    struct egress_pool *reversed = add_pool(model, "reversed", "10.0.0.1-10.0.0.9");
    reversed->ranges[0].first = reversed->ranges[0].last;
    assert_true(ip_parse_address("10.0.0.1", &reversed->ranges[0].last));
    add_policy(model, "a", NULL, "empty");
    add_policy(model, "b", NULL, "taken");
    add_policy(model, "c", NULL, "reversed");
    add_policy(model, "d", NULL, "none");
    check_resolves(model, NULL,
                   "a: (no egress IP)\n"
                   "b: (no egress IP)\n"
                   "c: (no egress IP)\n"
                   "d: (no egress IP)\n"
                   "Egress/a: spec.pool: pool Pool/empty has no addresses at all\n"
                   "Egress/b: spec.pool: pool Pool/taken has no IPv4 address that it could hand "
                   "out\n"
                   "Egress/c: spec.pool: pool Pool/reversed has no IPv4 address that it could "
                   "hand out\n"
                   "Egress/d: spec.pool: there is no pool Pool/none\n");
}

/* Small prefixes, and what IPv6 leaves out: the first address, but not the last. */
static void
test_ends_of_prefixes(void **state)
{
    static const struct {
        const char *prefix, *first, *last;  /* Ends of what is handed out. */
        const char *refused;                /* NULL if everything is. */
    } cases[] = {
        { "10.0.0.4/30", "10.0.0.5", "10.0.0.6", "10.0.0.4" },
        { "10.0.0.4/30", "10.0.0.5", "10.0.0.6", "10.0.0.7" },
        { "10.0.0.4/31", "10.0.0.4", "10.0.0.5", NULL },
        { "10.0.0.4/32", "10.0.0.4", "10.0.0.4", NULL },
        { "2001:db8::/126", "2001:db8::1", "2001:db8::3", "2001:db8::" },
        { "2001:db8::/127", "2001:db8::", "2001:db8::1", NULL },
        { "2001:db8::5/128", "2001:db8::5", "2001:db8::5", NULL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct egress_model model;

        egress_model_init(&model);
        add_nodes(&model, 1);
        add_pool(&model, "p", cases[i].prefix);
        add_policy(&model, "first", cases[i].first, "p");
        if (strcmp(cases[i].first, cases[i].last)) {
            add_policy(&model, "last", cases[i].last, "p");
        }
        if (cases[i].refused) {
            add_policy(&model, "refused", cases[i].refused, "p");
        }

        struct shash routes;
        struct problem_list problems;
        resolve_model(&model, NULL, &routes, &problems);
        assert_int_equal(problems.n, cases[i].refused != NULL);
        if (cases[i].refused) {
            assert_string_equal(problems.problems[0].object, "Egress/refused");
        }
        problem_list_destroy(&problems);
        destroy_routes(&routes);
        egress_model_destroy(&model);
    }
}

static void
test_overlapping_pools(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "a", "10.0.0.1-10.0.0.5 10.0.1.0/30");
    add_pool(model, "b", "10.0.0.3-10.0.0.6 10.0.1.0/31");
    add_policy(model, "p", NULL, "b");
    add_policy(model, "q", NULL, "b");
    add_policy(model, "r", "10.0.0.3", "b");
    add_policy(model, "s", "10.0.0.3", "a");
    check_resolves(model, NULL,
                   "p: 10.0.0.6 via n0\n"
                   "q: (no egress IP)\n"
                   "r: (no egress IP)\n"
                   "s: 10.0.0.3 via n0\n"
                   "Pool/b: addresses: pool Pool/b overlaps pool Pool/a in 10.0.0.3-10.0.0.5, "
                   "10.0.1.0-10.0.1.1: these addresses are handed out by the latter alone; an "
                   "address may be in one pool only\n"
                   "Egress/r: spec.egressIP: \"10.0.0.3\" belongs to pool Pool/a, which pool "
                   "Pool/b overlaps\n"
                   "Egress/q: spec.pool: pool Pool/b is exhausted: its 1 IPv4 address is in "
                   "use\n");
}

static void
test_older_pool_keeps_an_overlap(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "a", "10.0.0.1-10.0.0.2")->created = 2000;
    add_pool(model, "b", "10.0.0.1")->created = 1000;
    add_policy(model, "p", NULL, "b");
    check_resolves(model, NULL,
                   "p: 10.0.0.1 via n0\n"
                   "Pool/a: addresses: pool Pool/a overlaps pool Pool/b in 10.0.0.1-10.0.0.1: "
                   "these addresses are handed out by the latter alone; an address may be in one pool "
                   "only\n");
}

/* What a pool names twice counts once, and a hole in the middle is nobody's problem. */
static void
test_overlap_splits_pool(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "a", "10.0.0.2-10.0.0.8");
    add_pool(model, "b", "10.0.0.1-10.0.0.9 10.0.0.4-10.0.0.9");
    add_policy(model, "p", NULL, "b");
    add_policy(model, "q", NULL, "b");
    add_policy(model, "r", NULL, "b");
    check_resolves(model, NULL,
                   "p: 10.0.0.1 via n0\n"
                   "q: 10.0.0.9 via n0\n"
                   "r: (no egress IP)\n"
                   "Pool/b: addresses: pool Pool/b overlaps pool Pool/a in 10.0.0.2-10.0.0.8, "
                   "10.0.0.4-10.0.0.8: these addresses are handed out by the latter alone; an "
                   "address may be in one pool only\n"
                   "Egress/r: spec.pool: pool Pool/b is exhausted: its 2 IPv4 addresses are all "
                   "in use\n");
}

/* An explicit claim comes before what a pool hands out, however young it is. */
static void
test_explicit_comes_first(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "p", "10.0.0.1-10.0.0.2");
    add_policy(model, "a", NULL, "p")->created = 1;
    check_resolves(model, NULL, "a: 10.0.0.1 via n0\n");
    add_policy(model, "b", "10.0.0.1", NULL)->created = 2;
    check_resolves(model, NULL,
                   "a: 10.0.0.2 via n0\n"
                   "b: 10.0.0.1 via n0\n");
}

/* The older of two policies with one place in the pool has it. */
static void
test_collision_by_age(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "p", "2001:db8::1-2001:db8::1 10.0.0.1-10.0.0.1");
    struct egress_policy *a = add_policy(model, "a", NULL, "p");
    struct egress_policy *b = add_policy(model, "b", NULL, "p");
    a->created = 2;
    b->created = 1;
    check_resolves(model, NULL,
                   "a: (no egress IP)\n"
                   "b: 10.0.0.1 2001:db8::1 via n0\n"
                   "Egress/a: spec.pool: pool Pool/p is exhausted: its 1 IPv4 address is in use\n"
                   "Egress/a: spec.pool: pool Pool/p is exhausted: its 1 IPv6 address is in "
                   "use\n");
}

/* With history an address from a pool stays, unless the pool has lost it or somebody claims it. */
static void
test_previous_stays(void **state)
{
    struct egress_model *model = *state;
    struct shash previous = SHASH_INITIALIZER(&previous);
    struct egress_pool *pool = add_pool(model, "p", "10.0.0.1-10.0.0.9");
    struct egress_policy *a = add_policy(model, "a", NULL, "p");
    struct egress_route *before = egress_route_create(a, 1);

    assert_true(ip_parse_address("10.0.0.7", &before->egress_ips[IP_V4]));
    shash_add(&previous, "Egress/a", before);
    check_resolves(model, NULL, "a: 10.0.0.6 via n0\n");
    check_resolves(model, &previous, "a: 10.0.0.7 via n0\n");

    add_policy(model, "b", "10.0.0.7", NULL);
    check_resolves(model, &previous,
                   "a: 10.0.0.6 via n0\n"
                   "b: 10.0.0.7 via n0\n");
    remove_policy(model, "b");
    pool->ranges[0].last = pool->ranges[0].first;
    check_resolves(model, &previous, "a: 10.0.0.1 via n0\n");
    destroy_routes(&previous);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
        TEST(test_place_by_hash),
        TEST(test_exhausted),
        TEST(test_one_family_exhausted),
        TEST(test_nothing_to_hand_out),
        TEST(test_ends_of_prefixes),
        TEST(test_overlapping_pools),
        TEST(test_older_pool_keeps_an_overlap),
        TEST(test_overlap_splits_pool),
        TEST(test_explicit_comes_first),
        TEST(test_collision_by_age),
        TEST(test_previous_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
