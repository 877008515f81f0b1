/* Frames byte by byte: what the compose functions put on the wire, and what the parser makes of
 * frames that are right and of every kind of wrong one. */

#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include "csum.h"
#include "dp-packet.h"
#include "ofp/arp-nd.h"
#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "util.h"

static const struct eth_addr MAC_A = ETH_ADDR_C(02,00,00,00,00,0a);
static const struct eth_addr MAC_B = ETH_ADDR_C(02,00,00,00,00,0b);

/* Accepts both families. */
static struct in6_addr
ip(const char *s)
{
    struct in6_addr addr;
    ovs_be32 ip4;

    if (ip_parse(s, &ip4)) {
        in6_addr_set_mapped_ipv4(&addr, ip4);
    } else {
        assert_int_equal(inet_pton(AF_INET6, s, &addr), 1);
    }
    return addr;
}

static void
assert_frame(const struct dp_packet *b, const char *expected)
{
    struct ds hex = DS_EMPTY_INITIALIZER;
    const uint8_t *p = dp_packet_data(b);
    size_t digits = 0;

    for (size_t i = 0; i < dp_packet_size(b); i++) {
        ds_put_format(&hex, "%02x", p[i]);
    }
    /* Blanks in 'expected' are for its reader. */
    char *plain = xmalloc(strlen(expected) + 1);
    for (const char *s = expected; *s; s++) {
        if (*s != ' ') {
            plain[digits++] = *s;
        }
    }
    plain[digits] = '\0';
    assert_string_equal(ds_cstr(&hex), plain);
    free(plain);
    ds_destroy(&hex);
}

static void
assert_parses_as(const struct dp_packet *b, const struct neighbour_message *expected)
{
    struct neighbour_message msg;

    assert_null(neighbour_message_parse(dp_packet_data(b), dp_packet_size(b), &msg));
    assert_int_equal(msg.kind, expected->kind);
    assert_memory_equal(&msg.sender_ip, &expected->sender_ip, sizeof msg.sender_ip);
    assert_memory_equal(&msg.target_ip, &expected->target_ip, sizeof msg.target_ip);
    assert_int_equal(msg.has_sender_mac, expected->has_sender_mac);
    assert_memory_equal(&msg.sender_mac, &expected->sender_mac, sizeof msg.sender_mac);
    assert_memory_equal(&msg.eth_src, &expected->eth_src, sizeof msg.eth_src);
    assert_int_equal(msg.router, expected->router);
    assert_int_equal(msg.solicited, expected->solicited);
    assert_int_equal(msg.override, expected->override);
}

static void
test_arp_request(void **state)
{
    struct in6_addr src = ip("10.0.0.1"), target = ip("10.0.0.2");
    struct dp_packet b;

    dp_packet_init(&b, 0);
    neighbour_compose_request(&b, MAC_A, &src, &target, NULL);
    assert_frame(&b, "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001"
                     "02000000000a 0a000001 000000000000 0a000002");
    assert_parses_as(&b, &(struct neighbour_message) {
        .kind = ARP_REQUEST, .sender_ip = src, .target_ip = target,
        .has_sender_mac = true, .sender_mac = MAC_A, .eth_src = MAC_A });

    /* The same buffer again, now to one host. */
    neighbour_compose_request(&b, MAC_A, &src, &target, &MAC_B);
    assert_frame(&b, "02000000000b 02000000000a 0806 0001 0800 06 04 0001"
                     "02000000000a 0a000001 000000000000 0a000002");
    dp_packet_uninit(&b);
}

