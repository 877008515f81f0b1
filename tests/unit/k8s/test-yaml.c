#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "k8s/json-c.h"
#include "k8s/yaml.h"
#include "openvswitch/dynamic-string.h"
#include "util.h"

static void
put_document(struct json_object *json, void *s)
{
    ds_put_format(s, "%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN));
}

static void
assert_reads_n(const char *yaml, size_t n, const char *expected)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    unsigned int line;

    char *error = yaml_read_documents(yaml, n, put_document, &s, &line);
    if (error) {
        ds_put_format(&s, "line %u: %s\n", line, error);
        free(error);
    }
    assert_string_equal(ds_cstr(&s), expected);
    ds_destroy(&s);
}

/* Fails unless 'yaml' reads as 'expected', a line for each document, and then maybe one for an
 * error. */
static void
assert_reads(const char *yaml, const char *expected)
{
    assert_reads_n(yaml, strlen(yaml), expected);
}

static void
test_null_and_booleans(void **state)
{
    assert_reads("[null, ~, Null, NULL, , nulL]",
                 "line 1: did not find expected node content, while "
                 "parsing a flow node that starts in line 1\n");
    assert_reads("[null, ~, Null, NULL, nulL]", "[null,null,null,null,\"nulL\"]\n");
    assert_reads("a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}\n");
    assert_reads("[true, True, TRUE, false, False, FALSE]",
                 "[true,true,true,false,false,false]\n");
    assert_reads("[yes, no, on, off, y, n, tRue]",
                 "[\"yes\",\"no\",\"on\",\"off\",\"y\",\"n\",\"tRue\"]\n");
}

static void
test_numbers(void **state)
{
    assert_reads("[0, 12, -7, +7, 0123, 0x1F, 0o17]", "[0,12,-7,7,123,31,15]\n");
    assert_reads("[9223372036854775807, 18446744073709551615, 18446744073709551616]",
                 "[9223372036854775807,18446744073709551615,\"18446744073709551616\"]\n");
    assert_reads("[-9223372036854775808, -9223372036854775809]",
                 "[-9223372036854775808,\"-9223372036854775809\"]\n");
    assert_reads("[1.5, .5, 1e3, -2.5E-1]", "[1.5,0.5,1000.0,-0.25]\n");
    assert_reads("[1e999, .inf, .nan, ., 1e, 0x, 0xg, -]",
                 "[\"1e999\",\".inf\",\".nan\",\".\",\"1e\",\"0x\",\"0xg\",\"-\"]\n");
}

static void
test_strings(void **state)
{
    assert_reads("[10.0.0.1, 1:30, 2024-05-01T12:00:00Z, fd00::1]",
                 "[\"10.0.0.1\",\"1:30\",\"2024-05-01T12:00:00Z\",\"fd00::1\"]\n");
    assert_reads("['1', \"true\", \"null\", !!str 5, !!int '5', !!null x]",
                 "[\"1\",\"true\",\"null\",\"5\",5,null]\n");
    assert_reads("a: |\n  true\nb: >-\n  1\n", "{\"a\":\"true\\n\",\"b\":\"1\"}\n");
    assert_reads("a: !!binary aGk=\n",
                 "line 1: tag \"tag:yaml.org,2002:binary\" has no meaning here, "
                 "expected !!str or none\n");
    assert_reads("a: \"\\0\"\n", "line 1: a string must not contain a NUL character\n");
    assert_reads("\"\\0\": a\n", "line 1: a string must not contain a NUL character\n");
}

static void
test_documents(void **state)
{
    assert_reads("", "");
    assert_reads("# nothing\n---\n---\na: 1\n---\nb: 2\n...\n", "{\"a\":1}\n{\"b\":2}\n");
    assert_reads("{\"a\": [1, \"x\"],\n\t\"b\":{\"c\":null}}",
                 "{\"a\":[1,\"x\"],\"b\":{\"c\":null}}\n");
    assert_reads("a: 1\n---\nb: [\n",
                 "{\"a\":1}\nline 4: did not find expected node content, while "
                 "parsing a flow node that starts in line 4\n");
}

