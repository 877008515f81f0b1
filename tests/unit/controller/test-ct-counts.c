/* Counting connections by zone, as a real ovs-vswitchd does it. */
#include <config.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include "controller/ct-counts.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "tests/unit/controller/ovs-sandbox.h"
#include "timeval.h"
#include "util.h"

#define DATAPATH "dummy@ovs-dummy"

static struct ovs_sandbox *sandbox;

static int
setup_group(void **state OVS_UNUSED)
{
    sandbox = sandbox_create();
    free(sandbox_run("ovs-vsctl add-br br0 -- set Bridge br0 datapath_type=dummy "
                     "-- add-port br0 p1 -- set Interface p1 type=dummy ofport_request=1"));
    free(sandbox_run("ovs-ofctl add-flow br0 'udp,actions=ct(commit,zone=60001)'"));
    return 0;
}

static int
teardown_group(void **state OVS_UNUSED)
{
    sandbox_destroy(sandbox);
    return 0;
}

static int
setup(void **state)
{
    struct ct_counts *counts = ct_counts_create();

    ct_counts_set_datapath(counts, "dummy");
    *state = counts;
    return 0;
}

static int
teardown(void **state)
{
    if (sandbox->ovs_vswitchd) {
        kill(sandbox->ovs_vswitchd, SIGCONT);
        free(sandbox_run("zones=$(ovs-appctl dpctl/ct-get-limits " DATAPATH " | grep -o '^zone=[0-9]*' "
                         "| cut -d= -f2 | paste -sd,)\n"
                         "[ -z \"$zones\" ] || ovs-appctl dpctl/ct-del-limits " DATAPATH " zone=$zones"));
    }
    ct_counts_destroy(*state);
    return 0;
}

/* Runs 'counts' until it waits for nothing. */
static void
finish(struct ct_counts *counts)
{
    long long int deadline = time_msec() + SANDBOX_DEADLINE;

    for (;;) {
        ct_counts_run(counts, time_msec());
        if (!ct_counts_is_busy(counts)) {
            break;
        }
        assert_true(time_msec() < deadline);
        ct_counts_wait(counts);
        poll_timer_wait_until(deadline);
        poll_block();
    }
}

static void
refresh(struct ct_counts *counts)
{
    ct_counts_refresh(counts, time_msec());
    finish(counts);
}

static void
expect_count(const struct ct_counts *counts, uint16_t zone, uint32_t expected)
{
    uint32_t count;

    assert_true(ct_counts_get(counts, zone, &count));
    assert_int_equal(count, expected);
}

static void
expect_unknown(const struct ct_counts *counts, uint16_t zone)
{
    uint32_t count;

    assert_false(ct_counts_get(counts, zone, &count));
}

static void
expect_limits(const char *expected)
{
    sandbox_expect("ovs-appctl dpctl/ct-get-limits " DATAPATH, expected);
}

static void
send_datagram(int source_port)
{
    free(sandbox_run("ovs-appctl netdev-dummy/receive p1 'in_port(1),"
                     "eth(src=02:00:00:00:00:01,dst=02:00:00:00:00:02),eth_type(0x0800),"
                     "ipv4(src=10.0.0.1,dst=10.0.0.2,proto=17,tos=0,ttl=64,frag=no),"
                     "udp(src=%d,dst=53)'", source_port));
}

static void
test_counts_connections(void **state)
{
    static const uint16_t zones[] = { 60001, 60002, 60001 };
    struct ct_counts *counts = *state;

    ct_counts_set_zones(counts, zones, ARRAY_SIZE(zones));
    expect_unknown(counts, 60001);
    finish(counts);
    expect_count(counts, 60001, 0);
    expect_count(counts, 60002, 0);
    expect_unknown(counts, 60003);
    for (int port = 1001; port <= 1003; port++) {
        send_datagram(port);
        send_datagram(port);
    }
    refresh(counts);
    expect_count(counts, 60001, 3);
    expect_count(counts, 60002, 0);
    expect_limits("default limit=0\n"
                  "zone=60001,limit=4294967295,count=3\n"
                  "zone=60002,limit=4294967295,count=0\n");
}

static void
test_counts_go_on_after_a_restart(void **state)
{
    static const uint16_t zones[] = { 60001, 60002 };
    struct ct_counts *counts = *state;

    ct_counts_set_zones(counts, zones, 1);
    finish(counts);
    send_datagram(2001);

    struct ct_counts *second = ct_counts_create();
    ct_counts_set_datapath(second, "dummy");
    ct_counts_set_zones(second, zones, 2);
    finish(second);
    expect_count(second, 60001, 1);
    expect_count(second, 60002, 0);
    ct_counts_destroy(second);
}

/* What is known of the zones that stay is not lost, nor is the answer that is under way. */
static void
test_zones_change_while_asking(void **state)
{
    static const uint16_t zones[] = { 60001, 60002, 60003 };
    struct ct_counts *counts = *state;

    ct_counts_set_zones(counts, zones, 2);
    finish(counts);
    send_datagram(3001);
    ct_counts_refresh(counts, time_msec());
    ct_counts_set_zones(counts, &zones[0], 1);
    ct_counts_set_zones(counts, zones, 3);
    assert_true(ct_counts_is_busy(counts));
    expect_count(counts, 60001, 0);
    finish(counts);
    expect_count(counts, 60001, 1);
    expect_count(counts, 60002, 0);
    expect_count(counts, 60003, 0);

    ct_counts_set_zones(counts, NULL, 0);
    ct_counts_refresh(counts, time_msec());
    assert_false(ct_counts_is_busy(counts));
    expect_unknown(counts, 60001);
}

