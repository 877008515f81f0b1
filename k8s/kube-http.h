#ifndef K8S_KUBE_HTTP_H
#define K8S_KUBE_HTTP_H 1

/* Requests to the Kubernetes API server: libcurl's multi interface in the poll_block() loop.
 *
 * Requests share connections, over HTTP/2 where the server offers it.  All callbacks come from
 * within kube_http_run(), which hands on the 'now' that it was given.  A callback may start
 * and cancel any requests.
 *
 * No response can grow without bound: one that is larger than its 'max_body' ends with an error. */

#include <stdbool.h>
#include <stddef.h>

struct ds;
struct json_object;
struct kube_config;
struct kube_http;
struct kube_request;

struct kube_http *kube_http_create(const struct kube_config *);
void kube_http_destroy(struct kube_http *);
void kube_http_run(struct kube_http *, long long int now);
void kube_http_wait(struct kube_http *);
void kube_http_renew(struct kube_http *);

/* Defaults of struct kube_request_args. */
#define KUBE_MAX_BODY (64u * 1024 * 1024)
#define KUBE_REQUEST_TIMEOUT_MS 30000
#define KUBE_NO_TIMEOUT (-1)

/* How a request ended.  Everything in it is borrowed. */
struct kube_response {
    int status;                 /* HTTP status, or 0 if there was no complete response. */
    const char *error;          /* NULL if 'status' is 2xx, else what is wrong, for people. */
    bool too_large;             /* 'error' is that the body exceeds 'max_body'. */
    int retry_after_s;          /* What the server asked for, or -1. */
    struct json_object *json;   /* The body, or NULL if it is not JSON or went to 'data'. */
    const char *body;           /* The body as it came, with a null byte after it. */
    size_t body_len;
};

/* Gets the pieces of a successful response's body, as they come.  Returns false to end the
 * request, whose kube_done_cb is then called. */
typedef bool kube_data_cb(const char *data, size_t n, long long int now, void *aux);

/* Called once, unless the request is cancelled.  Afterwards the request is gone. */
typedef void kube_done_cb(const struct kube_response *, long long int now, void *aux);

/* Everything is copied. */
struct kube_request_args {
    const char *method;         /* "GET", ... */
    const char *path;           /* With the query, like "/api/v1/pods?limit=500". */
    const char *content_type;   /* Of 'body'.  NULL means "application/json". */
    const char *body;           /* NULL for none. */
    size_t body_len;
    size_t max_body;            /* Of the response, without 'data'.  0 for KUBE_MAX_BODY. */
    int timeout_ms;             /* For all of it.  0 for KUBE_REQUEST_TIMEOUT_MS. */
    kube_data_cb *data;         /* NULL to get the body with 'done'. */
    kube_done_cb *done;
    void *aux;
};
struct kube_request *kube_request_start(struct kube_http *, const struct kube_request_args *);
void kube_request_cancel(struct kube_request *);
int kube_request_get_status(const struct kube_request *);
bool kube_request_is_outdated(const struct kube_request *);

struct kube_http_stats {
    unsigned long long int requests;
    unsigned long long int errors;          /* No complete response. */
    unsigned long long int connections;     /* That were opened. */
    unsigned long long int answers[6];      /* Complete responses, by their status's first digit. */
    long long int last_contact;             /* When the server said something last, in milliseconds
                                             * since 1970; 0 for never. */
};
const struct kube_http_stats *kube_http_get_stats(const struct kube_http *);

/* Paths. */
char *kube_path(const char *group, const char *version, const char *plural,
                const char *namespace, const char *name, const char *subresource);
void kube_path_add_query(struct ds *path, const char *name, const char *value);

#endif /* k8s/kube-http.h */
