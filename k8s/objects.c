#include <config.h>

#include "k8s/objects.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "k8s/json-reader.h"
#include "k8s/language.h"
#include "pipeline/model.h"
#include "util.h"

/* Seconds that the zone 's', "Z" or "+HH:MM", is ahead of UTC. */
static bool
parse_zone(const char *s, int *offset)
{
    int hours, minutes, n;

    *offset = 0;
    if ((*s == 'Z' || *s == 'z') && !s[1]) {
        return true;
    }
    if ((*s != '+' && *s != '-') || s[1] < '0' || s[1] > '2'
        || sscanf(s + 1, "%2d:%2d%n", &hours, &minutes, &n) < 2 || n != 5 || s[6]) {
        return false;
    }
    *offset = (hours * 60 + minutes) * 60 * (*s == '-' ? -1 : 1);
    return hours < 24 && minutes < 60;
}

/* Parses 's', a time as in RFC 3339 ("2024-05-01T12:00:00Z"), into '*seconds' since 1970;
 * fractions are dropped. Returns true if successful. */
bool
parse_time(const char *s, long long int *seconds)
{
    struct tm tm;
    int offset;

    memset(&tm, 0, sizeof tm);
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!rest) {
        return false;
    }
    if (*rest == '.') {
        size_t n = strspn(rest + 1, "0123456789");
        if (!n) {
            return false;
        }
        rest += 1 + n;
    }
    if (!parse_zone(rest, &offset)) {
        return false;
    }
    *seconds = (long long int) timegm(&tm) - offset;
    return true;
}

/* Decodes 'list', items of addresses in their field 'field', into '*ips', which the caller
 * frees.  Returns their number. */
static size_t
decode_pod_ips(const struct json_cursor *status, struct in6_addr **ips)
{
    struct json_cursor list = json_cursor_array(status, "podIPs");
    size_t n_items = json_cursor_length(&list);
    size_t n = 0;

    *ips = xmalloc((n_items + 1) * sizeof **ips);
    for (size_t i = 0; i < n_items; i++) {
        struct json_cursor item = json_cursor_item(&list, i);

        json_cursor_require_object(&item);
        n += json_cursor_address(&item, "ip", &(*ips)[n]);
    }
    if (!n_items) {
        n += json_cursor_address(status, "podIP", &(*ips)[n]);
    }
    return n;
}

static void *
decode_pod(const struct object_meta *meta, const struct json_cursor *object)
{
    struct json_cursor metadata = json_cursor_object(object, "metadata");
    struct json_cursor spec = json_cursor_object(object, "spec");
    struct json_cursor status = json_cursor_object(object, "status");
    struct cluster_pod *pod = cluster_pod_create(meta->namespace, meta->name);

    json_cursor_string_map(&metadata, "labels", &pod->labels);
    json_cursor_string_map(&metadata, "annotations", &pod->annotations);
    pod->node = nullable_xstrdup(json_cursor_string(&spec, "nodeName"));
    pod->host_network = json_cursor_bool(&spec, "hostNetwork");
    pod->n_ips = decode_pod_ips(&status, &pod->ips);

    const char *phase = json_cursor_string(&status, "phase");
    pod->finished = phase && (!strcmp(phase, "Succeeded") || !strcmp(phase, "Failed"));
    return pod;
}

static void *
decode_namespace(const struct object_meta *meta, const struct json_cursor *object)
{
    struct json_cursor metadata = json_cursor_object(object, "metadata");
    struct cluster_namespace *namespace = cluster_namespace_create(meta->name);

    json_cursor_string_map(&metadata, "labels", &namespace->labels);
    smap_replace(&namespace->labels, "kubernetes.io/metadata.name", meta->name);
    return namespace;
}

