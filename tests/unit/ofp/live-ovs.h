#ifndef TESTS_UNIT_OFP_LIVE_OVS_H
#define TESTS_UNIT_OFP_LIVE_OVS_H 1

/* For tests: a real ovs-vswitchd with its own database and run directory, without any network
 * device.  It has one bridge, "br0", in its userspace datapath. */

#include <stdbool.h>
#include <sys/types.h>

struct live_ovs {
    char dir[64];
    pid_t db_pid, switch_pid;
};

bool live_ovs_available(void);
void live_ovs_start(struct live_ovs *);
void live_ovs_stop(struct live_ovs *);
void live_ovs_start_switch(struct live_ovs *);
void live_ovs_kill_switch(struct live_ovs *);
char *live_ovs_target(const struct live_ovs *);
char *live_ovs_run(const struct live_ovs *, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif /* tests/unit/ofp/live-ovs.h */
