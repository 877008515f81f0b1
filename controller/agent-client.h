#ifndef CONTROLLER_AGENT_CLIENT_H
#define CONTROLLER_AGENT_CLIENT_H 1

/* Where a running ovs-egressd is, and how to talk to it over its unixctl socket. */

#include <stdbool.h>
#include <sys/types.h>

#define AGENT_PROGRAM "ovs-egressd"

struct jsonrpc;

struct agent_client {
    char *socket;                   /* Path of the unixctl socket. */
    pid_t pid;                      /* 0 if it is not known, because the socket itself was given. */
    struct jsonrpc *rpc;
};

enum agent_status {
    AGENT_CONNECTED,
    AGENT_NOT_RUNNING,
    AGENT_UNREACHABLE,              /* It seems to run, but does not let us talk to it. */
};

enum agent_status agent_client_open(const char *target, struct agent_client *, char **errorp);
void agent_client_close(struct agent_client *);
bool agent_client_is_gone(const struct agent_client *);

#endif /* controller/agent-client.h */
