#include <config.h>
#include "ofp/switch.h"
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include "byte-order.h"
#include "ofp/of-encode.h"
#include "ofp/socket-watch.h"
#include "ofp/switch-dump.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofp-connection.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-group.h"
#include "openvswitch/ofp-meter.h"
#include "openvswitch/ofp-monitor.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-packet.h"
#include "openvswitch/ofp-switch.h"
#include "openvswitch/ofp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/rconn.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_switch);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 30);

/* How much one of_switch_run() does at most, so that a big table does not keep the rest of the
 * process waiting. */
#define MAX_RECV_MSGS 50
#define MAX_RECV_BYTES (256 * 1024)
#define MAX_SEND_MSGS 1000

/* Bytes that may wait to be sent.  The rest of a bundle is encoded only when there is room for
 * it. */
#define MAX_TX_BYTES (256 * 1024)

enum state {
    S_DISCONNECTED,
    S_SETUP,                    /* Waiting for the switch's configuration. */
    S_DUMP,                     /* Waiting for the flows and meters that are there. */
    S_STEADY,                   /* Sending each change. */
};

struct of_switch {
    struct flow_set *flows;
    struct meter_set meters;
    uint64_t meters_seqno;      /* Counts changes to the desired meters. */
    ovs_be64 cookie, cookie_mask;

    struct rconn *rconn;
    struct rconn_packet_counter *tx;
    struct socket_watch watch;
    char *target;               /* NULL if there is none. */
    unsigned int connection_seqno;
    enum state state;
    uint32_t next_xid;

    uint32_t config_xid;
    uint32_t monitor_xid;
    bool monitoring;            /* False if the switch refuses to tell about changes. */
    struct switch_dump dump;

    struct flow_query query;    /* Somebody's, apart from our own dump. */

    struct sync_round *round;   /* NULL if there is none. */
    long long int round_start;
    uint64_t round_seqno;       /* What is acked when 'round' is over. */
    uint64_t acked_seqno;

    uint64_t redump_requested;  /* The last ticket given out. */
    uint64_t redump_begun;
    uint64_t redump_done;
    size_t redump_changes;      /* That the last dump called for. */
    size_t redump_result;       /* Of ticket 'redump_done'. */

    of_switch_packet_in_func *packet_in_cb;
    void *packet_in_aux;
    struct of_switch_stats stats;
    char *last_error;           /* NULL if there was none. */
};

/* Creates a switch connection that has no target yet.  'desired' has to outlive it, and no other
 * switch may use it.  The cookies are in host byte order. */
struct of_switch *
of_switch_create(struct flow_set *desired, uint64_t cookie, uint64_t cookie_mask,
                 uint32_t first_meter, uint32_t last_meter)
{
    struct of_switch *sw = xzalloc(sizeof *sw);

    sw->flows = desired;
    sw->cookie = htonll(cookie & cookie_mask);
    sw->cookie_mask = htonll(cookie_mask);
    flow_set_set_cookie(desired, sw->cookie, sw->cookie_mask);
    meter_set_init(&sw->meters, first_meter, last_meter);
    switch_dump_init(&sw->dump, sw->flows, &sw->meters);
    sw->rconn = rconn_create(0, 1, 0, 1u << OF_FLOW_VERSION);
    sw->tx = rconn_packet_counter_create();
    sw->connection_seqno = rconn_get_connection_seqno(sw->rconn);
    sw->next_xid = 1;
    return sw;
}

/* Nothing that was said on the old connection, if there was one, counts any more. */
static void
start_over(struct of_switch *sw)
{
    sync_round_destroy(sw->round);
    sw->round = NULL;
    flow_query_fail(&sw->query);
    flow_set_forget_installed(sw->flows);
    meter_set_forget_installed(&sw->meters);
    sw->state = S_DISCONNECTED;
    sw->acked_seqno = 0;
}

/* Ends the connection and frees 'sw'.  The switch keeps its flows. */
void
of_switch_destroy(struct of_switch *sw)
{
    if (sw) {
        start_over(sw);
        rconn_destroy(sw->rconn);
        rconn_packet_counter_destroy(sw->tx);
        meter_set_destroy(&sw->meters);
        free(sw->target);
        free(sw->last_error);
        free(sw);
    }
}

static void OVS_PRINTF_FORMAT(2, 3)
set_error(struct of_switch *sw, const char *format, ...)
{
    va_list args;

    free(sw->last_error);
    va_start(args, format);
    sw->last_error = xvasprintf(format, args);
    va_end(args);
    VLOG_WARN_RL(&rl, "%s: %s", sw->target ? sw->target : "no target", sw->last_error);
}

