#include <config.h>
#include "k8s/kube-http.h"

#include <curl/curl.h>
#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "fatal-signal.h"
#include "k8s/json-c.h"
#include "k8s/kube-config.h"
#include "openvswitch/dynamic-string.h"
#include "openvswitch/list.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_kube_http);

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);

#define CONNECT_TIMEOUT_MS 10000

/* A connection whose peer does not acknowledge anything for so long is dead. */
#define DEAD_PEER_MS 30000
#define KEEPALIVE_IDLE_S 15
#define KEEPALIVE_INTERVAL_S 5

/* Of a response that tells an error. */
#define MAX_ERROR_BODY (256u * 1024)

/* Deeper JSON is junk. */
#define MAX_JSON_DEPTH 64

/* How often in a row libcurl may ask to be called at once, before others get their turn. */
#define MAX_TIMER_TURNS 4

/* A socket that libcurl wants to have watched. */
struct kube_socket {
    struct ovs_list list_node;  /* In struct kube_multi's 'sockets'. */
    int fd;
    short int events;           /* POLLIN, POLLOUT. */
};

/* A set of requests that share connections. */
struct kube_multi {
    struct ovs_list list_node;  /* In struct kube_http's 'multis'. */
    struct kube_http *http;
    CURLM *curl;
    struct ovs_list sockets;    /* struct kube_socket. */
    struct ovs_list requests;   /* struct kube_request. */
    long long int timer;        /* When libcurl wants to be called, by time_msec(). */
};

struct kube_http {
    const struct kube_config *config;
    struct kube_token token;
    char *base;                     /* Of URLs. */
    char *host_header;              /* If 'base' has another name. */
    struct curl_slist *connect_to;  /* The same. */
    struct ovs_list multis;         /* The first one takes new requests, the others run dry. */
    struct ovs_list starting;       /* struct kube_request that libcurl does not know yet. */
    bool in_curl;                   /* libcurl is calling us and must not be called. */
    bool has_dead;                  /* Some requests are dead. */
    bool renew;                     /* Wanted by kube_http_renew(). */
    long long int now;              /* Of kube_http_run(). */
    struct kube_http_stats stats;
};

struct kube_request {
    struct ovs_list list_node;  /* In struct kube_http's 'starting', or kube_multi's 'requests'. */
    struct kube_http *http;
    struct kube_multi *multi;   /* NULL while in 'starting'. */
    CURL *easy;
    struct curl_slist *headers;
    char *body;                 /* To be sent. */
    size_t max_body;
    struct ds received;
    bool too_large;
    bool dead;                  /* Cancelled while libcurl was running. */
    kube_data_cb *data;
    kube_done_cb *done;
    void *aux;
    char error[CURL_ERROR_SIZE];
};

static void kube_request_destroy(struct kube_request *);

static struct kube_socket *
find_socket(struct kube_multi *multi, int fd)
{
    struct kube_socket *s;

    LIST_FOR_EACH (s, list_node, &multi->sockets) {
        if (s->fd == fd) {
            return s;
        }
    }
    return NULL;
}

/* libcurl's CURLMOPT_SOCKETFUNCTION. */
static int
socket_cb(CURL *easy OVS_UNUSED, curl_socket_t fd, int what, void *multi_,
          void *socket OVS_UNUSED)
{
    struct kube_multi *multi = multi_;
    struct kube_socket *s = find_socket(multi, fd);

    if (what == CURL_POLL_REMOVE) {
        if (s) {
            ovs_list_remove(&s->list_node);
            free(s);
        }
        return 0;
    }
    if (!s) {
        s = xmalloc(sizeof *s);
        s->fd = fd;
        ovs_list_push_back(&multi->sockets, &s->list_node);
    }
    s->events = ((what & CURL_POLL_IN ? POLLIN : 0) | (what & CURL_POLL_OUT ? POLLOUT : 0));
    return 0;
}

