#include <config.h>

#include "k8s/yaml.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "k8s/json-c.h"
#include "openvswitch/shash.h"
#include "util.h"

/* A custom resource definition, the deepest thing that is likely to lie around, nests to about
 * 40. */
#define MAX_DEPTH 100

/* Values in one document: a List of all of the pods of a large cluster has less. */
#define MAX_VALUES 4000000

/* Values that aliases add to one document.  Few suffice to make a small text explode. */
#define MAX_ALIASED_VALUES 100000

struct anchor {
    struct json_object *json;   /* Owned reference, NULL for null. */
    size_t n_values;            /* Values in 'json', itself included. */
    bool complete;              /* False within the value itself. */
};

struct loader {
    yaml_parser_t parser;
    struct shash anchors;       /* struct anchor, by name, in the current document. */
    unsigned int depth;
    size_t n_values;            /* In the current document, aliases included. */
    size_t n_aliased;
    char *error;
    unsigned int error_line;
};

static bool load_value(struct loader *, const yaml_event_t *, struct json_object **);

/* Returns the line, counted from 1, on which 'json' was written, or 0 if 'json' is null.  The
 * value of a mapping's key is where its key is. */
unsigned int
yaml_get_line(const struct json_object *json)
{
    return json ? (uintptr_t) json_object_get_userdata(CONST_CAST(struct json_object *, json)) : 0;
}

static void
set_line(struct json_object *json, size_t line)
{
    if (json) {
        json_object_set_userdata(json, (void *) (uintptr_t) line, NULL);
    }
}

static bool OVS_PRINTF_FORMAT(3, 4)
fail(struct loader *loader, size_t line, const char *format, ...)
{
    if (!loader->error) {
        va_list args;

        va_start(args, format);
        loader->error = xvasprintf(format, args);
        va_end(args);
        loader->error_line = line;
    }
    return false;
}

static bool
fail_parser(struct loader *loader)
{
    const yaml_parser_t *p = &loader->parser;

    if (p->error == YAML_READER_ERROR) {
        return fail(loader, p->mark.line + 1, "%s", p->problem);
    } else if (p->error == YAML_MEMORY_ERROR) {
        out_of_memory();
    } else if (p->context) {
        return fail(loader, p->problem_mark.line + 1, "%s, %s that starts in line %"PRIuSIZE,
                    p->problem, p->context, p->context_mark.line + 1);
    }
    return fail(loader, p->problem_mark.line + 1, "%s", p->problem);
}

static bool
next_event(struct loader *loader, yaml_event_t *event)
{
    return yaml_parser_parse(&loader->parser, event) ? true : fail_parser(loader);
}

/* Scalars. */

static const char *
skip_digits(const char *s)
{
    return s + strspn(s, "0123456789");
}

static bool
is_integer(const char *s, int *base)
{
    if (s[0] == '0' && (s[1] == 'x' || s[1] == 'o')) {
        *base = s[1] == 'x' ? 16 : 8;
        s += 2;
        return *s && !s[strspn(s, *base == 16 ? "0123456789abcdefABCDEF" : "01234567")];
    }
    *base = 10;
    s += *s == '-' || *s == '+';
    return *s && !*skip_digits(s);
}

static bool
is_decimal(const char *s)
{
    s += *s == '-' || *s == '+';

    const char *start = s;
    s = skip_digits(s);
    size_t n = s - start;
    if (*s == '.') {
        start = s + 1;
        s = skip_digits(start);
        n += s - start;
    }
    if (n && (*s == 'e' || *s == 'E')) {
        s++;
        s += *s == '-' || *s == '+';
        start = s;
        s = skip_digits(s);
        n = s - start;
    }
    return n && !*s;
}

static struct json_object *
resolve_integer(const char *s, int base)
{
    const char *digits = base == 10 ? s : s + 2;

    errno = 0;
    long long int value = strtoll(digits, NULL, base);
    if (!errno) {
        return json_object_new_int64(value);
    }
    errno = 0;
    unsigned long long int positive = strtoull(digits, NULL, base);
    if (!errno && *digits != '-') {
        return json_object_new_uint64(positive);
    }
    return json_object_new_string(s);
}

static bool
is_one_of(const char *s, const char *a, const char *b, const char *c)
{
    return !strcmp(s, a) || !strcmp(s, b) || !strcmp(s, c);
}

/* Returns the value that the plain scalar 's' stands for.  What JSON has no number for stays a
 * string. */
static struct json_object *
resolve_plain(const char *s)
{
    int base;

    if (!*s || !strcmp(s, "~") || is_one_of(s, "null", "Null", "NULL")) {
        return NULL;
    } else if (is_one_of(s, "true", "True", "TRUE")) {
        return json_object_new_boolean(true);
    } else if (is_one_of(s, "false", "False", "FALSE")) {
        return json_object_new_boolean(false);
    } else if (is_integer(s, &base)) {
        return resolve_integer(s, base);
    } else if (is_decimal(s)) {
        double value = strtod(s, NULL);
        return isfinite(value) ? json_object_new_double(value) : json_object_new_string(s);
    }
    return json_object_new_string(s);
}

