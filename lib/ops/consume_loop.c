/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read, hand out, commit; and when there is nothing to do, sleep until there is (consume_sleep.c). */
#include <errno.h>
#include <string.h>

#include "ops/consume_copy.h"
#include "ops/consume_move.h"
#include "ops/consume_to.h"
#include "sys/sys.h"

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* One partition after the other, or all of them at once? */
static bool in_turn(const struct mq_consume *c)
{
	return !c->req->group && !c->req->follow && c->req->speed <= 0;
}

/* --- reading -------------------------------------------------------------------------------- */

static int open_feed(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t at = f->next;
	int rc = c->copies ? mq_copy_open(c, f, &at) : f->paused ? 0 : mq_consume_start(c, f, NULL, &at);
	f->paused = false;
	return rc < 0 ? rc : mq_feed_open(c, f, at);
}

/* One view of one partition.  1: something was read. */
static int pump(struct mq_consume *c, struct mq_feed *f)
{
	if (f->shared.on)
		return mq_share_pump(c, f);
	if (c->req->discard)
		return mq_drain_discard(c, f);
	int rc = mq_feed_look(c, f);
	/* The end was seen at the start; where less is to be had than that, there is nothing to wait for. */
	if (rc == 0 && !c->req->follow && !f->barred && !mq_feed_ended(f))
		f->end = f->next;
	if (rc == 0)
		rc = mq_group_pass(c, f);
	if (rc <= 0)
		return rc;
	c->active_ns = 0;
	if (c->handlers)
		return mq_handlers_feed(c, f);
	if (c->copies)
		return mq_copy_view(c, f);
	rc = mq_group_owns(c, f);
	return rc < 0 ? rc : c->to ? mq_to_view(c, f) : mq_write_view(c, f);
}

/* What was published after a growth comes when all from before it has come, of every partition: then keys keep their order. */
static int is_later(struct mq_consume *c, struct mq_feed *f)
{
	int rc = mq_feed_look(c, f);
	uint32_t generation = rc > 0 ? f->view.batch.topic_generation : 0;
	if (rc <= 0 || generation <= c->round)
		return rc < 0 ? rc : 0;
	if (!c->next_round || generation < c->next_round)
		c->next_round = generation;
	rc = mq_copy_close(c, f);
	mq_feed_close(c, f);
	f->paused = true;
	return rc < 0 ? rc : 1;
}

/* The partition whose turn it is; the next one when it has ended. */
static int pump_one_of(struct mq_consume *c)
{
	while (c->turn < c->feeds_n) {
		struct mq_feed *f = c->feeds[c->turn];
		int rc = f->source || f->left ? 0 : open_feed(c, f);
		int later = rc == 0 && !f->left ? is_later(c, f) : rc;
		if (later == 0 && !f->left)
			rc = pump(c, f);
		if (later < 0 || rc < 0 || (later == 0 && (rc > 0 || !mq_feed_ended(f))))
			return later < 0 ? later : rc;
		if (!later) {
			rc = mq_copy_close(c, f);
			if (rc < 0)
				return rc;
			mq_feed_close(c, f);
			f->left = true;
		}
		c->turn++;
	}
	return 0;
}

static int pump_in_turn(struct mq_consume *c)
{
	int rc = pump_one_of(c);
	while (rc == 0 && c->turn == c->feeds_n && c->next_round) {
		c->round = c->next_round;
		c->next_round = 0;
		c->turn = 0;
		rc = pump_one_of(c);
	}
	return rc;
}

/* A view of each, fairly: the first is another one each time. */
static int pump_all(struct mq_consume *c)
{
	bool some = false;
	size_t first = c->feeds_n ? c->turn++ % c->feeds_n : 0;
	for (size_t i = 0; i < c->feeds_n && c->left_count; i++) {
		struct mq_feed *f = c->feeds[(first + i) % c->feeds_n];
		int rc = f->source && !f->leaving && !mq_feed_ended(f) ? pump(c, f) : 0;
		if (rc < 0)
			return rc;
		some |= rc > 0;
	}
	return some;
}

/* --- steps ---------------------------------------------------------------------------------- */

static bool all_ended(const struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n; i++) {
		const struct mq_feed *f = c->feeds[i];
		if (!f->left && (!f->source || !mq_feed_ended(f)))
			return false;
	}
	return true;
}

/* Nothing came for so long, and what was looked at last was looked at after that: a process that stood still (it was stopped, its
 * disk was slow) looks once more before it ends. */
