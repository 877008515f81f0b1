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

#include "k8s/json-c.h"
#include "k8s/kube-config.h"
#include "k8s/kube-http.h"
#include "k8s/kube-source.h"
#include "k8s/language.h"
#include "k8s/manifest.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "pipeline/model.h"
#include "tests/unit/k8s/fake-api.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 15000

/* Names for what follows, in the fake's language. */
static const char *const prelude[] = {
    "obj = lambda name, rv='1', ns=None, **more: {'metadata': {k: v for k, v in (('name', name), "
    "('namespace', ns), ('resourceVersion', rv)) if v}, **more}",
    "lst = lambda *items: answer(200, {'kind': 'List', 'apiVersion': 'v1', 'metadata': "
    "{'resourceVersion': '9'}, 'items': list(items)})",
    "rt = lambda name, number=7, rv='1': obj(name + '.k.g', rv, spec={'policyRef': {'group': 'g', "
    "'kind': 'K', 'name': name}, 'number': number, 'state': 'Active'})",
    "nodes, pods, namespaces = ('GET /api/v1/' + x for x in ('nodes', 'pods', 'namespaces'))",
    "own, antrea = 'GET /apis/ovs-egress.io/v1alpha1/', 'GET /apis/crd.antrea.io/'",
    "routes = own + 'egressroutes'",
};

struct fixture {
    struct fake_api *fake;
    struct kube_config *config;
    struct kube_http *http;
    struct source *source;
    char directory[32];
    struct ds observed;
};

static void
tell(struct fixture *f, const char *python)
{
    fake_api_tell(f->fake, python);
}

static void
observe(const struct object_kind *kind, const char *namespace, const char *name,
        struct json_object *json, void *f_)
{
    struct fixture *f = f_;

    ds_put_format(&f->observed, "%s%s %s%s%s\n", json ? "+" : "-", kind->plural,
                  namespace ? namespace : "", namespace ? "/" : "", name);
}

static void
open_source(struct fixture *f, enum source_view view, bool with_state)
{
    struct source_config config = {
        .view = view, .node = "n1", .state_dir = with_state ? f->directory : NULL,
    };

    f->http = kube_http_create(f->config);
    f->source = kube_source_create(f->http, &config, observe, f);
}

static void
close_source(struct fixture *f)
{
    source_close(f->source);
    kube_http_destroy(f->http);
    f->source = NULL;
}

