#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "controller/resolve.h"
#include "random.h"
#include "tests/unit/controller/resolve-fixture.h"
#include "util.h"

/* Whatever changes, deciding about what changed comes to what deciding about all does. */

#define N_NODES 12
#define N_NAMES 40
#define N_STEPS 5000

/* With 'broken', a pool has a problem. */
static void
add_world(struct egress_model *model, bool broken)
{
    struct shash_node *node;

    egress_model_init(model);
    add_nodes(model, N_NODES);
    SHASH_FOR_EACH (node, &model->nodes) {
        struct cluster_node *each = node->data;

        smap_add(&each->labels, "zone", random_range(2) ? "a" : "b");
    }
    add_pool(model, "big", "10.0.0.0/24 2001:db8::/64");
    add_pool(model, "small", "10.1.0.1-10.1.0.8");
    add_pool(model, "odd", "10.3.0.0/24 2001:db8:3::1-2001:db8:3::4");
    if (broken) {
        add_pool(model, "twin", "10.1.0.8-10.1.0.9");
    }
}

/* Adds a policy that asks for anything, and mostly for what can be had. */
static void
add_any_policy(struct egress_model *model, const char *name)
{
    struct egress_policy *policy;

    if (!random_range(4)) {
        /* Of 60 addresses, so that they meet, sometimes with somebody who has it out of a pool. */
        char *ips = xasprintf("10.%d.0.%d", random_range(30) ? 2 : 0, 1 + random_range(60));

        policy = add_policy(model, name, ips, random_range(40) ? NULL : "big");
        free(ips);
    } else if (!random_range(8)) {
        policy = add_policy(model, name, NULL, NULL);
        policy->use_node_ip = random_range(20) != 0;
    } else {
        policy = add_policy(model, name, NULL, random_range(4) ? "big" : random_range(3) ? "small" : "odd");
    }
    if (!random_range(5)) {
        policy->has_node_selector = true;
        smap_add(&policy->node_selector.match_labels, "zone",
                 random_range(30) ? random_range(2) ? "a" : "b" : "none");
    }
    policy->created = random_range(5);
    policy->priority = random_range(2);
}

/* Only says something else about what is not decided here. */
static void
add_similar_policy(struct egress_model *model, const char *name, const struct egress_policy *old)
{
    struct egress_policy *policy = add_policy(model, name, NULL, NULL);

    memcpy(policy->egress_ips, old->egress_ips, sizeof policy->egress_ips);
    policy->pool = nullable_xstrdup(old->pool);
    policy->use_node_ip = old->use_node_ip;
    policy->has_node_selector = old->has_node_selector;
    smap_destroy(&policy->node_selector.match_labels);
    smap_clone(&policy->node_selector.match_labels, &old->node_selector.match_labels);
    policy->created = old->created;
    policy->priority = old->priority + 1;
}

/* Changes a few policies and adds their ids to 'ids'. */
static void
change_model(struct egress_model *model, struct sset *ids)
{
    for (int n = 1 + random_range(3); n > 0; n--) {
        char *name = xasprintf("p%d", random_range(N_NAMES));
        char *id = xasprintf("Egress/%s", name);
        struct egress_policy *old = shash_find_data(&model->policies, id);

        old = old ? egress_policy_ref(old) : NULL;
        if (old) {
            remove_policy(model, name);
        }
        if (old && !random_range(3)) {
            add_similar_policy(model, name, old);
        } else if (random_range(4)) {
            add_any_policy(model, name);
        }
        egress_policy_unref(old);
        sset_add(ids, id);
        free(id);
        free(name);
    }
}

/* Are both NULL, or the same decision?  Reasons may name another of those who share an address. */
static bool
same_decision(const struct egress_route *a, const struct egress_route *b)
{
    if (!a || !b) {
        return a == b;
    }
    return (a->number == b->number && a->state == b->state && !a->reason == !b->reason
            && !memcmp(a->egress_ips, b->egress_ips, sizeof a->egress_ips)
            && svec_equal(&a->candidates, &b->candidates)
            && egress_policy_equals(a->policy, b->policy));
}