/* Connects to 'target', e.g. "unix:/run/openvswitch/br-int.mgmt", and stays connected.  NULL:
 * ends the connection. */
void
of_switch_set_target(struct of_switch *sw, const char *target)
{
    if (nullable_string_is_equal(sw->target, target)) {
        return;
    }
    start_over(sw);
    free(sw->target);
    sw->target = nullable_xstrdup(target);
    if (target) {
        /* The socket that is there now is not worth another attempt later. */
        socket_watch_is_new(&sw->watch, target);
        rconn_connect(sw->rconn, target, NULL);
    } else {
        rconn_disconnect(sw->rconn);
    }
}

/* Makes the 'n' meters in 'wants' all that the switch should have in our range. */
void
of_switch_set_meters(struct of_switch *sw, const struct meter_want *wants, size_t n)
{
    sw->meters_seqno += meter_set_set_wanted(&sw->meters, wants, n);
}

/* Sends 'msg' with a transaction id of its own, and returns that.  The rconn counts messages
 * only while it is connected: if it is not any more, the message is gone, and start_over() comes
 * next. */
static uint32_t
send_msg(struct of_switch *sw, struct ofpbuf *msg)
{
    uint32_t xid = sw->next_xid++;

    ((struct ofp_header *) msg->data)->xid = htonl(xid);
    rconn_send(sw->rconn, msg, sw->tx);
    return xid;
}

static void
start_setup(struct of_switch *sw)
{
    send_msg(sw, of_encode_controller_id());
    send_msg(sw, ofputil_encode_set_packet_in_format(OF_FLOW_VERSION, OFPUTIL_PACKET_IN_NXT2));
    send_msg(sw, of_encode_async_config());
    sw->monitor_xid = send_msg(sw, of_encode_monitor_request());
    sw->monitoring = true;
    sw->config_xid = send_msg(sw, ofpraw_alloc(OFPRAW_OFPT_GET_CONFIG_REQUEST, OF_FLOW_VERSION, 0));
    sw->state = S_SETUP;
    sw->stats.n_connections++;
}

static void
start_dump(struct of_switch *sw)
{
    uint32_t flow_xid = send_msg(sw, of_encode_flow_dump(sw->cookie, sw->cookie_mask));
    uint32_t meter_xid = send_msg(
        sw, ofputil_encode_meter_request(OF_FLOW_VERSION, OFPUTIL_METER_CONFIG, OFPM13_ALL));

    switch_dump_start(&sw->dump, flow_xid, meter_xid);
    sw->redump_begun = sw->redump_requested;
    sw->state = S_DUMP;
}

/* A service connection gets no asynchronous messages at all as long as its "miss send length" is
 * zero.  The same message sets how the whole bridge treats fragments, so it must repeat what the
 * switch says about that. */
static void
handle_config_reply(struct of_switch *sw, const struct ofp_header *oh)
{
    struct ofputil_switch_config config;

    if (sw->state != S_SETUP || ntohl(oh->xid) != sw->config_xid) {
        return;
    }
    ofputil_decode_get_config_reply(oh, &config);
    config.miss_send_len = UINT16_MAX;
    send_msg(sw, ofputil_encode_set_config(&config, OF_FLOW_VERSION));
    start_dump(sw);
}

/* Drops the connection because of what the switch did on it, which is in 'last_error'. */
static void
give_up_connection(struct of_switch *sw)
{
    rconn_reconnect(sw->rconn);
    start_over(sw);
}

static void
check_dump_done(struct of_switch *sw)
{
    if (switch_dump_is_done(&sw->dump)) {
        sw->redump_changes =
            flow_set_count_pending(sw->flows) + sw->meters.n_puts + sw->meters.n_deletes;
        sw->state = S_STEADY;
    }
}

static void
handle_dump_reply(struct of_switch *sw, enum ofptype type, struct ofpbuf *msg)
{
    enum ofperr error = 0;

    if (sw->state != S_DUMP) {
        return;
    }
    if (type == OFPTYPE_FLOW_STATS_REPLY) {
        error = switch_dump_handle_flows(&sw->dump, msg);
    } else {
        switch_dump_handle_meters(&sw->dump, msg);
    }
    if (error) {
        set_error(sw, "cannot make sense of the switch's list of flows (%s)",
                  ofperr_to_string(error));
        give_up_connection(sw);
    } else {
        check_dump_done(sw);
    }
}

