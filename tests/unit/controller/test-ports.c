#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "openvswitch/vlog.h"
#include "packets.h"
#include "pipeline/address.h"
#include "tests/unit/controller/ports-fixture.h"
#include "timeval.h"
#include "util.h"

static const char tunnel_query[] =
    "ovs-vsctl get Interface egress-tun type options -- get Port egress-tun external_ids";

static void
test_makes_own_ports(void **state)
{
    struct ports_fixture *f = *state;
    struct in6_addr ip;

    sandbox_expect(tunnel_query, "geneve\n{dst_port=\"16081\", key=flow, remote_ip=flow}\n"
                   "{ovs-egress=tunnel}\n");
    sandbox_expect("ovs-vsctl get Interface egress-uplink type options "
                   "-- get Port egress-uplink external_ids -- port-to-br egress-uplink "
                   "-- get Interface egress-uplink-p type options "
                   "-- get Port egress-uplink-p external_ids -- port-to-br egress-uplink-p",
                   "patch\n{peer=egress-uplink-p}\n{ovs-egress=uplink}\nbr-int\n"
                   "patch\n{peer=egress-uplink}\n{ovs-egress=uplink}\nbr-phy\n");

    assert_true(ip_parse_address("172.16.18.101", &ip));
    ports_set_local_ip(f->ports, &ip);
    expect_output(f, tunnel_query, "geneve\n{dst_port=\"16081\", key=flow, "
                  "local_ip=\"172.16.18.101\", remote_ip=flow}\n{ovs-egress=tunnel}\n");
}

static void
test_restart_writes_nothing(void **state)
{
    struct ports_fixture *f = *state;
    struct in6_addr ip;

    assert_true(ip_parse_address("fd00:18::101", &ip));
    ports_set_local_ip(f->ports, &ip);
    const char with_ip[] = "geneve\n{dst_port=\"16081\", key=flow, local_ip=\"fd00:18::101\", "
                           "remote_ip=flow}\n{ovs-egress=tunnel}\n";
    expect_output(f, tunnel_query, with_ip);
    long long int size = sandbox_db_size(f->sandbox);

    /* The address is not known at once. */
    fixture_close(f);
    fixture_open(f);
    expect_view(f, NORMAL);
    fixture_run_for(f, 200);
    ports_set_local_ip(f->ports, &ip);
    fixture_run_for(f, 200);
    sandbox_expect(tunnel_query, with_ip);
    assert_int_equal(sandbox_db_size(f->sandbox), size);
}

static void
test_deleted_ports_come_back(void **state)
{
    free(sandbox_run("ovs-vsctl --no-wait del-port egress-tun -- del-port egress-uplink-p"));
    expect_output(*state, tunnel_query, "geneve\n"
                  "{dst_port=\"16081\", key=flow, remote_ip=flow}\n"
                  "{ovs-egress=tunnel}\n");
    expect_view(*state, NORMAL);
    sandbox_expect("ovs-vsctl port-to-br egress-uplink-p", "br-phy\n");
}

static void
test_changed_ports_are_mended(void **state)
{
    free(sandbox_run("ovs-vsctl --no-wait set Interface egress-tun options:dst_port=6081 "
                     "options:csum=true -- set Interface egress-uplink type=internal "
                     "-- set Port egress-tun external_ids:ovs-egress=x external_ids:note=kept"));
    expect_output(*state, tunnel_query, "geneve\n"
                  "{dst_port=\"16081\", key=flow, remote_ip=flow}\n"
                  "{note=kept, ovs-egress=tunnel}\n");
    expect_view(*state, NORMAL);
    sandbox_expect("ovs-vsctl get Interface egress-uplink type", "patch\n");
}

static void
test_port_on_wrong_bridge_moves(void **state)
{
    free(sandbox_run("ovs-vsctl --no-wait add-br br-more -- set Bridge br-more datapath_type=dummy "
                     "-- del-port egress-tun -- add-port br-more egress-tun "
                     "-- set Interface egress-tun type=geneve options:remote_ip=flow "
                     "-- set Port egress-tun external_ids:ovs-egress=tunnel"));
    expect_output(*state, "ovs-vsctl port-to-br egress-tun", "br-int\n");
    expect_view(*state, NORMAL);
    sandbox_expect("ovs-vsctl list-ports br-more", "");
}

