#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "daemon.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "tests/unit/controller/ovs-sandbox.h"
#include "unixctl.h"
#include "util.h"

/* The program under test, seen from the top of the build directory, where tests are run. */
#define CTL "controller/ovs-egressctl"

/* An agent that answers each command with the command itself and its arguments. */

static void
echo(struct unixctl_conn *conn, int argc, const char *argv[], void *aux OVS_UNUSED)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    for (int i = 0; i < argc; i++) {
        ds_put_format(&s, "%s%s", i ? " " : "", argv[i]);
    }
    if (argc > 1 && !strcmp(argv[argc - 1], "unknown")) {
        unixctl_command_reply_error(conn, ds_cstr(&s));
    } else {
        unixctl_command_reply(conn, ds_cstr(&s));
    }
    ds_destroy(&s);
}

static void
ask_to_exit(struct unixctl_conn *conn, int argc OVS_UNUSED, const char *argv[] OVS_UNUSED,
            void *exiting_)
{
    bool *exiting = exiting_;

    *exiting = true;
    unixctl_command_reply(conn, NULL);
}

static void OVS_NO_RETURN
agent_main(bool stubborn)
{
    static const char *const commands[] = {
        "egress/show", "route/list", "route/show", "pod/list", "pod/show", "flow/list", "recompute",
    };
    struct unixctl_server *server;
    bool exiting = false;

    ovs_set_program_name("ovs-egressd", "1.2.3");
    set_pidfile(NULL);
    daemonize_start(false);
    if (unixctl_server_create(NULL, &server)) {
        _exit(1);
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        unixctl_command_register(commands[i], "", 0, 2, echo, NULL);
    }
    unixctl_command_register("exit", "", 0, 0, ask_to_exit, &exiting);
    daemonize_complete();
    for (;;) {
        unixctl_server_run(server);
        if (exiting && !stubborn) {
            break;
        }
        unixctl_server_wait(server);
        poll_block();
    }
    unixctl_server_destroy(server);
    exit(0);
}

/* Starts an agent and waits until it answers.  It does not do as it is told if it is 'stubborn'. */
static pid_t
start_agent(bool stubborn)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (!pid) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        agent_main(stubborn);
    }

    for (int i = 0; i < SANDBOX_DEADLINE / 10; i++) {
        char *output;
        int status = sandbox_run_any(&output, CTL " show");
        free(output);
        if (!status) {
            return pid;
        }
        usleep(10 * 1000);
    }
    fail_msg("the agent does not answer");
    return pid;
}

static void
check_ctl(const char *args, int expected_status, const char *format, ...)
{
    char *command = xasprintf(CTL " %s", args);
    va_list va;
    va_start(va, format);
    char *expected = xvasprintf(format, va);
    va_end(va);

    char *output;
    int status = sandbox_run_any(&output, command);
    assert_string_equal(output, expected);
    assert_int_equal(status, expected_status);
    free(output);
    free(expected);
    free(command);
}

/* Tests. */

static void
test_command_line(void **state)
{
    check_ctl("", 1, "ovs-egressctl: no command (--help lists them)\n");
    check_ctl("list", 1, "ovs-egressctl: unknown command \"list\" (--help lists them)\n");
    check_ctl("show me", 1, "ovs-egressctl: \"show\" takes no argument (\"me\" is too much)\n");
    check_ctl("pod", 1, "ovs-egressctl: \"pod\" needs an argument: NAMESPACE/NAME\n");
    check_ctl("flows a b", 1, "ovs-egressctl: \"flows\" takes one argument (\"b\" is too much)\n");
    check_ctl("show --db=x", 1, "ovs-egressctl: --db, --bridge and --uplink-bridge are for \"uninstall\" alone\n");
    check_ctl("uninstall --json", 1, "ovs-egressctl: \"uninstall\" does not know --json\n");
    check_ctl("-T 0 show", 1, "ovs-egressctl: --timeout: \"0\" is no number of seconds above 0\n");
    check_ctl("--version | head -n1", 0, "ovs-egressctl " OVS_EGRESS_VERSION "\n");
    check_ctl("--help | sed -n 2p", 0, "usage: ovs-egressctl [OPTION...] COMMAND [ARG...]\n");
}

