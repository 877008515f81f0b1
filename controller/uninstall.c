#include <config.h>

#include "controller/uninstall.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "byte-order.h"
#include "controller/agent-client.h"
#include "controller/ct-counts.h"
#include "controller/ports.h"
#include "dirs.h"
#include "lib/vswitch-idl.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-meter.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vconn.h"
#include "ovsdb-idl.h"
#include "pipeline/compile.h"
#include "smap.h"
#include "socket-util.h"
#include "svec.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* The agent. */

/* Waits until 'agent' is gone or 'deadline', on time_msec()'s clock, is over. */
static bool
wait_until_gone(const struct agent_client *agent, long long int deadline)
{
    for (;;) {
        if (agent_client_is_gone(agent)) {
            return true;
        }
        if (time_msec() >= deadline) {
            return false;
        }
        poll_timer_wait(20);
        poll_block();
    }
}

static char * OVS_WARN_UNUSED_RESULT
stop_agent(const struct uninstall_options *options, struct ds *report)
{
    struct agent_client agent;
    char *error;

    switch (agent_client_open(options->target, &agent, &error)) {
    case AGENT_NOT_RUNNING:
        ds_put_format(report, "agent: %s\n", error);
        free(error);
        return NULL;

    case AGENT_UNREACHABLE:
        return error;

    case AGENT_CONNECTED:
        break;
    }

    char *result = NULL;
    char *refusal = NULL;
    int retval = unixctl_client_transact(agent.rpc, "exit", 0, NULL, &result, &refusal);

    /* An agent may be too quick to answer. */
    if (refusal) {
        error = xasprintf("%s refused to exit: %s", AGENT_PROGRAM, refusal);
    } else if (wait_until_gone(&agent, time_msec() + options->timeout)) {
        ds_put_format(report, "agent: %s stopped\n", AGENT_PROGRAM);
    } else if (retval) {
        error = xasprintf("%s: asking it to exit failed (%s)",
                          agent.socket, ovs_retval_to_string(retval));
    } else {
        error = xasprintf("%s was asked to exit, but still runs after %lld ms",
                          AGENT_PROGRAM, options->timeout);
    }
    free(result);
    free(refusal);
    agent_client_close(&agent);
    return error;
}

/* Flows and meters. */

/* Sends 'request', which is consumed and which is answered only in case of an error. */
static char * OVS_WARN_UNUSED_RESULT
transact_noreply(struct vconn *vconn, struct ofpbuf *request, const char *what)
{
    struct ofpbuf *reply;
    int retval = vconn_transact_noreply(vconn, request, &reply);
    char *error = NULL;

    if (retval) {
        error = xasprintf("%s: %s: %s", vconn_get_name(vconn), what, ovs_retval_to_string(retval));
    } else if (reply) {
        error = xasprintf("%s: %s: %s", vconn_get_name(vconn), what,
                          ofperr_to_string(ofperr_decode_msg(reply->data, NULL)));
        ofpbuf_delete(reply);
    }
    return error;
}

static char * OVS_WARN_UNUSED_RESULT
count_flows(struct vconn *vconn, enum ofputil_protocol protocol, unsigned int *n)
{
    struct ofputil_flow_stats_request fsr = {
        .aggregate = true,
        .match = MATCH_CATCHALL_INITIALIZER,
        .cookie = htonll(EGRESS_COOKIE),
        .cookie_mask = htonll(EGRESS_COOKIE_MASK),
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .table_id = OFPTT_ALL,
    };
    struct ofputil_aggregate_stats stats;
    struct ofpbuf *reply;

    int retval = vconn_transact(vconn, ofputil_encode_flow_stats_request(&fsr, protocol), &reply);
    if (retval) {
        return xasprintf("%s: counting flows: %s",
                         vconn_get_name(vconn), ovs_retval_to_string(retval));
    }

    enum ofperr ofperr = ofputil_decode_aggregate_stats_reply(&stats, reply->data);
    ofpbuf_delete(reply);
    if (ofperr) {
        return xasprintf("%s: counting flows: %s", vconn_get_name(vconn), ofperr_to_string(ofperr));
    }
    *n = stats.flow_count;
    return NULL;
}

static char * OVS_WARN_UNUSED_RESULT
delete_flows(struct vconn *vconn, enum ofputil_protocol protocol)
{
    struct match match = MATCH_CATCHALL_INITIALIZER;
    struct ofputil_flow_mod fm = {
        .cookie = htonll(EGRESS_COOKIE),
        .cookie_mask = htonll(EGRESS_COOKIE_MASK),
        .command = OFPFC_DELETE,
        .buffer_id = UINT32_MAX,
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .table_id = OFPTT_ALL,
    };

    minimatch_init(&fm.match, &match);
    struct ofpbuf *request = ofputil_encode_flow_mod(&fm, protocol);
    minimatch_destroy(&fm.match);
    return transact_noreply(vconn, request, "deleting flows");
}