static void
test_leaves_others_port_with_our_name(void **state)
{
    free(sandbox_run("ovs-vsctl --no-wait del-port egress-tun -- add-port br-int egress-tun "
                     "-- set Interface egress-tun type=internal"));
    expect_view(*state, "ready=1 type=dummy tunnel=none uplink=set reply=set "
                "uplink_mac=1 reply_mac=1\npods:\n"
                "others: br-int=local egress-tun=internal egress-uplink=ours gw0=internal\n"
                "port egress-tun: exists on bridge br-int without the mark "
                "external_ids:ovs-egress, so it is not ours, but it has the name that ours "
                "needs: rename or delete it\n");
    sandbox_expect(tunnel_query, "internal\n{}\n{}\n");
    free(sandbox_run("ovs-vsctl --no-wait del-port egress-tun"));
    expect_view(*state, NORMAL);
}

static void
test_missing_bridges(void **state)
{
    free(sandbox_run("ovs-vsctl del-br br-int"));
    expect_view(*state, "ready=0 type=- tunnel=none uplink=none reply=none uplink_mac=1 "
                "reply_mac=0\npods:\nothers:\n"
                "bridge br-int: does not exist in the Open vSwitch database: create it, or name "
                "another with --bridge\n");
    /* Half a patch pair is taken away. */
    expect_output(*state, "ovs-vsctl list-ports br-phy", "");

    free(sandbox_run("ovs-vsctl del-br br-phy -- add-br br-int "
                     "-- set Bridge br-int datapath_type=dummy"));
    expect_view(*state, "ready=1 type=dummy tunnel=set uplink=none reply=none "
                "uplink_mac=0 reply_mac=0\npods:\nothers: br-int=local egress-tun=ours\n"
                "bridge br-phy: does not exist in the Open vSwitch database: create it, or name "
                "another with --uplink-bridge\n"
                "port gw0: does not exist on bridge br-int: create it, or name another with "
                "--reply-port\n");

    free(sandbox_run("ovs-vsctl add-br br-phy -- set Bridge br-phy datapath_type=dummy "
                     "-- add-port br-int gw0 -- set Interface gw0 type=internal"));
    expect_view(*state, NORMAL);
}

static void
test_ports_of_pods_and_others(void **state)
{
    struct ports_fixture *f = *state;

    free(sandbox_run("ovs-vsctl add-port br-int pod-b -- set Interface pod-b "
                     "external_ids:pod-name=b external_ids:pod-namespace=lab "
                     "external_ids:ip-address=10.0.0.2 external_ids:attached-mac=0a:00:00:00:00:02 "
                     "-- add-port br-int pod-a -- set Interface pod-a type=internal "
                     "external_ids:iface-id=lab_a external_ids:ip_addresses=10.0.0.1/24,10.0.0.x "
                     "-- add-port br-int nic -- add-port br-int vx "
                     "-- set Interface vx type=vxlan options:remote_ip=192.0.2.1 "
                     "-- add-port br-int pa -- set Interface pa type=patch options:peer=nobody "
                     "-- add-port br-phy elsewhere -- set Interface elsewhere "
                     "external_ids:pod-name=e external_ids:pod-namespace=lab"));
    expect_view(f, NORMAL_HEAD "pods: pod-a=lab/a pod-b=lab/b\n"
                "others: br-int=local egress-tun=ours egress-uplink=ours gw0=internal "
                "nic=unknown pa=patch vx=tunnel\n"
                "interface pod-a: external_ids:ip_addresses: \"10.0.0.x\" is no IP address\n");

    const struct pod_port *pod = &ports_get_view(f->ports)->pods[1];
    struct in6_addr ip;
    assert_true(ip_parse_address("10.0.0.2", &ip));
    assert_int_equal(pod->identity.n_ips, 1);
    assert_true(ipv6_addr_equals(&pod->identity.ips[0], &ip));
    assert_int_equal(pod->identity.mac.ea[5], 2);
    char *ofport = xasprintf("%"PRIu32"\n", pod->ofport);
    sandbox_expect("ovs-vsctl get Interface pod-b ofport", ofport);
    free(ofport);

    /* What is nothing to us is no change. */
    unsigned int seqno = ports_get_seqno(f->ports);
    free(sandbox_run("ovs-vsctl add-port br-phy more -- set Interface pod-b external_ids:x=y"));
    fixture_run_for(f, 200);
    assert_int_equal(ports_get_seqno(f->ports), seqno);

    free(sandbox_run("ovs-vsctl set Interface pod-b external_ids:ip-address=10.0.0.3"));
    long long int deadline = time_msec() + SANDBOX_DEADLINE;
    while (ports_get_seqno(f->ports) == seqno && time_msec() < deadline) {
        fixture_run_for(f, 10);
    }
    assert_int_equal(ports_get_seqno(f->ports), seqno + 1);
    assert_true(ip_parse_address("10.0.0.3", &ip));
    assert_true(ipv6_addr_equals(&ports_get_view(f->ports)->pods[1].identity.ips[0], &ip));
}

