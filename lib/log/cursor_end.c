/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the log ends, as far as a reader may see: told by `state` where that holds, else by what verifies. */
#include <errno.h>
#include <string.h>

#include "log/cursor.h"
#include "log/start.h"
#include "log/visible.h"
#include "sys/sys.h"

/* 1: state is open.  0: it is missing or does not verify: then the log alone tells. */
static int have_state(struct mq_cursor *c, struct mq_err *err)
{
	int rc = c->state.fd >= 0 ? 0 : mq_state_file_open(&c->state, c->dir, false, NULL);

	if (rc == -ENOENT || rc == MQ_EDAMAGE)
		return 0;
	return rc < 0 ? mq_err_sys(err, rc, "cannot open state") : 1;
}

/* It may have been made anew: the one that writers use is the one in which something moves. */
static bool was_replaced(struct mq_cursor *c, uint64_t seq)
{
	struct mq_stat st;
	bool moved = seq != c->tail_seq;

	c->tail_seq = seq;
	return !moved && mq_sys->stat(c->state.fd, &st) == 0 && st.nlink == 0;
}

static int look_at_state(struct mq_cursor *c, struct mq_tail *ret_tail, bool *ret_trusted, struct mq_err *err)
{
	uint64_t seq = 0;
	int rc;

	*ret_trusted = false;
	for (;;) {
		rc = have_state(c, err);
		if (rc <= 0) {
			memset(ret_tail, 0, sizeof *ret_tail);
			return rc;
		}
		rc = mq_state_tail_read(&c->state, ret_tail, &seq, err);
		if (rc < 0)
			return rc;
		if (!was_replaced(c, seq))
			break;
		mq_state_file_release(&c->state);
	}
	if (seq > 0 && (ret_tail->flags & MQ_TAIL_GONE))
		return mq_err_set(err, MQ_ENOTOPIC, "the topic was deleted");
	*ret_trusted = seq > 0 && !(ret_tail->flags & MQ_TAIL_UNSETTLED) && mq_state_tail_trusted(&c->state, ret_tail);
	return 0;
}

/* Have the chain end in this head; keep the place in the segment that is open. */
static int follow_head(struct mq_cursor *c, const struct mq_segment_header *head, struct mq_err *err)
{
	struct mq_segment_id here = c->seg.h.id;
	uint64_t back_to = c->positioned ? c->seg.h.base_offset : UINT64_MAX;
	int rc;

	if (c->chain.n > 0 && mq_segment_id_equal(&c->chain.seg[c->chain.n - 1].id, &head->id))
		return 0;
	rc = mq_chain_load(&c->chain, c->dir, head, back_to, err);
	if (rc < 0)
		mq_chain_release(&c->chain); /* a part of it is no place to go on from */
	if (rc < 0 || !c->positioned)
		return rc;
	for (size_t i = 0; i < c->chain.n; i++)
		if (mq_segment_id_equal(&c->chain.seg[i].id, &here)) {
			c->at = i;
			return 0;
		}
	c->positioned = false; /* the segment is dead or gone: find the place by offset again */
	return 0;
}

static int head_from_tail(struct mq_cursor *c, const struct mq_tail *t, struct mq_segment_header *ret, struct mq_err *err)
{
	struct mq_segment_header told = mq_chain_told(c->topic_id, c->partition, t);
	struct mq_segment s;
	int rc;

	if (c->chain.n > 0 && mq_segment_id_equal(&c->chain.seg[c->chain.n - 1].id, &t->segment)) {
		*ret = c->chain.seg[c->chain.n - 1];
		return 0;
	}
	rc = mq_segment_open(&s, c->dir, t->segment_base, t->segment.b, false, err);
	if (rc == MQ_EDAMAGE) {
		*ret = told;
		return 0;
	}
	if (rc < 0)
		return rc;
	if (!mq_chain_siblings(&s.h, &told))
		rc = mq_chain_foreign(err);
	*ret = s.h;
	mq_segment_release(&s);
	return rc;
}

/* Nothing verifies at pos.  Does a batch further on tell that more was durable when it was written?  1: then this is damage,
 * as it is to a writer (recover.c), and *ret is where the next whole batch lies; 0: the log ends here. */
static int is_damage(struct mq_scan *scan, uint64_t pos, uint64_t limit, uint64_t *ret)
{
	uint64_t at = pos, next = 0;

	for (;;) {
		struct mq_batch b;
		int rc = mq_scan_resync(scan, at + 1, limit, &at, NULL);

		if (rc == 1)
			rc = mq_scan_header(scan, at, limit, &b, NULL);
		if (rc <= 0)
			return rc;
		if (next == 0)
			next = at;
		if (b.durable_pos > pos && b.durable_pos <= at) {
			*ret = next;
			return 1;
		}
		at += mq_batch_len(&b) - 1;
	}
}

/* What verifies in a row, and behind damage. */
static int run(struct mq_scan *scan, uint64_t limit, uint64_t *pos, uint64_t *offset)
{
	for (;;) {
		struct mq_batch b;
		const uint8_t *body;
		int rc = mq_scan_batch(scan, *pos, limit, &b, &body, NULL);

		if (rc == 1 && b.base_offset < *offset)
			rc = MQ_EDAMAGE; /* a former life of these bytes */
		if (rc == 0 || rc == MQ_EDAMAGE) {
			rc = is_damage(scan, *pos, limit, pos);
			if (rc <= 0)
				return rc;
			continue;
		}
		if (rc < 0)
			return rc;
		*pos += mq_batch_len(&b);
		*offset = b.next_offset;
	}
}

