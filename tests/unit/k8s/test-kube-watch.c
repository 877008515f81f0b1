#include <config.h>

/* The lines of a watch. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/kube-backoff.h"
#include "k8s/kube-watch.h"
#include "util.h"

#define MAX_LINE 200
#define ADDED "{\"type\":\"ADDED\",\"object\":{\"metadata\":" \
    "{\"name\":\"a\",\"namespace\":\"n\",\"resourceVersion\":\"7\"}}}"
#define ERROR "{\"type\":\"ERROR\",\"object\":{\"code\":429,\"message\":\"slowly\"," \
    "\"details\":{\"retryAfterSeconds\":3}}}"

/* Notes an event in 'trace_'. */
static bool
note(const struct kube_event *event, void *trace_)
{
    static const char *const names[] = {
        [KUBE_EVENT_UPSERT] = "upsert",
        [KUBE_EVENT_DELETE] = "delete",
        [KUBE_EVENT_BOOKMARK] = "bookmark",
        [KUBE_EVENT_ERROR] = "error",
        [KUBE_EVENT_JUNK] = "junk",
        [KUBE_EVENT_TOO_LARGE] = "too-large",
    };
    struct ds *trace = trace_;

    ds_put_cstr(trace, names[event->type]);
    if (event->type == KUBE_EVENT_ERROR) {
        ds_put_format(trace, "(%d,%s,%d)", event->code, event->error, event->retry_after_s);
    } else if (event->meta.version) {
        ds_put_format(trace, "(%s,%s,%s)", event->meta.namespace ? event->meta.namespace : "-",
                      event->meta.name ? event->meta.name : "-", event->meta.version);
    }
    ds_put_char(trace, ' ');
    return event->type != KUBE_EVENT_ERROR;
}

/* Feeds 'text' in pieces of 'cut' bytes, and expects the events 'expected', and 'more' as what
 * comes of it. */
static void
check(const char *text, size_t cut, const char *expected, bool more)
{
    struct ds trace = DS_EMPTY_INITIALIZER;
    struct kube_watch_reader reader;
    bool result = true;

    kube_watch_reader_init(&reader, MAX_LINE, note, &trace);
    for (size_t i = 0; result && i < strlen(text); i += cut) {
        result = kube_watch_reader_feed(&reader, text + i, MIN(cut, strlen(text) - i));
    }
    assert_string_equal(ds_cstr(&trace), expected);
    assert_int_equal(result, more);
    kube_watch_reader_destroy(&reader);
    ds_destroy(&trace);
}

static void
test_cuts(void **state OVS_UNUSED)
{
    const char *text = ADDED "\n\n" ADDED "\r\n" ADDED "\n" ADDED;

    for (size_t cut = 1; cut <= strlen(text); cut++) {
        check(text, cut, "upsert(n,a,7) upsert(n,a,7) upsert(n,a,7) ", true);
    }
}

static void
test_events(void **state OVS_UNUSED)
{
    check("{\"type\":\"MODIFIED\",\"object\":{\"metadata\":{\"name\":\"a\","
          "\"resourceVersion\":\"7\"}}}\n", SIZE_MAX, "upsert(-,a,7) ", true);
    check("{\"type\":\"DELETED\",\"object\":{\"metadata\":{\"name\":\"a\","
          "\"resourceVersion\":\"7\"}}}\n", SIZE_MAX, "delete(-,a,7) ", true);
    check("{\"type\":\"BOOKMARK\",\"object\":{\"metadata\":{\"resourceVersion\":\"7\"}}}\n",
          SIZE_MAX, "bookmark(-,-,7) ", true);
    check(ERROR "\n" ADDED "\n", SIZE_MAX, "error(429,slowly,3) ", false);
    check("{\"type\":\"ERROR\",\"object\":{}}\n", SIZE_MAX,
          "error(0,the server ended the watch without saying why,-1) ", false);
}

static void
test_junk(void **state OVS_UNUSED)
{
    static const char *const junk[] = {
        "junk\n", "{\n", "7\n", "null\n", "[]\n", "{}\n", ADDED ADDED "\n", "{\"type\":1}\n",
        "{\"type\":\"ADDED\"}\n",
        "{\"type\":\"ADDED\",\"object\":[]}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":7}}\n",
        "{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"a\"}}}\n",
        ("{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"\","
         "\"resourceVersion\":\"1\"}}}\n"),
        "{\"type\":\"BOOKMARK\",\"object\":{}}\n",
        "\"\\u0000\"\n",
    };

    for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
        check(junk[i], 3, "junk ", true);
    }
}

static void
test_too_large(void **state OVS_UNUSED)
{
    char line[MAX_LINE + 3];

    /* As large as may be: it is read, and is junk. */
    memset(line, 'x', sizeof line);
    line[MAX_LINE] = '\n';
    line[MAX_LINE + 1] = '\0';
    check(line, 7, "junk ", true);

    line[MAX_LINE] = 'x';
    line[MAX_LINE + 1] = '\n';
    line[MAX_LINE + 2] = '\0';
    check(line, 7, "too-large ", false);
    check(line, SIZE_MAX, "too-large ", false);
}

static void
test_backoff(void **state OVS_UNUSED)
{
    static const int max[] = { 100, 200, 400, 500, 500 };

    for (int i = 0; i < 1000; i++) {
        for (int n = 1; n <= ARRAY_SIZE(max); n++) {
            int delay = kube_backoff_ms(n, 100, 500, -1);
            assert_in_range(delay, max[n - 1] / 2, max[n - 1]);
        }
        assert_in_range(kube_backoff_ms(INT_MAX, 100, 500, -1), 250, 500);
        assert_in_range(kube_backoff_ms(1, 100, 500, 7), 7000, 7100);
        assert_in_range(kube_backoff_ms(1, 100, 500, INT_MAX), 300000, 300100);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_junk),
        cmocka_unit_test(test_too_large),
        cmocka_unit_test(test_backoff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
