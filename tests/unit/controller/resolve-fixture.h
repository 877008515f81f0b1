#ifndef TESTS_UNIT_CONTROLLER_RESOLVE_FIXTURE_H
#define TESTS_UNIT_CONTROLLER_RESOLVE_FIXTURE_H 1

/* Models in a few lines, and what resolving them comes to as one text. */

#include "pipeline/model.h"

struct egress_policy *add_policy(struct egress_model *, const char *name, const char *egress_ips,
                                 const char *pool);
struct egress_pool *add_pool(struct egress_model *, const char *name, const char *addresses);
struct cluster_node *add_node(struct egress_model *, const char *name, const char *address);
void add_nodes(struct egress_model *, size_t n);
void remove_node(struct egress_model *, const char *name);
void remove_policy(struct egress_model *, const char *name);

void resolve_model(const struct egress_model *, const struct shash *previous,
                   struct shash *routes, struct problem_list *);
const struct egress_route *get_route(const struct shash *routes, const char *name);
void destroy_routes(struct shash *routes);
char *resolve_to_text(const struct egress_model *, const struct shash *previous);
void check_resolves(const struct egress_model *, const struct shash *previous,
                    const char *expected);

#endif /* tests/unit/controller/resolve-fixture.h */
