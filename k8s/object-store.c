#include <config.h>

#include "k8s/object-store.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "util.h"

struct claim {
    struct hmap_node node;          /* In object_store's 'claims'. */
    struct ovs_list file_node;      /* In store_file's 'claims'. */
    const struct store_file *file;
    enum object_type type;
    unsigned int line;
    unsigned int order;             /* Within the file. */
    bool stale;                     /* Not (yet) claimed by the file's new content. */
    void *object;                   /* Owned reference. */
};

void
object_store_init(struct object_store *store)
{
    egress_model_init(&store->model);
    model_changes_init(&store->changes);
    store->seqno = 0;
    hmap_init(&store->claims);
    for (size_t i = 0; i < N_OBJECT_TYPES; i++) {
        sset_init(&store->contested[i]);
    }
    ovs_list_init(&store->troubled);
}

/* Every file of 'store' must have been destroyed. */
void
object_store_destroy(struct object_store *store)
{
    egress_model_destroy(&store->model);
    model_changes_destroy(&store->changes);
    hmap_destroy(&store->claims);
    for (size_t i = 0; i < N_OBJECT_TYPES; i++) {
        sset_destroy(&store->contested[i]);
    }
}

/* Claims. */

static uint32_t
claim_hash(enum object_type type, const char *id)
{
    return hash_string(id, type);
}

static bool
claim_is_for(const struct claim *claim, enum object_type type, const char *id)
{
    return claim->type == type && !strcmp(object_get_id(type, claim->object), id);
}

static bool
claim_precedes(const struct claim *a, const struct claim *b)
{
    int cmp = a->file == b->file ? 0 : strcmp(a->file->path, b->file->path);

    return cmp ? cmp < 0 : a->order < b->order;
}

static struct claim *
claim_create(struct object_store *store, struct store_file *file, struct manifest_object *mo)
{
    struct claim *claim = xzalloc(sizeof *claim);

    claim->file = file;
    claim->type = mo->type;
    claim->object = mo->object;
    mo->object = NULL;
    hmap_insert(&store->claims, &claim->node, claim_hash(mo->type, mo->id));
    ovs_list_push_back(&file->claims, &claim->file_node);
    return claim;
}

static void
claim_destroy(struct object_store *store, struct claim *claim)
{
    hmap_remove(&store->claims, &claim->node);
    ovs_list_remove(&claim->file_node);
    object_unref(claim->type, claim->object);
    free(claim);
}

/* Returns the claim on the object 'type' and 'id' that goes first, and the number of claims in
 * '*n'. */
static struct claim *
find_first_claim(const struct object_store *store, enum object_type type, const char *id, size_t *n)
{
    struct claim *first = NULL;
    struct claim *claim;

    *n = 0;
    HMAP_FOR_EACH_WITH_HASH (claim, node, claim_hash(type, id), &store->claims) {
        if (claim_is_for(claim, type, id)) {
            ++*n;
            if (!first || claim_precedes(claim, first)) {
                first = claim;
            }
        }
    }
    return first;
}

/* Returns the first of the stale claims that 'file' has on the object 'type' and 'id', or NULL. */
static struct claim *
find_stale_claim(const struct object_store *store, const struct store_file *file,
                 enum object_type type, const char *id)
{
    struct claim *first = NULL;
    struct claim *claim;

    HMAP_FOR_EACH_WITH_HASH (claim, node, claim_hash(type, id), &store->claims) {
        if (claim->file == file && claim->stale && claim_is_for(claim, type, id)
            && (!first || claim_precedes(claim, first))) {
            first = claim;
        }
    }
    return first;
}

