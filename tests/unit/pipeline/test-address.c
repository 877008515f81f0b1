#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "pipeline/address.h"
#include "util.h"

static struct in6_addr
ip(const char *s)
{
    struct in6_addr addr;

    assert_true(ip_parse_address(s, &addr));
    return addr;
}

static struct ip_prefix
prefix(const char *s)
{
    struct ip_prefix p;

    assert_null(ip_parse_prefix(s, &p));
    return p;
}

/* Asserts that 'actual', which it frees, is 'expected'. */
static void
check_text(char *actual, const char *expected)
{
    assert_non_null(actual);
    assert_string_equal(actual, expected);
    free(actual);
}

static void
test_address_text(void **state)
{
    static const struct {
        const char *in, *out;       /* 'out' is NULL if 'in' is no address. */
        enum ip_family family;
    } cases[] = {
        { "172.16.18.131", "172.16.18.131", IP_V4 },
        { "0.0.0.0", "0.0.0.0", IP_V4 },
        { "2001:DB8:0::1", "2001:db8::1", IP_V6 },
        { "::", "::", IP_V6 },
        { "10.0.0.300", NULL, IP_V6 },
        { "10.0.0", NULL, IP_V6 },
        { "10.0.0.1 ", NULL, IP_V6 },
        { "10.0.0.1/32", NULL, IP_V6 },
        { "::ffff:10.0.0.1", NULL, IP_V6 },
        { "fe80::1%eth0", NULL, IP_V6 },
        { "", NULL, IP_V6 },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct in6_addr addr;

        assert_int_equal(ip_parse_address(cases[i].in, &addr), cases[i].out != NULL);
        assert_int_equal(ip_family_of(&addr), cases[i].family);
        check_text(ip_to_string(&addr), cases[i].out ? cases[i].out : "::");
    }
}

static void
test_prefix_text(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        { "10.1.2.3/8", "10.0.0.0/8" },
        { "10.1.2.3/31", "10.1.2.2/31" },
        { "10.1.2.3/32", "10.1.2.3/32" },
        { "255.255.255.255/0", "0.0.0.0/0" },
        { "2001:db8:ffff::1/33", "2001:db8:8000::/33" },
        { "2001:db8::1/128", "2001:db8::1/128" },
        { "::/0", "::/0" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_prefix p;

        assert_null(ip_parse_prefix(cases[i].in, &p));
        check_text(ip_prefix_to_string(&p), cases[i].out);
    }
}

static void
test_prefix_errors(void **state)
{
    static const struct {
        const char *in, *error;
    } cases[] = {
        { "10.0.0.1", "\"10.0.0.1\" is no CIDR: it has no \"/LENGTH\" after the address" },
        { "10.0.0/8", "\"10.0.0/8\" is no CIDR: expected ADDRESS/LENGTH, as in \"10.0.0.0/24\" or "
                      "\"2001:db8::/64\"" },
        { "10.0.0.0/33", "\"10.0.0.0/33\" is no CIDR: the length of an IPv4 prefix is a number "
                         "from 0 to 32" },
        { "10.0.0.0/", "\"10.0.0.0/\" is no CIDR: the length of an IPv4 prefix is a number "
                       "from 0 to 32" },
        { "10.0.0.0/-1", "\"10.0.0.0/-1\" is no CIDR: the length of an IPv4 prefix is a number "
                         "from 0 to 32" },
        { "10.0.0.0/08", "\"10.0.0.0/08\" is no CIDR: the length of an IPv4 prefix is a number "
                         "from 0 to 32" },
        { "::/129", "\"::/129\" is no CIDR: the length of an IPv6 prefix is a number from 0 to "
                    "128" },
        { "::/4294967296", "\"::/4294967296\" is no CIDR: the length of an IPv6 prefix is a "
                           "number from 0 to 128" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_prefix p;

        check_text(ip_parse_prefix(cases[i].in, &p), cases[i].error);
    }
}

static void
test_cidr_or_address(void **state)
{
    struct ip_prefix p;

    assert_null(ip_parse_cidr_or_address("10.0.0.1", &p));
    check_text(ip_prefix_to_string(&p), "10.0.0.1/32");
    assert_null(ip_parse_cidr_or_address("2001:db8::1", &p));
    check_text(ip_prefix_to_string(&p), "2001:db8::1/128");
    check_text(ip_parse_cidr_or_address("web", &p),
               "\"web\" is neither an IP address nor a CIDR: expected ADDRESS or ADDRESS/LENGTH");
}

static void
test_prefix_contains(void **state)
{
    static const struct {
        const char *prefix, *addr;
        bool contains;
    } cases[] = {
        { "10.0.0.0/23", "10.0.1.255", true },
        { "10.0.0.0/23", "10.0.2.0", false },
        { "0.0.0.0/0", "255.255.255.255", true },
        { "0.0.0.0/0", "::", false },
        { "::/0", "10.0.0.1", false },
        { "::/0", "2001:db8::1", true },
        { "2001:db8::/127", "2001:db8::1", true },
        { "2001:db8::/127", "2001:db8::2", false },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_prefix p = prefix(cases[i].prefix);
        struct in6_addr addr = ip(cases[i].addr);

        assert_int_equal(ip_prefix_contains(&p, &addr), cases[i].contains);
    }
}

static void
test_prefix_order(void **state)
{
    struct ip_prefix a = prefix("10.0.0.0/8"), b = prefix("10.0.0.0/9"), c = prefix("11.0.0.0/8");

    assert_true(ip_prefix_compare(&a, &b) < 0);
    assert_true(ip_prefix_compare(&c, &b) > 0);
    assert_false(ip_prefix_equals(&a, &b));
    assert_true(ip_prefix_equals(&a, &a));
}

static void
check_range(struct ip_range range, const char *expected)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    ip_range_format(&range, &s);
    assert_string_equal(ds_cstr(&s), expected);
    ds_destroy(&s);
}