/* Does 'some' have what 'all' says of 'ids', and 'previous' what it says of the others? */
static void
check_equal(const struct shash *all, const struct shash *some, const struct shash *previous,
            const struct sset *ids)
{
    const char *id;

    SSET_FOR_EACH (id, ids) {
        assert_true(same_decision(shash_find_data(all, id), shash_find_data(some, id)));
    }

    struct shash_node *node;
    SHASH_FOR_EACH (node, all) {
        if (!sset_contains(ids, node->name)) {
            assert_true(same_decision(node->data, shash_find_data(previous, node->name)));
        }
    }
}

static void
check_same_problems(const struct problem_list *a, const struct problem_list *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_string_equal(a->problems[i].object, b->problems[i].object);
    }
}

/* Changes a world of policies again and again, and stores how often that could be decided by what changed. */
static void
run(bool broken, int *n_with_content, int *n_without, int *n_refused)
{
    struct shash previous = SHASH_INITIALIZER(&previous);
    struct problem_list standing;
    struct egress_model model;

    *n_with_content = *n_without = *n_refused = 0;
    random_set_seed(1);
    add_world(&model, broken);
    resolve_model(&model, NULL, &previous, &standing);
    for (int i = 0; i < N_STEPS; i++) {
        struct resolve_input input = { .model = &model, .previous = &previous };
        struct shash all, some = SHASH_INITIALIZER(&some);
        struct sset ids = SSET_INITIALIZER(&ids);
        struct problem_list problems;

        change_model(&model, &ids);
        resolve_model(&model, &previous, &all, &problems);
        if (resolve_changes(&input, &ids, &standing, &some)) {
            check_equal(&all, &some, &previous, &ids);
            check_same_problems(&problems, &standing);
            *(standing.n ? n_without : n_with_content) += 1;
        } else {
            assert_true(shash_is_empty(&some));
            ++*n_refused;
        }
        problem_list_destroy(&standing);
        standing = problems;
        destroy_routes(&previous);
        destroy_routes(&some);
        sset_destroy(&ids);
        previous = (struct shash) SHASH_INITIALIZER(&previous);
        shash_swap(&previous, &all);
        shash_destroy(&all);
    }
    problem_list_destroy(&standing);
    destroy_routes(&previous);
    egress_model_destroy(&model);
    print_message("%d, %d with problems elsewhere, %d refused\n", *n_with_content, *n_without, *n_refused);
}

/* All of these have to occur, or the tests test nothing. */
#define ENOUGH (N_STEPS / 10)

static void
test_changes(void **state OVS_UNUSED)
{
    int n_with_content, n_without, n_refused;

    run(false, &n_with_content, &n_without, &n_refused);
    assert_true(n_with_content > ENOUGH && n_without > ENOUGH && n_refused > ENOUGH);
}

static void
test_changes_with_a_broken_pool(void **state OVS_UNUSED)
{
    int n_with_content, n_without, n_refused;

    run(true, &n_with_content, &n_without, &n_refused);
    assert_true(n_without > ENOUGH && n_refused > ENOUGH);
}

/* One that has no gateway may lack an address besides, which the next one to go leaves to it. */
static void
test_two_problems_of_one_policy(void **state OVS_UNUSED)
{
    struct shash previous, routes = SHASH_INITIALIZER(&routes);
    struct sset ids = SSET_INITIALIZER(&ids);
    struct problem_list standing;
    struct egress_model model;

    egress_model_init(&model);
    add_nodes(&model, 1);
    add_pool(&model, "odd", "10.3.0.0/24 2001:db8:3::1-2001:db8:3::1");
    add_policy(&model, "first", NULL, "odd")->created = 1;
    struct egress_policy *second = add_policy(&model, "second", NULL, "odd");
    second->created = 2;
    second->has_node_selector = true;
    smap_add(&second->node_selector.match_labels, "zone", "none");
    resolve_model(&model, NULL, &previous, &standing);
    assert_int_equal(standing.n, 2);

    struct resolve_input input = { .model = &model, .previous = &previous };
    remove_policy(&model, "first");
    sset_add(&ids, "Egress/first");
    assert_false(resolve_changes(&input, &ids, &standing, &routes));

    sset_destroy(&ids);
    problem_list_destroy(&standing);
    destroy_routes(&previous);
    egress_model_destroy(&model);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_changes_with_a_broken_pool),
        cmocka_unit_test(test_two_problems_of_one_policy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
