#include <config.h>

#include "controller/claims.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "dp-packet.h"
#include "hash.h"
#include "ofp/arp-nd.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "pipeline/address.h"
#include "pipeline/model.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_claims);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);

/* RFC 5227, section 1.1 has 3 probes 1 to 2 s apart, then 2 s for the last answer: up to 7 s,
 * made for hosts that have just joined networks of any size.  An egress IP moves while
 * connections are waiting, between gateways on one Ethernet where an answer takes a few
 * milliseconds at most.  3 probes still, against loss; 180 ms in all. */
#define N_PROBES 3
#define PROBE_INTERVAL 60

/* When to announce, after the claim.  RFC 5227 has 2 announcements 2 s apart; the first ones
 * come faster because each missed one costs traffic, and the last ones later, for switches that
 * take seconds to forward after a change of topology. */
static const int announce_times[] = { 0, 100, 1000, 2000, 4000 };
#define N_ANNOUNCEMENTS ((int) ARRAY_SIZE(announce_times))

/* From one attempt to the next at an address that somebody else has: doubled from MIN up to MAX. */
#define MIN_BACKOFF 200
#define MAX_BACKOFF 10000

/* The same, while another gateway is expected to let go of the address, and for how long that is
 * expected.  A watch event takes well below a second to reach a node that is reachable at all. */
#define HANDOVER_INTERVAL 50
#define HANDOVER_LIMIT 2000

/* After an address was claimed in spite of another gateway: how often it is asked whether it
 * still answers, and how many times it must be silent to be believed gone. */
#define CHECK_INTERVAL 1000
#define N_CHECKS 3

/* DEFEND_INTERVAL of RFC 5227, section 1.1. */
#define DEFEND_INTERVAL 10000

/* A conflict over a claimed address is a problem until nothing was seen of it for this long. */
#define CONFLICT_MEMORY (3 * DEFEND_INTERVAL)

enum claim_state { PROBING, CLAIMED, CONFLICT };

struct claim {
    struct hmap_node node;      /* In struct claims's 'table', by hash of 'ip'. */
    struct in6_addr ip;
    enum claim_state state;
    bool wanted;                /* Used within claims_set() only. */

    int step;                   /* PROBING: probes sent.  CLAIMED: announcements sent. */
    long long int due;          /* When the next step is.  LLONG_MAX after the last one. */
    int backoff;                /* How long the next CONFLICT lasts. */
    long long int handover;     /* PROBING: when a peer first answered.  LLONG_MIN if none did. */
    bool yielded;               /* A peer announced it after us: it may keep it. */

    bool contested;             /* CLAIMED: in spite of a peer that answers. */
    long long int check_due;    /* While 'contested', when to check next.  Else LLONG_MAX. */
    int n_silent;               /* While 'contested', checks without an answer. */

    long long int defended;     /* CLAIMED: when last defended.  LLONG_MIN if never. */
    long long int conflict_seen;    /* CLAIMED: when a stranger was last heard, or LLONG_MIN. */
    struct eth_addr rival;      /* Who else has it.  Zero if nobody has. */
};

struct claims {
    struct hmap table;          /* Contains "struct claim"s. */
    claims_send_func *send;
    void *aux;
    struct eth_addr mac;        /* Zero as long as unknown: nothing is sent then. */
    struct eth_addr *peers;
    size_t n_peers;
    struct in6_addr *adopted;   /* Until the first claims_set(). */
    size_t n_adopted, allocated_adopted;
    uint64_t seqno;
    long long int wakeup;       /* When claims_run() has something to do. */
    bool wakeup_is_known;       /* Is 'wakeup' right?  Finding it means a look at every claim. */
};

/* Creates an empty set of claims that sends its frames with 'send', called with 'aux', which
 * must not call back into it.  Nothing is sent before claims_set_mac(). */
struct claims *
claims_create(claims_send_func *send, void *aux)
{
    struct claims *c = xzalloc(sizeof *c);

    hmap_init(&c->table);
    c->send = send;
    c->aux = aux;
    return c;
}

static void
remove_claim(struct claims *c, struct claim *claim)
{
    if (claim->state == CLAIMED) {
        c->seqno++;
    }
    hmap_remove(&c->table, &claim->node);
    free(claim);
}

