#ifndef K8S_JSON_WRITER_H
#define K8S_JSON_WRITER_H 1

/* The counterpart of k8s/json-reader.h: what the model has in common, as json-c objects.  The
 * caller of an encode_X() owns what it returns.  A put_X() adds a member unless there is nothing
 * to say: no string, an empty list, zero or false. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "pipeline/address.h"

struct json_object;
struct smap;

struct json_object *encode_string_map(const struct smap *);
void put_string(struct json_object *, const char *name, const char *);
void put_bool(struct json_object *, const char *name, bool);
void put_integer(struct json_object *, const char *name, int64_t);
void put_time(struct json_object *, const char *name, long long int seconds);
void put_string_map(struct json_object *, const char *name, const struct smap *);
void put_addresses(struct json_object *, const char *name, const struct in6_addr *, size_t n);
void put_cidrs(struct json_object *, const char *name, const struct ip_prefix *, size_t n);
void put_json(struct json_object *, const char *name, struct json_object *);

#endif /* k8s/json-writer.h */
