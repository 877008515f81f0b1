#include <config.h>

#include "pipeline/selector.h"

#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "util.h"

/* The label that every namespace has by definition, with its name as value. */
#define NAME_LABEL "kubernetes.io/metadata.name"

void
label_selector_init(struct label_selector *selector)
{
    smap_init(&selector->match_labels);
    selector->requirements = NULL;
    selector->n_requirements = 0;
}

/* To be called when 'selector' was moved to another place in memory: its map points into itself. */
void
label_selector_moved(struct label_selector *selector)
{
    hmap_moved(&selector->match_labels.map);
}

void
label_selector_destroy(struct label_selector *selector)
{
    smap_destroy(&selector->match_labels);
    for (size_t i = 0; i < selector->n_requirements; i++) {
        free(selector->requirements[i].key);
        svec_destroy(&selector->requirements[i].values);
    }
    free(selector->requirements);
}

static int
svec_compare(const struct svec *a, const struct svec *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++) {
        int cmp = strcmp(a->names[i], b->names[i]);
        if (cmp) {
            return cmp;
        }
    }
    return a->n < b->n ? -1 : a->n > b->n;
}

static int
requirement_compare(const struct selector_requirement *a, const struct selector_requirement *b)
{
    int cmp = strcmp(a->key, b->key);

    if (!cmp) {
        cmp = a->op < b->op ? -1 : a->op > b->op;
    }
    return cmp ? cmp : svec_compare(&a->values, &b->values);
}

/* Adds the requirement that 'op' hold for the label 'key'.  'values', in any order, is copied; it
 * may be NULL where 'op' has none.  Requirements are kept sorted, so that two ways to write one
 * selector are equal. */
void
label_selector_add_requirement(struct label_selector *selector, const char *key,
                               enum selector_operator op, const struct svec *values)
{
    struct selector_requirement new = { .key = xstrdup(key), .op = op };

    svec_init(&new.values);
    if (values && (op == SELECTOR_IN || op == SELECTOR_NOT_IN)) {
        svec_append(&new.values, values);
        svec_sort_unique(&new.values);
    }

    size_t i = selector->n_requirements++;
    selector->requirements = xrealloc(selector->requirements,
                                      selector->n_requirements * sizeof *selector->requirements);
    for (; i > 0 && requirement_compare(&selector->requirements[i - 1], &new) > 0; i--) {
        selector->requirements[i] = selector->requirements[i - 1];
    }
    selector->requirements[i] = new;
}

/* Parses an operator as the Kubernetes API spells it.  Returns true if successful. */
bool
selector_operator_from_string(const char *s, enum selector_operator *op)
{
    static const struct {
        const char *name;
        enum selector_operator op;
    } operators[] = {
        { "In", SELECTOR_IN },
        { "NotIn", SELECTOR_NOT_IN },
        { "Exists", SELECTOR_EXISTS },
        { "DoesNotExist", SELECTOR_DOES_NOT_EXIST },
    };

    for (size_t i = 0; i < ARRAY_SIZE(operators); i++) {
        if (!strcmp(s, operators[i].name)) {
            *op = operators[i].op;
            return true;
        }
    }
    return false;
}

bool
label_selector_is_empty(const struct label_selector *selector)
{
    return smap_is_empty(&selector->match_labels) && !selector->n_requirements;
}

static bool
requirement_matches(const struct selector_requirement *req, const char *value)
{
    switch (req->op) {
    case SELECTOR_IN:
        return value && svec_contains(&req->values, value);
    case SELECTOR_NOT_IN:
        return !value || !svec_contains(&req->values, value);
    case SELECTOR_EXISTS:
        return value;
    case SELECTOR_DOES_NOT_EXIST:
        return !value;
    }
    OVS_NOT_REACHED();
}

