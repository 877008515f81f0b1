#ifndef K8S_MANIFEST_H
#define K8S_MANIFEST_H 1

/* Kubernetes objects of every kind that is understood: from json-c to the model's structs, and
 * what the model's structs have in common. */

#include <stdbool.h>
#include <stddef.h>
#include "k8s/language.h"

struct egress_model;
struct json_object;
struct model_changes;
struct shash;
struct sset;

/* An object as it was read. */
struct manifest_object {
    enum object_type type;
    char *id;                   /* NULL if it is not even known which object it is. */
    void *object;               /* Owned; NULL if there is an error. */
    unsigned int line;          /* Of the object, or of the error in it. */
    char *error;                /* Owned; NULL if there is none. */
};
void manifest_object_destroy(struct manifest_object *);

/* Gets each object.  It may take over 'object' and 'error' by setting them to NULL; the rest is
 * freed afterwards. */
typedef void manifest_object_cb(struct manifest_object *, void *aux);
void manifest_decode(struct json_object *, const char *file, manifest_object_cb *, void *aux);
void manifest_decode_kind(struct json_object *, const struct object_kind *, const char *path,
                          manifest_object_cb *, void *aux);

/* Objects of any type. */
void *object_ref(enum object_type, const void *);
void object_unref(enum object_type, const void *);
bool object_equals(enum object_type, const void *, const void *);
const char *object_get_id(enum object_type, const void *);
char **object_get_origin(enum object_type, void *);
struct shash *object_get_shash(enum object_type, struct egress_model *);
struct sset *object_get_changes(enum object_type, struct model_changes *);

#endif /* k8s/manifest.h */
