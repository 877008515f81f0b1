#include <config.h>

#include "k8s/kube-source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "k8s/json-reader.h"
#include "k8s/kube-config.h"
#include "k8s/kube-http.h"
#include "k8s/kube-reflector.h"
#include "k8s/kube-state.h"
#include "k8s/route-object.h"
#include "k8s/source-provider.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_kube_source);

/* One kind of object. */
struct feed {
    struct kube_source *source;
    const struct object_kind *kind;
    struct kube_reflector *reflector;
    size_t version;             /* Index of the kind's version that is followed. */
    unsigned int absent;        /* Bits of those that the server does not know. */
    long long int retry_at;     /* When to look again, while it knows none of them. */
    bool synced;                /* Once true, it stays so. */
    size_t n_unconfirmed;       /* Objects that are not from 'reflector'. */
    char *problem;              /* NULL if there is none. */
};

/* An object, claimed in the store as if it were a file of its own, so that a version of it that
 * makes no sense leaves the last good one in force. */
struct entry {
    struct store_file file;     /* Its path is like kubectl's "PLURAL.GROUP/[NAMESPACE/]NAME". */
    struct feed *feed;
    bool confirmed;             /* By the feed's reflector. */
};

struct kube_source {
    struct source up;
    enum source_view view;
    unsigned int types;             /* For SOURCE_VIEW_TYPES. */
    char *node;                     /* NULL unless SOURCE_VIEW_NODE. */
    struct kube_config *config;     /* NULL if 'http' is somebody else's. */
    struct kube_http *http;
    kube_observe_cb *observe;       /* May be NULL. */
    void *aux;

    struct feed *feeds;
    size_t n_feeds;
    struct shash entries;           /* struct entry, by path. */
    time_t unreachable_since;       /* 0 if some feed works. */

    /* The file. */
    char *state_path;               /* NULL for none. */
    long long int patience_ends;    /* When to load it; LLONG_MAX once that is settled. */
    bool from_file;                 /* Is some of what is known from it? */
    uint64_t saved_seqno;           /* The store's when it was saved. */
    bool save_pending;
    long long int save_at;          /* If 'save_pending'. */
    long long int save_delay;       /* Grows with what is to be saved; 0 the first time. */
};

static struct kube_source *
kube_source_cast(const struct source *source)
{
    return CONTAINER_OF(source, struct kube_source, up);
}

/* Entries. */

static char *
make_path(const struct object_kind *kind, const char *namespace, const char *name)
{
    return xasprintf("%s%s%s/%s%s%s", kind->plural, *kind->group ? "." : "", kind->group,
                     namespace ? namespace : "", namespace ? "/" : "", name);
}

static void
set_confirmed(struct entry *entry, bool confirmed)
{
    if (entry->confirmed != confirmed) {
        entry->confirmed = confirmed;
        entry->feed->n_unconfirmed += confirmed ? -1 : 1;
    }
}

/* Returns the entry of 'feed' for 'path', a new and yet unconfirmed one if there was none. */
static struct entry *
get_entry(struct kube_source *ks, struct feed *feed, const char *path)
{
    struct entry *entry = shash_find_data(&ks->entries, path);

    if (!entry) {
        entry = xzalloc(sizeof *entry);
        store_file_init(&entry->file, path);
        entry->feed = feed;
        feed->n_unconfirmed++;
        shash_add(&ks->entries, path, entry);
    }
    return entry;
}

static void
delete_entry(struct kube_source *ks, struct shash_node *node)
{
    struct entry *entry = node->data;

    set_confirmed(entry, true);
    store_file_destroy(&ks->up.store, &entry->file);
    free(entry);
    shash_delete(&ks->entries, node);
}

/* Takes away what only the file, or an earlier reflector, had. */
static void
delete_unconfirmed(struct feed *feed)
{
    struct kube_source *ks = feed->source;
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &ks->entries) {
        struct entry *entry = node->data;

        if (entry->feed == feed && !entry->confirmed) {
            delete_entry(ks, node);
        }
    }
}

/* What the reflectors say. */

static void
keep_object(struct manifest_object *mo, void *kept_)
{
    struct manifest_object *kept = kept_;

    *kept = *mo;
    *mo = (struct manifest_object) { .type = mo->type };
}

/* What the manager wrote and somebody spoiled is for it to write again, as if it were not there. */
static bool
is_spoiled_route(const struct kube_source *ks, const struct manifest_object *mo)
{
    return mo->error && mo->type == OBJECT_ROUTE && ks->view == SOURCE_VIEW_CLUSTER;
}