static void
test_arp_probe_and_announcements(void **state)
{
    struct in6_addr addr = ip("10.0.0.9"), none = ip("0.0.0.0");
    struct dp_packet b;

    dp_packet_init(&b, 0);
    neighbour_compose_probe(&b, MAC_A, &addr);
    assert_frame(&b, "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001"
                     "02000000000a 00000000 000000000000 0a000009");
    assert_parses_as(&b, &(struct neighbour_message) {
        .kind = ARP_REQUEST, .sender_ip = none, .target_ip = addr,
        .has_sender_mac = true, .sender_mac = MAC_A, .eth_src = MAC_A });

    neighbour_compose_announcement(&b, MAC_A, &addr, ANNOUNCE_AS_REQUEST);
    assert_frame(&b, "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001"
                     "02000000000a 0a000009 000000000000 0a000009");
    neighbour_compose_announcement(&b, MAC_A, &addr, ANNOUNCE_AS_REPLY);
    assert_frame(&b, "ffffffffffff 02000000000a 0806 0001 0800 06 04 0002"
                     "02000000000a 0a000009 ffffffffffff 0a000009");
    assert_parses_as(&b, &(struct neighbour_message) {
        .kind = ARP_REPLY, .sender_ip = addr, .target_ip = addr,
        .has_sender_mac = true, .sender_mac = MAC_A, .eth_src = MAC_A });
    dp_packet_uninit(&b);
}

static void
test_nd_solicitations(void **state)
{
    struct in6_addr src = ip("2001:db8::1"), target = ip("2001:db8::ab:cdef");
    struct dp_packet b;

    dp_packet_init(&b, 0);
    neighbour_compose_request(&b, MAC_A, &src, &target, NULL);
    assert_frame(&b, "3333ffabcdef 02000000000a 86dd 60000000 0020 3a ff"
                     "20010db8000000000000000000000001 ff0200000000000000000001ffabcdef"
                     "87 00 7eec 00000000 20010db8000000000000000000abcdef 01 01 02000000000a");
    assert_parses_as(&b, &(struct neighbour_message) {
        .kind = ND_SOLICIT, .sender_ip = src, .target_ip = target,
        .has_sender_mac = true, .sender_mac = MAC_A, .eth_src = MAC_A });

    neighbour_compose_request(&b, MAC_A, &src, &target, &MAC_B);
    assert_frame(&b, "02000000000b 02000000000a 86dd 60000000 0020 3a ff"
                     "20010db8000000000000000000000001 20010db8000000000000000000abcdef"
                     "87 00 4f38 00000000 20010db8000000000000000000abcdef 01 01 02000000000a");
    assert_parses_as(&b, &(struct neighbour_message) {
        .kind = ND_SOLICIT, .sender_ip = src, .target_ip = target,
        .has_sender_mac = true, .sender_mac = MAC_A, .eth_src = MAC_A });

    neighbour_compose_probe(&b, MAC_A, &target);
    assert_frame(&b, "3333ffabcdef 02000000000a 86dd 60000000 0018 3a ff"
                     "00000000000000000000000000000000 ff0200000000000000000001ffabcdef"
                     "87 00 afb9 00000000 20010db8000000000000000000abcdef");
    assert_parses_as(&b, &(struct neighbour_message) {
        .kind = ND_SOLICIT, .sender_ip = in6addr_any, .target_ip = target, .eth_src = MAC_A });
    dp_packet_uninit(&b);
}

static void
test_nd_announcement(void **state)
{
    struct in6_addr addr = ip("2001:db8::9");
    struct dp_packet b;

    dp_packet_init(&b, 0);
    neighbour_compose_announcement(&b, MAC_A, &addr, ANNOUNCE_AS_REPLY);
    assert_frame(&b, "333300000001 02000000000a 86dd 60000000 0020 3a ff"
                     "20010db8000000000000000000000009 ff020000000000000000000000000001"
                     "88 00 f911 20000000 20010db8000000000000000000000009 02 01 02000000000a");
    assert_parses_as(&b, &(struct neighbour_message) {
        .kind = ND_ADVERT, .sender_ip = addr, .target_ip = addr,
        .has_sender_mac = true, .sender_mac = MAC_A, .eth_src = MAC_A, .override = true });
    dp_packet_uninit(&b);
}

