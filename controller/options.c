#include <config.h>
#include "controller/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "command-line.h"
#include "daemon.h"
#include "dirs.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "pipeline/tables.h"
#include "stream-ssl.h"
#include "stream.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_options);

/* Not Geneve's own port 6081 (IANA): that is the CNI's, and a port of the CNI's with an explicit
 * remote_ip would capture our packets. */
#define DEFAULT_TUNNEL_DST_PORT 6082
#define DEFAULT_TABLE_BASE      200
#define DEFAULT_HOOK_PRIORITY   60000

/* As a kubelet's own Lease. */
#define DEFAULT_LEASE_DURATION_S 40
#define DEFAULT_LEASE_NAMESPACE "ovs-egress-nodes"

enum {
    OPT_NODE = UCHAR_MAX + 1, OPT_SOURCE, OPT_STATE_DIR, OPT_LEASE_NAMESPACE, OPT_LEASE_DURATION, OPT_BRIDGE, OPT_TABLE_BASE, OPT_HOOK_TABLE,
    OPT_HOOK_PRIORITY, OPT_HOOK_MATCH, OPT_REPLY_PORT, OPT_REPLY_TABLE, OPT_UPLINK_BRIDGE, OPT_TUNNEL_DST_PORT,
    OPT_CLUSTER_CIDR, OPT_EXCEPT_CIDR, OPT_METRICS, OPT_UNIXCTL,
    VLOG_OPTION_ENUMS, DAEMON_OPTION_ENUMS, SSL_OPTION_ENUMS,
};

OVS_NO_RETURN static void
usage(void)
{
    printf("%s: egress gateway agent for Kubernetes nodes on Open vSwitch\n"
           "usage: %s [OPTIONS] [DATABASE]\n"
           "where DATABASE is a socket on which ovsdb-server is listening\n"
           "      (default: \"unix:%s/db.sock\").\n"
           "\n"
           "What to do, and on whose behalf:\n"
           "  --node=NAME              this node's name in Kubernetes (default: the host name)\n"
           "  --source=dir:PATH        manifests: nodes, namespaces, pods and policies\n"
           "  --source=kube[:CONFIG]   the API server of the cluster that this runs in, or of a\n"
           "                           kubeconfig file; one of the two is required\n"
           "  --state-dir=DIR          where to keep what the API server said last, for a start\n"
           "                           without it (default: %s)\n"
           "  --lease-namespace=NAME   where the Lease is by which the manager knows that this node can\n"
           "                           be a gateway (default: %s)\n"
           "  --lease-duration=S       for how long that is good without being renewed (default: %d)\n"
           "  --cluster-cidr=CIDR      inside the cluster, e.g. services; repeatable.  Node addresses\n"
           "                           and the nodes' pod CIDRs need not be named\n"
           "  --except-cidr=CIDR       outside, but never by an egress IP; repeatable\n"
           "  --metrics=[ADDRESS:]PORT serve metrics and probes over HTTP; by default on the loopback\n"
           "                           address alone, with * on all\n"
           "\n"
           "How to live with the CNI:\n"
           "  --bridge=BRIDGE          integration bridge (default: br-int)\n"
           "  --uplink-bridge=BRIDGE   bridge of the node's network card (default: br-phy)\n"
           "  --table-base=N           first of the %d tables that are ours (default: %d)\n"
           "  --hook-table=N           the CNI's table that pod traffic reaches after policy (required)\n"
           "  --hook-priority=N        of our flows in the CNI's tables (default: %d)\n"
           "  --hook-match=MATCH       what to take there, e.g. ct_state=-rpl+trk (default: everything)\n"
           "  --reply-port=PORT        the CNI's gateway port, by which replies enter (default: gw0)\n"
           "  --reply-table=N          the CNI's table where they do (default: 0)\n"
           "  --tunnel-dst-port=PORT   UDP port of our Geneve tunnel (default: %d)\n",
           program_name, program_name, ovs_rundir(), ovs_rundir(), DEFAULT_LEASE_NAMESPACE,
           DEFAULT_LEASE_DURATION_S, EGRESS_N_TABLES, DEFAULT_TABLE_BASE, DEFAULT_HOOK_PRIORITY, DEFAULT_TUNNEL_DST_PORT);
    daemon_usage();
    vlog_usage();
    stream_usage("DATABASE", true, false, false);
    printf("\nOther options:\n"
           "  --unixctl=SOCKET         override default control socket name\n"
           "  -h, --help               display this help message\n"
           "  -V, --version            display version information\n");
    exit(EXIT_SUCCESS);
}

