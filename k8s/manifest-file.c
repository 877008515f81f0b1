#include <config.h>

#include "k8s/manifest-file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "k8s/object-store.h"
#include "k8s/yaml.h"
#include "util.h"

/* More than the manifests of a large cluster take. */
#define MAX_FILE_SIZE (64 * 1024 * 1024)

/* A file that was changed so shortly before it was read may change again without looking
 * any different, since file systems keep time in coarse steps. */
#define RACY_SECONDS 2

/* The objects that a file has. */
struct collection {
    const char *path;
    struct manifest_object *objects;
    size_t n, allocated;
};

/* Makes the file that 'stamp' is about look changed. */
void
manifest_stamp_clear(struct manifest_stamp *stamp)
{
    stamp->valid = false;
}

static bool
timespec_equals(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool
stamp_matches(const struct manifest_stamp *stamp, const struct stat *st)
{
    return (stamp->valid
            && stamp->dev == st->st_dev
            && stamp->ino == st->st_ino
            && stamp->size == st->st_size
            && timespec_equals(&stamp->mtime, &st->st_mtim)
            && timespec_equals(&stamp->ctime, &st->st_ctim));
}

static void
stamp_set(struct manifest_stamp *stamp, const struct stat *st)
{
    stamp->valid = time(NULL) - st->st_ctim.tv_sec > RACY_SECONDS;
    stamp->dev = st->st_dev;
    stamp->ino = st->st_ino;
    stamp->size = st->st_size;
    stamp->mtime = st->st_mtim;
    stamp->ctime = st->st_ctim;
}

static bool
ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s);
    size_t n_suffix = strlen(suffix);

    return n > n_suffix && !strcmp(s + n - n_suffix, suffix);
}

/* Is 'name' that of a file of manifests? */
bool
manifest_file_has_suffix(const char *name)
{
    return ends_with(name, ".yaml") || ends_with(name, ".yml") || ends_with(name, ".json");
}

/* Returns the code unit of the escape "\uXXXX" at 's', or 0 if there is none. */
static unsigned int
parse_escape(const char *s, const char *end)
{
    bool ok = false;

    return end - s >= 6 && s[0] == '\\' && s[1] == 'u' ? hexits_value(s + 2, 4, &ok) : 0;
}

/* JSON writes a character beyond the basic plane as two escapes, "\ud83d\ude00", which is the
 * only part of JSON that YAML does not share.  Turns each such pair in 'text' into YAML's
 * "\U0001f600", and returns the new length. */
static size_t
join_surrogates(char *text, size_t length)
{
    const char *end = text + length;
    const char *in = text;
    char *out = text;

    while (in < end) {
        unsigned int high = parse_escape(in, end);
        unsigned int low = high >> 10 == 0xd800 >> 10 ? parse_escape(in + 6, end) : 0;

        if (low >> 10 == 0xdc00 >> 10) {
            char escape[16];
            snprintf(escape, sizeof escape, "\\U%08x",
                     0x10000 + ((high & 0x3ff) << 10) + (low & 0x3ff));
            memcpy(out, escape, 10);
            out += 10;
            in += 12;
        } else {
            size_t n = *in == '\\' && end - in > 1 ? 2 : 1;
            memmove(out, in, n);
            out += n;
            in += n;
        }
    }
    return out - text;
}

static void
collect_object(struct manifest_object *mo, void *collection_)
{
    struct collection *collection = collection_;

    if (collection->n >= collection->allocated) {
        collection->objects = x2nrealloc(collection->objects, &collection->allocated,
                                         sizeof *collection->objects);
    }
    collection->objects[collection->n++] = *mo;
    mo->id = mo->error = NULL;
    mo->object = NULL;
}

static void
collect_document(struct json_object *document, void *collection_)
{
    struct collection *collection = collection_;

    manifest_decode(document, collection->path, collect_object, collection);
}

/* Makes 'text', of 'length' bytes, the content of 'file' in 'store'.  Spoils 'text'. */
void
manifest_file_parse(struct object_store *store, struct store_file *file, char *text, size_t length)
{
    struct collection collection = { .path = file->path };
    unsigned int line;

    if (ends_with(file->path, ".json") && memmem(text, length, "\\u", 2)) {
        length = join_surrogates(text, length);
    }
    char *error = yaml_read_documents(text, length, collect_document, &collection, &line);
    if (error) {
        for (size_t i = 0; i < collection.n; i++) {
            manifest_object_destroy(&collection.objects[i]);
        }
        store_file_keep(store, file, line, error);
        free(error);
    } else {
        store_file_replace(store, file, collection.objects, collection.n);
    }
    free(collection.objects);
}

/* Reads up to 'size' bytes, or to the end, from 'fd' into 'text'.  Returns the number of bytes,
 * or a negative errno. */
static ssize_t
read_all(int fd, char *text, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t n = read(fd, text + length, size - length);
        if (n > 0) {
            length += n;
        } else if (!n) {
            break;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return length;
}

/* Reads 'file' from 'fd' into 'store', unless it is as 'stamp' says.  Returns true if it was
 * read. */
bool
manifest_file_read(struct object_store *store, struct store_file *file, int fd,
                   struct manifest_stamp *stamp)
{
    char *error = NULL;
    char *text = NULL;
    ssize_t length = 0;
    struct stat st;

    if (fstat(fd, &st)) {
        error = xasprintf("cannot be read: %s", ovs_strerror(errno));
    } else if (stamp_matches(stamp, &st)) {
        return false;
    } else if (!S_ISREG(st.st_mode)) {
        error = xstrdup("is no regular file");
    } else if (st.st_size > MAX_FILE_SIZE) {
        error = xasprintf("is larger than %d MiB", MAX_FILE_SIZE / 1024 / 1024);
    } else {
        text = xmalloc(st.st_size + 1);
        length = read_all(fd, text, st.st_size);
        if (length < 0) {
            error = xasprintf("cannot be read: %s", ovs_strerror(-length));
        }
    }

    if (error) {
        manifest_stamp_clear(stamp);
        store_file_keep(store, file, 0, error);
        free(error);
        free(text);
        return false;
    }
    stamp_set(stamp, &st);
    manifest_file_parse(store, file, text, length);
    free(text);
    return true;
}