/* Without state: what verifies from the durable mark on, as far as this boot's tail reaches. */
static int verify_end(struct mq_cursor *c, const struct mq_segment_header *h, const struct mq_tail *t, uint64_t durable_pos,
                      uint64_t durable_offset, struct mq_err *err)
{
	struct mq_segment s;
	struct mq_scan scan;
	uint64_t pos = h->born_end_pos, offset = h->born_end_offset, limit;
	int rc = mq_chain_open(h, c->dir, false, &s, err);

	if (rc < 0)
		return rc;
	mq_scan_init(&scan);
	mq_scan_reset(&scan, &s);
	rc = mq_segment_size(&s, &limit, err);
	if (c->state.fd >= 0 && mq_segment_id_equal(&t->segment, &h->id) && mq_state_tail_same_boot(&c->state, t) &&
	    t->pos < limit && durable_pos < limit) /* the tail may have gone back with a disk, what is durable has not */
		limit = t->pos > durable_pos ? t->pos : durable_pos;
	if (durable_pos > pos && durable_pos <= limit) {
		pos = durable_pos;
		offset = durable_offset;
	}
	if (rc == 0)
		rc = run(&scan, limit, &pos, &offset);
	if (rc == 0 && pos < durable_pos) { /* the file ends before what was durable */
		pos = durable_pos;
		offset = durable_offset;
	}
	if (rc < 0)
		mq_err_set(err, rc, "cannot read segment %s", s.name);
	c->visible_pos = pos;
	c->visible_offset = c->written_offset = offset;
	mq_scan_release(&scan);
	mq_segment_release(&s);
	return rc;
}

static int refresh_once(struct mq_cursor *c, bool *ret_trusted, struct mq_err *err)
{
	struct mq_segment_header head;
	struct mq_tail t, again;
	uint64_t durable_pos = 0, durable_offset = 0, seq;
	int rc = look_at_state(c, &t, ret_trusted, err);

	if (rc < 0)
		return rc;
	if (*ret_trusted) {
		rc = head_from_tail(c, &t, &head, err);
	} else {
		struct mq_segment_header told = mq_chain_told(c->topic_id, c->partition, &t);

		rc = mq_chain_find_head(c->dir, &told, &head, err);
		if (rc == 0)
			rc = mq_err_set(err, MQ_EDAMAGE, "no segment is left; restore the partition or delete the topic");
	}
	if (rc < 0)
		return rc;
	if (c->state.fd >= 0 && (!*ret_trusted || t.strict_start < t.strict_end)) { /* else nobody waits for a sync */
		rc = mq_state_durable(&c->state, 1, &head.id, &durable_pos, &durable_offset, NULL, err);
		if (rc == 0 && (!*ret_trusted || durable_pos < t.pos)) /* the others are of who found the first stalled */
			rc = mq_state_durable(&c->state, MQ_STATE_MARKS, &head.id, &durable_pos, &durable_offset, NULL, err);
		if (rc < 0)
			return rc;
		/* Rolled between the two: the marks speak of the new head, and what was visible would seem not to be. */
		rc = *ret_trusted ? mq_state_tail_read(&c->state, &again, &seq, err) : 0;
		if (rc < 0)
			return rc;
		if (*ret_trusted && !mq_segment_id_equal(&again.segment, &t.segment))
			return -ENOENT;
	}
	rc = follow_head(c, &head, err);
	if (rc < 0)
		return rc;
	if (!*ret_trusted)
		return verify_end(c, &head, &t, durable_pos, durable_offset, err);
	mq_visible_end(&t, durable_pos, durable_offset, &c->visible_pos, &c->visible_offset);
	if (c->to_written) {
		c->visible_pos = t.pos;
		c->visible_offset = t.next_offset;
	}
	c->written_offset = t.next_offset;
	return 0;
}

int mq_cursor_refresh(struct mq_cursor *c, struct mq_err *err)
{
	bool trusted;
	int rc = mq_start_look(c->start, c->topic_id, &c->log_start, err);

	for (int attempt = 0; rc == 0 && attempt < 16; attempt++) {
		rc = refresh_once(c, &trusted, err);
		if (rc == -ENOENT && attempt < 15) { /* rolled, perhaps removed, between two looks */
			rc = 0;
			continue;
		}
		if (rc < 0 || trusted)
			break;
		/* A writer may have settled it while we scanned: what it says is better. */
		struct mq_tail t;

		rc = look_at_state(c, &t, &trusted, err);
		if (rc < 0 || !trusted)
			break;
	}
	/* A limit may drop what could not be seen yet. */
	if (rc == 0 && c->visible_offset < c->log_start)
		c->visible_offset = c->log_start;
	if (rc == 0 && c->written_offset < c->visible_offset)
		c->written_offset = c->visible_offset;
	if (rc == -ENOENT && err && err->code) /* the head, which nothing removes */
		rc = mq_err_lacks(err);
	if (rc < 0) {
		c->positioned = false; /* the chain may have changed under the place, and the bound with it */
		mq_err_prefix(err, "%s", c->label);
	}
	return rc;
}

int mq_cursor_durable(struct mq_cursor *c, uint64_t *ret, struct mq_err *err)
{
	const struct mq_segment_header *head;
	uint64_t pos = 0, offset = 0;
	int rc = c->chain.n > 0 ? 0 : mq_cursor_refresh(c, err);

	if (rc < 0)
		return rc;
	head = &c->chain.seg[c->chain.n - 1];
	rc = c->state.fd >= 0 ? mq_state_durable(&c->state, MQ_STATE_MARKS, &head->id, &pos, &offset, NULL, err) : 0;

	if (rc == 0)
		*ret = pos > 0 ? offset : head->born_end_offset;
	return rc;
}
