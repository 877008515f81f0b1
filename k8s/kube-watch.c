#include <config.h>
#include "k8s/kube-watch.h"

#include <limits.h>
#include <string.h>

#include "k8s/json-c.h"
#include "util.h"

/* Deeper JSON is junk. */
#define MAX_JSON_DEPTH 64

/* What is kept of the last line's memory, for the next one. */
#define MAX_SPARE (64u * 1024)

/* Returns the member 'name' of 'json', or NULL if there is none of type 'type'. */
static struct json_object *
get_member(struct json_object *json, const char *name, enum json_type type)
{
    struct json_object *member;

    return (json_object_is_type(json, json_type_object)
            && json_object_object_get_ex(json, name, &member)
            && json_object_is_type(member, type)
            ? member : NULL);
}

/* Returns the string 'name' of 'json', or NULL if there is none or it is empty. */
static const char *
get_string(struct json_object *json, const char *name)
{
    struct json_object *member = get_member(json, name, json_type_string);

    return member && json_object_get_string_len(member) ? json_object_get_string(member) : NULL;
}

/* Reads the metadata of 'object' into 'meta'.  Returns false if it lacks a name or version. */
bool
kube_meta_read(struct json_object *object, struct kube_meta *meta)
{
    struct json_object *metadata = get_member(object, "metadata", json_type_object);

    meta->namespace = get_string(metadata, "namespace");
    meta->name = get_string(metadata, "name");
    meta->version = get_string(metadata, "resourceVersion");
    return meta->name && meta->version;
}

/* Fills in 'event' for 'status', a Kubernetes Status. */
static void
read_error(struct json_object *status, struct kube_event *event)
{
    struct json_object *details = get_member(status, "details", json_type_object);
    struct json_object *seconds = get_member(details, "retryAfterSeconds", json_type_int);
    const char *message = get_string(status, "message");

    event->type = KUBE_EVENT_ERROR;
    event->code = json_object_get_int(get_member(status, "code", json_type_int));
    if (json_object_get_int(seconds) > 0) {
        event->retry_after_s = json_object_get_int(seconds);
    }
    event->error = message ? message : "the server ended the watch without saying why";
}

/* Returns the junk event, 'why'. */
static struct kube_event
junk(const char *why)
{
    return (struct kube_event) { .type = KUBE_EVENT_JUNK, .retry_after_s = -1, .error = why };
}

/* Returns the event that 'json', a line, tells.  It borrows from 'json'. */
static struct kube_event
decode_event(struct json_object *json)
{
    const char *type = get_string(json, "type");
    struct json_object *object = get_member(json, "object", json_type_object);
    struct kube_event event = { .object = object, .retry_after_s = -1 };

    if (!type || !object) {
        return junk("an event lacks its type or object");
    }

    bool complete = kube_meta_read(object, &event.meta);
    if (!strcmp(type, "ERROR")) {
        read_error(object, &event);
        return event;
    } else if (!strcmp(type, "BOOKMARK")) {
        event.type = KUBE_EVENT_BOOKMARK;
        return event.meta.version ? event : junk("a bookmark lacks its resourceVersion");
    } else if (!strcmp(type, "ADDED") || !strcmp(type, "MODIFIED")) {
        event.type = KUBE_EVENT_UPSERT;
    } else if (!strcmp(type, "DELETED")) {
        event.type = KUBE_EVENT_DELETE;
    } else {
        return junk("an event has an unknown type");
    }
    return complete ? event : junk("an event's object lacks its name or resourceVersion");
}

/* Initializes 'reader' to call 'cb' for each event.  Of a line, it keeps up to 'max_line' bytes. */
void
kube_watch_reader_init(struct kube_watch_reader *reader, size_t max_line, kube_event_cb *cb,
                       void *aux)
{
    ds_init(&reader->line);
    reader->max_line = MIN(max_line, INT_MAX);
    reader->event = cb;
    reader->aux = aux;
}

void
kube_watch_reader_destroy(struct kube_watch_reader *reader)
{
    ds_destroy(&reader->line);
}

/* Forgets what there is of a line, for another watch. */
void
kube_watch_reader_clear(struct kube_watch_reader *reader)
{
    if (reader->line.allocated > MAX_SPARE) {
        ds_destroy(&reader->line);
        ds_init(&reader->line);
    }
    ds_clear(&reader->line);
}

/* Calls the callback for 'line', of 'n' bytes.  Returns what it returns. */
static bool
handle_line(struct kube_watch_reader *reader, const char *line, size_t n)
{
    if (n && line[n - 1] == '\r') {
        n--;
    }
    if (!n) {
        return true;
    }

    struct json_tokener *tokener = json_tokener_new_ex(MAX_JSON_DEPTH);
    struct json_object *json = json_tokener_parse_ex(tokener, line, n);
    bool ok = (json_tokener_get_error(tokener) == json_tokener_success
               && json_tokener_get_parse_end(tokener) == n);
    json_tokener_free(tokener);

    struct kube_event event = ok ? decode_event(json) : junk("a line is not a JSON object");
    bool more = reader->event(&event, reader->aux);
    json_release(json);
    return more;
}

static bool
too_large(struct kube_watch_reader *reader)
{
    struct kube_event event = {
        .type = KUBE_EVENT_TOO_LARGE,
        .retry_after_s = -1,
        .error = "an event is larger than what is accepted",
    };

    reader->event(&event, reader->aux);
    return false;
}

/* Takes the next 'n' bytes of the watch, and calls the callback for each event that they complete.
 *
 * Returns false once a line was too large or the callback returned false.  Then the watch cannot go
 * on, and kube_watch_reader_clear() has to come before another one. */
bool
kube_watch_reader_feed(struct kube_watch_reader *reader, const char *data, size_t n)
{
    while (n) {
        const char *newline = memchr(data, '\n', n);
        size_t length = newline ? newline - data : n;

        if (length > reader->max_line - reader->line.length) {
            return too_large(reader);
        }
        if (!newline) {
            ds_put_buffer(&reader->line, data, n);
            return true;
        }

        /* Most lines come in one piece, which need not be copied. */
        bool more;
        if (reader->line.length) {
            ds_put_buffer(&reader->line, data, length);
            more = handle_line(reader, ds_cstr(&reader->line), reader->line.length);
            kube_watch_reader_clear(reader);
        } else {
            more = handle_line(reader, data, length);
        }
        if (!more) {
            return false;
        }
        data = newline + 1;
        n -= length + 1;
    }
    return true;
}
