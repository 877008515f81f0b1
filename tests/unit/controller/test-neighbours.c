/* The table of next hops with time driven by hand: what it sends when, and what is valid when. */

#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "controller/neighbours.h"
#include "dp-packet.h"
#include "ofp/arp-nd.h"
#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "pipeline/address.h"
#include "util.h"

static const struct eth_addr OUR_MAC = ETH_ADDR_C(02,00,00,00,00,01);
static const struct eth_addr MAC_A = ETH_ADDR_C(02,00,00,00,00,0a);
static const struct eth_addr MAC_B = ETH_ADDR_C(02,00,00,00,00,0b);

static struct in6_addr
ip(const char *s)
{
    struct in6_addr addr;

    assert_true(ip_parse_address(s, &addr));
    return addr;
}

/* What the callbacks saw: one word each, "ask:ADDRESS" to everybody, "ask:ADDRESS@MAC" to one host,
 * "release:NUMBER@MAC" for a packet that consists of the byte NUMBER. */
struct fixture {
    struct neighbours *n;
    struct ds log;
};

static void
add_word(struct ds *log)
{
    if (log->length) {
        ds_put_char(log, ' ');
    }
}

static void
record_send(const struct dp_packet *b, void *f_)
{
    struct fixture *f = f_;
    struct neighbour_message msg;
    const struct eth_header *eth = dp_packet_data(b);

    assert_null(neighbour_message_parse(dp_packet_data(b), dp_packet_size(b), &msg));
    assert_true(eth_addr_equals(msg.sender_mac, OUR_MAC));
    assert_true(msg.kind == ARP_REQUEST || msg.kind == ND_SOLICIT);
    add_word(&f->log);
    ds_put_cstr(&f->log, "ask:");
    ip_format(&msg.target_ip, &f->log);
    if (!eth_addr_is_multicast(eth->eth_dst)) {
        ds_put_format(&f->log, "@%x", eth->eth_dst.ea[5]);
    }
}

static void
record_release(const struct dp_packet *b, const struct in6_addr *next_hop, struct eth_addr mac,
               void *f_)
{
    struct fixture *f = f_;

    add_word(&f->log);
    ds_put_format(&f->log, "release:%d@%x", *(uint8_t *) dp_packet_data(b), mac.ea[5]);
}

static int
setup(void **state)
{
    struct fixture *f = xzalloc(sizeof *f);

    ds_init(&f->log);
    f->n = neighbours_create(record_send, record_release, f);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    neighbours_destroy(f->n);
    ds_destroy(&f->log);
    free(f);
    return 0;
}

static void
expect(struct fixture *f, const char *log)
{
    assert_string_equal(ds_cstr(&f->log), log);
    ds_clear(&f->log);
}

static void
want(struct fixture *f, const char *next_hop, bool pinned, long long int now)
{
    struct in6_addr nh = ip(next_hop);
    struct in6_addr src = ip(strchr(next_hop, ':') ? "2001:db8::100" : "10.0.0.100");

    neighbours_want(f->n, &nh, &src, OUR_MAC, pinned, now);
}

/* Runs whatever is due up to and including 'until', each thing at its own time, and logs the
 * times. */
static void
run_until(struct fixture *f, long long int until)
{
    while (neighbours_next_wakeup(f->n) <= until) {
        long long int now = neighbours_next_wakeup(f->n);
        size_t before = f->log.length;

        neighbours_run(f->n, now);
        if (f->log.length > before) {
            ds_put_format(&f->log, "/%lld", now);
        }
        assert_true(neighbours_next_wakeup(f->n) > now);
    }
}

static void
arp(struct fixture *f, enum neighbour_message_kind kind, const char *sender, struct eth_addr mac,
    const char *target, long long int now)
{
    struct neighbour_message msg = {
        .kind = kind, .sender_ip = ip(sender), .target_ip = ip(target),
        .has_sender_mac = true, .sender_mac = mac, .eth_src = mac };

    neighbours_input(f->n, &msg, now);
}

/* "ADDRESS@MAC" of everything that is valid. */
static void
expect_valid(struct fixture *f, const char *expected)
{
    struct neighbour_binding *b;
    size_t n = neighbours_list(f->n, &b);
    struct ds s = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < n; i++) {
        struct eth_addr mac;

        add_word(&s);
        ip_format(&b[i].next_hop, &s);
        ds_put_format(&s, "@%x", b[i].mac.ea[5]);
        assert_true(neighbours_lookup(f->n, &b[i].next_hop, &mac));
        assert_true(eth_addr_equals(mac, b[i].mac));
    }
    assert_string_equal(ds_cstr(&s), expected);
    ds_destroy(&s);
    free(b);
}

