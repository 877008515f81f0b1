#include <config.h>

/* Statuses: what the server has against what it should have, and what people are told of them. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "k8s/json-c.h"
#include "k8s/language.h"
#include "k8s/status.h"
#include "pipeline/model.h"
#include "util.h"

#define CONDITION(TYPE, STATUS, MESSAGE, MORE) \
    "{\"type\": \"" TYPE "\", \"status\": \"" STATUS "\", \"message\": \"" MESSAGE "\"" MORE "}"
#define SINCE(TIME) ", \"lastTransitionTime\": \"" TIME "\""
#define FIRST "2024-05-01T12:00:00Z"
#define SECOND "2024-05-01T12:00:01Z"
#define SECOND_S 1714564801

static struct json_object *
parse(const char *text)
{
    struct json_object *json = json_tokener_parse(text);

    assert_non_null(json);
    return json;
}

static bool
in_force(const char *have_text, const char *want_text)
{
    struct json_object *have = have_text ? parse(have_text) : NULL;
    struct json_object *want = parse(want_text);
    bool result = status_is_in_force(have, want);

    json_release(have);
    json_release(want);
    return result;
}

static void
test_is_in_force(void **state OVS_UNUSED)
{
    const char *want = "{\"node\": \"n\", \"conditions\": [" CONDITION("A", "True", "m", "") "]}";

    assert_true(in_force("{\"node\": \"n\", \"else\": 1, \"conditions\": ["
                         CONDITION("A", "True", "m", SINCE(FIRST)) "]}", want));
    assert_false(in_force(NULL, want));
    assert_false(in_force("{\"node\": \"o\", \"conditions\": ["
                          CONDITION("A", "True", "m", SINCE(FIRST)) "]}", want));
    assert_false(in_force("{\"node\": \"n\", \"conditions\": ["
                          CONDITION("A", "True", "other", "") "]}", want));
    assert_false(in_force("{\"node\": \"n\", \"conditions\": [" CONDITION("A", "True", "m", "") ", "
                          CONDITION("B", "True", "m", "") "]}", want));
    /* A member that is to go. */
    assert_true(in_force("{}", "{\"node\": null}"));
    assert_false(in_force("{\"node\": \"n\"}", "{\"node\": null}"));
}

/* A condition's time is that of its last change from True to False or back. */
static void
test_patch(void **state OVS_UNUSED)
{
    struct json_object *have = parse("{\"conditions\": [" CONDITION("A", "True", "m", SINCE(FIRST)) ", "
                                     CONDITION("B", "True", "m", SINCE(FIRST)) "]}");
    struct json_object *want = parse("{\"conditions\": [" CONDITION("A", "True", "other", "") ", "
                                     CONDITION("B", "False", "m", "") "]}");
    struct json_object *patch = status_to_patch(want, have, SECOND_S);
    struct json_object *expected = parse(
        "{\"status\": {\"conditions\": [" CONDITION("A", "True", "other", SINCE(FIRST)) ", "
        CONDITION("B", "False", "m", SINCE(SECOND)) "]}}");

    assert_true(json_object_equal(patch, expected));
    json_release(expected);
    json_release(patch);
    json_release(have);
}

static struct status_object *
object_with(const char *status)
{
    char *text = xasprintf("{\"apiVersion\": \"ovs-egress.io/v1alpha1\", \"metadata\": {\"uid\": \"u\"}%s%s}",
                           status ? ", \"status\": " : "", status ? status : "");
    struct json_object *json = parse(text);
    struct status_object *object = status_object_create(&own_kinds[0], NULL, "x", json);

    json_release(json);
    free(text);
    return object;
}

static void
test_object(void **state OVS_UNUSED)
{
    struct status_object *object = object_with("{\"a\": [1, \"b\"]}");
    struct json_object *expected = parse("{\"a\": [1, \"b\"]}");
    struct json_object *status = status_object_parse(object);

    assert_true(json_object_equal(status, expected));
    assert_string_equal(object->version, "v1alpha1");
    assert_string_equal(object->uid, "u");
    json_release(status);
    json_release(expected);
    status_object_destroy(object);

    object = object_with(NULL);
    assert_null(status_object_parse(object));
    status_object_destroy(object);
}

/* What conditions say more than once, or what is right, is not told. */
static void
test_problems(void **state OVS_UNUSED)
{
    struct status_object *object = object_with(
        "{\"conditions\": [" CONDITION("A", "False", "no", "") ", " CONDITION("B", "False", "no", "") ", "
        CONDITION("C", "True", "yes", "") ", " CONDITION("D", "False", "never", "") ", 1]}");
    struct problem_list problems;

    problem_list_init(&problems);
    status_add_problems(object, &problems);
    assert_int_equal(problems.n, 2);
    assert_string_equal(problems.problems[0].object, object->id);
    assert_string_equal(problems.problems[0].text, "no");
    assert_string_equal(problems.problems[1].text, "never");
    status_object_destroy(object);

    object = object_with("{\"conditions\": 1}");
    status_add_problems(object, &problems);
    assert_int_equal(problems.n, 2);
    status_object_destroy(object);
    problem_list_destroy(&problems);
}

static void
test_usage(void **state OVS_UNUSED)
{
    static const char *const without[] = { NULL, "{}", "{\"usage\": 1}", "{\"usage\": {\"used\": 1}}", "[]" };
    struct status_object *object = object_with("{\"usage\": {\"used\": 3, \"total\": 7}}");
    long long int used, total;

    assert_true(status_get_usage(object, &used, &total));
    assert_int_equal(used, 3);
    assert_int_equal(total, 7);
    status_object_destroy(object);

    for (size_t i = 0; i < ARRAY_SIZE(without); i++) {
        object = object_with(without[i]);
        assert_false(status_get_usage(object, &used, &total));
        status_object_destroy(object);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_in_force),
        cmocka_unit_test(test_patch),
        cmocka_unit_test(test_object),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_usage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
