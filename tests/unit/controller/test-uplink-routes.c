/* Follows the routes of interfaces in a network namespace of the test's own, that ip(8)
 * changes.  Without the right to make one there is nothing to test: exit status 77. */

#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "controller/uplink-routes.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE 10000          /* ms that anything may take. */

/* Runs the lines of 'commands' as arguments of ip(8), which must all succeed. */
static void
ip(const char *commands)
{
    FILE *batch = popen("ip -batch -", "w");

    assert_non_null(batch);
    fputs(commands, batch);
    assert_int_equal(pclose(batch), 0);
}

/* "up0" is the interface that is followed, "other0" one that is not.  Without duplicate address
 * detection addresses are there at once, and without generated link-local addresses there are
 * none but the test's. */
static int
setup(void **state)
{
    struct uplink_routes *r;

    ip("link add up0 type veth peer name up0-peer\n"
       "link add other0 type veth peer name other0-peer\n"
       "link set up0-peer up\n"
       "link set other0-peer up\n"
       "link set up0 addrgenmode none\n"
       "link set other0 addrgenmode none\n"
       "link set up0 address 02:00:00:00:00:01 mtu 1400 up\n"
       "link set other0 up\n"
       "addr add 10.0.0.1/24 dev up0\n"
       "addr add 2001:db8::1/64 dev up0 nodad\n"
       "addr add 10.9.0.1/24 dev other0\n");
    assert_int_equal(uplink_routes_create("up0", &r), 0);
    *state = r;
    return 0;
}

static int
teardown(void **state)
{
    uplink_routes_destroy(*state);
    ip("link del other0\n");
    return system("ip link del up0 2>/dev/null") == -1;
}

static char *
format_view(const struct uplink_routes *r)
{
    const struct uplink_view *v = uplink_routes_get(r);
    struct ds s = DS_EMPTY_INITIALIZER;

    if (!v->present) {
        assert_int_equal(v->n_addresses + v->n_routes, 0);
        return xstrdup("absent");
    }
    ds_put_format(&s, "mac "ETH_ADDR_FMT" mtu %u\n", ETH_ADDR_ARGS(v->mac), v->mtu);
    for (size_t i = 0; i < v->n_addresses; i++) {
        assert_true(uplink_routes_is_own_address(r, &v->addresses[i]));
        ds_put_cstr(&s, "own ");
        ip_format(&v->addresses[i], &s);
        ds_put_char(&s, '\n');
    }
    for (size_t i = 0; i < v->n_routes; i++) {
        const struct uplink_route *route = &v->routes[i];

        ip_prefix_format(&route->prefix, &s);
        if (route->has_gateway) {
            ds_put_cstr(&s, " via ");
            ip_format(&route->gateway, &s);
        }
        ds_put_char(&s, '\n');
    }
    return ds_steal_cstr(&s);
}

/* Runs 'r' as an agent would until it shows 'expected'. */
static void
expect(struct uplink_routes *r, const char *expected)
{
    long long int deadline = time_msec() + DEADLINE;

    for (;;) {
        uplink_routes_run(r, time_msec());

        char *actual = format_view(r);
        bool done = !strcmp(actual, expected);
        if (!done && time_msec() >= deadline) {
            assert_string_equal(actual, expected);
        }
        free(actual);
        if (done) {
            return;
        }

        uplink_routes_wait(r);
        poll_timer_wait_until(deadline);
        poll_block();
    }
}

#define INTERFACE "mac 02:00:00:00:00:01 mtu 1400\nown 10.0.0.1\nown 2001:db8::1\n"
#define CONNECTED4 "10.0.0.0/24\n"
#define CONNECTED6 "2001:db8::/64\n"

static void
test_follows_changes(void **state)
{
    struct uplink_routes *r = *state;

    expect(r, INTERFACE CONNECTED4 CONNECTED6);
    uint64_t seqno = uplink_routes_seqno(r);

    ip("route add default via 10.0.0.254\n"
       "route add default via 2001:db8::fe\n"
       "route add 192.0.2.0/24 via 10.0.0.253\n");
    expect(r, INTERFACE "::/0 via 2001:db8::fe\n" "0.0.0.0/0 via 10.0.0.254\n" CONNECTED4
              "192.0.2.0/24 via 10.0.0.253\n" CONNECTED6);
    assert_true(uplink_routes_seqno(r) > seqno);

    ip("route replace default via 10.0.0.252\n"
       "route del 192.0.2.0/24\n"
       "route del ::/0\n"
       "link set up0 address 02:00:00:00:00:02 mtu 1300\n"
       "addr add 10.0.0.2/32 dev up0\n"
       "addr add 10.0.0.3 peer 10.0.0.4 dev up0\n"
       "addr del 2001:db8::1/64 dev up0\n");
    expect(r, "mac 02:00:00:00:00:02 mtu 1300\n"
              "own 10.0.0.1\n" "own 10.0.0.2\n" "own 10.0.0.3\n"
              "0.0.0.0/0 via 10.0.0.252\n" CONNECTED4 "10.0.0.4/32\n");

    struct in6_addr peer = ip_from_v4(htonl(0x0a000004));
    assert_false(uplink_routes_is_own_address(r, &peer));
}

