#ifndef TESTS_UNIT_PIPELINE_FLOW_LINES_H
#define TESTS_UNIT_PIPELINE_FLOW_LINES_H 1

/* For tests of compilers: what they emit, as text, and the models they are given.
 *
 * A flow is a line "TABLE priority=N MATCH actions=ACTIONS", with TABLE the name of the stage, or the number of a table
 * that is not ours; lines are sorted.  Cookies are not in it. */

#include "pipeline/compile.h"
#include "svec.h"

/* The context that tests compile with: tables from 200, hook in table 10 at 60000, replies in table 0 from port 2 and
 * 0a:00:00:00:00:02, tunnel port 11, uplink port 12, egress MAC 0e:00:00:00:00:01, uplink bridge's MAC
 * 0a:00:00:00:00:03 and the uplink's peer port 5. */
struct flow_lines {
    struct compile_context ctx;
    struct svec lines;
    struct svec cookies;        /* "OWNER ID", in the order of emission. */
};

/* For cmocka_unit_test_setup_teardown(): '*state' is a struct flow_lines. */
int flow_lines_setup(void **state);
int flow_lines_teardown(void **state);

char *flow_lines_take(struct flow_lines *);

/* Compares what was emitted since the last time with EXPECTED. */
#define expect_flows(LINES, EXPECTED)                       \
    do {                                                    \
        char *text__ = flow_lines_take(LINES);              \
        assert_string_equal(text__, EXPECTED);              \
        free(text__);                                       \
    } while (0)

struct in6_addr test_ip(const char *);
struct ip_prefix test_prefix(const char *);

struct egress_policy *test_policy(const char *name, int32_t priority);
void test_policy_add_destination(struct egress_policy *, const char *cidr);
void test_policy_add_exception(struct egress_policy *, const char *cidr);
struct egress_route *test_route(struct egress_policy *, uint32_t number, const char *ip4, const char *ip6);

#endif /* tests/unit/pipeline/flow-lines.h */