/* Somebody else did what 'update' says. */
static void
handle_flow_update(struct of_switch *sw, const struct ofputil_flow_update *update)
{
    bool ours = !((update->cookie ^ sw->cookie) & sw->cookie_mask);
    if (!ours && !flow_set_uses_table(sw->flows, update->table_id)) {
        return;
    }

    struct of_flow *flow = of_flow_create(update->table_id, update->priority, update->cookie,
                                          &update->match, update->ofpacts, update->ofpacts_len);
    const char *what;
    bool bad;
    if (update->event == OFPFME_REMOVED) {
        what = "deleted";
        bad = flow_set_note_removed(sw->flows, flow);
        if (bad && update->reason == OFPRR_METER_DELETE) {
            /* It cannot come back before its meter.  handle_requestforward() hears of that, too,
             * but only later, when the flow may have been tried, and refused, without it. */
            of_switch_redump(sw);
        }
    } else {
        what = update->event == OFPFME_ADDED ? "added" : "changed";
        flow->alien = update->idle_timeout || update->hard_timeout;
        bad = flow_set_note_installed(sw->flows, of_flow_ref(flow));
    }
    if (bad) {
        sw->stats.n_foreign_changes++;
        if (!VLOG_DROP_INFO(&rl)) {
            struct ds s = DS_EMPTY_INITIALIZER;

            of_flow_format(flow, NULL, &s);
            VLOG_INFO("%s: somebody else %s a flow that is ours to manage: %s", sw->target, what,
                      ds_cstr(&s));
            ds_destroy(&s);
        }
    }
    of_flow_unref(flow);
}

static void
handle_flow_updates(struct of_switch *sw, struct ofpbuf *msg)
{
    uint64_t stub[1024 / 8];
    struct ofputil_flow_update update;
    struct ofpbuf ofpacts;
    int error;

    if (sw->state < S_DUMP || (sw->state == S_DUMP && !switch_dump_has_begun(&sw->dump))) {
        return;
    }
    ofpbuf_use_stub(&ofpacts, stub, sizeof stub);
    while (!(error = ofputil_decode_flow_update(&update, msg, &ofpacts))) {
        if (update.event == OFPFME_ADDED || update.event == OFPFME_REMOVED
            || update.event == OFPFME_MODIFIED) {
            handle_flow_update(sw, &update);
        }
    }
    ofpbuf_uninit(&ofpacts);
    if (error != EOF) {
        /* It might have been about a flow of ours. */
        set_error(sw, "cannot make sense of a change to the switch's flows (%s)",
                  ofperr_to_string(error));
        of_switch_redump(sw);
    }
}

/* A deleted meter takes the flows that use it along, which the monitor tells, but to put those
 * back the meter has to be there again. */
static void
handle_requestforward(struct of_switch *sw, const struct ofp_header *oh)
{
    struct ofputil_requestforward rf;

    if (!ofputil_decode_requestforward(oh, &rf)) {
        if (rf.reason == OFPRFR_METER_MOD
            && (rf.meter_mod->meter.meter_id == OFPM13_ALL
                || meter_set_contains(&sw->meters, rf.meter_mod->meter.meter_id))) {
            sw->stats.n_foreign_changes++;
            of_switch_redump(sw);
        }
        ofputil_destroy_requestforward(&rf);
    }
}

static void
handle_packet_in(struct of_switch *sw, const struct ofp_header *oh)
{
    struct ofputil_packet_in pin;
    struct ofpbuf continuation;

    enum ofperr error =
        ofputil_decode_packet_in(oh, true, NULL, NULL, &pin, NULL, NULL, &continuation);
    if (error) {
        VLOG_WARN_RL(&rl, "%s: packet-in that does not decode (%s)", sw->target,
                     ofperr_to_string(error));
        return;
    }
    sw->stats.n_packet_ins++;
    if (sw->packet_in_cb) {
        sw->packet_in_cb(&pin, sw->packet_in_aux);
    }
}

