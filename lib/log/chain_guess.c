/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What came before a segment whose header does not verify, or whose predecessor is missing. */
#include <string.h>

#include "log/chain_internal.h"

struct pred_search {
	int dir;
	const struct mq_segment_header *next;
	struct mq_segment_header best;
	uint64_t size;
	bool found;
};

/* One that stands for all up to there is as good as any can be, and no good where it goes beyond.  What it stands for is dead. */
static bool is_better_pred(const struct pred_search *q, const struct mq_segment_header *h)
{
	bool whole = h->reason == MQ_SEGMENT_COMPACT && h->born_end_offset == q->next->base_offset;
	bool best_whole = q->found && q->best.reason == MQ_SEGMENT_COMPACT && q->best.born_end_offset == q->next->base_offset;

	if (h->reason == MQ_SEGMENT_COMPACT && h->born_end_offset > q->next->base_offset)
		return false;
	if (whole && best_whole)
		return h->round > q->best.round;
	if (whole || best_whole)
		return whole;
	if (q->found && h->reason == MQ_SEGMENT_COMPACT && mq_chain_replaces(h, &q->best))
		return true;
	if (q->found && q->best.reason == MQ_SEGMENT_COMPACT && mq_chain_replaces(&q->best, h))
		return false;
	return !q->found || h->base_offset > q->best.base_offset ||
	       (h->base_offset == q->best.base_offset && mq_chain_epoch_cmp(&h->epoch, &q->best.epoch) > 0);
}

static int consider_pred(void *arg, const char *name)
{
	struct pred_search *q = arg;
	struct mq_segment s;
	uint64_t base;
	uint8_t id4[4];

	if (!mq_segment_name_parse(name, "seg", &base, id4) || base >= q->next->base_offset ||
	    (q->found && base < q->best.base_offset && !mq_segment_id_marked(id4)) || mq_segment_open(&s, q->dir, base, id4, false, NULL) < 0)
		return 0;
	if (mq_chain_siblings(&s.h, q->next) && is_better_pred(q, &s.h) && mq_segment_size(&s, &q->size, NULL) == 0) {
		q->best = s.h;
		q->found = true;
	}
	mq_segment_release(&s);
	return 0;
}

int mq_chain_guess(int dir, struct mq_segment_header *h, struct mq_err *err)
{
	struct pred_search q = {.dir = dir, .next = h};
	int rc = mq_chain_each_file(dir, consider_pred, &q, err);

	if (rc < 0 || !q.found)
		return rc;
	h->pred_id = q.best.id;
	h->pred_base = q.best.base_offset;
	h->pred_end_pos = q.size; /* at most; the end offset says where */
	h->pred_end_offset = h->base_offset;
	return 1;
}
