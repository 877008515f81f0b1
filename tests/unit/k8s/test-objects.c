#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include "k8s/objects.h"
#include "tests/unit/k8s/decode-fixture.h"
#include "util.h"

#define CORE(KIND) "apiVersion: v1\nkind: " KIND "\n"

static void
test_pod(void **state)
{
    assert_decodes(CORE("Pod")
                   "metadata:\n"
                   "  name: a\n"
                   "  namespace: lab\n"
                   "  labels: {app: web}\n"
                   "  annotations: {note: x}\n"
                   "  deletionTimestamp: 2024-05-01T12:00:00Z\n"
                   "spec:\n"
                   "  nodeName: n1\n"
                   "  containers: [{name: c, image: i}]\n"
                   "status:\n"
                   "  phase: Running\n"
                   "  podIP: 10.0.0.9\n"
                   "  podIPs: [{ip: 10.0.0.1}, {ip: 'fd00::1'}]\n",
                   "pod lab/a: node=n1 label:app=web annotation:note=x ip=10.0.0.1 ip=fd00::1\n");
}

static void
test_pod_defaults(void **state)
{
    assert_decodes(CORE("Pod") "metadata: {name: a}\n", "pod default/a:\n");
    assert_decodes(CORE("Pod") "metadata: {name: a, labels: }\nspec:\nstatus: {podIP: 10.0.0.9}\n",
                   "pod default/a: ip=10.0.0.9\n");
    assert_decodes(CORE("Pod") "metadata: {name: a}\nspec: {hostNetwork: true}\nstatus: {podIPs: "
                               "[]}\n",
                   "pod default/a: host-network\n");
}

static void
test_pod_phases(void **state)
{
    assert_decodes(CORE("Pod") "metadata: {name: a}\nstatus: {phase: Succeeded}\n",
                   "pod default/a: finished\n");
    assert_decodes(CORE("Pod") "metadata: {name: a}\nstatus: {phase: Failed}\n",
                   "pod default/a: finished\n");
    assert_decodes(CORE("Pod") "metadata: {name: a}\nstatus: {phase: Pending}\n",
                   "pod default/a:\n");
}

static void
test_pod_errors(void **state)
{
    assert_decodes(CORE("Pod") "metadata: {name: a}\nstatus:\n  podIPs:\n  - ip: 10.0.0.1\n  - "
                               "ip: x\n",
                   "7 default/a: status.podIPs[1].ip: \"x\" is no IP address, expected like "
                   "10.0.0.1 or "
                   "fd00::1\n");
    assert_decodes(CORE("Pod") "metadata:\n  name: a\n  labels: {a: 1}\n",
                   "5 default/a: metadata.labels.a: 1 is no string (numbers and true or false need "
                   "quotes)\n");
    assert_decodes(CORE("Pod") "metadata:\n  namespace: a\n", "3 ?: metadata.name: is missing\n");
    assert_decodes(CORE("Pod") "metadata:\n  name: a/b\n",
                   "4 ?: metadata.name: \"a/b\" is no name, expected up to 253 letters, digits, \"-\" "
                   "and \".\"\n");
    assert_decodes(CORE("Pod"), "1 ?: metadata.name: is missing\n");
    assert_decodes(CORE("Pod") "metadata: {name: a, creationTimestamp: today}\n",
                   "3 default/a: metadata.creationTimestamp: \"today\" is no time, expected like "
                   "2024-05-01T12:00:00Z\n");
}

static void
test_namespace(void **state)
{
    assert_decodes(CORE("Namespace") "metadata: {name: lab}\n",
                   "namespace lab: label:kubernetes.io/metadata.name=lab\n");
    assert_decodes(CORE("Namespace")
                   "metadata: {name: lab, labels: {team: a, kubernetes.io/metadata.name: other}}\n",
                   "namespace lab: label:kubernetes.io/metadata.name=lab label:team=a\n");
}

