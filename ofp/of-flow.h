#ifndef OFP_OF_FLOW_H
#define OFP_OF_FLOW_H 1

/* One flow as a switch keeps it: table, priority, match, cookie and actions, in a single block
 * of memory.
 *
 * Match and actions are kept in their OpenFlow 1.5 encoding.  That is several times smaller than
 * the structs that libopenvswitch works with, it is what has to be sent anyway, and it is the
 * one form in which a flow that was made here and a flow that a switch reported compare equal. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/list.h"
#include "openvswitch/types.h"

struct ds;
struct flow_owner;
struct flow_slot;
struct match;
struct ofpact;
struct ofpbuf;

/* The version that everything in this folder speaks. */
#define OF_FLOW_VERSION OFP15_VERSION
#define OF_FLOW_PROTOCOL OFPUTIL_P_OF15_OXM

struct of_flow {
    /* For flow-set.c: the claim that some owner lays to its slot with this flow. */
    struct ovs_list owner_node; /* In 'flows' of struct flow_owner or struct flow_batch. */
    struct of_flow *next_claim; /* Next one in the slot, by name of owner. */
    struct flow_owner *owner;   /* NULL if nobody claims it. */
    struct flow_slot *slot;     /* Where it is claimed.  NULL if nobody claims it. */

    ovs_be64 cookie;
    uint32_t n_refs;
    uint16_t priority;
    uint16_t match_len;         /* Bytes of ofp11_match with OXM, a multiple of 8. */
    uint16_t actions_len;       /* Bytes of instructions. */
    uint8_t table_id;
    bool alien; /* Has properties that no flow of ours has, so it is equal to none of them. */
    uint8_t data[] __attribute__((aligned(8))); /* The match, then the instructions. */
};

struct of_flow *of_flow_create(uint8_t table_id, uint16_t priority, ovs_be64 cookie,
                               const struct match *, const struct ofpact *ofpacts,
                               size_t ofpacts_len);
struct of_flow *of_flow_ref(const struct of_flow *);
void of_flow_unref(struct of_flow *);

uint32_t of_flow_hash(const struct of_flow *);
int of_flow_compare(const struct of_flow *, const struct of_flow *);
bool of_flow_same_key(const struct of_flow *, const struct of_flow *);
bool of_flow_same_content(const struct of_flow *, const struct of_flow *);

/* Returns the name of a table, or NULL if it has none. */
typedef const char *of_flow_table_name_func(uint8_t table_id);
void of_flow_format(const struct of_flow *, of_flow_table_name_func *, struct ds *);

struct ofpbuf *of_flow_encode_add(const struct of_flow *, ovs_be32 xid);
struct ofpbuf *of_flow_encode_delete(const struct of_flow *, ovs_be64 cookie, ovs_be64 cookie_mask,
                                     ovs_be32 xid);

#endif /* ofp/of-flow.h */
