#ifndef K8S_KUBE_CONFIG_H
#define K8S_KUBE_CONFIG_H 1

/* Where the Kubernetes API server is, and who we are to it.
 *
 * Read from a kubeconfig file, or from what Kubernetes gives to every pod.  The server is always
 * verified: there is no way to turn that off, and a kubeconfig that asks for it is refused. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

/* A certificate or key: in a file, which is read again for each connection, or as PEM text. */
struct kube_pem {
    char *file;                 /* NULL if it is not in a file. */
    char *text;                 /* NULL if it is. */
    size_t length;              /* Of 'text'. */
};

struct kube_config {
    char *server;               /* "https://HOST[:PORT][/PATH]", without a slash at the end. */
    char *tls_server_name;      /* The name to verify instead of the server's, or NULL. */
    struct kube_pem ca;         /* If neither file nor text, the system's certificates. */
    struct kube_pem cert;       /* Our own; neither if we have none. */
    struct kube_pem key;
    char *token;                /* NULL if there is none, or a 'token_file'. */
    char *token_file;
    char *namespace;            /* The context's, or our pod's.  "default" if neither says. */
};

struct kube_config *kube_config_load(const char *path, char **errorp);
struct kube_config *kube_config_load_context(const char *path, const char *context, char **errorp);
void kube_config_destroy(struct kube_config *);

/* The bearer token, which may rotate. */
struct kube_token {
    const struct kube_config *config;
    char *value;                /* NULL until it was read. */
    struct stat stamp;          /* Of the file that 'value' is from. */
};
void kube_token_init(struct kube_token *, const struct kube_config *);
void kube_token_destroy(struct kube_token *);
const char *kube_token_get(struct kube_token *);

#endif /* k8s/kube-config.h */