static void
test_meaning(void **state)
{
    struct neighbour_message msg = {
        .kind = ARP_REQUEST, .sender_ip = ip("10.0.0.1"), .target_ip = ip("10.0.0.2"),
        .has_sender_mac = true, .sender_mac = MAC_A, .eth_src = MAC_B };
    struct in6_addr subject;

    assert_false(neighbour_message_is_probe(&msg));
    assert_true(neighbour_message_subject(&msg, &subject));
    assert_memory_equal(&subject, &msg.sender_ip, sizeof subject);
    assert_true(eth_addr_equals(neighbour_message_mac(&msg), MAC_A));

    msg.sender_ip = ip("0.0.0.0");
    assert_true(neighbour_message_is_probe(&msg));
    assert_false(neighbour_message_subject(&msg, &subject));

    msg = (struct neighbour_message) { .kind = ND_ADVERT, .sender_ip = ip("fe80::1"),
                                       .target_ip = ip("2001:db8::1"), .eth_src = MAC_B };
    assert_true(neighbour_message_subject(&msg, &subject));
    assert_memory_equal(&subject, &msg.target_ip, sizeof subject);
    assert_true(eth_addr_equals(neighbour_message_mac(&msg), MAC_B));
}

/* A frame for spoiling, and where its fields are. */
struct frame {
    uint8_t bytes[256];
    size_t len;
};
enum {
    ARP = 14, ARP_HLN = ARP + 4, ARP_OP = ARP + 6, ARP_SHA = ARP + 8, ARP_SPA = ARP + 14,
    IP6 = 14, IP6_PLEN = IP6 + 4, IP6_NXT = IP6 + 6, IP6_HLIM = IP6 + 7, IP6_SRC = IP6 + 8,
    IP6_DST = IP6 + 24,
    ICMP6 = 54, ND_FLAGS = ICMP6 + 4, ND_TARGET = ICMP6 + 8, ND_OPTIONS = ICMP6 + 24,
};

/* A frame that neighbour_compose_CALL puts into 'b'. */
#define FRAME(NAME, CALL)                                           \
    struct frame NAME;                                              \
    {                                                               \
        struct dp_packet b;                                         \
        dp_packet_init(&b, 0);                                      \
        CALL;                                                       \
        NAME.len = dp_packet_size(&b);                              \
        memcpy(NAME.bytes, dp_packet_data(&b), NAME.len);           \
        dp_packet_uninit(&b);                                       \
    }

static void
fix_checksum(struct frame *f)
{
    uint16_t plen = f->len - ICMP6;

    f->bytes[IP6_PLEN] = plen >> 8;
    f->bytes[IP6_PLEN + 1] = plen & 0xff;
    memset(&f->bytes[ICMP6 + 2], 0, 2);
    uint32_t sum = csum_continue(0, &f->bytes[IP6_SRC], 32);
    sum = csum_add16(sum, htons(plen));
    sum = csum_add16(sum, htons(f->bytes[IP6_NXT]));
    ovs_be16 csum = csum_finish(csum_continue(sum, &f->bytes[ICMP6], plen));
    memcpy(&f->bytes[ICMP6 + 2], &csum, sizeof csum);
}

/* The frame lies in a heap block of its own size at an odd address: AddressSanitizer sees every
 * read beyond. */
static const char *
parse(const struct frame *f)
{
    struct neighbour_message msg;
    uint8_t *copy = xmalloc(f->len + 1);

    memcpy(copy + 1, f->bytes, f->len);
    const char *error = neighbour_message_parse(copy + 1, f->len, &msg);
    free(copy);
    return error ? error : "ok";
}

/* What the parser says of a copy of 'f' with 'n' bytes at 'ofs' replaced, its IPv6 checksum set
 * right. */
