/* ovs-egressd: the agent that runs beside ovs-vswitchd on every node. */

#include <config.h>
#include <signal.h>
#include <stdlib.h>
#include "controller/agent.h"
#include "controller/options.h"
#include "daemon.h"
#include "fatal-signal.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "unixctl.h"
#include "util.h"

static void
unixctl_exit(struct unixctl_conn *conn, int argc OVS_UNUSED, const char *argv[] OVS_UNUSED, void *exiting)
{
    *(bool *) exiting = true;
    unixctl_command_reply(conn, NULL);
}

int
main(int argc, char *argv[])
{
    struct unixctl_server *unixctl;
    struct agent_options options;
    bool exiting = false;
    struct agent *agent;
    int error;

    ovs_set_program_name(argv[0], OVS_EGRESS_VERSION);
    service_start(&argc, &argv);
    agent_options_parse(argc, argv, &options);
    fatal_ignore_sigpipe();

    daemonize_start(false);
    error = unixctl_server_create(options.unixctl, &unixctl);
    if (error) {
        exit(EXIT_FAILURE);
    }
    unixctl_command_register("exit", "", 0, 0, unixctl_exit, &exiting);
    agent = agent_create(&options);
    daemonize_complete();

    while (!exiting) {
        agent_run(agent);
        unixctl_server_run(unixctl);

        agent_wait(agent);
        unixctl_server_wait(unixctl);
        if (exiting) {
            poll_immediate_wake();
        }
        poll_block();
        if (should_service_stop()) {
            exiting = true;
        }
    }
    agent_destroy(agent);
    unixctl_server_destroy(unixctl);
    agent_options_destroy(&options);
    service_stop();
    return EXIT_SUCCESS;
}
