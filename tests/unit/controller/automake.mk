# Unit tests of controller/.

check_PROGRAMS += tests/unit/controller/test-neighbours
TESTS += tests/unit/controller/test-neighbours
tests_unit_controller_test_neighbours_SOURCES = tests/unit/controller/test-neighbours.c
tests_unit_controller_test_neighbours_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_neighbours_LDADD = controller/libcontroller.a ofp/libofp.a pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-claims
TESTS += tests/unit/controller/test-claims
tests_unit_controller_test_claims_SOURCES = tests/unit/controller/test-claims.c
tests_unit_controller_test_claims_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_claims_LDADD = controller/libcontroller.a ofp/libofp.a pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-uplink-routes
TESTS += tests/unit/controller/test-uplink-routes
tests_unit_controller_test_uplink_routes_SOURCES = tests/unit/controller/test-uplink-routes.c
tests_unit_controller_test_uplink_routes_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_uplink_routes_LDADD = controller/libcontroller.a pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-resolve
TESTS += tests/unit/controller/test-resolve
tests_unit_controller_test_resolve_SOURCES = \
	tests/unit/controller/resolve-fixture.c \
	tests/unit/controller/resolve-fixture.h \
	tests/unit/controller/test-resolve.c
tests_unit_controller_test_resolve_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_resolve_LDADD = controller/libcontroller.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-allocate
TESTS += tests/unit/controller/test-allocate
tests_unit_controller_test_allocate_SOURCES = \
	tests/unit/controller/resolve-fixture.c \
	tests/unit/controller/resolve-fixture.h \
	tests/unit/controller/test-allocate.c
tests_unit_controller_test_allocate_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_allocate_LDADD = controller/libcontroller.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-stability
TESTS += tests/unit/controller/test-stability
tests_unit_controller_test_stability_SOURCES = \
	tests/unit/controller/resolve-fixture.c \
	tests/unit/controller/resolve-fixture.h \
	tests/unit/controller/test-stability.c
tests_unit_controller_test_stability_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_stability_LDADD = controller/libcontroller.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-port-identity
TESTS += tests/unit/controller/test-port-identity
tests_unit_controller_test_port_identity_SOURCES = tests/unit/controller/test-port-identity.c
tests_unit_controller_test_port_identity_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_port_identity_LDADD = controller/libcontroller.a pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

# These two run a real ovsdb-server and a real ovs-vswitchd on dummy devices.
check_PROGRAMS += tests/unit/controller/test-ports
TESTS += tests/unit/controller/test-ports
tests_unit_controller_test_ports_SOURCES = \
	tests/unit/controller/ovs-sandbox.c \
	tests/unit/controller/ovs-sandbox.h \
	tests/unit/controller/ports-fixture.c \
	tests/unit/controller/ports-fixture.h \
	tests/unit/controller/test-ports.c
tests_unit_controller_test_ports_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_ports_LDADD = controller/libcontroller.a pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-egressctl
TESTS += tests/unit/controller/test-egressctl
tests_unit_controller_test_egressctl_SOURCES = \
	tests/unit/controller/ovs-sandbox.c \
	tests/unit/controller/ovs-sandbox.h \
	tests/unit/controller/test-egressctl.c
tests_unit_controller_test_egressctl_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_egressctl_LDADD = $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-pod-index
TESTS += tests/unit/controller/test-pod-index
tests_unit_controller_test_pod_index_SOURCES = tests/unit/controller/test-pod-index.c
tests_unit_controller_test_pod_index_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_pod_index_LDADD = controller/libcontroller.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-meters
TESTS += tests/unit/controller/test-meters
tests_unit_controller_test_meters_SOURCES = tests/unit/controller/test-meters.c
tests_unit_controller_test_meters_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_meters_LDADD = controller/libcontroller.a ofp/libofp.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-options
TESTS += tests/unit/controller/test-options
tests_unit_controller_test_options_SOURCES = tests/unit/controller/test-options.c
tests_unit_controller_test_options_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_options_LDADD = controller/libcontroller.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-metrics
TESTS += tests/unit/controller/test-metrics
tests_unit_controller_test_metrics_SOURCES = tests/unit/controller/test-metrics.c
tests_unit_controller_test_metrics_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_metrics_LDADD = controller/libcontroller.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-resolve-changes
TESTS += tests/unit/controller/test-resolve-changes
tests_unit_controller_test_resolve_changes_SOURCES = \
	tests/unit/controller/resolve-fixture.c \
	tests/unit/controller/resolve-fixture.h \
	tests/unit/controller/test-resolve-changes.c
tests_unit_controller_test_resolve_changes_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_resolve_changes_LDADD = controller/libcontroller.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-candidates
TESTS += tests/unit/controller/test-candidates
tests_unit_controller_test_candidates_SOURCES = tests/unit/controller/test-candidates.c
tests_unit_controller_test_candidates_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_candidates_LDADD = controller/libcontroller.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/controller/test-ct-counts
TESTS += tests/unit/controller/test-ct-counts
tests_unit_controller_test_ct_counts_SOURCES = \
	tests/unit/controller/ovs-sandbox.c \
	tests/unit/controller/ovs-sandbox.h \
	tests/unit/controller/test-ct-counts.c
tests_unit_controller_test_ct_counts_CFLAGS = $(UNIT_CFLAGS)
tests_unit_controller_test_ct_counts_LDADD = controller/libcontroller.a pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)
