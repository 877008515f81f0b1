#include <config.h>

#include "k8s/dir-source.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hmapx.h"
#include "k8s/manifest-file.h"
#include "k8s/source-provider.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(egress_dir_source);

#define WATCH_MASK (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE \
                    | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

/* The longest that one run may take before the first full read is done. */
#define SLICE_MS 50

/* A directory that is followed. */
struct dir {
    struct hmap_node wd_node;   /* In dir_source's 'watches' while 'wd' is not -1. */
    char *path;
    int wd;
    char *error;                /* Why it cannot be followed, else NULL. */
};

/* A file that is followed, or one that just went. */
struct dir_file {
    struct store_file up;
    struct ovs_list dirty_node; /* In dir_source's 'dirty', while 'dirty'. */
    bool dirty;                 /* To be looked at. */
    bool deleted;               /* Its deletion was seen. */
    bool seen;                  /* In the current scan. */
    bool is_link;               /* In dir_source's 'links'. */
    struct manifest_stamp stamp;
};

struct dir_source {
    struct source up;
    char *root;
    int fd;                     /* inotify. */
    struct shash dirs;          /* struct dir, by path. */
    struct hmap watches;        /* struct dir, by watch descriptor. */
    struct shash files;         /* struct dir_file, by path. */
    struct hmapx links;         /* struct dir_file that are symbolic links. */
    struct ovs_list dirty;      /* struct dir_file. */
    bool rescan;                /* Events were lost, or PATH is not what it was. */
    bool has_root;              /* PATH is there, as 'root_dev' and 'root_ino'. */
    dev_t root_dev;
    ino_t root_ino;
    char *root_error;           /* Why it is not, else NULL. */
    long long int next_check;
};

static void scan_dir(struct dir_source *, const char *path);

static struct dir_source *
dir_source_cast(const struct source *source)
{
    return CONTAINER_OF(source, struct dir_source, up);
}

static char *
join_path(const char *dir, const char *name)
{
    return xasprintf("%s/%s", dir, name);
}

static bool
is_hidden(const char *name)
{
    return name[0] == '.';
}

static bool
is_below(const char *path, const char *dir)
{
    size_t length = strlen(dir);

    return !strncmp(path, dir, length) && path[length] == '/';
}

/* Replaces '*errorp', a problem of the source's own, by 'error', which may be NULL and is taken
 * over. */
static void
set_error(struct dir_source *ds, char **errorp, char *error)
{
    if (!nullable_string_is_equal(*errorp, error)) {
        ds->up.store.seqno++;
    }
    free(*errorp);
    *errorp = error;
}

/* Files. */

static void
mark_dirty(struct dir_source *ds, struct dir_file *file)
{
    if (!file->dirty) {
        file->dirty = true;
        ovs_list_push_back(&ds->dirty, &file->dirty_node);
    }
}

static struct dir_file *
find_or_add_file(struct dir_source *ds, const char *path)
{
    struct dir_file *file = shash_find_data(&ds->files, path);

    if (!file) {
        file = xzalloc(sizeof *file);
        store_file_init(&file->up, path);
        shash_add(&ds->files, path, file);
    }
    return file;
}

static void
destroy_file(struct dir_source *ds, struct dir_file *file)
{
    if (file->dirty) {
        ovs_list_remove(&file->dirty_node);
    }
    hmapx_find_and_delete(&ds->links, file);
    shash_find_and_delete(&ds->files, file->up.path);
    store_file_destroy(&ds->up.store, &file->up);
    free(file);
}

static void
mark_links_dirty(struct dir_source *ds)
{
    struct hmapx_node *node;

    HMAPX_FOR_EACH (node, &ds->links) {
        mark_dirty(ds, node->data);
    }
}

static void
set_link(struct dir_source *ds, struct dir_file *file, bool is_link)
{
    if (is_link && !file->is_link) {
        hmapx_add(&ds->links, file);
    } else if (!is_link && file->is_link) {
        hmapx_find_and_delete(&ds->links, file);
    }
    file->is_link = is_link;
}

static bool
root_exists(const struct dir_source *ds)
{
    struct stat st;

    return !stat(ds->root, &st) && S_ISDIR(st.st_mode);
}

