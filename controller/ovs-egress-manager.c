/* ovs-egress-manager: decides for the cluster; a few replicas, of which one leads. */

#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command-line.h"
#include "controller/manager.h"
#include "daemon.h"
#include "fatal-signal.h"
#include "latch.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "signals.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* How long giving the Lease back may take at the end: others wait longer for one that is not given back.  Less than
 * the terminationGracePeriodSeconds of deploy/manager.yaml. */
#define RELEASE_TIMEOUT_MS 8000

enum {
    OPT_KUBECONFIG = UCHAR_MAX + 1, OPT_IDENTITY, OPT_LEASE_NAMESPACE, OPT_LEASE_NAME, OPT_NODE_LEASE_NAMESPACE,
    OPT_LEASE_DURATION, OPT_RENEW_DEADLINE, OPT_RETRY_PERIOD, OPT_METRICS, OPT_UNIXCTL,
    VLOG_OPTION_ENUMS, DAEMON_OPTION_ENUMS,
};

OVS_NO_RETURN static void
usage(void)
{
    printf("%s: decides which egress IPs and gateways a cluster's egress policies get\n"
           "usage: %s [OPTIONS]\n"
           "\n"
           "  --kubeconfig=FILE        how to reach the API server (default: as a pod in the cluster)\n"
           "  --identity=NAME          this replica's name in the Lease (default: the host name)\n"
           "  --lease-namespace=NAME   where the Lease is (default: ovs-egress)\n"
           "  --lease-name=NAME        the Lease (default: ovs-egress-manager)\n"
           "  --node-lease-namespace=NAME  where agents tell whether their nodes can be gateways\n"
           "                           (default: ovs-egress-nodes)\n"
           "  --lease-duration=S       after which others take over (default: 15)\n"
           "  --renew-deadline=S       after which the leader gives up (default: 10)\n"
           "  --retry-period=S         between attempts (default: 2)\n"
           "  --metrics=[ADDRESS:]PORT serve metrics and probes over HTTP; by default on the loopback\n"
           "                           address alone, with * on all\n", program_name, program_name);
    daemon_usage();
    vlog_usage();
    printf("\nOther options:\n"
           "  --unixctl=SOCKET         override default control socket name\n"
           "  -h, --help               display this help message\n"
           "  -V, --version            display version information\n");
    exit(EXIT_SUCCESS);
}

static int
parse_seconds(const char *option, const char *value)
{
    unsigned int seconds;

    if (!str_to_uint(value, 10, &seconds) || seconds < 1 || seconds > 3600) {
        ovs_fatal(0, "--%s: \"%s\" is no number of seconds from 1 to 3600", option, value);
    }
    return seconds * 1000;
}

static void
replace_string(char **string, const char *value)
{
    free(*string);
    *string = xstrdup(value);
}

static void
parse_options(int argc, char *argv[], struct manager_options *o, char **unixctl_path)
{
    static const struct option long_options[] = {
        {"kubeconfig", required_argument, NULL, OPT_KUBECONFIG},
        {"identity", required_argument, NULL, OPT_IDENTITY},
        {"lease-namespace", required_argument, NULL, OPT_LEASE_NAMESPACE},
        {"lease-name", required_argument, NULL, OPT_LEASE_NAME},
        {"node-lease-namespace", required_argument, NULL, OPT_NODE_LEASE_NAMESPACE},
        {"lease-duration", required_argument, NULL, OPT_LEASE_DURATION},
        {"renew-deadline", required_argument, NULL, OPT_RENEW_DEADLINE},
        {"retry-period", required_argument, NULL, OPT_RETRY_PERIOD},
        {"metrics", required_argument, NULL, OPT_METRICS},
        {"unixctl", required_argument, NULL, OPT_UNIXCTL},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        VLOG_LONG_OPTIONS,
        DAEMON_LONG_OPTIONS,
        {NULL, 0, NULL, 0},
    };
    char *short_options = ovs_cmdl_long_options_to_short_options(long_options);
    int c, index;

    while ((c = getopt_long(argc, argv, short_options, long_options, &index)) != -1) {
        switch (c) {
        case OPT_KUBECONFIG: replace_string(&o->kubeconfig, optarg); break;
        case OPT_IDENTITY: replace_string(&o->identity, optarg); break;
        case OPT_LEASE_NAMESPACE: replace_string(&o->lease_namespace, optarg); break;
        case OPT_LEASE_NAME: replace_string(&o->lease_name, optarg); break;
        case OPT_NODE_LEASE_NAMESPACE: replace_string(&o->node_lease_namespace, optarg); break;
        case OPT_LEASE_DURATION:
            o->lease_duration_ms = parse_seconds("lease-duration", optarg);
            break;
        case OPT_RENEW_DEADLINE:
            o->renew_deadline_ms = parse_seconds("renew-deadline", optarg);
            break;
        case OPT_RETRY_PERIOD:
            o->retry_ms = parse_seconds("retry-period", optarg);
            break;
        case OPT_METRICS: replace_string(&o->metrics, optarg); break;
        case OPT_UNIXCTL: replace_string(unixctl_path, optarg); break;
        case 'h':
            usage();
        case 'V':
            printf("%s (ovs-egress) %s\n", program_name, OVS_EGRESS_VERSION);
            exit(EXIT_SUCCESS);
        VLOG_OPTION_HANDLERS
        DAEMON_OPTION_HANDLERS
        default:
            exit(EXIT_FAILURE);
        }
    }
    free(short_options);
    if (optind < argc) {
        ovs_fatal(0, "no arguments are taken, only options; use --help for usage");
    }
}

