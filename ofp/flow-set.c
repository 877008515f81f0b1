#include <config.h>
#include "ofp/flow-set.h"
#include <stdlib.h>
#include <string.h>
#include "byte-order.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/shash.h"
#include "openvswitch/vlog.h"
#include "sset.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_flow_set);

/* All flows of one owner. */
struct flow_owner {
    char *name;
    struct ovs_list flows;      /* Contains "struct of_flow"s through 'owner_node'. */
};

/* The place for one table, priority and match in the switch.  Exists as long as anything in it
 * does. */
struct flow_slot {
    struct hmap_node node;      /* In struct flow_set's 'slots', by of_flow_hash(). */
    struct ovs_list pending_node; /* In struct flow_set's 'pending', else empty. */
    struct of_flow *claims;     /* By name of owner.  The first is in force. */
    struct of_flow *installed; /* What the switch has; the very claim in force if it is the same. */
    struct of_flow *in_flight;  /* Of the operation that is on its way, else NULL. */
    uint8_t table_id;
    bool rejected;              /* In struct flow_set's 'rejections'. */
    bool conflict_logged;
};

/* A change that the switch did not accept.  It is not tried again until something else is
 * wanted, or until everything is compared again. */
struct flow_rejection {
    struct ovs_list node;       /* In struct flow_set's 'rejections'. */
    struct flow_slot *slot;
    struct of_flow *flow;       /* What was to be added; NULL if it was to be deleted. */
    enum ofperr error;
};

struct flow_set {
    struct shash owners;        /* Contains "struct flow_owner"s. */
    struct hmap slots;          /* Contains "struct flow_slot"s. */
    unsigned int n_slots[256];  /* Number of 'slots' by table. */
    size_t n_in_force;
    uint64_t seqno;             /* Counts changes to what is in force. */

    struct ovs_list pending;    /* Contains "struct flow_slot"s that differ from the switch. */
    size_t n_pending;
    struct ovs_list rejections; /* Contains "struct flow_rejection"s. */
    size_t n_rejections;
    ovs_be64 cookie;            /* Flows with this cookie */
    ovs_be64 cookie_mask;       /* in these bits are ours. */
};

void
flow_batch_init(struct flow_batch *batch)
{
    ovs_list_init(&batch->flows);
    batch->n = 0;
}

void
flow_batch_destroy(struct flow_batch *batch)
{
    struct of_flow *flow;

    LIST_FOR_EACH_POP (flow, owner_node, &batch->flows) {
        of_flow_unref(flow);
    }
    batch->n = 0;
}

/* Adds a flow to 'batch', a struct flow_batch.  Copies 'match' and 'ofpacts'.  'cookie' is in
 * host byte order. */
void
flow_batch_add(void *batch_, uint8_t table_id, uint16_t priority, uint64_t cookie,
               const struct match *match, const struct ofpbuf *ofpacts)
{
    struct flow_batch *batch = batch_;
    struct of_flow *flow =
        of_flow_create(table_id, priority, htonll(cookie), match, ofpacts->data, ofpacts->size);

    ovs_list_push_back(&batch->flows, &flow->owner_node);
    batch->n++;
}

struct flow_set *
flow_set_create(void)
{
    struct flow_set *set = xzalloc(sizeof *set);

    shash_init(&set->owners);
    hmap_init(&set->slots);
    ovs_list_init(&set->pending);
    ovs_list_init(&set->rejections);
    return set;
}

static void
rejection_destroy(struct flow_set *set, struct flow_rejection *rejection)
{
    rejection->slot->rejected = false;
    ovs_list_remove(&rejection->node);
    set->n_rejections--;
    of_flow_unref(rejection->flow);
    free(rejection);
}

static struct flow_rejection *
slot_rejection(const struct flow_set *set, const struct flow_slot *slot)
{
    struct flow_rejection *rejection;

    if (slot->rejected) {
        LIST_FOR_EACH (rejection, node, &set->rejections) {
            if (rejection->slot == slot) {
                return rejection;
            }
        }
    }
    return NULL;
}

/* Any flow of 'slot': all have the same key. */
static const struct of_flow *
slot_key(const struct flow_slot *slot)
{
    return slot->claims ? slot->claims : slot->installed ? slot->installed : slot->in_flight;
}

static struct flow_slot *
slot_find(const struct flow_set *set, const struct of_flow *key)
{
    struct flow_slot *slot;

    HMAP_FOR_EACH_WITH_HASH (slot, node, of_flow_hash(key), &set->slots) {
        if (of_flow_same_key(slot_key(slot), key)) {
            return slot;
        }
    }
    return NULL;
}

