#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "tests/unit/pipeline/flow-lines.h"
#include "util.h"

/* What selects pods. */

static void
compile_routes(struct flow_lines *lines, struct egress_route **routes, size_t n)
{
    struct route_class class = { .routes = (const struct egress_route **) routes, .n_routes = n };

    compile_class(&lines->ctx, &class);
}

static void
unref_routes(struct egress_route **routes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        egress_route_unref(routes[i]);
    }
}

/* Compiles the class of 'n' 'routes', the best first, and drops them. */
static void
expect_class_flows(struct flow_lines *lines, struct egress_route **routes, size_t n, const char *expected)
{
    compile_routes(lines, routes, n);
    expect_flows(lines, expected);
    unref_routes(routes, n);
}

/* Pods. */

static void
expect_pod_flows(struct flow_lines *lines, bool has_mac, struct egress_route **routes, size_t n,
                 const char *expected)
{
    struct in6_addr ips[] = { test_ip("10.203.1.9"), test_ip("fd00:203:1::9") };
    struct route_class class = { .routes = (const struct egress_route **) routes, .n_routes = n };
    struct local_pod pod = {
        .id = "lab/web-1", .ofport = u16_to_ofp(7),
        .has_mac = has_mac, .mac = ETH_ADDR_C(02, 00, 00, 00, 00, 07),
        .ips = ips, .n_ips = ARRAY_SIZE(ips),
    };

    compile_pod(&lines->ctx, &pod, &class);
    for (size_t i = 0; i < lines->cookies.n; i++) {
        assert_string_equal(lines->cookies.names[i], "pod 0xf264002f");
    }
    expect_flows(lines, expected);
    unref_routes(routes, n);
}

static void
test_pod_that_no_policy_selects(void **state)
{
    expect_pod_flows(*state, true, NULL, 0,
        "source priority=200 ip,in_port=7,nw_src=10.203.1.9 actions=resubmit(,204)\n"
        "source priority=200 ipv6,in_port=7,ipv6_src=fd00:203:1::9 actions=resubmit(,204)\n");
}

static void
test_pod_of_one_route(void **state)
{
    struct egress_route *route = test_route(test_policy("web", 0), 5, "172.16.18.131", NULL);

    expect_pod_flows(*state, true, &route, 1,
        "deliver priority=100 ip,nw_dst=10.203.1.9 "
        "actions=ct_clear,set_field:0a:00:00:00:00:02->eth_src,set_field:02:00:00:00:00:07->eth_dst,"
        "set_field:0->tun_id,set_field:0.0.0.0->tun_src,set_field:0.0.0.0->tun_dst,"
        "set_field:0x1->tun_gbp_flags,load:0x2->NXM_OF_IN_PORT[],resubmit(,0)\n"
        "deliver priority=100 ipv6,ipv6_dst=fd00:203:1::9 "
        "actions=ct_clear,set_field:0a:00:00:00:00:02->eth_src,set_field:02:00:00:00:00:07->eth_dst,"
        "set_field:0->tun_id,set_field:0.0.0.0->tun_src,set_field:0.0.0.0->tun_dst,"
        "set_field:0x1->tun_gbp_flags,load:0x2->NXM_OF_IN_PORT[],resubmit(,0)\n"
        "source priority=100 ip,nw_src=10.203.1.9 actions=drop\n"
        "source priority=100 ipv6,ipv6_src=fd00:203:1::9 actions=drop\n"
        "source priority=200 ip,in_port=7,nw_src=10.203.1.9 "
        "actions=set_field:0x5->tun_id,resubmit(,202)\n"
        "source priority=200 ipv6,in_port=7,ipv6_src=fd00:203:1::9 "
        "actions=set_field:0x5->tun_id,resubmit(,202)\n");
}

