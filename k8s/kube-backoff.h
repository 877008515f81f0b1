#ifndef K8S_KUBE_BACKOFF_H
#define K8S_KUBE_BACKOFF_H 1

/* How long to wait before asking the Kubernetes API server again. */

/* A server that asks for more patience than that does not get it. */
#define KUBE_MAX_RETRY_AFTER_S 300

int kube_backoff_ms(int n_failures, int min_ms, int max_ms, int retry_after_s);

#endif /* k8s/kube-backoff.h */