/* Returns a new slot for 'key'.  The caller has to put something into it. */
static struct flow_slot *
slot_create(struct flow_set *set, const struct of_flow *key)
{
    struct flow_slot *slot = xzalloc(sizeof *slot);

    hmap_insert(&set->slots, &slot->node, of_flow_hash(key));
    slot->table_id = key->table_id;
    ovs_list_init(&slot->pending_node);
    set->n_slots[key->table_id]++;
    return slot;
}

static void
slot_set_pending(struct flow_set *set, struct flow_slot *slot, bool pending)
{
    if (pending && ovs_list_is_empty(&slot->pending_node)) {
        ovs_list_push_back(&set->pending, &slot->pending_node);
        set->n_pending++;
    } else if (!pending && !ovs_list_is_empty(&slot->pending_node)) {
        ovs_list_remove(&slot->pending_node);
        ovs_list_init(&slot->pending_node);
        set->n_pending--;
    }
}

/* Changes what the switch is known to have in 'slot' to 'flow', which may be NULL, and takes
 * over that reference. */
static void
slot_set_installed(struct flow_slot *slot, struct of_flow *flow)
{
    of_flow_unref(slot->installed);
    slot->installed = flow;
}

/* Removes 'slot' and everything in it. */
static void
slot_destroy(struct flow_set *set, struct flow_slot *slot)
{
    struct flow_rejection *rejection = slot_rejection(set, slot);

    if (rejection) {
        rejection_destroy(set, rejection);
    }
    slot_set_pending(set, slot, false);
    slot_set_installed(slot, NULL);
    hmap_remove(&set->slots, &slot->node);
    set->n_slots[slot->table_id]--;
    free(slot);
}

static bool
is_ours(const struct flow_set *set, const struct of_flow *flow)
{
    return !((flow->cookie ^ set->cookie) & set->cookie_mask);
}

/* Whether the switch has in 'slot' something else than what it should.  Makes one object of two
 * equal ones. */
static bool
slot_differs(const struct flow_set *set, struct flow_slot *slot)
{
    struct of_flow *desired = slot->claims;

    if (desired == slot->installed) {
        return false;
    } else if (!desired) {
        return is_ours(set, slot->installed);
    } else if (!slot->installed) {
        return true;
    } else if (of_flow_same_content(desired, slot->installed)) {
        slot_set_installed(slot, of_flow_ref(desired));
        return false;
    }
    return true;
}

/* To be called after every change to 'slot': decides anew whether it is pending, and frees it if
 * nothing is left in it. */
static void
slot_update(struct flow_set *set, struct flow_slot *slot)
{
    struct flow_rejection *rejection = slot_rejection(set, slot);
    if (rejection) {
        bool same = (rejection->flow && slot->claims
                     ? of_flow_same_content(rejection->flow, slot->claims)
                     : !rejection->flow && !slot->claims);
        if (!same || !slot_differs(set, slot)) {
            rejection_destroy(set, rejection);
        }
    }

    bool differs = slot_differs(set, slot);
    slot_set_pending(set, slot, differs && !slot->in_flight && !slot->rejected);
    if (!slot->claims && !slot->in_flight && !differs) {
        slot_destroy(set, slot);
    }
}

static void
log_conflict(struct flow_slot *slot)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);
    const struct of_flow *winner = slot->claims;

    for (const struct of_flow *flow = winner->next_claim; flow; flow = flow->next_claim) {
        if (!slot->conflict_logged && !of_flow_same_content(winner, flow)) {
            struct ds s = DS_EMPTY_INITIALIZER;

            of_flow_format(flow, NULL, &s);
            VLOG_WARN_RL(&rl,
                         "%s and %s want different things of the same flow; %s prevails over: %s",
                         winner->owner->name, flow->owner->name, winner->owner->name, ds_cstr(&s));
            ds_destroy(&s);
            slot->conflict_logged = true;
        }
    }
}

/* Where in the claims of 'slot' that of an owner with 'name' is, or would have to be inserted. */
static struct of_flow **
claim_position(struct flow_slot *slot, const char *name)
{
    struct of_flow **p = &slot->claims;

    while (*p && strcmp((*p)->owner->name, name) < 0) {
        p = &(*p)->next_claim;
    }
    return p;
}

/* Takes 'flow' out of the claims of its slot.  Whoever else holds a reference to it keeps it. */
static void
claim_unlink(struct of_flow *flow)
{
    struct of_flow **p = claim_position(flow->slot, flow->owner->name);

    ovs_assert(*p == flow);
    *p = flow->next_claim;
    ovs_list_remove(&flow->owner_node);
    ovs_list_init(&flow->owner_node);
    flow->next_claim = NULL;
    flow->owner = NULL;
    flow->slot = NULL;
}

