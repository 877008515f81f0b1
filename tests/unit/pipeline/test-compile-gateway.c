#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/pipeline/flow-lines.h"
#include "util.h"

/* Compiles the route of a policy that the caller may change through 'use_node_ip', with the place that 'view' says. */
static void
expect_route_flows(struct flow_lines *lines, bool use_node_ip, const struct gateway_view *view,
                   const char *expected)
{
    struct egress_policy *policy = test_policy("web", 0);
    struct egress_route *route;

    policy->use_node_ip = use_node_ip;
    route = test_route(policy, 5, "172.16.18.131", "fd00:18::131");
    compile_route(&lines->ctx, route, view);
    assert_string_equal(lines->cookies.names[0], "route 0x5");
    expect_flows(lines, expected);
    egress_route_unref(route);
}

static void
test_route_nowhere_drops(void **state)
{
    struct gateway_view view = { .place = GATEWAY_NOWHERE };

    expect_route_flows(*state, false, &view,
        "gateway priority=100 tun_id=0x5 actions=drop\n");
}

static void
test_route_to_a_remote_gateway(void **state)
{
    struct in6_addr gateway = test_ip("172.16.18.103");
    struct gateway_view view = { .place = GATEWAY_REMOTE, .tunnel_dst = ip_to_v4(&gateway) };

    expect_route_flows(*state, false, &view,
        "gateway priority=100 tun_id=0x5 actions=set_field:172.16.18.103->tun_dst,output:11\n");
}

static void
test_route_here_translates_only_what_is_claimed(void **state)
{
    struct gateway_view view = { .place = GATEWAY_HERE };

    expect_route_flows(*state, false, &view,
        "gateway priority=100 tun_id=0x5 actions=resubmit(,211)\n");
    view.claimed[IP_V6] = true;
    expect_route_flows(*state, false, &view,
        "gateway priority=100 tun_id=0x5 actions=resubmit(,211)\n"
        "snat priority=100 ipv6,tun_id=0x5 "
        "actions=ct(commit,table=214,zone=60352,nat(src=fd00:18::131),"
        "exec(move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_CT_LABEL[0..31],set_field:0x5->ct_mark))\n"
        "verify priority=100 ipv6,tun_id=0x5,ipv6_src=fd00:18::131 actions=resubmit(,212)\n");
    view.claimed[IP_V4] = true;
    expect_route_flows(*state, false, &view,
        "gateway priority=100 tun_id=0x5 actions=resubmit(,211)\n"
        "snat priority=100 ip,tun_id=0x5 "
        "actions=ct(commit,table=214,zone=59057,nat(src=172.16.18.131),"
        "exec(move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_CT_LABEL[0..31],set_field:0x5->ct_mark))\n"
        "snat priority=100 ipv6,tun_id=0x5 "
        "actions=ct(commit,table=214,zone=60352,nat(src=fd00:18::131),"
        "exec(move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_CT_LABEL[0..31],set_field:0x5->ct_mark))\n"
        "verify priority=100 ip,tun_id=0x5,nw_src=172.16.18.131 actions=resubmit(,212)\n"
        "verify priority=100 ipv6,tun_id=0x5,ipv6_src=fd00:18::131 actions=resubmit(,212)\n");
}

static void
test_route_here_with_a_meter(void **state)
{
    struct gateway_view view = { .place = GATEWAY_HERE, .claimed = { [IP_V4] = true }, .meter_id = 65541 };

    expect_route_flows(*state, false, &view,
        "gateway priority=100 tun_id=0x5 actions=resubmit(,211)\n"
        "snat priority=100 ip,tun_id=0x5 "
        "actions=meter:65541,ct(commit,table=214,zone=59057,nat(src=172.16.18.131),"
        "exec(move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_CT_LABEL[0..31],set_field:0x5->ct_mark))\n"
        "verify priority=100 ip,tun_id=0x5,nw_src=172.16.18.131 actions=resubmit(,212)\n");
}

