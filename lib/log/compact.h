/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Compaction: of each key the last record stays, at its offset.
 *
 * A run: the keys of what was not compacted yet, from the first such offset on, are met in order and noted in one table, until it is
 * full; then every closed segment that begins below where that ended, compacted before or not, is written anew, some that are small
 * into one, without the records whose key came again.  What is written stands for what it was made of (chain.h), which is dead from
 * then on and stays for a day.
 *
 *   stays: the last record of each key · records without a key · what was put back for one group alone, whose key counts for nothing ·
 *   gaps, the beginnings of generations, registrations of producers · a segment that does not verify, untouched, and a run begins
 *   anew behind it
 *   goes: a record whose key came again · a tombstone (a key and no payload) that is old enough, where nothing below was left as
 *   it was, so that no older record of its key comes to light; one that was compacted beside a segment that did not verify stays,
 *   since that may come back from a backup
 *
 * Order of calls, for each segment that is written (a crash between any two leaves what is said):
 *   temporary file, batches, header, fdatasync      a stray file, removed by the next run; the old ones count
 *   rename without replacing                        it counts for who looks from now on, the old ones for who stands in them
 *   fsync of the directory                          it lasts
 *   its index                                       a cache
 * The oldest first, so that what a tombstone hides has gone before the tombstone goes.  One at a time for a partition: the caller's lock.
 */
#ifndef MQ_LOG_COMPACT_H
#define MQ_LOG_COMPACT_H

#include "log/cursor.h"

enum { MQ_COMPACT_TABLE_BYTES = 64 << 20 };

struct mq_compact_options {
	uint64_t below;              /* what ends here at the latest goes anyway, as what is below the log start does */
	uint64_t segment_bytes;      /* small ones are joined up to this */
	uint32_t dirty_millionths;   /* nothing is done where less than this part of the bytes was not compacted before */
	int64_t tombstones_us;       /* how long a tombstone stays; -1: for ever */
	enum mq_batch_zip zip;       /* of batches made anew */
	unsigned mode;               /* of files */
	size_t table_bytes;          /* 0: MQ_COMPACT_TABLE_BYTES */
	bool dry_run;                /* only what would be read is counted */
	bool (*stopping)(void *arg); /* NULL; true: -EINTR soon, with what was begun undone */
	void *arg;
};

struct mq_compacted { /* added up */
	uint64_t segments, bytes;       /* that something stands for now, or with dry_run would */
	uint64_t made, made_bytes;      /* that stand for them */
	uint64_t records;               /* that went */
	uint64_t damaged;               /* segments left as they are */
};

/* c: freshly opened.  *sum is raised also on failure: by what was done before. */
int mq_cursor_compact(struct mq_cursor *c, const struct mq_compact_options *opt, struct mq_compacted *sum, struct mq_err *err);

#endif
