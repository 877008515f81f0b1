/* Claims of egress IPs with time driven by hand: what is sent when, who gives way to whom, and
 * what a person is told. */

#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include "controller/claims.h"
#include "dp-packet.h"
#include "ofp/arp-nd.h"
#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "pipeline/address.h"
#include "pipeline/model.h"
#include "util.h"

static const struct eth_addr LOWER_PEER = ETH_ADDR_C(02,00,00,00,00,01);
static const struct eth_addr OUR_MAC = ETH_ADDR_C(02,00,00,00,00,02);
static const struct eth_addr PEER = ETH_ADDR_C(02,00,00,00,00,0a);
static const struct eth_addr STRANGER = ETH_ADDR_C(02,00,00,00,00,0f);

static struct in6_addr
ip(const char *s)
{
    struct in6_addr addr;

    assert_true(ip_parse_address(s, &addr));
    return addr;
}

/* What was sent: "TIME:probe", "TIME:request" and "TIME:reply" (gratuitous ARP), "TIME:advert". */
struct fixture {
    struct claims *c;
    struct ds log;
    long long int now;
    struct eth_addr mac;        /* What it should be sent from. */
};

static void
record_send(const struct dp_packet *b, void *f_)
{
    static const char *names[] = {
        [ARP_REQUEST] = "request",
        [ARP_REPLY] = "reply",
        [ND_ADVERT] = "advert",
    };
    struct fixture *f = f_;
    struct neighbour_message msg;

    assert_null(neighbour_message_parse(dp_packet_data(b), dp_packet_size(b), &msg));
    assert_true(eth_addr_equals(neighbour_message_mac(&msg), f->mac));
    bool probe = neighbour_message_is_probe(&msg);
    ds_put_format(&f->log, "%s%lld:%s", f->log.length ? " " : "", f->now,
                  probe ? "probe" : names[msg.kind]);
}

static void
set(struct fixture *f, const char *addr)
{
    struct in6_addr a = ip(addr);

    claims_set(f->c, &a, 1, f->now);
}

static int
setup(void **state)
{
    struct fixture *f = xzalloc(sizeof *f);

    f->c = claims_create(record_send, f);
    f->mac = OUR_MAC;
    claims_set_mac(f->c, OUR_MAC, 0);
    claims_set_peers(f->c, (struct eth_addr[]) { LOWER_PEER, PEER }, 2);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;

    claims_destroy(f->c);
    ds_destroy(&f->log);
    free(f);
    return 0;
}

/* Runs whatever is due up to and including 'until', each thing at its own time. */
static void
run_until(struct fixture *f, long long int until)
{
    while (claims_next_wakeup(f->c) <= until) {
        f->now = claims_next_wakeup(f->c);
        claims_run(f->c, f->now);
        assert_true(claims_next_wakeup(f->c) > f->now);
    }
    f->now = until;
}

static void
expect(struct fixture *f, const char *log)
{
    assert_string_equal(ds_cstr(&f->log), log);
    ds_clear(&f->log);
}

static void
input(struct fixture *f, enum neighbour_message_kind kind, const char *sender, const char *target,
      struct eth_addr mac)
{
    struct neighbour_message msg = {
        .kind = kind, .sender_ip = ip(sender), .target_ip = ip(target),
        .has_sender_mac = true, .sender_mac = mac, .eth_src = mac };

    claims_input(f->c, &msg, f->now);
}

/* 'mac' answers that it has 10.0.0.9. */
static void
asserted_by(struct fixture *f, struct eth_addr mac)
{
    input(f, ARP_REPLY, "10.0.0.9", "10.0.0.1", mac);
}

static void
probed_by(struct fixture *f, struct eth_addr mac)
{
    input(f, ARP_REQUEST, "0.0.0.0", "10.0.0.9", mac);
}

static bool
is_claimed(struct fixture *f, const char *addr)
{
    struct in6_addr a = ip(addr);

    return claims_is_claimed(f->c, &a);
}

static void
expect_problem(struct fixture *f, const char *object, const char *text)
{
    struct problem_list problems;

    problem_list_init(&problems);
    claims_get_problems(f->c, f->now, &problems);
    assert_int_equal(problems.n, text ? 1 : 0);
    if (text) {
        assert_string_equal(problems.problems[0].object, object);
        assert_string_equal(problems.problems[0].text, text);
    }
    problem_list_destroy(&problems);
}

static void
expect_state(struct fixture *f, const char *expected)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    claims_format(f->c, &s);
    assert_string_equal(ds_cstr(&s), expected);
    ds_destroy(&s);
}

static void
test_free_address(void **state)
{
    struct fixture *f = *state;

    set(f, "10.0.0.9");
    run_until(f, 179);
    expect(f, "0:probe 60:probe 120:probe");
    assert_false(is_claimed(f, "10.0.0.9"));
    run_until(f, 180);
    expect(f, "180:request 180:reply");
    assert_true(is_claimed(f, "10.0.0.9"));
    assert_int_equal(claims_seqno(f->c), 1);
    run_until(f, 100000);
    expect(f, "280:request 280:reply 1180:request 1180:reply 2180:request 2180:reply "
              "4180:request 4180:reply");
    assert_int_equal(claims_next_wakeup(f->c), LLONG_MAX);
    expect_problem(f, NULL, NULL);

    set(f, "10.0.0.9");                     /* The same again: nothing. */
    assert_int_equal(claims_next_wakeup(f->c), LLONG_MAX);
    claims_set(f->c, NULL, 0, f->now);
    assert_false(is_claimed(f, "10.0.0.9"));
    assert_int_equal(claims_seqno(f->c), 2);
}

