/* What callers on the unixctl socket wait for: that the switch confirms what it should have. */

#include <config.h>
#include "controller/agent-private.h"

#include <stdlib.h>
#include "unixctl.h"
#include "util.h"

/* The flow-mods that were sent since the program started. */
uint64_t
agent_count_flow_mods(const struct agent *a)
{
    const struct of_switch_stats *stats = of_switch_get_stats(a->sw);

    return stats->sync.n_adds + stats->sync.n_modifies + stats->sync.n_deletes;
}

/* Has the switch confirmed everything that is desired? */
bool
agent_is_settled(const struct agent *a)
{
    return of_switch_connected(a->sw) && of_switch_in_sync(a->sw);
}

/* recompute: the answer has to wait until the switch was read again and confirmed everything. */

struct pending_recompute {
    struct ovs_list node;       /* In 'recomputes' of struct agent. */
    struct unixctl_conn *conn;
    bool json;
    uint64_t ticket;            /* Of the new reading of the switch. */
    uint64_t n_flow_mods;       /* Sent before. */
};

static void
recompute(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    struct agent *a = a_;
    struct pending_recompute *pending;

    if (!a->started) {
        unixctl_command_reply_error(conn, a->waiting_for ? a->waiting_for : "not started yet");
        return;
    }
    if (!of_switch_connected(a->sw)) {
        unixctl_command_reply_error(conn, "the switch is not connected");
        return;
    }
    pending = xzalloc(sizeof *pending);
    pending->conn = conn;
    pending->json = argc > 1 && !strcmp(argv[1], "--json");
    pending->n_flow_mods = agent_count_flow_mods(a);
    agent_recompute(a);
    pending->ticket = of_switch_redump(a->sw);
    ovs_list_push_back(&a->recomputes, &pending->node);
}

static void
recompute_finish(struct agent *a, struct pending_recompute *pending)
{
    uint64_t n_flow_mods = agent_count_flow_mods(a) - pending->n_flow_mods;
    char *s;

    if (pending->json) {
        s = xasprintf("{\"flows\":%"PRIuSIZE",\"flow_mods\":%"PRIu64"}", flow_set_count(a->flows),
                      n_flow_mods);
    } else if (n_flow_mods) {
        s = xasprintf("%"PRIuSIZE" flows computed anew; %"PRIu64" flow-mods were needed",
                      flow_set_count(a->flows), n_flow_mods);
    } else {
        s = xasprintf("%"PRIuSIZE" flows computed anew; nothing changed", flow_set_count(a->flows));
    }
    unixctl_command_reply(pending->conn, s);
    free(s);
    ovs_list_remove(&pending->node);
    free(pending);
}

/* switch/wait: for programs that want to know when a change is in force, without asking again and
 * again. */

struct pending_wait {
    struct ovs_list node;       /* In 'waits' of struct agent. */
    struct unixctl_conn *conn;
    uint64_t seqno;             /* Answered when the switch has confirmed more than this. */
};

static bool
wait_is_over(const struct agent *a, uint64_t seqno)
{
    return agent_is_settled(a) && of_switch_get_acked_seqno(a->sw) > seqno;
}

static void
wait_answer(const struct agent *a, struct unixctl_conn *conn)
{
    char *s = xasprintf("{\"acked_seqno\":%"PRIu64",\"flow_mods\":%"PRIu64"}",
                        of_switch_get_acked_seqno(a->sw), agent_count_flow_mods(a));

    unixctl_command_reply(conn, s);
    free(s);
}

static void
switch_wait(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    struct agent *a = a_;
    unsigned long long int seqno = 0;

    if (argc > 1 && !str_to_ullong(argv[1], 10, &seqno)) {
        char *error = xasprintf("%s: expected an acked_seqno, a decimal number", argv[1]);

        unixctl_command_reply_error(conn, error);
        free(error);
    } else if (wait_is_over(a, seqno)) {
        wait_answer(a, conn);
    } else {
        struct pending_wait *pending = xmalloc(sizeof *pending);

        pending->conn = conn;
        pending->seqno = seqno;
        ovs_list_push_back(&a->waits, &pending->node);
    }
}

/* Answers what has been waited for. */
void
agent_settle_run(struct agent *a)
{
    struct pending_recompute *pending;
    struct pending_wait *wait;
    size_t n_changes;

    LIST_FOR_EACH_SAFE (wait, node, &a->waits) {
        if (wait_is_over(a, wait->seqno)) {
            wait_answer(a, wait->conn);
            ovs_list_remove(&wait->node);
            free(wait);
        }
    }

    LIST_FOR_EACH_SAFE (pending, node, &a->recomputes) {
        if (of_switch_get_redump_result(a->sw, pending->ticket, &n_changes)
            && agent_is_settled(a)) {
            recompute_finish(a, pending);
        }
    }
}

void
agent_settle_init(struct agent *a)
{
    ovs_list_init(&a->recomputes);
    ovs_list_init(&a->waits);
    unixctl_command_register("recompute", "[--json]", 0, 1, recompute, a);
    unixctl_command_register("switch/wait", "[ACKED-SEQNO]", 0, 1, switch_wait, a);
}

void
agent_settle_destroy(struct agent *a)
{
    struct pending_recompute *pending;
    struct pending_wait *wait;

    LIST_FOR_EACH_SAFE (pending, node, &a->recomputes) {
        unixctl_command_reply_error(pending->conn, "the agent exits");
        ovs_list_remove(&pending->node);
        free(pending);
    }
    LIST_FOR_EACH_SAFE (wait, node, &a->waits) {
        unixctl_command_reply_error(wait->conn, "the agent exits");
        ovs_list_remove(&wait->node);
        free(wait);
    }
}
