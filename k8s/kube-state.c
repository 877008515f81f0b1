#include <config.h>

#include "k8s/kube-state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "k8s/json-c.h"
#include "k8s/json-writer.h"
#include "k8s/route-object.h"
#include "pipeline/model.h"
#include "util.h"

/* Nobody has a cluster whose state is larger than this. */
#define MAX_FILE_SIZE (512 * 1024 * 1024)

/* Encoding. */

static struct json_object *
create_object(const char *kind, const char *namespace, const char *name, const struct smap *labels,
              const struct smap *annotations)
{
    struct json_object *json = json_object_new_object();
    struct json_object *metadata = json_object_new_object();

    put_string(json, "apiVersion", "v1");
    put_string(json, "kind", kind);
    put_string(metadata, "namespace", namespace);
    put_string(metadata, "name", name);
    put_string_map(metadata, "labels", labels);
    if (annotations) {
        put_string_map(metadata, "annotations", annotations);
    }
    json_object_object_add(json, "metadata", metadata);
    return json;
}

/* Of several addresses of one family, only the first InternalIP counts as such. */
static struct json_object *
encode_node_addresses(const struct cluster_node *node)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < node->n_all_addresses; i++) {
        const struct in6_addr *addr = &node->all_addresses[i];
        bool internal = !ip_compare(addr, &node->addresses[ip_family_of(addr)]);
        struct json_object *item = json_object_new_object();
        char *s = ip_to_string(addr);

        put_string(item, "type", internal ? "InternalIP" : "ExternalIP");
        put_string(item, "address", s);
        json_object_array_add(list, item);
        free(s);
    }
    return list;
}

static struct json_object *
encode_node(const void *node_)
{
    const struct cluster_node *node = node_;
    struct json_object *json = create_object("Node", NULL, node->name, &node->labels, NULL);
    struct json_object *spec = json_object_new_object();
    struct json_object *status = json_object_new_object();
    struct json_object *conditions = json_object_new_array();
    struct json_object *ready = json_object_new_object();

    put_cidrs(spec, "podCIDRs", node->pod_cidrs, node->n_pod_cidrs);
    put_bool(spec, "unschedulable", node->avoided);
    put_json(json, "spec", spec);

    put_string(ready, "type", "Ready");
    put_string(ready, "status", node->ready ? "True" : "False");
    json_object_array_add(conditions, ready);
    put_json(status, "addresses", encode_node_addresses(node));
    put_json(status, "conditions", conditions);
    put_json(json, "status", status);
    return json;
}

static struct json_object *
encode_namespace(const void *namespace_)
{
    const struct cluster_namespace *namespace = namespace_;

    return create_object("Namespace", NULL, namespace->name, &namespace->labels, NULL);
}

static struct json_object *
encode_pod(const void *pod_)
{
    const struct cluster_pod *pod = pod_;
    struct json_object *json = create_object("Pod", pod->namespace, pod->name, &pod->labels,
                                             &pod->annotations);
    struct json_object *spec = json_object_new_object();
    struct json_object *status = json_object_new_object();
    struct json_object *ips = json_object_new_array();

    put_string(spec, "nodeName", pod->node);
    put_bool(spec, "hostNetwork", pod->host_network);
    put_json(json, "spec", spec);

    for (size_t i = 0; i < pod->n_ips; i++) {
        struct json_object *item = json_object_new_object();
        char *s = ip_to_string(&pod->ips[i]);

        put_string(item, "ip", s);
        json_object_array_add(ips, item);
        free(s);
    }
    put_json(status, "podIPs", ips);
    put_string(status, "phase", pod->finished ? "Succeeded" : "Running");
    put_json(json, "status", status);
    return json;
}

static struct json_object *
encode_route(const void *route)
{
    return egress_route_to_json(route);
}

/* Saving. */

/* Writes 'objects', separated from what is there before and from each other. */
static void
write_objects(FILE *file, const struct shash *objects, struct json_object *(*encode)(const void *),
              bool *first)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, objects) {
        struct json_object *json = encode(node->data);

        fprintf(file, "%s%s", *first ? "" : ",\n",
                json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN
                                               | JSON_C_TO_STRING_NOSLASHESCAPE));
        json_release(json);
        *first = false;
    }
}

static void
write_model(FILE *file, const struct egress_model *model)
{
    bool first = true;

    fprintf(file, "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n");
    write_objects(file, &model->nodes, encode_node, &first);
    write_objects(file, &model->namespaces, encode_namespace, &first);
    write_objects(file, &model->pods, encode_pod, &first);
    write_objects(file, &model->routes, encode_route, &first);
    fprintf(file, "\n]}\n");
}

/* Writes 'model' to the file 'path', of which there is the old or the new content at any time.
 * (After a power failure it may be neither, which kube_state_load() notices: waiting for the disk
 * would hold up everything else.)  Returns NULL if successful, otherwise an error that the caller
 * must free. */
char *
kube_state_save(const char *path, const struct egress_model *model)
{
    char *temporary = xasprintf("%s.tmp", path);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    int error = file ? 0 : errno;

    if (file) {
        write_model(file, model);
        error = ferror(file) ? EIO : 0;
        if (fclose(file)) {
            error = errno;
        }
    } else if (fd >= 0) {
        close(fd);
    }
    if (!error && rename(temporary, path)) {
        error = errno;
    }
    if (error) {
        unlink(temporary);
    }

    char *message = (error
                     ? xasprintf("%s: cannot be written: %s", path, ovs_strerror(error)) : NULL);
    free(temporary);
    return message;
}

/* Loading. */

/* Returns the content of the file 'path', which the caller must free, or NULL with an error. */
static char *
read_file(const char *path, size_t *length, int *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat s;

    if (fd < 0 || fstat(fd, &s)) {
        *error = errno;
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }
    *error = !S_ISREG(s.st_mode) ? EINVAL : s.st_size > MAX_FILE_SIZE ? EFBIG : 0;

    char *text = *error ? NULL : xmalloc(s.st_size + 1);
    ssize_t retval;
    for (*length = 0; text && *length < s.st_size; *length += retval) {
        retval = read(fd, text + *length, s.st_size - *length);
        if (retval <= 0) {
            *error = retval ? errno : EIO;
            free(text);
            text = NULL;
        }
    }
    close(fd);
    return text;
}

/* Reads the file 'path' and calls 'cb' with 'aux' for each object in it.  Returns NULL if
 * successful, otherwise an error, which the caller must free; then there is no object at all. */
char *
kube_state_load(const char *path, manifest_object_cb *cb, void *aux)
{
    size_t length;
    int error;
    char *text = read_file(path, &length, &error);

    if (!text) {
        return xasprintf("%s: cannot be read: %s", path, ovs_strerror(error));
    }

    struct json_tokener *tokener = json_tokener_new();
    struct json_object *json = json_tokener_parse_ex(tokener, text, length);
    enum json_tokener_error json_error = json_tokener_get_error(tokener);
    char *message = NULL;

    if (json_error == json_tokener_success) {
        manifest_decode(json, path, cb, aux);
    } else {
        message = xasprintf("%s: is damaged: %s", path,
                            json_error == json_tokener_continue ? "its end is missing"
                            : json_tokener_error_desc(json_error));
    }
    json_release(json);
    json_tokener_free(tokener);
    free(text);
    return message;
}
