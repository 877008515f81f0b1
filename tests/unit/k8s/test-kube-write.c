#include <config.h>

/* The queue of writes. */

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
#include "k8s/kube-write.h"
#include "openvswitch/poll-loop.h"
#include "tests/unit/k8s/fake-api.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 10000

struct scribe {
    struct fake_api *fake;
    struct kube_config *config;
    struct kube_http *http;
    struct kube_writer *writer;
    struct ds results;          /* "STATUS" or "dropped", for each that ended. */
    bool closed;                /* may_write() says no. */
    bool again;                 /* A conflict is to be answered with another write. */
    long long int ahead;
};

static bool
may_write(long long int now OVS_UNUSED, void *s_)
{
    const struct scribe *s = s_;

    return !s->closed;
}

static int
setup(void **state)
{
    struct scribe *s = xzalloc(sizeof *s);
    struct kube_writer_args args = { .max_in_flight = 2, .may_write = may_write, .aux = s };

    ds_init(&s->results);
    s->fake = fake_api_start();
    s->config = fake_api_config(s->fake, NULL, NULL);
    s->http = kube_http_create(s->config);
    s->writer = kube_writer_create(s->http, &args);
    *state = s;
    return 0;
}

static int
teardown(void **state)
{
    struct scribe *s = *state;

    kube_writer_destroy(s->writer);
    kube_http_destroy(s->http);
    kube_config_destroy(s->config);
    fake_api_stop(s->fake);
    ds_destroy(&s->results);
    free(s);
    return 0;
}

static void write_text(struct scribe *, enum kube_write_op, const char *path, const char *text);

static void
done(const struct kube_response *response, long long int now OVS_UNUSED, void *s_)
{
    struct scribe *s = s_;

    if (!response) {
        ds_put_cstr(&s->results, "dropped ");
        return;
    }
    ds_put_format(&s->results, "%d ", response->status);
    if (s->again && response->status == 409) {
        s->again = false;
        write_text(s, KUBE_REPLACE, "/a", "\"again\"");
    }
}

static void
write_text(struct scribe *s, enum kube_write_op op, const char *path, const char *text)
{
    struct json_object *body = text ? json_tokener_parse(text) : NULL;
    struct kube_write write = {
        .op = op, .path = path, .key = op == KUBE_CREATE ? "created" : NULL,
        .field_manager = op == KUBE_APPLY ? "test" : NULL, .force = op == KUBE_APPLY,
        .body = body, .done = done, .aux = s,
    };

    kube_writer_submit(s->writer, &write);
    json_release(body);
}

static void
turn(struct scribe *s)
{
    long long int now = time_msec() + s->ahead;

    kube_http_run(s->http, now);
    kube_writer_run(s->writer, now);
    kube_http_wait(s->http);
    kube_writer_wait(s->writer);
    poll_timer_wait(10);
    poll_block();
}

/* Waits until all that ended since the last call is 'results'. */
static void
expect(struct scribe *s, const char *results)
{
    long long int deadline = time_msec() + DEADLINE_MS;

    while (strcmp(ds_cstr(&s->results), results) && time_msec() < deadline) {
        turn(s);
    }
    assert_string_equal(ds_cstr(&s->results), results);
    ds_clear(&s->results);
}

static void
expect_log(struct scribe *s, const char *log)
{
    long long int deadline = time_msec() + DEADLINE_MS;

    while (strcmp(fake_api_log(s->fake), log) && time_msec() < deadline) {
        turn(s);
    }
    assert_string_equal(fake_api_log(s->fake), log);
    fake_api_clear_log(s->fake);
}

static void
test_operations(void **state)
{
    struct scribe *s = *state;

    write_text(s, KUBE_CREATE, "/things", "{\"metadata\":{\"name\":\"a\"}}");
    expect(s, "200 ");
    write_text(s, KUBE_REPLACE, "/things/a", "{\"metadata\":{\"name\":\"a\"}}");
    expect(s, "200 ");
    write_text(s, KUBE_MERGE_PATCH, "/things/a/status", "{\"x\":1}");
    expect(s, "404 ");
    write_text(s, KUBE_APPLY, "/things/a", "{\"x\":1}");
    expect(s, "200 ");
    write_text(s, KUBE_DELETE, "/things/a", NULL);
    expect(s, "200 ");
    expect_log(s, "POST /things {\"metadata\":{\"name\":\"a\"}}\n"
               "PUT /things/a {\"metadata\":{\"name\":\"a\"}}\n"
               "PATCH /things/a/status {\"x\":1}\n"
               "PATCH /things/a?fieldManager=test&force=true {\"x\":1}\n"
               "DELETE /things/a\n");

    struct kube_writer_stats expected = {
        .submitted = 5, .sent = 5, .succeeded = 4, .refused = 1,
    };
    assert_memory_equal(kube_writer_get_stats(s->writer), &expected, sizeof expected);
}

/* Of the writes with one key, those that wait are replaced, and none overtakes the one in
 * flight. */
