#include <config.h>
#include "k8s/kube-config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/json-reader.h"
#include "k8s/yaml.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_kube_config);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);

/* What Kubernetes gives to every pod.  The variable is for tests. */
#define POD_DIR "/var/run/secrets/kubernetes.io/serviceaccount"
#define POD_DIR_VARIABLE "OVS_EGRESS_SERVICEACCOUNT_DIR"

/* A file that is larger than this is no kubeconfig and no token. */
#define MAX_FILE_SIZE (1024 * 1024)

/* Reads all of 'path' into '*textp', which the caller must free, with a null byte after it that
 * does not count in '*lengthp'.  Returns NULL or an error that the caller must free. */
static char *
read_small_file(const char *path, char **textp, size_t *lengthp)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        return xasprintf("%s: cannot be opened (%s)", path, ovs_strerror(errno));
    }

    char *text = xmalloc(MAX_FILE_SIZE + 1);
    size_t length = fread(text, 1, MAX_FILE_SIZE + 1, file);
    char *error = (ferror(file)
                   ? xasprintf("%s: cannot be read (%s)", path, ovs_strerror(errno))
                   : length > MAX_FILE_SIZE
                   ? xasprintf("%s: is larger than %d bytes", path, MAX_FILE_SIZE)
                   : NULL);
    fclose(file);
    if (error) {
        free(text);
        return error;
    }
    text[length] = '\0';
    *textp = xrealloc(text, length + 1);
    *lengthp = length;
    return NULL;
}

static int
base64_value(char c)
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *digit = c ? strchr(digits, c) : NULL;

    return digit ? digit - digits : -1;
}

/* Decodes 'in', base64 that may be broken into lines.  Returns what the caller must free, with a
 * null byte after its '*lengthp' bytes, or NULL if 'in' is no base64. */
static char *
base64_decode(const char *in, size_t *lengthp)
{
    char *out = xmalloc(strlen(in) * 3 / 4 + 1);
    unsigned int bits = 0;
    size_t n_digits = 0;
    size_t n_pads = 0;
    size_t n = 0;

    for (; *in; in++) {
        int value = base64_value(*in);

        if (isspace((unsigned char) *in)) {
            continue;
        } else if (*in == '=') {
            n_pads++;
        } else if (value < 0 || n_pads) {
            free(out);
            return NULL;
        } else {
            bits = bits << 6 | value;
            n_digits++;
            if (n_digits % 4 != 1) {
                out[n++] = bits >> (3 - (n_digits - 1) % 4) * 2;
            }
        }
    }
    if ((n_digits + n_pads) % 4 || n_pads > 2) {
        free(out);
        return NULL;
    }
    out[n] = '\0';
    *lengthp = n;
    return out;
}

/* A file that a kubeconfig names is relative to the kubeconfig. */
static char *
resolve_path(const char *config_path, const char *path)
{
    const char *slash = strrchr(config_path, '/');

    return (*path == '/' || !slash
            ? xstrdup(path)
            : xasprintf("%.*s/%s", (int) (slash - config_path), config_path, path));
}

/* Reads 'NAME', a path, or 'NAME-data', base64, into 'pem'. */
static void
read_pem(const struct json_cursor *parent, const char *name, const char *config_path,
         struct kube_pem *pem)
{
    char *data_name = xasprintf("%s-data", name);
    const char *data = json_cursor_string(parent, data_name);
    const char *file = json_cursor_string(parent, name);

    /* As for kubectl, data wins. */
    if (data) {
        pem->text = base64_decode(data, &pem->length);
        if (!pem->text) {
            json_cursor_error(parent, data_name, "is no base64");
        }
    } else if (file) {
        pem->file = resolve_path(config_path, file);
    }
    free(data_name);
}

static void
kube_pem_destroy(struct kube_pem *pem)
{
    free(pem->file);
    free(pem->text);
}

/* Returns what is named 'name' in the list 'list' of 'root', as the cursor of its member 'member',
 * with '*item' for the cursor in between, which has to stay.  Its json is NULL if there is none. */
static struct json_cursor
find_named(const struct json_cursor *list, const char *name, const char *member,
           struct json_cursor *item)
{
    for (size_t i = 0; i < json_cursor_length(list); i++) {
        *item = json_cursor_item(list, i);

        const char *item_name = json_cursor_string(item, "name");
        if (item_name && !strcmp(item_name, name)) {
            return json_cursor_object(item, member);
        }
    }
    return (struct json_cursor) { .reader = list->reader, .parent = list, .name = member };
}

/* Makes 'name' an error if it is there. */
static void
refuse(const struct json_cursor *cursor, const char *name, const char *why)
{
    if (json_cursor_has(cursor, name)) {
        json_cursor_error(cursor, name, "%s", why);
    }
}

