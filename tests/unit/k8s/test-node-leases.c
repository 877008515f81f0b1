#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include "k8s/json-c.h"
#include "k8s/node-leases.h"
#include "openvswitch/shash.h"
#include "util.h"

#define START 1000000
#define DURATION 40000          /* Milliseconds; the Leases say 40 seconds. */
#define RENEWAL (DURATION / 4)

#define READY "\"ovs-egress.io/gateway-ready\": \"true\""
#define NOT_READY \
    "\"ovs-egress.io/gateway-ready\": \"false\", " \
    "\"conditions.ovs-egress.io/SwitchConnected\": \"False: no switch\", " \
    "\"conditions.ovs-egress.io/UplinkFound\": \"True\", " \
    "\"conditions.ovs-egress.io/Settled\": \"False: not settled\""

static int
setup(void **state)
{
    *state = node_leases_create();
    return 0;
}

static int
teardown(void **state)
{
    node_leases_destroy(*state);
    return 0;
}

/* There comes the Lease of 'node', with 'annotations', which was renewed when the node's clock was at 'renew_time'. */
static void
upsert(struct node_leases *nl, const char *node, const char *annotations, long long int renew_time,
       long long int now)
{
    char *text = xasprintf("{\"metadata\": {\"name\": \"%s\", \"annotations\": {%s}}, "
                           "\"spec\": {\"leaseDurationSeconds\": 40, \"renewTime\": \"%lld\"}}",
                           node, annotations, renew_time);
    struct json_object *json = json_tokener_parse(text);

    assert_non_null(json);
    node_leases_upsert(nl, json, now);
    json_release(json);
    free(text);
}

/* The agent of 'node' renews its Lease, with 'annotations'. */
static void
renew(struct node_leases *nl, const char *node, const char *annotations, long long int now)
{
    upsert(nl, node, annotations, now - START, now);
}

/* The node that is unfit at 'now' is 'node', for 'reason'; none is if that is NULL.  'changed' says whether that is
 * news. */
static void
check(struct node_leases *nl, long long int now, bool changed, const char *node, const char *reason)
{
    const struct shash *unfit = node_leases_get_unfit(nl);

    assert_int_equal(node_leases_run(nl, now), changed);
    assert_int_equal(shash_count(unfit), node != NULL);
    if (node) {
        assert_string_equal(shash_find_data(unfit, node), reason);
    }
}

/* "a" renews until 'end', "b" does not any more. */
static void
let_a_renew(struct node_leases *nl, long long int begin, long long int end)
{
    for (long long int now = begin; now <= end; now += RENEWAL) {
        renew(nl, "a", READY, now);
        check(nl, now, false, NULL, NULL);
    }
}

static void
nothing_known(void **state)
{
    check(*state, START, false, NULL, NULL);
    assert_true(node_leases_next_wakeup(*state) == LLONG_MAX);
}

/* Unfit when the Lease ends, to the millisecond, and fit with the next renewal. */
static void
silent(void **state)
{
    struct node_leases *nl = *state;

    renew(nl, "b", READY, START);
    let_a_renew(nl, START, START + DURATION - 1);
    assert_true(node_leases_next_wakeup(nl) == START + DURATION);
    check(nl, START + DURATION - 1, false, NULL, NULL);
    check(nl, START + DURATION, true, "b", "its agent has not renewed its Lease for 40 s");
    assert_int_equal(node_leases_count(nl).silent, 1);

    renew(nl, "b", READY, START + DURATION + 1);
    check(nl, START + DURATION + 1, true, NULL, NULL);
    assert_int_equal(node_leases_count(nl).ready, 2);
}

/* A Lease that only comes once more, as after a list, is no sign of life. */
static void
silent_though_listed(void **state)
{
    struct node_leases *nl = *state;

    renew(nl, "b", READY, START);
    let_a_renew(nl, START, START + DURATION - 1);
    upsert(nl, "b", READY, 0, START + DURATION - 1);
    check(nl, START + DURATION, true, "b", "its agent has not renewed its Lease for 40 s");
    upsert(nl, "b", READY, 0, START + DURATION + 1);
    check(nl, START + DURATION + 1, false, "b", "its agent has not renewed its Lease for 40 s");
}

