#include <config.h>

/* Our own kinds: EgressPolicy and EgressPool, which can say all that the model knows, and
 * EgressRoute, see k8s/route-object.h.
 *
 *     apiVersion: ovs-egress.io/v1alpha1
 *     kind: EgressPolicy                   # Cluster-scoped.
 *     metadata:
 *       name: NAME
 *     spec:
 *       appliedTo:                         # At least one; all that are given must hold.
 *         namespaceSelector: SELECTOR
 *         podSelector: SELECTOR
 *         podCIDRs: [CIDR, ...]
 *       destinationCIDRs: [CIDR, ...]      # Default: anywhere.
 *       exceptCIDRs: [CIDR, ...]           # Destinations to leave alone.
 *       egressIPs: [IP, ...]               # At most one per family.
 *       egressPool: NAME                   # An EgressPool; any egressIPs must be in it.
 *       useNodeIP: BOOLEAN                 # Instead: the gateway node's own address.
 *       gateway:
 *         nodeSelector: SELECTOR           # Default: every node, or every one of the pool's.
 *       bandwidth:
 *         rate: QUANTITY                   # Bits per second.
 *         burst: QUANTITY                  # Bits.
 *       priority: INTEGER                  # 32 bits; the highest wins; default 0.
 *       onNoGateway: Drop | Fallback       # Default: Drop.
 *
 *     apiVersion: ovs-egress.io/v1alpha1
 *     kind: EgressPool                     # Cluster-scoped.
 *     metadata:
 *       name: NAME
 *     spec:                                # At least one range or CIDR.
 *       ranges:
 *       - first: IP
 *         last: IP
 *       cidrs: [CIDR, ...]                 # Network and broadcast address are never handed out.
 *       gatewayIPs: [IP, ...]              # The subnets' routers: never handed out.
 *       nodeSelector: SELECTOR             # Who may hold the addresses; default: every node.  */

#include <string.h>

#include "k8s/json-reader.h"
#include "k8s/language.h"
#include "k8s/route-object.h"
#include "k8s/selectors.h"
#include "k8s/status.h"
#include "pipeline/model.h"
#include "util.h"

#define GROUP "ovs-egress.io"
#define POOL_KIND "EgressPool"

static void
decode_applied_to(const struct json_cursor *spec, struct egress_policy *policy)
{
    static const char *const fields[] = { "namespaceSelector", "podSelector", "podCIDRs", NULL };
    struct json_cursor applied_to = json_cursor_object(spec, "appliedTo");
    struct policy_subject *subject = egress_policy_add_subject(policy);

    json_cursor_only_fields(&applied_to, fields);
    subject->has_namespace_selector = decode_label_selector(&applied_to, "namespaceSelector",
                                                            &subject->namespace_selector);
    subject->has_pod_selector = decode_label_selector(&applied_to, "podSelector",
                                                      &subject->pod_selector);
    subject->n_pod_cidrs = json_cursor_cidrs(&applied_to, "podCIDRs", &subject->pod_cidrs);
    if (!subject->has_namespace_selector && !subject->has_pod_selector && !subject->n_pod_cidrs) {
        json_cursor_error(&applied_to, NULL, "selects no pods, expected at least one of "
                          "namespaceSelector, podSelector and podCIDRs");
    }
}

static void
decode_source(const struct json_cursor *spec, struct egress_policy *policy)
{
    const char *pool = json_cursor_string(spec, "egressPool");

    policy->egress_ip_field = "spec.egressIPs";
    policy->pool_field = "spec.egressPool";
    json_cursor_address_per_family(spec, "egressIPs", policy->egress_ips);
    policy->use_node_ip = json_cursor_bool(spec, "useNodeIP");
    if (pool && *pool) {
        policy->pool = xasprintf("%s.%s/%s", POOL_KIND, GROUP, pool);
    }

    bool has_ips = ip_is_set(&policy->egress_ips[IP_V4]) || ip_is_set(&policy->egress_ips[IP_V6]);
    if (policy->use_node_ip && (has_ips || policy->pool)) {
        json_cursor_error(spec, "useNodeIP", "is true together with %s, expected one of them",
                          has_ips ? "egressIPs" : "egressPool");
    } else if (!policy->use_node_ip && !has_ips && !policy->pool) {
        json_cursor_error(spec, NULL, "has no egressIPs, egressPool or useNodeIP, expected one "
                          "of them");
    }
}

