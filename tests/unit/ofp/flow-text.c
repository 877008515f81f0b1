#include <config.h>
#include "tests/unit/ofp/flow-text.h"
#include <stdlib.h>
#include "byte-order.h"
#include "ofp/flow-set.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/match.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/ofpbuf.h"
#include "util.h"

/* Adds the flow in 'text', in the syntax of "ovs-ofctl add-flow", to 'batch'. */
void
batch_add_text(struct flow_batch *batch, const char *text)
{
    enum ofputil_protocol usable;
    struct ofputil_flow_mod fm;
    struct ofpbuf ofpacts;
    struct match match;

    char *error = parse_ofp_flow_mod_str(&fm, text, NULL, NULL, OFPFC_ADD, &usable);
    if (error) {
        ovs_fatal(0, "%s: %s", text, error);
    }
    minimatch_expand(&fm.match, &match);
    ofpbuf_use_const(&ofpacts, fm.ofpacts, fm.ofpacts_len);
    flow_batch_add(batch, fm.table_id, fm.priority, ntohll(fm.new_cookie), &match, &ofpacts);
    minimatch_destroy(&fm.match);
    free(fm.ofpacts);
}

/* Makes the 'n' flows in 'texts' all flows of 'owner'. */
void
set_replace_text(struct flow_set *set, const char *owner, const char *const texts[], size_t n)
{
    struct flow_batch batch;

    flow_batch_init(&batch);
    for (size_t i = 0; i < n; i++) {
        batch_add_text(&batch, texts[i]);
    }
    flow_set_replace(set, owner, &batch);
    flow_batch_destroy(&batch);
}

/* Returns what flow_set_format() says.  The caller frees it. */
char *
set_to_text(const struct flow_set *set, const char *owner)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    flow_set_format(set, owner, NULL, &s);
    return ds_steal_cstr(&s);
}