static void
feed_upsert(struct json_object *json, void *feed_)
{
    struct feed *feed = feed_;
    struct kube_source *ks = feed->source;
    struct json_reader reader = JSON_READER_INITIALIZER;
    struct json_cursor object = json_reader_start(&reader, json);
    struct json_cursor metadata = json_cursor_object(&object, "metadata");
    const char *namespace = json_cursor_string(&metadata, "namespace");
    const char *name = json_cursor_string(&metadata, "name");

    free(reader.error);
    if (!name) {
        return;
    }
    if (ks->observe) {
        ks->observe(feed->kind, namespace, name, json, ks->aux);
    }

    char *path = make_path(feed->kind, namespace, name);
    struct entry *entry = get_entry(ks, feed, path);
    struct manifest_object mo = { .type = feed->kind->type };
    manifest_decode_kind(json, feed->kind, path, keep_object, &mo);
    set_confirmed(entry, true);
    if (is_spoiled_route(ks, &mo)) {
        static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);

        VLOG_WARN_RL(&rl, "%s: %s", path, mo.error);
        manifest_object_destroy(&mo);
        store_file_replace(&ks->up.store, &entry->file, NULL, 0);
    } else {
        store_file_replace(&ks->up.store, &entry->file, &mo, 1);
    }
    free(path);
}

static void
feed_remove(const char *namespace, const char *name, void *feed_)
{
    struct feed *feed = feed_;
    struct kube_source *ks = feed->source;
    char *path = make_path(feed->kind, namespace, name);
    struct shash_node *node = shash_find(&ks->entries, path);

    if (node) {
        delete_entry(ks, node);
    }
    free(path);
    if (ks->observe) {
        ks->observe(feed->kind, namespace, name, NULL, ks->aux);
    }
}

/* Feeds. */

static void
feed_start(struct feed *feed)
{
    const struct kube_source *ks = feed->source;
    const struct object_kind *kind = feed->kind;
    char *path = kube_path(kind->group, kind->versions[feed->version], kind->plural, NULL, NULL,
                           NULL);
    char *selector = (kind->type == OBJECT_POD && ks->node
                      ? xasprintf("spec.nodeName=%s", ks->node) : NULL);
    struct kube_reflector_args args = {
        .path = path, .field_selector = selector,
        .upsert = feed_upsert, .remove = feed_remove, .aux = feed,
    };

    feed->reflector = kube_reflector_create(ks->http, &args);
    free(path);
    free(selector);
}

/* Follows the next of the kind's versions instead. */
static void
feed_change_version(struct feed *feed)
{
    struct shash_node *node;

    kube_reflector_destroy(feed->reflector);
    SHASH_FOR_EACH (node, &feed->source->entries) {
        struct entry *entry = node->data;

        if (entry->feed == feed) {
            set_confirmed(entry, false);
        }
    }
    feed->version = feed->kind->versions[feed->version + 1] ? feed->version + 1 : 0;
    feed_start(feed);
}

/* Does the server know none of the kind's versions, as far as we know? */
static bool
feed_is_absent(const struct feed *feed)
{
    for (size_t i = 0; feed->kind->versions[i]; i++) {
        if (!(feed->absent & (1u << i))) {
            return false;
        }
    }
    return true;
}

static void
feed_follow_versions(struct feed *feed, long long int now)
{
    bool was_absent = feed_is_absent(feed);

    if (!kube_reflector_is_absent(feed->reflector)) {
        if (kube_reflector_is_synced(feed->reflector)) {
            feed->absent = 0;
        }
        return;
    }
    feed->absent |= 1u << feed->version;
    if (!feed->kind->versions[1]) {
        return;                 /* The reflector looks again by itself. */
    } else if (!feed_is_absent(feed)) {
        feed_change_version(feed);
    } else if (!was_absent) {
        feed->retry_at = now + KUBE_REFLECTOR_ABSENT_MS;
    } else if (now >= feed->retry_at) {
        feed->absent = 0;
        feed_change_version(feed);
    }
}

static void
feed_update_problem(struct feed *feed)
{
    const char *problem = kube_reflector_get_problem(feed->reflector);

    if (nullable_string_is_equal(problem, feed->problem)) {
        return;
    }
    free(feed->problem);
    feed->problem = nullable_xstrdup(problem);
    feed->source->up.store.seqno++;
}

/* Does the reflector have what 'is_read' asks for, with one of the kind's versions, unless there is
 * none? */
