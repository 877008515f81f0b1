#include <config.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "ofp/socket-watch.h"
#include "util.h"

static char *
socket_path(void)
{
    return xasprintf("/tmp/egress-socket-watch.%ld", (long int) getpid());
}

/* Returns a socket that listens on 'path', where there is none. */
static int
listen_on(const char *path)
{
    struct sockaddr_un sun = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    ovs_strlcpy(sun.sun_path, path, sizeof sun.sun_path);
    assert_int_equal(bind(fd, (struct sockaddr *) &sun, sizeof sun), 0);
    assert_int_equal(listen(fd, 1), 0);
    return fd;
}

static void
test_new_socket_is_noticed_once(void **state OVS_UNUSED)
{
    struct socket_watch watch = { .seen = { .st_ino = 0 } };
    char *path = socket_path();
    char *target = xasprintf("unix:%s", path);

    unlink(path);
    assert_false(socket_watch_is_new(&watch, target));
    int fd = listen_on(path);
    assert_true(socket_watch_is_new(&watch, target));
    assert_false(socket_watch_is_new(&watch, target));

    /* A process that dies leaves its socket behind: that is no news.  Its successor's is. */
    close(fd);
    assert_false(socket_watch_is_new(&watch, target));
    unlink(path);
    assert_false(socket_watch_is_new(&watch, target));
    fd = listen_on(path);
    assert_true(socket_watch_is_new(&watch, target));
    assert_false(socket_watch_is_new(&watch, target));

    close(fd);
    unlink(path);
    free(path);
    free(target);
}

static void
test_other_targets_are_left_alone(void **state OVS_UNUSED)
{
    struct socket_watch watch = { .seen = { .st_ino = 0 } };

    assert_false(socket_watch_is_new(&watch, NULL));
    assert_false(socket_watch_is_new(&watch, "tcp:127.0.0.1:6653"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_new_socket_is_noticed_once),
        cmocka_unit_test(test_other_targets_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
