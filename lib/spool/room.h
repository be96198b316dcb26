/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One partition of a waiting room: what waits in it, in the order of (due, offset), without reading what does not come next.
 *
 *     rc = mq_room_open(&r, spool, "wait@orders@", p, err);
 *     mq_room_look(&r, &next, err);              takes in what was stored since; the first due
 *     mq_room_lock(&r, false, err);              1: ours; who delivers or cancels, and he alone, adds notes
 *     while (mq_room_next(&r, &entry, err) == 1) …
 *     mq_room_rewind(&r);
 *
 * The log alone says what waits: a record waits until a note behind it (format/room_note.h) names it or lies beyond it.  Notes of
 * deliveries are kept as bounds, of which a later and higher one makes those before it superfluous, so there are few, however
 * much was delivered.  Of whole units of offsets there are sorted files (sorted_files.h) beside the log, made anew where they do
 * not verify: entries (due, offset) of what waited when it was made, and behind them
 *
 *     (MQ_ROOM_GONE, offset)                   a record that was cancelled, or moved
 *     (MQ_ROOM_BOUND | at * 4 + i, value)      a note of a delivery, or one that repeats it, at offset `at`: 0 seen, 1 due, 2 offset of its bound
 *
 * So to open a room costs a few reads a file and the records of the last unit, and one block of each file is in memory.
 */
#ifndef MQ_SPOOL_ROOM_H
#define MQ_SPOOL_ROOM_H

#include "format/room_note.h"
#include "format/zip.h"
#include "log/cursor.h"
#include "spool/sorted_files.h"
#include "spool/topic.h"

#define MQ_ROOM_GONE (UINT64_C(1) << 62)
#define MQ_ROOM_BOUND (UINT64_C(1) << 63)
#define MQ_ROOM_DUE_MAX (MQ_ROOM_GONE - 1)
#define MQ_ROOM_LOCK_BYTE (UINT64_C(1) << 40)  /* of the partition's `lock` */
enum { MQ_ROOM_UNIT_LOG2 = 12, MQ_ROOM_LEVEL_MAX = 8 };

struct mq_room_bound {
	uint64_t seen, at;
	struct mq_ids_entry upto;     /* due, offset */
};

struct mq_room_gone {
	uint64_t offset, at;          /* at: of the note; 0: a file says so */
};

struct mq_waiting_room {
	struct mq_topic topic;
	struct mq_cursor cursor;
	bool cursor_open, readonly;
	int dir, lock;                /* lock -1: not open */
	uint32_t partition;
	uint64_t from, next;          /* not in files: [from, next) */
	uint64_t ignore_from;         /* files that go beyond are left out */
	struct mq_sorted_files files;
	struct mq_once_walk *walks;   /* of each file */
	struct mq_ids_entry *heads;   /* of each: what comes next; hash UINT64_MAX: nothing */
	size_t walks_n;
	struct mq_buf tail;           /* struct mq_ids_entry, sorted: of [from, next) */
	size_t tail_at;               /* those before were given */
	struct mq_buf bounds, gone;   /* struct mq_room_bound; struct mq_room_gone by offset */
	struct mq_zip zip;
	struct mq_buf raw;
	bool fresh;                   /* walks stand at the first that waits */
};

/* Whatever the spool's defaults say, nothing in a room is dropped, expires or waits for space but the disk's.  Costs nothing where
 * that is so. */
int mq_room_configure(struct mq_topic *room, struct mq_err *err);

/* MQ_ENOTOPIC: there is no such partition.  unit_log2: MQ_ROOM_UNIT_LOG2, but for a test.  looks: no file is made. */
int mq_room_open(struct mq_waiting_room *ret, struct mq_spool *s, const char *name, uint32_t p, unsigned unit_log2, bool looks,
                 struct mq_err *err);
void mq_room_release(struct mq_waiting_room *r);

/* 1: ours until mq_room_unlock; 0: another process delivers.  wait: as the spool's patience says (-ETIMEDOUT, -EINTR). */
int mq_room_lock(struct mq_waiting_room *r, bool wait, struct mq_err *err);
void mq_room_unlock(struct mq_waiting_room *r);

/* All that is visible by now is known, and mq_room_next begins anew.  *ret_due: of the first that waits; INT64_MAX: none does. */
int mq_room_look(struct mq_waiting_room *r, int64_t *ret_due, struct mq_err *err);
/* 1: what waits, one after the other; 0: that was all. */
int mq_room_next(struct mq_waiting_room *r, struct mq_ids_entry *ret, struct mq_err *err);
/* From the first one on again. */
void mq_room_rewind(struct mq_waiting_room *r);
/* The offset of the last note of a delivery: 1; 0: there is none. */
int mq_room_last(const struct mq_waiting_room *r, uint64_t *ret_at);
/* What lies below is needed no more; at most the last note of a delivery. */
uint64_t mq_room_floor(struct mq_waiting_room *r);

/* Under which time a record stands in the files. */
uint64_t mq_room_due(const struct mq_rec *rec);

/* room_known.c: is an entry one that waits no more?  Bounds and offsets gone. */
bool mq_room_is_gone(const struct mq_waiting_room *r, const struct mq_ids_entry *e);
int mq_room_add_bound(struct mq_waiting_room *r, const struct mq_room_bound *b);
int mq_room_add_gone(struct mq_waiting_room *r, uint64_t offset, uint64_t at);
/* room_files.c */
/* The i-th file does not verify: the next mq_room_load goes without it. */
void mq_room_disbelieve(struct mq_waiting_room *r, size_t i);
int mq_room_load(struct mq_waiting_room *r, struct mq_err *err);
/* The unit that ends at `end`, from what is known. */
int mq_room_put_away(struct mq_waiting_room *r, uint64_t end, struct mq_err *err);

#endif