static void
test_syntax_errors(void **state)
{
    assert_reads("a: 1\n b: 2\n", "line 2: mapping values are not allowed in this context\n");
    assert_reads("a:\n- b\n-c\n",
                 "line 4: could not find expected ':', while scanning a simple key that "
                 "starts in line 3\n");
    assert_reads("\n\na: \"x\n", "line 4: found unexpected end of stream, while scanning a quoted "
                 "scalar that starts in line 3\n");
    assert_reads_n("a: \xff\n", 5, "line 1: invalid leading UTF-8 octet\n");
    assert_reads("a: 1\nb: 2\na: 3\n", "line 3: key \"a\" is there twice\n");
    assert_reads("? [a]\n: b\n", "line 1: a mapping's key must be a string\n");
}

static void
test_aliases(void **state)
{
    assert_reads("a: &x {b: 1}\nc: *x\nd: [*x, *x]\n",
                 "{\"a\":{\"b\":1},\"c\":{\"b\":1},\"d\":[{\"b\":1},{\"b\":1}]}\n");
    assert_reads("a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}\n");
    assert_reads("a: &x null\nb: *x\n", "{\"a\":null,\"b\":null}\n");
    assert_reads("a: &x 1\n---\nb: *x\n",
                 "{\"a\":1}\nline 3: alias \"*x\" has no anchor \"&x\" before it\n");
    assert_reads("a: &x [1, *x]\n", "line 1: alias \"*x\" is within its own anchor\n");
    assert_reads("&x a: &x [&x b, *x]\n", "{\"a\":[\"b\",\"b\"]}\n");
}

static void
test_alias_bound(void **state)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    ds_put_cstr(&s, "a0: &a0 [1, 2, 3, 4, 5, 6, 7, 8, 9]\n");
    for (int i = 1; i < 20; i++) {
        ds_put_format(&s, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i,
                      i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    assert_reads(ds_cstr(&s), "line 6: aliases add up to more than 100000 values in one "
                              "document\n");
    ds_destroy(&s);
}

static void
test_merge_keys(void **state)
{
    assert_reads("a: &x {b: 1, c: 2}\nd:\n  c: 3\n  <<: *x\n",
                 "{\"a\":{\"b\":1,\"c\":2},\"d\":{\"c\":3,\"b\":1}}\n");
    assert_reads("<<: [{a: 1}, {a: 2, b: 2}]\n", "{\"a\":1,\"b\":2}\n");
    assert_reads("'<<': 1\n", "{\"<<\":1}\n");
    assert_reads("<<: 1\n", "line 1: merge key \"<<\" needs a mapping or a list of mappings\n");
    assert_reads("<<: [1]\n", "line 1: merge key \"<<\" needs a mapping or a list of mappings\n");
    assert_reads("<<:\n", "line 1: merge key \"<<\" needs a mapping or a list of mappings\n");
    assert_reads("<<: {}\n<<: {}\n", "line 2: key \"<<\" is there twice\n");
}

static void
test_depth_bound(void **state)
{
    char text[202];

    memset(text, '[', 100);
    memset(text + 100, ']', 100);
    text[200] = '\0';
    char *expected = xasprintf("%s\n", text);
    assert_reads(text, expected);
    free(expected);

    memset(text, '[', 101);
    assert_reads(text, "line 1: nested more than 100 levels deep\n");
}

static void
check_lines(struct json_object *json, void *aux)
{
    struct json_object *a, *b, *c;

    assert_int_equal(yaml_get_line(json), 3);
    assert_true(json_object_object_get_ex(json, "a", &a));
    assert_int_equal(yaml_get_line(a), 3);
    assert_true(json_object_object_get_ex(a, "b", &b));
    assert_int_equal(yaml_get_line(b), 4);
    assert_int_equal(yaml_get_line(json_object_array_get_idx(b, 1)), 6);
    assert_true(json_object_object_get_ex(json, "c", &c));
    assert_null(c);
    assert_int_equal(yaml_get_line(c), 0);
    *(bool *) aux = true;
}

static void
test_lines(void **state)
{
    static const char yaml[] = "# comment\n---\na:\n  b:\n  - 1\n  - 2\nc:\n";
    bool called = false;
    unsigned int line;

    assert_null(yaml_read_documents(yaml, strlen(yaml), check_lines, &called, &line));
    assert_true(called);
    assert_int_equal(line, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null_and_booleans),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_documents),
        cmocka_unit_test(test_syntax_errors),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_alias_bound),
        cmocka_unit_test(test_merge_keys),
        cmocka_unit_test(test_depth_bound),
        cmocka_unit_test(test_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