static void
claim_link(struct flow_slot *slot, struct flow_owner *owner, struct of_flow *flow)
{
    struct of_flow **p = claim_position(slot, owner->name);

    flow->owner = owner;
    flow->slot = slot;
    flow->next_claim = *p;
    *p = flow;
    ovs_list_push_back(&owner->flows, &flow->owner_node);
}

/* Brings the books up to date after the claim in force in 'slot' was 'old' (to which the caller
 * has a reference, or NULL).  Returns true if something else is in force now. */
static bool
slot_claims_changed(struct flow_set *set, struct flow_slot *slot, const struct of_flow *old)
{
    const struct of_flow *new = slot->claims;
    bool changed = !old != !new || (new && !of_flow_same_content(old, new));

    set->n_in_force += (new != NULL) - (old != NULL);
    if (new) {
        log_conflict(slot);
    }
    slot_update(set, slot);
    return changed;
}

/* Takes the claim 'flow' out of 'set' and drops the owner's reference.  Returns true if that
 * changed what is in force. */
static bool
claim_remove(struct flow_set *set, struct of_flow *flow)
{
    struct flow_slot *slot = flow->slot;
    struct of_flow *old = of_flow_ref(slot->claims);

    claim_unlink(flow);
    bool changed = slot_claims_changed(set, slot, old);
    of_flow_unref(old);
    of_flow_unref(flow);
    return changed;
}

/* Makes 'flow' a claim of 'owner', in place of what 'owner' claimed there before.  Takes over
 * the reference.  A claim that stays as it is moves to the end of the owner's list.  Returns
 * true if that changed what is in force. */
static bool
claim_put(struct flow_set *set, struct flow_owner *owner, struct of_flow *flow)
{
    struct flow_slot *slot = slot_find(set, flow);
    if (!slot) {
        slot = slot_create(set, flow);
    }

    struct of_flow *mine = *claim_position(slot, owner->name);
    mine = mine && mine->owner == owner ? mine : NULL;
    if (mine && of_flow_same_content(mine, flow)) {
        of_flow_unref(flow);
        ovs_list_remove(&mine->owner_node);
        ovs_list_push_back(&owner->flows, &mine->owner_node);
        return false;
    }

    struct of_flow *old = of_flow_ref(slot->claims);
    if (mine) {
        claim_unlink(mine);
        of_flow_unref(mine);
    }
    claim_link(slot, owner, flow);
    bool changed = slot_claims_changed(set, slot, old);
    of_flow_unref(old);
    return changed;
}

/* Makes the flows in 'batch' all flows of 'owner' in 'set'; an empty 'batch' removes the owner.
 * 'batch' is empty afterwards.  If it has the same table, priority and match twice, the last one
 * counts.  Returns true if that changed what the switch should have. */
bool
flow_set_replace(struct flow_set *set, const char *name, struct flow_batch *batch)
{
    struct flow_owner *owner = shash_find_data(&set->owners, name);
    if (!owner) {
        if (ovs_list_is_empty(&batch->flows)) {
            return false;
        }
        owner = xmalloc(sizeof *owner);
        owner->name = xstrdup(name);
        ovs_list_init(&owner->flows);
        shash_add_nocopy(&set->owners, owner->name, owner);
    }

    struct ovs_list before = OVS_LIST_INITIALIZER(&before);
    ovs_list_push_back_all(&before, &owner->flows);

    bool changed = false;
    struct of_flow *flow;
    LIST_FOR_EACH_POP (flow, owner_node, &batch->flows) {
        changed |= claim_put(set, owner, flow);
    }
    batch->n = 0;

    while (!ovs_list_is_empty(&before)) {
        changed |=
            claim_remove(set, CONTAINER_OF(ovs_list_front(&before), struct of_flow, owner_node));
    }
    if (ovs_list_is_empty(&owner->flows)) {
        shash_find_and_delete(&set->owners, name);
        free(owner);
    }
    set->seqno += changed;
    return changed;
}

/* Destroys 'set', which no switch connection may use any more. */
void
flow_set_destroy(struct flow_set *set)
{
    if (!set) {
        return;
    }

    struct shash_node *node;
    SHASH_FOR_EACH_SAFE (node, &set->owners) {
        struct flow_owner *owner = node->data;
        struct of_flow *flow;

        LIST_FOR_EACH_SAFE (flow, owner_node, &owner->flows) {
            claim_remove(set, flow);
        }
        shash_delete(&set->owners, node);
        free(owner);
    }
    flow_set_forget_installed(set);
    ovs_assert(hmap_is_empty(&set->slots));
    shash_destroy(&set->owners);
    hmap_destroy(&set->slots);
    free(set);
}

