#include <config.h>

#include "tests/unit/k8s/decode-fixture.h"

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "k8s/manifest.h"
#include "k8s/yaml.h"
#include "openvswitch/dynamic-string.h"
#include "pipeline/model.h"
#include "util.h"

static void
put_string(struct ds *s, const char *name, const char *value)
{
    if (value) {
        ds_put_format(s, " %s=%s", name, value);
    }
}

static void
put_flag(struct ds *s, const char *name, bool value)
{
    if (value) {
        ds_put_format(s, " %s", name);
    }
}

static void
put_selector(struct ds *s, const char *name, bool has, const struct label_selector *selector)
{
    if (has) {
        ds_put_format(s, " %s={", name);
        label_selector_format(selector, s);
        ds_put_char(s, '}');
    }
}

static void
put_addresses(struct ds *s, const char *name, const struct in6_addr *addrs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ip_is_set(&addrs[i])) {
            ds_put_format(s, " %s=", name);
            ip_format(&addrs[i], s);
        }
    }
}

static void
put_prefixes(struct ds *s, const char *name, const struct ip_prefix *prefixes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        ds_put_format(s, " %s=", name);
        ip_prefix_format(&prefixes[i], s);
    }
}

static void
put_labels(struct ds *s, const char *name, const struct smap *labels)
{
    const struct smap_node **nodes = smap_sort(labels);

    for (size_t i = 0; i < smap_count(labels); i++) {
        ds_put_format(s, " %s:%s=%s", name, nodes[i]->key, nodes[i]->value);
    }
    free(nodes);
}

static void
put_policy(struct ds *s, const struct egress_policy *p)
{
    ds_put_format(s, "policy %s:", p->id);
    put_string(s, "origin", p->origin);
    if (p->created) {
        ds_put_format(s, " created=%lld", p->created);
    }
    for (size_t i = 0; i < p->n_subjects; i++) {
        const struct policy_subject *subject = &p->subjects[i];

        put_selector(s, "namespaces", subject->has_namespace_selector,
                     &subject->namespace_selector);
        put_selector(s, "pods", subject->has_pod_selector, &subject->pod_selector);
        put_prefixes(s, "pod-cidr", subject->pod_cidrs, subject->n_pod_cidrs);
    }
    put_prefixes(s, "to", p->destinations, p->n_destinations);
    put_prefixes(s, "except", p->exceptions, p->n_exceptions);
    put_addresses(s, p->egress_ip_field, p->egress_ips, N_IP_FAMILIES);
    put_string(s, "pool", p->pool);
    put_flag(s, "use-node-ip", p->use_node_ip);
    put_selector(s, "nodes", p->has_node_selector, &p->node_selector);
    if (p->priority) {
        ds_put_format(s, " priority=%"PRId32, p->priority);
    }
    if (p->bandwidth || p->burst) {
        ds_put_format(s, " bandwidth=%"PRIu64" burst=%"PRIu64, p->bandwidth, p->burst);
    }
    put_flag(s, "fallback", p->on_no_gateway == ON_NO_GATEWAY_FALLBACK);
}

static void
put_pool(struct ds *s, const struct egress_pool *pool)
{
    ds_put_format(s, "pool %s:", pool->id);
    put_string(s, "origin", pool->origin);
    for (size_t i = 0; i < pool->n_ranges; i++) {
        ds_put_cstr(s, " range=");
        ip_range_format(&pool->ranges[i], s);
    }
    put_prefixes(s, "cidr", pool->cidrs, pool->n_cidrs);
    put_addresses(s, "gateway", pool->gateways, N_IP_FAMILIES);
    put_selector(s, "nodes", pool->has_node_selector, &pool->node_selector);
}

static void
put_node(struct ds *s, const struct cluster_node *node)
{
    ds_put_format(s, "node %s:", node->name);
    put_labels(s, "label", &node->labels);
    put_addresses(s, "address", node->addresses, N_IP_FAMILIES);
    put_addresses(s, "any", node->all_addresses, node->n_all_addresses);
    put_prefixes(s, "pod-cidr", node->pod_cidrs, node->n_pod_cidrs);
    put_flag(s, "ready", node->ready);
    put_flag(s, "avoided", node->avoided);
}

static void
put_pod(struct ds *s, const struct cluster_pod *pod)
{
    ds_put_format(s, "pod %s:", pod->id);
    put_string(s, "node", pod->node);
    put_labels(s, "label", &pod->labels);
    put_labels(s, "annotation", &pod->annotations);
    put_addresses(s, "ip", pod->ips, pod->n_ips);
    put_flag(s, "host-network", pod->host_network);
    put_flag(s, "finished", pod->finished);
}

static void
put_object(struct ds *s, const struct manifest_object *mo)
{
    switch (mo->type) {
    case OBJECT_POLICY:
        put_policy(s, mo->object);
        break;
    case OBJECT_POOL:
        put_pool(s, mo->object);
        break;
    case OBJECT_NODE:
        put_node(s, mo->object);
        break;
    case OBJECT_NAMESPACE:
        ds_put_format(s, "namespace %s:", object_get_id(mo->type, mo->object));
        put_labels(s, "label", &((const struct cluster_namespace *) mo->object)->labels);
        break;
    case OBJECT_POD:
        put_pod(s, mo->object);
        break;
    case OBJECT_ROUTE:
        ds_put_format(s, "route %s", object_get_id(mo->type, mo->object));
        break;
    }
}

static void
put_manifest_object(struct manifest_object *mo, void *s_)
{
    struct ds *s = s_;

    if (mo->error) {
        ds_put_format(s, "%u %s: %s", mo->line, mo->id ? mo->id : "?", mo->error);
    } else {
        assert_string_equal(mo->id, object_get_id(mo->type, mo->object));
        put_object(s, mo);
    }
    ds_put_char(s, '\n');
}

static void
put_document(struct json_object *document, void *s)
{
    manifest_decode(document, "f.yaml", put_manifest_object, s);
}

char *
decode_to_string(const char *yaml)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    unsigned int line;

    char *error = yaml_read_documents(yaml, strlen(yaml), put_document, &s, &line);
    if (error) {
        ds_put_format(&s, "%u: %s\n", line, error);
        free(error);
    }
    return ds_steal_cstr(&s);
}

void
assert_decodes(const char *yaml, const char *expected)
{
    char *actual = decode_to_string(yaml);

    assert_string_equal(actual, expected);
    free(actual);
}
