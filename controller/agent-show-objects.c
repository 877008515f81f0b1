/* What people ask the agent about its routes, pods and flows, over unixctl. */

#include <config.h>
#include "controller/agent-private.h"

#include <stdlib.h>
#include <string.h>
#include "controller/agent-answer.h"
#include "controller/answer-routes.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "unixctl.h"
#include "util.h"

/* Routes. */

static void
list_routes(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    const struct agent *a = a_;
    struct answer answer;

    answer_init(&answer, argc, argv);
    answer_put_routes(&answer, &a->routes);
    answer_send(&answer, conn);
}

static bool
class_has_route(const struct agent_class *class, const struct egress_route *route)
{
    for (size_t i = 0; class && i < class->n_routes; i++) {
        if (class->routes[i] == route) {
            return true;
        }
    }
    return false;
}

static int
compare_pods(const void *a_, const void *b_)
{
    const struct agent_pod *const *a = a_, *const *b = b_;
    int cmp = strcmp((*a)->id, (*b)->id);

    return cmp ? cmp : strcmp((*a)->port.name, (*b)->port.name);
}

/* All pods by their names, as an array of shash_count(&a->pods) elements that the caller frees. */
static const struct agent_pod **
sorted_pods(const struct agent *a)
{
    size_t n = shash_count(&a->pods);
    const struct agent_pod **pods = xmalloc(n * sizeof *pods);
    struct shash_node *node;
    size_t i = 0;

    SHASH_FOR_EACH (node, &a->pods) {
        pods[i++] = node->data;
    }
    if (n) {
        qsort(pods, n, sizeof *pods, compare_pods);
    }
    return pods;
}

static void
put_pods_of_route(const struct agent *a, const struct egress_route *route, struct answer *answer)
{
    struct json *array = json_array_create_empty();
    const struct agent_pod **pods = sorted_pods(a);

    ds_put_cstr(&answer->text, "selected pods on this node:");
    for (size_t i = 0; i < shash_count(&a->pods); i++) {
        const struct agent_pod *pod = pods[i];

        if (class_has_route(pod->class, route)) {
            json_array_add(array, json_string_create(pod->id));
            ds_put_format(&answer->text, " %s", pod->id);
        }
    }
    if (!json_array(array)->n) {
        ds_put_cstr(&answer->text, " none");
    }
    ds_put_char(&answer->text, '\n');
    json_object_put(answer->root, "pods", array);
    free(pods);
}

static void
show_route(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    const struct agent *a = a_;
    const struct egress_route *route;
    struct answer answer;
    char *error = NULL;
    const char *name;

    answer_init(&answer, argc, argv);
    name = answer_arg(&answer, argc, argv, 0);
    route = answer_find_route(&a->routes, name ? name : "", &error);
    if (!route) {
        answer_refuse(&answer, conn, error);
        return;
    }
    answer_put_route(&answer, route);
    put_pods_of_route(a, route, &answer);
    answer_send(&answer, conn);
}

/* Pods. */

static struct json *
pod_to_json(const struct agent_pod *pod)
{
    struct json *object = json_object_create();
    const struct egress_route *route = pod->class ? pod->class->routes[0] : NULL;

    answer_put_string(object, "pod", pod->id);
    answer_put_string(object, "port", pod->port.name);
    answer_put_count(object, "ofport", (OVS_FORCE uint16_t) pod->port.ofport);
    answer_put_string(object, "state", pod_state_name(pod->state));
    answer_put_string(object, "waits_for", pod->held_for);
    json_object_put(object, "ips", answer_ips_to_json(pod->ips, pod->n_ips));
    answer_put_string(object, "route", route ? route->policy->id : NULL);
    json_object_put(object, "egress_ips",
                    answer_ips_to_json(route ? route->egress_ips : NULL, route ? N_IP_FAMILIES : 0));
    answer_put_string(object, "gateway", route ? answer_gateway(route) : NULL);
    return object;
}

static void
list_pods(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    const struct agent *a = a_;
    const struct agent_pod **pods = sorted_pods(a);
    struct json *array = json_array_create_empty();
    struct answer answer;

    answer_init(&answer, argc, argv);
    ds_put_format(&answer.text, "%-32s %-15s %-14s %-40s %s\n", "POD", "PORT", "STATE", "EGRESS IP",
                  "POLICY");
    for (size_t i = 0; i < shash_count(&a->pods); i++) {
        const struct agent_pod *pod = pods[i];
        const struct egress_route *route = pod->class ? pod->class->routes[0] : NULL;
        char *ips = answer_format_ips(route ? route->egress_ips : NULL, route ? N_IP_FAMILIES : 0);

        json_array_add(array, pod_to_json(pod));
        ds_put_format(&answer.text, "%-32s %-15s %-14s %-40s %s\n", pod->id, pod->port.name,
                      pod_state_name(pod->state), ips, route ? route->policy->id : "-");
        free(ips);
    }
    json_object_put(answer.root, "pods", array);
    free(pods);
    answer_send(&answer, conn);
}

