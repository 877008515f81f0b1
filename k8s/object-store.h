#ifndef K8S_OBJECT_STORE_H
#define K8S_OBJECT_STORE_H 1

/* The model, as the sum of what files say.
 *
 * A file claims objects.  If several files, or one file several times, claim the same object,
 * then the first by file name is in the model and the others wait.  Replacing a file's objects
 * is work in proportion to that file, and only objects that became different count as changed. */

#include <stdbool.h>
#include <stdint.h>
#include "k8s/manifest.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "pipeline/model.h"

struct object_store {
    struct egress_model model;
    struct model_changes changes;           /* Until the consumer clears them. */
    uint64_t seqno;                         /* Grows with each change of model or problems. */

    struct hmap claims;                     /* struct claim, by type and id. */
    struct sset contested[N_OBJECT_TYPES];  /* Ids with several claims. */
    struct ovs_list troubled;               /* struct store_file with problems. */
};

struct store_file {
    char *path;
    struct ovs_list claims;                 /* struct claim, in the file's order. */
    struct problem_list problems;
    struct ovs_list troubled_node;          /* In object_store's 'troubled' while there are any. */
};

void object_store_init(struct object_store *);
void object_store_destroy(struct object_store *);
void object_store_get_problems(const struct object_store *, struct problem_list *);

void store_file_init(struct store_file *, const char *path);
void store_file_destroy(struct object_store *, struct store_file *);
void store_file_replace(struct object_store *, struct store_file *, struct manifest_object *,
                        size_t n);
void store_file_keep(struct object_store *, struct store_file *, unsigned int line,
                     const char *error);

#endif /* k8s/object-store.h */
