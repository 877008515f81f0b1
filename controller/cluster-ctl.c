#include <config.h>
#include "controller/cluster-ctl.h"

#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "controller/agent-answer.h"
#include "controller/cluster-reader.h"
#include "controller/cluster-show.h"
#include "timeval.h"
#include "util.h"

/* How long it may take altogether where --timeout does not say otherwise, in seconds. */
#define DEFAULT_TIMEOUT 60

struct cluster_ctl {
    const char *kubeconfig;     /* NULL for what kubectl would take. */
    const char *context;        /* NULL for the current one. */
    bool json;
    unsigned int timeout;       /* In seconds. */
};

struct cluster_command {
    const char *name;
    const char *arg;            /* For people; NULL if it takes none. */
    char *(*show)(struct cluster_reader *, const char *arg, struct answer *);
    const char *help;
};

static const struct cluster_command commands[] = {
    {"status", NULL, cluster_show_status, "the cluster at a glance: routes, gateways, pools, problems"},
    {"routes", NULL, cluster_show_routes, "every policy's route: egress IP, gateway, state"},
    {"route", "NAME", cluster_show_route, "one route: candidates, why it is as it is"},
    {"pod", "[NAMESPACE/]NAME", cluster_show_pod, "one pod: the policies that select it, which one wins and why"},
    {"nodes", NULL, cluster_show_nodes, "every node: whether it could be a gateway, its egress IPs"},
};

static void OVS_NO_RETURN
usage(void)
{
    printf("%s: shows and explains who leaves the cluster with which egress IP\n"
           "usage: kubectl egress [OPTION...] COMMAND [ARG...]\n"
           "\nCommands:\n", program_name);
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct cluster_command *c = &commands[i];
        char *synopsis = xasprintf("%s %s", c->name, c->arg ? c->arg : "");

        printf("  %-22s %s\n", synopsis, c->help);
        free(synopsis);
    }
    printf("\nOptions:\n"
           "      --kubeconfig=FILE  who asks whom (default: $KUBECONFIG, ~/.kube/config, or what a\n"
           "                         pod has)\n"
           "      --context=NAME     that context of the kubeconfig\n"
           "      --json             answer in JSON, for programs\n"
           "  -T, --timeout=SECS     give up after SECS seconds (default: %d)\n"
           "  -h, --help             this text\n"
           "  -V, --version          version of this program\n"
           "\nIt only reads, with the user's own rights.\n", DEFAULT_TIMEOUT);
    exit(EXIT_SUCCESS);
}

static void
parse_options(int argc, char *argv[], struct cluster_ctl *ctl)
{
    enum { OPT_KUBECONFIG = UCHAR_MAX + 1, OPT_CONTEXT, OPT_JSON };
    static const struct option long_options[] = {
        {"kubeconfig", required_argument, NULL, OPT_KUBECONFIG},
        {"context", required_argument, NULL, OPT_CONTEXT},
        {"json", no_argument, NULL, OPT_JSON},
        {"timeout", required_argument, NULL, 'T'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "T:hV", long_options, NULL)) != -1) {
        switch (c) {
        case OPT_KUBECONFIG: ctl->kubeconfig = optarg; break;
        case OPT_CONTEXT: ctl->context = optarg; break;
        case OPT_JSON: ctl->json = true; break;
        case 'T':
            if (!str_to_uint(optarg, 10, &ctl->timeout) || !ctl->timeout) {
                ovs_fatal(0, "--timeout: \"%s\" is no number of seconds above 0", optarg);
            }
            break;
        case 'h': usage();
        case 'V':
            puts(ovs_get_program_version());
            exit(EXIT_SUCCESS);
        default:
            exit(EXIT_FAILURE);
        }
    }
}

/* Finds the command that the rest of the command line asks for and checks it, or exits. */
static const struct cluster_command *
parse_command(int argc, char *argv[])
{
    if (argc < 1) {
        ovs_fatal(0, "no command (--help lists them)");
    }
    for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
        const struct cluster_command *command = &commands[i];

        if (!strcmp(argv[0], command->name)) {
            if (command->arg && argc < 2) {
                ovs_fatal(0, "\"%s\" needs an argument: %s", command->name, command->arg);
            } else if (argc - 1 > (command->arg != NULL)) {
                ovs_fatal(0, "\"%s\" is too much for \"%s\"", argv[argc - 1], command->name);
            }
            return command;
        }
    }
    ovs_fatal(0, "unknown command \"%s\" (--help lists them)", argv[0]);
}

/* Returns an exit status: 0 if all is well, else 1. */
int
cluster_ctl_main(int argc, char *argv[])
{
    struct cluster_ctl ctl = { .timeout = DEFAULT_TIMEOUT };
    struct cluster_reader reader;
    struct answer answer;

    parse_options(argc, argv, &ctl);
    const struct cluster_command *command = parse_command(argc - optind, argv + optind);
    time_alarm(ctl.timeout);

    char *error = cluster_reader_open(&reader, ctl.kubeconfig, ctl.context);
    if (error) {
        ovs_fatal(0, "%s", error);
    }
    answer_begin(&answer, ctl.json);
    error = command->show(&reader, command->arg ? argv[optind + 1] : NULL, &answer);
    char *text = answer_finish(&answer);
    if (error) {
        ovs_error(0, "%s", error);
    } else {
        printf("%s%s", text, ctl.json ? "\n" : "");
    }
    int status = error ? EXIT_FAILURE : EXIT_SUCCESS;
    free(text);
    free(error);
    cluster_reader_close(&reader);
    return status;
}