/* Looks at 'file' and, if it changed, reads it anew.  May destroy it. */
static void
refresh_file(struct dir_source *ds, struct dir_file *file)
{
    bool deleted = file->deleted;

    ovs_list_remove(&file->dirty_node);
    file->dirty = file->deleted = false;

    int fd = open(file->up.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW);
    int error = fd < 0 ? errno : 0;
    set_link(ds, file, error == ELOOP);
    if (error == ENOENT || error == ENOTDIR) {
        /* If it is only that PATH as a whole went away, everything stays in force. */
        if (deleted || root_exists(ds)) {
            destroy_file(ds, file);
        }
        return;
    } else if (error == ELOOP) {
        fd = open(file->up.path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        error = fd < 0 ? errno : 0;
    }

    if (error) {
        char *s = xasprintf("cannot be read: %s", ovs_strerror(error));
        manifest_stamp_clear(&file->stamp);
        store_file_keep(&ds->up.store, &file->up, 0, s);
        free(s);
        return;
    }
    if (manifest_file_read(&ds->up.store, &file->up, fd, &file->stamp)) {
        VLOG_DBG("%s: read", file->up.path);
    }
    close(fd);
}

/* Directories. */

static struct dir *
find_watch(const struct dir_source *ds, int wd)
{
    struct dir *dir;

    HMAP_FOR_EACH_WITH_HASH (dir, wd_node, hash_int(wd, 0), &ds->watches) {
        if (dir->wd == wd) {
            return dir;
        }
    }
    return NULL;
}

static void
set_watch(struct dir_source *ds, struct dir *dir, int wd)
{
    if (dir->wd >= 0) {
        hmap_remove(&ds->watches, &dir->wd_node);
    }
    dir->wd = wd;
    if (wd >= 0) {
        hmap_insert(&ds->watches, &dir->wd_node, hash_int(wd, 0));
    }
}

static void
destroy_dir(struct dir_source *ds, struct dir *dir)
{
    int wd = dir->wd;

    set_watch(ds, dir, -1);
    if (wd >= 0 && !find_watch(ds, wd)) {
        inotify_rm_watch(ds->fd, wd);
    }
    set_error(ds, &dir->error, NULL);
    shash_find_and_delete(&ds->dirs, dir->path);
    free(dir->path);
    free(dir);
}

/* Follows the directory 'path', and everything below it, no longer, because it was deleted or
 * moved away. */
static void
forget_dir(struct dir_source *ds, const char *path)
{
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &ds->dirs) {
        if (!strcmp(node->name, path) || is_below(node->name, path)) {
            destroy_dir(ds, node->data);
        }
    }
    SHASH_FOR_EACH (node, &ds->files) {
        if (is_below(node->name, path)) {
            struct dir_file *file = node->data;
            file->deleted = true;
            mark_dirty(ds, file);
        }
    }
}

static void
scan_entry(struct dir_source *ds, const char *dir_path, const struct dirent *entry)
{
    if (is_hidden(entry->d_name)) {
        return;
    }

    char *path = join_path(dir_path, entry->d_name);
    bool is_dir = entry->d_type == DT_DIR;
    if (entry->d_type == DT_UNKNOWN) {
        struct stat st;
        is_dir = !lstat(path, &st) && S_ISDIR(st.st_mode);
    }
    if (is_dir) {
        scan_dir(ds, path);
    } else if (manifest_file_has_suffix(entry->d_name)) {
        struct dir_file *file = find_or_add_file(ds, path);
        file->seen = true;
        mark_dirty(ds, file);
    }
    free(path);
}

/* Begins to follow the directory 'path', if it is not followed already, and marks all the files
 * below it dirty. */
static void
scan_dir(struct dir_source *ds, const char *path)
{
    struct dir *dir = shash_find_data(&ds->dirs, path);

    if (!dir) {
        dir = xzalloc(sizeof *dir);
        dir->path = xstrdup(path);
        dir->wd = -1;
        shash_add(&ds->dirs, path, dir);
    }

    /* First the watch, then the entries, so that nothing is missed in between. */
    int wd = inotify_add_watch(ds->fd, path, WATCH_MASK);
    int error = wd < 0 ? errno : 0;
    set_watch(ds, dir, wd);

    DIR *stream = opendir(path);
    error = stream ? error : errno;
    set_error(ds, &dir->error,
              error ? xasprintf("cannot be %s: %s", stream ? "watched" : "read",
                                ovs_strerror(error)) : NULL);
    if (!stream) {
        return;
    }
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL; ) {
        scan_entry(ds, path, entry);
    }
    closedir(stream);
}

