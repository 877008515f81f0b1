#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/k8s/decode-fixture.h"

#define POLICY "apiVersion: ovs-egress.io/v1alpha1\nkind: EgressPolicy\n" \
               "metadata: {name: e}\nspec:\n"
#define TO_ALL "  appliedTo: {podSelector: {}}\n"
#define POOL "apiVersion: ovs-egress.io/v1alpha1\nkind: EgressPool\nmetadata: {name: p}\nspec:\n"
#define E "EgressPolicy.ovs-egress.io/e: "
#define P "EgressPool.ovs-egress.io/p: "

static void
test_policy(void **state)
{
    assert_decodes(POLICY
                   "  appliedTo:\n"
                   "    namespaceSelector: {matchLabels: {team: a}}\n"
                   "    podSelector: {matchLabels: {app: web}}\n"
                   "    podCIDRs: [10.203.0.0/16]\n"
                   "  destinationCIDRs: [198.51.100.0/24, '2001:db8::/32']\n"
                   "  exceptCIDRs: [198.51.100.1/32]\n"
                   "  egressIPs: [10.0.0.1, 'fd00::1']\n"
                   "  egressPool: p\n"
                   "  gateway: {nodeSelector: {matchLabels: {egress: 'true'}}}\n"
                   "  bandwidth: {rate: 10M, burst: 1M}\n"
                   "  priority: -5\n"
                   "  onNoGateway: Fallback\n"
                   "status: {anything: true}\n",
                   "policy " E "origin=f.yaml:1 namespaces={team=a} pods={app=web} "
                   "pod-cidr=10.203.0.0/16 to=198.51.100.0/24 to=2001:db8::/32 "
                   "except=198.51.100.1/32 "
                   "spec.egressIPs=10.0.0.1 spec.egressIPs=fd00::1 pool=EgressPool.ovs-egress.io/p "
                   "nodes={egress=true} priority=-5 bandwidth=10000000 burst=1000000 fallback\n");
}

static void
test_policy_sources(void **state)
{
    assert_decodes(POLICY TO_ALL "  egressIPs: [10.0.0.1]\n",
                   "policy " E "origin=f.yaml:1 pods={} spec.egressIPs=10.0.0.1\n");
    assert_decodes(POLICY TO_ALL "  egressPool: p\n  useNodeIP: false\n  onNoGateway: Drop\n",
                   "policy " E "origin=f.yaml:1 pods={} pool=EgressPool.ovs-egress.io/p\n");
    assert_decodes(POLICY "  appliedTo: {podCIDRs: [10.0.0.0/8]}\n  useNodeIP: true\n",
                   "policy " E "origin=f.yaml:1 pod-cidr=10.0.0.0/8 use-node-ip\n");
    assert_decodes(POLICY "  appliedTo: {namespaceSelector: {}}\n  useNodeIP: true\n  gateway: "
                          "{}\n",
                   "policy " E "origin=f.yaml:1 namespaces={} use-node-ip\n");
}

static void
test_policy_wrong_sources(void **state)
{
    assert_decodes(POLICY TO_ALL,
                   "4 " E "spec: has no egressIPs, egressPool or useNodeIP, expected one of "
                          "them\n");
    assert_decodes(POLICY TO_ALL "  egressPool: p\n  useNodeIP: true\n",
                   "7 " E "spec.useNodeIP: is true together with egressPool, expected one of "
                          "them\n");
    assert_decodes(POLICY TO_ALL "  egressIPs: [10.0.0.1]\n  useNodeIP: true\n",
                   "7 " E "spec.useNodeIP: is true together with egressIPs, expected one of "
                          "them\n");
    assert_decodes(POLICY TO_ALL "  useNodeIP: 'yes'\n",
                   "6 " E "spec.useNodeIP: \"yes\" is no boolean, expected true or false\n");
    assert_decodes(POLICY TO_ALL "  egressIPs: 10.0.0.1\n",
                   "6 " E "spec.egressIPs: \"10.0.0.1\" is no list\n");
}

