#include <config.h>
#include "controller/cluster-show.h"

#include <stdlib.h>
#include <string.h>
#include "controller/agent-answer.h"
#include "controller/answer-routes.h"
#include "controller/cluster-reader.h"
#include "controller/pod-index.h"
#include "k8s/kube-config.h"
#include "k8s/kube-http.h"
#include "k8s/source.h"
#include "k8s/status.h"
#include "openvswitch/json.h"
#include "pipeline/model.h"
#include "util.h"

#define TYPE(NAME) (1u << OBJECT_##NAME)

/* Gateways. */

/* What a node has as the gateway of active routes. */
struct gateway {
    struct sset ips;
    size_t n_routes;
};

/* Stores in 'gateways' the struct gateway of each node that is one, by its name. */
static void
find_gateways(const struct shash *routes, struct shash *gateways)
{
    struct shash_node *node;

    shash_init(gateways);
    SHASH_FOR_EACH (node, routes) {
        const struct egress_route *route = node->data;

        if (route->state != ROUTE_ACTIVE || !route->candidates.n) {
            continue;
        }
        struct gateway *gateway = shash_find_data(gateways, answer_gateway(route));
        if (!gateway) {
            gateway = xzalloc(sizeof *gateway);
            sset_init(&gateway->ips);
            shash_add(gateways, answer_gateway(route), gateway);
        }
        gateway->n_routes++;
        for (int family = 0; family < N_IP_FAMILIES; family++) {
            if (ip_is_set(&route->egress_ips[family])) {
                sset_add_and_free(&gateway->ips, ip_to_string(&route->egress_ips[family]));
            }
        }
    }
}

static void
destroy_gateways(struct shash *gateways)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, gateways) {
        struct gateway *gateway = node->data;

        sset_destroy(&gateway->ips);
    }
    shash_destroy_free_data(gateways);
}

/* Problems. */

static bool
is_named(const struct problem_list *problems, const char *object)
{
    for (size_t i = 0; i < problems->n; i++) {
        if (!strcmp(problems->problems[i].object, object)) {
            return true;
        }
    }
    return false;
}

/* What conditions say, and, where they say nothing, what there is to say about objects that were read. */
static void
collect_problems(const struct cluster_reader *reader, struct problem_list *problems)
{
    const struct problem_list *found = source_get_problems(reader->source);
    const struct shash_node **nodes = shash_sort(&reader->statuses);

    problem_list_init(problems);
    for (size_t i = 0; i < shash_count(&reader->statuses); i++) {
        status_add_problems(nodes[i]->data, problems);
    }
    free(nodes);
    for (size_t i = 0; i < found->n; i++) {
        if (!is_named(problems, found->problems[i].object)) {
            problem_list_add(problems, found->problems[i].object, "%s", found->problems[i].text);
        }
    }
}

/* status */

static void
show_counts(const struct cluster_reader *reader, struct answer *answer)
{
    const struct egress_model *model = source_get_model(reader->source);
    size_t n_ready = 0, n_policies = 0, n_untold = 0, n_states[ROUTE_NO_GATEWAY + 1] = { 0 };
    struct json *routes = json_object_create();
    struct shash_node *node;

    SHASH_FOR_EACH (node, &model->nodes) {
        const struct cluster_node *each = node->data;

        n_ready += each->ready;
    }
    SHASH_FOR_EACH (node, &reader->statuses) {
        const struct status_object *object = node->data;

        n_policies += object->kind->type == OBJECT_POLICY;
        n_untold += object->kind->type == OBJECT_POLICY && !object->status;
    }
    SHASH_FOR_EACH (node, &model->routes) {
        const struct egress_route *route = node->data;

        n_states[route->state]++;
    }
    answer_put_string(answer->root, "server", reader->config->server);
    answer_put_count(answer->root, "nodes", shash_count(&model->nodes));
    answer_put_count(answer->root, "nodes_ready", n_ready);
    answer_put_count(answer->root, "policies", n_policies);
    answer_put_count(answer->root, "policies_without_status", n_untold);
    ds_put_format(&answer->text, "server: %s\nnodes: %"PRIuSIZE", %"PRIuSIZE" of them ready\n"
                  "policies: %"PRIuSIZE", %"PRIuSIZE" of them without a status yet\nroutes: %"PRIuSIZE,
                  reader->config->server, shash_count(&model->nodes), n_ready, n_policies, n_untold,
                  shash_count(&model->routes));
    for (enum route_state state = 0; state < ARRAY_SIZE(n_states); state++) {
        answer_put_count(routes, route_state_name(state), n_states[state]);
        ds_put_format(&answer->text, ", %"PRIuSIZE" %s", n_states[state], route_state_name(state));
    }
    ds_put_char(&answer->text, '\n');
    json_object_put(answer->root, "routes", routes);
}

