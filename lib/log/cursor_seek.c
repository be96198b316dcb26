/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finding the batch of an offset, and the beginnings of generations that lie right before it. */
#include <errno.h>
#include <string.h>

#include "log/cursor_internal.h"

int mq_cursor_open_segment(struct mq_cursor *c, size_t i, struct mq_err *err)
{
	struct mq_segment s;
	int rc = mq_chain_open(&c->chain.seg[i], c->dir, false, &s, err);

	if (rc < 0)
		return rc;
	mq_segment_release(&c->seg);
	c->seg = s;
	c->at = i;
	c->pos = MQ_SEGMENT_HEADER_LEN;
	c->next_offset = s.h.base_offset;
	mq_scan_reset(&c->scan, &c->seg);
	return 0;
}

/* It is behind what is wanted, or begins a generation right there. */
static bool is_due(const struct mq_cursor *c, const struct mq_batch *b)
{
	return b->next_offset > c->want || (b->control == MQ_CONTROL_GENERATION && b->base_offset == c->want);
}

/* Hop over whole batches that end at or below the wanted offset. */
static int hop(struct mq_cursor *c, struct mq_err *err)
{
	for (;;) {
		struct mq_batch b;
		int rc = mq_scan_header(&c->scan, c->pos, mq_cursor_bound(c), &b, NULL);

		if (rc < 0 && rc != MQ_EDAMAGE && rc != MQ_ECONFIG)
			return mq_err_set(err, rc, "cannot read segment %s", c->seg.name);
		if (rc != 1 || is_due(c, &b) || b.base_offset != c->next_offset)
			return 0; /* here, or mq_cursor_next says what is wrong here */
		c->pos += mq_batch_len(&b);
		c->next_offset = b.next_offset;
	}
}

/* The wanted offset is the first of this segment.  May a generation have begun right before it, at the end of the last one? */
static bool may_begin_before(struct mq_cursor *c)
{
	struct mq_batch b;
	int rc;

	if (mq_segment_id_none(&c->seg.h.pred_id) && !c->chain.seg[c->at].blind)
		return false;
	rc = mq_scan_header(&c->scan, MQ_SEGMENT_HEADER_LEN, mq_cursor_bound(c), &b, NULL);
	return rc == 0 || (rc == 1 && b.topic_generation > 0);
}

/* The segments before it may have the same base: a generation that began, and not one record. */
static int open_before(struct mq_cursor *c, struct mq_err *err)
{
	int rc = c->want > 0 ? mq_chain_extend(&c->chain, c->dir, c->want - 1, err) : mq_chain_extend_all(&c->chain, c->dir, err);

	return rc < 0 ? rc : mq_cursor_open_segment(c, c->want > 0 ? mq_chain_find(&c->chain, c->want - 1) : 0, err);
}

static int seek_in_chain(struct mq_cursor *c, struct mq_err *err)
{
	uint64_t target = c->want < c->visible_offset ? c->want : c->visible_offset;
	int rc = mq_chain_extend(&c->chain, c->dir, target, err);

	c->hole = false;
	if (rc == 0)
		rc = mq_cursor_open_segment(c, mq_chain_find(&c->chain, target), err);
	if (rc == 0 && c->want == c->next_offset && may_begin_before(c))
		rc = open_before(c, err);
	if (rc < 0)
		return rc;
	c->hole = c->next_offset > c->want;
	if (c->hole)
		c->next_offset = c->want;
	if (c->want > c->next_offset) {
		if (target == c->want)
			target--; /* what the index says of that very offset may lie behind the beginning of a generation */
		rc = mq_index_seek_offset(&c->seg, c->dir, &c->scan, target, mq_cursor_bound(c), &c->pos, &c->next_offset, err);
		if (rc < 0)
			return rc;
	}
	c->positioned = true;
	return hop(c, err);
}

int mq_cursor_seek(struct mq_cursor *c, uint64_t offset, struct mq_err *err)
{
	int rc = 0;

	mq_buf_clear(&c->barriers);
	c->positioned = c->barriers_given = false;
	for (int attempt = 0; attempt < 16; attempt++) {
		c->want = c->next_offset = offset; /* whoever goes on after a failure goes on there */
		rc = mq_cursor_refresh(c, err);
		if (rc < 0)
			return rc;
		c->want = offset > c->log_start ? offset : c->log_start;
		rc = seek_in_chain(c, err);
		if (rc != -ENOENT)
			break;
		mq_chain_release(&c->chain); /* retention was quicker: list again */
	}
	if (rc < 0) {
		c->next_offset = c->want;
		mq_err_prefix(err, "%s", c->label);
	}
	return rc;
}