/* Brings the model up to date with the claims on the object 'type' and 'id'. */
static void
elect(struct object_store *store, enum object_type type, const char *id)
{
    struct shash *objects = object_get_shash(type, &store->model);
    struct shash_node *node = shash_find(objects, id);
    size_t n;

    const struct claim *claim = find_first_claim(store, type, id, &n);
    const void *old = node ? node->data : NULL;
    const void *new = claim ? claim->object : NULL;
    if (old != new) {
        if (!old || !new || !object_equals(type, old, new)) {
            sset_add(object_get_changes(type, &store->changes), id);
            store->seqno++;
        }
        if (!new) {
            shash_delete(objects, node);
        } else if (node) {
            node->data = object_ref(type, new);
        } else {
            shash_add(objects, id, object_ref(type, new));
        }
        object_unref(type, old);
    }

    if (n > 1) {
        sset_add(&store->contested[type], id);
        store->seqno++;
    } else if (sset_find_and_delete(&store->contested[type], id)) {
        store->seqno++;
    }
}

/* Problems. */

static bool
problem_lists_equal(const struct problem_list *a, const struct problem_list *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->problems[i].object, b->problems[i].object)
            || strcmp(a->problems[i].text, b->problems[i].text)) {
            return false;
        }
    }
    return true;
}

/* Makes 'problems', which it takes over, all that 'file' has. */
static void
set_problems(struct object_store *store, struct store_file *file, struct problem_list *problems)
{
    if (!problem_lists_equal(&file->problems, problems)) {
        store->seqno++;
    }
    if (file->problems.n && !problems->n) {
        ovs_list_remove(&file->troubled_node);
    } else if (!file->problems.n && problems->n) {
        ovs_list_push_back(&store->troubled, &file->troubled_node);
    }
    problem_list_destroy(&file->problems);
    file->problems = *problems;
}

static void
add_object_problem(const struct store_file *file, const struct manifest_object *mo, bool kept,
                   struct problem_list *problems)
{
    const char *fate = kept ? "; its last good version stays in force" : "";

    if (mo->id && !mo->line && mo->type == OBJECT_ROUTE) {
        /* Its id is the policy's, in which nothing is wrong. */
        problem_list_add(problems, mo->id, "%s (%s%s)", mo->error, file->path, fate);
    } else if (mo->id && !mo->line) {
        /* It is an API server's, where its id tells all. */
        problem_list_add(problems, mo->id, "%s%s", mo->error, fate);
    } else if (mo->id) {
        problem_list_add(problems, mo->id, "%s (%s:%u%s)", mo->error, file->path, mo->line, fate);
    } else {
        char *where = xasprintf("%s:%u", file->path, mo->line);
        problem_list_add(problems, where, "%s", mo->error);
        free(where);
    }
}

static int
compare_files(const void *a_, const void *b_)
{
    const struct store_file *const *a = a_;
    const struct store_file *const *b = b_;

    return strcmp((*a)->path, (*b)->path);
}

static int
compare_claims(const void *a_, const void *b_)
{
    const struct claim *const *a = a_;
    const struct claim *const *b = b_;

    return claim_precedes(*a, *b) ? -1 : 1;
}

static void
add_contest(const struct object_store *store, enum object_type type, const char *id,
            struct problem_list *problems)
{
    size_t n;

    find_first_claim(store, type, id, &n);
    const struct claim **claims = xmalloc(n * sizeof *claims);
    const struct claim *claim;

    n = 0;
    HMAP_FOR_EACH_WITH_HASH (claim, node, claim_hash(type, id), &store->claims) {
        if (claim_is_for(claim, type, id)) {
            claims[n++] = claim;
        }
    }
    qsort(claims, n, sizeof *claims, compare_claims);
    for (size_t i = 1; i < n; i++) {
        problem_list_add(problems, id, "is in %s:%u and again in %s:%u; the first is in force",
                         claims[0]->file->path, claims[0]->line,
                         claims[i]->file->path, claims[i]->line);
    }
    free(claims);
}

/* Adds the problems of all files, by file name, and then the contested objects, by type and id,
 * to 'problems'. */
