#include <config.h>

#include "controller/uplink-routes.h"

#include <errno.h>
#include <limits.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include "netlink.h"
#include "netlink-socket.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_uplink_routes);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

/* Changes tend to come in bursts, one message per route: the kernel's tables are read this often
 * at most. */
#define MIN_READ_INTERVAL 100

/* After an error. */
#define RETRY_INTERVAL 1000

/* The most notifications that one uplink_routes_run() looks at. */
#define MAX_NOTIFICATIONS 500

struct uplink_routes {
    char *ifname;
    struct nl_sock *sock;       /* Gets the notifications. */
    int ifindex;                /* 0 while the interface is not there. */
    struct uplink_view view;
    uint64_t seqno;
    bool stale;                 /* Has anything changed since 'view' was read? */
    long long int next_read;    /* Not to be read again before. */
};

/* A route together with what says which one of several for the same prefix is used. */
struct candidate {
    struct uplink_route route;
    uint32_t metric;
    size_t position;            /* In the kernel's own order. */
};

/* What is being read from the kernel. */
struct reading {
    int ifindex;
    struct uplink_view view;    /* But for 'routes'. */
    size_t allocated_addresses;
    struct candidate *candidates;
    size_t n_candidates, allocated_candidates;
};

static void
view_uninit(struct uplink_view *view)
{
    free(view->addresses);
    free(view->routes);
}

/* Starts to follow interface 'ifname', which need not exist.  Stores the new object into '*rp'
 * and returns 0, or returns a positive errno. */
int
uplink_routes_create(const char *ifname, struct uplink_routes **rp)
{
    static const unsigned int groups[] = {
        RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE,
        RTNLGRP_IPV6_ROUTE,
    };
    struct nl_sock *sock;

    *rp = NULL;
    int error = nl_sock_create(NETLINK_ROUTE, &sock);
    for (size_t i = 0; !error && i < ARRAY_SIZE(groups); i++) {
        error = nl_sock_join_mcgroup(sock, groups[i]);
        if (error) {
            nl_sock_destroy(sock);
        }
    }
    if (error) {
        return error;
    }

    struct uplink_routes *r = xzalloc(sizeof *r);
    r->ifname = xstrdup(ifname);
    r->sock = sock;
    r->stale = true;
    *rp = r;
    return 0;
}

void
uplink_routes_destroy(struct uplink_routes *r)
{
    if (r) {
        nl_sock_destroy(r->sock);
        view_uninit(&r->view);
        free(r->ifname);
        free(r);
    }
}

/* Notifications. */

static bool
link_is_relevant(const struct uplink_routes *r, const struct ofpbuf *msg)
{
    const struct ifinfomsg *ifi = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *ifi);

    if (!ifi) {
        return false;
    } else if (ifi->ifi_index == r->ifindex) {
        return true;
    }
    const struct nlattr *name = nl_attr_find(msg, NLMSG_HDRLEN + sizeof *ifi, IFLA_IFNAME);
    return name && !strncmp(nl_attr_get(name), r->ifname, nl_attr_get_size(name));
}

static bool
address_is_relevant(const struct uplink_routes *r, const struct ofpbuf *msg)
{
    const struct ifaddrmsg *ifa = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *ifa);

    return ifa && (int) ifa->ifa_index == r->ifindex;
}

/* Most nodes' routes are about pods. */
static bool
route_is_relevant(const struct uplink_routes *r, const struct ofpbuf *msg)
{
    const struct rtmsg *rtm = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *rtm);

    if (!rtm || rtm->rtm_flags & RTM_F_CLONED) {
        return false;
    }
    const struct nlattr *oif = nl_attr_find(msg, NLMSG_HDRLEN + sizeof *rtm, RTA_OIF);
    return (!oif || nl_attr_get_size(oif) != sizeof(uint32_t)
            || (int) nl_attr_get_u32(oif) == r->ifindex);
}

static bool
notification_is_relevant(const struct uplink_routes *r, const struct ofpbuf *msg)
{
    const struct nlmsghdr *nlmsg = ofpbuf_at(msg, 0, sizeof *nlmsg);

    switch (nlmsg ? nlmsg->nlmsg_type : NLMSG_NOOP) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
        return link_is_relevant(r, msg);
    case RTM_NEWADDR:
    case RTM_DELADDR:
        return address_is_relevant(r, msg);
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
        return route_is_relevant(r, msg);
    default:
        return false;
    }
}

