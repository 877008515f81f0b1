#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "pipeline/model.h"
#include "tests/unit/k8s/dir-fixture.h"
#include "util.h"

#define POD(NAME, LABELS) "apiVersion: v1\nkind: Pod\n" \
                          "metadata: {name: " NAME ", labels: {" LABELS "}}\n"
#define EGRESS(NAME, IP) "apiVersion: crd.antrea.io/v1beta1\nkind: Egress\n" \
                         "metadata: {name: " NAME "}\n" \
                         "spec:\n  appliedTo: {podSelector: {}}\n  egressIP: " IP "\n"

static const struct cluster_pod *
get_pod(const struct dir_fixture *f, const char *id)
{
    return shash_find_data(&source_get_model(f->source)->pods, id);
}

static const char *
get_origin(const struct dir_fixture *f, const char *policy)
{
    const struct egress_policy *p = shash_find_data(&source_get_model(f->source)->policies, policy);

    return p->origin + strlen(f->path);
}

static void
test_open_errors(void **state)
{
    char *error;

    assert_null(source_open("file:x", NULL, &error));
    assert_string_equal(error, "\"file:x\" is no source, expected dir:PATH or kube[:KUBECONFIG]");
    free(error);
    assert_null(source_open("/etc", NULL, &error));
    assert_string_equal(error, "\"/etc\" is no source, expected dir:PATH or kube[:KUBECONFIG]");
    free(error);
    assert_null(source_open("dir:", NULL, &error));
    assert_string_equal(error, "\"dir:\" has no path, expected dir:PATH");
    free(error);
}

static void
test_which_files(void **state)
{
    struct dir_fixture *f = *state;

    make_dir(f, "m/sub");
    make_dir(f, "m/sub/sub.yaml");
    make_dir(f, "m/.hidden");
    write_file(f, "m/a.yaml", POD("a", ""));
    write_file(f, "m/sub/b.yml", POD("b", ""));
    write_file(f, "m/sub/sub.yaml/c.json",
               "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"c\"}}");
    write_file(f, "m/.d.yaml", POD("d", ""));
    write_file(f, "m/.hidden/e.yaml", POD("e", ""));
    write_file(f, "m/f.txt", POD("f", ""));
    write_file(f, "m/g.yaml~", POD("g", ""));
    write_file(f, "m/.yaml", POD("h", ""));
    expect_changes(f, "pods=default/a,default/b,default/c");
    expect_model(f, "pods=default/a,default/b,default/c");
    expect_problems(f, "");
}

static void
test_one_changed_object(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", POD("a", "") "---\n" POD("b", "") "---\n" POD("c", ""));
    expect_changes(f, "pods=default/a,default/b,default/c");

    const struct cluster_pod *a = get_pod(f, "default/a");
    write_file(f, "m/a.yaml", POD("a", "") "---\n" POD("b", "app: web") "---\n" POD("c", ""));
    expect_changes(f, "pods=default/b");
    assert_ptr_equal(get_pod(f, "default/a"), a);
    assert_string_equal(smap_get(&get_pod(f, "default/b")->labels, "app"), "web");

    write_file(f, "m/a.yaml", POD("a", "") "---\n" POD("d", ""));
    expect_changes(f, "pods=default/b,default/c,default/d");
    expect_model(f, "pods=default/a,default/d");
}

static void
test_same_size(void **state)
{
    struct dir_fixture *f = *state;

    /* Faster than file systems count time. */
    for (int i = 0; i < 100; i++) {
        char value[2] = { 'a' + i % 26, '\0' };
        char *text = xasprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {v: %s}}\n",
                               value);

        write_file(f, "m/a.yaml", text);
        source_run(f->source);
        assert_string_equal(smap_get(&get_pod(f, "default/a")->labels, "v"), value);
        free(text);
    }
}

static void
test_unchanged_is_no_change(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", EGRESS("a", "10.0.0.1"));
    expect_changes(f, "policies=Egress.crd.antrea.io/a");
    uint64_t seqno = source_get_seqno(f->source);
    assert_string_equal(get_origin(f, "Egress.crd.antrea.io/a"), "/a.yaml:1");

    /* The same object, two lines further down: only its origin follows. */
    write_file(f, "m/a.yaml", "# One.\n# Two.\n" EGRESS("a", "10.0.0.1"));
    source_run(f->source);
    assert_string_equal(get_origin(f, "Egress.crd.antrea.io/a"), "/a.yaml:3");
    assert_true(model_changes_is_empty(source_get_changes(f->source)));
    assert_int_equal(source_get_seqno(f->source), seqno);
}

