#include <config.h>
#include "k8s/kube-reflector.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "k8s/json-c.h"
#include "k8s/kube-backoff.h"
#include "k8s/kube-http.h"
#include "k8s/kube-watch.h"
#include "openvswitch/hmap.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "random.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_kube_reflector);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(10, 10);

enum reflector_state {
    R_LIST_DUE,                 /* To list, or to go on with the list's next page, at 'due'. */
    R_LISTING,                  /* 'request' gets a page. */
    R_PROBING,                  /* 'request' asks whether the server is ready. */
    R_WATCH_DUE,                /* To watch from 'version' at 'due'. */
    R_WATCHING,                 /* 'request' is the watch. */
};

/* How a watch has to end because of what came. */
enum watch_verdict {
    V_FINE,
    V_GONE,                     /* List again. */
    V_BROKEN,                   /* List again, not at once. */
};

/* An object that the consumer has. */
struct known {
    struct hmap_node hmap_node; /* In struct kube_reflector's 'known', by namespace and name. */
    char *namespace;            /* NULL if it has none. */
    char *name;
    char *version;
    unsigned int list;          /* The last list that it was in. */
};

struct kube_reflector {
    struct kube_http *http;
    struct kube_reflector_args args;
    char *path, *field_selector, *label_selector;   /* What 'args' points to. */

    enum reflector_state state;
    struct kube_request *request;
    long long int due;
    int n_failures;             /* In a row. */
    bool synced;
    bool fresh;                 /* There was a list since kube_reflector_refresh(). */
    bool absent;                /* The server does not know the resource. */
    bool ready;                 /* The server said that it is, right before this list. */
    char *problem;              /* Of the last attempt, or NULL. */

    /* List. */
    struct hmap known;          /* struct known. */
    unsigned int list;          /* Counts lists. */
    int page;                   /* Objects to ask for at a time. */
    char *next_page;            /* The continue token, or NULL before the first page. */

    /* Watch. */
    char *version;              /* Up to which everything is known. */
    struct kube_watch_reader reader;
    enum watch_verdict verdict;
    int verdict_retry_after_s;
    bool answered;              /* The server accepted the watch. */
    bool heard;                 /* Something came since kube_reflector_run(). */
    long long int since;        /* When the watch began, or else the server accepted it. */
    long long int deadline;     /* When the watchdog gives it up. */
    int watch_s;                /* What the server was asked for. */

    struct kube_reflector_stats stats;
};

static kube_event_cb handle_event;

static uint32_t
hash_key(const char *namespace, const char *name)
{
    return hash_string(name, namespace ? hash_string(namespace, 0) : 0);
}

static struct known *
find_known(const struct kube_reflector *r, const char *namespace, const char *name)
{
    struct known *known;

    HMAP_FOR_EACH_WITH_HASH (known, hmap_node, hash_key(namespace, name), &r->known) {
        if (!strcmp(known->name, name) && nullable_string_is_equal(known->namespace, namespace)) {
            return known;
        }
    }
    return NULL;
}

static void
known_destroy(struct kube_reflector *r, struct known *known)
{
    hmap_remove(&r->known, &known->hmap_node);
    free(known->namespace);
    free(known->name);
    free(known->version);
    free(known);
}

/* Tells the consumer that 'known' is no more, and forgets it. */
static void
remove_known(struct kube_reflector *r, struct known *known)
{
    r->args.remove(known->namespace, known->name, r->args.aux);
    known_destroy(r, known);
}

/* Hands 'object' to the consumer, unless it has this version of it already. */
static void
upsert(struct kube_reflector *r, struct json_object *object, const struct kube_meta *meta)
{
    struct known *known = find_known(r, meta->namespace, meta->name);

    if (!known) {
        known = xzalloc(sizeof *known);
        known->namespace = nullable_xstrdup(meta->namespace);
        known->name = xstrdup(meta->name);
        hmap_insert(&r->known, &known->hmap_node, hash_key(meta->namespace, meta->name));
    } else if (!strcmp(known->version, meta->version)) {
        known->list = r->list;
        return;
    }
    known->list = r->list;
    free(known->version);
    known->version = xstrdup(meta->version);
    r->args.upsert(object, r->args.aux);
}

static void
set_string(char **s, const char *value)
{
    char *copy = nullable_xstrdup(value);

    free(*s);
    *s = copy;
}

