#include <config.h>

#include "controller/resolve.h"

#include <stdlib.h>
#include <string.h>

#include "bitmap.h"
#include "controller/allocate.h"
#include "controller/candidates.h"
#include "openvswitch/dynamic-string.h"
#include "pipeline/stable-hash.h"
#include "util.h"

/* A policy on its way to a route. */
struct item {
    const struct egress_policy *policy;
    const struct egress_route *previous;    /* NULL if there is none. */
    struct egress_route *route;
    bool claimed;                           /* Has the addresses that the policy names itself. */
};

/* All of them, the oldest policy first: whoever was there first is served first. */
struct resolution {
    const struct egress_model *model;
    const struct shash *unfit;
    struct item *items;
    size_t n;
    const struct egress_route **settled;    /* Routes that are no matter any more. */
    size_t n_settled;
    struct problem_list *problems;
    struct problem_list *pool_problems;     /* May be the same. */
};

static int
compare_items(const void *a_, const void *b_)
{
    const struct item *a = a_;
    const struct item *b = b_;

    return egress_policy_compare_age(a->policy, b->policy);
}

static void
resolution_init(struct resolution *r, const struct resolve_input *input, size_t max,
                struct problem_list *problems, struct problem_list *pool_problems)
{
    r->model = input->model;
    r->unfit = input->unfit;
    r->problems = problems;
    r->pool_problems = pool_problems;
    r->n = 0;
    r->items = xmalloc(max * sizeof *r->items);
    r->settled = NULL;
    r->n_settled = 0;
}

static void
resolution_add(struct resolution *r, const struct egress_policy *policy, const struct shash *previous)
{
    r->items[r->n++] = (struct item) {
        .policy = policy,
        .previous = previous ? shash_find_data(previous, policy->id) : NULL,
    };
}

/* Leaves 'item' without what it needs.  Takes ownership of 'error'. */
static void
refuse(struct resolution *r, struct item *item, enum route_state state, char *error)
{
    problem_list_add(r->problems, item->policy->id, "%s", error);
    item->route->state = state;
    free(item->route->reason);
    item->route->reason = error;
}

/* Numbers. */

/* Creates the routes.  A number follows from the policy's id; of two policies with the same one
 * the younger takes the next that is free. */
static void
create_routes(struct resolution *r)
{
    unsigned long *used = bitmap_allocate(ROUTE_NUMBER_MAX + 1);

    ovs_assert(r->n + r->n_settled < ROUTE_NUMBER_MAX);
    for (size_t i = 0; i < r->n_settled; i++) {
        bitmap_set1(used, r->settled[i]->number);
    }
    for (size_t i = 0; i < r->n; i++) {
        struct item *item = &r->items[i];
        uint32_t number = item->previous ? item->previous->number : 0;

        if (number && number <= ROUTE_NUMBER_MAX && !bitmap_is_set(used, number)) {
            bitmap_set1(used, number);
            item->route = egress_route_create(item->policy, number);
        }
    }
    for (size_t i = 0; i < r->n; i++) {
        struct item *item = &r->items[i];

        if (!item->route) {
            uint32_t number = stable_hash_string(item->policy->id) % ROUTE_NUMBER_MAX + 1;

            while (bitmap_is_set(used, number)) {
                number = number % ROUTE_NUMBER_MAX + 1;
            }
            bitmap_set1(used, number);
            item->route = egress_route_create(item->policy, number);
        }
    }
    bitmap_free(used);
}

/* Egress IPs. */

static bool
is_explicit(const struct egress_policy *policy)
{
    return (!policy->use_node_ip
            && (ip_is_set(&policy->egress_ips[IP_V4]) || ip_is_set(&policy->egress_ips[IP_V6])));
}

static bool
is_from_pool(const struct egress_policy *policy)
{
    return !policy->use_node_ip && !is_explicit(policy) && policy->pool;
}

/* Did 'item' have already what it claims now? */
static bool
held_before(const struct item *item)
{
    return item->previous && !memcmp(item->previous->egress_ips, item->policy->egress_ips,
                                     sizeof item->policy->egress_ips);
}

