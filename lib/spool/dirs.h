/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Directories and small files of a spool: made with their exact modes, replaced whole, listed, removed. */
#ifndef MQ_SPOOL_DIRS_H
#define MQ_SPOOL_DIRS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Descriptor of the directory `name` in dir; -ENOENT …  The reason is set for all failures. */
int mq_dir_open(int dir, const char *name, struct mq_err *err);
/* Make it where it is missing (not synced), whatever the umask; descriptor. */
int mq_dir_make(int dir, const char *name, unsigned mode, struct mq_err *err);
/* fsync: the names in it are durable. */
int mq_dir_sync(int dir, const char *name, struct mq_err *err);
/* Each name but "." and ".."; fn returns 0 to go on; its other answers end it and are returned. */
int mq_dir_each(int dir, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);
/* The same for names of topics and groups alone: what begins with a dot is in the making, other names are not ours. */
int mq_dir_each_name(int dir, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);
/* Remove `name` and what is in it, at most `depth` levels of directories down.  Not synced. */
int mq_dir_remove(int dir, const char *name, int depth, struct mq_err *err);

/* The whole of a text file of at most max bytes, NUL put behind. */
int mq_file_read(int dir, const char *name, size_t max, struct mq_buf *ret, struct mq_err *err);
/* Temporary name, write, fdatasync, rename, fsync of dir.  replace false: -EEXIST where it is there. */
int mq_file_put(int dir, const char *name, unsigned mode, const void *bytes, size_t len, bool replace, struct mq_err *err);
/* The same with the temporary name in `from`: who watches that directory hears of the rename itself (IN_MOVED_FROM). */
int mq_file_put_from(int from, int dir, const char *name, unsigned mode, const void *bytes, size_t len, bool replace,
                     struct mq_err *err);
/* An empty file with room for `allocate` bytes, synced but for its name; one that is there already gets the room. */
int mq_file_ensure(int dir, const char *name, unsigned mode, size_t allocate, struct mq_err *err);

/* 16 hex digits that nobody else draws: for temporary names. */
int mq_random_name(const char *prefix, char ret[32], struct mq_err *err);

#endif