static bool
load_scalar(struct loader *loader, const yaml_event_t *event, struct json_object **json)
{
    const char *s = (const char *) event->data.scalar.value;
    const char *tag = (const char *) event->data.scalar.tag;
    size_t line = event->start_mark.line + 1;

    if (memchr(s, '\0', event->data.scalar.length)) {
        return fail(loader, line, "a string must not contain a NUL character");
    } else if (tag && !strcmp(tag, YAML_STR_TAG)) {
        *json = json_object_new_string(s);
    } else if (tag && is_one_of(tag, YAML_INT_TAG, YAML_FLOAT_TAG, YAML_BOOL_TAG)) {
        *json = resolve_plain(s);
    } else if (tag && strcmp(tag, YAML_NULL_TAG)) {
        return fail(loader, line, "tag \"%s\" has no meaning here, expected !!str or none", tag);
    } else if (tag) {
        *json = NULL;
    } else {
        bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        *json = plain ? resolve_plain(s) : json_object_new_string(s);
    }
    set_line(*json, line);
    return true;
}

/* Anchors and aliases. */

static void
clear_anchors(struct loader *loader)
{
    struct shash_node *node;

    SHASH_FOR_EACH (node, &loader->anchors) {
        struct anchor *anchor = node->data;
        json_release(anchor->json);
    }
    shash_clear_free_data(&loader->anchors);
}

/* Begins the anchor 'name', which may be NULL.  A later anchor of the same name replaces the
 * earlier one. */
static struct anchor *
open_anchor(struct loader *loader, const yaml_char_t *name)
{
    if (!name) {
        return NULL;
    }

    struct anchor *anchor = xzalloc(sizeof *anchor);
    struct anchor *old = shash_replace(&loader->anchors, (const char *) name, anchor);
    if (old) {
        json_release(old->json);
        free(old);
    }
    return anchor;
}

static const yaml_char_t *
event_anchor(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor;
    default:
        return NULL;
    }
}

static bool
load_alias(struct loader *loader, const yaml_event_t *event, struct json_object **json)
{
    const char *name = (const char *) event->data.alias.anchor;
    const struct anchor *anchor = shash_find_data(&loader->anchors, name);
    size_t line = event->start_mark.line + 1;

    if (!anchor) {
        return fail(loader, line, "alias \"*%s\" has no anchor \"&%s\" before it", name, name);
    } else if (!anchor->complete) {
        return fail(loader, line, "alias \"*%s\" is within its own anchor", name);
    }
    loader->n_values += anchor->n_values;
    loader->n_aliased += anchor->n_values;
    if (loader->n_aliased > MAX_ALIASED_VALUES) {
        return fail(loader, line, "aliases add up to more than %d values in one document",
                    MAX_ALIASED_VALUES);
    }
    *json = json_object_get(anchor->json);
    return true;
}

/* Collections. */

static bool
load_sequence(struct loader *loader, struct json_object *array)
{
    for (;;) {
        struct json_object *item = NULL;
        yaml_event_t event;

        if (!next_event(loader, &event)) {
            return false;
        }
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        bool ok = end || load_value(loader, &event, &item);
        yaml_event_delete(&event);
        if (end || !ok) {
            return ok;
        }
        json_object_array_add(array, item);
    }
}

/* Adds those members of 'from', a mapping or a sequence of them, to 'object' that 'object'
 * lacks. */
static bool
merge(struct loader *loader, struct json_object *object, struct json_object *from, size_t line)
{
    if (json_object_is_type(from, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(from); i++) {
            struct json_object *item = json_object_array_get_idx(from, i);
            if (!json_object_is_type(item, json_type_object)) {
                return fail(loader, line, "merge key \"<<\" needs a mapping or a list of mappings");
            }
            merge(loader, object, item, line);
        }
        return true;
    } else if (!json_object_is_type(from, json_type_object)) {
        return fail(loader, line, "merge key \"<<\" needs a mapping or a list of mappings");
    }

    json_object_object_foreach (from, key, value) {
        if (!json_object_object_get_ex(object, key, NULL)) {
            json_object_object_add(object, key, json_object_get(value));
        }
    }
    return true;
}

/* Loads the value of the key in 'key_event', to which it stores in '*merged' if the key is a
 * merge key. */
static bool
load_member(struct loader *loader, const yaml_event_t *key_event, struct json_object *object,
            struct json_object **merged)
{
    const char *key = (const char *) key_event->data.scalar.value;
    size_t line = key_event->start_mark.line + 1;

    if (key_event->type != YAML_SCALAR_EVENT) {
        return fail(loader, line, "a mapping's key must be a string");
    } else if (memchr(key, '\0', key_event->data.scalar.length)) {
        return fail(loader, line, "a string must not contain a NUL character");
    }

    bool is_merge = (!strcmp(key, "<<")
                     && key_event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE);
    if (is_merge ? *merged != NULL : json_object_object_get_ex(object, key, NULL)) {
        return fail(loader, line, "key \"%s\" is there twice", key);
    }

