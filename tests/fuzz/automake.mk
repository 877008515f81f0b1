# Fuzz targets, built with clang -fsanitize=fuzzer.

noinst_PROGRAMS += tests/fuzz/fuzz-arp-nd
tests_fuzz_fuzz_arp_nd_SOURCES = tests/fuzz/fuzz-arp-nd.c ofp/arp-nd.c
tests_fuzz_fuzz_arp_nd_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
tests_fuzz_fuzz_arp_nd_LDADD = $(OVS_LIBS)

noinst_PROGRAMS += tests/fuzz/fuzz-manifest
tests_fuzz_fuzz_manifest_SOURCES = \
	tests/fuzz/fuzz-manifest.c \
	$(k8s_libk8s_a_SOURCES) \
	$(pipeline_libpipeline_a_SOURCES)
tests_fuzz_fuzz_manifest_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
tests_fuzz_fuzz_manifest_LDADD = $(JSON_C_LIBS) $(YAML_LIBS) $(CURL_LIBS) $(OVS_LIBS)
EXTRA_DIST += \
	tests/fuzz/seeds/manifest/antrea.yaml \
	tests/fuzz/seeds/manifest/cluster.yaml \
	tests/fuzz/seeds/manifest/ovs-egress.yaml \
	tests/fuzz/seeds/manifest/pods.json \
	tests/fuzz/seeds/manifest/selectors.yaml

noinst_PROGRAMS += tests/fuzz/fuzz-watch
tests_fuzz_fuzz_watch_SOURCES = tests/fuzz/fuzz-watch.c k8s/json-c.c k8s/kube-watch.c
tests_fuzz_fuzz_watch_CFLAGS = $(AM_CFLAGS) -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
tests_fuzz_fuzz_watch_LDADD = $(JSON_C_LIBS) $(OVS_LIBS)
EXTRA_DIST += \
	tests/fuzz/seeds/watch/bookmark \
	tests/fuzz/seeds/watch/changes \
	tests/fuzz/seeds/watch/gone \
	tests/fuzz/seeds/watch/junk
