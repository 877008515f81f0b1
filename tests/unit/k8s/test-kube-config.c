#include <config.h>

/* Kubeconfig files, good and bad, and what a pod gets. */

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "k8s/kube-config.h"
#include "util.h"

#define CONTEXT "current-context: c\ncontexts: [{name: c, context: {cluster: k, user: u}}]\n"
#define CLUSTER "clusters: [{name: k, cluster: {server: 'https://s:1'}}]\n"
#define USER(TEXT) "users: [{name: u, user: {" TEXT "}}]\n"

struct place {
    char *dir;
    char *path;                 /* Of the kubeconfig. */
};

static void
write_file(const struct place *place, const char *name, const char *text)
{
    char *path = xasprintf("%s/%s", place->dir, name);
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(path);
}

static int
setup(void **state)
{
    struct place *place = xmalloc(sizeof *place);

    place->dir = xstrdup("/tmp/test-kube-config-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    place->path = xasprintf("%s/kubeconfig", place->dir);
    *state = place;
    return 0;
}

static int
teardown(void **state)
{
    struct place *place = *state;
    const char *names[] = { "kubeconfig", "ca.crt", "token", "namespace" };

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        char *path = xasprintf("%s/%s", place->dir, names[i]);
        unlink(path);
        free(path);
    }
    rmdir(place->dir);
    free(place->dir);
    free(place->path);
    free(place);
    return 0;
}

static void
expect_error(struct place *place, const char *text, const char *expected)
{
    char *error;

    write_file(place, "kubeconfig", text);
    assert_null(kube_config_load(place->path, &error));

    /* Without the place, which is another one each time. */
    size_t n = strlen(place->dir) + 1;
    assert_memory_equal(error, place->dir, n - 1);
    assert_string_equal(error + n, expected);
    free(error);
}

static struct kube_config *
load(const char *path)
{
    char *error;
    struct kube_config *config = kube_config_load(path, &error);

    if (!config) {
        fail_msg("%s", error);
    }
    return config;
}

static void
test_data(void **state)
{
    struct place *place = *state;

    write_file(place, "kubeconfig",
               "apiVersion: v1\n"
               "kind: Config\n"
               "current-context: two\n"
               "contexts:\n"
               "- name: one\n"
               "  context: {cluster: none}\n"
               "- name: two\n"
               "  context: {cluster: k, user: u, namespace: ns}\n"
               "clusters:\n"
               "- name: k\n"
               "  cluster:\n"
               "    server: https://s:6443/prefix/\n"
               "    tls-server-name: name\n"
               "    certificate-authority-data: |\n"
               "      Y2\n"
               "      E=\n"
               "users:\n"
               "- name: u\n"
               "  user:\n"
               "    client-certificate-data: Y2VydA==\n"
               "    client-key-data: a2V5\n"
               "    token: secret\n");
    struct kube_config *config = load(place->path);
    assert_string_equal(config->server, "https://s:6443/prefix");
    assert_string_equal(config->tls_server_name, "name");
    assert_string_equal(config->namespace, "ns");
    assert_string_equal(config->ca.text, "ca");
    assert_int_equal(config->ca.length, 2);
    assert_string_equal(config->cert.text, "cert");
    assert_string_equal(config->key.text, "key");
    assert_string_equal(config->token, "secret");
    assert_null(config->ca.file);
    assert_null(config->token_file);
    kube_config_destroy(config);
}

static void
test_other_context(void **state)
{
    struct place *place = *state;
    char *error;

    write_file(place, "kubeconfig",
               CLUSTER USER("token: t") "current-context: none\n"
               "contexts: [{name: c, context: {cluster: k, user: u, namespace: ns}}]\n");
    struct kube_config *config = kube_config_load_context(place->path, "c", &error);
    assert_non_null(config);
    assert_string_equal(config->server, "https://s:1");
    assert_string_equal(config->namespace, "ns");
    kube_config_destroy(config);

    assert_null(kube_config_load_context(place->path, "d", &error));
    char *expected = xasprintf("%s:4: contexts: there is no context \"d\"", place->path);
    assert_string_equal(error, expected);
    free(expected);
    free(error);
}

