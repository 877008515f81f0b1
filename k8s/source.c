#include <config.h>

#include "k8s/source.h"

#include <string.h>

#include "k8s/source-provider.h"
#include "util.h"

static const struct source_class *const classes[] = { &dir_source_class, &kube_source_class };

/* For implementations: initializes what all sources have. */
void
source_init(struct source *source, const struct source_class *class)
{
    source->class = class;
    object_store_init(&source->store);
    source->synced = false;
    problem_list_init(&source->problems);
    source->problems_seqno = 0;
}

/* For implementations: the opposite of source_init(). */
void
source_uninit(struct source *source)
{
    object_store_destroy(&source->store);
    problem_list_destroy(&source->problems);
}

/* Opens the source that 'spec' names, "dir:PATH" or "kube[:KUBECONFIG]", for whom 'config' says.
 * Nothing is read before source_run().  Returns NULL on failure, and then stores the reason, which
 * the caller must free, in '*errorp'; otherwise stores NULL there. */
struct source *
source_open(const char *spec, const struct source_config *config, char **errorp)
{
    size_t length = strcspn(spec, ":");

    *errorp = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(classes); i++) {
        if (length == strlen(classes[i]->scheme) && !memcmp(spec, classes[i]->scheme, length)) {
            return classes[i]->open(spec + length + (spec[length] == ':'), config, errorp);
        }
    }
    *errorp = xasprintf("\"%s\" is no source, expected dir:PATH or kube[:KUBECONFIG]", spec);
    return NULL;
}

/* 'source' may be NULL. */
void
source_close(struct source *source)
{
    if (source) {
        source->class->close(source);
    }
}

/* Brings the model up to date, without blocking. */
void
source_run(struct source *source)
{
    source->class->run(source);
}

/* Makes poll_block() wake up when source_run() has something to do. */
void
source_wait(struct source *source)
{
    source->class->wait(source);
}

/* Returns the model.  Its objects may go away with the next source_run(), except those that the
 * caller holds a reference to. */
const struct egress_model *
source_get_model(const struct source *source)
{
    return &source->store.model;
}

/* Returns what changed since the caller last cleared it. */
struct model_changes *
source_get_changes(struct source *source)
{
    return &source->store.changes;
}

/* Returns what people have to mend.  The list is good until the next source_run(). */
const struct problem_list *
source_get_problems(const struct source *source_)
{
    struct source *source = CONST_CAST(struct source *, source_);

    if (source->problems_seqno != source->store.seqno) {
        problem_list_clear(&source->problems);
        source->class->add_problems(source, &source->problems);
        object_store_get_problems(&source->store, &source->problems);
        source->problems_seqno = source->store.seqno;
    }
    return &source->problems;
}

/* Has everything been read once? */
bool
source_is_synced(const struct source *source)
{
    return source->synced;
}

/* Are the routes in the model the decisions to follow?  Otherwise its policies are to be
 * resolved. */
bool
source_provides_routes(const struct source *source)
{
    return source->class->provides_routes;
}

/* Returns a number that is different after every change of the model or of the problems. */
uint64_t
source_get_seqno(const struct source *source)
{
    return source->store.seqno;
}
