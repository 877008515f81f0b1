#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "k8s/json-c.h"
#include "k8s/manifest.h"
#include "k8s/route-object.h"
#include "openvswitch/dynamic-string.h"
#include "pipeline/model.h"
#include "random.h"
#include "tests/unit/k8s/decode-fixture.h"
#include "util.h"

#define N_ROUTES 2000

/* Random routes. */

static bool
flip(void)
{
    return random_uint32() & 1;
}

static struct in6_addr
random_address(enum ip_family family)
{
    struct in6_addr addr;

    if (family == IP_V4) {
        return ip_from_v4(htonl(0x0a000000 | (random_uint32() & 0xffffff)));
    }
    random_bytes(&addr, sizeof addr);
    addr.s6_addr[0] = 0x20;
    return addr;
}

/* Sets '*prefixes' to up to three of them and returns their number. */
static size_t
random_prefixes(struct ip_prefix **prefixes)
{
    size_t n = random_range(4);

    *prefixes = n ? xmalloc(n * sizeof **prefixes) : NULL;
    for (size_t i = 0; i < n; i++) {
        char *s = (flip() ? xasprintf("10.%u.%u.0/%d", random_range(256), random_range(256), 24)
                   : xasprintf("2001:db8:%x::/48", random_range(0x10000)));
        char *error = ip_parse_prefix(s, &(*prefixes)[i]);

        assert_null(error);
        free(s);
    }
    return n;
}

static bool
random_selector(struct label_selector *selector)
{
    static const char *const keys[] = { "app", "example.com/team", "kubernetes.io/metadata.name" };

    if (flip()) {
        return false;
    }
    for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
        if (flip()) {
            char *value = xasprintf("v%u", random_range(10));
            smap_add(&selector->match_labels, keys[i], flip() ? value : "");
            free(value);
        }
        if (flip()) {
            struct svec values = SVEC_EMPTY_INITIALIZER;
            enum selector_operator op = random_range(4);

            svec_add(&values, "b");
            if (flip()) {
                svec_add(&values, "a");
            }
            label_selector_add_requirement(selector, keys[i], op, &values);
            svec_destroy(&values);
        }
    }
    return true;
}

static struct egress_policy *
random_policy(void)
{
    static const char *const kinds[] = {
        "Egress.crd.antrea.io/", "EgressPolicy.ovs-egress.io/", "EgressPolicy.example.com/ns-1/",
        "Pod/ns-2/",
    };
    char *name = xasprintf("p%u.x-%u", random_range(1000), random_range(1000));
    char *id = xasprintf("%s%s", kinds[random_range(ARRAY_SIZE(kinds))], name);
    struct egress_policy *policy = egress_policy_create(id, name);

    free(id);
    free(name);
    for (size_t i = random_range(4); i > 0; i--) {
        struct policy_subject *subject = egress_policy_add_subject(policy);

        subject->has_namespace_selector = random_selector(&subject->namespace_selector);
        subject->has_pod_selector = random_selector(&subject->pod_selector);
        subject->namespace = flip() ? xstrdup("ns-1") : NULL;
        subject->n_pod_cidrs = random_prefixes(&subject->pod_cidrs);
    }
    policy->created = flip() ? random_uint32() : 0;
    policy->n_destinations = random_prefixes(&policy->destinations);
    policy->n_exceptions = random_prefixes(&policy->exceptions);
    for (enum ip_family family = 0; family < N_IP_FAMILIES; family++) {
        policy->egress_ips[family] = flip() ? random_address(family) : in6addr_any;
    }
    policy->pool = flip() ? xstrdup("ExternalIPPool.crd.antrea.io/pool.1") : NULL;
    policy->use_node_ip = flip();
    policy->has_node_selector = random_selector(&policy->node_selector);
    policy->priority = flip() ? random_uint32() : 0;
    policy->bandwidth = flip() ? random_uint64() >> random_range(40) >> 1 : 0;
    policy->burst = flip() ? random_uint64() >> random_range(40) >> 1 : 0;
    policy->on_no_gateway = flip() ? ON_NO_GATEWAY_FALLBACK : ON_NO_GATEWAY_DROP;
    return policy;
}

