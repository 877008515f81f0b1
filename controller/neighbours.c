#include <config.h>

#include "controller/neighbours.h"

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
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_neighbours);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);

/* A neighbour that answered is good for this long: REACHABLE_TIME of RFC 4861, section 10. */
#define REACHABLE_TIME 30000

/* It is asked again this long before that time is over, so that a neighbour that is there never
 * becomes stale.  More than all of the unicast requests take.  Some ask up to PROBE_SPREAD
 * earlier, lest all that were learned together be asked together. */
#define PROBE_LEAD 5000
#define PROBE_SPREAD 5000

/* Adopted neighbours are asked within this time, for the same reason. */
#define ADOPT_SPREAD 1000

/* How long an answer to each request is waited for.  RETRANS_TIMER of RFC 4861, section 10 is 1
 * s; packets are waiting while a neighbour is resolved, so the first two requests, which the
 * loss of one frame makes necessary, come sooner. */
static const int answer_times[] = { 100, 300, 1000, 1000 };

/* Requests to everybody before a neighbour without MAC has failed: one more than
 * MAX_MULTICAST_SOLICIT of RFC 4861, section 10, to cover the same 3 s in spite of the two quick
 * ones. */
#define N_RESOLVE_REQUESTS 4

/* Requests to the known MAC alone (MAX_UNICAST_SOLICIT), and then to everybody: a neighbour
 * whose MAC changed without an announcement is found before its old MAC is given up. */
#define N_UNICAST_REQUESTS 3
#define N_PROBE_REQUESTS (N_UNICAST_REQUESTS + 3)

/* After a failure nothing is asked for this long; RETRANS_TIMER again. */
#define FAILED_TIME 1000

/* A neighbour that is not pinned and that nothing was sent to for this long is forgotten. */
#define UNUSED_TIME (5 * 60 * 1000)

enum neighbour_state {
    INCOMPLETE,                 /* No MAC.  Everybody is being asked. */
    REACHABLE,                  /* MAC is good. */
    PROBE,                      /* MAC is taken for good and is being verified. */
    FAILED,                     /* No MAC and no answer. */
};

static const char *
state_name(enum neighbour_state state)
{
    switch (state) {
    case INCOMPLETE: return "incomplete";
    case REACHABLE: return "reachable";
    case PROBE: return "probe";
    case FAILED: return "failed";
    }
    OVS_NOT_REACHED();
}

struct neighbour {
    struct hmap_node node;      /* In struct neighbours's 'table', by hash of 'ip'. */
    struct in6_addr ip;
    enum neighbour_state state;
    struct eth_addr mac;        /* In REACHABLE and PROBE. */
    bool pinned;

    /* On whose behalf requests are made. */
    bool has_source;            /* May be false only in REACHABLE and PROBE. */
    struct in6_addr source_ip;
    struct eth_addr source_mac;

    int n_requests;             /* In INCOMPLETE and PROBE: sent without an answer. */
    long long int due;          /* When 'state' is to be looked at again. */
    long long int used;         /* When last used. */

    struct dp_packet *queue[NEIGHBOUR_MAX_QUEUE];   /* Oldest first.  Only in INCOMPLETE. */
    size_t n_queued;
};

struct neighbours {
    struct hmap table;          /* Contains "struct neighbour"s. */
    neighbours_send_func *send;
    neighbours_release_func *release;
    void *aux;
    uint64_t seqno;
    long long int wakeup;       /* No neighbour has anything to do before. */
};

/* Creates a table that sends its requests with 'send', and the packets that were queued with
 * 'release', each called with 'aux'.  Neither may call back into the table. */
struct neighbours *
neighbours_create(neighbours_send_func *send, neighbours_release_func *release, void *aux)
{
    struct neighbours *n = xzalloc(sizeof *n);

    hmap_init(&n->table);
    n->send = send;
    n->release = release;
    n->aux = aux;
    n->wakeup = LLONG_MAX;
    return n;
}

static uint32_t
hash_ip(const struct in6_addr *ip)
{
    return hash_bytes(ip, sizeof *ip, 0);
}

