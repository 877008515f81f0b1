#ifndef OFP_SOCKET_WATCH_H
#define OFP_SOCKET_WATCH_H 1

/* Notices that a process listens on a Unix domain socket anew.
 *
 * A bridge whose ovs-vswitchd was started again is without our flows, and the CNI's may be back at once, so until we are
 * connected selected pods may leave as their node.  An rconn's backoff, a second at the least, would be that long. */

#include <stdbool.h>
#include <sys/stat.h>

/* How often to look while there is no connection. */
#define SOCKET_WATCH_INTERVAL_MS 10

struct socket_watch {
    struct stat seen;           /* Of the socket that was there last; zero if there was none. */
};

bool socket_watch_is_new(struct socket_watch *, const char *target);

#endif /* ofp/socket-watch.h */
