#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include "controller/candidates.h"
#include "util.h"

#define N_NODES 8

static void
add_nodes(struct shash *nodes)
{
    for (int i = 0; i < N_NODES; i++) {
        char *name = xasprintf("node-%d", i);
        struct cluster_node *node = cluster_node_create(name);

        node->addresses[IP_V4] = ip_from_v4(htonl(0x0a000001 + i));
        node->ready = true;
        shash_add(nodes, name, node);
        free(name);
    }
}

static void
destroy_nodes(struct shash *nodes)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, nodes) {
        cluster_node_unref(node->data);
    }
    shash_destroy(nodes);
}

/* Chooses for 'key'.  Returns how many there are. */
static size_t
choose(const struct shash *nodes, const struct shash *unfit, uint64_t key, const char *preferred,
       const struct cluster_node *best[ROUTE_MAX_CANDIDATES])
{
    struct candidates *c = candidates_create(nodes, unfit);
    size_t n = candidates_choose(c, NULL, NULL, key, preferred, best);

    candidates_destroy(c);
    return n;
}

/* One that is unfit is passed over, also by who had it before; the others keep their order. */
static void
unfit_node(void **state OVS_UNUSED)
{
    const struct cluster_node *all[ROUTE_MAX_CANDIDATES], *best[ROUTE_MAX_CANDIDATES];
    struct shash nodes = SHASH_INITIALIZER(&nodes);

    add_nodes(&nodes);
    for (uint64_t key = 0; key < 100; key++) {
        struct shash unfit = SHASH_INITIALIZER(&unfit);

        assert_int_equal(choose(&nodes, NULL, key, NULL, all), ROUTE_MAX_CANDIDATES);
        shash_add(&unfit, all[0]->name, NULL);
        assert_int_equal(choose(&nodes, &unfit, key, all[0]->name, best), ROUTE_MAX_CANDIDATES);
        assert_ptr_equal(best[0], all[1]);
        assert_ptr_equal(best[1], all[2]);
        shash_destroy(&unfit);
    }
    destroy_nodes(&nodes);
}

/* Nor is one chosen that is cordoned. */
static void
avoided_node(void **state OVS_UNUSED)
{
    const struct cluster_node *all[ROUTE_MAX_CANDIDATES], *best[ROUTE_MAX_CANDIDATES];
    struct shash nodes = SHASH_INITIALIZER(&nodes);

    add_nodes(&nodes);
    assert_int_equal(choose(&nodes, NULL, 7, NULL, all), ROUTE_MAX_CANDIDATES);
    CONST_CAST(struct cluster_node *, all[0])->avoided = true;
    assert_int_equal(choose(&nodes, NULL, 7, all[0]->name, best), ROUTE_MAX_CANDIDATES);
    assert_ptr_equal(best[0], all[1]);
    destroy_nodes(&nodes);
}

/* Where nobody is fit, it is as if everybody was. */
static void
all_unfit(void **state OVS_UNUSED)
{
    const struct cluster_node *all[ROUTE_MAX_CANDIDATES], *best[ROUTE_MAX_CANDIDATES];
    struct shash nodes = SHASH_INITIALIZER(&nodes);

    add_nodes(&nodes);
    assert_int_equal(choose(&nodes, NULL, 7, NULL, all), ROUTE_MAX_CANDIDATES);
    assert_int_equal(choose(&nodes, &nodes, 7, NULL, best), ROUTE_MAX_CANDIDATES);
    assert_memory_equal(best, all, sizeof all);
    destroy_nodes(&nodes);
}

/* A single one that is fit is the only candidate. */
static void
one_fit(void **state OVS_UNUSED)
{
    const struct cluster_node *best[ROUTE_MAX_CANDIDATES];
    struct shash nodes = SHASH_INITIALIZER(&nodes);
    struct shash unfit = SHASH_INITIALIZER(&unfit);
    struct shash_node *node;

    add_nodes(&nodes);
    SHASH_FOR_EACH (node, &nodes) {
        if (strcmp(node->name, "node-5")) {
            shash_add(&unfit, node->name, NULL);
        }
    }
    assert_int_equal(choose(&nodes, &unfit, 7, "node-1", best), 1);
    assert_string_equal(best[0]->name, "node-5");
    shash_destroy(&unfit);
    destroy_nodes(&nodes);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unfit_node),
        cmocka_unit_test(avoided_node),
        cmocka_unit_test(all_unfit),
        cmocka_unit_test(one_fit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
