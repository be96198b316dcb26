/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A member of a group: it joins, commits places, gives back what it has. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops/consume_move.h"
#include "ops/consume_once.h"
#include "ops/consume_to.h"
#include "ops/transfer.h"
#include "sys/sys.h"

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

int mq_group_join(struct mq_consume *c)
{
	c->take_again_ns = 0;
	c->synced_ns = now_ns();
	/* The kernel closes what a killed process had open from the highest descriptor down, and takes long to close an inotify
	 * instance: so the locks and the member's file have to come after it. */
	if (c->handlers || c->req->follow)
		mq_wait_first();
	int rc = mq_plan_join(c);
	if (rc == 0 && c->req->share) /* who shares has no part of its own */
		rc = mq_share_begin(c);
	return rc;
}

int mq_group_look(struct mq_consume *c)
{
	const char *topic = "";
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc >= 0 && c->look_again; i++) {
		const struct mq_feed *f = c->feeds[i];
		if (f->owner)
			rc = c->engine->owner_look(f->owner, strcmp(topic, f->topic) != 0, c->err);
		topic = f->owner ? f->topic : topic;
	}
	c->look_again = false;
	return rc < 0 ? rc : 0;
}

int mq_group_owns(struct mq_consume *c, const struct mq_feed *f)
{
	return f->owner && !f->shared.on ? c->engine->owner_look(f->owner, false, c->err) : 0; /* of one that is shared share_holds tells */
}

/* --- committing ----------------------------------------------------------------------------- */

int mq_group_commit_feed(struct mq_consume *c, struct mq_feed *f)
{
	if (f->done == f->committed || !f->owner || f->shared.on)
		return 0;
	bool passed = f->done >= f->lost_to; /* what was lost further on is told when the place is behind it */
	uint64_t lost = passed ? f->lost : 0;
	mq_feed_count_expired(c, f, f->done);
	int rc = f->move ? mq_move_commit(c, f, f->done, lost) : c->engine->owner_commit(f->owner, f->done, lost, c->err);
	if (rc < 0)
		return rc;
	f->committed = f->done;
	f->lost = passed ? 0 : f->lost;
	f->unsynced = c->unsynced = true;
	return mq_barrier_committed(c, f);
}

int mq_group_pass(struct mq_consume *c, struct mq_feed *f)
{
	if (!f->owner || f->shared.on || f->next <= f->given)
		return 0;
	if (c->handlers)
		return mq_handlers_pass(c, f);
	if (c->to)
		return mq_to_pass(c, f);
	return c->req->form == MQ_OUT_POSITIONS ? 0 : mq_group_given(c, f); /* by hand each is passed as it is met */
}

int mq_group_commit_now(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t done = f->done;
	f->done = f->next;
	int rc = mq_group_commit_feed(c, f);
	if (rc < 0)
		f->done = done; /* a later commit must not carry the place past what is not given out now */
	if (rc == 0 && f->unsynced)
		rc = c->engine->owner_sync(f->owner, c->err);
	f->unsynced = f->unsynced && rc < 0;
	return rc;
}

int mq_group_sync(struct mq_consume *c, bool now)
{
	int rc = 0;
	if (!c->unsynced || (!now && now_ns() - c->synced_ns < MQ_COMMIT_INTERVAL_NS))
		return 0;
	for (size_t i = 0; i < c->feeds_n && rc == 0; i++)
		if (c->feeds[i]->owner && c->feeds[i]->unsynced) {
			rc = c->engine->owner_sync(c->feeds[i]->owner, c->err);
			c->feeds[i]->unsynced = false;
		}
	c->unsynced = false;
	c->synced_ns = now_ns();
	return rc;
}

int mq_group_release(struct mq_consume *c)
{
	int rc = c->req->share && c->member ? mq_share_leave(c) : 0;
	int synced = mq_group_sync(c, true);
	rc = rc < 0 ? rc : synced;
	for (size_t i = 0; i < c->feeds_n; i++) {
		mq_move_close(c, c->feeds[i]);
		if (c->feeds[i]->owner)
			c->engine->owner_release(c->feeds[i]->owner);
		c->feeds[i]->owner = NULL;
	}
	if (c->member)
		c->engine->member_leave(c->member);
	c->member = NULL;
	return rc;
}
