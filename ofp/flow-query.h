#ifndef OFP_FLOW_QUERY_H
#define OFP_FLOW_QUERY_H 1

/* One question to a switch about the flows in one of its tables, with their counters.  The connection is somebody
 * else's, see of_switch_query_flows(). */

#include <stdbool.h>
#include <stdint.h>
#include "openvswitch/types.h"

struct ofpbuf;
struct ofputil_flow_stats;

struct flow_query_args {
    uint8_t table_id;
    uint64_t cookie, cookie_mask;       /* Host byte order. */

    /* Called for each flow, which is borrowed. */
    void (*flow)(const struct ofputil_flow_stats *, void *aux);

    /* Called once, after the last flow, or if that never came, with 'complete' false.  Neither may ask again. */
    void (*done)(bool complete, void *aux);
    void *aux;
};

struct flow_query {
    struct flow_query_args args;        /* If 'done' is NULL, there is no question. */
    uint32_t xid;
};

struct ofpbuf *flow_query_encode(const struct flow_query_args *);
void flow_query_start(struct flow_query *, const struct flow_query_args *, uint32_t xid);
bool flow_query_is_active(const struct flow_query *);
bool flow_query_is(const struct flow_query *, uint32_t xid);
void flow_query_handle_reply(struct flow_query *, struct ofpbuf *);
void flow_query_fail(struct flow_query *);

#endif /* ofp/flow-query.h */
