#include <config.h>

#include "k8s/json-reader.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/yaml.h"
#include "openvswitch/dynamic-string.h"
#include "smap.h"
#include "util.h"

/* Longer values are cut short in messages. */
#define MAX_SHOWN_VALUE 100

/* Returns a cursor at 'json', whose errors go to 'reader'. */
struct json_cursor
json_reader_start(struct json_reader *reader, struct json_object *json)
{
    return (struct json_cursor) { .reader = reader, .json = json };
}

bool
json_reader_failed(const struct json_reader *reader)
{
    return reader->error != NULL;
}

/* Messages. */

static void
format_path(const struct json_cursor *cursor, struct ds *s)
{
    if (!cursor->parent) {
        return;
    }
    format_path(cursor->parent, s);
    if (cursor->name) {
        ds_put_format(s, "%s%s", s->length ? "." : "", cursor->name);
    } else {
        ds_put_format(s, "[%"PRIuSIZE"]", cursor->index);
    }
}

/* Line of the nearest place around 'cursor' that has one. */
static unsigned int
find_line(const struct json_cursor *cursor)
{
    for (; cursor; cursor = cursor->parent) {
        unsigned int line = yaml_get_line(cursor->json);
        if (line) {
            return line;
        }
    }
    return 0;
}

static struct json_cursor
member(const struct json_cursor *cursor, const char *name)
{
    struct json_cursor child = *cursor;

    if (name) {
        child.parent = cursor;
        child.name = name;
        child.json = NULL;
        json_object_object_get_ex(cursor->json, name, &child.json);
    }
    return child;
}

/* Records an error at 'cursor''s member 'name', or at 'cursor' itself if 'name' is NULL, unless
 * there already is an error. */
void
json_cursor_error(const struct json_cursor *cursor, const char *name, const char *format, ...)
{
    struct json_reader *reader = cursor->reader;

    if (reader->error) {
        return;
    }

    struct json_cursor at = member(cursor, name);
    struct ds s = DS_EMPTY_INITIALIZER;
    va_list args;

    format_path(&at, &s);
    if (s.length) {
        ds_put_cstr(&s, ": ");
    }
    va_start(args, format);
    ds_put_format_valist(&s, format, args);
    va_end(args);
    reader->error = ds_steal_cstr(&s);
    reader->line = find_line(&at);
}

/* Records that 'cursor' has a value of the wrong type or form. */
static void
error_value(const struct json_cursor *cursor, const char *is_no, const char *example)
{
    const char *value;

    switch (json_object_get_type(cursor->json)) {
    case json_type_object:
        value = "a mapping";
        break;
    case json_type_array:
        value = "a list";
        break;
    default:
        value = json_object_to_json_string_ext(cursor->json, JSON_C_TO_STRING_NOSLASHESCAPE);
        break;
    }
    bool cut = strlen(value) > MAX_SHOWN_VALUE;
    json_cursor_error(cursor, NULL, "%.*s%s is no %s%s%s", MAX_SHOWN_VALUE, value,
                      cut ? "..." : "", is_no, example ? ", expected like " : "",
                      example ? example : "");
}

/* Going down. */

static struct json_cursor
typed_member(const struct json_cursor *cursor, const char *name, json_type type,
             const char *type_name)
{
    struct json_cursor child = member(cursor, name);

    if (child.json && !json_object_is_type(child.json, type)) {
        error_value(&child, type_name, NULL);
        child.json = NULL;
    }
    return child;
}

struct json_cursor
json_cursor_object(const struct json_cursor *cursor, const char *name)
{
    return typed_member(cursor, name, json_type_object, "mapping");
}

struct json_cursor
json_cursor_array(const struct json_cursor *cursor, const char *name)
{
    return typed_member(cursor, name, json_type_array, "list");
}

/* Number of items of the list 'cursor', 0 if it is absent. */
size_t
json_cursor_length(const struct json_cursor *cursor)
{
    return cursor->json ? json_object_array_length(cursor->json) : 0;
}

/* Returns item 'index', which must exist, of the list 'cursor'.  Null as an item is an error. */
struct json_cursor
json_cursor_item(const struct json_cursor *cursor, size_t index)
{
    struct json_cursor item = {
        .reader = cursor->reader,
        .parent = cursor,
        .index = index,
        .json = json_object_array_get_idx(cursor->json, index),
    };

    if (!item.json) {
        json_cursor_error(&item, NULL, "is null, expected a value");
    }
    return item;
}

/* Is the member 'name' there and not null? */
bool
json_cursor_has(const struct json_cursor *cursor, const char *name)
{
    return member(cursor, name).json != NULL;
}

/* Makes it an error that 'cursor' is no mapping.  For items, whose type nothing has checked. */
void
json_cursor_require_object(const struct json_cursor *cursor)
{
    if (cursor->json && !json_object_is_type(cursor->json, json_type_object)) {
        error_value(cursor, "mapping", NULL);
    }
}

