/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/cursor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "format/control.h"
#include "log/cursor_internal.h"
#include "log/start.h"
#include "sys/sys.h"

int mq_cursor_open(struct mq_cursor *c, int dir, const char *label, const uint8_t topic_id[16], uint32_t partition,
                   struct mq_err *err)
{
	int rc;

	memset(c, 0, sizeof *c);
	c->dir = c->bell = c->start = -1;
	mq_state_file_init(&c->state);
	mq_segment_init(&c->seg);
	mq_scan_init(&c->scan);
	mq_chain_init(&c->chain);
	snprintf(c->label, sizeof c->label, "%s", label);
	memcpy(c->topic_id, topic_id, 16);
	c->partition = partition;
	rc = c->dir = mq_sys->openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	if (rc >= 0)
		rc = c->bell = mq_sys->openat(c->dir, "bell", O_RDONLY, 0);
	if (rc < 0)
		mq_err_sys(err, rc, "%s: cannot open %s", label, c->dir < 0 ? "the partition" : "bell");
	else if ((rc = c->start = mq_start_open(c->dir, err)) < 0)
		mq_err_prefix(err, "%s", label);
	if (rc < 0) {
		mq_cursor_release(c);
		return rc;
	}
	return 0;
}

void mq_cursor_release(struct mq_cursor *c)
{
	mq_cursor_rest(c);
	mq_scan_release(&c->scan);
	mq_chain_release(&c->chain);
	mq_buf_release(&c->barriers);
}

/* Is there a batch that holds no offset, as the beginning of a generation? */
static bool no_offset_here(struct mq_cursor *c)
{
	struct mq_batch b;

	return mq_scan_header(&c->scan, c->pos, mq_cursor_bound(c), &b, NULL) == 1 && b.kind == MQ_BATCH_CONTROL &&
	       b.base_offset == c->next_offset && b.next_offset == c->next_offset;
}

/* By its position: behind the last offset a generation may begin.  Of a segment before one whose header does not verify only the
 * end offset is known. */
static bool at_end(struct mq_cursor *c)
{
	if (c->pos >= mq_cursor_bound(c))
		return true;
	if (mq_cursor_at_head(c) || !c->chain.seg[c->at + 1].blind || c->next_offset < mq_chain_end_offset(&c->chain, c->at))
		return false;
	return c->seg.fd >= 0 && !no_offset_here(c);
}

/* 0: nothing of it is wanted.  Where no record was, who reads from the beginning is told all the same. */
static int lost(struct mq_cursor *c, uint64_t to, bool damage, struct mq_cursor_loss *ret)
{
	uint64_t from = c->next_offset;

	if (to < from)
		to = from;
	c->next_offset = to;
	if (to < c->want || (to == c->want && to > c->log_start))
		return 0;
	*ret = (struct mq_cursor_loss){.from = from > c->want ? from : c->want, .to = to, .damage = damage};
	return MQ_EDAMAGE;
}

/* No file holds what lies below `to`: damage, but for what was dropped since we looked.  0: it was all dropped. */
static int missing(struct mq_cursor *c, uint64_t to, struct mq_cursor_loss *ret, struct mq_err *err)
{
	int rc = mq_start_look(c->start, c->topic_id, &c->log_start, err);

	if (rc < 0)
		return rc;
	if (c->want < c->log_start)
		c->want = c->log_start;
	if (c->next_offset < c->want)
		c->next_offset = c->want < to ? c->want : to;
	return c->next_offset < to ? lost(c, to, true, ret) : 0;
}

/* A place that does not verify below the bound: find the next that does.  0: nothing of it is wanted. */
static int step_around(struct mq_cursor *c, struct mq_cursor_loss *ret_loss, struct mq_err *err)
{
	struct mq_batch b;
	uint64_t next, end = mq_cursor_bound(c), from = c->pos, to;
	int rc = mq_scan_resync(&c->scan, from + 1, end, &next, NULL);

	if (rc == 1)
		rc = mq_scan_header(&c->scan, next, end, &b, NULL);
	if (rc < 0)
		return mq_err_set(err, rc, "%s: cannot read segment %s", c->label, c->seg.name);
	c->pos = rc == 1 ? next : end;
	to = rc == 1 ? b.base_offset : mq_cursor_at_head(c) ? c->visible_offset : mq_chain_end_offset(&c->chain, c->at);
	rc = lost(c, to, true, ret_loss);
	if (rc < 0)
		snprintf(ret_loss->where, sizeof ret_loss->where, "segment %s, byte %llu", c->seg.name, (unsigned long long)from);
	return rc;
}

