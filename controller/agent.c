#include <config.h>
#include "controller/agent.h"

#include <stdlib.h>
#include "controller/agent-private.h"
#include "controller/resolve.h"
#include "dirs.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_agent);

/* Returns the agent that does what 'options' say; they must outlive it.  Ends the program if the source makes no
 * sense. */
struct agent *
agent_create(const struct agent_options *options)
{
    struct agent *a = xzalloc(sizeof *a);
    struct ports_config ports_config = {
        .bridge = options->bridge, .uplink_bridge = options->uplink_bridge,
        .tunnel_dst_port = options->tunnel_dst_port, .reply_port = options->reply_port,
    };
    char *error = NULL;

    a->options = options;
    struct source_config source_config = {
        .view = SOURCE_VIEW_NODE, .node = options->node, .state_dir = options->state_dir,
    };
    a->source = source_open(options->source, &source_config, &error);
    if (error) {
        ovs_fatal(0, "--source: %s", error);
    }
    a->switch_target = xasprintf("unix:%s/%s.mgmt", ovs_rundir(), options->bridge);
    a->uplink_target = xasprintf("unix:%s/%s.mgmt", ovs_rundir(), options->uplink_bridge);
    a->ports = ports_create(options->database, &ports_config);
    int retval = uplink_routes_create(options->uplink_bridge, &a->uplink_routes);
    if (retval) {
        ovs_fatal(retval, "the kernel's routes are not to be had");
    }
    shash_init(&a->routes);
    problem_list_init(&a->resolve_problems);
    a->index = route_index_create();
    shash_init(&a->pods);
    hmap_init(&a->classes);
    meters_init(&a->meters);
    a->flows = flow_set_create();
    a->sw = of_switch_create(a->flows, EGRESS_COOKIE, EGRESS_COOKIE_MASK, EGRESS_METER_FIRST,
                             EGRESS_METER_LAST);
    a->uplink_flows = flow_set_create();
    a->uplink_sw = of_switch_create(a->uplink_flows, EGRESS_COOKIE, EGRESS_COOKIE_MASK, EGRESS_METER_FIRST,
                                    EGRESS_METER_LAST);
    agent_gateway_init(a);
    agent_settle_init(a);
    agent_ready_init(a);
    agent_lease_init(a);
    agent_metrics_init(a);
    agent_show_init(a);
    agent_show_objects_init(a);
    return a;
}

static void
routes_destroy(struct shash *routes)
{
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, routes) {
        egress_route_unref(node->data);
        shash_delete(routes, node);
    }
    shash_destroy(routes);
}

/* Ends the agent.  The switch keeps its flows and the database our ports: traffic goes on. */
void
agent_destroy(struct agent *a)
{
    agent_lease_destroy(a);
    agent_settle_destroy(a);
    of_switch_destroy(a->sw);
    agent_metrics_destroy(a);
    of_switch_destroy(a->uplink_sw);
    agent_pods_destroy(a);
    agent_gateway_destroy(a);
    flow_set_destroy(a->flows);
    flow_set_destroy(a->uplink_flows);
    route_index_destroy(a->index);
    routes_destroy(&a->routes);
    meters_destroy(&a->meters);
    problem_list_destroy(&a->resolve_problems);
    uplink_routes_destroy(a->uplink_routes);
    ports_destroy(a->ports);
    source_close(a->source);
    free(a->switch_target);
    free(a->uplink_target);
    free(a);
}

/* This node's object, or NULL if the source has none. */
const struct cluster_node *
agent_find_self(const struct agent *a)
{
    return shash_find_data(&source_get_model(a->source)->nodes, a->options->node);
}

/* Replaces all flows of 'owner' by those of 'batch', which is consumed. */
void
agent_replace_flows(struct agent *a, const char *owner, struct flow_batch *batch)
{
    if (a->fresh_owners && batch->n) {
        sset_add(a->fresh_owners, owner);
    }
    flow_set_replace(a->flows, owner, batch);
}