static char *
claim(struct allocator *allocator, const struct egress_policy *policy)
{
    char *error = policy->pool ? allocator_check_pool(allocator, policy) : NULL;

    return error ? error : allocator_claim(allocator, policy);
}

/* Serves the explicit claims of all that had theirs before, or of all the others. */
static void
claim_explicit(struct resolution *r, struct allocator *allocator, bool held)
{
    for (size_t i = 0; i < r->n; i++) {
        struct item *item = &r->items[i];

        if (is_explicit(item->policy) && held_before(item) == held) {
            char *error = claim(allocator, item->policy);

            item->claimed = !error;
            free(error);
        }
    }
}

/* Settles the explicit claims.  A claim that failed fails again once all others are served.  Only
 * then the reason is told, so that it does not depend on who was served first thanks to history. */
static void
settle_explicit(struct resolution *r, struct allocator *allocator)
{
    claim_explicit(r, allocator, true);
    claim_explicit(r, allocator, false);
    for (size_t i = 0; i < r->n; i++) {
        struct item *item = &r->items[i];

        if (item->claimed) {
            memcpy(item->route->egress_ips, item->policy->egress_ips,
                   sizeof item->route->egress_ips);
        } else if (is_explicit(item->policy)) {
            refuse(r, item, ROUTE_NO_EGRESS_IP, claim(allocator, item->policy));
        }
    }
}

static void
keep_from_pools(struct resolution *r, struct allocator *allocator)
{
    for (size_t i = 0; i < r->n; i++) {
        struct item *item = &r->items[i];

        if (!item->previous || !is_from_pool(item->policy)) {
            continue;
        }
        char *error = allocator_check_pool(allocator, item->policy);
        if (error) {
            free(error);
            continue;
        }
        for (size_t j = 0; j < N_IP_FAMILIES; j++) {
            const struct in6_addr *addr = &item->previous->egress_ips[j];
            if (ip_is_set(addr) && allocator_keep(allocator, item->policy, addr)) {
                item->route->egress_ips[j] = *addr;
            }
        }
    }
}

/* Gives 'item' one address of every family that its pool has and 'item' lacks.  One family that
 * has run out leaves a problem but does not take the other family's address away. */
static void
allocate_from_pool(struct resolution *r, struct allocator *allocator, struct item *item)
{
    struct in6_addr *ips = item->route->egress_ips;
    char *error = allocator_check_pool(allocator, item->policy);

    if (error) {
        refuse(r, item, ROUTE_NO_EGRESS_IP, error);
        return;
    }
    for (size_t i = 0; i < N_IP_FAMILIES; i++) {
        if (!ip_is_set(&ips[i]) && allocator_pool_has_family(allocator, item->policy, i)) {
            error = allocator_allocate(allocator, item->policy, i, &ips[i]);
            if (error) {
                refuse(r, item, ROUTE_NO_EGRESS_IP, error);
            }
        }
    }
    if (ip_is_set(&ips[IP_V4]) || ip_is_set(&ips[IP_V6])) {
        item->route->state = ROUTE_ACTIVE;
        free(item->route->reason);
        item->route->reason = NULL;
    } else if (item->route->state == ROUTE_ACTIVE) {
        refuse(r, item, ROUTE_NO_EGRESS_IP,
               xasprintf("%s: pool %s has no addresses at all",
                         item->policy->pool_field ? item->policy->pool_field : "pool",
                         item->policy->pool));
    }
}

static void
take_settled(const struct resolution *r, struct allocator *allocator)
{
    for (size_t i = 0; i < r->n_settled; i++) {
        const struct egress_route *route = r->settled[i];

        if (!route->policy->use_node_ip) {
            allocator_take(allocator, route->policy, route->egress_ips);
        }
    }
}

