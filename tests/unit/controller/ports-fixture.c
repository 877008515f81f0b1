#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/controller/ports-fixture.h"

#include <stdlib.h>
#include <string.h>

#include "openvswitch/dynamic-string.h"
#include "openvswitch/poll-loop.h"
#include "packets.h"
#include "timeval.h"
#include "util.h"

const struct ports_config fixture_config = {
    .bridge = "br-int",
    .uplink_bridge = "br-phy",
    .tunnel_dst_port = 16081,
    .reply_port = "gw0",
};

/* Views as text. */

static void
put_ofport(struct ds *s, const char *name, ofp_port_t ofport)
{
    ds_put_format(s, "%s=%s ", name, ofport == OFPP_NONE ? "none" : "set");
}

/* Returns what stands in the view apart from numbers that the switch chose, as text that the caller
 * must free. */
static char *
view_to_string(const struct ports_view *view)
{
    struct ds s = DS_EMPTY_INITIALIZER;

    ds_put_format(&s, "ready=%d type=%s ", view->ready,
                  view->datapath_type ? view->datapath_type : "-");
    put_ofport(&s, "tunnel", view->tunnel);
    put_ofport(&s, "uplink", view->uplink);
    put_ofport(&s, "reply", view->reply);
    ds_put_format(&s, "uplink_mac=%d reply_mac=%d\npods:",
                  !eth_addr_is_zero(view->uplink_mac), !eth_addr_is_zero(view->reply_mac));
    for (size_t i = 0; i < view->n_pods; i++) {
        const struct pod_port *pod = &view->pods[i];

        ds_put_format(&s, " %s=%s/%s", pod->name, pod->identity.namespace, pod->identity.name);
    }
    ds_put_cstr(&s, "\nothers:");
    for (size_t i = 0; i < view->n_others; i++) {
        ds_put_format(&s, " %s=%s", view->others[i].name, port_kind_name(view->others[i].kind));
    }
    ds_put_char(&s, '\n');
    for (size_t i = 0; i < view->problems.n; i++) {
        const struct egress_problem *problem = &view->problems.problems[i];

        ds_put_format(&s, "%s: %s\n", problem->object, problem->text);
    }
    return ds_steal_cstr(&s);
}

/* Runs the ports until their view is 'expected'. */
void
expect_view(struct ports_fixture *f, const char *expected)
{
    long long int deadline = time_msec() + SANDBOX_DEADLINE;

    for (;;) {
        ports_run(f->ports, time_msec());
        char *actual = view_to_string(ports_get_view(f->ports));
        bool done = !strcmp(actual, expected);

        if (!done && time_msec() > deadline) {
            assert_string_equal(actual, expected);
        }
        free(actual);
        if (done) {
            return;
        }
        ports_wait(f->ports);
        poll_timer_wait_until(deadline + 1);
        poll_block();
    }
}

/* Runs the ports for 'msec' ms: for what must not happen.  Returns how often the loop ran. */
int
fixture_run_for(struct ports_fixture *f, int msec)
{
    long long int end = time_msec() + msec;
    int n = 0;

    while (time_msec() < end) {
        ports_run(f->ports, time_msec());
        ports_wait(f->ports);
        poll_timer_wait_until(end);
        poll_block();
        n++;
    }
    return n;
}

/* Runs the ports until 'command' prints 'expected'. */
void
expect_output(struct ports_fixture *f, const char *command, const char *expected)
{
    long long int deadline = time_msec() + SANDBOX_DEADLINE;

    for (;;) {
        char *actual;

        fixture_run_for(f, 20);
        sandbox_run_any(&actual, command);
        bool done = !strcmp(actual, expected);
        if (!done && time_msec() > deadline) {
            assert_string_equal(actual, expected);
        }
        free(actual);
        if (done) {
            return;
        }
    }
}

void
fixture_open(struct ports_fixture *f)
{
    f->ports = ports_create(f->sandbox->db, &fixture_config);
}

void
fixture_close(struct ports_fixture *f)
{
    ports_destroy(f->ports);
    f->ports = NULL;
}

int
fixture_setup(void **state)
{
    struct ports_fixture *f = *state;

    free(sandbox_run("ovs-vsctl add-br br-int -- set Bridge br-int datapath_type=dummy "
                     "-- add-br br-phy -- set Bridge br-phy datapath_type=dummy "
                     "-- add-port br-int gw0 -- set Interface gw0 type=internal"));
    fixture_open(f);
    expect_view(f, NORMAL);
    return 0;
}

int
fixture_teardown(void **state)
{
    struct ports_fixture *f = *state;

    fixture_close(f);
    free(sandbox_run("ovs-vsctl --if-exists del-br br-int -- --if-exists del-br br-phy "
                     "-- --if-exists del-br br-more"));
    return 0;
}

int
fixture_group_setup(void **state)
{
    struct ports_fixture *f = xzalloc(sizeof *f);

    f->sandbox = sandbox_create();
    *state = f;
    return 0;
}

int
fixture_group_teardown(void **state)
{
    struct ports_fixture *f = *state;

    sandbox_destroy(f->sandbox);
    free(f);
    return 0;
}