static void
handle_error(struct of_switch *sw, const struct ofp_header *oh)
{
    uint32_t xid = ntohl(oh->xid);
    enum ofperr error = ofperr_decode_msg(oh, NULL);

    if (sw->round && sync_round_handle_error(sw->round, xid, error)) {
        return;
    } else if (flow_query_is(&sw->query, xid)) {
        flow_query_fail(&sw->query);
    } else if (sw->state == S_SETUP && xid == sw->config_xid) {
        set_error(sw, "the switch does not tell its configuration (%s)", ofperr_to_string(error));
        start_dump(sw);
    } else if (sw->state == S_DUMP && xid == sw->dump.flow_xid) {
        set_error(sw, "the switch does not list its flows (%s)", ofperr_to_string(error));
        give_up_connection(sw);
    } else if (sw->state == S_DUMP && xid == sw->dump.meter_xid) {
        set_error(sw, "the switch does not list its meters (%s)", ofperr_to_string(error));
        switch_dump_do_without_meters(&sw->dump);
        check_dump_done(sw);
    } else if (xid == sw->monitor_xid) {
        set_error(sw,
                  "the switch does not tell about changes to its flows (%s): what others do to "
                  "ours goes unnoticed",
                  ofperr_to_string(error));
        sw->monitoring = false;
    } else {
        set_error(sw, "the switch complains about message %#"PRIx32" (%s)", xid,
                  ofperr_to_string(error));
    }
}

static void
handle_msg(struct of_switch *sw, struct ofpbuf *msg)
{
    const struct ofp_header *oh = msg->data;
    enum ofptype type;
    enum ofperr error = ofptype_decode(&type, oh);

    if (error) {
        set_error(sw, "the switch sent a message that does not decode (%s)",
                  ofperr_to_string(error));
        return;
    }
    switch ((int) type) {
    case OFPTYPE_ECHO_REQUEST:
        rconn_send(sw->rconn, ofputil_encode_echo_reply(oh), sw->tx);
        break;
    case OFPTYPE_ERROR:
        handle_error(sw, oh);
        break;
    case OFPTYPE_BARRIER_REPLY:
        if (sw->round) {
            sync_round_handle_barrier(sw->round, ntohl(oh->xid));
        }
        break;
    case OFPTYPE_BUNDLE_CONTROL:
        if (sw->round) {
            sync_round_handle_bundle_control(sw->round, oh);
        }
        break;
    case OFPTYPE_GET_CONFIG_REPLY:
        handle_config_reply(sw, oh);
        break;
    case OFPTYPE_FLOW_STATS_REPLY:
        if (flow_query_is(&sw->query, ntohl(oh->xid))) {
            flow_query_handle_reply(&sw->query, msg);
        } else {
            handle_dump_reply(sw, type, msg);
        }
        break;
    case OFPTYPE_METER_CONFIG_STATS_REPLY:
        handle_dump_reply(sw, type, msg);
        break;
    case OFPTYPE_FLOW_MONITOR_STATS_REPLY:
        handle_flow_updates(sw, msg);
        break;
    case OFPTYPE_REQUESTFORWARD:
        handle_requestforward(sw, oh);
        break;
    case OFPTYPE_PACKET_IN:
        handle_packet_in(sw, oh);
        break;
    default:
        /* Nothing else is for us, e.g. that the monitor pauses: it catches up when it resumes. */
        break;
    }
}

static bool
needs_sync(const struct of_switch *sw)
{
    return flow_set_count_pending(sw->flows) || sw->meters.n_puts || sw->meters.n_deletes;
}

/* Hands the messages of the current round to the rconn, as long as that gets rid of them. */
static void
feed_round(struct of_switch *sw)
{
    for (int i = 0; i < MAX_SEND_MSGS && rconn_packet_counter_n_bytes(sw->tx) < MAX_TX_BYTES; i++) {
        struct ofpbuf *msg = sync_round_next(sw->round);
        if (!msg) {
            break;
        }
        rconn_send(sw->rconn, msg, sw->tx);
    }
}

/* Everything desired as of 'seqno' is in force, but for what was refused. */
static void
synced(struct of_switch *sw, uint64_t seqno)
{
    if (sw->acked_seqno != seqno || sw->redump_done != sw->redump_begun) {
        poll_immediate_wake();  /* Somebody may have waited for that. */
    }
    sw->acked_seqno = seqno;
    if (sw->redump_done != sw->redump_begun) {
        sw->redump_done = sw->redump_begun;
        sw->redump_result = sw->redump_changes;
    }
}

static void
start_round(struct of_switch *sw)
{
    struct sync_context ctx = {
        .flows = sw->flows,
        .meters = &sw->meters,
        .cookie = sw->cookie,
        .cookie_mask = sw->cookie_mask,
        .next_xid = &sw->next_xid,
        .stats = &sw->stats.sync,
    };

    sw->round_seqno = of_switch_get_target_seqno(sw);
    sw->round_start = time_msec();
    sw->round = sync_round_create(&ctx);
}

