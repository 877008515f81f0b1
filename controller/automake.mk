# The programs, and what only they need.
noinst_LIBRARIES += controller/libcontroller.a
controller_libcontroller_a_SOURCES =

# Ports of the node's switch, the tool, uninstalling.
controller_libcontroller_a_SOURCES += \
	controller/agent-client.c \
	controller/agent-client.h \
	controller/port-identity.c \
	controller/port-identity.h \
	controller/ports-private.h \
	controller/ports-view.c \
	controller/ports.c \
	controller/ports.h \
	controller/uninstall.c \
	controller/uninstall.h

bin_PROGRAMS += controller/ovs-egressctl
controller_ovs_egressctl_SOURCES = controller/ovs-egressctl.c
controller_ovs_egressctl_LDADD = \
	controller/libcontroller.a k8s/libk8s.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(JSON_C_LIBS) $(YAML_LIBS) $(CURL_LIBS)

# kubectl finds its plugins by their names.
controller_libcontroller_a_SOURCES += \
	controller/cluster-ctl.c \
	controller/cluster-ctl.h \
	controller/cluster-reader.c \
	controller/cluster-reader.h \
	controller/cluster-show.c \
	controller/cluster-show.h

install-exec-hook:
	cd "$(DESTDIR)$(bindir)" && rm -f kubectl-egress && $(LN_S) ovs-egressctl kubectl-egress

uninstall-hook:
	rm -f "$(DESTDIR)$(bindir)/kubectl-egress"

# Resolving: policies, pools and nodes into routes.
controller_libcontroller_a_SOURCES += \
	controller/allocate.c \
	controller/allocate.h \
	controller/candidates.c \
	controller/candidates.h \
	controller/resolve.c \
	controller/resolve.h

# Next hops, ownership of egress IPs, the node's routes.
controller_libcontroller_a_SOURCES += \
	controller/claims.c \
	controller/claims.h \
	controller/neighbours.c \
	controller/neighbours.h \
	controller/uplink-routes.c \
	controller/uplink-routes.h
controller_libcontroller_a_SOURCES += \
	controller/agent-answer.c \
	controller/agent-answer.h \
	controller/agent-connections.c \
	controller/agent-gateway.c \
	controller/agent-lease.c \
	controller/agent-metrics.c \
	controller/agent-pods.c \
	controller/agent-private.h \
	controller/agent-ready.c \
	controller/agent-settle.c \
	controller/agent-show-objects.c \
	controller/agent-show.c \
	controller/agent.c \
	controller/agent.h \
	controller/answer-routes.c \
	controller/answer-routes.h \
	controller/meters.c \
	controller/meters.h \
	controller/options.c \
	controller/options.h

sbin_PROGRAMS += controller/ovs-egressd
controller_ovs_egressd_SOURCES = controller/ovs-egressd.c
controller_ovs_egressd_LDADD = \
	controller/libcontroller.a k8s/libk8s.a ofp/libofp.a pipeline/libpipeline.a \
	$(OVS_LIBS) $(JSON_C_LIBS) $(YAML_LIBS) $(CURL_LIBS) $(MICROHTTPD_LIBS)

# Counting connections.
controller_libcontroller_a_SOURCES += \
	controller/ct-counts.c \
	controller/ct-counts.h

# Metrics and probes of both daemons.
controller_libcontroller_a_SOURCES += \
	controller/metrics-common.c \
	controller/metrics-common.h \
	controller/metrics-server.c \
	controller/metrics-server.h \
	controller/metrics.c \
	controller/metrics.h

# Which routes select a pod.
controller_libcontroller_a_SOURCES += \
	controller/pod-index.c \
	controller/pod-index.h

# Deciding for a cluster.
controller_libcontroller_a_SOURCES += \
	controller/manager-metrics.c \
	controller/manager-nodes.c \
	controller/manager-private.h \
	controller/manager-routes.c \
	controller/manager-show.c \
	controller/manager-status.c \
	controller/manager.c \
	controller/manager.h

sbin_PROGRAMS += controller/ovs-egress-manager
controller_ovs_egress_manager_SOURCES = controller/ovs-egress-manager.c
controller_ovs_egress_manager_LDADD = $(controller_ovs_egressd_LDADD)
