#include <config.h>

#include "k8s/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/json-reader.h"
#include "k8s/objects.h"
#include "k8s/yaml.h"
#include "openvswitch/dynamic-string.h"
#include "pipeline/model.h"
#include "util.h"

/* Every kind that is understood. */
const struct object_kind *const language_tables[] = { core_kinds, antrea_kinds, own_kinds, NULL };

/* The longest name that Kubernetes allows, a DNS subdomain's. */
#define MAX_NAME 253

/* What is being decoded. */
struct context {
    const char *file;           /* Or the API's path of the object. */
    manifest_object_cb *cb;
    void *aux;
};

/* What an item of a list does not say itself. */
struct type_meta {
    const char *api_version;
    const char *kind;
};

static void decode_object(const struct context *, const struct json_cursor *,
                          const struct type_meta *defaults);

void
manifest_object_destroy(struct manifest_object *mo)
{
    object_unref(mo->type, mo->object);
    free(mo->id);
    free(mo->error);
}

/* Kinds. */

static bool
has_version(const struct object_kind *kind, const char *version)
{
    for (size_t i = 0; kind->versions[i]; i++) {
        if (!strcmp(kind->versions[i], version)) {
            return true;
        }
    }
    return false;
}

/* Returns the table whose kinds are of 'group', or NULL. */
static const struct object_kind *
find_table(const char *group)
{
    for (size_t i = 0; language_tables[i]; i++) {
        if (!strcmp(language_tables[i]->group, group)) {
            return language_tables[i];
        }
    }
    return NULL;
}

/* Is 'group' Kubernetes' own?  Its other kinds lie around in everybody's manifests, and are none
 * of our business. */
static bool
is_kubernetes_group(const char *group)
{
    static const char *const groups[] = {
        "", "apps", "autoscaling", "batch", "events", "extensions", "policy",
    };
    static const char suffix[] = ".k8s.io";
    size_t length = strlen(group);

    for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
        if (!strcmp(group, groups[i])) {
            return true;
        }
    }
    return length >= strlen(suffix) && !strcmp(group + length - strlen(suffix), suffix);
}

static void
error_unknown_version(const struct json_cursor *object, const struct object_kind *kind,
                      const char *api_version)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; kind->versions[i]; i++) {
        ds_put_format(&s, "%s%s%s%s", i ? " or " : "", kind->group, *kind->group ? "/" : "",
                      kind->versions[i]);
    }
    json_cursor_error(object, "apiVersion", "\"%s\" is unknown for kind %s, expected %s",
                      api_version, kind->kind, ds_cstr(&s));
    ds_destroy(&s);
}

static void
error_unknown_kind(const struct json_cursor *object, const struct object_kind *table,
                   const char *kind)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; table[i].group; i++) {
        ds_put_format(&s, "%s%s", i ? " or " : "", table[i].kind);
    }
    json_cursor_error(object, "kind", "\"%s\" is unknown in %s, expected %s",
                      kind, table->group, ds_cstr(&s));
    ds_destroy(&s);
}

/* Returns what is known of the kind that 'type' names, or NULL if there is nothing to do for it;
 * then there is an error if somebody should know. */
static const struct object_kind *
find_kind(const struct json_cursor *object, const struct type_meta *type)
{
    const char *slash = strchr(type->api_version, '/');
    const char *version = slash ? slash + 1 : type->api_version;
    char *group = xmemdup0(type->api_version, slash ? slash - type->api_version : 0);
    const struct object_kind *table = find_table(group);
    const struct object_kind *kind = table;

    while (kind && kind->group && strcmp(kind->kind, type->kind)) {
        kind++;
    }
    if (kind && !kind->group) {
        kind = NULL;
    }
    if (kind && !has_version(kind, version)) {
        error_unknown_version(object, kind, type->api_version);
        kind = NULL;
    } else if (!kind && !is_kubernetes_group(group)) {
        if (table) {
            error_unknown_kind(object, table, type->kind);
        } else {
            json_cursor_error(object, NULL, "unknown kind %s in %s", type->kind, type->api_version);
        }
    }
    free(group);
    return kind;
}

/* Metadata. */

static const char *
decode_name(const struct json_cursor *metadata, const char *field)
{
    const char *name = json_cursor_string(metadata, field);
    size_t length = name ? strlen(name) : 0;

    for (size_t i = 0; i < length; i++) {
        unsigned char c = name[i];
        if (c <= ' ' || c == '/' || c == 0x7f || length > MAX_NAME) {
            json_cursor_error(metadata, field, "\"%.*s\" is no name, expected up to %d letters, "
                              "digits, \"-\" and \".\"", MAX_NAME, name, MAX_NAME);
            return NULL;
        }
    }
    return length ? name : NULL;
}

/* Decodes 'object''s metadata into '*meta', whose strings the caller frees.  Returns true if it
 * is known which object it is, even if there are errors. */
