#include <config.h>
#include "ofp/of-flow.h"
#include <string.h>
#include "byte-order.h"
#include "hash.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/match.h"
#include "openvswitch/ofp-actions.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofp-group.h"
#include "openvswitch/ofp-match.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/ofp-protocol.h"
#include "openvswitch/ofpbuf.h"
#include "util.h"

/* Returns a new flow with one reference.  Copies what it is given.  'ofpacts' must be actions
 * that OpenFlow 1.5 with Open vSwitch's extensions can express. */
struct of_flow *
of_flow_create(uint8_t table_id, uint16_t priority, ovs_be64 cookie, const struct match *match,
               const struct ofpact *ofpacts, size_t ofpacts_len)
{
    uint64_t stub[1024 / 8];
    struct ofpbuf b;

    ofpbuf_use_stub(&b, stub, sizeof stub);
    ofputil_put_ofp11_match(&b, match, OF_FLOW_PROTOCOL);
    size_t match_len = b.size;
    ofpacts_put_openflow_instructions(ofpacts, ofpacts_len, &b, OF_FLOW_VERSION);

    struct of_flow *flow = xmalloc(sizeof *flow + b.size);
    *flow = (struct of_flow) {
        .cookie = cookie,
        .n_refs = 1,
        .priority = priority,
        .match_len = match_len,
        .actions_len = b.size - match_len,
        .table_id = table_id,
    };
    ovs_list_init(&flow->owner_node);
    memcpy(flow->data, b.data, b.size);
    ofpbuf_uninit(&b);
    return flow;
}

/* Returns 'flow' with one more reference, or NULL for NULL. */
struct of_flow *
of_flow_ref(const struct of_flow *flow_)
{
    struct of_flow *flow = CONST_CAST(struct of_flow *, flow_);

    if (flow) {
        flow->n_refs++;
    }
    return flow;
}

/* Drops a reference to 'flow', which may be NULL. */
void
of_flow_unref(struct of_flow *flow)
{
    if (flow && !--flow->n_refs) {
        free(flow);
    }
}

/* Hashes what of_flow_same_key() compares. */
uint32_t
of_flow_hash(const struct of_flow *flow)
{
    return hash_bytes(flow->data, flow->match_len,
                      (uint32_t) flow->table_id << 16 | flow->priority);
}

/* Compares the keys of 'a' and 'b' the way that people read flow tables: by table, the highest
 * priority first, then by match. */
int
of_flow_compare(const struct of_flow *a, const struct of_flow *b)
{
    if (a->table_id != b->table_id) {
        return a->table_id < b->table_id ? -1 : 1;
    } else if (a->priority != b->priority) {
        return a->priority > b->priority ? -1 : 1;
    }
    int cmp = memcmp(a->data, b->data, MIN(a->match_len, b->match_len));
    return cmp ? cmp : (int) a->match_len - (int) b->match_len;
}

/* Whether a switch keeps only one of 'a' and 'b'. */
bool
of_flow_same_key(const struct of_flow *a, const struct of_flow *b)
{
    return (a->table_id == b->table_id
            && a->priority == b->priority
            && a->match_len == b->match_len
            && !memcmp(a->data, b->data, a->match_len));
}

/* Decodes the actions of 'flow' into 'ofpacts'.  Returns false if they make no sense. */
static bool
decode_actions(const struct of_flow *flow, struct ofpbuf *ofpacts)
{
    struct ofpbuf b = ofpbuf_const_initializer(flow->data + flow->match_len, flow->actions_len);
    return !ofpacts_pull_openflow_instructions(&b, flow->actions_len, OF_FLOW_VERSION, NULL, NULL,
                                               ofpacts);
}

/* Appends to 'b' what a switch makes of the actions of 'flow': it decodes what it gets and
 * encodes it again when it is asked. */
static void
put_actions_as_reported(const struct of_flow *flow, struct ofpbuf *b)
{
    uint64_t stub[1024 / 8];
    struct ofpbuf ofpacts;

    ofpbuf_use_stub(&ofpacts, stub, sizeof stub);
    if (decode_actions(flow, &ofpacts)) {
        ofpacts_put_openflow_instructions(ofpacts.data, ofpacts.size, b, OF_FLOW_VERSION);
    } else {
        ofpbuf_put(b, flow->data + flow->match_len, flow->actions_len);
    }
    ofpbuf_uninit(&ofpacts);
}

