#include <config.h>

/* Leader election between two, "a" and "b", whose time is ours. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/kube-config.h"
#include "k8s/kube-http.h"
#include "k8s/kube-lease.h"
#include "openvswitch/poll-loop.h"
#include "smap.h"
#include "tests/unit/k8s/fake-api.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 10000
#define PATH "/apis/coordination.k8s.io/v1/namespaces/ns/leases"

struct election {
    struct fake_api *fake;
    struct kube_config *config;
    struct kube_http *http;
    struct kube_lease *a, *b;
    long long int now;
};

static int
setup(void **state)
{
    struct election *e = xzalloc(sizeof *e);
    struct kube_lease_args args = { .namespace = "ns", .name = "l", .identity = "a" };

    e->fake = fake_api_start();
    e->config = fake_api_config(e->fake, NULL, NULL);
    e->http = kube_http_create(e->config);
    e->a = kube_lease_create(e->http, &args);
    args.identity = "b";
    e->b = kube_lease_create(e->http, &args);
    e->now = 1000000;
    *state = e;
    return 0;
}

static int
teardown(void **state)
{
    struct election *e = *state;

    kube_lease_destroy(e->a);
    kube_lease_destroy(e->b);
    kube_http_destroy(e->http);
    kube_config_destroy(e->config);
    fake_api_stop(e->fake);
    free(e);
    return 0;
}

/* One turn of the main loop, in which no time passes.  Of two that hold the lease at once, no turn
 * must know. */
static void
turn(struct election *e, struct kube_lease *lease)
{
    kube_http_run(e->http, e->now);
    kube_lease_run(lease, e->now);
    kube_http_wait(e->http);
    poll_timer_wait(5);
    poll_block();
    assert_false(kube_lease_is_held(e->a, e->now) && kube_lease_is_held(e->b, e->now));
}

/* Runs 'lease' until the fake saw 'n' requests since the last call, and their answers came. */
static void
run_requests(struct election *e, struct kube_lease *lease, const char *expected)
{
    long long int deadline = time_msec() + DEADLINE_MS;
    struct ds methods = DS_EMPTY_INITIALIZER;

    while (time_msec() < deadline) {
        turn(e, lease);

        ds_clear(&methods);
        for (const char *p = fake_api_log(e->fake); *p; p = strchr(p, '\n') + 1) {
            ds_put_format(&methods, "%.*s ", (int) strcspn(p, " "), p);
        }
        if (!strcmp(ds_cstr(&methods), expected)) {
            break;
        }
    }
    assert_string_equal(ds_cstr(&methods), expected);
    ds_destroy(&methods);

    /* The last answer. */
    for (int i = 0; i < 20; i++) {
        turn(e, lease);
    }
    fake_api_clear_log(e->fake);
}

static void
test_acquire_and_renew(void **state)
{
    struct election *e = *state;

    assert_false(kube_lease_is_held(e->a, e->now));
    run_requests(e, e->a, "GET POST ");
    assert_true(kube_lease_is_held(e->a, e->now));
    assert_string_equal(kube_lease_get_holder(e->a), "a");

    /* Held until the deadline, to the millisecond. */
    assert_true(kube_lease_is_held(e->a, e->now + KUBE_LEASE_RENEW_DEADLINE_MS - 1));
    assert_false(kube_lease_is_held(e->a, e->now + KUBE_LEASE_RENEW_DEADLINE_MS));

    e->now += KUBE_LEASE_RETRY_MS;
    run_requests(e, e->a, "PUT ");
    assert_true(kube_lease_is_held(e->a, e->now + KUBE_LEASE_RENEW_DEADLINE_MS - 1));
    assert_int_equal(kube_lease_get_stats(e->a)->acquired, 1);
    assert_int_equal(kube_lease_get_stats(e->a)->renewals, 1);
    assert_int_equal(kube_lease_get_stats(e->a)->errors, 0);
}

