#ifndef K8S_KUBE_STATE_H
#define K8S_KUBE_STATE_H 1

/* What an agent knows of its cluster, in a file: nodes, namespaces, pods and routes of a model as
 * one JSON list of manifests, with those fields that the model has. */

#include <stdbool.h>
#include "k8s/manifest.h"
#include "openvswitch/compiler.h"

struct egress_model;

char *kube_state_save(const char *path, const struct egress_model *) OVS_WARN_UNUSED_RESULT;
char *kube_state_load(const char *path, manifest_object_cb *, void *aux) OVS_WARN_UNUSED_RESULT;

#endif /* k8s/kube-state.h */