/* libcurl's CURLMOPT_TIMERFUNCTION. */
static int
timer_cb(CURLM *curl OVS_UNUSED, long int timeout_ms, void *multi_)
{
    struct kube_multi *multi = multi_;

    multi->timer = timeout_ms < 0 ? LLONG_MAX : time_msec() + timeout_ms;
    return 0;
}

/* Makes a new set of connections and puts it first. */
static void
add_multi(struct kube_http *http)
{
    struct kube_multi *multi = xzalloc(sizeof *multi);

    multi->http = http;
    multi->timer = LLONG_MAX;
    ovs_list_init(&multi->sockets);
    ovs_list_init(&multi->requests);
    multi->curl = curl_multi_init();
    ovs_assert(multi->curl);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETFUNCTION, socket_cb);
    curl_multi_setopt(multi->curl, CURLMOPT_SOCKETDATA, multi);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERFUNCTION, timer_cb);
    curl_multi_setopt(multi->curl, CURLMOPT_TIMERDATA, multi);
    ovs_list_push_front(&http->multis, &multi->list_node);
}

static void
kube_multi_destroy(struct kube_multi *multi)
{
    struct kube_request *request;
    struct kube_socket *s;

    LIST_FOR_EACH_SAFE (request, list_node, &multi->requests) {
        kube_request_destroy(request);
    }
    curl_multi_cleanup(multi->curl);
    LIST_FOR_EACH_POP (s, list_node, &multi->sockets) {
        free(s);
    }
    ovs_list_remove(&multi->list_node);
    free(multi);
}

/* If another name than the server's is to be verified, requests go to a URL with that name, and
 * libcurl is told where that is. */
static void
set_base(struct kube_http *http)
{
    const struct kube_config *config = http->config;

    if (!config->tls_server_name) {
        http->base = xstrdup(config->server);
        return;
    }

    const char *authority = config->server + strlen("https://");
    size_t n = strcspn(authority, "/");
    const char *bracket = memchr(authority, ']', n);
    const char *host_end = bracket ? bracket : authority;
    const char *colon = memchr(host_end, ':', n - (host_end - authority));
    int host_len = colon ? colon - authority : n;
    const char *port = colon ? colon + 1 : "443";
    int port_len = colon ? authority + n - port : 3;

    http->base = xasprintf("https://%s:%.*s%s", config->tls_server_name, port_len, port,
                           authority + n);
    http->host_header = xasprintf("Host: %.*s", (int) n, authority);

    char *connect_to = xasprintf("::%.*s:%.*s", host_len, authority, port_len, port);
    http->connect_to = curl_slist_append(NULL, connect_to);
    free(connect_to);
}

/* Returns a client of the server that 'config' tells.  'config' must outlive it. */
struct kube_http *
kube_http_create(const struct kube_config *config)
{
    struct kube_http *http = xzalloc(sizeof *http);

    fatal_ignore_sigpipe();
    curl_global_init(CURL_GLOBAL_DEFAULT);
    http->config = config;
    kube_token_init(&http->token, config);
    set_base(http);
    ovs_list_init(&http->multis);
    ovs_list_init(&http->starting);
    add_multi(http);
    return http;
}

/* Destroys 'http' and all of its requests, without calling their callbacks.  Whoever uses 'http'
 * has to be gone before. */
void
kube_http_destroy(struct kube_http *http)
{
    struct kube_request *request;
    struct kube_multi *multi;

    if (!http) {
        return;
    }
    LIST_FOR_EACH_SAFE (request, list_node, &http->starting) {
        kube_request_destroy(request);
    }
    LIST_FOR_EACH_SAFE (multi, list_node, &http->multis) {
        kube_multi_destroy(multi);
    }
    curl_slist_free_all(http->connect_to);
    kube_token_destroy(&http->token);
    free(http->base);
    free(http->host_header);
    free(http);
    curl_global_cleanup();
}

/* Has requests that start from now on go over new connections, because there are doubts about those
 * that there are. */
void
kube_http_renew(struct kube_http *http)
{
    http->renew = true;
}