/* Returns NULL if 'server' is what a server has to look like, else why it is not. */
static const char *
check_server(const char *server)
{
    return (strncmp(server, "https://", 8) || !server[8] || server[8] == '/'
            ? "expected a URL that begins with https://, like https://10.0.0.1:6443"
            : NULL);
}

/* Returns a copy of 'server' without slashes at its end. */
static char *
trim_server(const char *server)
{
    size_t n = strlen(server);

    while (n && server[n - 1] == '/') {
        n--;
    }
    return xmemdup0(server, n);
}

static void
read_cluster(const struct json_cursor *cluster, const char *path, struct kube_config *config)
{
    const char *server = json_cursor_required_string(cluster, "server",
                                                     "https://10.0.0.1:6443");
    const char *why = server ? check_server(server) : NULL;

    if (why) {
        json_cursor_error(cluster, "server", "\"%s\" is not supported, %s", server, why);
    }
    if (json_cursor_bool(cluster, "insecure-skip-tls-verify")) {
        json_cursor_error(cluster, "insecure-skip-tls-verify",
                          "true is refused, because whoever answers could then change what "
                          "leaves the cluster; give certificate-authority-data instead");
    }
    refuse(cluster, "proxy-url", "is not supported");
    if (server) {
        config->server = trim_server(server);
    }
    config->tls_server_name = nullable_xstrdup(json_cursor_string(cluster, "tls-server-name"));
    read_pem(cluster, "certificate-authority", path, &config->ca);
}

static void
read_user(const struct json_cursor *user, const char *path, struct kube_config *config)
{
    refuse(user, "exec", "is out of scope: give a client certificate, token or tokenFile");
    refuse(user, "auth-provider",
           "is out of scope: give a client certificate, token or tokenFile");
    refuse(user, "username", "is not supported: give a client certificate, token or tokenFile");
    refuse(user, "as", "is not supported");

    read_pem(user, "client-certificate", path, &config->cert);
    read_pem(user, "client-key", path, &config->key);

    /* As for kubectl, the file wins. */
    const char *token_file = json_cursor_string(user, "tokenFile");
    const char *token = json_cursor_string(user, "token");
    if (token_file) {
        config->token_file = resolve_path(path, token_file);
    } else {
        config->token = nullable_xstrdup(token);
    }
}

/* What read_document() gets. */
struct kubeconfig_reading {
    const char *path;
    const char *context;        /* NULL for the file's current one. */
    struct kube_config *config;
    struct json_reader reader;
    int n_documents;
};

static void
read_document(struct json_object *document, void *reading_)
{
    struct kubeconfig_reading *reading = reading_;
    struct json_cursor root = json_reader_start(&reading->reader, document);
    struct json_cursor context_item, item;

    if (reading->n_documents++) {
        json_cursor_error(&root, NULL, "expected a single document");
        return;
    }
    json_cursor_require_object(&root);

    const char *current = (reading->context ? reading->context
                           : json_cursor_required_string(&root, "current-context", "default"));
    if (!current) {
        return;
    }

    struct json_cursor contexts = json_cursor_array(&root, "contexts");
    struct json_cursor context = find_named(&contexts, current, "context", &context_item);
    if (!context.json) {
        json_cursor_error(&root, reading->context ? "contexts" : "current-context",
                          "there is no context \"%s\"", current);
        return;
    }
    const char *namespace = json_cursor_string(&context, "namespace");
    reading->config->namespace = xstrdup(namespace && *namespace ? namespace : "default");

    const char *name = json_cursor_required_string(&context, "cluster", "default");
    if (name) {
        struct json_cursor clusters = json_cursor_array(&root, "clusters");
        struct json_cursor cluster = find_named(&clusters, name, "cluster", &item);
        if (cluster.json) {
            read_cluster(&cluster, reading->path, reading->config);
        } else {
            json_cursor_error(&context, "cluster", "there is no cluster \"%s\"", name);
        }
    }

    name = json_cursor_string(&context, "user");
    if (name) {
        struct json_cursor users = json_cursor_array(&root, "users");
        struct json_cursor user = find_named(&users, name, "user", &item);
        if (user.json) {
            read_user(&user, reading->path, reading->config);
        } else {
            json_cursor_error(&context, "user", "there is no user \"%s\"", name);
        }
    }
}

/* Reads the kubeconfig at 'path', its 'context', into 'config'.  Returns NULL or an error for the caller to
 * free. */
