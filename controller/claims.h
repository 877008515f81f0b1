#ifndef CONTROLLER_CLAIMS_H
#define CONTROLLER_CLAIMS_H 1

/* Who has an egress IP on the wire.  Before this node answers for an address it asks whether
 * anybody else does, and once it does it tells everybody (RFC 5227 for IPv4, the like of RFC
 * 4862 section 5.4 for IPv6).
 *
 * Which node should have an address was decided elsewhere, and claims_set() says what was
 * decided for this one.  But a decision does not reach all nodes at the same moment, some may be
 * cut off from it, and hosts that know nothing of it may have been given the address by hand.
 * So one rule per kind of rival:
 *
 *   - Somebody unknown has the address: stand back, report a problem, and try again ever more
 *     rarely.  His connections are no business of ours to break.
 *
 *   - Another gateway of ours (claims_set_peers()) has it: it was moved to us, and that gateway
 *     is about to hear of it.  Try again quickly, for HANDOVER_LIMIT.  If it still answers then,
 *     it does not follow decisions any more: its agent is dead, or cut off, and its flows go on
 *     answering for ever.  The decision made us the one owner, so claim the address anyhow,
 *     report a problem, and keep on checking, with an announcement to everybody for each answer
 *     that the other gives.
 *
 *   - Another gateway announces an address that we have: the above, seen from the other side.
 *     Whoever claimed later knows the newer decision.  So leave the address to it, and take it
 *     back only when nobody has it.  A mere answer or request of its, though, is a remainder of
 *     when it had the address: announce the address again, in case it was believed.
 *
 *   - Two gateways ask for a free address at the same time: the lower MAC goes on, the other
 *     starts again.
 *
 *   - Somebody unknown announces an address that we have: announce it again, but at most once in
 *     DEFEND_INTERVAL, and report a problem (RFC 5227, section 2.4 (c): many connections depend
 *     on it, so it is not given up).
 *
 * No sockets: frames go out by a callback, and received ones, from the uplink only, come in with
 * claims_input().  Time is in milliseconds.  While there is no connection to the switch, don't
 * call claims_run(): nobody would hear the question. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include "openvswitch/types.h"

struct claims;
struct dp_packet;
struct ds;
struct neighbour_message;
struct problem_list;

/* Sends a frame that we composed out of the uplink. */
typedef void claims_send_func(const struct dp_packet *, void *aux);

struct claims *claims_create(claims_send_func *, void *aux);
void claims_destroy(struct claims *);

void claims_set_mac(struct claims *, struct eth_addr, long long int now);
void claims_set_peers(struct claims *, const struct eth_addr *, size_t n);
void claims_adopt(struct claims *, const struct in6_addr *, size_t n);
void claims_set(struct claims *, const struct in6_addr *, size_t n, long long int now);

void claims_input(struct claims *, const struct neighbour_message *, long long int now);
void claims_run(struct claims *, long long int now);
long long int claims_next_wakeup(struct claims *);

bool claims_is_claimed(const struct claims *, const struct in6_addr *);
uint64_t claims_seqno(const struct claims *);
void claims_get_problems(const struct claims *, long long int now, struct problem_list *);
void claims_format(const struct claims *, struct ds *);

#endif /* controller/claims.h */