static bool
feed_has(const struct feed *feed, bool (*is_read)(const struct kube_reflector *))
{
    return (is_read(feed->reflector)
            && (!kube_reflector_is_absent(feed->reflector) || feed_is_absent(feed)));
}

static void
feed_run(struct feed *feed, long long int now)
{
    kube_reflector_run(feed->reflector, now);
    feed_follow_versions(feed, now);
    if (feed_has(feed, kube_reflector_is_synced)) {
        feed->synced = true;
        if (feed->n_unconfirmed) {
            delete_unconfirmed(feed);
        }
    }
    feed_update_problem(feed);
}

static void
feed_wait(const struct feed *feed)
{
    kube_reflector_wait(feed->reflector);
    if (feed->kind->versions[1] && feed_is_absent(feed)) {
        poll_timer_wait_until(feed->retry_at);
    }
}

static bool
view_has(const struct kube_source *ks, enum object_type type)
{
    enum source_view view = ks->view;

    if (view == SOURCE_VIEW_TYPES) {
        return ks->types & (1u << type);
    }
    switch (type) {
    case OBJECT_POLICY:
    case OBJECT_POOL:
        return view == SOURCE_VIEW_CLUSTER;
    case OBJECT_POD:
        return view == SOURCE_VIEW_NODE;
    case OBJECT_NODE:
    case OBJECT_NAMESPACE:
    case OBJECT_ROUTE:
        return true;
    }
    OVS_NOT_REACHED();
}

static void
add_feed(struct kube_source *ks, const struct object_kind *kind)
{
    struct feed *feed = &ks->feeds[ks->n_feeds++];

    *feed = (struct feed) { .source = ks, .kind = kind };
    while (kind->versions[feed->version + 1]) {
        feed->version++;        /* The newest first. */
    }
}

static void
create_feeds(struct kube_source *ks)
{
    size_t n = 0;

    for (size_t i = 0; language_tables[i]; i++) {
        for (const struct object_kind *kind = language_tables[i]; kind->group; kind++) {
            n += view_has(ks, kind->type);
        }
    }
    ks->feeds = xmalloc(n * sizeof *ks->feeds);
    for (size_t i = 0; language_tables[i]; i++) {
        for (const struct object_kind *kind = language_tables[i]; kind->group; kind++) {
            if (view_has(ks, kind->type)) {
                add_feed(ks, kind);
            }
        }
    }
    for (size_t i = 0; i < ks->n_feeds; i++) {
        feed_start(&ks->feeds[i]);
    }
}

/* Keeps track of since when no feed works. */
static void
update_reachability(struct kube_source *ks)
{
    for (size_t i = 0; i < ks->n_feeds; i++) {
        if (!ks->feeds[i].problem) {
            ks->unreachable_since = 0;
            return;
        }
    }
    if (!ks->unreachable_since) {
        ks->unreachable_since = time_wall();
    }
}

static bool
all_feeds_synced(const struct kube_source *ks)
{
    for (size_t i = 0; i < ks->n_feeds; i++) {
        if (!ks->feeds[i].synced) {
            return false;
        }
    }
    return true;
}

/* The file. */

static struct feed *
find_feed(struct kube_source *ks, enum object_type type)
{
    for (size_t i = 0; i < ks->n_feeds; i++) {
        if (ks->feeds[i].kind->type == type) {
            return &ks->feeds[i];
        }
    }
    return NULL;
}

/* The path of the object that 'mo' is about, as the API has it, which the caller frees. */
static char *
make_saved_path(const struct object_kind *kind, const struct manifest_object *mo)
{
    if (mo->type == OBJECT_ROUTE) {
        char *name = egress_route_object_name(mo->id);
        char *path = make_path(kind, NULL, name);

        free(name);
        return path;
    }
    return make_path(kind, NULL, mo->id);       /* A pod's id has its namespace. */
}

/* Takes over an object from the file, unless the server has told about its kind. */
static void
load_object(struct manifest_object *mo, void *ks_)
{
    struct kube_source *ks = ks_;
    struct feed *feed = find_feed(ks, mo->type);

    if (mo->error || !feed || feed->synced) {
        return;
    }
    char *path = make_saved_path(feed->kind, mo);
    struct entry *entry = get_entry(ks, feed, path);
    if (!entry->confirmed) {
        struct manifest_object taken = *mo;

        *mo = (struct manifest_object) { .type = mo->type };
        store_file_replace(&ks->up.store, &entry->file, &taken, 1);
    }
    free(path);
}

