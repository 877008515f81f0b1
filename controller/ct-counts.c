#include <config.h>
#include "controller/ct-counts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "dirs.h"
#include "hash.h"
#include "jsonrpc.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "openvswitch/json.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "socket-util.h"
#include "stream.h"
#include "sset.h"
#include "svec.h"
#include "unixctl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_ct_counts);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

/* How long ovs-vswitchd may take for an answer. */
#define PATIENCE_MS 2000

/* "0", which is said to be unlimited, lets no connection through (Open vSwitch 3.1). */
#define NEVER_REACHED UINT32_MAX

struct zone {
    struct hmap_node node;      /* In 'zones' of struct ct_counts, by hash_int(id). */
    uint16_t id;
    bool limited, known;
    uint32_t count;
};

struct ct_counts {
    struct hmap zones;
    char *datapath;             /* As dpctl names it. */

    struct jsonrpc *rpc;        /* NULL unless ovs-vswitchd is being asked. */
    struct json *request_id;    /* Of the request that is under way. */
    bool limiting;              /* It sets limits, or else reads counts. */
    long long int deadline;
};

struct ct_counts *
ct_counts_create(void)
{
    struct ct_counts *counts = xzalloc(sizeof *counts);

    hmap_init(&counts->zones);
    return counts;
}

static void
hang_up(struct ct_counts *counts)
{
    jsonrpc_close(counts->rpc);
    counts->rpc = NULL;
    json_destroy(counts->request_id);
    counts->request_id = NULL;
}

static void
clear_zones(struct ct_counts *counts)
{
    struct zone *zone;

    HMAP_FOR_EACH_POP (zone, node, &counts->zones) {
        free(zone);
    }
}

/* 'counts' may be NULL.  The limits stay. */
void
ct_counts_destroy(struct ct_counts *counts)
{
    if (counts) {
        hang_up(counts);
        clear_zones(counts);
        hmap_destroy(&counts->zones);
        free(counts->datapath);
        free(counts);
    }
}

static struct zone *
find_zone(const struct ct_counts *counts, uint16_t id)
{
    struct zone *zone;

    HMAP_FOR_EACH_WITH_HASH (zone, node, hash_int(id, 0), &counts->zones) {
        if (zone->id == id) {
            return zone;
        }
    }
    return NULL;
}

/* Makes 'zones', in which one may be more than once, those that matter.  What is known of any of them is forgotten until
 * the next ct_counts_refresh(). */
void
ct_counts_set_zones(struct ct_counts *counts, const uint16_t *zones, size_t n)
{
    hang_up(counts);
    clear_zones(counts);
    for (size_t i = 0; i < n; i++) {
        if (!find_zone(counts, zones[i])) {
            struct zone *zone = xzalloc(sizeof *zone);

            zone->id = zones[i];
            hmap_insert(&counts->zones, &zone->node, hash_int(zone->id, 0));
        }
    }
}

/* Asking. */

/* Stores in '*path' the socket of the ovs-vswitchd of this node, or returns an errno.  What is in the pidfile is also in the
 * socket's name, even if ovs-vswitchd runs where processes have other numbers than here. */
static int
find_vswitchd(char **path)
{
    char *pidfile = xasprintf("%s/ovs-vswitchd.pid", ovs_rundir());
    FILE *file = fopen(pidfile, "r");
    int error = file ? 0 : errno;
    long int pid;

    *path = NULL;
    if (file) {
        if (fscanf(file, "%ld", &pid) == 1) {
            *path = xasprintf("%s/ovs-vswitchd.%ld.ctl", ovs_rundir(), pid);
        } else {
            error = EINVAL;
        }
        fclose(file);
    }
    free(pidfile);
    return error;
}

static void
fail(struct ct_counts *counts, const char *what, const char *why)
{
    struct zone *zone;

    VLOG_INFO_RL(&rl, "ovs-vswitchd does not tell how many connections there are: %s: %s", what, why);
    HMAP_FOR_EACH (zone, node, &counts->zones) {
        zone->known = false;
    }
    hang_up(counts);
}

static struct json *
start_params(const struct ct_counts *counts)
{
    return json_array_create_1(json_string_create(counts->datapath));
}

