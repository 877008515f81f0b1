#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/controller/resolve-fixture.h"

#include <stdlib.h>
#include <string.h>

#include "controller/resolve.h"
#include "openvswitch/dynamic-string.h"
#include "util.h"

/* Calls 'add' for each word of 'words'. */
static void
for_each_word(const char *words, void (*add)(const char *word, void *aux), void *aux)
{
    char *copy = xstrdup(words);
    char *save_ptr = NULL;

    for (char *word = strtok_r(copy, " ", &save_ptr); word;
         word = strtok_r(NULL, " ", &save_ptr)) {
        add(word, aux);
    }
    free(copy);
}

static void
add_egress_ip(const char *word, void *policy_)
{
    struct egress_policy *policy = policy_;
    struct in6_addr addr;

    assert_true(ip_parse_address(word, &addr));
    policy->egress_ips[ip_family_of(&addr)] = addr;
}

/* Adds the policy "Egress/NAME" with the addresses in 'egress_ips', separated by spaces, and
 * the pool "Pool/POOL".  Both may be NULL. */
struct egress_policy *
add_policy(struct egress_model *model, const char *name, const char *egress_ips, const char *pool)
{
    char *id = xasprintf("Egress/%s", name);
    struct egress_policy *policy = egress_policy_create(id, name);

    policy->egress_ip_field = "spec.egressIP";
    policy->pool_field = "spec.pool";
    if (egress_ips) {
        for_each_word(egress_ips, add_egress_ip, policy);
    }
    policy->pool = pool ? xasprintf("Pool/%s", pool) : NULL;
    shash_add_assert(&model->policies, id, policy);
    free(id);
    return policy;
}

static void
add_pool_addresses(const char *word, void *pool_)
{
    struct egress_pool *pool = pool_;

    if (strchr(word, '/')) {
        pool->cidrs = xrealloc(pool->cidrs, (pool->n_cidrs + 1) * sizeof *pool->cidrs);
        assert_null(ip_parse_prefix(word, &pool->cidrs[pool->n_cidrs++]));
    } else {
        pool->ranges = xrealloc(pool->ranges, (pool->n_ranges + 1) * sizeof *pool->ranges);
        assert_null(ip_parse_range(word, &pool->ranges[pool->n_ranges++]));
    }
}

/* Adds the pool "Pool/NAME" with the ranges and CIDRs in 'addresses', separated by spaces. */
struct egress_pool *
add_pool(struct egress_model *model, const char *name, const char *addresses)
{
    char *id = xasprintf("Pool/%s", name);
    struct egress_pool *pool = egress_pool_create(id, name);

    for_each_word(addresses, add_pool_addresses, pool);
    shash_add_assert(&model->pools, id, pool);
    free(id);
    return pool;
}

/* Adds a node, Ready, with 'address' as its InternalIP. */
struct cluster_node *
add_node(struct egress_model *model, const char *name, const char *address)
{
    struct cluster_node *node = cluster_node_create(name);
    struct in6_addr addr;

    assert_true(ip_parse_address(address, &addr));
    node->addresses[ip_family_of(&addr)] = addr;
    shash_add_assert(&model->nodes, name, node);
    return node;
}

/* Adds 'n' nodes, up to 65,536, named "n0" onwards. */
void
add_nodes(struct egress_model *model, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *name = xasprintf("n%"PRIuSIZE, i);
        char *address = xasprintf("192.168.%"PRIuSIZE".%"PRIuSIZE, i / 256, i % 256);

        add_node(model, name, address);
        free(address);
        free(name);
    }
}

void
remove_node(struct egress_model *model, const char *name)
{
    cluster_node_unref(shash_find_and_delete_assert(&model->nodes, name));
}

void
remove_policy(struct egress_model *model, const char *name)
{
    char *id = xasprintf("Egress/%s", name);

    egress_policy_unref(shash_find_and_delete_assert(&model->policies, id));
    free(id);
}

/* Resolves 'model' into 'routes', which it initializes; so it does 'problems', unless that is
 * NULL: then there must be none. */
void
resolve_model(const struct egress_model *model, const struct shash *previous,
              struct shash *routes, struct problem_list *problems)
{
    struct resolve_input input = { .model = model, .previous = previous };
    struct problem_list list;

    shash_init(routes);
    problem_list_init(problems ? problems : &list);
    resolve(&input, routes, problems ? problems : &list);
    if (!problems) {
        assert_int_equal(list.n, 0);
        problem_list_destroy(&list);
    }
}

const struct egress_route *
get_route(const struct shash *routes, const char *name)
{
    char *id = xasprintf("Egress/%s", name);
    const struct egress_route *route = shash_find_data(routes, id);

    assert_non_null(route);
    free(id);
    return route;
}

void
destroy_routes(struct shash *routes)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, routes) {
        egress_route_unref(node->data);
    }
    shash_destroy(routes);
}

static void
format_route(const struct egress_route *route, struct ds *s)
{
    ds_put_format(s, "%s:", route->policy->name);
    for (size_t i = 0; i < N_IP_FAMILIES; i++) {
        if (ip_is_set(&route->egress_ips[i])) {
            ds_put_char(s, ' ');
            ip_format(&route->egress_ips[i], s);
        }
    }
    if (route->candidates.n) {
        char *candidates = svec_join(&route->candidates, ",", "");
        ds_put_format(s, " via %s", candidates);
        free(candidates);
    }
    if (route->state != ROUTE_ACTIVE) {
        ds_put_format(s, " (%s)", route_state_name(route->state));
    }
    ds_put_char(s, '\n');
}

/* Returns what 'model' resolves to: a line for every route, "NAME: ADDRESSES via CANDIDATES
 * (STATE)", by name, then one for every problem, "OBJECT: TEXT".  The caller frees it. */
char *
resolve_to_text(const struct egress_model *model, const struct shash *previous)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    struct problem_list problems;
    struct shash routes;

    resolve_model(model, previous, &routes, &problems);
    assert_int_equal(shash_count(&routes), shash_count(&model->policies));

    const struct shash_node **sorted = shash_sort(&routes);
    for (size_t i = 0; i < shash_count(&routes); i++) {
        const struct egress_route *route = sorted[i]->data;

        assert_ptr_equal(route->policy, shash_find_data(&model->policies, sorted[i]->name));
        assert_int_equal(route->reason != NULL, route->state != ROUTE_ACTIVE);
        format_route(route, &s);
    }
    free(sorted);
    for (size_t i = 0; i < problems.n; i++) {
        ds_put_format(&s, "%s: %s\n", problems.problems[i].object, problems.problems[i].text);
    }
    problem_list_destroy(&problems);
    destroy_routes(&routes);
    return ds_steal_cstr(&s);
}

void
check_resolves(const struct egress_model *model, const struct shash *previous,
               const char *expected)
{
    char *actual = resolve_to_text(model, previous);

    assert_string_equal(actual, expected);
    free(actual);
}
