#include <config.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "byte-order.h"
#include "ofp/flow-set.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/vlog.h"
#include "tests/unit/ofp/flow-text.h"
#include "util.h"

/* Makes the flows in the strings that follow, up to a NULL, all flows of 'owner'. */
static void
replace(struct flow_set *set, const char *owner, ...)
{
    struct flow_batch batch;
    const char *text;
    va_list args;

    flow_batch_init(&batch);
    va_start(args, owner);
    while ((text = va_arg(args, const char *)) != NULL) {
        batch_add_text(&batch, text);
    }
    va_end(args);
    flow_set_replace(set, owner, &batch);
    assert_int_equal(batch.n, 0);
    flow_batch_destroy(&batch);
}

#define REPLACE(SET, ...) replace(SET, __VA_ARGS__, NULL)

static int
setup(void **state)
{
    struct flow_set *set = flow_set_create();

    flow_set_set_cookie(set, htonll(0x700), htonll(0xf00));
    *state = set;
    return 0;
}

static int
teardown(void **state)
{
    flow_set_destroy(*state);
    return 0;
}

static void
assert_text(const struct flow_set *set, const char *owner, const char *expected)
{
    char *text = set_to_text(set, owner);
    assert_string_equal(text, expected);
    free(text);
}

/* Takes what is pending and appends it to a string, sorted by what it is; then finishes each
 * with 'finish'. */
static char *
take_pending(struct flow_set *set, void (*finish)(struct flow_set *, struct flow_op *))
{
    static const char *const names[] = {
        [FLOW_OP_ADD] = "add", [FLOW_OP_MODIFY] = "modify", [FLOW_OP_DELETE] = "delete"
    };
    struct ds s = DS_EMPTY_INITIALIZER;
    size_t n;

    struct flow_op *ops = flow_set_take_pending(set, &n);
    assert_int_equal(flow_set_count_pending(set), 0);
    for (size_t i = 0; i < n; i++) {
        ds_put_format(&s, "%s ", names[ops[i].type]);
        of_flow_format(ops[i].flow, NULL, &s);
        ds_put_char(&s, '\n');
    }
    for (size_t i = 0; i < n; i++) {
        finish(set, &ops[i]);
    }
    free(ops);
    return ds_steal_cstr(&s);
}

static void
fail_op(struct flow_set *set, struct flow_op *op)
{
    flow_set_op_failed(set, op, OFPERR_OFPFMFC_TABLE_FULL);
}

static void
assert_pending(struct flow_set *set, void (*finish)(struct flow_set *, struct flow_op *),
               const char *expected)
{
    char *text = take_pending(set, finish);
    assert_string_equal(text, expected);
    free(text);
}

static void
test_format_is_sorted(void **state)
{
    struct flow_set *set = *state;

    REPLACE(set, "b", "cookie=0x701,table=2,priority=1,actions=drop",
            "cookie=0x701,table=1,priority=5,ip,nw_src=10.0.0.2,actions=output:1");
    REPLACE(set, "a", "cookie=0x702,table=1,priority=7,actions=resubmit(,2)",
            "cookie=0x702,table=1,priority=5,ip,nw_src=10.0.0.1,actions=output:2");
    assert_text(set, NULL,
                "cookie=0x702, table=1, priority=7 actions=resubmit(,2)\n"
                "cookie=0x702, table=1, priority=5,ip,nw_src=10.0.0.1 actions=output:2\n"
                "cookie=0x701, table=1, priority=5,ip,nw_src=10.0.0.2 actions=output:1\n"
                "cookie=0x701, table=2, priority=1 actions=drop\n");
    assert_text(set, "b",
                "cookie=0x701, table=1, priority=5,ip,nw_src=10.0.0.2 actions=output:1\n"
                "cookie=0x701, table=2, priority=1 actions=drop\n");
    assert_text(set, "nobody", "");

    unsigned int counts[256];
    flow_set_count_by_table(set, counts);
    assert_int_equal(flow_set_count(set), 4);
    assert_int_equal(counts[1], 3);
    assert_int_equal(counts[2], 1);
    assert_int_equal(counts[3], 0);
}

static const char *
table_name(uint8_t table_id)
{
    return table_id == 1 ? "classify" : NULL;
}

static void
test_format_with_table_names(void **state)
{
    struct flow_set *set = *state;
    struct ds s = DS_EMPTY_INITIALIZER;

    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=drop",
            "cookie=0x700,table=2,priority=1,actions=drop");
    flow_set_format(set, NULL, table_name, &s);
    assert_string_equal(ds_cstr(&s),
                        "cookie=0x700, table=classify(1), priority=1 actions=drop\n"
                        "cookie=0x700, table=2, priority=1 actions=drop\n");
    ds_destroy(&s);
}

