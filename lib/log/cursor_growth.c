/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Beginnings of generations of the partition count, as a reader meets them.
 *
 * Whether one holds only topic.conf decides, and a reader need not ask it: a growth that came about is known to every batch
 * behind, which carries the generation that it was routed by.  One that came to nothing is known to none.
 */
#include <errno.h>

#include "log/cursor_internal.h"

void mq_cursor_forget_given(struct mq_cursor *c)
{
	if (c->barriers_given)
		mq_buf_clear(&c->barriers);
	c->barriers_given = false;
}

int mq_cursor_meet(struct mq_cursor *c, const struct mq_batch *b, const uint8_t *body)
{
	struct mq_generation g;

	if (mq_generation_decode(body, b->stored_len, &g) < 0)
		return 0; /* mq-check tells; what is behind is given all the same */
	c->met = g.number;
	c->met_at = b->base_offset;
	for (uint32_t i = 0; i < g.n_sources; i++) {
		struct mq_generation_source s = mq_generation_source_at(body, i);
		struct mq_barrier one = {g.number, s.partition, s.offset};
		int rc = mq_buf_add(&c->barriers, &one, sizeof one);

		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Of void generations none is left. */
void mq_cursor_give_barriers(struct mq_cursor *c, struct mq_cursor_view *v)
{
	struct mq_barrier *all = (struct mq_barrier *)(void *)c->barriers.p;
	size_t n = c->barriers.len / sizeof *all, kept = 0;

	for (size_t i = 0; i < n; i++)
		if (all[i].generation <= v->batch.topic_generation)
			all[kept++] = all[i];
	v->barriers = kept ? all : NULL;
	v->n_barriers = kept;
	c->barriers_given = true;
}
