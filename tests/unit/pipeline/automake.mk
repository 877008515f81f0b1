# Unit tests of pipeline/.

check_PROGRAMS += tests/unit/pipeline/test-address
TESTS += tests/unit/pipeline/test-address
tests_unit_pipeline_test_address_SOURCES = tests/unit/pipeline/test-address.c
tests_unit_pipeline_test_address_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pipeline_test_address_LDADD = pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/pipeline/test-model
TESTS += tests/unit/pipeline/test-model
tests_unit_pipeline_test_model_SOURCES = tests/unit/pipeline/test-model.c
tests_unit_pipeline_test_model_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pipeline_test_model_LDADD = pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/pipeline/test-selector
TESTS += tests/unit/pipeline/test-selector
tests_unit_pipeline_test_selector_SOURCES = tests/unit/pipeline/test-selector.c
tests_unit_pipeline_test_selector_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pipeline_test_selector_LDADD = pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/pipeline/test-compile-node
TESTS += tests/unit/pipeline/test-compile-node
tests_unit_pipeline_test_compile_node_SOURCES = \
	tests/unit/pipeline/flow-lines.c \
	tests/unit/pipeline/flow-lines.h \
	tests/unit/pipeline/test-compile-node.c
tests_unit_pipeline_test_compile_node_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pipeline_test_compile_node_LDADD = pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/pipeline/test-compile-source
TESTS += tests/unit/pipeline/test-compile-source
tests_unit_pipeline_test_compile_source_SOURCES = \
	tests/unit/pipeline/flow-lines.c \
	tests/unit/pipeline/flow-lines.h \
	tests/unit/pipeline/test-compile-source.c
tests_unit_pipeline_test_compile_source_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pipeline_test_compile_source_LDADD = pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/pipeline/test-compile-gateway
TESTS += tests/unit/pipeline/test-compile-gateway
tests_unit_pipeline_test_compile_gateway_SOURCES = \
	tests/unit/pipeline/flow-lines.c \
	tests/unit/pipeline/flow-lines.h \
	tests/unit/pipeline/test-compile-gateway.c
tests_unit_pipeline_test_compile_gateway_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pipeline_test_compile_gateway_LDADD = pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)

check_PROGRAMS += tests/unit/pipeline/test-compile-rule
TESTS += tests/unit/pipeline/test-compile-rule
tests_unit_pipeline_test_compile_rule_SOURCES = \
	tests/unit/pipeline/flow-lines.c \
	tests/unit/pipeline/flow-lines.h \
	tests/unit/pipeline/test-compile-rule.c
tests_unit_pipeline_test_compile_rule_CFLAGS = $(UNIT_CFLAGS)
tests_unit_pipeline_test_compile_rule_LDADD = pipeline/libpipeline.a $(OVS_LIBS) $(UNIT_LIBS)