static struct neighbour *
find(const struct neighbours *n, const struct in6_addr *ip)
{
    struct neighbour *nb;

    HMAP_FOR_EACH_WITH_HASH (nb, node, hash_ip(ip), &n->table) {
        if (ipv6_addr_equals(&nb->ip, ip)) {
            return nb;
        }
    }
    return NULL;
}

static bool
has_mac(const struct neighbour *nb)
{
    return nb->state == REACHABLE || nb->state == PROBE;
}

/* A number below 'range' that differs from neighbour to neighbour. */
static long long int
spread(const struct neighbour *nb, int range)
{
    return hash_ip(&nb->ip) % range;
}

/* When 'nb' has to be looked at next. */
static long long int
wakeup_of(const struct neighbour *nb)
{
    long long int due = !nb->has_source && has_mac(nb) ? LLONG_MAX : nb->due;

    return nb->pinned ? due : MIN(due, nb->used + UNUSED_TIME);
}

static void
schedule(struct neighbours *n, struct neighbour *nb, long long int due)
{
    nb->due = due;
    n->wakeup = MIN(n->wakeup, wakeup_of(nb));
}

static void
drop_queue(struct neighbour *nb)
{
    for (size_t i = 0; i < nb->n_queued; i++) {
        dp_packet_delete(nb->queue[i]);
    }
    nb->n_queued = 0;
}

static void
remove_neighbour(struct neighbours *n, struct neighbour *nb)
{
    if (has_mac(nb)) {
        n->seqno++;
    }
    drop_queue(nb);
    hmap_remove(&n->table, &nb->node);
    free(nb);
}

void
neighbours_destroy(struct neighbours *n)
{
    if (n) {
        struct neighbour *nb;

        HMAP_FOR_EACH_SAFE (nb, node, &n->table) {
            remove_neighbour(n, nb);
        }
        hmap_destroy(&n->table);
        free(n);
    }
}

/* Would 'a' rather be given up than 'b'?  Those without MAC first, so that somebody who scans
 * the subnet does not push out those in use. */
static bool
more_dispensable(const struct neighbour *a, const struct neighbour *b)
{
    return has_mac(a) != has_mac(b) ? !has_mac(a) : a->used < b->used;
}

/* Makes room for another neighbour.  Returns false if all are pinned. */
static bool
evict(struct neighbours *n)
{
    struct neighbour *nb, *victim = NULL;

    HMAP_FOR_EACH (nb, node, &n->table) {
        if (!nb->pinned && (!victim || more_dispensable(nb, victim))) {
            victim = nb;
        }
    }
    if (victim) {
        remove_neighbour(n, victim);
    }
    return victim != NULL;
}

/* Returns a new neighbour in INCOMPLETE, or NULL if the table is full of pinned ones. */
static struct neighbour *
add_neighbour(struct neighbours *n, const struct in6_addr *ip, bool pinned, long long int now)
{
    if (hmap_count(&n->table) >= NEIGHBOURS_MAX && !evict(n)) {
        VLOG_WARN_RL(&rl, "%d neighbours, all of them in use for good: no room for another",
                     NEIGHBOURS_MAX);
        return NULL;
    }

    struct neighbour *nb = xzalloc(sizeof *nb);
    nb->ip = *ip;
    nb->state = INCOMPLETE;
    nb->pinned = pinned;
    nb->used = now;
    hmap_insert(&n->table, &nb->node, hash_ip(ip));
    return nb;
}

/* Sends a request for 'nb' and schedules the next look at it. */
static void
send_request(struct neighbours *n, struct neighbour *nb, long long int now)
{
    bool unicast = nb->state == PROBE && nb->n_requests < N_UNICAST_REQUESTS;
    int step = MIN(nb->n_requests, (int) ARRAY_SIZE(answer_times) - 1);
    struct dp_packet b;

    nb->n_requests++;
    schedule(n, nb, now + answer_times[step]);

    dp_packet_init(&b, 0);
    neighbour_compose_request(&b, nb->source_mac, &nb->source_ip, &nb->ip,
                              unicast ? &nb->mac : NULL);
    n->send(&b, n->aux);
    dp_packet_uninit(&b);
}

static void
start_resolving(struct neighbours *n, struct neighbour *nb, long long int now)
{
    nb->state = INCOMPLETE;
    nb->n_requests = 0;
    send_request(n, nb, now);
}

