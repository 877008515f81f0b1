#include <config.h>
#include "k8s/node-leases.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include "k8s/json-reader.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/shash.h"
#include "smap.h"
#include "util.h"

/* If a Lease does not say for how long it is good. */
#define DEFAULT_DURATION_MS 40000
#define MAX_DURATION_S 3600

struct node_lease {
    char *renew_time;           /* As the agent says, by its own clock. */
    long long int seen;         /* When it was renewed last, by ours. */
    long long int duration;
    char *failure;              /* What the agent says against its node, or NULL. */
    long long int failing_since;        /* If 'failure'. */
    bool silent;
};

struct node_leases {
    struct shash leases;        /* struct node_lease, by node. */
    struct shash unfit;         /* Reasons (char *), by node. */
    long long int heard;        /* When any Lease was renewed last; LLONG_MIN for never. */
    long long int resumed;      /* When one was for the first time after silence. */
    long long int next_run;
};

struct node_leases *
node_leases_create(void)
{
    struct node_leases *nl = xzalloc(sizeof *nl);

    shash_init(&nl->leases);
    shash_init(&nl->unfit);
    nl->heard = LLONG_MIN;
    nl->resumed = LLONG_MIN;
    nl->next_run = LLONG_MAX;
    return nl;
}

static void
lease_destroy(struct node_lease *lease)
{
    if (lease) {
        free(lease->renew_time);
        free(lease->failure);
        free(lease);
    }
}

void
node_leases_destroy(struct node_leases *nl)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &nl->leases) {
        lease_destroy(node->data);
    }
    shash_destroy(&nl->leases);
    shash_destroy_free_data(&nl->unfit);
    free(nl);
}

/* Returns what 'annotations' say against the node, a string that the caller frees, or NULL. */
static char *
read_failure(const struct smap *annotations)
{
    const char *ready = smap_get(annotations, NODE_LEASE_READY);
    const size_t prefix_len = strlen(NODE_LEASE_FAILED);
    const struct smap_node **sorted;
    struct ds ds = DS_EMPTY_INITIALIZER;

    if (!ready || !strcmp(ready, "true")) {
        return NULL;
    }
    sorted = smap_sort(annotations);
    for (size_t i = 0; i < smap_count(annotations); i++) {
        const char *value = sorted[i]->value;

        if (!strncmp(sorted[i]->key, NODE_LEASE_CONDITION_PREFIX, strlen(NODE_LEASE_CONDITION_PREFIX))
            && !strncmp(value, NODE_LEASE_FAILED, prefix_len)) {
            ds_put_format(&ds, "%s%s", ds.length ? "; " : "", value + prefix_len);
        }
    }
    free(sorted);
    if (!ds.length) {
        ds_put_cstr(&ds, "its agent says that it is not ready");
    }
    return ds_steal_cstr(&ds);
}

static struct node_lease *
get_lease(struct node_leases *nl, const char *name)
{
    struct node_lease *lease = shash_find_data(&nl->leases, name);

    if (!lease) {
        lease = xzalloc(sizeof *lease);
        shash_add(&nl->leases, name, lease);
    }
    return lease;
}

static void
note_renewal(struct node_leases *nl, struct node_lease *lease, long long int now)
{
    lease->seen = now;
    lease->silent = false;
    if (nl->heard != LLONG_MIN && now - nl->heard > lease->duration / 2) {
        nl->resumed = now;
    }
    nl->heard = now;
}