static void
test_only_differences_are_pending(void **state)
{
    struct flow_set *set = *state;

    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=drop",
            "cookie=0x700,table=1,priority=2,actions=drop");
    assert_pending(set, flow_set_op_done,
                   "add cookie=0x700, table=1, priority=1 actions=drop\n"
                   "add cookie=0x700, table=1, priority=2 actions=drop\n");
    uint64_t seqno = flow_set_get_seqno(set);

    /* The same again, in another order. */
    REPLACE(set, "a", "cookie=0x700,table=1,priority=2,actions=drop",
            "cookie=0x700,table=1,priority=1,actions=drop");
    assert_int_equal(flow_set_get_seqno(set), seqno);
    assert_pending(set, flow_set_op_done, "");

    /* One changes its cookie, one its actions, one comes. */
    REPLACE(set, "a", "cookie=0x701,table=1,priority=2,actions=drop",
            "cookie=0x700,table=1,priority=1,actions=output:1",
            "cookie=0x700,table=1,priority=3,actions=drop");
    assert_int_equal(flow_set_get_seqno(set), seqno + 1);
    assert_pending(set, flow_set_op_done,
                   "modify cookie=0x701, table=1, priority=2 actions=drop\n"
                   "modify cookie=0x700, table=1, priority=1 actions=output:1\n"
                   "add cookie=0x700, table=1, priority=3 actions=drop\n");

    /* An empty batch removes the owner. */
    REPLACE(set, "a", "cookie=0x700,table=1,priority=3,actions=drop");
    assert_int_equal(flow_set_count_pending(set), 2);
    assert_true(flow_set_has_owner(set, "a"));
    REPLACE(set, "a");
    assert_false(flow_set_has_owner(set, "a"));
    assert_int_equal(flow_set_count_pending(set), 3);
    assert_int_equal(flow_set_count(set), 0);
}

static void
test_change_and_back_is_no_change(void **state)
{
    struct flow_set *set = *state;

    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=drop");
    assert_pending(set, flow_set_op_done, "add cookie=0x700, table=1, priority=1 actions=drop\n");
    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=output:1");
    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=drop");
    assert_pending(set, flow_set_op_done, "");

    REPLACE(set, "b", "cookie=0x700,table=1,priority=9,actions=drop");
    REPLACE(set, "b");
    assert_pending(set, flow_set_op_done, "");
}

static void
test_two_owners_of_one_flow(void **state)
{
    struct flow_set *set = *state;

    REPLACE(set, "b", "cookie=0x702,table=1,priority=1,actions=output:2");
    REPLACE(set, "c", "cookie=0x703,table=1,priority=1,actions=output:3");
    assert_pending(set, flow_set_op_done,
                   "add cookie=0x702, table=1, priority=1 actions=output:2\n");
    REPLACE(set, "a", "cookie=0x701,table=1,priority=1,actions=output:1");
    assert_text(set, NULL, "cookie=0x701, table=1, priority=1 actions=output:1\n");
    assert_text(
        set, "b",
        "cookie=0x702, table=1, priority=1 actions=output:2 (not in force, a has the same flow)\n");
    assert_pending(set, flow_set_op_done,
                   "modify cookie=0x701, table=1, priority=1 actions=output:1\n");

    /* One that is not in force goes: nothing happens. */
    uint64_t seqno = flow_set_get_seqno(set);
    REPLACE(set, "b");
    assert_int_equal(flow_set_get_seqno(set), seqno);
    assert_pending(set, flow_set_op_done, "");

    REPLACE(set, "a");
    assert_pending(set, flow_set_op_done,
                   "modify cookie=0x703, table=1, priority=1 actions=output:3\n");
    REPLACE(set, "c");
    assert_pending(set, flow_set_op_done,
                   "delete cookie=0x703, table=1, priority=1 actions=output:3\n");

    /* Two that want the same of it. */
    REPLACE(set, "a", "cookie=0x701,table=1,priority=1,actions=output:1");
    REPLACE(set, "b", "cookie=0x701,table=1,priority=1,actions=output:1");
    assert_pending(set, flow_set_op_done,
                   "add cookie=0x701, table=1, priority=1 actions=output:1\n");
    REPLACE(set, "a");
    assert_pending(set, flow_set_op_done, "");
}

static void
test_same_flow_twice_in_a_batch(void **state)
{
    struct flow_set *set = *state;

    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=output:1",
            "cookie=0x700,table=1,priority=1,actions=output:2");
    assert_text(set, "a", "cookie=0x700, table=1, priority=1 actions=output:2\n");
    assert_int_equal(flow_set_count(set), 1);
}

static struct of_flow *
flow_from_text(const char *text)
{
    struct flow_batch batch;

    flow_batch_init(&batch);
    batch_add_text(&batch, text);
    return CONTAINER_OF(ovs_list_pop_front(&batch.flows), struct of_flow, owner_node);
}