/* What is written is what other clients of the Lease expect. */
static void
test_contents(void **state)
{
    struct election *e = *state;
    struct json_object *object;

    fake_api_tell(e->fake, "objects['" PATH "/l'] = {'metadata': {'name': 'l', "
                  "'resourceVersion': '5', 'annotations': {'k': 'v'}}, "
                  "'spec': {'leaseTransitions': 3}}");
    long long int deadline = time_msec() + DEADLINE_MS;
    const char *put = NULL;
    while (!(put = strstr(fake_api_log(e->fake), "PUT ")) && time_msec() < deadline) {
        turn(e, e->a);
    }
    assert_non_null(put);
    object = json_tokener_parse(strchr(put, '{'));

    struct json_object *spec, *member;
    assert_true(json_object_object_get_ex(object, "spec", &spec));
    assert_true(json_object_object_get_ex(spec, "renewTime", &member));
    assert_int_equal(strlen(json_object_get_string(member)),
                     strlen("2006-01-02T15:04:05.000000Z"));
    json_object_object_del(spec, "renewTime");
    json_object_object_del(spec, "acquireTime");
    assert_string_equal(json_object_to_json_string_ext(object, 0),
                        "{\"metadata\":{\"name\":\"l\",\"resourceVersion\":\"5\","
                        "\"annotations\":{\"k\":\"v\"}},"
                        "\"spec\":{\"leaseTransitions\":4,\"holderIdentity\":\"a\","
                        "\"leaseDurationSeconds\":15}}");
    json_release(object);
}

/* The leader falls silent: the other one leads after the lease's duration, no earlier. */
static void
test_takeover(void **state)
{
    struct election *e = *state;

    run_requests(e, e->a, "GET POST ");
    run_requests(e, e->b, "GET ");
    assert_string_equal(kube_lease_get_holder(e->b), "a");

    e->now += KUBE_LEASE_DURATION_MS - 1;
    assert_false(kube_lease_is_held(e->a, e->now));
    run_requests(e, e->b, "GET ");
    assert_false(kube_lease_is_held(e->b, e->now));

    e->now += KUBE_LEASE_RETRY_MS;
    run_requests(e, e->b, "GET PUT ");
    assert_true(kube_lease_is_held(e->b, e->now));

    /* The first one comes to and finds out. */
    run_requests(e, e->a, "GET ");
    assert_false(kube_lease_is_held(e->a, e->now));
    assert_string_equal(kube_lease_get_holder(e->a), "b");
    assert_int_equal(kube_lease_get_stats(e->a)->lost, 1);
}

/* A sign of life: whoever is named in the Lease, it becomes ours, and has our annotations next to others' at once when
 * they change. */
static void
test_sign_of_life(void **state)
{
    struct election *e = *state;
    struct kube_lease_args args = {
        .namespace = "ns", .name = "l", .identity = "n1", .sign_of_life = true,
    };
    struct kube_lease *lease = kube_lease_create(e->http, &args);
    struct smap annotations = SMAP_INITIALIZER(&annotations);

    run_requests(e, e->a, "GET POST ");
    smap_add(&annotations, "ready", "true");
    kube_lease_set_annotations(lease, &annotations);
    run_requests(e, lease, "GET PUT ");
    assert_string_equal(kube_lease_get_holder(lease), "n1");

    kube_lease_set_annotations(lease, &annotations);
    for (int i = 0; i < 20; i++) {
        turn(e, lease);
    }
    assert_string_equal(fake_api_log(e->fake), "");
    smap_replace(&annotations, "ready", "false");
    kube_lease_set_annotations(lease, &annotations);
    long long int deadline = time_msec() + DEADLINE_MS;
    while (!strstr(fake_api_log(e->fake), "PUT ") && time_msec() < deadline) {
        turn(e, lease);
    }
    assert_non_null(strstr(fake_api_log(e->fake), "\"ready\":\"false\""));
    smap_destroy(&annotations);
    kube_lease_destroy(lease);
}

/* As long as the leader renews, nobody takes over. */
static void
test_renewed_in_time(void **state)
{
    struct election *e = *state;

    run_requests(e, e->a, "GET POST ");
    for (int i = 0; i < 12; i++) {
        run_requests(e, e->b, "GET ");
        e->now += KUBE_LEASE_RETRY_MS;
        run_requests(e, e->a, "PUT ");
    }
    assert_true(kube_lease_is_held(e->a, e->now));
    assert_int_equal(kube_lease_get_stats(e->b)->acquired, 0);
}

