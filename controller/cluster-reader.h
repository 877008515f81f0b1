#ifndef CONTROLLER_CLUSTER_READER_H
#define CONTROLLER_CLUSTER_READER_H 1

/* Reads objects of the Kubernetes API once, for programs that answer one question and end.  Nothing is written. */

#include <stdbool.h>
#include "k8s/language.h"
#include "openvswitch/shash.h"

struct kube_config;
struct kube_http;
struct source;

struct cluster_reader {
    struct kube_config *config;
    struct kube_http *http;
    struct source *source;      /* NULL until cluster_reader_list(). */
    struct shash statuses;      /* struct status_object by id, of all policies and pools that were listed. */
};

char *cluster_reader_open(struct cluster_reader *, const char *kubeconfig, const char *context);
void cluster_reader_close(struct cluster_reader *);

char *cluster_reader_list(struct cluster_reader *, unsigned int types);
char *cluster_reader_get(struct cluster_reader *, enum object_type, const char *path, void **objectp);

#endif /* controller/cluster-reader.h */