static void
test_what_the_switch_has(void **state)
{
    struct flow_set *set = *state;

    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=load:1->NXM_NX_REG1[],output:1",
            "cookie=0x700,table=1,priority=2,actions=drop",
            "cookie=0x700,table=1,priority=3,actions=drop");
    assert_false(flow_set_note_installed(set, flow_from_text(
        "cookie=0x700,table=1,priority=1,actions=set_field:1->reg1,output:1")));
    assert_true(flow_set_note_installed(
        set, flow_from_text("cookie=0x701,table=1,priority=2,actions=drop")));
    assert_true(flow_set_note_installed(
        set, flow_from_text("cookie=0x7ff,table=9,priority=1,actions=drop")));
    assert_false(flow_set_note_installed(
        set, flow_from_text("cookie=0x8ff,table=9,priority=2,actions=drop")));
    assert_true(flow_set_uses_table(set, 9));
    assert_pending(set, flow_set_op_done,
                   "delete cookie=0x7ff, table=9, priority=1 actions=drop\n"
                   "modify cookie=0x700, table=1, priority=2 actions=drop\n"
                   "add cookie=0x700, table=1, priority=3 actions=drop\n");
    assert_false(flow_set_uses_table(set, 9));

    struct of_flow *gone = flow_from_text("cookie=0x700,table=1,priority=2,actions=drop");
    assert_true(flow_set_note_removed(set, gone));
    assert_false(flow_set_note_removed(set, gone));
    of_flow_unref(gone);
    assert_pending(set, flow_set_op_done, "add cookie=0x700, table=1, priority=2 actions=drop\n");
}

static void
test_foreign_flow_in_our_place_is_not_deleted(void **state)
{
    struct flow_set *set = *state;

    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=drop");
    assert_pending(set, flow_set_op_done, "add cookie=0x700, table=1, priority=1 actions=drop\n");
    assert_true(flow_set_note_installed(
        set, flow_from_text("cookie=0x8,table=1,priority=1,actions=output:1")));
    assert_int_equal(flow_set_count_pending(set), 1);
    REPLACE(set, "a");
    assert_pending(set, flow_set_op_done, "");
    assert_false(flow_set_uses_table(set, 1));
}

static void
test_rejected(void **state)
{
    struct flow_set *set = *state;
    struct ds s = DS_EMPTY_INITIALIZER;

    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=drop");
    REPLACE(set, "b", "cookie=0x700,table=1,priority=2,actions=drop");
    assert_pending(set, fail_op,
                   "add cookie=0x700, table=1, priority=1 actions=drop\n"
                   "add cookie=0x700, table=1, priority=2 actions=drop\n");
    flow_set_format_rejected(set, NULL, &s);
    assert_string_equal(ds_cstr(&s),
                        "a: OFPFMFC_TABLE_FULL: cookie=0x700, table=1, priority=1 actions=drop\n"
                        "b: OFPFMFC_TABLE_FULL: cookie=0x700, table=1, priority=2 actions=drop\n");
    ds_destroy(&s);
    assert_int_equal(flow_set_count_pending(set), 0);

    /* It is tried again when something else is wanted, and is forgotten when nothing is. */
    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=output:1");
    REPLACE(set, "b");
    assert_int_equal(flow_set_count_rejected(set), 0);
    assert_pending(set, fail_op, "add cookie=0x700, table=1, priority=1 actions=output:1\n");

    /* Also when nothing is known any more. */
    assert_int_equal(flow_set_count_rejected(set), 1);
    flow_set_forget_installed(set);
    assert_int_equal(flow_set_count_rejected(set), 0);
    assert_int_equal(flow_set_count_pending(set), 1);
}

static void
test_changes_while_on_the_way(void **state)
{
    struct flow_set *set = *state;
    size_t n;

    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=drop",
            "cookie=0x700,table=1,priority=2,actions=drop");
    struct flow_op *ops = flow_set_take_pending(set, &n);
    assert_int_equal(n, 2);

    /* The one is changed, the other is not wanted any more. */
    REPLACE(set, "a", "cookie=0x700,table=1,priority=1,actions=output:1");
    assert_int_equal(flow_set_count_pending(set), 0);
    flow_set_op_done(set, &ops[0]);
    flow_set_op_done(set, &ops[1]);
    free(ops);
    assert_pending(set, flow_set_op_done,
                   "delete cookie=0x700, table=1, priority=2 actions=drop\n"
                   "modify cookie=0x700, table=1, priority=1 actions=output:1\n");

    /* What did not come about is tried again, if it is still wanted. */
    REPLACE(set, "a", "cookie=0x700,table=1,priority=3,actions=drop");
    ops = flow_set_take_pending(set, &n);
    assert_int_equal(n, 2);
    REPLACE(set, "a");
    flow_set_op_aborted(set, &ops[0]);
    flow_set_op_aborted(set, &ops[1]);
    free(ops);
    assert_pending(set, flow_set_op_done,
                   "delete cookie=0x700, table=1, priority=1 actions=output:1\n");
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_format_is_sorted),
        TEST(test_format_with_table_names),
        TEST(test_only_differences_are_pending),
        TEST(test_change_and_back_is_no_change),
        TEST(test_two_owners_of_one_flow),
        TEST(test_same_flow_twice_in_a_batch),
        TEST(test_what_the_switch_has),
        TEST(test_foreign_flow_in_our_place_is_not_deleted),
        TEST(test_rejected),
        TEST(test_changes_while_on_the_way),
    };

    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
