#include <config.h>
#include "k8s/kube-lease.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "k8s/json-c.h"
#include "k8s/kube-http.h"
#include "k8s/kube-watch.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "random.h"
#include "smap.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_kube_lease);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 10);

#define MAX_LEASE_SIZE (1024u * 1024)

struct kube_lease {
    struct kube_http *http;
    struct kube_lease_args args;
    char *path;                 /* Of the Lease. */
    char *collection;           /* Of all Leases in its namespace. */
    char *namespace, *name, *identity;

    struct kube_request *request;   /* The one in flight, or NULL. */
    long long int sent;         /* When it was started. */
    long long int due;          /* Without 'request': when to do something. */
    char *problem;              /* Of the last attempt, or NULL. */

    struct json_object *object; /* The Lease as we know it, or NULL. */
    bool stale;                 /* There is a newer version of it. */
    char *spec;                 /* Its text. */
    long long int seen;         /* When we first saw 'spec'. */

    bool ours;                  /* The last write that succeeded made it ours. */
    bool leading;               /* The same, and the deadline was not missed since. */
    long long int renewed;      /* When that write was started. */
    bool releasing;
    bool released;

    struct smap annotations;    /* To be in the Lease, next to others'. */
    bool outdated;              /* The Lease may not have them yet. */

    struct kube_lease_stats stats;
};

static kube_done_cb read_done;
static kube_done_cb write_done;
static kube_done_cb release_done;

static struct json_object *
get_spec(const struct kube_lease *lease)
{
    struct json_object *spec;

    return (lease->object
            && json_object_object_get_ex(lease->object, "spec", &spec)
            && json_object_is_type(spec, json_type_object)
            ? spec : NULL);
}

static struct json_object *
get_spec_member(const struct kube_lease *lease, const char *name)
{
    struct json_object *spec = get_spec(lease);
    struct json_object *member;

    return spec && json_object_object_get_ex(spec, name, &member) ? member : NULL;
}

/* Returns who holds the Lease, as far as we know, or NULL if nobody does. */
const char *
kube_lease_get_holder(const struct kube_lease *lease)
{
    struct json_object *holder = get_spec_member(lease, "holderIdentity");

    return (json_object_is_type(holder, json_type_string) && json_object_get_string_len(holder)
            ? json_object_get_string(holder) : NULL);
}

static void
set_problem(struct kube_lease *lease, const char *problem)
{
    char *copy = nullable_xstrdup(problem);

    free(lease->problem);
    lease->problem = copy;
    if (problem) {
        lease->stats.errors++;
        VLOG_INFO_RL(&rl, "%s: %s", lease->path, problem);
    }
}

static void
stop_leading(struct kube_lease *lease, const char *why)
{
    if (lease->leading) {
        lease->leading = false;
        lease->stats.lost++;
        if (lease->args.sign_of_life) {
            VLOG_INFO("%s: not renewed in time: %s", lease->path, why);
        } else {
            VLOG_WARN("%s: no longer leading: %s", lease->path, why);
        }
    }
}

/* Takes note of the Lease as it is now, 'object'.  Returns false if that is no Lease. */
static bool
observe(struct kube_lease *lease, struct json_object *object, long long int now)
{
    struct kube_meta meta;

    if (!kube_meta_read(object, &meta)) {
        set_problem(lease, "the server answered with what is no Lease");
        return false;
    }
    json_object_get(object);
    json_release(lease->object);
    lease->object = object;
    lease->stale = false;

    const char *text = json_object_to_json_string_ext(get_spec(lease), JSON_C_TO_STRING_PLAIN);
    if (!lease->spec || strcmp(lease->spec, text)) {
        free(lease->spec);
        lease->spec = xstrdup(text);
        lease->seen = now;
    }
    return true;
}

/* Returns true if whoever holds the Lease has not renewed it in time. */
static bool
is_expired(const struct kube_lease *lease, long long int now)
{
    int seconds = json_object_get_int(get_spec_member(lease, "leaseDurationSeconds"));
    long long int duration = seconds > 0 ? seconds * 1000LL : lease->args.duration_ms;

    return now >= lease->seen + duration;
}

