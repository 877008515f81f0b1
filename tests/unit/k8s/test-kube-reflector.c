#include <config.h>

/* List and watch, as long as the server behaves. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "k8s/kube-http.h"
#include "k8s/kube-reflector.h"
#include "tests/unit/k8s/fake-api.h"
#include "tests/unit/k8s/kube-follower.h"
#include "timeval.h"
#include "util.h"

static void
test_list_in_pages_then_watch(void **state)
{
    struct follower *f = *state;

    assert_false(kube_reflector_is_synced(f->reflector));
    follower_tell(f, "on('LIST', page('a:1 b:2', '9', 'to ken/1'))");
    follower_tell(f, "on('LIST', page('c:3', '9'))");
    follower_tell(f, "on('WATCH', begin, send(added('d','10') + added('a','11')), "
                     "send(deleted('b','12')), hang)");
    follower_expect(f, "[ +a:1 +b:2 +c:3 ] +d:10 +a:11 -b");
    follower_expect_log(f, FOLLOWER_LIST
                        "GET /apis/x/v1/things?limit=500&continue=to%20ken%2F1\n"
                        FOLLOWER_WATCH("9"));
    assert_true(kube_reflector_is_synced(f->reflector));
    assert_int_equal(kube_reflector_count(f->reflector), 3);
    assert_null(kube_reflector_get_problem(f->reflector));

    const struct kube_reflector_stats *stats = kube_reflector_get_stats(f->reflector);
    struct kube_reflector_stats expected = { .lists = 1, .watches = 1, .events = 3 };
    assert_memory_equal(stats, &expected, sizeof expected);
}

static void
test_empty_list(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('', '9'))");
    follower_expect(f, "[ ]");
    assert_true(kube_reflector_is_synced(f->reflector));
}

/* The watch goes on from the bookmark, without another list. */
static void
test_resume_from_bookmark(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', begin, send(bookmark('20')), drop)");
    follower_tell(f, "on('WATCH', begin, send(added('b','21')), hang)");
    follower_expect(f, "[ +a:1 ] +b:21");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_WATCH("20"));
    assert_int_equal(kube_reflector_get_stats(f->reflector)->bookmarks, 1);
    assert_int_equal(kube_reflector_get_stats(f->reflector)->lists, 1);
}

/* A watch that ends in time is simply taken up again. */
static void
test_regular_end(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', begin, send(added('b','10')), gate, end)");
    follower_expect(f, "[ +a:1 ] +b:10");
    follower_advance(f, KUBE_REFLECTOR_WATCH_S * 1000);
    follower_tell(f, "open_gate()");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_WATCH("10"));
    assert_int_equal(kube_reflector_get_stats(f->reflector)->errors, 0);
}

/* A list anew tells what changed, no more. */
static void
test_differences(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1 b:2 c:3', '9'))");
    follower_tell(f, "on('WATCH', begin, send(failed(410)), hang)");
    follower_tell(f, "on('LIST', page('a:1 c:30 d:40', '50'))");
    follower_expect(f, "[ +a:1 +b:2 +c:3 ] [ +c:30 +d:40 -b ]");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_LIST FOLLOWER_WATCH("50"));
    assert_int_equal(kube_reflector_get_stats(f->reflector)->gone, 1);
}

static void
test_selectors(void **state)
{
    struct follower *f = *state;
    struct kube_reflector_args args = {
        .path = "/api/v1/pods",
        .field_selector = "spec.nodeName=n1",
        .label_selector = "app in (a,b)",
    };

    kube_reflector_destroy(f->reflector);
    f->reflector = kube_reflector_create(f->http, &args);
    follower_tell(f, "on('LIST', page('', '9'))");
    follower_expect_log(f, "GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn1"
                        "&labelSelector=app%20in%20%28a%2Cb%29&limit=500\n"
                        "GET /api/v1/pods?fieldSelector=spec.nodeName%3Dn1"
                        "&labelSelector=app%20in%20%28a%2Cb%29&watch=true&allowWatchBookmarks=true"
                        "&resourceVersion=9&timeoutSeconds=N\n");
}