/* Decodes status.addresses.  Host names are left out, unless they are addresses. */
static void
decode_node_addresses(const struct json_cursor *status, struct cluster_node *node)
{
    struct json_cursor list = json_cursor_array(status, "addresses");
    size_t n = json_cursor_length(&list);

    node->all_addresses = xmalloc((n + 1) * sizeof *node->all_addresses);
    for (size_t i = 0; i < n; i++) {
        struct json_cursor item = json_cursor_item(&list, i);
        json_cursor_require_object(&item);

        const char *type = json_cursor_string(&item, "type");
        const char *text = json_cursor_string(&item, "address");
        bool internal = type && !strcmp(type, "InternalIP");
        struct in6_addr addr;
        if (internal ? !json_cursor_address(&item, "address", &addr)
            : !text || !ip_parse_address(text, &addr)) {
            continue;
        }
        node->all_addresses[node->n_all_addresses++] = addr;
        if (internal && !ip_is_set(&node->addresses[ip_family_of(&addr)])) {
            node->addresses[ip_family_of(&addr)] = addr;
        }
    }
}

static void
decode_node_pod_cidrs(const struct json_cursor *spec, struct cluster_node *node)
{
    node->n_pod_cidrs = json_cursor_cidrs(spec, "podCIDRs", &node->pod_cidrs);
    if (!node->n_pod_cidrs && json_cursor_has(spec, "podCIDR")) {
        free(node->pod_cidrs);
        node->pod_cidrs = xmalloc(sizeof *node->pod_cidrs);
        node->n_pod_cidrs = json_cursor_cidr(spec, "podCIDR", node->pod_cidrs);
    }
}

static bool
decode_node_ready(const struct json_cursor *status)
{
    struct json_cursor list = json_cursor_array(status, "conditions");

    for (size_t i = 0; i < json_cursor_length(&list); i++) {
        struct json_cursor item = json_cursor_item(&list, i);
        json_cursor_require_object(&item);

        const char *type = json_cursor_string(&item, "type");
        if (type && !strcmp(type, "Ready")) {
            const char *value = json_cursor_string(&item, "status");
            return value && !strcmp(value, "True");
        }
    }
    return true;
}

/* Is the node marked as one that takes no pods for now?  Other taints, as those of control planes, say who may run
 * there, and nothing against gateways. */
static bool
decode_node_avoided(const struct json_cursor *spec)
{
    struct json_cursor taints = json_cursor_array(spec, "taints");
    bool avoided = json_cursor_bool(spec, "unschedulable");

    for (size_t i = 0; i < json_cursor_length(&taints); i++) {
        struct json_cursor taint = json_cursor_item(&taints, i);
        json_cursor_require_object(&taint);

        const char *key = json_cursor_string(&taint, "key");
        avoided = avoided || (key && (!strcmp(key, "node.kubernetes.io/unschedulable")
                                      || !strcmp(key, "node.kubernetes.io/not-ready")
                                      || !strcmp(key, "node.kubernetes.io/unreachable")));
    }
    return avoided;
}

static void *
decode_node(const struct object_meta *meta, const struct json_cursor *object)
{
    struct json_cursor metadata = json_cursor_object(object, "metadata");
    struct json_cursor spec = json_cursor_object(object, "spec");
    struct json_cursor status = json_cursor_object(object, "status");
    struct cluster_node *node = cluster_node_create(meta->name);

    json_cursor_string_map(&metadata, "labels", &node->labels);
    decode_node_addresses(&status, node);
    decode_node_pod_cidrs(&spec, node);
    node->ready = decode_node_ready(&status);
    node->avoided = decode_node_avoided(&spec);
    return node;
}

const struct object_kind core_kinds[] = {
    { "", "Node", "nodes", { "v1" }, OBJECT_NODE, false, decode_node },
    { "", "Namespace", "namespaces", { "v1" }, OBJECT_NAMESPACE, false, decode_namespace },
    { "", "Pod", "pods", { "v1" }, OBJECT_POD, true, decode_pod },
    { NULL },
};