/* Follows PATH from scratch. */
static void
rescan(struct dir_source *ds)
{
    struct shash_node *node;

    ds->rescan = false;
    SHASH_FOR_EACH_SAFE (node, &ds->dirs) {
        destroy_dir(ds, node->data);
    }
    if (!ds->has_root) {
        return;
    }
    SHASH_FOR_EACH (node, &ds->files) {
        struct dir_file *file = node->data;
        file->seen = false;
    }
    scan_dir(ds, ds->root);
    SHASH_FOR_EACH (node, &ds->files) {
        struct dir_file *file = node->data;
        if (!file->seen) {
            mark_dirty(ds, file);
        }
    }
}

/* Finds out whether PATH is still there, and the same. */
static void
check_root(struct dir_source *ds)
{
    struct stat st;
    int error = stat(ds->root, &st) ? errno : !S_ISDIR(st.st_mode) ? ENOTDIR : 0;
    bool same = (!error && ds->has_root && st.st_dev == ds->root_dev && st.st_ino == ds->root_ino);

    if (error) {
        ds->rescan |= ds->has_root;
        set_error(ds, &ds->root_error,
                  xasprintf("cannot be read: %s, expected a directory%s", ovs_strerror(error),
                            ds->up.synced ? "; what was read before stays in force" : ""));
    } else {
        ds->rescan |= !same;
        set_error(ds, &ds->root_error, NULL);
        ds->root_dev = st.st_dev;
        ds->root_ino = st.st_ino;
    }
    ds->has_root = !error;
}

/* Looks at all that inotify does not tell. */
static void
check(struct dir_source *ds)
{
    struct shash_node *node;
    struct svec again = SVEC_EMPTY_INITIALIZER;

    ds->next_check = time_msec() + DIR_SOURCE_CHECK_MS;
    check_root(ds);
    mark_links_dirty(ds);
    SHASH_FOR_EACH (node, &ds->dirs) {
        const struct dir *dir = node->data;
        if (dir->error) {
            svec_add(&again, dir->path);
        }
    }
    for (size_t i = 0; i < again.n; i++) {
        scan_dir(ds, again.names[i]);
    }
    svec_destroy(&again);
}

/* Events. */

static void
handle_dir_event(struct dir_source *ds, const char *path, uint32_t mask)
{
    if (mask & (IN_DELETE | IN_MOVED_FROM)) {
        forget_dir(ds, path);
    } else {
        scan_dir(ds, path);
    }
}

static void
handle_file_event(struct dir_source *ds, const char *path, uint32_t mask)
{
    struct stat st;

    /* A file that is being written is read when that is done; links come complete. */
    if (mask & IN_CREATE && !lstat(path, &st) && S_ISREG(st.st_mode) && st.st_nlink == 1) {
        return;
    }

    bool gone = mask & (IN_DELETE | IN_MOVED_FROM);
    struct dir_file *file = (gone ? shash_find_data(&ds->files, path) : find_or_add_file(ds, path));
    if (file) {
        file->deleted = gone;
        mark_dirty(ds, file);
    }
}

static void
handle_event(struct dir_source *ds, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        ds->rescan = true;
        return;
    }

    struct dir *dir = find_watch(ds, event->wd);
    if (!dir) {
        return;
    } else if (!event->len) {
        if (event->mask & IN_IGNORED) {
            set_watch(ds, dir, -1);
        }
        if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)
            && !strcmp(dir->path, ds->root)) {
            /* Another PATH may be there already, and may even have got the same inode. */
            ds->rescan = true;
        }
        ds->next_check = 0;
        return;
    }

    char *path = join_path(dir->path, event->name);
    if (event->mask & IN_ISDIR) {
        if (!is_hidden(event->name)) {
            handle_dir_event(ds, path, event->mask);
        }
    } else if (!is_hidden(event->name) && manifest_file_has_suffix(event->name)) {
        handle_file_event(ds, path, event->mask);
    } else if (event->mask & (IN_CREATE | IN_MOVED_TO | IN_DELETE)) {
        /* Links may lead through this one, as those of a ConfigMap through "..data". */
        mark_links_dirty(ds);
    }
    free(path);
}