bool
flow_set_has_owner(const struct flow_set *set, const char *owner)
{
    return shash_find(&set->owners, owner) != NULL;
}

/* Adds the names of all owners to 'names'. */
void
flow_set_get_owners(const struct flow_set *set, struct sset *names)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &set->owners) {
        sset_add(names, node->name);
    }
}

static int
compare_flow_ptrs(const void *a_, const void *b_)
{
    const struct of_flow *const *a = a_;
    const struct of_flow *const *b = b_;

    return of_flow_compare(*a, *b);
}

/* Appends the flows of 'owner', or all that are in force if it is NULL, to 's', one per line, by
 * table, priority and match.  A flow of 'owner' that is not in force is followed by the name of
 * the owner that is in the way. */
void
flow_set_format(const struct flow_set *set, const char *owner_name,
                of_flow_table_name_func *table_name, struct ds *s)
{
    const struct flow_owner *owner = owner_name ? shash_find_data(&set->owners, owner_name) : NULL;
    size_t max = owner_name ? (owner ? ovs_list_size(&owner->flows) : 0) : set->n_in_force;
    const struct of_flow **flows = xmalloc(max * sizeof *flows);
    size_t n = 0;

    if (owner) {
        const struct of_flow *flow;
        LIST_FOR_EACH (flow, owner_node, &owner->flows) {
            flows[n++] = flow;
        }
    } else if (!owner_name) {
        const struct flow_slot *slot;
        HMAP_FOR_EACH (slot, node, &set->slots) {
            if (slot->claims) {
                flows[n++] = slot->claims;
            }
        }
    }
    ovs_assert(n == max);
    qsort(flows, n, sizeof *flows, compare_flow_ptrs);

    for (size_t i = 0; i < n; i++) {
        const struct of_flow *in_force = flows[i]->slot->claims;

        of_flow_format(flows[i], table_name, s);
        if (in_force != flows[i]) {
            ds_put_format(s, " (not in force, %s has the same flow)", in_force->owner->name);
        }
        ds_put_char(s, '\n');
    }
    free(flows);
}

/* The number of flows that are in force. */
size_t
flow_set_count(const struct flow_set *set)
{
    return set->n_in_force;
}

/* Stores in 'counts' how many flows are in force in each table. */
void
flow_set_count_by_table(const struct flow_set *set, unsigned int counts[256])
{
    const struct flow_slot *slot;

    memset(counts, 0, 256 * sizeof *counts);
    HMAP_FOR_EACH (slot, node, &set->slots) {
        counts[slot->table_id] += slot->claims != NULL;
    }
}

/* A number that grows with every change to what is in force. */
uint64_t
flow_set_get_seqno(const struct flow_set *set)
{
    return set->seqno;
}

/* Flows whose cookie equals 'cookie' in the bits of 'mask' are ours: what the switch has of them
 * and nobody wants is to be deleted.  All others stay alone. */
void
flow_set_set_cookie(struct flow_set *set, ovs_be64 cookie, ovs_be64 mask)
{
    set->cookie = cookie & mask;
    set->cookie_mask = mask;
}

size_t
flow_set_count_pending(const struct flow_set *set)
{
    return set->n_pending;
}

/* Returns all changes that make the switch what it should be, in '*n_ops' their number;
 * deletions come first.  The caller has to report about each and to free the array. */
struct flow_op *
flow_set_take_pending(struct flow_set *set, size_t *n_ops)
{
    struct flow_op *ops = xmalloc(set->n_pending * sizeof *ops);
    size_t n = set->n_pending;
    size_t first = 0, last = n;

    struct flow_slot *slot;
    LIST_FOR_EACH_REVERSE_SAFE (slot, pending_node, &set->pending) {
        struct flow_op *op = slot->claims ? &ops[--last] : &ops[first++];

        op->slot = slot;
        op->type = !slot->claims ? FLOW_OP_DELETE : slot->installed ? FLOW_OP_MODIFY : FLOW_OP_ADD;
        op->flow = of_flow_ref(slot->claims ? slot->claims : slot->installed);
        slot->in_flight = op->flow;
        slot_set_pending(set, slot, false);
    }
    ovs_assert(first == last);
    *n_ops = n;
    return ops;
}