static void
test_many_zones(void **state)
{
    struct ct_counts *counts = *state;
    uint16_t zones[1501];

    for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
        zones[i] = 60000 + i;
    }
    ct_counts_set_zones(counts, zones, ARRAY_SIZE(zones));
    finish(counts);
    for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
        expect_count(counts, zones[i], 0);
    }
    sandbox_expect("ovs-appctl dpctl/ct-get-limits " DATAPATH " | grep -c limit=4294967295", "1501\n");
}

static void
test_limits_of_others(void **state)
{
    static const uint16_t zones[] = { 60001, 60002 };
    struct ct_counts *counts = *state;
    size_t n;

    free(sandbox_run("ovs-appctl dpctl/ct-set-limits " DATAPATH " zone=60001,limit=7 zone=5,limit=4294967295"));
    ct_counts_set_zones(counts, zones, 2);
    finish(counts);
    send_datagram(4001);
    refresh(counts);
    expect_count(counts, 60001, 1);
    expect_limits("default limit=0\n"
                  "zone=5,limit=4294967295,count=0\n"
                  "zone=60001,limit=7,count=1\n"
                  "zone=60002,limit=4294967295,count=0\n");

    assert_null(ct_counts_remove_limits(60000, 60999, time_msec() + SANDBOX_DEADLINE, &n));
    assert_int_equal(n, 1);
    expect_limits("default limit=0\n"
                  "zone=5,limit=4294967295,count=0\n"
                  "zone=60001,limit=7,count=1\n");
}

static void
test_other_datapaths(void **state)
{
    static const uint16_t zones[] = { 60001 };
    static const char *const types[] = { "nonsense", "system", NULL };
    struct ct_counts *counts = *state;

    ct_counts_set_zones(counts, zones, 1);
    finish(counts);
    expect_count(counts, 60001, 0);
    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        ct_counts_set_datapath(counts, types[i]);
        refresh(counts);
        expect_unknown(counts, 60001);
    }
    ct_counts_set_datapath(counts, "dummy");
    finish(counts);
    expect_count(counts, 60001, 0);
}

static void
test_silent_switch(void **state)
{
    static const uint16_t zones[] = { 60001 };
    struct ct_counts *counts = *state;
    size_t n;

    ct_counts_set_zones(counts, zones, 1);
    finish(counts);
    expect_count(counts, 60001, 0);
    kill(sandbox->ovs_vswitchd, SIGSTOP);
    refresh(counts);
    expect_unknown(counts, 60001);
    char *error = ct_counts_remove_limits(60001, 60001, time_msec() + 100, &n);
    assert_string_equal(error, "ovs-vswitchd: dpctl/dump-dps: Connection timed out");
    free(error);
    kill(sandbox->ovs_vswitchd, SIGCONT);
    refresh(counts);
    expect_count(counts, 60001, 0);
}

/* A zone with a limit of its own is exempt from the default.  There is no way to take that off again, so this comes
 * late. */
static void
test_default_limit_of_others(void **state)
{
    static const uint16_t zones[] = { 60001, 60002, 60003 };
    struct ct_counts *counts = *state;

    free(sandbox_run("ovs-appctl dpctl/ct-set-limits " DATAPATH " zone=60002,limit=7"));
    ct_counts_set_zones(counts, zones, 2);
    finish(counts);
    free(sandbox_run("ovs-appctl dpctl/ct-set-limits " DATAPATH " default=5"));
    ct_counts_set_zones(counts, zones, 3);
    refresh(counts);
    expect_unknown(counts, 60001);
    expect_count(counts, 60002, 0);
    expect_unknown(counts, 60003);
    expect_limits("default limit=5\n"
                  "zone=60002,limit=7,count=0\n");
}

static void
test_no_switch(void **state)
{
    static const uint16_t zones[] = { 60002 };
    struct ct_counts *counts = *state;
    size_t n;

    free(sandbox_run("ovs-appctl dpctl/ct-set-limits " DATAPATH " zone=60002,limit=7"));
    ct_counts_set_zones(counts, zones, 1);
    finish(counts);
    expect_count(counts, 60002, 0);
    free(sandbox_run("ovs-vsctl del-br br0"));
    assert_null(ct_counts_remove_limits(0, UINT16_MAX, time_msec() + SANDBOX_DEADLINE, &n));
    assert_int_equal(n, 0);

    /* While it is being asked. */
    kill(sandbox->ovs_vswitchd, SIGSTOP);
    ct_counts_refresh(counts, time_msec());
    assert_true(ct_counts_is_busy(counts));
    kill(sandbox->ovs_vswitchd, SIGKILL);
    sandbox_stop(&sandbox->ovs_vswitchd);
    finish(counts);
    expect_unknown(counts, 60002);
    assert_null(ct_counts_remove_limits(0, UINT16_MAX, time_msec() + SANDBOX_DEADLINE, &n));
    assert_int_equal(n, 0);
}

#define TEST(FUNCTION) cmocka_unit_test_setup_teardown(FUNCTION, setup, teardown)

int
main(int argc OVS_UNUSED, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(test_counts_connections),
        TEST(test_counts_go_on_after_a_restart),
        TEST(test_zones_change_while_asking),
        TEST(test_many_zones),
        TEST(test_limits_of_others),
        TEST(test_other_datapaths),
        TEST(test_silent_switch),
        TEST(test_default_limit_of_others),
        TEST(test_no_switch),
    };

    set_program_name(argv[0]);
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    if (!sandbox_is_possible()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
