#include <config.h>
#include "controller/answer-routes.h"

#include <stdlib.h>
#include <string.h>
#include "controller/agent-answer.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/json.h"
#include "pipeline/cookies.h"
#include "util.h"

/* Those of the 'n' addresses that there are as one text, "-" if there are none.  The caller frees it. */
char *
answer_format_ips(const struct in6_addr *ips, size_t n)
{
    struct ds ds = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < n; i++) {
        if (ip_is_set(&ips[i])) {
            if (ds.length) {
                ds_put_char(&ds, ',');
            }
            ip_format(&ips[i], &ds);
        }
    }
    if (!ds.length) {
        ds_put_char(&ds, '-');
    }
    return ds_steal_cstr(&ds);
}

struct json *
answer_ips_to_json(const struct in6_addr *ips, size_t n)
{
    struct json *array = json_array_create_empty();

    for (size_t i = 0; i < n; i++) {
        if (ip_is_set(&ips[i])) {
            char *s = ip_to_string(&ips[i]);

            json_array_add(array, json_string_create(s));
            free(s);
        }
    }
    return array;
}

/* The node that 'route''s packets leave through, or NULL. */
const char *
answer_gateway(const struct egress_route *route)
{
    return route->candidates.n ? route->candidates.names[0] : NULL;
}

static struct json *
route_to_json(const struct egress_route *route)
{
    struct json *object = json_object_create();
    struct json *candidates = json_array_create_empty();

    for (size_t i = 0; i < route->candidates.n; i++) {
        json_array_add(candidates, json_string_create(route->candidates.names[i]));
    }
    answer_put_string(object, "id", route->policy->id);
    answer_put_string(object, "name", route->policy->name);
    answer_put_count(object, "number", route->number);
    answer_put_string(object, "state", route_state_name(route->state));
    answer_put_string(object, "reason", route->reason);
    json_object_put(object, "egress_ips", answer_ips_to_json(route->egress_ips, N_IP_FAMILIES));
    answer_put_string(object, "gateway", answer_gateway(route));
    json_object_put(object, "candidates", candidates);
    answer_put_count(object, "priority", route->policy->priority);
    return object;
}

/* Answers with a list of 'routes', whose keys are policies' ids. */
void
answer_put_routes(struct answer *answer, const struct shash *routes)
{
    const struct shash_node **nodes = shash_sort(routes);
    struct json *array = json_array_create_empty();

    ds_put_format(&answer->text, "%-8s %-45s %-40s %-22s %s\n", "NUMBER", "POLICY", "EGRESS IP", "GATEWAY",
                  "STATE");
    for (size_t i = 0; i < shash_count(routes); i++) {
        const struct egress_route *route = nodes[i]->data;
        char *ips = answer_format_ips(route->egress_ips, N_IP_FAMILIES);

        json_array_add(array, route_to_json(route));
        ds_put_format(&answer->text, "%-8"PRIu32" %-45s %-40s %-22s %s%s%s\n", route->number,
                      route->policy->id, ips, answer_gateway(route) ? answer_gateway(route) : "-",
                      route_state_name(route->state), route->reason ? ": " : "",
                      route->reason ? route->reason : "");
        free(ips);
    }
    json_object_put(answer->root, "routes", array);
    free(nodes);
}

/* The one of 'routes', whose keys are policies' ids, whose policy has 'name' as its id, or as its own name if no other
 * has that.  Else returns NULL and stores an error, which the caller frees, in '*errorp'. */
const struct egress_route *
answer_find_route(const struct shash *routes, const char *name, char **errorp)
{
    const struct egress_route *route = shash_find_data(routes, name);
    struct shash_node *node;
    size_t n = 0;

    if (route) {
        return route;
    }
    SHASH_FOR_EACH (node, routes) {
        const struct egress_route *candidate = node->data;

        if (!strcmp(candidate->policy->name, name)) {
            route = candidate;
            n++;
        }
    }
    if (n == 1) {
        return route;
    }
    *errorp = n ? xasprintf("%s: %"PRIuSIZE" policies have that name, say which as in %s", name, n,
                            route->policy->id)
                : xasprintf("%s: no such route; \"routes\" lists them", name);
    return NULL;
}

/* Puts 'prefixes' into 'object' as the member 'name', and if there are any, into the text as a line that starts with
 * 'label'. */
