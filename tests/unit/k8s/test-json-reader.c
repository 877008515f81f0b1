#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "k8s/json-c.h"
#include "k8s/json-reader.h"
#include "k8s/yaml.h"
#include "smap.h"
#include "util.h"

/* A document and a reader of it. */
struct fixture {
    struct json_object *json;
    struct json_reader reader;
    struct json_cursor root;
};

static void
keep_document(struct json_object *json, void *jsonp)
{
    *(struct json_object **) jsonp = json_object_get(json);
}

static void
open_yaml(struct fixture *f, const char *yaml)
{
    unsigned int line;

    memset(f, 0, sizeof *f);
    assert_null(yaml_read_documents(yaml, strlen(yaml), keep_document, &f->json, &line));
    f->root = json_reader_start(&f->reader, f->json);
}

/* Fails unless the reads from 'f' came to 'error' in 'line'.  NULL stands for none. */
static void
close_with(struct fixture *f, unsigned int line, const char *error)
{
    if (error) {
        assert_true(json_reader_failed(&f->reader));
        assert_string_equal(f->reader.error, error);
    } else {
        assert_null(f->reader.error);
    }
    assert_int_equal(f->reader.line, line);
    free(f->reader.error);
    json_release(f->json);
}

static void
test_absent(void **state)
{
    struct in6_addr addr;
    struct ip_prefix prefix;
    struct smap map = SMAP_INITIALIZER(&map);
    struct fixture f;

    open_yaml(&f, "a: null\n");
    struct json_cursor a = json_cursor_object(&f.root, "a");
    struct json_cursor b = json_cursor_object(&a, "b");
    assert_null(json_cursor_string(&b, "x"));
    assert_false(json_cursor_bool(&b, "x"));
    assert_int_equal(json_cursor_integer(&b, "x", 5, 6), 0);
    assert_int_equal(json_cursor_quantity(&b, "x"), 0);
    assert_false(json_cursor_address(&b, "x", &addr));
    assert_false(json_cursor_cidr(&b, "x", &prefix));
    assert_false(json_cursor_has(&b, "x"));
    json_cursor_string_map(&b, "x", &map);
    assert_true(smap_is_empty(&map));
    struct json_cursor list = json_cursor_array(&b, "x");
    assert_int_equal(json_cursor_length(&list), 0);
    close_with(&f, 0, NULL);
}

static void
test_first_error_counts(void **state)
{
    struct fixture f;

    open_yaml(&f, "a: 1\nspec:\n  b:\n  - c: x\n  - c: y\n");
    struct json_cursor spec = json_cursor_object(&f.root, "spec");
    struct json_cursor b = json_cursor_array(&spec, "b");
    struct json_cursor item = json_cursor_item(&b, 1);
    assert_int_equal(json_cursor_integer(&item, "c", 0, 9), 0);
    json_cursor_string(&f.root, "a");
    close_with(&f, 5, "spec.b[1].c: \"y\" is no integer");
}

static void
assert_string_error(const char *yaml, const char *error)
{
    struct fixture f;

    open_yaml(&f, yaml);
    assert_null(json_cursor_string(&f.root, "a"));
    close_with(&f, 1, error);
}

static void
test_wrong_types(void **state)
{
    struct fixture f;

    assert_string_error("a: 12", "a: 12 is no string (numbers and true or false need quotes)");
    assert_string_error("a: {}",
                        "a: a mapping is no string (numbers and true or false need quotes)");
    assert_string_error("a: []", "a: a list is no string (numbers and true or false need quotes)");

    open_yaml(&f, "a: \"no\"");
    json_cursor_bool(&f.root, "a");
    close_with(&f, 1, "a: \"no\" is no boolean, expected true or false");

    open_yaml(&f, "a: []");
    json_cursor_object(&f.root, "a");
    close_with(&f, 1, "a: a list is no mapping");

    open_yaml(&f, "a: {}");
    json_cursor_array(&f.root, "a");
    close_with(&f, 1, "a: a mapping is no list");

    open_yaml(&f, "a:\n- null\n");
    struct json_cursor list = json_cursor_array(&f.root, "a");
    json_cursor_item(&list, 0);
    close_with(&f, 1, "a[0]: is null, expected a value");
}

static void
test_long_value_is_cut(void **state)
{
    char *value = xasprintf("%0300d", 0);
    char *yaml = xasprintf("a: \"%s\"", value);
    char *error = xasprintf("a: \"%.99s... is no boolean, expected true or false", value);
    struct fixture f;

    open_yaml(&f, yaml);
    json_cursor_bool(&f.root, "a");
    close_with(&f, 1, error);
    free(value);
    free(yaml);
    free(error);
}

static void
assert_unknown_field(const char *yaml, const char *error)
{
    static const char *const fields[] = { "egressIP", "podSelector", "nodeSelector", NULL };
    struct fixture f;

    open_yaml(&f, yaml);
    json_cursor_only_fields(&f.root, fields);
    close_with(&f, error ? 2 : 0, error);
}

static void
test_unknown_fields(void **state)
{
    assert_unknown_field("egressIP: x\nnodeSelector: x\n", NULL);
    assert_unknown_field("egressIP: x\negressIp: x\n",
                         "egressIp: unknown field, did you mean egressIP?");
    assert_unknown_field("egressIP: x\npodSelectors: x\n",
                         "podSelectors: unknown field, did you mean podSelector?");
    assert_unknown_field("egressIP: x\nnodSelector: x\n",
                         "nodSelector: unknown field, did you mean podSelector?");
    assert_unknown_field("egressIP: x\ncolour: x\n",
                         "colour: unknown field, expected egressIP, podSelector or nodeSelector");
}