/* 1: give it.  0: nothing of it is wanted.  -ENOMEM. */
static int accept(struct mq_cursor *c, const struct mq_batch *b, const uint8_t *body, struct mq_cursor_view *ret)
{
	int rc = b->control == MQ_CONTROL_GENERATION && b->base_offset >= c->want ? mq_cursor_meet(c, b, body) : 0;

	c->pos += mq_batch_len(b);
	c->next_offset = b->next_offset;
	if (rc < 0 || b->kind == MQ_BATCH_CONTROL || b->next_offset <= c->want)
		return rc;
	ret->batch = *b;
	ret->body = body;
	ret->first_offset = b->base_offset > c->want ? b->base_offset : c->want;
	mq_cursor_give_barriers(c, ret);
	return 1;
}

/* The segment has gone: the place by its offset.  1: go on. */
static int look_for(struct mq_cursor *c, uint64_t expected, struct mq_err *err)
{
	int rc;

	mq_chain_release(&c->chain);
	rc = mq_cursor_seek(c, expected > c->want ? expected : c->want, err);
	if (rc == 0 && err)
		*err = (struct mq_err)MQ_ERR_INIT;
	return rc < 0 ? rc : 1;
}

/* A look at the end may have found that another segment stands for the one it was in; or a seek failed, and is tried again. */
static int regain(struct mq_cursor *c, struct mq_err *err)
{
	int rc = c->positioned ? 0 : look_for(c, c->next_offset, err);

	return rc < 0 ? rc : 0;
}

/* At the bound: go on in the successor, or see whether there is more.  1: go on; 0: the end. */
static int advance(struct mq_cursor *c, struct mq_cursor_loss *ret_loss, struct mq_err *err)
{
	uint64_t end;
	int rc;

	if (mq_cursor_at_head(c)) {
		if (c->looked)
			return 0;
		rc = mq_cursor_refresh(c, err);
		if (rc < 0)
			return rc;
		c->looked = c->sleeping;
		if (!c->positioned) {
			uint64_t offset = c->next_offset > c->want ? c->next_offset : c->want;

			rc = mq_cursor_seek(c, offset, err);
			return rc < 0 ? rc : 1;
		}
		if (c->log_start > c->want)
			c->want = c->log_start;
		return c->pos < mq_cursor_bound(c) || !mq_cursor_at_head(c);
	}
	end = mq_chain_end_offset(&c->chain, c->at);
	rc = c->next_offset < end ? missing(c, end, ret_loss, err) : 0;
	if (rc < 0)
		return rc;
	{
		uint64_t expected = c->next_offset;

		rc = mq_cursor_open_segment(c, c->at + 1, err);
		return rc == -ENOENT ? look_for(c, expected, err) : rc < 0 ? rc : 1;
	}
}

/* The segment that was open before, as it was checked then: one of its id. */
static int open_again(struct mq_cursor *c, struct mq_err *err)
{
	struct mq_segment s;
	int rc = mq_chain_open(&c->chain.seg[c->at], c->dir, false, &s, err);

	if (rc == 0 && !mq_segment_id_equal(&s.h.id, &c->seg.h.id)) {
		mq_segment_release(&s);
		rc = -ENOENT;
	}
	if (rc == -ENOENT)
		return look_for(c, c->next_offset, err);
	if (rc == 0)
		c->seg = s; /* what the scan has read of it stays */
	else
		mq_err_prefix(err, "%s", c->label);
	return rc;
}

