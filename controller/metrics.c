#include <config.h>
#include "controller/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include "util.h"

void
metrics_init(struct metrics *m)
{
    ds_init(&m->text);
    m->family = NULL;
}

void
metrics_destroy(struct metrics *m)
{
    ds_destroy(&m->text);
}

/* Appends 's' as it has to be in a help text, or if 'quoted', in a label's value. */
static void
put_escaped(struct ds *text, const char *s, bool quoted)
{
    for (; *s; s++) {
        if (*s == '\\') {
            ds_put_cstr(text, "\\\\");
        } else if (*s == '\n') {
            ds_put_cstr(text, "\\n");
        } else if (*s == '"' && quoted) {
            ds_put_cstr(text, "\\\"");
        } else {
            ds_put_char(text, *s);
        }
    }
}

static void
put_number(struct ds *text, double value)
{
    if (isnan(value)) {
        ds_put_cstr(text, "NaN");
    } else if (isinf(value)) {
        ds_put_cstr(text, value > 0 ? "+Inf" : "-Inf");
    } else {
        /* The fewest digits that give the same number again. */
        for (int precision = 15; precision <= 17; precision++) {
            char s[32];

            snprintf(s, sizeof s, "%.*g", precision, value);
            if (precision == 17 || strtod(s, NULL) == value) {
                ds_put_cstr(text, s);
                break;
            }
        }
    }
}

/* Begins the family 'name', a static string; what is put from here on belongs to it.  A family without anything put is no
 * error. */
void
metrics_family(struct metrics *m, const char *name, enum metric_type type, const char *help)
{
    static const char *const types[] = {
        [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram",
    };

    m->family = name;
    ds_put_format(&m->text, "# HELP %s ", name);
    put_escaped(&m->text, help, false);
    ds_put_format(&m->text, "\n# TYPE %s %s\n", name, types[type]);
}

/* Puts 'value' for the labels that follow, as pairs of name and value, with a NULL after them. */
void
metrics_put(struct metrics *m, double value, ...)
{
    const char *separator = "{";
    const char *label;
    va_list args;

    ds_put_cstr(&m->text, m->family);
    va_start(args, value);
    while ((label = va_arg(args, const char *)) != NULL) {
        ds_put_format(&m->text, "%s%s=\"", separator, label);
        put_escaped(&m->text, va_arg(args, const char *), true);
        ds_put_char(&m->text, '"');
        separator = ",";
    }
    va_end(args);
    ds_put_cstr(&m->text, *separator == ',' ? "} " : " ");
    put_number(&m->text, value);
    ds_put_char(&m->text, '\n');
}

/* Puts 'h', which has no labels. */
void
metrics_put_histogram(struct metrics *m, const struct metrics_histogram *h)
{
    uint64_t count = 0;

    for (size_t i = 0; i <= h->n; i++) {
        count += h->counts[i];
        ds_put_format(&m->text, "%s_bucket{le=\"", m->family);
        put_number(&m->text, i < h->n ? h->bounds[i] : INFINITY);
        ds_put_format(&m->text, "\"} %"PRIu64"\n", count);
    }
    ds_put_format(&m->text, "%s_sum ", m->family);
    put_number(&m->text, h->sum);
    ds_put_format(&m->text, "\n%s_count %"PRIu64"\n", m->family, count);
}

/* Makes 'h' an empty histogram with the 'n' upper bounds in 'bounds', which must outlive it. */
void
metrics_histogram_init(struct metrics_histogram *h, const double *bounds, size_t n)
{
    ovs_assert(n <= METRICS_HISTOGRAM_MAX);
    *h = (struct metrics_histogram) { .bounds = bounds, .n = n };
}

void
metrics_histogram_add(struct metrics_histogram *h, double value)
{
    size_t i = 0;

    while (i < h->n && value > h->bounds[i]) {
        i++;
    }
    h->counts[i]++;
    h->sum += value;
}
