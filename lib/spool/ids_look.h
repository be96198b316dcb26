/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which ids a partition's log holds, within a window: of those done (once.h), and of those published (dedupe.h).
 *
 *   open → look, as often as wanted → release
 *
 * The log is the truth, and the rest is a cache of it: a table of the records read last, in memory, bounded; and for those
 * before them files of sorted hashes (once_file.h), each of 2^k units of offsets from a multiple of that on, so that whoever
 * makes one makes the same, there are few of them, and none needs a lock.  A hash that is met says where the record is; the id
 * in it decides.  Only offsets that can never come to mean another record go to a file: visible ones, or durable ones where
 * records count as soon as they are written.
 */
#ifndef MQ_SPOOL_IDS_LOOK_H
#define MQ_SPOOL_IDS_LOOK_H

#include "format/zip.h"
#include "spool/once_recent.h"
#include "spool/sorted_files.h"
#include "spool/topic.h"

struct mq_ids_window {
	int64_t us;               /* 0: whatever its age; by when its batch was made */
	uint64_t count;           /* 0: any; so many offsets from the end back */
	bool written;             /* what is written counts, visible or not */
	unsigned unit_log2, level_max; /* of a file: 2^unit_log2 offsets to 2^(unit_log2 + level_max) */
	const char *lost;         /* what may happen to records whose ids were lost to damage */
};

struct mq_ids_look {
	struct mq_topic *topic;   /* borrowed */
	uint32_t partition;
	struct mq_ids_window window;
	struct mq_cursor cursor, probe; /* behind the last record known; for a look at one */
	bool cursor_open, probe_open;
	int dir;                  /* of the partition; -1: it rests */
	struct mq_once_recent recent; /* [from, next) */
	uint64_t from, next;
	uint64_t floor;           /* what lies below was before the window, or is not held */
	struct mq_sorted_files files; /* of what lies before `from`, as far as it is wanted */
	struct mq_zip zip;
	struct mq_buf raw;
};

/* All zero, and dir -1, is none: it may be released. */
int mq_ids_look_open(struct mq_ids_look *ret, struct mq_topic *t, uint32_t partition, const struct mq_ids_window *window,
                     struct mq_err *err);
void mq_ids_look_release(struct mq_ids_look *o);

uint64_t mq_ids_look_hash(const struct mq_ids_look *o, const void *id, size_t len);

/* All that is in the log by now is known. */
int mq_ids_look_catch_up(struct mq_ids_look *o, struct mq_err *err);
/* 1: it is there, and within the window, by what was known then; *ret_offset (NULL: not wanted): where.  Offsets below *seen
 * were looked at before (0: none), and all are below the new one. */
int mq_ids_look_find(struct mq_ids_look *o, const void *id, size_t len, uint64_t *seen, uint64_t *ret_offset, struct mq_err *err);

/* Give back the descriptors; the next call that needs some opens them again. */
void mq_ids_look_rest(struct mq_ids_look *o);

#endif
