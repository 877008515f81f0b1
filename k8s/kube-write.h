#ifndef K8S_KUBE_WRITE_H
#define K8S_KUBE_WRITE_H 1

/* A queue of writes to the Kubernetes API server.
 *
 * Each write has a key, which stands for what it writes, like an object's status.  Per key, at
 * most one write is in flight and at most one waits: a newer one takes the place of one that
 * waits, and never overtakes the one in flight.  Different keys have no order, and a bounded
 * number of them is in flight at a time.
 *
 * What may pass by itself (no connection, 401, 408, 429, 5xx) is tried again, after a delay that
 * grows, until it succeeds, is replaced, or the queue is cleared.  Everything else ends with its
 * callback, and that includes a conflict (409): the callback knows what to write instead, and may
 * submit it. */

#include <stdbool.h>
#include <stddef.h>

struct json_object;
struct kube_http;
struct kube_response;
struct kube_writer;

#define KUBE_WRITER_MAX_IN_FLIGHT 16
#define KUBE_WRITER_MIN_DELAY_MS 500
#define KUBE_WRITER_MAX_DELAY_MS 30000

enum kube_write_op {
    KUBE_CREATE,                /* POST of an object to its collection. */
    KUBE_REPLACE,               /* PUT. */
    KUBE_MERGE_PATCH,           /* RFC 7386. */
    KUBE_APPLY,                 /* Server-side apply. */
    KUBE_DELETE,
};

/* 'response' is NULL if the write was dropped: a newer one took its place, or the queue was cleared.
 * A write may be dropped after it was sent, so that it is unknown whether the server took it.  May
 * submit writes if 'response' is nonnull. */
typedef void kube_write_done_cb(const struct kube_response *response, long long int now,
                                void *aux);

/* Everything is copied. */
struct kube_write {
    enum kube_write_op op;
    const char *key;            /* NULL to use 'path'; needed for KUBE_CREATE. */
    const char *path;           /* From kube_path(), of the subresource if it is for that. */
    struct json_object *body;   /* For KUBE_DELETE, DeleteOptions or NULL. */
    const char *field_manager;  /* Who writes.  NULL for KUBE_DELETE. */
    bool force;                 /* KUBE_APPLY: take over the fields that others manage. */
    kube_write_done_cb *done;   /* NULL if nobody wants to know. */
    void *aux;
};

/* 0 stands for the defaults above. */
struct kube_writer_args {
    int max_in_flight;
    int min_delay_ms;
    int max_delay_ms;

    /* Asked in kube_writer_run() before requests are sent; as long as it says no, writes wait.
     * NULL for always. */
    bool (*may_write)(long long int now, void *aux);
    void *aux;
};

struct kube_writer_stats {
    unsigned long long int submitted;
    unsigned long long int sent;        /* Requests, with those that were tried again. */
    unsigned long long int succeeded;
    unsigned long long int refused;     /* By the server, for good; with conflicts. */
    unsigned long long int conflicts;
    unsigned long long int retries;
    unsigned long long int replaced;    /* By newer ones. */
};

struct kube_writer *kube_writer_create(struct kube_http *, const struct kube_writer_args *);
void kube_writer_destroy(struct kube_writer *);
void kube_writer_run(struct kube_writer *, long long int now);
void kube_writer_wait(struct kube_writer *);

void kube_writer_submit(struct kube_writer *, const struct kube_write *);
void kube_writer_clear(struct kube_writer *);

size_t kube_writer_n_waiting(const struct kube_writer *);
size_t kube_writer_n_in_flight(const struct kube_writer *);
const char *kube_writer_get_problem(const struct kube_writer *);
const struct kube_writer_stats *kube_writer_get_stats(const struct kube_writer *);

#endif /* k8s/kube-write.h */