static void
request(struct ct_counts *counts, const char *command, struct json *params)
{
    json_destroy(counts->request_id);
    counts->request_id = NULL;
    int error = jsonrpc_send(counts->rpc, jsonrpc_create_request(command, params, &counts->request_id));
    if (error) {
        fail(counts, command, ovs_retval_to_string(error));
    }
}

/* Begins to ask, unless that is under way.  'datapath_type' is that of the bridge, and no kernel's. */
void
ct_counts_refresh(struct ct_counts *counts, const char *datapath_type, long long int now)
{
    struct stream *stream;
    char *path;

    if (counts->rpc || hmap_is_empty(&counts->zones)) {
        return;
    }
    free(counts->datapath);
    counts->datapath = xasprintf("%s@ovs-%s", datapath_type, datapath_type);
    int error = find_vswitchd(&path);
    if (!error) {
        char *name = xasprintf("unix:%s", path);

        error = stream_open(name, &stream, DSCP_DEFAULT);
        free(name);
    }
    free(path);
    if (error) {
        fail(counts, "connecting", ovs_strerror(error));
        return;
    }
    counts->rpc = jsonrpc_open(stream);
    counts->deadline = now + PATIENCE_MS;
    counts->limiting = false;
    request(counts, "dpctl/ct-get-limits", start_params(counts));
}

/* Is the answer to ct_counts_refresh() yet to come? */
bool
ct_counts_is_busy(const struct ct_counts *counts)
{
    return counts->rpc != NULL;
}

/* Stores in '*count' how many connections there were in 'zone' when ovs-vswitchd was asked last.  Returns false if that
 * is not known. */
bool
ct_counts_get(const struct ct_counts *counts, uint16_t zone_id, uint32_t *count)
{
    const struct zone *zone = find_zone(counts, zone_id);

    if (!zone || !zone->known) {
        return false;
    }
    *count = zone->count;
    return true;
}

/* Answers. */

/* Takes ovs-vswitchd's "default limit=LIMIT" and for each zone that has one "zone=ZONE,limit=LIMIT,count=COUNT", a line
 * each.  Returns the default limit, 0 if there is none. */
static uint32_t
take_limits(struct ct_counts *counts, const char *text)
{
    uint32_t default_limit = 0;
    struct zone *zone;

    HMAP_FOR_EACH (zone, node, &counts->zones) {
        zone->limited = false;
    }
    for (const char *line = text; line; line = strchr(line, '\n')) {
        uint32_t limit, count;
        uint16_t id;

        line += *line == '\n';
        if (ovs_scan(line, "zone=%"SCNu16",limit=%"SCNu32",count=%"SCNu32, &id, &limit, &count)) {
            zone = find_zone(counts, id);
            if (zone) {
                zone->limited = zone->known = true;
                zone->count = count;
            }
        } else if (ovs_scan(line, "default limit=%"SCNu32, &limit)) {
            default_limit = limit;
        }
    }
    return default_limit;
}

/* Has those zones counted that are not.  'default_limit' is what they are subject to now, or 0.  Returns false if there is
 * none. */
static bool
limit_zones(struct ct_counts *counts, uint32_t default_limit)
{
    struct json *params = start_params(counts);
    struct zone *zone;
    bool any = false;

    HMAP_FOR_EACH (zone, node, &counts->zones) {
        if (!zone->limited) {
            char *limit = xasprintf("zone=%"PRIu16",limit=%"PRIu32, zone->id,
                                    default_limit ? default_limit : NEVER_REACHED);

            json_array_add(params, json_string_create_nocopy(limit));
            any = true;
        }
    }
    if (any) {
        counts->limiting = true;
        request(counts, "dpctl/ct-set-limits", params);
    } else {
        json_destroy(params);
    }
    return any;
}

/* The zones have limits, and those that had none have been counted from now on. */
static void
limited(struct ct_counts *counts)
{
    struct zone *zone;

    HMAP_FOR_EACH (zone, node, &counts->zones) {
        if (!zone->limited) {
            zone->known = true;
            zone->count = 0;
        }
    }
}

