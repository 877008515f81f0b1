#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "pipeline/selector.h"
#include "util.h"

/* Builds a selector of one requirement on "tier" with up to two values. */
static void
require_tier(struct label_selector *selector, enum selector_operator op, const char *value1,
             const char *value2)
{
    struct svec values = SVEC_EMPTY_INITIALIZER;

    if (value1) {
        svec_add(&values, value1);
    }
    if (value2) {
        svec_add(&values, value2);
    }
    label_selector_add_requirement(selector, "tier", op, &values);
    svec_destroy(&values);
}

static bool
tier_matches(enum selector_operator op, const char *value1, const char *value2,
             const char *tier_of_pod)
{
    struct label_selector selector;
    struct smap labels = SMAP_INITIALIZER(&labels);

    label_selector_init(&selector);
    require_tier(&selector, op, value1, value2);
    if (tier_of_pod) {
        smap_add(&labels, "tier", tier_of_pod);
    }
    bool matches = label_selector_matches(&selector, &labels);
    smap_destroy(&labels);
    label_selector_destroy(&selector);
    return matches;
}

static void
test_operators(void **state)
{
    assert_true(tier_matches(SELECTOR_IN, "web", "db", "db"));
    assert_false(tier_matches(SELECTOR_IN, "web", "db", "cache"));
    assert_false(tier_matches(SELECTOR_IN, "web", "db", NULL));
    assert_false(tier_matches(SELECTOR_IN, NULL, NULL, "db"));
    assert_false(tier_matches(SELECTOR_NOT_IN, "web", "db", "db"));
    assert_true(tier_matches(SELECTOR_NOT_IN, "web", "db", "cache"));
    /* What has no such label has none of the values either. */
    assert_true(tier_matches(SELECTOR_NOT_IN, "web", "db", NULL));
    assert_true(tier_matches(SELECTOR_EXISTS, NULL, NULL, ""));
    assert_false(tier_matches(SELECTOR_EXISTS, NULL, NULL, NULL));
    assert_false(tier_matches(SELECTOR_DOES_NOT_EXIST, NULL, NULL, ""));
    assert_true(tier_matches(SELECTOR_DOES_NOT_EXIST, NULL, NULL, NULL));
}

static void
test_all_must_hold(void **state)
{
    struct label_selector selector;
    struct smap labels = SMAP_INITIALIZER(&labels);

    label_selector_init(&selector);
    assert_true(label_selector_is_empty(&selector));
    assert_true(label_selector_matches(&selector, &labels));

    smap_add(&selector.match_labels, "app", "shop");
    require_tier(&selector, SELECTOR_IN, "web", NULL);
    assert_false(label_selector_is_empty(&selector));
    smap_add(&labels, "app", "shop");
    assert_false(label_selector_matches(&selector, &labels));
    smap_add(&labels, "tier", "web");
    assert_true(label_selector_matches(&selector, &labels));
    smap_replace(&labels, "app", "mail");
    assert_false(label_selector_matches(&selector, &labels));

    smap_destroy(&labels);
    label_selector_destroy(&selector);
}

static void
test_operator_names(void **state)
{
    enum selector_operator op;

    assert_true(selector_operator_from_string("In", &op));
    assert_int_equal(op, SELECTOR_IN);
    assert_true(selector_operator_from_string("NotIn", &op));
    assert_int_equal(op, SELECTOR_NOT_IN);
    assert_true(selector_operator_from_string("Exists", &op));
    assert_int_equal(op, SELECTOR_EXISTS);
    assert_true(selector_operator_from_string("DoesNotExist", &op));
    assert_int_equal(op, SELECTOR_DOES_NOT_EXIST);
    assert_false(selector_operator_from_string("in", &op));
}

static void
test_equality_ignores_order(void **state)
{
    struct label_selector a, b;

    label_selector_init(&a);
    label_selector_init(&b);
    require_tier(&a, SELECTOR_IN, "web", "db");
    require_tier(&a, SELECTOR_EXISTS, NULL, NULL);
    require_tier(&b, SELECTOR_EXISTS, NULL, NULL);
    assert_false(label_selector_equals(&a, &b));
    require_tier(&b, SELECTOR_IN, "db", "web");
    assert_true(label_selector_equals(&a, &b));
    smap_add(&a.match_labels, "app", "shop");
    assert_false(label_selector_equals(&a, &b));
    smap_add(&b.match_labels, "app", "mail");
    assert_false(label_selector_equals(&a, &b));
    label_selector_destroy(&a);
    label_selector_destroy(&b);
}

