#include <config.h>
#include "tests/unit/ofp/fake-switch.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "openvswitch/match.h"
#include "openvswitch/ofp-bundle.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-monitor.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-switch.h"
#include "openvswitch/ofp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vconn.h"
#include "util.h"

void
fake_switch_init(struct fake_switch *fake)
{
    memset(fake, 0, sizeof *fake);
    ovs_strlcpy(fake->dir, "/tmp/ovs-egress-fake-XXXXXX", sizeof fake->dir);
    if (!mkdtemp(fake->dir)) {
        ovs_fatal(errno, "mkdtemp");
    }
    char *listen = xasprintf("punix:%s/s", fake->dir);
    int error = pvconn_open(listen, 1u << OFP15_VERSION, 0, &fake->pvconn);
    if (error) {
        ovs_fatal(error, "%s", listen);
    }
    ovs_strlcpy(fake->target, listen + 1, sizeof fake->target);
    free(listen);
}

static void
drop(struct fake_switch *fake)
{
    vconn_close(fake->vconn);
    fake->vconn = NULL;
    fake->n_pending = 0;
}

void
fake_switch_destroy(struct fake_switch *fake)
{
    drop(fake);
    pvconn_close(fake->pvconn);
    unlink(fake->target + strlen("unix:"));
    rmdir(fake->dir);
}

static void
reply(struct fake_switch *fake, struct ofpbuf *msg)
{
    ofpmsg_update_length(msg);
    if (!fake->vconn || vconn_send_block(fake->vconn, msg)) {
        ofpbuf_delete(msg);
    }
}

static void
reply_error(struct fake_switch *fake, enum ofperr error, const struct ofp_header *oh)
{
    reply(fake, ofperr_encode_reply(error, oh));
}

static void
send_junk(struct fake_switch *fake, const struct ofp_header *oh)
{
    struct ofp_header nonsense = { .version = OFP15_VERSION,
                                   .type = 99,
                                   .length = htons(sizeof nonsense) };
    struct ofputil_bundle_ctrl_msg bc = { .type = OFPBCT_COMMIT_REPLY };

    reply(fake, ofpbuf_clone_data(&nonsense, sizeof nonsense));
    reply(fake, ofputil_encode_bundle_ctrl_reply(oh, &bc));
    reply(fake, ofputil_encode_echo_request(OFP15_VERSION));
    reply_error(fake, OFPERR_OFPBRC_EPERM, &nonsense);

    /* A change to a flow that is cut off in the middle. */
    struct ofpbuf *msg = ofpraw_alloc_xid(OFPRAW_OFPST14_FLOW_MONITOR_REPLY, OFP15_VERSION, 0, 0);
    ofpbuf_put(msg, "\0\x40\0\x01", 4);
    ofpbuf_put_zeros(msg, 4);
    reply(fake, msg);

    struct ofpbuf *pin = ofpraw_alloc_xid(OFPRAW_NXT_PACKET_IN2, OFP15_VERSION, 0, 0);
    ofpbuf_put(pin, "\0\0\0\x99", 4);
    reply(fake, pin);
}

static void
handle_bundle_add(struct fake_switch *fake, const struct ofp_header *oh)
{
    struct ofputil_bundle_add_msg badd;
    struct ofputil_flow_mod fm;
    struct ofpbuf ofpacts;
    enum ofptype type;

    enum ofperr error = ofputil_decode_bundle_add(oh, &badd, &type);
    ofpbuf_init(&ofpacts, 0);
    if (!error) {
        error = ofputil_decode_flow_mod(&fm, badd.msg, OFPUTIL_P_OF15_OXM, NULL, NULL, &ofpacts,
                                        OFPP_MAX, 255);
    }
    if (!error) {
        minimatch_destroy(&fm.match);
        error = fm.priority == fake->refuse_priority ? OFPERR_OFPBAC_BAD_ARGUMENT : 0;
    }
    fake->n_adds++;
    if (error) {
        reply_error(fake, error, oh);
    } else if (fake->n_pending < (int) ARRAY_SIZE(fake->pending)) {
        fake->pending[fake->n_pending++] =
            (struct fake_mod){ .priority = fm.priority,
                               .delete = fm.command == OFPFC_DELETE_STRICT,
                               .xid = ntohl(oh->xid) };
    }
    ofpbuf_uninit(&ofpacts);
    if (fake->drop_after_adds && fake->n_pending == fake->drop_after_adds) {
        fake->drop_after_adds = 0;
        drop(fake);
    }
}

static void
apply(struct fake_switch *fake, const struct fake_mod *mod)
{
    int i;

    for (i = 0; i < fake->n_in_force && fake->in_force[i] != mod->priority; i++) {
        continue;
    }
    if (mod->delete && i < fake->n_in_force) {
        fake->in_force[i] = fake->in_force[--fake->n_in_force];
    } else if (!mod->delete && i >= fake->n_in_force && i < (int) ARRAY_SIZE(fake->in_force)) {
        fake->in_force[fake->n_in_force++] = mod->priority;
    }
}

/* Returns the error because of which the bundle does not come into force, having sent the one
 * that names the flow. */