static struct egress_route *
random_route(void)
{
    struct egress_policy *policy = random_policy();
    struct egress_route *route = egress_route_create(policy, 1 + random_range(ROUTE_NUMBER_MAX));

    egress_policy_unref(policy);
    for (enum ip_family family = 0; family < N_IP_FAMILIES; family++) {
        route->egress_ips[family] = flip() ? random_address(family) : in6addr_any;
    }
    for (size_t i = random_range(ROUTE_MAX_CANDIDATES + 1); i > 0; i--) {
        char *node = xasprintf("node-%"PRIuSIZE, i);        /* Not sorted. */
        svec_add(&route->candidates, node);
        free(node);
    }
    route->state = random_range(3);
    route->reason = route->state != ROUTE_ACTIVE ? xstrdup("no \"node\"\nis\tready: \xc3\xa4")
                                                 : NULL;
    return route;
}

/* What decoding yields. */

static void
take_route(struct manifest_object *mo, void *route_)
{
    struct egress_route **route = route_;

    assert_null(mo->error);
    assert_int_equal(mo->type, OBJECT_ROUTE);
    *route = mo->object;
    mo->object = NULL;
}

/* Through text, as between manager and agent. */
static struct egress_route *
encode_and_decode(const struct egress_route *route)
{
    struct json_object *json = egress_route_to_json(route);
    char *text = xstrdup(json_object_to_json_string(json));
    struct json_object *again = json_tokener_parse(text);
    struct egress_route *decoded = NULL;

    manifest_decode(again, "f", take_route, &decoded);
    json_release(json);
    json_release(again);
    free(text);
    return decoded;
}

static void
test_decoding_inverts_encoding(void **state)
{
    random_set_seed(1);
    for (int i = 0; i < N_ROUTES; i++) {
        struct egress_route *route = random_route();
        struct egress_route *decoded = encode_and_decode(route);

        assert_non_null(decoded);
        assert_true(egress_route_equals(route, decoded));
        assert_string_equal(decoded->policy->origin, "f");
        egress_route_unref(route);
        egress_route_unref(decoded);
    }
}

/* Whether a route's object has to be written anew can be told by its text. */
static void
test_equal_routes_look_equal(void **state)
{
    random_set_seed(2);
    for (int i = 0; i < N_ROUTES / 10; i++) {
        struct egress_route *route = random_route();
        struct egress_route *decoded = encode_and_decode(route);
        struct json_object *a = egress_route_to_json(route);
        struct json_object *b = egress_route_to_json(decoded);

        assert_string_equal(json_object_to_json_string(a), json_object_to_json_string(b));
        json_release(a);
        json_release(b);
        egress_route_unref(route);
        egress_route_unref(decoded);
    }
}

static void
test_whole_object(void **state)
{
    struct egress_policy *policy = egress_policy_create("Egress.crd.antrea.io/lab", "lab");
    struct policy_subject *subject = egress_policy_add_subject(policy);
    struct egress_route *route;

    subject->has_namespace_selector = true;
    smap_add(&subject->namespace_selector.match_labels, "team", "a");
    policy->egress_ips[IP_V4] = ip_from_v4(htonl(0x0a000001));
    policy->egress_ip_field = "spec.egressIP";
    policy->pool = xstrdup("ExternalIPPool.crd.antrea.io/p");
    policy->created = 1714564800;
    route = egress_route_create(policy, 7);
    route->egress_ips[IP_V4] = policy->egress_ips[IP_V4];
    svec_add(&route->candidates, "node-02");
    svec_add(&route->candidates, "node-01");

    struct json_object *json = egress_route_to_json(route);
    assert_string_equal(
        json_object_to_json_string_ext(json, JSON_C_TO_STRING_NOSLASHESCAPE),
        "{\"apiVersion\":\"ovs-egress.io/v1alpha1\",\"kind\":\"EgressRoute\","
        "\"metadata\":{\"name\":\"lab.egress.crd.antrea.io\"},"
        "\"spec\":{\"policyRef\":{\"group\":\"crd.antrea.io\",\"kind\":\"Egress\",\"name\":\"lab\"},"
        "\"number\":7,\"egressIPs\":[\"10.0.0.1\"],\"candidates\":[\"node-02\",\"node-01\"],"
        "\"state\":\"Active\","
        "\"appliedTo\":[{\"namespaceSelector\":{\"matchLabels\":{\"team\":\"a\"}}}],"
        "\"requestedIPs\":[\"10.0.0.1\"],"
        "\"poolRef\":{\"group\":\"crd.antrea.io\",\"kind\":\"ExternalIPPool\",\"name\":\"p\"},"
        "\"created\":\"2024-05-01T12:00:00Z\"}}");
    json_release(json);
    egress_route_unref(route);
    egress_policy_unref(policy);
}

