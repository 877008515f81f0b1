#include <config.h>
#include "controller/cluster-reader.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "k8s/kube-config.h"
#include "k8s/kube-http.h"
#include "k8s/kube-source.h"
#include "k8s/manifest.h"
#include "k8s/status.h"
#include "openvswitch/poll-loop.h"
#include "timeval.h"
#include "util.h"

/* Where kubectl looks for its configuration.  Stores a path that the caller frees, or NULL for that of a pod.  Returns NULL
 * or an error for the caller to free. */
static char *
find_kubeconfig(const char *given, char **pathp)
{
    const char *variable = getenv("KUBECONFIG");
    const char *home = getenv("HOME");

    *pathp = NULL;
    if (given) {
        *pathp = xstrdup(given);
    } else if (variable && *variable) {
        if (strchr(variable, ':')) {
            return xasprintf("KUBECONFIG: \"%s\" is a list, of which one file has to be chosen with --kubeconfig",
                             variable);
        }
        *pathp = xstrdup(variable);
    } else if (home) {
        *pathp = xasprintf("%s/.kube/config", home);
        if (access(*pathp, F_OK)) {
            free(*pathp);
            *pathp = NULL;
        }
    }
    return NULL;
}

/* Prepares 'reader' for the server that 'context' of the file 'kubeconfig' names; each may be NULL for what kubectl would
 * take.  Returns NULL or an error for the caller to free. */
char *
cluster_reader_open(struct cluster_reader *reader, const char *kubeconfig, const char *context)
{
    char *path, *error = find_kubeconfig(kubeconfig, &path);

    if (error) {
        return error;
    }
    if (!path && context) {
        return xstrdup("--context: there is no kubeconfig");
    }
    reader->config = kube_config_load_context(path, context, &error);
    free(path);
    if (!reader->config) {
        return error;
    }
    reader->http = kube_http_create(reader->config);
    reader->source = NULL;
    shash_init(&reader->statuses);
    return NULL;
}

void
cluster_reader_close(struct cluster_reader *reader)
{
    struct shash_node *node;

    if (reader->source) {
        source_close(reader->source);
    }
    SHASH_FOR_EACH (node, &reader->statuses) {
        status_object_destroy(node->data);
    }
    shash_destroy(&reader->statuses);
    kube_http_destroy(reader->http);
    kube_config_destroy(reader->config);
}

/* Lists. */

static void
observe(const struct object_kind *kind, const char *namespace, const char *name, struct json_object *json,
        void *reader_)
{
    struct cluster_reader *reader = reader_;

    if (kind->type == OBJECT_POLICY || kind->type == OBJECT_POOL) {
        char *id = status_object_id(kind, namespace, name);

        status_object_destroy(shash_find_and_delete(&reader->statuses, id));
        if (json) {
            shash_add(&reader->statuses, id, status_object_create(kind, namespace, name, json));
        }
        free(id);
    }
}

/* Reads all objects of 'types', bits 1u << OBJECT_*, into reader->source.  Returns NULL or an error for the caller to
 * free. */
char *
cluster_reader_list(struct cluster_reader *reader, unsigned int types)
{
    struct source_config config = { .view = SOURCE_VIEW_TYPES, .types = types };

    reader->source = kube_source_create(reader->http, &config, observe, reader);
    for (;;) {
        kube_http_run(reader->http, time_msec());
        source_run(reader->source);
        /* Trying again is for those who have the time. */
        char *error = kube_source_get_failure(reader->source);
        if (error || source_is_synced(reader->source)) {
            return error;
        }
        kube_http_wait(reader->http);
        source_wait(reader->source);
        poll_block();
    }
}

/* Single objects. */

struct get {
    const char *path;
    enum object_type type;
    bool done;
    void *object;
    char *error;
};

static void
take_object(struct manifest_object *mo, void *get_)
{
    struct get *get = get_;

    if (mo->error) {
        get->error = mo->error;
        mo->error = NULL;
    } else if (mo->type == get->type) {
        get->object = mo->object;
        mo->object = NULL;
    }
}

static void
get_done(const struct kube_response *response, long long int now OVS_UNUSED, void *get_)
{
    struct get *get = get_;

    get->done = true;
    if (response->error) {
        get->error = xstrdup(response->error);
    } else {
        manifest_decode(response->json, get->path, take_object, get);
        if (!get->error && !get->object) {
            get->error = xasprintf("%s: the server answered with something else", get->path);
        }
    }
}

/* Reads the object of 'type' at 'path' and stores it, for the caller to unreference, in '*objectp'.  Returns NULL or an
 * error for the caller to free. */
char *
cluster_reader_get(struct cluster_reader *reader, enum object_type type, const char *path, void **objectp)
{
    struct get get = { .path = path, .type = type };
    struct kube_request_args args = { .method = "GET", .path = path, .done = get_done, .aux = &get };

    kube_request_start(reader->http, &args);
    for (;;) {
        kube_http_run(reader->http, time_msec());
        if (get.done) {
            break;
        }
        kube_http_wait(reader->http);
        poll_block();
    }
    *objectp = get.object;
    return get.error;
}