static void
test_no_agent(void **state)
{
    struct ovs_sandbox *sandbox = *state;

    check_ctl("show", 1, "ovs-egressctl: ovs-egressd is not running "
              "(no pidfile %s/ovs-egressd.pid)\n", sandbox->dir);
    check_ctl("-t /nowhere.ctl show", 1,
              "ovs-egressctl: ovs-egressd is not running (nobody listens on /nowhere.ctl)\n");
    check_ctl("version --json", 0, "{\"ovs-egressctl\":\"%s\",\"ovs-egressd\":null}\n",
              OVS_EGRESS_VERSION);
    check_ctl("version | tail -n1", 0, "ovs-egressd is not running\n");

    free(sandbox_run("echo 1 > %s/ovs-egressd.pid", sandbox->dir));
    check_ctl("show", 1, "ovs-egressctl: ovs-egressd is not running "
              "(pidfile %s/ovs-egressd.pid is a leftover)\n", sandbox->dir);
    free(sandbox_run("rm %s/ovs-egressd.pid", sandbox->dir));
}

static void
test_commands_reach_agent(void **state)
{
    struct ovs_sandbox *sandbox = *state;
    pid_t agent = start_agent(false);

    check_ctl("show", 0, "egress/show\n");
    check_ctl("--json show", 0, "egress/show --json\n");
    check_ctl("routes", 0, "route/list\n");
    check_ctl("route egress-lab", 0, "route/show egress-lab\n");
    check_ctl("route egress-lab --json", 0, "route/show --json egress-lab\n");
    check_ctl("pods", 0, "pod/list\n");
    check_ctl("pod lab/web-0", 0, "pod/show lab/web-0\n");
    check_ctl("flows", 0, "flow/list\n");
    check_ctl("flows egress-lab", 0, "flow/list egress-lab\n");
    check_ctl("recompute", 0, "recompute\n");
    check_ctl("-t ovs-egressd pods", 0, "pod/list\n");

    char *args = xasprintf("--target=%s/ovs-egressd.%d.ctl pods", sandbox->dir, (int) agent);
    check_ctl(args, 0, "pod/list\n");
    free(args);

    check_ctl("pod unknown", 2, "pod/show unknown\n");
    check_ctl("version --json", 0, "{\"ovs-egressctl\":\"%s\",\"ovs-egressd\":\"1.2.3\"}\n",
              OVS_EGRESS_VERSION);
    sandbox_stop(&agent);
}

#define DUMP_FLOWS \
    "ovs-ofctl -O OpenFlow15 --no-stats dump-flows br-int | sort; " \
    "ovs-ofctl -O OpenFlow15 dump-meters br-int | grep meter= | sort"

