#include <config.h>

#include "pipeline/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "util.h"

static const uint8_t mapped_head[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

const char *
ip_family_name(enum ip_family family)
{
    return family == IP_V4 ? "IPv4" : "IPv6";
}

enum ip_family
ip_family_of(const struct in6_addr *addr)
{
    return memcmp(addr, mapped_head, sizeof mapped_head) ? IP_V6 : IP_V4;
}

static unsigned int
family_bits(enum ip_family family)
{
    return family == IP_V4 ? 32 : 128;
}

bool
ip_is_set(const struct in6_addr *addr)
{
    return memcmp(addr, &in6addr_any, sizeof *addr) != 0;
}

/* Parses 's', one address of either family with nothing around it, into '*addr'.  An IPv4 address
 * in IPv6 notation ("::ffff:10.0.0.1") is refused, because nobody could tell which family was
 * meant.  Returns true if successful; on failure '*addr' is in6addr_any. */
bool
ip_parse_address(const char *s, struct in6_addr *addr)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, s, &v4) == 1) {
        *addr = ip_from_v4(v4.s_addr);
        return true;
    }
    if (inet_pton(AF_INET6, s, addr) == 1 && ip_family_of(addr) == IP_V6) {
        return true;
    }
    *addr = in6addr_any;
    return false;
}

/* Clears the bits of 'addr' beyond the first 'bits' of all its 128. */
static void
clear_host_bits(struct in6_addr *addr, unsigned int bits)
{
    for (unsigned int i = 0; i < sizeof addr->s6_addr; i++) {
        if (bits >= 8 * (i + 1)) {
            continue;
        }
        addr->s6_addr[i] &= bits > 8 * i ? 0xff << (8 * (i + 1) - bits) : 0;
    }
}

/* Number of leading bits of the 128-bit form that 'prefix' fixes. */
static unsigned int
prefix_bits(const struct ip_prefix *prefix)
{
    return prefix->plen + 128 - family_bits(ip_prefix_family(prefix));
}

static bool
parse_plen(const char *s, unsigned int max, unsigned int *plen)
{
    size_t n = strspn(s, "0123456789");

    if (!n || n > 3 || s[n] || (n > 1 && s[0] == '0')) {
        return false;
    }
    *plen = strtoul(s, NULL, 10);
    return *plen <= max;
}

static char *
parse_prefix(const char *s, bool need_plen, struct ip_prefix *prefix)
{
    const char *slash = strchr(s, '/');

    memset(prefix, 0, sizeof *prefix);
    if (!slash && need_plen) {
        return xasprintf("\"%s\" is no CIDR: it has no \"/LENGTH\" after the address", s);
    }

    char *address = slash ? xmemdup0(s, slash - s) : xstrdup(s);
    bool ok = ip_parse_address(address, &prefix->addr);
    free(address);
    if (!ok) {
        return (need_plen
                ? xasprintf("\"%s\" is no CIDR: expected ADDRESS/LENGTH, as in \"10.0.0.0/24\" or "
                            "\"2001:db8::/64\"", s)
                : xasprintf("\"%s\" is neither an IP address nor a CIDR: expected ADDRESS or "
                            "ADDRESS/LENGTH", s));
    }

    enum ip_family family = ip_family_of(&prefix->addr);
    prefix->plen = family_bits(family);
    if (slash && !parse_plen(slash + 1, family_bits(family), &prefix->plen)) {
        memset(prefix, 0, sizeof *prefix);
        return xasprintf("\"%s\" is no CIDR: the length of an %s prefix is a number from 0 to %u",
                         s, ip_family_name(family), family_bits(family));
    }
    clear_host_bits(&prefix->addr, prefix_bits(prefix));
    return NULL;
}

/* Parses 's', "ADDRESS/LENGTH", into '*prefix'.  Host bits may be set, as everywhere in
 * Kubernetes, and are cleared.  Returns NULL if successful, otherwise an error that the caller
 * must free. */
char *
ip_parse_prefix(const char *s, struct ip_prefix *prefix)
{
    return parse_prefix(s, true, prefix);
}

/* Like ip_parse_prefix(), but an address alone is a prefix of its full length. */
char *
ip_parse_cidr_or_address(const char *s, struct ip_prefix *prefix)
{
    return parse_prefix(s, false, prefix);
}

/* Parses 's', "FIRST-LAST" or a single address, into '*range'.  Returns NULL if successful,
 * otherwise an error that the caller must free. */