static void
receive_notifications(struct uplink_routes *r)
{
    uint64_t stub[4096 / 8];
    struct ofpbuf buf;

    ofpbuf_use_stub(&buf, stub, sizeof stub);
    for (int i = 0; i < MAX_NOTIFICATIONS; i++) {
        int error = nl_sock_recv(r->sock, &buf, NULL, false);

        if (error == EAGAIN) {
            break;
        } else if (error) {
            /* ENOBUFS says that notifications were lost.  After any other error, too, who knows
             * what. */
            if (error != ENOBUFS) {
                VLOG_WARN_RL(&rl, "receiving route changes: %s", ovs_strerror(error));
            }
            r->stale = true;
        } else if (!r->stale) {
            r->stale = notification_is_relevant(r, &buf);
        }
    }
    ofpbuf_uninit(&buf);
}

/* Reading. */

/* Reads the interface itself.  Returns 0, also if it is not there, or a positive errno. */
static int
read_link(const char *ifname, struct reading *reading)
{
    struct ofpbuf request, *reply;

    ofpbuf_init(&request, 0);
    nl_msg_put_nlmsghdr(&request, sizeof(struct ifinfomsg) + NL_ATTR_SIZE(IFNAMSIZ), RTM_GETLINK,
                        NLM_F_REQUEST);
    ofpbuf_put_zeros(&request, sizeof(struct ifinfomsg));
    nl_msg_put_string(&request, IFLA_IFNAME, ifname);
    int error = nl_transact(NETLINK_ROUTE, &request, &reply);
    ofpbuf_uninit(&request);
    if (error) {
        return error == ENODEV ? 0 : error;
    }

    static const struct nl_policy policy[] = {
        [IFLA_ADDRESS] = { .type = NL_A_UNSPEC, .optional = true },
        [IFLA_MTU] = { .type = NL_A_U32 },
    };
    struct nlattr *attrs[ARRAY_SIZE(policy)];
    const struct ifinfomsg *ifi = ofpbuf_at(reply, NLMSG_HDRLEN, sizeof *ifi);
    if (ifi && nl_policy_parse(reply, NLMSG_HDRLEN + sizeof *ifi, policy, attrs,
                               ARRAY_SIZE(policy))) {
        reading->ifindex = ifi->ifi_index;
        reading->view.present = true;
        reading->view.mtu = nl_attr_get_u32(attrs[IFLA_MTU]);
        if (attrs[IFLA_ADDRESS] && nl_attr_get_size(attrs[IFLA_ADDRESS]) == ETH_ADDR_LEN) {
            memcpy(&reading->view.mac, nl_attr_get(attrs[IFLA_ADDRESS]), ETH_ADDR_LEN);
        }
    } else {
        error = EPROTO;
    }
    ofpbuf_delete(reply);
    return error;
}

/* Stores the address in 'attr' into '*ip'.  Returns false if it has not the length of 'family''s
 * addresses. */
static bool
get_ip(const struct nlattr *attr, uint8_t family, struct in6_addr *ip)
{
    size_t size = nl_attr_get_size(attr);

    if (family == AF_INET && size == sizeof(ovs_be32)) {
        in6_addr_set_mapped_ipv4(ip, nl_attr_get_be32(attr));
        return true;
    } else if (family == AF_INET6 && size == sizeof *ip) {
        *ip = nl_attr_get_in6_addr(attr);
        return true;
    }
    return false;
}

static void
read_address(const struct ofpbuf *msg, struct reading *reading)
{
    static const struct nl_policy policy[] = {
        [IFA_ADDRESS] = { .type = NL_A_UNSPEC, .optional = true },
        [IFA_LOCAL] = { .type = NL_A_UNSPEC, .optional = true },
    };
    struct nlattr *attrs[ARRAY_SIZE(policy)];
    struct uplink_view *view = &reading->view;
    const struct ifaddrmsg *ifa = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *ifa);
    struct in6_addr ip;

    if (!ifa || (int) ifa->ifa_index != reading->ifindex
        || !nl_policy_parse(msg, NLMSG_HDRLEN + sizeof *ifa, policy, attrs, ARRAY_SIZE(policy))) {
        return;
    }
    /* With a peer's address, that is IFA_ADDRESS, and our own is IFA_LOCAL. */
    const struct nlattr *own = attrs[IFA_LOCAL] ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
    if (own && get_ip(own, ifa->ifa_family, &ip)) {
        if (view->n_addresses >= reading->allocated_addresses) {
            view->addresses = x2nrealloc(view->addresses, &reading->allocated_addresses,
                                         sizeof *view->addresses);
        }
        view->addresses[view->n_addresses++] = ip;
    }
}

