#include <config.h>

/* Antrea's Egress and ExternalIPPool.
 *
 * An Egress applies to the pods of all namespaces unless it has a namespace selector.  Its
 * egress IP, explicit or from a pool, is held by one of the pool's nodes, or of all nodes
 * without a pool. */

#include "k8s/json-reader.h"
#include "k8s/language.h"
#include "k8s/selectors.h"
#include "k8s/status.h"
#include "pipeline/model.h"
#include "util.h"

#define GROUP "crd.antrea.io"
#define POOL_KIND "ExternalIPPool"

static void
decode_applied_to(const struct json_cursor *spec, struct egress_policy *policy)
{
    static const char *const fields[] = { "podSelector", "namespaceSelector", NULL };
    struct json_cursor applied_to = json_cursor_object(spec, "appliedTo");
    struct policy_subject *subject = egress_policy_add_subject(policy);

    json_cursor_only_fields(&applied_to, fields);
    subject->has_pod_selector = decode_label_selector(&applied_to, "podSelector",
                                                      &subject->pod_selector);
    subject->has_namespace_selector = decode_label_selector(&applied_to, "namespaceSelector",
                                                            &subject->namespace_selector);
    if (!subject->has_pod_selector && !subject->has_namespace_selector) {
        json_cursor_error(&applied_to, NULL, "selects no pods, expected podSelector, "
                          "namespaceSelector or both");
    }
}

static void
decode_addresses(const struct json_cursor *spec, struct egress_policy *policy)
{
    struct in6_addr addr;

    policy->egress_ip_field = "spec.egressIP";
    if (json_cursor_has(spec, "egressIPs")) {
        policy->egress_ip_field = "spec.egressIPs";
        json_cursor_address_per_family(spec, "egressIPs", policy->egress_ips);
        if (json_cursor_has(spec, "egressIP")) {
            json_cursor_error(spec, "egressIPs", "is there together with egressIP, expected one "
                              "of them");
        }
    } else if (json_cursor_address(spec, "egressIP", &addr)) {
        policy->egress_ips[ip_family_of(&addr)] = addr;
    }
}

static void
decode_pool_name(const struct json_cursor *spec, struct egress_policy *policy)
{
    struct json_cursor pools = json_cursor_array(spec, "externalIPPools");
    const char *name = json_cursor_string(spec, "externalIPPool");

    policy->pool_field = "spec.externalIPPool";
    if (json_cursor_length(&pools)) {
        struct json_cursor first = json_cursor_item(&pools, 0);

        policy->pool_field = "spec.externalIPPools";
        if (name) {
            json_cursor_error(&pools, NULL, "is there together with externalIPPool, expected one "
                              "of them");
        } else if (json_cursor_length(&pools) > 1) {
            json_cursor_error(&pools, NULL, "has %"PRIuSIZE" pools, expected one pool (which may "
                              "have ranges of both IP families)", json_cursor_length(&pools));
        }
        name = json_cursor_string(&first, NULL);
    }
    if (name && *name) {
        policy->pool = xasprintf("%s.%s/%s", POOL_KIND, GROUP, name);
    }
}

static void *
decode_egress(const struct object_meta *meta, const struct json_cursor *object)
{
    static const char *const fields[] = {
        "appliedTo", "egressIP", "egressIPs", "externalIPPool", "externalIPPools", "bandwidth", NULL
    };
    struct json_cursor spec = language_get_spec(object, fields);
    struct egress_policy *policy = language_create_policy(meta);

    decode_applied_to(&spec, policy);
    decode_addresses(&spec, policy);
    decode_pool_name(&spec, policy);
    language_decode_bandwidth(&spec, policy);
    if (!policy->pool && !ip_is_set(&policy->egress_ips[IP_V4])
        && !ip_is_set(&policy->egress_ips[IP_V6])) {
        json_cursor_error(&spec, NULL, "has neither egressIP nor externalIPPool, expected at "
                          "least one of them");
    }
    return policy;
}