const struct kube_http_stats *
kube_http_get_stats(const struct kube_http *http)
{
    return &http->stats;
}

/* libcurl's CURLOPT_WRITEFUNCTION.  Returning less than 'n' ends the request. */
static size_t
write_cb(char *data, size_t size OVS_UNUSED, size_t n, void *request_)
{
    struct kube_request *request = request_;
    long int status = 0;

    if (request->dead) {
        return 0;
    }
    request->http->stats.last_contact = time_wall_msec();
    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);

    bool ok = status >= 200 && status < 300;
    if (ok && request->data) {
        return request->data(data, n, request->http->now, request->aux) ? n : 0;
    }

    size_t max = ok ? request->max_body : MIN(request->max_body, MAX_ERROR_BODY);
    if (n > max - request->received.length) {
        request->too_large = true;
        return 0;
    }
    ds_put_buffer(&request->received, data, n);
    return n;
}

/* libcurl's CURLOPT_SOCKOPTFUNCTION. */
static int
sockopt_cb(void *aux OVS_UNUSED, curl_socket_t fd, curlsocktype type OVS_UNUSED)
{
    unsigned int timeout = DEAD_PEER_MS;

    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, sizeof timeout);
    return CURL_SOCKOPT_OK;
}

static void
add_header(struct kube_request *request, const char *name, const char *value)
{
    char *header = xasprintf("%s: %s", name, value);

    request->headers = curl_slist_append(request->headers, header);
    free(header);
}

static void
set_pem(CURL *easy, const struct kube_pem *pem, CURLoption file, CURLoption text)
{
    if (pem->file) {
        curl_easy_setopt(easy, file, pem->file);
    } else if (pem->text) {
        struct curl_blob blob = {
            .data = pem->text, .len = pem->length, .flags = CURL_BLOB_NOCOPY,
        };
        curl_easy_setopt(easy, text, &blob);
    }
}

static void
set_tls_options(CURL *easy, const struct kube_config *config)
{
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long int) CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    if (config->ca.file || config->ca.text) {
        /* Without this, the system's certificates would be good as well. */
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
        set_pem(easy, &config->ca, CURLOPT_CAINFO, CURLOPT_CAINFO_BLOB);
    }
    set_pem(easy, &config->cert, CURLOPT_SSLCERT, CURLOPT_SSLCERT_BLOB);
    set_pem(easy, &config->key, CURLOPT_SSLKEY, CURLOPT_SSLKEY_BLOB);
}

static void
set_connection_options(CURL *easy, const struct kube_http *http)
{
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long int) CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long int) KEEPALIVE_IDLE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long int) KEEPALIVE_INTERVAL_S);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, sockopt_cb);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long int) CURL_HTTP_VERSION_2TLS);
    /* Rather share a connection that is about to be there than open another one. */
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
    if (http->connect_to) {
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, http->connect_to);
    }
}

static void
set_request_options(struct kube_request *request, const struct kube_request_args *args)
{
    struct kube_http *http = request->http;
    const char *token = kube_token_get(&http->token);
    char *url = xasprintf("%s%s", http->base, args->path);
    CURL *easy = request->easy;

    curl_easy_setopt(easy, CURLOPT_URL, url);
    free(url);
    if (token) {
        char *bearer = xasprintf("Bearer %s", token);
        add_header(request, "Authorization", bearer);
        free(bearer);
    }
    add_header(request, "Accept", "application/json");
    if (http->host_header) {
        request->headers = curl_slist_append(request->headers, http->host_header);
    }
    if (args->body) {
        add_header(request, "Content-Type",
                   args->content_type ? args->content_type : "application/json");
        /* Asking first whether a large body is welcome would cost a round trip. */
        request->headers = curl_slist_append(request->headers, "Expect:");
        request->body = xmemdup(args->body, args->body_len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request->body);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) args->body_len);
    }
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, args->method);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, request->headers);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "ovs-egress/" OVS_EGRESS_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, write_cb);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, request);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, request->error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, request);
    if (args->timeout_ms != KUBE_NO_TIMEOUT) {
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                         (long int) (args->timeout_ms ? args->timeout_ms
                                     : KUBE_REQUEST_TIMEOUT_MS));
    }
}

