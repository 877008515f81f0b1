#include <config.h>

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "controller/port-identity.h"
#include "openvswitch/dynamic-string.h"
#include "packets.h"
#include "pipeline/address.h"
#include "smap.h"
#include "util.h"

/* Returns what port_identity_parse() makes of 'external_ids', "KEY=VALUE KEY=VALUE...", as
 * "NAMESPACE/NAME IP,IP MAC" with " ! ERROR" appended if there was one, or "none".  The caller must
 * free it. */
static char *
parse(const char *external_ids)
{
    struct smap smap = SMAP_INITIALIZER(&smap);
    struct ds s = DS_EMPTY_INITIALIZER;
    struct port_identity identity;
    char *copy = xstrdup(external_ids);
    char *save_ptr = NULL;
    char *error;

    for (char *p = strtok_r(copy, " ", &save_ptr); p; p = strtok_r(NULL, " ", &save_ptr)) {
        char *equals = strchr(p, '=');

        assert_non_null(equals);
        *equals = '\0';
        smap_add(&smap, p, equals + 1);
    }
    free(copy);

    if (port_identity_parse(&smap, &identity, &error)) {
        ds_put_format(&s, "%s/%s ", identity.namespace, identity.name);
        for (size_t i = 0; i < identity.n_ips; i++) {
            ds_put_cstr(&s, i ? "," : "");
            ip_format(&identity.ips[i], &s);
        }
        if (identity.has_mac) {
            ds_put_format(&s, " "ETH_ADDR_FMT, ETH_ADDR_ARGS(identity.mac));
        }
        port_identity_destroy(&identity);
    } else {
        ds_put_cstr(&s, "none");
    }
    if (error) {
        ds_put_format(&s, " ! %s", error);
        free(error);
    }
    smap_destroy(&smap);
    return ds_steal_cstr(&s);
}

static void
check(const char *external_ids, const char *expected)
{
    char *actual = parse(external_ids);

    assert_string_equal(actual, expected);
    free(actual);
}

static void
test_antrea(void **state)
{
    check("pod-name=web-0 pod-namespace=lab ip-address=10.203.1.5,fd00:1::5 "
          "attached-mac=0a:00:00:00:01:05 container-id=1234",
          "lab/web-0 10.203.1.5,fd00:1::5 0a:00:00:00:01:05");
    check("pod-name=web-0 pod-namespace=lab", "lab/web-0 ");
    check("pod-name=web-0", "none");
    check("pod-name= pod-namespace=lab", "none");
}

static void
test_ovn_kubernetes(void **state)
{
    check("iface-id=lab_web.v2-0 ip_addresses=10.244.1.5/24,fd00::5/64 "
          "attached_mac=0a:58:0a:f4:01:05 sandbox=1234",
          "lab/web.v2-0 10.244.1.5,fd00::5 0a:58:0a:f4:01:05");
    check("iface-id=lab_web-0 sandbox=1234", "lab/web-0 ");
    /* Another kind of system that uses "iface-id". */
    check("iface-id=lab_web-0", "none");
    /* A secondary network's name stands before the namespace. */
    check("iface-id=blue.net_lab_web-0 sandbox=1234 ip_addresses=10.1.1.1/24", "none");
    check("iface-id=_web-0 sandbox=1234", "none");
    check("iface-id=lab_ sandbox=1234", "none");
    check("iface-id=7e9a4c8e-4a31-4d0e-8d68-3b5f6f1b1f0a sandbox=1234", "none");
}

static void
test_kube_ovn(void **state)
{
    check("iface-id=web-0.lab pod_name=web-0 pod_namespace=lab ip=10.16.0.9",
          "lab/web-0 10.16.0.9");
    check("iface-id=web-0.lab pod_name=web-0 pod_namespace=lab ip=10.16.0.9,fd00:10:16::9 "
          "mac_address=00:00:00:12:34:56", "lab/web-0 10.16.0.9,fd00:10:16::9 00:00:00:12:34:56");
    /* The names win over "iface-id", which an attached network's provider may end. */
    check("iface-id=web-0.lab.net1 pod_name=web-0 pod_namespace=lab ip=10.16.0.9",
          "lab/web-0 10.16.0.9");
    /* Only pods have dots in their names. */
    check("iface-id=web.v2-0.lab ip=10.16.0.9", "lab/web.v2-0 10.16.0.9");
    check("iface-id=web-0.lab", "none");
    check("iface-id=web-0. ip=10.16.0.9", "none");
    check("iface-id=.lab ip=10.16.0.9", "none");
}

static void
test_nobody(void **state)
{
    check("", "none");
    check("attached-mac=0a:00:00:00:01:05 ip-address=10.0.0.1", "none");
    check("ovs-egress=tunnel", "none");
}

static void
test_errors(void **state)
{
    check("pod-name=web-0 pod-namespace=lab ip-address=10.203.1.300,10.203.1.5,x "
          "attached-mac=0a:00:00:00:01",
          "lab/web-0 10.203.1.5 ! external_ids:ip-address: \"10.203.1.300\" is no IP address; "
          "external_ids:ip-address: \"x\" is no IP address; "
          "external_ids:attached-mac: \"0a:00:00:00:01\" is no MAC address "
          "(six pairs of hexadecimal digits with colons)");
    check("iface-id=lab_web-0 "
          "ip_addresses=10.244.1.5/33,fd00::5/129,fd00::6/,10.244.1.6/32,fd00::7/128",
          "lab/web-0 10.244.1.6,fd00::7 "
          "! external_ids:ip_addresses: \"10.244.1.5/33\" is no IP address; "
          "external_ids:ip_addresses: \"fd00::5/129\" is no IP address; "
          "external_ids:ip_addresses: \"fd00::6/\" is no IP address");
    /* Not there yet is no error. */
    check("pod-name=web-0 pod-namespace=lab ip-address= attached-mac=", "lab/web-0 ");
}

static void
test_equals(void **state)
{
    struct in6_addr ips[2];
    assert_true(ip_parse_address("10.0.0.1", &ips[0]));
    assert_true(ip_parse_address("10.0.0.2", &ips[1]));
    struct in6_addr swapped[2] = {ips[1], ips[0]};
    char lab[] = "lab", web[] = "web";
    const struct port_identity base = {
        .namespace = lab, .name = web, .ips = ips, .n_ips = 2, .has_mac = true,
        .mac = ETH_ADDR_C(0a,00,00,00,00,01),
    };
    struct port_identity other = base;

    assert_true(port_identity_equals(&base, &other));
    other.namespace = web;
    assert_false(port_identity_equals(&base, &other));
    other = base;
    other.name = lab;
    assert_false(port_identity_equals(&base, &other));
    other = base;
    other.n_ips = 1;
    assert_false(port_identity_equals(&base, &other));
    other = base;
    other.ips = swapped;
    assert_false(port_identity_equals(&base, &other));
    other = base;
    other.mac.ea[5] = 2;
    assert_false(port_identity_equals(&base, &other));
    other = base;
    other.has_mac = false;
    assert_false(port_identity_equals(&base, &other));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_antrea),
        cmocka_unit_test(test_ovn_kubernetes),
        cmocka_unit_test(test_kube_ovn),
        cmocka_unit_test(test_nobody),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_equals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