/* Returns the text of now for a Lease, where it is for people only. */
static struct json_object *
wall_clock(void)
{
    struct timespec ts;
    struct tm tm;
    char date[32];
    char text[64];

    clock_gettime(CLOCK_REALTIME, &ts);
    gmtime_r(&ts.tv_sec, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof text, "%s.%06ldZ", date, ts.tv_nsec / 1000);
    return json_object_new_string(text);
}

/* Returns a copy of the Lease, or if there is none, a new one. */
static struct json_object *
copy_object(const struct kube_lease *lease)
{
    struct json_object *copy = NULL;

    if (lease->object) {
        json_object_deep_copy(lease->object, &copy, NULL);
    } else {
        struct json_object *metadata = json_object_new_object();

        json_object_object_add(metadata, "namespace", json_object_new_string(lease->namespace));
        json_object_object_add(metadata, "name", json_object_new_string(lease->name));
        copy = json_object_new_object();
        json_object_object_add(copy, "apiVersion",
                               json_object_new_string("coordination.k8s.io/v1"));
        json_object_object_add(copy, "kind", json_object_new_string("Lease"));
        json_object_object_add(copy, "metadata", metadata);
    }
    if (!get_spec(lease)) {
        json_object_object_add(copy, "spec", json_object_new_object());
    }
    return copy;
}

static void
start_request(struct kube_lease *lease, const char *method, struct json_object *body,
              kube_done_cb *done, long long int now)
{
    const char *text = body ? json_object_to_json_string_ext(body, JSON_C_TO_STRING_PLAIN) : NULL;
    struct kube_request_args args = {
        .method = method,
        .path = lease->object || !body ? lease->path : lease->collection,
        .body = text,
        .body_len = text ? strlen(text) : 0,
        .max_body = MAX_LEASE_SIZE,
        /* So that there is time for another try. */
        .timeout_ms = lease->args.renew_deadline_ms / 2,
        .done = done,
        .aux = lease,
    };

    lease->request = kube_request_start(lease->http, &args);
    lease->sent = now;
    json_release(body);
}

/* Puts our annotations into 'object'. */
static void
put_annotations(struct kube_lease *lease, struct json_object *object)
{
    struct json_object *metadata, *annotations;
    const struct smap_node *node;

    lease->outdated = false;
    if (smap_is_empty(&lease->annotations)) {
        return;
    }
    json_object_object_get_ex(object, "metadata", &metadata);
    if (!json_object_object_get_ex(metadata, "annotations", &annotations)
        || !json_object_is_type(annotations, json_type_object)) {
        annotations = json_object_new_object();
        json_object_object_add(metadata, "annotations", annotations);
    }
    SMAP_FOR_EACH (node, &lease->annotations) {
        json_object_object_add(annotations, node->key, json_object_new_string(node->value));
    }
}

/* Starts to write us into the Lease as its holder, if it still is the version that we know. */
static void
start_write(struct kube_lease *lease, long long int now)
{
    struct json_object *object = copy_object(lease);
    const char *holder = kube_lease_get_holder(lease);
    struct json_object *spec;

    json_object_object_get_ex(object, "spec", &spec);
    if (!holder || strcmp(holder, lease->identity)) {
        int transitions = json_object_get_int(get_spec_member(lease, "leaseTransitions"));

        json_object_object_add(spec, "holderIdentity", json_object_new_string(lease->identity));
        json_object_object_add(spec, "acquireTime", wall_clock());
        json_object_object_add(spec, "leaseTransitions",
                               json_object_new_int(transitions + (lease->object != NULL)));
    }
    json_object_object_add(spec, "leaseDurationSeconds",
                           json_object_new_int(DIV_ROUND_UP(lease->args.duration_ms, 1000)));
    json_object_object_add(spec, "renewTime", wall_clock());
    put_annotations(lease, object);
    start_request(lease, lease->object ? "PUT" : "POST", object, write_done, now);
}

