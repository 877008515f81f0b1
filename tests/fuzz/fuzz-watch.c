#include <config.h>

/* Feeds arbitrary bytes to the reader of watches, in pieces whose size the first byte tells, and
 * once again in one piece.  Both must lead to the same events, and lines are never kept beyond
 * their limit. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/kube-watch.h"
#include "openvswitch/dynamic-string.h"
#include "util.h"

#define MAX_LINE 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Notes what the event promises, which must be there. */
static bool
note(const struct kube_event *event, void *trace)
{
    bool has_object = event->type == KUBE_EVENT_UPSERT || event->type == KUBE_EVENT_DELETE;

    ds_put_format(trace, "%d", event->type);
    if (has_object) {
        ovs_assert(json_object_is_type(event->object, json_type_object));
        ds_put_format(trace, " %s %s", event->meta.namespace ? event->meta.namespace : "-",
                      event->meta.name);
    }
    if (has_object || event->type == KUBE_EVENT_BOOKMARK) {
        ds_put_format(trace, " %s", event->meta.version);
    } else {
        ds_put_format(trace, " %s", event->error);
    }
    ds_put_char(trace, '\n');
    return event->type != KUBE_EVENT_ERROR;
}

static void
feed(const uint8_t *data, size_t size, size_t cut, struct ds *trace)
{
    struct kube_watch_reader reader;

    kube_watch_reader_init(&reader, MAX_LINE, note, trace);
    while (size) {
        size_t n = MIN(cut, size);

        if (!kube_watch_reader_feed(&reader, (const char *) data, n)) {
            kube_watch_reader_clear(&reader);
            break;
        }
        ovs_assert(reader.line.length <= MAX_LINE);
        data += n;
        size -= n;
    }
    kube_watch_reader_destroy(&reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ds pieces = DS_EMPTY_INITIALIZER;
    struct ds whole = DS_EMPTY_INITIALIZER;

    if (size) {
        feed(data + 1, size - 1, data[0] + 1, &pieces);
        feed(data + 1, size - 1, SIZE_MAX, &whole);
        ovs_assert(!strcmp(ds_cstr(&pieces), ds_cstr(&whole)));
    }
    ds_destroy(&pieces);
    ds_destroy(&whole);
    return 0;
}
