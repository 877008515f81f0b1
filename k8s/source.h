#ifndef K8S_SOURCE_H
#define K8S_SOURCE_H 1

/* Where policies, pools, nodes, namespaces and pods come from; or, instead of policies, the
 * routes that somebody else decided.
 *
 * A source keeps a model up to date with them.  The model changes only within source_run().
 * What changed accumulates in source_get_changes() until the consumer, having dealt with it,
 * clears it with model_changes_clear().  Before source_is_synced(), the model is incomplete, and
 * nothing should be concluded from what it lacks. */

#include <stdbool.h>
#include <stdint.h>

struct egress_model;
struct model_changes;
struct problem_list;
struct source;

/* Who asks.  A source of the Kubernetes API then follows only what that one needs.  A directory
 * is read as a whole. */
enum source_view {
    SOURCE_VIEW_NODE,           /* A node's agent: nodes, namespaces, routes, the node's pods. */
    SOURCE_VIEW_CLUSTER,        /* The manager: policies, pools, nodes, namespaces, routes. */
    SOURCE_VIEW_TYPES,          /* A person: those in 'types', of all nodes. */
};

struct source_config {
    enum source_view view;
    const char *node;           /* For SOURCE_VIEW_NODE, the node's name. */
    unsigned int types;         /* For SOURCE_VIEW_TYPES, bits 1u << OBJECT_*, see k8s/language.h. */
    const char *state_dir;      /* Where the last state is kept for a time without the API; NULL for
                                 * nowhere. */
};

struct source *source_open(const char *spec, const struct source_config *, char **errorp);
void source_close(struct source *);

void source_run(struct source *);
void source_wait(struct source *);

const struct egress_model *source_get_model(const struct source *);
struct model_changes *source_get_changes(struct source *);
const struct problem_list *source_get_problems(const struct source *);
bool source_is_synced(const struct source *);
bool source_provides_routes(const struct source *);
uint64_t source_get_seqno(const struct source *);

#endif /* k8s/source.h */
