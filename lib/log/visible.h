/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What readers may see: written ≥ visible ≥ durable (rule 5).
 *
 * A batch is visible once it is as safe as its publisher asked and everything before it is visible.  The
 * tail remembers where the first batch asked durable and not known so begins, and where the last one ends.
 * While someone waits, what lies behind that start is visible as far as the durable mark, which is never too far, and
 * no further: a mark rises beside the append lock, so a writer may publish a tail by an older one, and what was visible
 * under the tail before, by any mark, must be so under this one.  That what came without asking, while others waited, is
 * seen when they have been served, is up to who led their sync, or who appends next: they publish a tail that waits for
 * nothing.
 */
#ifndef MQ_LOG_VISIBLE_H
#define MQ_LOG_VISIBLE_H

#include <stddef.h>

#include "format/state.h"

/* durable_pos, durable_offset: of the tail's segment; 0 where no mark is of it (its born end is at most
 * strict_start, so nothing is lost by that).  strict_start = strict_end: nobody waits for a sync. */
static inline void mq_visible_end(const struct mq_tail *t, uint64_t durable_pos, uint64_t durable_offset, uint64_t *ret_pos,
                                  uint64_t *ret_offset)
{
	uint64_t pos, offset;

	if (durable_pos >= t->pos || t->strict_start >= t->strict_end) {
		pos = t->pos;
		offset = t->next_offset;
	} else if (durable_pos <= t->strict_start) {
		pos = t->strict_start;
		offset = t->strict_offset;
	} else {
		pos = durable_pos;
		offset = durable_offset;
	}
	*ret_pos = pos;
	if (ret_offset)
		*ret_offset = offset;
}

#endif