static void
test_replacement(void **state)
{
    struct scribe *s = *state;

    fake_api_tell(s->fake, "on('PUT /a', gate, answer(200, {}))");
    fake_api_tell(s->fake, "objects['/a'] = objects['/b'] = {'metadata': {}}");
    write_text(s, KUBE_REPLACE, "/a", "1");
    expect_log(s, "PUT /a 1\n");
    fake_api_tell(s->fake, "on('PUT /a', answer(200, {}))");
    write_text(s, KUBE_REPLACE, "/a", "2");
    write_text(s, KUBE_REPLACE, "/a", "3");
    write_text(s, KUBE_DELETE, "/b", NULL);
    expect_log(s, "DELETE /b\n");
    expect(s, "dropped 200 ");
    assert_int_equal(kube_writer_n_in_flight(s->writer), 1);
    assert_int_equal(kube_writer_n_waiting(s->writer), 1);

    fake_api_tell(s->fake, "open_gate()");
    expect(s, "200 200 ");
    expect_log(s, "PUT /a 3\n");
    assert_int_equal(kube_writer_get_stats(s->writer)->replaced, 1);
    assert_int_equal(kube_writer_n_in_flight(s->writer), 0);
    assert_int_equal(kube_writer_n_waiting(s->writer), 0);
}

static void
test_bounded_concurrency(void **state)
{
    struct scribe *s = *state;

    for (int i = 0; i < 5; i++) {
        char *path = xasprintf("/%d", i);
        char *plan = xasprintf("on('PUT %s', gate, answer(200, {}))", path);

        fake_api_tell(s->fake, plan);
        write_text(s, KUBE_REPLACE, path, "1");
        free(plan);
        free(path);
    }
    while (!strstr(fake_api_log(s->fake), "/0") || !strstr(fake_api_log(s->fake), "/1")) {
        turn(s);
    }
    turn(s);
    assert_int_equal(kube_writer_n_in_flight(s->writer), 2);
    assert_int_equal(kube_writer_n_waiting(s->writer), 3);
    assert_int_equal(strlen(fake_api_log(s->fake)), 2 * strlen("PUT /0 1\n"));
    fake_api_tell(s->fake, "open_gate()");
    expect(s, "200 200 200 200 200 ");
}

/* What passes by itself is tried again, after the time that the server wants. */
static void
test_retry(void **state)
{
    struct scribe *s = *state;

    fake_api_tell(s->fake, "on('PUT /a', status(429, Retry_After=20))");
    fake_api_tell(s->fake, "on('PUT /a', status(500))");
    fake_api_tell(s->fake, "on('PUT /a', drop)");
    fake_api_tell(s->fake, "on('PUT /a', answer(200, {}))");
    write_text(s, KUBE_REPLACE, "/a", "1");
    while (!kube_writer_get_stats(s->writer)->retries) {
        turn(s);
    }
    assert_string_equal(kube_writer_get_problem(s->writer), "the server answered 429: no");

    /* Too early, for all of them. */
    s->ahead = 19000;
    write_text(s, KUBE_REPLACE, "/b", "1");
    turn(s);
    assert_int_equal(kube_writer_get_stats(s->writer)->sent, 1);
    kube_writer_clear(s->writer);
    assert_int_equal(kube_writer_n_waiting(s->writer), 0);

    write_text(s, KUBE_REPLACE, "/a", "2");
    s->ahead = 21000;
    expect(s, "dropped dropped 200 ");
    expect_log(s, "PUT /a 1\nPUT /a 2\nPUT /a 2\nPUT /a 2\n");
    /* The third time, libcurl does by itself, because the connection worked before. */
    assert_int_equal(kube_writer_get_stats(s->writer)->retries, 2);
    assert_null(kube_writer_get_problem(s->writer));
}

/* A write that is to be tried again gives way to a newer one. */
static void
test_retry_replaced(void **state)
{
    struct scribe *s = *state;

    fake_api_tell(s->fake, "on('PUT /a', gate, status(500))");
    fake_api_tell(s->fake, "on('PUT /a', answer(200, {}))");
    write_text(s, KUBE_REPLACE, "/a", "1");
    expect_log(s, "PUT /a 1\n");
    write_text(s, KUBE_REPLACE, "/a", "2");
    fake_api_tell(s->fake, "open_gate()");
    expect(s, "dropped 200 ");
    expect_log(s, "PUT /a 2\n");
}

static void
test_conflict(void **state)
{
    struct scribe *s = *state;

    s->again = true;
    fake_api_tell(s->fake, "on('PUT /a', status(409))");
    fake_api_tell(s->fake, "on('PUT /a', answer(200, {}))");
    write_text(s, KUBE_REPLACE, "/a", "1");
    expect(s, "409 200 ");
    expect_log(s, "PUT /a 1\nPUT /a \"again\"\n");
    assert_int_equal(kube_writer_get_stats(s->writer)->conflicts, 1);
}

/* Without leave, nothing is sent. */
static void
test_closed(void **state)
{
    struct scribe *s = *state;

    s->closed = true;
    fake_api_tell(s->fake, "on('PUT /a', answer(200, {}))");
    write_text(s, KUBE_REPLACE, "/a", "1");
    for (int i = 0; i < 10; i++) {
        turn(s);
    }
    assert_int_equal(kube_writer_get_stats(s->writer)->sent, 0);
    s->closed = false;
    expect(s, "200 ");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_operations),
        TEST(test_replacement),
        TEST(test_bounded_concurrency),
        TEST(test_retry),
        TEST(test_retry_replaced),
        TEST(test_conflict),
        TEST(test_closed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