/* Nobody is heard for long: nobody is to blame, and everybody has the whole time again afterwards. */
static void
all_silent(void **state)
{
    struct node_leases *nl = *state;
    long long int back = START + 10 * DURATION;

    renew(nl, "a", READY, START);
    renew(nl, "b", READY, START);
    for (long long int now = START; now < back; now += 1000) {
        check(nl, now, false, NULL, NULL);
    }
    let_a_renew(nl, back, back + DURATION - 1);
    check(nl, back + DURATION - 1, false, NULL, NULL);
    check(nl, back + DURATION, true, "b", "its agent has not renewed its Lease for 40 s");
}

/* Who was silent before nobody was heard stays so. */
static void
silent_before_all_are(void **state)
{
    struct node_leases *nl = *state;

    renew(nl, "b", READY, START);
    let_a_renew(nl, START, START + DURATION - 1);
    check(nl, START + DURATION, true, "b", "its agent has not renewed its Lease for 40 s");
    check(nl, START + 10 * DURATION, false, "b", "its agent has not renewed its Lease for 40 s");
    renew(nl, "a", READY, START + 10 * DURATION);
    check(nl, START + 10 * DURATION, false, "b", "its agent has not renewed its Lease for 40 s");
}

/* What does not last is not noticed; what does is told with all reasons. */
static void
not_ready(void **state)
{
    struct node_leases *nl = *state;

    renew(nl, "b", NOT_READY, START);
    check(nl, START, false, NULL, NULL);
    assert_true(node_leases_next_wakeup(nl) == START + NODE_LEASES_GRACE_MS);
    renew(nl, "b", READY, START + 1000);
    check(nl, START + NODE_LEASES_GRACE_MS, false, NULL, NULL);

    renew(nl, "b", NOT_READY, START + 10000);
    renew(nl, "b", NOT_READY, START + 12000);
    check(nl, START + 10000 + NODE_LEASES_GRACE_MS - 1, false, NULL, NULL);
    check(nl, START + 10000 + NODE_LEASES_GRACE_MS, true, "b", "not settled; no switch");
    assert_int_equal(node_leases_count(nl).not_ready, 1);
    renew(nl, "b", READY, START + 16000);
    check(nl, START + 16000, true, NULL, NULL);
}

/* A Lease that says nothing, or nonsense, says nothing against the node. */
static void
odd_leases(void **state)
{
    static const char *const odd[] = {
        "{}", "{\"metadata\": 1}", "{\"metadata\": {\"name\": 1}}", "{\"metadata\": {\"name\": \"b\"}}",
        "{\"metadata\": {\"name\": \"b\", \"annotations\": []}, \"spec\": {\"leaseDurationSeconds\": -1}}",
    };

    for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
        struct json_object *json = json_tokener_parse(odd[i]);

        node_leases_upsert(*state, json, START);
        json_release(json);
        check(*state, START + NODE_LEASES_GRACE_MS, false, NULL, NULL);
    }
    renew(*state, "b", "\"ovs-egress.io/gateway-ready\": \"no\"", START);
    check(*state, START + NODE_LEASES_GRACE_MS, true, "b", "its agent says that it is not ready");
}

static void
deleted(void **state)
{
    renew(*state, "b", NOT_READY, START);
    check(*state, START + NODE_LEASES_GRACE_MS, true, "b", "not settled; no switch");
    node_leases_remove(*state, "b");
    check(*state, START + NODE_LEASES_GRACE_MS, true, NULL, NULL);
    node_leases_remove(*state, "b");
    check(*state, START + NODE_LEASES_GRACE_MS, false, NULL, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_known, setup, teardown),
        cmocka_unit_test_setup_teardown(silent, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_though_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(all_silent, setup, teardown),
        cmocka_unit_test_setup_teardown(silent_before_all_are, setup, teardown),
        cmocka_unit_test_setup_teardown(not_ready, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_leases, setup, teardown),
        cmocka_unit_test_setup_teardown(deleted, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
