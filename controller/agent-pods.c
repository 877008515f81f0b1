/* Who sends: the pods that have a port on this node's bridge, and the routes that each of them follows. */

#include <config.h>
#include "controller/agent-private.h"

#include <stdlib.h>
#include "hash.h"
#include "openvswitch/vlog.h"
#include "packets.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_pods);

/* Where Kube-OVN says a pod's MAC address: not on the port. */
#define KUBE_OVN_MAC_ANNOTATION "ovn.kubernetes.io/mac_address"

const char *
pod_state_name(enum pod_state state)
{
    switch (state) {
    case POD_UNHOOKED: return "not hooked";
    case POD_FREE: return "not concerned";
    case POD_HELD: return "held back";
    case POD_KNOWN: return "known";
    }
    return "?";
}

/* Classes. */

static struct agent_class *
class_find(struct agent *a, uint64_t id)
{
    struct agent_class *class;

    HMAP_FOR_EACH_WITH_HASH (class, node, hash_uint64(id), &a->classes) {
        if (class->id == id) {
            return class;
        }
    }
    return NULL;
}

static struct route_class
class_as_input(const struct agent_class *class)
{
    return (struct route_class) {
        .routes = (const struct egress_route **) class->routes, .n_routes = class->n_routes,
    };
}

static void
class_compile(struct agent *a, struct agent_class *class)
{
    struct route_class input = class_as_input(class);
    struct flow_batch batch;

    flow_batch_init(&batch);
    struct compile_context ctx = agent_compile_context(a, &batch);
    compile_class(&ctx, &input);
    agent_replace_flows(a, class->owner, &batch);
}

static void
class_set_routes(struct agent_class *class, const struct egress_route **routes, size_t n)
{
    struct egress_route **refs = xmalloc(n * sizeof *refs);

    for (size_t i = 0; i < n; i++) {
        refs[i] = egress_route_ref(routes[i]);
    }
    for (size_t i = 0; i < class->n_routes; i++) {
        egress_route_unref(class->routes[i]);
    }
    free(class->routes);
    class->routes = refs;
    class->n_routes = n;
}

/* Returns the class of 'routes', a pod of which is counted in. */
static struct agent_class *
class_acquire(struct agent *a, const struct egress_route **routes, size_t n)
{
    struct route_class input = { routes, n };
    uint64_t id = route_class_id(&input);
    struct agent_class *class = class_find(a, id);

    if (!class) {
        class = xzalloc(sizeof *class);
        class->id = id;
        class->owner = xasprintf("class/%#"PRIx64, id);
        hmap_insert(&a->classes, &class->node, hash_uint64(id));
        class_set_routes(class, routes, n);
        class_compile(a, class);
    } else if (class->n_routes != n || memcmp(class->routes, routes, n * sizeof *routes)) {
        class_set_routes(class, routes, n);
        class_compile(a, class);
    }
    class->n_pods++;
    return class;
}

static void
class_release(struct agent *a, struct agent_class *class)
{
    struct flow_batch none;

    if (!class || --class->n_pods) {
        return;
    }
    flow_batch_init(&none);
    agent_replace_flows(a, class->owner, &none);
    hmap_remove(&a->classes, &class->node);
    class_set_routes(class, NULL, 0);
    free(class->routes);
    free(class->owner);
    free(class);
}

/* Compiles the flows of all classes again. */
void
agent_classes_recompile(struct agent *a)
{
    struct agent_class *class;

    HMAP_FOR_EACH (class, node, &a->classes) {
        class_compile(a, class);
    }
}

/* Pods. */

/* Could any policy select some pod of 'namespace_name'? */
static bool
any_policy_may_select(const struct agent *a, const char *namespace_name,
                      const struct cluster_namespace *namespace)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->routes) {
        const struct egress_route *route = node->data;

        if (egress_policy_may_select(route->policy, namespace_name, namespace)) {
            return true;
        }
    }
    return false;
}

static void
pod_set_held(struct agent_pod *pod, const char *what)
{
    pod->state = POD_HELD;
    pod->held_for = what;
}

