#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/unit/controller/resolve-fixture.h"
#include "util.h"

/* Three Ready nodes at 192.168.0.0 to 192.168.0.2; n0 also has IPv6. */
static int
setup(void **state)
{
    struct egress_model *model = xmalloc(sizeof *model);

    egress_model_init(model);
    add_nodes(model, 3);
    struct cluster_node *n0 = shash_find_data(&model->nodes, "n0");
    assert_true(ip_parse_address("fd00::1", &n0->addresses[IP_V6]));
    *state = model;
    return 0;
}

static int
teardown(void **state)
{
    egress_model_destroy(*state);
    free(*state);
    return 0;
}

static void
select_nodes(struct egress_policy *policy, const char *key, const char *value)
{
    policy->has_node_selector = true;
    smap_add(&policy->node_selector.match_labels, key, value);
}

static void
label_node(struct egress_model *model, const char *name, const char *key, const char *value)
{
    struct cluster_node *node = shash_find_data(&model->nodes, name);

    smap_replace(&node->labels, key, value);
}

static void
test_explicit(void **state)
{
    struct egress_model *model = *state;

    add_policy(model, "both", "10.0.0.1 2001:db8::1", NULL);
    add_policy(model, "v6", "2001:db8::2", NULL);
    check_resolves(model, NULL,
                   "both: 10.0.0.1 2001:db8::1 via n2,n1,n0\n"
                   "v6: 2001:db8::2 via n2,n1,n0\n");
}

static void
test_neither_address_nor_pool(void **state)
{
    struct egress_model *model = *state;

    add_policy(model, "a", NULL, NULL);
    check_resolves(model, NULL,
                   "a: (no egress IP)\n"
                   "Egress/a: spec.egressIP: missing, and no pool is named that an address could "
                   "be taken from\n");
}

static void
test_unusable_addresses(void **state)
{
    struct egress_model *model = *state;
    struct cluster_node *n1 = shash_find_data(&model->nodes, "n1");

    n1->all_addresses = xmalloc(sizeof *n1->all_addresses);
    assert_true(ip_parse_address("203.0.113.7", &n1->all_addresses[0]));
    n1->n_all_addresses = 1;
    add_policy(model, "a", "192.168.0.2", NULL);
    add_policy(model, "b", "203.0.113.7", NULL);
    add_policy(model, "c", "10.0.0.1 fd00::1", NULL);
    add_policy(model, "d", "224.0.0.1", NULL);
    add_policy(model, "e", "0.0.0.0", NULL);
    add_policy(model, "f", "ff02::1", NULL);
    add_policy(model, "g", "fe80::1", NULL);
    add_policy(model, "h", "169.254.0.1", NULL);
    check_resolves(model, NULL,
                   "a: (no egress IP)\n"
                   "b: (no egress IP)\n"
                   "c: (no egress IP)\n"
                   "d: (no egress IP)\n"
                   "e: (no egress IP)\n"
                   "f: (no egress IP)\n"
                   "g: (no egress IP)\n"
                   "h: (no egress IP)\n"
                   "Egress/a: spec.egressIP: \"192.168.0.2\" is an address of node n2: an egress "
                   "IP must be nobody else's\n"
                   "Egress/b: spec.egressIP: \"203.0.113.7\" is an address of node n1: an egress "
                   "IP must be nobody else's\n"
                   "Egress/c: spec.egressIP: \"fd00::1\" is an address of node n0: an egress "
                   "IP must be nobody else's\n"
                   "Egress/d: spec.egressIP: \"224.0.0.1\" is no unicast address: an egress IP "
                   "must be an address that a host can have\n"
                   "Egress/e: spec.egressIP: \"0.0.0.0\" is no unicast address: an egress IP "
                   "must be an address that a host can have\n"
                   "Egress/f: spec.egressIP: \"ff02::1\" is no unicast address: an egress IP "
                   "must be an address that a host can have\n"
                   "Egress/g: spec.egressIP: \"fe80::1\" is a link-local address, to which nobody "
                   "beyond the link can answer\n"
                   "Egress/h: spec.egressIP: \"169.254.0.1\" is a link-local address, to which "
                   "nobody beyond the link can answer\n");
}

static void
test_explicit_in_pool(void **state)
{
    struct egress_model *model = *state;
    struct egress_pool *pool = add_pool(model, "p", "10.0.0.1-10.0.0.5 10.1.0.0/24");

    assert_true(ip_parse_address("10.1.0.1", &pool->gateways[IP_V4]));
    add_policy(model, "a", "10.0.0.5", "p");
    add_policy(model, "b", "10.0.0.6", "p");
    add_policy(model, "c", "10.1.0.255", "p");
    add_policy(model, "d", "10.1.0.1", "p");
    add_policy(model, "e", "10.1.0.1", NULL);
    add_policy(model, "f", "10.1.0.2", "none");
    check_resolves(model, NULL,
                   "a: 10.0.0.5 via n2,n1,n0\n"
                   "b: (no egress IP)\n"
                   "c: (no egress IP)\n"
                   "d: (no egress IP)\n"
                   "e: (no egress IP)\n"
                   "f: (no egress IP)\n"
                   "Egress/b: spec.egressIP: \"10.0.0.6\" is outside pool Pool/p "
                   "(10.0.0.1-10.0.0.5, 10.1.0.0/24)\n"
                   "Egress/c: spec.egressIP: \"10.1.0.255\" is the network or broadcast address "
                   "of a subnet in pool Pool/p, which nobody can have\n"
                   "Egress/d: spec.egressIP: \"10.1.0.1\" is the gateway of pool Pool/p: an "
                   "egress IP must be nobody else's\n"
                   "Egress/e: spec.egressIP: \"10.1.0.1\" is the gateway of pool Pool/p: an "
                   "egress IP must be nobody else's\n"
                   "Egress/f: spec.pool: there is no pool Pool/none\n");
}