static void
test_ipv6(void **state)
{
    struct fixture *f = *state;

    set(f, "2001:db8::9");
    run_until(f, 300);
    expect(f, "0:probe 60:probe 120:probe 180:advert 280:advert");

    struct neighbour_message na = {
        .kind = ND_ADVERT, .sender_ip = ip("fe80::f"), .target_ip = ip("2001:db8::9"),
        .eth_src = STRANGER };
    claims_input(f->c, &na, f->now);
    expect(f, "300:advert");
    expect_problem(f, "2001:db8::9",
                   "02:00:00:00:00:0f uses this egress IP, too: "
                   "that host should get another address");

    /* A gateway's late answers, also to a probe, are no announcements; its unsolicited advertisement is one. */
    na.eth_src = PEER;
    na.solicited = true;
    na.override = true;
    claims_input(f->c, &na, f->now);
    assert_true(is_claimed(f, "2001:db8::9"));
    na.solicited = false;
    na.override = false;
    claims_input(f->c, &na, f->now);
    assert_true(is_claimed(f, "2001:db8::9"));
    na.override = true;
    claims_input(f->c, &na, f->now);
    assert_false(is_claimed(f, "2001:db8::9"));
}

static void
test_mac(void **state)
{
    struct fixture *f = *state;
    struct claims *c = claims_create(record_send, f);
    struct in6_addr a = ip("10.0.0.9");

    claims_set(c, &a, 1, 0);
    claims_run(c, 1000);
    assert_int_equal(claims_next_wakeup(c), LLONG_MAX);
    expect(f, "");
    f->now = 2000;
    claims_set_mac(c, OUR_MAC, 2000);
    claims_run(c, 2000);
    expect(f, "2000:probe");
    claims_destroy(c);

    /* A new one is announced. */
    set(f, "10.0.0.9");
    run_until(f, 10000);
    ds_clear(&f->log);
    claims_set_mac(f->c, OUR_MAC, 10000);
    run_until(f, 10000);
    expect(f, "");
    claims_set_mac(f->c, PEER, 10000);
    f->mac = PEER;
    run_until(f, 10100);
    expect(f, "10000:request 10000:reply 10100:request 10100:reply");
}

static void
test_stranger(void **state)
{
    static const char problem[] = "this egress IP is in use by 02:00:00:00:00:0f, which is no "
                                  "gateway: not claimed until that host stops answering for it";
    static const int backoffs[] = { 200, 400, 800, 1600, 3200, 6400, 10000, 10000 };
    struct fixture *f = *state;

    set(f, "10.0.0.9");
    for (size_t i = 0; i < ARRAY_SIZE(backoffs); i++) {
        run_until(f, f->now);               /* A probe, and its answer. */
        asserted_by(f, STRANGER);
        assert_int_equal(claims_next_wakeup(f->c), f->now + backoffs[i]);
        expect_state(f, "10.0.0.9 conflict, rival 02:00:00:00:00:0f\n");
        expect_problem(f, "10.0.0.9", problem);
        f->now += backoffs[i];
    }
    assert_int_equal(claims_seqno(f->c), 0);
    ds_clear(&f->log);

    long long int start = f->now;
    run_until(f, start + 179);
    expect_problem(f, "10.0.0.9", problem);
    run_until(f, start + 180);
    expect_problem(f, NULL, NULL);
    expect_state(f, "10.0.0.9 claimed\n");
}

static void
test_stranger_probes(void **state)
{
    struct fixture *f = *state;

    set(f, "10.0.0.9");
    run_until(f, 10);
    probed_by(f, OUR_MAC);                  /* Our own echo. */
    assert_int_equal(claims_next_wakeup(f->c), 60);
    probed_by(f, STRANGER);
    assert_int_equal(claims_next_wakeup(f->c), 210);
    run_until(f, 390);
    expect(f, "0:probe 210:probe 270:probe 330:probe 390:request 390:reply");
    probed_by(f, STRANGER);                 /* Now the answer is a flow's. */
    assert_true(is_claimed(f, "10.0.0.9"));
    expect_problem(f, NULL, NULL);
}

static void
test_handover(void **state)
{
    struct fixture *f = *state;

    set(f, "10.0.0.9");
    for (int i = 0; i < 10; i++) {
        run_until(f, f->now);
        asserted_by(f, PEER);
        assert_int_equal(claims_next_wakeup(f->c), f->now + 50);
        f->now += 50;
    }
    expect_problem(f, NULL, NULL);
    ds_clear(&f->log);
    run_until(f, 680);                      /* It let go after the answer at 450. */
    expect(f, "500:probe 560:probe 620:probe 680:request 680:reply");
    assert_true(is_claimed(f, "10.0.0.9"));
    assert_int_equal(claims_seqno(f->c), 1);
}

