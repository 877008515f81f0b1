#ifndef K8S_YAML_H
#define K8S_YAML_H 1

/* YAML text, and JSON, which is a part of it, to json-c objects that remember their line.
 *
 * Scalars are read by the core schema of YAML 1.2: what is quoted stays a string, "yes" and "no"
 * are strings, and plain null, booleans, integers and decimal fractions are what they look
 * like.  Anchors, aliases and merge keys ("<<") are understood.  Duplicate keys are an error,
 * and so is input that is deeper or larger than anything that people write. */

#include <stdbool.h>
#include <stddef.h>

struct json_object;

/* Gets each document in turn, except empty ones.  The document is freed afterwards. */
typedef void yaml_document_cb(struct json_object *document, void *aux);

char *yaml_read_documents(const char *text, size_t length, yaml_document_cb *, void *aux,
                          unsigned int *error_line);
unsigned int yaml_get_line(const struct json_object *);

#endif /* k8s/yaml.h */
