/* The switch connection against a real ovs-vswitchd. */
#include <config.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "byte-order.h"
#include "fatal-signal.h"
#include "ofp/switch.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-packet.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "tests/unit/ofp/flow-text.h"
#include "tests/unit/ofp/live-ovs.h"
#include "timeval.h"
#include "util.h"

#define COOKIE 0x0e60000000000000ULL
#define COOKIE_MASK 0xfff0000000000000ULL
#define OURS "cookie=0x0e60000000000001,"
#define DEADLINE_MS 20000

static struct live_ovs ovs;

struct fixture {
    struct flow_set *set;
    struct of_switch *sw;
    size_t n_packet_ins;
    char userdata[16];
    uint32_t reg1;
};

static void
run_once(struct fixture *f)
{
    of_switch_run(f->sw);
    of_switch_wait(f->sw);
    poll_timer_wait(100);
    poll_block();
}

/* Runs until 'CONDITION' holds; fails after a deadline. */
#define RUN_UNTIL(F, CONDITION)                                             \
    do {                                                                    \
        long long int deadline = time_msec() + DEADLINE_MS;                 \
        while (!(CONDITION)) {                                              \
            if (time_msec() > deadline) {                                   \
                const char *error = of_switch_get_last_error((F)->sw);      \
                fail_msg("timeout: %s (%s)", #CONDITION, error ? error : ""); \
            }                                                               \
            run_once(F);                                                    \
        }                                                                   \
    } while (0)

static bool
in_sync(const struct fixture *f)
{
    return of_switch_get_acked_seqno(f->sw) == of_switch_get_target_seqno(f->sw);
}

static void
connect_fixture(struct fixture *f)
{
    char *target = live_ovs_target(&ovs);

    f->sw = of_switch_create(f->set, COOKIE, COOKIE_MASK, 100, 199);
    of_switch_set_target(f->sw, target);
    free(target);
}

/* Lets another instance of the program take over, as after a restart. */
static void
restart(struct fixture *f)
{
    of_switch_destroy(f->sw);
    connect_fixture(f);
    RUN_UNTIL(f, in_sync(f));
}

static int
setup(void **state)
{
    struct fixture *f = xzalloc(sizeof *f);

    if (!ovs.switch_pid) {
        live_ovs_start_switch(&ovs);
    }
    free(live_ovs_run(&ovs, "ovs-ofctl -O OpenFlow15 del-flows unix:br0.mgmt && "
                      "ovs-ofctl -O OpenFlow15 del-meters unix:br0.mgmt"));
    f->set = flow_set_create();
    connect_fixture(f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    of_switch_destroy(f->sw);
    flow_set_destroy(f->set);
    free(f);
    return 0;
}

static uint64_t
n_flow_mods(const struct fixture *f)
{
    const struct sync_stats *s = &of_switch_get_stats(f->sw)->sync;
    return s->n_adds + s->n_modifies + s->n_deletes;
}

/* What recompute does: everything must already be right. */
static void
assert_recompute_changes_nothing(struct fixture *f)
{
    uint64_t ticket = of_switch_redump(f->sw);
    uint64_t before = n_flow_mods(f);
    size_t n = SIZE_MAX;

    RUN_UNTIL(f, of_switch_get_redump_result(f->sw, ticket, &n));
    assert_int_equal(n, 0);
    assert_int_equal(n_flow_mods(f), before);
}

/* What ovs-ofctl says of the flows that 'filter' selects, without statistics. */
static void
assert_switch_has(const char *filter, const char *expected)
{
    char *flows = live_ovs_run(
        &ovs, "ovs-ofctl -O OpenFlow15 --no-stats --rsort dump-flows unix:br0.mgmt '%s'", filter);
    assert_string_equal(flows, expected);
    free(flows);
}

#define OFCTL(...) free(live_ovs_run(&ovs, "ovs-ofctl -O OpenFlow15 " __VA_ARGS__))

/* Each kind of match and action that the pipeline uses. */
static const char *const corpus[] = {
    OURS "table=10,priority=1,actions=drop",
    OURS "table=10,priority=100,in_port=1,tun_src=172.16.18.101,tun_id=0x800000/0x800000,"
         "actions=resubmit(,11)",
    OURS "table=10,priority=100,in_port=1,tun_src=172.16.18.102,tun_id=7,tun_gbp_flags=0,"
         "actions=load:7->NXM_NX_REG1[],resubmit(,11)",
    OURS "table=10,priority=90,tun_gbp_flags=0,ip,nw_dst=10.203.0.0/16,"
         "actions=load:1->NXM_NX_TUN_GBP_FLAGS[],resubmit(,2)",
    OURS "table=10,priority=90,tun_gbp_id=5,actions=load:9->NXM_NX_TUN_GBP_ID[],resubmit(1,2)",
    OURS "table=11,priority=100,ip,reg1=7,"
         "actions=meter:100,ct(commit,table=12,zone=100,nat(src=172.16.18.131),"
         "exec(move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_CT_LABEL[0..31],"
         "move:NXM_NX_REG1[]->NXM_NX_CT_MARK[],load:1->NXM_NX_CT_LABEL[127]))",
    OURS "table=11,priority=100,ipv6,reg1=7,"
         "actions=ct(commit,table=12,zone=NXM_NX_REG2[0..15],nat(src=fd00::131),"
         "exec(set_field:0x7->ct_mark))",
    OURS "table=11,priority=90,ct_state=+trk+est-rpl,ct_mark=7,ct_label=0x1/0xff,ip,"
         "actions=ct(zone=100,nat,table=12)",
    OURS "table=12,priority=100,ip,nw_dst=172.16.18.0/24,"
         "actions=move:NXM_OF_IP_DST[]->NXM_NX_REG3[],resubmit(,13)",
    OURS "table=12,priority=100,ipv6,ipv6_dst=fd00::/64,"
         "actions=move:NXM_NX_IPV6_DST[]->NXM_NX_XXREG1[],resubmit(,13)",
    OURS "table=12,priority=1,ipv6,"
         "actions=set_field:0xfd000000000000000000000000000001->xxreg1,resubmit(,13)",
    OURS "table=13,priority=100,ip,reg3=0xac101201,"
         "actions=set_field:02:00:00:00:00:01->eth_src,set_field:02:00:00:00:00:02->eth_dst,"
         "dec_ttl,output:2",
    OURS "table=13,priority=1,ip,"
         "actions=controller(reason=action,max_len=128,id=25959,userdata=00.01.02)",
    OURS "table=13,priority=2,ip,dl_dst=01:00:5e:00:00:00/ff:ff:ff:80:00:00,"
         "actions=load:0->NXM_OF_IN_PORT[],output:1",
    OURS "table=20,priority=100,in_port=2,arp,arp_tpa=172.16.18.131,arp_op=1,"
         "actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:02:00:00:00:00:03->eth_src,"
         "set_field:2->arp_op,move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
         "set_field:02:00:00:00:00:03->arp_sha,move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
         "set_field:172.16.18.131->arp_spa,in_port",
    OURS "table=20,priority=100,icmp6,icmp_type=135,icmp_code=0,nd_target=fd00::131,"
         "actions=set_field:136->icmpv6_type,set_field:2->nd_options_type,"
         "move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[],set_field:fd00::131->ipv6_src,"
         "set_field:0xe000->nd_reserved,resubmit(,23)",
    OURS "table=23,priority=100,icmp6,icmp_type=136,icmp_code=0,nd_options_type=2,"
         "actions=set_field:02:00:00:00:00:03->nd_tll,in_port",
    OURS "table=21,priority=100,ct_state=+rpl+trk,ct_mark=7,ip,"
         "actions=move:NXM_NX_CT_LABEL[0..31]->NXM_NX_TUN_IPV4_DST[],"
         "load:0x800007->NXM_NX_TUN_ID[],load:0xac101265->NXM_NX_TUN_IPV4_SRC[],output:1",
    OURS "table=21,priority=90,ct_label=0/0xffffffff,ip,"
         "actions=clone(ct_clear,resubmit(,22)),ct_clear,goto_table:22",
    OURS "table=22,priority=100,tcp,tp_dst=80,metadata=0x5,"
         "actions=write_metadata:0x5,goto_table:23",
    OURS "table=22,priority=100,reg0=0x1/0xf,pkt_mark=1,udp,actions=group:1",
};

static const struct meter_want meter_100 = { .id = 100, .rate_kbps = 1000, .burst_kb = 100 };

static void
test_restart_sends_nothing(void **state)
{
    struct fixture *f = *state;

    OFCTL("add-group unix:br0.mgmt group_id=1,type=all,bucket=output:1");
    set_replace_text(f->set, "node", corpus, ARRAY_SIZE(corpus));
    of_switch_set_meters(f->sw, &meter_100, 1);
    RUN_UNTIL(f, in_sync(f));

    struct ds rejected = DS_EMPTY_INITIALIZER;
    of_switch_get_rejected(f->sw, NULL, &rejected);
    assert_string_equal(ds_cstr(&rejected), "");
    ds_destroy(&rejected);
    assert_int_equal(n_flow_mods(f), ARRAY_SIZE(corpus));
    assert_int_equal(of_switch_get_stats(f->sw)->sync.n_bundles, 1);
    assert_recompute_changes_nothing(f);

    of_switch_destroy(f->sw);
    connect_fixture(f);
    of_switch_set_meters(f->sw, &meter_100, 1);
    RUN_UNTIL(f, in_sync(f));
    assert_int_equal(n_flow_mods(f), 0);
    assert_int_equal(of_switch_get_stats(f->sw)->sync.n_meter_mods, 0);
    assert_int_equal(of_switch_get_stats(f->sw)->sync.n_bundles, 0);
}

static void
test_smallest_change(void **state)
{
    struct fixture *f = *state;

    set_replace_text(f->set, "node", (const char *const[]) {
        OURS "table=1,priority=3,actions=drop", OURS "table=1,priority=2,actions=drop",
        OURS "table=1,priority=1,actions=drop" }, 3);
    RUN_UNTIL(f, in_sync(f));
    set_replace_text(f->set, "node", (const char *const[]) {
        OURS "table=1,priority=3,actions=drop", OURS "table=1,priority=2,actions=output:1",
        OURS "table=1,priority=4,actions=drop" }, 3);
    RUN_UNTIL(f, in_sync(f));

    const struct sync_stats *s = &of_switch_get_stats(f->sw)->sync;
    assert_int_equal(s->n_adds, 4);
    assert_int_equal(s->n_modifies, 1);
    assert_int_equal(s->n_deletes, 1);
    assert_int_equal(s->n_bundles, 2);
    assert_switch_has("table=1",
                      " cookie=0xe60000000000001, table=1, priority=4 actions=drop\n"
                      " cookie=0xe60000000000001, table=1, priority=3 actions=drop\n"
                      " cookie=0xe60000000000001, table=1, priority=2 actions=output:1\n");
}

static void
test_foreign_changes_are_undone(void **state)
{
    struct fixture *f = *state;
    const char *expected = (" cookie=0xe60000000000001, table=1, priority=2 actions=output:2\n"
                            " cookie=0xe60000000000001, table=1, priority=1 actions=drop\n");

    set_replace_text(f->set, "node", (const char *const[]) {
        OURS "table=1,priority=2,actions=output:2", OURS "table=1,priority=1,actions=drop" }, 2);
    RUN_UNTIL(f, in_sync(f));

    uint64_t n = of_switch_get_stats(f->sw)->sync.n_bundles;
    OFCTL("del-flows unix:br0.mgmt table=1");
    RUN_UNTIL(f, of_switch_get_stats(f->sw)->n_foreign_changes == 2
                     && !flow_set_count_pending(f->set)
                     && of_switch_get_stats(f->sw)->sync.n_bundles > n);
    assert_recompute_changes_nothing(f);
    assert_switch_has("table=1", expected);

    OFCTL("mod-flows unix:br0.mgmt table=1,actions=output:1");
    RUN_UNTIL(f, of_switch_get_stats(f->sw)->n_foreign_changes == 4);
    assert_recompute_changes_nothing(f);
    assert_switch_has("table=1", expected);

    /* Somebody else's flow in the place of ours, and one with our cookie that nobody wants. */
    OFCTL("add-flow unix:br0.mgmt cookie=7,table=1,priority=1,actions=output:1");
    OFCTL("add-flow unix:br0.mgmt " OURS "table=1,priority=9,actions=output:1");
    RUN_UNTIL(f, of_switch_get_stats(f->sw)->n_foreign_changes == 6);
    assert_recompute_changes_nothing(f);
    assert_switch_has("table=1", expected);
}

static void
test_others_flows_stay(void **state)
{
    struct fixture *f = *state;

    OFCTL("add-flow unix:br0.mgmt cookie=7,table=1,priority=5,actions=output:1");
    OFCTL("add-flow unix:br0.mgmt table=1,priority=4,actions=drop");
    OFCTL("add-flow unix:br0.mgmt " OURS "table=1,priority=3,actions=drop");
    OFCTL("add-meter unix:br0.mgmt meter=99,kbps,band=type=drop,rate=5");
    OFCTL("add-meter unix:br0.mgmt meter=150,kbps,band=type=drop,rate=5");
    set_replace_text(f->set, "node",
                     (const char *const[]){ OURS "table=1,priority=2,actions=meter:100" }, 1);
    of_switch_set_meters(f->sw, &meter_100, 1);
    RUN_UNTIL(f, in_sync(f));
    assert_switch_has("table=1",
                      " cookie=0x7, table=1, priority=5 actions=output:1\n"
                      " table=1, priority=4 actions=drop\n"
                      " cookie=0xe60000000000001, table=1, priority=2 actions=meter:100\n");
    char *meters = live_ovs_run(
        &ovs, "ovs-ofctl -O OpenFlow15 dump-meters unix:br0.mgmt | grep -o 'meter=[0-9]*' | sort");
    assert_string_equal(meters, "meter=100\nmeter=99\n");
    free(meters);

    /* A foreign flow that took the place of ours is not ours to delete. */
    of_switch_set_target(f->sw, NULL);
    OFCTL("add-flow unix:br0.mgmt cookie=8,table=1,priority=2,actions=drop");
    set_replace_text(f->set, "node", NULL, 0);
    restart(f);
    assert_switch_has("table=1",
                      " cookie=0x7, table=1, priority=5 actions=output:1\n"
                      " table=1, priority=4 actions=drop\n"
                      " cookie=0x8, table=1, priority=2 actions=drop\n");
}

static void
test_meters_change_with_flows(void **state)
{
    struct fixture *f = *state;
    struct meter_want wants[] = { meter_100, { .id = 101, .rate_kbps = 5 } };

    set_replace_text(f->set, "node",
                     (const char *const[]){ OURS "table=1,priority=2,actions=meter:100",
                                            OURS "table=1,priority=1,actions=meter:101" },
                     2);
    of_switch_set_meters(f->sw, wants, 2);
    RUN_UNTIL(f, in_sync(f));
    assert_recompute_changes_nothing(f);

    wants[0].rate_kbps = 2000;
    set_replace_text(f->set, "node",
                     (const char *const[]){ OURS "table=1,priority=2,actions=meter:100" }, 1);
    of_switch_set_meters(f->sw, wants, 1);
    RUN_UNTIL(f, in_sync(f));
    assert_recompute_changes_nothing(f);
    assert_int_equal(of_switch_get_stats(f->sw)->sync.n_meter_mods, 4);
    char *meters = live_ovs_run(
        &ovs, "ovs-ofctl -O OpenFlow15 dump-meters unix:br0.mgmt | tail -n +2 | tr -s '\\n '");
    assert_string_equal(meters,
                        "meter=100 kbps burst bands=\ntype=drop rate=2000 burst_size=100\n");
    free(meters);

    /* Deleting the meter takes the flow along.  Both come back. */
    OFCTL("del-meters unix:br0.mgmt");
    RUN_UNTIL(f, of_switch_get_stats(f->sw)->n_foreign_changes >= 2);
    RUN_UNTIL(f, !flow_set_count_pending(f->set) && !of_switch_count_rejected(f->sw));
    assert_recompute_changes_nothing(f);
    assert_switch_has("table=1",
                      " cookie=0xe60000000000001, table=1, priority=2 actions=meter:100\n");
}

static void
test_rejected_flow_does_not_stop_others(void **state)
{
    struct fixture *f = *state;

    set_replace_text(f->set, "pod/lab/good", (const char *const[]) {
        OURS "table=1,priority=3,actions=drop", OURS "table=1,priority=1,actions=drop" }, 2);
    set_replace_text(f->set, "pod/lab/bad",
                     (const char *const[]){ OURS "table=1,priority=2,actions=meter:555",
                                            OURS "table=1,priority=7,actions=group:777" },
                     2);
    RUN_UNTIL(f, in_sync(f));

    struct ds rejected = DS_EMPTY_INITIALIZER;
    of_switch_get_rejected(f->sw, NULL, &rejected);
    assert_string_equal(ds_cstr(&rejected),
                        "pod/lab/bad: OFPMMFC_INVALID_METER: cookie=0xe60000000000001, table=1, "
                        "priority=2 actions=meter:555\n"
                        "pod/lab/bad: OFPBAC_BAD_OUT_GROUP: cookie=0xe60000000000001, table=1, "
                        "priority=7 actions=group:777\n");
    ds_destroy(&rejected);
    assert_int_equal(of_switch_count_rejected(f->sw), 2);
    /* Open vSwitch notices the meter when it gets the flow, but the group only when it commits
     * the bundle. */
    assert_int_equal(of_switch_get_stats(f->sw)->sync.n_bundles, 3);
    assert_int_equal(of_switch_get_stats(f->sw)->sync.n_bundle_errors, 2);
    assert_switch_has("table=1",
                      " cookie=0xe60000000000001, table=1, priority=3 actions=drop\n"
                      " cookie=0xe60000000000001, table=1, priority=1 actions=drop\n");

    set_replace_text(f->set, "pod/lab/bad",
                     (const char *const[]){ OURS "table=1,priority=2,actions=output:2" }, 1);
    RUN_UNTIL(f, in_sync(f));
    assert_int_equal(of_switch_count_rejected(f->sw), 0);
    assert_recompute_changes_nothing(f);
}

static void
test_switch_restart(void **state)
{
    struct fixture *f = *state;

    set_replace_text(f->set, "node", corpus, 5);
    RUN_UNTIL(f, in_sync(f));
    live_ovs_kill_switch(&ovs);
    RUN_UNTIL(f, !of_switch_connected(f->sw));
    assert_int_equal(of_switch_get_acked_seqno(f->sw), 0);
    live_ovs_start_switch(&ovs);
    RUN_UNTIL(f, in_sync(f));
    assert_int_equal(n_flow_mods(f), 10);
    assert_int_equal(of_switch_get_stats(f->sw)->n_connections, 2);
    assert_recompute_changes_nothing(f);
}

static void
packet_in(const struct ofputil_packet_in *pin, void *f_)
{
    struct fixture *f = f_;

    f->n_packet_ins++;
    snprintf(f->userdata, sizeof f->userdata, "%.*s", (int) pin->userdata_len,
             (const char *) pin->userdata);
    f->reg1 = pin->flow_metadata.flow.regs[1];
}

static void
test_packet_in_and_out(void **state)
{
    struct fixture *f = *state;
    uint64_t stub[64 / 8];
    struct ofpbuf ofpacts;
    uint8_t frame[64] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x12, 0x34 };

    /* Three controllers: nobody in particular, us, somebody else. */
    set_replace_text(f->set, "node", (const char *const[]) {
        OURS "table=0,priority=1,actions=load:5->NXM_NX_REG1[],controller(id=0),"
             "controller(id=25959,userdata=68.65.6c.6c.6f),controller(id=9)" }, 1);
    of_switch_set_packet_in_handler(f->sw, packet_in, f);
    ofpbuf_use_stub(&ofpacts, stub, sizeof stub);
    assert_int_equal(of_switch_packet_out(f->sw, frame, sizeof frame, OFPP_LOCAL, &ofpacts),
                     ENOTCONN);
    RUN_UNTIL(f, in_sync(f));

    ofpact_put_OUTPUT(&ofpacts)->port = OFPP_TABLE;
    assert_int_equal(of_switch_packet_out(f->sw, frame, sizeof frame, OFP_PORT_C(1), &ofpacts), 0);
    RUN_UNTIL(f, f->n_packet_ins);
    assert_recompute_changes_nothing(f);
    assert_int_equal(f->n_packet_ins, 1);
    assert_string_equal(f->userdata, "hello");
    assert_int_equal(f->reg1, 5);
    ofpbuf_uninit(&ofpacts);
}

static void
fill(struct flow_set *set, unsigned int n)
{
    struct flow_batch batch;

    flow_batch_init(&batch);
    for (unsigned int i = 0; i < n; i++) {
        char text[200];

        snprintf(text, sizeof text, OURS "table=30,priority=100,ip,in_port=1,nw_src=10.%u.%u.%u,"
                 "actions=load:%u->NXM_NX_REG1[],load:1->NXM_NX_TUN_GBP_FLAGS[],resubmit(,31)",
                 i >> 16 & 255, i >> 8 & 255, i & 255, i);
        batch_add_text(&batch, text);
    }
    flow_set_replace(set, "many", &batch);
    flow_batch_destroy(&batch);
}

static void
test_many_flows(void **state)
{
    struct fixture *f = *state;

    RUN_UNTIL(f, in_sync(f));
    fill(f->set, 20000);
    long long int longest = 0;
    long long int deadline = time_msec() + DEADLINE_MS;
    while (!in_sync(f)) {
        long long int start = time_msec();
        of_switch_run(f->sw);
        longest = MAX(longest, time_msec() - start);
        assert_true(start < deadline);
        of_switch_wait(f->sw);
        poll_block();
    }
    print_message("20000 flows: %lld ms, the longest run %lld ms\n",
                  of_switch_get_stats(f->sw)->last_sync_ms, longest);
    assert_int_equal(n_flow_mods(f), 20000);
    assert_int_equal(of_switch_get_stats(f->sw)->sync.n_bundles, 1);
    assert_recompute_changes_nothing(f);
    restart(f);
    assert_int_equal(n_flow_mods(f), 0);

    /* So many deletions that the monitor pauses in between. */
    OFCTL("del-flows unix:br0.mgmt table=30");
    RUN_UNTIL(f, n_flow_mods(f) == 20000);
    assert_int_equal(of_switch_get_stats(f->sw)->n_foreign_changes, 20000);
    assert_recompute_changes_nothing(f);
    fill(f->set, 0);
    RUN_UNTIL(f, in_sync(f));
    assert_int_equal(of_switch_get_stats(f->sw)->sync.n_deletes, 20000);
    assert_switch_has("table=30", "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_restart_sends_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_smallest_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign_changes_are_undone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_flows_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_meters_change_with_flows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rejected_flow_does_not_stop_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_switch_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_packet_in_and_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_flows, setup, teardown),
    };

    if (!live_ovs_available()) {
        fprintf(stderr, "SKIPPED: ovs-vswitchd, ovsdb-server, ovs-vsctl, ovs-ofctl or ovsdb-tool "
                        "is not installed\n");
        return 77;
    }
    fatal_ignore_sigpipe();
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    live_ovs_start(&ovs);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    live_ovs_stop(&ovs);
    return result;
}
