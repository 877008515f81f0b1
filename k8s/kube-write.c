#include <config.h>
#include "k8s/kube-write.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "k8s/json-c.h"
#include "k8s/kube-backoff.h"
#include "k8s/kube-http.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_kube_write);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 10);

/* A response to a write is the object, of which nobody wants more than a little. */
#define MAX_WRITE_RESPONSE (4u * 1024 * 1024)

/* What is to be sent. */
struct write_job {
    const char *method;
    const char *content_type;
    char *path;
    char *body;                 /* NULL for none. */
    kube_write_done_cb *done;
    void *aux;
};

/* What is known of one key, as long as there is something to do for it. */
struct write_slot {
    struct hmap_node hmap_node; /* In struct kube_writer's 'slots', by 'key'. */
    struct ovs_list list_node;  /* In 'ready' or 'delayed', unless in flight or held back. */
    struct kube_writer *writer;
    char *key;
    struct write_job *sent;     /* In flight, or NULL. */
    struct kube_request *request;   /* The same. */
    struct write_job *waiting;  /* NULL if none. */
    int n_failures;             /* In a row. */
    long long int due;          /* In 'delayed': when to try again. */
};

struct kube_writer {
    struct kube_http *http;
    struct kube_writer_args args;
    struct hmap slots;          /* struct write_slot. */
    struct ovs_list ready;      /* struct write_slot, to be sent in this order. */
    struct ovs_list delayed;    /* struct write_slot, to be tried again, in no order. */
    size_t n_waiting;
    size_t n_in_flight;
    int n_failures;             /* Pauses in a row. */
    long long int due;          /* Until then is a pause: nothing is sent at all. */
    bool closed;                /* 'may_write' said no. */
    long long int now;          /* As of the last callback or run. */
    char *problem;              /* Of the last response, or NULL. */
    struct kube_writer_stats stats;
};

static void
write_job_destroy(struct write_job *job)
{
    if (job) {
        free(job->path);
        free(job->body);
        free(job);
    }
}

/* Drops 'job', if nonnull. */
static void
drop_job(struct kube_writer *writer, struct write_job *job)
{
    if (job) {
        if (job->done) {
            job->done(NULL, writer->now, job->aux);
        }
        write_job_destroy(job);
    }
}

/* Drops 'job', if nonnull, because of a newer one. */
static void
replace_job(struct kube_writer *writer, struct write_job *job)
{
    writer->stats.replaced += job != NULL;
    drop_job(writer, job);
}

static void
write_slot_destroy(struct write_slot *slot)
{
    kube_request_cancel(slot->request);
    drop_job(slot->writer, slot->sent);
    drop_job(slot->writer, slot->waiting);
    hmap_remove(&slot->writer->slots, &slot->hmap_node);
    ovs_list_remove(&slot->list_node);
    free(slot->key);
    free(slot);
}

/* Returns a queue for 'http', which must outlive it. */
struct kube_writer *
kube_writer_create(struct kube_http *http, const struct kube_writer_args *args)
{
    struct kube_writer *writer = xzalloc(sizeof *writer);

    writer->http = http;
    writer->args = *args;
    writer->args.max_in_flight = (args->max_in_flight ? args->max_in_flight
                                  : KUBE_WRITER_MAX_IN_FLIGHT);
    writer->args.min_delay_ms = args->min_delay_ms ? args->min_delay_ms : KUBE_WRITER_MIN_DELAY_MS;
    writer->args.max_delay_ms = args->max_delay_ms ? args->max_delay_ms : KUBE_WRITER_MAX_DELAY_MS;
    hmap_init(&writer->slots);
    ovs_list_init(&writer->ready);
    ovs_list_init(&writer->delayed);
    return writer;
}

/* Drops all writes.  Those in flight may succeed or not. */
void
kube_writer_clear(struct kube_writer *writer)
{
    struct write_slot *slot;

    HMAP_FOR_EACH_SAFE (slot, hmap_node, &writer->slots) {
        write_slot_destroy(slot);
    }
    writer->n_waiting = 0;
    writer->n_in_flight = 0;
}