static void
test_no_answer(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(neighbours_next_wakeup(f->n), LLONG_MAX);
    want(f, "10.0.0.1", false, 0);
    run_until(f, 2399);
    expect(f, "ask:10.0.0.1 ask:10.0.0.1/100 ask:10.0.0.1/400 ask:10.0.0.1/1400");
    run_until(f, 100000);       /* Fails at 2400 and is forgotten. */
    expect(f, "");
    assert_int_equal(neighbours_next_wakeup(f->n), LLONG_MAX);
    assert_int_equal(neighbours_seqno(f->n), 0);

    want(f, "10.0.0.1", true, 100000);
    run_until(f, 103399);
    expect(f, "ask:10.0.0.1 ask:10.0.0.1/100100 ask:10.0.0.1/100400 ask:10.0.0.1/101400");
    run_until(f, 103400);       /* A pinned one is asked for again after a second. */
    expect(f, "ask:10.0.0.1/103400");
}

static void
test_resolve_and_refresh(void **state)
{
    struct fixture *f = *state;

    want(f, "10.0.0.1", true, 0);
    expect(f, "ask:10.0.0.1");
    expect_valid(f, "");
    arp(f, ARP_REPLY, "10.0.0.1", MAC_A, "10.0.0.100", 10);
    expect_valid(f, "10.0.0.1@a");
    assert_int_equal(neighbours_seqno(f->n), 1);

    /* Asked alone, before the 30 s are over. */
    neighbours_run(f->n, 100);              /* The old request's time: nothing to do any more. */
    expect(f, "");
    long long int probe = neighbours_next_wakeup(f->n);
    assert_in_range(probe, 10 + 20000, 10 + 25000);
    neighbours_run(f->n, probe);
    expect(f, "ask:10.0.0.1@a");
    arp(f, ARP_REPLY, "10.0.0.1", MAC_A, "10.0.0.100", probe + 1);
    assert_int_equal(neighbours_next_wakeup(f->n), probe + 100);
    neighbours_run(f->n, probe + 100);      /* Early, and nothing to do. */
    expect(f, "");
    assert_int_equal(neighbours_next_wakeup(f->n), 2 * probe + 1 - 10);
    assert_int_equal(neighbours_seqno(f->n), 1);
}

static void
test_lost_neighbour(void **state)
{
    struct fixture *f = *state;

    want(f, "10.0.0.1", false, 0);
    arp(f, ARP_REPLY, "10.0.0.1", MAC_A, "10.0.0.100", 0);
    neighbours_run(f->n, 100);
    expect(f, "ask:10.0.0.1");
    long long int t = neighbours_next_wakeup(f->n);
    for (int i = 0; i < 3; i++) {
        neighbours_run(f->n, t);
        t = neighbours_next_wakeup(f->n);
        expect(f, "ask:10.0.0.1@a");
    }
    for (int i = 0; i < 3; i++) {
        neighbours_run(f->n, t);
        t = neighbours_next_wakeup(f->n);
        expect(f, "ask:10.0.0.1");
    }
    expect_valid(f, "10.0.0.1@a");
    neighbours_run(f->n, t);
    expect_valid(f, "");
    assert_int_equal(neighbours_seqno(f->n), 2);
    expect(f, "");
}

static void
test_gratuitous(void **state)
{
    struct fixture *f = *state;

    want(f, "10.0.0.1", true, 0);
    arp(f, ARP_REPLY, "10.0.0.1", MAC_A, "10.0.0.100", 0);
    ds_clear(&f->log);

    arp(f, ARP_REQUEST, "10.0.0.1", MAC_A, "10.0.0.1", 5);
    assert_int_equal(neighbours_seqno(f->n), 1);

    arp(f, ARP_REQUEST, "10.0.0.1", MAC_B, "10.0.0.1", 10);
    expect_valid(f, "10.0.0.1@b");
    assert_int_equal(neighbours_seqno(f->n), 2);
    assert_int_equal(neighbours_next_wakeup(f->n), 10);     /* To be verified. */
    neighbours_run(f->n, 10);
    expect(f, "ask:10.0.0.1@b");

    /* That it answers somebody else is no proof that it answers us. */
    arp(f, ARP_REPLY, "10.0.0.1", MAC_B, "10.0.0.77", 20);
    neighbours_run(f->n, 110);
    expect(f, "ask:10.0.0.1@b");

    /* Not ours to learn: nobody wants it; our own echo; a probe. */
    arp(f, ARP_REPLY, "10.0.0.7", MAC_A, "10.0.0.100", 11);
    arp(f, ARP_REQUEST, "10.0.0.1", OUR_MAC, "10.0.0.1", 11);
    arp(f, ARP_REQUEST, "0.0.0.0", MAC_A, "10.0.0.1", 11);
    expect_valid(f, "10.0.0.1@b");
    assert_int_equal(neighbours_seqno(f->n), 2);
}

