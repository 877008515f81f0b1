#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "openvswitch/match.h"
#include "packets.h"
#include "tests/unit/pipeline/flow-lines.h"
#include "util.h"

static void
test_entrances_come_before_the_hook(void **state)
{
    struct flow_lines *lines = *state;

    compile_entrances(&lines->ctx);
    expect_flows(lines,
        "0 priority=60001 in_port=11 actions=resubmit(,210)\n"
        "0 priority=60001 in_port=12 actions=resubmit(,220)\n");
}

static void
test_hook_takes_both_families(void **state)
{
    struct flow_lines *lines = *state;

    compile_hook(&lines->ctx);
    expect_flows(lines,
        "10 priority=60000 ip,tun_gbp_flags=0 actions=resubmit(,200)\n"
        "10 priority=60000 ipv6,tun_gbp_flags=0 actions=resubmit(,200)\n");
}

static void
test_hook_keeps_to_the_condition(void **state)
{
    struct flow_lines *lines = *state;

    match_set_ct_state_masked(&lines->ctx.hook_match, CS_TRACKED, CS_TRACKED | CS_REPLY_DIR);
    compile_hook(&lines->ctx);
    expect_flows(lines,
        "10 priority=60000 ct_state=-rpl+trk,ip,tun_gbp_flags=0 actions=resubmit(,200)\n"
        "10 priority=60000 ct_state=-rpl+trk,ipv6,tun_gbp_flags=0 actions=resubmit(,200)\n");
}

static void
test_hook_keeps_to_the_family_of_the_condition(void **state)
{
    struct flow_lines *lines = *state;

    match_set_dl_type(&lines->ctx.hook_match, htons(ETH_TYPE_IP));
    match_set_nw_src_masked(&lines->ctx.hook_match, htonl(0x0a000000), htonl(0xff000000));
    compile_hook(&lines->ctx);
    expect_flows(lines,
        "10 priority=60000 ip,tun_gbp_flags=0,nw_src=10.0.0.0/8 actions=resubmit(,200)\n");

    match_init_catchall(&lines->ctx.hook_match);
    match_set_dl_type(&lines->ctx.hook_match, htons(ETH_TYPE_IPV6));
    compile_hook(&lines->ctx);
    expect_flows(lines,
        "10 priority=60000 ipv6,tun_gbp_flags=0 actions=resubmit(,200)\n");
}

static void
test_fixed_flows(void **state)
{
    struct flow_lines *lines = *state;

    compile_fixed(&lines->ctx);
    expect_flows(lines,
        "classify priority=0 actions=resubmit(,201)\n"
        "classify priority=100 ip,nw_dst=169.254.0.0/16 actions=resubmit(,204)\n"
        "classify priority=100 ip,nw_dst=224.0.0.0/4 actions=resubmit(,204)\n"
        "classify priority=100 ip,nw_dst=255.255.255.255 actions=resubmit(,204)\n"
        "classify priority=100 ipv6,ipv6_dst=fe80::/10 actions=resubmit(,204)\n"
        "classify priority=100 ipv6,ipv6_dst=ff00::/8 actions=resubmit(,204)\n"
        "deliver priority=0 actions=drop\n"
        "gateway priority=0 actions=drop\n"
        "nd_answer priority=0 icmp6,icmp_type=136,icmp_code=0 "
        "actions=set_field:0e:00:00:00:00:01->nd_tll,IN_PORT\n"
        "neighbour priority=0 ip actions=controller(id=25959)\n"
        "neighbour priority=0 ipv6 actions=controller(id=25959)\n"
        "next_hop priority=0 actions=drop\n"
        "return priority=0 actions=set_field:0x1->tun_gbp_flags,resubmit(,10)\n"
        "route priority=0 actions=drop\n"
        "snat priority=0 actions=drop\n"
        "source priority=0 actions=drop\n"
        "tunnel_in priority=0 actions=drop\n"
        "unsnat priority=0 actions=drop\n"
        "unsnat priority=100 ct_state=-new-inv+trk+dnat,ip "
        "actions=dec_ttl,move:NXM_NX_CT_LABEL[0..31]->NXM_NX_TUN_IPV4_DST[],"
        "move:NXM_NX_CT_MARK[0..22]->NXM_NX_TUN_ID[0..22],load:0x1->NXM_NX_TUN_ID[23],output:11\n"
        "unsnat priority=100 ct_state=-new-inv+trk+dnat,ipv6 "
        "actions=dec_ttl,move:NXM_NX_CT_LABEL[0..31]->NXM_NX_TUN_IPV4_DST[],"
        "move:NXM_NX_CT_MARK[0..22]->NXM_NX_TUN_ID[0..22],load:0x1->NXM_NX_TUN_ID[23],output:11\n"
        "unsnat priority=110 ct_state=-new-inv+trk+dnat,ct_label=0/0xffffffff,ip "
        "actions=dec_ttl,resubmit(,222)\n"
        "unsnat priority=110 ct_state=-new-inv+trk+dnat,ct_label=0/0xffffffff,ipv6 "
        "actions=dec_ttl,resubmit(,222)\n"
        "uplink_in priority=0 actions=drop\n"
        "uplink_in priority=150 arp,dl_dst=0e:00:00:00:00:01,arp_op=2 actions=controller(id=25959)\n"
        "uplink_in priority=150 icmp6,dl_dst=0e:00:00:00:00:01,icmp_type=136 "
        "actions=controller(id=25959)\n"
        "verify priority=0 actions=drop\n");
}