void
claims_destroy(struct claims *c)
{
    if (c) {
        struct claim *claim;

        HMAP_FOR_EACH_SAFE (claim, node, &c->table) {
            remove_claim(c, claim);
        }
        hmap_destroy(&c->table);
        free(c->peers);
        free(c->adopted);
        free(c);
    }
}

static uint32_t
hash_ip(const struct in6_addr *ip)
{
    return hash_bytes(ip, sizeof *ip, 0);
}

static struct claim *
find(const struct claims *c, const struct in6_addr *ip)
{
    struct claim *claim;

    HMAP_FOR_EACH_WITH_HASH (claim, node, hash_ip(ip), &c->table) {
        if (ipv6_addr_equals(&claim->ip, ip)) {
            return claim;
        }
    }
    return NULL;
}

static void
start_probing(struct claim *claim, long long int due)
{
    claim->state = PROBING;
    claim->step = 0;
    claim->due = due;
}

/* Makes 'claim' claimed, with announcements from number 'first' on. */
static void
set_claimed(struct claims *c, struct claim *claim, int first, long long int now)
{
    claim->state = CLAIMED;
    claim->step = first;
    claim->due = now;
    claim->backoff = MIN_BACKOFF;
    claim->handover = LLONG_MIN;
    claim->yielded = false;
    claim->contested = false;
    claim->check_due = LLONG_MAX;
    claim->defended = LLONG_MIN;
    claim->conflict_seen = LLONG_MIN;
    claim->rival = eth_addr_zero;
    c->seqno++;
}

/* Stands back from 'claim', which 'rival' has. */
static void
set_conflict(struct claims *c, struct claim *claim, struct eth_addr rival, long long int now)
{
    if (claim->state == CLAIMED) {
        c->seqno++;
    }
    claim->state = CONFLICT;
    claim->rival = rival;
    claim->handover = LLONG_MIN;
    claim->contested = false;
    claim->check_due = LLONG_MAX;
    claim->due = now + claim->backoff;
    claim->backoff = MIN(2 * claim->backoff, MAX_BACKOFF);
}

/* Sets the MAC that egress IPs are at.  If it changes, what is claimed is announced again, from
 * 'now' on. */
void
claims_set_mac(struct claims *c, struct eth_addr mac, long long int now)
{
    struct claim *claim;

    if (eth_addr_equals(c->mac, mac)) {
        return;
    }
    bool changed = !eth_addr_is_zero(c->mac);
    c->mac = mac;
    c->wakeup_is_known = false;
    HMAP_FOR_EACH (claim, node, &c->table) {
        if (changed && claim->state == CLAIMED) {
            claim->step = 0;
            claim->due = now;
        }
    }
}

/* Sets the MACs that the other gateways' egress IPs are at to the 'n' in 'peers'. */
void
claims_set_peers(struct claims *c, const struct eth_addr *peers, size_t n)
{
    free(c->peers);
    c->peers = n ? xmemdup(peers, n * sizeof *peers) : NULL;
    c->n_peers = n;
}

/* Before the first claims_set(), tells that this node answered for the 'n' addresses 'ips' when the
 * agent started, as flows in the switch say; may be called several times.  Those that the first
 * claims_set() wants are claimed from then on, with one announcement and without a question.  The
 * others are forgotten: they may have been moved meanwhile. */
void
claims_adopt(struct claims *c, const struct in6_addr *ips, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (c->n_adopted >= c->allocated_adopted) {
            c->adopted = x2nrealloc(c->adopted, &c->allocated_adopted, sizeof *c->adopted);
        }
        c->adopted[c->n_adopted++] = ips[i];
    }
}

static int
compare_ips(const void *a, const void *b)
{
    return ip_compare(a, b);
}

/* To be called with 'c->adopted' sorted. */
static bool
was_adopted(const struct claims *c, const struct in6_addr *ip)
{
    return c->n_adopted && bsearch(ip, c->adopted, c->n_adopted, sizeof *ip, compare_ips);
}

/* Says that this node should have the 'n' addresses 'ips' and no others.  New ones are asked for
 * from 'now' on, others are let go of at once. */
