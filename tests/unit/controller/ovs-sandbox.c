#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/controller/ovs-sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "openvswitch/dynamic-string.h"
#include "timeval.h"
#include "util.h"

#define SCHEMA "/usr/share/openvswitch/vswitch.ovsschema"

/* Are Open vSwitch's programs installed?  Says on stderr what is missing. */
bool
sandbox_is_possible(void)
{
    /* Daemons are where not everybody looks. */
    char *path = xasprintf("%s:/usr/sbin:/usr/local/sbin", getenv("PATH"));
    setenv("PATH", path, true);
    free(path);

    if (access(SCHEMA, R_OK)) {
        fprintf(stderr, "SKIPPED: %s is missing (install openvswitch-switch)\n", SCHEMA);
        return false;
    }
    if (system("command -v ovsdb-tool ovsdb-server ovs-vswitchd ovs-vsctl ovs-ofctl >/dev/null")) {
        fprintf(stderr, "SKIPPED: Open vSwitch's programs are not installed "
                "(install openvswitch-switch)\n");
        return false;
    }
    return true;
}

static void
sleep_a_bit(void)
{
    usleep(10 * 1000);
}

static pid_t
start(const struct ovs_sandbox *sandbox, char *const argv[])
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (!pid) {
        char *log = xasprintf("%s/%s.out", sandbox->dir, argv[0]);
        int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

        /* Whatever becomes of the test, its daemons end with it. */
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execvp(argv[0], argv);
        _exit(127);
    }
    return pid;
}

/* Waits until 'file' is in the sandbox. */
static void
wait_for_file(const struct ovs_sandbox *sandbox, const char *file)
{
    char *path = xasprintf("%s/%s", sandbox->dir, file);
    long long int deadline = time_wall_msec() + SANDBOX_DEADLINE;

    while (access(path, F_OK)) {
        if (time_wall_msec() > deadline) {
            fail_msg("%s did not appear", path);
        }
        sleep_a_bit();
    }
    free(path);
}

/* Ends '*pid', if it runs, and waits until it is gone. */
void
sandbox_stop(pid_t *pid)
{
    if (*pid) {
        long long int deadline = time_wall_msec() + SANDBOX_DEADLINE;

        kill(*pid, SIGTERM);
        while (waitpid(*pid, NULL, WNOHANG) == 0) {
            if (time_wall_msec() > deadline) {
                kill(*pid, SIGKILL);
            }
            sleep_a_bit();
        }
        *pid = 0;
    }
}

void
sandbox_start_ovsdb(struct ovs_sandbox *sandbox)
{
    char *conf = xasprintf("%s/conf.db", sandbox->dir);
    char *remote = xasprintf("--remote=p%s", sandbox->db);
    char *const argv[] = {
        (char[]) {"ovsdb-server"}, conf, remote, (char[]) {"--pidfile"}, NULL
    };

    sandbox->ovsdb_server = start(sandbox, argv);
    wait_for_file(sandbox, "db.sock");
    free(conf);
    free(remote);
}

void
sandbox_stop_ovsdb(struct ovs_sandbox *sandbox)
{
    sandbox_stop(&sandbox->ovsdb_server);
}

struct ovs_sandbox *
sandbox_create(void)
{
    struct ovs_sandbox *sandbox = xzalloc(sizeof *sandbox);

    sandbox->dir = xstrdup("/tmp/ovs-egress-test.XXXXXX");
    assert_non_null(mkdtemp(sandbox->dir));
    sandbox->db = xasprintf("unix:%s/db.sock", sandbox->dir);
    setenv("OVS_RUNDIR", sandbox->dir, true);
    setenv("OVS_LOGDIR", sandbox->dir, true);
    setenv("OVS_DBDIR", sandbox->dir, true);
    setenv("OVS_SYSCONFDIR", sandbox->dir, true);

    free(sandbox_run("ovsdb-tool create %s/conf.db " SCHEMA, sandbox->dir));
    sandbox_start_ovsdb(sandbox);
    free(sandbox_run("ovs-vsctl --no-wait init"));

    char *const argv[] = {
        (char[]) {"ovs-vswitchd"}, sandbox->db, (char[]) {"--enable-dummy=override"},
        (char[]) {"--disable-system"}, (char[]) {"--disable-system-route"},
        (char[]) {"--pidfile"}, NULL
    };
    sandbox->ovs_vswitchd = start(sandbox, argv);
    return sandbox;
}

void
sandbox_destroy(struct ovs_sandbox *sandbox)
{
    if (sandbox) {
        sandbox_stop(&sandbox->ovs_vswitchd);
        sandbox_stop(&sandbox->ovsdb_server);
        free(sandbox_run("rm -rf %s", sandbox->dir));
        free(sandbox->dir);
        free(sandbox->db);
        free(sandbox);
    }
}

/* Runs 'command' in a shell.  Stores what it printed, of both kinds, in '*output', which the caller
 * must free.  Returns its exit status. */
int
sandbox_run_any(char **output, const char *command)
{
    char *all = xasprintf("{ %s\n} 2>&1", command);
    FILE *stream = popen(all, "r");
    struct ds s = DS_EMPTY_INITIALIZER;
    char buf[512];
    size_t n;

    assert_non_null(stream);
    while ((n = fread(buf, 1, sizeof buf, stream)) > 0) {
        ds_put_buffer(&s, buf, n);
    }
    int status = pclose(stream);
    free(all);
    *output = ds_steal_cstr(&s);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Runs a command that must succeed and returns what it printed, which the caller must free. */
char *
sandbox_run(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *command = xvasprintf(format, args);
    va_end(args);

    char *output;
    int status = sandbox_run_any(&output, command);
    if (status) {
        fail_msg("\"%s\" failed (%d): %s", command, status, output);
    }
    free(command);
    return output;
}

/* Checks that 'command' succeeds and prints 'output'. */
void
sandbox_expect(const char *command, const char *output)
{
    char *actual = sandbox_run("%s", command);

    assert_string_equal(actual, output);
    free(actual);
}

/* Size of the database's file, which every transaction that is to last appends to. */
long long int
sandbox_db_size(const struct ovs_sandbox *sandbox)
{
    char *path = xasprintf("%s/conf.db", sandbox->dir);
    struct stat s;

    assert_int_equal(stat(path, &s), 0);
    free(path);
    return s.st_size;
}
