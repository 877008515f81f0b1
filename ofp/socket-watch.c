#include <config.h>
#include "ofp/socket-watch.h"

#include <string.h>

#define UNIX_PREFIX "unix:"

/* Is the socket of 'target', a vconn's name, another one than at the call before?  Never for a 'target' that is no Unix
 * domain socket. */
bool
socket_watch_is_new(struct socket_watch *watch, const char *target)
{
    struct stat s;
    bool is_new;

    if (!target || strncmp(target, UNIX_PREFIX, strlen(UNIX_PREFIX))
        || stat(target + strlen(UNIX_PREFIX), &s)) {
        return false;
    }
    is_new = (s.st_ino != watch->seen.st_ino || s.st_dev != watch->seen.st_dev
              || s.st_ctim.tv_sec != watch->seen.st_ctim.tv_sec
              || s.st_ctim.tv_nsec != watch->seen.st_ctim.tv_nsec);
    watch->seen = s;
    return is_new;
}
