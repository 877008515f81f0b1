#include <config.h>

/* List and watch, when things go wrong. */

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

static const struct kube_reflector_stats *
get_stats(struct follower *f)
{
    return kube_reflector_get_stats(f->reflector);
}

/* The server has forgotten the list before we read all of it. */
static void
test_expired_continue(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9', 'next'))");
    follower_tell(f, "on('LIST', status(410))");
    follower_tell(f, "on('LIST', page('a:1', '20', 'next2'))");
    follower_tell(f, "on('LIST', page('b:2', '20'))");
    follower_expect(f, "[ +a:1 [ +b:2 ]");
    follower_expect_log(f, FOLLOWER_LIST "GET /apis/x/v1/things?limit=500&continue=next\n"
                        FOLLOWER_LIST "GET /apis/x/v1/things?limit=500&continue=next2\n"
                        FOLLOWER_WATCH("20"));
    assert_int_equal(get_stats(f)->gone, 1);
    assert_int_equal(get_stats(f)->lists, 1);
}

/* A page that fails is asked for again, without those before it. */
static void
test_page_fails(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9', 'next'))");
    follower_tell(f, "on('LIST', status(500))");
    follower_tell(f, "on('LIST', begin, send('{\"kind'), drop)");
    follower_tell(f, "on('LIST', page('b:2', '9'))");
    follower_expect(f, "[ +a:1 +b:2 ]");
    follower_expect_log(f, FOLLOWER_LIST
                        "GET /apis/x/v1/things?limit=500&continue=next\n"
                        "GET /apis/x/v1/things?limit=500&continue=next\n"
                        "GET /apis/x/v1/things?limit=500&continue=next\n"
                        FOLLOWER_WATCH("9"));
}

static void
test_410_at_watch(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', status(410))");
    follower_tell(f, "on('LIST', page('b:2', '20'))");
    follower_expect(f, "[ +a:1 ] [ +b:2 -a ]");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_LIST FOLLOWER_WATCH("20"));
    assert_int_equal(get_stats(f)->gone, 1);
}

static void
test_410_after_events(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', begin, send(added('b','10') + failed(410) + added('x','11')), "
                     "hang)");
    follower_tell(f, "on('LIST', page('b:10', '20'))");
    follower_expect(f, "[ +a:1 ] +b:10 [ -a ]");
    assert_int_equal(get_stats(f)->gone, 1);
}

static void
test_410_again_and_again(void **state)
{
    struct follower *f = *state;

    for (int i = 0; i < 4; i++) {
        follower_tell(f, "on('LIST', page('a:1', '9'))");
        follower_tell(f, "on('WATCH', status(410))");
    }
    follower_tell(f, "on('LIST', page('b:2', '20'))");

    long long int start = time_msec();
    follower_expect(f, "[ +a:1 ] [ ] [ ] [ ] [ +b:2 -a ]");
    /* The first time at once, then after at least half of 100, 200 and 200 ms. */
    assert_true(time_msec() - start >= 250);
}

/* The connection breaks in the middle of an object. */
static void
test_dropped_in_object(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', begin, send(added('b','10') + added('c','11')[:-20]), drop)");
    follower_tell(f, "on('WATCH', begin, send(added('c','11')), hang)");
    follower_expect(f, "[ +a:1 ] +b:10 +c:11");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_WATCH("10"));
}

/* The server's wishes are followed, at the list and at the watch. */
static void
test_retry_after(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', status(429, 'slowly', Retry_After=7))");
    follower_expect_problem(f, "the server answered 429: slowly");
    follower_expect_log(f, FOLLOWER_LIST);
    follower_advance(f, 6000);
    follower_turn(f);
    follower_turn(f);
    follower_expect_log(f, "");

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', status(503, Retry_After=7))");
    follower_advance(f, 1100);
    follower_expect(f, "[ +a:1 ]");
    follower_expect_problem(f, "the server answered 503: no");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9"));
    follower_advance(f, 7100);
    follower_expect_log(f, FOLLOWER_WATCH("9"));
    follower_expect_problem(f, NULL);
}

/* Refusals of the watch do not lead to lists, until there are many. */
static void
test_watch_refused(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    for (int i = 0; i < KUBE_REFLECTOR_MAX_RESUMES; i++) {
        follower_tell(f, "on('WATCH', status(500))");
    }
    follower_tell(f, "on('LIST', page('b:2', '20'))");
    follower_expect(f, "[ +a:1 ] [ +b:2 -a ]");
    follower_expect_log(f, FOLLOWER_LIST
                        FOLLOWER_WATCH("9") FOLLOWER_WATCH("9") FOLLOWER_WATCH("9")
                        FOLLOWER_WATCH("9") FOLLOWER_WATCH("9")
                        FOLLOWER_LIST FOLLOWER_WATCH("20"));
    assert_int_equal(get_stats(f)->errors, KUBE_REFLECTOR_MAX_RESUMES);
}

/* No rights: a problem with a name, and what is known stays. */
static void
test_forbidden(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', status(403, 'you must not list things'))");
    follower_expect_problem(f, "the server answered 403: you must not list things");
    assert_false(kube_reflector_is_synced(f->reflector));
    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_advance(f, 200);
    follower_expect(f, "[ +a:1 ]");
    follower_expect_problem(f, NULL);
}