static unsigned int
parse_number(const char *option, const char *value, unsigned int min, unsigned int max)
{
    char *end;
    unsigned long int number = strtoul(value, &end, 10);

    if (!*value || *end || *value == '-' || number < min || number > max) {
        ovs_fatal(0, "--%s: \"%s\" is no number from %u to %u", option, value, min, max);
    }
    return number;
}

static void
parse_hook_match(const char *value, struct match *match)
{
    enum ofputil_protocol usable;
    struct ofputil_flow_mod fm;
    char *error = parse_ofp_str(&fm, OFPFC_DELETE, value, NULL, NULL, &usable);

    if (error) {
        ovs_fatal(0, "--hook-match: \"%s\": %s", value, error);
    }
    minimatch_expand(&fm.match, match);
    minimatch_destroy(&fm.match);
    free(fm.ofpacts);

    if (fm.table_id != OFPTT_ALL || fm.priority != OFP_DEFAULT_PRIORITY || fm.cookie_mask
        || fm.out_port != OFPP_ANY || fm.out_group != OFPG_ANY) {
        ovs_fatal(0, "--hook-match: \"%s\": only fields of packets are matched here", value);
    }
    if (match->wc.masks.dl_type && match->flow.dl_type != htons(ETH_TYPE_IP)
        && match->flow.dl_type != htons(ETH_TYPE_IPV6)) {
        ovs_fatal(0, "--hook-match: \"%s\": matches neither IPv4 nor IPv6 packets", value);
    }
    if (match->wc.masks.tunnel.gbp_flags) {
        ovs_fatal(0, "--hook-match: \"%s\": tun_gbp_flags is ours, to tell packets that were handed back",
                  value);
    }
}

static void
add_internal(struct agent_options *o, const char *option, const char *value)
{
    struct ip_prefix prefix;
    char *error = ip_parse_prefix(value, &prefix);

    if (error) {
        ovs_fatal(0, "--%s: %s", option, error);
    }
    o->internal = xrealloc(o->internal, (o->n_internal + 1) * sizeof *o->internal);
    o->internal[o->n_internal++] = prefix;
}

static char *
host_name(void)
{
    char name[256];

    if (gethostname(name, sizeof name)) {
        ovs_fatal(errno, "this host's name is not to be had, use --node");
    }
    name[sizeof name - 1] = '\0';
    return xstrdup(name);
}

static void
replace_string(char **string, const char *value)
{
    free(*string);
    *string = xstrdup(value);
}

/* Handles one option of ours; 'name' is its long name. */
static void
parse_own_option(struct agent_options *o, int c, const char *name, const char *value)
{
    switch (c) {
    case OPT_NODE:
        replace_string(&o->node, value);
        break;
    case OPT_SOURCE:
        replace_string(&o->source, value);
        break;
    case OPT_STATE_DIR:
        replace_string(&o->state_dir, value);
        break;
    case OPT_LEASE_NAMESPACE:
        replace_string(&o->lease_namespace, value);
        break;
    case OPT_LEASE_DURATION:
        o->lease_duration_s = parse_number(name, value, 4, 3600);
        break;
    case OPT_BRIDGE:
        replace_string(&o->bridge, value);
        break;
    case OPT_UPLINK_BRIDGE:
        replace_string(&o->uplink_bridge, value);
        break;
    case OPT_REPLY_PORT:
        replace_string(&o->reply_port, value);
        break;
    case OPT_TABLE_BASE:
        o->table_base = parse_number(name, value, 1, 254 - EGRESS_N_TABLES);
        break;
    case OPT_HOOK_TABLE:
        o->hook_table = parse_number(name, value, 0, 253);
        break;
    case OPT_HOOK_PRIORITY:
        o->hook_priority = parse_number(name, value, 1, UINT16_MAX - 1);    /* One more is used, too. */
        break;
    case OPT_HOOK_MATCH:
        parse_hook_match(value, &o->hook_match);
        break;
    case OPT_REPLY_TABLE:
        o->reply_table = parse_number(name, value, 0, 253);
        break;
    case OPT_TUNNEL_DST_PORT:
        o->tunnel_dst_port = parse_number(name, value, 1, UINT16_MAX);
        break;
    case OPT_METRICS:
        replace_string(&o->metrics, value);
        break;
    case OPT_CLUSTER_CIDR:
    case OPT_EXCEPT_CIDR:
        add_internal(o, name, value);
        break;
    default:
        OVS_NOT_REACHED();
    }
}

static void
check_foreign_table(const struct agent_options *o, const char *option, uint8_t table)
{
    if (table >= o->table_base && table < o->table_base + EGRESS_N_TABLES) {
        ovs_fatal(0, "--%s: %d is one of our own tables %d to %d", option, table, o->table_base,
                  o->table_base + EGRESS_N_TABLES - 1);
    }
}