static void
run_steady(struct of_switch *sw)
{
    if (!sw->round) {
        if (sw->redump_begun != sw->redump_requested) {
            start_dump(sw);
            return;
        } else if (!needs_sync(sw)) {
            synced(sw, of_switch_get_target_seqno(sw));
            return;
        }
        start_round(sw);
    }

    feed_round(sw);
    enum sync_status status = sync_round_get_status(sw->round);
    if (status == SYNC_DONE) {
        sync_round_destroy(sw->round);
        sw->round = NULL;
        sw->stats.last_sync_ms = time_msec() - sw->round_start;
        synced(sw, sw->round_seqno);
    } else if (status == SYNC_BROKEN) {
        set_error(sw, "the switch does not process a bundle as it should");
        give_up_connection(sw);
    }
}

static void
receive(struct of_switch *sw)
{
    size_t n_bytes = 0;

    for (int i = 0; i < MAX_RECV_MSGS && n_bytes < MAX_RECV_BYTES; i++) {
        struct ofpbuf *msg = rconn_recv(sw->rconn);
        if (!msg) {
            break;
        }
        n_bytes += msg->size;
        handle_msg(sw, msg);
        ofpbuf_delete(msg);
    }
}

/* Notices that the connection came or went since the last call.  Returns true if there is one. */
static bool
check_connection(struct of_switch *sw)
{
    unsigned int seqno = rconn_get_connection_seqno(sw->rconn);
    bool connected = rconn_is_connected(sw->rconn);

    if (sw->state != S_DISCONNECTED && (seqno != sw->connection_seqno || !connected)) {
        start_over(sw);
    }
    sw->connection_seqno = seqno;
    return connected;
}

/* While there is no connection: a switch that has just been started is not kept waiting. */
static void
hurry(struct of_switch *sw)
{
    if (sw->target && !rconn_is_connected(sw->rconn) && socket_watch_is_new(&sw->watch, sw->target)) {
        rconn_connect(sw->rconn, sw->target, NULL);
    }
}

/* Does what there is to be done now.  Never blocks. */
void
of_switch_run(struct of_switch *sw)
{
    hurry(sw);
    rconn_run(sw->rconn);
    if (!check_connection(sw)) {
        return;
    }
    if (sw->state == S_DISCONNECTED) {
        start_setup(sw);
    }
    receive(sw);
    if (check_connection(sw) && sw->state == S_STEADY) {
        run_steady(sw);
    }
}

/* Makes poll_block() wake up when of_switch_run() has something to do. */
void
of_switch_wait(struct of_switch *sw)
{
    rconn_run_wait(sw->rconn);
    rconn_recv_wait(sw->rconn);
    if (sw->target && !rconn_is_connected(sw->rconn)) {
        poll_timer_wait(SOCKET_WATCH_INTERVAL_MS);
    }
    if (rconn_is_connected(sw->rconn)
        && (sw->state == S_DISCONNECTED
            || (sw->state == S_STEADY
                && (sw->round ? (sync_round_has_next(sw->round)
                                 && rconn_packet_counter_n_bytes(sw->tx) < MAX_TX_BYTES)
                              : (needs_sync(sw) || sw->redump_begun != sw->redump_requested
                                 || sw->acked_seqno != of_switch_get_target_seqno(sw)))))) {
        poll_immediate_wake();
    }
}

/* A number that grows with everything that changes what is desired.  Never 0. */
uint64_t
of_switch_get_target_seqno(const struct of_switch *sw)
{
    return 1 + flow_set_get_seqno(sw->flows) + sw->meters_seqno;
}

/* The target seqno up to which the switch has confirmed to have everything that is desired, but
 * for what it refused (see of_switch_count_rejected()).  0 if the connection is so new that
 * nothing is known yet, or if there is none. */
uint64_t
of_switch_get_acked_seqno(const struct of_switch *sw)
{
    return sw->acked_seqno;
}

/* Whether the switch has confirmed to have everything that is desired now, but for what it refused,
 * and nothing that others did has to be put right. */
bool
of_switch_in_sync(const struct of_switch *sw)
{
    return (sw->state == S_STEADY && !sw->round && !needs_sync(sw)
            && sw->acked_seqno == of_switch_get_target_seqno(sw));
}

