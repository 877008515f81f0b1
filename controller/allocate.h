#ifndef CONTROLLER_ALLOCATE_H
#define CONTROLLER_ALLOCATE_H 1

/* Who holds which egress IP.
 *
 * An allocator knows every pool, every address that is nobody's to have (those of nodes and of the
 * pools' gateways), and whom it has given addresses to.  Callers settle who comes first: explicit
 * claims, then addresses to keep, then new ones.
 *
 * A policy's search for a free address starts at a place in the pool that its id alone determines,
 * so that one policy's coming or going changes another's address only if both want the same one. */

#include "pipeline/model.h"

struct allocator;

struct allocator *allocator_create(const struct egress_model *, struct problem_list *);
void allocator_destroy(struct allocator *);

char *allocator_claim(struct allocator *, const struct egress_policy *) OVS_WARN_UNUSED_RESULT;
char *allocator_check_pool(const struct allocator *, const struct egress_policy *)
    OVS_WARN_UNUSED_RESULT;
bool allocator_pool_has_family(const struct allocator *, const struct egress_policy *,
                               enum ip_family);
void allocator_take(struct allocator *, const struct egress_policy *,
                    const struct in6_addr ips[N_IP_FAMILIES]);
bool allocator_keep(struct allocator *, const struct egress_policy *, const struct in6_addr *);
char *allocator_allocate(struct allocator *, const struct egress_policy *, enum ip_family,
                         struct in6_addr *) OVS_WARN_UNUSED_RESULT;

#endif /* controller/allocate.h */