void
claims_set(struct claims *c, const struct in6_addr *ips, size_t n, long long int now)
{
    struct claim *claim;

    c->wakeup_is_known = false;
    if (c->n_adopted) {
        qsort(c->adopted, c->n_adopted, sizeof *c->adopted, compare_ips);
    }
    HMAP_FOR_EACH (claim, node, &c->table) {
        claim->wanted = false;
    }
    for (size_t i = 0; i < n; i++) {
        claim = find(c, &ips[i]);
        if (!claim) {
            claim = xzalloc(sizeof *claim);
            claim->ip = ips[i];
            claim->backoff = MIN_BACKOFF;
            claim->handover = claim->conflict_seen = LLONG_MIN;
            claim->check_due = LLONG_MAX;
            hmap_insert(&c->table, &claim->node, hash_ip(&claim->ip));
            if (was_adopted(c, &claim->ip)) {
                set_claimed(c, claim, N_ANNOUNCEMENTS - 1, now);
            } else {
                start_probing(claim, now);
            }
        }
        claim->wanted = true;
    }
    HMAP_FOR_EACH_SAFE (claim, node, &c->table) {
        if (!claim->wanted) {
            remove_claim(c, claim);
        }
    }
    c->n_adopted = 0;
}

static bool
is_peer(const struct claims *c, struct eth_addr mac)
{
    for (size_t i = 0; i < c->n_peers; i++) {
        if (eth_addr_equals(c->peers[i], mac)) {
            return true;
        }
    }
    return false;
}

static void
send_probe(struct claims *c, const struct claim *claim)
{
    struct dp_packet b;

    dp_packet_init(&b, 0);
    neighbour_compose_probe(&b, c->mac, &claim->ip);
    c->send(&b, c->aux);
    dp_packet_uninit(&b);
}

static void
announce(struct claims *c, const struct claim *claim)
{
    struct dp_packet b;

    dp_packet_init(&b, 0);
    neighbour_compose_announcement(&b, c->mac, &claim->ip, ANNOUNCE_AS_REQUEST);
    c->send(&b, c->aux);
    if (ip_family_of(&claim->ip) == IP_V4) {
        neighbour_compose_announcement(&b, c->mac, &claim->ip, ANNOUNCE_AS_REPLY);
        c->send(&b, c->aux);
    }
    dp_packet_uninit(&b);
}

static void
log_rival(const struct claims *c, const struct claim *claim, struct eth_addr mac, const char *what)
{
    char *ip = ip_to_string(&claim->ip);

    /* That an address moves between gateways is an everyday thing, even if it is slow. */
    VLOG_RL(&rl, is_peer(c, mac) ? VLL_INFO : VLL_WARN, "%s: "ETH_ADDR_FMT" %s", ip, ETH_ADDR_ARGS(mac), what);
    free(ip);
}

/* While 'claim' is in PROBING, 'mac' turned out to have the address. */
static void
answered_while_probing(struct claims *c, struct claim *claim, struct eth_addr mac,
                       long long int now)
{
    if (!is_peer(c, mac)) {
        log_rival(c, claim, mac, "has the egress IP, standing back");
        set_conflict(c, claim, mac, now);
    } else if (claim->yielded) {
        set_conflict(c, claim, mac, now);
    } else {
        if (claim->handover == LLONG_MIN) {
            claim->handover = now;
            claim->rival = eth_addr_zero;
        }
        if (now - claim->handover < HANDOVER_LIMIT) {
            start_probing(claim, now + HANDOVER_INTERVAL);
        } else {
            log_rival(c, claim, mac, "does not let go of the egress IP, claiming it all the same");
            set_claimed(c, claim, 0, now);
            claim->contested = true;
            claim->check_due = now + CHECK_INTERVAL;
            claim->n_silent = 0;
            claim->rival = mac;
        }
    }
}

/* 'mac' asks whether the address of 'claim' is free.  That matters only while we do, too; once
 * it is claimed the answer is a flow's. */
static void
input_probe(struct claims *c, struct claim *claim, struct eth_addr mac, long long int now)
{
    if (claim->state != PROBING) {
        return;
    }
    if (!is_peer(c, mac)) {
        answered_while_probing(c, claim, mac, now);
    } else if (eth_addr_compare_3way(mac, c->mac) < 0) {
        start_probing(claim, now + N_PROBES * PROBE_INTERVAL);
    }
}

