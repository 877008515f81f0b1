#include <config.h>
#include "ofp/meter-set.h"
#include <string.h>
#include "hash.h"
#include "ofp/of-flow.h"
#include "openvswitch/ofp-meter.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_meter_set);

struct meter {
    struct hmap_node node;      /* In struct meter_set's 'meters', by hash_int(id). */
    uint32_t id;
    bool wanted;
    bool mentioned;             /* For meter_set_set_wanted(). */
    bool installed;             /* The switch has it, maybe with another 'config'. */
    bool same;                  /* The switch has it just as it is wanted. */
    bool rejected;              /* The switch does not accept what is wanted. */
    struct meter_want want;
};

void
meter_set_init(struct meter_set *set, uint32_t first, uint32_t last)
{
    hmap_init(&set->meters);
    set->first = first;
    set->last = last;
    set->n_puts = set->n_deletes = 0;
}

void
meter_set_destroy(struct meter_set *set)
{
    struct meter *meter;

    HMAP_FOR_EACH_POP (meter, node, &set->meters) {
        free(meter);
    }
    hmap_destroy(&set->meters);
}

static struct meter *
meter_find(const struct meter_set *set, uint32_t id)
{
    struct meter *meter;

    HMAP_FOR_EACH_WITH_HASH (meter, node, hash_int(id, 0), &set->meters) {
        if (meter->id == id) {
            return meter;
        }
    }
    return NULL;
}

static struct meter *
meter_find_or_create(struct meter_set *set, uint32_t id)
{
    struct meter *meter = meter_find(set, id);

    if (!meter) {
        meter = xzalloc(sizeof *meter);
        meter->id = id;
        hmap_insert(&set->meters, &meter->node, hash_int(id, 0));
    }
    return meter;
}

static bool
needs_put(const struct meter *meter)
{
    return meter->wanted && !meter->same && !meter->rejected;
}

static bool
needs_delete(const struct meter *meter)
{
    return meter->installed && !meter->wanted && !meter->rejected;
}

/* Counts anew, and frees meters that nobody wants nor has.  To be called after the last of a
 * series of calls to meter_set_note_installed(). */
void
meter_set_update(struct meter_set *set)
{
    struct meter *meter;

    set->n_puts = set->n_deletes = 0;
    HMAP_FOR_EACH_SAFE (meter, node, &set->meters) {
        set->n_puts += needs_put(meter);
        set->n_deletes += needs_delete(meter);
        if (!meter->wanted && !meter->installed) {
            hmap_remove(&set->meters, &meter->node);
            free(meter);
        }
    }
}

/* Whether 'id' is in the range that is ours. */
bool
meter_set_contains(const struct meter_set *set, uint32_t id)
{
    return id >= set->first && id <= set->last;
}

/* Makes the 'n' meters in 'wants' all that are wanted.  Ids out of our range are refused.
 * Returns true if that changed anything. */
bool
meter_set_set_wanted(struct meter_set *set, const struct meter_want *wants, size_t n)
{
    bool changed = false;
    struct meter *meter;

    HMAP_FOR_EACH (meter, node, &set->meters) {
        meter->mentioned = false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!meter_set_contains(set, wants[i].id)) {
            VLOG_ERR("meter %"PRIu32" is not between %"PRIu32" and %"PRIu32, wants[i].id,
                     set->first, set->last);
            continue;
        }
        meter = meter_find_or_create(set, wants[i].id);
        meter->mentioned = true;
        if (!meter->wanted || meter->want.rate_kbps != wants[i].rate_kbps
            || meter->want.burst_kb != wants[i].burst_kb) {
            meter->wanted = true;
            meter->want = wants[i];
            meter->same = meter->rejected = false;
            changed = true;
        }
    }
    HMAP_FOR_EACH (meter, node, &set->meters) {
        if (meter->wanted && !meter->mentioned) {
            meter->wanted = meter->same = meter->rejected = false;
            changed = true;
        }
    }
    meter_set_update(set);
    return changed;
}

/* From now on nothing is known about what the switch has. */
void
meter_set_forget_installed(struct meter_set *set)
{
    struct meter *meter;

    HMAP_FOR_EACH (meter, node, &set->meters) {
        meter->installed = meter->same = meter->rejected = false;
    }
    meter_set_update(set);
}

/* The switch has a meter with 'config'.  If that is not in our range it is none of our business. */
void
meter_set_note_installed(struct meter_set *set, const struct ofputil_meter_config *config)
{
    if (!meter_set_contains(set, config->meter_id)) {
        return;
    }

    struct meter *meter = meter_find_or_create(set, config->meter_id);
    enum ofp13_meter_flags flags = OFPMF13_KBPS | (meter->want.burst_kb ? OFPMF13_BURST : 0);
    meter->installed = true;
    meter->same =
        (meter->wanted && (config->flags & (OFPMF13_KBPS | OFPMF13_PKTPS | OFPMF13_BURST)) == flags
         && config->n_bands == 1 && config->bands[0].type == OFPMBT13_DROP
         && config->bands[0].rate == meter->want.rate_kbps
         && (!meter->want.burst_kb || config->bands[0].burst_size == meter->want.burst_kb));
}

static struct ofpbuf *
encode_mod(const struct meter *meter, uint16_t command)
{
    struct ofputil_meter_band band = {
        .type = OFPMBT13_DROP,
        .rate = meter->want.rate_kbps,
        .burst_size = meter->want.burst_kb,
    };
    struct ofputil_meter_mod mod = {
        .command = command,
        .meter = {
            .meter_id = meter->id,
            .flags = OFPMF13_KBPS | (meter->want.burst_kb ? OFPMF13_BURST : 0),
            .n_bands = command != OFPMC13_DELETE,
            .bands = &band,
        },
    };
    return ofputil_encode_meter_mod(OF_FLOW_VERSION, &mod);
}

/* Appends to 'msgs' what adds and changes the meters that need it.  The xid of each message is
 * the id of its meter, so that the caller, who has to give it another one, can tell
 * meter_set_mod_failed() which one failed.  They count as installed from now on. */
void
meter_set_encode_puts(struct meter_set *set, struct ovs_list *msgs)
{
    struct meter *meter;

    HMAP_FOR_EACH (meter, node, &set->meters) {
        if (needs_put(meter)) {
            struct ofpbuf *msg = encode_mod(meter, meter->installed ? OFPMC13_MODIFY : OFPMC13_ADD);

            ((struct ofp_header *) msg->data)->xid = htonl(meter->id);
            ovs_list_push_back(msgs, &msg->list_node);
            meter->installed = meter->same = true;
        }
    }
    meter_set_update(set);
}

/* Like meter_set_encode_puts(), for the meters that have to go. */
void
meter_set_encode_deletes(struct meter_set *set, struct ovs_list *msgs)
{
    struct meter *meter;

    HMAP_FOR_EACH (meter, node, &set->meters) {
        if (needs_delete(meter)) {
            struct ofpbuf *msg = encode_mod(meter, OFPMC13_DELETE);

            ((struct ofp_header *) msg->data)->xid = htonl(meter->id);
            ovs_list_push_back(msgs, &msg->list_node);
            meter->installed = false;
        }
    }
    meter_set_update(set);
}

/* The switch refused the last change to meter 'id'.  It is not tried again before something else
 * is wanted or before meter_set_forget_installed(). */
void
meter_set_mod_failed(struct meter_set *set, uint32_t id)
{
    struct meter *meter = meter_find(set, id);

    if (meter) {
        meter->rejected = true;
        meter->same = false;
        meter_set_update(set);
    }
}
