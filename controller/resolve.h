#ifndef CONTROLLER_RESOLVE_H
#define CONTROLLER_RESOLVE_H 1

/* From what users ask for to what is decided: one route for every policy.
 *
 * The result depends on nothing but the input, not even on the order in which objects came to
 * be known: everybody who resolves the same model decides the same.  Where there is no history,
 * numbers, addresses and gateways come from hashes that are the same on every machine, in such
 * a way that one object's coming or going changes little for the others.
 *
 * A policy that cannot be satisfied has a route too, with 'state' and 'reason' saying why, so
 * that its pods' packets are held back rather than leave as somebody else's. */

#include "pipeline/model.h"

struct resolve_input {
    const struct egress_model *model;
    const struct shash *previous;   /* Policy id -> struct egress_route, or NULL if there is no
                                     * history.  What it decided stays as long as it is possible. */
    const struct shash *unfit;      /* Names of nodes that are to be gateways only where no other node is
                                     * eligible, whatever their data; or NULL for none. */
};

void resolve(const struct resolve_input *, struct shash *routes, struct problem_list *problems);

bool resolve_changes(const struct resolve_input *, const struct sset *ids,
                     const struct problem_list *standing, struct shash *routes);

#endif /* controller/resolve.h */