static void
test_policy_selects_nothing(void **state)
{
    assert_decodes(POLICY "  appliedTo: {podCIDRs: []}\n  useNodeIP: true\n",
                   "5 " E "spec.appliedTo: selects no pods, expected at least one of "
                   "namespaceSelector, podSelector and podCIDRs\n");
}

static void
test_policy_wrong_fields(void **state)
{
    assert_decodes(POLICY TO_ALL "  useNodeIP: true\n  destinationCIDR: 10.0.0.0/8\n",
                   "7 " E "spec.destinationCIDR: unknown field, did you mean destinationCIDRs?\n");
    assert_decodes(POLICY TO_ALL "  useNodeIP: true\n  destinationCIDRs: [10.0.0.1]\n",
                   "7 " E "spec.destinationCIDRs[0]: \"10.0.0.1\" is no CIDR: it has no "
                          "\"/LENGTH\" after "
                   "the address\n");
    assert_decodes(POLICY TO_ALL "  useNodeIP: true\n  onNoGateway: drop\n",
                   "7 " E "spec.onNoGateway: \"drop\" is unknown, expected Drop or Fallback\n");
    assert_decodes(POLICY TO_ALL "  useNodeIP: true\n  priority: 4294967296\n",
                   "7 " E "spec.priority: 4294967296 is out of range, expected -2147483648 to "
                   "2147483647\n");
    assert_decodes(POLICY TO_ALL "  useNodeIP: true\n  gateway: {node: n1}\n",
                   "7 " E "spec.gateway.node: unknown field, expected nodeSelector\n");
}

static void
test_pool(void **state)
{
    assert_decodes(POOL
                   "  ranges: [{first: 10.0.0.1, last: 10.0.0.9}, {first: 'fd00::1', last: "
                   "'fd00::f'}]\n"
                   "  cidrs: [10.0.1.0/28]\n"
                   "  gatewayIPs: [10.0.1.1, 'fd00::1']\n"
                   "  nodeSelector: {matchLabels: {egress: 'true'}}\n",
                   "pool " P "origin=f.yaml:1 range=10.0.0.1-10.0.0.9 range=fd00::1-fd00::f "
                   "cidr=10.0.1.0/28 gateway=10.0.1.1 gateway=fd00::1 nodes={egress=true}\n");
    assert_decodes(POOL "  cidrs: [10.0.1.0/28]\n", "pool " P "origin=f.yaml:1 cidr=10.0.1.0/28\n");
}

static void
test_wrong_pools(void **state)
{
    assert_decodes(POOL "  nodeSelector: {}\n",
                   "4 " P "spec: has no addresses, expected ranges, cidrs or both\n");
    assert_decodes(POOL "  ranges: [10.0.0.1-10.0.0.9]\n",
                   "5 " P "spec.ranges[0]: \"10.0.0.1-10.0.0.9\" is no mapping\n");
    assert_decodes(POOL "  ranges: [{last: 10.0.0.9}]\n",
                   "5 " P "spec.ranges[0].first: is missing, expected an IP address like 10.0.0.1 "
                          "or "
                   "fd00::1\n");
    assert_decodes(POOL "  ranges: [{first: 10.0.0.9, last: 10.0.0.1}]\n",
                   "5 " P "spec.ranges[0]: first 10.0.0.9 comes after last 10.0.0.1\n");
    assert_decodes(POOL "  ranges: [{start: 10.0.0.9}]\n",
                   "5 " P "spec.ranges[0].start: unknown field, expected first or last\n");
    assert_decodes(POOL "  cidrs: [10.0.0.0/8]\n  gatewayIPs: [10.0.0.1, 10.0.0.2]\n",
                   "6 " P "spec.gatewayIPs[1]: 10.0.0.2 is a second IPv4 address after 10.0.0.1, "
                   "expected at most one per family\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_policy_sources),
        cmocka_unit_test(test_policy_wrong_sources),
        cmocka_unit_test(test_policy_selects_nothing),
        cmocka_unit_test(test_policy_wrong_fields),
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_wrong_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
