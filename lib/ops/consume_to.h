/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --to: what a group consumes goes into another topic, once each, with its place: the records as they are, or what a handler
 * made of them.
 *
 *   mq_to_begin    what is wrong with the request; what the topic is, or will be
 *   mq_to_view     the records of a view, copied
 *   mq_to_choose   the partition, as a publisher would
 *
 * The topic is made with the first record, as auto.create.topics says.  Records with a key go where their key leads (murmur2);
 * those without one go round-robin, a batch at a time, or fewer where there are many partitions and few records.
 */
#ifndef MQ_OPS_CONSUME_TO_H
#define MQ_OPS_CONSUME_TO_H

#include "ops/consume.h"
#include "ops/transfer.h"

struct mq_to {
	struct mq_topic_facts facts;
	bool there;
	int64_t looked_ns;       /* when that was asked */
	uint32_t robin;
	uint64_t robin_bytes, robin_records; /* that it was given */
};

int mq_to_begin(struct mq_consume *c);
void mq_to_end(struct mq_consume *c);
/* Before records are chosen for: it is there, and its facts are of now. */
int mq_to_need(struct mq_consume *c);
/* MQ_EINPUT: r, of f (or made of the record at `offset`), is larger than the topic takes. */
int mq_to_fits(struct mq_consume *c, const struct mq_feed *f, uint64_t offset, const struct mq_rec *r);
uint32_t mq_to_choose(struct mq_consume *c, const struct mq_feed *f, const struct mq_rec *r);
/* Records without a key that came together are all given. */
void mq_to_turn(struct mq_consume *c, const struct mq_feed *f);
/* As mq_write_view. */
int mq_to_view(struct mq_consume *c, struct mq_feed *f);
/* All that was looked at is done when what is put is. */
int mq_to_pass(struct mq_consume *c, struct mq_feed *f);

/* n lines of the view that mq_feed_lines gave, up to f->next. */
struct mq_transfer_lines mq_to_lines(const struct mq_feed *f, const char *p, size_t len, uint64_t n);
/* Is one of these lines larger than max? */
bool mq_to_is_too_long(const char *p, size_t len, size_t max);

#endif
