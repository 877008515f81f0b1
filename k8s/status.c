#include <config.h>

#include "k8s/status.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/json-writer.h"
#include "k8s/kube-http.h"
#include "k8s/language.h"
#include "pipeline/model.h"
#include "pipeline/stable-hash.h"
#include "util.h"

/* Who says so, in events. */
#define COMPONENT "ovs-egress-manager"

/* Where events about cluster-scoped objects live, as Kubernetes' own have it. */
#define EVENT_NAMESPACE "default"

/* Objects. */

static const char *
member_string(struct json_object *json, const char *name)
{
    struct json_object *value;

    return (json_object_is_type(json, json_type_object) && json_object_object_get_ex(json, name, &value)
            && json_object_is_type(value, json_type_string)
            ? json_object_get_string(value) : NULL);
}

/* The id of an object (see pipeline/model.h), which the caller frees. */
char *
status_object_id(const struct object_kind *kind, const char *namespace, const char *name)
{
    return xasprintf("%s.%s/%s%s%s", kind->kind, kind->group, namespace ? namespace : "",
                     namespace ? "/" : "", name);
}

/* Takes from 'json', an object as the server sent it, what writing its status needs. */
struct status_object *
status_object_create(const struct object_kind *kind, const char *namespace, const char *name,
                     struct json_object *json)
{
    struct status_object *object = xzalloc(sizeof *object);
    const char *api_version = member_string(json, "apiVersion");
    const char *slash = api_version ? strchr(api_version, '/') : NULL;
    struct json_object *metadata = NULL, *status;

    json_object_object_get_ex(json, "metadata", &metadata);
    object->kind = kind;
    object->id = status_object_id(kind, namespace, name);
    object->version = xstrdup(slash ? slash + 1 : kind->versions[0]);
    object->namespace = nullable_xstrdup(namespace);
    object->name = xstrdup(name);
    object->uid = nullable_xstrdup(member_string(metadata, "uid"));
    object->resource_version = nullable_xstrdup(member_string(metadata, "resourceVersion"));
    if (json_object_object_get_ex(json, "status", &status) && status) {
        object->status = xstrdup(json_object_to_json_string_ext(status, JSON_C_TO_STRING_PLAIN));
    }
    return object;
}

void
status_object_destroy(struct status_object *object)
{
    if (object) {
        free(object->status);
        free(object->id);
        free(object->version);
        free(object->namespace);
        free(object->name);
        free(object->uid);
        free(object->resource_version);
        free(object);
    }
}

/* Returns 'object''s status, which the caller releases, or NULL if it has none. */
struct json_object *
status_object_parse(const struct status_object *object)
{
    return object->status ? json_tokener_parse(object->status) : NULL;
}

/* The path of 'object''s status, which the caller frees. */
char *
status_object_path(const struct status_object *object)
{
    return kube_path(object->kind->group, object->version, object->kind->plural, object->namespace,
                     object->name, "status");
}

struct json_object *
json_body_ref(struct json_object *json)
{
    return json_object_get(json);
}

void
json_body_unref(struct json_object *json)
{
    json_release(json);
}

/* Statuses. */

/* Sets 'name', or takes it away if 's' is NULL. */
void
status_put_string(struct json_object *status, const char *name, const char *s)
{
    json_object_object_add(status, name, s ? json_object_new_string(s) : NULL);
}

/* Sets 'name' to those of 'ips' that there are, or takes it away. */
void
status_put_addresses(struct json_object *status, const char *name,
                     const struct in6_addr ips[N_IP_FAMILIES])
{
    struct json_object *array = NULL;

    for (int family = 0; family < N_IP_FAMILIES; family++) {
        if (ip_is_set(&ips[family])) {
            char *s = ip_to_string(&ips[family]);

            array = array ? array : json_object_new_array();
            json_object_array_add(array, json_object_new_string(s));
            free(s);
        }
    }
    json_object_object_add(status, name, array);
}

static void
add_condition(struct json_object *conditions, const char *type, bool status, const char *reason,
              const char *message)
{
    struct json_object *condition = json_object_new_object();

    put_string(condition, "type", type);
    put_string(condition, "status", status ? "True" : "False");
    put_string(condition, "reason", reason);
    put_string(condition, "message", message);
    json_object_array_add(conditions, condition);
}

