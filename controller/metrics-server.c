#include <config.h>
#include "controller/metrics-server.h"

#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "controller/metrics.h"
#include "openvswitch/list.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "socket-util.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_metrics);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 20);

/* Scrapers and probes are few.  More than that is a mistake, or somebody who wishes us ill. */
#define MAX_CONNECTIONS 64
/* From one address, so that a pod that holds connections does not keep the kubelet's probes out. */
#define MAX_CONNECTIONS_PER_PEER 8u
#define CONNECTION_TIMEOUT_S 15u
#define CONNECTION_MEMORY (16u * 1024)
#define BACKLOG 16

/* A request for /metrics that waits for what has to be fetched. */
struct waiting_request {
    struct ovs_list node;       /* In 'waiting' of struct metrics_server. */
    struct MHD_Connection *connection;
};

struct metrics_server {
    const struct metrics_server_ops *ops;
    void *aux;
    struct MHD_Daemon *mhd;
    int epoll_fd;
    struct ovs_list waiting;    /* struct waiting_request. */
    long long int now;          /* Of metrics_server_run(). */
    long long int deadline;     /* If any are waiting, when they get what is there. */
};

/* Answers with 'body', of which libmicrohttpd makes a copy. */
static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned int status, const char *content_type, const char *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(strlen(body), CONST_CAST(char *, body), MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_NO;

    if (response) {
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED) {
            MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
        }
        result = MHD_queue_response(connection, status, response);
        MHD_destroy_response(response);
    }
    return result;
}

static enum MHD_Result
answer_text(struct MHD_Connection *connection, unsigned int status, const char *text)
{
    char *line = xasprintf("%s\n", text);
    enum MHD_Result result = answer(connection, status, "text/plain; charset=utf-8", line);

    free(line);
    return result;
}

static enum MHD_Result
answer_metrics(struct metrics_server *server, struct MHD_Connection *connection)
{
    struct metrics metrics;

    metrics_init(&metrics);
    server->ops->put(&metrics, server->aux);
    enum MHD_Result result = answer(connection, MHD_HTTP_OK, METRICS_CONTENT_TYPE, ds_cstr(&metrics.text));
    metrics_destroy(&metrics);
    return result;
}

static bool
is_fetching(struct metrics_server *server)
{
    return server->ops->is_fetching && server->ops->is_fetching(server->now, server->aux);
}

/* Lets 'connection' wait until resume_waiting() lets this be called again. */
static void
suspend(struct metrics_server *server, struct MHD_Connection *connection, void **stage)
{
    struct waiting_request *request = xmalloc(sizeof *request);

    if (ovs_list_is_empty(&server->waiting)) {
        server->deadline = server->now + METRICS_SERVER_PATIENCE_MS;
    }
    request->connection = connection;
    ovs_list_push_back(&server->waiting, &request->node);
    MHD_suspend_connection(connection);
    *stage = server;
}

/* What libmicrohttpd calls for each request, again until there is an answer.  '*stage' is the request's own: NULL at first,
 * 'server_' once it has waited. */
static enum MHD_Result
handle_request(void *server_, struct MHD_Connection *connection, const char *path, const char *method,
               const char *version OVS_UNUSED, const char *upload OVS_UNUSED, size_t *upload_size,
               void **stage)
{
    struct metrics_server *server = server_;
    const char *reason;

    if (*upload_size) {
        *upload_size = 0;       /* Nobody wants that. */
        return MHD_YES;
    } else if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD)) {
        return answer_text(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD are served");
    } else if (!strcmp(path, "/metrics")) {
        if (!*stage && is_fetching(server)) {
            suspend(server, connection, stage);
            return MHD_YES;
        }
        return answer_metrics(server, connection);
    } else if (!strcmp(path, "/healthz")) {
        return answer_text(connection, MHD_HTTP_OK, "ok");
    } else if (!strcmp(path, "/readyz")) {
        reason = server->ops->why_not_ready(server->aux);
        return answer_text(connection, reason ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                           reason ? reason : "ok");
    }
    return answer_text(connection, MHD_HTTP_NOT_FOUND, "there are /metrics, /healthz and /readyz");
}

static void
log_error(void *aux OVS_UNUSED, const char *format, va_list args)
{
    char *message = xvasprintf(format, args);

    message[strcspn(message, "\n")] = '\0';
    VLOG_INFO_RL(&rl, "HTTP server: %s", message);
    free(message);
}

