# Kubernetes objects: where they come from and what they say.  The only user of json-c, libyaml
# and libcurl.
noinst_LIBRARIES += k8s/libk8s.a
k8s_libk8s_a_SOURCES = \
	k8s/antrea.c \
	k8s/dir-source.c \
	k8s/dir-source.h \
	k8s/json-c.c \
	k8s/json-c.h \
	k8s/json-reader.c \
	k8s/json-reader.h \
	k8s/json-writer.c \
	k8s/json-writer.h \
	k8s/kube-backoff.c \
	k8s/kube-backoff.h \
	k8s/kube-config.c \
	k8s/kube-config.h \
	k8s/kube-http.c \
	k8s/kube-http.h \
	k8s/kube-lease.c \
	k8s/kube-lease.h \
	k8s/kube-reflector.c \
	k8s/kube-reflector.h \
	k8s/kube-source.c \
	k8s/kube-source.h \
	k8s/kube-state.c \
	k8s/kube-state.h \
	k8s/kube-watch.c \
	k8s/kube-watch.h \
	k8s/kube-write.c \
	k8s/kube-write.h \
	k8s/language.c \
	k8s/language.h \
	k8s/manifest-file.c \
	k8s/manifest-file.h \
	k8s/manifest.c \
	k8s/manifest.h \
	k8s/node-leases.c \
	k8s/node-leases.h \
	k8s/object-store.c \
	k8s/object-store.h \
	k8s/objects.c \
	k8s/objects.h \
	k8s/own.c \
	k8s/route-object.c \
	k8s/route-object.h \
	k8s/selectors.c \
	k8s/selectors.h \
	k8s/source-provider.h \
	k8s/source.c \
	k8s/source.h \
	k8s/status.c \
	k8s/status.h \
	k8s/yaml.c \
	k8s/yaml.h