static void
add_route_conditions(struct json_object *conditions, const struct egress_route *route)
{
    bool allocated = route->state != ROUTE_NO_EGRESS_IP;
    bool assigned = route->state == ROUTE_ACTIVE;
    char *assignment = (assigned ? xasprintf("the gateway is node %s", route->candidates.names[0])
                        : nullable_xstrdup(route->reason));

    add_condition(conditions, "IPAllocated", allocated, allocated ? "Allocated" : "NotAllocated",
                  allocated ? "the policy has an egress IP" : route->reason);
    add_condition(conditions, "IPAssigned", assigned, assigned ? "Assigned" : "NotAssigned",
                  assignment);
    free(assignment);
}

/* The status of a policy of 'kind' for which 'route' is decided, NULL if nothing is; 'problem' is what its user has to
 * mend, or NULL.  The caller releases it. */
struct json_object *
status_of_policy(const struct object_kind *kind, const struct egress_route *route, const char *problem)
{
    struct json_object *status = json_object_new_object();
    struct json_object *conditions = json_object_new_array();

    if (route) {
        kind->encode_status(route, status);
        add_route_conditions(conditions, route);
    }
    if (problem) {
        add_condition(conditions, "Valid", false, "Invalid", problem);
    }
    json_object_object_add(status, "conditions", conditions);
    return status;
}

/* The status of a pool with 'total' addresses of which 'used' have a policy. */
struct json_object *
status_of_pool(uint64_t total, uint64_t used, const char *problem)
{
    struct json_object *status = json_object_new_object();
    struct json_object *usage = json_object_new_object();
    struct json_object *conditions = json_object_new_array();

    json_object_object_add(usage, "total", json_object_new_int64(MIN(total, INT64_MAX)));
    json_object_object_add(usage, "used", json_object_new_int64(MIN(used, INT64_MAX)));
    json_object_object_add(status, "usage", usage);
    if (problem) {
        add_condition(conditions, "Valid", false, "Invalid", problem);
    }
    json_object_object_add(status, "conditions", conditions);
    return status;
}

/* Comparing. */

static struct json_object *
find_condition(struct json_object *conditions, const char *type)
{
    size_t n = json_object_is_type(conditions, json_type_array) ? json_object_array_length(conditions) : 0;

    for (size_t i = 0; i < n; i++) {
        struct json_object *condition = json_object_array_get_idx(conditions, i);
        const char *condition_type = member_string(condition, "type");

        if (condition_type && !strcmp(condition_type, type)) {
            return condition;
        }
    }
    return NULL;
}

/* What the status (NULL for none) says is wrong with its object, or NULL if nothing is. */
const char *
status_get_problem(struct json_object *status)
{
    struct json_object *conditions = NULL;

    if (status) {
        json_object_object_get_ex(status, "conditions", &conditions);
    }
    return member_string(find_condition(conditions, "Valid"), "message");
}

/* Do all members that 'want' has say the same in 'have'?  Conditions have a time in addition. */
static bool
covers(struct json_object *have, struct json_object *want)
{
    json_object_object_foreach (want, name, value) {
        struct json_object *have_value = NULL;

        if (json_object_is_type(have, json_type_object)) {
            json_object_object_get_ex(have, name, &have_value);
        }
        if (!json_object_equal(have_value, value)) {
            return false;
        }
    }
    return true;
}

static bool
same_conditions(struct json_object *have, struct json_object *want)
{
    size_t n = json_object_array_length(want);

    if ((json_object_is_type(have, json_type_array) ? json_object_array_length(have) : 0) != n) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        struct json_object *condition = json_object_array_get_idx(want, i);

        if (!covers(find_condition(have, member_string(condition, "type")), condition)) {
            return false;
        }
    }
    return true;
}

/* Does the status 'have' (NULL for none) say what 'want' does, whatever the times in it? */
bool
status_is_in_force(struct json_object *have, struct json_object *want)
{
    json_object_object_foreach (want, name, value) {
        struct json_object *have_value = NULL;

        if (have) {
            json_object_object_get_ex(have, name, &have_value);
        }
        if (!strcmp(name, "conditions")) {
            if (!same_conditions(have_value, value)) {
                return false;
            }
        } else if (!json_object_equal(have_value, value)) {
            return false;
        }
    }
    return true;
}

/* Wraps 'want', a reference to which it takes over, as the patch that brings it into force.  A condition whose status stays
 * the same keeps its time from 'have'. */
