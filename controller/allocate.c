#include <config.h>

#include "controller/allocate.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "pipeline/stable-hash.h"
#include "util.h"

/* An address as a number, so that places in a pool can be computed.  Those of IPv4 follow each
 * other as well as those of IPv6 do. */
typedef unsigned __int128 ip_number;

struct number_range {
    ip_number first, last;
};

/* Ranges of one family, disjoint and sorted, and how many addresses they hold. */
struct number_set {
    struct number_range *ranges;
    size_t n, allocated;
    ip_number count;
};

struct pool_state {
    const struct egress_pool *pool;
    struct ip_range *whole;         /* All addresses that the pool names, network addresses too. */
    size_t n_whole;
    struct number_set usable[N_IP_FAMILIES];
    bool has_family[N_IP_FAMILIES];
    bool exhausted[N_IP_FAMILIES];  /* No free address is left, so nobody needs to search again. */
    ip_number n_assignable[N_IP_FAMILIES];  /* Addresses there were to hand out, once exhausted. */
};

/* An address that is taken. */
struct holder {
    struct hmap_node node;          /* In struct allocator's 'holders'. */
    struct in6_addr addr;
    const struct egress_policy *policy;     /* NULL if it is nobody's to have. */
    const char *what, *whose;               /* Then why: "an address of node", "NAME". */
};

/* Holders are many, and live and die together. */
#define CHUNK_SIZE 1024
struct holder_chunk {
    struct ovs_list list_node;      /* In struct allocator's 'chunks'. */
    size_t n;
    struct holder holders[CHUNK_SIZE];
};

struct allocator {
    struct hmap holders;            /* struct holder, by address. */
    struct ovs_list chunks;         /* struct holder_chunk, of which the first has room. */
    struct pool_state *pools;       /* The earlier has the addresses of an overlap, see
                                     * compare_pools(). */
    size_t n_pools;
    struct shash pools_by_id;       /* struct pool_state, in 'pools'. */
};

/* Numbers. */

static ip_number
number_from_ip(const struct in6_addr *addr)
{
    ip_number number = 0;

    for (size_t i = 0; i < sizeof addr->s6_addr; i++) {
        number = number << 8 | addr->s6_addr[i];
    }
    return number;
}

static struct in6_addr
number_to_ip(ip_number number)
{
    struct in6_addr addr;

    for (size_t i = sizeof addr.s6_addr; i-- > 0; number >>= 8) {
        addr.s6_addr[i] = number & 0xff;
    }
    return addr;
}

static void
number_set_add(struct number_set *set, ip_number first, ip_number last)
{
    if (first > last) {
        return;
    }
    if (set->n >= set->allocated) {
        set->ranges = x2nrealloc(set->ranges, &set->allocated, sizeof *set->ranges);
    }
    set->ranges[set->n++] = (struct number_range) { first, last };
}

static int
compare_ranges(const void *a_, const void *b_)
{
    const struct number_range *a = a_;
    const struct number_range *b = b_;

    return a->first < b->first ? -1 : a->first > b->first;
}

/* Makes 'set', to which ranges were added in any order, disjoint and sorted, and counts it. */
static void
number_set_normalize(struct number_set *set)
{
    size_t n = 0;

    if (set->n) {
        qsort(set->ranges, set->n, sizeof *set->ranges, compare_ranges);
    }
    set->count = 0;
    for (size_t i = 0; i < set->n; i++) {
        struct number_range *prev = n ? &set->ranges[n - 1] : NULL;

        if (prev && set->ranges[i].first <= prev->last) {
            prev->last = MAX(prev->last, set->ranges[i].last);
        } else {
            set->ranges[n++] = set->ranges[i];
        }
    }
    set->n = n;
    for (size_t i = 0; i < n; i++) {
        set->count += set->ranges[i].last - set->ranges[i].first + 1;
    }
}

/* Takes what lies within 'gone' out of 'set'. */
static void
number_set_subtract(struct number_set *set, const struct number_range *gone)
{
    struct number_set old = *set;

    memset(set, 0, sizeof *set);
    for (size_t i = 0; i < old.n; i++) {
        const struct number_range *range = &old.ranges[i];

        if (range->first < gone->first) {
            number_set_add(set, range->first, MIN(range->last, gone->first - 1));
        }
        if (range->last > gone->last) {
            number_set_add(set, MAX(range->first, gone->last + 1), range->last);
        }
    }
    free(old.ranges);
    number_set_normalize(set);
}