/* Starts to write nobody into the Lease as its holder. */
static void
start_release(struct kube_lease *lease, long long int now)
{
    struct json_object *object = copy_object(lease);
    struct json_object *spec;

    json_object_object_get_ex(object, "spec", &spec);
    json_object_object_del(spec, "holderIdentity");
    json_object_object_add(spec, "leaseDurationSeconds", json_object_new_int(1));
    json_object_object_add(spec, "renewTime", wall_clock());
    start_request(lease, "PUT", object, release_done, now);
}

static void
forget(struct kube_lease *lease)
{
    json_release(lease->object);
    lease->object = NULL;
}

/* Arranges for another look at the Lease, at which not all should come at once. */
static void
retry_later(struct kube_lease *lease, long long int now)
{
    lease->due = now + lease->args.retry_ms - random_range(lease->args.retry_ms / 5 + 1);
}

/* What kube_http_run() calls when the Lease was read. */
static void
read_done(const struct kube_response *response, long long int now, void *lease_)
{
    struct kube_lease *lease = lease_;

    lease->request = NULL;
    retry_later(lease, now);
    if (response->status == 404) {
        forget(lease);
        lease->ours = false;
        set_problem(lease, NULL);
        if (!lease->releasing) {
            start_write(lease, now);
        }
        return;
    } else if (response->error) {
        set_problem(lease, response->error);
        return;
    } else if (!observe(lease, response->json, now)) {
        return;
    }

    set_problem(lease, NULL);
    const char *holder = kube_lease_get_holder(lease);
    bool is_us = holder && !strcmp(holder, lease->identity);
    if (!is_us) {
        lease->ours = false;
        stop_leading(lease, holder ? holder : "it was released");
    }
    if (lease->releasing) {
        lease->due = now;
    } else if (!holder || is_us || lease->args.sign_of_life || is_expired(lease, now)) {
        start_write(lease, now);
    }
}

/* What kube_http_run() calls when the server answered to our making the Lease ours. */
static void
write_done(const struct kube_response *response, long long int now, void *lease_)
{
    struct kube_lease *lease = lease_;

    lease->request = NULL;
    retry_later(lease, now);
    if (response->status == 409) {
        /* Somebody was faster, or an earlier write of ours succeeded after all. */
        lease->stale = true;
        lease->due = now;
        return;
    } else if (response->error) {
        set_problem(lease, response->error);
        if (response->status == 404) {
            forget(lease);
        }
        return;
    } else if (!observe(lease, response->json, now)) {
        lease->stale = true;
        return;
    }

    set_problem(lease, NULL);
    lease->ours = true;
    lease->renewed = lease->sent;
    lease->due = lease->releasing || lease->outdated ? now : lease->sent + lease->args.retry_ms;
    if (lease->releasing || now >= lease->renewed + lease->args.renew_deadline_ms) {
        return;
    } else if (!lease->leading) {
        lease->leading = true;
        lease->stats.acquired++;
        VLOG_INFO("%s: %s as %s", lease->path, lease->args.sign_of_life ? "known" : "leading",
                  lease->identity);
    } else {
        lease->stats.renewals++;
    }
}

/* What kube_http_run() calls when the server answered to our giving the Lease up. */
static void
release_done(const struct kube_response *response, long long int now, void *lease_)
{
    struct kube_lease *lease = lease_;

    lease->request = NULL;
    retry_later(lease, now);
    if (response->status == 409) {
        lease->stale = true;
        lease->due = now;
    } else if (response->status >= 200 && response->status < 500) {
        /* Done, or it will not get better. */
        lease->released = true;
        set_problem(lease, response->error);
    } else {
        set_problem(lease, response->error);
    }
}

