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
#include "svec.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_ct_counts);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 5);

/* How long ovs-vswitchd may take for an answer, and when to try again if there was none. */
#define PATIENCE_MS 2000
#define RETRY_MS    5000

/* How many zones to limit with one command.  ovs-vswitchd does nothing else meanwhile. */
#define BATCH 500

/* "0", which is said to be unlimited, lets no connection through (Open vSwitch 3.1). */
#define NEVER_REACHED UINT32_MAX

#define GET_LIMITS "dpctl/ct-get-limits"
#define SET_LIMITS "dpctl/ct-set-limits"
#define DEL_LIMITS "dpctl/ct-del-limits"

struct zone {
    struct hmap_node node;      /* In 'zones' of struct ct_counts, by hash_int(id). */
    uint16_t id;
    bool wanted;                /* Mark for ct_counts_set_zones(). */
    bool settled;               /* It has a limit, or is not to get one. */
    bool in_request;            /* The request that is under way names it. */
    bool known;
    uint32_t count;             /* If known. */
};

struct ct_counts {
    struct hmap zones;
    bool unsettled;             /* May there be zones that are not settled? */
    char *datapath;             /* As dpctl names it; NULL if nothing can be counted there. */

    struct jsonrpc *rpc;        /* NULL unless ovs-vswitchd is being asked. */
    const char *command;        /* That is under way. */
    long long int deadline;     /* Of its answer. */
    long long int next_try;     /* When to settle zones again after a failure. */
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
}

/* 'counts' may be NULL.  The limits stay. */
void
ct_counts_destroy(struct ct_counts *counts)
{
    if (counts) {
        struct zone *zone;

        HMAP_FOR_EACH_POP (zone, node, &counts->zones) {
            free(zone);
        }
        hmap_destroy(&counts->zones);
        hang_up(counts);
        free(counts->datapath);
        free(counts);
    }
}

/* Forgets everything but the zones, for when ovs-vswitchd was started again. */
void
ct_counts_start_over(struct ct_counts *counts)
{
    struct zone *zone;

    hang_up(counts);
    counts->unsettled = true;
    counts->next_try = 0;
    HMAP_FOR_EACH (zone, node, &counts->zones) {
        zone->settled = zone->known = false;
    }
}