/* What both a route and each next hop of a multipath route may say about where it leads. */
struct hop {
    int ifindex;
    unsigned int flags;                 /* RTNH_F_*. */
    const struct nlattr *gateway;       /* RTA_GATEWAY or NULL. */
    const struct nlattr *via;           /* RTA_VIA or NULL: a gateway of the other family. */
    const struct nlattr *encap;         /* RTA_ENCAP_TYPE or NULL. */
};

/* Fills in 'route' from 'hop' if that is a next hop that we can use. */
static bool
use_hop(const struct hop *hop, uint8_t family, const struct reading *reading,
        struct uplink_route *route)
{
    if (hop->ifindex != reading->ifindex || hop->flags & RTNH_F_DEAD) {
        return false;
    }
    if (hop->via || hop->encap) {
        char *prefix = ip_prefix_to_string(&route->prefix);

        VLOG_WARN_RL(&rl, "route to %s ignored: %s", prefix,
                     hop->via ? "a gateway of the other address family is not supported"
                              : "encapsulation is not supported");
        free(prefix);
        return false;
    }
    route->has_gateway = hop->gateway != NULL;
    return !hop->gateway || get_ip(hop->gateway, family, &route->gateway);
}

/* The same for the first usable one of the next hops in 'multipath'. */
static bool
use_multipath(const struct nlattr *multipath, uint8_t family, const struct reading *reading,
              struct uplink_route *route)
{
    const uint8_t *p = nl_attr_get(multipath);
    size_t left = nl_attr_get_size(multipath);

    while (left >= sizeof(struct rtnexthop)) {
        const struct rtnexthop *rtnh = ALIGNED_CAST(const struct rtnexthop *, p);
        if (rtnh->rtnh_len < sizeof *rtnh || rtnh->rtnh_len > left) {
            return false;
        }

        const struct nlattr *attrs = ALIGNED_CAST(const struct nlattr *, p + RTNH_LENGTH(0));
        size_t attrs_len = rtnh->rtnh_len - sizeof *rtnh;
        struct hop hop = {
            .ifindex = rtnh->rtnh_ifindex,
            .flags = rtnh->rtnh_flags,
            .gateway = nl_attr_find__(attrs, attrs_len, RTA_GATEWAY),
            .via = nl_attr_find__(attrs, attrs_len, RTA_VIA),
            .encap = nl_attr_find__(attrs, attrs_len, RTA_ENCAP_TYPE),
        };
        if (use_hop(&hop, family, reading, route)) {
            return true;
        }
        size_t step = MIN(RTNH_ALIGN(rtnh->rtnh_len), left);
        p += step;
        left -= step;
    }
    return false;
}

/* Is 'rtm' a route for ordinary packets?  Those of one type of service or source only say
 * nothing of ours; blackhole and unreachable routes have no next hop. */
static bool
is_ordinary_route(const struct rtmsg *rtm)
{
    return ((rtm->rtm_family == AF_INET || rtm->rtm_family == AF_INET6)
            && rtm->rtm_type == RTN_UNICAST
            && !rtm->rtm_tos
            && !rtm->rtm_src_len
            && !(rtm->rtm_flags & RTM_F_CLONED));
}

