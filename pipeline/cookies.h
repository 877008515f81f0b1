#ifndef PIPELINE_COOKIES_H
#define PIPELINE_COOKIES_H 1

/* The cookies of our flows tell them from everybody else's and say whose they are:
 *
 *    bits 63..48   0x6567 ("eg"): a flow of ovs-egress
 *    bits 47..40   the kind of owner, enum egress_owner
 *    bits 39..0    which owner of that kind: a route's number, else a hash of its name
 *
 * So "ovs-ofctl dump-flows br-int cookie=0x6567000000000000/0xffff000000000000" lists all of ours, and
 * "cookie=0x6567020000000005/-1" those of the route with the number 5. */

#include <stdint.h>

#define EGRESS_COOKIE       UINT64_C(0x6567000000000000)
#define EGRESS_COOKIE_MASK  UINT64_C(0xffff000000000000)

/* Meters are a bridge's, without a cookie: a range of their numbers is ours. */
#define EGRESS_METER_FIRST  0x10000u
#define EGRESS_METER_LAST   0x1ffffu

/*       kind   number  name        whose flows */
#define EGRESS_OWNERS \
    OWNER(NODE,      1, "node",      "this node itself: hooks, table misses") \
    OWNER(ROUTE,     2, "route",     "a route; also the class of pods that follow only it") \
    OWNER(CLASS,     3, "class",     "pods that follow the same several routes") \
    OWNER(POD,       4, "pod",       "a pod on this node") \
    OWNER(PEER,      5, "peer",      "a node of the cluster: its addresses, its tunnel") \
    OWNER(EGRESS_IP, 6, "egress-ip", "an egress IP that this node owns") \
    OWNER(NEIGHBOUR, 7, "neighbour", "a next hop on the uplink") \
    OWNER(PORT,      8, "port",      "a port that is no pod's") \
    OWNER(UPLINK,    9, "uplink",    "a route of the node's uplink")

enum egress_owner {
#define OWNER(ENUM, NUMBER, NAME, WHOSE) EGRESS_OWNER_##ENUM = NUMBER,
    EGRESS_OWNERS
#undef OWNER
};

const char *egress_owner_name(enum egress_owner);
uint64_t egress_cookie(enum egress_owner, uint64_t id);
uint64_t egress_cookie_for_name(enum egress_owner, const char *name);

#endif /* pipeline/cookies.h */
