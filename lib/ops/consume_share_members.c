/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A member that shares partitions, and the others: who has them alone, who is gone and leaves what he had. */
#include <inttypes.h>
#include <stdio.h>

#include "ops/consume_move.h"
#include "sys/sys.h"

/* That a member's file was closed is heard before its lock has gone: it seems to live, and nothing is heard any more. */
enum { LOOKS_MAX = 4 };
static const int64_t LOOK_AGAIN_NS[LOOKS_MAX] = {2000000, 20000000, 200000000, 2000000000};
static const int64_t LISTEN_NS = 100000000;
static const int64_t PROBE_NS = 1000000, PROBE_MAX_NS = 1000000000; /* for handlers that outlive a killed member */

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* --- joining -------------------------------------------------------------------------------- */

int mq_share_begin(struct mq_consume *c)
{
	if (!c->engine->share_take)
		return mq_err_set(c->err, MQ_EUSAGE, "--share: what is kept by '%s:' cannot be shared", c->engine->scheme);
	c->count_at_ns = 0;
	c->share.again_ns = -1;
	return 0;
}

int mq_share_take(struct mq_consume *c, struct mq_feed *f, const uint64_t *start)
{
	unsigned damaged = 0;
	int rc = c->engine->share_take(c->member, f->topic, f->partition, start, &f->owner, &damaged, c->err);
	if (rc <= 0)
		return rc;
	if (damaged && !c->report.damage)
		snprintf(c->damage, sizeof c->damage, "%s:%" PRIu32 ": what group %s has done of it (claimed.%" PRIu32 ")", f->topic, f->partition,
		         c->req->group, f->partition);
	c->report.damage += damaged;
	f->shared = (struct mq_shared){.on = true, .end = f->end, .stale = true};
	c->share.look = true;
	return 1;
}

bool mq_share_otherwise(struct mq_consume *c, const struct mq_feed *f, bool tell)
{
	struct mq_share_facts facts;
	if (!c->engine->group_share)
		return false;
	int rc = c->engine->group_share(c->store, c->req->group, f->topic, f->partition, &facts, c->err);
	if (rc < 0)
		*c->err = (struct mq_err){0}; /* it was for the notice alone */
	if (rc < 0 || facts.now == c->req->share)
		return false;
	if (tell && !c->told_held && c->req->share)
		mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": a member of group %s has it alone (without --share): waiting until it leaves", f->topic,
		              f->partition, c->req->group);
	else if (tell && !c->told_held)
		mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": members of group %s share it (--share): waiting until they leave", f->topic, f->partition,
		              c->req->group);
	c->told_held |= tell;
	return true;
}

/* --- the others ----------------------------------------------------------------------------- */

/* Under the lock of the mover: who is gone may have left an intent, and what that moves is done, not to be handled again. */
static int look_and_finish(struct mq_consume *c, struct mq_feed *f)
{
	int rc = mq_move_finish(c, f);
	if (rc == 0)
		rc = c->engine->share_look(f->owner, &f->shared.handled, c->err);
	f->shared.looked |= rc == 0;
	return rc;
}

static int look_at(struct mq_consume *c, struct mq_feed *f)
{
	f->shared.handled = 0;
	f->shared.busy = false;
	int rc = f->shared.looked ? c->engine->share_has_dead(f->owner, c->err) : 1;
	if (rc <= 0)
		return rc;
	rc = c->engine->share_mover(f->owner, true, c->err);
	f->shared.busy = rc == 0;
	if (rc <= 0)
		return rc;
	rc = look_and_finish(c, f);
	int left = c->engine->share_mover(f->owner, false, c->err);
	return rc < 0 ? rc : left;
}

/* Members that died leave what they had, when their handlers are gone, too. */
static int look(struct mq_consume *c)
{
	uint64_t handled = 0;
	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = c->feeds[i];
		int rc = f->owner ? look_at(c, f) : 0;
		if (rc < 0)
			return rc;
		handled += f->shared.handled + f->shared.busy;
	}
	c->share.look = false;
	if (!handled) {
		c->share.again_ns = c->share.looks < LOOKS_MAX ? now_ns() + LOOK_AGAIN_NS[c->share.looks++] : -1;
		return 0;
	}
	c->share.pause_ns = c->share.pause_ns ? 2 * c->share.pause_ns : PROBE_NS;
	if (c->share.pause_ns > PROBE_MAX_NS)
		c->share.pause_ns = PROBE_MAX_NS;
	c->share.again_ns = now_ns() + c->share.pause_ns;
	return 0;
}

void mq_share_rung(struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n; i++)
		c->feeds[i]->shared.stale = true;
}

void mq_share_stir(struct mq_consume *c)
{
	c->share.look = true;
	c->share.looks = 0;
	c->share.pause_ns = 0;
	mq_share_rung(c);
}

int mq_share_watch(struct mq_consume *c)
{
	bool again = c->share.again_ns >= 0 && now_ns() >= c->share.again_ns;
	return c->share.look || again ? look(c) : 0;
}

/* Who has its hands full hears of a place now and then only: each claim tells it whether what it has is its own still. */
bool mq_share_listens(struct mq_consume *c)
{
	int64_t now = now_ns();
	if (!c->armed_reading && now - c->share.listened_ns < LISTEN_NS)
		return false;
	c->share.listened_ns = now;
	return true;
}