static const struct agent_pod *
find_pod(const struct agent *a, const char *id)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->pods) {
        const struct agent_pod *pod = node->data;

        if (!strcmp(pod->id, id)) {
            return pod;
        }
    }
    return NULL;
}

static void
show_pod(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    const struct agent *a = a_;
    const struct agent_pod *pod;
    struct answer answer;
    const char *id;

    answer_init(&answer, argc, argv);
    id = answer_arg(&answer, argc, argv, 0);
    pod = find_pod(a, id ? id : "");
    if (!pod) {
        const struct cluster_pod *object = shash_find_data(&source_get_model(a->source)->pods,
                                                           id ? id : "");

        answer_refuse(&answer, conn, object
                      ? xasprintf("%s: has no port on this node's bridge (it runs on %s)", id,
                                  object->node ? object->node : "no node yet")
                      : xasprintf("%s: no such pod on this node; \"pods\" lists them", id ? id : ""));
        return;
    }
    json_destroy(answer.root);
    answer.root = pod_to_json(pod);

    char *ips = answer_format_ips(pod->ips, pod->n_ips);
    ds_put_format(&answer.text, "pod: %s\nport: %s (ofport %"PRIu16")\naddresses: %s\nstate: %s%s%s\n",
                  pod->id, pod->port.name, (OVS_FORCE uint16_t) pod->port.ofport, ips,
                  pod_state_name(pod->state), pod->held_for ? ", waits for " : "",
                  pod->held_for ? pod->held_for : "");
    free(ips);
    if (pod->class) {
        answer_put_precedence(&answer, (const struct egress_route **) pod->class->routes,
                              pod->class->n_routes);
    } else {
        answer_put_precedence(&answer, NULL, 0);
        ds_put_cstr(&answer.text, pod->state == POD_HELD ? "which policies select it is not known yet\n"
                                                         : "no policy selects it\n");
    }
    answer_send(&answer, conn);
}

/* Flows. */

/* There is one agent per process, but the formatter's callback takes no context. */
static uint8_t shown_table_base;

static const char *
table_name(uint8_t table_id)
{
    return table_id < shown_table_base ? NULL : egress_table_name(table_id - shown_table_base);
}

static void
list_flows(struct unixctl_conn *conn, int argc, const char *argv[], void *a_)
{
    const struct agent *a = a_;
    const struct egress_route *route;
    const struct agent_pod *pod;
    struct answer answer;
    char *error = NULL;
    const char *what;

    answer_init(&answer, argc, argv);
    what = answer_arg(&answer, argc, argv, 0);
    shown_table_base = a->options->table_base;
    if (!what) {
        flow_set_format(a->flows, NULL, table_name, &answer.text);
    } else if ((pod = find_pod(a, what)) != NULL) {
        flow_set_format(a->flows, pod->owner, table_name, &answer.text);
        if (pod->class) {
            flow_set_format(a->flows, pod->class->owner, table_name, &answer.text);
        }
    } else if ((route = answer_find_route(&a->routes, what, &error)) != NULL) {
        char *owner = xasprintf("route/%s", route->policy->id);
        char *class = xasprintf("class/%#"PRIx32, route->number);

        flow_set_format(a->flows, class, table_name, &answer.text);
        flow_set_format(a->flows, owner, table_name, &answer.text);
        free(owner);
        free(class);
    } else {
        free(error);
        answer_refuse(&answer, conn, xasprintf("%s: neither a pod on this node nor a route", what));
        return;
    }

    struct json *array = json_array_create_empty();
    char *save_ptr = NULL;
    char *text = xstrdup(ds_cstr(&answer.text));
    for (char *line = strtok_r(text, "\n", &save_ptr); line; line = strtok_r(NULL, "\n", &save_ptr)) {
        json_array_add(array, json_string_create(line + strspn(line, " ")));
    }
    free(text);
    json_object_put(answer.root, "flows", array);
    answer_send(&answer, conn);
}

void
agent_show_objects_init(struct agent *a)
{
    unixctl_command_register("route/list", "[--json]", 0, 1, list_routes, a);
    unixctl_command_register("route/show", "[--json] NAME", 1, 2, show_route, a);
    unixctl_command_register("pod/list", "[--json]", 0, 1, list_pods, a);
    unixctl_command_register("pod/show", "[--json] NAMESPACE/NAME", 1, 2, show_pod, a);
    unixctl_command_register("flow/list", "[--json] [ROUTE|POD]", 0, 2, list_flows, a);
}
