/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read, hand out, commit; and when there is nothing to do, sleep until there is. */
#include <errno.h>
#include <string.h>

#include "ops/consume.h"
#include "sys/sys.h"

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* One partition after the other, or all of them at once? */
static bool in_turn(const struct mq_consume *c)
{
	return !c->req->group && !c->req->follow;
}

/* --- reading -------------------------------------------------------------------------------- */

static int open_feed(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t at;
	int rc = mq_consume_start(c, f, NULL, &at);
	return rc < 0 ? rc : mq_feed_open(c, f, at);
}

/* One view of one partition.  1: something was read. */
static int pump(struct mq_consume *c, struct mq_feed *f)
{
	int rc = mq_feed_look(c, f);
	/* The end was seen at the start; where less is to be had than that, there is nothing to wait for. */
	if (rc == 0 && !c->req->follow && !mq_feed_ended(f))
		f->end = f->next;
	if (rc == 0)
		rc = mq_group_pass(c, f);
	if (rc > 0) {
		c->active_ns = 0;
		rc = c->handlers ? mq_handlers_feed(c, f) : mq_write_view(c, f);
	}
	return rc;
}

/* The partition whose turn it is; the next one when it has ended. */
static int pump_in_turn(struct mq_consume *c)
{
	while (c->turn < c->feeds_n) {
		struct mq_feed *f = &c->feeds[c->turn];
		int rc = f->source ? 0 : open_feed(c, f);
		if (rc == 0)
			rc = pump(c, f);
		if (rc != 0 || !mq_feed_ended(f))
			return rc;
		mq_feed_close(c, f);
		f->left = true;
		c->turn++;
	}
	return 0;
}

/* A view of each, fairly: the first is another one each time. */
static int pump_all(struct mq_consume *c)
{
	bool some = false;
	size_t first = c->feeds_n ? c->turn++ % c->feeds_n : 0;
	for (size_t i = 0; i < c->feeds_n && c->left_count; i++) {
		struct mq_feed *f = &c->feeds[(first + i) % c->feeds_n];
		int rc = f->source && !mq_feed_ended(f) ? pump(c, f) : 0;
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
		const struct mq_feed *f = &c->feeds[i];
		if (!f->left && (!f->source || !mq_feed_ended(f)))
			return false;
	}
	return true;
}

static bool idle_too_long(struct mq_consume *c)
{
	if (!c->req->until_idle_ns)
		return false;
	if (!c->active_ns || (c->handlers && !mq_handlers_idle(c)))
		c->active_ns = now_ns();
	return now_ns() - c->active_ns >= c->req->until_idle_ns;
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
	if (rc == 0 && c->member && c->take_again_ns >= 0 && !c->ended)
		rc = mq_group_take(c);
	some = c->takes_news = rc > 0;
	if (rc >= 0 && !c->ended && !c->pace_until_ns && (!c->handlers || mq_handlers_room(c)))
		rc = in_turn(c) ? pump_in_turn(c) : pump_all(c);
	some |= rc > 0;
	if (rc >= 0 && c->handlers)
		rc = mq_handlers_work(c);
	some |= rc > 0;
	if (rc >= 0 && c->member && c->req->form == MQ_OUT_POSITIONS && !c->handlers)
		rc = some ? 0 : mq_manual_merge(c);
	else if (rc >= 0 && c->member && !c->handlers)
		rc = mq_given_commit(c, !some);
	if (rc >= 0 && c->member)
		rc = mq_group_sync(c, false);
	/* What handlers have in their hands is finished, whatever failed. */
	if (rc < 0 && c->handlers) {
		mq_handlers_abort(c);
		rc = 0;
	}
	look_for_end(c);
	return rc < 0 ? rc : some;
}

/* --- sleeping ------------------------------------------------------------------------------- */

static void sooner(int64_t *deadline_ns, int64_t at_ns)
{
	if (at_ns >= 0 && (*deadline_ns < 0 || at_ns < *deadline_ns))
		*deadline_ns = at_ns;
}

static int64_t find_deadline(struct mq_consume *c)
{
	int64_t deadline_ns = -1;
	if (c->pace_until_ns)
		sooner(&deadline_ns, c->pace_until_ns);
	if (c->member && c->take_again_ns > 0)
		sooner(&deadline_ns, c->take_again_ns);
	if (c->req->until_idle_ns)
		sooner(&deadline_ns, (c->active_ns ? c->active_ns : now_ns()) + c->req->until_idle_ns);
	if (c->unsynced)
		sooner(&deadline_ns, c->synced_ns + INT64_C(5000000000));
	if (c->member && !c->handlers && c->req->form != MQ_OUT_POSITIONS)
		sooner(&deadline_ns, mq_given_deadline(c));
	return deadline_ns;
}

/* May more be read, if it comes? */
static bool is_reading(const struct mq_consume *c)
{
	return !c->ended && !c->pace_until_ns && (!c->handlers || mq_handlers_room(c));
}

