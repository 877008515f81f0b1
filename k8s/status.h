#ifndef K8S_STATUS_H
#define K8S_STATUS_H 1

/* What a policy's or a pool's status says, and events about them.
 *
 * A status is written as a JSON merge patch (RFC 7386): a member that is to go is null in it. */

#include <stdbool.h>
#include <stdint.h>
#include "pipeline/address.h"

struct egress_route;
struct json_object;
struct object_kind;
struct problem_list;

/* An object that has a status, as the server has it. */
struct status_object {
    const struct object_kind *kind;
    char *id;                   /* As pipeline/model.h says. */
    char *version;              /* "v1alpha1" */
    char *namespace;            /* NULL if it has none. */
    char *name;
    char *uid;
    char *resource_version;
    char *status;               /* As JSON's text, which takes little room; NULL if there is none. */
};

struct status_object *status_object_create(const struct object_kind *, const char *namespace,
                                           const char *name, struct json_object *);
void status_object_destroy(struct status_object *);
struct json_object *status_object_parse(const struct status_object *);
char *status_object_path(const struct status_object *);
char *status_object_id(const struct object_kind *, const char *namespace, const char *name);

struct json_object *status_of_policy(const struct object_kind *, const struct egress_route *,
                                     const char *problem);
struct json_object *status_of_pool(uint64_t total, uint64_t used, const char *problem);
const char *status_get_problem(struct json_object *status);
bool status_is_in_force(struct json_object *have, struct json_object *want);
struct json_object *status_to_patch(struct json_object *want, struct json_object *have,
                                    long long int now_s);

struct json_object *event_encode(const struct status_object *, bool warning, const char *reason,
                                 const char *message, long long int now_ms);
char *event_path(const struct status_object *);

void status_add_problems(const struct status_object *, struct problem_list *);
bool status_get_usage(const struct status_object *, long long int *used, long long int *total);

/* For those who keep or send such objects and don't look into them.  NULL is no object. */
struct json_object *json_body_ref(struct json_object *);
void json_body_unref(struct json_object *);

/* For languages' 'encode_status'. */
void status_put_addresses(struct json_object *, const char *name, const struct in6_addr ips[N_IP_FAMILIES]);
void status_put_string(struct json_object *, const char *name, const char *);

#endif /* k8s/status.h */
