#ifndef CONTROLLER_UNINSTALL_H
#define CONTROLLER_UNINSTALL_H 1

/* Takes everything of ours away from a node: the running agent, our flows and meters on
 * both bridges, our ports.  All else stays as it is.  Running it again finds nothing and is
 * no error. */

#include "compiler.h"

struct ds;

struct uninstall_options {
    const char *target;             /* As for agent_client_open(). */
    const char *db;                 /* Open vSwitch database, "unix:FILE" and the like. */
    const char *bridge;             /* Integration bridge. */
    const char *uplink_bridge;      /* Bridge of the node's NIC. */
    long long int timeout;          /* For each of the steps, in ms. */
};

char *uninstall(const struct uninstall_options *, struct ds *report) OVS_WARN_UNUSED_RESULT;

#endif /* controller/uninstall.h */