static int arm_feeds(struct mq_consume *c)
{
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc >= 0; i++) {
		struct mq_feed *f = &c->feeds[i];
		if (c->armed_reading && f->source && !mq_feed_ended(f)) {
			rc = c->engine->source_arm(f->source, &c->wait, c->err);
			f->armed = rc >= 0;
		}
	}
	return rc;
}

/* What is done to the place of one is told in its topic. */
static int arm_places(struct mq_consume *c)
{
	const char *topic = NULL;
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc >= 0; i++) {
		const struct mq_feed *f = &c->feeds[i];
		if (!f->owner || (topic && strcmp(topic, f->topic) == 0))
			continue;
		topic = f->topic;
		rc = c->engine->owner_arm(f->owner, &c->wait, c->err);
		c->look_again = true;
	}
	return rc;
}

static bool wants_partitions(const struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n; i++)
		if (!c->feeds[i].source && !c->feeds[i].left)
			return true;
	return false;
}

/* Announce it, and gather everything that may end the sleep. */
static int arm(struct mq_consume *c)
{
	struct mq_wait *w = &c->wait;
	mq_wait_init(w);
	c->armed = true;
	c->armed_reading = is_reading(c);
	c->armed_deadline_ns = c->armed_out = -1;
	int rc = c->member && wants_partitions(c) ? c->engine->member_arm(c->member, w, c->err) : 0;
	c->armed_members = c->armed_places = w->slots_n;
	if (rc >= 0)
		rc = arm_places(c);
	c->armed_places = w->slots_n;
	if (rc >= 0)
		rc = arm_feeds(c);
	if (rc >= 0 && c->handlers)
		rc = mq_handlers_arm(c, w, &c->armed_deadline_ns);
	if (rc >= 0 && mq_wait_fd(w, mq_stop_fd(c->mq), POLLIN) < 0)
		rc = mq_consume_no_memory(c);
	/* Nothing but the end of its reader is waited for. */
	if (rc >= 0 && !c->handlers && (c->sink.kind == MQ_SINK_PIPE || c->sink.kind == MQ_SINK_SOCKET))
		c->armed_out = mq_wait_fd(w, c->sink.fd, POLLPRI);
	return rc < 0 ? rc : 0;
}

static void disarm(struct mq_consume *c)
{
	if (!c->armed)
		return;
	for (size_t i = 0; i < c->feeds_n; i++) {
		if (c->feeds[i].armed)
			c->engine->source_disarm(c->feeds[i].source);
		c->feeds[i].armed = false;
	}
	mq_wait_release(&c->wait);
	c->armed = false;
}

static int wait(struct mq_consume *c)
{
	int64_t deadline_ns = find_deadline(c);
	if (c->armed_deadline_ns >= 0)
		sooner(&deadline_ns, c->armed_deadline_ns);
	int rc = mq_wait_for(&c->wait, deadline_ns);
	if (rc < 0)
		return mq_err_sys(c->err, rc, "cannot wait");
	for (int i = 0; i < c->armed_members; i++)
		if (mq_wait_events(&c->wait, i))
			mq_group_stir(c);
	for (int i = c->armed_members; i < c->armed_places; i++)
		c->look_again |= mq_wait_events(&c->wait, i) != 0;
	if (c->armed_out >= 0 && (mq_wait_ready(&c->wait, c->armed_out) & (POLLERR | POLLNVAL)))
		c->sink.gone = true;
	c->pace_until_ns = 0;
	return 0;
}

/*
 * Rule 2, at the price of a message: who woke up stays announced, hands out what came, looks again, and sleeps on.
 * Only when more and more comes does it take its name off, for then writers ring in vain.
 */
static int turn(struct mq_consume *c)
{
	enum { BUSY = 4 };
	int rc = step(c);
	if (rc < 0)
		return rc;
	if (rc > 0) {
		c->busy++;
		if (c->handlers || c->busy > BUSY || c->takes_news)
			disarm(c);
		c->takes_news = false;
		return 0;
	}
	c->busy = 0;
	if (c->armed && c->armed_reading != is_reading(c))
		disarm(c);
	if (!c->armed)
		return arm(c);
	if (mq_stopping(c->mq) || idle_too_long(c))
		return 0;
	rc = wait(c);
	if (c->handlers) /* whom to wait for changes with each of them */
		disarm(c);
	return rc;
}

int mq_consume_run(struct mq_consume *c)
{
	int rc = 0;
	while (rc == 0 && !(c->ended && (!c->handlers || mq_handlers_idle(c)))) {
		rc = turn(c);
		if (rc == 0 && !c->ended && idle_too_long(c)) {
			c->ended = true;
			if (c->handlers)
				mq_handlers_stop(c);
		}
	}
	disarm(c);
	return rc;
}