static void
test_adverts(void **state)
{
    struct fixture *f = *state;
    struct neighbour_message na = {
        .kind = ND_ADVERT, .sender_ip = ip("fe80::1"), .target_ip = ip("2001:db8::1"),
        .eth_src = MAC_A };

    want(f, "2001:db8::1", true, 0);
    expect(f, "ask:2001:db8::1");
    na.solicited = true;
    neighbours_input(f->n, &na, 1);         /* Without link-layer address. */
    expect_valid(f, "");

    na.has_sender_mac = true;
    na.sender_mac = MAC_A;
    neighbours_input(f->n, &na, 2);
    expect_valid(f, "2001:db8::1@a");

    na.sender_mac = MAC_B;                  /* No override: the one that we know is asked. */
    neighbours_input(f->n, &na, 3);
    expect_valid(f, "2001:db8::1@a");
    neighbours_run(f->n, 3);
    expect(f, "ask:2001:db8::1@a");

    na.solicited = false;                   /* Unsolicited override: at once, and verified. */
    na.override = true;
    neighbours_input(f->n, &na, 4);
    expect_valid(f, "2001:db8::1@b");
    neighbours_run(f->n, 4);
    expect(f, "ask:2001:db8::1@b");

    na.has_sender_mac = false;              /* An answer to a unicast request may leave it out. */
    na.solicited = true;
    neighbours_input(f->n, &na, 5);
    neighbours_run(f->n, 10000);
    expect(f, "");
    assert_int_equal(neighbours_seqno(f->n), 2);
}

static void
queue(struct fixture *f, const char *next_hop, uint8_t number, long long int now)
{
    struct in6_addr nh = ip(next_hop);

    neighbours_queue(f->n, &nh, dp_packet_clone_data(&number, 1), now);
}

static void
test_queue(void **state)
{
    struct fixture *f = *state;

    queue(f, "10.0.0.1", 99, 0);            /* Unknown: dropped. */
    want(f, "10.0.0.1", false, 0);
    for (uint8_t i = 1; i <= NEIGHBOUR_MAX_QUEUE + 2; i++) {
        queue(f, "10.0.0.1", i, 0);
    }
    arp(f, ARP_REPLY, "10.0.0.1", MAC_A, "10.0.0.100", 0);
    queue(f, "10.0.0.1", 9, 1);
    expect(f, "ask:10.0.0.1 release:3@a release:4@a release:5@a release:6@a release:9@a");

    /* Dropped on failure, and while it lasts. */
    want(f, "10.0.0.2", false, 2);
    queue(f, "10.0.0.2", 1, 2);
    run_until(f, 2402);
    ds_clear(&f->log);
    queue(f, "10.0.0.2", 2, 2500);
    arp(f, ARP_REPLY, "10.0.0.2", MAC_B, "10.0.0.100", 2501);
    expect(f, "");
    expect_valid(f, "10.0.0.1@a 10.0.0.2@b");
}

static void
test_unused(void **state)
{
    struct fixture *f = *state;
    struct in6_addr a = ip("10.0.0.1"), b = ip("10.0.0.2");

    neighbours_adopt(f->n, &a, MAC_A, 0);
    neighbours_adopt(f->n, &b, MAC_B, 0);
    assert_int_equal(neighbours_seqno(f->n), 2);
    neighbours_mark_used(f->n, &b, 1000);
    run_until(f, 299999);
    expect_valid(f, "10.0.0.1@a 10.0.0.2@b");
    run_until(f, 300000);
    expect_valid(f, "10.0.0.2@b");
    run_until(f, 301000);
    expect_valid(f, "");
    assert_int_equal(neighbours_seqno(f->n), 4);
    expect(f, "");              /* On whose behalf?  So none was asked. */
}

