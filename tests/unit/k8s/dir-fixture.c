#include <config.h>

#include "tests/unit/k8s/dir-fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "pipeline/model.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 5000

/* Files. */

static char *
full_path(const struct dir_fixture *f, const char *name)
{
    return xasprintf("%s/%s", f->base, name);
}

void
write_file(const struct dir_fixture *f, const char *name, const char *text)
{
    char *path = full_path(f, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    free(path);
}

void
make_dir(const struct dir_fixture *f, const char *name)
{
    char *path = full_path(f, name);

    assert_int_equal(mkdir(path, 0755), 0);
    free(path);
}

void
make_link(const struct dir_fixture *f, const char *target, const char *name)
{
    char *path = full_path(f, name);

    assert_int_equal(symlink(target, path), 0);
    free(path);
}

void
move(const struct dir_fixture *f, const char *from, const char *to)
{
    char *from_path = full_path(f, from);
    char *to_path = full_path(f, to);

    assert_int_equal(rename(from_path, to_path), 0);
    free(from_path);
    free(to_path);
}

static int
delete_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    return remove(path);
}

void
delete_tree(const struct dir_fixture *f, const char *name)
{
    char *path = full_path(f, name);

    assert_int_equal(nftw(path, delete_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(path);
}

/* What the source says, as text. */

static void
put_ids(struct ds *s, const char *name, const char **ids, size_t n)
{
    if (n) {
        ds_put_format(s, "%s%s=", s->length ? " " : "", name);
        for (size_t i = 0; i < n; i++) {
            ds_put_format(s, "%s%s", i ? "," : "", ids[i]);
        }
    }
}

static void
put_sset(struct ds *s, const char *name, const struct sset *set)
{
    const char **ids = sset_sort(set);

    put_ids(s, name, ids, sset_count(set));
    free(ids);
}

static void
put_shash(struct ds *s, const char *name, const struct shash *objects)
{
    struct sset ids = SSET_INITIALIZER(&ids);
    struct shash_node *node;

    SHASH_FOR_EACH (node, objects) {
        sset_add(&ids, node->name);
    }
    put_sset(s, name, &ids);
    sset_destroy(&ids);
}

static char *
model_to_string(const struct dir_fixture *f)
{
    const struct egress_model *model = source_get_model(f->source);
    struct ds s = DS_EMPTY_INITIALIZER;

    put_shash(&s, "policies", &model->policies);
    put_shash(&s, "pools", &model->pools);
    put_shash(&s, "nodes", &model->nodes);
    put_shash(&s, "namespaces", &model->namespaces);
    put_shash(&s, "pods", &model->pods);
    return ds_steal_cstr(&s);
}

static char *
changes_to_string(const struct dir_fixture *f)
{
    const struct model_changes *changes = source_get_changes(f->source);
    struct ds s = DS_EMPTY_INITIALIZER;

    put_sset(&s, "policies", &changes->policies);
    put_sset(&s, "pools", &changes->pools);
    put_sset(&s, "nodes", &changes->nodes);
    put_sset(&s, "namespaces", &changes->namespaces);
    put_sset(&s, "pods", &changes->pods);
    return ds_steal_cstr(&s);
}

static char *
problems_to_string(const struct dir_fixture *f)
{
    const struct problem_list *list = source_get_problems(f->source);
    struct ds s = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < list->n; i++) {
        char *line = xasprintf("%s: %s\n", list->problems[i].object, list->problems[i].text);
        const char *rest = line;

        for (const char *at; (at = strstr(rest, f->base)) != NULL; rest = at + strlen(f->base)) {
            ds_put_buffer(&s, rest, at - rest);
            ds_put_cstr(&s, "BASE");
        }
        ds_put_cstr(&s, rest);
        free(line);
    }
    return ds_steal_cstr(&s);
}

static char *
synced_to_string(const struct dir_fixture *f)
{
    return xstrdup(source_is_synced(f->source) ? "synced" : "not synced");
}

/* Expectations. */

static void
expect(struct dir_fixture *f, char *(*to_string)(const struct dir_fixture *), const char *expected)
{
    long long int deadline = time_msec() + DEADLINE_MS;

    for (;;) {
        source_run(f->source);
        char *actual = to_string(f);
        if (!strcmp(actual, expected)) {
            free(actual);
            return;
        } else if (time_msec() >= deadline) {
            assert_string_equal(actual, expected);
        }
        free(actual);
        source_wait(f->source);
        poll_timer_wait_until(deadline);
        poll_block();
    }
}

void
expect_model(struct dir_fixture *f, const char *expected)
{
    expect(f, model_to_string, expected);
}

void
expect_changes(struct dir_fixture *f, const char *expected)
{
    expect(f, changes_to_string, expected);
    model_changes_clear(source_get_changes(f->source));
}

void
expect_problems(struct dir_fixture *f, const char *expected)
{
    expect(f, problems_to_string, expected);
}

void
expect_synced(struct dir_fixture *f, bool expected)
{
    expect(f, synced_to_string, expected ? "synced" : "not synced");
}

/* Setting up and taking down. */

int
dir_fixture_setup(void **state)
{
    struct dir_fixture *f = xzalloc(sizeof *f);
    char *error;

    f->base = xstrdup("/tmp/egress-dir-source-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    f->path = full_path(f, "m");
    make_dir(f, "m");

    char *spec = xasprintf("dir:%s/", f->path);
    f->source = source_open(spec, NULL, &error);
    assert_non_null(f->source);
    assert_null(error);
    free(spec);
    expect_synced(f, true);
    *state = f;
    return 0;
}

int
dir_fixture_teardown(void **state)
{
    struct dir_fixture *f = *state;

    source_close(f->source);
    delete_tree(f, "");
    free(f->base);
    free(f->path);
    free(f);
    return 0;
}
