# The switch connection.  Knows OpenFlow, nothing of policies.
noinst_LIBRARIES += ofp/libofp.a
ofp_libofp_a_SOURCES =
ofp_libofp_a_SOURCES += ofp/arp-nd.c ofp/arp-nd.h
ofp_libofp_a_SOURCES += \
	ofp/flow-query.c \
	ofp/flow-query.h \
	ofp/flow-set.c \
	ofp/flow-set.h \
	ofp/meter-set.c \
	ofp/meter-set.h \
	ofp/of-encode.c \
	ofp/of-encode.h \
	ofp/of-flow.c \
	ofp/of-flow.h \
	ofp/socket-watch.c \
	ofp/socket-watch.h \
	ofp/switch-dump.c \
	ofp/switch-dump.h \
	ofp/switch.c \
	ofp/switch.h \
	ofp/sync-round.c \
	ofp/sync-round.h
