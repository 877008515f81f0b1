#include <config.h>

/* ovs-egressctl: shows people what the node's ovs-egressd does.  A thin client of its unixctl
 * commands.  Under the name kubectl-egress it is something else, see controller/cluster-ctl.h. */

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controller/agent-client.h"
#include "controller/cluster-ctl.h"
#include "controller/uninstall.h"
#include "dirs.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* Exit status. */
enum {
    EXIT_OK = 0,
    EXIT_FAILED = 1,            /* Bad usage, or there is nobody to talk to. */
    EXIT_REFUSED = 2,           /* The agent answered with an error. */
};

/* For each step of "uninstall" where --timeout does not say otherwise, in seconds. */
#define UNINSTALL_TIMEOUT 10

struct ctl {
    const char *target;         /* NULL for the usual one. */
    bool json;
    const char *db;             /* NULL for the usual one. */
    const char *bridge;         /* NULL for the usual one. */
    const char *uplink_bridge;  /* NULL for the usual one. */
    unsigned int timeout;       /* In seconds, 0 for none. */
};

struct command {
    const char *name;
    const char *args;           /* For people. */
    int max_args;
    int (*handler)(const struct ctl *, const struct command *, int n_args, char *args[]);
    const char *agent_command;              /* Without argument. */
    const char *agent_command_with_arg;
    const char *help;
};

static int run_agent_command(const struct ctl *, const struct command *, int n_args, char *args[]);
static int run_version(const struct ctl *, const struct command *, int n_args, char *args[]);
static int run_uninstall(const struct ctl *, const struct command *, int n_args, char *args[]);

static const struct command commands[] = {
    {"show", "", 0, run_agent_command, "egress/show", NULL,
     "the node at a glance: connections, counts, problems"},
    {"ready", "", 0, run_agent_command, "egress/ready", NULL,
     "whether this node does its part, by the exit status; for probes"},
    {"routes", "", 0, run_agent_command, "route/list", NULL,
     "every policy's route: egress IP, gateway, state"},
    {"route", "NAME", 1, run_agent_command, NULL, "route/show",
     "one route: candidates, selected pods, why it is as it is"},
    {"pods", "", 0, run_agent_command, "pod/list", NULL,
     "this node's pods with the egress IPs they leave with"},
    {"pod", "NAMESPACE/NAME", 1, run_agent_command, NULL, "pod/show",
     "one pod: the policies that select it, which one wins and why"},
    {"flows", "[ROUTE|POD]", 1, run_agent_command, "flow/list", "flow/list",
     "our flows with their tables' names, or only those of one route or pod"},
    {"recompute", "", 0, run_agent_command, "recompute", NULL,
     "work everything out anew; says what that changed (nothing, if all is well)"},
    {"version", "", 0, run_version, NULL, NULL,
     "version of this program, and of the agent if it runs"},
    {"uninstall", "", 0, run_uninstall, NULL, NULL,
     "stop the agent, remove our flows, meters and ports from this node"},
};

static void OVS_NO_RETURN
usage(void)
{
    printf("%s: shows and explains what %s does on this node\n"
           "usage: %s [OPTION...] COMMAND [ARG...]\n"
           "\nCommands:\n", program_name, AGENT_PROGRAM, program_name);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct command *c = &commands[i];
        char *synopsis = xasprintf("%s %s", c->name, c->args);

        printf("  %-22s %s\n", synopsis, c->help);
        free(synopsis);
    }
    printf("\nOptions:\n"
           "  -t, --target=TARGET    the agent's control socket if TARGET begins with \"/\", else\n"
           "                         the name of its pidfile in %s\n"
           "                         (default: %s)\n"
           "      --json             answer in JSON, for programs\n"
           "  -T, --timeout=SECS     give up after SECS seconds (default: never; uninstall: %d\n"
           "                         for each of its steps)\n"
           "  -h, --help             this text\n"
           "  -V, --version          version of this program\n"
           "\nOptions of uninstall:\n"
           "      --db=DATABASE      Open vSwitch database (default: unix:%s/db.sock)\n"
           "      --bridge=BRIDGE    integration bridge (default: br-int)\n"
           "      --uplink-bridge=BRIDGE  bridge of the node's network card (default: br-phy)\n"
           "\nWhat starts the agent again (a DaemonSet, a service) has to go before uninstall.\n"
           "\nExit status: 0 if all is well, 1 if the command line is wrong or there is nobody to\n"
           "talk to, 2 if the agent answered with an error.\n",
           ovs_rundir(), AGENT_PROGRAM, UNINSTALL_TIMEOUT, ovs_rundir());
    exit(EXIT_OK);
}