/* Starts a request, which kube_http_run() goes on with.  What is returned is good for
 * kube_request_cancel() until the request's 'done' is called. */
struct kube_request *
kube_request_start(struct kube_http *http, const struct kube_request_args *args)
{
    struct kube_request *request = xzalloc(sizeof *request);

    request->http = http;
    request->max_body = args->max_body ? args->max_body : KUBE_MAX_BODY;
    request->data = args->data;
    request->done = args->done;
    request->aux = args->aux;
    ds_init(&request->received);
    request->easy = curl_easy_init();
    ovs_assert(request->easy);
    set_tls_options(request->easy, http->config);
    set_connection_options(request->easy, http);
    set_request_options(request, args);
    ovs_list_push_back(&http->starting, &request->list_node);
    http->stats.requests++;
    return request;
}

static void
kube_request_destroy(struct kube_request *request)
{
    ovs_list_remove(&request->list_node);
    if (request->multi) {
        curl_multi_remove_handle(request->multi->curl, request->easy);
    }
    curl_easy_cleanup(request->easy);
    curl_slist_free_all(request->headers);
    ds_destroy(&request->received);
    free(request->body);
    free(request);
}

/* Ends 'request', if nonnull, without calling its callbacks again.  The server may have done what
 * it was asked for, or not. */
void
kube_request_cancel(struct kube_request *request)
{
    if (!request) {
        return;
    }
    if (request->http->in_curl && request->multi) {
        request->dead = true;
        request->http->has_dead = true;
    } else {
        kube_request_destroy(request);
    }
}

/* Returns the HTTP status of the response, whose body may still be on its way, or 0 as long as
 * there is none. */
int
kube_request_get_status(const struct kube_request *request)
{
    long int status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

/* Returns true if there were doubts about connections, as of kube_http_renew(), since 'request' was
 * sent over one of them. */
bool
kube_request_is_outdated(const struct kube_request *request)
{
    return request->multi && &request->multi->list_node != ovs_list_front(&request->http->multis);
}

/* Returns the JSON that 'request' received, or NULL if it is none. */
static struct json_object *
parse_body(struct kube_request *request)
{
    const char *type = NULL;

    curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &type);
    if (!type || strncmp(type, "application/json", strlen("application/json"))
        || request->received.length > INT_MAX) {
        return NULL;
    }

    struct json_tokener *tokener = json_tokener_new_ex(MAX_JSON_DEPTH);
    struct json_object *json = json_tokener_parse_ex(tokener, ds_cstr(&request->received),
                                                     request->received.length);
    if (json_tokener_get_error(tokener) != json_tokener_success) {
        json_release(json);
        json = NULL;
    }
    json_tokener_free(tokener);
    return json;
}

/* Takes from 'json', a Kubernetes Status, what it says about the error. */
static void
read_status(struct kube_response *response, struct ds *error)
{
    struct json_object *message, *details, *seconds;

    ds_put_format(error, "the server answered %d", response->status);
    if (json_object_is_type(response->json, json_type_object)) {
        if (json_object_object_get_ex(response->json, "message", &message)
            && json_object_is_type(message, json_type_string)) {
            ds_put_format(error, ": %.500s", json_object_get_string(message));
        }
        if (response->retry_after_s < 0
            && json_object_object_get_ex(response->json, "details", &details)
            && json_object_is_type(details, json_type_object)
            && json_object_object_get_ex(details, "retryAfterSeconds", &seconds)
            && json_object_get_int(seconds) > 0) {
            response->retry_after_s = json_object_get_int(seconds);
        }
    }
}

