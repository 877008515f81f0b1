#ifndef K8S_OBJECTS_H
#define K8S_OBJECTS_H 1

/* What a cluster is made of: Node, Namespace and Pod, as Kubernetes describes them.  Their
 * decoders are in the table core_kinds, see k8s/language.h. */

#include <stdbool.h>

bool parse_time(const char *, long long int *seconds);

#endif /* k8s/objects.h */
