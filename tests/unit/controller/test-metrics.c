#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include "controller/metrics.h"
#include "util.h"

/* What was written to 'm' is 'expected'. */
static void
expect_text(struct metrics *m, const char *expected)
{
    assert_string_equal(ds_cstr(&m->text), expected);
    metrics_destroy(m);
}

static void
family_without_labels(void **state OVS_UNUSED)
{
    struct metrics m;

    metrics_init(&m);
    metrics_family(&m, "a_total", METRIC_COUNTER, "How often.");
    metrics_put(&m, 3, NULL);
    metrics_family(&m, "b", METRIC_GAUGE, "Nothing to tell.");
    expect_text(&m,
                "# HELP a_total How often.\n# TYPE a_total counter\na_total 3\n"
                "# HELP b Nothing to tell.\n# TYPE b gauge\n");
}

static void
labels(void **state OVS_UNUSED)
{
    struct metrics m;

    metrics_init(&m);
    metrics_family(&m, "a", METRIC_GAUGE, "x");
    metrics_put(&m, 1, "one", "1", NULL);
    metrics_put(&m, 2, "one", "", "two", "{2}, =", NULL);
    expect_text(&m, "# HELP a x\n# TYPE a gauge\na{one=\"1\"} 1\na{one=\"\",two=\"{2}, =\"} 2\n");
}

/* A quotation mark ends a label's value, but not a help text. */
static void
escaping(void **state OVS_UNUSED)
{
    struct metrics m;

    metrics_init(&m);
    metrics_family(&m, "a", METRIC_GAUGE, "a \\ and a \"\nin two lines");
    metrics_put(&m, 1, "l", "C:\\n \"x\"\nß", NULL);
    expect_text(&m,
                "# HELP a a \\\\ and a \"\\nin two lines\n# TYPE a gauge\n"
                "a{l=\"C:\\\\n \\\"x\\\"\\nß\"} 1\n");
}

static void
numbers(void **state OVS_UNUSED)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        { 0, "0" }, { -1, "-1" }, { 0.1, "0.1" }, { 1e-9, "1e-09" }, { 123456789012345, "123456789012345" },
        { 9007199254740993.0, "9007199254740992" }, { 1.0 / 3, "0.3333333333333333" },
        { (double) UINT64_MAX, "1.8446744073709552e+19" },
        { 1763719399.123, "1763719399.123" }, { NAN, "NaN" }, { INFINITY, "+Inf" }, { -INFINITY, "-Inf" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char *expected = xasprintf("# HELP a x\n# TYPE a gauge\na %s\n", cases[i].text);
        struct metrics m;

        metrics_init(&m);
        metrics_family(&m, "a", METRIC_GAUGE, "x");
        metrics_put(&m, cases[i].value, NULL);
        expect_text(&m, expected);
        free(expected);
    }
}

/* Buckets count all that is not above their bound. */
static void
histogram(void **state OVS_UNUSED)
{
    static const double bounds[] = { 0.1, 1 };
    struct metrics_histogram h;
    struct metrics m;

    metrics_histogram_init(&h, bounds, ARRAY_SIZE(bounds));
    metrics_histogram_add(&h, 0.05);
    metrics_histogram_add(&h, 0.1);
    metrics_histogram_add(&h, 0.5);
    metrics_histogram_add(&h, 7);
    metrics_init(&m);
    metrics_family(&m, "h", METRIC_HISTOGRAM, "x");
    metrics_put_histogram(&m, &h);
    expect_text(&m,
                "# HELP h x\n# TYPE h histogram\n"
                "h_bucket{le=\"0.1\"} 2\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 4\n"
                "h_sum 7.65\nh_count 4\n");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(family_without_labels),
        cmocka_unit_test(labels),
        cmocka_unit_test(escaping),
        cmocka_unit_test(numbers),
        cmocka_unit_test(histogram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
