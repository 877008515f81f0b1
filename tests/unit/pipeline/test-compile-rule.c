/* The flows of stage 'route', walked through by packets, against the written rule, spelled out here a second time: of the
 * routes that select the pod and apply to the destination, the one with the higher priority wins, then the one with the
 * longer matching destination, then the one that is first in the class.  And how many flows that takes. */

#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "openvswitch/ofp-actions.h"
#include "packets.h"
#include "tests/unit/pipeline/flow-lines.h"
#include "util.h"

#define TABLE_BASE 200
#define MAX_FLOWS 4096
#define DROPPED (-1)
#define RETURNED 0                  /* To the CNI.  Else: the number of the route. */

/* A switch that has stage 'route' only. */
struct rule {
    uint16_t priority;
    struct match match;
    bool sets_tun_id;
    uint64_t tun_id;
    int next;                       /* Offset of the stage to go on with, or -1. */
};

struct fake_switch {
    struct rule rules[MAX_FLOWS];
    size_t n;
};

static void
insert(void *switch_, uint8_t table_id, uint16_t priority, uint64_t cookie OVS_UNUSED,
       const struct match *match, const struct ofpbuf *ofpacts)
{
    struct fake_switch *sw = switch_;
    struct rule *rule = &sw->rules[sw->n];
    const struct ofpact *a;

    assert_int_equal(table_id, TABLE_BASE + EGRESS_TABLE_ROUTE);
    assert_true(sw->n++ < MAX_FLOWS);
    *rule = (struct rule) { .priority = priority, .match = *match, .next = -1 };
    OFPACT_FOR_EACH (a, ofpacts->data, ofpacts->size) {
        if (a->type == OFPACT_SET_FIELD) {
            assert_int_equal(ofpact_get_SET_FIELD(a)->field->id, MFF_TUN_ID);
            rule->sets_tun_id = true;
            rule->tun_id = ntohll(ofpact_get_SET_FIELD(a)->value->be64);
        } else {
            assert_int_equal(a->type, OFPACT_RESUBMIT);
            rule->next = ofpact_get_RESUBMIT(a)->table_id - TABLE_BASE;
        }
    }
}

/* The rule of the highest priority that 'packet' matches.  There must be just one. */
static const struct rule *
lookup(const struct fake_switch *sw, const struct flow *packet)
{
    const struct rule *best = NULL;
    bool ambiguous = false;

    for (size_t i = 0; i < sw->n; i++) {
        const struct rule *rule = &sw->rules[i];

        if ((!best || rule->priority >= best->priority)
            && flow_equal_except(packet, &rule->match.flow, &rule->match.wc)) {
            ambiguous = best && rule->priority == best->priority;
            best = rule;
        }
    }
    assert_non_null(best);
    assert_false(ambiguous);
    return best;
}

/* What becomes of a packet of the class 'id' to 'destination'. */
static int
walk(const struct fake_switch *sw, uint64_t id, const struct in6_addr *destination)
{
    bool v4 = ip_family_of(destination) == IP_V4;
    struct flow packet = { .dl_type = htons(v4 ? ETH_TYPE_IP : ETH_TYPE_IPV6), .tunnel.tun_id = htonll(id) };
    const struct rule *rule;

    if (v4) {
        packet.nw_dst = ip_to_v4(destination);
    } else {
        packet.ipv6_dst = *destination;
    }
    for (int i = 0; i < 100; i++) {
        rule = lookup(sw, &packet);
        if (rule->sets_tun_id) {
            packet.tunnel.tun_id = htonll(rule->tun_id);
        }
        if (rule->next == EGRESS_TABLE_RETURN) {
            assert_int_equal(ntohll(packet.tunnel.tun_id), 0);
            return RETURNED;
        } else if (rule->next == EGRESS_TABLE_GATEWAY) {
            return ntohll(packet.tunnel.tun_id);
        } else if (rule->next < 0) {
            return DROPPED;
        }
        assert_int_equal(rule->next, EGRESS_TABLE_ROUTE);
    }
    fail_msg("endless recirculation");
    return DROPPED;
}

/* The rule, spelled out. */

/* The length of the longest of 'prefixes' that contains 'ip', or -1. */
static int
longest(const struct ip_prefix *prefixes, size_t n, const struct in6_addr *ip)
{
    int plen = -1;

    for (size_t i = 0; i < n; i++) {
        if (ip_prefix_contains(&prefixes[i], ip)) {
            plen = MAX(plen, (int) prefixes[i].plen);
        }
    }
    return plen;
}

