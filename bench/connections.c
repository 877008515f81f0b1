/* Many short TCP connections: how many per second get through?
 *
 *     connections serve PORT
 *     connections dial HOST PORT SECONDS PARALLEL
 *
 * Each connection carries one byte there and one back.  The dialler resets it then, so that no port
 * of its stays in TIME-WAIT.  It prints how many connections were complete, and how many failed. */

#define _GNU_SOURCE             /* For accept4(). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_EVENTS 64

static void
die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static void
watch(int epoll, int op, int fd, unsigned int events)
{
    struct epoll_event event = { .events = events, .data.fd = fd };

    if (epoll_ctl(epoll, op, fd, &event)) {
        die("epoll_ctl");
    }
}

static double
now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec / 1e9;
}

/* Sends each byte back, until the other side ends the connection. */
static void
echo(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);

    if (n == 1) {
        n = send(fd, &byte, 1, MSG_NOSIGNAL);
    }
    if (n == 0 || (n < 0 && errno != EAGAIN)) {
        close(fd);
    }
}

static void
serve(int port)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT, .sin6_port = htons(port),
    };
    int listener = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int epoll = epoll_create1(0);
    int one = 1;

    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *) &address, sizeof address) || listen(listener, 4096)) {
        die("listen");
    }
    watch(epoll, EPOLL_CTL_ADD, listener, EPOLLIN);
    for (;;) {
        struct epoll_event events[MAX_EVENTS];
        int n = epoll_wait(epoll, events, MAX_EVENTS, -1);

        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;

            if (fd != listener) {
                echo(fd);
            } else while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
                watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN);
            }
        }
    }
}

/* Begins a connection to 'address', watched by 'epoll'. */
static void
dial_one(int epoll, const struct sockaddr_in *address)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct linger reset = { .l_onoff = 1, .l_linger = 0 };
    int one = 1;

    if (fd < 0) {
        die("socket");
    }
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd, (const struct sockaddr *) address, sizeof *address) && errno != EINPROGRESS) {
        die("connect");
    }
    watch(epoll, EPOLL_CTL_ADD, fd, EPOLLOUT);
}

/* Takes the connection 'fd' a step further.  Returns 0 while it is under way, 1 when it is
 * complete, and -1 when it has failed. */
static int
advance(int epoll, int fd, unsigned int events)
{
    char byte = 'x';

    if (events & (EPOLLERR | EPOLLHUP)) {
        return -1;
    } else if (events & EPOLLOUT) {
        watch(epoll, EPOLL_CTL_MOD, fd, EPOLLIN);
        return send(fd, &byte, 1, MSG_NOSIGNAL) == 1 ? 0 : -1;
    }
    return recv(fd, &byte, 1, 0) == 1 ? 1 : -1;
}

static void
dial(const char *host, int port, double seconds, int parallel)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    unsigned int n_complete = 0, n_failed = 0;
    int epoll = epoll_create1(0);
    double end = now() + seconds;

    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "%s: no IPv4 address\n", host);
        exit(EXIT_FAILURE);
    }
    for (int i = 0; i < parallel; i++) {
        dial_one(epoll, &address);
    }
    while (now() < end) {
        struct epoll_event events[MAX_EVENTS];
        int n = epoll_wait(epoll, events, MAX_EVENTS, 100);

        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            int result = advance(epoll, fd, events[i].events);

            if (result) {
                n_complete += result > 0;
                n_failed += result < 0;
                close(fd);
                dial_one(epoll, &address);
            }
        }
    }
    printf("%u %u\n", n_complete, n_failed);
}

int
main(int argc, char *argv[])
{
    if (argc == 3 && !strcmp(argv[1], "serve")) {
        serve(atoi(argv[2]));
    } else if (argc == 6 && !strcmp(argv[1], "dial")) {
        dial(argv[2], atoi(argv[3]), atof(argv[4]), atoi(argv[5]));
    } else {
        fprintf(stderr, "usage: %s serve PORT | dial HOST PORT SECONDS PARALLEL\n", argv[0]);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
