#include <config.h>

#include "controller/candidates.h"

#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "pipeline/stable-hash.h"
#include "util.h"

/* Eligible nodes of one pair of selectors, sorted by name.  The hashes stand apart, since every
 * choice reads all of them but hardly ever a node. */
struct eligible {
    uint64_t *hashes;
    const struct cluster_node **nodes;
    size_t n;
};

struct candidates {
    const struct shash *unfit;      /* By name, or NULL. */
    struct eligible usable;         /* All nodes that could be a gateway at all. */
    struct shash by_selectors;      /* Both selectors' text -> struct eligible. */
};

static void
eligible_init(struct eligible *eligible, size_t max)
{
    eligible->hashes = xmalloc(max * sizeof *eligible->hashes);
    eligible->nodes = xmalloc(max * sizeof *eligible->nodes);
    eligible->n = 0;
}

static void
eligible_uninit(struct eligible *eligible)
{
    free(eligible->hashes);
    free(eligible->nodes);
}

static void
eligible_add(struct eligible *eligible, const struct cluster_node *node, uint64_t hash)
{
    eligible->hashes[eligible->n] = hash;
    eligible->nodes[eligible->n++] = node;
}

/* Prepares choices among 'nodes' (of struct cluster_node), which must stay as they are as long as
 * the result is in use.  Only Ready nodes with an IPv4 address can be gateways: tunnels lead to
 * that.  Those that are avoided, or have a name in 'unfit', which has to stay, too, and may be NULL, are
 * not chosen as long as there is another. */
struct candidates *
candidates_create(const struct shash *nodes, const struct shash *unfit)
{
    struct candidates *c = xmalloc(sizeof *c);
    const struct shash_node **sorted = shash_sort(nodes);
    size_t n = shash_count(nodes);

    c->unfit = unfit;
    shash_init(&c->by_selectors);
    eligible_init(&c->usable, n);
    for (size_t i = 0; i < n; i++) {
        const struct cluster_node *node = sorted[i]->data;

        if (node->ready && ip_is_set(&node->addresses[IP_V4])) {
            eligible_add(&c->usable, node, stable_hash_string(node->name));
        }
    }
    free(sorted);
    return c;
}

void
candidates_destroy(struct candidates *c)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &c->by_selectors) {
        eligible_uninit(node->data);
    }
    shash_destroy_free_data(&c->by_selectors);
    eligible_uninit(&c->usable);
    free(c);
}

static bool
selects(const struct label_selector *selector, const struct cluster_node *node)
{
    return !selector || label_selector_matches(selector, &node->labels);
}

static bool
is_unfit(const struct candidates *c, const struct cluster_node *node)
{
    return node->avoided || (c->unfit && shash_find(c->unfit, node->name));
}

/* Adds to 'eligible' the nodes that both selectors match and that are, or are not, 'unfit'. */
static void
add_matching(const struct candidates *c, const struct label_selector *a, const struct label_selector *b,
             bool unfit, struct eligible *eligible)
{
    for (size_t i = 0; i < c->usable.n; i++) {
        const struct cluster_node *node = c->usable.nodes[i];

        if (selects(a, node) && selects(b, node) && unfit == is_unfit(c, node)) {
            eligible_add(eligible, node, c->usable.hashes[i]);
        }
    }
}

static const struct eligible *
find_eligible(struct candidates *c, const struct label_selector *a, const struct label_selector *b)
{
    struct ds key = DS_EMPTY_INITIALIZER;

    if (a) {
        label_selector_format(a, &key);
    }
    ds_put_char(&key, '\n');
    if (b) {
        label_selector_format(b, &key);
    }

    struct eligible *eligible = shash_find_data(&c->by_selectors, ds_cstr(&key));
    if (!eligible) {
        eligible = xmalloc(sizeof *eligible);
        eligible_init(eligible, c->usable.n);
        add_matching(c, a, b, false, eligible);
        if (!eligible->n) {
            add_matching(c, a, b, true, eligible);
        }
        shash_add(&c->by_selectors, ds_cstr(&key), eligible);
    }
    ds_destroy(&key);
    return eligible;
}

/* Chooses the best gateways for 'key' among the nodes that both selectors match (NULL matches every
 * node), stores them in 'best', best first, and returns how many there are.  If the node named
 * 'preferred', which may be NULL, is eligible, it is the first. */
size_t
candidates_choose(struct candidates *c, const struct label_selector *a,
                  const struct label_selector *b, uint64_t key, const char *preferred,
                  const struct cluster_node *best[ROUTE_MAX_CANDIDATES])
{
    const struct eligible *eligible = find_eligible(c, a, b);
    uint64_t preferred_hash = preferred ? stable_hash_string(preferred) : 0;
    uint64_t weights[ROUTE_MAX_CANDIDATES];
    size_t n = 0;

    for (size_t i = 0; i < eligible->n; i++) {
        uint64_t weight = stable_hash_finish(key ^ eligible->hashes[i]);

        if (preferred && eligible->hashes[i] == preferred_hash
            && !strcmp(eligible->nodes[i]->name, preferred)) {
            weight = UINT64_MAX;
        }
        if (n == ROUTE_MAX_CANDIDATES) {
            if (weight <= weights[n - 1]) {
                continue;
            }
            n--;
        }

        /* Of equal weights the earlier name stays ahead. */
        size_t j = n++;
        for (; j > 0 && weight > weights[j - 1]; j--) {
            weights[j] = weights[j - 1];
            best[j] = best[j - 1];
        }
        weights[j] = weight;
        best[j] = eligible->nodes[i];
    }
    return n;
}
