#include <config.h>

#include "k8s/selectors.h"

#include <ctype.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/json-reader.h"
#include "k8s/json-writer.h"
#include "pipeline/selector.h"
#include "util.h"

/* The longest label value, and the longest name in a label key. */
#define MAX_LABEL_NAME 63
/* The longest DNS subdomain before the "/" of a label key. */
#define MAX_LABEL_PREFIX 253

static bool
is_alnum(char c)
{
    return isalnum((unsigned char) c);
}

/* Is 's[0..n)' what Kubernetes takes for a label's value or for the name in its key? */
static bool
is_label_name(const char *s, size_t n)
{
    if (!n || n > MAX_LABEL_NAME || !is_alnum(s[0]) || !is_alnum(s[n - 1])) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!is_alnum(s[i]) && !strchr("-_.", s[i])) {
            return false;
        }
    }
    return true;
}

static bool
is_dns_subdomain(const char *s, size_t n)
{
    if (!n || n > MAX_LABEL_PREFIX) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        bool at_edge = !i || i == n - 1 || s[i - 1] == '.' || s[i + 1] == '.';
        bool ok = (islower((unsigned char) s[i]) || isdigit((unsigned char) s[i])
                   || (!at_edge && (s[i] == '-' || s[i] == '.')));
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool
is_label_key(const char *key)
{
    const char *slash = strchr(key, '/');
    const char *name = slash ? slash + 1 : key;

    return (!slash || is_dns_subdomain(key, slash - key)) && is_label_name(name, strlen(name));
}

static bool
is_label_value(const char *value)
{
    return !*value || is_label_name(value, strlen(value));
}

static void
decode_match_labels(const struct json_cursor *selector, struct smap *labels)
{
    struct json_cursor cursor = json_cursor_object(selector, "matchLabels");
    const struct smap_node *node;

    json_cursor_string_map(selector, "matchLabels", labels);
    SMAP_FOR_EACH (node, labels) {
        if (!is_label_key(node->key)) {
            json_cursor_error(&cursor, NULL, "\"%s\" is no label key, expected like app or "
                              "example.com/app", node->key);
        } else if (!is_label_value(node->value)) {
            json_cursor_error(&cursor, node->key, "\"%s\" is no label value, expected up to 63 "
                              "letters, digits, \"-\", \"_\" and \".\"", node->value);
        }
    }
}

static void
decode_values(const struct json_cursor *expression, enum selector_operator op, const char *op_name,
              struct svec *values)
{
    struct json_cursor list = json_cursor_array(expression, "values");
    size_t n = json_cursor_length(&list);
    bool takes_values = op == SELECTOR_IN || op == SELECTOR_NOT_IN;

    if (takes_values && !n) {
        json_cursor_error(expression, "values", "is empty, but operator %s needs at least one",
                          op_name);
    } else if (!takes_values && n) {
        json_cursor_error(expression, "values", "operator %s takes no values", op_name);
    }
    for (size_t i = 0; i < n; i++) {
        struct json_cursor item = json_cursor_item(&list, i);
        const char *value = json_cursor_string(&item, NULL);
        if (value && !is_label_value(value)) {
            json_cursor_error(&item, NULL, "\"%s\" is no label value, expected up to 63 letters, "
                              "digits, \"-\", \"_\" and \".\"", value);
        } else if (value) {
            svec_add(values, value);
        }
    }
}

static void
decode_expression(const struct json_cursor *expression, struct label_selector *selector)
{
    static const char *const fields[] = { "key", "operator", "values", NULL };
    enum selector_operator op = SELECTOR_EXISTS;

    json_cursor_require_object(expression);
    json_cursor_only_fields(expression, fields);

    const char *key = json_cursor_required_string(expression, "key", "app");
    const char *op_name = json_cursor_required_string(expression, "operator",
                                                      "In, NotIn, Exists or DoesNotExist");
    if (!key || !op_name) {
        return;
    } else if (!is_label_key(key)) {
        json_cursor_error(expression, "key", "\"%s\" is no label key, expected like app or "
                          "example.com/app", key);
    } else if (!selector_operator_from_string(op_name, &op)) {
        json_cursor_error(expression, "operator", "\"%s\" is no operator, expected In, NotIn, "
                          "Exists or DoesNotExist", op_name);
        return;
    }

    struct svec values = SVEC_EMPTY_INITIALIZER;
    decode_values(expression, op, op_name, &values);
    if (!json_reader_failed(expression->reader)) {
        label_selector_add_requirement(selector, key, op, &values);
    }
    svec_destroy(&values);
}

/* Adds what the label selector 'name' in 'cursor' requires to 'selector', which the caller has
 * initialized.  Returns true if there is such a selector, even an empty one, which selects
 * everything. */
bool
decode_label_selector(const struct json_cursor *cursor, const char *name,
                      struct label_selector *selector)
{
    static const char *const fields[] = { "matchLabels", "matchExpressions", NULL };
    struct json_cursor json = json_cursor_object(cursor, name);

    if (!json.json) {
        return false;
    }
    json_cursor_only_fields(&json, fields);
    decode_match_labels(&json, &selector->match_labels);

    struct json_cursor expressions = json_cursor_array(&json, "matchExpressions");
    for (size_t i = 0; i < json_cursor_length(&expressions); i++) {
        struct json_cursor expression = json_cursor_item(&expressions, i);
        decode_expression(&expression, selector);
    }
    return true;
}

static const char *
operator_to_string(enum selector_operator op)
{
    switch (op) {
    case SELECTOR_IN:
        return "In";
    case SELECTOR_NOT_IN:
        return "NotIn";
    case SELECTOR_EXISTS:
        return "Exists";
    case SELECTOR_DOES_NOT_EXIST:
        return "DoesNotExist";
    }
    OVS_NOT_REACHED();
}

static struct json_object *
encode_expression(const struct selector_requirement *req)
{
    struct json_object *json = json_object_new_object();

    json_object_object_add(json, "key", json_object_new_string(req->key));
    json_object_object_add(json, "operator", json_object_new_string(operator_to_string(req->op)));
    if (req->values.n) {
        struct json_object *values = json_object_new_array();

        for (size_t i = 0; i < req->values.n; i++) {
            json_object_array_add(values, json_object_new_string(req->values.names[i]));
        }
        json_object_object_add(json, "values", values);
    }
    return json;
}

/* Returns 'selector' in such a way that decode_label_selector() yields an equal one, and equal
 * ones look equal.  The caller owns it. */
struct json_object *
encode_label_selector(const struct label_selector *selector)
{
    struct json_object *json = json_object_new_object();

    if (!smap_is_empty(&selector->match_labels)) {
        json_object_object_add(json, "matchLabels", encode_string_map(&selector->match_labels));
    }
    if (selector->n_requirements) {
        struct json_object *expressions = json_object_new_array();

        for (size_t i = 0; i < selector->n_requirements; i++) {
            json_object_array_add(expressions, encode_expression(&selector->requirements[i]));
        }
        json_object_object_add(json, "matchExpressions", expressions);
    }
    return json;
}