/* Is 'msg', which says that somebody has an address, addressed to everybody rather than to who
 * asked, and itself no question?  What answers a probe for an IPv6 address goes to everybody, too, but does not
 * claim to be news (see emit_nd_answer() in pipeline/compile-gateway.c). */
static bool
is_announcement(const struct neighbour_message *msg)
{
    return (msg->kind == ND_ADVERT ? !msg->solicited && msg->override
            : msg->kind == ND_SOLICIT ? false
            : ipv6_addr_equals(&msg->sender_ip, &msg->target_ip));
}

/* 'msg' says that another one has the address of 'claim', which is CLAIMED. */
static void
input_rival(struct claims *c, struct claim *claim, const struct neighbour_message *msg,
            long long int now)
{
    struct eth_addr mac = neighbour_message_mac(msg);
    bool peer = is_peer(c, mac);

    if (claim->contested && peer) {
        claim->rival = mac;
        if (claim->n_silent) {
            claim->n_silent = 0;
            announce(c, claim);
        }
    } else if (peer && is_announcement(msg)) {
        log_rival(c, claim, mac, "announced the egress IP after us, leaving it there");
        claim->yielded = true;
        set_conflict(c, claim, mac, now);
    } else {
        /* What is left of a peer's time with the address, such as a late answer, is no problem, but
         * may have been believed. */
        if (!peer) {
            claim->rival = mac;
            claim->conflict_seen = now;
        }
        if (claim->defended == LLONG_MIN || now - claim->defended >= DEFEND_INTERVAL) {
            log_rival(c, claim, mac, "used the egress IP, defending it");
            claim->defended = now;
            announce(c, claim);
        }
    }
}

/* Takes note of 'msg', which came from the uplink. */
void
claims_input(struct claims *c, const struct neighbour_message *msg, long long int now)
{
    struct eth_addr mac = neighbour_message_mac(msg);
    struct in6_addr subject;

    /* A bridge may hand us back what we sent ourselves. */
    if (eth_addr_equals(mac, c->mac)) {
        return;
    }

    bool probe = !neighbour_message_subject(msg, &subject);
    struct claim *claim = find(c, probe ? &msg->target_ip : &subject);
    if (!claim) {
        return;
    }
    c->wakeup_is_known = false;
    if (probe) {
        input_probe(c, claim, mac, now);
    } else if (claim->state == PROBING) {
        answered_while_probing(c, claim, mac, now);
    } else if (claim->state == CLAIMED) {
        input_rival(c, claim, msg, now);
    } else {
        claim->rival = mac;
    }
}

/* 'claim' was claimed in spite of a peer: asks it once more, or believes that it is gone. */
static void
check_contested(struct claims *c, struct claim *claim, long long int now)
{
    if (claim->n_silent == N_CHECKS) {
        claim->contested = false;
        claim->check_due = LLONG_MAX;
        claim->rival = eth_addr_zero;
    } else {
        claim->n_silent++;
        claim->check_due = now + CHECK_INTERVAL;
        send_probe(c, claim);
    }
}

static void
run_claim(struct claims *c, struct claim *claim, long long int now)
{
    switch (claim->state) {
    case CONFLICT:
        start_probing(claim, now);
        /* Fall through. */
    case PROBING:
        if (claim->step < N_PROBES) {
            claim->step++;
            claim->due = now + PROBE_INTERVAL;
            send_probe(c, claim);
            break;
        }
        set_claimed(c, claim, 0, now);
        /* Fall through. */
    case CLAIMED:
        announce(c, claim);
        claim->step++;
        claim->due = (claim->step < N_ANNOUNCEMENTS
                      ? now + announce_times[claim->step] - announce_times[claim->step - 1]
                      : LLONG_MAX);
        break;
    }
}

/* Asks, claims and announces what is due. */
void
claims_run(struct claims *c, long long int now)
{
    struct claim *claim;

    if (now < claims_next_wakeup(c)) {
        return;
    }
    c->wakeup_is_known = false;
    HMAP_FOR_EACH (claim, node, &c->table) {
        if (now >= claim->due) {
            run_claim(c, claim, now);
        }
        if (now >= claim->check_due) {
            check_contested(c, claim, now);
        }
    }
}