static char *
load_kubeconfig(struct kube_config *config, const char *path, const char *context)
{
    struct kubeconfig_reading reading = {
        .path = path,
        .context = context,
        .config = config,
        .reader = JSON_READER_INITIALIZER,
    };
    unsigned int line = 0;
    size_t length;
    char *text;

    char *error = read_small_file(path, &text, &length);
    if (error) {
        return error;
    }
    error = yaml_read_documents(text, length, read_document, &reading, &line);
    free(text);
    if (!error && reading.reader.error) {
        error = reading.reader.error;
        line = reading.reader.line;
    } else {
        free(reading.reader.error);
    }
    if (!error && !reading.n_documents) {
        return xasprintf("%s: is empty", path);
    }
    if (error) {
        char *full = xasprintf("%s:%u: %s", path, line, error);
        free(error);
        return full;
    }
    if ((config->cert.file || config->cert.text) != (config->key.file || config->key.text)) {
        return xasprintf("%s: client-certificate and client-key only make sense together", path);
    }
    return NULL;
}

/* Fills in 'config' from what Kubernetes gives to every pod.  Returns NULL or an error for the
 * caller to free. */
static char *
load_in_cluster(struct kube_config *config)
{
    const char *host = getenv("KUBERNETES_SERVICE_HOST");
    const char *port = getenv("KUBERNETES_SERVICE_PORT");
    const char *dir = getenv(POD_DIR_VARIABLE);
    size_t length;

    if (!host || !*host || !port || !*port) {
        return xstrdup("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is "
                       "not in a pod, so give the path of a kubeconfig");
    }
    if (!dir) {
        dir = POD_DIR;
    }

    bool ipv6 = strchr(host, ':') != NULL;
    config->server = xasprintf("https://%s%s%s:%s", ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
    config->ca.file = xasprintf("%s/ca.crt", dir);
    config->token_file = xasprintf("%s/token", dir);

    char *path = xasprintf("%s/namespace", dir);
    char *error = read_small_file(path, &config->namespace, &length);
    free(path);
    if (error) {
        free(error);
        config->namespace = xstrdup("default");
    } else {
        config->namespace[strcspn(config->namespace, "\r\n")] = '\0';
    }
    return NULL;
}

/* Returns NULL if all of the files that 'config' names can be read, else an error for the caller
 * to free. */
static char *
check_files(const struct kube_config *config)
{
    const char *paths[] = {
        config->ca.file, config->cert.file, config->key.file, config->token_file
    };

    for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
        if (paths[i]) {
            size_t length;
            char *text;
            char *error = read_small_file(paths[i], &text, &length);
            if (error) {
                return error;
            }
            free(text);
        }
    }
    return NULL;
}

/* Reads the kubeconfig at 'path', or, if that is NULL, what Kubernetes gives to every pod.
 * Returns NULL on failure, with a reason in '*errorp' that the caller must free; it names the
 * file, field and value. */
struct kube_config *
kube_config_load(const char *path, char **errorp)
{
    return kube_config_load_context(path, NULL, errorp);
}

/* Likewise, but with 'context' of the kubeconfig at 'path', if it is nonnull, instead of the current one. */
struct kube_config *
kube_config_load_context(const char *path, const char *context, char **errorp)
{
    struct kube_config *config = xzalloc(sizeof *config);

    char *error = path ? load_kubeconfig(config, path, context) : load_in_cluster(config);
    if (!error) {
        error = check_files(config);
    }
    *errorp = error;
    if (error) {
        kube_config_destroy(config);
        return NULL;
    }
    return config;
}

void
kube_config_destroy(struct kube_config *config)
{
    if (config) {
        free(config->server);
        free(config->tls_server_name);
        kube_pem_destroy(&config->ca);
        kube_pem_destroy(&config->cert);
        kube_pem_destroy(&config->key);
        free(config->token);
        free(config->token_file);
        free(config->namespace);
        free(config);
    }
}

/* Initializes 'token' for 'config', which must outlive it. */
void
kube_token_init(struct kube_token *token, const struct kube_config *config)
{
    *token = (struct kube_token) { .config = config };
}

void
kube_token_destroy(struct kube_token *token)
{
    free(token->value);
}

/* Returns true if 'a' and 'b' may be of the same content. */
static bool
same_stamp(const struct stat *a, const struct stat *b)
{
    return (a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size
            && a->st_mtim.tv_sec == b->st_mtim.tv_sec
            && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec);
}

/* Returns the token as of now, or NULL if there is none, valid until the next call.  A file that
 * cannot be read, which it may be for a moment while it is replaced, leaves the token as it was. */
const char *
kube_token_get(struct kube_token *token)
{
    const struct kube_config *config = token->config;
    struct stat stamp = { .st_size = -1 };
    size_t length;
    char *text;

    if (!config->token_file) {
        return config->token;
    }
    if (!stat(config->token_file, &stamp) && token->value && same_stamp(&stamp, &token->stamp)) {
        return token->value;
    }

    char *error = read_small_file(config->token_file, &text, &length);
    if (error) {
        VLOG_WARN_RL(&rl, "%s", error);
        free(error);
        return token->value;
    }
    text[strcspn(text, "\r\n")] = '\0';
    free(token->value);
    token->value = text;
    token->stamp = stamp;
    return token->value;
}