static void
handle_reply(struct ct_counts *counts, const struct jsonrpc_msg *msg)
{
    const char *command = counts->limiting ? "dpctl/ct-set-limits" : "dpctl/ct-get-limits";

    if (msg->type == JSONRPC_ERROR && msg->error && msg->error->type == JSON_STRING) {
        fail(counts, command, json_string(msg->error));
    } else if (msg->type != JSONRPC_REPLY || !msg->result || msg->result->type != JSON_STRING) {
        fail(counts, command, "an answer that makes no sense");
    } else if (counts->limiting) {
        limited(counts);
        hang_up(counts);
    } else if (!limit_zones(counts, take_limits(counts, json_string(msg->result)))) {
        hang_up(counts);
    }
}

void
ct_counts_run(struct ct_counts *counts, long long int now)
{
    struct jsonrpc_msg *msg;

    if (!counts->rpc) {
        return;
    }
    jsonrpc_run(counts->rpc);
    int error = jsonrpc_recv(counts->rpc, &msg);
    if (!error) {
        handle_reply(counts, msg);
        jsonrpc_msg_destroy(msg);
    } else if (error != EAGAIN) {
        fail(counts, "reading", ovs_retval_to_string(error));
    } else if (now >= counts->deadline) {
        fail(counts, "reading", "no answer");
    }
}

void
ct_counts_wait(struct ct_counts *counts)
{
    if (counts->rpc) {
        jsonrpc_wait(counts->rpc);
        jsonrpc_recv_wait(counts->rpc);
        poll_timer_wait_until(counts->deadline);
    }
}

/* Uninstalling. */

static char * OVS_WARN_UNUSED_RESULT
transact(struct jsonrpc *rpc, const char *command, int argc, char *argv[], char **result)
{
    char *refusal;
    int error = unixctl_client_transact(rpc, command, argc, argv, result, &refusal);

    if (error || refusal) {
        char *message = xasprintf("ovs-vswitchd: %s: %s", command, error ? ovs_strerror(error) : refusal);

        free(refusal);
        return message;
    }
    return NULL;
}

/* Takes the limits of the zones from 'first' to 'last' off 'datapath', and adds their number to '*n_removed'. */
static char * OVS_WARN_UNUSED_RESULT
remove_limits_from(struct jsonrpc *rpc, char *datapath, uint16_t first, uint16_t last, size_t *n_removed)
{
    struct ds zones = DS_EMPTY_INITIALIZER;
    char *text, *error;
    size_t n = 0;

    error = transact(rpc, "dpctl/ct-get-limits", 1, &datapath, &text);
    if (error) {
        return error;
    }
    for (const char *line = text; line; line = strchr(line, '\n')) {
        uint16_t id;

        line += *line == '\n';
        if (ovs_scan(line, "zone=%"SCNu16",", &id) && id >= first && id <= last) {
            ds_put_format(&zones, "%s%"PRIu16, n++ ? "," : "zone=", id);
        }
    }
    free(text);
    if (n) {
        char *argv[] = { datapath, ds_cstr(&zones) };

        error = transact(rpc, "dpctl/ct-del-limits", ARRAY_SIZE(argv), argv, &text);
        if (!error) {
            free(text);
            *n_removed += n;
        }
    }
    ds_destroy(&zones);
    return error;
}

/* Takes the limits of the zones from 'first' to 'last' off all userspace datapaths, and stores in '*n_removed' how many
 * there were.  Blocks.  Returns NULL, also if no ovs-vswitchd is running, or a message that the caller must free. */
char *
ct_counts_remove_limits(uint16_t first, uint16_t last, size_t *n_removed)
{
    struct svec datapaths = SVEC_EMPTY_INITIALIZER;
    struct jsonrpc *rpc;
    char *path, *text, *error = NULL;

    *n_removed = 0;
    if (find_vswitchd(&path)) {
        return NULL;
    }
    int retval = unixctl_client_create(path, &rpc);
    free(path);
    if (retval) {
        return NULL;
    }
    error = transact(rpc, "dpctl/dump-dps", 0, NULL, &text);
    if (!error) {
        svec_parse_words(&datapaths, text);
        free(text);
    }
    for (size_t i = 0; !error && i < datapaths.n; i++) {
        if (strncmp(datapaths.names[i], "system@", 7)) {
            error = remove_limits_from(rpc, datapaths.names[i], first, last, n_removed);
        }
    }
    svec_destroy(&datapaths);
    jsonrpc_close(rpc);
    return error;
}
