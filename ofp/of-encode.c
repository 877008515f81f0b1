#include <config.h>
#include "ofp/of-encode.h"
#include "byte-order.h"
#include "ofp/of-flow.h"
#include "ofp/switch.h"
#include "openflow/nicira-ext.h"
#include "openvswitch/match.h"
#include "openvswitch/ofp-connection.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-monitor.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-packet.h"
#include "openvswitch/ofpbuf.h"

#define MONITOR_ID 1

/* Asks for the packets that "controller" actions with our id send. */
struct ofpbuf *
of_encode_controller_id(void)
{
    struct ofpbuf *msg = ofpraw_alloc(OFPRAW_NXT_SET_CONTROLLER_ID, OF_FLOW_VERSION, 0);
    struct nx_controller_id *nci = ofpbuf_put_zeros(msg, sizeof *nci);

    nci->controller_id = htons(OF_SWITCH_CONTROLLER_ID);
    return msg;
}

/* Asks for what we need and no more: packets that "controller" actions send, and what others do
 * to meters. */
struct ofpbuf *
of_encode_async_config(void)
{
    struct ofputil_async_cfg ac = OFPUTIL_ASYNC_CFG_INIT;

    ac.primary[OAM_PACKET_IN] = 1u << OFPR_ACTION | 1u << OFPR_EXPLICIT_MISS;
    ac.primary[OAM_REQUESTFORWARD] = 1u << OFPRFR_METER_MOD;
    return ofputil_encode_set_async_config(&ac, (1u << OAM_N_TYPES) - 1, OF_FLOW_VERSION);
}

/* Asks to be told about changes to flows, in any table, because hook flows are in tables of
 * others and because a monitor cannot select by cookie.  Our own changes come abbreviated to a
 * single word. */
struct ofpbuf *
of_encode_monitor_request(void)
{
    struct ofputil_flow_monitor_request request = {
        .id = MONITOR_ID,
        .command = OFPFMC_ADD,
        .flags = OFPFMF_ADD | OFPFMF_REMOVED | OFPFMF_MODIFY | OFPFMF_INSTRUCTIONS,
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .table_id = OFPTT_ALL,
    };
    struct ofpbuf *msg = ofpbuf_new(128);

    match_init_catchall(&request.match);
    ofputil_append_flow_monitor_request(&request, msg, OF_FLOW_PROTOCOL);
    return msg;
}

/* Asks for all flows with 'cookie' under 'cookie_mask'. */
struct ofpbuf *
of_encode_flow_dump(ovs_be64 cookie, ovs_be64 cookie_mask)
{
    struct ofputil_flow_stats_request request = {
        .cookie = cookie,
        .cookie_mask = cookie_mask,
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .table_id = OFPTT_ALL,
    };

    match_init_catchall(&request.match);
    return ofputil_encode_flow_stats_request(&request, OF_FLOW_PROTOCOL);
}

/* Asks to apply 'ofpacts' to the 'len' bytes of Ethernet 'frame' as if it came in on 'in_port'. */
struct ofpbuf *
of_encode_packet_out(const void *frame, size_t len, ofp_port_t in_port, const struct ofpbuf *ofpacts)
{
    struct ofputil_packet_out po = {
        .packet = frame,
        .packet_len = len,
        .buffer_id = UINT32_MAX,
        .ofpacts = ofpacts->data,
        .ofpacts_len = ofpacts->size,
    };

    match_init_catchall(&po.flow_metadata);
    match_set_in_port(&po.flow_metadata, in_port);
    return ofputil_encode_packet_out(&po, OF_FLOW_PROTOCOL);
}
