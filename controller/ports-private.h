#ifndef CONTROLLER_PORTS_PRIVATE_H
#define CONTROLLER_PORTS_PRIVATE_H 1

/* What ports.c, which talks to the database, and ports-view.c, which makes a view of it, share. */

#include "controller/ports.h"

struct ovsrec_bridge;
struct ovsrec_port;

enum own_role { OWN_TUNNEL, OWN_UPLINK, OWN_UPLINK_PEER, N_OWN };

struct own_class {
    const char *name;
    const char *mark;               /* Value of PORTS_MARK. */
    const char *type;
    int64_t ofport_request;         /* See PORTS_FIRST_OFPORT. */
};
extern const struct own_class ports_own_classes[N_OWN];

struct ports {
    /* Configuration. */
    char *bridge;
    char *uplink_bridge;            /* NULL for none. */
    char *reply_port;               /* NULL for none. */
    uint16_t tunnel_dst_port;
    struct in6_addr local_ip;       /* in6addr_any while it is not known. */

    /* Database. */
    char *remote;
    struct ovsdb_idl *idl;
    unsigned int idl_seqno;         /* Of the last view. */
    bool connected;                 /* At the last run. */
    long long int disconnected_at;  /* Since when it is not, LLONG_MIN before the first run. */
    bool missing;                   /* Has the grace been over at the last view? */

    /* Care for our own ports. */
    struct ovsdb_idl_txn *txn;      /* On its way to the database, or NULL. */
    bool check;                     /* Are there news that may call for a change? */
    long long int retry_at;         /* Check again then, LLONG_MAX for no need to. */
    long long int nudge_at;         /* Nudge the switch then, LLONG_MAX for no need to. */
    char *txn_error;                /* What the database said about our last change, or NULL. */

    unsigned int seqno;
    struct ports_view view;
    bool new_view;                  /* Must it be built anew? */
};

/* Where a port of our own is in the database, and where it belongs.  Valid for one iteration. */
struct own_place {
    const struct ovsrec_bridge *wanted;     /* NULL if it cannot be anywhere now. */
    const struct ovsrec_bridge *actual;     /* NULL if there is no such port. */
    const struct ovsrec_port *port;
};

/* The rows that matter.  Valid for one iteration. */
struct ports_rows {
    const struct ovsrec_bridge *bridge;
    const struct ovsrec_bridge *uplink_bridge;
    struct own_place own[N_OWN];
};

int ports_own_from_name(const char *);
bool ports_is_marked(const struct ovsrec_port *);

void ports_view_init(struct ports_view *);
void ports_view_destroy(struct ports_view *);
bool ports_view_equals(const struct ports_view *, const struct ports_view *);
void ports_view_build(struct ports_view *, const struct ports *, const struct ports_rows *);

#endif /* controller/ports-private.h */