/* Goes to 'state', which is due 'delay' ms after 'now'. */
static void
schedule(struct kube_reflector *r, enum reflector_state state, long long int now, int delay)
{
    r->state = state;
    r->due = now + delay;
}

static int
count_failure(struct kube_reflector *r, int retry_after_s, const char *problem)
{
    r->n_failures++;
    r->stats.errors++;
    set_string(&r->problem, problem);

    int delay = kube_backoff_ms(r->n_failures, r->args.min_delay_ms, r->args.max_delay_ms,
                                retry_after_s);
    VLOG_INFO_RL(&rl, "%s: %s; trying again in %d ms", r->path, problem, delay);
    return delay;
}

/* Has everything listed anew. */
static void
list_again(struct kube_reflector *r, long long int now, int delay)
{
    set_string(&r->next_page, NULL);
    schedule(r, R_LIST_DUE, now, delay);
}

/* Has everything listed anew because the server does not have what we asked for.  Without failures
 * before, that is at once. */
static void
handle_gone(struct kube_reflector *r, long long int now, const char *error)
{
    bool at_once = !r->n_failures;

    int delay = count_failure(r, -1, error);
    list_again(r, now, at_once ? 0 : delay);
}

/* Removes what the list that is complete now did not have. */
static void
end_list(struct kube_reflector *r)
{
    struct known *known;

    HMAP_FOR_EACH_SAFE (known, hmap_node, &r->known) {
        if (known->list != r->list) {
            remove_known(r, known);
        }
    }
    r->synced = true;
    r->fresh = true;
    r->stats.lists++;
    set_string(&r->next_page, NULL);
    if (r->args.list_end) {
        r->args.list_end(r->args.aux);
    }
}

static void
begin_list(struct kube_reflector *r)
{
    r->list++;
    if (r->args.list_begin) {
        r->args.list_begin(r->args.aux);
    }
}

/* Adds the fields that objects have, except those in a list of a built-in kind. */
static void
complete_item(struct json_object *item, const char *api_version, const char *list_kind)
{
    size_t n = list_kind ? strlen(list_kind) : 0;

    if (api_version && !json_object_object_get_ex(item, "apiVersion", NULL)) {
        json_object_object_add(item, "apiVersion", json_object_new_string(api_version));
    }
    if (n > 4 && !strcmp(list_kind + n - 4, "List")
        && !json_object_object_get_ex(item, "kind", NULL)) {
        json_object_object_add(item, "kind", json_object_new_string_len(list_kind, n - 4));
    }
}

static const char *
get_string(struct json_object *json, const char *name)
{
    struct json_object *member;

    return (json_object_is_type(json, json_type_object)
            && json_object_object_get_ex(json, name, &member)
            && json_object_is_type(member, json_type_string)
            && json_object_get_string_len(member)
            ? json_object_get_string(member) : NULL);
}

/* Takes the objects of 'page', a Kubernetes list. */
static void
take_items(struct kube_reflector *r, struct json_object *page)
{
    const char *api_version = get_string(page, "apiVersion");
    const char *kind = get_string(page, "kind");
    struct json_object *items;

    if (!json_object_object_get_ex(page, "items", &items)
        || !json_object_is_type(items, json_type_array)) {
        return;
    }
    for (size_t i = 0; i < json_object_array_length(items); i++) {
        struct json_object *item = json_object_array_get_idx(items, i);
        struct kube_meta meta;

        if (kube_meta_read(item, &meta)) {
            complete_item(item, api_version, kind);
            upsert(r, item, &meta);
        } else {
            r->stats.junk++;
            VLOG_WARN_RL(&rl, "%s: an object in the list lacks its name or resourceVersion",
                         r->path);
        }
    }
}

/* Takes one page of the list, which the server answered with. */
static void
take_page(struct kube_reflector *r, struct json_object *page, long long int now)
{
    struct json_object *metadata = NULL;

    if (json_object_is_type(page, json_type_object)) {
        json_object_object_get_ex(page, "metadata", &metadata);
    }

    const char *version = get_string(metadata, "resourceVersion");
    const char *next = get_string(metadata, "continue");
    if (!version) {
        r->stats.junk++;
        list_again(r, now, count_failure(r, -1, "the server answered with what is no list"));
        return;
    }

    if (!r->next_page) {
        begin_list(r);
    }
    take_items(r, page);
    if (next) {
        set_string(&r->next_page, next);
        schedule(r, R_LIST_DUE, now, 0);
    } else {
        set_string(&r->version, version);
        r->absent = false;
        set_string(&r->problem, NULL);
        end_list(r);
        schedule(r, R_WATCH_DUE, now, 0);
    }
}

