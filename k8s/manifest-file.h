#ifndef K8S_MANIFEST_FILE_H
#define K8S_MANIFEST_FILE_H 1

/* One file of manifests, from an open descriptor into the store. */

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

struct object_store;
struct store_file;

/* What a file looked like when it was read, to tell whether it may have changed since. */
struct manifest_stamp {
    bool valid;                 /* False if it must be read in any case. */
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec mtime, ctime;
};
void manifest_stamp_clear(struct manifest_stamp *);

bool manifest_file_has_suffix(const char *name);
bool manifest_file_read(struct object_store *, struct store_file *, int fd,
                        struct manifest_stamp *);
void manifest_file_parse(struct object_store *, struct store_file *, char *text, size_t length);

#endif /* k8s/manifest-file.h */