static void
test_metrics_and_types(void **state)
{
    struct uplink_routes *r = *state;

    ip("route add default via 10.0.0.252 metric 300\n"
       "route add default via 10.0.0.254 metric 100\n"
       "route add default via 10.9.0.254 metric 50\n"           /* Not by this interface. */
       "route add default via 10.0.0.253 metric 200\n"
       "route add default via 2001:db8::2 metric 20\n"
       "route add default via 2001:db8::3 metric 10\n"
       "route add blackhole 192.0.2.0/24\n"
       "route add unreachable 192.0.3.0/24\n"
       "route add 192.0.4.0/24 via 10.0.0.254 table 77\n"
       "route add 192.0.5.0/24 via 10.9.0.254\n"
       "route add 192.0.6.0/24 via 10.0.0.254 tos 0x10\n"
       "route add 192.0.7.0/24 dev up0\n");
    expect(r, INTERFACE "::/0 via 2001:db8::3\n" "0.0.0.0/0 via 10.0.0.254\n" CONNECTED4
              "192.0.7.0/24\n" CONNECTED6);
    ip("route del default metric 100\n"
       "route del blackhole 192.0.2.0/24\n"
       "route del unreachable 192.0.3.0/24\n");
    expect(r, INTERFACE "::/0 via 2001:db8::3\n" "0.0.0.0/0 via 10.0.0.253\n" CONNECTED4
              "192.0.7.0/24\n" CONNECTED6);
}

static void
test_multipath(void **state)
{
    struct uplink_routes *r = *state;

    ip("route add 192.0.2.0/24 nexthop via 10.9.0.254 nexthop via 10.0.0.253 "
       "nexthop via 10.0.0.254\n"
       "route add 192.0.3.0/24 nexthop via 10.9.0.254 nexthop via 10.9.0.253\n"
       "route add 192.0.4.0/24 via inet6 2001:db8::fe dev up0\n"
       "route add 192.0.5.0/24 nexthop via inet6 2001:db8::fe dev up0 nexthop via 10.0.0.254\n"
       "route add 2001:db8:1::/48 nexthop via 2001:db8::a nexthop via 2001:db8::b\n");
    expect(r, INTERFACE CONNECTED4 "192.0.2.0/24 via 10.0.0.253\n"
              "192.0.5.0/24 via 10.0.0.254\n" CONNECTED6 "2001:db8:1::/48 via 2001:db8::a\n");
}

static void
test_interface_goes_and_comes(void **state)
{
    struct uplink_routes *r = *state;

    expect(r, INTERFACE CONNECTED4 CONNECTED6);
    ip("link del up0\n");
    expect(r, "absent");
    ip("link add up0 type veth peer name up0-peer\n"
       "link set up0-peer up\n"
       "link set up0 addrgenmode none\n"
       "link set up0 address 02:00:00:00:00:05 mtu 1280 up\n"
       "addr add 10.0.0.7/24 dev up0\n");
    expect(r, "mac 02:00:00:00:00:05 mtu 1280\n" "own 10.0.0.7\n" CONNECTED4);

    /* The kernel drops the routes without saying so. */
    ip("link set up0 down\n");
    expect(r, "mac 02:00:00:00:00:05 mtu 1280\n" "own 10.0.0.7\n");
    ip("link set up0 up\n");
    expect(r, "mac 02:00:00:00:00:05 mtu 1280\n" "own 10.0.0.7\n" CONNECTED4);

    ip("link set up0 down\n"
       "link set up0 name up1\n");
    expect(r, "absent");
    ip("link del up1\n");
}

/* More notifications than the socket's buffer takes, all of routes that don't matter, and the
 * one that does matter is among those that are lost. */
static void
test_lost_notifications(void **state)
{
    struct uplink_routes *r = *state;
    struct ds s = DS_EMPTY_INITIALIZER;

    expect(r, INTERFACE CONNECTED4 CONNECTED6);
    for (int i = 0; i < 20000; i++) {
        ds_put_format(&s, "route add 10.77.%d.%d/32 dev other0\n", i / 250, i % 250);
    }
    ds_put_cstr(&s, "route add 192.0.2.0/24 via 10.0.0.253\n");
    ip(ds_cstr(&s));
    ds_destroy(&s);
    expect(r, INTERFACE CONNECTED4 "192.0.2.0/24 via 10.0.0.253\n" CONNECTED6);
}

static void
test_others_do_not_matter(void **state)
{
    struct uplink_routes *r = *state;

    expect(r, INTERFACE CONNECTED4 CONNECTED6);
    uint64_t seqno = uplink_routes_seqno(r);
    ip("route add 192.0.2.0/24 via 10.9.0.254\n"
       "link add other1 type veth peer name other1-peer\n"
       "addr add 10.8.0.1/24 dev other1\n"
       "link set other1 up\n"
       "link del other1\n"
       "route add 192.0.3.0/24 via 10.0.0.253\n");      /* Follows them all. */
    expect(r, INTERFACE CONNECTED4 "192.0.3.0/24 via 10.0.0.253\n" CONNECTED6);
    assert_int_equal(uplink_routes_seqno(r), seqno + 1);
}

int
main(void)
{
    if (unshare(CLONE_NEWNET)) {
        fprintf(stderr, "SKIPPED: may not make a network namespace (%s)\n", ovs_strerror(errno));
        return 77;
    }
    if (system("ip link set lo up")) {
        fprintf(stderr, "SKIPPED: no working ip(8)\n");
        return 77;
    }

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_follows_changes), T(test_metrics_and_types), T(test_multipath),
        T(test_interface_goes_and_comes), T(test_lost_notifications), T(test_others_do_not_matter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
