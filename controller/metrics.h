#ifndef CONTROLLER_METRICS_H
#define CONTROLLER_METRICS_H 1

/* Metrics as Prometheus reads them: its text exposition format, version 0.0.4.
 *
 * There is no registry.  Whoever has numbers writes them when they are asked for:
 *
 *    metrics_family(m, "ovs_egress_routes", METRIC_GAUGE, "Routes by state.");
 *    metrics_put(m, 3, "state", "Active", NULL);
 *    metrics_put(m, 0, "state", "NoGateway", NULL);
 *
 * docs/metrics.md lists all families; tests/lint/docs-metrics compares it with the code. */

#include <stddef.h>
#include <stdint.h>
#include "compiler.h"
#include "openvswitch/dynamic-string.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metric_type {
    METRIC_COUNTER,             /* Only grows, but for a restart; its name ends with "_total". */
    METRIC_GAUGE,
    METRIC_HISTOGRAM,
};

struct metrics {
    struct ds text;
    const char *family;         /* The current one's name. */
};

/* How often something took how long. */
#define METRICS_HISTOGRAM_MAX 16
struct metrics_histogram {
    const double *bounds;       /* Upper ones, growing, inclusive; not owned. */
    size_t n;
    uint64_t counts[METRICS_HISTOGRAM_MAX + 1]; /* Above the bound before; the last: above all. */
    double sum;
};

void metrics_init(struct metrics *);
void metrics_destroy(struct metrics *);
void metrics_family(struct metrics *, const char *name, enum metric_type, const char *help);
void metrics_put(struct metrics *, double value, ...) SENTINEL(0);
void metrics_put_histogram(struct metrics *, const struct metrics_histogram *);

void metrics_histogram_init(struct metrics_histogram *, const double *bounds, size_t n);
void metrics_histogram_add(struct metrics_histogram *, double value);

#endif /* controller/metrics.h */
