#ifndef TESTS_UNIT_K8S_FAKE_API_H
#define TESTS_UNIT_K8S_FAKE_API_H 1

/* A Kubernetes API server that misbehaves as it is told, see fake-api.py. */

#include <sys/types.h>
#include "openvswitch/dynamic-string.h"

struct kube_config;

struct fake_api {
    pid_t pid;
    int in, out;                /* Its standard input and output. */
    struct ds unread;           /* What it said that is not yet a whole line. */
    struct ds log;              /* The requests, a line each. */
    int n_acks;
    int port;
    char *dir;                  /* Its certificates: server.crt, other.crt. */
};

struct fake_api *fake_api_start(void);
void fake_api_stop(struct fake_api *);
void fake_api_tell(struct fake_api *, const char *python);
const char *fake_api_log(struct fake_api *);
void fake_api_clear_log(struct fake_api *);
struct kube_config *fake_api_config(const struct fake_api *, const char *cluster,
                                    const char *user);

#endif /* tests/unit/k8s/fake-api.h */
