#include <config.h>

#include "k8s/route-object.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/json-reader.h"
#include "k8s/json-writer.h"
#include "k8s/language.h"
#include "k8s/objects.h"
#include "k8s/selectors.h"
#include "openvswitch/dynamic-string.h"
#include "pipeline/model.h"
#include "pipeline/stable-hash.h"
#include "util.h"

/* The longest name that Kubernetes allows, a DNS subdomain's. */
#define MAX_NAME 253

static const char *const state_names[] = {
    [ROUTE_ACTIVE] = "Active",
    [ROUTE_NO_EGRESS_IP] = "NoEgressIP",
    [ROUTE_NO_GATEWAY] = "NoGateway",
};

/* Returns the word for 'state' in an EgressRoute. */
const char *
egress_route_state_word(enum route_state state)
{
    return state_names[state];
}

/* Ids. */

/* Takes 'id', "KIND.GROUP/NAME", "KIND.GROUP/NAMESPACE/NAME" or the same without ".GROUP", apart.
 * The caller must free '*parts' with id_parts_destroy(). */
void
id_parts_parse(const char *id, struct id_parts *parts)
{
    const char *slash = id + strcspn(id, "/");
    const char *dot = memchr(id, '.', slash - id);
    const char *rest = *slash ? slash + 1 : slash;
    const char *second = strchr(rest, '/');

    parts->kind = xmemdup0(id, (dot ? dot : slash) - id);
    parts->group = dot ? xmemdup0(dot + 1, slash - dot - 1) : xstrdup("");
    parts->namespace = second ? xmemdup0(rest, second - rest) : NULL;
    parts->name = xstrdup(second ? second + 1 : rest);
}

void
id_parts_destroy(struct id_parts *parts)
{
    free(parts->group);
    free(parts->kind);
    free(parts->namespace);
    free(parts->name);
}

static char *
make_id(const char *group, const char *kind, const char *namespace, const char *name)
{
    return xasprintf("%s%s%s/%s%s%s", kind, *group ? "." : "", group, namespace ? namespace : "",
                     namespace ? "/" : "", name);
}

/* Makes 's' a DNS subdomain's characters.  Returns true if only case had to change. */
static bool
make_dns_safe(char *s)
{
    bool exact = true;

    for (char *p = s; *p; p++) {
        bool at_edge = p == s || p[-1] == '.' || !p[1] || p[1] == '.';

        *p = tolower((unsigned char) *p);
        if (!islower((unsigned char) *p) && !isdigit((unsigned char) *p)
            && (at_edge || (*p != '-' && *p != '.'))) {
            *p = 'x';
            exact = false;
        }
    }
    return exact;
}

/* Returns the name of the EgressRoute object for the policy 'policy_id', which the caller must
 * free: "NAME.KIND.GROUP" or "NAME.NAMESPACE.KIND.GROUP", in lower case.  Only where that is
 * no name for Kubernetes, or two policies might share it, a hash ends its first part. */
char *
egress_route_object_name(const char *policy_id)
{
    struct id_parts parts;
    struct ds suffix = DS_EMPTY_INITIALIZER;

    id_parts_parse(policy_id, &parts);
    if (parts.namespace) {
        ds_put_format(&suffix, ".%s", parts.namespace);
    }
    ds_put_format(&suffix, ".%s", parts.kind);
    if (*parts.group) {
        ds_put_format(&suffix, ".%s", parts.group);
    }

    char *name = xasprintf("%s%s", parts.name, ds_cstr(&suffix));
    bool has_upper = parts.name[strcspn(parts.name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0';
    if (!make_dns_safe(name) || has_upper || strlen(name) > MAX_NAME) {
        uint64_t hash = stable_hash_finish(stable_hash_bytes(policy_id, strlen(policy_id),
                                                             STABLE_HASH_BASIS));
        size_t room = MAX_NAME - MIN(suffix.length, MAX_NAME / 2) - strlen("-0123456789abcdef");
        char *safe = xasprintf("%.*s-%016"PRIx64"%.*s", (int) room, parts.name, hash, MAX_NAME / 2,
                               ds_cstr(&suffix));
        free(name);
        name = safe;
        make_dns_safe(name);
    }
    ds_destroy(&suffix);
    id_parts_destroy(&parts);
    return name;
}

/* Encoding. */

static struct json_object *
encode_ref(const char *id)
{
    struct json_object *json = json_object_new_object();
    struct id_parts parts;

    id_parts_parse(id, &parts);
    put_string(json, "group", parts.group);
    put_string(json, "kind", parts.kind);
    put_string(json, "namespace", parts.namespace);
    put_string(json, "name", parts.name);
    id_parts_destroy(&parts);
    return json;
}

static struct json_object *
encode_names(const struct svec *names)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < names->n; i++) {
        json_object_array_add(list, json_object_new_string(names->names[i]));
    }
    return list;
}

