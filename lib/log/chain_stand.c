/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Segments that stand for others.  Their names show it (mq_segment_id_mark), so where there is none a look at the names is all it
 * costs, once for each time that a chain is loaded.
 */
#include <errno.h>
#include <string.h>

#include "log/chain.h"

struct mq_chain_name {
	uint64_t base;
	uint8_t id4[4];
};

static int keep_marked(void *arg, const char *name)
{
	struct mq_chain *c = arg;
	struct mq_chain_name n = {0};

	if (!mq_segment_name_parse(name, "seg", &n.base, n.id4) || !mq_segment_id_marked(n.id4))
		return 0;
	return mq_buf_add(&c->stands, &n, sizeof n);
}

static int list(struct mq_chain *c, int dir, struct mq_err *err)
{
	int rc;

	mq_buf_clear(&c->stands);
	rc = mq_chain_each_file(dir, keep_marked, c, err);
	c->listed = rc == 0;
	return rc == -ENOMEM ? mq_err_set(err, rc, "no memory for a list of segments") : rc;
}

/* The next of those listed whose file is there, verifies and is of this partition: 1, 0 at the end.  for_id: only those that may
 * stand for it; NULL: all.  alone: what it stands for is not there, so one that cannot be opened (permission, descriptors) is no
 * damage, which readers would pass over, but an error. */
static int next_marked(const struct mq_chain *c, int dir, const struct mq_segment_header *sibling, const struct mq_segment_id *for_id,
                       bool alone, size_t *at, struct mq_segment *ret, struct mq_err *err)
{
	while (*at < c->stands.len) {
		struct mq_err why = MQ_ERR_INIT;
		struct mq_chain_name n;
		int rc;

		memcpy(&n, c->stands.p + *at, sizeof n);
		*at += sizeof n;
		if (for_id && !mq_segment_id_marked_for(n.id4, for_id))
			continue;
		rc = mq_segment_open(ret, dir, n.base, n.id4, false, &why);
		if (rc < 0 && alone && rc != -ENOENT && rc != MQ_EDAMAGE) {
			if (err)
				*err = why;
			return rc;
		}
		if (rc < 0)
			continue; /* removed, or damaged: what it stands for may still be there */
		if (ret->h.reason == MQ_SEGMENT_COMPACT && mq_chain_siblings(&ret->h, sibling))
			return 1;
		mq_segment_release(ret);
	}
	return 0;
}

static bool stands_before(const struct mq_segment_header *h, const struct mq_segment_header *next)
{
	return mq_segment_id_equal(&h->stands_id, &next->pred_id) && h->stands_end_pos == next->pred_end_pos &&
	       h->born_end_offset == next->pred_end_offset && h->base_offset <= next->base_offset;
}

static bool is_later(const struct mq_segment_header *a, const struct mq_segment_header *b)
{
	return a->round != b->round ? a->round > b->round : memcmp(a->id.b, b->id.b, sizeof a->id.b) > 0;
}

int mq_chain_stand_in(struct mq_chain *c, int dir, const struct mq_segment_header *next, bool again, struct mq_segment *ret,
                      struct mq_err *err)
{
	struct mq_segment s;
	size_t at = 0;
	int rc = c->listed && !again ? 0 : list(c, dir, err);

	if (rc < 0)
		return rc;
	mq_segment_init(ret);
	while ((rc = next_marked(c, dir, next, &next->pred_id, again, &at, &s, err)) == 1) {
		if (stands_before(&s.h, next) && (ret->fd < 0 || is_later(&s.h, &ret->h))) {
			mq_segment_release(ret);
			*ret = s;
		} else {
			mq_segment_release(&s);
		}
	}
	if (rc < 0)
		mq_segment_release(ret);
	return rc < 0 ? rc : ret->fd >= 0;
}

bool mq_chain_replaces(const struct mq_segment_header *s, const struct mq_segment_header *h)
{
	return mq_chain_siblings(s, h) && s->base_offset <= h->base_offset && h->base_offset < s->born_end_offset &&
	       !mq_segment_id_equal(&s->id, &h->id) && (h->reason != MQ_SEGMENT_COMPACT || is_later(s, h));
}

int mq_chain_is_replaced(struct mq_chain *c, int dir, const struct mq_segment_header *h, struct mq_err *err)
{
	struct mq_segment s;
	size_t at = 0;
	int rc = c->listed ? 0 : list(c, dir, err), found = 0;

	if (rc < 0)
		return rc;
	while (!found && (rc = next_marked(c, dir, h, NULL, true, &at, &s, err)) == 1) {
		found = mq_chain_replaces(&s.h, h);
		mq_segment_release(&s);
	}
	return rc < 0 ? rc : found;
}

bool mq_chain_joins(const struct mq_segment_header *pred, const struct mq_segment_header *next)
{
	return mq_segment_id_equal(&next->pred_id, &pred->id) ||
	       (pred->reason == MQ_SEGMENT_COMPACT && mq_segment_id_equal(&next->pred_id, &pred->stands_id) &&
	        next->pred_end_pos == pred->stands_end_pos);
}