static void
test_pod_of_several_routes(void **state)
{
    struct egress_route *routes[] = {
        test_route(test_policy("a", 1), 5, "172.16.18.131", NULL),
        test_route(test_policy("b", 0), 6, "172.16.18.132", NULL),
    };

    expect_pod_flows(*state, true, routes, 2,
        "deliver priority=100 ip,nw_dst=10.203.1.9 "
        "actions=ct_clear,set_field:0a:00:00:00:00:02->eth_src,set_field:02:00:00:00:00:07->eth_dst,"
        "set_field:0->tun_id,set_field:0.0.0.0->tun_src,set_field:0.0.0.0->tun_dst,"
        "set_field:0x1->tun_gbp_flags,load:0x2->NXM_OF_IN_PORT[],resubmit(,0)\n"
        "deliver priority=100 ipv6,ipv6_dst=fd00:203:1::9 "
        "actions=ct_clear,set_field:0a:00:00:00:00:02->eth_src,set_field:02:00:00:00:00:07->eth_dst,"
        "set_field:0->tun_id,set_field:0.0.0.0->tun_src,set_field:0.0.0.0->tun_dst,"
        "set_field:0x1->tun_gbp_flags,load:0x2->NXM_OF_IN_PORT[],resubmit(,0)\n"
        "source priority=100 ip,nw_src=10.203.1.9 actions=drop\n"
        "source priority=100 ipv6,ipv6_src=fd00:203:1::9 actions=drop\n"
        "source priority=200 ip,in_port=7,nw_src=10.203.1.9 "
        "actions=set_field:0xdd43822145a8bd4b->tun_id,resubmit(,202)\n"
        "source priority=200 ipv6,in_port=7,ipv6_src=fd00:203:1::9 "
        "actions=set_field:0xdd43822145a8bd4b->tun_id,resubmit(,202)\n");
}

static void
test_pod_without_mac_gets_replies_by_way_of_the_router(void **state)
{
    struct egress_route *route = test_route(test_policy("web", 0), 5, "172.16.18.131", NULL);

    expect_pod_flows(*state, false, &route, 1,
        "deliver priority=100 ip,nw_dst=10.203.1.9 "
        "actions=ct_clear,set_field:0a:00:00:00:00:02->eth_src,set_field:0a:00:00:00:00:02->eth_dst,"
        "set_field:0->tun_id,set_field:0.0.0.0->tun_src,set_field:0.0.0.0->tun_dst,"
        "set_field:0x1->tun_gbp_flags,load:0x2->NXM_OF_IN_PORT[],resubmit(,0)\n"
        "deliver priority=100 ipv6,ipv6_dst=fd00:203:1::9 "
        "actions=ct_clear,set_field:0a:00:00:00:00:02->eth_src,set_field:0a:00:00:00:00:02->eth_dst,"
        "set_field:0->tun_id,set_field:0.0.0.0->tun_src,set_field:0.0.0.0->tun_dst,"
        "set_field:0x1->tun_gbp_flags,load:0x2->NXM_OF_IN_PORT[],resubmit(,0)\n"
        "source priority=100 ip,nw_src=10.203.1.9 actions=drop\n"
        "source priority=100 ipv6,ipv6_src=fd00:203:1::9 actions=drop\n"
        "source priority=200 ip,in_port=7,nw_src=10.203.1.9 "
        "actions=set_field:0x5->tun_id,resubmit(,202)\n"
        "source priority=200 ipv6,in_port=7,ipv6_src=fd00:203:1::9 "
        "actions=set_field:0x5->tun_id,resubmit(,202)\n");
}

static void
test_free_port(void **state)
{
    struct flow_lines *lines = *state;

    compile_free_port(&lines->ctx, u16_to_ofp(2), egress_cookie(EGRESS_OWNER_PORT, 1));
    assert_string_equal(lines->cookies.names[0], "port 0x1");
    expect_flows(lines,
        "source priority=50 in_port=2 actions=resubmit(,204)\n");
}

/* Classes. */

static void
test_class_id_is_the_only_routes_number(void **state OVS_UNUSED)
{
    struct egress_route *route = test_route(test_policy("web", 0), 5, NULL, NULL);
    struct route_class class = { (const struct egress_route **) &route, 1 };

    assert_int_equal(route_class_id(&class), 5);
    egress_route_unref(route);
}

static void
test_class_id_of_several_routes_depends_on_their_order(void **state OVS_UNUSED)
{
    struct egress_route *a = test_route(test_policy("a", 0), 5, NULL, NULL);
    struct egress_route *b = test_route(test_policy("b", 0), 6, NULL, NULL);
    const struct egress_route *ab[] = { a, b };
    const struct egress_route *ba[] = { b, a };

    assert_true(route_class_id(&(struct route_class) { ab, 2 }) == UINT64_C(0xdd43822145a8bd4b));
    assert_true(route_class_id(&(struct route_class) { ba, 2 }) == UINT64_C(0xf10d1142f7ec0e23));
    egress_route_unref(a);
    egress_route_unref(b);
}

