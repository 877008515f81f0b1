#include <config.h>

#include "controller/ports-private.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/vswitch-idl.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "ovsdb-idl.h"
#include "packets.h"
#include "pipeline/address.h"
#include "smap.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_ports);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);

/* How long to wait, in ms, after the database refused a change, before it is tried once more. */
#define RETRY_INTERVAL 1000

/* A port that the switch could not make, because another one was in its way, it tries to make
 * again only when something in the database changes.  Until that one of ours is there, such a
 * change is made every so many ms. */
#define NUDGE_INTERVAL 5000

/* How long the connection to the database may be missing, in ms, before that is a problem: long
 * enough to connect at the start, or again. */
#define CONNECT_GRACE 1000

/* Creates and returns the view of the database at 'ovsdb_remote' ("unix:FILE", "tcp:IP:PORT", ...).
 * Copies what it needs of 'config'. */
struct ports *
ports_create(const char *ovsdb_remote, const struct ports_config *config)
{
    static const struct ovsdb_idl_column *columns[] = {
        &ovsrec_bridge_col_name,
        &ovsrec_bridge_col_datapath_type,
        &ovsrec_bridge_col_ports,
        &ovsrec_port_col_name,
        &ovsrec_port_col_interfaces,
        &ovsrec_port_col_external_ids,
        &ovsrec_interface_col_name,
        &ovsrec_interface_col_type,
        &ovsrec_interface_col_options,
        &ovsrec_interface_col_ofport,
        &ovsrec_interface_col_ofport_request,
        &ovsrec_interface_col_mac_in_use,
        &ovsrec_interface_col_external_ids,
        &ovsrec_interface_col_error,
    };
    struct ports *ports = xzalloc(sizeof *ports);

    ports->bridge = xstrdup(config->bridge);
    ports->uplink_bridge = nullable_xstrdup(config->uplink_bridge);
    ports->reply_port = nullable_xstrdup(config->reply_port);
    ports->tunnel_dst_port = config->tunnel_dst_port;
    ports->local_ip = in6addr_any;
    ports->remote = xstrdup(ovsdb_remote);
    ports->disconnected_at = LLONG_MIN;
    ports->retry_at = LLONG_MAX;
    ports->nudge_at = LLONG_MAX;
    ports->check = true;
    ports_view_init(&ports->view);

    ports->idl = ovsdb_idl_create(ovsdb_remote, &ovsrec_idl_class, false, true);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        ovsdb_idl_add_column(ports->idl, columns[i]);
    }
    ovsdb_idl_add_column(ports->idl, &ovsrec_open_vswitch_col_next_cfg);
    ovsdb_idl_omit_alert(ports->idl, &ovsrec_open_vswitch_col_next_cfg);
    return ports;
}

/* Leaves the database as it is: our ports stay. */
void
ports_destroy(struct ports *ports)
{
    if (ports) {
        if (ports->txn) {
            ovsdb_idl_txn_destroy(ports->txn);
        }
        ovsdb_idl_destroy(ports->idl);
        ports_view_destroy(&ports->view);
        free(ports->bridge);
        free(ports->uplink_bridge);
        free(ports->reply_port);
        free(ports->remote);
        free(ports->txn_error);
        free(ports);
    }
}

/* Sets the address that our tunnel sends from.  Until this is called for the first time an address
 * that the tunnel already has is left in place, so that a restart does not take it away and give
 * it back. */
void
ports_set_local_ip(struct ports *ports, const struct in6_addr *ip)
{
    if (!ipv6_addr_equals(&ports->local_ip, ip)) {
        ports->local_ip = *ip;
        ports->check = true;
    }
}

/* A number that changes whenever the view has changed. */
unsigned int
ports_get_seqno(const struct ports *ports)
{
    return ports->seqno;
}

/* Returns what is known.  It stays valid until the next ports_run(). */
const struct ports_view *
ports_get_view(const struct ports *ports)
{
    return &ports->view;
}

/* Finding rows. */

static void
find_rows(const struct ports *ports, struct ports_rows *rows)
{
    const struct ovsrec_bridge *br;

    memset(rows, 0, sizeof *rows);
    OVSREC_BRIDGE_FOR_EACH (br, ports->idl) {
        if (!strcmp(br->name, ports->bridge)) {
            rows->bridge = br;
        } else if (ports->uplink_bridge && !strcmp(br->name, ports->uplink_bridge)) {
            rows->uplink_bridge = br;
        }
        for (size_t i = 0; i < br->n_ports; i++) {
            int role = ports_own_from_name(br->ports[i]->name);

            if (role >= 0) {
                rows->own[role].actual = br;
                rows->own[role].port = br->ports[i];
            }
        }
    }

    rows->own[OWN_TUNNEL].wanted = rows->bridge;
    /* Half a patch pair is of no use. */
    if (rows->bridge && rows->uplink_bridge) {
        rows->own[OWN_UPLINK].wanted = rows->bridge;
        rows->own[OWN_UPLINK_PEER].wanted = rows->uplink_bridge;
    }
}