int mq_cursor_next(struct mq_cursor *c, struct mq_cursor_view *ret, struct mq_cursor_loss *ret_loss, struct mq_err *err)
{
	c->given = false;
	mq_cursor_forget_given(c);
	int back = regain(c, err);

	if (back < 0)
		return back;
	for (;;) {
		struct mq_batch b;
		const uint8_t *body;
		int rc;

		if (c->hole) {
			c->hole = false;
			rc = missing(c, c->seg.h.base_offset, ret_loss, err);
			if (rc < 0)
				return rc;
		}
		if (at_end(c)) {
			rc = advance(c, ret_loss, err);
			if (rc <= 0)
				return rc;
			continue;
		}
		if (c->seg.fd < 0) { /* it rested meanwhile */
			rc = open_again(c, err);
			if (rc < 0)
				return rc;
			continue;
		}
		rc = mq_scan_batch(&c->scan, c->pos, mq_cursor_bound(c), &b, &body, err);
		if (rc == 0 || rc == MQ_EDAMAGE) {
			rc = step_around(c, ret_loss, err);
			if (rc < 0)
				return rc;
			if (err)
				*err = (struct mq_err)MQ_ERR_INIT;
			continue;
		}
		if (rc < 0)
			return rc;
		if (b.base_offset > c->next_offset && c->next_offset >= c->seg.h.base_offset) {
			rc = lost(c, b.base_offset, true, ret_loss);
			if (rc < 0)
				return rc;
			continue;
		}
		if (b.control == MQ_CONTROL_GAP && b.next_offset > c->want) {
			c->pos += mq_batch_len(&b);
			return lost(c, b.next_offset, false, ret_loss);
		}
		rc = accept(c, &b, body, ret);
		if (rc < 0)
			return mq_err_set(err, rc, "%s: no memory for what a growth of the topic waits for", c->label);
		if (rc > 0) {
			c->given = true;
			return 1;
		}
	}
}

static int find_time_from(struct mq_cursor *c, int64_t time_us, uint64_t *ret, struct mq_err *err)
{
	for (;;) {
		struct mq_batch b;
		int rc;

		if (at_end(c)) {
			struct mq_cursor_loss loss;

			rc = mq_cursor_at_head(c) ? 0 : advance(c, &loss, err);
			if (rc == 0) {
				*ret = c->visible_offset;
				return 0;
			}
			if (rc < 0 && rc != MQ_EDAMAGE)
				return rc;
			continue;
		}
		rc = mq_scan_header(&c->scan, c->pos, mq_cursor_bound(c), &b, NULL);
		if (rc != 1) {
			struct mq_cursor_loss loss;

			rc = step_around(c, &loss, err);
			if (rc < 0 && rc != MQ_EDAMAGE)
				return rc;
			continue;
		}
		if (b.kind != MQ_BATCH_CONTROL && b.max_time_us >= time_us) {
			*ret = b.base_offset;
			return 0;
		}
		c->pos += mq_batch_len(&b);
		c->next_offset = b.next_offset;
	}
}

int mq_cursor_find_time(struct mq_cursor *c, int64_t time_us, uint64_t *ret, struct mq_err *err)
{
	int rc;

	rc = mq_cursor_seek(c, UINT64_MAX, err);
	if (rc == 0)
		rc = mq_chain_extend(&c->chain, c->dir, c->log_start, err);
	if (rc < 0)
		return rc;
	for (size_t i = c->chain.n; i-- > 0;) {
		rc = mq_cursor_open_segment(c, i, err);
		if (rc == 0)
			rc = mq_index_seek_time(&c->seg, c->dir, &c->scan, time_us, mq_cursor_bound(c), &c->pos, &c->next_offset, err);
		if (rc < 0)
			return rc;
		if (rc == 1)
			break;
	}
	c->want = c->log_start;
	rc = find_time_from(c, time_us, ret, err);
	if (rc == 0 && *ret < c->log_start)
		*ret = c->log_start;
	c->positioned = false;
	return rc;
}

int mq_cursor_extent(struct mq_cursor *c, uint64_t *ret_stored, uint64_t *ret_bytes, uint32_t *ret_segments, struct mq_err *err)
{
	int rc = mq_chain_extend(&c->chain, c->dir, c->log_start, err);
	uint64_t bytes = c->visible_pos;

	if (rc < 0)
		return rc;
	for (size_t i = 0; i + 1 < c->chain.n; i++)
		bytes += mq_chain_end_pos(&c->chain, i);
	*ret_stored = c->chain.seg[0].base_offset;
	*ret_bytes = bytes;
	*ret_segments = (uint32_t)c->chain.n;
	c->positioned = false; /* indices moved */
	return 0;
}
