/* Flows on the node of the sending pod: who sends, and which route that leads to. */

#include <config.h>
#include "pipeline/compile.h"

#include <stdlib.h>
#include <string.h>
#include "flow.h"
#include "openvswitch/ofp-actions.h"
#include "packets.h"
#include "pipeline/draft.h"
#include "pipeline/stable-hash.h"
#include "util.h"

/* Priorities of stage 'source'.  A selected pod's address coming from another port is nobody's to use, least of
 * all for a way around the egress IP. */
#define PRIORITY_POD        200
#define PRIORITY_NOT_A_POD  100
#define PRIORITY_FREE_PORT  50

/* Priorities of stage 'route'. */
#define PRIORITY_ROUTES     100     /* And upwards, by the length of the prefix. */
#define PRIORITY_NO_ROUTE   1

/* Classes of several routes have ids that no VNI reaches.  The rest is a hash, as long as can be: with the same id, pods
 * of one class would follow the routes of another. */
#define MULTI_ROUTE_CLASS   (UINT64_C(1) << 63)

/* The number that stands for 'class' in tun_id: the route's own if there is just one, else a hash of the
 * routes' numbers.  Depends on nothing else, so that it survives a restart. */
uint64_t
route_class_id(const struct route_class *class)
{
    uint64_t hash = STABLE_HASH_BASIS;

    if (class->n_routes == 1) {
        return class->routes[0]->number;
    }
    for (size_t i = 0; i < class->n_routes; i++) {
        ovs_be32 number = htonl(class->routes[i]->number);

        hash = stable_hash_bytes(&number, sizeof number, hash);
    }
    return MULTI_ROUTE_CLASS | stable_hash_finish(hash);
}

static uint64_t
class_cookie(const struct route_class *class)
{
    enum egress_owner owner = class->n_routes == 1 ? EGRESS_OWNER_ROUTE : EGRESS_OWNER_CLASS;

    return egress_cookie(owner, route_class_id(class));
}

/* Can packets of 'family' leave by 'route' at all? */
bool
egress_route_serves(const struct egress_route *route, enum ip_family family)
{
    return route->state == ROUTE_ACTIVE && ip_is_set(&route->egress_ips[family]);
}

/* Translates the address bits of a deliver action: as if the packet came from the CNI's gateway port, with
 * nothing left of where it really came from. */
static void
emit_delivery(const struct compile_context *ctx, const struct local_pod *pod,
              const struct in6_addr *ip, uint64_t cookie)
{
    struct ip_prefix host = { *ip, ip_family_of(ip) == IP_V4 ? 32 : 128 };
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_DELIVER, 100, cookie);
    match_destination(&d, &host);
    act_ct_clear(&d);
    act_set_mac(&d, MFF_ETH_SRC, ctx->reply_mac);
    act_set_mac(&d, MFF_ETH_DST, pod->has_mac ? pod->mac : ctx->reply_mac);
    act_set_be64(&d, MFF_TUN_ID, 0);
    act_set_be32(&d, MFF_TUN_SRC, 0);
    act_set_be32(&d, MFF_TUN_DST, 0);
    act_set_u8(&d, MFF_TUN_GBP_FLAGS, 1);
    act_load(&d, MFF_IN_PORT, 0, 16, ofp_to_u16(ctx->reply_port));
    act_resubmit(&d, ctx->reply_table);
    draft_emit(&d);
}

/* A known pod: what it sends goes on with its class, or back to the CNI if no route selects it ('class' has
 * no routes). */
void
compile_pod(const struct compile_context *ctx, const struct local_pod *pod,
            const struct route_class *class)
{
    uint64_t cookie = egress_cookie_for_name(EGRESS_OWNER_POD, pod->id);

    for (size_t i = 0; i < pod->n_ips; i++) {
        struct flow_draft d;

        draft_start(&d, ctx, EGRESS_TABLE_SOURCE, PRIORITY_POD, cookie);
        match_source(&d, &pod->ips[i]);
        match_set_in_port(&d.match, pod->ofport);
        if (class->n_routes) {
            act_set_be64(&d, MFF_TUN_ID, route_class_id(class));
            act_go_to(&d, EGRESS_TABLE_ROUTE);
        } else {
            act_go_to(&d, EGRESS_TABLE_RETURN);
        }
        draft_emit(&d);

        if (class->n_routes) {
            draft_start(&d, ctx, EGRESS_TABLE_SOURCE, PRIORITY_NOT_A_POD, cookie);
            match_source(&d, &pod->ips[i]);
            draft_emit(&d);

            emit_delivery(ctx, pod, &pod->ips[i], cookie);
        }
    }
}

/* A port behind which there is no pod that a policy could select: its packets are the CNI's. */
void
compile_free_port(const struct compile_context *ctx, ofp_port_t port, uint64_t cookie)
{
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_SOURCE, PRIORITY_FREE_PORT, cookie);
    match_set_in_port(&d.match, port);
    act_go_to(&d, EGRESS_TABLE_RETURN);
    draft_emit(&d);
}

/* A destination, or an exception, of a route in a class. */
struct class_entry {
    struct ip_prefix prefix;
    const struct egress_route *route;
    size_t rank;                            /* Of 'route' in the class. */
    bool excepted;
};

/* By family and address, and a prefix before those that it contains. */
static int
compare_class_entries(const void *a_, const void *b_)
{
    const struct class_entry *a = a_;
    const struct class_entry *b = b_;
    enum ip_family a_family = ip_prefix_family(&a->prefix);
    enum ip_family b_family = ip_prefix_family(&b->prefix);

    return a_family != b_family ? (a_family < b_family ? -1 : 1) : ip_prefix_compare(&a->prefix, &b->prefix);
}