static void
test_node(void **state)
{
    assert_decodes(CORE("Node")
                   "metadata: {name: n1, labels: {egress: 'true'}}\n"
                   "spec: {podCIDR: 10.1.0.0/24, podCIDRs: [10.2.0.0/24, 'fd02::/64']}\n"
                   "status:\n"
                   "  addresses:\n"
                   "  - {type: Hostname, address: n1}\n"
                   "  - {type: ExternalIP, address: 198.51.100.7}\n"
                   "  - {type: InternalIP, address: 172.16.18.101}\n"
                   "  - {type: InternalIP, address: 172.16.18.102}\n"
                   "  - {type: InternalIP, address: '2001:db8::1'}\n"
                   "  conditions:\n"
                   "  - {type: MemoryPressure, status: 'False'}\n"
                   "  - {type: Ready, status: 'True'}\n",
                   "node n1: label:egress=true address=172.16.18.101 address=2001:db8::1 "
                   "any=198.51.100.7 any=172.16.18.101 any=172.16.18.102 any=2001:db8::1 "
                   "pod-cidr=10.2.0.0/24 pod-cidr=fd02::/64 ready\n");
}

static void
test_node_defaults(void **state)
{
    assert_decodes(CORE("Node") "metadata: {name: n1}\nspec: {podCIDR: 10.1.0.0/24}\n",
                   "node n1: pod-cidr=10.1.0.0/24 ready\n");
    assert_decodes(CORE("Node") "metadata: {name: n1}\n"
                   "status: {conditions: [{type: Ready, status: 'False'}]}\n", "node n1:\n");
    assert_decodes(CORE("Node") "metadata: {name: n1}\n"
                   "status: {conditions: [{type: Ready, status: Unknown}]}\n", "node n1:\n");
}

/* What "kubectl cordon" and the node controller do; a control plane's taint says nothing about gateways. */
static void
test_node_avoided(void **state)
{
    assert_decodes(CORE("Node") "metadata: {name: n1}\nspec: {unschedulable: true}\n",
                   "node n1: ready avoided\n");
    for (size_t i = 0; i < 3; i++) {
        static const char *const keys[] = { "unschedulable", "not-ready", "unreachable" };
        char *manifest = xasprintf(CORE("Node") "metadata: {name: n1}\nspec: {taints: [{key: a, effect: NoSchedule}, "
                                   "{key: node.kubernetes.io/%s, effect: NoExecute}]}\n", keys[i]);

        assert_decodes(manifest, "node n1: ready avoided\n");
        free(manifest);
    }
    assert_decodes(CORE("Node") "metadata: {name: n1}\nspec: {taints: [{key: node-role.kubernetes.io/control-plane, "
                   "effect: NoSchedule}]}\n", "node n1: ready\n");
}

static void
test_node_errors(void **state)
{
    assert_decodes(CORE("Node") "metadata: {name: n1}\nspec:\n  podCIDRs: [10.0.0.0]\n",
                   "5 n1: spec.podCIDRs[0]: \"10.0.0.0\" is no CIDR: it has no \"/LENGTH\" after "
                   "the "
                   "address\n");
    assert_decodes(CORE("Node") "metadata: {name: n1}\n"
                   "status: {addresses: [{type: InternalIP, address: n1}]}\n",
                   "4 n1: status.addresses[0].address: \"n1\" is no IP address, expected like "
                   "10.0.0.1 or "
                   "fd00::1\n");
}

static void
test_time(void **state)
{
    long long int t;

    assert_true(parse_time("1970-01-01T00:00:00Z", &t));
    assert_int_equal(t, 0);
    assert_true(parse_time("2024-05-01T12:00:00.123456Z", &t));
    assert_int_equal(t, 1714564800);
    assert_true(parse_time("2024-05-01T14:30:00+02:30", &t));
    assert_int_equal(t, 1714564800);
    assert_true(parse_time("2024-05-01T10:00:00-02:00", &t));
    assert_int_equal(t, 1714564800);
    assert_false(parse_time("2024-05-01", &t));
    assert_false(parse_time("2024-05-01T12:00:00", &t));
    assert_false(parse_time("2024-05-01T12:00:00.Z", &t));
    assert_false(parse_time("2024-13-01T12:00:00Z", &t));
    assert_false(parse_time("2024-05-01T12:00:00+2:00", &t));
    assert_false(parse_time("2024-05-01T12:00:00+25:00", &t));
    assert_false(parse_time("2024-05-01T12:00:00Zx", &t));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pod),
        cmocka_unit_test(test_pod_defaults),
        cmocka_unit_test(test_pod_phases),
        cmocka_unit_test(test_pod_errors),
        cmocka_unit_test(test_namespace),
        cmocka_unit_test(test_node),
        cmocka_unit_test(test_node_defaults),
        cmocka_unit_test(test_node_avoided),
        cmocka_unit_test(test_node_errors),
        cmocka_unit_test(test_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
