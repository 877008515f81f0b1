#ifndef CONTROLLER_METRICS_SERVER_H
#define CONTROLLER_METRICS_SERVER_H 1

/* The HTTP server of a daemon: /metrics for Prometheus, /healthz and /readyz for probes.  libmicrohttpd, within the
 * daemon's own loop: no threads.
 *
 * That /healthz answers is all that it has to say: the loop works off its events.  /readyz answers 200, or 503 with the
 * reason. */

#include <stdbool.h>

struct metrics;
struct metrics_server;

struct metrics_server_ops {
    /* Has what 'put' puts to be fetched first?  Then begins that, unless it is under way, and returns true.  The
     * answer waits as long, but at most METRICS_SERVER_PATIENCE_MS.  NULL: never. */
    bool (*is_fetching)(long long int now, void *aux);

    void (*put)(struct metrics *, void *aux);

    /* Returns why the daemon is not ready, or NULL if it is.  The text is good until the next call. */
    const char *(*why_not_ready)(void *aux);
};

#define METRICS_SERVER_PATIENCE_MS 1000

struct metrics_server *metrics_server_create(const char *where, const struct metrics_server_ops *,
                                             void *aux, char **errorp);
void metrics_server_destroy(struct metrics_server *);
void metrics_server_run(struct metrics_server *, long long int now);
void metrics_server_wait(struct metrics_server *);

#endif /* controller/metrics-server.h */
