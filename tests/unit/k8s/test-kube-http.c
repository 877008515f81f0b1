#include <config.h>

/* Requests: what is sent, what comes back, and who is trusted. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "k8s/json-c.h"
#include "k8s/kube-config.h"
#include "k8s/kube-http.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "tests/unit/k8s/fake-api.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 10000

struct client {
    struct fake_api *fake;
    struct kube_config *config;
    struct kube_http *http;

    /* How the last requests ended, and what they streamed. */
    int n_done;
    struct ds result;           /* "STATUS ERROR BODY". */
    int retry_after_s;
    struct ds data;
    size_t max_data;            /* After which streaming ends. */
    struct kube_request *other; /* To be cancelled by the next callback. */
};

static void
set_user(struct client *c, const char *cluster, const char *user)
{
    kube_http_destroy(c->http);
    kube_config_destroy(c->config);
    c->config = fake_api_config(c->fake, cluster, user);
    c->http = kube_http_create(c->config);
}

static int
setup(void **state)
{
    struct client *c = xzalloc(sizeof *c);

    ds_init(&c->result);
    ds_init(&c->data);
    c->max_data = SIZE_MAX;
    c->fake = fake_api_start();
    set_user(c, NULL, NULL);
    *state = c;
    return 0;
}

static int
teardown(void **state)
{
    struct client *c = *state;

    kube_http_destroy(c->http);
    kube_config_destroy(c->config);
    fake_api_stop(c->fake);
    ds_destroy(&c->result);
    ds_destroy(&c->data);
    free(c);
    return 0;
}

static void
done(const struct kube_response *response, long long int now, void *c_)
{
    struct client *c = c_;

    assert_int_equal(now, 4711);
    c->n_done++;
    c->retry_after_s = response->retry_after_s;
    ds_clear(&c->result);
    ds_put_format(&c->result, "%d %s %s", response->status,
                  response->error ? response->error : "-",
                  response->json ? json_object_to_json_string_ext(response->json, 0) : "-");
    kube_request_cancel(c->other);
    c->other = NULL;
}

static bool
take_data(const char *data, size_t n, long long int now, void *c_)
{
    struct client *c = c_;

    assert_int_equal(now, 4711);
    ds_put_buffer(&c->data, data, n);
    kube_request_cancel(c->other);
    c->other = NULL;
    return c->data.length < c->max_data;
}

static void
turn(struct client *c)
{
    kube_http_run(c->http, 4711);
    kube_http_wait(c->http);
    poll_timer_wait(10);
    poll_block();
}

static struct kube_request *
get(struct client *c, const char *path)
{
    struct kube_request_args args = {
        .method = "GET", .path = path, .max_body = 1000, .timeout_ms = 5000, .done = done,
        .aux = c,
    };

    return kube_request_start(c->http, &args);
}

static struct kube_request *
stream(struct client *c, const char *path)
{
    struct kube_request_args args = {
        .method = "GET", .path = path, .timeout_ms = KUBE_NO_TIMEOUT, .data = take_data,
        .done = done, .aux = c,
    };

    return kube_request_start(c->http, &args);
}

/* Waits for one more request to end, like 'result'. */
static void
expect(struct client *c, const char *result)
{
    long long int deadline = time_msec() + DEADLINE_MS;

    while (!c->n_done && time_msec() < deadline) {
        turn(c);
    }
    assert_int_equal(c->n_done, 1);
    assert_string_equal(ds_cstr(&c->result), result);
    c->n_done = 0;
}

static void
test_get(void **state)
{
    struct client *c = *state;

    fake_api_tell(c->fake, "on('GET /a', answer(200, {'x': 1}))");
    get(c, "/a?b=c");
    expect(c, "200 - {\"x\":1}");
    assert_string_equal(fake_api_log(c->fake), "GET /a?b=c\n");
}