static void
assign_egress_ips(struct resolution *r)
{
    struct allocator *allocator = allocator_create(r->model, r->pool_problems);

    take_settled(r, allocator);
    settle_explicit(r, allocator);
    keep_from_pools(r, allocator);
    for (size_t i = 0; i < r->n; i++) {
        struct item *item = &r->items[i];
        const char *field = item->policy->egress_ip_field;

        if (is_from_pool(item->policy)) {
            allocate_from_pool(r, allocator, item);
        } else if (!is_explicit(item->policy) && !item->policy->use_node_ip) {
            refuse(r, item, ROUTE_NO_EGRESS_IP,
                   xasprintf("%s: missing, and no pool is named that an address could be taken "
                             "from", field ? field : "egress IP"));
        }
    }
    allocator_destroy(allocator);
}

/* Gateways. */

/* What decides about the gateway of 'route': its egress IP, so that all who share that share
 * the gateway, or the policy itself if it has none of its own.  The caller frees the string. */
static char *
gateway_key(const struct egress_route *route)
{
    for (size_t i = 0; i < N_IP_FAMILIES; i++) {
        if (ip_is_set(&route->egress_ips[i])) {
            return ip_to_string(&route->egress_ips[i]);
        }
    }
    return xstrdup(route->policy->id);
}

static bool
needs_gateway(const struct item *item)
{
    return item->route->state == ROUTE_ACTIVE;
}

/* Adds to 'owners', by gateway key, the previous owners of what the items have now: first those
 * who had the same addresses.  Of settled routes, explicit addresses may be an item's, too. */
static void
collect_previous_owners(const struct resolution *r, struct shash *owners)
{
    for (size_t i = 0; i < r->n_settled; i++) {
        const struct egress_route *route = r->settled[i];

        if (is_explicit(route->policy) && route->candidates.n) {
            char *key = gateway_key(route);
            shash_add_once(owners, key, route->candidates.names[0]);
            free(key);
        }
    }
    for (int same_ips = 1; same_ips >= 0; same_ips--) {
        for (size_t i = 0; i < r->n; i++) {
            const struct item *item = &r->items[i];
            const struct egress_route *previous = item->previous;

            if (!previous || !previous->candidates.n || !needs_gateway(item)
                || same_ips != !memcmp(previous->egress_ips, item->route->egress_ips,
                                       sizeof previous->egress_ips)) {
                continue;
            }
            char *key = gateway_key(item->route);
            shash_add_once(owners, key, previous->candidates.names[0]);
            free(key);
        }
    }
}

static char *
no_gateway_error(const struct label_selector *of_policy, const struct label_selector *of_pool,
                 const char *pool_id)
{
    bool policy_asks = of_policy && !label_selector_is_empty(of_policy);
    bool pool_asks = of_pool && !label_selector_is_empty(of_pool);
    struct ds s = DS_EMPTY_INITIALIZER;

    ds_put_cstr(&s, "node selector: ");
    if (policy_asks) {
        ds_put_char(&s, '"');
        label_selector_format(of_policy, &s);
        ds_put_cstr(&s, pool_asks ? "\" together with " : "\" ");
    }
    if (pool_asks) {
        ds_put_char(&s, '"');
        label_selector_format(of_pool, &s);
        ds_put_format(&s, "\" of pool %s ", pool_id);
    }
    ds_put_format(&s, "%s Ready node with an IPv4 InternalIP",
                  policy_asks || pool_asks ? "matches no" : "there is no");
    return ds_steal_cstr(&s);
}

static void
assign_gateway(struct resolution *r, struct candidates *candidates, const struct shash *owners,
               struct item *item)
{
    const struct egress_policy *policy = item->policy;
    const struct egress_pool *pool = policy->pool ? shash_find_data(&r->model->pools, policy->pool)
                                                  : NULL;
    const struct label_selector *of_policy = policy->has_node_selector ? &policy->node_selector
                                                                       : NULL;
    const struct label_selector *of_pool = pool && pool->has_node_selector ? &pool->node_selector
                                                                           : NULL;
    const struct cluster_node *best[ROUTE_MAX_CANDIDATES];

    char *key = gateway_key(item->route);
    size_t n = candidates_choose(candidates, of_policy, of_pool, stable_hash_string(key),
                                 shash_find_data(owners, key), best);
    free(key);