/* Returns when claims_run() has something to do, LLONG_MAX if there is nothing. */
long long int
claims_next_wakeup(struct claims *c)
{
    if (!c->wakeup_is_known) {
        const struct claim *claim;

        c->wakeup = LLONG_MAX;
        if (!eth_addr_is_zero(c->mac)) {
            HMAP_FOR_EACH (claim, node, &c->table) {
                c->wakeup = MIN(c->wakeup, MIN(claim->due, claim->check_due));
            }
        }
        c->wakeup_is_known = true;
    }
    return c->wakeup;
}

/* Is this node to answer for 'ip'? */
bool
claims_is_claimed(const struct claims *c, const struct in6_addr *ip)
{
    const struct claim *claim = find(c, ip);

    return claim && claim->state == CLAIMED;
}

/* Returns a number that grows whenever claims_is_claimed() may return something else than
 * before. */
uint64_t
claims_seqno(const struct claims *c)
{
    return c->seqno;
}

static int
compare_claims(const void *a_, const void *b_)
{
    const struct claim *const *a = a_, *const *b = b_;

    return memcmp(&(*a)->ip, &(*b)->ip, sizeof (*a)->ip);
}

/* Returns all claims sorted by address, as an array of hmap_count() elements that the caller
 * frees. */
static const struct claim **
sort_claims(const struct claims *c)
{
    const struct claim **sorted = xcalloc(MAX(hmap_count(&c->table), 1), sizeof *sorted);
    const struct claim *claim;
    size_t i = 0;

    HMAP_FOR_EACH (claim, node, &c->table) {
        sorted[i++] = claim;
    }
    qsort(sorted, i, sizeof *sorted, compare_claims);
    return sorted;
}

/* Adds to 'problems' what a person should know of 'claim' at 'now'. */
static void
get_problem(const struct claim *claim, long long int now, struct problem_list *problems)
{
    /* While it is asked for once more, what was found last time still holds. */
    bool refused = claim->state == CONFLICT
                   || (claim->state == PROBING && !eth_addr_is_zero(claim->rival));
    char *ip = ip_to_string(&claim->ip);

    if (refused && claim->yielded) {
        problem_list_add(problems, ip,
                         "the gateway at "ETH_ADDR_FMT" announced this egress IP after us: "
                         "left to it until it stops answering for it",
                         ETH_ADDR_ARGS(claim->rival));
    } else if (refused) {
        problem_list_add(problems, ip,
                         "this egress IP is in use by "ETH_ADDR_FMT", which is no gateway: "
                         "not claimed until that host stops answering for it",
                         ETH_ADDR_ARGS(claim->rival));
    } else if (claim->contested) {
        problem_list_add(problems, ip,
                         "the gateway at "ETH_ADDR_FMT" goes on answering for this egress IP, "
                         "which was moved to this node: is its agent running?",
                         ETH_ADDR_ARGS(claim->rival));
    } else if (claim->state == CLAIMED && claim->conflict_seen != LLONG_MIN
               && now - claim->conflict_seen < CONFLICT_MEMORY) {
        problem_list_add(problems, ip, ETH_ADDR_FMT" uses this egress IP, too: "
                         "that host should get another address", ETH_ADDR_ARGS(claim->rival));
    }
    free(ip);
}

/* Adds to 'problems' those that stand at 'now', sorted by address.  Each has the egress IP as
 * its object. */
void
claims_get_problems(const struct claims *c, long long int now, struct problem_list *problems)
{
    const struct claim **sorted = sort_claims(c);

    for (size_t i = 0; i < hmap_count(&c->table); i++) {
        get_problem(sorted[i], now, problems);
    }
    free(sorted);
}

/* Appends a line per address to 's', sorted by address. */
void
claims_format(const struct claims *c, struct ds *s)
{
    static const char *names[] = {
        [PROBING] = "probing",
        [CLAIMED] = "claimed",
        [CONFLICT] = "conflict",
    };
    const struct claim **sorted = sort_claims(c);

    for (size_t i = 0; i < hmap_count(&c->table); i++) {
        ip_format(&sorted[i]->ip, s);
        ds_put_format(s, " %s", names[sorted[i]->state]);
        if (!eth_addr_is_zero(sorted[i]->rival)) {
            ds_put_format(s, ", rival "ETH_ADDR_FMT, ETH_ADDR_ARGS(sorted[i]->rival));
        }
        ds_put_char(s, '\n');
    }
    free(sorted);
}
