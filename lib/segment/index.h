/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sparse index beside a segment: a cache.  An entry that does not verify, or leads to a place where
 * no batch of that offset verifies, is passed over; without any, the scan starts at the header.  It is
 * never synced and never trusted for where the log ends.
 */
#ifndef MQ_SEGMENT_INDEX_H
#define MQ_SEGMENT_INDEX_H

#include "format/index.h"
#include "segment/scan.h"

enum { MQ_INDEX_INTERVAL = 64 * 1024 }; /* bytes of segment between entries */

/* Write entry number n.  Failure is no failure of the segment: the caller may go on without. */
int mq_index_put(struct mq_segment *s, int dir, unsigned mode, uint64_t n, const struct mq_index_entry *e,
                 struct mq_err *err);

/*
 * A place to start scanning from so that nothing with an offset ≥ `offset` (or a time ≥ time_us) is
 * missed: the position of a batch whose header verifies and its base offset; else the first batch's place
 * and the segment's base.  Only places below limit.  1: an entry said so; 0: it is the start.
 */
int mq_index_seek_offset(struct mq_segment *s, int dir, struct mq_scan *scan, uint64_t offset, uint64_t limit,
                         uint64_t *ret_pos, uint64_t *ret_offset, struct mq_err *err);
int mq_index_seek_time(struct mq_segment *s, int dir, struct mq_scan *scan, int64_t time_us, uint64_t limit,
                       uint64_t *ret_pos, uint64_t *ret_offset, struct mq_err *err);

/* The last entries' count and the position of its batch as far as they verify below limit: for taking up
 * an index again after `state` was lost. */
int mq_index_last(struct mq_segment *s, int dir, uint64_t limit, uint64_t *ret_count, uint64_t *ret_pos);

#endif