struct json_object *
status_to_patch(struct json_object *want, struct json_object *have, long long int now_s)
{
    struct json_object *patch = json_object_new_object();
    struct json_object *conditions = NULL, *have_conditions = NULL;

    json_object_object_get_ex(want, "conditions", &conditions);
    if (have) {
        json_object_object_get_ex(have, "conditions", &have_conditions);
    }
    for (size_t i = 0; i < json_object_array_length(conditions); i++) {
        struct json_object *condition = json_object_array_get_idx(conditions, i);
        struct json_object *old = find_condition(have_conditions, member_string(condition, "type"));
        const char *status = member_string(old, "status");
        const char *time = member_string(old, "lastTransitionTime");

        if (time && status && !strcmp(status, member_string(condition, "status"))) {
            put_string(condition, "lastTransitionTime", time);
        } else {
            put_time(condition, "lastTransitionTime", now_s);
        }
    }
    json_object_object_add(patch, "status", want);
    return patch;
}

/* Reading. */

/* Adds what the conditions in 'object''s status say is wrong, each thing once. */
void
status_add_problems(const struct status_object *object, struct problem_list *problems)
{
    struct json_object *status = status_object_parse(object);
    struct json_object *conditions = NULL;
    const char *last = NULL;

    json_object_object_get_ex(status, "conditions", &conditions);
    size_t n = json_object_is_type(conditions, json_type_array) ? json_object_array_length(conditions) : 0;
    for (size_t i = 0; i < n; i++) {
        struct json_object *condition = json_object_array_get_idx(conditions, i);
        const char *holds = member_string(condition, "status");
        const char *message = member_string(condition, "message");

        if (holds && !strcmp(holds, "False") && message && !nullable_string_is_equal(message, last)) {
            problem_list_add(problems, object->id, "%s", message);
            last = message;
        }
    }
    json_release(status);
}

/* Stores how many addresses of the pool 'object' have a policy, and how many there are.  Returns false if its status does
 * not say. */
bool
status_get_usage(const struct status_object *object, long long int *used, long long int *total)
{
    struct json_object *status = status_object_parse(object);
    struct json_object *usage = NULL, *value;
    bool told = (json_object_object_get_ex(status, "usage", &usage)
                 && json_object_object_get_ex(usage, "total", &value));

    if (told) {
        *total = json_object_get_int64(value);
        *used = json_object_object_get_ex(usage, "used", &value) ? json_object_get_int64(value) : 0;
    }
    json_release(status);
    return told;
}

/* Events. */

/* The collection that an event about 'object' is created in.  The caller frees it. */
char *
event_path(const struct status_object *object)
{
    return kube_path("", "v1", "events", object->namespace ? object->namespace : EVENT_NAMESPACE, NULL,
                     NULL);
}

/* An event about 'object': what happened, for a person who looks at it with kubectl. */
struct json_object *
event_encode(const struct status_object *object, bool warning, const char *reason, const char *message,
             long long int now_ms)
{
    struct json_object *event = json_object_new_object();
    struct json_object *metadata = json_object_new_object();
    struct json_object *involved = json_object_new_object();
    struct json_object *source = json_object_new_object();
    char *api_version = xasprintf("%s/%s", object->kind->group, object->version);
    uint64_t salt = stable_hash_string(reason) ^ stable_hash_string(message);
    char *name = xasprintf("%s.%llx%04"PRIx64, object->name, now_ms, salt & 0xffff);

    put_string(event, "apiVersion", "v1");
    put_string(event, "kind", "Event");
    put_string(metadata, "name", name);
    put_string(metadata, "namespace", object->namespace ? object->namespace : EVENT_NAMESPACE);
    json_object_object_add(event, "metadata", metadata);
    put_string(involved, "apiVersion", api_version);
    put_string(involved, "kind", object->kind->kind);
    put_string(involved, "namespace", object->namespace);
    put_string(involved, "name", object->name);
    put_string(involved, "uid", object->uid);
    put_string(involved, "resourceVersion", object->resource_version);
    json_object_object_add(event, "involvedObject", involved);
    put_string(event, "type", warning ? "Warning" : "Normal");
    put_string(event, "reason", reason);
    put_string(event, "message", message);
    put_string(source, "component", COMPONENT);
    json_object_object_add(event, "source", source);
    put_time(event, "firstTimestamp", now_ms / 1000);
    put_time(event, "lastTimestamp", now_ms / 1000);
    put_integer(event, "count", 1);
    free(name);
    free(api_version);
    return event;
}
