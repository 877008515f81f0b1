#ifndef OFP_OF_ENCODE_H
#define OFP_OF_ENCODE_H 1

/* The requests of a switch connection that say the same whenever they are sent.
 *
 * Each function returns a message without transaction id, which the caller sends or frees. */

#include <stddef.h>
#include "openvswitch/types.h"

struct ofpbuf;

struct ofpbuf *of_encode_controller_id(void);
struct ofpbuf *of_encode_async_config(void);
struct ofpbuf *of_encode_monitor_request(void);
struct ofpbuf *of_encode_flow_dump(ovs_be64 cookie, ovs_be64 cookie_mask);
struct ofpbuf *of_encode_packet_out(const void *frame, size_t len, ofp_port_t in_port,
                                    const struct ofpbuf *ofpacts);

#endif /* ofp/of-encode.h */
