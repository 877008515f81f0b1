#ifndef PIPELINE_DRAFT_H
#define PIPELINE_DRAFT_H 1

/* A flow on its way from a compiler to whoever collects flows.  Each flow starts from an empty draft, so that
 * nothing of one flow's match or actions can reach the next one. */

#include "openvswitch/match.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/ofpbuf.h"
#include "pipeline/compile.h"
#include "pipeline/tables.h"

struct ofpact_conntrack;

struct flow_draft {
    const struct compile_context *ctx;
    uint8_t table_id;
    uint16_t priority;
    uint64_t cookie;
    struct match match;
    struct ofpbuf actions;
    uint64_t actions_stub[256 / 8];
};

void draft_start(struct flow_draft *, const struct compile_context *, enum egress_table, uint16_t priority,
                 uint64_t cookie);
void draft_start_in_table(struct flow_draft *, const struct compile_context *, uint8_t table_id,
                          uint16_t priority, uint64_t cookie);
void draft_emit(struct flow_draft *);       /* Ends the draft.  With no action it drops. */

void match_family(struct flow_draft *, enum ip_family);
void match_source(struct flow_draft *, const struct in6_addr *);
void match_destination(struct flow_draft *, const struct ip_prefix *);

void act_set(struct flow_draft *, enum mf_field_id, const void *value);     /* In network byte order. */
void act_set_be16(struct flow_draft *, enum mf_field_id, uint16_t);
void act_set_be32(struct flow_draft *, enum mf_field_id, uint32_t);
void act_set_be64(struct flow_draft *, enum mf_field_id, uint64_t);
void act_set_u8(struct flow_draft *, enum mf_field_id, uint8_t);
void act_set_mac(struct flow_draft *, enum mf_field_id, struct eth_addr);
void act_load(struct flow_draft *, enum mf_field_id, unsigned int ofs, unsigned int n_bits, uint64_t value);
void act_move(struct flow_draft *, enum mf_field_id src, unsigned int src_ofs, enum mf_field_id dst,
              unsigned int dst_ofs, unsigned int n_bits);
void act_move_field(struct flow_draft *, enum mf_field_id src, enum mf_field_id dst);
void act_go_to(struct flow_draft *, enum egress_table);
void act_resubmit(struct flow_draft *, uint8_t table_id);
void act_output(struct flow_draft *, ofp_port_t);
void act_controller(struct flow_draft *);
void act_dec_ttl(struct flow_draft *);
void act_meter(struct flow_draft *, uint32_t meter_id);
void act_ct_clear(struct flow_draft *);

/* ct(): what is put between start and end is executed on the connection. */
size_t act_ct_start(struct flow_draft *, uint16_t flags, uint16_t zone, enum egress_table next);
void act_ct_nat_source(struct flow_draft *, const struct in6_addr *, uint16_t first_port, uint16_t last_port);
void act_ct_nat_reverse(struct flow_draft *);
void act_ct_end(struct flow_draft *, size_t start);

#endif /* pipeline/draft.h */