/* Takes note that the server does not know the resource. */
static void
take_absence(struct kube_reflector *r, long long int now)
{
    if (!r->absent) {
        VLOG_INFO("%s: the server has no such resource, so there are no objects", r->path);
    }
    r->absent = true;
    r->n_failures = 0;
    set_string(&r->problem, NULL);
    begin_list(r);
    end_list(r);
    list_again(r, now, r->args.absent_ms);
}

/* What kube_http_run() calls when the server said whether it is ready, after it said that it does
 * not know the resource.  It may have become so in between. */
static void
probe_done(const struct kube_response *response, long long int now, void *r_)
{
    struct kube_reflector *r = r_;

    r->request = NULL;
    if (!response->status || response->status == 429 || response->status >= 500) {
        list_again(r, now, count_failure(r, response->retry_after_s,
                                         "the server is not ready yet"));
    } else {
        r->ready = true;
        list_again(r, now, 0);
    }
}

/* Asks whether the server is ready, since it says that there is no such resource.  That says little
 * while it starts, because it learns of resources that are defined by CRDs only then. */
static void
start_probe(struct kube_reflector *r)
{
    struct kube_request_args args = {
        .method = "GET",
        .path = "/readyz",
        .done = probe_done,
        .aux = r,
    };

    r->state = R_PROBING;
    r->request = kube_request_start(r->http, &args);
}

/* What kube_http_run() calls when there is a page of the list. */
static void
list_done(const struct kube_response *response, long long int now, void *r_)
{
    struct kube_reflector *r = r_;
    bool ready = r->ready;

    r->request = NULL;
    r->ready = false;
    if (!response->error) {
        take_page(r, response->json, now);
    } else if (response->status == 404 && (ready || r->absent)) {
        take_absence(r, now);
    } else if (response->status == 404) {
        start_probe(r);
    } else if (response->status == 410) {
        r->stats.gone++;
        handle_gone(r, now, response->error);
    } else if (response->too_large && r->page > 1) {
        r->page = MAX(r->page / 4, 1);
        list_again(r, now, count_failure(r, -1, response->error));
    } else {
        /* The pages that are there already are still good, unless the server objects to us. */
        int delay = count_failure(r, response->retry_after_s, response->error);
        if (response->status == 400) {
            list_again(r, now, delay);
        } else {
            schedule(r, R_LIST_DUE, now, delay);
        }
    }
}

static void
add_selectors(const struct kube_reflector *r, struct ds *path)
{
    if (r->field_selector) {
        kube_path_add_query(path, "fieldSelector", r->field_selector);
    }
    if (r->label_selector) {
        kube_path_add_query(path, "labelSelector", r->label_selector);
    }
}

static void
add_integer(struct ds *path, const char *name, int value)
{
    char s[16];

    snprintf(s, sizeof s, "%d", value);
    kube_path_add_query(path, name, s);
}

static void
start_list(struct kube_reflector *r)
{
    struct ds path = DS_EMPTY_INITIALIZER;

    ds_put_cstr(&path, r->path);
    add_selectors(r, &path);
    add_integer(&path, "limit", r->page);
    if (r->next_page) {
        kube_path_add_query(&path, "continue", r->next_page);
    }

    struct kube_request_args args = {
        .method = "GET",
        .path = ds_cstr(&path),
        .done = list_done,
        .aux = r,
    };
    r->state = R_LISTING;
    r->request = kube_request_start(r->http, &args);
    ds_destroy(&path);
}

/* Takes what 'event' says.  Returns false if the watch has to end. */
static bool
handle_event(const struct kube_event *event, void *r_)
{
    struct kube_reflector *r = r_;
    struct known *known;

    switch (event->type) {
    case KUBE_EVENT_UPSERT:
        r->stats.events++;
        upsert(r, event->object, &event->meta);
        break;

    case KUBE_EVENT_DELETE:
        r->stats.events++;
        known = find_known(r, event->meta.namespace, event->meta.name);
        if (known) {
            remove_known(r, known);
        }
        break;

    case KUBE_EVENT_BOOKMARK:
        r->stats.bookmarks++;
        break;

    case KUBE_EVENT_ERROR:
        r->verdict = event->code == 410 ? V_GONE : V_BROKEN;
        break;

    case KUBE_EVENT_JUNK:
        r->stats.junk++;
        r->verdict = V_BROKEN;
        break;

    case KUBE_EVENT_TOO_LARGE:
        r->stats.too_large++;
        r->verdict = V_BROKEN;
        break;
    }
    if (r->verdict != V_FINE) {
        r->verdict_retry_after_s = event->retry_after_s;
        set_string(&r->problem, event->error);
        return false;
    }
    set_string(&r->version, event->meta.version);
    return true;
}

