#ifndef K8S_SELECTORS_H
#define K8S_SELECTORS_H 1

/* Label selectors as Kubernetes writes them: {matchLabels, matchExpressions}. */

#include <stdbool.h>

struct json_cursor;
struct json_object;
struct label_selector;

bool decode_label_selector(const struct json_cursor *, const char *name, struct label_selector *);
struct json_object *encode_label_selector(const struct label_selector *);

#endif /* k8s/selectors.h */
