#ifndef OFP_METER_SET_H
#define OFP_METER_SET_H 1

/* The meters that a switch should have, next to those that it has, within a range of ids that is
 * ours alone.
 *
 * A flow cannot be added before its meter exists, and a switch that deletes a meter deletes the
 * flows that use it.  So additions and changes go out before the flows, and deletions after
 * them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "openvswitch/types.h"

struct ofputil_meter_config;

struct meter_want {
    uint32_t id;
    uint32_t rate_kbps;
    uint32_t burst_kb;          /* In kilobits.  0: the switch's choice. */
};

struct meter_set {
    struct hmap meters;         /* Contains "struct meter"s by id. */
    uint32_t first, last;       /* Ids that are ours. */
    size_t n_puts;              /* Meters to be added or changed. */
    size_t n_deletes;           /* Meters to be deleted. */
};

void meter_set_init(struct meter_set *, uint32_t first, uint32_t last);
void meter_set_destroy(struct meter_set *);

bool meter_set_set_wanted(struct meter_set *, const struct meter_want *, size_t n);
void meter_set_forget_installed(struct meter_set *);
void meter_set_note_installed(struct meter_set *, const struct ofputil_meter_config *);
void meter_set_update(struct meter_set *);
bool meter_set_contains(const struct meter_set *, uint32_t id);

void meter_set_encode_puts(struct meter_set *, struct ovs_list *msgs);
void meter_set_encode_deletes(struct meter_set *, struct ovs_list *msgs);
void meter_set_mod_failed(struct meter_set *, uint32_t id);

#endif /* ofp/meter-set.h */