static void
load_state(struct kube_source *ks)
{
    char *error = kube_state_load(ks->state_path, load_object, ks);

    ks->patience_ends = LLONG_MAX;
    if (error) {
        VLOG_WARN("the API server does not answer, and there is no state of a run before: %s",
                  error);
        free(error);
        return;
    }
    VLOG_WARN("the API server does not answer; going by what it said before, in %s",
              ks->state_path);
    ks->from_file = true;
    ks->up.synced = true;
    ks->up.store.seqno++;
}

/* Waits for the server until it had its time, or has failed. */
static void
load_state_if_needed(struct kube_source *ks, long long int now)
{
    bool failed = false;

    if (ks->patience_ends == LLONG_MAX) {
        return;
    }
    for (size_t i = 0; i < ks->n_feeds; i++) {
        failed = failed || ks->feeds[i].problem;
    }
    if (failed || now >= ks->patience_ends) {
        load_state(ks);
    }
}

static void
save_state(struct kube_source *ks)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 1);
    long long int now = time_msec();
    char *error = kube_state_save(ks->state_path, &ks->up.store.model);

    if (error) {
        VLOG_WARN_RL(&rl, "%s", error);
        free(error);
    }
    ks->saved_seqno = ks->up.store.seqno;
    ks->save_pending = false;
    ks->save_delay = MAX(KUBE_SOURCE_SAVE_DELAY_MS,
                         KUBE_SOURCE_SAVE_REST * (time_msec() - now));
}

static void
save_state_if_needed(struct kube_source *ks, long long int now)
{
    if (!ks->state_path || !all_feeds_synced(ks)) {
        return;
    }
    if (!ks->save_pending && ks->saved_seqno != ks->up.store.seqno) {
        ks->save_pending = true;
        ks->save_at = now + ks->save_delay;
    }
    if (ks->save_pending && now >= ks->save_at) {
        save_state(ks);
    }
}

/* The source. */

struct source *
kube_source_create(struct kube_http *http, const struct source_config *config,
                   kube_observe_cb *observe, void *aux)
{
    struct kube_source *ks = xzalloc(sizeof *ks);
    bool has_file = config->view == SOURCE_VIEW_NODE && config->state_dir;

    source_init(&ks->up, &kube_source_class);
    ks->view = config->view;
    ks->types = config->types;
    ks->node = config->view == SOURCE_VIEW_NODE ? xstrdup(config->node) : NULL;
    ks->http = http;
    ks->observe = observe;
    ks->aux = aux;
    shash_init(&ks->entries);
    ks->patience_ends = LLONG_MAX;
    if (has_file) {
        if (mkdir(config->state_dir, 0755) && errno != EEXIST) {
            VLOG_WARN("%s: cannot be created: %s", config->state_dir, ovs_strerror(errno));
        }
        ks->state_path = xasprintf("%s/ovs-egressd-state.%s.json", config->state_dir, ks->node);
        ks->patience_ends = time_msec() + KUBE_SOURCE_PATIENCE_MS;
    }
    create_feeds(ks);
    return &ks->up;
}

/* Returns what is wrong with following the server's objects, for the caller to free, or NULL if nothing is. */
char *
kube_source_get_failure(const struct source *source)
{
    const struct kube_source *ks = kube_source_cast(source);

    for (size_t i = 0; i < ks->n_feeds; i++) {
        if (ks->feeds[i].problem) {
            return xstrdup(ks->feeds[i].problem);
        }
    }
    return NULL;
}

/* Has everything read anew, because what the watches told so far may be behind. */
void
kube_source_refresh(struct source *source)
{
    struct kube_source *ks = kube_source_cast(source);

    for (size_t i = 0; i < ks->n_feeds; i++) {
        kube_reflector_refresh(ks->feeds[i].reflector, time_msec());
    }
}

/* Returns true if everything has been read since the last kube_source_refresh(). */
bool
kube_source_is_fresh(const struct source *source)
{
    const struct kube_source *ks = kube_source_cast(source);

    for (size_t i = 0; i < ks->n_feeds; i++) {
        if (!feed_has(&ks->feeds[i], kube_reflector_is_fresh)) {
            return false;
        }
    }
    return true;
}

static struct source *
kube_source_open(const char *path, const struct source_config *config, char **errorp)
{
    struct kube_config *kube_config = kube_config_load(*path ? path : NULL, errorp);

    if (!kube_config) {
        return NULL;
    }
    struct kube_http *http = kube_http_create(kube_config);
    struct source *source = kube_source_create(http, config, NULL, NULL);
    kube_source_cast(source)->config = kube_config;
    return source;
}

