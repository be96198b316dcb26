/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log as a chain: the head, and its predecessors by id.
 *
 * The head is the segment of the highest epoch, then of the highest base; two that tie stop everything,
 * loudly.  Each header names its predecessor and where that ends; what lies beyond that end, and every
 * file not reached from the head, is dead.  So is a file of another topic or partition, which somebody copied there; and
 * one of the same, from a backup or a copy that went its own way, does not take over: a tail, trusted or not, names a
 * segment whose name is durable, and what does not follow that one by ids, where it is there and not below the log start,
 * stops everything, too.
 *
 * A header that does not verify hides neither its own batches nor what lies behind it: its successor, or for the head
 * the tail, tells the id that they are sealed with (blind).  What came before such a segment is the file of the
 * highest base below it, and it ends where the offsets do.  That file stands in for a predecessor that is missing, too:
 * what lies below it is still of the log, and the offsets between its end and its successor's base are in no file.
 *
 * A segment of reason MQ_SEGMENT_COMPACT is never the head.  It stands for a run of others, of which its header names the last one by
 * the id and the end that a successor tells of; where a chain comes to that id and that end, it goes on with the one that stands for
 * it, and from there with what came before the run.  Of two the one of the later round.  In `seg` the link is as if the successor
 * had named it.
 */
#ifndef MQ_LOG_CHAIN_H
#define MQ_LOG_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "format/state.h"
#include "segment/segment.h"

struct mq_chain {
	struct mq_segment_header *seg; /* oldest loaded first; the last is the head */
	size_t n, cap;
	bool whole;                    /* seg[0] is the oldest segment that is there */
	bool listed;                   /* names of those that may stand for others were listed: struct mq_chain_name */
	struct mq_buf stands;
};

void mq_chain_init(struct mq_chain *c);
void mq_chain_release(struct mq_chain *c);

/* What is known of a partition's segments beforehand: whose they are, and of one of them what the tail tells (all zero:
 * there is none): blind. */
struct mq_segment_header mq_chain_told(const uint8_t topic_id[16], uint32_t partition, const struct mq_tail *t);
/* Are they of one partition? */
bool mq_chain_siblings(const struct mq_segment_header *a, const struct mq_segment_header *b);
int mq_chain_foreign(struct mq_err *err); /* what to say where there is nothing else */
/* Find the head by listing.  1: there is one; 0: no segment at all.  The one that is told may be it though its header is bad. */
int mq_chain_find_head(int dir, const struct mq_segment_header *told, struct mq_segment_header *ret, struct mq_err *err);
/* chain_stand.c.  1: *ret stands for what came before `next`, and is to be released; 0: nothing does.  again: list anew. */
int mq_chain_stand_in(struct mq_chain *c, int dir, const struct mq_segment_header *next, bool again, struct mq_segment *ret,
                      struct mq_err *err);
/* Does s, of reason MQ_SEGMENT_COMPACT, stand for h? */
bool mq_chain_replaces(const struct mq_segment_header *s, const struct mq_segment_header *h);
/* 1: something stands for `h` itself, so the chain that it is in is an old one. */
int mq_chain_is_replaced(struct mq_chain *c, int dir, const struct mq_segment_header *h, struct mq_err *err);
/* Is `pred`, of a chain, what `next` names, or does it stand for that?  next: as its own file says. */
bool mq_chain_joins(const struct mq_segment_header *pred, const struct mq_segment_header *next);
/* Open the segment of a header that was found here, blind where that is. */
int mq_chain_open(const struct mq_segment_header *h, int dir, bool writable, struct mq_segment *ret, struct mq_err *err);

/* Load from the given head back to the segment that holds `offset`, or to the oldest. */
int mq_chain_load(struct mq_chain *c, int dir, const struct mq_segment_header *head, uint64_t offset, struct mq_err *err);

/* Load further back, as far as `offset`. */
int mq_chain_extend(struct mq_chain *c, int dir, uint64_t offset, struct mq_err *err);

/* As far as it goes. */
int mq_chain_extend_all(struct mq_chain *c, int dir, struct mq_err *err);

/* The index of the segment that holds offset: the last whose base is ≤ offset (the first, if none). */
size_t mq_chain_find(const struct mq_chain *c, uint64_t offset);

/* Where segment i ends: its successor says so; for the head this is not known here (UINT64_MAX). */
uint64_t mq_chain_end_pos(const struct mq_chain *c, size_t i);
uint64_t mq_chain_end_offset(const struct mq_chain *c, size_t i);

/* Call fn for each "*.seg" file name in the directory.  fn returns 0 to go on. */
int mq_chain_each_file(int dir, int (*fn)(void *arg, const char *name), void *arg, struct mq_err *err);

#endif