static void
test_class_of_one_route_to_anywhere(void **state)
{
    struct egress_route *route = test_route(test_policy("web", 0), 5, "172.16.18.131", "fd00:18::131");

    expect_class_flows(*state, &route, 1,
        "route priority=1 tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=100 ip,tun_id=0x5 actions=resubmit(,203)\n"
        "route priority=100 ipv6,tun_id=0x5 actions=resubmit(,203)\n");
}

static void
test_class_of_a_route_of_one_family(void **state)
{
    struct egress_policy *policy = test_policy("drop", 0);
    struct egress_route *route = test_route(policy, 5, "172.16.18.131", NULL);

    expect_class_flows(*state, &route, 1,
        "route priority=1 tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=100 ip,tun_id=0x5 actions=resubmit(,203)\n"
        "route priority=100 ipv6,tun_id=0x5 actions=drop\n");

    policy = test_policy("fallback", 0);
    policy->on_no_gateway = ON_NO_GATEWAY_FALLBACK;
    route = test_route(policy, 5, "172.16.18.131", NULL);
    expect_class_flows(*state, &route, 1,
        "route priority=1 tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=100 ip,tun_id=0x5 actions=resubmit(,203)\n"
        "route priority=100 ipv6,tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n");
}

static void
test_class_of_a_route_without_gateway(void **state)
{
    struct egress_policy *policy = test_policy("drop", 0);
    struct egress_route *route = test_route(policy, 5, "172.16.18.131", "fd00:18::131");

    route->state = ROUTE_NO_GATEWAY;
    expect_class_flows(*state, &route, 1,
        "route priority=1 tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=100 ip,tun_id=0x5 actions=drop\n"
        "route priority=100 ipv6,tun_id=0x5 actions=drop\n");

    policy = test_policy("fallback", 0);
    policy->on_no_gateway = ON_NO_GATEWAY_FALLBACK;
    route = test_route(policy, 5, "172.16.18.131", "fd00:18::131");
    route->state = ROUTE_NO_GATEWAY;
    expect_class_flows(*state, &route, 1,
        "route priority=1 tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=100 ip,tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=100 ipv6,tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n");
}

/* Of two routes of one priority the longer destination wins, of one length the first in the class. */
static void
test_class_with_destinations(void **state)
{
    struct egress_policy *a = test_policy("a", 0);
    struct egress_policy *b = test_policy("b", 0);

    test_policy_add_destination(a, "198.51.100.0/24");
    test_policy_add_destination(a, "203.0.113.0/24");
    test_policy_add_destination(b, "198.51.100.0/25");
    test_policy_add_destination(b, "203.0.113.0/24");
    test_policy_add_destination(b, "2001:db8::/32");
    struct egress_route *routes[] = {
        test_route(a, 5, "172.16.18.131", NULL), test_route(b, 6, "172.16.18.132", "fd00:18::132"),
    };
    expect_class_flows(*state, routes, 2,
        "route priority=1 tun_id=0xdd43822145a8bd4b actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=124 ip,tun_id=0xdd43822145a8bd4b,nw_dst=198.51.100.0/24 "
        "actions=set_field:0x5->tun_id,resubmit(,203)\n"
        "route priority=124 ip,tun_id=0xdd43822145a8bd4b,nw_dst=203.0.113.0/24 "
        "actions=set_field:0x5->tun_id,resubmit(,203)\n"
        "route priority=125 ip,tun_id=0xdd43822145a8bd4b,nw_dst=198.51.100.0/25 "
        "actions=set_field:0x6->tun_id,resubmit(,203)\n"
        "route priority=132 ipv6,tun_id=0xdd43822145a8bd4b,ipv6_dst=2001:db8::/32 "
        "actions=set_field:0x6->tun_id,resubmit(,203)\n");
}

/* A higher priority wins over a longer destination. */
static void
test_class_with_priorities(void **state)
{
    struct egress_policy *high = test_policy("high", 10);
    struct egress_policy *low = test_policy("low", 0);

    test_policy_add_destination(high, "198.51.0.0/16");
    test_policy_add_destination(low, "198.51.100.0/24");
    test_policy_add_destination(low, "203.0.113.0/24");
    struct egress_route *routes[] = {
        test_route(high, 5, "172.16.18.131", NULL), test_route(low, 6, "172.16.18.132", NULL),
    };
    expect_class_flows(*state, routes, 2,
        "route priority=1 tun_id=0xdd43822145a8bd4b actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=116 ip,tun_id=0xdd43822145a8bd4b,nw_dst=198.51.0.0/16 "
        "actions=set_field:0x5->tun_id,resubmit(,203)\n"
        "route priority=124 ip,tun_id=0xdd43822145a8bd4b,nw_dst=198.51.100.0/24 "
        "actions=set_field:0x5->tun_id,resubmit(,203)\n"
        "route priority=124 ip,tun_id=0xdd43822145a8bd4b,nw_dst=203.0.113.0/24 "
        "actions=set_field:0x6->tun_id,resubmit(,203)\n");
}