/* The port's own addresses are there first, and are those that the CNI lets through. */
static void
pod_set_addresses(struct agent_pod *pod, const struct cluster_pod *object)
{
    const struct port_identity *identity = &pod->port.identity;
    const struct in6_addr *ips = identity->n_ips ? identity->ips : object->ips;
    const char *mac = smap_get(&object->annotations, KUBE_OVN_MAC_ANNOTATION);

    free(pod->ips);
    pod->n_ips = identity->n_ips ? identity->n_ips : object->n_ips;
    pod->ips = xmemdup(ips, pod->n_ips * sizeof *ips);
    pod->has_mac = identity->has_mac;
    pod->mac = identity->mac;
    if (!pod->has_mac && mac) {
        pod->has_mac = eth_addr_from_string(mac, &pod->mac);
    }
}

/* Is 'object' about the pod behind the port with 'identity'?  A pod may be replaced by one of the same name, as those of
 * StatefulSets are, and the news of that come by two ways: the port may be the new pod's while the object is the old one's,
 * with labels that mean nothing any more. */
static bool
is_about(const struct cluster_pod *object, const struct port_identity *identity)
{
    for (size_t i = 0; i < object->n_ips; i++) {
        for (size_t j = 0; j < identity->n_ips; j++) {
            if (ipv6_addr_equals(&object->ips[i], &identity->ips[j])) {
                return true;
            }
        }
    }
    return !object->n_ips || !identity->n_ips;
}

/* Finds out what to do with 'pod''s packets: sets its state and class. */
static void
pod_classify(struct agent *a, struct agent_pod *pod)
{
    const struct egress_model *model = source_get_model(a->source);
    const char *namespace_name = pod->port.identity.namespace;
    const struct cluster_namespace *namespace = shash_find_data(&model->namespaces, namespace_name);
    const struct cluster_pod *object = shash_find_data(&model->pods, pod->id);
    bool known = object && is_about(object, &pod->port.identity);
    struct agent_class *old_class = pod->class;
    const struct egress_route **routes = NULL;
    size_t n = 0;

    pod->class = NULL;
    pod->held_for = NULL;
    if (shash_is_empty(&a->routes)) {
        pod->state = POD_UNHOOKED;
    } else if ((!known || !namespace) && !any_policy_may_select(a, namespace_name, namespace)) {
        pod->state = POD_FREE;
    } else if (!object) {
        pod_set_held(pod, "the Pod object");
    } else if (!known) {
        pod_set_held(pod, "a Pod object with the port's addresses");
    } else if (!namespace) {
        pod_set_held(pod, "the Namespace object");
    } else if (object->finished) {
        pod_set_held(pod, "a pod that still runs");
    } else if (!pod->port.identity.n_ips && !object->n_ips) {
        pod_set_held(pod, "the pod's addresses");
    } else {
        pod->state = POD_KNOWN;
        pod_set_addresses(pod, object);
        route_index_find(a->index, object, namespace, pod->ips, pod->n_ips, &routes, &n);
        if (n) {
            pod->class = class_acquire(a, routes, n);
        }
        free(routes);
    }
    class_release(a, old_class);
}

static void
pod_compile(struct agent *a, struct agent_pod *pod)
{
    struct route_class class = { NULL, 0 };
    struct flow_batch batch;

    flow_batch_init(&batch);
    struct compile_context ctx = agent_compile_context(a, &batch);
    if (pod->state == POD_FREE) {
        compile_free_port(&ctx, pod->port.ofport, egress_cookie_for_name(EGRESS_OWNER_POD, pod->id));
    } else if (pod->state == POD_KNOWN) {
        struct local_pod input = {
            .id = pod->id, .ofport = pod->port.ofport, .has_mac = pod->has_mac, .mac = pod->mac,
            .ips = pod->ips, .n_ips = pod->n_ips,
        };

        if (pod->class) {
            class = class_as_input(pod->class);
        }
        compile_pod(&ctx, &input, &class);
    }
    agent_replace_flows(a, pod->owner, &batch);
}

static void
pod_update(struct agent *a, struct agent_pod *pod)
{
    enum pod_state old_state = pod->state;
    const char *old_held_for = pod->held_for;

    pod_classify(a, pod);
    pod_compile(a, pod);
    if (pod->state != old_state || pod->held_for != old_held_for) {
        VLOG_DBG("pod %s on port %s: %s%s%s", pod->id, pod->port.name, pod_state_name(pod->state),
                 pod->held_for ? ", waits for " : "", pod->held_for ? pod->held_for : "");
    }
}