static void
put_prefixes(struct answer *answer, struct json *object, const char *name, const char *label,
             const struct ip_prefix *prefixes, size_t n)
{
    struct json *array = json_array_create_empty();

    if (n) {
        ds_put_format(&answer->text, "%s:", label);
    }
    for (size_t i = 0; i < n; i++) {
        char *s = ip_prefix_to_string(&prefixes[i]);

        json_array_add(array, json_string_create(s));
        ds_put_format(&answer->text, " %s", s);
        free(s);
    }
    if (n) {
        ds_put_char(&answer->text, '\n');
    }
    json_object_put(object, name, array);
}

/* Answers with all that 'route' is. */
void
answer_put_route(struct answer *answer, const struct egress_route *route)
{
    const struct egress_policy *policy = route->policy;
    char *ips = answer_format_ips(route->egress_ips, N_IP_FAMILIES);

    json_destroy(answer->root);
    answer->root = route_to_json(route);
    ds_put_format(&answer->text, "policy: %s\nread from: %s\nnumber: %"PRIu32" (VNI and tun_id; cookie "
                  "%#"PRIx64")\nstate: %s%s%s\negress IP: %s%s\n", policy->id,
                  policy->origin ? policy->origin : "-", route->number,
                  egress_cookie(EGRESS_OWNER_ROUTE, route->number), route_state_name(route->state),
                  route->reason ? ": " : "", route->reason ? route->reason : "", ips,
                  policy->use_node_ip ? " (the gateway node's own)" : "");
    free(ips);
    ds_put_cstr(&answer->text, "gateway candidates, best first:");
    for (size_t i = 0; i < route->candidates.n; i++) {
        ds_put_format(&answer->text, " %s", route->candidates.names[i]);
    }
    ds_put_format(&answer->text, "%s\npriority: %"PRId32"\nwith no gateway: %s\n",
                  route->candidates.n ? "" : " none", policy->priority,
                  policy->on_no_gateway == ON_NO_GATEWAY_DROP ? "drop" : "fall back to the node's IP");
    if (policy->bandwidth) {
        ds_put_format(&answer->text, "bandwidth: %"PRIu64" bit/s\n", policy->bandwidth);
    }
    answer_put_count(answer->root, "bandwidth", policy->bandwidth);
    put_prefixes(answer, answer->root, "destinations", "destinations", policy->destinations,
                 policy->n_destinations);
    put_prefixes(answer, answer->root, "exceptions", "exceptions", policy->exceptions,
                 policy->n_exceptions);
}

/* Why 'a' goes before 'b'. */
static const char *
precedence_over(const struct egress_route *a, const struct egress_route *b)
{
    if (a->policy->priority != b->policy->priority) {
        return "higher priority";
    } else if (a->policy->created != b->policy->created) {
        return "older, unless the other has a longer matching destination";
    }
    return "first by name, unless the other has a longer matching destination";
}

/* Answers with the 'n' routes of one pod, the one that wins first, and why it does. */
void
answer_put_precedence(struct answer *answer, const struct egress_route *const routes[], size_t n)
{
    struct json *array = json_array_create_empty();

    for (size_t i = 0; i < n; i++) {
        const struct egress_route *route = routes[i];
        const char *why = i + 1 < n ? precedence_over(route, routes[i + 1]) : NULL;
        struct json *object = route_to_json(route);
        char *ips = answer_format_ips(route->egress_ips, N_IP_FAMILIES);

        answer_put_string(object, "wins_by", why);
        json_array_add(array, object);
        ds_put_format(&answer->text, "%s %s, priority %"PRId32": egress IP %s, gateway %s, %s\n",
                      i ? "then:" : "first:", route->policy->id, route->policy->priority, ips,
                      answer_gateway(route) ? answer_gateway(route) : "-", route_state_name(route->state));
        put_prefixes(answer, object, "destinations", "    only to", route->policy->destinations,
                     route->policy->n_destinations);
        put_prefixes(answer, object, "exceptions", "    not to", route->policy->exceptions,
                     route->policy->n_exceptions);
        if (why) {
            ds_put_format(&answer->text, "    before the next one as: %s\n", why);
        }
        free(ips);
    }
    json_object_put(answer->root, "routes", array);
}
