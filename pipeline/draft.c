#include <config.h>
#include "pipeline/draft.h"

#include "nx-match.h"
#include "openflow/nicira-ext.h"
#include "openvswitch/ofp-actions.h"
#include "packets.h"
#include "util.h"

/* Starts a flow of stage 'table'. */
void
draft_start(struct flow_draft *d, const struct compile_context *ctx, enum egress_table table,
            uint16_t priority, uint64_t cookie)
{
    draft_start_in_table(d, ctx, ctx->table_base + table, priority, cookie);
}

/* Starts a flow of any table of the bridge: only our hooks live outside of our block. */
void
draft_start_in_table(struct flow_draft *d, const struct compile_context *ctx, uint8_t table_id,
                     uint16_t priority, uint64_t cookie)
{
    d->ctx = ctx;
    d->table_id = table_id;
    d->priority = priority;
    d->cookie = cookie;
    match_init_catchall(&d->match);
    ofpbuf_use_stub(&d->actions, d->actions_stub, sizeof d->actions_stub);
}

void
draft_emit(struct flow_draft *d)
{
    d->ctx->emit(d->ctx->aux, d->table_id, d->priority, d->cookie, &d->match, &d->actions);
    ofpbuf_uninit(&d->actions);
}

void
match_family(struct flow_draft *d, enum ip_family family)
{
    match_set_dl_type(&d->match, htons(family == IP_V4 ? ETH_TYPE_IP : ETH_TYPE_IPV6));
}

/* Matches packets of 'addr''s family that come from it. */
void
match_source(struct flow_draft *d, const struct in6_addr *addr)
{
    enum ip_family family = ip_family_of(addr);

    match_family(d, family);
    if (family == IP_V4) {
        match_set_nw_src(&d->match, ip_to_v4(addr));
    } else {
        match_set_ipv6_src(&d->match, addr);
    }
}

/* Matches packets of 'prefix''s family that go there. */
void
match_destination(struct flow_draft *d, const struct ip_prefix *prefix)
{
    enum ip_family family = ip_prefix_family(prefix);

    match_family(d, family);
    if (family == IP_V4) {
        match_set_nw_dst_masked(&d->match, ip_to_v4(&prefix->addr), be32_prefix_mask(prefix->plen));
    } else {
        struct in6_addr mask = ipv6_create_mask(prefix->plen);

        match_set_ipv6_dst_masked(&d->match, &prefix->addr, &mask);
    }
}

/* Sets the whole of 'field' to 'value', which is as long as the field and in network byte order. */
void
act_set(struct flow_draft *d, enum mf_field_id field, const void *value)
{
    ofpact_put_set_field(&d->actions, mf_from_id(field), value, NULL);
}

void
act_set_u8(struct flow_draft *d, enum mf_field_id field, uint8_t value)
{
    act_set(d, field, &value);
}

void
act_set_be16(struct flow_draft *d, enum mf_field_id field, uint16_t value)
{
    ovs_be16 be = htons(value);

    act_set(d, field, &be);
}

void
act_set_be32(struct flow_draft *d, enum mf_field_id field, uint32_t value)
{
    ovs_be32 be = htonl(value);

    act_set(d, field, &be);
}

void
act_set_be64(struct flow_draft *d, enum mf_field_id field, uint64_t value)
{
    ovs_be64 be = htonll(value);

    act_set(d, field, &be);
}

void
act_set_mac(struct flow_draft *d, enum mf_field_id field, struct eth_addr mac)
{
    act_set(d, field, &mac);
}

/* Sets 'n_bits' of 'field', from bit 'ofs' on, to 'value'. */
void
act_load(struct flow_draft *d, enum mf_field_id field, unsigned int ofs, unsigned int n_bits,
         uint64_t value)
{
    const struct mf_field *mf = mf_from_id(field);
    struct ofpact_set_field *sf = ofpact_put_reg_load(&d->actions, mf, NULL, NULL);

    bitwise_put(value, sf->value, mf->n_bytes, ofs, n_bits);
    bitwise_put(UINT64_MAX, ofpact_set_field_mask(sf), mf->n_bytes, ofs, n_bits);
}

void
act_move(struct flow_draft *d, enum mf_field_id src, unsigned int src_ofs, enum mf_field_id dst,
         unsigned int dst_ofs, unsigned int n_bits)
{
    struct ofpact_reg_move *move = ofpact_put_REG_MOVE(&d->actions);

    move->src = (struct mf_subfield) { .field = mf_from_id(src), .ofs = src_ofs, .n_bits = n_bits };
    move->dst = (struct mf_subfield) { .field = mf_from_id(dst), .ofs = dst_ofs, .n_bits = n_bits };
}

