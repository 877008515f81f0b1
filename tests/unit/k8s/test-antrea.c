#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/k8s/decode-fixture.h"

#define EGRESS "apiVersion: crd.antrea.io/v1beta1\nkind: Egress\nmetadata: {name: e}\nspec:\n"
#define TO_ALL "  appliedTo: {podSelector: {}}\n"
#define POOL "apiVersion: crd.antrea.io/v1beta1\nkind: ExternalIPPool\nmetadata: {name: p}\nspec:\n"
#define E "Egress.crd.antrea.io/e: "
#define P "ExternalIPPool.crd.antrea.io/p: "

static void
test_egress(void **state)
{
    assert_decodes("apiVersion: crd.antrea.io/v1alpha2\n"
                   "kind: Egress\n"
                   "metadata: {name: e, creationTimestamp: '1970-01-02T00:00:00Z'}\n"
                   "spec:\n"
                   "  appliedTo:\n"
                   "    namespaceSelector: {matchLabels: {team: a}}\n"
                   "    podSelector: {matchLabels: {app: web}}\n"
                   "  externalIPPool: p\n"
                   "  egressIP: 172.16.18.131\n"
                   "status: {egressNode: n1}\n",
                   "policy Egress.crd.antrea.io/e: origin=f.yaml:1 created=86400 "
                   "namespaces={team=a} "
                   "pods={app=web} spec.egressIP=172.16.18.131 "
                   "pool=ExternalIPPool.crd.antrea.io/p\n");
}

static void
test_egress_dual_stack(void **state)
{
    assert_decodes(EGRESS TO_ALL
                   "  egressIPs: ['fd00::1', 10.0.0.1]\n"
                   "  externalIPPools: [p]\n"
                   "  bandwidth: {rate: 500k, burst: 10M}\n",
                   "policy " E "origin=f.yaml:1 pods={} spec.egressIPs=10.0.0.1 "
                               "spec.egressIPs=fd00::1 "
                   "pool=ExternalIPPool.crd.antrea.io/p bandwidth=500000 burst=10000000\n");
}

static void
test_egress_from_pool(void **state)
{
    assert_decodes(EGRESS "  appliedTo: {namespaceSelector: {}}\n  externalIPPool: p\n",
                   "policy " E "origin=f.yaml:1 namespaces={} "
                               "pool=ExternalIPPool.crd.antrea.io/p\n");
}

static void
test_egress_selects_nothing(void **state)
{
    assert_decodes("# A comment.\n" EGRESS "  egressIP: 10.0.0.1\n  appliedTo: {}\n",
                   "7 " E "spec.appliedTo: selects no pods, expected podSelector, "
                          "namespaceSelector or "
                   "both\n");
    assert_decodes(EGRESS "  egressIP: 10.0.0.1\n",
                   "4 " E "spec.appliedTo: selects no pods, expected podSelector, "
                          "namespaceSelector or "
                   "both\n");
}

static void
test_egress_wrong_address(void **state)
{
    assert_decodes(EGRESS TO_ALL "  egressIP: 10.0.0.300\n",
                   "6 " E "spec.egressIP: \"10.0.0.300\" is no IP address, expected like 10.0.0.1 "
                          "or "
                   "fd00::1\n");
    assert_decodes(EGRESS TO_ALL,
                   "4 " E "spec: has neither egressIP nor externalIPPool, expected at least one of "
                   "them\n");
    assert_decodes(EGRESS TO_ALL "  egressIP: 10.0.0.1\n  egressIPs: [10.0.0.1]\n",
                   "7 " E "spec.egressIPs: is there together with egressIP, expected one of "
                          "them\n");
    assert_decodes(EGRESS TO_ALL "  egressIPs:\n  - 10.0.0.1\n  - 10.0.0.2\n",
                   "8 " E "spec.egressIPs[1]: 10.0.0.2 is a second IPv4 address after 10.0.0.1, "
                          "expected "
                   "at most one per family\n");
}

static void
test_egress_wrong_pools(void **state)
{
    assert_decodes(EGRESS TO_ALL "  externalIPPool: p\n  externalIPPools: [p]\n",
                   "7 " E "spec.externalIPPools: is there together with externalIPPool, expected "
                          "one of "
                   "them\n");
    assert_decodes(EGRESS TO_ALL "  externalIPPools: [p, q]\n",
                   "6 " E "spec.externalIPPools: has 2 pools, expected one pool (which may have "
                          "ranges "
                   "of both IP families)\n");
}

