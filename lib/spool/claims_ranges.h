/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a sharing group has done of a partition, and who works at what: computed from the slots of claimed.P, in their order,
 * by every member alike.  Knows neither files nor locks.
 *
 * Below `base` all is done.  From there to the top, the lowest offset that nobody ever took, ranges lie one behind the other
 * without gaps; the first of them is not done.  Above the top all is free.
 */
#ifndef MQ_SPOOL_CLAIMS_RANGES_H
#define MQ_SPOOL_CLAIMS_RANGES_H

#include <stddef.h>

#include "format/claim.h"

/* So many ranges and records at work together: what comes of them fits into half a file, however it is split.  Above this
 * only the lowest record is given out. */
enum { MQ_CLAIMS_MAX = 2048 };

enum mq_claims_state { MQ_CLAIMS_FREE, MQ_CLAIMS_TAKEN, MQ_CLAIMS_DONE };

struct mq_claims_range {
	uint64_t from, to;
	uint64_t member;           /* of a taken one */
	uint16_t attempt;
	enum mq_claims_state state;
};

struct mq_claims_ranges {
	uint64_t base;
	struct mq_claims_range *v; /* owned */
	size_t n, cap;
	uint64_t taken;            /* offsets */
};

void mq_claims_ranges_init(struct mq_claims_ranges *r, uint64_t base);
void mq_claims_ranges_release(struct mq_claims_ranges *r);

uint64_t mq_claims_top(const struct mq_claims_ranges *r);
/* One slot more.  -ENOMEM: nothing was changed. */
int mq_claims_apply(struct mq_claims_ranges *r, const struct mq_claim *c);
/* Nobody has anything any more; what is done stays so, and how often what is not had failed. */
void mq_claims_let_all_go(struct mq_claims_ranges *r);
/* All below is done, whatever was said of it. */
int mq_claims_raise(struct mq_claims_ranges *r, uint64_t base);

/* The lowest offsets that may be taken: [*ret_from, *ret_to), UINT64_MAX: no end; 0: none, as long as so much is at work. */
bool mq_claims_lowest(const struct mq_claims_ranges *r, uint64_t *ret_from, uint64_t *ret_to, uint16_t *ret_attempt);
/* The range that holds this offset; NULL: below the base, or not below the top. */
const struct mq_claims_range *mq_claims_at(const struct mq_claims_ranges *r, uint64_t offset);
bool mq_claims_full(const struct mq_claims_ranges *r);
/* Offsets that this member has. */
uint64_t mq_claims_of(const struct mq_claims_ranges *r, uint64_t member);
/* Offsets done above the base. */
uint64_t mq_claims_done_above(const struct mq_claims_ranges *r);

#endif