/* Returns the 'i'th of the addresses in 'set'. */
static ip_number
number_set_get(const struct number_set *set, ip_number i)
{
    const struct number_range *range = set->ranges;

    for (; i > range->last - range->first; range++) {
        i -= range->last - range->first + 1;
    }
    return range->first + i;
}

static bool
number_set_contains(const struct number_set *set, ip_number number)
{
    for (size_t i = 0; i < set->n; i++) {
        if (number >= set->ranges[i].first && number <= set->ranges[i].last) {
            return true;
        }
    }
    return false;
}

/* Holders. */

static uint32_t
hash_ip(const struct in6_addr *addr)
{
    return hash_bytes(addr, sizeof *addr, 0);
}

static const struct holder *
find_holder(const struct allocator *a, const struct in6_addr *addr)
{
    const struct holder *holder;

    HMAP_FOR_EACH_WITH_HASH (holder, node, hash_ip(addr), &a->holders) {
        if (!ip_compare(&holder->addr, addr)) {
            return holder;
        }
    }
    return NULL;
}

static struct holder *
new_holder(struct allocator *a)
{
    struct holder_chunk *chunk = NULL;

    if (!ovs_list_is_empty(&a->chunks)) {
        chunk = CONTAINER_OF(ovs_list_front(&a->chunks), struct holder_chunk, list_node);
    }
    if (!chunk || chunk->n == CHUNK_SIZE) {
        chunk = xmalloc(sizeof *chunk);
        chunk->n = 0;
        ovs_list_push_front(&a->chunks, &chunk->list_node);
    }
    return &chunk->holders[chunk->n++];
}

/* Puts down that 'addr' is taken, unless it already is. */
static void
add_holder(struct allocator *a, const struct in6_addr *addr, const struct egress_policy *policy,
           const char *what, const char *whose)
{
    if (!ip_is_set(addr) || find_holder(a, addr)) {
        return;
    }

    struct holder *holder = new_holder(a);
    holder->addr = *addr;
    holder->policy = policy;
    holder->what = what;
    holder->whose = whose;
    hmap_insert(&a->holders, &holder->node, hash_ip(addr));
}

static void
reserve_nodes(struct allocator *a, const struct shash *nodes)
{
    const struct shash_node **sorted = shash_sort(nodes);

    for (size_t i = 0; i < shash_count(nodes); i++) {
        const struct cluster_node *node = sorted[i]->data;

        for (size_t j = 0; j < N_IP_FAMILIES; j++) {
            add_holder(a, &node->addresses[j], NULL, "an address of node", node->name);
        }
        for (size_t j = 0; j < node->n_all_addresses; j++) {
            add_holder(a, &node->all_addresses[j], NULL, "an address of node", node->name);
        }
    }
    free(sorted);
}

/* Pools. */

static void
pool_state_init(struct pool_state *state, const struct egress_pool *pool)
{
    memset(state, 0, sizeof *state);
    state->pool = pool;
    state->whole = xmalloc((pool->n_ranges + pool->n_cidrs) * sizeof *state->whole);
    for (size_t i = 0; i < pool->n_ranges; i++) {
        state->whole[state->n_whole++] = pool->ranges[i];
    }
    for (size_t i = 0; i < pool->n_cidrs; i++) {
        state->whole[state->n_whole++] = ip_prefix_range(&pool->cidrs[i]);
    }

    for (size_t i = 0; i < state->n_whole; i++) {
        const struct ip_range *range = &state->whole[i];
        enum ip_family family = ip_family_of(&range->first);
        ip_number first = number_from_ip(&range->first);
        ip_number last = number_from_ip(&range->last);

        if (i >= pool->n_ranges && last - first > 1) {
            /* IPv4's network and broadcast address, or the subnet-router anycast address of IPv6
             * (RFC 4291, section 2.6.1).  A prefix of two addresses, which RFC 3021 and RFC 6164
             * let links use to the full, has neither. */
            first++;
            last -= family == IP_V4;
        }
        /* "::" is no address of anybody. */
        number_set_add(&state->usable[family], MAX(first, 1), last);
        state->has_family[family] = true;
    }
    for (size_t i = 0; i < N_IP_FAMILIES; i++) {
        number_set_normalize(&state->usable[i]);
    }
}

/* Orders pools by who was there first, as egress_policy_compare_age() does policies: an address that is
 * in use may not go to a pool because of its name. */
static int
compare_pools(const void *a_, const void *b_)
{
    const struct shash_node *const *an = a_;
    const struct shash_node *const *bn = b_;
    const struct egress_pool *a = (*an)->data;
    const struct egress_pool *b = (*bn)->data;

    if (a->created != b->created) {
        return a->created < b->created ? -1 : 1;
    }
    return strcmp(a->id, b->id);
}