/* Prints 's', and a line's end if it has none. */
static void
print_text(FILE *stream, const char *s)
{
    size_t n = strlen(s);

    fputs(s, stream);
    if (n && s[n - 1] != '\n') {
        putc('\n', stream);
    }
}

/* Has 'agent' run 'command' and prints what it answers.  Returns an exit status. */
static int
transact(struct agent_client *agent, const char *command, int argc, char *argv[])
{
    char *result, *refusal;
    int retval = unixctl_client_transact(agent->rpc, command, argc, argv, &result, &refusal);

    if (retval) {
        ovs_error(0, "%s: talking to %s failed (%s)",
                  agent->socket, AGENT_PROGRAM, ovs_retval_to_string(retval));
        return EXIT_FAILED;
    }

    int status = refusal ? EXIT_REFUSED : EXIT_OK;
    print_text(refusal ? stderr : stdout, refusal ? refusal : result);
    free(result);
    free(refusal);
    return status;
}

static int
run_agent_command(const struct ctl *ctl, const struct command *command, int n_args, char *args[])
{
    struct agent_client agent;
    char *error;

    if (agent_client_open(ctl->target, &agent, &error) != AGENT_CONNECTED) {
        ovs_error(0, "%s", error);
        free(error);
        return EXIT_FAILED;
    }

    static char json_arg[] = "--json";
    char *argv[2];
    int argc = 0;
    if (ctl->json) {
        argv[argc++] = json_arg;
    }
    if (n_args) {
        argv[argc++] = args[0];
    }
    int status = transact(&agent, n_args ? command->agent_command_with_arg : command->agent_command,
                          argc, argv);
    agent_client_close(&agent);
    return status;
}

/* Stores in '*versionp' what the agent says about its version, or NULL if it does not run.
 * Returns false and tells why if it does run, but does not say. */
static bool
get_agent_version(const struct ctl *ctl, char **versionp)
{
    struct agent_client agent;
    char *error, *refusal;

    *versionp = NULL;
    switch (agent_client_open(ctl->target, &agent, &error)) {
    case AGENT_NOT_RUNNING:
        free(error);
        return true;

    case AGENT_UNREACHABLE:
        ovs_error(0, "%s", error);
        free(error);
        return false;

    case AGENT_CONNECTED:
        break;
    }

    int retval = unixctl_client_transact(agent.rpc, "version", 0, NULL, versionp, &refusal);
    if (retval || refusal) {
        ovs_error(0, "%s: asking for the version failed (%s)", agent.socket,
                  retval ? ovs_retval_to_string(retval) : refusal);
        free(refusal);
    }
    agent_client_close(&agent);
    return *versionp != NULL;
}

/* From "PROGRAM VERSION" and whatever follows on further lines, VERSION. */
static struct json *
json_version_create(const char *text)
{
    size_t n = strcspn(text, "\n");
    const char *space = memchr(text, ' ', n);
    const char *version = space ? space + 1 : text;

    return json_string_create_nocopy(xmemdup0(version, text + n - version));
}

static int
run_version(const struct ctl *ctl, const struct command *command OVS_UNUSED,
            int n_args OVS_UNUSED, char *args[] OVS_UNUSED)
{
    char *agent_version;

    if (!get_agent_version(ctl, &agent_version)) {
        return EXIT_FAILED;
    }

    if (ctl->json) {
        struct json *json = json_object_create();

        json_object_put_string(json, "ovs-egressctl", OVS_EGRESS_VERSION);
        json_object_put(json, AGENT_PROGRAM, (agent_version
                                              ? json_version_create(agent_version)
                                              : json_null_create()));
        char *s = json_to_string(json, JSSF_SORT);
        print_text(stdout, s);
        free(s);
        json_destroy(json);
    } else {
        print_text(stdout, ovs_get_program_version());
        print_text(stdout, agent_version ? agent_version : AGENT_PROGRAM " is not running");
    }
    free(agent_version);
    return EXIT_OK;
}