    if (!n) {
        refuse(r, item, ROUTE_NO_GATEWAY, no_gateway_error(of_policy, of_pool, policy->pool));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        svec_add(&item->route->candidates, best[i]->name);
    }
    if (policy->use_node_ip) {
        memcpy(item->route->egress_ips, best[0]->addresses, sizeof best[0]->addresses);
    }
}

static void
assign_gateways(struct resolution *r)
{
    struct candidates *candidates = candidates_create(&r->model->nodes, r->unfit);
    struct shash owners = SHASH_INITIALIZER(&owners);

    collect_previous_owners(r, &owners);
    for (size_t i = 0; i < r->n; i++) {
        if (needs_gateway(&r->items[i])) {
            assign_gateway(r, candidates, &owners, &r->items[i]);
        }
    }
    shash_destroy(&owners);
    candidates_destroy(candidates);
}

/* Adds the routes of 'r' to 'routes', and frees 'r'. */
static void
add_routes(struct resolution *r, struct shash *routes)
{
    for (size_t i = 0; i < r->n; i++) {
        shash_add(routes, r->items[i].policy->id, r->items[i].route);
    }
    free(r->items);
    free(r->settled);
}

/* Decides the items of 'r', adds their routes to 'routes', and frees 'r'. */
static void
resolution_finish(struct resolution *r, struct shash *routes)
{
    if (r->n) {
        qsort(r->items, r->n, sizeof *r->items, compare_items);
    }
    create_routes(r);
    assign_egress_ips(r);
    assign_gateways(r);
    add_routes(r, routes);
}

/* Decides every policy of 'input->model' and adds the routes to 'routes', by policy id; the
 * references are the caller's.  Adds to 'problems' whatever could not be decided as asked,
 * pools first, then policies. */
void
resolve(const struct resolve_input *input, struct shash *routes, struct problem_list *problems)
{
    const struct shash_node *node;
    struct resolution r;

    resolution_init(&r, input, shash_count(&input->model->policies), problems, problems);
    SHASH_FOR_EACH (node, &input->model->policies) {
        resolution_add(&r, node->data, input->previous);
    }
    resolution_finish(&r, routes);
}

/* Changes of a few policies. */

/* Do 'a' and 'b' ask for the same addresses? */
static bool
asks_same_addresses(const struct egress_policy *a, const struct egress_policy *b)
{
    return (!memcmp(a->egress_ips, b->egress_ips, sizeof a->egress_ips)
            && nullable_string_is_equal(a->egress_ip_field, b->egress_ip_field)
            && nullable_string_is_equal(a->pool, b->pool)
            && nullable_string_is_equal(a->pool_field, b->pool_field)
            && a->use_node_ip == b->use_node_ip);
}

/* Does 'b' ask of resolve() what 'a' does, so that no decision about any policy changes if it takes the place of 'a'?  Whom
 * a policy selects, where to and how is not decided here. */
static bool
asks_same(const struct egress_policy *a, const struct egress_policy *b)
{
    return (asks_same_addresses(a, b)
            && a->created == b->created
            && a->has_node_selector == b->has_node_selector
            && label_selector_equals(&a->node_selector, &b->node_selector));
}

/* Returns what 'route' is with 'policy' in its policy's place. */
static struct egress_route *
clone_route(const struct egress_route *route, const struct egress_policy *policy)
{
    struct egress_route *new = egress_route_create(policy, route->number);

    memcpy(new->egress_ips, route->egress_ips, sizeof new->egress_ips);
    svec_clone(&new->candidates, &route->candidates);
    new->state = route->state;
    new->reason = nullable_xstrdup(route->reason);
    return new;
}

/* Adds 'policy', whose addresses are those that it had before in 'old' and nobody else has, to 'r', for
 * finish_gateways(). */
static void
add_with_addresses(struct resolution *r, const struct egress_policy *policy, const struct egress_route *old)
{
    struct item *item = &r->items[r->n++];

    *item = (struct item) {
        .policy = policy, .previous = old, .route = egress_route_create(policy, old->number),
    };
    if (!policy->use_node_ip) {
        memcpy(item->route->egress_ips, old->egress_ips, sizeof old->egress_ips);
    }
}