/* Takes what 'earlier' has too from 'later', and reports it. */
static void
settle_overlap(const struct pool_state *earlier, struct pool_state *later,
               struct problem_list *problems)
{
    struct ds overlap = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < earlier->n_whole; i++) {
        for (size_t j = 0; j < later->n_whole; j++) {
            const struct ip_range *x = &earlier->whole[i];
            const struct ip_range *y = &later->whole[j];

            if (ip_range_overlaps(x, y)) {
                struct ip_range both = {
                    .first = ip_compare(&x->first, &y->first) > 0 ? x->first : y->first,
                    .last = ip_compare(&x->last, &y->last) < 0 ? x->last : y->last,
                };
                struct number_range gone = { number_from_ip(&both.first),
                                             number_from_ip(&both.last) };

                number_set_subtract(&later->usable[ip_family_of(&both.first)], &gone);
                ds_put_cstr(&overlap, overlap.length ? ", " : "");
                ip_range_format(&both, &overlap);
            }
        }
    }
    if (overlap.length) {
        problem_list_add(problems, later->pool->id,
                         "addresses: pool %s overlaps pool %s in %s: these addresses are handed "
                         "out by the latter alone; an address may be in one pool only",
                         later->pool->id, earlier->pool->id, ds_cstr(&overlap));
    }
    ds_destroy(&overlap);
}

/* Returns an allocator for 'model', which must stay as it is as long as the allocator is in
 * use. Pools that overlap are added to 'problems'. */
struct allocator *
allocator_create(const struct egress_model *model, struct problem_list *problems)
{
    struct allocator *a = xzalloc(sizeof *a);
    const struct shash_node **sorted = shash_sort(&model->pools);

    hmap_init(&a->holders);
    hmap_reserve(&a->holders, (shash_count(&model->nodes) + shash_count(&model->policies)) * N_IP_FAMILIES);
    ovs_list_init(&a->chunks);
    shash_init(&a->pools_by_id);
    reserve_nodes(a, &model->nodes);

    a->n_pools = shash_count(&model->pools);
    if (a->n_pools) {                   /* Else 'sorted' is NULL. */
        qsort(sorted, a->n_pools, sizeof *sorted, compare_pools);
    }
    a->pools = xmalloc(a->n_pools * sizeof *a->pools);
    for (size_t i = 0; i < a->n_pools; i++) {
        struct pool_state *state = &a->pools[i];

        pool_state_init(state, sorted[i]->data);
        shash_add(&a->pools_by_id, state->pool->id, state);
        for (size_t j = 0; j < i; j++) {
            settle_overlap(&a->pools[j], state, problems);
        }
        for (size_t j = 0; j < N_IP_FAMILIES; j++) {
            add_holder(a, &state->pool->gateways[j], NULL, "the gateway of pool",
                       state->pool->id);
        }
    }
    free(sorted);
    return a;
}

void
allocator_destroy(struct allocator *a)
{
    struct holder_chunk *chunk;

    hmap_destroy(&a->holders);
    LIST_FOR_EACH_POP (chunk, list_node, &a->chunks) {
        free(chunk);
    }
    for (size_t i = 0; i < a->n_pools; i++) {
        free(a->pools[i].whole);
        for (size_t j = 0; j < N_IP_FAMILIES; j++) {
            free(a->pools[i].usable[j].ranges);
        }
    }
    free(a->pools);
    shash_destroy(&a->pools_by_id);
    free(a);
}

static bool
pool_names(const struct pool_state *state, const struct in6_addr *addr)
{
    for (size_t i = 0; i < state->n_whole; i++) {
        if (ip_range_contains(&state->whole[i], addr)) {
            return true;
        }
    }
    return false;
}

/* Returns the pool to which 'addr' belongs, NULL if it is in none. */
static const struct pool_state *
find_pool_of(const struct allocator *a, const struct in6_addr *addr)
{
    for (size_t i = 0; i < a->n_pools; i++) {
        if (pool_names(&a->pools[i], addr)) {
            return &a->pools[i];
        }
    }
    return NULL;
}

static struct pool_state *
pool_of_policy(const struct allocator *a, const struct egress_policy *policy)
{
    return shash_find_data(&a->pools_by_id, policy->pool);
}

