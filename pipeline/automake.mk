# Pure: model structs and compilers from model to flows.  No sockets, no JSON.
noinst_LIBRARIES += pipeline/libpipeline.a
pipeline_libpipeline_a_SOURCES = \
	pipeline/address.c \
	pipeline/address.h \
	pipeline/model.c \
	pipeline/model.h \
	pipeline/selector.c \
	pipeline/selector.h
pipeline_libpipeline_a_SOURCES += \
	pipeline/compile-gateway.c \
	pipeline/compile-node.c \
	pipeline/compile-source.c \
	pipeline/compile.h \
	pipeline/cookies.h \
	pipeline/draft.c \
	pipeline/draft.h \
	pipeline/stable-hash.h \
	pipeline/tables.c \
	pipeline/tables.h