static void
decode_gateway(const struct json_cursor *spec, struct egress_policy *policy)
{
    static const char *const fields[] = { "nodeSelector", NULL };
    struct json_cursor gateway = json_cursor_object(spec, "gateway");
    const char *on_no_gateway = json_cursor_string(spec, "onNoGateway");

    json_cursor_only_fields(&gateway, fields);
    policy->has_node_selector = decode_label_selector(&gateway, "nodeSelector",
                                                      &policy->node_selector);
    if (on_no_gateway && !strcmp(on_no_gateway, "Fallback")) {
        policy->on_no_gateway = ON_NO_GATEWAY_FALLBACK;
    } else if (on_no_gateway && strcmp(on_no_gateway, "Drop")) {
        json_cursor_error(spec, "onNoGateway", "\"%s\" is unknown, expected Drop or Fallback",
                          on_no_gateway);
    }
}

static void *
decode_policy(const struct object_meta *meta, const struct json_cursor *object)
{
    static const char *const fields[] = {
        "appliedTo", "destinationCIDRs", "exceptCIDRs", "egressIPs", "egressPool", "useNodeIP",
        "gateway", "bandwidth", "priority", "onNoGateway", NULL
    };
    struct json_cursor spec = language_get_spec(object, fields);
    struct egress_policy *policy = language_create_policy(meta);

    decode_applied_to(&spec, policy);
    policy->n_destinations = json_cursor_cidrs(&spec, "destinationCIDRs", &policy->destinations);
    policy->n_exceptions = json_cursor_cidrs(&spec, "exceptCIDRs", &policy->exceptions);
    decode_source(&spec, policy);
    decode_gateway(&spec, policy);
    language_decode_bandwidth(&spec, policy);
    policy->priority = json_cursor_integer(&spec, "priority", INT32_MIN, INT32_MAX);
    return policy;
}

static void
decode_ranges(const struct json_cursor *spec, struct egress_pool *pool)
{
    static const char *const fields[] = { "first", "last", NULL };
    struct json_cursor ranges = json_cursor_array(spec, "ranges");
    size_t n = json_cursor_length(&ranges);

    pool->ranges = xcalloc(n, sizeof *pool->ranges);
    for (size_t i = 0; i < n; i++) {
        struct json_cursor item = json_cursor_item(&ranges, i);

        json_cursor_require_object(&item);
        json_cursor_only_fields(&item, fields);
        pool->n_ranges += language_decode_range(&item, "first", "last",
                                                &pool->ranges[pool->n_ranges]);
    }
}

static void *
decode_pool(const struct object_meta *meta, const struct json_cursor *object)
{
    static const char *const fields[] = { "ranges", "cidrs", "gatewayIPs", "nodeSelector", NULL };
    struct json_cursor spec = language_get_spec(object, fields);
    struct egress_pool *pool = language_create_pool(meta);

    decode_ranges(&spec, pool);
    pool->n_cidrs = json_cursor_cidrs(&spec, "cidrs", &pool->cidrs);
    if (!pool->n_ranges && !pool->n_cidrs) {
        json_cursor_error(&spec, NULL, "has no addresses, expected ranges, cidrs or both");
    }
    json_cursor_address_per_family(&spec, "gatewayIPs", pool->gateways);
    pool->has_node_selector = decode_label_selector(&spec, "nodeSelector", &pool->node_selector);
    return pool;
}

static void
encode_policy_status(const struct egress_route *route, struct json_object *status)
{
    bool active = route->state == ROUTE_ACTIVE;

    status_put_addresses(status, "egressIPs", route->egress_ips);
    status_put_string(status, "egressNode", active ? route->candidates.names[0] : NULL);
}

const struct object_kind own_kinds[] = {
    { GROUP, "EgressPolicy", "egresspolicies", { "v1alpha1" }, OBJECT_POLICY, false, decode_policy,
      encode_policy_status },
    { GROUP, POOL_KIND, "egresspools", { "v1alpha1" }, OBJECT_POOL, false, decode_pool },
    { GROUP, EGRESS_ROUTE_KIND, EGRESS_ROUTE_PLURAL, { "v1alpha1" }, OBJECT_ROUTE, false,
      egress_route_decode },
    { NULL },
};
