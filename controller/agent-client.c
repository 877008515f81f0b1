#include <config.h>

#include "controller/agent-client.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "daemon.h"
#include "dirs.h"
#include "jsonrpc.h"
#include "unixctl.h"
#include "util.h"

/* Finds the socket and the pid of the agent whose pidfile is RUNDIR/NAME.pid. */
static enum agent_status
find_by_pidfile(const char *name, struct agent_client *agent, char **errorp)
{
    char *pidfile = xasprintf("%s/%s.pid", ovs_rundir(), name);
    enum agent_status status;

    /* read_pidfile() would log that there is none: an everyday thing here. */
    pid_t pid = access(pidfile, F_OK) ? -errno : read_pidfile(pidfile);
    if (pid > 0) {
        agent->pid = pid;
        agent->socket = xasprintf("%s/%s.%ld.ctl", ovs_rundir(), name, (long int) pid);
        status = AGENT_CONNECTED;
    } else if (pid == -ENOENT) {
        *errorp = xasprintf("%s is not running (no pidfile %s)", name, pidfile);
        status = AGENT_NOT_RUNNING;
    } else if (pid == -ESRCH) {
        *errorp = xasprintf("%s is not running (pidfile %s is a leftover)", name, pidfile);
        status = AGENT_NOT_RUNNING;
    } else {
        *errorp = xasprintf("%s: cannot read pidfile (%s)", pidfile, ovs_strerror(-pid));
        status = AGENT_UNREACHABLE;
    }
    free(pidfile);
    return status;
}

/* Connects to the agent at 'target': a socket if it begins with "/", else the name of a pidfile
 * without its ".pid", NULL for the usual one.
 *
 * Returns AGENT_CONNECTED and initializes 'agent', which the caller must close, or stores a
 * message, which the caller must free, in '*errorp'. */
enum agent_status
agent_client_open(const char *target, struct agent_client *agent, char **errorp)
{
    enum agent_status status = AGENT_CONNECTED;

    memset(agent, 0, sizeof *agent);
    *errorp = NULL;
    if (target && target[0] == '/') {
        agent->socket = xstrdup(target);
    } else {
        status = find_by_pidfile(target ? target : AGENT_PROGRAM, agent, errorp);
    }

    if (status == AGENT_CONNECTED) {
        int error = unixctl_client_create(agent->socket, &agent->rpc);

        if (error == ENOENT || error == ECONNREFUSED) {
            *errorp = xasprintf("%s is not running (nobody listens on %s)",
                                AGENT_PROGRAM, agent->socket);
            status = AGENT_NOT_RUNNING;
        } else if (error) {
            *errorp = xasprintf("cannot connect to %s (%s)", agent->socket, ovs_strerror(error));
            status = AGENT_UNREACHABLE;
        }
    }
    if (status != AGENT_CONNECTED) {
        agent_client_close(agent);
    }
    return status;
}

void
agent_client_close(struct agent_client *agent)
{
    jsonrpc_close(agent->rpc);
    free(agent->socket);
    memset(agent, 0, sizeof *agent);
}

/* Has 'pid' ended?  One that waits to be collected by its parent has. */
static bool
process_has_ended(pid_t pid)
{
    if (kill(pid, 0) && errno == ESRCH) {
        return true;
    }

    char *path = xasprintf("/proc/%ld/stat", (long int) pid);
    FILE *file = fopen(path, "r");
    char state = 0;
    free(path);
    if (!file) {
        return errno == ENOENT;
    }
    /* A program's name may have spaces and parentheses, but ours has neither. */
    bool ok = fscanf(file, "%*d (%*[^)]) %c", &state) == 1;
    fclose(file);
    return ok && state == 'Z';
}

/* Has the agent behind 'agent' ended? */
bool
agent_client_is_gone(const struct agent_client *agent)
{
    return agent->pid ? process_has_ended(agent->pid) : access(agent->socket, F_OK) != 0;
}
