#include <config.h>
#include "ofp/flow-query.h"

#include <stdlib.h>
#include "byte-order.h"
#include "ofp/of-flow.h"
#include "openvswitch/match.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofpbuf.h"
#include "util.h"

/* Returns the message to send, which the caller owns. */
struct ofpbuf *
flow_query_encode(const struct flow_query_args *args)
{
    struct ofputil_flow_stats_request request = {
        .cookie = htonll(args->cookie),
        .cookie_mask = htonll(args->cookie_mask),
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .table_id = args->table_id,
    };

    match_init_catchall(&request.match);
    return ofputil_encode_flow_stats_request(&request, OF_FLOW_PROTOCOL);
}

/* Makes 'query', which must not be active, wait for the replies to the message with 'xid'. */
void
flow_query_start(struct flow_query *query, const struct flow_query_args *args, uint32_t xid)
{
    query->args = *args;
    query->xid = xid;
}

bool
flow_query_is_active(const struct flow_query *query)
{
    return query->args.done != NULL;
}

/* Is a message with 'xid' about 'query'? */
bool
flow_query_is(const struct flow_query *query, uint32_t xid)
{
    return flow_query_is_active(query) && query->xid == xid;
}

static void
finish(struct flow_query *query, bool complete)
{
    struct flow_query_args args = query->args;

    query->args.done = NULL;
    args.done(complete, args.aux);
}

/* Takes a part of the switch's answer. */
void
flow_query_handle_reply(struct flow_query *query, struct ofpbuf *msg)
{
    bool more = ofpmp_more(msg->data);
    uint64_t stub[1024 / 8];
    struct ofputil_flow_stats fs;
    struct ofpbuf ofpacts;
    int error;

    ofpbuf_use_stub(&ofpacts, stub, sizeof stub);
    while (!(error = ofputil_decode_flow_stats_reply(&fs, msg, false, &ofpacts))) {
        query->args.flow(&fs, query->args.aux);
    }
    ofpbuf_uninit(&ofpacts);
    if (error != EOF || !more) {
        finish(query, error == EOF);
    }
}

/* The answer will not come, or not to its end. */
void
flow_query_fail(struct flow_query *query)
{
    if (flow_query_is_active(query)) {
        finish(query, false);
    }
}