/* What compilers need to know, with their flows going to 'batch'. */
struct compile_context
agent_compile_context(const struct agent *a, struct flow_batch *batch)
{
    const struct agent_options *o = a->options;
    const struct ports_view *view = ports_get_view(a->ports);

    return (struct compile_context) {
        .emit = flow_batch_add, .aux = batch,
        .table_base = o->table_base, .hook_table = o->hook_table, .hook_priority = o->hook_priority,
        .hook_match = o->hook_match, .reply_table = o->reply_table, .reply_port = view->reply,
        .reply_mac = view->reply_mac, .tunnel_port = view->tunnel,
        .tunnel_dst_port = o->tunnel_dst_port, .uplink_port = view->uplink,
        .egress_mac = egress_mac_of_node(o->node),
        .uplink_peer_port = view->uplink_peer, .uplink_mac = view->uplink_mac,
    };
}

/* The node's own flows, and the hook: without any route there is nothing to hook for. */
static void
update_node_flows(struct agent *a)
{
    struct flow_batch batch;

    flow_batch_init(&batch);
    struct compile_context ctx = agent_compile_context(a, &batch);
    compile_entrances(&ctx);
    compile_fixed(&ctx);
    for (size_t i = 0; i < a->options->n_internal; i++) {
        compile_internal_prefix(&ctx, &a->options->internal[i], egress_cookie(EGRESS_OWNER_NODE, 0));
    }
    agent_replace_flows(a, "node", &batch);

    flow_batch_init(&batch);
    ctx = agent_compile_context(a, &batch);
    if (!shash_is_empty(&a->routes)) {
        compile_hook(&ctx);
    }
    agent_replace_flows(a, "hook", &batch);
}

static void
update_peer(struct agent *a, const char *name)
{
    const struct cluster_node *node = shash_find_data(&source_get_model(a->source)->nodes, name);
    char *owner = xasprintf("peer/%s", name);
    struct flow_batch batch;

    flow_batch_init(&batch);
    if (node) {
        struct compile_context ctx = agent_compile_context(a, &batch);

        compile_peer(&ctx, node, !strcmp(name, a->options->node));
    }
    agent_replace_flows(a, owner, &batch);
    free(owner);
}

/* Would this node be the gateway of 'route', if that is active? */
static bool
is_own_route(const struct agent *a, const struct egress_route *route)
{
    return route && route->candidates.n && !strcmp(route->candidates.names[0], a->options->node);
}

static void
set_route(struct agent *a, const char *id, struct egress_route *route)
{
    struct egress_route *old = shash_find_and_delete(&a->routes, id);

    a->own_routes_changed = a->own_routes_changed || is_own_route(a, old) || is_own_route(a, route);
    if (old) {
        route_index_remove(a->index, old);
        egress_route_unref(old);
    }
    if (route) {
        shash_add(&a->routes, id, route);
        route_index_insert(a->index, route);
    }
}

/* Makes 'new', NULL if it is no more, the route of the policy 'id'.  Adds 'id' to 'changed' if that is different. */
static void
follow_route(struct agent *a, const char *id, const struct egress_route *new, struct sset *changed)
{
    const struct egress_route *old = shash_find_data(&a->routes, id);

    if (old != new && (!old || !new || !egress_route_equals(old, new))) {
        sset_add(changed, id);
        set_route(a, id, new ? egress_route_ref(new) : NULL);
    }
}

/* Makes 'routes' the routes to follow.  Adds the ids of the policies whose route changed, came or
 * went to 'changed'. */
static void
follow_routes(struct agent *a, const struct shash *routes, struct sset *changed)
{
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &a->routes) {
        if (!shash_find(routes, node->name)) {
            follow_route(a, node->name, NULL, changed);
        }
    }
    SHASH_FOR_EACH (node, routes) {
        follow_route(a, node->name, node->data, changed);
    }
}

/* Decides anew, unless the source has the decisions: then only the routes of 'ids' may be others, or any if that is NULL.
 * Adds the ids of the policies whose route changed, came or went to 'changed'. */
static void
resolve_again(struct agent *a, const struct sset *ids, struct sset *changed)
{
    const struct egress_model *model = source_get_model(a->source);
    const char *id;

    if (source_provides_routes(a->source)) {
        if (ids) {
            SSET_FOR_EACH (id, ids) {
                follow_route(a, id, shash_find_data(&model->routes, id), changed);
            }
        } else {
            follow_routes(a, &model->routes, changed);
        }
        return;
    }

    struct resolve_input input = { .model = model };
    struct shash routes = SHASH_INITIALIZER(&routes);

    problem_list_clear(&a->resolve_problems);
    resolve(&input, &routes, &a->resolve_problems);
    follow_routes(a, &routes, changed);
    routes_destroy(&routes);
}