/* Fills in 'response' for a transfer that was complete. */
static void
complete_response(struct kube_request *request, struct kube_response *response, struct ds *error)
{
    curl_off_t retry_after = 0;
    const char *type = NULL;
    long int status = 0;

    curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(request->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &type);
    response->status = status;
    if (retry_after > 0) {
        response->retry_after_s = MIN(retry_after, INT_MAX);
    }
    response->body = ds_cstr(&request->received);
    response->body_len = request->received.length;
    response->json = parse_body(request);
    if (status < 200 || status >= 300) {
        read_status(response, error);
    } else if (!request->data && type && !response->json
               && !strncmp(type, "application/json", strlen("application/json"))) {
        ds_put_format(error, "the server answered with what is no JSON: \"%.40s\"",
                      response->body);
        response->status = 0;
    }
}

/* Gives the end of 'request' to its 'done', and frees it. */
static void
finish_request(struct kube_request *request, CURLcode code)
{
    struct kube_http *http = request->http;
    struct kube_response response = { .retry_after_s = -1 };
    struct ds error = DS_EMPTY_INITIALIZER;
    long int n_connects = 0;

    curl_easy_getinfo(request->easy, CURLINFO_NUM_CONNECTS, &n_connects);
    http->stats.connections += n_connects;
    if (code == CURLE_OK) {
        complete_response(request, &response, &error);
    } else if (request->too_large) {
        response.too_large = true;
        ds_put_format(&error, "the response is larger than %"PRIuSIZE" bytes", request->max_body);
    } else {
        ds_put_cstr(&error, request->error[0] ? request->error : curl_easy_strerror(code));
    }
    if (!response.status) {
        http->stats.errors++;
    } else {
        http->stats.answers[MIN(response.status / 100, 5)]++;
    }
    if (code == CURLE_OPERATION_TIMEDOUT && !n_connects) {
        /* It went over a connection that worked before. */
        kube_http_renew(http);
    }

    if (error.length) {
        response.error = ds_cstr(&error);
        VLOG_DBG_RL(&rl, "%s", response.error);
    }
    /* 'request' still owns the body, and must not be cancelled any more. */
    ovs_list_remove(&request->list_node);
    ovs_list_init(&request->list_node);
    request->done(&response, http->now, request->aux);
    json_release(response.json);
    ds_destroy(&error);
    kube_request_destroy(request);
}

/* Hands requests over to libcurl. */
static void
start_requests(struct kube_http *http)
{
    struct kube_request *request;

    if (http->renew) {
        add_multi(http);
        http->renew = false;
    }

    struct kube_multi *multi = CONTAINER_OF(ovs_list_front(&http->multis), struct kube_multi,
                                            list_node);
    LIST_FOR_EACH_POP (request, list_node, &http->starting) {
        request->multi = multi;
        ovs_list_push_back(&multi->requests, &request->list_node);
        curl_multi_add_handle(multi->curl, request->easy);
    }
}

/* Tells libcurl which of its sockets are ready. */
static void
run_sockets(struct kube_multi *multi)
{
    size_t n = ovs_list_size(&multi->sockets);
    struct pollfd *pollfds = xmalloc(MAX(n, 1) * sizeof *pollfds);
    struct kube_socket *s;
    int running;
    size_t i = 0;

    LIST_FOR_EACH (s, list_node, &multi->sockets) {
        pollfds[i++] = (struct pollfd) { .fd = s->fd, .events = s->events };
    }
    if (n && poll(pollfds, n, 0) > 0) {
        for (i = 0; i < n; i++) {
            short int revents = pollfds[i].revents;

            if (revents) {
                curl_multi_socket_action(multi->curl, pollfds[i].fd,
                                         (revents & (POLLIN | POLLHUP) ? CURL_CSELECT_IN : 0)
                                         | (revents & POLLOUT ? CURL_CSELECT_OUT : 0)
                                         | (revents & (POLLERR | POLLNVAL) ? CURL_CSELECT_ERR : 0),
                                         &running);
            }
        }
    }
    free(pollfds);
}

