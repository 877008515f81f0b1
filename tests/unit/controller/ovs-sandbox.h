#ifndef TESTS_OVS_SANDBOX_H
#define TESTS_OVS_SANDBOX_H 1

/* A real ovsdb-server and a real ovs-vswitchd in a directory of their own, with nothing but dummy
 * devices and datapaths: no privileges are needed and nothing outside the directory is touched. */

#include <stdbool.h>
#include <sys/types.h>
#include "openvswitch/compiler.h"

/* How long to wait for anything, in ms. */
#define SANDBOX_DEADLINE 20000

struct ovs_sandbox {
    char *dir;                      /* Also OVS_RUNDIR. */
    char *db;                       /* "unix:DIR/db.sock". */
    pid_t ovsdb_server;             /* 0 while stopped. */
    pid_t ovs_vswitchd;
};

bool sandbox_is_possible(void);
struct ovs_sandbox *sandbox_create(void);
void sandbox_destroy(struct ovs_sandbox *);

void sandbox_start_ovsdb(struct ovs_sandbox *);
void sandbox_stop_ovsdb(struct ovs_sandbox *);
void sandbox_stop(pid_t *);

char *sandbox_run(const char *format, ...) OVS_PRINTF_FORMAT(1, 2);
int sandbox_run_any(char **output, const char *command);
void sandbox_expect(const char *command, const char *output);
long long int sandbox_db_size(const struct ovs_sandbox *);

#endif /* tests/unit/controller/ovs-sandbox.h */