static void
put_selector(struct json_object *json, const char *name, bool has,
             const struct label_selector *selector)
{
    if (has) {
        json_object_object_add(json, name, encode_label_selector(selector));
    }
}

static struct json_object *
encode_subjects(const struct egress_policy *policy)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < policy->n_subjects; i++) {
        const struct policy_subject *subject = &policy->subjects[i];
        struct json_object *json = json_object_new_object();

        put_selector(json, "namespaceSelector", subject->has_namespace_selector,
                     &subject->namespace_selector);
        put_selector(json, "podSelector", subject->has_pod_selector, &subject->pod_selector);
        put_string(json, "namespace", subject->namespace);
        put_cidrs(json, "podCIDRs", subject->pod_cidrs, subject->n_pod_cidrs);
        json_object_array_add(list, json);
    }
    return list;
}

static void
put_policy(struct json_object *spec, const struct egress_policy *policy)
{
    struct json_object *bandwidth = json_object_new_object();

    put_json(spec, "appliedTo", encode_subjects(policy));
    put_cidrs(spec, "destinations", policy->destinations, policy->n_destinations);
    put_cidrs(spec, "exceptions", policy->exceptions, policy->n_exceptions);
    put_addresses(spec, "requestedIPs", policy->egress_ips, N_IP_FAMILIES);
    if (policy->pool) {
        json_object_object_add(spec, "poolRef", encode_ref(policy->pool));
    }
    put_bool(spec, "useNodeIP", policy->use_node_ip);
    put_selector(spec, "nodeSelector", policy->has_node_selector, &policy->node_selector);
    put_integer(spec, "priority", policy->priority);
    put_integer(bandwidth, "rate", policy->bandwidth);
    put_integer(bandwidth, "burst", policy->burst);
    put_json(spec, "bandwidth", bandwidth);
    if (policy->on_no_gateway == ON_NO_GATEWAY_FALLBACK) {
        put_string(spec, "onNoGateway", "Fallback");
    }
    put_time(spec, "created", policy->created);
}

/* Returns 'route' as the whole EgressRoute object, which the caller owns. */
struct json_object *
egress_route_to_json(const struct egress_route *route)
{
    struct json_object *json = json_object_new_object();
    struct json_object *metadata = json_object_new_object();
    struct json_object *spec = json_object_new_object();
    char *name = egress_route_object_name(route->policy->id);

    put_string(json, "apiVersion", EGRESS_ROUTE_API_VERSION);
    put_string(json, "kind", EGRESS_ROUTE_KIND);
    put_string(metadata, "name", name);
    json_object_object_add(json, "metadata", metadata);
    json_object_object_add(json, "spec", spec);
    free(name);

    json_object_object_add(spec, "policyRef", encode_ref(route->policy->id));
    put_integer(spec, "number", route->number);
    put_addresses(spec, "egressIPs", route->egress_ips, N_IP_FAMILIES);
    put_json(spec, "candidates", encode_names(&route->candidates));
    put_string(spec, "state", state_names[route->state]);
    put_string(spec, "reason", route->reason);
    put_policy(spec, route->policy);
    return json;
}

/* Decoding. */

/* Returns the id that the reference 'name' in 'spec' stands for, or NULL if there is none.  The
 * caller must free it. */
static char *
decode_ref(const struct json_cursor *spec, const char *name, char **object_name)
{
    struct json_cursor json = json_cursor_object(spec, name);

    if (!json.json) {
        return NULL;
    }
    const char *group = json_cursor_string(&json, "group");
    const char *kind = json_cursor_required_string(&json, "kind", "EgressPolicy");
    const char *namespace = json_cursor_string(&json, "namespace");
    const char *own_name = json_cursor_required_string(&json, "name", "team-a");
    if (!kind || !own_name) {
        return NULL;
    }
    if (object_name) {
        *object_name = xstrdup(own_name);
    }
    return make_id(group ? group : "", kind, namespace && *namespace ? namespace : NULL,
                            own_name);
}

static void
decode_subjects(const struct json_cursor *spec, struct egress_policy *policy)
{
    struct json_cursor list = json_cursor_array(spec, "appliedTo");

    for (size_t i = 0; i < json_cursor_length(&list); i++) {
        struct json_cursor item = json_cursor_item(&list, i);
        struct policy_subject *subject = egress_policy_add_subject(policy);

        json_cursor_require_object(&item);
        subject->has_namespace_selector = decode_label_selector(&item, "namespaceSelector",
                                                                &subject->namespace_selector);
        subject->has_pod_selector = decode_label_selector(&item, "podSelector",
                                                          &subject->pod_selector);
        subject->namespace = nullable_xstrdup(json_cursor_string(&item, "namespace"));
        subject->n_pod_cidrs = json_cursor_cidrs(&item, "podCIDRs", &subject->pod_cidrs);
    }
}