static void
test_may_match(void **state)
{
    struct smap known = SMAP_INITIALIZER(&known);
    struct label_selector selector;

    smap_add(&known, "kubernetes.io/metadata.name", "lab");
    label_selector_init(&selector);
    smap_add(&selector.match_labels, "env", "prod");
    require_tier(&selector, SELECTOR_EXISTS, NULL, NULL);
    assert_true(label_selector_may_match(&selector, &known));
    smap_add(&selector.match_labels, "kubernetes.io/metadata.name", "lab");
    assert_true(label_selector_may_match(&selector, &known));
    smap_replace(&selector.match_labels, "kubernetes.io/metadata.name", "shop");
    assert_false(label_selector_may_match(&selector, &known));
    label_selector_destroy(&selector);

    struct svec names = SVEC_EMPTY_INITIALIZER;
    svec_add(&names, "lab");
    label_selector_init(&selector);
    label_selector_add_requirement(&selector, "kubernetes.io/metadata.name", SELECTOR_NOT_IN,
                                   &names);
    assert_false(label_selector_may_match(&selector, &known));
    label_selector_destroy(&selector);
    svec_destroy(&names);
    smap_destroy(&known);
}

static void
test_get_equality(void **state)
{
    struct label_selector selector;
    const char *value;

    label_selector_init(&selector);
    assert_null(label_selector_get_equality(&selector, &value));
    assert_null(value);
    require_tier(&selector, SELECTOR_IN, "web", "db");
    require_tier(&selector, SELECTOR_NOT_IN, "web", NULL);
    require_tier(&selector, SELECTOR_EXISTS, NULL, NULL);
    assert_null(label_selector_get_equality(&selector, &value));
    assert_null(value);

    require_tier(&selector, SELECTOR_IN, "web", NULL);
    assert_string_equal(label_selector_get_equality(&selector, &value), "tier");
    assert_string_equal(value, "web");
    smap_add(&selector.match_labels, "zone", "z1");
    assert_string_equal(label_selector_get_equality(&selector, &value), "tier");
    smap_add(&selector.match_labels, "app", "shop");
    assert_string_equal(label_selector_get_equality(&selector, &value), "app");
    assert_string_equal(value, "shop");
    smap_add(&selector.match_labels, "kubernetes.io/metadata.name", "lab");
    assert_string_equal(label_selector_get_equality(&selector, &value),
                        "kubernetes.io/metadata.name");
    assert_string_equal(value, "lab");
    label_selector_destroy(&selector);
}

static void
test_format(void **state)
{
    struct ds s = DS_EMPTY_INITIALIZER;
    struct label_selector selector;

    label_selector_init(&selector);
    label_selector_format(&selector, &s);
    assert_string_equal(ds_cstr(&s), "");
    smap_add(&selector.match_labels, "b", "2");
    smap_add(&selector.match_labels, "a", "1");
    require_tier(&selector, SELECTOR_DOES_NOT_EXIST, NULL, NULL);
    require_tier(&selector, SELECTOR_EXISTS, NULL, NULL);
    require_tier(&selector, SELECTOR_NOT_IN, "x", NULL);
    require_tier(&selector, SELECTOR_IN, "web", "db");
    label_selector_format(&selector, &s);
    assert_string_equal(ds_cstr(&s), "a=1,b=2,tier in (db,web),tier notin (x),tier,!tier");
    ds_destroy(&s);
    label_selector_destroy(&selector);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operators),
        cmocka_unit_test(test_all_must_hold),
        cmocka_unit_test(test_operator_names),
        cmocka_unit_test(test_equality_ignores_order),
        cmocka_unit_test(test_may_match),
        cmocka_unit_test(test_get_equality),
        cmocka_unit_test(test_format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