/* Decides about nothing but the gateways of the items of 'r', adds their routes to 'routes', and frees 'r'. */
static void
finish_gateways(struct resolution *r, struct shash *routes)
{
    if (r->n) {
        assign_gateways(r);
    }
    add_routes(r, routes);
}

/* Adds to 'r' which routes of 'input->previous' nothing changes: all but those of 'ids' that are not in 'routes'. */
static void
add_settled(struct resolution *r, const struct resolve_input *input, const struct sset *ids,
            const struct shash *routes)
{
    struct shash_node *node;

    r->settled = xmalloc(shash_count(input->previous) * sizeof *r->settled);
    SHASH_FOR_EACH (node, input->previous) {
        if (!sset_contains(ids, node->name) || shash_find(routes, node->name)) {
            r->settled[r->n_settled++] = node->data;
        }
    }
}

/* Adds to 'troubled' whom 'problems' are about.  Returns true if one of the policies among them lacks an egress IP that it
 * might have if another one gave it up.  One that has its addresses may still lack a gateway, which is nobody's fault. */
static bool
list_troubled(const struct problem_list *problems, const struct shash *routes, struct sset *troubled)
{
    bool lacks_ip = false;

    for (size_t i = 0; i < problems->n; i++) {
        const char *object = problems->problems[i].object;
        const struct egress_route *route = shash_find_data(routes, object);
        bool is_only_one = sset_add(troubled, object) != NULL;

        lacks_ip = lacks_ip || (route && (route->state != ROUTE_NO_GATEWAY || !is_only_one));
    }
    return lacks_ip;
}

/* Decides only about the policies 'ids', which changed, came or went since 'input->previous' was decided with the
 * problems 'standing', while nothing else that counts did.  Adds their routes to 'routes'; those that are not there have
 * none any more.  The result is what resolve() would say, with the same problems, which costs much more where policies
 * are many.
 *
 * Returns false if others may be concerned, or a policy of 'ids' has or had a problem.  Then there is nothing in 'routes',
 * and it takes resolve() to tell.  If all new wishes come true with everybody else having what he had, and nobody else
 * lacks what one of 'ids' gives up, then the order in which they are served, which is what resolve() is about, does not
 * matter. */
bool
resolve_changes(const struct resolve_input *input, const struct sset *ids, const struct problem_list *standing,
                struct shash *routes)
{
    struct problem_list problems, pool_problems;        /* The latter are no news. */
    struct sset troubled = SSET_INITIALIZER(&troubled);
    struct resolution r, moved;
    const char *id;
    bool ok = true;

    bool lacks_ip = list_troubled(standing, input->previous, &troubled);
    problem_list_init(&problems);
    problem_list_init(&pool_problems);
    resolution_init(&r, input, sset_count(ids), &problems, &pool_problems);
    resolution_init(&moved, input, sset_count(ids), &problems, &pool_problems);
    SSET_FOR_EACH (id, ids) {
        const struct egress_policy *policy = shash_find_data(&input->model->policies, id);
        const struct egress_route *old = shash_find_data(input->previous, id);

        if (old && policy && asks_same(old->policy, policy)) {
            shash_add(routes, id, clone_route(old, policy));
        } else if (sset_contains(&troubled, id)) {
            ok = false;
        } else if (old && policy && !is_explicit(policy) && asks_same_addresses(old->policy, policy)) {
            add_with_addresses(&moved, policy, old);
        } else if (old && lacks_ip) {
            ok = false;
        } else if (policy) {
            resolution_add(&r, policy, input->previous);
        }
    }
    sset_destroy(&troubled);
    finish_gateways(&moved, routes);
    if (ok && r.n) {
        add_settled(&r, input, ids, routes);
        resolution_finish(&r, routes);
    } else {
        free(r.items);
    }
    ok = ok && !problems.n;
    if (!ok) {
        struct shash_node *node;

        SHASH_FOR_EACH_SAFE (node, routes) {
            egress_route_unref(node->data);
            shash_delete(routes, node);
        }
    }
    problem_list_destroy(&problems);
    problem_list_destroy(&pool_problems);
    return ok;
}
