#include <config.h>

#include "controller/port-identity.h"

#include <ctype.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "pipeline/address.h"
#include "util.h"

/* The external_ids keys of one CNI. */
struct flavour {
    const char *name_key;
    const char *namespace_key;
    const char *ips_key;
    const char *mac_key;
};

static const struct flavour antrea = {"pod-name", "pod-namespace", "ip-address", "attached-mac"};
static const struct flavour kube_ovn = {"pod_name", "pod_namespace", "ip", "mac_address"};
static const struct flavour ovn_kubernetes = {NULL, NULL, "ip_addresses", "attached_mac"};

/* Is 'name', of 'n' bytes, one that a pod (with 'dots') or a namespace (without) may have? */
static bool
is_kubernetes_name(const char *name, size_t n, bool dots)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = name[i];

        if (!islower(c) && !isdigit(c) && c != '-' && (c != '.' || !dots)) {
            return false;
        }
    }
    return n > 0;
}

/* Splits "POD.NAMESPACE" at its last dot, because only a pod's name may contain dots itself. */
static bool
split_pod_dot_namespace(const char *iface_id, struct port_identity *identity)
{
    const char *dot = strrchr(iface_id, '.');

    if (!dot
        || !is_kubernetes_name(iface_id, dot - iface_id, true)
        || !is_kubernetes_name(dot + 1, strlen(dot + 1), false)) {
        return false;
    }
    identity->name = xmemdup0(iface_id, dot - iface_id);
    identity->namespace = xstrdup(dot + 1);
    return true;
}

/* Splits "NAMESPACE_POD".  Neither may contain '_', so a second one means some other kind of port:
 * for one, OVN-Kubernetes puts the name of a secondary network in front. */
static bool
split_namespace_underscore_pod(const char *iface_id, struct port_identity *identity)
{
    const char *underscore = strchr(iface_id, '_');

    if (!underscore
        || !is_kubernetes_name(iface_id, underscore - iface_id, false)
        || !is_kubernetes_name(underscore + 1, strlen(underscore + 1), true)) {
        return false;
    }
    identity->namespace = xmemdup0(iface_id, underscore - iface_id);
    identity->name = xstrdup(underscore + 1);
    return true;
}

static bool
get_names(const struct smap *external_ids, const struct flavour *flavour,
          struct port_identity *identity)
{
    const char *name = smap_get(external_ids, flavour->name_key);
    const char *namespace = smap_get(external_ids, flavour->namespace_key);

    if (!name || !name[0] || !namespace || !namespace[0]) {
        return false;
    }
    identity->name = xstrdup(name);
    identity->namespace = xstrdup(namespace);
    return true;
}

/* Finds out whose port this is: fills in the names in 'identity' and returns the CNI's keys, or
 * returns NULL. */
static const struct flavour *
identify(const struct smap *external_ids, struct port_identity *identity)
{
    if (get_names(external_ids, &antrea, identity)) {
        return &antrea;
    }
    if (get_names(external_ids, &kube_ovn, identity)) {
        return &kube_ovn;
    }

    /* An "iface-id" alone says little: every system built on OVN sets it. */
    const char *iface_id = smap_get(external_ids, "iface-id");
    if (!iface_id) {
        return NULL;
    }
    if ((smap_get(external_ids, "sandbox") || smap_get(external_ids, "ip_addresses"))
        && split_namespace_underscore_pod(iface_id, identity)) {
        return &ovn_kubernetes;
    }
    if (smap_get(external_ids, "ip") && split_pod_dot_namespace(iface_id, identity)) {
        return &kube_ovn;
    }
    return NULL;
}

static void OVS_PRINTF_FORMAT(2, 3)
add_error(struct ds *errors, const char *format, ...)
{
    va_list args;

    if (errors->length) {
        ds_put_cstr(errors, "; ");
    }
    va_start(args, format);
    ds_put_format_valist(errors, format, args);
    va_end(args);
}

/* Parses 's', "ADDRESS" or "ADDRESS/LENGTH", which it modifies. */
static bool
parse_ip(char *s, struct in6_addr *ip)
{
    char *slash = strchr(s, '/');
    unsigned int plen = 0;

    if (slash) {
        *slash = '\0';
        if (!str_to_uint(slash + 1, 10, &plen)) {
            return false;
        }
    }
    return ip_parse_address(s, ip) && plen <= (ip_family_of(ip) == IP_V4 ? 32 : 128);
}

static void
parse_ips(const char *key, const char *value, struct port_identity *identity, struct ds *errors)
{
    char *copy = xstrdup(value);
    char *save_ptr = NULL;
    size_t allocated = 0;

    for (char *s = strtok_r(copy, ", ", &save_ptr); s; s = strtok_r(NULL, ", ", &save_ptr)) {
        char *text = xstrdup(s);
        struct in6_addr ip;

        if (parse_ip(s, &ip)) {
            if (identity->n_ips >= allocated) {
                identity->ips = x2nrealloc(identity->ips, &allocated, sizeof *identity->ips);
            }
            identity->ips[identity->n_ips++] = ip;
        } else {
            add_error(errors, "external_ids:%s: \"%s\" is no IP address", key, text);
        }
        free(text);
    }
    free(copy);
}

/* Finds out which pod an interface with 'external_ids' belongs to.
 *
 * Returns true and initializes 'identity', which the caller must destroy with
 * port_identity_destroy(), if it belongs to one.  Otherwise returns false and leaves nothing to
 * free in 'identity'.
 *
 * Stores NULL in '*errorp', or a message, which the caller must free, that names each bad address
 * and MAC.  These are missing from 'identity' then; the rest of it is good. */
bool
port_identity_parse(const struct smap *external_ids, struct port_identity *identity, char **errorp)
{
    struct ds errors = DS_EMPTY_INITIALIZER;

    *errorp = NULL;
    memset(identity, 0, sizeof *identity);
    const struct flavour *flavour = identify(external_ids, identity);
    if (!flavour) {
        return false;
    }

    const char *ips = smap_get(external_ids, flavour->ips_key);
    if (ips) {
        parse_ips(flavour->ips_key, ips, identity, &errors);
    }

    const char *mac = smap_get(external_ids, flavour->mac_key);
    if (mac && mac[0]) {
        identity->has_mac = eth_addr_from_string(mac, &identity->mac);
        if (!identity->has_mac) {
            identity->mac = eth_addr_zero;
            add_error(&errors, "external_ids:%s: \"%s\" is no MAC address "
                      "(six pairs of hexadecimal digits with colons)", flavour->mac_key, mac);
        }
    }

    if (errors.length) {
        *errorp = ds_steal_cstr(&errors);
    }
    ds_destroy(&errors);
    return true;
}

void
port_identity_destroy(struct port_identity *identity)
{
    free(identity->namespace);
    free(identity->name);
    free(identity->ips);
    memset(identity, 0, sizeof *identity);
}

/* Addresses in another order make another identity. */
bool
port_identity_equals(const struct port_identity *a, const struct port_identity *b)
{
    return !strcmp(a->namespace, b->namespace)
           && !strcmp(a->name, b->name)
           && a->n_ips == b->n_ips
           && (!a->n_ips || !memcmp(a->ips, b->ips, a->n_ips * sizeof *a->ips))
           && a->has_mac == b->has_mac
           && eth_addr_equals(a->mac, b->mac);
}