static void
set_reachable(struct neighbours *n, struct neighbour *nb, long long int now)
{
    nb->state = REACHABLE;
    schedule(n, nb, now + REACHABLE_TIME - PROBE_LEAD - spread(nb, PROBE_SPREAD));
}

/* Verifies 'nb' from 'start' on. */
static void
set_probe(struct neighbours *n, struct neighbour *nb, long long int start)
{
    nb->state = PROBE;
    nb->n_requests = 0;
    schedule(n, nb, start);
}

/* Asks for the MAC of 'next_hop', on behalf of 'source_ip' (of the same family) at 'source_mac',
 * and keeps it fresh from now on: for ever if 'pinned', else until it has not been used for some
 * minutes.  A next hop that is pinned stays so whatever others want; see neighbours_unpin().
 *
 * Cheap for a next hop that is known already, which only notes the source and that it is used. */
void
neighbours_want(struct neighbours *n, const struct in6_addr *next_hop,
                const struct in6_addr *source_ip, struct eth_addr source_mac, bool pinned,
                long long int now)
{
    struct neighbour *nb = find(n, next_hop);
    bool is_new = !nb;

    if (is_new) {
        nb = add_neighbour(n, next_hop, pinned, now);
        if (!nb) {
            return;
        }
    }
    nb->pinned = nb->pinned || pinned;
    nb->used = now;
    nb->has_source = true;
    nb->source_ip = *source_ip;
    nb->source_mac = source_mac;
    if (is_new) {
        start_resolving(n, nb, now);
    } else {
        schedule(n, nb, nb->due);
    }
}

/* From now on, asks nothing on behalf of 'source_ip', which this node no longer has: a request
 * would tell whoever hears it that it has.  Next hops that were asked for on its behalf keep
 * their MAC, and are verified again once neighbours_want() names another source; those without
 * MAC are forgotten. */
void
neighbours_drop_source(struct neighbours *n, const struct in6_addr *source_ip)
{
    struct neighbour *nb;

    HMAP_FOR_EACH_SAFE (nb, node, &n->table) {
        if (nb->has_source && ipv6_addr_equals(&nb->source_ip, source_ip)) {
            if (has_mac(nb)) {
                nb->has_source = false;
            } else {
                remove_neighbour(n, nb);
            }
        }
    }
}

/* Makes 'next_hop', if it is known, a neighbour like others that is forgotten when unused from
 * 'now' on. */
void
neighbours_unpin(struct neighbours *n, const struct in6_addr *next_hop, long long int now)
{
    struct neighbour *nb = find(n, next_hop);

    if (nb) {
        nb->pinned = false;
        nb->used = now;
        schedule(n, nb, nb->due);
    }
}

/* Takes over that 'next_hop' is at 'mac', as flows in the switch say.  It is valid at once and
 * is verified soon; but not before neighbours_want() has told on whose behalf, and it is
 * forgotten if that never comes and it is not used.  Changes nothing if 'next_hop' is known. */
void
neighbours_adopt(struct neighbours *n, const struct in6_addr *next_hop, struct eth_addr mac,
                 long long int now)
{
    if (find(n, next_hop)) {
        return;
    }

    struct neighbour *nb = add_neighbour(n, next_hop, false, now);
    if (nb) {
        nb->mac = mac;
        set_probe(n, nb, now + spread(nb, ADOPT_SPREAD));
        n->seqno++;
    }
}

/* Notes that packets went to 'next_hop'. */
void
neighbours_mark_used(struct neighbours *n, const struct in6_addr *next_hop, long long int now)
{
    struct neighbour *nb = find(n, next_hop);

    if (nb) {
        nb->used = now;
    }
}

/* Keeps 'packet', which becomes the table's own, until 'next_hop', which was wanted before, has
 * a MAC, and releases it then.  With a MAC already there that is at once.  If there are too
 * many, the oldest is dropped; if the next hop is unknown or has just failed, 'packet' is. */
