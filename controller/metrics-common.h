#ifndef CONTROLLER_METRICS_COMMON_H
#define CONTROLLER_METRICS_COMMON_H 1

/* Metrics that both daemons have: about the program, routes, problems, the API server. */

#include <stddef.h>

struct metrics;
struct shash;
struct source;

void metrics_put_build(struct metrics *);
void metrics_put_routes(struct metrics *, const struct shash *routes);
void metrics_put_problems(struct metrics *, size_t n);
void metrics_put_api(struct metrics *, const struct source *);

#endif /* controller/metrics-common.h */
