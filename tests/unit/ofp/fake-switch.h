#ifndef TESTS_UNIT_OFP_FAKE_SWITCH_H
#define TESTS_UNIT_OFP_FAKE_SWITCH_H 1

/* For tests: a switch in the same process that misbehaves on demand.  It reports no flows, and
 * it remembers by priority which flows were committed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openflow/openflow-common.h"

struct fake_switch {
    char dir[64];
    char target[80];            /* For of_switch_set_target(). */
    struct pvconn *pvconn;
    struct vconn *vconn;        /* NULL if nobody is connected. */

    /* How to misbehave. */
    int refuse_priority;        /* This one is refused when it is added to the bundle. */
    int refuse_at_commit;       /* This one is refused when the bundle is committed. */
    int full_at_commit;         /* At this one and after it the table is full. */
    int drop_after_adds; /* After so many flows in a bundle the connection is dropped, once. */
    bool drop_before_commit_reply; /* The bundle comes into force, but nobody hears of it, once. */
    bool refuse_monitor;
    bool refuse_open;           /* Once. */
    bool fail_commit_silently;  /* The commit is refused without naming a flow, once. */
    int junk; /* So many messages are answered also with things that nobody asked for. */

    /* What happened. */
    struct fake_mod {
        int priority;
        bool delete;
        uint32_t xid;
    } pending[64];              /* The current bundle. */
    int n_pending;
    int in_force[64], n_in_force; /* Priorities of the flows that are in force. */
    int n_adds, n_commits, n_discards, n_dumps, n_connections;
};

void fake_switch_init(struct fake_switch *);
void fake_switch_destroy(struct fake_switch *);
void fake_switch_run(struct fake_switch *);
void fake_switch_wait(struct fake_switch *);
void fake_switch_send_flow_removed(struct fake_switch *, uint8_t table_id, int priority,
                                   enum ofp_flow_removed_reason);

#endif /* tests/unit/ofp/fake-switch.h */
