# Unit tests of ofp/.

check_PROGRAMS += tests/unit/ofp/test-arp-nd
TESTS += tests/unit/ofp/test-arp-nd
tests_unit_ofp_test_arp_nd_SOURCES = tests/unit/ofp/test-arp-nd.c
tests_unit_ofp_test_arp_nd_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ofp_test_arp_nd_LDADD = ofp/libofp.a $(OVS_LIBS) $(UNIT_LIBS)

OFP_TEST_LDADD = ofp/libofp.a $(OVS_LIBS) $(UNIT_LIBS)
check_PROGRAMS += tests/unit/ofp/test-flow-set
TESTS += tests/unit/ofp/test-flow-set
tests_unit_ofp_test_flow_set_SOURCES = \
	tests/unit/ofp/flow-text.c \
	tests/unit/ofp/flow-text.h \
	tests/unit/ofp/test-flow-set.c
tests_unit_ofp_test_flow_set_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ofp_test_flow_set_LDADD = $(OFP_TEST_LDADD)

check_PROGRAMS += tests/unit/ofp/test-switch-fake
TESTS += tests/unit/ofp/test-switch-fake
tests_unit_ofp_test_switch_fake_SOURCES = \
	tests/unit/ofp/fake-switch.c \
	tests/unit/ofp/fake-switch.h \
	tests/unit/ofp/flow-text.c \
	tests/unit/ofp/flow-text.h \
	tests/unit/ofp/test-switch-fake.c
tests_unit_ofp_test_switch_fake_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ofp_test_switch_fake_LDADD = $(OFP_TEST_LDADD)

check_PROGRAMS += tests/unit/ofp/test-switch-live
TESTS += tests/unit/ofp/test-switch-live
tests_unit_ofp_test_switch_live_SOURCES = \
	tests/unit/ofp/flow-text.c \
	tests/unit/ofp/flow-text.h \
	tests/unit/ofp/live-ovs.c \
	tests/unit/ofp/live-ovs.h \
	tests/unit/ofp/test-switch-live.c
tests_unit_ofp_test_switch_live_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ofp_test_switch_live_LDADD = $(OFP_TEST_LDADD)

check_PROGRAMS += tests/unit/ofp/test-socket-watch
TESTS += tests/unit/ofp/test-socket-watch
tests_unit_ofp_test_socket_watch_SOURCES = tests/unit/ofp/test-socket-watch.c
tests_unit_ofp_test_socket_watch_CFLAGS = $(UNIT_CFLAGS)
tests_unit_ofp_test_socket_watch_LDADD = ofp/libofp.a $(OVS_LIBS) $(UNIT_LIBS)
