#include <config.h>
#include "ofp/sync-round.h"
#include <stdlib.h>
#include "ofp/flow-set.h"
#include "ofp/meter-set.h"
#include "openvswitch/ofp-bundle.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_sync_round);

#define BUNDLE_FLAGS (OFPBF_ATOMIC | OFPBF_ORDERED)

enum phase {
    PHASE_PUT_METERS, /* There are no flow changes: the barrier after changed meters is out. */
    PHASE_FILL,                 /* The bundle's messages go out. */
    PHASE_CHECK,                /* All are out: did the switch accept each one? */
    PHASE_COMMIT,               /* The commit request and a barrier are out. */
    PHASE_DELETE_METERS,        /* The barrier after deleted meters is out. */
    PHASE_DONE,
    PHASE_BROKEN,
};

struct op_error {
    size_t op;                  /* Index into struct sync_round's 'ops'. */
    enum ofperr error;
};

struct sync_round {
    struct sync_context ctx;
    enum phase phase;
    struct ovs_list out;        /* Contains "struct ofpbuf"s to be sent before any of 'ops'. */

    struct flow_op *ops;
    size_t n_ops;
    size_t n_sent;              /* Number of 'ops' that are in the current bundle. */
    uint32_t first_op_xid;      /* The change ops[i] has the transaction id first_op_xid + i. */
    struct op_error *errors;    /* Of the current bundle. */
    size_t n_errors, allocated_errors;

    uint32_t *meter_ids; /* The meter change with xid first_meter_xid + i is about meter_ids[i]. */
    size_t n_meter_ids;
    uint32_t first_meter_xid;

    uint32_t bundle_id;
    uint32_t open_xid, commit_xid, barrier_xid;
    bool committed;
    enum ofperr commit_error;
};

static uint32_t
queue_msg(struct sync_round *round, struct ofpbuf *msg)
{
    uint32_t xid = (*round->ctx.next_xid)++;

    ((struct ofp_header *) msg->data)->xid = htonl(xid);
    ovs_list_push_back(&round->out, &msg->list_node);
    return xid;
}

static void
queue_barrier(struct sync_round *round, enum phase phase)
{
    round->barrier_xid = queue_msg(round, ofputil_encode_barrier_request(OF_FLOW_VERSION));
    round->phase = phase;
}

static uint32_t
queue_bundle_control(struct sync_round *round, uint16_t type)
{
    struct ofputil_bundle_ctrl_msg bc = { .bundle_id = round->bundle_id,
                                          .type = type,
                                          .flags = BUNDLE_FLAGS };

    return queue_msg(round, ofputil_encode_bundle_ctrl_request(OF_FLOW_VERSION, &bc));
}

static void
queue_meter_mods(struct sync_round *round, struct ovs_list *msgs)
{
    size_t n = ovs_list_size(msgs);
    struct ofpbuf *msg;

    round->meter_ids = xrealloc(round->meter_ids, n * sizeof *round->meter_ids);
    round->n_meter_ids = 0;
    round->first_meter_xid = *round->ctx.next_xid;
    LIST_FOR_EACH_POP (msg, list_node, msgs) {
        round->meter_ids[round->n_meter_ids++] = ntohl(((struct ofp_header *) msg->data)->xid);
        queue_msg(round, msg);
    }
    round->ctx.stats->n_meter_mods += n;
}

/* Opens a bundle for what is left of the changes. */
static void
start_bundle(struct sync_round *round)
{
    round->bundle_id = *round->ctx.next_xid;
    round->open_xid = queue_bundle_control(round, OFPBCT_OPEN_REQUEST);
    round->first_op_xid = *round->ctx.next_xid;
    *round->ctx.next_xid += round->n_ops;
    round->n_sent = 0;
    round->n_errors = 0;
    round->committed = false;
    round->commit_error = 0;
    round->phase = PHASE_FILL;
    round->ctx.stats->n_bundles++;
}

/* All flows are what they should be: now the meters that they do not use any more. */
static void
start_meter_deletes(struct sync_round *round)
{
    if (round->ctx.meters->n_deletes) {
        struct ovs_list msgs = OVS_LIST_INITIALIZER(&msgs);

        meter_set_encode_deletes(round->ctx.meters, &msgs);
        queue_meter_mods(round, &msgs);
        queue_barrier(round, PHASE_DELETE_METERS);
    } else {
        round->phase = PHASE_DONE;
    }
}