/* Files are relative to the kubeconfig. */
static void
test_files(void **state)
{
    struct place *place = *state;

    write_file(place, "ca.crt", "ca");
    write_file(place, "token", "first\n");
    write_file(place, "kubeconfig",
               CONTEXT USER("tokenFile: token, token: other")
               "clusters: [{name: k, cluster: {server: 'https://s', "
               "certificate-authority: ca.crt}}]\n");
    struct kube_config *config = load(place->path);
    char *path = xasprintf("%s/ca.crt", place->dir);
    assert_string_equal(config->ca.file, path);
    assert_string_equal(config->namespace, "default");
    free(path);

    struct kube_token token;
    kube_token_init(&token, config);
    assert_string_equal(kube_token_get(&token), "first");
    write_file(place, "token", "second");
    assert_string_equal(kube_token_get(&token), "second");
    kube_token_destroy(&token);
    kube_config_destroy(config);
}

static void
test_errors(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        { "", "kubeconfig: is empty" },
        { "a: [", "kubeconfig:2: did not find expected node content, "
          "while parsing a flow node that starts in line 2" },
        { CLUSTER, "kubeconfig:1: current-context: is missing, expected like default" },
        { "current-context: x\n",
          "kubeconfig:1: current-context: there is no context \"x\"" },
        { CONTEXT, "kubeconfig:2: contexts[0].context.cluster: there is no cluster \"k\"" },
        { CONTEXT CLUSTER, "kubeconfig:2: contexts[0].context.user: there is no user \"u\"" },
        { CONTEXT USER("") "clusters: [{name: k, cluster: {}}]\n",
          "kubeconfig:4: clusters[0].cluster.server: is missing, "
          "expected like https://10.0.0.1:6443" },
        { CONTEXT USER("") "clusters: [{name: k, cluster: {server: 'http://s'}}]\n",
          "kubeconfig:4: clusters[0].cluster.server: \"http://s\" is not supported, "
          "expected a URL that begins with https://, like https://10.0.0.1:6443" },
        { CONTEXT USER("")
          "clusters: [{name: k, cluster: {server: 'https://s', insecure-skip-tls-verify: true}}]\n",
          "kubeconfig:4: clusters[0].cluster.insecure-skip-tls-verify: true is refused, because "
          "whoever answers could then change what leaves the cluster; give "
          "certificate-authority-data instead" },
        { CONTEXT USER("")
          "clusters: [{name: k, cluster: {server: 'https://s', "
          "certificate-authority-data: 'a?'}}]\n",
          "kubeconfig:4: clusters[0].cluster.certificate-authority-data: is no base64" },
        { CONTEXT CLUSTER USER("exec: {command: x}"),
          "kubeconfig:4: users[0].user.exec: is out of scope: give a client certificate, "
          "token or tokenFile" },
        { CONTEXT CLUSTER USER("client-certificate-data: YQ=="),
          "kubeconfig: client-certificate and client-key only make sense together" },
        { CONTEXT CLUSTER USER("tokenFile: none"),
          "none: cannot be opened (No such file or directory)" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        expect_error(*state, cases[i].text, cases[i].error);
    }
}

static void
test_in_cluster(void **state)
{
    struct place *place = *state;
    char *error;

    unsetenv("KUBERNETES_SERVICE_HOST");
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
    assert_null(kube_config_load(NULL, &error));
    assert_string_equal(error, "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: "
                        "this is not in a pod, so give the path of a kubeconfig");
    free(error);

    setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
    setenv("OVS_EGRESS_SERVICEACCOUNT_DIR", place->dir, 1);
    write_file(place, "ca.crt", "ca");
    write_file(place, "token", "secret");
    write_file(place, "namespace", "kube-system\n");
    struct kube_config *config = load(NULL);
    assert_string_equal(config->server, "https://[fd00::1]:443");
    assert_string_equal(config->namespace, "kube-system");

    struct kube_token token;
    kube_token_init(&token, config);
    assert_string_equal(kube_token_get(&token), "secret");
    kube_token_destroy(&token);
    kube_config_destroy(config);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_data),
        TEST(test_other_context),
        TEST(test_files),
        TEST(test_errors),
        TEST(test_in_cluster),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
