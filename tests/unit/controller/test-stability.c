#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "bitmap.h"
#include "pipeline/stable-hash.h"
#include "tests/unit/controller/resolve-fixture.h"
#include "util.h"

/* What one object's coming or going changes for the others, and on what nothing may depend. */

#define N_NODES 20
#define N_POLICIES 1000

static void
add_policies(struct egress_model *model, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        char *name = xasprintf("p%"PRIuSIZE, i);

        add_policy(model, name, NULL, "p")->created = i;
        free(name);
    }
}

/* 20 nodes, and 1,000 policies with addresses of both families from a pool of 1,100 of IPv4. */
static int
setup(void **state)
{
    struct egress_model *model = xmalloc(sizeof *model);

    egress_model_init(model);
    add_nodes(model, N_NODES);
    add_pool(model, "p", "10.0.0.1-10.0.4.76 2001:db8::/64");
    add_policies(model, 0, N_POLICIES);
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

static const char *
owner_of(const struct egress_route *route)
{
    assert_true(route->candidates.n == ROUTE_MAX_CANDIDATES);
    return route->candidates.names[0];
}

/* Asserts that all the routes in 'before' have their number and addresses in 'after' too. */
static void
check_numbers_and_ips_stay(const struct shash *before, const struct shash *after)
{
    const struct shash_node *node;

    SHASH_FOR_EACH (node, before) {
        const struct egress_route *old = node->data;
        const struct egress_route *new = shash_find_data(after, node->name);

        assert_non_null(new);
        assert_int_equal(old->number, new->number);
        assert_memory_equal(old->egress_ips, new->egress_ips, sizeof old->egress_ips);
    }
}

static void
test_node_goes(void **state)
{
    struct egress_model *model = *state;
    struct shash before, after;
    const struct shash_node *node;
    size_t n_moved = 0;

    resolve_model(model, NULL, &before, NULL);
    remove_node(model, "n7");
    resolve_model(model, NULL, &after, NULL);
    check_numbers_and_ips_stay(&before, &after);
    SHASH_FOR_EACH (node, &before) {
        const struct egress_route *old = node->data;
        const struct egress_route *new = shash_find_data(&after, node->name);

        if (strcmp(owner_of(old), "n7")) {
            assert_string_equal(owner_of(old), owner_of(new));
        } else {
            /* To whom the switches fail over meanwhile. */
            assert_string_equal(old->candidates.names[1], owner_of(new));
            n_moved++;
        }
    }
    assert_in_range(n_moved, N_POLICIES / N_NODES / 2, N_POLICIES / N_NODES * 2);
    destroy_routes(&before);
    destroy_routes(&after);
}

static void
test_node_comes(void **state)
{
    struct egress_model *model = *state;
    struct shash before, after;
    const struct shash_node *node;
    size_t n_moved = 0;

    resolve_model(model, NULL, &before, NULL);
    add_node(model, "new", "192.168.9.9");
    resolve_model(model, NULL, &after, NULL);
    check_numbers_and_ips_stay(&before, &after);
    SHASH_FOR_EACH (node, &before) {
        const struct egress_route *new = shash_find_data(&after, node->name);

        if (strcmp(owner_of(node->data), owner_of(new))) {
            assert_string_equal(owner_of(new), "new");
            n_moved++;
        }
    }
    assert_in_range(n_moved, N_POLICIES / N_NODES / 2, N_POLICIES / N_NODES * 2);
    destroy_routes(&after);

    /* With history nothing moves at all. */
    resolve_model(model, &before, &after, NULL);
    SHASH_FOR_EACH (node, &before) {
        assert_string_equal(owner_of(node->data),
                            owner_of(shash_find_data(&after, node->name)));
    }
    destroy_routes(&before);
    destroy_routes(&after);
}

static void
test_spread(void **state)
{
    struct egress_model *model = *state;
    struct shash routes;

    resolve_model(model, NULL, &routes, NULL);
    for (size_t rank = 0; rank < ROUTE_MAX_CANDIDATES; rank++) {
        size_t counts[N_NODES] = { 0 };
        const struct shash_node *node;

        SHASH_FOR_EACH (node, &routes) {
            const struct egress_route *route = node->data;
            counts[atoi(route->candidates.names[rank] + 1)]++;
        }
        for (size_t i = 0; i < N_NODES; i++) {
            assert_in_range(counts[i], N_POLICIES / N_NODES / 2, N_POLICIES / N_NODES * 2);
        }
    }
    destroy_routes(&routes);
}

/* Younger policies take nothing away, even from a pool that they fill. */
static void
test_younger_policies_come(void **state)
{
    struct egress_model *model = *state;
    struct shash before, after;

    resolve_model(model, NULL, &before, NULL);
    add_policies(model, N_POLICIES, 1100);
    resolve_model(model, NULL, &after, NULL);
    check_numbers_and_ips_stay(&before, &after);
    destroy_routes(&before);
    destroy_routes(&after);
}

/* In a pool with room an older one takes nothing away either. */
static void
test_older_policy_comes(void **state)
{
    struct egress_model *model = *state;
    struct egress_pool *pool = shash_find_data(&model->pools, "Pool/p");
    struct shash before, after;

    assert_true(ip_parse_address("10.255.255.255", &pool->ranges[0].last));
    resolve_model(model, NULL, &before, NULL);
    add_policy(model, "old", NULL, "p")->created = -1;
    resolve_model(model, NULL, &after, NULL);
    check_numbers_and_ips_stay(&before, &after);
    destroy_routes(&before);
    destroy_routes(&after);
}

/* Returns a model like 'model' with everything inserted backwards. */
static void
copy_backwards(const struct egress_model *model, struct egress_model *copy)
{
    egress_model_init(copy);

    const struct shash_node **policies = shash_sort(&model->policies);
    for (size_t i = shash_count(&model->policies); i-- > 0; ) {
        shash_add(&copy->policies, policies[i]->name, egress_policy_ref(policies[i]->data));
    }
    free(policies);

    const struct shash_node **nodes = shash_sort(&model->nodes);
    for (size_t i = shash_count(&model->nodes); i-- > 0; ) {
        shash_add(&copy->nodes, nodes[i]->name, cluster_node_ref(nodes[i]->data));
    }
    free(nodes);

    const struct shash_node **pools = shash_sort(&model->pools);
    for (size_t i = shash_count(&model->pools); i-- > 0; ) {
        shash_add(&copy->pools, pools[i]->name, egress_pool_ref(pools[i]->data));
    }
    free(pools);
}

static void
test_order_of_insertion(void **state)
{
    struct egress_model *model = *state;
    struct egress_model copy;

    /* Many of one age, and some that are refused. */
    add_pool(model, "q", "10.0.1.0/24 10.9.0.0/28");
    for (size_t i = 0; i < 30; i++) {
        char *name = xasprintf("q%"PRIuSIZE, i);
        add_policy(model, name, i % 3 ? NULL : "10.9.0.3", i % 3 ? "q" : NULL);
        free(name);
    }
    copy_backwards(model, &copy);

    char *text = resolve_to_text(model, NULL);
    check_resolves(&copy, NULL, text);
    assert_non_null(strstr(text, "is exhausted"));
    assert_non_null(strstr(text, "is already claimed"));
    free(text);
    egress_model_destroy(&copy);
}

/* With its own result as history, resolving comes to the same, refusals included. */
static void
test_resolving_again(void **state)
{
    struct egress_model *model = *state;
    struct problem_list problems;
    struct shash previous;

    add_policies(model, N_POLICIES, 1200);
    add_policy(model, "a", "10.0.0.3 2001:db8::3", NULL)->created = 1;
    add_policy(model, "b", "10.0.0.4 2001:db8::3", NULL)->created = 2;
    add_policy(model, "c", "10.0.0.4", NULL)->created = 3;
    add_policy(model, "d", NULL, NULL)->use_node_ip = true;
    resolve_model(model, NULL, &previous, &problems);
    assert_int_equal(problems.n, 103);      /* 102 more addresses than there are, and b's. */

    char *text = resolve_to_text(model, NULL);
    check_resolves(model, &previous, text);
    free(text);
    problem_list_destroy(&problems);
    destroy_routes(&previous);
}

/* Policies with one number, which are some among so many, get different ones. */
static void
test_number_collisions(void **state)
{
    struct egress_model *model = *state;
    unsigned long *used = bitmap_allocate(ROUTE_NUMBER_MAX + 1);
    const struct shash_node *node;
    struct problem_list problems;
    struct shash routes;
    size_t n_displaced = 0;

    add_policies(model, N_POLICIES, 10000);
    resolve_model(model, NULL, &routes, &problems);
    problem_list_destroy(&problems);
    SHASH_FOR_EACH (node, &routes) {
        const struct egress_route *route = node->data;

        assert_in_range(route->number, 1, ROUTE_NUMBER_MAX);
        assert_false(bitmap_is_set(used, route->number));
        bitmap_set1(used, route->number);
        if (route->number != stable_hash_string(node->name) % ROUTE_NUMBER_MAX + 1) {
            n_displaced++;
        }
    }
    assert_in_range(n_displaced, 1, 20);
    bitmap_free(used);
    destroy_routes(&routes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
        TEST(test_node_goes),
        TEST(test_node_comes),
        TEST(test_spread),
        TEST(test_younger_policies_come),
        TEST(test_older_policy_comes),
        TEST(test_order_of_insertion),
        TEST(test_resolving_again),
        TEST(test_number_collisions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