static void
test_peer_that_never_lets_go(void **state)
{
    struct fixture *f = *state;

    set(f, "10.0.0.9");
    for (; f->now < 2000; f->now += 50) {
        run_until(f, f->now);
        asserted_by(f, PEER);
        assert_false(is_claimed(f, "10.0.0.9"));
    }
    run_until(f, 2000);
    asserted_by(f, PEER);
    assert_true(is_claimed(f, "10.0.0.9"));
    expect_problem(f, "10.0.0.9",
                   "the gateway at 02:00:00:00:00:0a goes on answering for this egress IP, which "
                   "was moved to this node: is its agent running?");
    run_until(f, 2999);
    ds_clear(&f->log);

    run_until(f, 3000);
    for (int i = 0; i < 5; i++) {           /* However often it answers, one announcement more. */
        asserted_by(f, PEER);
    }
    expect(f, "3000:request 3000:reply 3000:probe 3000:request 3000:reply");

    /* It has gone now, after 3 questions without an answer. */
    run_until(f, 6999);
    expect(f, "4000:request 4000:reply 4000:probe 5000:probe 6000:request 6000:reply 6000:probe");
    assert_int_equal(claims_seqno(f->c), 1);
    run_until(f, 20000);
    expect(f, "");
    expect_problem(f, NULL, NULL);
}

static void
test_peer_claims_later(void **state)
{
    struct fixture *f = *state;

    set(f, "10.0.0.9");
    run_until(f, 10000);
    ds_clear(&f->log);
    asserted_by(f, PEER);                   /* A late answer: what it did is undone. */
    input(f, ARP_REQUEST, "10.0.0.9", "10.0.0.1", PEER);
    expect(f, "10000:request 10000:reply");
    assert_true(is_claimed(f, "10.0.0.9"));
    expect_problem(f, NULL, NULL);

    input(f, ARP_REQUEST, "10.0.0.9", "10.0.0.9", PEER);
    assert_false(is_claimed(f, "10.0.0.9"));
    assert_int_equal(claims_seqno(f->c), 2);
    expect_problem(f, "10.0.0.9",
                   "the gateway at 02:00:00:00:00:0a announced this egress IP after us: "
                   "left to it until it stops answering for it");
    run_until(f, 10200);
    expect(f, "10200:probe");
    asserted_by(f, PEER);                   /* No handover: it may keep it. */
    assert_int_equal(claims_next_wakeup(f->c), 10600);
    run_until(f, 10780);
    expect(f, "10600:probe 10660:probe 10720:probe 10780:request 10780:reply");
    assert_true(is_claimed(f, "10.0.0.9"));
}

static void
test_two_gateways_ask(void **state)
{
    struct fixture *f = *state;

    set(f, "10.0.0.9");
    run_until(f, 100);
    probed_by(f, PEER);                     /* Has the higher MAC: its turn to wait. */
    assert_int_equal(claims_next_wakeup(f->c), 120);
    probed_by(f, LOWER_PEER);
    run_until(f, 460);
    expect(f, "0:probe 60:probe 280:probe 340:probe 400:probe 460:request 460:reply");
}

static void
test_defence(void **state)
{
    struct fixture *f = *state;

    set(f, "10.0.0.9");
    run_until(f, 10000);
    ds_clear(&f->log);
    for (f->now = 10000; f->now <= 25000; f->now += 1000) {
        asserted_by(f, STRANGER);
        assert_true(is_claimed(f, "10.0.0.9"));
    }
    expect(f, "10000:request 10000:reply 20000:request 20000:reply");
    assert_int_equal(claims_seqno(f->c), 1);
    f->now = 25000 + 29999;
    expect_problem(f, "10.0.0.9",
                   "02:00:00:00:00:0f uses this egress IP, too: "
                   "that host should get another address");
    f->now++;
    expect_problem(f, NULL, NULL);
}

static void
test_adopt(void **state)
{
    struct fixture *f = *state;
    struct in6_addr adopted[] = { ip("10.0.0.9"), ip("10.0.0.8") };

    claims_adopt(f->c, &adopted[0], 1);
    claims_adopt(f->c, &adopted[1], 1);
    run_until(f, 100);
    set(f, "10.0.0.9");                     /* 10.0.0.8 was moved while we were away. */
    assert_true(is_claimed(f, "10.0.0.9"));
    assert_false(is_claimed(f, "10.0.0.8"));
    run_until(f, 10000);
    expect(f, "100:request 100:reply");

    set(f, "10.0.0.8");                     /* Too late for that. */
    assert_false(is_claimed(f, "10.0.0.8"));

    expect_state(f, "10.0.0.8 probing\n");
}

int
main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_free_address), T(test_ipv6), T(test_mac), T(test_stranger),
        T(test_stranger_probes), T(test_handover), T(test_peer_that_never_lets_go),
        T(test_peer_claims_later), T(test_two_gateways_ask), T(test_defence),
        T(test_adopt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