/* Takes note that 'object', a Lease, is new, was renewed or altered, or was only listed once more. */
void
node_leases_upsert(struct node_leases *nl, struct json_object *object, long long int now)
{
    struct json_reader reader = JSON_READER_INITIALIZER;
    struct json_cursor root = json_reader_start(&reader, object);
    struct json_cursor metadata = json_cursor_object(&root, "metadata");
    struct json_cursor spec = json_cursor_object(&root, "spec");
    const char *name = json_cursor_string(&metadata, "name");
    struct smap annotations = SMAP_INITIALIZER(&annotations);
    const char *renew_time = json_cursor_string(&spec, "renewTime");
    int64_t seconds = json_cursor_integer(&spec, "leaseDurationSeconds", 0, MAX_DURATION_S);

    json_cursor_string_map(&metadata, "annotations", &annotations);
    if (name) {
        struct node_lease *lease = get_lease(nl, name);
        char *failure = read_failure(&annotations);

        renew_time = renew_time ? renew_time : "";

        lease->duration = seconds ? seconds * 1000 : DEFAULT_DURATION_MS;
        if (!lease->renew_time || strcmp(lease->renew_time, renew_time)) {
            free(lease->renew_time);
            lease->renew_time = xstrdup(renew_time);
            note_renewal(nl, lease, now);
        }
        if (failure && !lease->failure) {
            lease->failing_since = now;
        }
        free(lease->failure);
        lease->failure = failure;
        nl->next_run = LLONG_MIN;
    }
    smap_destroy(&annotations);
    free(reader.error);
}

void
node_leases_remove(struct node_leases *nl, const char *node)
{
    lease_destroy(shash_find_and_delete(&nl->leases, node));
    nl->next_run = LLONG_MIN;
}

/* Finds out whether 'lease' is silent now. */
static void
update_silence(struct node_leases *nl, struct node_lease *lease, long long int now)
{
    long long int end = MAX(lease->seen, nl->resumed) + lease->duration;
    long long int hearing_ends = nl->heard + lease->duration / 2;

    if (lease->silent) {
        return;
    } else if (now >= end && now <= hearing_ends) {
        lease->silent = true;
    } else if (now < end) {
        nl->next_run = MIN(nl->next_run, end);
    }
}

static char *
why_unfit(struct node_leases *nl, struct node_lease *lease, long long int now)
{
    if (lease->silent) {
        return xasprintf("its agent has not renewed its Lease for %lld s", lease->duration / 1000);
    } else if (lease->failure && now >= lease->failing_since + NODE_LEASES_GRACE_MS) {
        return xstrdup(lease->failure);
    } else if (lease->failure) {
        nl->next_run = MIN(nl->next_run, lease->failing_since + NODE_LEASES_GRACE_MS);
    }
    return NULL;
}

/* Brings up to date who is unfit.  Returns true if others are now than before. */
bool
node_leases_run(struct node_leases *nl, long long int now)
{
    struct shash unfit = SHASH_INITIALIZER(&unfit);
    struct shash_node *node;
    bool changed;

    if (now < nl->next_run) {
        return false;
    }
    nl->next_run = LLONG_MAX;
    SHASH_FOR_EACH (node, &nl->leases) {
        struct node_lease *lease = node->data;
        char *why;

        update_silence(nl, lease, now);
        why = why_unfit(nl, lease, now);
        if (why) {
            shash_add(&unfit, node->name, why);
        }
    }
    changed = shash_count(&unfit) != shash_count(&nl->unfit);
    SHASH_FOR_EACH (node, &unfit) {
        changed = changed || !shash_find(&nl->unfit, node->name);
    }
    shash_swap(&nl->unfit, &unfit);
    shash_destroy_free_data(&unfit);
    return changed;
}

/* When node_leases_run() has something to do, if nothing comes before. */
long long int
node_leases_next_wakeup(const struct node_leases *nl)
{
    return nl->next_run;
}

/* Returns the nodes that are unfit, with the reason (const char *), which is valid until the next node_leases_run(). */
const struct shash *
node_leases_get_unfit(const struct node_leases *nl)
{
    return &nl->unfit;
}

struct node_lease_counts
node_leases_count(const struct node_leases *nl)
{
    struct node_lease_counts counts = { 0, 0, 0 };
    struct shash_node *node;

    SHASH_FOR_EACH (node, &nl->leases) {
        const struct node_lease *lease = node->data;

        if (lease->silent) {
            counts.silent++;
        } else if (lease->failure) {
            counts.not_ready++;
        } else {
            counts.ready++;
        }
    }
    return counts;
}
