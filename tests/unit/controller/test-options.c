#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controller/options.h"
#include "packets.h"
#include "util.h"

#define MAX_ARGS 16

/* Every command line here begins like this. */
#define REQUIRED "--source=dir:/etc/ovs-egress", "--hook-table=10", "--node=node-1"

/* Parses the arguments in 'args', up to NULL. */
static void
parse(struct agent_options *o, const char *const *args)
{
    char *argv[MAX_ARGS + 2] = { CONST_CAST(char *, "ovs-egressd") };
    int argc = 1;

    while (*args && argc <= MAX_ARGS) {
        argv[argc++] = CONST_CAST(char *, *args++);
    }
    optind = 0;                     /* Makes getopt_long() start anew. */
    agent_options_parse(argc, argv, o);
}

/* Parses the arguments in 'args' in a process of its own, which has to end with 'status'.  Returns what it says on
 * standard error ('status' nonzero) or standard output (zero); the caller frees it. */
static char *
parse_and_end(const char *const *args, int status)
{
    char *text = xzalloc(65536);
    size_t length = 0;
    int fds[2], wait_status;
    ssize_t n;

    assert_int_equal(pipe(fds), 0);
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) {
        struct agent_options o;

        dup2(fds[1], status ? STDERR_FILENO : STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        parse(&o, args);
        _exit(99);                  /* The options were taken. */
    }
    close(fds[1]);
    while ((n = read(fds[0], text + length, 65535 - length)) > 0) {
        length += n;
    }
    close(fds[0]);
    assert_int_equal(waitpid(pid, &wait_status, 0), pid);
    assert_true(WIFEXITED(wait_status));
    assert_int_equal(WEXITSTATUS(wait_status), status);
    return text;
}

/* The error that 'args' lead to, after the program's name, has to be 'expected'. */
static void
expect_error(const char *const *args, const char *expected)
{
    char *text = parse_and_end(args, EXIT_FAILURE);
    char *error = strstr(text, ": ");

    assert_non_null(error);
    error += 2;
    error[strcspn(error, "\n")] = '\0';
    assert_string_equal(error, expected);
    free(text);
}

#define EXPECT_ERROR(EXPECTED, ...) \
    expect_error((const char *const[]) { __VA_ARGS__, NULL }, EXPECTED)

static void
test_defaults(void **state OVS_UNUSED)
{
    struct agent_options o;

    parse(&o, (const char *const[]) { REQUIRED, NULL });
    assert_string_equal(o.node, "node-1");
    assert_string_equal(o.source, "dir:/etc/ovs-egress");
    assert_string_equal(o.bridge, "br-int");
    assert_string_equal(o.uplink_bridge, "br-phy");
    assert_string_equal(o.reply_port, "gw0");
    assert_int_equal(strncmp(o.database, "unix:", 5), 0);
    assert_null(o.unixctl);
    assert_int_equal(o.table_base, 200);
    assert_int_equal(o.hook_table, 10);
    assert_int_equal(o.hook_priority, 60000);
    assert_int_equal(o.reply_table, 0);
    assert_int_equal(o.tunnel_dst_port, 6082);
    assert_int_equal(o.n_internal, 0);
    assert_true(flow_wildcards_is_catchall(&o.hook_match.wc));
    agent_options_destroy(&o);
}

static void
test_everything_given(void **state OVS_UNUSED)
{
    static const char *const args[] = {
        REQUIRED, "--bridge=br0", "--uplink-bridge=br1", "--table-base=100", "--hook-priority=65534",
        "--hook-match=ct_state=-rpl+trk", "--reply-port=gw1", "--reply-table=7", "--tunnel-dst-port=7000",
        "--cluster-cidr=10.96.0.0/12", "--except-cidr=fd00:1::/64", "tcp:127.0.0.1:6640", NULL
    };
    struct agent_options o;
    struct match expected;

    parse(&o, args);
    assert_string_equal(o.database, "tcp:127.0.0.1:6640");
    assert_string_equal(o.bridge, "br0");
    assert_string_equal(o.uplink_bridge, "br1");
    assert_string_equal(o.reply_port, "gw1");
    assert_int_equal(o.table_base, 100);
    assert_int_equal(o.hook_priority, 65534);
    assert_int_equal(o.reply_table, 7);
    assert_int_equal(o.tunnel_dst_port, 7000);
    assert_int_equal(o.n_internal, 2);
    char *first = ip_prefix_to_string(&o.internal[0]);
    char *second = ip_prefix_to_string(&o.internal[1]);
    assert_string_equal(first, "10.96.0.0/12");
    assert_string_equal(second, "fd00:1::/64");
    free(first);
    free(second);
    match_init_catchall(&expected);
    match_set_ct_state_masked(&expected, CS_TRACKED, CS_TRACKED | CS_REPLY_DIR);
    assert_true(match_equal(&o.hook_match, &expected));
    agent_options_destroy(&o);
}