static void
test_route_here_with_the_nodes_own_address(void **state)
{
    struct gateway_view view = { .place = GATEWAY_HERE, .claimed = { [IP_V4] = true } };

    expect_route_flows(*state, true, &view,
        "gateway priority=100 tun_id=0x5 actions=resubmit(,211)\n"
        "snat priority=100 ip,tun_id=0x5 "
        "actions=ct(commit,table=214,zone=59057,nat(src=172.16.18.131:61440-65535),"
        "exec(move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_CT_LABEL[0..31],set_field:0x5->ct_mark))\n"
        "verify priority=100 ip,tun_id=0x5,nw_src=172.16.18.131 actions=resubmit(,212)\n");
}

static void
test_route_without_ipv6_address_translates_no_ipv6(void **state)
{
    struct flow_lines *lines = *state;
    struct gateway_view view = { .place = GATEWAY_HERE, .claimed = { true, true } };
    struct egress_route *route = test_route(test_policy("web", 0), 5, "172.16.18.131", NULL);

    compile_route(&lines->ctx, route, &view);
    expect_flows(lines,
        "gateway priority=100 tun_id=0x5 actions=resubmit(,211)\n"
        "snat priority=100 ip,tun_id=0x5 "
        "actions=ct(commit,table=214,zone=59057,nat(src=172.16.18.131),"
        "exec(move:NXM_NX_TUN_IPV4_SRC[]->NXM_NX_CT_LABEL[0..31],set_field:0x5->ct_mark))\n"
        "verify priority=100 ip,tun_id=0x5,nw_src=172.16.18.131 actions=resubmit(,212)\n");
    egress_route_unref(route);
}

static void
expect_egress_ip_flows(struct flow_lines *lines, const char *ip, bool claimed, const char *expected)
{
    struct in6_addr address = test_ip(ip);

    compile_egress_ip(&lines->ctx, &address, claimed);
    expect_flows(lines, expected);
}

static void
test_unclaimed_egress_ip_is_only_watched(void **state)
{
    expect_egress_ip_flows(*state, "172.16.18.131", false,
        "uplink_in priority=200 arp,arp_tpa=172.16.18.131,arp_op=1 actions=controller(id=25959)\n"
        "uplink_in priority=300 arp,arp_spa=172.16.18.131 actions=controller(id=25959)\n");
    expect_egress_ip_flows(*state, "fd00:18::131", false,
        "uplink_in priority=200 icmp6,icmp_type=135,nd_target=fd00:18::131 "
        "actions=controller(id=25959)\n"
        "uplink_in priority=300 icmp6,icmp_type=136,nd_target=fd00:18::131 "
        "actions=controller(id=25959)\n");
}

static void
test_claimed_egress_ip_answers_and_takes_replies_in(void **state)
{
    expect_egress_ip_flows(*state, "172.16.18.131", true,
        "uplink_in priority=100 ip,nw_dst=172.16.18.131 actions=ct(table=221,zone=59057,nat)\n"
        "uplink_in priority=200 arp,arp_tpa=172.16.18.131,arp_op=1 "
        "actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:0e:00:00:00:00:01->eth_src,"
        "set_field:2->arp_op,move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
        "set_field:0e:00:00:00:00:01->arp_sha,move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
        "set_field:172.16.18.131->arp_spa,IN_PORT\n"
        "uplink_in priority=300 arp,arp_spa=172.16.18.131 actions=controller(id=25959)\n");
    expect_egress_ip_flows(*state, "fd00:18::131", true,
        "uplink_in priority=100 ipv6,ipv6_dst=fd00:18::131 actions=ct(table=221,zone=60352,nat)\n"
        "uplink_in priority=200 icmp6,icmp_type=135,icmp_code=0,nd_target=fd00:18::131 "
        "actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],move:NXM_NX_IPV6_SRC[]->NXM_NX_IPV6_DST[],"
        "set_field:0e:00:00:00:00:01->eth_src,set_field:fd00:18::131->ipv6_src,"
        "set_field:136->icmpv6_type,set_field:2->nd_options_type,set_field:1610612736->nd_reserved,"
        "resubmit(,223)\n"
        "uplink_in priority=210 icmp6,ipv6_src=::,icmp_type=135,icmp_code=0,nd_target=fd00:18::131 "
        "actions=set_field:33:33:00:00:00:01->eth_dst,set_field:ff02::1->ipv6_dst,"
        "set_field:0e:00:00:00:00:01->eth_src,set_field:fd00:18::131->ipv6_src,"
        "set_field:136->icmpv6_type,set_field:2->nd_options_type,set_field:0->nd_reserved,"
        "resubmit(,223)\n"
        "uplink_in priority=300 icmp6,icmp_type=136,nd_target=fd00:18::131 "
        "actions=controller(id=25959)\n");
}

