#ifndef K8S_KUBE_LEASE_H
#define K8S_KUBE_LEASE_H 1

/* Leader election with a coordination.k8s.io/v1 Lease.
 *
 * Whoever is named in the Lease leads, as long as it renews it in time.  Others take it over once
 * they have not seen it change for as long as it says.  Clocks are never compared: each side
 * measures with its own, from what it saw.  Every write names the version that it is based on, so
 * that of several that try at once only one succeeds.
 *
 * A leader stops to lead, by itself, 'renew_deadline_ms' after it sent the last renewal that
 * succeeded.  That is before anybody else may take over, 'duration_ms' after they saw it.
 *
 * With 'sign_of_life', nothing is elected: the Lease is ours alone, and tells others that we are
 * there, with annotations that say more. */

#include <stdbool.h>

struct kube_http;
struct kube_lease;
struct smap;

#define KUBE_LEASE_DURATION_MS 15000
#define KUBE_LEASE_RENEW_DEADLINE_MS 10000
#define KUBE_LEASE_RETRY_MS 2000

/* Strings are copied.  0 stands for the defaults above. */
struct kube_lease_args {
    const char *namespace;
    const char *name;
    const char *identity;       /* Ours, which nobody else has. */
    int duration_ms;            /* Whole seconds. */
    int renew_deadline_ms;      /* Less than 'duration_ms'. */
    int retry_ms;               /* Less than 'renew_deadline_ms'. */
    bool sign_of_life;
};

struct kube_lease_stats {
    unsigned long long int renewals;
    unsigned long long int acquired;    /* Times that we became the leader. */
    unsigned long long int lost;        /* Times that we ceased to be, not by our own will. */
    unsigned long long int errors;
};

struct kube_lease *kube_lease_create(struct kube_http *, const struct kube_lease_args *);
void kube_lease_destroy(struct kube_lease *);
void kube_lease_run(struct kube_lease *, long long int now);
void kube_lease_wait(struct kube_lease *);

void kube_lease_set_annotations(struct kube_lease *, const struct smap *);

bool kube_lease_is_held(const struct kube_lease *, long long int now);
const char *kube_lease_get_holder(const struct kube_lease *);
const char *kube_lease_get_problem(const struct kube_lease *);
const struct kube_lease_stats *kube_lease_get_stats(const struct kube_lease *);

/* Handing it over, on exit. */
void kube_lease_release(struct kube_lease *);
bool kube_lease_is_released(const struct kube_lease *);

#endif /* k8s/kube-lease.h */