static void
decode_ip_range(const struct json_cursor *item, struct egress_pool *pool)
{
    static const char *const fields[] = { "start", "end", "cidr", NULL };

    json_cursor_require_object(item);
    json_cursor_only_fields(item, fields);
    if (json_cursor_has(item, "cidr")) {
        if (json_cursor_has(item, "start") || json_cursor_has(item, "end")) {
            json_cursor_error(item, NULL, "has both cidr and start or end, expected either");
        }
        pool->n_cidrs += json_cursor_cidr(item, "cidr", &pool->cidrs[pool->n_cidrs]);
    } else {
        pool->n_ranges += language_decode_range(item, "start", "end",
                                                &pool->ranges[pool->n_ranges]);
    }
}

static void
decode_subnet_info(const struct json_cursor *spec, struct egress_pool *pool)
{
    static const char *const fields[] = { "gateway", "prefixLength", "vlan", NULL };
    struct json_cursor info = json_cursor_object(spec, "subnetInfo");
    struct in6_addr gateway;

    json_cursor_only_fields(&info, fields);
    if (json_cursor_address(&info, "gateway", &gateway)) {
        enum ip_family family = ip_family_of(&gateway);

        pool->gateways[family] = gateway;
        json_cursor_integer(&info, "prefixLength", 1, family == IP_V4 ? 32 : 128);
    }

    int64_t vlan = json_cursor_integer(&info, "vlan", 0, 4094);
    if (vlan) {
        json_cursor_error(&info, "vlan", "%"PRId64" is not supported, expected 0 or none", vlan);
    }
}

static void *
decode_pool(const struct object_meta *meta, const struct json_cursor *object)
{
    static const char *const fields[] = { "ipRanges", "nodeSelector", "subnetInfo", NULL };
    struct json_cursor spec = language_get_spec(object, fields);
    struct egress_pool *pool = language_create_pool(meta);

    struct json_cursor ranges = json_cursor_array(&spec, "ipRanges");
    size_t n = json_cursor_length(&ranges);
    if (!n) {
        json_cursor_error(&ranges, NULL, "is empty, expected at least one {start, end} or {cidr}");
    }
    pool->ranges = xcalloc(n, sizeof *pool->ranges);
    pool->cidrs = xcalloc(n, sizeof *pool->cidrs);
    for (size_t i = 0; i < n; i++) {
        struct json_cursor item = json_cursor_item(&ranges, i);
        decode_ip_range(&item, pool);
    }
    decode_subnet_info(&spec, pool);
    pool->has_node_selector = decode_label_selector(&spec, "nodeSelector", &pool->node_selector);
    return pool;
}

static void
encode_egress_status(const struct egress_route *route, struct json_object *status)
{
    static const struct in6_addr none[N_IP_FAMILIES];
    bool active = route->state == ROUTE_ACTIVE;
    char *first = NULL;
    size_t n = 0;

    for (int family = 0; family < N_IP_FAMILIES; family++) {
        if (ip_is_set(&route->egress_ips[family])) {
            first = first ? first : ip_to_string(&route->egress_ips[family]);
            n++;
        }
    }
    status_put_string(status, "egressIP", first);
    /* Antrea's own schema has no list: it is there only if it says more. */
    status_put_addresses(status, "egressIPs", n > 1 ? route->egress_ips : none);
    status_put_string(status, "egressNode", active ? route->candidates.names[0] : NULL);
    free(first);
}

const struct object_kind antrea_kinds[] = {
    { GROUP, "Egress", "egresses", { "v1alpha2", "v1beta1" }, OBJECT_POLICY, false, decode_egress,
      encode_egress_status },
    { GROUP, POOL_KIND, "externalippools", { "v1alpha2", "v1beta1" }, OBJECT_POOL, false, decode_pool },
    { NULL },
};
