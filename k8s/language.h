#ifndef K8S_LANGUAGE_H
#define K8S_LANGUAGE_H 1

/* What a policy language is made of: kinds, each with a function that turns its objects into the
 * model's.  A new language is a file with a table like these, named in k8s/manifest.c. */

#include <stdbool.h>

struct egress_policy;
struct egress_pool;
struct egress_route;
struct ip_range;
struct json_cursor;
struct json_object;

/* What an object becomes in the model. */
enum object_type {
    OBJECT_POLICY,              /* struct egress_policy. */
    OBJECT_POOL,                /* struct egress_pool. */
    OBJECT_NODE,                /* struct cluster_node. */
    OBJECT_NAMESPACE,           /* struct cluster_namespace. */
    OBJECT_POD,                 /* struct cluster_pod. */
    OBJECT_ROUTE,               /* struct egress_route. */
};
#define N_OBJECT_TYPES 6

/* What every object has. */
struct object_meta {
    char *id;                   /* As pipeline/model.h says. */
    char *name;
    char *namespace;            /* Of namespaced kinds, else NULL. */
    char *origin;               /* "FILE:LINE" */
    long long int created;      /* Seconds since 1970, 0 if unknown. */
};

/* One kind of object.
 *
 * 'decode' returns a new object of the struct that 'type' names, whose id is right even where
 * something else is wrong with 'object'.  That is left in its reader, and then what 'decode'
 * returned is thrown away. */
struct object_kind {
    const char *group;          /* "" for Kubernetes' core.  NULL ends a table. */
    const char *kind;
    const char *plural;         /* The kind's word in the API's paths. */
    const char *versions[3];    /* Ends with NULL.  Any will do. */
    enum object_type type;
    bool namespaced;
    void *(*decode)(const struct object_meta *, const struct json_cursor *object);

    /* Of policies: puts what 'route' decided into 'status', with the language's own fields.  Conditions are added by the
     * caller. */
    void (*encode_status)(const struct egress_route *route, struct json_object *status);
};

extern const struct object_kind core_kinds[];       /* k8s/objects.c */
extern const struct object_kind antrea_kinds[];     /* k8s/antrea.c */
extern const struct object_kind own_kinds[];        /* k8s/own.c */

/* All of the tables, NULL at their end. */
extern const struct object_kind *const language_tables[];   /* k8s/manifest.c */

/* What languages have in common. */
struct egress_policy *language_create_policy(const struct object_meta *);
struct egress_pool *language_create_pool(const struct object_meta *);
struct json_cursor language_get_spec(const struct json_cursor *object, const char *const fields[]);
void language_decode_bandwidth(const struct json_cursor *spec, struct egress_policy *);
bool language_decode_range(const struct json_cursor *, const char *first, const char *last,
                           struct ip_range *);

#endif /* k8s/language.h */