static void
format_pool(const struct egress_pool *pool, struct ds *s)
{
    const char *separator = "";

    for (size_t i = 0; i < pool->n_ranges; i++) {
        ds_put_cstr(s, separator);
        ip_range_format(&pool->ranges[i], s);
        separator = ", ";
    }
    for (size_t i = 0; i < pool->n_cidrs; i++) {
        ds_put_cstr(s, separator);
        ip_prefix_format(&pool->cidrs[i], s);
        separator = ", ";
    }
}

static const char *
pool_field(const struct egress_policy *policy)
{
    return policy->pool_field ? policy->pool_field : "pool";
}

static const char *
egress_ip_field(const struct egress_policy *policy)
{
    return policy->egress_ip_field ? policy->egress_ip_field : "egress IP";
}

/* Returns NULL if the pool that 'policy' names exists, otherwise an error that the caller must
 * free. */
char *
allocator_check_pool(const struct allocator *a, const struct egress_policy *policy)
{
    return (pool_of_policy(a, policy)
            ? NULL
            : xasprintf("%s: there is no pool %s", pool_field(policy), policy->pool));
}

/* Explicit claims. */

/* Returns NULL if 'addr' is one that the pool that 'policy' names would hand out, otherwise what is
 * wrong with it. */
static char *
check_in_pool(const struct allocator *a, const struct egress_policy *policy,
              const struct in6_addr *addr)
{
    const struct pool_state *state = pool_of_policy(a, policy);
    const struct egress_pool *pool = state->pool;
    struct ds s = DS_EMPTY_INITIALIZER;

    if (number_set_contains(&state->usable[ip_family_of(addr)], number_from_ip(addr))) {
        return NULL;
    }
    if (!pool_names(state, addr)) {
        ds_put_format(&s, "is outside pool %s (", pool->id);
        format_pool(pool, &s);
        ds_put_char(&s, ')');
    } else if (find_pool_of(a, addr) != state) {
        ds_put_format(&s, "belongs to pool %s, which pool %s overlaps",
                      find_pool_of(a, addr)->pool->id, pool->id);
    } else {
        ds_put_format(&s, "is the %s address of a subnet in pool %s, which nobody can have",
                      ip_family_of(addr) == IP_V4 ? "network or broadcast" : "anycast", pool->id);
    }
    return ds_steal_cstr(&s);
}

static bool
is_unicast(const struct in6_addr *addr)
{
    if (ip_family_of(addr) == IP_V6) {
        return !IN6_IS_ADDR_MULTICAST(addr) && !IN6_IS_ADDR_LOOPBACK(addr);
    }
    uint8_t head = addr->s6_addr[12];
    return head && head != 127 && head < 224;
}

static bool
is_link_local(const struct in6_addr *addr)
{
    return (ip_family_of(addr) == IP_V6 ? IN6_IS_ADDR_LINKLOCAL(addr)
            : addr->s6_addr[12] == 169 && addr->s6_addr[13] == 254);
}

/* Returns NULL if 'policy' may have 'addr' as far as other policies do not matter, otherwise
 * what is wrong with it. */
static char *
check_usable(const struct allocator *a, const struct egress_policy *policy,
             const struct in6_addr *addr)
{
    if (!is_unicast(addr)) {
        return xstrdup("is no unicast address: an egress IP must be an address that a host can "
                       "have");
    } else if (is_link_local(addr)) {
        return xstrdup("is a link-local address, to which nobody beyond the link can answer");
    }

    char *error = policy->pool ? check_in_pool(a, policy, addr) : NULL;
    const struct holder *holder = find_holder(a, addr);
    if (!error && holder && !holder->policy) {
        error = xasprintf("is %s %s: an egress IP must be nobody else's",
                          holder->what, holder->whose);
    }
    return error;
}

/* Returns NULL if no other policy stands between 'policy' and 'addr', otherwise which one and
 * why.  Those who share an address must come to one gateway, so they must agree on all that
 * leads to that. */
static char *
check_sharing(const struct allocator *a, const struct egress_policy *policy,
              const struct in6_addr *addr)
{
    const struct holder *holder = find_holder(a, addr);

    if (!holder) {
        return NULL;
    }

    const struct egress_policy *other = holder->policy;
    if (policy->pool || other->pool || find_pool_of(a, addr)) {
        return xasprintf("is already claimed by %s", other->id);
    }
    if (memcmp(policy->egress_ips, other->egress_ips, sizeof policy->egress_ips)) {
        return xasprintf("is already claimed by %s, whose other egress IP is not the same: "
                         "policies share all of their egress IPs or none", other->id);
    }
    if (!label_selector_equals(&policy->node_selector, &other->node_selector)) {
        return xasprintf("is already claimed by %s, whose node selector is not the same: "
                         "policies that share an egress IP share its gateway", other->id);
    }
    return NULL;
}