    struct json_object *value = NULL;
    yaml_event_t event;
    if (!next_event(loader, &event)) {
        return false;
    }
    bool is_alias = event.type == YAML_ALIAS_EVENT;
    bool ok = load_value(loader, &event, &value);
    yaml_event_delete(&event);
    if (!ok) {
        return false;
    }
    if (!is_alias) {
        set_line(value, line);
    }
    if (is_merge) {
        *merged = value;
        return value ? true : fail(loader, line,
                                   "merge key \"<<\" needs a mapping or a list of mappings");
    }
    json_object_object_add(object, key, value);
    return true;
}

static bool
load_mapping(struct loader *loader, struct json_object *object)
{
    struct json_object *merged = NULL;
    bool ok, end;

    do {
        yaml_event_t event;

        ok = next_event(loader, &event);
        if (!ok) {
            break;
        }
        end = event.type == YAML_MAPPING_END_EVENT;
        ok = end || load_member(loader, &event, object, &merged);
        yaml_event_delete(&event);
    } while (ok && !end);

    if (ok && merged) {
        ok = merge(loader, object, merged, yaml_get_line(merged));
    }
    json_release(merged);
    return ok;
}

static bool
load_collection(struct loader *loader, const yaml_event_t *event, struct json_object **json)
{
    bool is_mapping = event->type == YAML_MAPPING_START_EVENT;
    size_t line = event->start_mark.line + 1;

    if (loader->depth >= MAX_DEPTH) {
        return fail(loader, line, "nested more than %d levels deep", MAX_DEPTH);
    }
    loader->depth++;
    *json = is_mapping ? json_object_new_object() : json_object_new_array_ext(4);
    set_line(*json, line);
    bool ok = is_mapping ? load_mapping(loader, *json) : load_sequence(loader, *json);
    loader->depth--;
    if (!ok) {
        json_release(*json);
        *json = NULL;
    }
    return ok;
}

/* Loads the value that begins with 'event' into '*json', NULL for null.  Returns true if
 * successful, otherwise leaves NULL in '*json' and the reason in 'loader'. */
static bool
load_value(struct loader *loader, const yaml_event_t *event, struct json_object **json)
{
    *json = NULL;
    if (event->type == YAML_ALIAS_EVENT) {
        return load_alias(loader, event, json);
    }
    if (loader->n_values++ >= MAX_VALUES) {
        return fail(loader, event->start_mark.line + 1, "more than %d values in one document",
                    MAX_VALUES);
    }

    size_t n_before = loader->n_values - 1;
    const char *name = (const char *) event_anchor(event);
    open_anchor(loader, event_anchor(event));
    bool ok = (event->type == YAML_SCALAR_EVENT
               ? load_scalar(loader, event, json)
               : load_collection(loader, event, json));

    /* A value within may have taken the anchor's name away. */
    struct anchor *anchor = ok && name ? shash_find_data(&loader->anchors, name) : NULL;
    if (anchor && !anchor->complete) {
        anchor->json = json_object_get(*json);
        anchor->n_values = loader->n_values - n_before;
        anchor->complete = true;
    }
    return ok;
}

/* Loads the next document, if there is one, and hands it to 'cb'.  Returns false at the end and
 * after an error. */
static bool
load_document(struct loader *loader, yaml_document_cb *cb, void *aux)
{
    struct json_object *json = NULL;
    yaml_event_t event;

    if (!next_event(loader, &event)) {
        return false;
    }
    bool end = event.type == YAML_STREAM_END_EVENT;
    bool is_start = event.type == YAML_DOCUMENT_START_EVENT;
    yaml_event_delete(&event);
    if (end || !is_start) {
        return !end;
    }

    loader->n_values = loader->n_aliased = 0;
    if (!next_event(loader, &event)) {
        return false;
    }
    bool ok = load_value(loader, &event, &json);
    yaml_event_delete(&event);
    clear_anchors(loader);
    if (json) {
        cb(json, aux);
        json_release(json);
    }
    return ok;
}

/* Reads the 'length' bytes of 'text' and calls 'cb' with 'aux' for each document.  Returns NULL
 * if all of 'text' could be read, otherwise an error, which the caller must free, and its line
 * in '*error_line'; 'cb' has then been called for the documents before. */
char *
yaml_read_documents(const char *text, size_t length, yaml_document_cb *cb, void *aux,
                    unsigned int *error_line)
{
    struct loader loader = { .depth = 0 };

    shash_init(&loader.anchors);
    if (!yaml_parser_initialize(&loader.parser)) {
        out_of_memory();
    }
    yaml_parser_set_input_string(&loader.parser, (const unsigned char *) text, length);
    while (load_document(&loader, cb, aux)) {
        continue;
    }
    clear_anchors(&loader);
    shash_destroy(&loader.anchors);
    yaml_parser_delete(&loader.parser);
    *error_line = loader.error_line;
    return loader.error;
}