static void
pod_port_copy(struct pod_port *dst, const struct pod_port *src)
{
    *dst = *src;
    dst->name = xstrdup(src->name);
    dst->identity.namespace = xstrdup(src->identity.namespace);
    dst->identity.name = xstrdup(src->identity.name);
    dst->identity.ips = xmemdup(src->identity.ips, src->identity.n_ips * sizeof *src->identity.ips);
}

static void
pod_set_port(struct agent_pod *pod, const struct pod_port *port)
{
    pod_port_copy(&pod->port, port);
    pod->id = xasprintf("%s/%s", port->identity.namespace, port->identity.name);
    /* The interface, too: a pod that is replaced by one of the same name may have two ports for a while. */
    pod->owner = xasprintf("pod/%s@%s", pod->id, port->name);
}

static void
pod_unset_port(struct agent *a, struct agent_pod *pod)
{
    struct flow_batch none;

    flow_batch_init(&none);
    agent_replace_flows(a, pod->owner, &none);
    free(pod->port.name);
    port_identity_destroy(&pod->port.identity);
    free(pod->id);
    free(pod->owner);
}

static void
pod_destroy(struct agent *a, struct agent_pod *pod)
{
    class_release(a, pod->class);
    pod_unset_port(a, pod);
    free(pod->ips);
    free(pod);
}

static void
update_pod_ports(struct agent *a, const struct ports_view *view)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->pods) {
        struct agent_pod *pod = node->data;

        pod->present = false;
    }
    for (size_t i = 0; i < view->n_pods; i++) {
        const struct pod_port *port = &view->pods[i];
        struct agent_pod *pod = shash_find_data(&a->pods, port->name);

        if (!pod) {
            pod = xzalloc(sizeof *pod);
            pod_set_port(pod, port);
            shash_add(&a->pods, port->name, pod);
            pod_update(a, pod);
        } else if (!pod_port_equals(&pod->port, port)) {
            pod_unset_port(a, pod);
            pod_set_port(pod, port);
            pod_update(a, pod);
        }
        pod->present = true;
    }
    SHASH_FOR_EACH_SAFE (node, &a->pods) {
        struct agent_pod *pod = node->data;

        if (!pod->present) {
            shash_delete(&a->pods, node);
            pod_destroy(a, pod);
        }
    }
}

/* Ports of other kinds, e.g. the CNI's tunnel and its gateway port, carry no pod's first packet.  What is behind a
 * port of unknown kind may be a pod that its CNI has not named yet: it gets no flow and is thus held back. */
static void
update_other_ports(struct agent *a, const struct ports_view *view)
{
    struct flow_batch batch;

    flow_batch_init(&batch);
    struct compile_context ctx = agent_compile_context(a, &batch);
    for (size_t i = 0; i < view->n_others; i++) {
        const struct other_port *port = &view->others[i];

        if (port->kind != PORT_OURS && port->kind != PORT_UNKNOWN) {
            compile_free_port(&ctx, port->ofport, egress_cookie_for_name(EGRESS_OWNER_PORT, port->name));
        }
    }
    agent_replace_flows(a, "ports", &batch);
}

/* Follows the switch's ports. */
void
agent_pods_update_ports(struct agent *a)
{
    const struct ports_view *view = ports_get_view(a->ports);

    update_pod_ports(a, view);
    update_other_ports(a, view);
}

/* Looks at every local pod again, because routes or namespaces changed. */
void
agent_pods_update_all(struct agent *a)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->pods) {
        pod_update(a, node->data);
    }
}

/* Looks again at those local pods whose object is in 'pod_ids'. */
void
agent_pods_update_changed(struct agent *a, const struct sset *pod_ids)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &a->pods) {
        struct agent_pod *pod = node->data;

        if (sset_contains(pod_ids, pod->id)) {
            pod_update(a, pod);
        }
    }
}

void
agent_pods_destroy(struct agent *a)
{
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &a->pods) {
        struct agent_pod *pod = node->data;

        shash_delete(&a->pods, node);
        pod_destroy(a, pod);
    }
    shash_destroy(&a->pods);
    hmap_destroy(&a->classes);
}