/* Number of single-letter edits from 'a' to 'b', or a number above 'max' if there are more.
 * Case does not count. */
static size_t
edit_distance(const char *a, const char *b, size_t max)
{
    size_t n_a = strlen(a);
    size_t n_b = strlen(b);
    size_t row[64];

    if (n_b >= ARRAY_SIZE(row) || n_a > n_b + max || n_b > n_a + max) {
        return max + 1;
    }
    for (size_t j = 0; j <= n_b; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= n_a; i++) {
        size_t diagonal = row[0];

        row[0] = i;
        for (size_t j = 1; j <= n_b; j++) {
            bool differ = (tolower((unsigned char) a[i - 1]) != tolower((unsigned char) b[j - 1]));
            size_t cost = MIN(diagonal + differ, MIN(row[j], row[j - 1]) + 1);
            diagonal = row[j];
            row[j] = cost;
        }
    }
    return row[n_b];
}

static const char *
nearest(const char *name, const char *const names[])
{
    const char *best = NULL;
    size_t best_distance = 3;

    for (size_t i = 0; names[i]; i++) {
        size_t distance = edit_distance(name, names[i], best_distance - 1);
        if (distance < best_distance) {
            best = names[i];
            best_distance = distance;
        }
    }
    return best;
}

static char *
join_names(const char *const names[])
{
    struct ds s = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; names[i]; i++) {
        ds_put_format(&s, "%s%s", !i ? "" : names[i + 1] ? ", " : " or ", names[i]);
    }
    return ds_steal_cstr(&s);
}

/* Makes it an error that the mapping 'cursor' has a field that is not in 'names', which ends
 * with NULL. */
void
json_cursor_only_fields(const struct json_cursor *cursor, const char *const names[])
{
    if (!json_object_is_type(cursor->json, json_type_object)) {
        return;
    }
    json_object_object_foreach (cursor->json, key, value) {
        size_t i = 0;

        while (names[i] && strcmp(names[i], key)) {
            i++;
        }
        if (names[i] || cursor->reader->error) {
            continue;
        }
        const char *near = nearest(key, names);
        if (near) {
            json_cursor_error(cursor, key, "unknown field, did you mean %s?", near);
        } else {
            char *known = join_names(names);
            json_cursor_error(cursor, key, "unknown field, expected %s", known);
            free(known);
        }
        (void) value;
    }
}

/* Members. */

/* Returns the string 'name', owned by the json, or NULL if it is absent. */
const char *
json_cursor_string(const struct json_cursor *cursor, const char *name)
{
    struct json_cursor child = typed_member(cursor, name, json_type_string,
                                            "string (numbers and true or false need quotes)");

    return child.json ? json_object_get_string(child.json) : NULL;
}

/* Like json_cursor_string(), but to have no string, or an empty one, is an error. */
const char *
json_cursor_required_string(const struct json_cursor *cursor, const char *name, const char *example)
{
    const char *s = json_cursor_string(cursor, name);

    if (!s || !*s) {
        json_cursor_error(cursor, name, "is missing, expected like %s", example);
        return NULL;
    }
    return s;
}

/* Returns the boolean 'name', false if it is absent. */
bool
json_cursor_bool(const struct json_cursor *cursor, const char *name)
{
    struct json_cursor child = typed_member(cursor, name, json_type_boolean,
                                            "boolean, expected true or false");

    return child.json && json_object_get_boolean(child.json);
}

/* Returns the integer 'name', 0 if it is absent.  It must be at least 'min' and at most 'max'. */
int64_t
json_cursor_integer(const struct json_cursor *cursor, const char *name, int64_t min, int64_t max)
{
    struct json_cursor child = typed_member(cursor, name, json_type_int, "integer");

    if (!child.json) {
        return 0;
    }
    int64_t value = json_object_get_int64(child.json);
    if (value < min || value > max) {
        json_cursor_error(&child, NULL, "%"PRId64" is out of range, expected %"PRId64" to %"PRId64,
                          value, min, max);
        return 0;
    }
    return value;
}

/* Stores the factor that the Kubernetes quantity suffix 's' stands for in '*factor'.  Returns
 * true if successful. */
static bool
quantity_factor(const char *s, double *factor)
{
    static const char suffixes[] = "kMGTPE";
    const char *suffix = *s == 'K' && s[1] == 'i' ? suffixes : *s ? strchr(suffixes, *s) : NULL;

    if (!*s) {
        *factor = 1;
        return true;
    } else if (suffix && (!s[1] || (s[1] == 'i' && !s[2] && *s != 'k'))) {
        *factor = pow(s[1] ? 1024 : 1000, suffix - suffixes + 1);
        return true;
    } else if (*s == 'e' || *s == 'E') {
        char *end;
        long int exponent = strtol(s + 1, &end, 10);
        *factor = pow(10, exponent);
        return end != s + 1 && !*end && exponent >= 0 && exponent <= 18;
    }
    return false;
}