static void
test_prefix_range(void **state)
{
    static const struct {
        const char *prefix, *range;
    } cases[] = {
        { "10.0.0.0/23", "10.0.0.0-10.0.1.255" },
        { "10.0.0.1/32", "10.0.0.1-10.0.0.1" },
        { "0.0.0.0/0", "0.0.0.0-255.255.255.255" },
        { "2001:db8::/63", "2001:db8::-2001:db8:0:1:ffff:ffff:ffff:ffff" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct ip_prefix p = prefix(cases[i].prefix);

        check_range(ip_prefix_range(&p), cases[i].range);
    }
}

static void
test_range_text(void **state)
{
    struct ip_range range;

    assert_null(ip_parse_range("10.0.0.1-10.0.0.9", &range));
    check_range(range, "10.0.0.1-10.0.0.9");
    assert_null(ip_parse_range("2001:db8::5", &range));
    check_range(range, "2001:db8::5-2001:db8::5");

    check_text(ip_parse_range("10.0.0.9-10.0.0.1", &range),
               "\"10.0.0.9-10.0.0.1\" is no range: its first address comes after its last");
    check_text(ip_parse_range("10.0.0.9-::1", &range),
               "\"10.0.0.9-::1\" is no range: both ends must be of one IP family");
    check_text(ip_parse_range("10.0.0.9-", &range),
               "\"10.0.0.9-\" is no range: expected FIRST-LAST, as in \"10.0.0.1-10.0.0.9\"");
}

static void
test_range_relations(void **state)
{
    struct ip_range a, b;

    assert_null(ip_parse_range("10.0.0.1-10.0.0.9", &a));
    struct in6_addr first = ip("10.0.0.1"), last = ip("10.0.0.9"), after = ip("10.0.0.10");
    assert_true(ip_range_contains(&a, &first));
    assert_true(ip_range_contains(&a, &last));
    assert_false(ip_range_contains(&a, &after));

    assert_null(ip_parse_range("10.0.0.9-10.0.0.20", &b));
    assert_true(ip_range_overlaps(&a, &b));
    assert_null(ip_parse_range("10.0.0.10-10.0.0.20", &b));
    assert_false(ip_range_overlaps(&a, &b));
    assert_false(ip_range_overlaps(&b, &a));
}

static void
test_increment(void **state)
{
    struct in6_addr addr = ip("10.0.0.255");

    assert_true(ip_increment(&addr));
    check_text(ip_to_string(&addr), "10.0.1.0");
    addr = ip("255.255.255.255");
    assert_false(ip_increment(&addr));
    check_text(ip_to_string(&addr), "255.255.255.255");
    addr = ip("2001:db8::ffff:ffff");
    assert_true(ip_increment(&addr));
    check_text(ip_to_string(&addr), "2001:db8::1:0:0");
    addr = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    assert_false(ip_increment(&addr));
}

static void
test_v4_conversion(void **state)
{
    struct in6_addr addr = ip_from_v4(htonl(0xac101283));

    check_text(ip_to_string(&addr), "172.16.18.131");
    assert_int_equal(ntohl(ip_to_v4(&addr)), 0xac101283);
    assert_true(ip_is_set(&addr));
    assert_false(ip_is_set(&in6addr_any));
    assert_string_equal(ip_family_name(IP_V4), "IPv4");
    assert_string_equal(ip_family_name(IP_V6), "IPv6");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_text),
        cmocka_unit_test(test_prefix_text),
        cmocka_unit_test(test_prefix_errors),
        cmocka_unit_test(test_cidr_or_address),
        cmocka_unit_test(test_prefix_contains),
        cmocka_unit_test(test_prefix_order),
        cmocka_unit_test(test_prefix_range),
        cmocka_unit_test(test_range_text),
        cmocka_unit_test(test_range_relations),
        cmocka_unit_test(test_increment),
        cmocka_unit_test(test_v4_conversion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
