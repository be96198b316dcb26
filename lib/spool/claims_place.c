/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The group's place behind those who share, and before those who do not. */
#include <errno.h>
#include <string.h>

#include "spool/areas.h"
#include "spool/claims.h"
#include "spool/offsets.h"
#include "sys/sys.h"

static const int64_t JUST_US = 1000000;                     /* so long nobody of many does again what one did */
static const int64_t PAUSE_NS = 1000000, WAIT_NS = 200000000; /* for another, who may be stopped */

static bool was_just_moved(const struct mq_ownership *o)
{
	int64_t since_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000 - o->commit.time_us;

	return since_us >= 0 && since_us < JUST_US;
}

/* Of several that share one moves the place at a time: it begins as a new owner does, since another may have written it. */
static int move(struct mq_claims *c, bool last, struct mq_err *err)
{
	struct mq_ownership *o = c->o;
	const struct mq_commit before = o->commit;
	int rc = mq_offsets_follow(o->g, err);

	if (rc >= 0)
		rc = mq_ownership_begin(o, before.offset, err);
	if (rc == -ESTALE || (rc >= 0 && o->commit.seeks != before.seeks)) {
		o->commit = before;
		return mq_err_set(err, MQ_EAGAIN, "%s: the place in partition %u was set by hand meanwhile, or taken from its owners: run again", o->g->label,
		                  o->partition);
	}
	if (rc < 0 || (!last && was_just_moved(o)))
		return rc;
	if (c->r.base > o->commit.offset || c->lost > 0 || o->expired_more > 0) {
		rc = mq_ownership_commit(o, c->r.base > o->commit.offset ? c->r.base : o->commit.offset, c->lost, err);
		if (rc == 0)
			rc = mq_ownership_sync(o, err);
	}
	if (rc < 0)
		return rc;
	c->placed = o->commit.offset;
	c->lost = 0;
	return 0;
}

static int try_lock(struct mq_claims *c, bool last)
{
	int64_t end_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + WAIT_NS;
	int rc;

	while ((rc = mq_group_try_byte(c->o->g->locks, MQ_GROUP_PLACE_BYTE + c->o->partition)) == -EAGAIN && last)
		if (mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) >= end_ns || mq_sys->poll(NULL, 0, PAUSE_NS) < 0)
			break;
	return rc;
}

int mq_claims_place(struct mq_claims *c, bool last, struct mq_err *err)
{
	struct mq_group_topic *g = c->o->g;
	int rc;

	if (c->r.base <= c->placed && c->lost == 0 && c->o->expired_more == 0)
		return 0;
	rc = try_lock(c, last);
	if (rc == -EAGAIN)
		return 0; /* claimed.P tells as much */
	if (rc < 0)
		return mq_err_sys(err, rc, "%s: cannot lock the place of partition %u", g->label, c->o->partition);
	rc = move(c, last, err);
	(void)mq_sys->lock(g->locks, MQ_LOCK_NONE, MQ_GROUP_PLACE_BYTE + c->o->partition, 1, false);
	return rc;
}

int mq_claims_holds(struct mq_claims *c, struct mq_err *err)
{
	struct mq_ownership *o = c->o;
	struct mq_commit now;
	uint64_t seq;
	int which, rc = mq_offsets_follow(o->g, err);

	if (rc >= 0)
		rc = mq_ownership_named(o, err);
	if (rc >= 0)
		rc = mq_group_topic_peek(o->g, o->partition, &now, &which, &seq, err);
	if (rc < 0)
		return rc;
	if (which < 0 || now.seeks != o->commit.seeks || now.generation != o->commit.generation)
		return mq_err_set(err, MQ_EAGAIN, "%s: the place in partition %u was set by hand meanwhile, or taken from its owners: run again",
		                  o->g->label, o->partition);
	return 0;
}

int mq_claims_fold(struct mq_ownership *o, struct mq_err *err)
{
	struct mq_claims_numbers n;
	struct mq_spool *s = o->g->topic->spool;
	int rc = mq_claims_count(o->g, o->partition, &o->commit, -1, &n, err);

	if (rc == MQ_EDAMAGE) { /* the place itself is sound, if older */
		if (s->notice)
			s->notice(s->notice_arg, err->text);
		*err = (struct mq_err)MQ_ERR_INIT;
		return 0;
	}
	if (rc < 0 || n.base <= o->commit.offset)
		return rc;
	rc = mq_ownership_commit(o, n.base, 0, err);
	return rc < 0 ? rc : mq_ownership_sync(o, err);
}