static void
default_identity(struct manager_options *o)
{
    char host[256];

    if (!o->identity) {
        if (gethostname(host, sizeof host)) {
            ovs_fatal(errno, "this host's name is not to be had, use --identity");
        }
        host[sizeof host - 1] = '\0';
        /* Two on one host are two. */
        o->identity = xasprintf("%s_%ld", host, (long int) getpid());
    }
}

/* Set when it is time to end. */
static struct latch exiting;

static void
unixctl_exit(struct unixctl_conn *conn, int argc OVS_UNUSED, const char *argv[] OVS_UNUSED,
             void *aux OVS_UNUSED)
{
    latch_set(&exiting);
    unixctl_command_reply(conn, NULL);
}

static void
exit_on_signal(int number OVS_UNUSED)
{
    latch_set(&exiting);
}

/* A kubelet ends a container with SIGTERM.  The usual end of a daemon by a signal would leave the Lease to run out. */
static void
catch_signals(void)
{
    struct sigaction action = { .sa_handler = exit_on_signal };

    latch_init(&exiting);
    sigemptyset(&action.sa_mask);
    xsigaction(SIGTERM, &action, NULL);
    xsigaction(SIGINT, &action, NULL);
}

/* Runs on for the time that giving the Lease back takes. */
static void
hand_over(struct manager *manager)
{
    long long int deadline = time_msec() + RELEASE_TIMEOUT_MS;

    manager_release(manager);
    while (!manager_is_released(manager) && time_msec() < deadline) {
        manager_run(manager);
        manager_wait(manager);
        poll_timer_wait_until(deadline);
        poll_block();
    }
}

int
main(int argc, char *argv[])
{
    struct manager_options options = {
        .lease_namespace = xstrdup("ovs-egress"), .lease_name = xstrdup("ovs-egress-manager"),
        .node_lease_namespace = xstrdup("ovs-egress-nodes"),
    };
    struct unixctl_server *unixctl;
    char *unixctl_path = NULL;
    struct manager *manager;
    char *error = NULL;
    int retval;

    ovs_set_program_name(argv[0], OVS_EGRESS_VERSION);
    service_start(&argc, &argv);
    parse_options(argc, argv, &options, &unixctl_path);
    fatal_ignore_sigpipe();

    daemonize_start(false);
    default_identity(&options);
    retval = unixctl_server_create(unixctl_path, &unixctl);
    if (retval) {
        exit(EXIT_FAILURE);
    }
    catch_signals();
    unixctl_command_register("exit", "", 0, 0, unixctl_exit, NULL);
    manager = manager_create(&options, &error);
    if (!manager) {
        ovs_fatal(0, "%s", error);
    }
    daemonize_complete();

    while (!latch_is_set(&exiting)) {
        manager_run(manager);
        unixctl_server_run(unixctl);

        manager_wait(manager);
        unixctl_server_wait(unixctl);
        latch_wait(&exiting);
        poll_block();
    }
    hand_over(manager);
    manager_destroy(manager);
    unixctl_server_destroy(unixctl);
    latch_destroy(&exiting);
    free(options.kubeconfig);
    free(options.identity);
    free(options.lease_namespace);
    free(options.lease_name);
    free(options.node_lease_namespace);
    free(options.metrics);
    free(unixctl_path);
    return EXIT_SUCCESS;
}
