#include <config.h>
#include "tests/unit/k8s/fake-api.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "k8s/kube-config.h"
#include "socket-util.h"
#include "timeval.h"
#include "util.h"

#define DEADLINE_MS 20000

static void
die(const char *what)
{
    fprintf(stderr, "fake-api: %s (%s)\n", what, ovs_strerror(errno));
    abort();
}

/* Takes what the fake said since, after waiting for up to 'timeout' ms. */
static void
read_output(struct fake_api *fake, int timeout)
{
    struct pollfd pollfd = { .fd = fake->out, .events = POLLIN };
    char buffer[4096];

    while (poll(&pollfd, 1, timeout) > 0) {
        ssize_t n = read(fake->out, buffer, sizeof buffer);
        if (n <= 0) {
            die("ended");
        }
        ds_put_buffer(&fake->unread, buffer, n);
        timeout = 0;
    }

    char *newline;
    while ((newline = strchr(ds_cstr(&fake->unread), '\n')) != NULL) {
        size_t n = newline + 1 - fake->unread.string;
        if (!strncmp(fake->unread.string, "#\n", 2)) {
            fake->n_acks++;
        } else {
            ds_put_buffer(&fake->log, fake->unread.string, n);
        }
        memmove(fake->unread.string, newline + 1, fake->unread.length - n + 1);
        fake->unread.length -= n;
    }
}

/* Returns a fake that runs on loopback. */
struct fake_api *
fake_api_start(void)
{
    struct fake_api *fake = xzalloc(sizeof *fake);
    const char *srcdir = getenv("srcdir");
    char *script = xasprintf("%s/tests/unit/k8s/fake-api.py", srcdir ? srcdir : ".");
    int in[2], out[2];

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) {
        die("pipe");
    }
    fake->pid = fork();
    if (!fake->pid) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execlp("python3", "python3", script, NULL);
        _exit(127);
    }
    free(script);
    close(in[0]);
    close(out[1]);
    fake->in = in[1];
    fake->out = out[0];
    ds_init(&fake->unread);
    ds_init(&fake->log);

    long long int deadline = time_msec() + DEADLINE_MS;
    while (!fake->log.length) {
        if (time_msec() > deadline) {
            die("does not start");
        }
        read_output(fake, 100);
    }
    char *dir = strchr(fake->log.string, ' ') + 1;
    fake->port = atoi(fake->log.string);
    fake->dir = xmemdup0(dir, strcspn(dir, "\n"));
    ds_clear(&fake->log);
    return fake;
}

/* Ends the fake and waits for it. */
void
fake_api_stop(struct fake_api *fake)
{
    long long int deadline = time_msec() + DEADLINE_MS;

    close(fake->in);
    while (!waitpid(fake->pid, NULL, WNOHANG)) {
        if (time_msec() > deadline) {
            kill(fake->pid, SIGKILL);
        }
        usleep(1000);
    }
    close(fake->out);
    ds_destroy(&fake->unread);
    ds_destroy(&fake->log);
    free(fake->dir);
    free(fake);
}

/* Has the fake execute 'python', a line in terms of fake-api.py's functions. */
void
fake_api_tell(struct fake_api *fake, const char *python)
{
    long long int deadline = time_msec() + DEADLINE_MS;
    char *line = xasprintf("%s\n", python);
    int n_acks = fake->n_acks;

    if (write(fake->in, line, strlen(line)) != strlen(line)) {
        die("write");
    }
    free(line);
    while (fake->n_acks == n_acks) {
        if (time_msec() > deadline) {
            die("does not listen");
        }
        read_output(fake, 100);
    }
}

/* Returns the requests that the fake saw since fake_api_clear_log(), valid until the next call. */
const char *
fake_api_log(struct fake_api *fake)
{
    read_output(fake, 0);
    return ds_cstr(&fake->log);
}

void
fake_api_clear_log(struct fake_api *fake)
{
    read_output(fake, 0);
    ds_clear(&fake->log);
}

/* Returns the configuration for 'fake', for the caller to destroy.  'cluster' and 'user' are in
 * YAML's flow style, like "token: x"; NULL stands for the right certificate and for no user. */
struct kube_config *
fake_api_config(const struct fake_api *fake, const char *cluster, const char *user)
{
    char *path = xasprintf("%s/kubeconfig", fake->dir);
    FILE *file = fopen(path, "w");
    char *error;

    fprintf(file,
            "current-context: c\n"
            "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
            "clusters: [{name: k, cluster: {server: 'https://127.0.0.1:%d/', %s}}]\n"
            "users: [{name: u, user: {%s}}]\n",
            fake->port, cluster ? cluster : "certificate-authority: server.crt",
            user ? user : "");
    fclose(file);

    struct kube_config *config = kube_config_load(path, &error);
    if (!config) {
        die(error);
    }
    free(path);
    return config;
}
