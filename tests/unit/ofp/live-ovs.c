#include <config.h>
#include "tests/unit/ofp/live-ovs.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "openvswitch/dynamic-string.h"
#include "util.h"

#define DEADLINE_MS 20000

/* Whether the programs that live_ovs_start() needs are there. */
bool
live_ovs_available(void)
{
    return !system("PATH=$PATH:/usr/sbin:/usr/local/sbin; "
                   "for p in ovs-vswitchd ovsdb-server ovs-ofctl ovs-vsctl ovsdb-tool; do "
                   "command -v $p >/dev/null || exit 1; done; "
                   "test -e /usr/share/openvswitch/vswitch.ovsschema");
}

/* Runs a shell command with the environment of 'ovs', and returns its output, also of stderr,
 * which the caller frees. Ends the test program if it fails. */
char *
live_ovs_run(const struct live_ovs *ovs, const char *format, ...)
{
    struct ds output = DS_EMPTY_INITIALIZER;
    char buf[4096];
    va_list args;
    size_t n;

    va_start(args, format);
    char *command = xvasprintf(format, args);
    va_end(args);
    char *shell =
        xasprintf("exec 2>&1; cd %s; PATH=$PATH:/usr/sbin:/usr/local/sbin; %s", ovs->dir, command);
    FILE *stream = popen(shell, "r");
    while ((n = fread(buf, 1, sizeof buf, stream)) > 0) {
        ds_put_buffer(&output, buf, n);
    }
    int status = pclose(stream);
    if (status) {
        ovs_fatal(0, "\"%s\" failed: %s", command, ds_cstr(&output));
    }
    free(shell);
    free(command);
    return ds_steal_cstr(&output);
}

/* Starts a program that writes to 'name'.out, and returns its pid. */
static pid_t
start(const struct live_ovs *ovs, const char *name, const char *const argv[])
{
    pid_t pid = fork();

    if (!pid) {
        char *out = xasprintf("%s/%s.out", ovs->dir, name);
        /* However the test program ends, nothing of it must stay. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(out, O_CREAT | O_WRONLY | O_APPEND, 0600);

        if (dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0) {
            _exit(126);
        }
        execvp(argv[0], (char *const *) argv);
        _exit(127);
    }
    return pid;
}

static void
wait_for_file(const struct live_ovs *ovs, const char *name)
{
    char *path = xasprintf("%s/%s", ovs->dir, name);
    struct stat s;

    for (int ms = 0; stat(path, &s); ms += 10) {
        if (ms > DEADLINE_MS) {
            ovs_fatal(0, "%s did not appear", path);
        }
        nanosleep(&(struct timespec) { .tv_nsec = 10 * 1000 * 1000 }, NULL);
    }
    free(path);
}

static void
stop(pid_t pid)
{
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
}

/* Starts ovs-vswitchd and waits until it listens. */
void
live_ovs_start_switch(struct live_ovs *ovs)
{
    char *db = xasprintf("unix:%s/db.sock", ovs->dir);
    const char *const argv[] = { "ovs-vswitchd",
                                 "--enable-dummy=override",
                                 "--disable-system",
                                 "--disable-system-route",
                                 "-vconsole:off",
                                 "-vsyslog:off",
                                 "-vfile:info",
                                 "--log-file",
                                 "--pidfile",
                                 db,
                                 NULL };

    free(live_ovs_run(ovs, "rm -f br0.mgmt"));
    ovs->switch_pid = start(ovs, "ovs-vswitchd", argv);
    wait_for_file(ovs, "br0.mgmt");
    free(db);
}

/* Kills ovs-vswitchd the hard way. */
void
live_ovs_kill_switch(struct live_ovs *ovs)
{
    stop(ovs->switch_pid);
    ovs->switch_pid = 0;
}

/* Starts everything.  The environment of the test program points to it from then on. */
void
live_ovs_start(struct live_ovs *ovs)
{
    static const char *const vars[] = { "OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR" };

    memset(ovs, 0, sizeof *ovs);
    ovs_strlcpy(ovs->dir, "/tmp/ovs-egress-test-XXXXXX", sizeof ovs->dir);
    if (!mkdtemp(ovs->dir)) {
        ovs_fatal(errno, "mkdtemp");
    }
    for (size_t i = 0; i < ARRAY_SIZE(vars); i++) {
        setenv(vars[i], ovs->dir, 1);
    }
    char *path = xasprintf("%s:/usr/sbin:/usr/local/sbin", getenv("PATH"));
    setenv("PATH", path, 1);
    free(path);

    char *db = xasprintf("%s/conf.db", ovs->dir);
    char *remote = xasprintf("--remote=punix:%s/db.sock", ovs->dir);
    const char *const argv[] = { "ovsdb-server", db,          remote, "-vconsole:off",
                                 "-vsyslog:off", "--pidfile", NULL };
    free(live_ovs_run(ovs, "ovsdb-tool create conf.db /usr/share/openvswitch/vswitch.ovsschema"));
    ovs->db_pid = start(ovs, "ovsdb-server", argv);
    wait_for_file(ovs, "db.sock");
    free(live_ovs_run(
        ovs, "ovs-vsctl --no-wait init -- add-br br0 -- set bridge br0 datapath_type=dummy "
             "fail_mode=secure -- add-port br0 p1 -- set interface p1 type=dummy ofport_request=1 "
             "-- add-port br0 p2 -- set interface p2 type=dummy ofport_request=2"));
    free(db);
    free(remote);
    live_ovs_start_switch(ovs);
}

/* Stops everything and removes its files. */
void
live_ovs_stop(struct live_ovs *ovs)
{
    live_ovs_kill_switch(ovs);
    stop(ovs->db_pid);
    free(live_ovs_run(ovs, "rm -rf %s", ovs->dir));
}

/* Returns the OpenFlow address of the bridge.  The caller frees it. */
char *
live_ovs_target(const struct live_ovs *ovs)
{
    return xasprintf("unix:%s/br0.mgmt", ovs->dir);
}