static void
read_route(const struct ofpbuf *msg, struct reading *reading)
{
    static const struct nl_policy policy[] = {
        [RTA_DST] = { .type = NL_A_UNSPEC, .optional = true },
        [RTA_OIF] = { .type = NL_A_U32, .optional = true },
        [RTA_GATEWAY] = { .type = NL_A_UNSPEC, .optional = true },
        [RTA_PRIORITY] = { .type = NL_A_U32, .optional = true },
        [RTA_MULTIPATH] = { .type = NL_A_UNSPEC, .optional = true },
        [RTA_TABLE] = { .type = NL_A_U32, .optional = true },
        [RTA_VIA] = { .type = NL_A_UNSPEC, .optional = true },
        [RTA_ENCAP_TYPE] = { .type = NL_A_UNSPEC, .optional = true },
    };
    struct nlattr *attrs[ARRAY_SIZE(policy)];
    const struct rtmsg *rtm = ofpbuf_at(msg, NLMSG_HDRLEN, sizeof *rtm);

    if (!rtm || !is_ordinary_route(rtm)
        || !nl_policy_parse(msg, NLMSG_HDRLEN + sizeof *rtm, policy, attrs, ARRAY_SIZE(policy))) {
        return;
    }
    uint32_t table = attrs[RTA_TABLE] ? nl_attr_get_u32(attrs[RTA_TABLE]) : rtm->rtm_table;
    if (table != RT_TABLE_MAIN) {
        return;
    }

    struct candidate cand = {
        .route.prefix.plen = rtm->rtm_dst_len,
        .metric = attrs[RTA_PRIORITY] ? nl_attr_get_u32(attrs[RTA_PRIORITY]) : 0,
        .position = reading->n_candidates,
    };
    if (attrs[RTA_DST]) {
        if (!get_ip(attrs[RTA_DST], rtm->rtm_family, &cand.route.prefix.addr)) {
            return;
        }
    } else if (rtm->rtm_family == AF_INET) {
        in6_addr_set_mapped_ipv4(&cand.route.prefix.addr, 0);
    }

    struct hop hop = {
        .ifindex = attrs[RTA_OIF] ? nl_attr_get_u32(attrs[RTA_OIF]) : 0,
        .flags = rtm->rtm_flags,
        .gateway = attrs[RTA_GATEWAY],
        .via = attrs[RTA_VIA],
        .encap = attrs[RTA_ENCAP_TYPE],
    };
    if (attrs[RTA_MULTIPATH]
        ? use_multipath(attrs[RTA_MULTIPATH], rtm->rtm_family, reading, &cand.route)
        : use_hop(&hop, rtm->rtm_family, reading, &cand.route)) {
        if (reading->n_candidates >= reading->allocated_candidates) {
            reading->candidates = x2nrealloc(reading->candidates, &reading->allocated_candidates,
                                             sizeof *reading->candidates);
        }
        reading->candidates[reading->n_candidates++] = cand;
    }
}

/* Calls 'cb' for everything in the kernel's table that 'type' and 'family' ask for.
 * 'header_size' is that of the request's own header, which begins with the family.  Returns 0 or
 * a positive errno. */
static int
dump(uint16_t type, uint8_t family, size_t header_size,
     void (*cb)(const struct ofpbuf *, struct reading *), struct reading *reading)
{
    uint64_t stub[NL_DUMP_BUFSIZE / 8];
    struct ofpbuf request, reply, buf;
    struct nl_dump nl_dump;

    ofpbuf_init(&request, 0);
    nl_msg_put_nlmsghdr(&request, header_size, type, NLM_F_REQUEST);
    uint8_t *header = ofpbuf_put_zeros(&request, header_size);
    header[0] = family;
    nl_dump_start(&nl_dump, NETLINK_ROUTE, &request);
    ofpbuf_uninit(&request);

    ofpbuf_use_stub(&buf, stub, sizeof stub);
    while (nl_dump_next(&nl_dump, &reply, &buf)) {
        cb(&reply, reading);
    }
    ofpbuf_uninit(&buf);
    return nl_dump_done(&nl_dump);
}

static int
compare_addresses(const void *a, const void *b)
{
    return ip_compare(a, b);
}

static int
compare_candidates(const void *a_, const void *b_)
{
    const struct candidate *a = a_, *b = b_;
    int cmp = ip_prefix_compare(&a->route.prefix, &b->route.prefix);

    if (!cmp) {
        cmp = a->metric < b->metric ? -1 : a->metric > b->metric;
    }
    return cmp ? cmp : a->position < b->position ? -1 : a->position > b->position;
}

/* Makes the routes of 'reading''s view from its candidates: the one with the lowest metric per
 * prefix. */
