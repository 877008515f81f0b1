#ifndef CONTROLLER_NEIGHBOURS_H
#define CONTROLLER_NEIGHBOURS_H 1

/* The next hops on the uplink and their MACs, kept as RFC 4861 (section 7.3) keeps neighbours,
 * for ARP too.
 *
 * Only next hops that somebody asked for with neighbours_want() or adopted are known; whatever
 * else is heard on the wire is ignored, so the table cannot grow at other hosts' wish.
 *
 * No sockets: frames go out by a callback, and received ones come in with neighbours_input().
 * Time is in milliseconds.  While there is no connection to the switch, don't call
 * neighbours_run(): requests that cannot be sent would count as unanswered. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include "openvswitch/types.h"

struct dp_packet;
struct ds;
struct neighbour_message;
struct neighbours;

/* The most next hops that are kept at once. */
#define NEIGHBOURS_MAX 1024

/* The most packets that wait for one next hop. */
#define NEIGHBOUR_MAX_QUEUE 4

/* Sends a frame that we composed out of the uplink. */
typedef void neighbours_send_func(const struct dp_packet *, void *aux);

/* Sends a packet that was queued, now that its next hop has a MAC.  The packet stays the table's
 * own. */
typedef void neighbours_release_func(const struct dp_packet *, const struct in6_addr *next_hop,
                                     struct eth_addr mac, void *aux);

struct neighbours *neighbours_create(neighbours_send_func *, neighbours_release_func *, void *aux);
void neighbours_destroy(struct neighbours *);

void neighbours_want(struct neighbours *, const struct in6_addr *next_hop,
                     const struct in6_addr *source_ip, struct eth_addr source_mac, bool pinned,
                     long long int now);
void neighbours_drop_source(struct neighbours *, const struct in6_addr *source_ip);
void neighbours_unpin(struct neighbours *, const struct in6_addr *next_hop, long long int now);
void neighbours_adopt(struct neighbours *, const struct in6_addr *next_hop, struct eth_addr mac,
                      long long int now);
void neighbours_mark_used(struct neighbours *, const struct in6_addr *next_hop, long long int now);
void neighbours_queue(struct neighbours *, const struct in6_addr *next_hop, struct dp_packet *,
                      long long int now);

void neighbours_input(struct neighbours *, const struct neighbour_message *, long long int now);
void neighbours_run(struct neighbours *, long long int now);
long long int neighbours_next_wakeup(const struct neighbours *);

/* What is valid now. */
struct neighbour_binding {
    struct in6_addr next_hop;
    struct eth_addr mac;
};
uint64_t neighbours_seqno(const struct neighbours *);
size_t neighbours_list(const struct neighbours *, struct neighbour_binding **);
bool neighbours_lookup(const struct neighbours *, const struct in6_addr *next_hop,
                       struct eth_addr *);
void neighbours_format(const struct neighbours *, long long int now, struct ds *);

#endif /* controller/neighbours.h */
