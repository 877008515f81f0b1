#ifndef CONTROLLER_UPLINK_ROUTES_H
#define CONTROLLER_UPLINK_ROUTES_H 1

/* The node's own routes out of one network interface, the uplink, as the kernel has them in its
 * main table, with the interface's addresses, MAC and MTU.  Followed by rtnetlink; the interface
 * may come, go, and be made again.
 *
 * What leaves with an egress IP takes the next hop that the node itself would take. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include "openvswitch/types.h"
#include "pipeline/address.h"

struct uplink_routes;

struct uplink_route {
    struct ip_prefix prefix;
    bool has_gateway;           /* If not, every address in 'prefix' is on the link itself. */
    struct in6_addr gateway;    /* Of the same family as 'prefix'. */
};

/* All of it at one moment.  Zero while the interface is not there. */
struct uplink_view {
    bool present;
    struct eth_addr mac;
    unsigned int mtu;
    struct in6_addr *addresses;         /* The interface's own, sorted. */
    size_t n_addresses;
    struct uplink_route *routes;        /* Sorted by prefix, each prefix once. */
    size_t n_routes;
};

int uplink_routes_create(const char *ifname, struct uplink_routes **);
void uplink_routes_destroy(struct uplink_routes *);

void uplink_routes_run(struct uplink_routes *, long long int now);
void uplink_routes_wait(struct uplink_routes *);

uint64_t uplink_routes_seqno(const struct uplink_routes *);
const struct uplink_view *uplink_routes_get(const struct uplink_routes *);
bool uplink_routes_is_own_address(const struct uplink_routes *, const struct in6_addr *);

#endif /* controller/uplink-routes.h */