static void
test_zone_follows_from_the_egress_ip(void **state OVS_UNUSED)
{
    struct in6_addr red = test_ip("172.16.18.131");
    struct in6_addr green = test_ip("172.16.18.132");
    struct in6_addr red6 = test_ip("fd00:18::131");

    assert_int_equal(egress_ct_zone(&red), 59057);
    assert_int_equal(egress_ct_zone(&green), 60906);
    assert_int_equal(egress_ct_zone(&red6), 60352);
    for (uint32_t i = 0; i < 100000; i++) {
        struct in6_addr ip = ip_from_v4(htonl(i));

        assert_in_range(egress_ct_zone(&ip), EGRESS_CT_ZONE_FIRST, 65499);
    }
}

static void
test_node_ip(void **state)
{
    struct flow_lines *lines = *state;
    struct in6_addr ip = test_ip("172.16.18.101");
    struct in6_addr ip6 = test_ip("fd00:18::101");

    compile_node_ip(&lines->ctx, &ip);
    expect_flows(lines,
        "unsnat priority=50 ip,nw_dst=172.16.18.101 actions=IN_PORT\n"
        "uplink_in priority=100 ip,nw_dst=172.16.18.101 actions=ct(table=221,zone=62760,nat)\n");
    compile_node_ip(&lines->ctx, &ip6);
    expect_flows(lines,
        "unsnat priority=50 ipv6,ipv6_dst=fd00:18::101 actions=IN_PORT\n"
        "uplink_in priority=100 ipv6,ipv6_dst=fd00:18::101 actions=ct(table=221,zone=60410,nat)\n");
}

static void
test_node_ip_on_the_uplink_bridge(void **state)
{
    struct flow_lines *lines = *state;
    struct in6_addr ip = test_ip("172.16.18.101");
    struct in6_addr ip6 = test_ip("fd00:18::101");

    compile_node_ip_uplink(&lines->ctx, &ip);
    expect_flows(lines,
        "0 priority=60000 icmp,nw_dst=172.16.18.101,icmp_type=0 actions=output:5\n"
        "0 priority=60000 icmp,nw_dst=172.16.18.101,icmp_type=11 actions=output:5\n"
        "0 priority=60000 icmp,nw_dst=172.16.18.101,icmp_type=12 actions=output:5\n"
        "0 priority=60000 icmp,nw_dst=172.16.18.101,icmp_type=3 actions=output:5\n"
        "0 priority=60000 tcp,nw_dst=172.16.18.101,tp_dst=0xf000/0xf000 actions=output:5\n"
        "0 priority=60000 udp,nw_dst=172.16.18.101,tp_dst=0xf000/0xf000 actions=output:5\n"
        "0 priority=60001 ip,in_port=5,dl_dst=0a:00:00:00:00:03,nw_dst=172.16.18.101 actions=LOCAL\n");
    compile_node_ip_uplink(&lines->ctx, &ip6);
    expect_flows(lines,
        "0 priority=60000 icmp6,ipv6_dst=fd00:18::101,icmp_type=1 actions=output:5\n"
        "0 priority=60000 icmp6,ipv6_dst=fd00:18::101,icmp_type=129 actions=output:5\n"
        "0 priority=60000 icmp6,ipv6_dst=fd00:18::101,icmp_type=2 actions=output:5\n"
        "0 priority=60000 icmp6,ipv6_dst=fd00:18::101,icmp_type=3 actions=output:5\n"
        "0 priority=60000 icmp6,ipv6_dst=fd00:18::101,icmp_type=4 actions=output:5\n"
        "0 priority=60000 tcp6,ipv6_dst=fd00:18::101,tp_dst=0xf000/0xf000 actions=output:5\n"
        "0 priority=60000 udp6,ipv6_dst=fd00:18::101,tp_dst=0xf000/0xf000 actions=output:5\n"
        "0 priority=60001 ipv6,in_port=5,dl_dst=0a:00:00:00:00:03,ipv6_dst=fd00:18::101 actions=LOCAL\n");
}

