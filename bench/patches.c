/* How fast does an API server take PATCH requests over one connection?
 *
 *     patches CA-FILE CERTIFICATE-FILE KEY-FILE URL COUNT OBJECTS PARALLEL < BODY
 *
 * Sends COUNT requests, each with BODY as a merge patch, to URL.  "%" in URL stands for the number
 * of one of OBJECTS objects, from 00000 on, and "#" in BODY for how often that one was patched
 * before.  PARALLEL requests are under way at a time, by HTTP/2 over a single connection; 1 means
 * one after another.  Prints the seconds that it took, without connecting. */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_PARALLEL 64
#define MAX_BODY 8192

struct slot {
    CURL *easy;
    char url[1024];
    char body[MAX_BODY];
};

static const char *url_pattern;
static char body_pattern[MAX_BODY - 16];
static int n_objects;

static void
die(const char *what, const char *why)
{
    fprintf(stderr, "patches: %s: %s\n", what, why);
    exit(EXIT_FAILURE);
}

static double
now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static size_t
ignore(char *data, size_t size, size_t n, void *aux)
{
    (void) data;
    (void) aux;
    return size * n;
}

/* Writes 'pattern' with 'number' in the place of 'mark', if it has that, to 'out'. */
static void
fill_in(char *out, size_t size, const char *pattern, char mark, const char *format, int number)
{
    const char *place = strchr(pattern, mark);
    char digits[16];

    snprintf(digits, sizeof digits, format, number);
    snprintf(out, size, "%.*s%s%s", (int) (place ? place - pattern : 0), pattern,
             place ? digits : "", place ? place + 1 : pattern);
}

static void
send_patch(CURLM *multi, struct slot *slot, int number)
{
    fill_in(slot->url, sizeof slot->url, url_pattern, '%', "%05d", number % n_objects);
    fill_in(slot->body, sizeof slot->body, body_pattern, '#', "%d", number / n_objects);
    curl_easy_setopt(slot->easy, CURLOPT_URL, slot->url);
    curl_easy_setopt(slot->easy, CURLOPT_POSTFIELDS, slot->body);
    curl_multi_add_handle(multi, slot->easy);
}

static void
check(CURLMsg *message)
{
    long int status = 0;

    if (message->data.result != CURLE_OK) {
        die("PATCH", curl_easy_strerror(message->data.result));
    }
    curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) {
        fprintf(stderr, "patches: the server answered %ld\n", status);
        exit(EXIT_FAILURE);
    }
}

/* Sends 'count' patches, 'parallel' at a time, and waits for all answers. */
static void
run(CURLM *multi, struct slot *slots, int count, int parallel)
{
    int n_sent = 0, n_done = 0, running, left;

    for (; n_sent < count && n_sent < parallel; n_sent++) {
        send_patch(multi, &slots[n_sent], n_sent);
    }
    while (n_done < count) {
        CURLMsg *message;

        curl_multi_perform(multi, &running);
        while ((message = curl_multi_info_read(multi, &left)) != NULL) {
            CURL *easy = message->easy_handle;
            struct slot *slot = NULL;

            check(message);
            n_done++;
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **) &slot);
            curl_multi_remove_handle(multi, easy);
            if (n_sent < count) {
                send_patch(multi, slot, n_sent++);
            }
        }
        if (n_done < count) {
            curl_multi_poll(multi, NULL, 0, 1000, NULL);
        }
    }
}

static void
prepare(struct slot *slot, char *argv[], struct curl_slist *headers)
{
    slot->easy = curl_easy_init();
    curl_easy_setopt(slot->easy, CURLOPT_CAINFO, argv[1]);
    curl_easy_setopt(slot->easy, CURLOPT_SSLCERT, argv[2]);
    curl_easy_setopt(slot->easy, CURLOPT_SSLKEY, argv[3]);
    curl_easy_setopt(slot->easy, CURLOPT_HTTP_VERSION, (long int) CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(slot->easy, CURLOPT_PIPEWAIT, 1L);
    curl_easy_setopt(slot->easy, CURLOPT_CUSTOMREQUEST, "PATCH");
    curl_easy_setopt(slot->easy, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(slot->easy, CURLOPT_WRITEFUNCTION, ignore);
    curl_easy_setopt(slot->easy, CURLOPT_PRIVATE, slot);
}

int
main(int argc, char *argv[])
{
    static struct slot slots[MAX_PARALLEL];
    struct curl_slist *headers = NULL;

    if (argc != 8) {
        die("usage", "see the source");
    }
    int count = atoi(argv[5]), parallel = atoi(argv[7]);
    url_pattern = argv[4];
    n_objects = atoi(argv[6]);
    if (count < 1 || n_objects < 1 || parallel < 1 || parallel > MAX_PARALLEL) {
        die("usage", "see the source");
    }
    body_pattern[fread(body_pattern, 1, sizeof body_pattern - 1, stdin)] = '\0';

    curl_global_init(CURL_GLOBAL_DEFAULT);
    headers = curl_slist_append(headers, "Content-Type: application/merge-patch+json");
    headers = curl_slist_append(headers, "Accept: application/json");
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, 1L);
    for (int i = 0; i < parallel; i++) {
        prepare(&slots[i], argv, headers);
    }
    run(multi, slots, 1, 1);    /* Connects. */
    double begin = now();
    run(multi, slots, count, parallel);
    printf("%.6f\n", now() - begin);
    return EXIT_SUCCESS;
}
