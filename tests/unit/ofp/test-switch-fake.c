/* The switch connection against a switch that misbehaves. */
#include <config.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "fatal-signal.h"
#include "ofp/switch.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "tests/unit/ofp/fake-switch.h"
#include "tests/unit/ofp/flow-text.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 20000
#define FLOW(PRIORITY) "cookie=0x700,table=1,priority=" #PRIORITY ",actions=drop"

struct fixture {
    struct fake_switch fake;
    struct flow_set *set;
    struct of_switch *sw;
};

static int
setup(void **state)
{
    static const char *const flows[] = { FLOW(1), FLOW(2), FLOW(3), FLOW(4), FLOW(5) };
    struct fixture *f = xzalloc(sizeof *f);

    fake_switch_init(&f->fake);
    f->set = flow_set_create();
    f->sw = of_switch_create(f->set, 0x700, 0xf00, 1, 10);
    of_switch_set_target(f->sw, f->fake.target);
    set_replace_text(f->set, "node", flows, ARRAY_SIZE(flows));
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    of_switch_destroy(f->sw);
    flow_set_destroy(f->set);
    fake_switch_destroy(&f->fake);
    free(f);
    return 0;
}

static bool
in_sync(const struct fixture *f)
{
    return of_switch_get_acked_seqno(f->sw) == of_switch_get_target_seqno(f->sw);
}

/* Runs both sides until 'CONDITION' holds; fails after a deadline. */
#define RUN_UNTIL(F, CONDITION)                                             \
    do {                                                                    \
        long long int deadline = time_msec() + DEADLINE_MS;                 \
        while (!(CONDITION)) {                                              \
            assert_true(time_msec() < deadline);                            \
            of_switch_run((F)->sw);                                         \
            fake_switch_run(&(F)->fake);                                    \
            of_switch_wait((F)->sw);                                        \
            fake_switch_wait(&(F)->fake);                                   \
            poll_timer_wait(100);                                           \
            poll_block();                                                   \
        }                                                                   \
    } while (0)

static int
compare_ints(const void *a, const void *b)
{
    return *(const int *) a - *(const int *) b;
}

/* 'expected' lists the priorities of the flows in force. */
static void
assert_in_force(struct fixture *f, const char *expected)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    qsort(f->fake.in_force, f->fake.n_in_force, sizeof *f->fake.in_force, compare_ints);
    for (int i = 0; i < f->fake.n_in_force; i++) {
        ds_put_format(&s, "%s%d", i ? " " : "", f->fake.in_force[i]);
    }
    assert_string_equal(ds_cstr(&s), expected);
    ds_destroy(&s);
}

static void
assert_rejected(const struct fixture *f, const char *expected)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    of_switch_get_rejected(f->sw, NULL, &s);
    assert_string_equal(ds_cstr(&s), expected);
    ds_destroy(&s);
}

static void
test_good_switch(void **state)
{
    struct fixture *f = *state;

    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 3 4 5");
    assert_int_equal(f->fake.n_commits, 1);
    assert_rejected(f, "");
    assert_null(of_switch_get_last_error(f->sw));

    struct ds s = DS_EMPTY_INITIALIZER;
    of_switch_get_status(f->sw, &s);
    char *expected = xasprintf("%s: connected, in sync", f->fake.target);
    assert_string_equal(ds_cstr(&s), expected);
    free(expected);
    ds_destroy(&s);
}

static void
test_refused_flow(void **state)
{
    struct fixture *f = *state;

    f->fake.refuse_priority = 3;
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 4 5");
    assert_int_equal(f->fake.n_commits, 1);
    assert_int_equal(f->fake.n_discards, 1);
    assert_int_equal(f->fake.n_adds, 9);
    assert_rejected(f,
                    "node: OFPBAC_BAD_ARGUMENT: cookie=0x700, table=1, priority=3 actions=drop\n");
}

static void
test_flow_refused_at_commit(void **state)
{
    struct fixture *f = *state;

    f->fake.refuse_at_commit = 5;
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 3 4");
    assert_int_equal(f->fake.n_commits, 2);
    assert_rejected(f,
                    "node: OFPBAC_BAD_OUT_GROUP: cookie=0x700, table=1, priority=5 actions=drop\n");
}

static void
test_table_full(void **state)
{
    struct fixture *f = *state;

    f->fake.full_at_commit = 3;
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2");
    assert_int_equal(f->fake.n_commits, 2);
    assert_int_equal(of_switch_count_rejected(f->sw), 3);
}

static void
test_connection_drops_in_mid_bundle(void **state)
{
    struct fixture *f = *state;

    f->fake.drop_after_adds = 2;
    RUN_UNTIL(f, f->fake.n_connections == 1 && !f->fake.drop_after_adds);
    assert_in_force(f, "");
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 3 4 5");
    assert_int_equal(f->fake.n_connections, 2);
    assert_int_equal(f->fake.n_commits, 1);
}

