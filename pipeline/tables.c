#include <config.h>
#include "pipeline/tables.h"

#include <string.h>
#include "pipeline/cookies.h"
#include "pipeline/stable-hash.h"

/* The name of the stage at 'offset' from the table base, or NULL if there is no stage. */
const char *
egress_table_name(unsigned int offset)
{
    switch (offset) {
#define TABLE(ENUM, OFFSET, NAME, DECIDES) case OFFSET: return NAME;
    EGRESS_TABLES
#undef TABLE
    default:
        return NULL;
    }
}

/* What the stage at 'offset' from the table base decides, or NULL if there is no stage. */
const char *
egress_table_decides(unsigned int offset)
{
    switch (offset) {
#define TABLE(ENUM, OFFSET, NAME, DECIDES) case OFFSET: return DECIDES;
    EGRESS_TABLES
#undef TABLE
    default:
        return NULL;
    }
}

const char *
egress_owner_name(enum egress_owner owner)
{
    switch (owner) {
#define OWNER(ENUM, NUMBER, NAME, WHOSE) case EGRESS_OWNER_##ENUM: return NAME;
    EGRESS_OWNERS
#undef OWNER
    }
    return "unknown";
}

/* The cookie of flows that 'id', of which the lower 40 bits count, owns. */
uint64_t
egress_cookie(enum egress_owner owner, uint64_t id)
{
    return EGRESS_COOKIE | (uint64_t) owner << 40 | (id & UINT64_C(0xffffffffff));
}

/* The cookie of flows that the object 'name' owns.  Names may collide: cookies are for people, who see the
 * match as well, and for telling our flows from others', never for finding an owner. */
uint64_t
egress_cookie_for_name(enum egress_owner owner, const char *name)
{
    return egress_cookie(owner, stable_hash_string(name) >> 32);
}

uint64_t
stable_hash_string(const char *s)
{
    return stable_hash_finish(stable_hash_bytes(s, strlen(s), STABLE_HASH_BASIS));
}
