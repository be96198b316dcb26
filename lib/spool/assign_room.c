/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "spool/assign_internal.h"

static void members_of(const struct mq_assign_case *c, const char *room, struct mq_assign_share *s)
{
	s->n_members = 0;
	for (uint32_t m = 0; m < c->n_members; m++)
		if (!room || strcmp(c->members[m].room, room) == 0)
			s->member[s->n_members++] = m;
}

static void partitions_of(const struct mq_assign_case *c, const struct mq_assign_set *set, struct mq_assign_share *s)
{
	uint32_t first = 0;

	s->n_partitions = 0;
	for (uint32_t t = 0; t < c->n_topics; first += c->topics[t++].partitions)
		for (uint32_t p = 0; p < c->topics[t].partitions; p++)
			if (mq_assign_set_has(set, p))
				s->partition[s->n_partitions++] = first + p;
}

static int share_rest(struct mq_assign_case *c, struct mq_assign_share *s)
{
	members_of(c, NULL, s);
	s->n_partitions = 0;
	for (uint32_t p = 0; p < c->partitions; p++)
		if (c->owner[p] < 0)
			s->partition[s->n_partitions++] = p;
	return mq_assign_share_out(c, c->conf->within, s);
}

int mq_assign_rooms(struct mq_assign_case *c, struct mq_assign_share *s, bool rest)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < c->conf->rooms.n; i++) {
		const struct mq_assign_rule *room = &c->conf->rooms.v[i];
		members_of(c, room->name, s);
		partitions_of(c, &room->set, s);
		if (s->n_members)
			rc = mq_assign_share_out(c, c->conf->within, s);
	}
	return rc == 0 && rest ? share_rest(c, s) : rc;
}