void
object_store_get_problems(const struct object_store *store, struct problem_list *problems)
{
    size_t n = ovs_list_size(&store->troubled);
    const struct store_file **files = xmalloc(n * sizeof *files);
    const struct store_file *file;

    n = 0;
    LIST_FOR_EACH (file, troubled_node, &store->troubled) {
        files[n++] = file;
    }
    qsort(files, n, sizeof *files, compare_files);
    for (size_t i = 0; i < n; i++) {
        const struct problem_list *list = &files[i]->problems;

        for (size_t j = 0; j < list->n; j++) {
            problem_list_add(problems, list->problems[j].object, "%s", list->problems[j].text);
        }
    }
    free(files);

    for (enum object_type type = 0; type < N_OBJECT_TYPES; type++) {
        const char **ids = sset_sort(&store->contested[type]);

        for (size_t i = 0; i < sset_count(&store->contested[type]); i++) {
            add_contest(store, type, ids[i], problems);
        }
        free(ids);
    }
}

/* Files. */

void
store_file_init(struct store_file *file, const char *path)
{
    file->path = xstrdup(path);
    ovs_list_init(&file->claims);
    problem_list_init(&file->problems);
}

/* Frees 'file''s members, and takes its objects out of 'store'. */
void
store_file_destroy(struct object_store *store, struct store_file *file)
{
    store_file_replace(store, file, NULL, 0);
    problem_list_destroy(&file->problems);
    free(file->path);
}

/* Lets 'claim' have 'mo''s object, or keeps the one that it has if that is no different.
 * 'origin' is all that may then be out of date; it is no part of what the object says, and moves
 * along in place. */
static void
update_claim(struct claim *claim, struct manifest_object *mo)
{
    if (!object_equals(claim->type, claim->object, mo->object)) {
        object_unref(claim->type, claim->object);
        claim->object = mo->object;
        mo->object = NULL;
        return;
    }

    char **kept = object_get_origin(claim->type, claim->object);
    if (kept) {
        char **new = object_get_origin(claim->type, mo->object);
        char *swap = *kept;
        *kept = *new;
        *new = swap;
    }
}

static void
put_object(struct object_store *store, struct store_file *file, struct manifest_object *mo,
           unsigned int order, struct problem_list *problems)
{
    struct claim *claim = mo->id ? find_stale_claim(store, file, mo->type, mo->id) : NULL;

    if (mo->error) {
        add_object_problem(file, mo, claim != NULL, problems);
    }
    if (!claim && !mo->object) {
        return;
    } else if (!claim) {
        claim = claim_create(store, file, mo);
    } else if (mo->object) {
        update_claim(claim, mo);
    }

    ovs_list_remove(&claim->file_node);
    ovs_list_push_back(&file->claims, &claim->file_node);
    claim->order = order;
    claim->stale = false;
    if (!mo->error) {
        claim->line = mo->line;
    }
}

/* Makes the 'n' objects in 'mos' all that 'file' says, and destroys them.  An invalid object
 * that 'file' had before stays as it was. */
void
store_file_replace(struct object_store *store, struct store_file *file,
                   struct manifest_object *mos, size_t n)
{
    struct problem_list problems;
    struct claim *claim;

    problem_list_init(&problems);
    LIST_FOR_EACH (claim, file_node, &file->claims) {
        claim->stale = true;
    }
    for (size_t i = 0; i < n; i++) {
        put_object(store, file, &mos[i], i, &problems);
        manifest_object_destroy(&mos[i]);
    }
    set_problems(store, file, &problems);

    /* Only now, with all claims in place, may the model follow. */
    LIST_FOR_EACH_SAFE (claim, file_node, &file->claims) {
        enum object_type type = claim->type;
        char *id = xstrdup(object_get_id(type, claim->object));

        if (claim->stale) {
            claim_destroy(store, claim);
        }
        elect(store, type, id);
        free(id);
    }
}

/* Records 'error', in 'line' or, if that is 0, of the whole file, which makes 'file' useless.
 * What it said before stays in force. */
void
store_file_keep(struct object_store *store, struct store_file *file, unsigned int line,
                const char *error)
{
    char *where = line ? xasprintf("%s:%u", file->path, line) : xstrdup(file->path);

    struct problem_list problems;

    problem_list_init(&problems);
    problem_list_add(&problems, where, "%s%s", error,
                     ovs_list_is_empty(&file->claims) ? ""
                     : "; the file's last good content stays in force");
    set_problems(store, file, &problems);
    free(where);
}