/* Names. */

static void
assert_name(const char *policy_id, const char *expected)
{
    char *name = egress_route_object_name(policy_id);

    assert_string_equal(name, expected);
    assert_true(strlen(name) <= 253);
    free(name);
}

static void
test_object_names(void **state)
{
    char *long_id = xasprintf("Egress.crd.antrea.io/%0253d", 0);
    char *long_name = egress_route_object_name(long_id);

    assert_name("Egress.crd.antrea.io/egress-lab", "egress-lab.egress.crd.antrea.io");
    assert_name("EgressPolicy.example.com/ns/a.b", "a.b.ns.egresspolicy.example.com");
    assert_name("Pod/ns/a", "a.ns.pod");
    /* No names for Kubernetes, or not certain to be anybody's own. */
    assert_name("Egress.crd.antrea.io/Lab", "lab-f841cfd84796290d.egress.crd.antrea.io");
    assert_name("Egress.crd.antrea.io/a:b", "axb-de7db2720da2cb43.egress.crd.antrea.io");
    assert_int_equal(strlen(long_name), 253);
    assert_string_equal(long_name + strlen(long_name) - strlen(".egress.crd.antrea.io"),
                        ".egress.crd.antrea.io");
    free(long_name);
    free(long_id);
}

/* Errors. */

#define ROUTE(NAME, SPEC) "apiVersion: ovs-egress.io/v1alpha1\nkind: EgressRoute\n" \
                          "metadata: {name: " NAME "}\nspec: {" SPEC "}\n"
#define REF "policyRef: {group: g, kind: K, name: n}, "
#define RIGHT REF "number: 1, state: Active"

static void
test_what_is_wrong(void **state)
{
    assert_decodes(ROUTE("n.k.g", RIGHT ", fromTheFuture: 1"), "route K.g/n\n");
    assert_decodes(ROUTE("n", RIGHT),
                   "3 K.g/n: metadata.name: expected n.k.g for the route of K.g/n\n");
    assert_decodes(ROUTE("n.k.g", "number: 1, state: Active"),
                   "4 EgressRoute.ovs-egress.io/n.k.g: spec.policyRef: is missing\n");
    assert_decodes(ROUTE("n.k.g", REF "state: Active"),
                   "4 K.g/n: spec.number: is missing, expected 1 to 8388607\n");
    assert_decodes(ROUTE("n.k.g", REF "number: 8388608, state: Active"),
                   "4 K.g/n: spec.number: 8388608 is out of range, expected 1 to 8388607\n");
    assert_decodes(ROUTE("n.k.g", REF "number: 1"),
                   "4 K.g/n: spec.state: is missing, expected like Active\n");
    assert_decodes(ROUTE("n.k.g", REF "number: 1, state: Well"),
                   "4 K.g/n: spec.state: \"Well\" is unknown, expected Active, NoEgressIP or "
                   "NoGateway\n");
    assert_decodes(ROUTE("n.k.g", RIGHT ", candidates: [a, b, c, d]"),
                   "4 K.g/n: spec.candidates: has 4 nodes, expected at most 3\n");
    assert_decodes(ROUTE("n.k.g", RIGHT ", onNoGateway: Panic"),
                   "4 K.g/n: spec.onNoGateway: \"Panic\" is unknown, expected Drop or Fallback\n");
    assert_decodes(ROUTE("n.k.g", RIGHT ", created: noon"),
                   "4 K.g/n: spec.created: \"noon\" is no time, expected like "
                   "2024-05-01T12:00:00Z\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoding_inverts_encoding),
        cmocka_unit_test(test_equal_routes_look_equal),
        cmocka_unit_test(test_whole_object),
        cmocka_unit_test(test_object_names),
        cmocka_unit_test(test_what_is_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
