#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "controller/meters.h"
#include "pipeline/cookies.h"
#include "sset.h"
#include "util.h"

#define N_METERS (EGRESS_METER_LAST - EGRESS_METER_FIRST + 1)

static const struct egress_route *
make_route(const char *name, uint32_t number, uint64_t bandwidth)
{
    struct egress_policy *policy = egress_policy_create(name, name);
    struct egress_route *route;

    policy->bandwidth = bandwidth;
    route = egress_route_create(policy, number);
    egress_policy_unref(policy);
    return route;
}

static void
unref_all(const struct egress_route **routes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        egress_route_unref(routes[i]);
    }
}

static void
test_no_meters_at_first(void **state OVS_UNUSED)
{
    const struct egress_route *route = make_route("a", 5, 1000);
    struct meters meters;

    meters_init(&meters);
    assert_int_equal(meters_id_of(&meters, route), 0);
    meters_destroy(&meters);
    egress_route_unref(route);
}

static void
test_number_tells_the_meter(void **state OVS_UNUSED)
{
    const struct egress_route *routes[] = {
        make_route("last", N_METERS - 1, 1000), make_route("none", 6, 0), make_route("five", 5, 1000),
    };
    struct sset moved = SSET_INITIALIZER(&moved);
    struct meters meters;

    meters_init(&meters);
    meters_assign(&meters, routes, ARRAY_SIZE(routes), &moved);
    assert_int_equal(meters_id_of(&meters, routes[0]), EGRESS_METER_LAST);
    assert_int_equal(meters_id_of(&meters, routes[1]), 0);
    assert_int_equal(meters_id_of(&meters, routes[2]), EGRESS_METER_FIRST + 5);
    assert_true(sset_is_empty(&moved));
    meters_destroy(&meters);
    sset_destroy(&moved);
    unref_all(routes, ARRAY_SIZE(routes));
}

/* Numbers that want one meter: the lowest gets it, whatever the order, and beyond the last comes the first. */
static void
test_collisions_go_to_the_next_free_one(void **state OVS_UNUSED)
{
    const struct egress_route *routes[] = {
        make_route("c", 3 * N_METERS - 1, 1000), make_route("b", 2 * N_METERS - 1, 1000),
        make_route("a", N_METERS - 1, 1000), make_route("d", N_METERS, 1000),
    };
    struct sset moved = SSET_INITIALIZER(&moved);
    struct meters meters;

    meters_init(&meters);
    meters_assign(&meters, routes, ARRAY_SIZE(routes), &moved);
    assert_int_equal(meters_id_of(&meters, routes[2]), EGRESS_METER_LAST);
    assert_int_equal(meters_id_of(&meters, routes[3]), EGRESS_METER_FIRST);
    assert_int_equal(meters_id_of(&meters, routes[1]), EGRESS_METER_FIRST + 1);
    assert_int_equal(meters_id_of(&meters, routes[0]), EGRESS_METER_FIRST + 2);
    meters_destroy(&meters);
    sset_destroy(&moved);
    unref_all(routes, ARRAY_SIZE(routes));
}

static void
test_routes_that_get_another_meter_are_told(void **state OVS_UNUSED)
{
    const struct egress_route *routes[] = {
        make_route("a", 5, 1000), make_route("b", 5 + N_METERS, 1000), make_route("c", 100, 1000),
    };
    struct sset moved = SSET_INITIALIZER(&moved);
    struct meters meters;

    meters_init(&meters);
    meters_assign(&meters, routes, 3, &moved);
    assert_int_equal(meters_id_of(&meters, routes[1]), EGRESS_METER_FIRST + 6);
    assert_true(sset_is_empty(&moved));

    meters_assign(&meters, &routes[1], 2, &moved);
    assert_int_equal(meters_id_of(&meters, routes[0]), 0);
    assert_int_equal(meters_id_of(&meters, routes[1]), EGRESS_METER_FIRST + 5);
    assert_int_equal(meters_id_of(&meters, routes[2]), EGRESS_METER_FIRST + 100);
    assert_int_equal(sset_count(&moved), 1);
    assert_true(sset_contains(&moved, "b"));
    meters_destroy(&meters);
    sset_destroy(&moved);
    unref_all(routes, ARRAY_SIZE(routes));
}

static void
test_more_routes_than_meters(void **state OVS_UNUSED)
{
    size_t n = N_METERS + 1, n_without = 0;
    const struct egress_route **routes = xmalloc(n * sizeof *routes);
    unsigned char *used = xzalloc(N_METERS);
    struct sset moved = SSET_INITIALIZER(&moved);
    struct meters meters;

    for (size_t i = 0; i < n; i++) {
        routes[i] = make_route("many", i + 1, 1000);
    }
    meters_init(&meters);
    meters_assign(&meters, routes, n, &moved);
    for (size_t i = 0; i < n; i++) {
        uint32_t id = meters_id_of(&meters, routes[i]);

        if (!id) {
            n_without++;
            continue;
        }
        assert_in_range(id, EGRESS_METER_FIRST, EGRESS_METER_LAST);
        assert_false(used[id - EGRESS_METER_FIRST]++);
    }
    assert_int_equal(n_without, 1);
    meters_destroy(&meters);
    sset_destroy(&moved);
    unref_all(routes, n);
    free(routes);
    free(used);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_meters_at_first),
        cmocka_unit_test(test_number_tells_the_meter),
        cmocka_unit_test(test_collisions_go_to_the_next_free_one),
        cmocka_unit_test(test_routes_that_get_another_meter_are_told),
        cmocka_unit_test(test_more_routes_than_meters),
    };

    return cmocka_run_group_tests_name("meters", tests, NULL, NULL);
}
