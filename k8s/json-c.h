#ifndef K8S_JSON_C_H
#define K8S_JSON_C_H 1

/* json-c, made safe beside Open vSwitch's own JSON.  Include this instead of <json-c/json.h>.
 *
 * libopenvswitch has a json_object_put() too, which adds a member to an object.  Linked
 * statically, it silently takes the place of json-c's, which gives up a reference.  So that
 * function must not be called; json_release() does its work. */

#include <json-c/json.h>

#pragma GCC poison json_object_put

void json_release(struct json_object *);

#endif /* k8s/json-c.h */
