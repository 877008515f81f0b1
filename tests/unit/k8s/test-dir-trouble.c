#include <config.h>

/* The directory source when something is wrong or in motion: broken files, wrong objects,
 * objects that are in several files, links, and PATH itself coming and going. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pipeline/model.h"
#include "tests/unit/k8s/dir-fixture.h"
#include "util.h"

#define POD(NAME, VALUE) "apiVersion: v1\nkind: Pod\n" \
                         "metadata: {name: " NAME ", labels: {v: '" VALUE "'}}\n"
#define EGRESS(NAME, IP) "apiVersion: crd.antrea.io/v1beta1\nkind: Egress\n" \
                         "metadata: {name: " NAME "}\n" \
                         "spec:\n  appliedTo: {podSelector: {}}\n  egressIP: " IP "\n"

static const char *
get_value(const struct dir_fixture *f, const char *id)
{
    const struct cluster_pod *pod = shash_find_data(&source_get_model(f->source)->pods, id);

    return smap_get(&pod->labels, "v");
}

static void
test_broken_file(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/b.yaml", POD("b", "1"));
    write_file(f, "m/a.yaml", POD("a", "1") "---\na: [\n");
    expect_problems(f, "BASE/m/a.yaml:6: did not find expected node content, while parsing a flow "
                       "node "
                    "that starts in line 6\n");
    expect_changes(f, "pods=default/b");

    write_file(f, "m/a.yaml", POD("a", "1") "---\n" POD("c", "1"));
    expect_problems(f, "");
    expect_changes(f, "pods=default/a,default/c");

    /* Nothing of a broken file counts, not even the good documents. */
    write_file(f, "m/a.yaml", POD("a", "2") "---\nkind: x\nkind: y\n");
    expect_problems(f, "BASE/m/a.yaml:6: key \"kind\" is there twice; the file's last good "
                       "content stays "
                    "in force\n");
    assert_string_equal(get_value(f, "default/a"), "1");
    expect_changes(f, "");
    expect_model(f, "pods=default/a,default/b,default/c");

    delete_tree(f, "m/a.yaml");
    expect_model(f, "pods=default/b");
    expect_problems(f, "");
}

static void
test_wrong_object(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", EGRESS("a", "10.0.0.300") "---\n" EGRESS("b", "10.0.0.2"));
    expect_problems(f, "Egress.crd.antrea.io/a: spec.egressIP: \"10.0.0.300\" is no IP address, "
                       "expected "
                    "like 10.0.0.1 or fd00::1 (BASE/m/a.yaml:6)\n");
    expect_changes(f, "policies=Egress.crd.antrea.io/b");

    write_file(f, "m/a.yaml", EGRESS("a", "10.0.0.1") "---\n" EGRESS("b", "10.0.0.2"));
    expect_problems(f, "");
    expect_changes(f, "policies=Egress.crd.antrea.io/a");

    write_file(f, "m/a.yaml", EGRESS("a", "x") "---\n" EGRESS("b", "10.0.0.3"));
    expect_problems(f, "Egress.crd.antrea.io/a: spec.egressIP: \"x\" is no IP address, expected "
                       "like "
                    "10.0.0.1 or fd00::1 (BASE/m/a.yaml:6; its last good version stays in "
                    "force)\n");
    expect_changes(f, "policies=Egress.crd.antrea.io/b");
    expect_model(f, "policies=Egress.crd.antrea.io/a,Egress.crd.antrea.io/b");

    /* The wrong object is taken away altogether. */
    write_file(f, "m/a.yaml", EGRESS("b", "10.0.0.3"));
    expect_problems(f, "");
    expect_changes(f, "policies=Egress.crd.antrea.io/a");
}

static void
test_unknown_kind(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", POD("a", "1") "---\napiVersion: example.com/v1\nkind: Foo\n");
    expect_problems(f, "BASE/m/a.yaml:5: unknown kind Foo in example.com/v1\n");
    expect_model(f, "pods=default/a");
}

static void
test_problems_are_sorted(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/c.yaml", "- a\n");
    write_file(f, "m/a.yaml", "- a\n---\n- b\n");
    write_file(f, "m/b.yaml", "a: 'b\n");
    expect_problems(f,
                    "BASE/m/a.yaml:1: is no Kubernetes object, expected a mapping with apiVersion "
                    "and "
                    "kind\n"
                    "BASE/m/a.yaml:3: is no Kubernetes object, expected a mapping with apiVersion "
                    "and "
                    "kind\n"
                    "BASE/m/b.yaml:2: found unexpected end of stream, while scanning a quoted "
                    "scalar that "
                    "starts in line 1\n"
                    "BASE/m/c.yaml:1: is no Kubernetes object, expected a mapping with apiVersion "
                    "and "
                    "kind\n");
}

static void
test_object_in_two_files(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/b.yaml", POD("x", "1") "---\n" POD("a", "b"));
    expect_changes(f, "pods=default/a,default/x");
    assert_string_equal(get_value(f, "default/a"), "b");

    write_file(f, "m/a.yaml", POD("a", "a"));
    expect_problems(f, "default/a: is in BASE/m/a.yaml:1 and again in BASE/m/b.yaml:5; the first "
                       "is in "
                    "force\n");
    expect_changes(f, "pods=default/a");
    assert_string_equal(get_value(f, "default/a"), "a");

    write_file(f, "m/b.yaml", POD("a", "b2"));
    expect_problems(f, "default/a: is in BASE/m/a.yaml:1 and again in BASE/m/b.yaml:1; the first "
                       "is in "
                    "force\n");
    expect_changes(f, "pods=default/x");

    delete_tree(f, "m/a.yaml");
    expect_problems(f, "");
    expect_changes(f, "pods=default/a");
    assert_string_equal(get_value(f, "default/a"), "b2");
}

