#include <config.h>
#include "ofp/switch-dump.h"
#include <arpa/inet.h>
#include <stdio.h>
#include "ofp/flow-set.h"
#include "ofp/meter-set.h"
#include "ofp/of-flow.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-meter.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofpbuf.h"

void
switch_dump_init(struct switch_dump *dump, struct flow_set *flows, struct meter_set *meters)
{
    *dump = (struct switch_dump) { .flows = flows, .meters = meters };
}

/* Waits for the answers to the requests for flows and for meters, and for no earlier ones. */
void
switch_dump_start(struct switch_dump *dump, uint32_t flow_xid, uint32_t meter_xid)
{
    dump->flow_xid = flow_xid;
    dump->meter_xid = meter_xid;
    dump->begun = dump->flows_done = dump->meters_done = false;
}

/* From here on the connection's messages say what the switch has.  What the monitor told before
 * is older than the dump and would be mistaken for newer. */
static void
begin(struct switch_dump *dump)
{
    if (!dump->begun) {
        flow_set_forget_installed(dump->flows);
        meter_set_forget_installed(dump->meters);
        dump->begun = true;
    }
}

static void
end_if_complete(struct switch_dump *dump)
{
    if (switch_dump_is_done(dump)) {
        meter_set_update(dump->meters);
    }
}

static uint32_t
get_xid(const struct ofpbuf *msg)
{
    const struct ofp_header *oh = msg->data;

    return ntohl(oh->xid);
}

/* Takes a part of the list of flows, if 'msg' is one.  Returns an error if it makes no sense, after which the dump cannot
 * come to an end. */
enum ofperr
switch_dump_handle_flows(struct switch_dump *dump, struct ofpbuf *msg)
{
    bool more = ofpmp_more(msg->data);
    uint64_t stub[1024 / 8];
    struct ofputil_flow_stats fs;
    struct ofpbuf ofpacts;
    int error;

    if (get_xid(msg) != dump->flow_xid || dump->flows_done) {
        return 0;
    }
    begin(dump);
    ofpbuf_use_stub(&ofpacts, stub, sizeof stub);
    while (!(error = ofputil_decode_flow_stats_reply(&fs, msg, false, &ofpacts))) {
        struct of_flow *flow = of_flow_create(fs.table_id, fs.priority, fs.cookie, &fs.match,
                                              fs.ofpacts, fs.ofpacts_len);
        flow->alien = fs.idle_timeout || fs.hard_timeout || fs.flags;
        flow_set_note_installed(dump->flows, flow);
    }
    ofpbuf_uninit(&ofpacts);
    if (error != EOF) {
        return error;
    }
    dump->flows_done = !more;
    end_if_complete(dump);
    return 0;
}

/* Takes a part of the list of meters, if 'msg' is one. */
void
switch_dump_handle_meters(struct switch_dump *dump, struct ofpbuf *msg)
{
    bool more = ofpmp_more(msg->data);
    struct ofputil_meter_config config;
    struct ofpbuf bands;

    if (get_xid(msg) != dump->meter_xid || dump->meters_done) {
        return;
    }
    begin(dump);
    ofpbuf_init(&bands, 64);
    while (!ofputil_decode_meter_config(msg, &config, &bands)) {
        meter_set_note_installed(dump->meters, &config);
    }
    ofpbuf_uninit(&bands);
    dump->meters_done = !more;
    end_if_complete(dump);
}

/* The switch does not list its meters. */
void
switch_dump_do_without_meters(struct switch_dump *dump)
{
    dump->meters_done = true;
    end_if_complete(dump);
}

/* Do messages from now on, also the monitor's, add to what is known? */
bool
switch_dump_has_begun(const struct switch_dump *dump)
{
    return dump->begun;
}

bool
switch_dump_is_done(const struct switch_dump *dump)
{
    return dump->flows_done && dump->meters_done;
}
