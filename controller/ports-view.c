#include <config.h>

#include "controller/ports-private.h"

#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "lib/vswitch-idl.h"
#include "ovsdb-idl.h"
#include "packets.h"
#include "smap.h"
#include "util.h"

const struct own_class ports_own_classes[N_OWN] = {
    [OWN_TUNNEL] = {PORTS_TUNNEL, "tunnel", "geneve", PORTS_FIRST_OFPORT},
    [OWN_UPLINK] = {PORTS_UPLINK, "uplink", "patch", PORTS_FIRST_OFPORT + 1},
    [OWN_UPLINK_PEER] = {PORTS_UPLINK_PEER, "uplink", "patch", PORTS_FIRST_OFPORT},
};

/* Returns which port of ours, if it is ours, has 'name', or -1 if none has. */
int
ports_own_from_name(const char *name)
{
    for (int i = 0; i < N_OWN; i++) {
        if (!strcmp(name, ports_own_classes[i].name)) {
            return i;
        }
    }
    return -1;
}

/* Is 'port', whatever its name, one that we made? */
bool
ports_is_marked(const struct ovsrec_port *port)
{
    return smap_get(&port->external_ids, PORTS_MARK) != NULL;
}

static const struct ovsrec_interface *
find_interface(const struct ovsrec_bridge *br, const char *name)
{
    for (size_t i = 0; i < br->n_ports; i++) {
        const struct ovsrec_port *port = br->ports[i];

        for (size_t j = 0; j < port->n_interfaces; j++) {
            if (!strcmp(port->interfaces[j]->name, name)) {
                return port->interfaces[j];
            }
        }
    }
    return NULL;
}

static const char *
datapath_type(const struct ovsrec_bridge *br)
{
    return br->datapath_type[0] ? br->datapath_type : "system";
}

static ofp_port_t
interface_ofport(const struct ovsrec_interface *iface)
{
    return (iface->n_ofport && *iface->ofport > 0 && *iface->ofport <= ofp_to_u16(OFPP_LOCAL)
            ? u16_to_ofp(*iface->ofport)
            : OFPP_NONE);
}

static struct eth_addr
interface_mac(const struct ovsrec_interface *iface)
{
    struct eth_addr mac;

    return (iface->mac_in_use && eth_addr_from_string(iface->mac_in_use, &mac)
            ? mac : eth_addr_zero);
}

/* Building a view. */

/* Initializes 'view' as one of which nothing is known. */
void
ports_view_init(struct ports_view *view)
{
    memset(view, 0, sizeof *view);
    view->tunnel = view->uplink = view->uplink_peer = view->reply = OFPP_NONE;
    problem_list_init(&view->problems);
}

void
ports_view_destroy(struct ports_view *view)
{
    for (size_t i = 0; i < view->n_pods; i++) {
        free(view->pods[i].name);
        port_identity_destroy(&view->pods[i].identity);
    }
    for (size_t i = 0; i < view->n_others; i++) {
        free(view->others[i].name);
    }
    free(view->pods);
    free(view->others);
    free(view->datapath_type);
    problem_list_destroy(&view->problems);
}

bool
pod_port_equals(const struct pod_port *a, const struct pod_port *b)
{
    return (!strcmp(a->name, b->name)
            && a->ofport == b->ofport
            && port_identity_equals(&a->identity, &b->identity));
}

bool
other_port_equals(const struct other_port *a, const struct other_port *b)
{
    return !strcmp(a->name, b->name) && a->ofport == b->ofport && a->kind == b->kind;
}

static bool
problems_equal(const struct problem_list *a, const struct problem_list *b)
{
    if (a->n != b->n) {
        return false;
    }
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->problems[i].object, b->problems[i].object)
            || strcmp(a->problems[i].text, b->problems[i].text)) {
            return false;
        }
    }
    return true;
}

