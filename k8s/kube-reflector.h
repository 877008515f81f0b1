#ifndef K8S_KUBE_REFLECTOR_H
#define K8S_KUBE_REFLECTOR_H 1

/* Follows one resource: lists it, then watches it, for as long as the reflector lives.
 *
 * The list comes in pages.  The watch ends from time to time, and is taken up where it ended,
 * without another list, as long as the server still has the events since.  Whatever goes wrong
 * ends in another attempt, after a delay that grows with each failure in a row, and what was read
 * before stays in force meanwhile.
 *
 * A resource that the server does not know, because its CRD is not installed, counts as
 * empty.  It is looked for again from time to time.
 *
 * All callbacks come from within kube_http_run(), which has to run before kube_reflector_run() in
 * each turn of the main loop.  They must not destroy the reflector. */

#include <stdbool.h>
#include <stddef.h>

struct json_object;
struct kube_http;
struct kube_reflector;

#define KUBE_REFLECTOR_PAGE 500             /* Objects. */
#define KUBE_REFLECTOR_WATCH_S 120          /* How long the server should let a watch last. */
#define KUBE_REFLECTOR_SLACK_MS 15000       /* What an answer, or the end of a watch, may take. */
#define KUBE_REFLECTOR_MIN_DELAY_MS 500
#define KUBE_REFLECTOR_MAX_DELAY_MS 30000
#define KUBE_REFLECTOR_ABSENT_MS 15000      /* Until a resource that was unknown is tried again. */
#define KUBE_REFLECTOR_STEADY_MS 5000       /* A watch that lasted so long was a success. */
#define KUBE_REFLECTOR_MAX_RESUMES 5        /* Refused in a row, until a list comes instead. */
#define KUBE_REFLECTOR_MAX_OBJECT (4u * 1024 * 1024)    /* Bytes. */

/* Strings are copied.  0 stands for the defaults above. */
struct kube_reflector_args {
    const char *path;           /* The collection, from kube_path(). */
    const char *field_selector; /* "spec.nodeName=n1", or NULL. */
    const char *label_selector; /* Or NULL. */

    /* An object is new or different.  It is borrowed.  An object that a new list has unchanged, by
     * its resourceVersion, is not given again. */
    void (*upsert)(struct json_object *object, void *aux);

    /* An object is no more.  'namespace' is NULL if it has none. */
    void (*remove)(const char *namespace, const char *name, void *aux);

    /* Around each list; may be NULL.  What is known but not in the new list is removed before
     * 'list_end'.  A list that fails has no end; the next one begins again. */
    void (*list_begin)(void *aux);
    void (*list_end)(void *aux);

    void *aux;

    int watch_s;
    int slack_ms;
    int min_delay_ms;
    int max_delay_ms;
    int absent_ms;
    size_t max_object;
};

struct kube_reflector_stats {
    unsigned long long int lists;       /* Completed. */
    unsigned long long int watches;     /* Begun. */
    unsigned long long int events;      /* Changes, without bookmarks. */
    unsigned long long int bookmarks;
    unsigned long long int errors;      /* All failures, with the following ones. */
    unsigned long long int gone;        /* 410: the server no longer has that version. */
    unsigned long long int junk;        /* Events that could not be read. */
    unsigned long long int too_large;   /* Events above 'max_object'. */
    unsigned long long int silent;      /* Watches given up by the watchdog. */
};

struct kube_reflector *kube_reflector_create(struct kube_http *,
                                             const struct kube_reflector_args *);
void kube_reflector_destroy(struct kube_reflector *);
void kube_reflector_run(struct kube_reflector *, long long int now);
void kube_reflector_wait(struct kube_reflector *);
void kube_reflector_refresh(struct kube_reflector *, long long int now);

bool kube_reflector_is_fresh(const struct kube_reflector *);
bool kube_reflector_is_synced(const struct kube_reflector *);
bool kube_reflector_is_absent(const struct kube_reflector *);
size_t kube_reflector_count(const struct kube_reflector *);
const char *kube_reflector_get_problem(const struct kube_reflector *);
const struct kube_reflector_stats *kube_reflector_get_stats(const struct kube_reflector *);

#endif /* k8s/kube-reflector.h */