static bool
parse_quantity(const char *s, uint64_t *value)
{
    size_t n = strspn(s, "0123456789.");
    char *number = xmemdup0(s, n);
    double factor = 0;
    char *end;
    double x = strtod(number, &end);
    bool ok = n && !*end && end != number && quantity_factor(s + n, &factor);

    free(number);
    x *= factor;
    if (!ok || !(x >= 1) || x > 1e18) {
        return false;
    }
    *value = x;
    return true;
}

/* Returns the Kubernetes quantity 'name', a string like "10M" or a number, rounded down; 0 if it
 * is absent.  Less than 1 is an error. */
uint64_t
json_cursor_quantity(const struct json_cursor *cursor, const char *name)
{
    struct json_cursor child = member(cursor, name);
    uint64_t value = 0;

    switch (json_object_get_type(child.json)) {
    case json_type_null:
        return 0;
    case json_type_string:
    case json_type_int:
    case json_type_double:
        if (parse_quantity(json_object_get_string(child.json), &value)) {
            return value;
        }
        break;
    default:
        break;
    }
    error_value(&child, "positive quantity", "500k, 10M or 1Gi");
    return 0;
}

/* Stores the IP address 'name' in '*addr', or in6addr_any if it is absent or wrong.  Returns
 * true if it is there. */
bool
json_cursor_address(const struct json_cursor *cursor, const char *name, struct in6_addr *addr)
{
    struct json_cursor child = member(cursor, name);

    *addr = in6addr_any;
    if (!child.json) {
        return false;
    } else if (!json_object_is_type(child.json, json_type_string)
               || !ip_parse_address(json_object_get_string(child.json), addr)
               || !ip_is_set(addr)) {
        error_value(&child, "IP address", "10.0.0.1 or fd00::1");
        return false;
    }
    return true;
}

/* Stores the CIDR 'name' in '*prefix'.  Returns true if it is there and right. */
bool
json_cursor_cidr(const struct json_cursor *cursor, const char *name, struct ip_prefix *prefix)
{
    struct json_cursor child = member(cursor, name);

    if (!child.json) {
        return false;
    } else if (!json_object_is_type(child.json, json_type_string)) {
        error_value(&child, "CIDR", "10.0.0.0/24 or fd00::/64");
        return false;
    }
    char *error = ip_parse_prefix(json_object_get_string(child.json), prefix);
    if (error) {
        json_cursor_error(&child, NULL, "%s", error);
        free(error);
        return false;
    }
    return true;
}

/* Adds the members of the mapping 'name', which must be strings, to 'map', replacing what it
 * has. */
void
json_cursor_string_map(const struct json_cursor *cursor, const char *name, struct smap *map)
{
    struct json_cursor child = json_cursor_object(cursor, name);

    if (!child.json) {
        return;
    }
    json_object_object_foreach (child.json, key, value) {
        const char *s = value ? json_cursor_string(&child, key) : "";
        if (s) {
            smap_replace(map, key, s);
        }
    }
}

/* Lists. */

/* Stores the list of CIDRs 'name' in '*prefixes', which the caller must free.  Returns their
 * number. */
size_t
json_cursor_cidrs(const struct json_cursor *cursor, const char *name, struct ip_prefix **prefixes)
{
    struct json_cursor list = json_cursor_array(cursor, name);
    size_t n_items = json_cursor_length(&list);
    size_t n = 0;

    *prefixes = n_items ? xmalloc(n_items * sizeof **prefixes) : NULL;
    for (size_t i = 0; i < n_items; i++) {
        struct json_cursor item = json_cursor_item(&list, i);
        n += json_cursor_cidr(&item, NULL, &(*prefixes)[n]);
    }
    return n;
}

/* Stores the list of addresses 'name', which may have one of each family, in 'addresses'. */
void
json_cursor_address_per_family(const struct json_cursor *cursor, const char *name,
                               struct in6_addr addresses[N_IP_FAMILIES])
{
    struct json_cursor list = json_cursor_array(cursor, name);

    for (size_t i = 0; i < json_cursor_length(&list); i++) {
        struct json_cursor item = json_cursor_item(&list, i);
        struct in6_addr addr;

        if (!json_cursor_address(&item, NULL, &addr)) {
            continue;
        }
        enum ip_family family = ip_family_of(&addr);
        if (ip_is_set(&addresses[family])) {
            char *first = ip_to_string(&addresses[family]);
            json_cursor_error(&item, NULL, "%s is a second %s address after %s, "
                              "expected at most one per family",
                              json_object_get_string(item.json), ip_family_name(family), first);
            free(first);
        }
        addresses[family] = addr;
    }
}
