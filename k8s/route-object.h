#ifndef K8S_ROUTE_OBJECT_H
#define K8S_ROUTE_OBJECT_H 1

/* EgressRoute: a struct egress_route, with all that its policy says, as a custom resource.  The
 * manager writes it, the agents read it; decoding what was encoded yields an equal route.
 *
 *     apiVersion: ovs-egress.io/v1alpha1
 *     kind: EgressRoute                    # Cluster-scoped.
 *     metadata:
 *       name: NAME                         # egress_route_object_name() of the policy's id.
 *     spec:
 *       policyRef: {group, kind, namespace, name}
 *       number: INTEGER
 *       egressIPs: [IP, ...]               # At most one per family.
 *       candidates: [NODE, ...]            # Best first: the first one holds the egress IPs.
 *       state: Active | NoEgressIP | NoGateway
 *       reason: TEXT                       # Unless Active.
 *
 *       appliedTo:                         # A pod that one of them selects is selected.
 *       - {namespaceSelector, podSelector, namespace, podCIDRs}
 *       destinations: [CIDR, ...]          # None means anywhere.
 *       exceptions: [CIDR, ...]
 *       requestedIPs: [IP, ...]            # The policy's explicit ones.
 *       poolRef: {group, kind, namespace, name}
 *       useNodeIP: BOOLEAN
 *       nodeSelector: SELECTOR
 *       priority: INTEGER
 *       bandwidth: {rate: INTEGER, burst: INTEGER}     # Bits per second, bits.
 *       onNoGateway: Drop | Fallback
 *       created: TIME                      # The policy's creation. */

#include "pipeline/model.h"

struct json_cursor;
struct json_object;
struct object_meta;

#define EGRESS_ROUTE_API_VERSION "ovs-egress.io/v1alpha1"
#define EGRESS_ROUTE_KIND "EgressRoute"
#define EGRESS_ROUTE_PLURAL "egressroutes"

const char *egress_route_state_word(enum route_state);
char *egress_route_object_name(const char *policy_id);
struct json_object *egress_route_to_json(const struct egress_route *);
void *egress_route_decode(const struct object_meta *, const struct json_cursor *object);

/* What an id (see pipeline/model.h) of a policy or pool is made of. */
struct id_parts {
    char *group;                /* "" if it has none. */
    char *kind;
    char *namespace;            /* NULL if it has none. */
    char *name;
};
void id_parts_parse(const char *id, struct id_parts *);
void id_parts_destroy(struct id_parts *);

#endif /* k8s/route-object.h */