static void
test_egress_wrong_fields(void **state)
{
    assert_decodes(EGRESS TO_ALL "  egressIp: 10.0.0.1\n",
                   "6 " E "spec.egressIp: unknown field, did you mean egressIP?\n");
    assert_decodes(EGRESS "  appliedTo: {group: g}\n",
                   "5 " E "spec.appliedTo.group: unknown field, expected podSelector or "
                   "namespaceSelector\n");
    assert_decodes(EGRESS TO_ALL "  egressIP: 10.0.0.1\n  bandwidth: {rate: 10Mbps}\n",
                   "7 " E "spec.bandwidth.rate: \"10Mbps\" is no positive quantity, expected like "
                          "500k, "
                   "10M or 1Gi\n");
    assert_decodes(EGRESS TO_ALL "  egressIP: 10.0.0.1\n  bandwidth: {burst: 10M}\n",
                   "7 " E "spec.bandwidth.rate: is missing, expected bits per second like 10M\n");
    assert_decodes("apiVersion: crd.antrea.io/v1beta1\nkind: Egress\nmetadata: {name: e}\nspecs: "
                   "{}\n",
                   "4 " E "specs: unknown field, did you mean spec?\n");
    assert_decodes("apiVersion: crd.antrea.io/v1beta1\nkind: Egress\nmetadata: {name: e}\n",
                   "1 " E "spec: is missing\n");
}

static void
test_pool(void **state)
{
    assert_decodes(POOL
                   "  ipRanges:\n"
                   "  - {start: 172.16.18.131, end: 172.16.18.139}\n"
                   "  - {cidr: '2001:db8::/120'}\n"
                   "  - {start: 10.0.0.1, end: 10.0.0.1}\n"
                   "  nodeSelector: {}\n"
                   "  subnetInfo: {gateway: 172.16.18.1, prefixLength: 24, vlan: 0}\n",
                   "pool " P "origin=f.yaml:1 range=172.16.18.131-172.16.18.139 "
                             "range=10.0.0.1-10.0.0.1 "
                   "cidr=2001:db8::/120 gateway=172.16.18.1 nodes={}\n");
}

static void
test_pool_wrong_ranges(void **state)
{
    assert_decodes(POOL "  nodeSelector: {}\n",
                   "4 " P "spec.ipRanges: is empty, expected at least one {start, end} or "
                          "{cidr}\n");
    assert_decodes(POOL "  ipRanges:\n  - {start: 10.0.0.1}\n",
                   "6 " P "spec.ipRanges[0].end: is missing, expected an IP address like 10.0.0.1 "
                          "or "
                   "fd00::1\n");
    assert_decodes(POOL "  ipRanges:\n  - {start: 10.0.0.9, end: 10.0.0.1}\n",
                   "6 " P "spec.ipRanges[0]: start 10.0.0.9 comes after end 10.0.0.1\n");
    assert_decodes(POOL "  ipRanges:\n  - {start: 10.0.0.9, end: 'fd00::1'}\n",
                   "6 " P "spec.ipRanges[0]: start and end are of different IP families\n");
    assert_decodes(POOL "  ipRanges:\n  - {cidr: 10.0.0.0/24, end: 10.0.0.9}\n",
                   "6 " P "spec.ipRanges[0]: has both cidr and start or end, expected either\n");
    assert_decodes(POOL "  ipRanges:\n  - {cidr: 10.0.0.0/x}\n",
                   "6 " P "spec.ipRanges[0].cidr: \"10.0.0.0/x\" is no CIDR: the length of an IPv4 "
                   "prefix is a number from 0 to 32\n");
}

static void
test_pool_wrong_subnet(void **state)
{
    assert_decodes(POOL "  ipRanges: [{cidr: 10.0.0.0/24}]\n  subnetInfo:\n    vlan: 7\n",
                   "7 " P "spec.subnetInfo.vlan: 7 is not supported, expected 0 or none\n");
    assert_decodes(POOL "  ipRanges: [{cidr: 10.0.0.0/24}]\n  subnetInfo:\n    gateway: x\n",
                   "7 " P "spec.subnetInfo.gateway: \"x\" is no IP address, expected like "
                          "10.0.0.1 or "
                   "fd00::1\n");
    assert_decodes(POOL "  ipRanges: [{cidr: 10.0.0.0/24}]\n"
                   "  subnetInfo: {gateway: 10.0.0.1, prefixLength: 33}\n",
                   "6 " P "spec.subnetInfo.prefixLength: 33 is out of range, expected 1 to 32\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_egress),
        cmocka_unit_test(test_egress_dual_stack),
        cmocka_unit_test(test_egress_from_pool),
        cmocka_unit_test(test_egress_selects_nothing),
        cmocka_unit_test(test_egress_wrong_address),
        cmocka_unit_test(test_egress_wrong_pools),
        cmocka_unit_test(test_egress_wrong_fields),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_pool_wrong_ranges),
        cmocka_unit_test(test_pool_wrong_subnet),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