/* Where all routes of a class except a destination, it is the CNI's. */
static void
test_class_with_a_shared_exception(void **state)
{
    struct egress_policy *a = test_policy("a", 1);
    struct egress_policy *b = test_policy("b", 0);

    test_policy_add_exception(a, "198.51.100.0/24");
    test_policy_add_exception(b, "198.51.100.0/24");
    struct egress_route *routes[] = {
        test_route(a, 5, "172.16.18.131", NULL), test_route(b, 6, "172.16.18.132", NULL),
    };
    expect_class_flows(*state, routes, 2,
        "route priority=1 tun_id=0xdd43822145a8bd4b actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=100 ip,tun_id=0xdd43822145a8bd4b actions=set_field:0x5->tun_id,resubmit(,203)\n"
        "route priority=100 ipv6,tun_id=0xdd43822145a8bd4b actions=drop\n"
        "route priority=124 ip,tun_id=0xdd43822145a8bd4b,nw_dst=198.51.100.0/24 "
        "actions=set_field:0->tun_id,resubmit(,204)\n");
}

/* What the winner excepts is the next one's, and what that one excepts of it, nobody's. */
static void
test_class_with_exceptions_in_each_other(void **state)
{
    struct egress_policy *high = test_policy("high", 1);
    struct egress_policy *low = test_policy("low", 0);

    test_policy_add_exception(high, "198.51.0.0/16");
    test_policy_add_exception(low, "198.51.100.0/24");
    test_policy_add_exception(low, "203.0.113.0/24");
    struct egress_route *routes[] = {
        test_route(high, 5, "172.16.18.131", NULL), test_route(low, 6, "172.16.18.132", NULL),
    };
    expect_class_flows(*state, routes, 2,
        "route priority=1 tun_id=0xdd43822145a8bd4b actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=100 ip,tun_id=0xdd43822145a8bd4b actions=set_field:0x5->tun_id,resubmit(,203)\n"
        "route priority=100 ipv6,tun_id=0xdd43822145a8bd4b actions=drop\n"
        "route priority=116 ip,tun_id=0xdd43822145a8bd4b,nw_dst=198.51.0.0/16 "
        "actions=set_field:0x6->tun_id,resubmit(,203)\n"
        "route priority=124 ip,tun_id=0xdd43822145a8bd4b,nw_dst=198.51.100.0/24 "
        "actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=124 ip,tun_id=0xdd43822145a8bd4b,nw_dst=203.0.113.0/24 "
        "actions=set_field:0x5->tun_id,resubmit(,203)\n");
}

/* An exception applies to a destination inside it as well. */
static void
test_class_with_a_destination_in_an_exception(void **state)
{
    struct egress_policy *policy = test_policy("web", 0);

    test_policy_add_destination(policy, "198.51.100.0/24");
    test_policy_add_exception(policy, "198.51.0.0/16");
    struct egress_route *route = test_route(policy, 5, "172.16.18.131", NULL);
    expect_class_flows(*state, &route, 1,
        "route priority=1 tun_id=0x5 actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=116 ip,tun_id=0x5,nw_dst=198.51.0.0/16 "
        "actions=set_field:0->tun_id,resubmit(,204)\n"
        "route priority=124 ip,tun_id=0x5,nw_dst=198.51.100.0/24 "
        "actions=set_field:0->tun_id,resubmit(,204)\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_pod_that_no_policy_selects, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_pod_of_one_route, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_pod_of_several_routes, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_pod_without_mac_gets_replies_by_way_of_the_router, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_free_port, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test(test_class_id_is_the_only_routes_number),
        cmocka_unit_test(test_class_id_of_several_routes_depends_on_their_order),
        cmocka_unit_test_setup_teardown(test_class_of_one_route_to_anywhere, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_class_of_a_route_of_one_family, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_class_of_a_route_without_gateway, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_class_with_destinations, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_class_with_priorities, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_class_with_a_shared_exception, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_class_with_exceptions_in_each_other, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_class_with_a_destination_in_an_exception, flow_lines_setup, flow_lines_teardown),
    };

    return cmocka_run_group_tests_name("compile-source", tests, NULL, NULL);
}
