#include <config.h>
#include "tests/unit/pipeline/flow-lines.h"

#include <stdlib.h>
#include "flow.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofpbuf.h"
#include "util.h"

#define TABLE_BASE 200

static void
format_table(uint8_t table_id, struct ds *s)
{
    const char *name = table_id < TABLE_BASE ? NULL : egress_table_name(table_id - TABLE_BASE);

    if (name) {
        ds_put_cstr(s, name);
    } else {
        ds_put_format(s, "%d", table_id);
    }
}

static void
collect(void *lines_, uint8_t table_id, uint16_t priority, uint64_t cookie, const struct match *match,
        const struct ofpbuf *ofpacts)
{
    struct flow_lines *lines = lines_;
    struct ofpact_format_params fp = { .s = &(struct ds) DS_EMPTY_INITIALIZER };
    struct ds *s = fp.s;
    size_t start;

    format_table(table_id, s);
    ds_put_format(s, " priority=%d ", priority);
    start = s->length;
    match_format(match, NULL, s, OFP_DEFAULT_PRIORITY);
    if (s->length > start) {
        ds_put_char(s, ' ');
    }
    ds_put_cstr(s, "actions=");
    ofpacts_format(ofpacts->data, ofpacts->size, &fp);
    svec_add(&lines->lines, ds_cstr(s));
    ds_destroy(s);

    char *owner = xasprintf("%s %#"PRIx64, egress_owner_name(cookie >> 40 & 0xff),
                            cookie & UINT64_C(0xffffffffff));
    svec_add_nocopy(&lines->cookies, owner);
}

int
flow_lines_setup(void **state)
{
    struct flow_lines *lines = *state = xmalloc(sizeof *lines);

    svec_init(&lines->lines);
    svec_init(&lines->cookies);
    lines->ctx = (struct compile_context) {
        .emit = collect, .aux = lines, .table_base = TABLE_BASE,
        .hook_table = 10, .hook_priority = 60000,
        .reply_table = 0, .reply_port = u16_to_ofp(2), .reply_mac = ETH_ADDR_C(0a, 00, 00, 00, 00, 02),
        .tunnel_port = u16_to_ofp(11), .tunnel_dst_port = 6082, .uplink_port = u16_to_ofp(12),
        .egress_mac = ETH_ADDR_C(0e, 00, 00, 00, 00, 01),
        .uplink_peer_port = u16_to_ofp(5), .uplink_mac = ETH_ADDR_C(0a, 00, 00, 00, 00, 03),
    };
    match_init_catchall(&lines->ctx.hook_match);
    return 0;
}

int
flow_lines_teardown(void **state)
{
    struct flow_lines *lines = *state;

    svec_destroy(&lines->lines);
    svec_destroy(&lines->cookies);
    free(lines);
    return 0;
}

/* Returns all lines so far, which the caller frees, and forgets them. */
char *
flow_lines_take(struct flow_lines *lines)
{
    char *text;

    svec_sort(&lines->lines);
    text = svec_join(&lines->lines, "\n", lines->lines.n ? "\n" : "");
    svec_clear(&lines->lines);
    svec_clear(&lines->cookies);
    return text;
}

struct in6_addr
test_ip(const char *text)
{
    struct in6_addr ip;

    if (!ip_parse_address(text, &ip)) {
        ovs_fatal(0, "%s: no address", text);
    }
    return ip;
}

struct ip_prefix
test_prefix(const char *text)
{
    struct ip_prefix prefix;
    char *error = ip_parse_prefix(text, &prefix);

    if (error) {
        ovs_fatal(0, "%s", error);
    }
    return prefix;
}

struct egress_policy *
test_policy(const char *name, int32_t priority)
{
    struct egress_policy *policy = egress_policy_create(name, name);

    policy->priority = priority;
    return policy;
}

void
test_policy_add_destination(struct egress_policy *policy, const char *cidr)
{
    policy->destinations = xrealloc(policy->destinations,
                                    (policy->n_destinations + 1) * sizeof *policy->destinations);
    policy->destinations[policy->n_destinations++] = test_prefix(cidr);
}

void
test_policy_add_exception(struct egress_policy *policy, const char *cidr)
{
    policy->exceptions = xrealloc(policy->exceptions,
                                  (policy->n_exceptions + 1) * sizeof *policy->exceptions);
    policy->exceptions[policy->n_exceptions++] = test_prefix(cidr);
}

/* Returns an active route of 'policy', whose reference it takes over.  'ip4' and 'ip6' may be NULL. */
struct egress_route *
test_route(struct egress_policy *policy, uint32_t number, const char *ip4, const char *ip6)
{
    struct egress_route *route = egress_route_create(policy, number);

    if (ip4) {
        route->egress_ips[IP_V4] = test_ip(ip4);
    }
    if (ip6) {
        route->egress_ips[IP_V6] = test_ip(ip6);
    }
    egress_policy_unref(policy);
    return route;
}
