#ifndef K8S_KUBE_WATCH_H
#define K8S_KUBE_WATCH_H 1

/* What a watch of the Kubernetes API answers with: JSON objects, one per line, in pieces that are
 * cut anywhere. */

#include <stdbool.h>
#include <stddef.h>
#include "openvswitch/dynamic-string.h"

struct json_object;

/* What identifies an object, and a version of it.  Borrowed from the object. */
struct kube_meta {
    const char *namespace;      /* NULL if it has none. */
    const char *name;
    const char *version;        /* Opaque. */
};
bool kube_meta_read(struct json_object *, struct kube_meta *);

enum kube_event_type {
    KUBE_EVENT_UPSERT,          /* 'object' is new or changed. */
    KUBE_EVENT_DELETE,          /* 'object' is what was deleted. */
    KUBE_EVENT_BOOKMARK,        /* Everything up to 'meta.version' was told. */
    KUBE_EVENT_ERROR,           /* The server gives up, see 'code' and 'error'. */
    KUBE_EVENT_JUNK,            /* A line that is nothing of these, see 'error'. */
    KUBE_EVENT_TOO_LARGE,       /* A line that is larger than we want to keep. */
};

/* Everything in it is borrowed. */
struct kube_event {
    enum kube_event_type type;
    struct json_object *object; /* Of UPSERT and DELETE. */
    struct kube_meta meta;      /* Of UPSERT and DELETE; of BOOKMARK, only 'version'. */
    int code;                   /* Of ERROR, like an HTTP status. */
    int retry_after_s;          /* Of ERROR, or -1. */
    const char *error;          /* Of ERROR, JUNK and TOO_LARGE. */
};

/* Returns false to have no more events. */
typedef bool kube_event_cb(const struct kube_event *, void *aux);

struct kube_watch_reader {
    struct ds line;             /* What there is of the current line. */
    size_t max_line;
    kube_event_cb *event;
    void *aux;
};
void kube_watch_reader_init(struct kube_watch_reader *, size_t max_line, kube_event_cb *,
                            void *aux);
void kube_watch_reader_destroy(struct kube_watch_reader *);
void kube_watch_reader_clear(struct kube_watch_reader *);
bool kube_watch_reader_feed(struct kube_watch_reader *, const char *data, size_t n);

#endif /* k8s/kube-watch.h */
