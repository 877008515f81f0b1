#ifndef PIPELINE_ADDRESS_H
#define PIPELINE_ADDRESS_H 1

/* Addresses, prefixes and ranges of both families in one type.
 *
 * An IPv4 address is kept as an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2), so that one
 * struct in6_addr, one comparison and one loop serve both families.  A prefix length counts bits
 * of the family as people write it: 0..32 for IPv4, 0..128 for IPv6. */

#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include "openvswitch/types.h"

struct ds;

enum ip_family { IP_V4, IP_V6 };
#define N_IP_FAMILIES 2

const char *ip_family_name(enum ip_family);         /* "IPv4" or "IPv6". */
enum ip_family ip_family_of(const struct in6_addr *);

struct ip_prefix {
    struct in6_addr addr;       /* Host bits are zero. */
    unsigned int plen;          /* In bits of its family. */
};

/* Both ends belong to the range and are of one family. */
struct ip_range {
    struct in6_addr first;
    struct in6_addr last;
};

bool ip_is_set(const struct in6_addr *);            /* Anything but "::"? */
bool ip_parse_address(const char *, struct in6_addr *);
/* (ip_parse_cidr() is Open vSwitch's.) */
char *ip_parse_prefix(const char *, struct ip_prefix *) OVS_WARN_UNUSED_RESULT;
char *ip_parse_cidr_or_address(const char *, struct ip_prefix *) OVS_WARN_UNUSED_RESULT;
char *ip_parse_range(const char *, struct ip_range *) OVS_WARN_UNUSED_RESULT;

int ip_compare(const struct in6_addr *, const struct in6_addr *);
void ip_format(const struct in6_addr *, struct ds *);
char *ip_to_string(const struct in6_addr *);        /* Caller frees. */
bool ip_increment(struct in6_addr *);               /* False at the family's last address. */

enum ip_family ip_prefix_family(const struct ip_prefix *);
bool ip_prefix_contains(const struct ip_prefix *, const struct in6_addr *);
bool ip_prefix_equals(const struct ip_prefix *, const struct ip_prefix *);
int ip_prefix_compare(const struct ip_prefix *, const struct ip_prefix *);
void ip_prefix_format(const struct ip_prefix *, struct ds *);
char *ip_prefix_to_string(const struct ip_prefix *);
struct ip_range ip_prefix_range(const struct ip_prefix *);

bool ip_range_contains(const struct ip_range *, const struct in6_addr *);
bool ip_range_overlaps(const struct ip_range *, const struct ip_range *);
void ip_range_format(const struct ip_range *, struct ds *);

/* For matches and actions of the IPv4 family. */
ovs_be32 ip_to_v4(const struct in6_addr *);
struct in6_addr ip_from_v4(ovs_be32);

#endif /* pipeline/address.h */