/* Lets 'sw' read all flows and meters from the switch again, and correct what is not as it
 * should be, including a new try of what the switch refused.  Returns a ticket for
 * of_switch_get_redump_result(). */
uint64_t
of_switch_redump(struct of_switch *sw)
{
    return ++sw->redump_requested;
}

/* Returns false as long as what of_switch_redump() asked for with 'ticket' is not over.
 * Otherwise stores in '*n_changes' how many flows and meters were not as they should have been,
 * by what was desired at that time. */
bool
of_switch_get_redump_result(const struct of_switch *sw, uint64_t ticket, size_t *n_changes)
{
    if (sw->redump_done < ticket) {
        return false;
    }
    *n_changes = sw->redump_result;
    return true;
}

/* Asks the switch what 'args' say, which calls back from of_switch_run(), or if the connection
 * ends, from whatever notices that.  Returns false if there is no connection, or if an earlier
 * query is not over yet. */
bool
of_switch_query_flows(struct of_switch *sw, const struct flow_query_args *args)
{
    if (!of_switch_connected(sw) || flow_query_is_active(&sw->query)) {
        return false;
    }
    flow_query_start(&sw->query, args, send_msg(sw, flow_query_encode(args)));
    return true;
}

/* Lets 'cb' be called with 'aux' for each packet that a "controller" action with
 * OF_SWITCH_CONTROLLER_ID sends.  What it gets is valid only until it returns.  It must not
 * destroy 'sw' or change its target. */
void
of_switch_set_packet_in_handler(struct of_switch *sw, of_switch_packet_in_func *cb, void *aux)
{
    sw->packet_in_cb = cb;
    sw->packet_in_aux = aux;
}

/* Lets the switch apply 'ofpacts' to the 'len' bytes of Ethernet 'frame' as if it came in on
 * 'in_port'.  Returns 0 or ENOTCONN. */
int
of_switch_packet_out(struct of_switch *sw, const void *frame, size_t len, ofp_port_t in_port,
                     const struct ofpbuf *ofpacts)
{
    if (!rconn_is_connected(sw->rconn)) {
        return ENOTCONN;
    }
    send_msg(sw, of_encode_packet_out(frame, len, in_port, ofpacts));
    return 0;
}

/* Whether the switch is there.  Whether it has what it should is another question: see
 * of_switch_get_acked_seqno(). */
bool
of_switch_connected(const struct of_switch *sw)
{
    return sw->state != S_DISCONNECTED && rconn_is_connected(sw->rconn);
}

/* Returns the last thing that went wrong, or NULL. */
const char *
of_switch_get_last_error(const struct of_switch *sw)
{
    return sw->last_error;
}

const struct of_switch_stats *
of_switch_get_stats(const struct of_switch *sw)
{
    return &sw->stats;
}

/* The number of desired changes that the switch refused. */
size_t
of_switch_count_rejected(const struct of_switch *sw)
{
    return flow_set_count_rejected(sw->flows);
}

/* Appends to 's' what the switch refused, a line each with owner, error and flow. */
void
of_switch_get_rejected(const struct of_switch *sw, of_flow_table_name_func *table_name,
                       struct ds *s)
{
    flow_set_format_rejected(sw->flows, table_name, s);
}

/* Appends to 's' one line for people about the state of 'sw', without a newline. */
void
of_switch_get_status(const struct of_switch *sw, struct ds *s)
{
    static const char *const names[] = {
        [S_SETUP] = "connected, setting up",
        [S_DUMP] = "connected, reading its flows",
        [S_STEADY] = "connected",
    };

    if (!sw->target) {
        ds_put_cstr(s, "no switch");
    } else if (sw->state == S_DISCONNECTED) {
        int error = rconn_get_last_error(sw->rconn);

        ds_put_format(s, "%s: not connected", sw->target);
        if (error) {
            ds_put_format(
                s, " (%s%s)", ovs_retval_to_string(error),
                error == EPROTO ? "; does the bridge's \"protocols\" column lack OpenFlow15?" : "");
        }
    } else {
        ds_put_format(s, "%s: %s, ", sw->target, names[sw->state]);
        if (of_switch_in_sync(sw)) {
            ds_put_cstr(s, "in sync");
        } else {
            ds_put_format(s, "%"PRIuSIZE" flows to change", flow_set_count_pending(sw->flows));
        }
        if (!sw->monitoring) {
            ds_put_cstr(s, ", does not tell about changes of others");
        }
    }
}
