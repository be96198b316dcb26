/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of the cursor share. */
#ifndef MQ_LOG_CURSOR_INTERNAL_H
#define MQ_LOG_CURSOR_INTERNAL_H

#include "log/cursor.h"

static inline bool mq_cursor_at_head(const struct mq_cursor *c)
{
	return c->at + 1 == c->chain.n;
}

/* Bytes of the segment that is open, as far as they may be read. */
static inline uint64_t mq_cursor_bound(const struct mq_cursor *c)
{
	return mq_cursor_at_head(c) ? c->visible_pos : mq_chain_end_pos(&c->chain, c->at);
}

/* cursor_seek.c: seg[i], from its start on. */
int mq_cursor_open_segment(struct mq_cursor *c, size_t i, struct mq_err *err);

/* cursor_growth.c: a generation's batch was met.  0, -ENOMEM, or MQ_EDAMAGE where it contradicts itself. */
int mq_cursor_meet(struct mq_cursor *c, const struct mq_batch *b, const uint8_t *body);
/* The next batch is about to be looked for: what was given with the last one is no more. */
void mq_cursor_forget_given(struct mq_cursor *c);
/* This one is given, with the barriers before it. */
void mq_cursor_give_barriers(struct mq_cursor *c, struct mq_cursor_view *v);

#endif