/* Copies the whole of 'src' to 'dst', which is as wide. */
void
act_move_field(struct flow_draft *d, enum mf_field_id src, enum mf_field_id dst)
{
    act_move(d, src, 0, dst, 0, mf_from_id(src)->n_bits);
}

void
act_go_to(struct flow_draft *d, enum egress_table table)
{
    act_resubmit(d, d->ctx->table_base + table);
}

void
act_resubmit(struct flow_draft *d, uint8_t table_id)
{
    struct ofpact_resubmit *resubmit = ofpact_put_RESUBMIT(&d->actions);

    resubmit->in_port = OFPP_IN_PORT;
    resubmit->table_id = table_id;
}

void
act_output(struct flow_draft *d, ofp_port_t port)
{
    struct ofpact_output *output = ofpact_put_OUTPUT(&d->actions);

    output->port = port;
    output->max_len = 0;
}

/* Sends the whole packet to ovs-egressd, with the table it missed or matched in. */
void
act_controller(struct flow_draft *d)
{
    struct ofpact_controller *controller = ofpact_put_CONTROLLER(&d->actions);

    controller->max_len = UINT16_MAX;
    controller->controller_id = EGRESS_CONTROLLER_ID;
    controller->reason = OFPR_ACTION;
    controller->meter_id = NX_CTLR_NO_METER;
    ofpact_finish_CONTROLLER(&d->actions, &controller);
}

void
act_dec_ttl(struct flow_draft *d)
{
    struct ofpact_cnt_ids *ids = ofpact_put_DEC_TTL(&d->actions);
    uint16_t default_controller = 0;

    ids->n_controllers = 1;
    ofpbuf_put(&d->actions, &default_controller, sizeof default_controller);
    ids = d->actions.header;
    ofpact_finish_DEC_TTL(&d->actions, &ids);
}

void
act_meter(struct flow_draft *d, uint32_t meter_id)
{
    struct ofpact_meter *meter = ofpact_put_METER(&d->actions);

    meter->meter_id = meter_id;
    meter->provider_meter_id = UINT32_MAX;
}

void
act_ct_clear(struct flow_draft *d)
{
    ofpact_put_CT_CLEAR(&d->actions);
}

/* Begins ct() in 'zone', after which the packet goes to stage 'next'.  Returns what act_ct_end() needs. */
size_t
act_ct_start(struct flow_draft *d, uint16_t flags, uint16_t zone, enum egress_table next)
{
    size_t start = d->actions.size;
    struct ofpact_conntrack *ct;

    ct = ofpact_put_CT(&d->actions);
    ct->flags = flags;
    ct->zone_imm = zone;
    ct->zone_src.field = NULL;
    ct->alg = 0;
    ct->recirc_table = d->ctx->table_base + next;
    return start;
}

/* Source translation to 'addr', with a port from 'first_port' to 'last_port' where the protocol has ports; 0
 * and 0 keep the packet's own port wherever possible. */
void
act_ct_nat_source(struct flow_draft *d, const struct in6_addr *addr, uint16_t first_port,
                  uint16_t last_port)
{
    struct ofpact_nat *nat = ofpact_put_NAT(&d->actions);

    nat->flags = NX_NAT_F_SRC;
    nat->range.proto.min = first_port;
    nat->range.proto.max = last_port;
    if (ip_family_of(addr) == IP_V4) {
        nat->range_af = AF_INET;
        nat->range.addr.ipv4.min = ip_to_v4(addr);
    } else {
        nat->range_af = AF_INET6;
        nat->range.addr.ipv6.min = *addr;
    }
}

/* Translation back of what belongs to a translated connection. */
void
act_ct_nat_reverse(struct flow_draft *d)
{
    struct ofpact_nat *nat = ofpact_put_NAT(&d->actions);

    nat->flags = 0;
    nat->range_af = AF_UNSPEC;
}

void
act_ct_end(struct flow_draft *d, size_t start)
{
    struct ofpact_conntrack *ct;

    /* ofpact_finish() takes everything from the buffer's header to its tail as the action's length. */
    ct = ofpbuf_at_assert(&d->actions, start, sizeof *ct);
    d->actions.header = ct;
    ofpact_finish_CT(&d->actions, &ct);
}