static void
test_post(void **state)
{
    struct client *c = *state;
    struct kube_request_args args = {
        .method = "POST", .path = "/a", .body = "{}", .body_len = 2, .done = done, .aux = c,
    };

    fake_api_tell(c->fake, "on('POST /a', answer(201, {'x': 1}))");
    kube_request_start(c->http, &args);
    expect(c, "201 - {\"x\":1}");
    assert_string_equal(fake_api_log(c->fake), "POST /a {}\n");
}

static void
test_errors(void **state)
{
    struct client *c = *state;

    fake_api_tell(c->fake, "on('GET /a', status(403, 'not you'))");
    get(c, "/a");
    expect(c, "403 the server answered 403: not you "
           "{\"kind\":\"Status\",\"code\":403,\"message\":\"not you\"}");
    assert_int_equal(c->retry_after_s, -1);

    fake_api_tell(c->fake, "on('GET /a', answer(429, '', Retry_After=3))");
    get(c, "/a");
    expect(c, "429 the server answered 429 -");
    assert_int_equal(c->retry_after_s, 3);

    fake_api_tell(c->fake, "on('GET /a', answer(504, {'details': {'retryAfterSeconds': 2}}))");
    get(c, "/a");
    expect(c, "504 the server answered 504 {\"details\":{\"retryAfterSeconds\":2}}");
    assert_int_equal(c->retry_after_s, 2);

    fake_api_tell(c->fake, "on('GET /a', answer(200, '{\"x\":'))");
    get(c, "/a");
    expect(c, "0 the server answered with what is no JSON: \"{\"x\":\" -");
}

static void
test_too_large(void **state)
{
    struct client *c = *state;

    fake_api_tell(c->fake, "on('GET /a', begin, endless)");
    get(c, "/a");
    expect(c, "0 the response is larger than 1000 bytes -");
}

static void
test_timeout(void **state)
{
    struct client *c = *state;
    struct kube_request_args args = {
        .method = "GET", .path = "/a", .timeout_ms = 100, .done = done, .aux = c,
    };

    fake_api_tell(c->fake, "on('GET /a', hang)");
    kube_request_start(c->http, &args);

    long long int start = time_msec();
    while (!c->n_done) {
        turn(c);
    }
    assert_true(time_msec() - start >= 100);
    assert_int_equal(strncmp(ds_cstr(&c->result), "0 Operation timed out", 21), 0);
}

/* Requests, one after the other, use one connection, until there are doubts about it. */
static void
test_connections(void **state)
{
    struct client *c = *state;

    fake_api_tell(c->fake, "objects['/a'] = {}");
    for (int i = 0; i < 5; i++) {
        get(c, "/a");
        expect(c, "200 - {}");
    }
    assert_int_equal(kube_http_get_stats(c->http)->connections, 1);

    kube_http_renew(c->http);
    for (int i = 0; i < 5; i++) {
        get(c, "/a");
        expect(c, "200 - {}");
    }
    assert_int_equal(kube_http_get_stats(c->http)->connections, 2);
    assert_int_equal(kube_http_get_stats(c->http)->requests, 10);
    assert_int_equal(kube_http_get_stats(c->http)->errors, 0);
}

static void
test_stream(void **state)
{
    struct client *c = *state;

    fake_api_tell(c->fake, "on('GET /a', begin, send('one'), send('two'), end)");
    stream(c, "/a");
    expect(c, "200 - -");
    assert_string_equal(ds_cstr(&c->data), "onetwo");

    /* What is not successful is not streamed. */
    fake_api_tell(c->fake, "on('GET /a', status(410))");
    stream(c, "/a");
    expect(c, "410 the server answered 410: no "
           "{\"kind\":\"Status\",\"code\":410,\"message\":\"no\"}");
    assert_string_equal(ds_cstr(&c->data), "onetwo");
}

