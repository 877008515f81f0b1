#ifndef CONTROLLER_CT_COUNTS_H
#define CONTROLLER_CT_COUNTS_H 1

/* How many connections conntrack has in some of its zones.
 *
 * OpenFlow does not tell, and to list the connections is to hold up ovs-vswitchd for as long as there are many.  But the
 * userspace datapath keeps a number for each zone that has a limit.  So each zone here gets one that is never reached, by the
 * commands that "ovs-appctl dpctl/ct-get-limits" and "dpctl/ct-set-limits" send.  Connections from before that are not
 * counted.
 *
 * A zone that somebody else has limited stays as it is.  The default limit is one for all zones together that have none
 * of their own: with such a default none gets one from here, and there is no number.
 *
 * Not for the kernel's datapath: there a zone with a limit has its connections in a list, which each new one goes through
 * (nf_conncount). */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ct_counts;

struct ct_counts *ct_counts_create(void);
void ct_counts_destroy(struct ct_counts *);

void ct_counts_set_datapath(struct ct_counts *, const char *datapath_type);
void ct_counts_set_zones(struct ct_counts *, const uint16_t *zones, size_t n);
void ct_counts_start_over(struct ct_counts *);

void ct_counts_refresh(struct ct_counts *, long long int now);
bool ct_counts_is_busy(const struct ct_counts *);
bool ct_counts_get(const struct ct_counts *, uint16_t zone, uint32_t *count);

void ct_counts_run(struct ct_counts *, long long int now);
void ct_counts_wait(struct ct_counts *);

char *ct_counts_remove_limits(uint16_t first, uint16_t last, long long int deadline, size_t *n_removed);

#endif /* controller/ct-counts.h */