static void
run_timer(struct kube_multi *multi)
{
    int running;

    for (int i = 0; i < MAX_TIMER_TURNS && multi->timer <= time_msec(); i++) {
        multi->timer = LLONG_MAX;
        curl_multi_socket_action(multi->curl, CURL_SOCKET_TIMEOUT, 0, &running);
    }
}

/* Frees what was cancelled while libcurl was running. */
static void
reap_dead(struct kube_http *http)
{
    struct kube_request *request;
    struct kube_multi *multi;

    if (!http->has_dead) {
        return;
    }
    http->has_dead = false;
    LIST_FOR_EACH (multi, list_node, &http->multis) {
        LIST_FOR_EACH_SAFE (request, list_node, &multi->requests) {
            if (request->dead) {
                kube_request_destroy(request);
            }
        }
    }
}

static void
finish_requests(struct kube_multi *multi)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(multi->curl, &left)) != NULL) {
        if (msg->msg == CURLMSG_DONE) {
            CURLcode code = msg->data.result;
            char *request = NULL;

            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &request);
            finish_request((struct kube_request *) (void *) request, code);
        }
    }
}

/* Goes on with all requests and calls their callbacks, with 'now'. */
void
kube_http_run(struct kube_http *http, long long int now)
{
    struct kube_multi *multi;

    http->now = now;
    start_requests(http);

    http->in_curl = true;
    LIST_FOR_EACH (multi, list_node, &http->multis) {
        run_sockets(multi);
        run_timer(multi);
    }
    http->in_curl = false;
    reap_dead(http);

    LIST_FOR_EACH (multi, list_node, &http->multis) {
        finish_requests(multi);
    }
    start_requests(http);

    const struct ovs_list *current = ovs_list_front(&http->multis);
    LIST_FOR_EACH_SAFE (multi, list_node, &http->multis) {
        if (&multi->list_node != current && ovs_list_is_empty(&multi->requests)) {
            kube_multi_destroy(multi);
        }
    }
}

void
kube_http_wait(struct kube_http *http)
{
    struct kube_multi *multi;
    struct kube_socket *s;

    if (!ovs_list_is_empty(&http->starting)) {
        poll_immediate_wake();
    }
    LIST_FOR_EACH (multi, list_node, &http->multis) {
        LIST_FOR_EACH (s, list_node, &multi->sockets) {
            poll_fd_wait(s->fd, s->events);
        }
        if (multi->timer != LLONG_MAX) {
            poll_timer_wait_until(multi->timer);
        }
    }
}

/* Returns the path of what the API serves, which the caller must free:
 * /apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE.  'group' is "" for Kubernetes'
 * core.  'namespace' is NULL if there is none, or for all namespaces.  'name' is NULL for the
 * collection, and 'subresource' for the object itself. */
char *
kube_path(const char *group, const char *version, const char *plural,
          const char *namespace, const char *name, const char *subresource)
{
    struct ds path = DS_EMPTY_INITIALIZER;

    if (*group) {
        ds_put_format(&path, "/apis/%s/%s", group, version);
    } else {
        ds_put_format(&path, "/api/%s", version);
    }
    if (namespace) {
        ds_put_format(&path, "/namespaces/%s", namespace);
    }
    ds_put_format(&path, "/%s", plural);
    if (name) {
        ds_put_format(&path, "/%s", name);
    }
    if (subresource) {
        ds_put_format(&path, "/%s", subresource);
    }
    return ds_steal_cstr(&path);
}

/* Adds 'name'='value' to 'path', with whatever needs it in 'value' escaped. */
void
kube_path_add_query(struct ds *path, const char *name, const char *value)
{
    ds_put_format(path, "%c%s=", strchr(ds_cstr(path), '?') ? '&' : '?', name);
    for (; *value; value++) {
        unsigned char c = *value;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
            || strchr("-._~", c)) {
            ds_put_char(path, c);
        } else {
            ds_put_format(path, "%%%02X", c);
        }
    }
}