static void
op_finish(struct flow_set *set, struct flow_op *op)
{
    op->slot->in_flight = NULL;
    slot_update(set, op->slot);
    of_flow_unref(op->flow);
    op->flow = NULL;
    op->slot = NULL;
}

/* The switch did 'op'. */
void
flow_set_op_done(struct flow_set *set, struct flow_op *op)
{
    slot_set_installed(op->slot, op->type == FLOW_OP_DELETE ? NULL : of_flow_ref(op->flow));
    op_finish(set, op);
}

/* The switch refused 'op' because of 'error'.  It is not tried again until something else is
 * wanted, or until the next flow_set_forget_installed(). */
void
flow_set_op_failed(struct flow_set *set, struct flow_op *op, enum ofperr error)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 30);
    struct flow_rejection *rejection = xmalloc(sizeof *rejection);

    rejection->slot = op->slot;
    rejection->flow = op->type == FLOW_OP_DELETE ? NULL : of_flow_ref(op->flow);
    rejection->error = error;
    ovs_list_push_back(&set->rejections, &rejection->node);
    set->n_rejections++;
    op->slot->rejected = true;

    if (!VLOG_DROP_WARN(&rl)) {
        struct ds s = DS_EMPTY_INITIALIZER;

        of_flow_format(op->flow, NULL, &s);
        VLOG_WARN("the switch refused (%s) to %s a flow of %s: %s", ofperr_get_name(error),
                  op->type == FLOW_OP_DELETE ? "delete" : "add",
                  op->flow->owner ? op->flow->owner->name : "nobody", ds_cstr(&s));
        ds_destroy(&s);
    }
    op_finish(set, op);
}

/* Nothing came of 'op', but it was not the fault of 'op'. */
void
flow_set_op_aborted(struct flow_set *set, struct flow_op *op)
{
    op_finish(set, op);
}

/* From now on nothing is known about what the switch has or refuses.  There must be no operation
 * on its way. */
void
flow_set_forget_installed(struct flow_set *set)
{
    struct flow_rejection *rejection;
    LIST_FOR_EACH_SAFE (rejection, node, &set->rejections) {
        rejection_destroy(set, rejection);
    }

    struct flow_slot *slot;
    HMAP_FOR_EACH_SAFE (slot, node, &set->slots) {
        ovs_assert(!slot->in_flight);
        if (!slot->claims) {
            slot_destroy(set, slot);
        } else {
            slot_set_installed(slot, NULL);
            slot_set_pending(set, slot, true);
        }
    }
}

/* The switch has 'flow'; takes over that reference.  Returns true if that is news, and not good
 * ones. */
bool
flow_set_note_installed(struct flow_set *set, struct of_flow *flow)
{
    struct flow_slot *slot = slot_find(set, flow);

    if (!slot) {
        if (!is_ours(set, flow)) {
            of_flow_unref(flow);
            return false;
        }
        slot = slot_create(set, flow);
    } else if (slot->installed && of_flow_same_content(slot->installed, flow)) {
        of_flow_unref(flow);
        return false;
    }
    slot_set_installed(slot, flow);
    bool bad = slot_differs(set, slot);
    slot_update(set, slot);
    return bad;
}

/* The switch does no longer have the flow with the key of 'flow'.  Returns true if that is news,
 * and not good ones. */
bool
flow_set_note_removed(struct flow_set *set, const struct of_flow *flow)
{
    struct flow_slot *slot = slot_find(set, flow);

    if (!slot || !slot->installed) {
        return false;
    }
    bool bad = slot->claims != NULL;
    slot_set_installed(slot, NULL);
    slot_update(set, slot);
    return bad;
}

/* Whether there is anything in that table that flow_set_note_installed() and _removed() could be
 * about. */
bool
flow_set_uses_table(const struct flow_set *set, uint8_t table_id)
{
    return set->n_slots[table_id] > 0;
}

/* The number of changes that the switch refused and that are still wanted. */
size_t
flow_set_count_rejected(const struct flow_set *set)
{
    return set->n_rejections;
}

/* Appends what the switch refused to 's', one line each: owner, error, flow. */
void
flow_set_format_rejected(const struct flow_set *set, of_flow_table_name_func *table_name,
                         struct ds *s)
{
    const struct flow_rejection *rejection;

    LIST_FOR_EACH (rejection, node, &set->rejections) {
        const struct of_flow *flow = slot_key(rejection->slot);

        ds_put_format(
            s, "%s: %s%s: ", flow->owner ? flow->owner->name : "nobody",
            rejection->flow ? "" : "deletion of a flow: ", ofperr_get_name(rejection->error));
        of_flow_format(flow, table_name, s);
        ds_put_char(s, '\n');
    }
}
