#include <config.h>

#include "k8s/json-writer.h"

#include <stdlib.h>
#include <time.h>

#include "k8s/json-c.h"
#include "openvswitch/dynamic-string.h"
#include "smap.h"
#include "util.h"

/* Returns 'map' with its keys in order, so that equal maps look equal. */
struct json_object *
encode_string_map(const struct smap *map)
{
    const struct smap_node **nodes = smap_sort(map);
    struct json_object *json = json_object_new_object();

    for (size_t i = 0; i < smap_count(map); i++) {
        json_object_object_add(json, nodes[i]->key, json_object_new_string(nodes[i]->value));
    }
    free(nodes);
    return json;
}

void
put_string(struct json_object *json, const char *name, const char *s)
{
    if (s) {
        json_object_object_add(json, name, json_object_new_string(s));
    }
}

void
put_bool(struct json_object *json, const char *name, bool value)
{
    if (value) {
        json_object_object_add(json, name, json_object_new_boolean(true));
    }
}

void
put_integer(struct json_object *json, const char *name, int64_t value)
{
    if (value) {
        json_object_object_add(json, name, json_object_new_int64(value));
    }
}

/* As parse_time() reads it. */
void
put_time(struct json_object *json, const char *name, long long int seconds)
{
    time_t when = seconds;
    struct tm tm;
    char s[64];

    if (seconds && gmtime_r(&when, &tm) && strftime(s, sizeof s, "%Y-%m-%dT%H:%M:%SZ", &tm)) {
        put_string(json, name, s);
    }
}

void
put_string_map(struct json_object *json, const char *name, const struct smap *map)
{
    if (!smap_is_empty(map)) {
        json_object_object_add(json, name, encode_string_map(map));
    }
}

static void
put_list(struct json_object *json, const char *name, struct json_object *list)
{
    if (json_object_array_length(list)) {
        json_object_object_add(json, name, list);
    } else {
        json_release(list);
    }
}

/* Those of the 'n' addresses that are set. */
void
put_addresses(struct json_object *json, const char *name, const struct in6_addr *addrs, size_t n)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < n; i++) {
        if (ip_is_set(&addrs[i])) {
            char *s = ip_to_string(&addrs[i]);
            json_object_array_add(list, json_object_new_string(s));
            free(s);
        }
    }
    put_list(json, name, list);
}

void
put_cidrs(struct json_object *json, const char *name, const struct ip_prefix *prefixes, size_t n)
{
    struct json_object *list = json_object_new_array();

    for (size_t i = 0; i < n; i++) {
        char *s = ip_prefix_to_string(&prefixes[i]);
        json_object_array_add(list, json_object_new_string(s));
        free(s);
    }
    put_list(json, name, list);
}

/* Takes over 'value', which is left out if it is an empty mapping or list. */
void
put_json(struct json_object *json, const char *name, struct json_object *value)
{
    if (json_object_is_type(value, json_type_array) ? !json_object_array_length(value)
        : json_object_is_type(value, json_type_object) && !json_object_object_length(value)) {
        json_release(value);
    } else {
        json_object_object_add(json, name, value);
    }
}