/* Appends the numbers of our meters to '*ids', which the caller must free. */
static char * OVS_WARN_UNUSED_RESULT
list_meters(struct vconn *vconn, uint32_t **ids, size_t *n_ids)
{
    struct ofpbuf *request = ofputil_encode_meter_request(vconn_get_version(vconn),
                                                          OFPUTIL_METER_CONFIG, OFPM13_ALL);
    struct ovs_list requests = OVS_LIST_INITIALIZER(&requests);
    struct ovs_list replies;
    size_t allocated = 0;

    *ids = NULL;
    *n_ids = 0;
    ovs_list_push_back(&requests, &request->list_node);
    int retval = vconn_transact_multipart(vconn, &requests, &replies);
    if (retval) {
        return xasprintf("%s: listing meters: %s",
                         vconn_get_name(vconn), ovs_retval_to_string(retval));
    }

    char *error = NULL;
    struct ofpbuf *reply;
    LIST_FOR_EACH_POP (reply, list_node, &replies) {
        struct ofputil_meter_config config;
        struct ofpbuf bands;
        int status;

        ofpbuf_init(&bands, 64);
        while (!(status = ofputil_decode_meter_config(reply, &config, &bands))) {
            if (config.meter_id >= EGRESS_METER_FIRST && config.meter_id <= EGRESS_METER_LAST) {
                if (*n_ids >= allocated) {
                    *ids = x2nrealloc(*ids, &allocated, sizeof **ids);
                }
                (*ids)[(*n_ids)++] = config.meter_id;
            }
        }
        if (status != EOF && !error) {
            error = xasprintf("%s: listing meters: %s",
                              vconn_get_name(vconn), ofperr_to_string(status));
        }
        ofpbuf_uninit(&bands);
        ofpbuf_delete(reply);
    }
    return error;
}

static char * OVS_WARN_UNUSED_RESULT
delete_meters(struct vconn *vconn, const uint32_t *ids, size_t n_ids)
{
    for (size_t i = 0; i < n_ids; i++) {
        struct ofputil_meter_mod mm = {
            .command = OFPMC13_DELETE,
            .meter.meter_id = ids[i],
        };
        struct ofpbuf *request = ofputil_encode_meter_mod(vconn_get_version(vconn), &mm);
        char *error = transact_noreply(vconn, request, "deleting a meter");

        if (error) {
            return error;
        }
    }
    return NULL;
}

static char * OVS_WARN_UNUSED_RESULT
clean_vconn(struct vconn *vconn, const char *bridge, struct ds *report)
{
    enum ofputil_protocol protocol = ofputil_protocol_from_ofp_version(vconn_get_version(vconn));
    unsigned int n_flows = 0;
    size_t n_meters = 0;
    uint32_t *meters = NULL;

    /* Flows first, because a meter takes the flows that use it with it. */
    char *error = count_flows(vconn, protocol, &n_flows);
    if (!error) {
        error = delete_flows(vconn, protocol);
    }
    if (!error) {
        error = list_meters(vconn, &meters, &n_meters);
    }
    if (!error) {
        error = delete_meters(vconn, meters, n_meters);
    }
    if (!error) {
        ds_put_format(report, "bridge %s: removed flows: %u, meters: %"PRIuSIZE"\n",
                      bridge, n_flows, n_meters);
    }
    free(meters);
    return error;
}

static char * OVS_WARN_UNUSED_RESULT
clean_bridge(const struct uninstall_options *options, const char *bridge, struct ds *report)
{
    char *name = xasprintf("unix:%s/%s.mgmt", ovs_rundir(), bridge);
    struct vconn *vconn;
    char *error = NULL;

    /* Cookies take part in deleting from OpenFlow 1.1 on, meters are there from 1.3 on. */
    uint32_t versions = (1u << OFP13_VERSION) | (1u << OFP14_VERSION) | (1u << OFP15_VERSION);
    int retval = vconn_open_block(name, versions, DSCP_DEFAULT, options->timeout, &vconn);
    if (!retval) {
        error = clean_vconn(vconn, bridge, report);
        vconn_close(vconn);
    } else if (retval == ENOENT || retval == ECONNREFUSED) {
        ds_put_format(report, "bridge %s: no flows to remove (nobody listens on %s)\n",
                      bridge, name);
    } else {
        error = xasprintf("%s: cannot connect (%s)", name, ovs_retval_to_string(retval));
    }
    free(name);
    return error;
}

/* Counting of connections. */

static char * OVS_WARN_UNUSED_RESULT
remove_ct_limits(const struct uninstall_options *options, struct ds *report)
{
    uint16_t last = EGRESS_CT_ZONE_FIRST + EGRESS_N_CT_ZONES - 1;
    size_t n;

    char *error =
        ct_counts_remove_limits(EGRESS_CT_ZONE_FIRST, last, time_msec() + options->timeout, &n);
    if (n) {
        ds_put_format(report, "conntrack: stopped counting in zones: %"PRIuSIZE"\n", n);
    }
    return error;
}

