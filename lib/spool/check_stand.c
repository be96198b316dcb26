/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which files stand for others: by compaction, or because those are missing. */
#include <string.h>

#include "log/chain.h"
#include "spool/check_internal.h"

/* Does its header say that it is of this partition?  Else somebody copied it here: it is none of the log. */
bool mq_check_own(const struct mq_check_partition *part, const struct mq_check_file *f)
{
	return f->header == 0 && memcmp(f->h.topic_id, part->t->conf.id, 16) == 0 && f->h.partition == part->number;
}

int mq_check_rank(const struct mq_segment_header *a, const struct mq_segment_header *b)
{
	if (a->epoch.election != b->epoch.election)
		return a->epoch.election < b->epoch.election ? -1 : 1;
	if (a->epoch.incarnation != b->epoch.incarnation)
		return a->epoch.incarnation < b->epoch.incarnation ? -1 : 1;
	return a->base_offset < b->base_offset ? -1 : a->base_offset > b->base_offset;
}

static bool is_later(const struct mq_segment_header *a, const struct mq_segment_header *b)
{
	return a->round != b->round ? a->round > b->round : memcmp(a->id.b, b->id.b, sizeof a->id.b) > 0;
}

/* The one that stands for what f names; n: none does. */
size_t mq_check_compacted(const struct mq_check_partition *part, const struct mq_check_file *f)
{
	size_t best = part->n;

	for (size_t i = 0; i < part->n; i++) {
		const struct mq_check_file *p = &part->file[i];

		if (!p->reached && mq_check_own(part, p) && p->h.reason == MQ_SEGMENT_COMPACT && p->base <= f->base && mq_chain_joins(&p->h, &f->h) &&
		    !mq_segment_id_equal(&p->h.id, &f->h.pred_id) && p->h.born_end_offset == f->h.pred_end_offset &&
		    (best == part->n || is_later(&p->h, &part->file[best].h)))
			best = i;
	}
	return best;
}

/* Does one of the log stand for it?  Then it is no wonder that it is not in the log, and mq-retain removes it. */
bool mq_check_is_replaced(const struct mq_check_partition *part, const struct mq_check_file *f)
{
	for (size_t i = 0; i < part->n_chain; i++) {
		const struct mq_check_file *p = &part->file[part->chain[i]];

		if (p->h.reason == MQ_SEGMENT_COMPACT && p->base <= f->base && f->base < p->h.born_end_offset)
			return true;
	}
	return false;
}

static bool stands_up_to(const struct mq_check_file *p, const struct mq_check_file *f)
{
	return p->h.reason == MQ_SEGMENT_COMPACT && p->h.born_end_offset == f->base;
}

/* Of two that may be what came before f, as readers choose (chain_guess.c). */
static bool is_better(const struct mq_check_file *p, const struct mq_check_file *best, const struct mq_check_file *f)
{
	if (stands_up_to(p, f) && stands_up_to(best, f))
		return p->h.round > best->h.round;
	if (stands_up_to(p, f) || stands_up_to(best, f))
		return stands_up_to(p, f);
	if (p->h.reason == MQ_SEGMENT_COMPACT && mq_chain_replaces(&p->h, &best->h))
		return true;
	if (best->h.reason == MQ_SEGMENT_COMPACT && mq_chain_replaces(&best->h, &p->h))
		return false;
	return p->base > best->base || (p->base == best->base && mq_check_rank(&p->h, &best->h) > 0);
}

/* The nearest below f that nothing stands for, of two with the same base the later; one that stands for all up to f is better than any; n:
 * none. */
size_t mq_check_guess(const struct mq_check_partition *part, const struct mq_check_file *f)
{
	size_t best = part->n;

	for (size_t i = 0; i < part->n; i++) {
		const struct mq_check_file *p = &part->file[i];

		if (p->reached || p->base >= f->base || !(p->header != 0 ? p->known : mq_check_own(part, p)) ||
		    (p->h.reason == MQ_SEGMENT_COMPACT && p->h.born_end_offset > f->base))
			continue;
		if (best == part->n || is_better(p, &part->file[best], f))
			best = i;
	}
	return best;
}