static void
test_what_is_required(void **state OVS_UNUSED)
{
    char *text = parse_and_end((const char *const[]) { "--hook-table=10", NULL }, EXIT_FAILURE);

    assert_non_null(strstr(text, ": --source is required, e.g. --source="));
    free(text);
    EXPECT_ERROR("--hook-table is required: the CNI's table that pod traffic reaches after its network policy",
                 "--source=dir:/x");
    EXPECT_ERROR("at most one argument is taken, the DATABASE; use --help for usage", REQUIRED, "a", "b");
}

static void
test_numbers(void **state OVS_UNUSED)
{
    EXPECT_ERROR("--hook-priority: \"65535\" is no number from 1 to 65534", REQUIRED, "--hook-priority=65535");
    EXPECT_ERROR("--hook-priority: \"0\" is no number from 1 to 65534", REQUIRED, "--hook-priority=0");
    EXPECT_ERROR("--table-base: \"231\" is no number from 1 to 230", REQUIRED, "--table-base=231");
    EXPECT_ERROR("--table-base: \"ten\" is no number from 1 to 230", REQUIRED, "--table-base=ten");
    EXPECT_ERROR("--hook-table: \"-1\" is no number from 0 to 253", "--source=dir:/x", "--hook-table=-1");
    EXPECT_ERROR("--tunnel-dst-port: \"\" is no number from 1 to 65535", REQUIRED, "--tunnel-dst-port=");
}

static void
test_tables_of_ours_are_not_the_cnis(void **state OVS_UNUSED)
{
    EXPECT_ERROR("--hook-table: 223 is one of our own tables 200 to 223", "--source=dir:/x", "--hook-table=223");
    EXPECT_ERROR("--reply-table: 10 is one of our own tables 10 to 33", "--source=dir:/x", "--hook-table=9",
                 "--reply-table=10", "--table-base=10");
}

static void
test_hook_match_is_about_ip_packets(void **state OVS_UNUSED)
{
    EXPECT_ERROR("--hook-match: \"arp\": matches neither IPv4 nor IPv6 packets", REQUIRED, "--hook-match=arp");
    EXPECT_ERROR("--hook-match: \"tun_gbp_flags=0\": tun_gbp_flags is ours, to tell packets that were handed back",
                 REQUIRED, "--hook-match=tun_gbp_flags=0");
    EXPECT_ERROR("--hook-match: \"ip,table=3\": only fields of packets are matched here", REQUIRED,
                 "--hook-match=ip,table=3");
    EXPECT_ERROR("--hook-match: \"ip,cookie=1/1\": only fields of packets are matched here", REQUIRED,
                 "--hook-match=ip,cookie=1/1");
}

static void
test_cidrs(void **state OVS_UNUSED)
{
    char *text = parse_and_end((const char *const[]) { REQUIRED, "--cluster-cidr=10.96.0.0/33", NULL },
                               EXIT_FAILURE);

    assert_non_null(strstr(text, "--cluster-cidr: "));
    assert_non_null(strstr(text, "10.96.0.0/33"));
    free(text);
}

static void
test_help_names_every_option(void **state OVS_UNUSED)
{
    static const char *const options[] = {
        "--node", "--source", "--bridge", "--table-base", "--hook-table", "--hook-priority", "--hook-match",
        "--reply-port", "--reply-table", "--uplink-bridge", "--tunnel-dst-port", "--cluster-cidr",
        "--except-cidr", "--unixctl", "--pidfile", "--detach", "--log-file", "--monitor",
    };
    char *text = parse_and_end((const char *const[]) { "--help", NULL }, EXIT_SUCCESS);

    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        assert_non_null(strstr(text, options[i]));
    }
    free(text);
}

int
main(int argc OVS_UNUSED, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything_given),
        cmocka_unit_test(test_what_is_required),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_tables_of_ours_are_not_the_cnis),
        cmocka_unit_test(test_hook_match_is_about_ip_packets),
        cmocka_unit_test(test_cidrs),
        cmocka_unit_test(test_help_names_every_option),
    };

    set_program_name(argv[0]);
    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