static void
test_object_twice_in_a_file(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", POD("a", "1") "---\n" POD("a", "2"));
    expect_problems(f, "default/a: is in BASE/m/a.yaml:1 and again in BASE/m/a.yaml:5; the first "
                       "is in "
                    "force\n");
    assert_string_equal(get_value(f, "default/a"), "1");
    write_file(f, "m/a.yaml", POD("a", "2"));
    expect_problems(f, "");
    assert_string_equal(get_value(f, "default/a"), "2");
}

static void
test_object_moves_between_files(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", POD("a", "1"));
    expect_changes(f, "pods=default/a");
    write_file(f, "m/b.yaml", POD("a", "1"));
    delete_tree(f, "m/a.yaml");
    source_run(f->source);
    expect_model(f, "pods=default/a");
    expect_problems(f, "");
}

static void
test_config_map(void **state)
{
    struct dir_fixture *f = *state;

    make_dir(f, "m/..1");
    write_file(f, "m/..1/a.yaml", POD("a", "1"));
    make_link(f, "..1", "m/..data");
    make_link(f, "..data/a.yaml", "m/a.yaml");
    expect_changes(f, "pods=default/a");

    make_dir(f, "m/..2");
    write_file(f, "m/..2/a.yaml", POD("a", "2"));
    make_link(f, "..2", "m/..data_tmp");
    move(f, "m/..data_tmp", "m/..data");
    delete_tree(f, "m/..1");
    source_run(f->source);
    assert_string_equal(get_value(f, "default/a"), "2");
    expect_changes(f, "pods=default/a");

    delete_tree(f, "m/a.yaml");
    expect_model(f, "");
}

static void
test_link_to_outside(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "a.yaml", POD("a", "1"));
    make_link(f, "../a.yaml", "m/a.yaml");
    expect_changes(f, "pods=default/a");
    write_file(f, "a.yaml", POD("a", "2"));
    expect_changes(f, "pods=default/a");
    assert_string_equal(get_value(f, "default/a"), "2");

    delete_tree(f, "a.yaml");
    expect_problems(f, "BASE/m/a.yaml: cannot be read: No such file or directory; the file's last "
                       "good "
                    "content stays in force\n");
    write_file(f, "a.yaml", POD("b", "1"));
    expect_problems(f, "");
    expect_model(f, "pods=default/b");
}

static void
test_path_goes_and_comes(void **state)
{
    struct dir_fixture *f = *state;

    write_file(f, "m/a.yaml", POD("a", "1"));
    expect_model(f, "pods=default/a");
    move(f, "m", "away");
    write_file(f, "away/a.yaml", POD("a", "2"));
    expect_problems(f, "BASE/m: cannot be read: No such file or directory, expected a directory; "
                       "what was "
                    "read before stays in force\n");
    expect_model(f, "pods=default/a");
    assert_string_equal(get_value(f, "default/a"), "1");
    expect_synced(f, true);

    make_dir(f, "m");
    write_file(f, "m/b.yaml", POD("b", "1"));
    expect_problems(f, "");
    expect_model(f, "pods=default/b");
    write_file(f, "m/b.yaml", POD("c", "1"));
    expect_model(f, "pods=default/c");

    /* Deleted file by file, the objects do go. */
    delete_tree(f, "m");
    expect_model(f, "");
}

static void
test_path_is_late(void **state)
{
    struct dir_fixture *f = *state;
    char *error;

    source_close(f->source);
    delete_tree(f, "m");
    char *spec = xasprintf("dir:%s", f->path);
    f->source = source_open(spec, NULL, &error);
    assert_non_null(f->source);
    free(spec);

    expect_problems(f, "BASE/m: cannot be read: No such file or directory, expected a directory\n");
    expect_synced(f, false);
    write_file(f, "m", "");
    expect_problems(f, "BASE/m: cannot be read: Not a directory, expected a directory\n");
    delete_tree(f, "m");

    make_dir(f, "m");
    write_file(f, "m/a.yaml", POD("a", "1"));
    expect_synced(f, true);
    expect_model(f, "pods=default/a");
    expect_problems(f, "");
}

static void
test_path_is_a_link(void **state)
{
    struct dir_fixture *f = *state;

    delete_tree(f, "m");
    make_dir(f, "one");
    make_dir(f, "two");
    write_file(f, "one/a.yaml", POD("a", "1"));
    write_file(f, "two/b.yaml", POD("b", "1"));
    make_link(f, "one", "m");
    expect_model(f, "pods=default/a");
    make_link(f, "two", "tmp");
    move(f, "tmp", "m");
    expect_model(f, "pods=default/b");
    write_file(f, "two/b.yaml", POD("c", "1"));
    expect_model(f, "pods=default/c");
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, dir_fixture_setup, dir_fixture_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_broken_file),
        TEST(test_wrong_object),
        TEST(test_unknown_kind),
        TEST(test_problems_are_sorted),
        TEST(test_object_in_two_files),
        TEST(test_object_twice_in_a_file),
        TEST(test_object_moves_between_files),
        TEST(test_config_map),
        TEST(test_link_to_outside),
        TEST(test_path_goes_and_comes),
        TEST(test_path_is_late),
        TEST(test_path_is_a_link),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
