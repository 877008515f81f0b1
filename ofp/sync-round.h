#ifndef OFP_SYNC_ROUND_H
#define OFP_SYNC_ROUND_H 1

/* One round of bringing a switch to what it should be: changes to meters, one atomic bundle with
 * all flow changes that are pending at its start, deletions of meters, barriers.
 *
 * A change that the switch refuses is set aside (see flow_set_op_failed()), and the rest goes
 * out again as a new bundle, so that one bad flow does not stop the others and what the switch
 * takes over is always consistent.
 *
 * A round owns no connection.  The caller asks for messages with sync_round_next() as fast as it
 * gets rid of them, and hands over the replies. */

#include <stdbool.h>
#include <stdint.h>
#include "openvswitch/ofp-errors.h"
#include "openvswitch/types.h"

struct flow_set;
struct meter_set;
struct ofp_header;
struct ofpbuf;
struct sync_round;

/* What rounds did, added up by their owner. */
struct sync_stats {
    uint64_t n_adds, n_modifies, n_deletes; /* Flow mods sent. */
    uint64_t n_meter_mods;
    uint64_t n_bundles;
    uint64_t n_bundle_errors;   /* Bundles that did not come into force. */
};

enum sync_status {
    SYNC_RUNNING,
    SYNC_DONE,
    SYNC_BROKEN, /* The switch does not make sense: start over with a new connection. */
};

/* Where a round takes transaction ids from, and what cookies flows need to have to be deleted. */
struct sync_context {
    struct flow_set *flows;
    struct meter_set *meters;
    ovs_be64 cookie, cookie_mask;
    uint32_t *next_xid;
    struct sync_stats *stats;
};

struct sync_round *sync_round_create(const struct sync_context *);
void sync_round_destroy(struct sync_round *);

struct ofpbuf *sync_round_next(struct sync_round *);
bool sync_round_has_next(const struct sync_round *);
bool sync_round_handle_error(struct sync_round *, uint32_t xid, enum ofperr);
void sync_round_handle_barrier(struct sync_round *, uint32_t xid);
void sync_round_handle_bundle_control(struct sync_round *, const struct ofp_header *);
enum sync_status sync_round_get_status(const struct sync_round *);

#endif /* ofp/sync-round.h */