static bool
same_actions(const struct of_flow *a, const struct of_flow *b)
{
    if (a->actions_len == b->actions_len
        && !memcmp(a->data + a->match_len, b->data + b->match_len, a->actions_len)) {
        return true;
    }

    uint64_t a_stub[512 / 8], b_stub[512 / 8];
    struct ofpbuf a_buf, b_buf;

    ofpbuf_use_stub(&a_buf, a_stub, sizeof a_stub);
    ofpbuf_use_stub(&b_buf, b_stub, sizeof b_stub);
    put_actions_as_reported(a, &a_buf);
    put_actions_as_reported(b, &b_buf);
    bool same = ofpbuf_equal(&a_buf, &b_buf);
    ofpbuf_uninit(&a_buf);
    ofpbuf_uninit(&b_buf);
    return same;
}

/* Whether 'a' and 'b', which have the same key, also have the same cookie and do the same. */
bool
of_flow_same_content(const struct of_flow *a, const struct of_flow *b)
{
    return a == b || (!a->alien && !b->alien && a->cookie == b->cookie && same_actions(a, b));
}

/* Appends 'flow' to 's', formatted like "ovs-ofctl dump-flows" does, but with the name of the
 * table if 'table_name' is not NULL and knows one. */
void
of_flow_format(const struct of_flow *flow, of_flow_table_name_func *table_name, struct ds *s)
{
    const char *name = table_name ? table_name(flow->table_id) : NULL;
    ds_put_format(s, "cookie=%#"PRIx64", ", ntohll(flow->cookie));
    if (name) {
        ds_put_format(s, "table=%s(%"PRIu8"), ", name, flow->table_id);
    } else {
        ds_put_format(s, "table=%"PRIu8", ", flow->table_id);
    }

    struct ofpbuf b = ofpbuf_const_initializer(flow->data, flow->match_len);
    struct match match;
    if (ofputil_pull_ofp11_match(&b, NULL, NULL, &match, NULL)) {
        ds_put_format(s, "priority=%"PRIu16",(match that does not decode)", flow->priority);
    } else {
        match_format(&match, NULL, s, flow->priority);
    }
    if (ds_last(s) != ' ') {
        ds_put_char(s, ' ');
    }

    uint64_t stub[1024 / 8];
    struct ofpbuf ofpacts;
    ofpbuf_use_stub(&ofpacts, stub, sizeof stub);
    ds_put_cstr(s, "actions=");
    if (decode_actions(flow, &ofpacts)) {
        struct ofpact_format_params fp = { .s = s };
        ofpacts_format(ofpacts.data, ofpacts.size, &fp);
    } else {
        ds_put_cstr(s, "(actions that do not decode)");
    }
    ofpbuf_uninit(&ofpacts);
}

static struct ofpbuf *
encode_flow_mod(const struct of_flow *flow, uint8_t command, ovs_be64 cookie, ovs_be64 cookie_mask,
                ovs_be32 xid)
{
    size_t actions_len = command == OFPFC_ADD ? flow->actions_len : 0;
    struct ofpbuf *msg = ofpraw_alloc_xid(OFPRAW_OFPT11_FLOW_MOD, OF_FLOW_VERSION, xid,
                                          flow->match_len + actions_len);
    struct ofp11_flow_mod *ofm = ofpbuf_put_zeros(msg, sizeof *ofm);

    ofm->cookie = cookie;
    ofm->cookie_mask = cookie_mask;
    ofm->table_id = flow->table_id;
    ofm->command = command;
    ofm->priority = htons(flow->priority);
    ofm->buffer_id = htonl(UINT32_MAX);
    ofm->out_port = ofputil_port_to_ofp11(OFPP_ANY);
    ofm->out_group = htonl(OFPG_ANY);
    ofpbuf_put(msg, flow->data, flow->match_len + actions_len);
    ofpmsg_update_length(msg);
    return msg;
}

/* Returns a message that adds 'flow'.  A flow with the same key is replaced, whoever's it is. */
struct ofpbuf *
of_flow_encode_add(const struct of_flow *flow, ovs_be32 xid)
{
    return encode_flow_mod(flow, OFPFC_ADD, flow->cookie, htonll(0), xid);
}

/* Returns a message that deletes the flow with the key of 'flow' if its cookie equals 'cookie'
 * in the bits of 'cookie_mask', so that a flow of somebody else with the same key stays. */
struct ofpbuf *
of_flow_encode_delete(const struct of_flow *flow, ovs_be64 cookie, ovs_be64 cookie_mask,
                      ovs_be32 xid)
{
    return encode_flow_mod(flow, OFPFC_DELETE_STRICT, cookie, cookie_mask, xid);
}
