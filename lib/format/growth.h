/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose records a partition must wait for when the number of partitions grows, so that each key's stay in order.
 *
 * From N to M partitions a key goes on in q that was in p before.  Where M is a multiple of N, p is q mod N, since
 * (h mod kN) mod N = h mod N; else it may have been any.  What p holds of that key may itself have come from elsewhere, in an
 * earlier growth, and p may have nothing behind that: so those that p waited for then are waited for as well.
 * Of q itself is nothing to be said: a partition is read in order.
 */
#ifndef MQ_FORMAT_GROWTH_H
#define MQ_FORMAT_GROWTH_H

#include "format/conf_topic.h"

/* g: all generations of a topic, n of them.  Sets marks[p] for each p that partition q waits for where the last one begins;
 * marks has room for the partitions before it and is cleared first.  *ret_n: how many.  n ≥ 2, q below the last count. */
void mq_growth_sources(const struct mq_topic_generation *g, uint32_t n, uint32_t q, bool *marks, uint32_t *ret_n);

/* The next multiple of `before` that is not below `asked`: only q mod N is waited for then.  0: there is none up to
 * MQ_PARTITIONS_MAX. */
uint32_t mq_growth_multiple(uint32_t before, uint32_t asked);

#endif