static bool
watch_data(const char *data, size_t n, long long int now OVS_UNUSED, void *r_)
{
    struct kube_reflector *r = r_;

    r->heard = true;
    return kube_watch_reader_feed(&r->reader, data, n);
}

/* Deals with a watch that the server did not accept. */
static void
handle_refusal(struct kube_reflector *r, const struct kube_response *response, long long int now)
{
    int status = response->status;
    bool may_pass = status == 401 || status == 403 || status == 408 || status == 429
                    || status >= 500;
    int delay = count_failure(r, response->retry_after_s, response->error);

    if (may_pass && r->n_failures < KUBE_REFLECTOR_MAX_RESUMES) {
        schedule(r, R_WATCH_DUE, now, delay);
    } else {
        list_again(r, now, delay);
    }
}

/* What kube_http_run() calls when the watch ended. */
static void
watch_done(const struct kube_response *response, long long int now, void *r_)
{
    struct kube_reflector *r = r_;
    int steady_ms = MIN(KUBE_REFLECTOR_STEADY_MS, r->watch_s * 500);
    bool steady = r->answered && now - r->since >= steady_ms;

    r->request = NULL;
    kube_watch_reader_clear(&r->reader);
    if (steady) {
        r->n_failures = 0;
    }

    if (r->verdict == V_GONE || response->status == 410) {
        char *error = xstrdup(r->verdict == V_GONE ? r->problem : response->error);
        r->stats.gone++;
        handle_gone(r, now, error);
        free(error);
    } else if (r->verdict == V_BROKEN) {
        char *error = xstrdup(r->problem);
        list_again(r, now, count_failure(r, r->verdict_retry_after_s, error));
        free(error);
    } else if (response->status == 404) {
        handle_gone(r, now, response->error);
    } else if (!response->status) {
        schedule(r, R_WATCH_DUE, now, count_failure(r, -1, response->error));
    } else if (response->error) {
        handle_refusal(r, response, now);
    } else if (steady) {
        schedule(r, R_WATCH_DUE, now, 0);
    } else {
        schedule(r, R_WATCH_DUE, now,
                 count_failure(r, -1, "the server ended the watch right away"));
    }
}

static void
start_watch(struct kube_reflector *r, long long int now)
{
    struct ds path = DS_EMPTY_INITIALIZER;

    /* Some chance, so that not all of them end at the same time. */
    r->watch_s = r->args.watch_s + random_range(r->args.watch_s / 4 + 1);

    ds_put_cstr(&path, r->path);
    add_selectors(r, &path);
    kube_path_add_query(&path, "watch", "true");
    kube_path_add_query(&path, "allowWatchBookmarks", "true");
    kube_path_add_query(&path, "resourceVersion", r->version);
    add_integer(&path, "timeoutSeconds", r->watch_s);

    struct kube_request_args args = {
        .method = "GET",
        .path = ds_cstr(&path),
        .timeout_ms = KUBE_NO_TIMEOUT,
        .data = watch_data,
        .done = watch_done,
        .aux = r,
    };
    r->state = R_WATCHING;
    r->verdict = V_FINE;
    r->answered = false;
    r->heard = false;
    r->since = now;
    r->deadline = now + r->args.slack_ms;
    r->stats.watches++;
    r->request = kube_request_start(r->http, &args);
    ds_destroy(&path);
}

static void
cancel_request(struct kube_reflector *r)
{
    kube_request_cancel(r->request);
    r->request = NULL;
    kube_watch_reader_clear(&r->reader);
}

/* Looks after the watch that is there. */
static void
run_watch(struct kube_reflector *r, long long int now)
{
    int status = kube_request_get_status(r->request);

    if (!r->answered && status >= 200 && status < 300) {
        r->answered = true;
        r->heard = true;
        r->since = now;
        set_string(&r->problem, NULL);
    }
    if (r->heard) {
        r->heard = false;
        r->deadline = now + r->watch_s * 1000LL + r->args.slack_ms;
    } else if (kube_request_is_outdated(r->request)) {
        /* Somebody else found that connection dead. */
        cancel_request(r);
        schedule(r, R_WATCH_DUE, now, 0);
    } else if (now >= r->deadline) {
        cancel_request(r);
        kube_http_renew(r->http);
        r->stats.silent++;
        schedule(r, R_WATCH_DUE, now, count_failure(r, -1, "the server went silent"));
    }
}