static void
read_events(struct dir_source *ds)
{
    union {
        struct inotify_event event;
        char bytes[64 * (sizeof(struct inotify_event) + NAME_MAX + 1)];
    } buffer;
    ssize_t n;

    while ((n = read(ds->fd, &buffer, sizeof buffer)) > 0) {
        for (const char *p = buffer.bytes; p < buffer.bytes + n; ) {
            const struct inotify_event *event = ALIGNED_CAST(const struct inotify_event *, p);
            handle_event(ds, event);
            p += sizeof *event + event->len;
        }
    }
}

/* The class. */

static struct source *
dir_source_open(const char *path, const struct source_config *config OVS_UNUSED, char **errorp)
{
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

    if (!*path || fd < 0) {
        *errorp = (*path
                   ? xasprintf("dir:%s: cannot use inotify: %s", path, ovs_strerror(errno))
                   : xstrdup("\"dir:\" has no path, expected dir:PATH"));
        if (fd >= 0) {
            close(fd);
        }
        return NULL;
    }

    struct dir_source *ds = xzalloc(sizeof *ds);
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    source_init(&ds->up, &dir_source_class);
    ds->root = xmemdup0(path, length);
    ds->fd = fd;
    shash_init(&ds->dirs);
    hmap_init(&ds->watches);
    shash_init(&ds->files);
    hmapx_init(&ds->links);
    ovs_list_init(&ds->dirty);
    return &ds->up;
}

static void
dir_source_close(struct source *source)
{
    struct dir_source *ds = dir_source_cast(source);
    struct shash_node *node;

    SHASH_FOR_EACH_SAFE (node, &ds->dirs) {
        destroy_dir(ds, node->data);
    }
    SHASH_FOR_EACH_SAFE (node, &ds->files) {
        destroy_file(ds, node->data);
    }
    shash_destroy(&ds->dirs);
    hmap_destroy(&ds->watches);
    shash_destroy(&ds->files);
    hmapx_destroy(&ds->links);
    close(ds->fd);
    free(ds->root);
    free(ds->root_error);
    source_uninit(&ds->up);
    free(ds);
}

static void
dir_source_run(struct source *source)
{
    struct dir_source *ds = dir_source_cast(source);
    long long int deadline = time_msec() + SLICE_MS;

    read_events(ds);
    if (time_msec() >= ds->next_check) {
        check(ds);
    }
    if (ds->rescan) {
        rescan(ds);
    }

    /* Once synced, all changes that are there come together, so that an object which moved from
     * file to file is never missing in between. */
    struct dir_file *file;
    LIST_FOR_EACH_SAFE (file, dirty_node, &ds->dirty) {
        refresh_file(ds, file);
        if (!ds->up.synced && time_msec() >= deadline) {
            break;
        }
    }
    if (!ds->up.synced && ds->has_root && ovs_list_is_empty(&ds->dirty)) {
        ds->up.synced = true;
        ds->up.store.seqno++;
        VLOG_INFO("%s: read %"PRIuSIZE" files", ds->root, shash_count(&ds->files));
    }
}

static void
dir_source_wait(struct source *source)
{
    struct dir_source *ds = dir_source_cast(source);

    if (ds->rescan || !ovs_list_is_empty(&ds->dirty)) {
        poll_immediate_wake();
    }
    poll_fd_wait(ds->fd, POLLIN);
    poll_timer_wait_until(ds->next_check);
}

static void
dir_source_add_problems(const struct source *source, struct problem_list *problems)
{
    const struct dir_source *ds = dir_source_cast(source);

    if (ds->root_error) {
        problem_list_add(problems, ds->root, "%s", ds->root_error);
    }

    const struct shash_node **nodes = shash_sort(&ds->dirs);
    for (size_t i = 0; i < shash_count(&ds->dirs); i++) {
        const struct dir *dir = nodes[i]->data;
        if (dir->error) {
            problem_list_add(problems, dir->path, "%s", dir->error);
        }
    }
    free(nodes);
}

const struct source_class dir_source_class = {
    .scheme = "dir",
    .open = dir_source_open,
    .close = dir_source_close,
    .run = dir_source_run,
    .wait = dir_source_wait,
    .add_problems = dir_source_add_problems,
};