bool
ports_view_equals(const struct ports_view *a, const struct ports_view *b)
{
    if (a->ready != b->ready
        || !nullable_string_is_equal(a->datapath_type, b->datapath_type)
        || a->tunnel != b->tunnel
        || a->uplink != b->uplink
        || a->uplink_peer != b->uplink_peer
        || a->reply != b->reply
        || !eth_addr_equals(a->uplink_mac, b->uplink_mac)
        || !eth_addr_equals(a->reply_mac, b->reply_mac)
        || a->n_pods != b->n_pods
        || a->n_others != b->n_others
        || !problems_equal(&a->problems, &b->problems)) {
        return false;
    }
    for (size_t i = 0; i < a->n_pods; i++) {
        if (!pod_port_equals(&a->pods[i], &b->pods[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < a->n_others; i++) {
        if (!other_port_equals(&a->others[i], &b->others[i])) {
            return false;
        }
    }
    return true;
}

const char *
port_kind_name(enum port_kind kind)
{
    switch (kind) {
    case PORT_OURS: return "ours";
    case PORT_LOCAL: return "local";
    case PORT_PATCH: return "patch";
    case PORT_TUNNEL: return "tunnel";
    case PORT_INTERNAL: return "internal";
    case PORT_UNKNOWN: return "unknown";
    }
    OVS_NOT_REACHED();
}

static bool
is_tunnel_type(const char *type)
{
    static const char *types[] = {
        "geneve", "vxlan", "gre", "ip6gre", "stt", "lisp", "erspan", "ip6erspan", "gtpu", "bareudp",
    };

    for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
        if (!strcmp(type, types[i])) {
            return true;
        }
    }
    return false;
}

static enum port_kind
classify(const struct ovsrec_bridge *br, const struct ovsrec_port *port,
         const struct ovsrec_interface *iface)
{
    if (ports_own_from_name(port->name) >= 0 && ports_is_marked(port)) {
        return PORT_OURS;
    } else if (!strcmp(iface->name, br->name)) {
        return PORT_LOCAL;
    } else if (!strcmp(iface->type, "patch")) {
        return PORT_PATCH;
    } else if (is_tunnel_type(iface->type)) {
        return PORT_TUNNEL;
    } else if (!strcmp(iface->type, "internal")) {
        return PORT_INTERNAL;
    } else {
        return PORT_UNKNOWN;
    }
}

static void
add_interface_problem(struct ports_view *view, const char *name, const char *text)
{
    char *object = xasprintf("interface %s", name);

    problem_list_add(&view->problems, object, "%s", text);
    free(object);
}

/* Adds 'iface' to the pods' ports or the others of 'view', which have room for it. */
static void
view_add_interface(struct ports_view *view, const struct ovsrec_bridge *br,
                   const struct ovsrec_port *port, const struct ovsrec_interface *iface)
{
    enum port_kind kind = classify(br, port, iface);
    struct port_identity identity;

    /* A CNI may use internal ports for pods. */
    if (kind == PORT_INTERNAL || kind == PORT_UNKNOWN) {
        char *error;

        if (port_identity_parse(&iface->external_ids, &identity, &error)) {
            if (error) {
                add_interface_problem(view, iface->name, error);
                free(error);
            }
            if (interface_ofport(iface) == OFPP_NONE) {
                port_identity_destroy(&identity);
                return;
            }
            view->pods[view->n_pods++] = (struct pod_port) {
                .name = xstrdup(iface->name),
                .ofport = interface_ofport(iface),
                .identity = identity,
            };
            return;
        }
    }

    if (interface_ofport(iface) != OFPP_NONE) {
        view->others[view->n_others++] = (struct other_port) {
            .name = xstrdup(iface->name),
            .ofport = interface_ofport(iface),
            .kind = kind,
        };
    }
}

static int
compare_pods(const void *a_, const void *b_)
{
    const struct pod_port *a = a_;
    const struct pod_port *b = b_;

    return strcmp(a->name, b->name);
}

static int
compare_others(const void *a_, const void *b_)
{
    const struct other_port *a = a_;
    const struct other_port *b = b_;

    return strcmp(a->name, b->name);
}

static void
view_add_interfaces(struct ports_view *view, const struct ovsrec_bridge *br)
{
    size_t n = 0;

    for (size_t i = 0; i < br->n_ports; i++) {
        n += br->ports[i]->n_interfaces;
    }
    view->pods = xcalloc(n, sizeof *view->pods);
    view->others = xcalloc(n, sizeof *view->others);

    for (size_t i = 0; i < br->n_ports; i++) {
        const struct ovsrec_port *port = br->ports[i];

        for (size_t j = 0; j < port->n_interfaces; j++) {
            view_add_interface(view, br, port, port->interfaces[j]);
        }
    }
    qsort(view->pods, view->n_pods, sizeof *view->pods, compare_pods);
    qsort(view->others, view->n_others, sizeof *view->others, compare_others);
}

static void
view_add_bridge_problem(struct ports_view *view, const char *bridge, const char *option)
{
    char *object = xasprintf("bridge %s", bridge);

    problem_list_add(&view->problems, object, "does not exist in the Open vSwitch database: create "
                     "it, or name another with %s", option);
    free(object);
}

/* Returns the OpenFlow port of our port in 'place', if it is really ours. */
static ofp_port_t
own_ofport(const struct own_place *place)
{
    return (place->port && place->actual == place->wanted && ports_is_marked(place->port)
            && place->port->n_interfaces == 1
            ? interface_ofport(place->port->interfaces[0])
            : OFPP_NONE);
}

/* Can packets pass between the two ends of our patch? */
static bool
uplink_is_whole(const struct ports_rows *rows)
{
    return (own_ofport(&rows->own[OWN_UPLINK]) != OFPP_NONE
            && own_ofport(&rows->own[OWN_UPLINK_PEER]) != OFPP_NONE
            && !strcmp(datapath_type(rows->bridge), datapath_type(rows->uplink_bridge)));
}

static void
view_add_own_port(struct ports_view *view, enum own_role role, const struct ports_rows *rows)
{
    const struct own_place *place = &rows->own[role];

    if (!place->port) {
        return;
    }
    if (!ports_is_marked(place->port)) {
        char *object = xasprintf("port %s", place->port->name);

        problem_list_add(&view->problems, object, "exists on bridge %s without the mark "
                         "external_ids:" PORTS_MARK ", so it is not ours, but it has the name "
                         "that ours needs: rename or delete it", place->actual->name);
        free(object);
        return;
    }

    /* Of a patch port whose peer was away and came back, the switch leaves the error in place. */
    bool stale = role != OWN_TUNNEL && uplink_is_whole(rows);
    if (!stale && place->port->n_interfaces && place->port->interfaces[0]->error) {
        add_interface_problem(view, place->port->interfaces[0]->name,
                              place->port->interfaces[0]->error);
    }
}

static void
view_add_own(struct ports_view *view, const struct ports_rows *rows)
{
    view->tunnel = own_ofport(&rows->own[OWN_TUNNEL]);
    view->uplink = own_ofport(&rows->own[OWN_UPLINK]);
    view->uplink_peer = own_ofport(&rows->own[OWN_UPLINK_PEER]);
    for (int i = 0; i < N_OWN; i++) {
        view_add_own_port(view, i, rows);
    }
}

static void
view_add_uplink_bridge(struct ports_view *view, const struct ports *ports,
                       const struct ports_rows *rows)
{
    if (!ports->uplink_bridge) {
        return;
    }
    if (!strcmp(ports->uplink_bridge, ports->bridge)) {
        char *object = xasprintf("bridge %s", ports->bridge);

        problem_list_add(&view->problems, object, "is named by both --bridge and --uplink-bridge: "
                         "the uplink has to be another bridge");
        free(object);
    } else if (!rows->uplink_bridge) {
        view_add_bridge_problem(view, ports->uplink_bridge, "--uplink-bridge");
    } else {
        const struct ovsrec_interface *local = find_interface(rows->uplink_bridge,
                                                              ports->uplink_bridge);
        view->uplink_mac = local ? interface_mac(local) : eth_addr_zero;
    }
}

static void
view_add_reply_port(struct ports_view *view, const struct ports *ports,
                    const struct ovsrec_bridge *br)
{
    if (!ports->reply_port) {
        return;
    }

    const struct ovsrec_interface *iface = find_interface(br, ports->reply_port);
    if (iface) {
        view->reply = interface_ofport(iface);
        view->reply_mac = interface_mac(iface);
    } else {
        char *object = xasprintf("port %s", ports->reply_port);

        problem_list_add(&view->problems, object, "does not exist on bridge %s: create it, or name "
                         "another with --reply-port", br->name);
        free(object);
    }
}

/* Initializes 'view' with what 'ports', whose 'view' is not looked at, sees in 'rows' now. */
void
ports_view_build(struct ports_view *view, const struct ports *ports, const struct ports_rows *rows)
{
    ports_view_init(view);
    if (ports->missing) {
        problem_list_add(&view->problems, ports->remote, "no connection to the Open vSwitch "
                         "database: is ovsdb-server running?");
    }
    if (ports->txn_error) {
        problem_list_add(&view->problems, ports->remote, "the Open vSwitch database refused our "
                         "ports: %s", ports->txn_error);
    }
    if (!ovsdb_idl_has_ever_connected(ports->idl)) {
        return;
    }

    view_add_uplink_bridge(view, ports, rows);
    if (!rows->bridge) {
        view_add_bridge_problem(view, ports->bridge, "--bridge");
        return;
    }
    view->ready = true;
    view->datapath_type = xstrdup(datapath_type(rows->bridge));
    view_add_interfaces(view, rows->bridge);
    view_add_own(view, rows);
    view_add_reply_port(view, ports, rows->bridge);
}
