#include <config.h>

#include "k8s/language.h"

#include "k8s/json-reader.h"
#include "pipeline/model.h"
#include "util.h"

/* Returns a policy that has what 'meta' says, and nothing else yet. */
struct egress_policy *
language_create_policy(const struct object_meta *meta)
{
    struct egress_policy *policy = egress_policy_create(meta->id, meta->name);

    policy->origin = xstrdup(meta->origin);
    policy->created = meta->created;
    return policy;
}

/* Returns a pool that has what 'meta' says, and nothing else yet. */
struct egress_pool *
language_create_pool(const struct object_meta *meta)
{
    struct egress_pool *pool = egress_pool_create(meta->id, meta->name);

    pool->origin = xstrdup(meta->origin);
    pool->created = meta->created;
    return pool;
}

/* Returns 'object''s spec, which must be there and may have only 'fields'. */
struct json_cursor
language_get_spec(const struct json_cursor *object, const char *const fields[])
{
    struct json_cursor spec = json_cursor_object(object, "spec");

    if (!spec.json) {
        json_cursor_error(&spec, NULL, "is missing");
    }
    json_cursor_only_fields(&spec, fields);
    return spec;
}

/* Decodes 'spec''s optional "bandwidth", {rate, burst} in bits, into 'policy'. */
void
language_decode_bandwidth(const struct json_cursor *spec, struct egress_policy *policy)
{
    static const char *const fields[] = { "rate", "burst", NULL };
    struct json_cursor bandwidth = json_cursor_object(spec, "bandwidth");

    if (bandwidth.json) {
        json_cursor_only_fields(&bandwidth, fields);
        policy->bandwidth = json_cursor_quantity(&bandwidth, "rate");
        policy->burst = json_cursor_quantity(&bandwidth, "burst");
        if (!policy->bandwidth) {
            json_cursor_error(&bandwidth, "rate", "is missing, expected bits per second like 10M");
        }
    }
}

/* Decodes the range whose ends are the members 'first' and 'last' of 'cursor'.  Returns true if
 * it is right. */
bool
language_decode_range(const struct json_cursor *cursor, const char *first, const char *last,
                      struct ip_range *range)
{
    bool has_first = json_cursor_address(cursor, first, &range->first);
    bool has_last = json_cursor_address(cursor, last, &range->last);

    if (!has_first || !has_last) {
        json_cursor_error(cursor, has_first ? last : first,
                          "is missing, expected an IP address like 10.0.0.1 or fd00::1");
        return false;
    } else if (ip_family_of(&range->first) != ip_family_of(&range->last)) {
        json_cursor_error(cursor, NULL, "%s and %s are of different IP families", first, last);
        return false;
    } else if (ip_compare(&range->first, &range->last) > 0) {
        char *s[2] = { ip_to_string(&range->first), ip_to_string(&range->last) };
        json_cursor_error(cursor, NULL, "%s %s comes after %s %s", first, s[0], last, s[1]);
        free(s[0]);
        free(s[1]);
        return false;
    }
    return true;
}