static int
by_the_rule(const struct route_class *class, const struct in6_addr *ip)
{
    const struct egress_route *winner = NULL;
    int winner_plen = -1;

    for (size_t i = 0; i < class->n_routes; i++) {
        const struct egress_policy *policy = class->routes[i]->policy;
        int plen = policy->n_destinations ? longest(policy->destinations, policy->n_destinations, ip) : 0;

        if (plen < 0 || longest(policy->exceptions, policy->n_exceptions, ip) >= 0) {
            continue;
        }
        if (!winner || policy->priority > winner->policy->priority
            || (policy->priority == winner->policy->priority && plen > winner_plen)) {
            winner = class->routes[i];
            winner_plen = plen;
        }
    }
    if (!winner) {
        return RETURNED;
    } else if (winner->state == ROUTE_ACTIVE && ip_is_set(&winner->egress_ips[ip_family_of(ip)])) {
        return winner->number;
    }
    return winner->policy->on_no_gateway == ON_NO_GATEWAY_DROP ? DROPPED : RETURNED;
}

/* Random models, from a generator that gives the same ones everywhere (Numerical Recipes' linear congruence). */

static unsigned int
dice(uint32_t *seed, unsigned int n)
{
    *seed = *seed * 1664525 + 1013904223;
    return (*seed >> 8) % n;
}

/* An address of a small world, so that prefixes and destinations often meet. */
static struct in6_addr
random_address(uint32_t *seed)
{
    struct in6_addr ip;

    if (dice(seed, 2)) {
        return ip_from_v4(htonl(0x0a000000 | dice(seed, 4) << 22 | dice(seed, 4) << 15 | dice(seed, 4) << 7
                                | dice(seed, 3)));
    }
    ip = test_ip("2001:db8::");
    ip.s6_addr[4] = dice(seed, 4) << 5;
    ip.s6_addr[6] = dice(seed, 4) << 6;
    ip.s6_addr[15] = dice(seed, 3);
    return ip;
}

static struct ip_prefix
random_prefix(uint32_t *seed)
{
    static const unsigned int plens[N_IP_FAMILIES][6] = { { 0, 8, 10, 17, 25, 32 }, { 0, 32, 35, 50, 64, 128 } };
    struct in6_addr ip = random_address(seed);
    char *address = ip_to_string(&ip);
    char *text = xasprintf("%s/%u", address, plens[ip_family_of(&ip)][dice(seed, 6)]);
    struct ip_prefix prefix = test_prefix(text);

    free(address);
    free(text);
    return prefix;
}

static struct ip_prefix *
random_prefixes(uint32_t *seed, size_t n)
{
    struct ip_prefix *prefixes = xmalloc(n * sizeof *prefixes);

    for (size_t i = 0; i < n; i++) {
        prefixes[i] = random_prefix(seed);
    }
    return prefixes;
}

static int
compare_routes(const void *a, const void *b)
{
    return egress_route_compare_precedence(*(const struct egress_route *const *) a,
                                           *(const struct egress_route *const *) b);
}

static struct route_class
random_class(uint32_t *seed)
{
    struct route_class class = { .n_routes = 1 + dice(seed, 5) };

    class.routes = xmalloc(class.n_routes * sizeof *class.routes);
    for (size_t i = 0; i < class.n_routes; i++) {
        char name[] = { 'a' + i, '\0' };
        struct egress_policy *policy = test_policy(name, dice(seed, 3));
        struct egress_route *route;

        policy->n_destinations = dice(seed, 2) ? dice(seed, 5) : 0;
        policy->destinations = random_prefixes(seed, policy->n_destinations);
        policy->n_exceptions = dice(seed, 4);
        policy->exceptions = random_prefixes(seed, policy->n_exceptions);
        policy->on_no_gateway = dice(seed, 2) ? ON_NO_GATEWAY_DROP : ON_NO_GATEWAY_FALLBACK;
        route = test_route(policy, i + 1, dice(seed, 4) ? "172.16.18.131" : NULL,
                           dice(seed, 4) ? "fd00:18::131" : NULL);
        route->state = dice(seed, 6) ? ROUTE_ACTIVE : ROUTE_NO_GATEWAY;
        class.routes[i] = route;
    }
    qsort(class.routes, class.n_routes, sizeof *class.routes, compare_routes);
    return class;
}