static enum ofperr
commit(struct fake_switch *fake)
{
    if (fake->fail_commit_silently) {
        fake->fail_commit_silently = false;
        return OFPERR_OFPBFC_TIMEOUT;
    }
    for (int i = 0; i < fake->n_pending; i++) {
        const struct fake_mod *mod = &fake->pending[i];
        bool full = fake->full_at_commit && mod->priority >= fake->full_at_commit;

        if (full || mod->priority == fake->refuse_at_commit) {
            struct ofp_header oh = { .version = OFP15_VERSION,
                                     .type = 34,
                                     .length = htons(sizeof oh),
                                     .xid = htonl(mod->xid) };

            reply_error(fake, full ? OFPERR_OFPFMFC_TABLE_FULL : OFPERR_OFPBAC_BAD_OUT_GROUP, &oh);
            return OFPERR_OFPBFC_MSG_FAILED;
        }
    }
    for (int i = 0; i < fake->n_pending; i++) {
        apply(fake, &fake->pending[i]);
    }
    return 0;
}

static void
handle_bundle_control(struct fake_switch *fake, const struct ofp_header *oh)
{
    struct ofputil_bundle_ctrl_msg bc;
    enum ofperr error = ofputil_decode_bundle_ctrl(oh, &bc);

    if (!error && bc.type == OFPBCT_OPEN_REQUEST) {
        fake->n_pending = 0;
        error = fake->refuse_open ? OFPERR_OFPBFC_OUT_OF_BUNDLES : 0;
        fake->refuse_open = false;
    } else if (!error && bc.type == OFPBCT_DISCARD_REQUEST) {
        fake->n_discards++;
        fake->n_pending = 0;
    } else if (!error && bc.type == OFPBCT_COMMIT_REQUEST) {
        fake->n_commits++;
        error = commit(fake);
        fake->n_pending = 0;
        if (!error && fake->drop_before_commit_reply) {
            fake->drop_before_commit_reply = false;
            drop(fake);
            return;
        }
    }
    if (error) {
        reply_error(fake, error, oh);
    } else {
        bc.type++;              /* Each request's reply. */
        reply(fake, ofputil_encode_bundle_ctrl_reply(oh, &bc));
    }
}

static void
handle_msg(struct fake_switch *fake, const struct ofp_header *oh)
{
    struct ofputil_switch_config config = { .miss_send_len = 0 };
    enum ofptype type;

    if (ofptype_decode(&type, oh)) {
        reply_error(fake, OFPERR_OFPBRC_BAD_TYPE, oh);
        return;
    }
    if (fake->junk && type != OFPTYPE_ECHO_REPLY) {
        fake->junk--;
        send_junk(fake, oh);
    }
    switch ((int) type) {
    case OFPTYPE_GET_CONFIG_REQUEST:
        reply(fake, ofputil_encode_get_config_reply(oh, &config));
        break;
    case OFPTYPE_FLOW_STATS_REQUEST:
        fake->n_dumps++;
        reply(fake, ofpraw_alloc_stats_reply(oh, 0));
        break;
    case OFPTYPE_METER_CONFIG_STATS_REQUEST:
        reply(fake, ofpraw_alloc_stats_reply(oh, 0));
        break;
    case OFPTYPE_FLOW_MONITOR_STATS_REQUEST:
        if (fake->refuse_monitor) {
            reply_error(fake, OFPERR_OFPBRC_BAD_STAT, oh);
        }
        break;
    case OFPTYPE_BARRIER_REQUEST:
        reply(fake, ofpraw_alloc_reply(OFPRAW_OFPT11_BARRIER_REPLY, oh, 0));
        break;
    case OFPTYPE_BUNDLE_CONTROL:
        handle_bundle_control(fake, oh);
        break;
    case OFPTYPE_BUNDLE_ADD_MESSAGE:
        handle_bundle_add(fake, oh);
        break;
    default:
        break;
    }
}

/* Tells that a flow that matches everything is gone, and why. */
void
fake_switch_send_flow_removed(struct fake_switch *fake, uint8_t table_id, int priority,
                              enum ofp_flow_removed_reason reason)
{
    struct fake_mod mod = { .priority = priority, .delete = true };
    struct ofputil_flow_update update = {
        .event = OFPFME_REMOVED, .reason = reason, .table_id = table_id, .priority = priority
    };
    struct ovs_list replies;
    struct ofpbuf *msg;

    apply(fake, &mod);
    match_init_catchall(&update.match);
    ovs_list_init(&replies);
    ofputil_start_flow_update(&replies, OFPUTIL_P_OF15_OXM);
    ofputil_append_flow_update(&update, &replies, NULL);
    LIST_FOR_EACH_POP (msg, list_node, &replies) {
        reply(fake, msg);
    }
}

void
fake_switch_run(struct fake_switch *fake)
{
    struct ofpbuf *msg;

    if (!fake->vconn && !pvconn_accept(fake->pvconn, &fake->vconn)) {
        fake->n_connections++;
    }
    if (!fake->vconn) {
        return;
    }
    vconn_run(fake->vconn);
    int error = vconn_connect(fake->vconn);
    while (!error && fake->vconn && !(error = vconn_recv(fake->vconn, &msg))) {
        handle_msg(fake, msg->data);
        ofpbuf_delete(msg);
    }
    if (fake->vconn && error != EAGAIN) {
        drop(fake);
    }
}

void
fake_switch_wait(struct fake_switch *fake)
{
    if (fake->vconn) {
        vconn_run_wait(fake->vconn);
        vconn_recv_wait(fake->vconn);
    } else {
        pvconn_wait(fake->pvconn);
    }
}
