#ifndef K8S_SOURCE_PROVIDER_H
#define K8S_SOURCE_PROVIDER_H 1

/* What a kind of source implements, behind k8s/source.h. */

#include "k8s/object-store.h"
#include "k8s/source.h"

struct source_class {
    const char *scheme;             /* "dir", as in "dir:PATH". */
    bool provides_routes;           /* See source_provides_routes(). */

    /* Opens the source at 'location', what follows the scheme and its colon; "" if there is
     * nothing.  Returns NULL on failure, with a reason in '*errorp' that the caller must free. */
    struct source *(*open)(const char *location, const struct source_config *, char **errorp);
    void (*close)(struct source *);
    void (*run)(struct source *);
    void (*wait)(struct source *);

    /* Adds the problems that are not in the store. */
    void (*add_problems)(const struct source *, struct problem_list *);
};

/* To be embedded in an implementation's struct. */
struct source {
    const struct source_class *class;
    struct object_store store;
    bool synced;
    struct problem_list problems;   /* All of them, as of 'problems_seqno'. */
    uint64_t problems_seqno;
};

void source_init(struct source *, const struct source_class *);
void source_uninit(struct source *);

extern const struct source_class dir_source_class;
extern const struct source_class kube_source_class;

#endif /* k8s/source-provider.h */