/* 'datapath_type' is the bridge's, NULL if that is not known. */
void
ct_counts_set_datapath(struct ct_counts *counts, const char *datapath_type)
{
    char *datapath = NULL;

    if (datapath_type && strcmp(datapath_type, "system")) {
        datapath = xasprintf("%s@ovs-%s", datapath_type, datapath_type);
    }
    if (!nullable_string_is_equal(datapath, counts->datapath)) {
        ct_counts_start_over(counts);
        free(counts->datapath);
        counts->datapath = datapath;
    } else {
        free(datapath);
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

/* Makes the 'n' zones of 'ids', where one may be more than once, those that are counted. */
void
ct_counts_set_zones(struct ct_counts *counts, const uint16_t *ids, size_t n)
{
    struct zone *zone;

    HMAP_FOR_EACH (zone, node, &counts->zones) {
        zone->wanted = false;
    }
    for (size_t i = 0; i < n; i++) {
        zone = find_zone(counts, ids[i]);
        if (!zone) {
            zone = xzalloc(sizeof *zone);
            zone->id = ids[i];
            hmap_insert(&counts->zones, &zone->node, hash_int(zone->id, 0));
            counts->unsettled = true;
        }
        zone->wanted = true;
    }
    HMAP_FOR_EACH_SAFE (zone, node, &counts->zones) {
        if (!zone->wanted) {
            hmap_remove(&counts->zones, &zone->node);
            free(zone);
        }
    }
}

/* Asking. */

/* Connects '*rpc' to the ovs-vswitchd of this node, or returns an errno.  What is in the pidfile is also in the socket's
 * name, even if ovs-vswitchd runs where processes have other numbers than here. */
static int
connect_to_vswitchd(struct jsonrpc **rpc)
{
    char *pidfile = xasprintf("%s/ovs-vswitchd.pid", ovs_rundir());
    FILE *file = fopen(pidfile, "r");
    int error = file ? 0 : errno;
    long int pid;

    if (file && fscanf(file, "%ld", &pid) != 1) {
        error = EINVAL;
    } else if (file) {
        char *name = xasprintf("unix:%s/ovs-vswitchd.%ld.ctl", ovs_rundir(), pid);
        struct stream *stream;

        error = stream_open(name, &stream, DSCP_DEFAULT);
        *rpc = error ? NULL : jsonrpc_open(stream);
        free(name);
    }
    if (file) {
        fclose(file);
    }
    free(pidfile);
    return error;
}

static void
fail(struct ct_counts *counts, const char *why, long long int now)
{
    VLOG_INFO_RL(&rl, "ovs-vswitchd does not tell how many connections there are (%s)", why);
    ct_counts_start_over(counts);
    counts->next_try = now + RETRY_MS;
}

/* Takes over 'params'. */
static void
request(struct ct_counts *counts, const char *command, struct json *params, long long int now)
{
    counts->command = command;
    counts->deadline = now + PATIENCE_MS;

    int error = jsonrpc_send(counts->rpc, jsonrpc_create_request(command, params, NULL));
    if (error) {
        fail(counts, ovs_retval_to_string(error), now);
    }
}

static struct json *
start_params(const char *datapath)
{
    return json_array_create_1(json_string_create(datapath));
}

/* Begins to ask for the numbers of those zones that are not settled, or of 'all', if there are such. */
static void
start(struct ct_counts *counts, bool all, long long int now)
{
    struct ds list = DS_EMPTY_INITIALIZER;
    struct zone *zone;

    HMAP_FOR_EACH (zone, node, &counts->zones) {
        zone->in_request = all || !zone->settled;
        if (zone->in_request) {
            ds_put_format(&list, "%s%"PRIu16, list.length ? "," : "zone=", zone->id);
        }
    }
    if (list.length) {
        int error = connect_to_vswitchd(&counts->rpc);

        if (!error) {
            struct json *params = start_params(counts->datapath);

            json_array_add(params, json_string_create(ds_cstr(&list)));
            request(counts, GET_LIMITS, params, now);
        } else {
            fail(counts, ovs_strerror(error), now);
        }
    } else {
        counts->unsettled = false;
    }
    ds_destroy(&list);
}

/* Begins to ask for fresh numbers, unless something is being asked. */
void
ct_counts_refresh(struct ct_counts *counts, long long int now)
{
    if (!counts->rpc && counts->datapath) {
        start(counts, true, now);
    }
}

/* Is an answer yet to come? */
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

/* One zone that ovs-vswitchd told of: its own limit, or else the default. */
struct limit {
    uint16_t zone;
    uint32_t limit, count;
};

/* Takes the next line out of '*text', which ends up NULL.  Returns false at the end.  The answer to GET_LIMITS is
 * "default limit=LIMIT", where 0 means none, then a line "zone=ZONE,limit=LIMIT,count=COUNT" for each zone. */
static bool
next_limit(const char **text, struct limit *limit)
{
    while (*text) {
        const char *line = *text;

        *text = strchr(line, '\n');
        *text += *text != NULL;
        if (ovs_scan(line, "zone=%"SCNu16",limit=%"SCNu32",count=%"SCNu32, &limit->zone, &limit->limit,
                     &limit->count)) {
            return true;
        }
    }
    return false;
}

/* There is a default limit, which a zone of ours is to be subject to, too.  Returns the zones, if any, that we made exempt
 * from it before. */
static struct json *
yield_to_default(struct ct_counts *counts, const char *text, uint32_t default_limit)
{
    struct ds list = DS_EMPTY_INITIALIZER;
    struct json *params = NULL;
    struct limit limit;

    while (next_limit(&text, &limit)) {
        struct zone *zone = find_zone(counts, limit.zone);

        if (!zone) {
            continue;
        }
        zone->settled = true;
        zone->known = limit.limit != default_limit && limit.limit != NEVER_REACHED;
        zone->count = limit.count;
        if (limit.limit == NEVER_REACHED) {
            ds_put_format(&list, "%s%"PRIu16, list.length ? "," : "zone=", limit.zone);
        }
    }
    if (list.length) {
        params = start_params(counts->datapath);
        json_array_add(params, json_string_create(ds_cstr(&list)));
    }
    ds_destroy(&list);
    return params;
}

static void
take_counts(struct ct_counts *counts, const char *text)
{
    struct limit limit;

    while (next_limit(&text, &limit)) {
        struct zone *zone = find_zone(counts, limit.zone);

        if (zone) {
            zone->settled = zone->known = limit.limit != 0;
            zone->count = limit.count;
            counts->unsettled = counts->unsettled || !zone->settled;
        }
    }
}

/* Limits the next zones among those that were asked about and have none, or ends the exchange. */
static void
limit_some(struct ct_counts *counts, long long int now)
{
    struct json *params = start_params(counts->datapath);
    struct zone *zone;
    size_t n = 0;

    HMAP_FOR_EACH (zone, node, &counts->zones) {
        /* Before it was asked about it may have a limit of somebody else. */
        if (!zone->settled && zone->in_request && n < BATCH) {
            char *limit = xasprintf("zone=%"PRIu16",limit=%"PRIu32, zone->id, NEVER_REACHED);

            json_array_add(params, json_string_create_nocopy(limit));
            zone->settled = zone->known = true;
            zone->count = 0;
            n++;
        }
    }
    if (n) {
        request(counts, SET_LIMITS, params, now);
    } else {
        json_destroy(params);
        hang_up(counts);
    }
}

static void
handle_limits(struct ct_counts *counts, const char *text, long long int now)
{
    uint32_t default_limit;

    if (ovs_scan(text, "default limit=%"SCNu32, &default_limit) && default_limit) {
        struct json *params = yield_to_default(counts, text, default_limit);

        if (params) {
            request(counts, DEL_LIMITS, params, now);
        } else {
            hang_up(counts);
        }
    } else {
        take_counts(counts, text);
        limit_some(counts, now);
    }
}

static void
handle_reply(struct ct_counts *counts, const struct jsonrpc_msg *msg, long long int now)
{
    if (msg->type == JSONRPC_ERROR && msg->error && msg->error->type == JSON_STRING) {
        fail(counts, json_string(msg->error), now);
    } else if (msg->type != JSONRPC_REPLY || !msg->result || msg->result->type != JSON_STRING) {
        fail(counts, "an answer that makes no sense", now);
    } else if (!strcmp(counts->command, GET_LIMITS)) {
        handle_limits(counts, json_string(msg->result), now);
    } else if (!strcmp(counts->command, SET_LIMITS)) {
        limit_some(counts, now);
    } else {
        hang_up(counts);
    }
}

/* Takes answers, and has new zones counted. */
void
ct_counts_run(struct ct_counts *counts, long long int now)
{
    struct jsonrpc_msg *msg;

    if (counts->rpc) {
        jsonrpc_run(counts->rpc);

        int error = jsonrpc_recv(counts->rpc, &msg);
        if (!error) {
            handle_reply(counts, msg, now);
            jsonrpc_msg_destroy(msg);
        } else if (error != EAGAIN) {
            fail(counts, ovs_retval_to_string(error), now);
        } else if (now >= counts->deadline) {
            fail(counts, "no answer", now);
        }
    }
    if (!counts->rpc && counts->datapath && counts->unsettled && now >= counts->next_try) {
        start(counts, false, now);
    }
}

void
ct_counts_wait(struct ct_counts *counts)
{
    if (counts->rpc) {
        jsonrpc_wait(counts->rpc);
        jsonrpc_recv_wait(counts->rpc);
        poll_timer_wait_until(counts->deadline);
    } else if (counts->datapath && counts->unsettled) {
        poll_timer_wait_until(counts->next_try);
    }
}

/* Uninstalling. */

/* Waits for the answer to a request, as text that the caller must free.  Takes over 'params'.  Returns NULL and stores
 * why in '*errorp' if there is none by 'deadline', or NULL and NULL if the command was refused. */
static char *
transact(struct jsonrpc *rpc, const char *command, struct json *params, long long int deadline, char **errorp)
{
    struct jsonrpc_msg *msg;
    char *text = NULL;
    int error;

    *errorp = NULL;
    error = jsonrpc_send(rpc, jsonrpc_create_request(command, params, NULL));
    while (!error) {
        jsonrpc_run(rpc);
        error = jsonrpc_recv(rpc, &msg);
        if (error != EAGAIN) {
            break;
        }
        error = time_msec() >= deadline ? ETIMEDOUT : 0;
        jsonrpc_wait(rpc);
        jsonrpc_recv_wait(rpc);
        poll_timer_wait_until(deadline);
        poll_block();
    }
    if (error) {
        *errorp = xasprintf("ovs-vswitchd: %s: %s", command, ovs_retval_to_string(error));
        return NULL;
    }
    if (msg->type == JSONRPC_REPLY && msg->result && msg->result->type == JSON_STRING) {
        text = xstrdup(json_string(msg->result));
    }
    jsonrpc_msg_destroy(msg);
    return text;
}

/* Takes those limits off 'datapath' that are ours, and adds their number to '*n_removed'. */
static char * OVS_WARN_UNUSED_RESULT
remove_limits_from(struct jsonrpc *rpc, const char *datapath, uint16_t first, uint16_t last,
                   long long int deadline, size_t *n_removed)
{
    struct ds zones = DS_EMPTY_INITIALIZER;
    struct limit limit;
    char *error;
    size_t n = 0;

    char *text = transact(rpc, GET_LIMITS, start_params(datapath), deadline, &error);
    const char *rest = text;
    while (next_limit(&rest, &limit)) {
        if (limit.zone >= first && limit.zone <= last && limit.limit == NEVER_REACHED) {
            ds_put_format(&zones, "%s%"PRIu16, n++ ? "," : "zone=", limit.zone);
        }
    }
    free(text);
    if (!error && n) {
        struct json *params = start_params(datapath);

        json_array_add(params, json_string_create(ds_cstr(&zones)));
        free(transact(rpc, DEL_LIMITS, params, deadline, &error));
        *n_removed += error ? 0 : n;
    }
    ds_destroy(&zones);
    return error;
}

/* Takes the limits that were set here off the zones from 'first' to 'last' of all userspace datapaths, and stores in
 * '*n_removed' how many those were.  Blocks until 'deadline' at most, on time_msec()'s clock.  Returns NULL, also if no
 * ovs-vswitchd is running, or a message that the caller must free. */
char *
ct_counts_remove_limits(uint16_t first, uint16_t last, long long int deadline, size_t *n_removed)
{
    struct svec datapaths = SVEC_EMPTY_INITIALIZER;
    struct jsonrpc *rpc;
    char *error = NULL;

    *n_removed = 0;
    int retval = connect_to_vswitchd(&rpc);
    if (retval == ENOENT || retval == ECONNREFUSED) {
        return NULL;
    } else if (retval) {
        return xasprintf("ovs-vswitchd: cannot connect (%s)", ovs_strerror(retval));
    }

    /* Refused if there is no datapath. */
    char *text = transact(rpc, "dpctl/dump-dps", json_array_create_empty(), deadline, &error);
    if (text) {
        svec_parse_words(&datapaths, text);
        free(text);
    }
    for (size_t i = 0; !error && i < datapaths.n; i++) {
        if (strncmp(datapaths.names[i], "system@", 7)) {
            error = remove_limits_from(rpc, datapaths.names[i], first, last, deadline, n_removed);
        }
    }
    svec_destroy(&datapaths);
    jsonrpc_close(rpc);
    return error;
}
