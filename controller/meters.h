#ifndef CONTROLLER_METERS_H
#define CONTROLLER_METERS_H 1

/* Which meter limits which route.  A meter's number follows from the route's number alone, but for the rare case that
 * two routes want the same one, so that a restart finds its meters again. */

#include <stddef.h>
#include <stdint.h>
#include "pipeline/model.h"

struct of_switch;
struct sset;

struct meter_assignment {
    const struct egress_route *route;   /* Owned reference. */
    uint32_t meter_id;
};

struct meters {
    struct meter_assignment *assignments;   /* By route number. */
    size_t n;
};

void meters_init(struct meters *);
void meters_destroy(struct meters *);
void meters_assign(struct meters *, const struct egress_route **routes, size_t n, struct sset *moved);
uint32_t meters_id_of(const struct meters *, const struct egress_route *);
void meters_install(const struct meters *, struct of_switch *);

#endif /* controller/meters.h */
