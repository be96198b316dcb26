/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/assign.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "spool/assign_internal.h"

/* The strategies that go topic by topic. */
static int each_topic(struct mq_assign_case *c, int64_t strategy, const struct mq_assign_share *s)
{
	uint32_t at = 0, first = 0;
	int rc = 0;

	for (uint32_t t = 0; t < c->n_topics && rc == 0; first += c->topics[t++].partitions) {
		struct mq_assign_share of = {s->partition + at, 0, s->member, s->n_members};
		while (at < s->n_partitions && s->partition[at] < first + c->topics[t].partitions)
			at++, of.n_partitions++;
		if (strategy == MQ_ASSIGN_HASH)
			rc = mq_assign_ring(c, &of, c->topics[t].name, first);
		else
			mq_assign_average(c, &of);
	}
	return rc;
}

int mq_assign_share_out(struct mq_assign_case *c, int64_t strategy, const struct mq_assign_share *s)
{
	switch (strategy) {
	case MQ_ASSIGN_AVERAGE:
	case MQ_ASSIGN_HASH:
		return each_topic(c, strategy, s);
	case MQ_ASSIGN_CIRCLE:
		mq_assign_circle(c, s);
		return 0;
	default:
		return mq_assign_sticky(c, s);
	}
}

static void everything(const struct mq_assign_case *c, struct mq_assign_share *s)
{
	for (uint32_t p = 0; p < c->partitions; p++)
		s->partition[s->n_partitions++] = p;
	for (uint32_t m = 0; m < c->n_members; m++)
		s->member[s->n_members++] = m;
}

static int assign(struct mq_assign_case *c, struct mq_assign_share *s)
{
	switch (c->conf->strategy) {
	case MQ_ASSIGN_ROOM:
	case MQ_ASSIGN_NEARBY:
		return mq_assign_rooms(c, s, c->conf->strategy == MQ_ASSIGN_NEARBY);
	case MQ_ASSIGN_CONFIG:
		mq_assign_patterns(c);
		return 0;
	default:
		everything(c, s);
		return mq_assign_share_out(c, c->conf->strategy, s);
	}
}

int mq_assign(const struct mq_assign_conf *conf, const struct mq_assign_topic *topics, size_t n_topics,
              const struct mq_assign_member *members, size_t n_members, const int32_t *owner_now, int32_t *ret_owner,
              struct mq_err *err)
{
	struct mq_assign_case c = {conf, topics, members, (uint32_t)n_topics, (uint32_t)n_members, 0, owner_now, ret_owner};
	struct mq_assign_share s = {NULL, 0, NULL, 0};
	int rc = -ENOMEM;

	assert(n_members <= INT32_MAX && n_topics <= INT32_MAX / MQ_PARTITIONS_MAX);
	for (uint32_t t = 0; t < c.n_topics; t++) {
		assert(t == 0 || strcmp(topics[t - 1].name, topics[t].name) < 0);
		c.partitions += topics[t].partitions;
	}
	for (uint32_t m = 1; m < c.n_members; m++)
		assert(strcmp(members[m - 1].name, members[m].name) < 0);
	for (uint32_t p = 0; p < c.partitions; p++)
		ret_owner[p] = -1;
	if (!c.partitions || !n_members)
		return 0;

	s.partition = malloc(c.partitions * sizeof *s.partition);
	s.member = malloc(n_members * sizeof *s.member);
	if (s.partition && s.member)
		rc = assign(&c, &s);
	free(s.partition);
	free(s.member);
	if (rc < 0)
		return mq_err_set(err, rc, "no memory to assign %" PRIu32 " partitions to %" PRIu32 " members", c.partitions,
		                  c.n_members);
	return 0;
}
