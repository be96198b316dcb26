/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Each member is to have n/m partitions, n%m of the members one more.
 *
 * Fewest moves: a member keeps as many as it is to have, so one more must go to those who have one more already (KIP-54 asks for
 * the same; with topics that all members read, this is all there is to it).
 *
 * The same answer at each step while owners follow it: (a) who has too many keeps its lowest, and so always these; (b) who has more than
 * n/m is chosen for one more by name, not by how much more: he stays above n/m until the end, and who was not chosen falls to n/m and
 * not below; those chosen beside them are the first by name, whether or not they have their one more by now; (c) what is free
 * goes first, lowest first, to whom `circle` names, as long as he lacks some, and what is left in rising order to those who lack,
 * in the order of their names: take one (partition, member) of this away, and the rest stays as it is.  To give what is free always to
 * whoever has the least would be balanced too, and not have (c).
 */
#include <errno.h>
#include <stdlib.h>

#include "spool/assign_internal.h"

/* left[m]: how many m may still be given.  One more, first to those who have more now. */
static void set_targets(const struct mq_assign_share *s, const uint32_t *have, uint32_t *left)
{
	uint32_t each = s->n_partitions / s->n_members, more = s->n_partitions % s->n_members;

	for (uint32_t i = 0; i < s->n_members; i++) {
		uint32_t m = s->member[i];
		left[m] = each;
		if (have[m] > each && more) {
			left[m]++;
			more--;
		}
	}
	for (uint32_t i = 0; i < s->n_members && more; i++)
		if (have[s->member[i]] <= each) {
			left[s->member[i]]++;
			more--;
		}
}

static void give(struct mq_assign_case *c, uint32_t p, uint32_t m, uint32_t *left)
{
	c->owner[p] = (int32_t)m;
	left[m]--;
}

/* left[] of who has no part in this share is 0: what he owns is free. */
static void keep(struct mq_assign_case *c, const struct mq_assign_share *s, uint32_t *left)
{
	for (uint32_t i = 0; i < s->n_partitions; i++) {
		int32_t m = mq_assign_now(c, s->partition[i]);
		if (m >= 0 && left[m])
			give(c, s->partition[i], (uint32_t)m, left);
	}
}

static void hand_out(struct mq_assign_case *c, const struct mq_assign_share *s, uint32_t *left)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < s->n_partitions; i++) {
		uint32_t m = s->member[i % s->n_members];
		if (c->owner[s->partition[i]] < 0 && left[m])
			give(c, s->partition[i], m, left);
	}
	for (uint32_t i = 0; i < s->n_partitions; i++) {
		if (c->owner[s->partition[i]] >= 0)
			continue;
		while (!left[s->member[next]])
			next++;
		give(c, s->partition[i], s->member[next], left);
	}
}

int mq_assign_sticky(struct mq_assign_case *c, const struct mq_assign_share *s)
{
	uint32_t *have = calloc(c->n_members, 2 * sizeof *have), *left;

	if (!have)
		return -ENOMEM;
	left = have + c->n_members;
	for (uint32_t i = 0; i < s->n_partitions; i++) {
		int32_t m = mq_assign_now(c, s->partition[i]);
		if (m >= 0)
			have[m]++;
	}
	set_targets(s, have, left);
	keep(c, s, left);
	hand_out(c, s, left);
	free(have);
	return 0;
}
