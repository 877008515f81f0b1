#ifndef CONTROLLER_PORTS_H
#define CONTROLLER_PORTS_H 1

/* The node's switch ports as the Open vSwitch database has them: a view of the integration bridge,
 * and the care for the ports of our own.
 *
 * Our own ports carry external_ids:ovs-egress=ROLE in their Port row:
 *
 *    egress-tun       "tunnel"   Geneve, on the integration bridge
 *    egress-uplink    "uplink"   patch, on the integration bridge
 *    egress-uplink-p  "uplink"   patch, on the uplink bridge
 *
 * They are made when they are missing (the patch only while both bridges are there), mended when
 * they differ, moved when they are elsewhere, and otherwise left alone: an agent that starts again
 * writes nothing.  A port with the name but without the mark is not ours. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>
#include "controller/port-identity.h"
#include "openflow/openflow.h"
#include "pipeline/model.h"

#define PORTS_TUNNEL "egress-tun"
#define PORTS_UPLINK "egress-uplink"
#define PORTS_UPLINK_PEER "egress-uplink-p"
/* The OpenFlow port numbers that we ask for, from here on: the same after a restart of ovs-vswitchd, so that no flow of ours
 * outputs to what is another port by then.  OVN and Antrea number from 1 upwards. */
#define PORTS_FIRST_OFPORT 65000

#define PORTS_MARK "ovs-egress"     /* Key in a Port's external_ids. */

struct ports_config {
    const char *bridge;             /* Integration bridge. */
    const char *uplink_bridge;      /* Bridge of the node's NIC, or NULL for no patch pair. */
    uint16_t tunnel_dst_port;       /* Of our Geneve port, UDP. */
    const char *reply_port;         /* Where replies enter the CNI's pipeline, or NULL. */
};

/* A pod's port, with an OpenFlow port number already. */
struct pod_port {
    char *name;                     /* Interface's name: stays the same while the port lives. */
    ofp_port_t ofport;
    struct port_identity identity;
};

enum port_kind {
    PORT_OURS,
    PORT_LOCAL,
    PORT_PATCH,
    PORT_TUNNEL,
    PORT_INTERNAL,
    PORT_UNKNOWN,                   /* A NIC, or a pod that its CNI has not named (yet). */
};
const char *port_kind_name(enum port_kind);

/* A port of the integration bridge that is no pod's, with an OpenFlow port number already. */
struct other_port {
    char *name;
    ofp_port_t ofport;
    enum port_kind kind;
};

/* What the database said last.  Numbers are OFPP_NONE, addresses zero, while they are not known. */
struct ports_view {
    bool ready;                     /* The database was read and the integration bridge is there. */
    char *datapath_type;            /* Of the integration bridge: "system", "netdev", ... */
    ofp_port_t tunnel;
    ofp_port_t uplink;
    ofp_port_t uplink_peer;         /* On the uplink bridge. */
    struct eth_addr uplink_mac;     /* Of the uplink bridge's LOCAL port. */
    ofp_port_t reply;
    struct eth_addr reply_mac;

    struct pod_port *pods;          /* Sorted by name. */
    size_t n_pods;
    struct other_port *others;      /* Sorted by name. */
    size_t n_others;

    struct problem_list problems;
};

struct ports *ports_create(const char *ovsdb_remote, const struct ports_config *);
void ports_destroy(struct ports *);
void ports_run(struct ports *, long long int now);
void ports_wait(struct ports *);

void ports_set_local_ip(struct ports *, const struct in6_addr *);

unsigned int ports_get_seqno(const struct ports *);
const struct ports_view *ports_get_view(const struct ports *);

bool pod_port_equals(const struct pod_port *, const struct pod_port *);
bool other_port_equals(const struct other_port *, const struct other_port *);

#endif /* controller/ports.h */