void
neighbours_queue(struct neighbours *n, const struct in6_addr *next_hop, struct dp_packet *packet,
                 long long int now)
{
    struct neighbour *nb = find(n, next_hop);

    if (nb) {
        nb->used = now;
    }
    if (nb && nb->state == INCOMPLETE) {
        if (nb->n_queued == NEIGHBOUR_MAX_QUEUE) {
            dp_packet_delete(nb->queue[0]);
            nb->n_queued--;
            memmove(&nb->queue[0], &nb->queue[1], nb->n_queued * sizeof nb->queue[0]);
        }
        nb->queue[nb->n_queued++] = packet;
        return;
    }
    if (nb && has_mac(nb)) {
        n->release(packet, &nb->ip, nb->mac, n->aux);
    }
    dp_packet_delete(packet);
}

/* Gives 'nb' the MAC 'mac'.  Returns true if that is a change. */
static bool
set_mac(struct neighbours *n, struct neighbour *nb, struct eth_addr mac)
{
    if (has_mac(nb)) {
        if (eth_addr_equals(nb->mac, mac)) {
            return false;
        }
        char *ip = ip_to_string(&nb->ip);
        VLOG_INFO_RL(&rl, "%s moved from "ETH_ADDR_FMT" to "ETH_ADDR_FMT, ip,
                     ETH_ADDR_ARGS(nb->mac), ETH_ADDR_ARGS(mac));
        free(ip);
    }
    nb->mac = mac;
    n->seqno++;
    for (size_t i = 0; i < nb->n_queued; i++) {
        n->release(nb->queue[i], &nb->ip, mac, n->aux);
    }
    drop_queue(nb);
    return true;
}

/* RFC 4861, section 7.2.5. */
static void
input_advert(struct neighbours *n, struct neighbour *nb, const struct neighbour_message *msg,
             long long int now)
{
    bool known = has_mac(nb);
    bool differs = msg->has_sender_mac && (!known || !eth_addr_equals(nb->mac, msg->sender_mac));

    if (!known && !msg->has_sender_mac) {
        return;
    }
    if (known && differs && !msg->override) {
        /* Somebody else says to be it, too, but does not insist.  Ask the one that we know. */
        if (nb->state == REACHABLE) {
            set_probe(n, nb, now);
        }
        return;
    }

    if (msg->has_sender_mac) {
        set_mac(n, nb, msg->sender_mac);
    }
    if (msg->solicited) {
        set_reachable(n, nb, now);
    } else if (differs) {
        set_probe(n, nb, now);
    }
}

/* Learns from 'msg', which came from the uplink, if it says where a next hop is that is wanted.
 * A changed MAC, also one in a gratuitous ARP or an unsolicited advertisement, is valid at once:
 * that is how a pair of routers fails over.  Unless it is an answer to our own request it is
 * verified then. */
void
neighbours_input(struct neighbours *n, const struct neighbour_message *msg, long long int now)
{
    struct in6_addr ip;

    if (!neighbour_message_subject(msg, &ip)) {
        return;
    }
    struct neighbour *nb = find(n, &ip);
    /* A bridge may hand us back what we sent ourselves. */
    if (!nb || (nb->has_source && eth_addr_equals(neighbour_message_mac(msg), nb->source_mac))) {
        return;
    }

    if (msg->kind == ND_ADVERT) {
        input_advert(n, nb, msg, now);
    } else if (msg->has_sender_mac) {
        bool changed = set_mac(n, nb, msg->sender_mac);

        if (msg->kind == ARP_REPLY && nb->has_source
            && ipv6_addr_equals(&msg->target_ip, &nb->source_ip)) {
            set_reachable(n, nb, now);
        } else if (changed) {
            set_probe(n, nb, now);
        }
    }
}

/* All requests for 'nb' went unanswered. */
static void
fail(struct neighbours *n, struct neighbour *nb, long long int now)
{
    char *ip = ip_to_string(&nb->ip);

    VLOG_INFO_RL(&rl, "%s does not answer%s", ip, has_mac(nb) ? " any more" : "");
    free(ip);

    if (has_mac(nb)) {
        n->seqno++;
    }
    drop_queue(nb);
    nb->state = FAILED;
    schedule(n, nb, now + FAILED_TIME);
}