/* Ports. */

static struct ovsdb_idl *
create_idl(const char *db)
{
    struct ovsdb_idl *idl = ovsdb_idl_create(db, &ovsrec_idl_class, false, true);

    ovsdb_idl_add_column(idl, &ovsrec_bridge_col_name);
    ovsdb_idl_add_column(idl, &ovsrec_bridge_col_ports);
    ovsdb_idl_add_column(idl, &ovsrec_port_col_name);
    ovsdb_idl_add_column(idl, &ovsrec_port_col_external_ids);
    return idl;
}

/* Takes our ports off all bridges, in the open transaction.  Adds a line for each to 'removed'. */
static void
remove_marked_ports(struct ovsdb_idl *idl, struct svec *removed)
{
    const struct ovsrec_bridge *br;

    OVSREC_BRIDGE_FOR_EACH (br, idl) {
        for (size_t i = 0; i < br->n_ports; i++) {
            if (smap_get(&br->ports[i]->external_ids, PORTS_MARK)) {
                svec_add_nocopy(removed, xasprintf("bridge %s: removed port: %s\n",
                                                   br->name, br->ports[i]->name));
                ovsrec_bridge_update_ports_delvalue(br, br->ports[i]);
            }
        }
    }
}

static void
report_removed_ports(struct svec *removed, struct ds *report)
{
    const char *line;
    size_t i;

    if (svec_is_empty(removed)) {
        ds_put_cstr(report, "ports: none is marked as ours\n");
    }
    svec_sort(removed);
    SVEC_FOR_EACH (i, line, removed) {
        ds_put_cstr(report, line);
    }
}

/* Runs 'idl' until 'deadline' until a transaction has removed our ports. */
static char * OVS_WARN_UNUSED_RESULT
remove_ports_until(struct ovsdb_idl *idl, const char *db, long long int deadline, struct ds *report)
{
    struct ovsdb_idl_txn *txn = NULL;
    struct svec removed = SVEC_EMPTY_INITIALIZER;
    char *error = NULL;

    for (;;) {
        ovsdb_idl_run(idl);
        if (!txn && ovsdb_idl_has_ever_connected(idl) && ovsdb_idl_is_connected(idl)) {
            svec_clear(&removed);
            txn = ovsdb_idl_txn_create(idl);
            ovsdb_idl_txn_add_comment(txn, "ovs-egressctl uninstall");
            remove_marked_ports(idl, &removed);
        }

        enum ovsdb_idl_txn_status status = txn ? ovsdb_idl_txn_commit(txn) : TXN_INCOMPLETE;
        if (status == TXN_SUCCESS || status == TXN_UNCHANGED) {
            report_removed_ports(&removed, report);
            break;
        } else if (status == TXN_ERROR) {
            error = xasprintf("%s: removing ports: %s", db, ovsdb_idl_txn_get_error(txn));
            break;
        } else if (time_msec() >= deadline) {
            error = xasprintf("%s: no answer from the Open vSwitch database: is ovsdb-server "
                              "running?", db);
            break;
        } else if (status != TXN_INCOMPLETE) {
            ovsdb_idl_txn_destroy(txn);
            txn = NULL;
            poll_timer_wait(20);
        }

        ovsdb_idl_wait(idl);
        if (txn) {
            ovsdb_idl_txn_wait(txn);
        }
        poll_timer_wait_until(deadline);
        poll_block();
    }
    if (txn) {
        ovsdb_idl_txn_destroy(txn);
    }
    svec_destroy(&removed);
    return error;
}

static char * OVS_WARN_UNUSED_RESULT
remove_ports(const struct uninstall_options *options, struct ds *report)
{
    struct ovsdb_idl *idl = create_idl(options->db);
    char *error = remove_ports_until(idl, options->db, time_msec() + options->timeout, report);

    ovsdb_idl_destroy(idl);
    return error;
}

/* Takes everything of ours away from this node.  Blocks.  Appends a line for each thing that it
 * did to 'report'.
 *
 * Returns NULL if nothing of ours is left, otherwise a message that the caller must free.  A
 * failure to stop the agent ends everything, because it would bring the rest back. */
char *
uninstall(const struct uninstall_options *options, struct ds *report)
{
    char *error = stop_agent(options, report);

    if (!error) {
        error = clean_bridge(options, options->bridge, report);
    }
    if (!error) {
        error = clean_bridge(options, options->uplink_bridge, report);
    }
    if (!error) {
        error = remove_ports(options, report);
    }
    if (!error) {
        error = remove_ct_limits(options, report);
    }
    return error;
}
