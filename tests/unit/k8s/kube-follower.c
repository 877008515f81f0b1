#include <config.h>
#include "tests/unit/k8s/kube-follower.h"

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
#include "k8s/kube-reflector.h"
#include "k8s/kube-watch.h"
#include "openvswitch/poll-loop.h"
#include "tests/unit/k8s/fake-api.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 10000

static void
trace(struct follower *f, const char *format, const char *a, const char *b)
{
    if (f->trace.length) {
        ds_put_char(&f->trace, ' ');
    }
    ds_put_format(&f->trace, format, a, b);
}

static const char *
get_string(struct json_object *object, const char *name)
{
    struct json_object *member;

    return (json_object_object_get_ex(object, name, &member)
            ? json_object_get_string(member) : "none");
}

static void
upsert(struct json_object *object, void *f)
{
    struct kube_meta meta;

    assert_true(kube_meta_read(object, &meta));
    assert_string_equal(meta.namespace, "ns");
    assert_string_equal(get_string(object, "apiVersion"), "x/v1");
    assert_string_equal(get_string(object, "kind"), "Thing");
    trace(f, "+%s:%s", meta.name, meta.version);
}

static void
remove_object(const char *namespace, const char *name, void *f)
{
    assert_string_equal(namespace, "ns");
    trace(f, "-%s%s", name, "");
}

static void
list_begin(void *f)
{
    trace(f, "[%s%s", "", "");
}

static void
list_end(void *f)
{
    trace(f, "]%s%s", "", "");
}

int
follower_setup(void **state)
{
    struct follower *f = xzalloc(sizeof *f);
    struct kube_reflector_args args = {
        .path = "/apis/x/v1/things",
        .upsert = upsert,
        .remove = remove_object,
        .list_begin = list_begin,
        .list_end = list_end,
        .aux = f,
        .min_delay_ms = 50,
        .max_delay_ms = 200,
        .max_object = 100000,
    };

    ds_init(&f->trace);
    f->fake = fake_api_start();
    f->config = fake_api_config(f->fake, NULL, NULL);
    f->http = kube_http_create(f->config);
    f->reflector = kube_reflector_create(f->http, &args);
    *state = f;
    return 0;
}

int
follower_teardown(void **state)
{
    struct follower *f = *state;

    kube_reflector_destroy(f->reflector);
    kube_http_destroy(f->http);
    kube_config_destroy(f->config);
    fake_api_stop(f->fake);
    ds_destroy(&f->trace);
    free(f);
    return 0;
}

void
follower_tell(struct follower *f, const char *python)
{
    fake_api_tell(f->fake, python);
}

/* Lets time pass. */
void
follower_advance(struct follower *f, int ms)
{
    f->ahead += ms;
}

/* One turn of the main loop.  Blocks for a moment only, because the time is not the real one and
 * the fake's log wakes up nobody. */
void
follower_turn(struct follower *f)
{
    long long int now = time_msec() + f->ahead;

    kube_http_run(f->http, now);
    kube_reflector_run(f->reflector, now);
    kube_http_wait(f->http);
    kube_reflector_wait(f->reflector);
    poll_timer_wait(10);
    poll_block();
}

/* Waits until all that the consumer was told since the last call is 'expected'. */
void
follower_expect(struct follower *f, const char *expected)
{
    long long int deadline = time_msec() + DEADLINE_MS;

    while (strcmp(ds_cstr(&f->trace), expected) && time_msec() < deadline) {
        follower_turn(f);
    }
    assert_string_equal(ds_cstr(&f->trace), expected);
    ds_clear(&f->trace);
}

/* Waits until all requests since the last call are 'expected'. */
void
follower_expect_log(struct follower *f, const char *expected)
{
    long long int deadline = time_msec() + DEADLINE_MS;

    while (strcmp(fake_api_log(f->fake), expected) && time_msec() < deadline) {
        follower_turn(f);
    }
    assert_string_equal(fake_api_log(f->fake), expected);
    fake_api_clear_log(f->fake);
}

/* Waits until the reflector's problem is 'expected', which may be NULL. */
void
follower_expect_problem(struct follower *f, const char *expected)
{
    long long int deadline = time_msec() + DEADLINE_MS;
    const char *problem;

    while (problem = kube_reflector_get_problem(f->reflector),
           !nullable_string_is_equal(problem, expected) && time_msec() < deadline) {
        follower_turn(f);
    }
    assert_string_equal(problem ? problem : "none", expected ? expected : "none");
}