static void
test_tells_why_tunnel_does_not_work(void **state)
{
    /* The switch would say so, but dummy devices never get into each other's way. */
    free(sandbox_run("ovs-vsctl --no-wait set Interface egress-tun "
                     "'error=\"could not add network device egress-tun to ofproto "
                     "(Address already in use)\"'"));
    expect_view(*state, NORMAL "interface egress-tun: could not add network device "
                "egress-tun to ofproto (Address already in use)\n");
    free(sandbox_run("ovs-vsctl --no-wait clear Interface egress-tun error"));
    expect_view(*state, NORMAL);
}

static void
test_switch_is_asked_to_try_again(void **state)
{
    struct ports_fixture *f = *state;
    const char get_next_cfg[] = "ovs-vsctl --no-wait get Open_vSwitch . next_cfg";

    free(sandbox_run("ovs-vsctl --no-wait set Interface egress-tun ofport=-1"));
    expect_view(f, "ready=1 type=dummy tunnel=none uplink=set reply=set uplink_mac=1 reply_mac=1\n"
                "pods:\nothers: br-int=local egress-uplink=ours gw0=internal\n");
    char *before = sandbox_run("%s", get_next_cfg);
    fixture_run_for(f, 100);
    sandbox_expect(get_next_cfg, before);

    ports_run(f->ports, time_msec() + 5000);
    char *after = xasprintf("%d\n", atoi(before) + 1);
    expect_output(f, get_next_cfg, after);
    free(after);
    free(before);
}

static void
test_database_is_not_there(void **state)
{
    struct ports_fixture *f = *state;

    fixture_close(f);
    f->ports = ports_create("unix:/nowhere.sock", &fixture_config);
    expect_view(f, "ready=0 type=- tunnel=none uplink=none reply=none uplink_mac=0 "
                "reply_mac=0\npods:\nothers:\n"
                "unix:/nowhere.sock: no connection to the Open vSwitch database: is ovsdb-server "
                "running?\n");
    assert_in_range(fixture_run_for(f, 300), 1, 30);
}

static void
test_database_goes_and_comes(void **state)
{
    struct ports_fixture *f = *state;
    char *expected = xasprintf(NORMAL "%s: no connection to the Open vSwitch database: is "
                               "ovsdb-server running?\n", f->sandbox->db);

    sandbox_stop_ovsdb(f->sandbox);
    expect_view(f, expected);
    free(expected);

    /* Waits without spinning. */
    assert_in_range(fixture_run_for(f, 300), 1, 30);

    sandbox_start_ovsdb(f->sandbox);
    expect_view(f, NORMAL);
    free(sandbox_run("ovs-vsctl --no-wait del-port egress-tun"));
    expect_output(f, "ovs-vsctl port-to-br egress-tun", "br-int\n");
    expect_view(f, NORMAL);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, fixture_setup, fixture_teardown)

int
main(int argc OVS_UNUSED, char *argv[])
{
    const struct CMUnitTest tests[] = {
        TEST(test_makes_own_ports),
        TEST(test_restart_writes_nothing),
        TEST(test_deleted_ports_come_back),
        TEST(test_changed_ports_are_mended),
        TEST(test_port_on_wrong_bridge_moves),
        TEST(test_leaves_others_port_with_our_name),
        TEST(test_missing_bridges),
        TEST(test_ports_of_pods_and_others),
        TEST(test_tells_why_tunnel_does_not_work),
        TEST(test_switch_is_asked_to_try_again),
        TEST(test_database_is_not_there),
        TEST(test_database_goes_and_comes),
    };

    set_program_name(argv[0]);
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    if (!sandbox_is_possible()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