/* Returns the '*n' entries of 'class', sorted.  The caller frees them. */
static struct class_entry *
collect_class_entries(const struct route_class *class, size_t *n)
{
    static const struct ip_prefix any[N_IP_FAMILIES] = {
        [IP_V4] = { { { { [10] = 0xff, [11] = 0xff } } }, 0 },
        [IP_V6] = { IN6ADDR_ANY_INIT, 0 },
    };
    struct class_entry *entries = NULL;
    size_t allocated = 0;

    *n = 0;
    for (size_t i = 0; i < class->n_routes; i++) {
        const struct egress_policy *policy = class->routes[i]->policy;
        const struct ip_prefix *destinations = policy->n_destinations ? policy->destinations : any;
        size_t n_destinations = policy->n_destinations ? policy->n_destinations : N_IP_FAMILIES;

        for (size_t j = 0; j < n_destinations + policy->n_exceptions; j++) {
            bool excepted = j >= n_destinations;

            if (*n >= allocated) {
                entries = x2nrealloc(entries, &allocated, sizeof *entries);
            }
            entries[(*n)++] = (struct class_entry) {
                .prefix = excepted ? policy->exceptions[j - n_destinations] : destinations[j],
                .route = class->routes[i], .rank = i, .excepted = excepted,
            };
        }
    }
    qsort(entries, *n, sizeof *entries, compare_class_entries);
    return entries;
}

/* Does the entry 'a' win over 'b', which applies to the packet, too?  This is the written rule: priority, then the
 * longer matching destination, then age and name, by which the class is sorted. */
static bool
class_entry_wins(const struct class_entry *a, const struct class_entry *b)
{
    if (a->route->policy->priority != b->route->policy->priority) {
        return a->route->policy->priority > b->route->policy->priority;
    } else if (a->prefix.plen != b->prefix.plen) {
        return a->prefix.plen > b->prefix.plen;
    }
    return a->rank < b->rank;
}

/* The route that packets follow to which just the 'n' entries 'applying' apply, or NULL for none.  'excepted' has room
 * for every rank of the class. */
static const struct egress_route *
decide(const struct class_entry *const *applying, size_t n, bool *excepted, size_t n_ranks)
{
    const struct class_entry *best = NULL;

    memset(excepted, 0, n_ranks * sizeof *excepted);
    for (size_t i = 0; i < n; i++) {
        excepted[applying[i]->rank] |= applying[i]->excepted;
    }
    for (size_t i = 0; i < n; i++) {
        if (!excepted[applying[i]->rank] && (!best || class_entry_wins(applying[i], best))) {
            best = applying[i];
        }
    }
    return best ? best->route : NULL;
}

static void
act_return_to_cni(struct flow_draft *d)
{
    act_set_be64(d, MFF_TUN_ID, 0);
    act_go_to(d, EGRESS_TABLE_RETURN);
}

static void
act_follow_route(struct flow_draft *d, const struct egress_route *route, enum ip_family family,
                 uint64_t class_id)
{
    if (egress_route_serves(route, family)) {
        if (route->number != class_id) {
            act_set_be64(d, MFF_TUN_ID, route->number);
        }
        act_go_to(d, EGRESS_TABLE_GATEWAY);
    } else if (route->policy->on_no_gateway == ON_NO_GATEWAY_FALLBACK) {
        act_return_to_cni(d);
    }
}

static void
emit_class_prefix(const struct compile_context *ctx, const struct route_class *class,
                  const struct ip_prefix *prefix, const struct egress_route *route)
{
    uint64_t class_id = route_class_id(class);
    struct flow_draft d;

    draft_start(&d, ctx, EGRESS_TABLE_ROUTE, PRIORITY_ROUTES + prefix->plen, class_cookie(class));
    match_set_tun_id(&d.match, htonll(class_id));
    match_destination(&d, prefix);
    if (route) {
        act_follow_route(&d, route, ip_prefix_family(prefix), class_id);
    } else {
        act_return_to_cni(&d);
    }
    draft_emit(&d);
}

/* Where packets of 'class' go, by destination.
 *
 * Of two prefixes one contains the other or they have nothing in common.  So the longest one that contains a packet's
 * destination, be it somebody's destination or exception, tells all of them that do: there is one flow for each
 * different prefix, with a priority that follows from its length, and the rule is applied here, not in the switch. */
void
compile_class(const struct compile_context *ctx, const struct route_class *class)
{
    size_t n_entries, n_applying = 0;
    struct class_entry *entries = collect_class_entries(class, &n_entries);
    const struct class_entry **applying = xmalloc(n_entries * sizeof *applying);
    bool *excepted = xmalloc(class->n_routes * sizeof *excepted);
    struct flow_draft d;

    for (size_t i = 0; i < n_entries; i++) {
        const struct ip_prefix *prefix = &entries[i].prefix;

        while (n_applying && !ip_prefix_contains(&applying[n_applying - 1]->prefix, &prefix->addr)) {
            n_applying--;
        }
        applying[n_applying++] = &entries[i];
        if (i + 1 == n_entries || !ip_prefix_equals(prefix, &entries[i + 1].prefix)) {
            emit_class_prefix(ctx, class, prefix, decide(applying, n_applying, excepted, class->n_routes));
        }
    }
    free(excepted);
    free(applying);
    free(entries);

    draft_start(&d, ctx, EGRESS_TABLE_ROUTE, PRIORITY_NO_ROUTE, class_cookie(class));
    match_set_tun_id(&d.match, htonll(route_class_id(class)));
    act_return_to_cni(&d);
    draft_emit(&d);
}