static int
run_uninstall(const struct ctl *ctl, const struct command *command OVS_UNUSED,
              int n_args OVS_UNUSED, char *args[] OVS_UNUSED)
{
    char *default_db = xasprintf("unix:%s/db.sock", ovs_rundir());
    const struct uninstall_options options = {
        .target = ctl->target,
        .db = ctl->db ? ctl->db : default_db,
        .bridge = ctl->bridge ? ctl->bridge : "br-int",
        .uplink_bridge = ctl->uplink_bridge ? ctl->uplink_bridge : "br-phy",
        .timeout = (ctl->timeout ? ctl->timeout : UNINSTALL_TIMEOUT) * 1000LL,
    };
    struct ds report = DS_EMPTY_INITIALIZER;
    char *error = uninstall(&options, &report);

    fputs(ds_cstr(&report), stdout);
    if (error) {
        ovs_error(0, "%s", error);
    }
    int status = error ? EXIT_FAILED : EXIT_OK;
    ds_destroy(&report);
    free(error);
    free(default_db);
    return status;
}

static void
parse_timeout(const char *s, unsigned int *timeout)
{
    if (!str_to_uint(s, 10, timeout) || !*timeout) {
        ovs_fatal(0, "--timeout: \"%s\" is no number of seconds above 0", s);
    }
}

static void
parse_options(int argc, char *argv[], struct ctl *ctl)
{
    enum { OPT_JSON = UCHAR_MAX + 1, OPT_DB, OPT_BRIDGE, OPT_UPLINK_BRIDGE };
    static const struct option long_options[] = {
        {"target", required_argument, NULL, 't'},
        {"timeout", required_argument, NULL, 'T'},
        {"json", no_argument, NULL, OPT_JSON},
        {"db", required_argument, NULL, OPT_DB},
        {"bridge", required_argument, NULL, OPT_BRIDGE},
        {"uplink-bridge", required_argument, NULL, OPT_UPLINK_BRIDGE},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "t:T:hV", long_options, NULL)) != -1) {
        switch (c) {
        case 't': ctl->target = optarg; break;
        case 'T': parse_timeout(optarg, &ctl->timeout); break;
        case OPT_JSON: ctl->json = true; break;
        case OPT_DB: ctl->db = optarg; break;
        case OPT_BRIDGE: ctl->bridge = optarg; break;
        case OPT_UPLINK_BRIDGE: ctl->uplink_bridge = optarg; break;
        case 'h': usage();
        case 'V':
            print_text(stdout, ovs_get_program_version());
            exit(EXIT_OK);
        default:
            exit(EXIT_FAILED);
        }
    }
}

/* Finds the command that the rest of the command line asks for and checks it, or exits. */
static const struct command *
parse_command(const struct ctl *ctl, int argc, char *argv[])
{
    const struct command *command = NULL;

    if (argc < 1) {
        ovs_fatal(0, "no command (--help lists them)");
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        if (!strcmp(argv[0], commands[i].name)) {
            command = &commands[i];
        }
    }
    if (!command) {
        ovs_fatal(0, "unknown command \"%s\" (--help lists them)", argv[0]);
    }

    bool needs_arg = !command->agent_command && command->agent_command_with_arg;
    if (argc - 1 < needs_arg) {
        ovs_fatal(0, "\"%s\" needs an argument: %s", command->name, command->args);
    }
    if (argc - 1 > command->max_args) {
        ovs_fatal(0, "\"%s\" takes %s (\"%s\" is too much)", command->name,
                  command->max_args ? "one argument" : "no argument", argv[1 + command->max_args]);
    }

    bool is_uninstall = command->handler == run_uninstall;
    if ((ctl->db || ctl->bridge || ctl->uplink_bridge) && !is_uninstall) {
        ovs_fatal(0, "--db, --bridge and --uplink-bridge are for \"uninstall\" alone");
    }
    if (ctl->json && is_uninstall) {
        ovs_fatal(0, "\"uninstall\" does not know --json");
    }
    return command;
}

int
main(int argc, char *argv[])
{
    struct ctl ctl = { .target = NULL };

    ovs_set_program_name(argv[0], OVS_EGRESS_VERSION);
    /* What goes wrong is said in the messages of this program. */
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);

    if (!strcmp(program_name, CLUSTER_CTL_NAME)) {
        return cluster_ctl_main(argc, argv);
    }
    parse_options(argc, argv, &ctl);
    const struct command *command = parse_command(&ctl, argc - optind, argv + optind);
    if (ctl.timeout && command->handler != run_uninstall) {
        time_alarm(ctl.timeout);
    }
    return command->handler(&ctl, command, argc - optind - 1, argv + optind + 1);
}
