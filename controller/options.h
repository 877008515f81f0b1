#ifndef CONTROLLER_OPTIONS_H
#define CONTROLLER_OPTIONS_H 1

/* The command line of ovs-egressd. */

#include <stdint.h>
#include "openvswitch/match.h"
#include "pipeline/address.h"

struct agent_options {
    char *database;                 /* As for ovs-vswitchd. */
    char *node;                     /* This node's name in Kubernetes. */
    char *source;                   /* "dir:PATH" or "kube[:KUBECONFIG]". */
    char *state_dir;                /* Where a "kube" source keeps its last state. */
    char *lease_namespace;          /* Of this node's Lease, with a "kube" source. */
    int lease_duration_s;
    char *metrics;              /* [ADDRESS:]PORT, NULL for none. */
    char *unixctl;                  /* Control socket, or NULL for the usual one. */
    char *bridge;
    char *uplink_bridge;
    char *reply_port;
    uint8_t table_base;
    uint8_t hook_table;
    uint16_t hook_priority;
    struct match hook_match;
    uint8_t reply_table;
    uint16_t tunnel_dst_port;
    struct ip_prefix *internal;     /* --cluster-cidr and --except-cidr. */
    size_t n_internal;
};

void agent_options_parse(int argc, char *argv[], struct agent_options *);
void agent_options_destroy(struct agent_options *);

#endif /* controller/options.h */