static bool
decode_meta(const struct context *context, const struct json_cursor *object,
            const struct object_kind *kind, struct object_meta *meta)
{
    struct json_cursor metadata = json_cursor_object(object, "metadata");
    const char *name = decode_name(&metadata, "name");

    memset(meta, 0, sizeof *meta);
    if (!name) {
        json_cursor_error(&metadata, "name", "is missing");
        return false;
    }
    if (kind->namespaced) {
        const char *namespace = decode_name(&metadata, "namespace");
        meta->namespace = xstrdup(namespace ? namespace : "default");
    }
    const char *created = json_cursor_string(&metadata, "creationTimestamp");
    if (created && !parse_time(created, &meta->created)) {
        json_cursor_error(&metadata, "creationTimestamp", "\"%s\" is no time, expected like "
                          "2024-05-01T12:00:00Z", created);
    }

    const char *slash = meta->namespace ? "/" : "";
    const char *namespace = meta->namespace ? meta->namespace : "";
    meta->name = xstrdup(name);
    unsigned int line = yaml_get_line(object->json);
    meta->origin = (line ? xasprintf("%s:%u", context->file, line) : xstrdup(context->file));
    meta->id = (*kind->group
                ? xasprintf("%s.%s/%s%s%s", kind->kind, kind->group, namespace, slash, name)
                : xasprintf("%s%s%s", namespace, slash, name));
    return true;
}

static void
destroy_meta(struct object_meta *meta)
{
    free(meta->id);
    free(meta->name);
    free(meta->namespace);
    free(meta->origin);
}

/* Objects. */

static void
report(const struct context *context, struct manifest_object *mo, struct json_reader *reader)
{
    if (reader->error) {
        object_unref(mo->type, mo->object);
        mo->object = NULL;
        mo->error = reader->error;
        mo->line = reader->line;
        reader->error = NULL;
    }
    if (mo->object || mo->error) {
        context->cb(mo, context->aux);
    }
    manifest_object_destroy(mo);
}

/* Decodes 'object' as 'kind' into 'mo'. */
static void
decode_known(const struct context *context, const struct json_cursor *object,
             const struct object_kind *kind, struct manifest_object *mo)
{
    static const char *const fields[] = {
        "apiVersion", "kind", "metadata", "spec", "status", NULL
    };
    struct object_meta meta;

    mo->type = kind->type;
    if (decode_meta(context, object, kind, &meta)) {
        if (kind->type == OBJECT_POLICY || kind->type == OBJECT_POOL) {
            json_cursor_only_fields(object, fields);
        }
        mo->object = kind->decode(&meta, object);
        mo->id = xstrdup(object_get_id(kind->type, mo->object));
    }
    destroy_meta(&meta);
}

static void
decode_items(const struct context *context, const struct json_cursor *list,
             const struct type_meta *defaults)
{
    struct json_cursor items = json_cursor_array(list, "items");

    for (size_t i = 0; i < json_cursor_length(&items); i++) {
        struct json_cursor item = json_cursor_item(&items, i);
        if (item.json) {
            decode_object(context, &item, defaults);
        }
    }
}

/* Is 'kind' a List, or a list of one kind, whose items need not repeat it? */
static bool
is_list(const struct json_cursor *object, const char *kind)
{
    static const char suffix[] = "List";
    size_t length = strlen(kind);

    return (length >= strlen(suffix) && !strcmp(kind + length - strlen(suffix), suffix)
            && json_cursor_has(object, "items"));
}

/* Decodes 'outer', an object or a list of them, each with errors of its own. */
static void
decode_object(const struct context *context, const struct json_cursor *outer,
              const struct type_meta *defaults)
{
    struct json_reader reader = JSON_READER_INITIALIZER;
    struct json_cursor object = json_reader_start(&reader, outer->json);
    struct manifest_object mo = { .line = yaml_get_line(outer->json) };

    if (!json_object_is_type(object.json, json_type_object)) {
        json_cursor_error(&object, NULL, "is no Kubernetes object, expected a mapping with "
                          "apiVersion and kind");
        report(context, &mo, &reader);
        return;
    }

    struct type_meta type = {
        .api_version = json_cursor_string(&object, "apiVersion"),
        .kind = json_cursor_string(&object, "kind"),
    };
    if (!type.api_version && !type.kind && defaults) {
        type = *defaults;
    }
    if (!type.api_version || !type.kind || !*type.kind) {
        json_cursor_error(&object, type.api_version ? "kind" : "apiVersion",
                          "is missing, expected like %s",
                          type.api_version ? "EgressPolicy" : "ovs-egress.io/v1alpha1");
    } else if (is_list(&object, type.kind)) {
        size_t length = strlen(type.kind) - strlen("List");
        char *kind = xmemdup0(type.kind, length);
        struct type_meta item = { .api_version = type.api_version, .kind = kind };
        decode_items(context, &object, length ? &item : NULL);
        free(kind);
    } else {
        const struct object_kind *kind = find_kind(&object, &type);
        if (kind) {
            decode_known(context, &object, kind, &mo);
        }
    }
    report(context, &mo, &reader);
}

/* Decodes 'json', a document of 'file', and calls 'cb' with 'aux' for each object in it that
 * concerns us, and for each that is wrong.  Other kinds of Kubernetes' own are passed over. */
