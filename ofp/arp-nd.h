#ifndef OFP_ARP_ND_H
#define OFP_ARP_ND_H 1

/* ARP (RFC 826, RFC 5227) and the neighbour solicitations and advertisements of IPv6 (RFC 4861,
 * section 4.3 and 4.4) as whole Ethernet frames: what a received one says, and those that we
 * send.
 *
 * Both families share one set of functions.  An IPv4 address is an IPv4-mapped struct in6_addr. */

#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include "openvswitch/types.h"

struct dp_packet;

enum neighbour_message_kind { ARP_REQUEST, ARP_REPLY, ND_SOLICIT, ND_ADVERT };

struct neighbour_message {
    enum neighbour_message_kind kind;
    struct in6_addr sender_ip;      /* ARP's sender address, or the IPv6 source.  0.0.0.0 (mapped)
                                     * or "::" if it asks whether an address is free. */
    struct in6_addr target_ip;      /* ARP's target address, or the target field of ND. */
    bool has_sender_mac;            /* Always, for ARP.  ND may come without the option. */
    struct eth_addr sender_mac;     /* ARP's sender hardware address, or ND's option. */
    struct eth_addr eth_src;        /* The frame's own source. */
    bool router, solicited, override;   /* Of ND_ADVERT. */
};

const char *neighbour_message_parse(const void *frame, size_t len, struct neighbour_message *);
bool neighbour_message_is_probe(const struct neighbour_message *);
bool neighbour_message_subject(const struct neighbour_message *, struct in6_addr *);
struct eth_addr neighbour_message_mac(const struct neighbour_message *);

/* The two forms of a gratuitous ARP.  IPv6 has only one form. */
enum announcement_form { ANNOUNCE_AS_REQUEST, ANNOUNCE_AS_REPLY };

void neighbour_compose_request(struct dp_packet *, struct eth_addr src_mac,
                               const struct in6_addr *src_ip,
                               const struct in6_addr *target_ip, const struct eth_addr *known_mac);
void neighbour_compose_probe(struct dp_packet *, struct eth_addr src_mac,
                             const struct in6_addr *ip);
void neighbour_compose_announcement(struct dp_packet *, struct eth_addr src_mac,
                                    const struct in6_addr *ip, enum announcement_form);

#endif /* ofp/arp-nd.h */