static void
show_gateways(const struct cluster_reader *reader, struct answer *answer)
{
    struct json *array = json_array_create_empty();
    struct shash gateways;

    find_gateways(&source_get_model(reader->source)->routes, &gateways);
    const struct shash_node **nodes = shash_sort(&gateways);
    ds_put_cstr(&answer->text, shash_is_empty(&gateways) ? "gateways: none\n" : "gateways:\n");
    for (size_t i = 0; i < shash_count(&gateways); i++) {
        const struct gateway *gateway = nodes[i]->data;
        struct json *object = json_object_create();

        answer_put_string(object, "node", nodes[i]->name);
        answer_put_count(object, "egress_ips", sset_count(&gateway->ips));
        answer_put_count(object, "routes", gateway->n_routes);
        json_array_add(array, object);
        ds_put_format(&answer->text, "    %s: %"PRIuSIZE" egress IPs, %"PRIuSIZE" routes\n", nodes[i]->name,
                      sset_count(&gateway->ips), gateway->n_routes);
    }
    json_object_put(answer->root, "gateways", array);
    free(nodes);
    destroy_gateways(&gateways);
}

static void
show_pools(const struct cluster_reader *reader, struct answer *answer)
{
    const struct shash_node **nodes = shash_sort(&reader->statuses);
    struct json *array = json_array_create_empty();
    const char *title = "pools:\n";

    for (size_t i = 0; i < shash_count(&reader->statuses); i++) {
        const struct status_object *object = nodes[i]->data;
        struct json *json;
        long long int used, total;

        if (object->kind->type != OBJECT_POOL) {
            continue;
        }
        json = json_object_create();
        answer_put_string(json, "id", object->id);
        ds_put_format(&answer->text, "%s    %s: ", title, object->id);
        if (status_get_usage(object, &used, &total)) {
            answer_put_count(json, "used", used);
            answer_put_count(json, "total", total);
            ds_put_format(&answer->text, "%lld of %lld addresses used\n", used, total);
        } else {
            ds_put_cstr(&answer->text, "no usage is written yet\n");
        }
        json_array_add(array, json);
        title = "";
    }
    json_object_put(answer->root, "pools", array);
    free(nodes);
}

static void
show_problems(const struct cluster_reader *reader, struct answer *answer)
{
    struct problem_list problems;

    collect_problems(reader, &problems);
    answer_put_problems(answer, &problems);
    problem_list_destroy(&problems);
}

char *
cluster_show_status(struct cluster_reader *reader, const char *arg OVS_UNUSED, struct answer *answer)
{
    char *error = cluster_reader_list(reader, TYPE(POLICY) | TYPE(POOL) | TYPE(NODE) | TYPE(ROUTE));

    if (!error) {
        show_counts(reader, answer);
        show_gateways(reader, answer);
        show_pools(reader, answer);
        show_problems(reader, answer);
    }
    return error;
}

/* Routes. */

char *
cluster_show_routes(struct cluster_reader *reader, const char *arg OVS_UNUSED, struct answer *answer)
{
    char *error = cluster_reader_list(reader, TYPE(ROUTE));

    if (!error) {
        answer_put_routes(answer, &source_get_model(reader->source)->routes);
    }
    return error;
}

char *
cluster_show_route(struct cluster_reader *reader, const char *name, struct answer *answer)
{
    char *error = cluster_reader_list(reader, TYPE(ROUTE));

    if (!error) {
        const struct egress_route *route = answer_find_route(&source_get_model(reader->source)->routes, name,
                                                             &error);
        if (route) {
            answer_put_route(answer, route);
        }
    }
    return error;
}

/* pod */

/* Could 's' be what an object is called?  What else people type must not get into a path. */
static bool
is_name(const char *s)
{
    return s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-.")] == '\0' && *s && *s != '.';
}

/* Reads the pod 'name', "NAMESPACE/NAME" or, of the context's namespace, "NAME", and its namespace. */
static char *
read_pod(struct cluster_reader *reader, const char *name, struct cluster_pod **podp,
         struct cluster_namespace **namespacep)
{
    const char *slash = strchr(name, '/');
    char *namespace = slash ? xmemdup0(name, slash - name) : xstrdup(reader->config->namespace);
    void *object;

    *podp = NULL;
    *namespacep = NULL;
    if (!is_name(namespace) || !is_name(slash ? slash + 1 : name)) {
        free(namespace);
        return xasprintf("\"%s\" is no pod, expected [NAMESPACE/]NAME", name);
    }

    char *path = kube_path("", "v1", "pods", namespace, slash ? slash + 1 : name, NULL);
    char *error = cluster_reader_get(reader, OBJECT_POD, path, &object);
    *podp = object;
    free(path);
    if (!error) {
        path = kube_path("", "v1", "namespaces", NULL, namespace, NULL);
        error = cluster_reader_get(reader, OBJECT_NAMESPACE, path, &object);
        *namespacep = object;
        free(path);
    }
    free(namespace);
    return error;
}