static void
class_destroy(struct route_class *class)
{
    for (size_t i = 0; i < class->n_routes; i++) {
        egress_route_unref(class->routes[i]);
    }
    free(class->routes);
}

/* Compiles 'class' into 'sw', which had nothing. */
static void
compile_into(struct fake_switch *sw, const struct route_class *class)
{
    struct compile_context ctx = { .emit = insert, .aux = sw, .table_base = TABLE_BASE };

    sw->n = 0;
    compile_class(&ctx, class);
}

static void
test_flows_follow_the_rule(void **state)
{
    struct fake_switch *sw = *state;
    size_t n_outcomes[3] = { 0 };
    uint32_t seed = 1;

    for (int i = 0; i < 3000; i++) {
        struct route_class class = random_class(&seed);

        compile_into(sw, &class);
        for (int j = 0; j < 20; j++) {
            struct in6_addr ip = random_address(&seed);
            int expected = by_the_rule(&class, &ip);
            int actual = walk(sw, route_class_id(&class), &ip);

            if (actual != expected) {
                char *text = ip_to_string(&ip);

                print_error("class %d, packet to %s: %d, but the rule says %d\n", i, text, actual, expected);
                free(text);
            }
            assert_int_equal(actual, expected);
            n_outcomes[expected == DROPPED ? 0 : expected == RETURNED ? 1 : 2]++;
        }
        class_destroy(&class);
    }
    for (size_t i = 0; i < ARRAY_SIZE(n_outcomes); i++) {
        assert_true(n_outcomes[i] > 3000);
    }
}

/* Returns a class of 'n' routes to anywhere, each with an exception of its own. */
static struct route_class
excepting_class(size_t n)
{
    struct route_class class = { xmalloc(n * sizeof *class.routes), n };

    for (size_t i = 0; i < n; i++) {
        char name[] = { 'a' + i, '\0' };
        struct egress_policy *policy = test_policy(name, -i);
        char *cidr = xasprintf("10.%"PRIuSIZE".0.0/16", i);

        test_policy_add_exception(policy, cidr);
        free(cidr);
        class.routes[i] = test_route(policy, i + 1, "172.16.18.131", "fd00:18::131");
    }
    return class;
}

static void
test_many_excepting_policies_take_a_flow_each(void **state)
{
    struct fake_switch *sw = *state;
    struct route_class class = excepting_class(12);

    compile_into(sw, &class);
    assert_int_equal(sw->n, 12 + N_IP_FAMILIES + 1);    /* The exceptions, anywhere, and no route. */
    for (uint32_t i = 0; i < 16; i++) {
        struct in6_addr ip = ip_from_v4(htonl(0x0a000001 | i << 16));

        assert_int_equal(walk(sw, route_class_id(&class), &ip), i ? 1 : 2);
    }
    class_destroy(&class);
}

static void
test_many_destinations_keep_their_order(void **state)
{
    struct fake_switch *sw = *state;
    struct route_class class = { xmalloc(2 * sizeof *class.routes), 2 };
    struct egress_policy *low = test_policy("low", -1);
    struct egress_policy *high = test_policy("high", 0);

    for (uint32_t i = 0; i < 3000; i++) {
        char *cidr = xasprintf("10.%u.%u.0/24", i / 256, i % 256);

        test_policy_add_destination(low, cidr);
        free(cidr);
    }
    test_policy_add_destination(high, "10.0.0.0/8");
    class.routes[0] = test_route(high, 1, "172.16.18.131", NULL);
    class.routes[1] = test_route(low, 2, "172.16.18.132", NULL);
    compile_into(sw, &class);
    assert_int_equal(sw->n, 3000 + 1 + 1);
    for (uint32_t i = 0; i < 3100; i += 50) {
        struct in6_addr ip = ip_from_v4(htonl(0x0a000001 | i << 8));

        assert_int_equal(walk(sw, route_class_id(&class), &ip), 1);
    }
    class_destroy(&class);
}

static int
setup(void **state)
{
    *state = xmalloc(sizeof(struct fake_switch));
    return 0;
}

static int
teardown(void **state)
{
    free(*state);
    return 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flows_follow_the_rule, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_excepting_policies_take_a_flow_each, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_destinations_keep_their_order, setup, teardown),
    };

    return cmocka_run_group_tests_name("compile-rule", tests, NULL, NULL);
}
