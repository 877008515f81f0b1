#ifndef OFP_FLOW_SET_H
#define OFP_FLOW_SET_H 1

/* The flows that a switch should have, grouped by owner, and next to them what it is known to
 * have.
 *
 * An owner is a string that says on whose behalf flows exist, e.g. "node" or "pod/lab/web".  All
 * flows of an owner are replaced at once; only those that differ from what the switch has become
 * pending.  A switch keeps one flow per table, priority and match.  Where several owners want
 * the same one, the first by name is in force, the next takes over when it goes away.
 *
 * The second half of this header is for the switch connection, which reads what is pending and
 * records what the switch has.  A flow that the switch has just as it is wanted is one object in
 * memory, not two. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ofp/of-flow.h"
#include "openvswitch/list.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/types.h"

struct ds;
struct flow_set;
struct match;
struct ofpbuf;
struct sset;

/* New flows of one owner, under construction. */
struct flow_batch {
    struct ovs_list flows;      /* Contains "struct of_flow"s through 'owner_node'. */
    size_t n;
};

void flow_batch_init(struct flow_batch *);
void flow_batch_destroy(struct flow_batch *);
void flow_batch_add(void *batch, uint8_t table_id, uint16_t priority, uint64_t cookie,
                    const struct match *, const struct ofpbuf *ofpacts);

struct flow_set *flow_set_create(void);
void flow_set_destroy(struct flow_set *);

bool flow_set_replace(struct flow_set *, const char *owner, struct flow_batch *);
bool flow_set_has_owner(const struct flow_set *, const char *owner);
void flow_set_get_owners(const struct flow_set *, struct sset *names);
void flow_set_format(const struct flow_set *, const char *owner, of_flow_table_name_func *,
                     struct ds *);
size_t flow_set_count(const struct flow_set *);
void flow_set_count_by_table(const struct flow_set *, unsigned int counts[256]);
uint64_t flow_set_get_seqno(const struct flow_set *);

/* For the switch connection. */

enum flow_op_type {
    FLOW_OP_ADD,
    FLOW_OP_MODIFY,
    FLOW_OP_DELETE,
};

/* One change to the switch.  It is over with flow_set_op_done(), _failed() or _aborted(). */
struct flow_op {
    struct flow_slot *slot;
    struct of_flow *flow;       /* To be added, or to be deleted. */
    enum flow_op_type type;
};

void flow_set_set_cookie(struct flow_set *, ovs_be64 cookie, ovs_be64 mask);

size_t flow_set_count_pending(const struct flow_set *);
struct flow_op *flow_set_take_pending(struct flow_set *, size_t *n_ops);
void flow_set_op_done(struct flow_set *, struct flow_op *);
void flow_set_op_failed(struct flow_set *, struct flow_op *, enum ofperr);
void flow_set_op_aborted(struct flow_set *, struct flow_op *);

void flow_set_forget_installed(struct flow_set *);
bool flow_set_note_installed(struct flow_set *, struct of_flow *);
bool flow_set_note_removed(struct flow_set *, const struct of_flow *);
bool flow_set_uses_table(const struct flow_set *, uint8_t table_id);

size_t flow_set_count_rejected(const struct flow_set *);
void flow_set_format_rejected(const struct flow_set *, of_flow_table_name_func *, struct ds *);

#endif /* ofp/flow-set.h */