static void
test_uninstall(void **state)
{
    const struct ovs_sandbox *sandbox = *state;

    free(sandbox_run(
        "ovs-vsctl add-br br-int -- set Bridge br-int datapath_type=dummy fail_mode=secure "
        "-- add-br br-phy -- set Bridge br-phy datapath_type=dummy "
        "-- add-port br-int theirs -- set Port theirs external_ids:x=y "
        "-- add-port br-int egress-tun -- set Port egress-tun external_ids:ovs-egress=tunnel "
        "-- set Interface egress-tun type=geneve options:remote_ip=flow "
        "-- add-port br-int egress-uplink -- set Port egress-uplink external_ids:ovs-egress=uplink "
        "-- set Interface egress-uplink type=patch options:peer=egress-uplink-p "
        "-- add-port br-phy egress-uplink-p "
        "-- set Port egress-uplink-p external_ids:ovs-egress=uplink "
        "-- set Interface egress-uplink-p type=patch options:peer=egress-uplink"));
    free(sandbox_run(
        "ovs-ofctl add-flow br-int table=0,priority=1,actions=drop && "
        "ovs-ofctl add-flow br-int table=200,priority=1,cookie=0x6568000000000001,actions=drop && "
        "ovs-ofctl add-meter -O OpenFlow15 br-int meter=5,kbps,band=type=drop,rate=1000 && "
        "ovs-ofctl add-meter -O OpenFlow15 br-int meter=131072,kbps,band=type=drop,rate=1000"));
    char *theirs = sandbox_run(DUMP_FLOWS);
    free(sandbox_run(
        "ovs-ofctl add-meter -O OpenFlow15 br-int meter=65536,kbps,band=type=drop,rate=1000 && "
        "ovs-ofctl add-flow -O OpenFlow15 br-int "
        "table=211,cookie=0x6567020000000001,actions=meter:65536 && "
        "ovs-ofctl add-flow br-int table=0,priority=9,cookie=0x6567010000000000,actions=drop && "
        "ovs-ofctl add-flow br-phy table=0,priority=9,cookie=0x6567060000000000,actions=drop"));
    pid_t agent = start_agent(false);

    check_ctl("uninstall", 0,
              "agent: ovs-egressd stopped\n"
              "bridge br-int: removed flows: 2, meters: 1\n"
              "bridge br-phy: removed flows: 1, meters: 0\n"
              "bridge br-int: removed port: egress-tun\n"
              "bridge br-int: removed port: egress-uplink\n"
              "bridge br-phy: removed port: egress-uplink-p\n");
    sandbox_stop(&agent);
    sandbox_expect(DUMP_FLOWS, theirs);
    free(theirs);
    sandbox_expect("ovs-vsctl list-ports br-int; ovs-vsctl list-ports br-phy; "
                   "ovs-vsctl get Port theirs external_ids", "theirs\n{x=y}\n");

    check_ctl("uninstall", 0,
              "agent: ovs-egressd is not running (no pidfile %s/ovs-egressd.pid)\n"
              "bridge br-int: removed flows: 0, meters: 0\n"
              "bridge br-phy: removed flows: 0, meters: 0\n"
              "ports: none is marked as ours\n", sandbox->dir);
    check_ctl("uninstall --bridge=br-no", 0,
              "agent: ovs-egressd is not running (no pidfile %s/ovs-egressd.pid)\n"
              "bridge br-no: no flows to remove (nobody listens on unix:%s/br-no.mgmt)\n"
              "bridge br-phy: removed flows: 0, meters: 0\n"
              "ports: none is marked as ours\n", sandbox->dir, sandbox->dir);
    free(sandbox_run("ovs-vsctl del-br br-int -- del-br br-phy"));
}

static void
test_uninstall_that_fails(void **state)
{
    const struct ovs_sandbox *sandbox = *state;

    check_ctl("uninstall -T1 --db=unix:/nowhere.sock", 1,
              "ovs-egressctl: unix:/nowhere.sock: no answer from the Open vSwitch database: is "
              "ovsdb-server running?\n"
              "agent: ovs-egressd is not running (no pidfile %s/ovs-egressd.pid)\n"
              "bridge br-int: no flows to remove (nobody listens on unix:%s/br-int.mgmt)\n"
              "bridge br-phy: no flows to remove (nobody listens on unix:%s/br-phy.mgmt)\n",
              sandbox->dir, sandbox->dir, sandbox->dir);

    /* An agent that goes on would bring back what is removed. */
    pid_t agent = start_agent(true);
    check_ctl("uninstall -T1", 1,
              "ovs-egressctl: ovs-egressd was asked to exit, but still runs after 1000 ms\n");
    kill(agent, SIGKILL);
    sandbox_stop(&agent);
}

static int
group_setup(void **state)
{
    *state = sandbox_create();
    return 0;
}

static int
group_teardown(void **state)
{
    sandbox_destroy(*state);
    return 0;
}

int
main(int argc OVS_UNUSED, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_no_agent),
        cmocka_unit_test(test_commands_reach_agent),
        cmocka_unit_test(test_uninstall),
        cmocka_unit_test(test_uninstall_that_fails),
    };

    set_program_name(argv[0]);
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    if (!sandbox_is_possible()) {
        return 77;
    }
    return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