static void
test_adopt_and_unpin(void **state)
{
    struct fixture *f = *state;
    struct in6_addr a = ip("10.0.0.1");

    neighbours_adopt(f->n, &a, MAC_A, 0);
    want(f, "10.0.0.1", true, 0);
    expect_valid(f, "10.0.0.1@a");
    long long int verify = neighbours_next_wakeup(f->n);
    assert_in_range(verify, 0, 999);
    neighbours_run(f->n, verify);
    expect(f, "ask:10.0.0.1@a");
    neighbours_adopt(f->n, &a, MAC_B, 1000);        /* Known: no change. */
    arp(f, ARP_REPLY, "10.0.0.1", MAC_A, "10.0.0.100", 1000);
    expect_valid(f, "10.0.0.1@a");
    assert_int_equal(neighbours_seqno(f->n), 1);

    struct ds s = DS_EMPTY_INITIALIZER;
    want(f, "10.0.0.1", false, 2000);               /* Stays pinned. */
    neighbours_format(f->n, 4500, &s);
    neighbours_unpin(f->n, &a, 5000);
    neighbours_format(f->n, 5000, &s);
    assert_string_equal(ds_cstr(&s), "10.0.0.1 02:00:00:00:00:0a reachable, pinned, used 2 s ago\n"
                                     "10.0.0.1 02:00:00:00:00:0a reachable, used 0 s ago\n");
    ds_destroy(&s);
}

static void
test_dropped_source(void **state)
{
    struct fixture *f = *state;
    struct in6_addr src = ip("10.0.0.100"), other = ip("10.0.0.101");

    want(f, "10.0.0.1", true, 0);
    want(f, "10.0.0.2", true, 0);
    arp(f, ARP_REPLY, "10.0.0.1", MAC_A, "10.0.0.100", 0);
    ds_clear(&f->log);
    neighbours_drop_source(f->n, &other);
    neighbours_run(f->n, 100);
    expect(f, "ask:10.0.0.2");
    neighbours_drop_source(f->n, &src);
    run_until(f, 1000000);
    expect(f, "");
    expect_valid(f, "10.0.0.1@a");
    want(f, "10.0.0.1", true, 1000000);
    neighbours_run(f->n, 1000000);
    expect(f, "ask:10.0.0.1@a");
}

static void
test_limit(void **state)
{
    struct fixture *f = *state;
    struct in6_addr addr = ip("10.1.0.0");
    struct neighbour_binding *b;

    want(f, "10.0.0.1", true, 0);
    arp(f, ARP_REPLY, "10.0.0.1", MAC_A, "10.0.0.100", 0);
    want(f, "10.0.0.2", false, 0);
    arp(f, ARP_REPLY, "10.0.0.2", MAC_B, "10.0.0.100", 0);
    want(f, "10.0.0.3", true, 0);
    struct in6_addr src = ip("10.0.0.100");
    for (int i = 0; i < 2 * NEIGHBOURS_MAX; i++) {
        neighbours_want(f->n, &addr, &src, OUR_MAC, false, i + 1);
        assert_true(ip_increment(&addr));
    }
    /* A scan pushed out only its own, the oldest first. */
    expect_valid(f, "10.0.0.1@a 10.0.0.2@b");
    arp(f, ARP_REPLY, "10.1.0.0", MAC_A, "10.0.0.100", 3000);
    arp(f, ARP_REPLY, "10.1.7.255", MAC_A, "10.0.0.100", 3000);
    expect_valid(f, "10.0.0.1@a 10.0.0.2@b 10.1.7.255@a");

    /* The pinned ones push out everything else, and then no more are taken. */
    addr = ip("10.2.0.0");
    for (int i = 0; i < NEIGHBOURS_MAX; i++) {
        neighbours_adopt(f->n, &addr, MAC_B, 5000);
        neighbours_want(f->n, &addr, &src, OUR_MAC, true, 5000);
        assert_true(ip_increment(&addr));
    }
    size_t n = neighbours_list(f->n, &b);
    assert_int_equal(n, NEIGHBOURS_MAX - 1);        /* All but 10.0.0.3, which never answered. */
    struct in6_addr first = ip("10.0.0.1");
    assert_true(ipv6_addr_equals(&b[0].next_hop, &first));
    free(b);
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_no_answer), T(test_resolve_and_refresh), T(test_lost_neighbour), T(test_gratuitous),
        T(test_adverts), T(test_queue), T(test_unused), T(test_adopt_and_unpin),
        T(test_dropped_source), T(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
