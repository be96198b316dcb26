/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/growth.h"

#include <string.h>

/* What q waits for where generation i began, and what those waited for before. */
static void mark(const struct mq_topic_generation *g, uint32_t i, uint32_t q, bool *marks)
{
	for (uint32_t p = q; i > 0 && !g[i].no_barrier; i--) {
		uint32_t before = g[i - 1].partitions;

		if (g[i].partitions % before != 0) {
			memset(marks, true, before); /* the most there can be */
			return;
		}
		p %= before;
		if (p == q)
			return; /* it stays where it is: what that waits for lies in its own log */
		marks[p] = true;
	}
}

void mq_growth_sources(const struct mq_topic_generation *g, uint32_t n, uint32_t q, bool *marks, uint32_t *ret_n)
{
	uint32_t before = g[n - 2].partitions;

	memset(marks, false, before);
	mark(g, n - 1, q, marks);
	if (q < before)
		marks[q] = false;
	*ret_n = 0;
	for (uint32_t p = 0; p < before; p++)
		*ret_n += marks[p];
}

uint32_t mq_growth_multiple(uint32_t before, uint32_t asked)
{
	uint64_t next = ((uint64_t)asked + before - 1) / before * before;

	return next <= MQ_PARTITIONS_MAX ? (uint32_t)next : 0;
}