void
manifest_decode(struct json_object *json, const char *file, manifest_object_cb *cb, void *aux)
{
    struct context context = { .file = file, .cb = cb, .aux = aux };
    struct json_cursor document = json_reader_start(NULL, json);

    decode_object(&context, &document, NULL);
}

/* Decodes 'json', an object of 'kind' (it need not say so itself, as in the items of the API's
 * lists) at 'path' in the API, and calls 'cb' with 'aux' for it. */
void
manifest_decode_kind(struct json_object *json, const struct object_kind *kind, const char *path,
                     manifest_object_cb *cb, void *aux)
{
    struct context context = { .file = path, .cb = cb, .aux = aux };
    struct json_reader reader = JSON_READER_INITIALIZER;
    struct json_cursor object = json_reader_start(&reader, json);
    struct manifest_object mo = { .line = 0 };

    decode_known(&context, &object, kind, &mo);
    /* Only text that people write has lines. */
    reader.line = 0;
    report(&context, &mo, &reader);
}

/* Objects of any type. */

void *
object_ref(enum object_type type, const void *object)
{
    switch (type) {
    case OBJECT_POLICY:
        return egress_policy_ref(object);
    case OBJECT_POOL:
        return egress_pool_ref(object);
    case OBJECT_NODE:
        return cluster_node_ref(object);
    case OBJECT_NAMESPACE:
        return cluster_namespace_ref(object);
    case OBJECT_POD:
        return cluster_pod_ref(object);
    case OBJECT_ROUTE:
        return egress_route_ref(object);
    }
    OVS_NOT_REACHED();
}

/* 'object' may be NULL. */
void
object_unref(enum object_type type, const void *object)
{
    switch (type) {
    case OBJECT_POLICY:
        egress_policy_unref(object);
        break;
    case OBJECT_POOL:
        egress_pool_unref(object);
        break;
    case OBJECT_NODE:
        cluster_node_unref(object);
        break;
    case OBJECT_NAMESPACE:
        cluster_namespace_unref(object);
        break;
    case OBJECT_POD:
        cluster_pod_unref(object);
        break;
    case OBJECT_ROUTE:
        egress_route_unref(object);
        break;
    }
}

/* Do 'a' and 'b' say the same?  Where they were read does not count. */
bool
object_equals(enum object_type type, const void *a, const void *b)
{
    switch (type) {
    case OBJECT_POLICY:
        return egress_policy_equals(a, b);
    case OBJECT_POOL:
        return egress_pool_equals(a, b);
    case OBJECT_NODE:
        return cluster_node_equals(a, b);
    case OBJECT_NAMESPACE:
        return cluster_namespace_equals(a, b);
    case OBJECT_POD:
        return cluster_pod_equals(a, b);
    case OBJECT_ROUTE:
        return egress_route_equals(a, b);
    }
    OVS_NOT_REACHED();
}

const char *
object_get_id(enum object_type type, const void *object)
{
    switch (type) {
    case OBJECT_POLICY:
        return ((const struct egress_policy *) object)->id;
    case OBJECT_POOL:
        return ((const struct egress_pool *) object)->id;
    case OBJECT_NODE:
        return ((const struct cluster_node *) object)->name;
    case OBJECT_NAMESPACE:
        return ((const struct cluster_namespace *) object)->name;
    case OBJECT_POD:
        return ((const struct cluster_pod *) object)->id;
    case OBJECT_ROUTE:
        return ((const struct egress_route *) object)->policy->id;
    }
    OVS_NOT_REACHED();
}

/* Returns where 'object' keeps its origin, or NULL if its type has none. */
char **
object_get_origin(enum object_type type, void *object)
{
    switch (type) {
    case OBJECT_POLICY:
        return &((struct egress_policy *) object)->origin;
    case OBJECT_POOL:
        return &((struct egress_pool *) object)->origin;
    case OBJECT_NODE:
    case OBJECT_NAMESPACE:
    case OBJECT_POD:
    case OBJECT_ROUTE:
        return NULL;
    }
    OVS_NOT_REACHED();
}

/* Returns where 'model' keeps objects of 'type'. */
struct shash *
object_get_shash(enum object_type type, struct egress_model *model)
{
    switch (type) {
    case OBJECT_POLICY:
        return &model->policies;
    case OBJECT_POOL:
        return &model->pools;
    case OBJECT_NODE:
        return &model->nodes;
    case OBJECT_NAMESPACE:
        return &model->namespaces;
    case OBJECT_POD:
        return &model->pods;
    case OBJECT_ROUTE:
        return &model->routes;
    }
    OVS_NOT_REACHED();
}

/* Returns where 'changes' keeps the ids of objects of 'type'. */
struct sset *
object_get_changes(enum object_type type, struct model_changes *changes)
{
    switch (type) {
    case OBJECT_POLICY:
        return &changes->policies;
    case OBJECT_POOL:
        return &changes->pools;
    case OBJECT_NODE:
        return &changes->nodes;
    case OBJECT_NAMESPACE:
        return &changes->namespaces;
    case OBJECT_POD:
        return &changes->pods;
    case OBJECT_ROUTE:
        return &changes->routes;
    }
    OVS_NOT_REACHED();
}