static void
test_uplink_prefix_needs_a_translation(void **state)
{
    static const char *const routes[][2] = {
        { "172.16.18.0/24", NULL }, { "0.0.0.0/0", "172.16.18.1" },
        { "fd00:18::/64", NULL }, { "::/0", "fe80::1" },
    };
    struct flow_lines *lines = *state;

    for (size_t i = 0; i < ARRAY_SIZE(routes); i++) {
        struct ip_prefix prefix = test_prefix(routes[i][0]);
        struct in6_addr gateway = routes[i][1] ? test_ip(routes[i][1]) : in6addr_any;

        compile_uplink_prefix(&lines->ctx, &prefix, &gateway);
    }
    expect_flows(lines,
        "next_hop priority=100 ct_state=-inv+trk+snat,ip "
        "actions=dec_ttl,set_field:0xac101201->reg1,resubmit(,213)\n"
        "next_hop priority=100 ct_state=-inv+trk+snat,ipv6 "
        "actions=dec_ttl,set_field:0xfe800000000000000000000000000001->xxreg1,resubmit(,213)\n"
        "next_hop priority=124 ct_state=-inv+trk+snat,ip,nw_dst=172.16.18.0/24 "
        "actions=dec_ttl,move:NXM_OF_IP_DST[]->NXM_NX_REG1[],resubmit(,213)\n"
        "next_hop priority=164 ct_state=-inv+trk+snat,ipv6,ipv6_dst=fd00:18::/64 "
        "actions=dec_ttl,move:NXM_NX_IPV6_DST[]->NXM_NX_XXREG1[],resubmit(,213)\n");
}

static void
test_neighbour(void **state)
{
    static const struct eth_addr mac = ETH_ADDR_C(02, 11, 22, 33, 44, 55);
    struct flow_lines *lines = *state;
    struct in6_addr router = test_ip("172.16.18.1");
    struct in6_addr router6 = test_ip("fe80::1");

    compile_neighbour(&lines->ctx, &router, mac);
    expect_flows(lines,
        "neighbour priority=100 ip,reg1=0xac101201 "
        "actions=set_field:0e:00:00:00:00:01->eth_src,set_field:02:11:22:33:44:55->eth_dst,output:12\n"
        "uplink_in priority=300 arp,arp_spa=172.16.18.1,arp_tpa=172.16.18.1 "
        "actions=controller(id=25959)\n");
    compile_neighbour(&lines->ctx, &router6, mac);
    expect_flows(lines,
        "neighbour priority=100 ipv6,reg4=0xfe800000,reg5=0,reg6=0,reg7=0x1 "
        "actions=set_field:0e:00:00:00:00:01->eth_src,set_field:02:11:22:33:44:55->eth_dst,output:12\n"
        "uplink_in priority=300 icmp6,icmp_type=136,nd_target=fe80::1 actions=controller(id=25959)\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_route_nowhere_drops, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_route_to_a_remote_gateway, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_route_here_translates_only_what_is_claimed, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_route_here_with_a_meter, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_route_here_with_the_nodes_own_address, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_route_without_ipv6_address_translates_no_ipv6, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_unclaimed_egress_ip_is_only_watched, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_claimed_egress_ip_answers_and_takes_replies_in, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test(test_zone_follows_from_the_egress_ip),
        cmocka_unit_test_setup_teardown(test_node_ip, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_node_ip_on_the_uplink_bridge, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_uplink_prefix_needs_a_translation, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_neighbour, flow_lines_setup, flow_lines_teardown),
    };

    return cmocka_run_group_tests_name("compile-gateway", tests, NULL, NULL);
}
