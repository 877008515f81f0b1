/* What this node is good for at present: whether its agent does its part, and whether it could be a gateway. */

#include <config.h>
#include "controller/agent-private.h"

#include <limits.h>
#include "timeval.h"
#include "util.h"

/* Returns why this node does not do its part, or NULL if it does: all that flows are computed from is known, and the
 * switch is there to take them.  The text is good until the next agent_run(). */
const char *
agent_why_not_ready(const struct agent *a)
{
    if (!a->started) {
        return a->waiting_for ? a->waiting_for : "just started";
    } else if (!of_switch_connected(a->sw)) {
        return "there is no connection to the switch";
    }
    return NULL;
}

const char *
agent_condition_name(enum agent_condition condition)
{
    switch (condition) {
    case AGENT_SWITCH_CONNECTED: return "SwitchConnected";
    case AGENT_UPLINK_FOUND: return "UplinkFound";
    case AGENT_SETTLED: return "Settled";
    }
    OVS_NOT_REACHED();
}

static const char *
uplink_failure(const struct agent *a)
{
    const struct ports_view *ports = ports_get_view(a->ports);
    const struct uplink_view *uplink = uplink_routes_get(a->uplink_routes);

    if (!ports->ready || ports->uplink == OFPP_NONE || ports->uplink_peer == OFPP_NONE) {
        return "the integration bridge has no port to the uplink bridge";
    } else if (!uplink->present) {
        return "the uplink bridge has no network interface";
    } else if (!uplink->n_routes) {
        return "the node has no route out of the uplink";
    }
    return NULL;
}

/* Returns why 'condition' is not met, a static string, or NULL if it is. */
const char *
agent_condition_failure(const struct agent *a, enum agent_condition condition)
{
    switch (condition) {
    case AGENT_SWITCH_CONNECTED:
        return a->started && of_switch_connected(a->sw) ? NULL : "there is no connection to the switch";
    case AGENT_UPLINK_FOUND:
        return uplink_failure(a);
    case AGENT_SETTLED:
        if (!a->settled_once) {
            return "the switch has not confirmed its flows yet";
        }
        return (a->unsettled_since == LLONG_MAX || time_msec() - a->unsettled_since < AGENT_SETTLE_GRACE_MS
                ? NULL : "the switch does not confirm its flows");
    }
    OVS_NOT_REACHED();
}

/* Could this node be the gateway of a route? */
bool
agent_is_gateway_ready(const struct agent *a)
{
    for (int i = 0; i < N_AGENT_CONDITIONS; i++) {
        if (agent_condition_failure(a, i)) {
            return false;
        }
    }
    return true;
}

void
agent_ready_init(struct agent *a)
{
    a->unsettled_since = LLONG_MAX;
}

/* Takes note of whether the switch has everything. */
void
agent_ready_run(struct agent *a, long long int now)
{
    if (agent_is_settled(a)) {
        a->settled_once = true;
        a->unsettled_since = LLONG_MAX;
    } else if (a->unsettled_since == LLONG_MAX) {
        a->unsettled_since = now;
    }
}
