#ifndef TESTS_UNIT_K8S_KUBE_FOLLOWER_H
#define TESTS_UNIT_K8S_KUBE_FOLLOWER_H 1

/* A reflector of the fake's resource "things", and what it tells its consumer. */

#include "openvswitch/dynamic-string.h"

struct fake_api;

struct follower {
    struct fake_api *fake;
    struct kube_config *config;
    struct kube_http *http;
    struct kube_reflector *reflector;
    struct ds trace;            /* "[" and "]" around lists, "+NAME:VERSION", "-NAME". */
    long long int ahead;        /* How many ms our clock is ahead of the real one. */
};

/* The request for the first page of the list, and for the watch from version RV. */
#define FOLLOWER_LIST "GET /apis/x/v1/things?limit=500\n"
#define FOLLOWER_WATCH(RV) \
    "GET /apis/x/v1/things?watch=true&allowWatchBookmarks=true&resourceVersion=" RV \
    "&timeoutSeconds=N\n"

int follower_setup(void **state);
int follower_teardown(void **state);
void follower_tell(struct follower *, const char *python);
void follower_expect(struct follower *, const char *trace);
void follower_expect_log(struct follower *, const char *log);
void follower_expect_problem(struct follower *, const char *problem);
void follower_advance(struct follower *, int ms);
void follower_turn(struct follower *);

#endif /* tests/unit/k8s/kube-follower.h */