/* Keeping our own ports. */

/* Initializes 'options' with those that our port 'role' should have.  'old' are those that it has,
 * or NULL. */
static void
own_options(const struct ports *ports, enum own_role role, const struct smap *old,
            struct smap *options)
{
    smap_init(options);
    if (role != OWN_TUNNEL) {
        smap_add(options, "peer", role == OWN_UPLINK ? PORTS_UPLINK_PEER : PORTS_UPLINK);
        return;
    }

    smap_add(options, "remote_ip", "flow");
    smap_add(options, "key", "flow");
    smap_add_format(options, "dst_port", "%"PRIu16, ports->tunnel_dst_port);
    if (ip_is_set(&ports->local_ip)) {
        smap_add_nocopy(options, xstrdup("local_ip"), ip_to_string(&ports->local_ip));
    } else if (old && smap_get(old, "local_ip")) {
        smap_add(options, "local_ip", smap_get(old, "local_ip"));
    }
}

static void
own_insert(struct ports *ports, enum own_role role, const struct ovsrec_bridge *br)
{
    const struct own_class *class = &ports_own_classes[role];
    struct ovsrec_interface *iface = ovsrec_interface_insert(ports->txn);
    struct ovsrec_port *port = ovsrec_port_insert(ports->txn);
    const struct smap mark = SMAP_CONST1(&mark, PORTS_MARK, class->mark);
    struct smap options;

    own_options(ports, role, NULL, &options);
    ovsrec_interface_set_name(iface, class->name);
    ovsrec_interface_set_type(iface, class->type);
    ovsrec_interface_set_options(iface, &options);
    ovsrec_interface_set_ofport_request(iface, &class->ofport_request, 1);
    ovsrec_port_set_name(port, class->name);
    ovsrec_port_set_interfaces(port, &iface, 1);
    ovsrec_port_set_external_ids(port, &mark);
    ovsrec_bridge_update_ports_addvalue(br, port);
    smap_destroy(&options);
    VLOG_INFO("bridge %s: creating our port %s", br->name, class->name);
}

/* Makes our 'iface' in 'port' what it should be. */
static void
own_mend(struct ports *ports, enum own_role role, const struct ovsrec_port *port)
{
    const struct own_class *class = &ports_own_classes[role];
    const struct ovsrec_interface *iface = port->interfaces[0];
    struct smap options;

    own_options(ports, role, &iface->options, &options);
    if (strcmp(iface->type, class->type)) {
        VLOG_INFO("port %s: mending its type", class->name);
        ovsrec_interface_set_type(iface, class->type);
    }
    if (!smap_equal(&iface->options, &options)) {
        VLOG_INFO("port %s: mending its options", class->name);
        ovsrec_interface_set_options(iface, &options);
    }
    smap_destroy(&options);
    if (!iface->n_ofport_request || *iface->ofport_request != class->ofport_request) {
        VLOG_INFO("port %s: asking for its number", class->name);
        ovsrec_interface_set_ofport_request(iface, &class->ofport_request, 1);
    }

    if (!nullable_string_is_equal(smap_get(&port->external_ids, PORTS_MARK), class->mark)) {
        ovsrec_port_update_external_ids_setkey(port, PORTS_MARK, class->mark);
    }
}

/* Puts our port 'role' where it belongs, as it should be, with 'ports->txn'. */
static void
own_check(struct ports *ports, enum own_role role, const struct own_place *place)
{
    if (place->port && !ports_is_marked(place->port)) {
        /* Not ours.  The view tells. */
        return;
    }

    bool whole = place->port && place->port->n_interfaces == 1
                 && !strcmp(place->port->interfaces[0]->name, ports_own_classes[role].name);
    if (place->port && (place->actual != place->wanted || !whole)) {
        VLOG_INFO("bridge %s: removing our port %s, which is not as it should be",
                  place->actual->name, place->port->name);
        ovsrec_bridge_update_ports_delvalue(place->actual, place->port);
    }
    if (place->wanted) {
        if (place->actual == place->wanted && whole) {
            own_mend(ports, role, place->port);
        } else {
            own_insert(ports, role, place->wanted);
        }
    }
}

/* Is one of our ports in the database, but not in the switch, which has tried? */
static bool
any_port_failed(const struct ports_rows *rows)
{
    for (int i = 0; i < N_OWN; i++) {
        const struct ovsrec_port *port = rows->own[i].port;

        if (port && ports_is_marked(port) && port->n_interfaces
            && port->interfaces[0]->n_ofport && *port->interfaces[0]->ofport == -1) {
            return true;
        }
    }
    return false;
}

/* Has the switch look at its configuration again. */
static void
nudge(struct ports *ports, long long int now)
{
    const struct ovsrec_open_vswitch *cfg = ovsrec_open_vswitch_first(ports->idl);

    if (cfg) {
        ovsdb_idl_txn_increment(ports->txn, &cfg->header_, &ovsrec_open_vswitch_col_next_cfg, true);
    }
    ports->nudge_at = now + NUDGE_INTERVAL;
}

