/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who has what follows from its place alone. */
#include "spool/assign_internal.h"

void mq_assign_average(struct mq_assign_case *c, const struct mq_assign_share *s)
{
	uint32_t each = s->n_partitions / s->n_members, more = s->n_partitions % s->n_members, at = 0;

	for (uint32_t i = 0; i < s->n_members; i++)
		for (uint32_t end = at + each + (i < more); at < end; at++)
			c->owner[s->partition[at]] = (int32_t)s->member[i];
}

void mq_assign_circle(struct mq_assign_case *c, const struct mq_assign_share *s)
{
	for (uint32_t i = 0; i < s->n_partitions; i++)
		c->owner[s->partition[i]] = (int32_t)s->member[i % s->n_members];
}
