/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/assign.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "spool/assign_internal.h"

int mq_assign_share_out(struct mq_assign_case *c, int64_t strategy, const struct mq_assign_share *s)
{
	switch (strategy) {
	case MQ_ASSIGN_AVERAGE:
		mq_assign_average(c, s);
		return 0;
	case MQ_ASSIGN_CIRCLE:
		mq_assign_circle(c, s);
		return 0;
	case MQ_ASSIGN_HASH:
		return mq_assign_ring(c, s);
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

int mq_assign(const struct mq_assign_conf *conf, const char *topic, const struct mq_assign_member *members, size_t n_members,
              uint32_t partitions, const int32_t *owner_now, int32_t *ret_owner, struct mq_err *err)
{
	struct mq_assign_case c = {conf, topic, members, (uint32_t)n_members, partitions, owner_now, ret_owner};
	struct mq_assign_share s = {NULL, 0, NULL, 0};
	int rc = -ENOMEM;

	assert(n_members <= INT32_MAX);
	for (uint32_t m = 1; m < c.n_members; m++)
		assert(strcmp(members[m - 1].name, members[m].name) < 0);
	for (uint32_t p = 0; p < partitions; p++)
		ret_owner[p] = -1;
	if (!partitions || !n_members)
		return 0;

	s.partition = malloc(partitions * sizeof *s.partition);
	s.member = malloc(n_members * sizeof *s.member);
	if (s.partition && s.member)
		rc = assign(&c, &s);
	free(s.partition);
	free(s.member);
	if (rc < 0)
		return mq_err_set(err, rc, "%s: no memory to assign %" PRIu32 " partitions to %" PRIu32 " members", topic, partitions,
		                  c.n_members);
	return 0;
}
