#include <config.h>

/* Feeds the text of a file of manifests to everything that reads one: the YAML loader, the
 * decoders of every kind, and the store.  The file's content is replaced twice, the second time
 * by its first half, so that objects also change and go. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/manifest-file.h"
#include "k8s/object-store.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
parse(struct object_store *store, struct store_file *file, const uint8_t *data, size_t size)
{
    char *text = xmemdup0((const char *) data, size);

    manifest_file_parse(store, file, text, size);
    free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problem_list problems;
    struct object_store store;
    struct store_file yaml, json;

    object_store_init(&store);
    store_file_init(&yaml, "f.yaml");
    store_file_init(&json, "f.json");
    parse(&store, &yaml, data, size);
    parse(&store, &json, data, size);
    parse(&store, &yaml, data, size / 2);

    problem_list_init(&problems);
    object_store_get_problems(&store, &problems);
    problem_list_destroy(&problems);

    store_file_destroy(&store, &yaml);
    ovs_assert(shash_count(&store.model.pods) <= hmap_count(&store.claims));
    store_file_destroy(&store, &json);
    ovs_assert(hmap_is_empty(&store.claims));
    object_store_destroy(&store);
    return 0;
}