static void
test_claimed_twice(void **state)
{
    struct egress_model *model = *state;

    add_pool(model, "p", "172.16.18.131-172.16.18.140");
    add_policy(model, "a", "172.16.18.131", "p")->created = 200;
    add_policy(model, "b", "172.16.18.131", "p")->created = 100;
    add_policy(model, "c", "172.16.18.131", NULL)->created = 300;
    add_policy(model, "d", "172.16.18.132", NULL);
    check_resolves(model, NULL,
                   "a: (no egress IP)\n"
                   "b: 172.16.18.131 via n0,n2,n1\n"
                   "c: (no egress IP)\n"
                   "d: 172.16.18.132 via n2,n0,n1\n"
                   "Egress/a: spec.egressIP: \"172.16.18.131\" is already claimed by Egress/b\n"
                   "Egress/c: spec.egressIP: \"172.16.18.131\" is already claimed by Egress/b\n");
}

/* What is refused claims nothing, not even the address that it could have had. */
static void
test_refused_claims_nothing(void **state)
{
    struct egress_model *model = *state;

    add_policy(model, "a", "10.0.0.1 ff02::1", NULL);
    add_policy(model, "b", "10.0.0.1 2001:db8::1", NULL);
    check_resolves(model, NULL,
                   "a: (no egress IP)\n"
                   "b: 10.0.0.1 2001:db8::1 via n2,n1,n0\n"
                   "Egress/a: spec.egressIP: \"ff02::1\" is no unicast address: an egress IP "
                   "must be an address that a host can have\n");
}

static void
test_sharing_without_pool(void **state)
{
    struct egress_model *model = *state;

    label_node(model, "n1", "role", "gateway");
    select_nodes(add_policy(model, "a", "10.0.0.1", NULL), "role", "gateway");
    select_nodes(add_policy(model, "b", "10.0.0.1", NULL), "role", "gateway");
    select_nodes(add_policy(model, "c", "10.0.0.1", NULL), "role", "other");
    add_policy(model, "d", "10.0.0.1", NULL);
    select_nodes(add_policy(model, "e", "10.0.0.1 2001:db8::1", NULL), "role", "gateway");
    check_resolves(model, NULL,
                   "a: 10.0.0.1 via n1\n"
                   "b: 10.0.0.1 via n1\n"
                   "c: (no egress IP)\n"
                   "d: (no egress IP)\n"
                   "e: (no egress IP)\n"
                   "Egress/c: spec.egressIP: \"10.0.0.1\" is already claimed by Egress/a, whose "
                   "node selector is not the same: policies that share an egress IP share its "
                   "gateway\n"
                   "Egress/d: spec.egressIP: \"10.0.0.1\" is already claimed by Egress/a, whose "
                   "node selector is not the same: policies that share an egress IP share its "
                   "gateway\n"
                   "Egress/e: spec.egressIP: \"10.0.0.1\" is already claimed by Egress/a, whose "
                   "other egress IP is not the same: policies share all of their egress IPs or "
                   "none\n");
}

static void
test_eligible_nodes(void **state)
{
    struct egress_model *model = *state;
    struct egress_pool *pool = add_pool(model, "p", "10.0.0.1-10.0.0.1");

    add_node(model, "v6-only", "fd00::9");
    add_node(model, "not-ready", "192.168.9.9")->ready = false;
    for (size_t i = 0; i < 3; i++) {
        label_node(model, (const char *[]) { "n0", "n1", "n2" }[i], "role", "gateway");
    }
    label_node(model, "not-ready", "role", "gateway");
    label_node(model, "n1", "zone", "z");
    label_node(model, "not-ready", "zone", "z");
    pool->has_node_selector = true;
    smap_add(&pool->node_selector.match_labels, "zone", "z");

    add_policy(model, "all", "10.9.9.9", NULL);
    select_nodes(add_policy(model, "both", "10.0.0.1", "p"), "role", "gateway");
    select_nodes(add_policy(model, "policy", "10.9.9.8", NULL), "role", "gateway");
    check_resolves(model, NULL,
                   "all: 10.9.9.9 via n1,n0,n2\n"
                   "both: 10.0.0.1 via n1\n"
                   "policy: 10.9.9.8 via n1,n0,n2\n");
}

