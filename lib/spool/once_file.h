/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sorted file of ids done (format/ids.h): written once, front to back, under a temporary name; then looked up in and merged
 * with its neighbour.  It is a cache: MQ_EDAMAGE says that it is to be made anew from the log.
 */
#ifndef MQ_SPOOL_ONCE_FILE_H
#define MQ_SPOOL_ONCE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "format/ids.h"

struct mq_once_file {
	int fd;            /* owned */
	struct mq_ids_header h;
};

/* The one of that range, of this topic and partition.  -ENOENT; MQ_EDAMAGE: it is none; MQ_ECONFIG: of a newer version. */
int mq_once_file_open(struct mq_once_file *ret, int dir, const struct mq_ids_header *expected, struct mq_err *err);
void mq_once_file_release(struct mq_once_file *f);

/* fn for each offset that stands under the hash; what it returns but 0 ends it and is returned.  A few reads, however many
 * entries there are: hashes lie evenly, so a place is guessed and hardly missed. */
int mq_once_file_find(struct mq_once_file *f, uint64_t hash, int (*fn)(void *arg, uint64_t offset), void *arg,
                      struct mq_err *err);

/* n sorted entries as a file. */
int mq_once_file_write(int dir, unsigned mode, const struct mq_ids_header *h, const struct mq_ids_entry *entries, size_t n,
                       struct mq_err *err);
/* Two neighbours as one, without what lies below `floor`. */
int mq_once_file_merge(int dir, unsigned mode, struct mq_once_file *low, struct mq_once_file *high, uint64_t floor,
                       struct mq_err *err);

/* All entries in their order. */
struct mq_once_walk {
	struct mq_once_file *f;
	uint64_t number;   /* of the block that comes next */
	uint32_t at, n;
	struct mq_ids_entry entries[MQ_IDS_PER_BLOCK];
};
/* The next one given is the first that is not below *from.  A few reads. */
int mq_once_walk_seek(struct mq_once_walk *w, struct mq_once_file *f, const struct mq_ids_entry *from, struct mq_err *err);
/* 1, 0 at the end, MQ_EDAMAGE. */
int mq_once_walk_next(struct mq_once_walk *w, struct mq_ids_entry *ret, struct mq_err *err);

#endif
