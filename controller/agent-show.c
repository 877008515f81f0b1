/* What people ask the agent as a whole, over unixctl: how it is and what is wrong. */

#include <config.h>
#include "controller/agent-private.h"

#include "controller/agent-answer.h"
#include "k8s/kube-source.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

/* Problems. */

static void
copy_problems(struct problem_list *dst, const struct problem_list *src)
{
    for (size_t i = 0; i < src->n; i++) {
        problem_list_add(dst, src->problems[i].object, "%s", src->problems[i].text);
    }
}

/* Makes 'problems', which the caller destroys, all that a person has to mend. */
void
agent_collect_problems(const struct agent *a, struct problem_list *problems)
{
    problem_list_init(problems);
    if (a->waiting_for) {
        problem_list_add(problems, a->options->node, "flows are not computed yet: %s", a->waiting_for);
    }
    copy_problems(problems, source_get_problems(a->source));
    copy_problems(problems, &a->resolve_problems);
    copy_problems(problems, &ports_get_view(a->ports)->problems);
    claims_get_problems(a->claims, time_msec(), problems);
    if (agent_lease_problem(a) && kube_source_is_reachable(a->source)) {
        problem_list_add(problems, a->options->node, "its Lease, by which the manager knows that it can be a "
                         "gateway, is not renewed: %s", agent_lease_problem(a));
    }
    if (flow_set_count_rejected(a->flows)) {
        struct ds ds = DS_EMPTY_INITIALIZER;

        flow_set_format_rejected(a->flows, NULL, &ds);
        problem_list_add(problems, a->options->bridge, "the switch rejects %"PRIuSIZE" flows:\n%s",
                         flow_set_count_rejected(a->flows), ds_cstr(&ds));
        ds_destroy(&ds);
    }
}

static void
put_problems(const struct agent *a, struct answer *answer)
{
    struct problem_list problems;

    agent_collect_problems(a, &problems);
    answer_put_problems(answer, &problems);
    problem_list_destroy(&problems);
}

/* show */

static void
show_source(const struct agent *a, struct answer *answer)
{
    const struct egress_model *model = source_get_model(a->source);
    struct json *object = json_object_create();

    answer_put_string(object, "from", a->options->source);
    json_object_put(object, "synced", json_boolean_create(source_is_synced(a->source)));
    answer_put_count(object, "nodes", shash_count(&model->nodes));
    answer_put_count(object, "namespaces", shash_count(&model->namespaces));
    answer_put_count(object, "pods", shash_count(&model->pods));
    ds_put_format(&answer->text, "source: %s, %s\n"
                  "    %"PRIuSIZE" nodes, %"PRIuSIZE" namespaces, %"PRIuSIZE" pods, ",
                  a->options->source, source_is_synced(a->source) ? "read" : "not read yet",
                  shash_count(&model->nodes), shash_count(&model->namespaces),
                  shash_count(&model->pods));
    if (source_provides_routes(a->source)) {
        answer_put_count(object, "routes", shash_count(&model->routes));
        ds_put_format(&answer->text, "%"PRIuSIZE" routes\n", shash_count(&model->routes));
    } else {
        answer_put_count(object, "policies", shash_count(&model->policies));
        answer_put_count(object, "pools", shash_count(&model->pools));
        ds_put_format(&answer->text, "%"PRIuSIZE" policies, %"PRIuSIZE" pools\n",
                      shash_count(&model->policies), shash_count(&model->pools));
    }
    json_object_put(answer->root, "source", object);
}