static void
test_no_gateway(void **state)
{
    struct egress_model *model = *state;
    struct egress_pool *pool = add_pool(model, "p", "10.0.0.1-10.0.0.9");

    pool->has_node_selector = true;
    smap_add(&pool->node_selector.match_labels, "zone", "z");
    select_nodes(add_policy(model, "a", "10.1.0.1", NULL), "role", "gateway");
    select_nodes(add_policy(model, "b", "10.0.0.1", "p"), "role", "gateway");
    add_policy(model, "c", "10.0.0.2", "p");
    check_resolves(model, NULL,
                   "a: 10.1.0.1 (no gateway)\n"
                   "b: 10.0.0.1 (no gateway)\n"
                   "c: 10.0.0.2 (no gateway)\n"
                   "Egress/a: node selector: \"role=gateway\" matches no Ready node with an IPv4 "
                   "InternalIP\n"
                   "Egress/b: node selector: \"role=gateway\" together with \"zone=z\" of pool "
                   "Pool/p matches no Ready node with an IPv4 InternalIP\n"
                   "Egress/c: node selector: \"zone=z\" of pool Pool/p matches no Ready node with "
                   "an IPv4 InternalIP\n");
}

static void
test_no_nodes(void **state)
{
    struct egress_model *model = *state;

    for (size_t i = 0; i < 3; i++) {
        remove_node(model, (const char *[]) { "n0", "n1", "n2" }[i]);
    }
    add_policy(model, "a", "10.1.0.1", NULL);
    check_resolves(model, NULL,
                   "a: 10.1.0.1 (no gateway)\n"
                   "Egress/a: node selector: there is no Ready node with an IPv4 InternalIP\n");
}

static void
test_node_ip(void **state)
{
    struct egress_model *model = *state;

    label_node(model, "n0", "role", "gateway");
    struct egress_policy *a = add_policy(model, "a", NULL, NULL);
    a->use_node_ip = true;
    select_nodes(a, "role", "gateway");
    add_policy(model, "b", NULL, NULL)->use_node_ip = true;
    check_resolves(model, NULL,
                   "a: 192.168.0.0 fd00::1 via n0\n"
                   "b: 192.168.0.0 fd00::1 via n0,n1,n2\n");
}

/* What was decided stays: the number, and the gateway while it is eligible. */
static void
test_previous_number_and_owner(void **state)
{
    struct egress_model *model = *state;
    struct egress_policy *policy = add_policy(model, "a", "10.0.0.1", NULL);
    struct egress_route *before = egress_route_create(policy, 4711);
    struct shash previous = SHASH_INITIALIZER(&previous);
    struct shash routes;

    svec_add(&before->candidates, "n1");
    before->egress_ips[IP_V4] = policy->egress_ips[IP_V4];
    shash_add(&previous, "Egress/a", before);

    check_resolves(model, NULL, "a: 10.0.0.1 via n2,n1,n0\n");
    check_resolves(model, &previous, "a: 10.0.0.1 via n1,n2,n0\n");
    resolve_model(model, &previous, &routes, NULL);
    assert_int_equal(get_route(&routes, "a")->number, 4711);
    destroy_routes(&routes);

    /* Who comes to share the address comes to its gateway. */
    add_policy(model, "0", "10.0.0.1", NULL);
    check_resolves(model, &previous,
                   "0: 10.0.0.1 via n1,n2,n0\n"
                   "a: 10.0.0.1 via n1,n2,n0\n");
    remove_node(model, "n1");
    check_resolves(model, &previous,
                   "0: 10.0.0.1 via n2,n0\n"
                   "a: 10.0.0.1 via n2,n0\n");
    destroy_routes(&previous);
}

/* With history, who has an address is not driven out by an older policy that wants it now. */
static void
test_previous_claim_stays(void **state)
{
    struct egress_model *model = *state;
    struct shash previous;

    add_pool(model, "p", "10.0.0.1-10.0.0.9");
    add_policy(model, "young", "10.0.0.1", "p")->created = 200;
    resolve_model(model, NULL, &previous, NULL);
    add_policy(model, "old", "10.0.0.1", "p")->created = 100;
    check_resolves(model, &previous,
                   "old: (no egress IP)\n"
                   "young: 10.0.0.1 via n2,n1,n0\n"
                   "Egress/old: spec.egressIP: \"10.0.0.1\" is already claimed by Egress/young\n");
    check_resolves(model, NULL,
                   "old: 10.0.0.1 via n2,n1,n0\n"
                   "young: (no egress IP)\n"
                   "Egress/young: spec.egressIP: \"10.0.0.1\" is already claimed by Egress/old\n");
    destroy_routes(&previous);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
        TEST(test_explicit),
        TEST(test_neither_address_nor_pool),
        TEST(test_unusable_addresses),
        TEST(test_explicit_in_pool),
        TEST(test_claimed_twice),
        TEST(test_refused_claims_nothing),
        TEST(test_sharing_without_pool),
        TEST(test_eligible_nodes),
        TEST(test_no_gateway),
        TEST(test_no_nodes),
        TEST(test_node_ip),
        TEST(test_previous_number_and_owner),
        TEST(test_previous_claim_stays),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