static const char *
spoilt(const struct frame *f, size_t ofs, const void *bytes, size_t n)
{
    struct frame copy = *f;

    memcpy(&copy.bytes[ofs], bytes, n);
    if (copy.bytes[12] == 0x86) {
        fix_checksum(&copy);
    }
    return parse(&copy);
}
#define SPOILT(F, OFS, BYTES) spoilt(F, OFS, BYTES, sizeof BYTES - 1)

static void
test_arp_refused(void **state)
{
    struct in6_addr src = ip("10.0.0.1"), target = ip("10.0.0.2");
    FRAME(f, neighbour_compose_request(&b, MAC_A, &src, &target, NULL));

    assert_string_equal(parse(&f), "ok");
    for (size_t n = 0; n < f.len; n++) {
        struct frame cut = f;
        cut.len = n;
        assert_string_equal(parse(&cut), n < ARP ? "Ethernet: truncated" : "ARP: truncated");
    }
    assert_string_equal(SPOILT(&f, 6, "\x01"), "Ethernet: source is no host's");
    assert_string_equal(SPOILT(&f, 12, "\x81\x00"), "Ethernet: neither ARP nor IPv6");
    assert_string_equal(SPOILT(&f, 12, "\x88\xa8"), "Ethernet: neither ARP nor IPv6");
    assert_string_equal(SPOILT(&f, ARP, "\x00\x06"), "ARP: not IPv4 over Ethernet");
    assert_string_equal(SPOILT(&f, ARP + 2, "\x86\xdd"), "ARP: not IPv4 over Ethernet");
    assert_string_equal(SPOILT(&f, ARP_HLN, "\x08"), "ARP: not IPv4 over Ethernet");
    assert_string_equal(SPOILT(&f, ARP_HLN + 1, "\x10"), "ARP: not IPv4 over Ethernet");
    assert_string_equal(SPOILT(&f, ARP_OP, "\x00\x03"), "ARP: neither request nor reply");
    assert_string_equal(SPOILT(&f, ARP_SHA, "\xff\xff\xff\xff\xff\xff"),
                        "ARP: sender hardware address is no host's");
    assert_string_equal(SPOILT(&f, ARP_SHA, "\0\0\0\0\0\0"),
                        "ARP: sender hardware address is no host's");
    assert_string_equal(SPOILT(&f, ARP_SPA, "\xe0\x00\x00\x01"),
                        "ARP: sender address is no host's");
    assert_string_equal(SPOILT(&f, ARP_SPA, "\x7f\x00\x00\x01"),
                        "ARP: sender address is no host's");
    assert_string_equal(SPOILT(&f, ARP_SPA, "\xff\xff\xff\xff"),
                        "ARP: sender address is no host's");
    assert_string_equal(SPOILT(&f, ARP_SPA, "\x00\x00\x00\x00"), "ok");
    assert_string_equal(SPOILT(&f, ARP_OP, "\x00\x02\x02\0\0\0\0\x0a\0\0\0\0"),
                        "ARP: sender address is no host's");
}

