#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "k8s/kube-state.h"
#include "k8s/yaml.h"
#include "pipeline/model.h"
#include "util.h"

static const char manifests[] =
    "kind: Node\napiVersion: v1\nmetadata: {name: n1, labels: {a: b}}\n"
    "spec: {podCIDRs: [10.1.0.0/24, 'fd00:1::/64'], unschedulable: true}\n"
    "status: {addresses: [{type: ExternalIP, address: 192.0.2.1}, {type: InternalIP, address: "
    "10.0.0.1}, {type: InternalIP, address: 10.0.0.2}, {type: InternalIP, address: 'fd00::1'}],\n"
    "         conditions: [{type: Ready, status: 'False'}]}\n---\n"
    "kind: Node\napiVersion: v1\nmetadata: {name: n2}\n---\n"
    "kind: Namespace\napiVersion: v1\nmetadata: {name: default, labels: {team: a}}\n---\n"
    "kind: Pod\napiVersion: v1\nmetadata: {name: p, namespace: default, labels: {app: web}, "
    "annotations: {x/y: '{\"z\": 1}'}}\n"
    "spec: {nodeName: n1, hostNetwork: true}\n"
    "status: {phase: Failed, podIPs: [{ip: 10.1.0.2}, {ip: 'fd00:1::2'}]}\n---\n"
    "kind: Pod\napiVersion: v1\nmetadata: {name: pending, namespace: default}\n---\n"
    "kind: EgressRoute\napiVersion: ovs-egress.io/v1alpha1\nmetadata: {name: n.k.g}\n"
    "spec: {policyRef: {group: g, kind: K, name: n}, number: 5, state: Active, "
    "egressIPs: [10.0.0.1], appliedTo: [{podSelector: {}}]}\n";

static void
add_object(struct manifest_object *mo, void *model)
{
    assert_null(mo->error);
    shash_add_assert(object_get_shash(mo->type, model), mo->id, mo->object);
    mo->object = NULL;
}

static void
add_document(struct json_object *json, void *model)
{
    manifest_decode(json, "f", add_object, model);
}

static void
build_model(struct egress_model *model)
{
    unsigned int line;

    egress_model_init(model);
    assert_null(yaml_read_documents(manifests, strlen(manifests), add_document, model, &line));
}

static void
assert_models_equal(struct egress_model *a, struct egress_model *b)
{
    for (enum object_type type = 0; type < N_OBJECT_TYPES; type++) {
        struct shash *objects = object_get_shash(type, a);
        struct shash *others = object_get_shash(type, b);
        struct shash_node *node;

        assert_int_equal(shash_count(objects), shash_count(others));
        SHASH_FOR_EACH (node, objects) {
            const void *other = shash_find_data(others, node->name);

            assert_non_null(other);
            assert_true(object_equals(type, node->data, other));
        }
    }
}

struct fixture {
    char directory[32];
    char *path;
};

static int
setup(void **state)
{
    struct fixture *f = xzalloc(sizeof *f);

    strcpy(f->directory, "/tmp/egress-state-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    f->path = xasprintf("%s/state", f->directory);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    unlink(f->path);
    assert_int_equal(rmdir(f->directory), 0);       /* No other file was left. */
    free(f->path);
    free(f);
    return 0;
}

static void
test_loading_inverts_saving(void **state)
{
    struct fixture *f = *state;
    struct egress_model model, loaded;

    build_model(&model);
    egress_model_init(&loaded);
    assert_int_equal(shash_count(&model.nodes), 2);

    /* The second time, there is a file to replace. */
    assert_null(kube_state_save(f->path, &model));
    assert_null(kube_state_save(f->path, &model));
    assert_null(kube_state_load(f->path, add_object, &loaded));

    assert_models_equal(&model, &loaded);
    egress_model_destroy(&model);
    egress_model_destroy(&loaded);
}

static void
test_an_empty_model(void **state)
{
    struct fixture *f = *state;
    struct egress_model model;

    egress_model_init(&model);
    assert_null(kube_state_save(f->path, &model));
    assert_null(kube_state_load(f->path, add_object, &model));
    assert_true(shash_is_empty(&model.nodes));
    egress_model_destroy(&model);
}

static void
fail_on_object(struct manifest_object *mo, void *aux)
{
    fail();
}

static void
assert_load_error(struct fixture *f, const char *expected)
{
    char *error = kube_state_load(f->path, fail_on_object, NULL);
    char *message = xasprintf("%s: %s", f->path, expected);

    assert_non_null(error);
    assert_string_equal(error, message);
    free(message);
    free(error);
}

static void
test_damaged_files(void **state)
{
    struct fixture *f = *state;
    struct egress_model model;

    assert_load_error(f, "cannot be read: No such file or directory");

    build_model(&model);
    assert_null(kube_state_save(f->path, &model));
    egress_model_destroy(&model);
    assert_int_equal(truncate(f->path, 700), 0);
    assert_load_error(f, "is damaged: its end is missing");
    assert_int_equal(truncate(f->path, 0), 0);
    assert_load_error(f, "is damaged: its end is missing");
}

static void
test_no_directory(void **state)
{
    struct egress_model model;

    egress_model_init(&model);
    char *error = kube_state_save("/nonexistent/state", &model);
    assert_string_equal(error, "/nonexistent/state: cannot be written: No such file or directory");
    free(error);
    egress_model_destroy(&model);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_loading_inverts_saving, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_empty_model, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_files, setup, teardown),
        cmocka_unit_test(test_no_directory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