/* A server that accepts the watch and then says nothing at all. */
static void
test_silence(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', begin, send(bookmark('15')), hang)");
    follower_tell(f, "on('WATCH', hang)");
    follower_tell(f, "on('WATCH', begin, send(added('b','16')), hang)");
    while (!get_stats(f)->bookmarks) {
        follower_turn(f);
    }
    follower_turn(f);

    /* Not too early. */
    follower_advance(f, KUBE_REFLECTOR_WATCH_S * 1000);
    follower_turn(f);
    assert_int_equal(get_stats(f)->silent, 0);

    follower_advance(f, KUBE_REFLECTOR_WATCH_S / 4 * 1000 + KUBE_REFLECTOR_SLACK_MS);
    follower_expect_problem(f, "the server went silent");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_WATCH("15"));

    /* The second one is not even answered. */
    follower_advance(f, KUBE_REFLECTOR_SLACK_MS);
    follower_expect(f, "[ +a:1 ] +b:16");
    follower_expect_problem(f, NULL);
    assert_int_equal(get_stats(f)->silent, 2);
    assert_int_equal(get_stats(f)->lists, 1);
}

/* Another request found out that the connection is dead. */
static void
test_doubtful_connection(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', begin, hang)");
    follower_tell(f, "on('WATCH', begin, send(added('b','10')), hang)");
    follower_expect(f, "[ +a:1 ]");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9"));

    kube_http_renew(f->http);
    follower_expect(f, "+b:10");
    follower_expect_log(f, FOLLOWER_WATCH("9"));
    assert_int_equal(get_stats(f)->errors, 0);
}

/* An object that never ends is given up, and the list tells what the watch did not. */
static void
test_endless_object(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', begin, endless)");
    follower_tell(f, "on('LIST', page('a:1 b:2', '20'))");
    follower_expect(f, "[ +a:1 ] [ +b:2 ]");
    assert_int_equal(get_stats(f)->too_large, 1);
    assert_int_equal(get_stats(f)->errors, 1);
}

static void
test_junk_in_watch(void **state)
{
    static const char *const junk[] = {
        "on('WATCH', begin, send(added('b','10') + 'junk\\n'), hang)",
        "on('WATCH', begin, send('[1,2]\\n'), hang)",
        "on('WATCH', begin, send('{\"type\":\"ADDED\",\"object\":{}}\\n'), hang)",
        "on('WATCH', begin, send(line('BOGUS', thing('c', '11'))), hang)",
        "on('WATCH', begin, send('['*200 + '\\n'), hang)",
    };
    struct follower *f = *state;

    for (size_t i = 0; i < ARRAY_SIZE(junk); i++) {
        follower_tell(f, "on('LIST', page('a:1', '9'))");
        follower_tell(f, junk[i]);
    }
    follower_tell(f, "on('LIST', page('a:1', '20'))");
    follower_expect(f, "[ +a:1 ] +b:10 [ -b ] [ ] [ ] [ ] [ ]");
    assert_int_equal(get_stats(f)->junk, ARRAY_SIZE(junk));
}

static void
test_junk_in_list(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', answer(200, 'junk'))");
    follower_tell(f, "on('LIST', answer(200, [1]))");
    follower_tell(f, "on('LIST', answer(200, {'items': []}))");
    follower_tell(f, "on('LIST', answer(200, {'metadata': {'resourceVersion': '9'}, "
                     "'items': [thing('a','1'), 7, {'metadata': {}}]}))");
    follower_expect(f, "[ +a:1 ]");
    assert_int_equal(get_stats(f)->junk, 4);
    assert_int_equal(get_stats(f)->errors, 3);
}

/* The server goes away and comes back: the same watch goes on. */
static void
test_server_away(void **state)
{
    struct follower *f = *state;

    follower_tell(f, "on('LIST', page('a:1', '9'))");
    follower_tell(f, "on('WATCH', begin, send(added('b','10')), gate, drop)");
    follower_expect(f, "[ +a:1 ] +b:10");
    follower_tell(f, "stop(); open_gate()");
    follower_expect_problem(f, "transfer closed with outstanding read data remaining");
    while (get_stats(f)->errors < 4) {
        follower_turn(f);
    }
    follower_tell(f, "restart()");
    follower_tell(f, "on('WATCH', begin, send(added('c','11')), hang)");
    follower_expect(f, "+c:11");
    follower_expect_log(f, FOLLOWER_LIST FOLLOWER_WATCH("9") FOLLOWER_WATCH("10"));
    assert_int_equal(get_stats(f)->lists, 1);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, follower_setup, follower_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_expired_continue),
        TEST(test_page_fails),
        TEST(test_410_at_watch),
        TEST(test_410_after_events),
        TEST(test_410_again_and_again),
        TEST(test_dropped_in_object),
        TEST(test_retry_after),
        TEST(test_watch_refused),
        TEST(test_forbidden),
        TEST(test_silence),
        TEST(test_doubtful_connection),
        TEST(test_endless_object),
        TEST(test_junk_in_watch),
        TEST(test_junk_in_list),
        TEST(test_server_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
