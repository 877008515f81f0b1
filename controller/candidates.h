#ifndef CONTROLLER_CANDIDATES_H
#define CONTROLLER_CANDIDATES_H 1

/* Which nodes are to be gateways: those that are eligible, ranked by rendezvous hashing.
 *
 * Rendezvous, or highest random weight, hashing (Thaler and Ravishankar, "Using name-based
 * mappings to increase hit rates", IEEE/ACM Transactions on Networking 6(1), 1998) gives every
 * pair of key and node a weight of its own, and the heaviest node wins.  So a node that goes
 * leaves only its own keys behind, a node that comes takes only those for which it is the
 * heaviest, and everybody who knows the same nodes agrees without talking. */

#include <stddef.h>
#include <stdint.h>
#include "pipeline/model.h"

struct candidates;

struct candidates *candidates_create(const struct shash *nodes, const struct shash *unfit);
void candidates_destroy(struct candidates *);
size_t candidates_choose(struct candidates *, const struct label_selector *,
                         const struct label_selector *, uint64_t key, const char *preferred,
                         const struct cluster_node *best[ROUTE_MAX_CANDIDATES]);

#endif /* controller/candidates.h */
