#ifndef CONTROLLER_CLUSTER_CTL_H
#define CONTROLLER_CLUSTER_CTL_H 1

/* ovs-egressctl as kubectl's plugin: the whole cluster, as its API tells it. */

#define CLUSTER_CTL_NAME "kubectl-egress"

int cluster_ctl_main(int argc, char *argv[]);

#endif /* controller/cluster-ctl.h */
