#ifndef PIPELINE_TABLES_H
#define PIPELINE_TABLES_H 1

/* The stages of the egress pipeline: the one place that says which tables there are.  The constants of the
 * code, the names that the tool prints and the table in docs/pipeline.md are made from it.
 *
 * Offsets count from --table-base. */

#include <stdint.h>

/*          offset  name            what it decides */
#define EGRESS_TABLES \
    TABLE(CLASSIFY,   0, "classify",   "does this destination concern egress at all?") \
    TABLE(SOURCE,     1, "source",     "who sends: the class of a pod, or a packet to hold back") \
    TABLE(ROUTE,      2, "route",      "which route the class and the destination lead to") \
    TABLE(GATEWAY,    3, "gateway",    "where the route's gateway is: here, behind the tunnel, nowhere") \
    TABLE(RETURN,     4, "return",     "not ours: back into the CNI's pipeline as it came") \
    TABLE(TUNNEL_IN, 10, "tunnel_in",  "is the tunnel's sender a node, and is it a request or a reply?") \
    TABLE(SNAT,      11, "snat",       "the egress IP as source; the way back is kept in conntrack") \
    TABLE(NEXT_HOP,  12, "next_hop",   "on-link destination or router; nothing leaves untranslated") \
    TABLE(NEIGHBOUR, 13, "neighbour",  "the next hop's MAC address, then out of the uplink") \
    TABLE(VERIFY,    14, "verify",     "after snat: is the source really the route's egress IP?") \
    TABLE(UPLINK_IN, 20, "uplink_in",  "what the uplink has for our egress IPs: ARP, ND, replies") \
    TABLE(UNSNAT,    21, "unsnat",     "whose reply it is: a pod here, or one behind the tunnel") \
    TABLE(DELIVER,   22, "deliver",    "the pod's MAC address, then into the CNI's pipeline") \
    TABLE(ND_ANSWER, 23, "nd_answer",  "second half of the answer to a neighbour solicitation")

enum egress_table {
#define TABLE(ENUM, OFFSET, NAME, DECIDES) EGRESS_TABLE_##ENUM = OFFSET,
    EGRESS_TABLES
#undef TABLE
};

/* Offsets that the block takes up. */
#define EGRESS_N_TABLES 24

const char *egress_table_name(unsigned int offset);       /* NULL for an offset that is no stage. */
const char *egress_table_decides(unsigned int offset);

#endif /* pipeline/tables.h */
