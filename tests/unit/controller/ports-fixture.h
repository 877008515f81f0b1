#ifndef TESTS_PORTS_FIXTURE_H
#define TESTS_PORTS_FIXTURE_H 1

/* For tests of controller/ports.h: a sandbox's switch with an integration bridge, an uplink bridge
 * and a CNI's gateway port, and ports that watch it. */

#include "controller/ports.h"
#include "tests/unit/controller/ovs-sandbox.h"

/* One of the tests at a time has it. */
struct ports_fixture {
    struct ovs_sandbox *sandbox;
    struct ports *ports;
};

extern const struct ports_config fixture_config;

/* What most tests start from, with the agent's ports in place. */
#define NORMAL_HEAD "ready=1 type=dummy tunnel=set uplink=set reply=set uplink_mac=1 reply_mac=1\n"
#define NORMAL_OTHERS "others: br-int=local egress-tun=ours egress-uplink=ours gw0=internal\n"
#define NORMAL NORMAL_HEAD "pods:\n" NORMAL_OTHERS

int fixture_group_setup(void **state);
int fixture_group_teardown(void **state);
int fixture_setup(void **state);
int fixture_teardown(void **state);

void fixture_open(struct ports_fixture *);
void fixture_close(struct ports_fixture *);
void expect_view(struct ports_fixture *, const char *expected);
void expect_output(struct ports_fixture *, const char *command, const char *expected);
int fixture_run_for(struct ports_fixture *, int msec);

#endif /* tests/unit/controller/ports-fixture.h */
