#ifndef OFP_SWITCH_DUMP_H
#define OFP_SWITCH_DUMP_H 1

/* Reading what a switch has: all flows with our cookie, and the meters in our range.  The connection is somebody else's,
 * see switch.c. */

#include <stdbool.h>
#include <stdint.h>
#include "openvswitch/ofp-errors.h"

struct flow_set;
struct meter_set;
struct ofpbuf;

struct switch_dump {
    struct flow_set *flows;     /* Is told what is installed, like 'meters'.  Not owned. */
    struct meter_set *meters;
    uint32_t flow_xid, meter_xid;       /* Of the two requests. */
    bool begun, flows_done, meters_done;
};

void switch_dump_init(struct switch_dump *, struct flow_set *, struct meter_set *);
void switch_dump_start(struct switch_dump *, uint32_t flow_xid, uint32_t meter_xid);
enum ofperr switch_dump_handle_flows(struct switch_dump *, struct ofpbuf *);
void switch_dump_handle_meters(struct switch_dump *, struct ofpbuf *);
void switch_dump_do_without_meters(struct switch_dump *);
bool switch_dump_has_begun(const struct switch_dump *);
bool switch_dump_is_done(const struct switch_dump *);

#endif /* ofp/switch-dump.h */