bool
label_selector_matches(const struct label_selector *selector, const struct smap *labels)
{
    const struct smap_node *node;

    SMAP_FOR_EACH (node, &selector->match_labels) {
        const char *value = smap_get(labels, node->key);
        if (!value || strcmp(value, node->value)) {
            return false;
        }
    }
    for (size_t i = 0; i < selector->n_requirements; i++) {
        const struct selector_requirement *req = &selector->requirements[i];
        if (!requirement_matches(req, smap_get(labels, req->key))) {
            return false;
        }
    }
    return true;
}

/* Could 'selector' match labels of which only those of 'known' are certain? False only if what it
 * requires of one of the keys in 'known' does not hold. */
bool
label_selector_may_match(const struct label_selector *selector, const struct smap *known)
{
    const struct smap_node *node;

    SMAP_FOR_EACH (node, &selector->match_labels) {
        const char *value = smap_get(known, node->key);
        if (value && strcmp(value, node->value)) {
            return false;
        }
    }
    for (size_t i = 0; i < selector->n_requirements; i++) {
        const struct selector_requirement *req = &selector->requirements[i];
        const char *value = smap_get(known, req->key);
        if (value && !requirement_matches(req, value)) {
            return false;
        }
    }
    return true;
}

/* Do 'a' and 'b' require the same?  The order in which expressions were written does not matter. */
bool
label_selector_equals(const struct label_selector *a, const struct label_selector *b)
{
    if (a->n_requirements != b->n_requirements || !smap_equal(&a->match_labels, &b->match_labels)) {
        return false;
    }
    for (size_t i = 0; i < a->n_requirements; i++) {
        if (requirement_compare(&a->requirements[i], &b->requirements[i])) {
            return false;
        }
    }
    return true;
}

static bool
better_equality(const char *key, const char *best)
{
    if (!best || !strcmp(key, NAME_LABEL)) {
        return true;
    }
    return strcmp(best, NAME_LABEL) && strcmp(key, best) < 0;
}

/* Returns the key of one label that must have one certain value, which is stored in '*value', for
 * 'selector' to match: from matchLabels or an In with a single value.  A namespace's name is
 * preferred, since it tells the most; otherwise it is the first key in order, so the answer
 * depends on nothing but the selector.  Returns NULL, and stores NULL, if there is no such
 * label.  Both strings belong to 'selector'. */
const char *
label_selector_get_equality(const struct label_selector *selector, const char **value)
{
    const struct smap_node *node;
    const char *best = NULL;

    *value = NULL;
    SMAP_FOR_EACH (node, &selector->match_labels) {
        if (better_equality(node->key, best)) {
            best = node->key;
            *value = node->value;
        }
    }
    for (size_t i = 0; i < selector->n_requirements; i++) {
        const struct selector_requirement *req = &selector->requirements[i];
        if (req->op == SELECTOR_IN && req->values.n == 1 && better_equality(req->key, best)) {
            best = req->key;
            *value = req->values.names[0];
        }
    }
    return best;
}

static void
requirement_format(const struct selector_requirement *req, struct ds *s)
{
    if (req->op == SELECTOR_EXISTS || req->op == SELECTOR_DOES_NOT_EXIST) {
        ds_put_format(s, "%s%s", req->op == SELECTOR_EXISTS ? "" : "!", req->key);
        return;
    }
    char *values = svec_join(&req->values, ",", "");
    ds_put_format(s, "%s %s (%s)", req->key, req->op == SELECTOR_IN ? "in" : "notin", values);
    free(values);
}

/* Appends 'selector' as kubectl's --selector takes it: "app=web,tier in (a,b),!legacy".  Equal
 * selectors are formatted equally.  An empty selector adds nothing. */
void
label_selector_format(const struct label_selector *selector, struct ds *s)
{
    const struct smap_node **nodes = smap_sort(&selector->match_labels);
    size_t n = smap_count(&selector->match_labels);

    for (size_t i = 0; i < n; i++) {
        ds_put_format(s, "%s%s=%s", i ? "," : "", nodes[i]->key, nodes[i]->value);
    }
    free(nodes);
    for (size_t i = 0; i < selector->n_requirements; i++) {
        if (n || i) {
            ds_put_char(s, ',');
        }
        requirement_format(&selector->requirements[i], s);
    }
}