static void
show_pod(const struct cluster_pod *pod, const struct egress_route *route, struct answer *answer)
{
    char *ips = answer_format_ips(pod->ips, pod->n_ips);

    answer_put_string(answer->root, "pod", pod->id);
    answer_put_string(answer->root, "node", pod->node);
    json_object_put(answer->root, "ips", answer_ips_to_json(pod->ips, pod->n_ips));
    json_object_put(answer->root, "host_network", json_boolean_create(pod->host_network));
    answer_put_string(answer->root, "route", route ? route->policy->id : NULL);
    json_object_put(answer->root, "egress_ips",
                    answer_ips_to_json(route ? route->egress_ips : NULL, route ? N_IP_FAMILIES : 0));
    answer_put_string(answer->root, "gateway", route ? answer_gateway(route) : NULL);
    ds_put_format(&answer->text, "pod: %s\nnode: %s\naddresses: %s\n", pod->id, pod->node ? pod->node : "-",
                  ips);
    free(ips);
    if (!route) {
        ds_put_format(&answer->text, "no policy selects it%s\n",
                      pod->host_network ? ", because it is on its node's network"
                      : pod->finished ? ", because it has ended" : "");
    }
}

char *
cluster_show_pod(struct cluster_reader *reader, const char *name, struct answer *answer)
{
    struct cluster_namespace *namespace;
    struct cluster_pod *pod;

    char *error = read_pod(reader, name, &pod, &namespace);
    if (!error) {
        error = cluster_reader_list(reader, TYPE(ROUTE));
    }
    if (!error) {
        struct route_index *index = route_index_create();
        const struct egress_route **routes;
        struct shash_node *node;
        size_t n;

        SHASH_FOR_EACH (node, &source_get_model(reader->source)->routes) {
            route_index_insert(index, node->data);
        }
        route_index_find(index, pod, namespace, pod->ips, pod->n_ips, &routes, &n);
        show_pod(pod, n ? routes[0] : NULL, answer);
        answer_put_precedence(answer, routes, n);
        free(routes);
        route_index_destroy(index);
    }
    cluster_pod_unref(pod);
    cluster_namespace_unref(namespace);
    return error;
}

/* nodes */

/* Does 'node' have what it takes to be the gateway of 'route'? */
static bool
is_eligible(const struct cluster_node *node, const struct egress_route *route, const struct shash *pools)
{
    const struct egress_policy *policy = route->policy;
    const struct egress_pool *pool = policy->pool ? shash_find_data(pools, policy->pool) : NULL;

    return (node->ready && ip_is_set(&node->addresses[IP_V4])
            && (!policy->has_node_selector || label_selector_matches(&policy->node_selector, &node->labels))
            && (!pool || !pool->has_node_selector
                || label_selector_matches(&pool->node_selector, &node->labels)));
}

static size_t
count_eligible(const struct cluster_node *node, const struct egress_model *model)
{
    struct shash_node *each;
    size_t n = 0;

    SHASH_FOR_EACH (each, &model->routes) {
        n += is_eligible(node, each->data, &model->pools);
    }
    return n;
}

/* An avoided node is eligible, but comes after those that are not. */
static const char *
readiness(const struct cluster_node *node)
{
    return !node->ready ? "no" : node->avoided ? "avoided" : "yes";
}

static void
show_node(const struct cluster_node *node, const struct gateway *gateway, size_t n_eligible,
          struct json *array, struct ds *text)
{
    struct json *object = json_object_create();
    struct json *ips = json_array_create_empty();
    const char **sorted = gateway ? sset_sort(&gateway->ips) : NULL;

    ds_put_format(text, "%-30s %-8s %-13"PRIuSIZE" ", node->name, readiness(node), n_eligible);
    for (size_t i = 0; gateway && i < sset_count(&gateway->ips); i++) {
        json_array_add(ips, json_string_create(sorted[i]));
        ds_put_format(text, "%s%s", i ? "," : "", sorted[i]);
    }
    ds_put_cstr(text, gateway ? "\n" : "-\n");
    answer_put_string(object, "node", node->name);
    json_object_put(object, "ready", json_boolean_create(node->ready));
    json_object_put(object, "avoided", json_boolean_create(node->avoided));
    answer_put_count(object, "eligible_for", n_eligible);
    json_object_put(object, "egress_ips", ips);
    json_array_add(array, object);
    free(sorted);
}

char *
cluster_show_nodes(struct cluster_reader *reader, const char *arg OVS_UNUSED, struct answer *answer)
{
    char *error = cluster_reader_list(reader, TYPE(NODE) | TYPE(POOL) | TYPE(ROUTE));

    if (!error) {
        const struct egress_model *model = source_get_model(reader->source);
        const struct shash_node **nodes = shash_sort(&model->nodes);
        struct json *array = json_array_create_empty();
        struct shash gateways;

        find_gateways(&model->routes, &gateways);
        ds_put_format(&answer->text, "%-30s %-8s %-13s %s\n", "NODE", "READY", "ELIGIBLE FOR", "EGRESS IPS");
        for (size_t i = 0; i < shash_count(&model->nodes); i++) {
            const struct cluster_node *node = nodes[i]->data;

            show_node(node, shash_find_data(&gateways, node->name), count_eligible(node, model), array,
                      &answer->text);
        }
        json_object_put(answer->root, "nodes", array);
        free(nodes);
        destroy_gateways(&gateways);
    }
    return error;
}