/* Opens a socket that listens on 'ss'.  Returns it, or a negative errno. */
static int
listen_on(const struct sockaddr_storage *ss, bool also_ipv4)
{
    int fd = socket(ss->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int yes = 1, v6_only = !also_ipv4;

    if (fd < 0) {
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes)
        || (ss->ss_family == AF_INET6
            && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof v6_only))
        || bind(fd, (const struct sockaddr *) ss, ss_length(ss)) || listen(fd, BACKLOG)) {
        int error = errno;

        close(fd);
        return -error;
    }
    return fd;
}

static bool
ends_with_colon(const char *s)
{
    return s[0] && s[strlen(s) - 1] == ':';
}

/* Returns a socket for 'where', or a negative errno: EINVAL if that is no address and port. */
static int
open_socket(const char *where)
{
    bool everywhere = !strncmp(where, "*:", 2);
    char *target = (everywhere ? xasprintf("[::]%s", where + 1)
                    : strchr(where, ':') ? xstrdup(where) : xasprintf("127.0.0.1:%s", where));
    struct sockaddr_storage ss;
    int fd = -EINVAL;

    if (!ends_with_colon(target) && inet_parse_active(target, -1, &ss, false, NULL)
        && ss_get_port(&ss)) {
        fd = listen_on(&ss, everywhere);
        if (everywhere && fd < 0 && fd != -EADDRINUSE && fd != -EACCES) {
            /* A machine without IPv6. */
            struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(ss_get_port(&ss)) };

            memcpy(&ss, &any, sizeof any);
            fd = listen_on(&ss, false);
        }
    }
    free(target);
    return fd;
}

/* Returns a server that listens on 'where', "[ADDRESS:]PORT": by default on the loopback address alone, with "*" on all.
 * On failure returns NULL, with an error that the caller frees in '*errorp'.  'ops' must outlive the server. */
struct metrics_server *
metrics_server_create(const char *where, const struct metrics_server_ops *ops, void *aux, char **errorp)
{
    struct metrics_server *server;
    int fd = open_socket(where);

    *errorp = NULL;
    if (fd == -EINVAL) {
        *errorp = xasprintf("\"%s\" is no [ADDRESS:]PORT, with an IPv6 address in brackets, or * for all",
                            where);
        return NULL;
    } else if (fd < 0) {
        *errorp = xasprintf("%s: cannot listen: %s", where, ovs_strerror(-fd));
        return NULL;
    }
    server = xzalloc(sizeof *server);
    server->ops = ops;
    server->aux = aux;
    ovs_list_init(&server->waiting);
    server->mhd = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL, handle_request,
        server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_EXTERNAL_LOGGER, log_error, NULL,
        MHD_OPTION_CONNECTION_LIMIT, MAX_CONNECTIONS,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, MAX_CONNECTIONS_PER_PEER,
        MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_MEMORY,
        MHD_OPTION_END);
    if (!server->mhd) {
        *errorp = xasprintf("%s: the HTTP server does not start", where);
        close(fd);
        free(server);
        return NULL;
    }
    server->epoll_fd = MHD_get_daemon_info(server->mhd, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    return server;
}

static void
resume_waiting(struct metrics_server *server)
{
    struct waiting_request *request;

    LIST_FOR_EACH_POP (request, node, &server->waiting) {
        MHD_resume_connection(request->connection);
        free(request);
    }
}

/* 'server' may be NULL, here and below: then there is nothing to do. */
void
metrics_server_destroy(struct metrics_server *server)
{
    if (server) {
        resume_waiting(server);
        MHD_stop_daemon(server->mhd);
        free(server);
    }
}

void
metrics_server_run(struct metrics_server *server, long long int now)
{
    if (server) {
        server->now = now;
        if (!ovs_list_is_empty(&server->waiting) && (now >= server->deadline || !is_fetching(server))) {
            resume_waiting(server);
        }
        MHD_run(server->mhd);
    }
}

void
metrics_server_wait(struct metrics_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout;

    if (server) {
        poll_fd_wait(server->epoll_fd, POLLIN);
        if (MHD_get_timeout(server->mhd, &timeout) == MHD_YES) {
            poll_timer_wait(MIN(timeout, INT_MAX));
        }
        if (!ovs_list_is_empty(&server->waiting)) {
            poll_timer_wait_until(server->deadline);
        }
    }
}
