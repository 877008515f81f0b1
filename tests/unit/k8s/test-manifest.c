#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/k8s/decode-fixture.h"

#define META "metadata: {name: x}\n"

static void
test_others_are_ignored(void **state)
{
    assert_decodes("apiVersion: apps/v1\nkind: Deployment\n" META
                   "---\napiVersion: v1\nkind: Service\n" META
                   "---\napiVersion: v1\nkind: ConfigMap\n" META
                   "---\napiVersion: batch/v1\nkind: CronJob\n" META
                   "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\n" META
                   "---\napiVersion: apiextensions.k8s.io/v1\n"
                   "kind: CustomResourceDefinition\n" META,
                   "");
}

static void
test_unknown_kinds(void **state)
{
    assert_decodes("apiVersion: example.com/v1\nkind: Foo\n" META,
                   "1 ?: unknown kind Foo in example.com/v1\n");
    assert_decodes("apiVersion: ek8s.io/v1\nkind: Foo\n" META,
                   "1 ?: unknown kind Foo in ek8s.io/v1\n");
    assert_decodes("apiVersion: crd.antrea.io/v1beta1\nkind: Tier\n" META,
                   "2 ?: kind: \"Tier\" is unknown in crd.antrea.io, expected Egress or "
                   "ExternalIPPool\n");
    assert_decodes("kind: Egres\napiVersion: ovs-egress.io/v1alpha1\n" META,
                   "1 ?: kind: \"Egres\" is unknown in ovs-egress.io, expected EgressPolicy or "
                   "EgressPool or EgressRoute\n");
}

static void
test_unknown_versions(void **state)
{
    assert_decodes("apiVersion: crd.antrea.io/v1\nkind: Egress\n" META,
                   "1 ?: apiVersion: \"crd.antrea.io/v1\" is unknown for kind Egress, expected "
                   "crd.antrea.io/v1alpha2 or crd.antrea.io/v1beta1\n");
    assert_decodes("kind: EgressPool\napiVersion: ovs-egress.io/v1\n" META,
                   "2 ?: apiVersion: \"ovs-egress.io/v1\" is unknown for kind EgressPool, expected "
                   "ovs-egress.io/v1alpha1\n");
    assert_decodes("apiVersion: v2\nkind: Pod\n" META,
                   "1 ?: apiVersion: \"v2\" is unknown for kind Pod, expected v1\n");
}

static void
test_no_object(void **state)
{
    assert_decodes("kind: Pod\n" META,
                   "1 ?: apiVersion: is missing, expected like ovs-egress.io/v1alpha1\n");
    assert_decodes("apiVersion: v1\n" META, "1 ?: kind: is missing, expected like EgressPolicy\n");
    assert_decodes("apiVersion: 1\nkind: Pod\n" META,
                   "1 ?: apiVersion: 1 is no string (numbers and true or false need quotes)\n");
    assert_decodes("- a\n", "1 ?: is no Kubernetes object, expected a mapping with apiVersion and "
                            "kind\n");
    assert_decodes("hello\n", "1 ?: is no Kubernetes object, expected a mapping with apiVersion "
                              "and kind\n");
}

static void
test_list(void **state)
{
    assert_decodes("apiVersion: v1\n"
                   "kind: List\n"
                   "items:\n"
                   "- apiVersion: v1\n"
                   "  kind: Namespace\n"
                   "  metadata: {name: a}\n"
                   "- apiVersion: v1\n"
                   "  kind: Pod\n"
                   "  metadata:\n"
                   "    name: 5\n"
                   "- apiVersion: v1\n"
                   "  kind: List\n"
                   "  items:\n"
                   "  - {apiVersion: v1, kind: Pod, metadata: {name: b}}\n",
                   "namespace a: label:kubernetes.io/metadata.name=a\n"
                   "10 ?: metadata.name: 5 is no string (numbers and true or false need quotes)\n"
                   "pod default/b:\n");
}

static void
test_list_of_one_kind(void **state)
{
    assert_decodes("apiVersion: v1\nkind: PodList\nmetadata: {}\nitems:\n"
                   "- metadata: {name: a}\n- metadata: {name: b, namespace: lab}\n",
                   "pod default/a:\npod lab/b:\n");
}

static void
test_wrong_lists(void **state)
{
    assert_decodes("apiVersion: v1\nkind: List\nitems: 5\n", "3 ?: items: 5 is no list\n");
    assert_decodes("apiVersion: v1\nkind: List\nitems: [null]\n",
                   "3 ?: items[0]: is null, expected a value\n");
    assert_decodes("apiVersion: v1\nkind: List\nitems:\n- a: b\n",
                   "4 ?: apiVersion: is missing, expected like ovs-egress.io/v1alpha1\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_others_are_ignored),
        cmocka_unit_test(test_unknown_kinds),
        cmocka_unit_test(test_unknown_versions),
        cmocka_unit_test(test_no_object),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_of_one_kind),
        cmocka_unit_test(test_wrong_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