/* Adds the ids of the policies whose route has another meter now to 'changed'. */
static void
update_meters(struct agent *a, struct sset *changed)
{
    const struct egress_route **here = xmalloc(shash_count(&a->routes) * sizeof *here);
    struct shash_node *node;
    size_t n = 0;

    SHASH_FOR_EACH (node, &a->routes) {
        const struct egress_route *route = node->data;

        if (is_own_route(a, route)) {
            here[n++] = route;
        }
    }
    meters_assign(&a->meters, here, n, changed);
    meters_install(&a->meters, a->sw);
    free(here);
}

static void
tell_local_address(struct agent *a)
{
    const struct cluster_node *self = agent_find_self(a);

    ports_set_local_ip(a->ports, self ? &self->addresses[IP_V4] : &in6addr_any);
}

/* Everything but pods: policies, pools, nodes, namespaces, routes. */
static void
follow_decisions(struct agent *a, const struct model_changes *changes)
{
    struct sset changed = SSET_INITIALIZER(&changed);
    const char *name;

    SSET_FOR_EACH (name, &changes->nodes) {
        update_peer(a, name);
    }
    resolve_again(a, &changes->routes, &changed);
    if (!sset_is_empty(&changed)) {
        update_node_flows(a);
        if (a->own_routes_changed) {
            update_meters(a, &changed);
            agent_gateway_update_claims(a);
        }
        agent_gateway_update_routes(a, &changed);
    }
    if (!sset_is_empty(&changes->nodes)) {
        /* A gateway may have another address, or peers another MAC. */
        agent_gateway_update_claims(a);
        agent_gateway_update_routes(a, NULL);
    }
    if (!sset_is_empty(&changed) || !sset_is_empty(&changes->namespaces)) {
        agent_pods_update_all(a);
    }
    a->own_routes_changed = false;
    sset_destroy(&changed);
}

/* Brings the flows up to date with what the source changed. */
static void
follow_source(struct agent *a)
{
    struct model_changes *changes = source_get_changes(a->source);

    if (model_changes_is_empty(changes)) {
        return;
    }
    if (!sset_is_empty(&changes->policies) || !sset_is_empty(&changes->pools)
        || !sset_is_empty(&changes->nodes) || !sset_is_empty(&changes->namespaces)
        || !sset_is_empty(&changes->routes)) {
        follow_decisions(a, changes);
    }
    if (!sset_is_empty(&changes->pods)) {
        agent_pods_update_changed(a, &changes->pods);
    }
    model_changes_clear(changes);
}

/* Computes everything from scratch, from what the source and the switch's ports say now.  Owners that this
 * yields no flow for lose theirs. */
void
agent_recompute(struct agent *a)
{
    struct sset fresh = SSET_INITIALIZER(&fresh);
    struct sset old = SSET_INITIALIZER(&old);
    struct sset changed = SSET_INITIALIZER(&changed);
    struct shash_node *node;
    const char *owner;

    flow_set_get_owners(a->flows, &old);
    a->fresh_owners = &fresh;

    resolve_again(a, NULL, &changed);
    agent_gateway_update_claims(a);
    update_node_flows(a);
    update_meters(a, &changed);
    sset_destroy(&changed);
    SHASH_FOR_EACH (node, &source_get_model(a->source)->nodes) {
        update_peer(a, node->name);
    }
    agent_gateway_recompute(a);
    agent_classes_recompile(a);
    agent_pods_update_ports(a);
    agent_pods_update_all(a);
    a->ports_seqno = ports_get_seqno(a->ports);
    a->compiled_for = agent_compile_context(a, NULL);

    a->fresh_owners = NULL;
    SSET_FOR_EACH (owner, &old) {
        if (!sset_contains(&fresh, owner)) {
            struct flow_batch none;

            flow_batch_init(&none);
            flow_set_replace(a->flows, owner, &none);
        }
    }
    sset_destroy(&fresh);
    sset_destroy(&old);
}

