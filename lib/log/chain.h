/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log as a chain: the head, and its predecessors by id.
 *
 * The head is the segment of the highest epoch, then of the highest base; two that tie stop everything,
 * loudly.  Each header names its predecessor and where that ends; what lies beyond that end, and every
 * file not reached from the head, is dead.
 *
 * A header that does not verify hides neither its own batches nor what lies behind it: its successor, or for the head
 * the tail, tells the id that they are sealed with (blind).  What came before such a segment is the file of the
 * highest base below it, and it ends where the offsets do.  That file stands in for a predecessor that is missing, too:
 * what lies below it is still of the log, and the offsets between its end and its successor's base are in no file.
 */
#ifndef MQ_LOG_CHAIN_H
#define MQ_LOG_CHAIN_H

#include <stddef.h>

#include "segment/segment.h"

struct mq_chain {
	struct mq_segment_header *seg; /* oldest loaded first; the last is the head */
	size_t n, cap;
	bool whole;                    /* seg[0] is the oldest segment that is there */
};

void mq_chain_init(struct mq_chain *c);
void mq_chain_release(struct mq_chain *c);

/* Find the head by listing.  1: there is one; 0: no segment at all. */
int mq_chain_find_head(int dir, struct mq_segment_header *ret, struct mq_err *err);
/* The same where a tail, even one that is not trusted, tells of a segment: it may be the head though its header is bad. */
int mq_chain_find_head_told(int dir, const struct mq_segment_header *told, struct mq_segment_header *ret, struct mq_err *err);
/* What a tail tells of its segment: blind. */
struct mq_segment_header mq_chain_told(const struct mq_segment_id *id, uint64_t base, const struct mq_epoch *epoch);
/* Open the segment of a header that was found here, blind where that is. */
int mq_chain_open(const struct mq_segment_header *h, int dir, bool writable, struct mq_segment *ret, struct mq_err *err);

/* Load from the given head back to the segment that holds `offset`, or to the oldest. */
int mq_chain_load(struct mq_chain *c, int dir, const struct mq_segment_header *head, uint64_t offset, struct mq_err *err);

/* Load further back, as far as `offset`. */
int mq_chain_extend(struct mq_chain *c, int dir, uint64_t offset, struct mq_err *err);

/* The index of the segment that holds offset: the last whose base is ≤ offset (the first, if none). */
size_t mq_chain_find(const struct mq_chain *c, uint64_t offset);

/* Where segment i ends: its successor says so; for the head this is not known here (UINT64_MAX). */
uint64_t mq_chain_end_pos(const struct mq_chain *c, size_t i);
uint64_t mq_chain_end_offset(const struct mq_chain *c, size_t i);

/* Call fn for each "*.seg" file name in the directory.  fn returns 0 to go on. */
int mq_chain_each_file(int dir, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);

#endif