/* Starts a round that brings about everything that is pending in the flows and meters of 'ctx'. */
struct sync_round *
sync_round_create(const struct sync_context *ctx)
{
    struct sync_round *round = xzalloc(sizeof *round);

    round->ctx = *ctx;
    ovs_list_init(&round->out);
    if (ctx->meters->n_puts) {
        struct ovs_list msgs = OVS_LIST_INITIALIZER(&msgs);

        meter_set_encode_puts(ctx->meters, &msgs);
        queue_meter_mods(round, &msgs);
    }
    round->ops = flow_set_take_pending(ctx->flows, &round->n_ops);
    if (round->n_ops) {
        start_bundle(round);
    } else if (!ovs_list_is_empty(&round->out)) {
        queue_barrier(round, PHASE_PUT_METERS);
    } else {
        start_meter_deletes(round);
    }
    return round;
}

/* Ends 'round'.  What did not come into force is pending again. */
void
sync_round_destroy(struct sync_round *round)
{
    if (round) {
        for (size_t i = 0; i < round->n_ops; i++) {
            flow_set_op_aborted(round->ctx.flows, &round->ops[i]);
        }
        ofpbuf_list_delete(&round->out);
        free(round->ops);
        free(round->errors);
        free(round->meter_ids);
        free(round);
    }
}

static struct ofpbuf *
encode_op(struct sync_round *round, size_t i)
{
    const struct flow_op *op = &round->ops[i];
    ovs_be32 xid = htonl(round->first_op_xid + i);
    struct ofpbuf *mod;

    if (op->type == FLOW_OP_DELETE) {
        mod = of_flow_encode_delete(op->flow, round->ctx.cookie, round->ctx.cookie_mask, xid);
        round->ctx.stats->n_deletes++;
    } else {
        mod = of_flow_encode_add(op->flow, xid);
        if (op->type == FLOW_OP_ADD) {
            round->ctx.stats->n_adds++;
        } else {
            round->ctx.stats->n_modifies++;
        }
    }

    struct ofputil_bundle_add_msg bam = { .bundle_id = round->bundle_id,
                                          .flags = BUNDLE_FLAGS,
                                          .msg = mod->data };
    struct ofpbuf *msg = ofputil_encode_bundle_add(OF_FLOW_VERSION, &bam);
    ofpbuf_delete(mod);
    return msg;
}

/* Whether sync_round_next() would return a message. */
bool
sync_round_has_next(const struct sync_round *round)
{
    return !ovs_list_is_empty(&round->out) || round->phase == PHASE_FILL;
}

/* Returns the next message to be sent, or NULL if the switch's answers have to be waited for. */
struct ofpbuf *
sync_round_next(struct sync_round *round)
{
    if (ovs_list_is_empty(&round->out) && round->phase == PHASE_FILL) {
        if (round->n_sent < round->n_ops) {
            return encode_op(round, round->n_sent++);
        }
        /* A change that the switch refuses is left out of the bundle, but the others stay in, so
         * they must not be committed before it is clear that all are in. */
        queue_barrier(round, PHASE_CHECK);
    }
    return ovs_list_is_empty(&round->out) ? NULL
                                          : ofpbuf_from_list(ovs_list_pop_front(&round->out));
}

/* The switch answered 'error' to the message with 'xid'.  Returns false if that is none of this
 * round. */
bool
sync_round_handle_error(struct sync_round *round, uint32_t xid, enum ofperr error)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 30);

    if (xid - round->first_meter_xid < round->n_meter_ids) {
        uint32_t id = round->meter_ids[xid - round->first_meter_xid];

        VLOG_WARN_RL(&rl, "the switch refused (%s) to change meter %"PRIu32,
                     ofperr_get_name(error), id);
        meter_set_mod_failed(round->ctx.meters, id);
    } else if (!round->n_ops) {
        return false;
    } else if (xid - round->first_op_xid < round->n_sent) {
        if (round->n_errors >= round->allocated_errors) {
            round->errors =
                x2nrealloc(round->errors, &round->allocated_errors, sizeof *round->errors);
        }
        round->errors[round->n_errors++] = (struct op_error) { xid - round->first_op_xid, error };
    } else if (xid == round->open_xid) {
        VLOG_WARN_RL(&rl, "the switch refused (%s) to open a bundle", ofperr_get_name(error));
        round->phase = PHASE_BROKEN;
    } else if (xid == round->commit_xid && round->phase == PHASE_COMMIT) {
        round->commit_error = error;
    } else {
        return false;
    }
    return true;
}