/* What still has to be known of the switch's ports before flows can be computed, or NULL if all is there. */
static const char *
missing_port(const struct ports_view *view)
{
    if (!view->ready) {
        return "the Open vSwitch database has not been read yet, or has no such bridge";
    } else if (view->tunnel == OFPP_NONE || view->uplink == OFPP_NONE
               || view->uplink_peer == OFPP_NONE) {
        return "our own ports have no OpenFlow port numbers yet";
    } else if (view->reply == OFPP_NONE) {
        return "the CNI's gateway port is not on the bridge (see --reply-port)";
    } else if (eth_addr_is_zero(view->reply_mac) || eth_addr_is_zero(view->uplink_mac)) {
        /* A database that was started again knows none until the switch tells them. */
        return "the CNI's gateway port or the uplink bridge has no MAC address yet";
    }
    return NULL;
}

/* What still has to be known before flows can be computed, or NULL if all is there.  Until then the switch keeps what it
 * has from a run before. */
static const char *
missing_input(const struct agent *a)
{
    if (!source_is_synced(a->source)) {
        return "the source has not been read yet";
    } else if (!agent_find_self(a)) {
        return "the source has no Node object for this node (see --node)";
    }
    return missing_port(ports_get_view(a->ports));
}

static void
start_if_ready(struct agent *a)
{
    a->waiting_for = missing_input(a);
    if (a->waiting_for) {
        return;
    }
    agent_gateway_adopt(a);
    /* All of it is news.  Free the lists of that first, for the flows to go where they were. */
    model_changes_clear(source_get_changes(a->source));
    agent_recompute(a);
    of_switch_set_target(a->sw, a->switch_target);
    of_switch_set_target(a->uplink_sw, a->uplink_target);
    a->started = true;
    VLOG_INFO("%s: %"PRIuSIZE" routes, %"PRIuSIZE" pods, %"PRIuSIZE" flows", a->options->node,
              shash_count(&a->routes), shash_count(&a->pods), flow_set_count(a->flows));
}

/* Ports of ours, or the CNI's gateway port, may have got other numbers. */
static void
follow_ports(struct agent *a)
{
    const struct ports_view *view = ports_get_view(a->ports);

    if (a->ports_seqno == ports_get_seqno(a->ports)) {
        return;
    }
    a->ports_seqno = ports_get_seqno(a->ports);
    if (missing_port(view)) {
        /* The switch or its database restarts, or somebody removed a port that is about to come back. */
        return;
    }
    if (view->tunnel != a->compiled_for.tunnel_port || view->uplink != a->compiled_for.uplink_port
        || view->reply != a->compiled_for.reply_port
        || view->uplink_peer != a->compiled_for.uplink_peer_port
        || !eth_addr_equals(view->uplink_mac, a->compiled_for.uplink_mac)
        || !eth_addr_equals(view->reply_mac, a->compiled_for.reply_mac)) {
        agent_recompute(a);
    } else {
        agent_pods_update_ports(a);
    }
}

void
agent_run(struct agent *a)
{
    long long int now = time_msec(), begun_us = time_usec();

    source_run(a->source);
    if (source_is_synced(a->source)) {
        /* Only then is it known which address the tunnel has to have. */
        tell_local_address(a);
        ports_run(a->ports, now);
    }
    uplink_routes_run(a->uplink_routes, now);
    if (!a->started) {
        start_if_ready(a);
    } else {
        follow_source(a);
        follow_ports(a);
    }
    if (a->started) {
        agent_gateway_run(a, now);
        of_switch_run(a->sw);
        of_switch_run(a->uplink_sw);
    }
    agent_settle_run(a);
    agent_ready_run(a, now);
    agent_lease_run(a, now);
    agent_metrics_run(a, now, begun_us);
}

void
agent_wait(struct agent *a)
{
    source_wait(a->source);
    if (source_is_synced(a->source)) {
        ports_wait(a->ports);
    }
    uplink_routes_wait(a->uplink_routes);
    if (a->started) {
        agent_gateway_wait(a);
        of_switch_wait(a->sw);
        of_switch_wait(a->uplink_sw);
    }
    agent_lease_wait(a);
    agent_metrics_wait(a);
}
