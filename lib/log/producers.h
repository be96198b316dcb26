/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The producer table of one partition: the last number of each named producer and mover, so that whether an
 * append was made is a look-up and never a scan.
 *
 * The log is the truth: a segment begins with a snapshot of the table, a control batch registers a newcomer,
 * and every batch carries who wrote it.  The file `producers` is a cache of it up to a position.
 */
#ifndef MQ_LOG_PRODUCERS_H
#define MQ_LOG_PRODUCERS_H

#include "base/buf.h"
#include "format/control.h"
#include "segment/scan.h"

enum { MQ_PRODUCERS_SNAPSHOT_MAX = 64 * 1024 };

struct mq_producer_entry;

struct mq_producers {
	struct mq_producer_entry *by_id;
	struct mq_segment_id segment; /* valid up to pos of this one */
	uint64_t pos;
};

void mq_producers_init(struct mq_producers *p);
void mq_producers_release(struct mq_producers *p);

/* Bring the table up to position `to` of seg, from where it stands, else from the cache file, else from the
 * segment's start.  scan is used and left reset. */
int mq_producers_catch_up(struct mq_producers *p, int dir, struct mq_scan *scan, const struct mq_segment *seg,
                          uint64_t to, struct mq_err *err);

/* Take in one batch that this process just wrote at [pos, end) of the segment, if the table stands at pos. */
int mq_producers_learn(struct mq_producers *p, const struct mq_batch *b, const uint8_t *body, uint64_t pos, uint64_t end);

/* NULL: not known. */
const struct mq_producer *mq_producers_find(const struct mq_producers *p, enum mq_who_kind kind, const char *name);
const struct mq_producer *mq_producers_get(const struct mq_producers *p, uint64_t id);

/* The last number of an entry that was stored under one generation of the partition count; 0: none.  Where keys lead elsewhere
 * since, a partition holds a number only of those that led to it when it was stored.  Of a mover: its last number. */
uint64_t mq_producers_number(const struct mq_producers *p, const struct mq_producer *who, uint32_t generation);
/* Where its last batch of that generation begins; MQ_NO_OFFSET. */
uint64_t mq_producers_last_base(const struct mq_producers *p, const struct mq_producer *who, uint32_t generation);

/* The snapshot's body, most recently used first; *ret_dropped: how many had no room. */
int mq_producers_snapshot(const struct mq_producers *p, struct mq_buf *body, uint32_t *ret_dropped);

/* Write the cache file: a temporary name, then a rename.  Never synced. */
int mq_producers_save(const struct mq_producers *p, int dir, unsigned mode, struct mq_err *err);

#endif
