#ifndef PIPELINE_SELECTOR_H
#define PIPELINE_SELECTOR_H 1

/* Kubernetes label selectors (meta/v1 LabelSelector): 'matchLabels' and 'matchExpressions', all
 * of which must hold.  A selector with no requirement selects everything. */

#include <stdbool.h>
#include <stddef.h>
#include "smap.h"
#include "svec.h"

struct ds;

enum selector_operator {
    SELECTOR_IN,
    SELECTOR_NOT_IN,
    SELECTOR_EXISTS,
    SELECTOR_DOES_NOT_EXIST,
};

struct selector_requirement {
    char *key;
    enum selector_operator op;
    struct svec values;             /* Sorted.  Of SELECTOR_IN and SELECTOR_NOT_IN only. */
};

struct label_selector {
    struct smap match_labels;
    struct selector_requirement *requirements;
    size_t n_requirements;
};

void label_selector_init(struct label_selector *);
void label_selector_moved(struct label_selector *);
void label_selector_destroy(struct label_selector *);
void label_selector_add_requirement(struct label_selector *, const char *key,
                                    enum selector_operator, const struct svec *values);
bool selector_operator_from_string(const char *, enum selector_operator *);

bool label_selector_is_empty(const struct label_selector *);
bool label_selector_matches(const struct label_selector *, const struct smap *labels);
bool label_selector_may_match(const struct label_selector *, const struct smap *known);
bool label_selector_equals(const struct label_selector *, const struct label_selector *);
const char *label_selector_get_equality(const struct label_selector *, const char **value);
void label_selector_format(const struct label_selector *, struct ds *);

#endif /* pipeline/selector.h */