static void
decode_policy(const struct json_cursor *spec, struct egress_policy *policy)
{
    struct json_cursor bandwidth = json_cursor_object(spec, "bandwidth");
    const char *on_no_gateway = json_cursor_string(spec, "onNoGateway");
    const char *created = json_cursor_string(spec, "created");

    decode_subjects(spec, policy);
    policy->n_destinations = json_cursor_cidrs(spec, "destinations", &policy->destinations);
    policy->n_exceptions = json_cursor_cidrs(spec, "exceptions", &policy->exceptions);
    json_cursor_address_per_family(spec, "requestedIPs", policy->egress_ips);
    policy->pool = decode_ref(spec, "poolRef", NULL);
    policy->use_node_ip = json_cursor_bool(spec, "useNodeIP");
    policy->has_node_selector = decode_label_selector(spec, "nodeSelector",
                                                      &policy->node_selector);
    policy->priority = json_cursor_integer(spec, "priority", INT32_MIN, INT32_MAX);
    policy->bandwidth = json_cursor_integer(&bandwidth, "rate", 0, INT64_MAX);
    policy->burst = json_cursor_integer(&bandwidth, "burst", 0, INT64_MAX);
    if (on_no_gateway && !strcmp(on_no_gateway, "Fallback")) {
        policy->on_no_gateway = ON_NO_GATEWAY_FALLBACK;
    } else if (on_no_gateway && strcmp(on_no_gateway, "Drop")) {
        json_cursor_error(spec, "onNoGateway", "\"%s\" is unknown, expected Drop or Fallback",
                          on_no_gateway);
    }
    if (created && !parse_time(created, &policy->created)) {
        json_cursor_error(spec, "created", "\"%s\" is no time, expected like "
                          "2024-05-01T12:00:00Z", created);
    }
}

static void
decode_state(const struct json_cursor *spec, struct egress_route *route)
{
    const char *name = json_cursor_required_string(spec, "state", "Active");

    for (size_t i = 0; name && i < ARRAY_SIZE(state_names); i++) {
        if (!strcmp(name, state_names[i])) {
            route->state = i;
            return;
        }
    }
    if (name) {
        json_cursor_error(spec, "state", "\"%s\" is unknown, expected Active, NoEgressIP or "
                          "NoGateway", name);
    }
}

static void
decode_candidates(const struct json_cursor *spec, struct egress_route *route)
{
    struct json_cursor list = json_cursor_array(spec, "candidates");

    for (size_t i = 0; i < json_cursor_length(&list); i++) {
        struct json_cursor item = json_cursor_item(&list, i);
        const char *node = json_cursor_required_string(&item, NULL, "a node's name");

        if (node) {
            svec_add(&route->candidates, node);
        }
    }
    if (route->candidates.n > ROUTE_MAX_CANDIDATES) {
        json_cursor_error(&list, NULL, "has %"PRIuSIZE" nodes, expected at most %d",
                          route->candidates.n, ROUTE_MAX_CANDIDATES);
    }
}

/* An EgressRoute's decoder, see k8s/language.h.  Unknown fields are left alone: they are a newer
 * manager's. */
void *
egress_route_decode(const struct object_meta *meta, const struct json_cursor *object)
{
    struct json_cursor metadata = json_cursor_object(object, "metadata");
    struct json_cursor spec = json_cursor_object(object, "spec");
    char *policy_name = NULL;
    char *policy_id = decode_ref(&spec, "policyRef", &policy_name);

    if (!policy_id) {
        json_cursor_error(&spec, "policyRef", "is missing");
    }
    struct egress_policy *policy = egress_policy_create(policy_id ? policy_id : meta->id,
                                                        policy_name ? policy_name : meta->name);
    policy->origin = xstrdup(meta->origin);
    char *expected_name = egress_route_object_name(policy->id);
    if (strcmp(expected_name, meta->name)) {
        json_cursor_error(&metadata, "name", "expected %s for the route of %s", expected_name,
                          policy->id);
    }
    free(expected_name);
    free(policy_name);
    free(policy_id);
    decode_policy(&spec, policy);

    uint32_t number = json_cursor_integer(&spec, "number", 1, ROUTE_NUMBER_MAX);
    if (!number) {
        json_cursor_error(&spec, "number", "is missing, expected 1 to %u", ROUTE_NUMBER_MAX);
    }
    struct egress_route *route = egress_route_create(policy, number);
    egress_policy_unref(policy);
    json_cursor_address_per_family(&spec, "egressIPs", route->egress_ips);
    decode_candidates(&spec, route);
    decode_state(&spec, route);
    route->reason = nullable_xstrdup(json_cursor_string(&spec, "reason"));
    return route;
}
