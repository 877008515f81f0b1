#ifndef K8S_DIR_SOURCE_H
#define K8S_DIR_SOURCE_H 1

/* The source "dir:PATH": the manifests in a directory, followed as they change.
 *
 * Read are the files below PATH whose names end with .yaml, .yml or .json, except hidden files
 * (those that begin with a dot) and what is in hidden directories.  PATH and the files, but not
 * directories below PATH, may be symbolic links, so that a mounted ConfigMap works.
 *
 * What changes in the directories is noticed at once.  Where inotify cannot look, behind
 * symbolic links and at PATH's being there at all, a look every DIR_SOURCE_CHECK_MS has to do.
 *
 * What was read before stays in force as long as there is nothing better: for a file that cannot
 * be read or parsed, for an object that is wrong, and for all of them if PATH itself
 * disappears.  Only the deletion of a file or of an object in it takes objects away.
 *
 * The directory source is opened with source_open(), see k8s/source.h. */

#define DIR_SOURCE_CHECK_MS 1000

#endif /* k8s/dir-source.h */