typedef char *check_func(const struct allocator *, const struct egress_policy *,
                         const struct in6_addr *);

/* Returns NULL if 'check' has nothing against the addresses that 'policy' names itself,
 * otherwise an error that the caller must free. */
static char *
check_claims(const struct allocator *a, const struct egress_policy *policy, check_func *check)
{
    for (size_t i = 0; i < N_IP_FAMILIES; i++) {
        const struct in6_addr *addr = &policy->egress_ips[i];
        char *what = ip_is_set(addr) ? check(a, policy, addr) : NULL;

        if (what) {
            char *ip = ip_to_string(addr);
            char *error = xasprintf("%s: \"%s\" %s", egress_ip_field(policy), ip, what);

            free(ip);
            free(what);
            return error;
        }
    }
    return NULL;
}

/* Gives 'policy' the addresses that it names itself, all of them or none.  A pool that it names
 * must exist.  Returns NULL if successful, otherwise an error that the caller must free. */
char *
allocator_claim(struct allocator *a, const struct egress_policy *policy)
{
    char *error = check_claims(a, policy, check_usable);

    if (!error) {
        error = check_claims(a, policy, check_sharing);
    }
    for (size_t i = 0; i < N_IP_FAMILIES && !error; i++) {
        add_holder(a, &policy->egress_ips[i], policy, NULL, NULL);
    }
    return error;
}

/* Addresses out of pools. */

/* Are there addresses of 'family' in the pool that 'policy' names, which must exist? */
bool
allocator_pool_has_family(const struct allocator *a, const struct egress_policy *policy,
                          enum ip_family family)
{
    return pool_of_policy(a, policy)->has_family[family];
}

/* Gives 'policy' the address 'addr', which it had before, if its pool still has that and nobody
 * else took it. Returns true if successful. */
bool
allocator_keep(struct allocator *a, const struct egress_policy *policy,
               const struct in6_addr *addr)
{
    const struct pool_state *state = pool_of_policy(a, policy);

    if (!number_set_contains(&state->usable[ip_family_of(addr)], number_from_ip(addr))
        || find_holder(a, addr)) {
        return false;
    }
    add_holder(a, addr, policy, NULL, NULL);
    return true;
}

/* Puts down that 'policy' has the addresses 'ips', which are known to be its own. */
void
allocator_take(struct allocator *a, const struct egress_policy *policy,
               const struct in6_addr ips[N_IP_FAMILIES])
{
    for (size_t i = 0; i < N_IP_FAMILIES; i++) {
        add_holder(a, &ips[i], policy, NULL, NULL);
    }
}

/* Returns how many addresses of 'family' in 'state' can be handed out, taken or not. */
static ip_number
count_assignable(const struct allocator *a, const struct pool_state *state, enum ip_family family)
{
    const struct number_set *usable = &state->usable[family];
    ip_number count = usable->count;
    const struct holder *holder;

    HMAP_FOR_EACH (holder, node, &a->holders) {
        if (!holder->policy && ip_family_of(&holder->addr) == family
            && number_set_contains(usable, number_from_ip(&holder->addr))) {
            count--;
        }
    }
    return count;
}

/* Finds a free address of 'family' for 'policy' in the pool that it names, which must exist,
 * and stores it in '*addr'.  Returns NULL if successful, otherwise an error that the caller
 * must free. */
char *
allocator_allocate(struct allocator *a, const struct egress_policy *policy, enum ip_family family,
                   struct in6_addr *addr)
{
    struct pool_state *state = pool_of_policy(a, policy);
    const struct number_set *usable = &state->usable[family];

    if (!state->exhausted[family]) {
        ip_number start = stable_hash_string(policy->id);

        for (ip_number i = 0; i < usable->count; i++) {
            *addr = number_to_ip(number_set_get(usable, (start + i) % usable->count));
            if (!find_holder(a, addr)) {
                add_holder(a, addr, policy, NULL, NULL);
                return NULL;
            }
        }
        state->exhausted[family] = true;
        state->n_assignable[family] = count_assignable(a, state, family);
    }

    *addr = in6addr_any;
    ip_number count = state->n_assignable[family];
    if (!count) {
        return xasprintf("%s: pool %s has no %s address that it could hand out",
                         pool_field(policy), policy->pool, ip_family_name(family));
    }
    return xasprintf("%s: pool %s is exhausted: its %llu %s address%s in use", pool_field(policy),
                     policy->pool, (unsigned long long int) count, ip_family_name(family),
                     count == 1 ? " is" : "es are all");
}