/* The server fails: the leader leads until the deadline, and again afterwards. */
static void
test_loss(void **state)
{
    struct election *e = *state;

    run_requests(e, e->a, "GET POST ");
    long long int start = e->now;
    for (int i = 1; i <= 4; i++) {
        e->now = start + i * KUBE_LEASE_RETRY_MS;
        fake_api_tell(e->fake, "on('PUT " PATH "/l', status(500))");
        run_requests(e, e->a, "PUT ");
        assert_true(kube_lease_is_held(e->a, e->now));
        assert_string_equal(kube_lease_get_problem(e->a), "the server answered 500: no");
    }

    fake_api_tell(e->fake, "on('GET " PATH "/l', status(500))");
    e->now = start + KUBE_LEASE_RENEW_DEADLINE_MS;
    run_requests(e, e->a, "GET ");
    assert_false(kube_lease_is_held(e->a, e->now));
    assert_int_equal(kube_lease_get_stats(e->a)->lost, 1);

    e->now += KUBE_LEASE_RETRY_MS;
    run_requests(e, e->a, "GET PUT ");
    assert_true(kube_lease_is_held(e->a, e->now));
    assert_int_equal(kube_lease_get_stats(e->a)->acquired, 2);
    assert_null(kube_lease_get_problem(e->a));
}

/* An answer that comes after the deadline is worth nothing. */
static void
test_late_answer(void **state)
{
    struct election *e = *state;

    run_requests(e, e->a, "GET POST ");
    fake_api_tell(e->fake, "on('PUT " PATH "/l', gate, store('PUT', '" PATH "/l', "
                  "objects['" PATH "/l']))");
    e->now += KUBE_LEASE_RETRY_MS;
    run_requests(e, e->a, "PUT ");
    e->now += KUBE_LEASE_RENEW_DEADLINE_MS;
    fake_api_tell(e->fake, "open_gate()");
    long long int deadline = time_msec() + DEADLINE_MS;
    while (!strstr(fake_api_log(e->fake), "GET") && time_msec() < deadline) {
        turn(e, e->a);
        assert_false(kube_lease_is_held(e->a, e->now));
    }
    run_requests(e, e->a, "GET PUT ");
    assert_true(kube_lease_is_held(e->a, e->now));
}

/* Somebody else changes the Lease: the leader reads it again and goes on. */
static void
test_conflict(void **state)
{
    struct election *e = *state;

    run_requests(e, e->a, "GET POST ");
    fake_api_tell(e->fake,
                  "objects['" PATH "/l']['metadata'].update(resourceVersion='0', labels={})");
    e->now += KUBE_LEASE_RETRY_MS;
    run_requests(e, e->a, "PUT GET PUT ");
    assert_true(kube_lease_is_held(e->a, e->now + KUBE_LEASE_RENEW_DEADLINE_MS - 1));
    assert_int_equal(kube_lease_get_stats(e->a)->acquired, 1);
    assert_int_equal(kube_lease_get_stats(e->a)->lost, 0);
}

/* Of two that try at the same time, one leads. */
static void
test_race(void **state)
{
    struct election *e = *state;
    long long int deadline = time_msec() + DEADLINE_MS;

    while (!kube_lease_get_holder(e->a) || !kube_lease_get_holder(e->b)) {
        assert_true(time_msec() < deadline);
        kube_lease_run(e->b, e->now);
        turn(e, e->a);
    }
    assert_true(kube_lease_is_held(e->a, e->now) != kube_lease_is_held(e->b, e->now));
    assert_string_equal(kube_lease_get_holder(e->a), kube_lease_get_holder(e->b));
}

/* Who released it does not lead any more, and the next one need not wait. */
static void
test_release(void **state)
{
    struct election *e = *state;

    run_requests(e, e->a, "GET POST ");
    run_requests(e, e->b, "GET ");
    kube_lease_release(e->a);
    assert_false(kube_lease_is_held(e->a, e->now));
    assert_false(kube_lease_is_released(e->a));
    run_requests(e, e->a, "PUT ");
    assert_true(kube_lease_is_released(e->a));

    e->now += KUBE_LEASE_RETRY_MS;
    run_requests(e, e->b, "GET PUT ");
    assert_true(kube_lease_is_held(e->b, e->now));
    assert_int_equal(kube_lease_get_stats(e->a)->lost, 0);
}

/* There is nothing to release for who does not lead. */
static void
test_release_of_none(void **state)
{
    struct election *e = *state;

    run_requests(e, e->a, "GET POST ");
    run_requests(e, e->b, "GET ");
    kube_lease_release(e->b);
    turn(e, e->b);
    assert_true(kube_lease_is_released(e->b));
    assert_true(kube_lease_is_held(e->a, e->now));
    assert_string_equal(fake_api_log(e->fake), "");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_acquire_and_renew),
        TEST(test_contents),
        TEST(test_takeover),
        TEST(test_sign_of_life),
        TEST(test_renewed_in_time),
        TEST(test_loss),
        TEST(test_late_answer),
        TEST(test_conflict),
        TEST(test_race),
        TEST(test_release),
        TEST(test_release_of_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