char *
ip_parse_range(const char *s, struct ip_range *range)
{
    const char *dash = strchr(s, '-');
    char *first = dash ? xmemdup0(s, dash - s) : xstrdup(s);
    bool ok = (ip_parse_address(first, &range->first)
               && ip_parse_address(dash ? dash + 1 : first, &range->last));
    free(first);

    char *error = NULL;
    if (!ok) {
        error = xasprintf("\"%s\" is no range: expected FIRST-LAST, as in "
                          "\"10.0.0.1-10.0.0.9\"", s);
    } else if (ip_family_of(&range->first) != ip_family_of(&range->last)) {
        error = xasprintf("\"%s\" is no range: both ends must be of one IP family", s);
    } else if (ip_compare(&range->first, &range->last) > 0) {
        error = xasprintf("\"%s\" is no range: its first address comes after its last", s);
    }
    if (error) {
        memset(range, 0, sizeof *range);
    }
    return error;
}

/* Orders addresses by value; every IPv4 address comes before any IPv6 address that is in global
 * use. */
int
ip_compare(const struct in6_addr *a, const struct in6_addr *b)
{
    return memcmp(a, b, sizeof *a);
}

void
ip_format(const struct in6_addr *addr, struct ds *s)
{
    ipv6_format_mapped(addr, s);
}

char *
ip_to_string(const struct in6_addr *addr)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    ip_format(addr, &s);
    return ds_steal_cstr(&s);
}

/* Moves 'addr' on to the next address.  Returns false, and leaves it alone, at its family's last
 * one. */
bool
ip_increment(struct in6_addr *addr)
{
    size_t first = ip_family_of(addr) == IP_V4 ? sizeof mapped_head : 0;
    struct in6_addr next = *addr;

    for (size_t i = sizeof next.s6_addr; i-- > first; ) {
        if (++next.s6_addr[i]) {
            *addr = next;
            return true;
        }
    }
    return false;
}

enum ip_family
ip_prefix_family(const struct ip_prefix *prefix)
{
    return ip_family_of(&prefix->addr);
}

/* An IPv6 prefix contains no IPv4 address, not even "::/0". */
bool
ip_prefix_contains(const struct ip_prefix *prefix, const struct in6_addr *addr)
{
    struct in6_addr masked = *addr;

    if (ip_prefix_family(prefix) != ip_family_of(addr)) {
        return false;
    }
    clear_host_bits(&masked, prefix_bits(prefix));
    return !ip_compare(&masked, &prefix->addr);
}

bool
ip_prefix_equals(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return !ip_prefix_compare(a, b);
}

/* Orders prefixes by address, then shorter before longer. */
int
ip_prefix_compare(const struct ip_prefix *a, const struct ip_prefix *b)
{
    int cmp = ip_compare(&a->addr, &b->addr);

    return cmp ? cmp : a->plen < b->plen ? -1 : a->plen > b->plen;
}

void
ip_prefix_format(const struct ip_prefix *prefix, struct ds *s)
{
    ip_format(&prefix->addr, s);
    ds_put_format(s, "/%u", prefix->plen);
}

char *
ip_prefix_to_string(const struct ip_prefix *prefix)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    ip_prefix_format(prefix, &s);
    return ds_steal_cstr(&s);
}

/* Returns all of the addresses of 'prefix', network and broadcast address included. */
struct ip_range
ip_prefix_range(const struct ip_prefix *prefix)
{
    struct ip_range range = { .first = prefix->addr, .last = prefix->addr };
    unsigned int bits = prefix_bits(prefix);

    for (unsigned int i = 0; i < sizeof range.last.s6_addr; i++) {
        if (bits < 8 * (i + 1)) {
            range.last.s6_addr[i] |= bits > 8 * i ? 0xff >> (bits - 8 * i) : 0xff;
        }
    }
    return range;
}

bool
ip_range_contains(const struct ip_range *range, const struct in6_addr *addr)
{
    return (ip_family_of(&range->first) == ip_family_of(addr)
            && ip_compare(&range->first, addr) <= 0
            && ip_compare(addr, &range->last) <= 0);
}

bool
ip_range_overlaps(const struct ip_range *a, const struct ip_range *b)
{
    return (ip_family_of(&a->first) == ip_family_of(&b->first)
            && ip_compare(&a->first, &b->last) <= 0
            && ip_compare(&b->first, &a->last) <= 0);
}

void
ip_range_format(const struct ip_range *range, struct ds *s)
{
    ip_format(&range->first, s);
    ds_put_char(s, '-');
    ip_format(&range->last, s);
}

/* Returns the IPv4 address that 'addr', which must be of that family, stands for. */
ovs_be32
ip_to_v4(const struct in6_addr *addr)
{
    return in6_addr_get_mapped_ipv4(addr);
}

struct in6_addr
ip_from_v4(ovs_be32 addr)
{
    return in6_addr_mapped_ipv4(addr);
}
