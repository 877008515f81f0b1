#ifndef K8S_JSON_READER_H
#define K8S_JSON_READER_H 1

/* Reads typed fields out of json-c objects, with a sticky error: do all of the reads, then check
 * once.
 *
 * A cursor is a place in the object.  It remembers how one gets there, so that an error tells
 * the whole path and the value: `spec.egressIPs[1]: "10.0.0.300" is no IP address, expected like
 * 10.0.0.1 or fd00::1`.  Cursors live on the stack and point to their parents, which must stay
 * where they are.  A cursor whose json is NULL stands for a field that is absent or null; every
 * read from it yields nothing, without an error.
 *
 * Once there is an error, only the first one counts. */

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "openvswitch/compiler.h"
#include "pipeline/address.h"

struct json_object;
struct smap;

struct json_reader {
    char *error;                /* NULL as long as all is well. */
    unsigned int line;          /* Where the error is. */
};

struct json_cursor {
    struct json_reader *reader;
    const struct json_cursor *parent;   /* NULL for the whole object. */
    const char *name;                   /* Of a member, else NULL. */
    size_t index;                       /* Of an item. */
    struct json_object *json;           /* Borrowed. */
};

#define JSON_READER_INITIALIZER { .error = NULL, .line = 0 }
struct json_cursor json_reader_start(struct json_reader *, struct json_object *);
bool json_reader_failed(const struct json_reader *);

/* Going down. */
struct json_cursor json_cursor_object(const struct json_cursor *, const char *name);
struct json_cursor json_cursor_array(const struct json_cursor *, const char *name);
size_t json_cursor_length(const struct json_cursor *);
struct json_cursor json_cursor_item(const struct json_cursor *, size_t index);
bool json_cursor_has(const struct json_cursor *, const char *name);
void json_cursor_require_object(const struct json_cursor *);
void json_cursor_only_fields(const struct json_cursor *, const char *const names[]);

/* Members.  With NULL as name, they read the cursor's own value. */
const char *json_cursor_string(const struct json_cursor *, const char *name);
const char *json_cursor_required_string(const struct json_cursor *, const char *name,
                                        const char *example);
bool json_cursor_bool(const struct json_cursor *, const char *name);
int64_t json_cursor_integer(const struct json_cursor *, const char *name, int64_t min, int64_t max);
uint64_t json_cursor_quantity(const struct json_cursor *, const char *name);
bool json_cursor_address(const struct json_cursor *, const char *name, struct in6_addr *);
bool json_cursor_cidr(const struct json_cursor *, const char *name, struct ip_prefix *);
void json_cursor_string_map(const struct json_cursor *, const char *name, struct smap *);

/* Lists. */
size_t json_cursor_cidrs(const struct json_cursor *, const char *name, struct ip_prefix **);
void json_cursor_address_per_family(const struct json_cursor *, const char *name,
                                    struct in6_addr addresses[N_IP_FAMILIES]);

/* Errors. */
void json_cursor_error(const struct json_cursor *, const char *name, const char *format, ...)
    OVS_PRINTF_FORMAT(3, 4);

#endif /* k8s/json-reader.h */