static void
check_options(struct agent_options *o, bool hook_table_given)
{
    if (!o->source) {
        ovs_fatal(0, "--source is required, e.g. --source=kube or --source=dir:/etc/ovs-egress");
    }
    if (!hook_table_given) {
        ovs_fatal(0, "--hook-table is required: the CNI's table that pod traffic reaches after "
                  "its network policy");
    }
    check_foreign_table(o, "hook-table", o->hook_table);
    check_foreign_table(o, "reply-table", o->reply_table);
    if (!o->node) {
        o->node = host_name();
    }
    if (!o->state_dir) {
        o->state_dir = xstrdup(ovs_rundir());
    }
    if (!o->database) {
        o->database = xasprintf("unix:%s/db.sock", ovs_rundir());
    }
}

/* Fills in 'o', which the caller destroys with agent_options_destroy(), from the command line.
 * Ends the program if that has an error or only asks for information. */
void
agent_options_parse(int argc, char *argv[], struct agent_options *o)
{
    static const struct option long_options[] = {
        {"node", required_argument, NULL, OPT_NODE},
        {"source", required_argument, NULL, OPT_SOURCE},
        {"state-dir", required_argument, NULL, OPT_STATE_DIR},
        {"lease-namespace", required_argument, NULL, OPT_LEASE_NAMESPACE},
        {"lease-duration", required_argument, NULL, OPT_LEASE_DURATION},
        {"bridge", required_argument, NULL, OPT_BRIDGE},
        {"table-base", required_argument, NULL, OPT_TABLE_BASE},
        {"hook-table", required_argument, NULL, OPT_HOOK_TABLE},
        {"hook-priority", required_argument, NULL, OPT_HOOK_PRIORITY},
        {"hook-match", required_argument, NULL, OPT_HOOK_MATCH},
        {"reply-port", required_argument, NULL, OPT_REPLY_PORT},
        {"reply-table", required_argument, NULL, OPT_REPLY_TABLE},
        {"uplink-bridge", required_argument, NULL, OPT_UPLINK_BRIDGE},
        {"tunnel-dst-port", required_argument, NULL, OPT_TUNNEL_DST_PORT},
        {"cluster-cidr", required_argument, NULL, OPT_CLUSTER_CIDR},
        {"except-cidr", required_argument, NULL, OPT_EXCEPT_CIDR},
        {"metrics", required_argument, NULL, OPT_METRICS},
        {"unixctl", required_argument, NULL, OPT_UNIXCTL},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'V'},
        VLOG_LONG_OPTIONS,
        DAEMON_LONG_OPTIONS,
        STREAM_SSL_LONG_OPTIONS,
        {NULL, 0, NULL, 0},
    };
    char *short_options = ovs_cmdl_long_options_to_short_options(long_options);
    bool hook_table_given = false;
    int index;
    int c;

    *o = (struct agent_options) {
        .bridge = xstrdup("br-int"), .uplink_bridge = xstrdup("br-phy"), .reply_port = xstrdup("gw0"),
        .table_base = DEFAULT_TABLE_BASE, .hook_priority = DEFAULT_HOOK_PRIORITY,
        .tunnel_dst_port = DEFAULT_TUNNEL_DST_PORT, .lease_namespace = xstrdup(DEFAULT_LEASE_NAMESPACE),
        .lease_duration_s = DEFAULT_LEASE_DURATION_S,
    };
    match_init_catchall(&o->hook_match);

    while ((c = getopt_long(argc, argv, short_options, long_options, &index)) != -1) {
        switch (c) {
        case 'h':
            usage();
        case 'V':
            printf("%s (ovs-egress) %s\n", program_name, OVS_EGRESS_VERSION);
            exit(EXIT_SUCCESS);
        case OPT_UNIXCTL:
            replace_string(&o->unixctl, optarg);
            break;
        VLOG_OPTION_HANDLERS
        DAEMON_OPTION_HANDLERS
        STREAM_SSL_OPTION_HANDLERS
        case '?':
            exit(EXIT_FAILURE);
        default:
            hook_table_given = hook_table_given || c == OPT_HOOK_TABLE;
            parse_own_option(o, c, long_options[index].name, optarg);
            break;
        }
    }
    free(short_options);

    if (argc - optind > 1) {
        ovs_fatal(0, "at most one argument is taken, the DATABASE; use --help for usage");
    } else if (optind < argc) {
        replace_string(&o->database, argv[optind]);
    }
    check_options(o, hook_table_given);
}

void
agent_options_destroy(struct agent_options *o)
{
    free(o->database);
    free(o->node);
    free(o->source);
    free(o->state_dir);
    free(o->lease_namespace);
    free(o->bridge);
    free(o->uplink_bridge);
    free(o->reply_port);
    free(o->metrics);
    free(o->unixctl);
    free(o->internal);
}