/* Takes part in the election of a leader.  'http' must outlive the lease. */
struct kube_lease *
kube_lease_create(struct kube_http *http, const struct kube_lease_args *args)
{
    struct kube_lease *lease = xzalloc(sizeof *lease);

    lease->http = http;
    lease->args = *args;
    lease->args.duration_ms = args->duration_ms ? args->duration_ms : KUBE_LEASE_DURATION_MS;
    lease->args.renew_deadline_ms = (args->renew_deadline_ms ? args->renew_deadline_ms
                                     : KUBE_LEASE_RENEW_DEADLINE_MS);
    lease->args.retry_ms = args->retry_ms ? args->retry_ms : KUBE_LEASE_RETRY_MS;
    ovs_assert(lease->args.retry_ms < lease->args.renew_deadline_ms);
    ovs_assert(lease->args.renew_deadline_ms < lease->args.duration_ms);
    lease->namespace = xstrdup(args->namespace);
    lease->name = xstrdup(args->name);
    lease->identity = xstrdup(args->identity);
    smap_init(&lease->annotations);
    lease->path = kube_path("coordination.k8s.io", "v1", "leases", args->namespace, args->name,
                            NULL);
    lease->collection = kube_path("coordination.k8s.io", "v1", "leases", args->namespace, NULL,
                                  NULL);
    return lease;
}

/* Stops taking part, without releasing the Lease. */
void
kube_lease_destroy(struct kube_lease *lease)
{
    if (lease) {
        kube_request_cancel(lease->request);
        json_release(lease->object);
        smap_destroy(&lease->annotations);
        free(lease->spec);
        free(lease->problem);
        free(lease->path);
        free(lease->collection);
        free(lease->namespace);
        free(lease->name);
        free(lease->identity);
        free(lease);
    }
}

void
kube_lease_run(struct kube_lease *lease, long long int now)
{
    if (lease->leading && !kube_lease_is_held(lease, now)) {
        stop_leading(lease, "it could not be renewed in time");
    }
    if (lease->request || lease->released || now < lease->due) {
        return;
    }

    if (!lease->releasing) {
        /* Only who leads knows without reading what the Lease is like. */
        if (lease->leading && lease->object && !lease->stale) {
            start_write(lease, now);
        } else {
            start_request(lease, "GET", NULL, read_done, now);
        }
    } else if (!lease->ours || now >= lease->renewed + lease->args.duration_ms) {
        lease->released = true;
    } else if (lease->object && !lease->stale) {
        start_release(lease, now);
    } else {
        start_request(lease, "GET", NULL, read_done, now);
    }
}

void
kube_lease_wait(struct kube_lease *lease)
{
    if (lease->leading) {
        poll_timer_wait_until(lease->renewed + lease->args.renew_deadline_ms);
    }
    if (lease->released) {
        poll_immediate_wake();
    } else if (!lease->request) {
        poll_timer_wait_until(lease->due);
    }
}

/* Makes 'annotations' those of the Lease, at once if they are different, next to whatever others
 * there are. */
void
kube_lease_set_annotations(struct kube_lease *lease, const struct smap *annotations)
{
    if (!smap_equal(&lease->annotations, annotations)) {
        smap_destroy(&lease->annotations);
        smap_clone(&lease->annotations, annotations);
        lease->outdated = true;
        lease->due = 0;
    }
}

/* Returns true if we lead, and nobody else can.  To be asked right before each act that is the
 * leader's alone. */
bool
kube_lease_is_held(const struct kube_lease *lease, long long int now)
{
    return lease->leading && now < lease->renewed + lease->args.renew_deadline_ms;
}

/* Returns what is wrong at present, or NULL if all is well. */
const char *
kube_lease_get_problem(const struct kube_lease *lease)
{
    return lease->problem;
}

const struct kube_lease_stats *
kube_lease_get_stats(const struct kube_lease *lease)
{
    return &lease->stats;
}

/* Stops leading at once, and has kube_lease_run() tell the others, so that they need not wait.
 * After that, 'lease' is good for nothing but to be destroyed. */
void
kube_lease_release(struct kube_lease *lease)
{
    if (!lease->releasing) {
        lease->releasing = true;
        lease->leading = false;
        lease->due = 0;
    }
}

/* Returns true once kube_lease_release() is done: the others were told, or there was nothing to
 * tell them, or they will notice on their own by now. */
bool
kube_lease_is_released(const struct kube_lease *lease)
{
    return lease->released;
}
