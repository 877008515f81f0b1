#ifndef OFP_SWITCH_H
#define OFP_SWITCH_H 1

/* The connection to one local bridge.  Keeps the bridge's flows and meters equal to what is
 * desired, and puts them back when somebody else changes them.
 *
 * The bridge must speak OpenFlow 1.5 (an Open vSwitch bridge does unless its "protocols" column
 * excludes it).
 *
 * What is ours and what is not: flows whose cookie equals 'cookie' in the bits of 'cookie_mask'
 * are ours, so those that nobody desires are deleted.  Every desired flow must have such a
 * cookie.  Other flows are never touched, with one exception that OpenFlow does not let us
 * avoid: if somebody else has a flow with the very table, priority and match of a desired one,
 * ours replaces it.  Meters are ours if their id is between 'first_meter' and 'last_meter'. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ofp/flow-query.h"
#include "ofp/flow-set.h"
#include "ofp/meter-set.h"
#include "ofp/sync-round.h"
#include "openflow/openflow.h"

struct ds;
struct of_switch;
struct ofpbuf;
struct ofputil_packet_in;

/* Packets come to us only from "controller" actions with this controller id, so that neither we
 * get those that are meant for others nor they get ours. */
#define OF_SWITCH_CONTROLLER_ID 0x6567

struct of_switch_stats {
    uint64_t n_connections;
    struct sync_stats sync;
    uint64_t n_foreign_changes; /* Changes of others to our flows. */
    uint64_t n_packet_ins;
    long long int last_sync_ms; /* From the first message of the last round to its end. */
};

struct of_switch *of_switch_create(struct flow_set *desired, uint64_t cookie, uint64_t cookie_mask,
                                   uint32_t first_meter, uint32_t last_meter);
void of_switch_destroy(struct of_switch *);
void of_switch_set_target(struct of_switch *, const char *target);
void of_switch_set_meters(struct of_switch *, const struct meter_want *, size_t n);

void of_switch_run(struct of_switch *);
void of_switch_wait(struct of_switch *);

uint64_t of_switch_get_target_seqno(const struct of_switch *);
uint64_t of_switch_get_acked_seqno(const struct of_switch *);
bool of_switch_in_sync(const struct of_switch *);

uint64_t of_switch_redump(struct of_switch *);
bool of_switch_get_redump_result(const struct of_switch *, uint64_t ticket, size_t *n_changes);

bool of_switch_query_flows(struct of_switch *, const struct flow_query_args *);

typedef void of_switch_packet_in_func(const struct ofputil_packet_in *, void *aux);
void of_switch_set_packet_in_handler(struct of_switch *, of_switch_packet_in_func *, void *aux);
int of_switch_packet_out(struct of_switch *, const void *frame, size_t len, ofp_port_t in_port,
                         const struct ofpbuf *ofpacts);

bool of_switch_connected(const struct of_switch *);
const char *of_switch_get_last_error(const struct of_switch *);
const struct of_switch_stats *of_switch_get_stats(const struct of_switch *);
size_t of_switch_count_rejected(const struct of_switch *);
void of_switch_get_rejected(const struct of_switch *, of_flow_table_name_func *, struct ds *);
void of_switch_get_status(const struct of_switch *, struct ds *);

#endif /* ofp/switch.h */
