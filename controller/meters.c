#include <config.h>
#include "controller/meters.h"

#include <stdlib.h>
#include "bitmap.h"
#include "ofp/switch.h"
#include "openvswitch/hmap.h"
#include "pipeline/cookies.h"
#include "sset.h"
#include "util.h"

#define N_METERS (EGRESS_METER_LAST - EGRESS_METER_FIRST + 1)

void
meters_init(struct meters *meters)
{
    *meters = (struct meters) { NULL, 0 };
}

void
meters_destroy(struct meters *meters)
{
    for (size_t i = 0; i < meters->n; i++) {
        egress_route_unref(meters->assignments[i].route);
    }
    free(meters->assignments);
}

static int
compare_by_number(const void *a_, const void *b_)
{
    const struct meter_assignment *a = a_;
    const struct meter_assignment *b = b_;

    return a->route->number < b->route->number ? -1 : a->route->number > b->route->number;
}

/* The meter of 'route', or 0 if it has no limit. */
uint32_t
meters_id_of(const struct meters *meters, const struct egress_route *route)
{
    struct meter_assignment key = { .route = route };
    const struct meter_assignment *found = NULL;

    if (meters->n) {
        found = bsearch(&key, meters->assignments, meters->n, sizeof key, compare_by_number);
    }

    return found ? found->meter_id : 0;
}

/* Assigns a meter to each of the 'n' 'routes' that has a limit.  Routes beyond the number of our meters get none.  Adds to
 * 'moved' the ids of the policies whose route had another meter before. */
void
meters_assign(struct meters *meters, const struct egress_route **routes, size_t n, struct sset *moved)
{
    unsigned long *taken = bitmap_allocate(N_METERS);
    struct meters new = { xmalloc(n * sizeof *new.assignments), 0 };

    for (size_t i = 0; i < n && new.n < N_METERS; i++) {
        if (routes[i]->policy->bandwidth) {
            new.assignments[new.n++].route = egress_route_ref(routes[i]);
        }
    }
    qsort(new.assignments, new.n, sizeof *new.assignments, compare_by_number);
    for (size_t i = 0; i < new.n; i++) {
        struct meter_assignment *assignment = &new.assignments[i];
        uint32_t offset = assignment->route->number % N_METERS;
        uint32_t old_id = meters_id_of(meters, assignment->route);

        while (bitmap_is_set(taken, offset)) {
            offset = (offset + 1) % N_METERS;
        }
        bitmap_set1(taken, offset);
        assignment->meter_id = EGRESS_METER_FIRST + offset;
        if (old_id && old_id != assignment->meter_id) {
            sset_add(moved, assignment->route->policy->id);
        }
    }
    bitmap_free(taken);
    meters_destroy(meters);
    *meters = new;
}

/* Makes the switch's meters in our range those that were assigned.  OpenFlow counts in kilobits. */
void
meters_install(const struct meters *meters, struct of_switch *sw)
{
    struct meter_want *wants = xmalloc(meters->n * sizeof *wants);

    for (size_t i = 0; i < meters->n; i++) {
        const struct egress_policy *policy = meters->assignments[i].route->policy;

        wants[i] = (struct meter_want) {
            .id = meters->assignments[i].meter_id,
            .rate_kbps = MIN(MAX(policy->bandwidth / 1000, 1), UINT32_MAX),
            .burst_kb = MIN(policy->burst / 1000, UINT32_MAX),
        };
    }
    of_switch_set_meters(sw, wants, meters->n);
    free(wants);
}