/* Chunks cut anywhere. */
static void
test_byte_by_byte(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('', '9'))");
    follower_tell(f, "on('WATCH', begin, send(added('b','10') + bookmark('11') + added('c','12'),"
                     " cut=1), hang)");
    follower_expect(f, "[ ] +b:10 +c:12");
}

/* An event as large as they may be. */
static void
test_large_object(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('', '9'))");
    follower_tell(f, "on('WATCH', begin, send(added('b','10', data='x'*99000), cut=7919), hang)");
    follower_expect(f, "[ ] +b:10");
    assert_int_equal(kube_reflector_get_stats(f->reflector)->too_large, 0);
}

/* A CRD that is not installed: no trouble, and noticed when it comes. */
static void
test_absent(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', status(404))");
    follower_tell(f, "on('GET /readyz', answer(200, '\"ok\"'))");
    follower_tell(f, "on('LIST', status(404))");
    follower_expect(f, "[ ]");
    assert_true(kube_reflector_is_synced(f->reflector));
    assert_true(kube_reflector_is_absent(f->reflector));
    assert_null(kube_reflector_get_problem(f->reflector));
    assert_int_equal(kube_reflector_get_stats(f->reflector)->errors, 0);

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_advance(f, KUBE_REFLECTOR_ABSENT_MS);
    follower_expect(f, "[ +a:1 ]");
    assert_false(kube_reflector_is_absent(f->reflector));
    follower_expect_log(f, FOLLOWER_LIST "GET /readyz\n" FOLLOWER_LIST
                        FOLLOWER_LIST FOLLOWER_WATCH("9"));
}

/* While a server starts, it may say 404 for what it does know. */
static void
test_absent_while_starting(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', status(404))");
    follower_tell(f, "on('LIST', status(404))");
    follower_tell(f, "on('GET /readyz', status(500))");
    follower_tell(f, "on('LIST', page('a:1', '10'))");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_LIST "GET /readyz\n"
                        FOLLOWER_LIST FOLLOWER_WATCH("10"));
    follower_expect(f, "[ +a:1 ] [ ]");
}

/* It may have become ready between the one answer and the other. */
static void
test_absent_until_ready(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', status(404))");
    follower_tell(f, "on('LIST', status(404))");
    follower_tell(f, "on('GET /readyz', answer(200, '\"ok\"'))");
    follower_tell(f, "on('LIST', page('a:1', '10'))");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_LIST "GET /readyz\n"
                        FOLLOWER_LIST FOLLOWER_WATCH("10"));
    follower_expect(f, "[ +a:1 ] [ ]");
    assert_false(kube_reflector_is_absent(f->reflector));
}

/* Who cannot rely on the watch has everything listed. */
static void
test_refresh(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1 b:2', '9'))");
    follower_tell(f, "on('WATCH', begin, hang)");
    follower_expect(f, "[ +a:1 +b:2 ]");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9"));
    assert_true(kube_reflector_is_fresh(f->reflector));

    follower_tell(f, "on('LIST', status(500))");
    follower_tell(f, "on('LIST', page('b:3', '20'))");
    kube_reflector_refresh(f->reflector, time_msec());
    assert_true(kube_reflector_is_synced(f->reflector));
    assert_false(kube_reflector_is_fresh(f->reflector));
    follower_expect_problem(f, "the server answered 500: no");
    assert_false(kube_reflector_is_fresh(f->reflector));
    follower_expect(f, "[ +b:3 -a ]");
    assert_true(kube_reflector_is_fresh(f->reflector));
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_LIST FOLLOWER_WATCH("20"));
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, follower_setup, follower_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_list_in_pages_then_watch),
        TEST(test_empty_list),
        TEST(test_resume_from_bookmark),
        TEST(test_regular_end),
        TEST(test_differences),
        TEST(test_selectors),
        TEST(test_byte_by_byte),
        TEST(test_large_object),
        TEST(test_absent),
        TEST(test_absent_while_starting),
        TEST(test_absent_until_ready),
        TEST(test_refresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
