#ifndef K8S_KUBE_SOURCE_H
#define K8S_KUBE_SOURCE_H 1

/* The source "kube[:KUBECONFIG]": the objects of a Kubernetes API server, followed by watches.
 * Without a KUBECONFIG, it is the server of the cluster that this program runs in.
 *
 * Objects that the server has and that make no sense are problems; the last version that did make
 * sense stays in force.  What was known stays in force while the server is away.
 *
 * SOURCE_VIEW_NODE, with a 'state_dir': what was last known is kept in a file there, as manifests
 * that a directory source could read.  If the server does not answer at the start, the file has
 * to do, and then the source counts as synced.  The server's word replaces it, kind by kind. */

#include <stdbool.h>
#include <stddef.h>
#include "k8s/source.h"

struct json_object;
struct kube_http;
struct kube_reflector_stats;
struct object_kind;

#define KUBE_SOURCE_PATIENCE_MS 5000        /* With the server, before the file has to do. */
#define KUBE_SOURCE_SAVE_DELAY_MS 1000      /* From a change to its being in the file, */
#define KUBE_SOURCE_SAVE_REST 50            /* or so many times as long as writing it takes. */

/* Gets each object, valid or not, as the server sends it, before the model changes; 'json' is NULL
 * once it is no more.  For what the model does not have: status, uid, resourceVersion. */
typedef void kube_observe_cb(const struct object_kind *, const char *namespace, const char *name,
                             struct json_object *json, void *aux);

/* For programs that have a connection of their own.  The caller runs 'http', which must outlive the
 * source, and calls source_run() after it.  'observe' may be NULL. */
struct source *kube_source_create(struct kube_http *, const struct source_config *,
                                  kube_observe_cb *observe, void *aux);

void kube_source_refresh(struct source *);
bool kube_source_is_fresh(const struct source *);
char *kube_source_get_failure(const struct source *);

/* How a source and its server get along.  The connection is the caller's or the source's own; NULL
 * for a source that is not of this kind. */
struct kube_http *kube_source_get_http(const struct source *);
bool kube_source_is_reachable(const struct source *);

/* How one kind of object is followed.  Good until the next source_run(). */
struct kube_feed_status {
    const char *plural, *group; /* "pods" and "". */
    const struct kube_reflector_stats *stats;
    size_t n_objects;
};
size_t kube_source_n_feeds(const struct source *);
struct kube_feed_status kube_source_get_feed(const struct source *, size_t index);

#endif /* k8s/kube-source.h */
