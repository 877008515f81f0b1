# Unit tests of k8s/.
K8S_TEST_LIBS = k8s/libk8s.a pipeline/libpipeline.a $(JSON_C_LIBS) $(YAML_LIBS) $(CURL_LIBS) $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/k8s/test-yaml
TESTS += tests/unit/k8s/test-yaml
tests_unit_k8s_test_yaml_SOURCES = tests/unit/k8s/test-yaml.c
tests_unit_k8s_test_yaml_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_yaml_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-json-reader
TESTS += tests/unit/k8s/test-json-reader
tests_unit_k8s_test_json_reader_SOURCES = tests/unit/k8s/test-json-reader.c
tests_unit_k8s_test_json_reader_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_json_reader_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-selectors
TESTS += tests/unit/k8s/test-selectors
tests_unit_k8s_test_selectors_SOURCES = tests/unit/k8s/test-selectors.c
tests_unit_k8s_test_selectors_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_selectors_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-objects
TESTS += tests/unit/k8s/test-objects
tests_unit_k8s_test_objects_SOURCES = \
	tests/unit/k8s/test-objects.c \
	tests/unit/k8s/decode-fixture.c \
	tests/unit/k8s/decode-fixture.h
tests_unit_k8s_test_objects_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_objects_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-manifest
TESTS += tests/unit/k8s/test-manifest
tests_unit_k8s_test_manifest_SOURCES = \
	tests/unit/k8s/test-manifest.c \
	tests/unit/k8s/decode-fixture.c \
	tests/unit/k8s/decode-fixture.h
tests_unit_k8s_test_manifest_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_manifest_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-antrea
TESTS += tests/unit/k8s/test-antrea
tests_unit_k8s_test_antrea_SOURCES = \
	tests/unit/k8s/test-antrea.c \
	tests/unit/k8s/decode-fixture.c \
	tests/unit/k8s/decode-fixture.h
tests_unit_k8s_test_antrea_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_antrea_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-own
TESTS += tests/unit/k8s/test-own
tests_unit_k8s_test_own_SOURCES = \
	tests/unit/k8s/test-own.c \
	tests/unit/k8s/decode-fixture.c \
	tests/unit/k8s/decode-fixture.h
tests_unit_k8s_test_own_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_own_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-dir-source
TESTS += tests/unit/k8s/test-dir-source
tests_unit_k8s_test_dir_source_SOURCES = \
	tests/unit/k8s/test-dir-source.c \
	tests/unit/k8s/dir-fixture.c \
	tests/unit/k8s/dir-fixture.h
tests_unit_k8s_test_dir_source_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_dir_source_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-dir-trouble
TESTS += tests/unit/k8s/test-dir-trouble
tests_unit_k8s_test_dir_trouble_SOURCES = \
	tests/unit/k8s/test-dir-trouble.c \
	tests/unit/k8s/dir-fixture.c \
	tests/unit/k8s/dir-fixture.h
tests_unit_k8s_test_dir_trouble_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_dir_trouble_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-config
TESTS += tests/unit/k8s/test-kube-config
tests_unit_k8s_test_kube_config_SOURCES = tests/unit/k8s/test-kube-config.c
tests_unit_k8s_test_kube_config_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_config_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-http
TESTS += tests/unit/k8s/test-kube-http
tests_unit_k8s_test_kube_http_SOURCES = \
	tests/unit/k8s/test-kube-http.c \
	tests/unit/k8s/fake-api.c \
	tests/unit/k8s/fake-api.h
tests_unit_k8s_test_kube_http_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_http_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-watch
TESTS += tests/unit/k8s/test-kube-watch
tests_unit_k8s_test_kube_watch_SOURCES = tests/unit/k8s/test-kube-watch.c
tests_unit_k8s_test_kube_watch_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_watch_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-reflector
TESTS += tests/unit/k8s/test-kube-reflector
tests_unit_k8s_test_kube_reflector_SOURCES = \
	tests/unit/k8s/test-kube-reflector.c \
	tests/unit/k8s/fake-api.c \
	tests/unit/k8s/fake-api.h \
	tests/unit/k8s/kube-follower.c \
	tests/unit/k8s/kube-follower.h
tests_unit_k8s_test_kube_reflector_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_reflector_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-trouble
TESTS += tests/unit/k8s/test-kube-trouble
tests_unit_k8s_test_kube_trouble_SOURCES = \
	tests/unit/k8s/test-kube-trouble.c \
	tests/unit/k8s/fake-api.c \
	tests/unit/k8s/fake-api.h \
	tests/unit/k8s/kube-follower.c \
	tests/unit/k8s/kube-follower.h
tests_unit_k8s_test_kube_trouble_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_trouble_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-write
TESTS += tests/unit/k8s/test-kube-write
tests_unit_k8s_test_kube_write_SOURCES = \
	tests/unit/k8s/test-kube-write.c \
	tests/unit/k8s/fake-api.c \
	tests/unit/k8s/fake-api.h
tests_unit_k8s_test_kube_write_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_write_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-lease
TESTS += tests/unit/k8s/test-kube-lease
tests_unit_k8s_test_kube_lease_SOURCES = \
	tests/unit/k8s/test-kube-lease.c \
	tests/unit/k8s/fake-api.c \
	tests/unit/k8s/fake-api.h
tests_unit_k8s_test_kube_lease_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_lease_LDADD = $(K8S_TEST_LIBS)
EXTRA_DIST += tests/unit/k8s/fake-api.py

check_PROGRAMS += tests/unit/k8s/test-route-object
TESTS += tests/unit/k8s/test-route-object
tests_unit_k8s_test_route_object_SOURCES = \
	tests/unit/k8s/test-route-object.c \
	tests/unit/k8s/decode-fixture.c \
	tests/unit/k8s/decode-fixture.h
tests_unit_k8s_test_route_object_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_route_object_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-state
TESTS += tests/unit/k8s/test-kube-state
tests_unit_k8s_test_kube_state_SOURCES = tests/unit/k8s/test-kube-state.c
tests_unit_k8s_test_kube_state_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_state_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-kube-source
TESTS += tests/unit/k8s/test-kube-source
tests_unit_k8s_test_kube_source_SOURCES = \
	tests/unit/k8s/test-kube-source.c \
	tests/unit/k8s/fake-api.c \
	tests/unit/k8s/fake-api.h
tests_unit_k8s_test_kube_source_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_kube_source_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-node-leases
TESTS += tests/unit/k8s/test-node-leases
tests_unit_k8s_test_node_leases_SOURCES = tests/unit/k8s/test-node-leases.c
tests_unit_k8s_test_node_leases_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_node_leases_LDADD = $(K8S_TEST_LIBS)

check_PROGRAMS += tests/unit/k8s/test-status
TESTS += tests/unit/k8s/test-status
tests_unit_k8s_test_status_SOURCES = tests/unit/k8s/test-status.c
tests_unit_k8s_test_status_CFLAGS = $(UNIT_CFLAGS)
tests_unit_k8s_test_status_LDADD = $(K8S_TEST_LIBS)
