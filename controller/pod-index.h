#ifndef CONTROLLER_POD_INDEX_H
#define CONTROLLER_POD_INDEX_H 1

/* Which routes select a pod?
 *
 * Most subjects ask for a certain value of some label, of the pod, of its namespace, or of
 * both.  Each is filed under that, so that the answer takes a few look-ups per pair of labels
 * that the pod and its namespace have, however many routes there are.  Only subjects that ask
 * for no certain value are looked at for every pod. */

#include "pipeline/model.h"

struct route_index;

struct route_index *route_index_create(void);
void route_index_destroy(struct route_index *);

void route_index_insert(struct route_index *, const struct egress_route *);
void route_index_remove(struct route_index *, const struct egress_route *);
void route_index_find(const struct route_index *, const struct cluster_pod *,
                      const struct cluster_namespace *, const struct in6_addr *ips, size_t n_ips,
                      const struct egress_route ***routes, size_t *n);

#endif /* controller/pod-index.h */
