#ifndef TESTS_UNIT_K8S_DIR_FIXTURE_H
#define TESTS_UNIT_K8S_DIR_FIXTURE_H 1

/* A temporary directory with a directory source on it. */

#include <stdbool.h>
#include "k8s/source.h"

struct dir_fixture {
    char *base;                 /* The temporary directory. */
    char *path;                 /* "BASE/m", which the source follows. */
    struct source *source;
};

/* For cmocka. */
int dir_fixture_setup(void **state);        /* PATH is there and empty, and the source is synced. */
int dir_fixture_teardown(void **state);

/* Files, by their names below BASE. */
void write_file(const struct dir_fixture *, const char *name, const char *text);
void make_dir(const struct dir_fixture *, const char *name);
void make_link(const struct dir_fixture *, const char *target, const char *name);
void move(const struct dir_fixture *, const char *from, const char *to);
void delete_tree(const struct dir_fixture *, const char *name);

/* Runs the source until the ids in its model, its changes or its problems are 'expected', and
 * fails if that takes more than a few seconds.  Changes are cleared then.
 *
 *     ids        "policies=a,b pods=c", sorted, without what is empty
 *     problems   "OBJECT: TEXT\n" for each, with "BASE" for the temporary directory  */
void expect_model(struct dir_fixture *, const char *expected);
void expect_changes(struct dir_fixture *, const char *expected);
void expect_problems(struct dir_fixture *, const char *expected);
void expect_synced(struct dir_fixture *, bool expected);

#endif /* tests/unit/k8s/dir-fixture.h */