static void
choose_routes(struct reading *reading)
{
    struct uplink_view *view = &reading->view;

    if (!reading->n_candidates) {
        return;
    }
    qsort(reading->candidates, reading->n_candidates, sizeof *reading->candidates,
          compare_candidates);
    view->routes = xcalloc(reading->n_candidates, sizeof *view->routes);
    for (size_t i = 0; i < reading->n_candidates; i++) {
        const struct uplink_route *route = &reading->candidates[i].route;

        if (!view->n_routes
            || !ip_prefix_equals(&route->prefix, &view->routes[view->n_routes - 1].prefix)) {
            view->routes[view->n_routes++] = *route;
        }
    }
}

/* Reads everything there is to know about 'ifname'.  Returns 0 or a positive errno. */
static int
read_all(const char *ifname, struct reading *reading)
{
    int error = read_link(ifname, reading);

    if (error || !reading->ifindex) {
        return error;
    }
    error = dump(RTM_GETADDR, AF_UNSPEC, sizeof(struct ifaddrmsg), read_address, reading);
    if (!error) {
        error = dump(RTM_GETROUTE, AF_INET, sizeof(struct rtmsg), read_route, reading);
    }
    if (!error) {
        error = dump(RTM_GETROUTE, AF_INET6, sizeof(struct rtmsg), read_route, reading);
    }
    if (reading->view.n_addresses) {
        qsort(reading->view.addresses, reading->view.n_addresses, sizeof *reading->view.addresses,
              compare_addresses);
    }
    choose_routes(reading);
    return error;
}

static bool
route_equals(const struct uplink_route *a, const struct uplink_route *b)
{
    return (ip_prefix_equals(&a->prefix, &b->prefix)
            && a->has_gateway == b->has_gateway
            && ipv6_addr_equals(&a->gateway, &b->gateway));
}

static bool
view_equals(const struct uplink_view *a, const struct uplink_view *b)
{
    if (a->present != b->present || !eth_addr_equals(a->mac, b->mac) || a->mtu != b->mtu
        || a->n_addresses != b->n_addresses || a->n_routes != b->n_routes) {
        return false;
    }
    for (size_t i = 0; i < a->n_addresses; i++) {
        if (!ipv6_addr_equals(&a->addresses[i], &b->addresses[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_routes; i++) {
        if (!route_equals(&a->routes[i], &b->routes[i])) {
            return false;
        }
    }
    return true;
}

/* Takes in what changed in the kernel.  Compare uplink_routes_seqno() before and after. */
void
uplink_routes_run(struct uplink_routes *r, long long int now)
{
    receive_notifications(r);
    if (!r->stale || now < r->next_read) {
        return;
    }

    struct reading reading = { .ifindex = 0 };
    int error = read_all(r->ifname, &reading);
    if (error) {
        VLOG_WARN_RL(&rl, "%s: reading addresses and routes: %s", r->ifname, ovs_strerror(error));
        r->next_read = now + RETRY_INTERVAL;
        view_uninit(&reading.view);
    } else {
        r->stale = false;
        r->next_read = now + MIN_READ_INTERVAL;
        r->ifindex = reading.ifindex;
        if (view_equals(&r->view, &reading.view)) {
            view_uninit(&reading.view);
        } else {
            view_uninit(&r->view);
            r->view = reading.view;
            r->seqno++;
        }
    }
    free(reading.candidates);
}

void
uplink_routes_wait(struct uplink_routes *r)
{
    nl_sock_wait(r->sock, POLLIN);
    if (r->stale) {
        poll_timer_wait_until(r->next_read);
    }
}

/* Returns a number that grows whenever uplink_routes_get() has changed. */
uint64_t
uplink_routes_seqno(const struct uplink_routes *r)
{
    return r->seqno;
}

/* Returns what is known; 'r' owns it, and it is good until the next uplink_routes_run(). */
const struct uplink_view *
uplink_routes_get(const struct uplink_routes *r)
{
    return &r->view;
}

/* Is 'ip' one of the interface's own addresses? */
bool
uplink_routes_is_own_address(const struct uplink_routes *r, const struct in6_addr *ip)
{
    return r->view.n_addresses && bsearch(ip, r->view.addresses, r->view.n_addresses, sizeof *ip,
                                          compare_addresses);
}
