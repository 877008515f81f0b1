#ifndef CONTROLLER_PORT_IDENTITY_H
#define CONTROLLER_PORT_IDENTITY_H 1

/* Which pod a switch port belongs to, from what its CNI wrote into the Interface's external_ids.
 *
 *    Antrea          pod-name, pod-namespace, ip-address, attached-mac
 *    Kube-OVN        pod_name, pod_namespace (or iface-id=POD.NAMESPACE), ip, mac_address
 *    OVN-Kubernetes  iface-id=NAMESPACE_POD, ip_addresses, attached_mac
 *
 * Addresses are separated by commas; a prefix length after an address is allowed and ignored. */

#include <stdbool.h>
#include <stddef.h>
#include <netinet/in.h>
#include "openvswitch/types.h"
#include "smap.h"

struct port_identity {
    char *namespace;
    char *name;
    struct in6_addr *ips;       /* In the order of the database, may be empty. */
    size_t n_ips;
    bool has_mac;
    struct eth_addr mac;
};

bool port_identity_parse(const struct smap *external_ids, struct port_identity *, char **errorp);
void port_identity_destroy(struct port_identity *);
bool port_identity_equals(const struct port_identity *, const struct port_identity *);

#endif /* controller/port-identity.h */