/* Starts to follow the resource that 'args' tells.  'http' must outlive the reflector. */
struct kube_reflector *
kube_reflector_create(struct kube_http *http, const struct kube_reflector_args *args)
{
    struct kube_reflector *r = xzalloc(sizeof *r);

    r->http = http;
    r->args = *args;
    r->path = xstrdup(args->path);
    r->field_selector = nullable_xstrdup(args->field_selector);
    r->label_selector = nullable_xstrdup(args->label_selector);
    r->args.watch_s = args->watch_s ? args->watch_s : KUBE_REFLECTOR_WATCH_S;
    r->args.slack_ms = args->slack_ms ? args->slack_ms : KUBE_REFLECTOR_SLACK_MS;
    r->args.min_delay_ms = args->min_delay_ms ? args->min_delay_ms : KUBE_REFLECTOR_MIN_DELAY_MS;
    r->args.max_delay_ms = args->max_delay_ms ? args->max_delay_ms : KUBE_REFLECTOR_MAX_DELAY_MS;
    r->args.absent_ms = args->absent_ms ? args->absent_ms : KUBE_REFLECTOR_ABSENT_MS;
    r->state = R_LIST_DUE;
    hmap_init(&r->known);
    r->page = KUBE_REFLECTOR_PAGE;
    kube_watch_reader_init(&r->reader,
                           args->max_object ? args->max_object : KUBE_REFLECTOR_MAX_OBJECT,
                           handle_event, r);
    return r;
}

/* Stops following, without calling 'remove' for what is known. */
void
kube_reflector_destroy(struct kube_reflector *r)
{
    struct known *known;

    if (!r) {
        return;
    }
    kube_request_cancel(r->request);
    HMAP_FOR_EACH_SAFE (known, hmap_node, &r->known) {
        known_destroy(r, known);
    }
    hmap_destroy(&r->known);
    kube_watch_reader_destroy(&r->reader);
    free(r->problem);
    free(r->next_page);
    free(r->version);
    free(r->path);
    free(r->field_selector);
    free(r->label_selector);
    free(r);
}

void
kube_reflector_run(struct kube_reflector *r, long long int now)
{
    if (r->state == R_WATCHING) {
        run_watch(r, now);
    } else if (r->state == R_LIST_DUE && now >= r->due) {
        start_list(r);
    } else if (r->state == R_WATCH_DUE && now >= r->due) {
        start_watch(r, now);
    }
}

void
kube_reflector_wait(struct kube_reflector *r)
{
    switch (r->state) {
    case R_LIST_DUE:
    case R_WATCH_DUE:
        poll_timer_wait_until(r->due);
        break;

    case R_WATCHING:
        poll_timer_wait_until(r->deadline);
        break;

    case R_LISTING:
    case R_PROBING:
        break;
    }
}

/* Has everything listed anew, at once, until which kube_reflector_is_fresh() returns false. */
void
kube_reflector_refresh(struct kube_reflector *r, long long int now)
{
    cancel_request(r);
    r->fresh = false;
    r->ready = false;
    list_again(r, now, 0);
}

/* Returns true if the consumer has all that the server had at the last kube_reflector_refresh(),
 * unless it changed since. */
bool
kube_reflector_is_fresh(const struct kube_reflector *r)
{
    return r->fresh;
}

/* Returns true once there was a complete list, whatever happened since. */
bool
kube_reflector_is_synced(const struct kube_reflector *r)
{
    return r->synced;
}

/* Returns true if the server does not know the resource, so that it counts as empty. */
bool
kube_reflector_is_absent(const struct kube_reflector *r)
{
    return r->absent;
}

/* Returns the number of objects that the consumer has. */
size_t
kube_reflector_count(const struct kube_reflector *r)
{
    return hmap_count(&r->known);
}

/* Returns what is wrong at present, or NULL if all is well.  Valid until the next kube_http_run()
 * or kube_reflector_run(). */
const char *
kube_reflector_get_problem(const struct kube_reflector *r)
{
    return r->problem;
}

const struct kube_reflector_stats *
kube_reflector_get_stats(const struct kube_reflector *r)
{
    return &r->stats;
}
