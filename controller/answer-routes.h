#ifndef CONTROLLER_ANSWER_ROUTES_H
#define CONTROLLER_ANSWER_ROUTES_H 1

/* What people are told about routes: by a node's agent, and by kubectl-egress about the whole cluster. */

#include "pipeline/model.h"

struct answer;
struct json;

void answer_put_routes(struct answer *, const struct shash *routes);
const struct egress_route *answer_find_route(const struct shash *routes, const char *name, char **errorp);
void answer_put_route(struct answer *, const struct egress_route *);
void answer_put_precedence(struct answer *, const struct egress_route *const routes[], size_t n);

/* Parts of answers. */
char *answer_format_ips(const struct in6_addr *, size_t n);
struct json *answer_ips_to_json(const struct in6_addr *, size_t n);
const char *answer_gateway(const struct egress_route *);

#endif /* controller/answer-routes.h */