/* Does what is due for 'nb'.  May free it. */
static void
run_neighbour(struct neighbours *n, struct neighbour *nb, long long int now)
{
    if (!nb->pinned && now >= nb->used + UNUSED_TIME) {
        remove_neighbour(n, nb);
        return;
    }
    switch (nb->state) {
    case REACHABLE:
        set_probe(n, nb, now);
        send_request(n, nb, now);
        break;

    case INCOMPLETE:
    case PROBE:
        if (nb->n_requests < (nb->state == PROBE ? N_PROBE_REQUESTS : N_RESOLVE_REQUESTS)) {
            send_request(n, nb, now);
        } else {
            fail(n, nb, now);
        }
        break;

    case FAILED:
        /* One that is not pinned comes back when a packet asks for it. */
        if (nb->pinned) {
            start_resolving(n, nb, now);
        } else {
            remove_neighbour(n, nb);
        }
        break;
    }
}

/* Sends what requests are due, and forgets what failed or is unused. */
void
neighbours_run(struct neighbours *n, long long int now)
{
    struct neighbour *nb;

    if (now < n->wakeup) {
        return;
    }
    HMAP_FOR_EACH_SAFE (nb, node, &n->table) {
        if (now >= wakeup_of(nb)) {
            run_neighbour(n, nb, now);
        }
    }

    n->wakeup = LLONG_MAX;
    HMAP_FOR_EACH (nb, node, &n->table) {
        n->wakeup = MIN(n->wakeup, wakeup_of(nb));
    }
}

/* Returns when neighbours_run() has something to do, LLONG_MAX if there is nothing; never later
 * than needed, but possibly earlier. */
long long int
neighbours_next_wakeup(const struct neighbours *n)
{
    return n->wakeup;
}

/* Returns a number that grows whenever neighbours_list() would return something else than
 * before. */
uint64_t
neighbours_seqno(const struct neighbours *n)
{
    return n->seqno;
}

static int
compare_bindings(const void *a_, const void *b_)
{
    const struct neighbour_binding *a = a_, *b = b_;

    return memcmp(&a->next_hop, &b->next_hop, sizeof a->next_hop);
}

/* Stores into '*bindings' an array of the next hops that have a MAC, sorted by address, and
 * returns their number.  The caller frees the array. */
size_t
neighbours_list(const struct neighbours *n, struct neighbour_binding **bindings)
{
    const struct neighbour *nb;
    size_t count = 0;

    *bindings = xcalloc(MAX(hmap_count(&n->table), 1), sizeof **bindings);
    HMAP_FOR_EACH (nb, node, &n->table) {
        if (has_mac(nb)) {
            (*bindings)[count++] = (struct neighbour_binding) { nb->ip, nb->mac };
        }
    }
    qsort(*bindings, count, sizeof **bindings, compare_bindings);
    return count;
}

/* Stores the MAC of 'next_hop' into '*mac' and returns true, if there is one. */
bool
neighbours_lookup(const struct neighbours *n, const struct in6_addr *next_hop, struct eth_addr *mac)
{
    const struct neighbour *nb = find(n, next_hop);

    if (!nb || !has_mac(nb)) {
        return false;
    }
    *mac = nb->mac;
    return true;
}

static int
compare_neighbours(const void *a_, const void *b_)
{
    const struct neighbour *const *a = a_, *const *b = b_;

    return memcmp(&(*a)->ip, &(*b)->ip, sizeof (*a)->ip);
}

/* Appends a line per neighbour to 's', sorted by address. */
void
neighbours_format(const struct neighbours *n, long long int now, struct ds *s)
{
    size_t count = hmap_count(&n->table), i = 0;
    struct neighbour **sorted = xcalloc(MAX(count, 1), sizeof *sorted);
    struct neighbour *nb;

    HMAP_FOR_EACH (nb, node, &n->table) {
        sorted[i++] = nb;
    }
    qsort(sorted, count, sizeof *sorted, compare_neighbours);
    for (i = 0; i < count; i++) {
        nb = sorted[i];
        ip_format(&nb->ip, s);
        if (has_mac(nb)) {
            ds_put_format(s, " "ETH_ADDR_FMT, ETH_ADDR_ARGS(nb->mac));
        }
        ds_put_format(s, " %s%s, used %lld s ago", state_name(nb->state),
                      nb->pinned ? ", pinned" : "", (now - nb->used) / 1000);
        if (nb->n_queued) {
            ds_put_format(s, ", %"PRIuSIZE" packets waiting", nb->n_queued);
        }
        ds_put_char(s, '\n');
    }
    free(sorted);
}