static void
test_integers(void **state)
{
    struct fixture f;

    open_yaml(&f, "{a: -5, b: 2147483648}");
    assert_int_equal(json_cursor_integer(&f.root, "a", INT32_MIN, INT32_MAX), -5);
    assert_int_equal(json_cursor_integer(&f.root, "b", INT32_MIN, INT32_MAX), 0);
    close_with(&f, 1, "b: 2147483648 is out of range, expected -2147483648 to 2147483647");
}

static void
assert_quantity(const char *value, uint64_t expected)
{
    char *yaml = xasprintf("a: %s", value);
    struct fixture f;

    open_yaml(&f, yaml);
    assert_int_equal(json_cursor_quantity(&f.root, "a"), expected);
    close_with(&f, 0, NULL);
    free(yaml);
}

static void
assert_no_quantity(const char *value)
{
    char *yaml = xasprintf("a: %s", value);
    char *error = xasprintf("a: %s is no positive quantity, expected like 500k, 10M or 1Gi", value);
    struct fixture f;

    open_yaml(&f, yaml);
    assert_int_equal(json_cursor_quantity(&f.root, "a"), 0);
    close_with(&f, 1, error);
    free(yaml);
    free(error);
}

static void
test_quantities(void **state)
{
    assert_quantity("500k", 500000);
    assert_quantity("10M", 10000000);
    assert_quantity("1.5G", 1500000000);
    assert_quantity("1Ki", 1024);
    assert_quantity("2Gi", 2147483648);
    assert_quantity("1e6", 1000000);
    assert_quantity("\"3E3\"", 3000);
    assert_quantity("\"0.1E\"", 100000000000000000);
    assert_quantity("12000", 12000);
    assert_quantity("\"12000\"", 12000);

    assert_no_quantity("\"10Mbps\"");
    assert_no_quantity("\"10m\"");
    assert_no_quantity("\"1ki\"");
    assert_no_quantity("\"M\"");
    assert_no_quantity("\"\"");
    assert_no_quantity("\"1.2.3\"");
    assert_no_quantity("\"-1\"");
    assert_no_quantity("0");
    assert_no_quantity("\"100E\"");
    assert_no_quantity("true");
}

static void
test_addresses(void **state)
{
    struct in6_addr addrs[N_IP_FAMILIES] = { IN6ADDR_ANY_INIT, IN6ADDR_ANY_INIT };
    struct in6_addr addr;
    struct fixture f;

    open_yaml(&f, "a: 10.0.0.300");
    assert_false(json_cursor_address(&f.root, "a", &addr));
    close_with(&f, 1, "a: \"10.0.0.300\" is no IP address, expected like 10.0.0.1 or fd00::1");

    open_yaml(&f, "a: [fd00::1, 10.0.0.1]");
    json_cursor_address_per_family(&f.root, "a", addrs);
    char *v4 = ip_to_string(&addrs[IP_V4]);
    char *v6 = ip_to_string(&addrs[IP_V6]);
    assert_string_equal(v4, "10.0.0.1");
    assert_string_equal(v6, "fd00::1");
    free(v4);
    free(v6);
    close_with(&f, 0, NULL);

    addrs[IP_V4] = addrs[IP_V6] = in6addr_any;
    open_yaml(&f, "a: [10.0.0.1, 10.0.0.2]");
    json_cursor_address_per_family(&f.root, "a", addrs);
    close_with(&f, 1, "a[1]: 10.0.0.2 is a second IPv4 address after 10.0.0.1, expected at most "
                      "one "
               "per family");
}

static void
test_cidrs(void **state)
{
    struct ip_prefix *prefixes;
    struct fixture f;

    open_yaml(&f, "a: [10.0.0.0/8, 'fd00::/64']");
    assert_int_equal(json_cursor_cidrs(&f.root, "a", &prefixes), 2);
    char *first = ip_prefix_to_string(&prefixes[0]);
    char *second = ip_prefix_to_string(&prefixes[1]);
    assert_string_equal(first, "10.0.0.0/8");
    assert_string_equal(second, "fd00::/64");
    free(first);
    free(second);
    free(prefixes);
    close_with(&f, 0, NULL);

    open_yaml(&f, "a: [10.0.0.0/33]");
    assert_int_equal(json_cursor_cidrs(&f.root, "a", &prefixes), 0);
    free(prefixes);
    close_with(&f, 1, "a[0]: \"10.0.0.0/33\" is no CIDR: the length of an IPv4 prefix is a number "
                      "from 0 "
               "to 32");

    open_yaml(&f, "a: [7]");
    assert_int_equal(json_cursor_cidrs(&f.root, "a", &prefixes), 0);
    free(prefixes);
    close_with(&f, 1, "a[0]: 7 is no CIDR, expected like 10.0.0.0/24 or fd00::/64");
}

static void
test_string_map(void **state)
{
    struct smap map = SMAP_INITIALIZER(&map);
    struct fixture f;

    open_yaml(&f, "a: {x: y, z: null}\nb:\n  ok: 'true'\n  not: true\n");
    json_cursor_string_map(&f.root, "a", &map);
    assert_int_equal(smap_count(&map), 2);
    assert_string_equal(smap_get(&map, "x"), "y");
    assert_string_equal(smap_get(&map, "z"), "");
    json_cursor_string_map(&f.root, "b", &map);
    smap_destroy(&map);
    close_with(&f, 4, "b.not: true is no string (numbers and true or false need quotes)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent),
        cmocka_unit_test(test_first_error_counts),
        cmocka_unit_test(test_wrong_types),
        cmocka_unit_test(test_long_value_is_cut),
        cmocka_unit_test(test_unknown_fields),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_quantities),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_cidrs),
        cmocka_unit_test(test_string_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