static int
setup(void **state)
{
    struct fixture *f = xzalloc(sizeof *f);

    f->fake = fake_api_start();
    f->config = fake_api_config(f->fake, NULL, NULL);
    for (size_t i = 0; i < ARRAY_SIZE(prelude); i++) {
        tell(f, prelude[i]);
    }
    strcpy(f->directory, "/tmp/kube-source-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    ds_init(&f->observed);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char *path = xasprintf("%s/ovs-egressd-state.n1.json", f->directory);

    if (f->source) {
        close_source(f);
    }
    kube_config_destroy(f->config);
    fake_api_stop(f->fake);
    unlink(path);
    rmdir(f->directory);
    ds_destroy(&f->observed);
    free(path);
    free(f);
    return 0;
}

static void
turn(struct fixture *f)
{
    kube_http_run(f->http, time_msec());
    source_run(f->source);
    kube_http_wait(f->http);
    source_wait(f->source);
    poll_timer_wait(100);
    poll_block();
}

/* All that the model has, an id per line by type, a route with its number. */
static char *
describe(const struct fixture *f)
{
    struct egress_model *model = CONST_CAST(struct egress_model *, source_get_model(f->source));
    struct ds s = DS_EMPTY_INITIALIZER;

    for (enum object_type type = 0; type < N_OBJECT_TYPES; type++) {
        struct shash *objects = object_get_shash(type, model);
        const struct shash_node **sorted = shash_sort(objects);

        for (size_t i = 0; i < shash_count(objects); i++) {
            ds_put_format(&s, "%s%s", s.length ? " " : "", sorted[i]->name);
            if (type == OBJECT_ROUTE) {
                const struct egress_route *route = sorted[i]->data;
                ds_put_format(&s, "=%"PRIu32, route->number);
            }
        }
        free(sorted);
    }
    return ds_steal_cstr(&s);
}

static void
expect_model(struct fixture *f, const char *expected)
{
    long long int deadline = time_msec() + DEADLINE_MS;
    char *actual = describe(f);

    while ((strcmp(actual, expected) || !source_is_synced(f->source))
           && time_msec() < deadline) {
        free(actual);
        turn(f);
        actual = describe(f);
    }
    assert_string_equal(actual, expected);
    assert_true(source_is_synced(f->source));
    free(actual);
}

/* Waits for 'n' problems; the first one is then 'text', unless that is NULL. */
static void
expect_problems(struct fixture *f, size_t n, const char *text)
{
    long long int deadline = time_msec() + DEADLINE_MS;

    while (source_get_problems(f->source)->n != n && time_msec() < deadline) {
        turn(f);
    }
    assert_int_equal(source_get_problems(f->source)->n, n);
    if (text) {
        const struct egress_problem *problem = &source_get_problems(f->source)->problems[0];
        char *actual = xasprintf("%s: %s", problem->object, problem->text);

        assert_string_equal(actual, text);
        free(actual);
    }
}

static void
serve_node_view(struct fixture *f)
{
    tell(f, "on(nodes, lst(obj('n1'), obj('n2')))");
    tell(f, "on(namespaces, lst(obj('default')))");
    tell(f, "on(pods, lst(obj('p', ns='default'), obj('q', ns='default')))");
    tell(f, "on(routes, lst(rt('a'), rt('b')))");
}

#define NODE_VIEW "n1 n2 default default/p default/q K.g/a=7 K.g/b=7"

static void
test_a_node_sees_its_own_pods(void **state)
{
    struct fixture *f = *state;

    serve_node_view(f);
    open_source(f, SOURCE_VIEW_NODE, false);
    expect_model(f, NODE_VIEW);
    expect_problems(f, 0, NULL);
    assert_true(source_provides_routes(f->source));

    const char *log = fake_api_log(f->fake);
    assert_non_null(strstr(log, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&"));
    assert_null(strstr(log, "egresspolicies"));
    assert_null(strstr(log, "antrea"));
}

/* Nothing may be concluded from what is missing before everything was read. */
static void
test_synced_only_with_everything(void **state)
{
    struct fixture *f = *state;

    tell(f, "on(routes, gate, lst(rt('a')))");
    serve_node_view(f);
    open_source(f, SOURCE_VIEW_NODE, false);
    while (shash_count(&source_get_model(f->source)->pods) < 2
           || shash_count(&source_get_model(f->source)->nodes) < 2
           || shash_count(&source_get_model(f->source)->namespaces) < 1) {
        turn(f);
    }
    assert_false(source_is_synced(f->source));
    tell(f, "open_gate()");
    expect_model(f, "n1 n2 default default/p default/q K.g/a=7");
}

static void
test_changes(void **state)
{
    struct fixture *f = *state;

    serve_node_view(f);
    tell(f, "on(routes, begin, gate, send(line('MODIFIED', rt('a', 8, '10')) + "
            "line('DELETED', rt('b', 7, '11'))), hang)");
    open_source(f, SOURCE_VIEW_NODE, false);
    expect_model(f, NODE_VIEW);
    model_changes_clear(source_get_changes(f->source));

    tell(f, "open_gate()");
    expect_model(f, "n1 n2 default default/p default/q K.g/a=8");
    struct model_changes *changes = source_get_changes(f->source);
    assert_true(sset_contains(&changes->routes, "K.g/a"));
    assert_true(sset_contains(&changes->routes, "K.g/b"));
    assert_int_equal(sset_count(&changes->routes), 2);
    assert_true(sset_is_empty(&changes->nodes));
}

static void
test_what_makes_no_sense(void **state)
{
    struct fixture *f = *state;

    serve_node_view(f);
    tell(f, "on(routes, begin, gate, send(line('MODIFIED', rt('a', 0, '10'))), hang)");
    open_source(f, SOURCE_VIEW_NODE, false);
    expect_model(f, NODE_VIEW);
    tell(f, "open_gate()");
    expect_problems(f, 1, "K.g/a: spec.number: 0 is out of range, expected 1 to 8388607 "
                    "(egressroutes.ovs-egress.io/a.k.g; its last good version stays in force)");
    expect_model(f, NODE_VIEW);
}

static void
test_start_without_the_server(void **state)
{
    struct fixture *f = *state;

    serve_node_view(f);
    open_source(f, SOURCE_VIEW_NODE, true);
    expect_model(f, NODE_VIEW);
    close_source(f);

    tell(f, "stop()");
    open_source(f, SOURCE_VIEW_NODE, true);
    expect_model(f, NODE_VIEW);
    expect_problems(f, 2, NULL);

    /* What went away meanwhile goes away now. */
    tell(f, "on(nodes, lst(obj('n1')))");
    tell(f, "on(namespaces, lst(obj('default')))");
    tell(f, "on(pods, lst(obj('p', ns='default')))");
    tell(f, "on(routes, lst(rt('b'), rt('c')))");
    tell(f, "restart()");
    expect_model(f, "n1 default default/p K.g/b=7 K.g/c=7");
    expect_problems(f, 0, NULL);
}

static void
test_start_without_server_and_file(void **state)
{
    struct fixture *f = *state;

    tell(f, "stop()");
    open_source(f, SOURCE_VIEW_NODE, true);
    expect_problems(f, 1, NULL);
    assert_false(source_is_synced(f->source));
}

/* The manager's view: whatever languages the server knows, in a version that it knows. */
static void
test_cluster_view(void **state)
{
    struct fixture *f = *state;

    tell(f, "on(nodes, lst(obj('n1')))");
    tell(f, "on(namespaces, lst())");
    tell(f, "on(routes, lst(rt('a')))");
    tell(f, "on(own + 'egresspolicies', lst(obj('mine', spec={'appliedTo': {'podSelector': {}}, "
            "'useNodeIP': True}, status={'x': 1})))");
    tell(f, "on(own + 'egresspools', lst())");
    tell(f, "on(antrea + 'v1alpha2/egresses', lst(obj('e', spec={'appliedTo': {'podSelector': {}}, "
            "'egressIP': '10.0.0.1'})))");
    open_source(f, SOURCE_VIEW_CLUSTER, false);
    expect_model(f, "Egress.crd.antrea.io/e EgressPolicy.ovs-egress.io/mine n1 K.g/a=7");
    expect_problems(f, 0, NULL);
    assert_null(strstr(fake_api_log(f->fake), "/api/v1/pods"));
    assert_non_null(strstr(ds_cstr(&f->observed), "+egresspolicies mine\n"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_node_sees_its_own_pods, setup, teardown),
        cmocka_unit_test_setup_teardown(test_synced_only_with_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_makes_no_sense, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_without_the_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_start_without_server_and_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cluster_view, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
