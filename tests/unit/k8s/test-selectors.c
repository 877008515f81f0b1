#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "k8s/json-reader.h"
#include "k8s/selectors.h"
#include "k8s/yaml.h"
#include "openvswitch/dynamic-string.h"
#include "pipeline/selector.h"
#include "util.h"

static void
put_selector(struct json_object *json, void *s)
{
    struct json_reader reader = JSON_READER_INITIALIZER;
    struct json_cursor root = json_reader_start(&reader, json);
    struct label_selector selector;

    label_selector_init(&selector);
    bool present = decode_label_selector(&root, "s", &selector);
    if (reader.error) {
        ds_put_cstr(s, reader.error);
    } else if (present) {
        ds_put_char(s, '{');
        label_selector_format(&selector, s);
        ds_put_char(s, '}');
    } else {
        ds_put_cstr(s, "absent");
    }
    free(reader.error);
    label_selector_destroy(&selector);
}

/* Fails unless 'yaml' as a selector comes to 'expected': a selector, "absent" or an error. */
static void
assert_selector(const char *yaml, const char *expected)
{
    char *document = xasprintf("s: %s\n", yaml);
    struct ds s = DS_EMPTY_INITIALIZER;
    unsigned int line;

    assert_null(yaml_read_documents(document, strlen(document), put_selector, &s, &line));
    assert_string_equal(ds_cstr(&s), expected);
    ds_destroy(&s);
    free(document);
}

static void
test_good(void **state)
{
    assert_selector("", "absent");
    assert_selector("{}", "{}");
    assert_selector("{matchLabels: {}, matchExpressions: []}", "{}");
    assert_selector("{matchLabels: {b: x, a.io/b: ''}}", "{a.io/b=,b=x}");
    assert_selector("{matchExpressions: [{key: a, operator: In, values: [y, x]}]}", "{a in (x,y)}");
    assert_selector("{matchExpressions: [{key: a, operator: NotIn, values: [x]}]}",
                    "{a notin (x)}");
    assert_selector("{matchExpressions: [{key: a, operator: Exists}]}", "{a}");
    assert_selector("{matchExpressions: [{key: a, operator: DoesNotExist, values: []}]}", "{!a}");
    assert_selector("{matchLabels: {z: '1'}, matchExpressions: [{key: a, operator: Exists}]}",
                    "{z=1,a}");
}

static void
test_wrong_fields(void **state)
{
    assert_selector("x", "s: \"x\" is no mapping");
    assert_selector("{matchLabel: {a: b}}",
                    "s.matchLabel: unknown field, did you mean matchLabels?");
    assert_selector("{app: web}", "s.app: unknown field, expected matchLabels or matchExpressions");
    assert_selector("{matchExpressions: [{key: a, operater: In}]}",
                    "s.matchExpressions[0].operater: unknown field, did you mean operator?");
    assert_selector("{matchExpressions: [a]}", "s.matchExpressions[0]: \"a\" is no mapping");
}

static void
test_wrong_labels(void **state)
{
    assert_selector("{matchLabels: {a: 1}}",
                    "s.matchLabels.a: 1 is no string (numbers and true or false need quotes)");
    assert_selector("{matchLabels: {-a: x}}",
                    "s.matchLabels: \"-a\" is no label key, expected like app or example.com/app");
    assert_selector("{matchLabels: {A_b/c: x}}",
                    "s.matchLabels: \"A_b/c\" is no label key, expected like app or "
                    "example.com/app");
    assert_selector("{matchLabels: {a/b/c: x}}",
                    "s.matchLabels: \"a/b/c\" is no label key, expected like app or "
                    "example.com/app");
    assert_selector("{matchLabels: {a..b/c: x}}",
                    "s.matchLabels: \"a..b/c\" is no label key, expected like app or "
                    "example.com/app");
    assert_selector("{matchLabels: {a: 'x y'}}",
                    "s.matchLabels.a: \"x y\" is no label value, expected up to 63 letters, "
                    "digits, "
                    "\"-\", \"_\" and \".\"");
    assert_selector("{matchLabels: {a: x-}}",
                    "s.matchLabels.a: \"x-\" is no label value, expected up to 63 letters, digits, "
                    "\"-\", \"_\" and \".\"");
}

static void
test_wrong_expressions(void **state)
{
    assert_selector("{matchExpressions: [{operator: Exists}]}",
                    "s.matchExpressions[0].key: is missing, expected like app");
    assert_selector("{matchExpressions: [{key: a}]}",
                    "s.matchExpressions[0].operator: is missing, expected like In, NotIn, Exists "
                    "or "
                    "DoesNotExist");
    assert_selector("{matchExpressions: [{key: a, operator: in, values: [x]}]}",
                    "s.matchExpressions[0].operator: \"in\" is no operator, expected In, NotIn, "
                    "Exists "
                    "or DoesNotExist");
    assert_selector("{matchExpressions: [{key: a, operator: In}]}",
                    "s.matchExpressions[0].values: is empty, but operator In needs at least one");
    assert_selector("{matchExpressions: [{key: a, operator: NotIn, values: []}]}",
                    "s.matchExpressions[0].values: is empty, but operator NotIn needs at least "
                    "one");
    assert_selector("{matchExpressions: [{key: a, operator: Exists, values: [x]}]}",
                    "s.matchExpressions[0].values: operator Exists takes no values");
    assert_selector("{matchExpressions: [{key: a, operator: In, values: [x, 1]}]}",
                    "s.matchExpressions[0].values[1]: 1 is no string (numbers and true or false "
                    "need "
                    "quotes)");
    assert_selector("{matchExpressions: [{key: a, operator: In, values: [x, '/']}]}",
                    "s.matchExpressions[0].values[1]: \"/\" is no label value, expected up to 63 "
                    "letters, "
                    "digits, \"-\", \"_\" and \".\"");
    assert_selector("{matchExpressions: [{key: a b, operator: Exists}]}",
                    "s.matchExpressions[0].key: \"a b\" is no label key, expected like app or "
                    "example.com/app");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_wrong_fields),
        cmocka_unit_test(test_wrong_labels),
        cmocka_unit_test(test_wrong_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