void
kube_writer_destroy(struct kube_writer *writer)
{
    if (writer) {
        kube_writer_clear(writer);
        hmap_destroy(&writer->slots);
        free(writer->problem);
        free(writer);
    }
}

static struct write_job *
write_job_create(const struct kube_write *write)
{
    static const struct {
        const char *method;
        const char *content_type;
    } ops[] = {
        [KUBE_CREATE] = { "POST", "application/json" },
        [KUBE_REPLACE] = { "PUT", "application/json" },
        [KUBE_MERGE_PATCH] = { "PATCH", "application/merge-patch+json" },
        /* Its name says YAML, of which JSON is a part. */
        [KUBE_APPLY] = { "PATCH", "application/apply-patch+yaml" },
        [KUBE_DELETE] = { "DELETE", "application/json" },
    };
    struct write_job *job = xzalloc(sizeof *job);
    struct ds path = DS_EMPTY_INITIALIZER;

    ds_put_cstr(&path, write->path);
    if (write->field_manager) {
        kube_path_add_query(&path, "fieldManager", write->field_manager);
    }
    if (write->op == KUBE_APPLY && write->force) {
        kube_path_add_query(&path, "force", "true");
    }
    job->method = ops[write->op].method;
    job->content_type = ops[write->op].content_type;
    job->path = ds_steal_cstr(&path);
    if (write->body) {
        job->body = xstrdup(json_object_to_json_string_ext(
            write->body, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    }
    job->done = write->done;
    job->aux = write->aux;
    return job;
}

static struct write_slot *
find_slot(const struct kube_writer *writer, const char *key)
{
    struct write_slot *slot;

    HMAP_FOR_EACH_WITH_HASH (slot, hmap_node, hash_string(key, 0), &writer->slots) {
        if (!strcmp(slot->key, key)) {
            return slot;
        }
    }
    return NULL;
}

/* Adds 'write' to the queue.  If another one waits with the same key, that is dropped, and 'write'
 * has its place. */
void
kube_writer_submit(struct kube_writer *writer, const struct kube_write *write)
{
    const char *key = write->key ? write->key : write->path;
    struct write_slot *slot = find_slot(writer, key);
    struct write_job *job = write_job_create(write);

    writer->stats.submitted++;
    if (!slot) {
        slot = xzalloc(sizeof *slot);
        slot->writer = writer;
        slot->key = xstrdup(key);
        hmap_insert(&writer->slots, &slot->hmap_node, hash_string(key, 0));
        ovs_list_push_back(&writer->ready, &slot->list_node);
    }

    struct write_job *old = slot->waiting;
    slot->waiting = job;
    writer->n_waiting += !old;
    replace_job(writer, old);
}

/* Returns true if what 'response' tells may pass by itself. */
static bool
may_pass(const struct kube_response *response)
{
    int status = response->status;

    return (!response->too_large
            && (!status || status == 401 || status == 408 || status == 429 || status >= 500));
}

/* Sends nothing for a while, because of a failure that is not about one write alone. */
static void
pause_all(struct kube_writer *writer, int retry_after_s, long long int now)
{
    /* All that were in flight may fail together, which counts once. */
    if (now >= writer->due) {
        writer->n_failures++;
        writer->due = now + kube_backoff_ms(writer->n_failures, writer->args.min_delay_ms,
                                            writer->args.max_delay_ms, retry_after_s);
    }
}

/* Arranges for the write that 'slot' has sent to be tried again, unless there is a newer one. */
static void
retry(struct write_slot *slot, const struct kube_response *response, long long int now)
{
    struct kube_writer *writer = slot->writer;
    struct write_job *job = slot->sent;

    slot->sent = NULL;
    slot->n_failures++;
    slot->due = now + kube_backoff_ms(slot->n_failures, writer->args.min_delay_ms,
                                      writer->args.max_delay_ms, response->retry_after_s);
    if (response->status != 500) {
        pause_all(writer, response->retry_after_s, now);
    }
    VLOG_INFO_RL(&rl, "%s: %s; trying again", slot->key, response->error);

    writer->stats.retries++;
    ovs_list_push_back(&writer->delayed, &slot->list_node);
    if (slot->waiting) {
        replace_job(writer, job);
    } else {
        slot->waiting = job;
        writer->n_waiting++;
    }
}

/* Ends the write that 'slot' has sent, for good. */
static void
finish(struct write_slot *slot, const struct kube_response *response, long long int now)
{
    struct kube_writer *writer = slot->writer;
    struct write_job *job = slot->sent;

    slot->sent = NULL;
    slot->n_failures = 0;
    writer->n_failures = 0;
    if (response->error) {
        writer->stats.refused++;
        writer->stats.conflicts += response->status == 409;
    } else {
        writer->stats.succeeded++;
    }

    if (slot->waiting) {
        ovs_list_push_back(&writer->ready, &slot->list_node);
    } else {
        ovs_list_init(&slot->list_node);
        write_slot_destroy(slot);
    }
    /* Last, because it may submit another write, or clear all. */
    if (job->done) {
        job->done(response, now, job->aux);
    }
    write_job_destroy(job);
}

/* What kube_http_run() calls when there is a response to a write. */
static void
write_done(const struct kube_response *response, long long int now, void *slot_)
{
    struct write_slot *slot = slot_;
    struct kube_writer *writer = slot->writer;
    char *problem = nullable_xstrdup(response->error);

    slot->request = NULL;
    writer->now = now;
    writer->n_in_flight--;
    free(writer->problem);
    writer->problem = problem;
    if (may_pass(response)) {
        retry(slot, response, now);
    } else {
        finish(slot, response, now);
    }
}

/* Sends what waits in 'slot'. */
static void
send_job(struct write_slot *slot)
{
    struct kube_writer *writer = slot->writer;
    struct write_job *job = slot->waiting;
    struct kube_request_args args = {
        .method = job->method,
        .path = job->path,
        .content_type = job->content_type,
        .body = job->body,
        .body_len = job->body ? strlen(job->body) : 0,
        .max_body = MAX_WRITE_RESPONSE,
        .done = write_done,
        .aux = slot,
    };

    slot->waiting = NULL;
    slot->sent = job;
    ovs_list_remove(&slot->list_node);
    ovs_list_init(&slot->list_node);
    writer->n_waiting--;
    writer->n_in_flight++;
    writer->stats.sent++;
    slot->request = kube_request_start(writer->http, &args);
}

/* Sends what may be sent. */
void
kube_writer_run(struct kube_writer *writer, long long int now)
{
    struct write_slot *slot;

    writer->now = now;
    LIST_FOR_EACH_SAFE (slot, list_node, &writer->delayed) {
        if (now >= slot->due) {
            ovs_list_remove(&slot->list_node);
            ovs_list_push_back(&writer->ready, &slot->list_node);
        }
    }

    writer->closed = writer->args.may_write && !writer->args.may_write(now, writer->args.aux);
    if (writer->closed || now < writer->due) {
        return;
    }
    LIST_FOR_EACH_SAFE (slot, list_node, &writer->ready) {
        if (writer->n_in_flight >= writer->args.max_in_flight) {
            break;
        }
        send_job(slot);
    }
}

/* Whoever may change what 'may_write' says has to wake up the main loop then, and run before. */
void
kube_writer_wait(struct kube_writer *writer)
{
    struct write_slot *slot;

    if (writer->closed || writer->n_in_flight >= writer->args.max_in_flight) {
        return;
    }
    if (!ovs_list_is_empty(&writer->ready)) {
        poll_timer_wait_until(writer->due);
    }
    LIST_FOR_EACH (slot, list_node, &writer->delayed) {
        poll_timer_wait_until(MAX(slot->due, writer->due));
    }
}

/* Returns the number of writes that wait to be sent. */
size_t
kube_writer_n_waiting(const struct kube_writer *writer)
{
    return writer->n_waiting;
}

size_t
kube_writer_n_in_flight(const struct kube_writer *writer)
{
    return writer->n_in_flight;
}

/* Returns what was wrong with the last response, or NULL if nothing was.  Valid until the next
 * kube_http_run(). */
const char *
kube_writer_get_problem(const struct kube_writer *writer)
{
    return writer->problem;
}

const struct kube_writer_stats *
kube_writer_get_stats(const struct kube_writer *writer)
{
    return &writer->stats;
}