static void
kube_source_close(struct source *source)
{
    struct kube_source *ks = kube_source_cast(source);
    struct shash_node *node;

    if (ks->state_path && all_feeds_synced(ks) && ks->saved_seqno != ks->up.store.seqno) {
        save_state(ks);
    }
    for (size_t i = 0; i < ks->n_feeds; i++) {
        kube_reflector_destroy(ks->feeds[i].reflector);
        free(ks->feeds[i].problem);
    }
    SHASH_FOR_EACH_SAFE (node, &ks->entries) {
        delete_entry(ks, node);
    }
    shash_destroy(&ks->entries);
    free(ks->feeds);
    if (ks->config) {
        kube_http_destroy(ks->http);
        kube_config_destroy(ks->config);
    }
    source_uninit(&ks->up);
    free(ks->state_path);
    free(ks->node);
    free(ks);
}

static void
kube_source_run(struct source *source)
{
    struct kube_source *ks = kube_source_cast(source);
    long long int now = time_msec();

    if (ks->config) {
        kube_http_run(ks->http, now);
    }
    for (size_t i = 0; i < ks->n_feeds; i++) {
        feed_run(&ks->feeds[i], now);
    }
    update_reachability(ks);
    if ((!ks->up.synced || ks->from_file) && all_feeds_synced(ks)) {
        ks->up.synced = true;
        ks->from_file = false;
        ks->patience_ends = LLONG_MAX;
        ks->up.store.seqno++;
        VLOG_INFO("everything has been read from the API server");
    }
    load_state_if_needed(ks, now);
    save_state_if_needed(ks, now);
}

static void
kube_source_wait(struct source *source)
{
    struct kube_source *ks = kube_source_cast(source);

    if (ks->config) {
        kube_http_wait(ks->http);
    }
    for (size_t i = 0; i < ks->n_feeds; i++) {
        feed_wait(&ks->feeds[i]);
    }
    if (ks->patience_ends != LLONG_MAX) {
        poll_timer_wait_until(ks->patience_ends);
    }
    if (ks->save_pending) {
        poll_timer_wait_until(ks->save_at);
    }
}

struct kube_http *
kube_source_get_http(const struct source *source)
{
    return source->class == &kube_source_class ? kube_source_cast(source)->http : NULL;
}

/* Is there anything that the server at present tells us about?  'source' must be of this kind. */
bool
kube_source_is_reachable(const struct source *source)
{
    return !kube_source_cast(source)->unreachable_since;
}

/* Returns how many kinds of objects 'source' follows: 0 if it is not of this kind. */
size_t
kube_source_n_feeds(const struct source *source)
{
    return source->class == &kube_source_class ? kube_source_cast(source)->n_feeds : 0;
}

struct kube_feed_status
kube_source_get_feed(const struct source *source, size_t index)
{
    const struct feed *feed = &kube_source_cast(source)->feeds[index];

    return (struct kube_feed_status) {
        .plural = feed->kind->plural, .group = feed->kind->group,
        .stats = kube_reflector_get_stats(feed->reflector),
        .n_objects = kube_reflector_count(feed->reflector),
    };
}

/* Nothing works: the reason is the same for all, although the words may differ. */
static void
add_unreachable(const struct kube_source *ks, struct problem_list *problems)
{
    struct tm tm;
    char since[32] = "";

    if (gmtime_r(&ks->unreachable_since, &tm)) {
        strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &tm);
    }
    problem_list_add(problems, "API server", "%s (out of reach since %s)", ks->feeds[0].problem,
                     since);
}

static void
add_kube_problems(const struct source *source, struct problem_list *problems)
{
    const struct kube_source *ks = kube_source_cast(source);

    if (ks->unreachable_since) {
        add_unreachable(ks, problems);
    }
    for (size_t i = 0; i < ks->n_feeds && !ks->unreachable_since; i++) {
        const struct feed *feed = &ks->feeds[i];

        if (feed->problem) {
            char *what = xasprintf("%s%s%s", feed->kind->plural, *feed->kind->group ? "." : "",
                                   feed->kind->group);
            problem_list_add(problems, what, "%s", feed->problem);
            free(what);
        }
    }
    if (ks->from_file) {
        problem_list_add(problems, ks->state_path, "in force, because the API server has not "
                         "answered since the start");
    }
}

const struct source_class kube_source_class = {
    .scheme = "kube",
    .provides_routes = true,
    .open = kube_source_open,
    .close = kube_source_close,
    .run = kube_source_run,
    .wait = kube_source_wait,
    .add_problems = add_kube_problems,
};
