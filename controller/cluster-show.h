#ifndef CONTROLLER_CLUSTER_SHOW_H
#define CONTROLLER_CLUSTER_SHOW_H 1

/* What people are told about a whole cluster, by its API alone.  Each function adds to an answer, or returns an error for
 * the caller to free. */

struct answer;
struct cluster_reader;

char *cluster_show_status(struct cluster_reader *, const char *arg, struct answer *);
char *cluster_show_routes(struct cluster_reader *, const char *arg, struct answer *);
char *cluster_show_route(struct cluster_reader *, const char *name, struct answer *);
char *cluster_show_pod(struct cluster_reader *, const char *name, struct answer *);
char *cluster_show_nodes(struct cluster_reader *, const char *arg, struct answer *);

#endif /* controller/cluster-show.h */