static void
test_nd_refused(void **state)
{
    struct in6_addr src = ip("2001:db8::1"), target = ip("2001:db8::2");
    FRAME(f, neighbour_compose_request(&b, MAC_A, &src, &target, NULL));

    assert_string_equal(parse(&f), "ok");
    for (size_t n = ICMP6 - 40; n < f.len; n++) {
        struct frame cut = f;
        cut.len = n;
        assert_string_equal(parse(&cut), "IPv6: truncated");
        if (n >= ICMP6 + 4) {
            fix_checksum(&cut);
            assert_string_equal(parse(&cut), n < ND_OPTIONS ? "ND: truncated"
                                             : n > ND_OPTIONS ? "ND: truncated option" : "ok");
        }
    }
    struct frame padded = f;
    memset(&padded.bytes[padded.len], 0xee, 6);
    padded.len += 6;
    assert_string_equal(parse(&padded), "ok");

    struct frame wrong = f;
    wrong.bytes[ND_TARGET + 15] ^= 1;
    assert_string_equal(parse(&wrong), "ICMPv6: wrong checksum");

    assert_string_equal(SPOILT(&f, IP6, "\x40"), "IPv6: version is not 6");
    assert_string_equal(SPOILT(&f, IP6_NXT, "\x2c"), "IPv6: not ICMPv6");
    assert_string_equal(SPOILT(&f, IP6_HLIM, "\xfe"), "ND: hop limit is not 255");
    assert_string_equal(SPOILT(&f, IP6_SRC, "\xff\x02"), "IPv6: source is no host's address");
    assert_string_equal(SPOILT(&f, IP6_SRC, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1"),
                        "IPv6: source is no host's address");
    assert_string_equal(SPOILT(&f, ICMP6, "\x86"),
                        "ICMPv6: neither neighbour solicitation nor advertisement");
    assert_string_equal(SPOILT(&f, ICMP6 + 1, "\x01"), "ND: code is not 0");
    assert_string_equal(SPOILT(&f, ND_TARGET, "\xff\x02"), "ND: target is no host's address");
    assert_string_equal(SPOILT(&f, ND_TARGET, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                        "ND: target is no host's address");
    assert_string_equal(SPOILT(&f, ND_TARGET, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\1"),
                        "ND: target is no host's address");
    assert_string_equal(SPOILT(&f, ND_OPTIONS + 1, "\x00"), "ND: option of length 0");
    assert_string_equal(SPOILT(&f, ND_OPTIONS + 1, "\x02"), "ND: truncated option");
    assert_string_equal(SPOILT(&f, ND_OPTIONS + 2, "\x01"), "ND: link-layer address is no host's");
    assert_string_equal(SPOILT(&f, ND_OPTIONS, "\x0e"), "ok");

    struct frame two = f;               /* The first one counts. */
    two.bytes[two.len] = 1;
    two.bytes[two.len + 1] = 1;
    memcpy(&two.bytes[two.len + 2], &MAC_B, 6);
    two.len += 8;
    fix_checksum(&two);
    struct neighbour_message msg;
    assert_null(neighbour_message_parse(two.bytes, two.len, &msg));
    assert_true(eth_addr_equals(msg.sender_mac, MAC_A));

    struct frame long_lla = f;
    long_lla.bytes[ND_OPTIONS + 1] = 2;
    memset(&long_lla.bytes[long_lla.len], 0, 8);
    long_lla.len += 8;
    fix_checksum(&long_lla);
    assert_string_equal(parse(&long_lla), "ND: link-layer address option is not Ethernet's");

    struct frame dad = f;
    memset(&dad.bytes[IP6_SRC], 0, 16);
    fix_checksum(&dad);
    assert_string_equal(parse(&dad), "ND: solicitation without source but with link-layer address");
    dad.len -= 8;
    fix_checksum(&dad);
    assert_string_equal(parse(&dad), "ok");
    memcpy(&dad.bytes[IP6_DST], &target, 16);
    fix_checksum(&dad);
    assert_string_equal(parse(&dad),
                        "ND: solicitation without source to other than a solicited-node address");
}

static void
test_nd_advert_refused(void **state)
{
    struct in6_addr addr = ip("2001:db8::9");
    FRAME(f, neighbour_compose_announcement(&b, MAC_A, &addr, ANNOUNCE_AS_REQUEST));

    assert_string_equal(parse(&f), "ok");
    assert_string_equal(SPOILT(&f, ND_FLAGS, "\x60"),
                        "ND: solicited advertisement to a multicast address");
    assert_string_equal(SPOILT(&f, IP6_SRC, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
                        "ND: advertisement without source");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arp_request),
        cmocka_unit_test(test_arp_probe_and_announcements),
        cmocka_unit_test(test_nd_solicitations),
        cmocka_unit_test(test_nd_announcement),
        cmocka_unit_test(test_meaning),
        cmocka_unit_test(test_arp_refused),
        cmocka_unit_test(test_nd_refused),
        cmocka_unit_test(test_nd_advert_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