static void
test_internal_prefix(void **state)
{
    struct flow_lines *lines = *state;
    struct ip_prefix services = test_prefix("10.96.0.0/12");
    struct ip_prefix services6 = test_prefix("fd00:96::/108");

    compile_internal_prefix(&lines->ctx, &services, egress_cookie(EGRESS_OWNER_NODE, 0));
    compile_internal_prefix(&lines->ctx, &services6, egress_cookie(EGRESS_OWNER_NODE, 0));
    assert_string_equal(lines->cookies.names[0], "node 0");
    expect_flows(lines,
        "classify priority=100 ip,nw_dst=10.96.0.0/12 actions=resubmit(,204)\n"
        "classify priority=100 ipv6,ipv6_dst=fd00:96::/108 actions=resubmit(,204)\n");
}

/* Returns a node with an address of each family, one more that is only known, and a pod CIDR of each family. */
static struct cluster_node *
peer_create(void)
{
    struct cluster_node *node = cluster_node_create("node-2");

    node->addresses[IP_V4] = test_ip("172.16.18.102");
    node->addresses[IP_V6] = test_ip("fd00:18::102");
    node->n_all_addresses = 3;
    node->all_addresses = xmalloc(3 * sizeof *node->all_addresses);
    node->all_addresses[0] = node->addresses[IP_V4];
    node->all_addresses[1] = node->addresses[IP_V6];
    node->all_addresses[2] = test_ip("192.0.2.102");
    node->n_pod_cidrs = 2;
    node->pod_cidrs = xmalloc(2 * sizeof *node->pod_cidrs);
    node->pod_cidrs[0] = test_prefix("10.203.2.0/24");
    node->pod_cidrs[1] = test_prefix("fd00:203:2::/64");
    return node;
}

static void
test_peer_is_inside_and_may_use_the_tunnel(void **state)
{
    struct flow_lines *lines = *state;
    struct cluster_node *node = peer_create();

    compile_peer(&lines->ctx, node, false);
    expect_flows(lines,
        "classify priority=100 ip,nw_dst=10.203.2.0/24 actions=resubmit(,204)\n"
        "classify priority=100 ip,nw_dst=172.16.18.102 actions=resubmit(,204)\n"
        "classify priority=100 ip,nw_dst=192.0.2.102 actions=resubmit(,204)\n"
        "classify priority=100 ipv6,ipv6_dst=fd00:18::102 actions=resubmit(,204)\n"
        "classify priority=100 ipv6,ipv6_dst=fd00:203:2::/64 actions=resubmit(,204)\n"
        "classify priority=110 udp,nw_dst=172.16.18.102,tp_dst=6082 actions=drop\n"
        "tunnel_in priority=100 tun_id=0/0x800000,tun_src=172.16.18.102 actions=resubmit(,211)\n"
        "tunnel_in priority=100 tun_id=0x800000/0x800000,tun_src=172.16.18.102 actions=resubmit(,222)\n");
    cluster_node_unref(node);
}

static void
test_own_node_is_inside_only(void **state)
{
    struct flow_lines *lines = *state;
    struct cluster_node *node = peer_create();

    compile_peer(&lines->ctx, node, true);
    expect_flows(lines,
        "classify priority=100 ip,nw_dst=10.203.2.0/24 actions=resubmit(,204)\n"
        "classify priority=100 ip,nw_dst=172.16.18.102 actions=resubmit(,204)\n"
        "classify priority=100 ip,nw_dst=192.0.2.102 actions=resubmit(,204)\n"
        "classify priority=100 ipv6,ipv6_dst=fd00:18::102 actions=resubmit(,204)\n"
        "classify priority=100 ipv6,ipv6_dst=fd00:203:2::/64 actions=resubmit(,204)\n");
    cluster_node_unref(node);
}

static void
test_peer_without_ipv4_has_no_tunnel(void **state)
{
    struct flow_lines *lines = *state;
    struct cluster_node *node = cluster_node_create("node-3");

    node->addresses[IP_V6] = test_ip("fd00:18::103");
    node->n_all_addresses = 1;
    node->all_addresses = xmemdup(&node->addresses[IP_V6], sizeof *node->all_addresses);
    compile_peer(&lines->ctx, node, false);
    expect_flows(lines,
        "classify priority=100 ipv6,ipv6_dst=fd00:18::103 actions=resubmit(,204)\n");
    cluster_node_unref(node);
}

static void
test_egress_mac_is_stable_and_locally_administered(void **state OVS_UNUSED)
{
    struct eth_addr mac = egress_mac_of_node("antrea-lab-node-01");
    char text[ETH_ADDR_STRLEN + 1];

    snprintf(text, sizeof text, ETH_ADDR_FMT, ETH_ADDR_ARGS(mac));
    assert_string_equal(text, "0e:8b:4e:60:ce:99");
    for (int i = 0; i < 1000; i++) {
        char *name = xasprintf("node-%d", i);

        mac = egress_mac_of_node(name);
        assert_int_equal(mac.ea[0] & 3, 2);         /* IEEE 802: unicast, locally administered. */
        free(name);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_entrances_come_before_the_hook, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_hook_takes_both_families, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_hook_keeps_to_the_condition, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_hook_keeps_to_the_family_of_the_condition, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_fixed_flows, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_internal_prefix, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_peer_is_inside_and_may_use_the_tunnel, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_own_node_is_inside_only, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test_setup_teardown(test_peer_without_ipv4_has_no_tunnel, flow_lines_setup, flow_lines_teardown),
        cmocka_unit_test(test_egress_mac_is_stable_and_locally_administered),
    };

    return cmocka_run_group_tests_name("compile-node", tests, NULL, NULL);
}