static void
set_txn_error(struct ports *ports, const char *error)
{
    if (!nullable_string_is_equal(ports->txn_error, error)) {
        free(ports->txn_error);
        ports->txn_error = nullable_xstrdup(error);
        ports->new_view = true;
    }
}

/* Sends 'ports->txn' on its way, or sees what has become of it. */
static void
commit(struct ports *ports, long long int now)
{
    enum ovsdb_idl_txn_status status = ovsdb_idl_txn_commit(ports->txn);

    switch (status) {
    case TXN_INCOMPLETE:
        return;

    case TXN_UNCHANGED:
    case TXN_SUCCESS:
        set_txn_error(ports, NULL);
        break;

    case TXN_TRY_AGAIN:
    case TXN_ABORTED:
        /* Somebody else was faster, or the connection broke. */
        ports->retry_at = now + RETRY_INTERVAL;
        break;

    case TXN_ERROR:
        VLOG_WARN_RL(&rl, "the database refused our ports: %s",
                     ovsdb_idl_txn_get_error(ports->txn));
        set_txn_error(ports, ovsdb_idl_txn_get_error(ports->txn));
        ports->retry_at = now + RETRY_INTERVAL;
        break;

    case TXN_UNCOMMITTED:
    case TXN_NOT_LOCKED:
    default:
        OVS_NOT_REACHED();
    }
    ovsdb_idl_txn_destroy(ports->txn);
    ports->txn = NULL;
}

static void
update_view(struct ports *ports, const struct ports_rows *rows)
{
    struct ports_view view;

    ports_view_build(&view, ports, rows);
    if (ports_view_equals(&view, &ports->view)) {
        ports_view_destroy(&view);
    } else {
        ports_view_destroy(&ports->view);
        ports->view = view;
        ports->seqno++;
    }
}

/* Can the database be read and written now? */
static bool
is_usable(const struct ports *ports)
{
    return ports->connected && ovsdb_idl_has_ever_connected(ports->idl);
}

/* Sees how the connection is doing.  Returns whether that calls for another view. */
static bool
run_connection(struct ports *ports, long long int now)
{
    bool connected = ovsdb_idl_is_connected(ports->idl);
    if (connected != ports->connected || ports->disconnected_at == LLONG_MIN) {
        ports->connected = connected;
        ports->disconnected_at = now;
        ports->check = true;
    }

    bool missing = !connected && now >= ports->disconnected_at + CONNECT_GRACE;
    bool news = missing != ports->missing;
    ports->missing = missing;
    return news;
}

/* Reads what the database has to say and keeps our own ports right.  'now' is in ms. */
void
ports_run(struct ports *ports, long long int now)
{
    ovsdb_idl_run(ports->idl);
    if (ports->txn) {
        commit(ports, now);
    }
    if (run_connection(ports, now)) {
        ports->new_view = true;
    }

    unsigned int idl_seqno = ovsdb_idl_get_seqno(ports->idl);
    if (idl_seqno != ports->idl_seqno) {
        ports->new_view = true;
        ports->check = true;
    }
    if (now >= ports->retry_at) {
        ports->check = true;
        ports->retry_at = LLONG_MAX;
    }

    /* The rows show a transaction's changes until it is done: a view of them would be premature. */
    bool mend = (ports->check || now >= ports->nudge_at) && is_usable(ports);
    if (ports->txn || !(ports->new_view || mend)) {
        return;
    }

    struct ports_rows rows;
    find_rows(ports, &rows);
    ports->idl_seqno = idl_seqno;
    ports->new_view = false;
    update_view(ports, &rows);
    if (!any_port_failed(&rows)) {
        ports->nudge_at = LLONG_MAX;
    } else if (ports->nudge_at == LLONG_MAX) {
        ports->nudge_at = now + NUDGE_INTERVAL;
    }

    if (mend) {
        ports->check = false;
        ports->txn = ovsdb_idl_txn_create(ports->idl);
        ovsdb_idl_txn_add_comment(ports->txn, "ovs-egressd: ports of its own");
        for (int i = 0; i < N_OWN; i++) {
            own_check(ports, i, &rows.own[i]);
        }
        if (now >= ports->nudge_at) {
            nudge(ports, now);
        }
        commit(ports, now);
    }
}

void
ports_wait(struct ports *ports)
{
    ovsdb_idl_wait(ports->idl);
    if (ports->txn) {
        ovsdb_idl_txn_wait(ports->txn);
        return;
    }
    if (ports->retry_at != LLONG_MAX) {
        poll_timer_wait_until(ports->retry_at);
    }
    if (ports->nudge_at != LLONG_MAX && is_usable(ports)) {
        poll_timer_wait_until(ports->nudge_at);
    }
    if (!ports->connected && !ports->missing) {
        poll_timer_wait_until(ports->disconnected_at + CONNECT_GRACE);
    }
    if (ports->new_view || (ports->check && is_usable(ports))) {
        poll_immediate_wake();
    }
}