static void
test_commit_reply_gets_lost(void **state)
{
    struct fixture *f = *state;

    f->fake.drop_before_commit_reply = true;
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 3 4 5");
    assert_int_equal(f->fake.n_connections, 2);
    assert_int_equal(of_switch_get_stats(f->sw)->n_connections, 2);
}

static void
test_unexplained_commit_failure(void **state)
{
    struct fixture *f = *state;

    f->fake.fail_commit_silently = true;
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 3 4 5");
    assert_int_equal(f->fake.n_connections, 2);
    assert_rejected(f, "");
    assert_string_equal(of_switch_get_last_error(f->sw),
                        "the switch does not process a bundle as it should");
}

static void
test_bundle_refused(void **state)
{
    struct fixture *f = *state;

    f->fake.refuse_open = true;
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 3 4 5");
    assert_int_equal(f->fake.n_connections, 2);
}

static void
test_no_monitor(void **state)
{
    struct fixture *f = *state;

    f->fake.refuse_monitor = true;
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 3 4 5");
    assert_string_equal(of_switch_get_last_error(f->sw),
                        "the switch does not tell about changes to its flows "
                        "(OFPBRC_BAD_STAT): what others do to ours goes unnoticed");
}

static void
test_junk(void **state)
{
    struct fixture *f = *state;

    f->fake.junk = 20;
    RUN_UNTIL(f, in_sync(f) && !f->fake.junk);
    assert_in_force(f, "1 2 3 4 5");
    assert_int_equal(f->fake.n_connections, 1);
    assert_non_null(of_switch_get_last_error(f->sw));
}

static void
test_deletion_is_put_back_in_order(void **state)
{
    struct fixture *f = *state;

    RUN_UNTIL(f, in_sync(f));
    fake_switch_send_flow_removed(&f->fake, 1, 2, OFPRR_DELETE);
    fake_switch_send_flow_removed(&f->fake, 1, 4, OFPRR_DELETE);
    fake_switch_send_flow_removed(&f->fake, 1, 77, OFPRR_DELETE);
    assert_in_force(f, "1 3 5");
    RUN_UNTIL(f, of_switch_get_stats(f->sw)->n_foreign_changes == 2);
    assert_true(in_sync(f));    /* There is nothing new to be confirmed, */
    assert_false(of_switch_in_sync(f->sw));     /* but something to be put right. */
    RUN_UNTIL(f, of_switch_in_sync(f->sw));
    assert_int_equal(f->fake.n_commits, 2);
    assert_in_force(f, "1 2 3 4 5");
    assert_int_equal(f->fake.n_adds, 7);
}

/* The switch tells about a deleted meter's flows before it tells about the meter. */
static void
test_meter_goes_with_its_flow(void **state)
{
    struct fixture *f = *state;

    RUN_UNTIL(f, in_sync(f));
    assert_int_equal(f->fake.n_dumps, 1);
    fake_switch_send_flow_removed(&f->fake, 1, 2, OFPRR_METER_DELETE);
    RUN_UNTIL(f, f->fake.n_adds > 5);
    assert_int_equal(f->fake.n_dumps, 2);
}

static void
test_change_during_bundle(void **state)
{
    struct fixture *f = *state;
    uint64_t seqno = of_switch_get_target_seqno(f->sw);

    RUN_UNTIL(f, f->fake.n_pending == 5);
    set_replace_text(f->set, "pod", (const char *const[]) { FLOW(6) }, 1);
    set_replace_text(f->set, "node", (const char *const[]) { FLOW(1) }, 1);
    RUN_UNTIL(f, of_switch_get_acked_seqno(f->sw) >= seqno);
    assert_in_force(f, "1 2 3 4 5");
    assert_int_equal(of_switch_get_acked_seqno(f->sw), seqno);
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 6");
    assert_int_equal(f->fake.n_commits, 2);
}

static void
test_target_changes(void **state)
{
    struct fixture *f = *state;

    RUN_UNTIL(f, f->fake.n_pending > 0);
    of_switch_set_target(f->sw, NULL);
    assert_int_equal(of_switch_get_acked_seqno(f->sw), 0);
    assert_false(of_switch_connected(f->sw));
    RUN_UNTIL(f, !f->fake.vconn);
    assert_in_force(f, "");
    of_switch_set_target(f->sw, f->fake.target);
    RUN_UNTIL(f, in_sync(f));
    assert_in_force(f, "1 2 3 4 5");
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_good_switch),
        TEST(test_refused_flow),
        TEST(test_flow_refused_at_commit),
        TEST(test_table_full),
        TEST(test_connection_drops_in_mid_bundle),
        TEST(test_commit_reply_gets_lost),
        TEST(test_unexplained_commit_failure),
        TEST(test_bundle_refused),
        TEST(test_no_monitor),
        TEST(test_junk),
        TEST(test_deletion_is_put_back_in_order),
        TEST(test_meter_goes_with_its_flow),
        TEST(test_change_during_bundle),
        TEST(test_target_changes),
    };

    fatal_ignore_sigpipe();
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
