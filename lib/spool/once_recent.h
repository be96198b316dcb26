/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ids done of late, by their hash, in memory: those that no file of ids holds yet. */
#ifndef MQ_SPOOL_ONCE_RECENT_H
#define MQ_SPOOL_ONCE_RECENT_H

#include <stddef.h>
#include <stdint.h>

#include "format/ids.h"

struct mq_once_recent {
	struct mq_ids_entry *slots; /* a place where offset is UINT64_MAX is free */
	size_t cap, n;              /* cap: a power of two, or 0 */
};

/* All zero is empty. */
void mq_once_recent_release(struct mq_once_recent *t);
/* 0 or -ENOMEM. */
int mq_once_recent_add(struct mq_once_recent *t, uint64_t hash, uint64_t offset);
/* As mq_once_file_find. */
int mq_once_recent_find(const struct mq_once_recent *t, uint64_t hash, int (*fn)(void *arg, uint64_t offset), void *arg);
/* Those below `end`, sorted: *ret is the caller's to free.  0 or -ENOMEM. */
int mq_once_recent_sorted(const struct mq_once_recent *t, uint64_t end, struct mq_ids_entry **ret, size_t *ret_n);
/* Forget those below `start`.  0 or -ENOMEM, and then nothing is forgotten. */
int mq_once_recent_drop(struct mq_once_recent *t, uint64_t start);

#endif