/* A request that cancels another, and one that cancels itself. */
static void
test_cancel(void **state)
{
    struct client *c = *state;

    fake_api_tell(c->fake, "objects['/a'] = {}");
    fake_api_tell(c->fake, "on('GET /hang', begin, send('x'), hang)");
    c->other = get(c, "/hang");
    while (!strstr(fake_api_log(c->fake), "hang")) {
        turn(c);
    }
    get(c, "/a");
    expect(c, "200 - {}");

    fake_api_tell(c->fake, "on('GET /b', begin, send('one'), gate, send('two'), end)");
    c->other = stream(c, "/b");
    while (!c->data.length) {
        turn(c);
    }
    fake_api_tell(c->fake, "open_gate()");
    get(c, "/a");
    expect(c, "200 - {}");
    assert_string_equal(ds_cstr(&c->data), "one");

    kube_request_cancel(get(c, "/a"));
    get(c, "/a");
    expect(c, "200 - {}");
}

static void
test_stream_ends_itself(void **state)
{
    struct client *c = *state;

    c->max_data = 1;
    fake_api_tell(c->fake, "on('GET /a', begin, send('one'), hang)");
    stream(c, "/a");
    while (!c->n_done) {
        turn(c);
    }
    assert_string_equal(ds_cstr(&c->data), "one");
    assert_int_equal(ds_cstr(&c->result)[0], '0');
}

/* A server with a certificate of somebody else's. */
static void
test_wrong_ca(void **state)
{
    struct client *c = *state;

    fake_api_tell(c->fake, "make_certificate(directory, 'other')");
    set_user(c, "certificate-authority: other.crt", NULL);
    get(c, "/a");
    expect(c, "0 SSL certificate problem: self-signed certificate -");

    /* The system's certificates do not have it either. */
    set_user(c, "extensions: []", NULL);
    get(c, "/a");
    expect(c, "0 SSL certificate problem: self-signed certificate -");
    assert_string_equal(fake_api_log(c->fake), "");
}

static void
test_server_name(void **state)
{
    struct client *c = *state;

    fake_api_tell(c->fake, "objects['/a'] = {}");
    set_user(c, "certificate-authority: server.crt, tls-server-name: fake.test", NULL);
    get(c, "/a");
    expect(c, "200 - {}");

    set_user(c, "certificate-authority: server.crt, tls-server-name: other.test", NULL);
    get(c, "/a");
    expect(c, "0 SSL: no alternative certificate subject name matches target host name "
           "'other.test' -");
}

static void
write_token(const struct client *c, const char *token)
{
    char *path = xasprintf("%s/token", c->fake->dir);
    char *tmp = xasprintf("%s/token.new", c->fake->dir);
    FILE *file = fopen(tmp, "w");

    fprintf(file, "%s\n", token);
    fclose(file);
    assert_int_equal(rename(tmp, path), 0);
    free(path);
    free(tmp);
}

static void
test_token_rotates(void **state)
{
    struct client *c = *state;

    write_token(c, "first");
    set_user(c, "certificate-authority: server.crt", "tokenFile: token");
    fake_api_tell(c->fake, "objects['/a'] = {}");
    get(c, "/a");
    expect(c, "200 - {}");
    write_token(c, "other");
    get(c, "/a");
    expect(c, "200 - {}");

    /* Without the file, the last one has to do. */
    char *path = xasprintf("%s/token", c->fake->dir);
    assert_int_equal(unlink(path), 0);
    free(path);
    get(c, "/a");
    expect(c, "200 - {}");
    assert_string_equal(fake_api_log(c->fake), "first GET /a\nother GET /a\nother GET /a\n");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_post),
        TEST(test_errors),
        TEST(test_too_large),
        TEST(test_timeout),
        TEST(test_connections),
        TEST(test_stream),
        TEST(test_cancel),
        TEST(test_stream_ends_itself),
        TEST(test_wrong_ca),
        TEST(test_server_name),
        TEST(test_token_rotates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