static bool idle_too_long(struct mq_consume *c, int64_t looked_ns)
{
	if (!c->req->until_idle_ns)
		return false;
	if (!c->active_ns || c->pace_until_ns || (c->handlers && !mq_handlers_idle(c)))
		c->active_ns = now_ns();
	return looked_ns - c->active_ns >= c->req->until_idle_ns;
}

static void look_for_end(struct mq_consume *c)
{
	if (c->ended)
		return;
	c->ended = mq_stopping(c->mq) || !c->left_count || c->sink.gone || all_ended(c) ||
	           (c->handlers && mq_handlers_enough(c));
	if (c->ended && c->handlers)
		mq_handlers_stop(c);
}

/* All there is to do at once.  1: something was done. */
static int step(struct mq_consume *c)
{
	int rc = 0, some = 0;

	rc = mq_group_look(c);
	if (rc == 0 && c->plan_asked && !c->ended && c->engine->member_look)
		rc = c->engine->member_look(c->member, c->err); /* who was evicted takes nothing more */
	if (rc == 0 && c->member && (c->take_again_ns >= 0 || c->plan_found) && !c->ended)
		rc = mq_group_take(c);
	some = c->takes_news = rc > 0;
	if (rc >= 0 && c->member && !c->req->share && !c->ended) {
		rc = mq_plan_step(c);
		c->takes_news |= rc > 0;
		some |= rc > 0;
	}
	if (rc >= 0 && !c->ended && !c->pace_until_ns && (!c->handlers || mq_handlers_room(c)))
		rc = in_turn(c) ? pump_in_turn(c) : pump_all(c);
	some |= rc > 0;
	if (rc >= 0 && !c->ended)
		rc = mq_grow_step(c);
	c->takes_news |= rc > 0;
	some |= rc > 0;
	if (rc >= 0 && c->handlers)
		rc = mq_handlers_work(c);
	some |= rc > 0;
	if (rc >= 0 && c->member && c->req->form == MQ_OUT_POSITIONS && !c->handlers)
		rc = some ? 0 : mq_manual_merge(c);
	else if (rc >= 0 && c->member && !c->handlers)
		rc = mq_given_commit(c, !some);
	/* With the next claim, or before it sleeps. */
	if (rc >= 0 && c->req->share && (!some || c->ended))
		rc = mq_share_write(c);
	if (rc >= 0 && c->req->share)
		rc = mq_barrier_shared(c);
	if (rc >= 0 && c->member && !some)
		rc = mq_barrier_drain(c);
	if (rc >= 0)
		rc = mq_move_step(c, !some);
	if (rc >= 0)
		rc = mq_copy_step(c, !some);
	if (rc >= 0 && c->member)
		rc = mq_group_sync(c, false);
	if (rc >= 0)
		rc = mq_drain_tell(c, false);
	/* What handlers have in their hands is finished, whatever failed. */
	if (rc < 0 && c->handlers) {
		mq_handlers_abort(c);
		rc = 0;
	}
	some |= c->stirred;
	c->stirred = false;
	look_for_end(c);
	return rc < 0 ? rc : some;
}

/* --- turns ---------------------------------------------------------------------------------- */

/*
 * Rule 2, at the price of a message: who woke up stays announced, hands out what came, looks again, and sleeps on.
 * Only when more and more comes does it take its name off, for then writers ring in vain.
 */
static int turn(struct mq_consume *c)
{
	enum { BUSY = 4 };
	int64_t looked_ns = c->req->until_idle_ns ? now_ns() : 0;
	int rc = step(c);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		c->busy++;
		if (c->handlers || c->busy > BUSY || c->takes_news)
			mq_sleep_disarm(c);
		c->takes_news = false;
		rc = mq_waits_step(c);
		return rc < 0 ? rc : mq_sleep_hear(c);
	}
	c->busy = 0;
	if (c->armed && c->armed_reading != mq_sleep_reads(c))
		mq_sleep_disarm(c);
	if (!c->armed)
		return mq_sleep_arm(c);
	if (mq_stopping(c->mq))
		return 0;
	rc = mq_waits_step(c);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	if (!c->ended && idle_too_long(c, looked_ns)) {
		c->ended = true;
		if (c->handlers)
			mq_handlers_stop(c);
		return 0;
	}
	rc = mq_sleep(c);
	if (c->handlers) /* whom to wait for changes with each of them */
		mq_sleep_disarm(c);
	return rc;
}

int mq_consume_run(struct mq_consume *c)
{
	int rc = 0;
	c->heard_ns = now_ns();
	while (rc == 0 && !(c->ended && (!c->handlers || mq_handlers_idle(c))))
		rc = turn(c);
	mq_sleep_disarm(c);
	mq_waits_deaf(c);
	if (c->listens)
		mq_wait_release(&c->wait);
	return rc;
}