static void
show_switch(const struct agent *a, struct answer *answer)
{
    const struct of_switch_stats *stats = of_switch_get_stats(a->sw);
    struct json *object = json_object_create();
    struct ds status = DS_EMPTY_INITIALIZER;
    uint64_t flow_mods = agent_count_flow_mods(a);

    answer_put_string(object, "bridge", a->options->bridge);
    of_switch_get_status(a->sw, &status);
    answer_put_string(object, "status", ds_cstr(&status));
    json_object_put(object, "connected", json_boolean_create(of_switch_connected(a->sw)));
    json_object_put(object, "settled", json_boolean_create(agent_is_settled(a)));
    answer_put_count(object, "flows", flow_set_count(a->flows));
    answer_put_count(object, "pending", flow_set_count_pending(a->flows));
    answer_put_count(object, "flow_mods", flow_mods);
    answer_put_count(object, "bundles", stats->sync.n_bundles);
    answer_put_count(object, "bundle_errors", stats->sync.n_bundle_errors);
    answer_put_count(object, "foreign_changes", stats->n_foreign_changes);
    answer_put_count(object, "last_sync_ms", stats->last_sync_ms);
    answer_put_count(object, "acked_seqno", of_switch_get_acked_seqno(a->sw));
    json_object_put(answer->root, "switch", object);
    ds_put_format(&answer->text, "switch: %s, %s\n"
                  "    %"PRIuSIZE" flows, %"PRIuSIZE" of them not in the switch yet; "
                  "%"PRIu64" flow-mods sent in %"PRIu64" bundles\n", a->options->bridge,
                  ds_cstr(&status), flow_set_count(a->flows), flow_set_count_pending(a->flows), flow_mods,
                  stats->sync.n_bundles);
    ds_destroy(&status);
}

static void
show_routes_and_pods(const struct agent *a, struct answer *answer)
{
    struct json *routes = json_object_create();
    struct json *egress_ips = json_object_create();
    struct json *pods = json_object_create();
    size_t n_claimed = agent_gateway_count_claimed(a);
    size_t n_active = 0, n_states[POD_KNOWN + 1] = { 0 }, n_selected = 0;
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->routes) {
        const struct egress_route *route = node->data;

        n_active += route->state == ROUTE_ACTIVE;
    }
    SHASH_FOR_EACH (node, &a->pods) {
        const struct agent_pod *pod = node->data;

        n_states[pod->state]++;
        n_selected += pod->class != NULL;
    }
    answer_put_count(routes, "active", n_active);
    answer_put_count(routes, "inactive", shash_count(&a->routes) - n_active);
    json_object_put(answer->root, "routes", routes);
    answer_put_count(egress_ips, "claimed", n_claimed);
    answer_put_count(egress_ips, "unclaimed", shash_count(&a->egress_ips) - n_claimed);
    json_object_put(answer->root, "egress_ips", egress_ips);
    answer_put_count(pods, "local", shash_count(&a->pods));
    answer_put_count(pods, "selected", n_selected);
    answer_put_count(pods, "held_back", n_states[POD_HELD]);
    json_object_put(answer->root, "pods", pods);

    ds_put_format(&answer->text, "routes: %"PRIuSIZE" active, %"PRIuSIZE" not\n"
                  "egress IPs of this node: %"PRIuSIZE", %"PRIuSIZE" of them not claimed yet\n", n_active,
                  shash_count(&a->routes) - n_active, shash_count(&a->egress_ips),
                  shash_count(&a->egress_ips) - n_claimed);
    ds_put_format(&answer->text, "pods here: %"PRIuSIZE", %"PRIuSIZE" of them selected, "
                  "%"PRIuSIZE" held back\n", shash_count(&a->pods), n_selected, n_states[POD_HELD]);
}

static void
show(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    const struct agent *a = a_;
    struct answer answer;

    answer_init(&answer, argc, argv);
    answer_put_string(answer.root, "node", a->options->node);
    answer_put_string(answer.root, "version", OVS_EGRESS_VERSION);
    ds_put_format(&answer.text, "node: %s, ovs-egressd %s\n", a->options->node, OVS_EGRESS_VERSION);
    show_source(a, &answer);
    show_switch(a, &answer);
    show_routes_and_pods(a, &answer);
    put_problems(a, &answer);
    answer_send(&answer, conn);
}

/* For probes: an answer if this node does its part, an error that says why if it does not. */
static void
show_ready(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    const struct agent *a = a_;
    const char *reason = agent_why_not_ready(a);
    struct answer answer;

    if (reason) {
        unixctl_command_reply_error(conn, reason);
    } else {
        answer_init(&answer, argc, argv);
        json_object_put(answer.root, "ready", json_boolean_create(true));
        ds_put_cstr(&answer.text, "ready\n");
        answer_send(&answer, conn);
    }
}

void
agent_show_init(struct agent *a)
{
    unixctl_command_register("egress/ready", "[--json]", 0, 1, show_ready, a);
    unixctl_command_register("egress/show", "[--json]", 0, 1, show, a);
}