static void
fail_op(struct sync_round *round, struct flow_op *op, enum ofperr error)
{
    if (op->slot) {
        flow_set_op_failed(round->ctx.flows, op, error);
    }
}

/* The bundle did not come into force because of 'errors'.  Sets aside those changes and starts
 * anew with the others. */
static void
retry_without_failed(struct sync_round *round)
{
    round->ctx.stats->n_bundle_errors++;
    for (size_t i = 0; i < round->n_errors; i++) {
        const struct op_error *e = &round->errors[i];
        struct flow_op *failed = &round->ops[e->op];

        if (e->error == OFPERR_OFPFMFC_TABLE_FULL && failed->slot) {
            /* The additions that follow would not fit either.  To learn that from one bundle
             * each would take forever. */
            uint8_t table_id = failed->flow->table_id;

            for (struct flow_op *op = failed + 1; op < &round->ops[round->n_ops]; op++) {
                if (op->slot && op->type == FLOW_OP_ADD && op->flow->table_id == table_id) {
                    fail_op(round, op, e->error);
                }
            }
        }
        fail_op(round, failed, e->error);
    }

    size_t n = 0;
    for (size_t i = 0; i < round->n_ops; i++) {
        if (round->ops[i].slot) {
            round->ops[n++] = round->ops[i];
        }
    }
    round->n_ops = n;
    if (n) {
        start_bundle(round);
    } else {
        start_meter_deletes(round);
    }
}

static void
finish_commit(struct sync_round *round)
{
    if (round->committed) {
        for (size_t i = 0; i < round->n_ops; i++) {
            flow_set_op_done(round->ctx.flows, &round->ops[i]);
        }
        round->n_ops = 0;
        start_meter_deletes(round);
    } else if (round->n_errors) {
        retry_without_failed(round);
    } else {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 30);

        VLOG_WARN_RL(&rl, "the switch did not commit a bundle and names no flow as the reason (%s)",
                     round->commit_error ? ofperr_get_name(round->commit_error) : "no reply");
        round->ctx.stats->n_bundle_errors++;
        round->phase = PHASE_BROKEN;
    }
}

/* The reply to the barrier with 'xid' is here. */
void
sync_round_handle_barrier(struct sync_round *round, uint32_t xid)
{
    if (xid != round->barrier_xid) {
        return;
    }

    switch (round->phase) {
    case PHASE_PUT_METERS:
        start_meter_deletes(round);
        break;

    case PHASE_CHECK:
        if (round->n_errors) {
            queue_bundle_control(round, OFPBCT_DISCARD_REQUEST);
            retry_without_failed(round);
        } else {
            round->commit_xid = queue_bundle_control(round, OFPBCT_COMMIT_REQUEST);
            queue_barrier(round, PHASE_COMMIT);
        }
        break;

    case PHASE_COMMIT:
        finish_commit(round);
        break;

    case PHASE_DELETE_METERS:
        round->phase = PHASE_DONE;
        break;

    case PHASE_FILL:
    case PHASE_DONE:
    case PHASE_BROKEN:
        break;
    }
}

void
sync_round_handle_bundle_control(struct sync_round *round, const struct ofp_header *oh)
{
    struct ofputil_bundle_ctrl_msg bc;

    if (!ofputil_decode_bundle_ctrl(oh, &bc) && bc.type == OFPBCT_COMMIT_REPLY
        && round->phase == PHASE_COMMIT && ntohl(oh->xid) == round->commit_xid) {
        round->committed = true;
    }
}

enum sync_status
sync_round_get_status(const struct sync_round *round)
{
    return (round->phase == PHASE_BROKEN ? SYNC_BROKEN
            : round->phase == PHASE_DONE && ovs_list_is_empty(&round->out) ? SYNC_DONE
            : SYNC_RUNNING);
}
