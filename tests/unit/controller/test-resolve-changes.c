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

static void
add_world(struct egress_model *model)
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
        policy = add_policy(model, name, NULL, random_range(4) ? "big" : "small");
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
test_changes(void **state OVS_UNUSED)
{
    struct shash previous = SHASH_INITIALIZER(&previous);
    int n_with_content = 0, n_without = 0, n_refused = 0;
    struct egress_model model;
    size_t n_problems = 0;

    random_set_seed(1);
    add_world(&model);
    for (int i = 0; i < N_STEPS; i++) {
        struct resolve_input input = { .model = &model, .previous = &previous };
        struct shash all, some = SHASH_INITIALIZER(&some);
        struct sset ids = SSET_INITIALIZER(&ids);
        struct problem_list problems;

        change_model(&model, &ids);
        resolve_model(&model, &previous, &all, &problems);
        if (resolve_changes(&input, &ids, !n_problems, &some)) {
            check_equal(&all, &some, &previous, &ids);
            assert_int_equal(problems.n, n_problems);
            *(n_problems ? &n_without : &n_with_content) += 1;
        } else {
            assert_true(shash_is_empty(&some));
            n_refused++;
        }
        n_problems = problems.n;
        problem_list_destroy(&problems);
        destroy_routes(&previous);
        destroy_routes(&some);
        sset_destroy(&ids);
        previous = (struct shash) SHASH_INITIALIZER(&previous);
        shash_swap(&previous, &all);
        shash_destroy(&all);
    }
    destroy_routes(&previous);
    egress_model_destroy(&model);

    /* All of these have to occur, or the test tests nothing. */
    print_message("%d, %d with problems elsewhere, %d refused\n", n_with_content, n_without, n_refused);
    assert_true(n_with_content > 100 && n_without > 100 && n_refused > 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