static void
test_rename_into_place(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", POD("a", "v: '1'"));
    expect_changes(f, "pods=default/a");
    write_file(f, "m/.a.yaml.tmp", POD("a", "v: '2'"));
    move(f, "m/.a.yaml.tmp", "m/a.yaml");
    expect_changes(f, "pods=default/a");
    assert_string_equal(smap_get(&get_pod(f, "default/a")->labels, "v"), "2");

    /* From outside, and out again. */
    write_file(f, "b.yaml", POD("b", ""));
    move(f, "b.yaml", "m/b.yaml");
    expect_changes(f, "pods=default/b");
    move(f, "m/b.yaml", "b.yaml");
    expect_changes(f, "pods=default/b");
    expect_model(f, "pods=default/a");
}

static void
test_deleted_file(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", POD("a", ""));
    write_file(f, "m/b.yaml", POD("b", ""));
    expect_changes(f, "pods=default/a,default/b");
    delete_tree(f, "m/a.yaml");
    expect_changes(f, "pods=default/a");
    expect_model(f, "pods=default/b");
}

static void
test_directories_come_and_go(void **state)
{
    struct dir_fixture *f = *state;

    make_dir(f, "new");
    make_dir(f, "new/deep");
    write_file(f, "new/deep/a.yaml", POD("a", ""));
    move(f, "new", "m/new");
    expect_changes(f, "pods=default/a");

    write_file(f, "m/new/deep/b.yaml", POD("b", ""));
    expect_changes(f, "pods=default/b");

    /* Under another name, everything is still there, and followed. */
    move(f, "m/new", "m/renamed");
    source_run(f->source);
    expect_model(f, "pods=default/a,default/b");
    write_file(f, "m/renamed/deep/a.yaml", POD("c", ""));
    expect_model(f, "pods=default/b,default/c");

    move(f, "m/renamed", "new");
    expect_model(f, "");
    move(f, "new", "m/new");
    expect_model(f, "pods=default/b,default/c");
    delete_tree(f, "m/new");
    expect_model(f, "");
}

static void
test_hard_link(void **state)
{
    struct dir_fixture *f = *state;
    char *from = xasprintf("%s/a.yaml", f->base);
    char *to = xasprintf("%s/a.yaml", f->path);

    write_file(f, "a.yaml", POD("a", ""));
    assert_int_equal(link(from, to), 0);
    expect_changes(f, "pods=default/a");
    free(from);
    free(to);
}

static void
test_no_regular_file(void **state)
{
    struct dir_fixture *f = *state;
    char *path = xasprintf("%s/a.yaml", f->path);

    assert_int_equal(mkfifo(path, 0600), 0);
    expect_problems(f, "BASE/m/a.yaml: is no regular file\n");
    free(path);
    delete_tree(f, "m/a.yaml");
    expect_problems(f, "");
}

static void
test_lost_events(void **state)
{
    struct dir_fixture *f = *state;

    /* The kernel keeps 16384 events by default. */
    write_file(f, "m/a.yaml", POD("a", ""));
    expect_changes(f, "pods=default/a");
    for (int i = 0; i < 6000; i++) {
        write_file(f, "m/x.yaml", "");
        delete_tree(f, "m/x.yaml");
    }
    delete_tree(f, "m/a.yaml");
    make_dir(f, "m/sub");
    write_file(f, "m/sub/b.yaml", POD("b", ""));
    expect_changes(f, "pods=default/a,default/b");
    expect_model(f, "pods=default/b");
}

static void
test_json_surrogates(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.json", "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": "
                              "{\"name\": \"a\","
               " \"annotations\": {\"x\": \"<\\ud83d\\ude00\\\\ud83d>\\u00e9\"}}}");
    expect_changes(f, "pods=default/a");
    assert_string_equal(smap_get(&get_pod(f, "default/a")->annotations, "x"),
                        "<\xf0\x9f\x98\x80\\ud83d>\xc3\xa9");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, dir_fixture_setup, dir_fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_errors),
        TEST(test_which_files),
        TEST(test_one_changed_object),
        TEST(test_same_size),
        TEST(test_unchanged_is_no_change),
        TEST(test_rename_into_place),
        TEST(test_deleted_file),
        TEST(test_directories_come_and_go),
        TEST(test_hard_link),
        TEST(test_no_regular_file),
        TEST(test_lost_events),
        TEST(test_json_surrogates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
