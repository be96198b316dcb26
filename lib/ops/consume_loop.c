/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Read, hand out, commit; and when there is nothing to do, sleep until there is. */
#include <errno.h>

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

	if (c->member && c->take_again_ns >= 0 && !c->ended)
		rc = some = mq_group_take(c);
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

static int arm_feeds(struct mq_consume *c, struct mq_wait *w)
{
	bool reading = !c->ended && !c->pace_until_ns && (!c->handlers || mq_handlers_room(c));
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc >= 0; i++) {
		struct mq_feed *f = &c->feeds[i];
		if (reading && f->source && !mq_feed_ended(f)) {
			rc = c->engine->source_arm(f->source, w, c->err);
			f->armed = rc >= 0;
		}
		if (rc >= 0 && f->owner && c->req->form == MQ_OUT_POSITIONS && f->next > f->done)
			rc = c->engine->owner_arm(f->owner, w, c->err);
	}
	return rc;
}

static void disarm_feeds(struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n; i++) {
		if (c->feeds[i].armed)
			c->engine->source_disarm(c->feeds[i].source);
		c->feeds[i].armed = false;
	}
}

static bool wants_partitions(const struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n; i++)
		if (!c->feeds[i].source && !c->feeds[i].left)
			return true;
	return false;
}

/* Everything that may end the sleep.  *ret_members: slots from 0 on that tell of members; *ret_out: the sink's number. */
static int arm(struct mq_consume *c, struct mq_wait *w, int *ret_members, int *ret_out, int64_t *deadline_ns)
{
	int rc = c->member && wants_partitions(c) ? c->engine->member_arm(c->member, w, c->err) : 0;
	*ret_members = w->slots_n;
	*ret_out = -1;
	if (rc >= 0)
		rc = arm_feeds(c, w);
	if (rc >= 0 && c->handlers)
		rc = mq_handlers_arm(c, w, deadline_ns);
	if (rc >= 0 && mq_wait_fd(w, mq_stop_fd(c->mq), POLLIN) < 0)
		rc = mq_consume_no_memory(c);
	/* Nothing but the end of its reader is waited for. */
	if (rc >= 0 && !c->handlers && (c->sink.kind == MQ_SINK_PIPE || c->sink.kind == MQ_SINK_SOCKET))
		*ret_out = mq_wait_fd(w, c->sink.fd, POLLPRI);
	return rc;
}

static int wait(struct mq_consume *c, struct mq_wait *w, int members, int out, int64_t deadline_ns)
{
	int rc = mq_wait_for(w, deadline_ns);
	if (rc < 0)
		return mq_err_sys(c->err, rc, "cannot wait");
	for (int i = 0; i < members; i++)
		if (mq_wait_events(w, i))
			mq_group_stir(c);
	if (out >= 0 && (mq_wait_ready(w, out) & (POLLERR | POLLNVAL)))
		c->sink.gone = true;
	c->pace_until_ns = 0;
	return 0;
}

/* Rule 2. */
static int sleep_until_more(struct mq_consume *c)
{
	struct mq_wait w;
	int64_t deadline_ns = -1;
	int members, out;

	mq_wait_init(&w);
	int rc = arm(c, &w, &members, &out, &deadline_ns);
	if (rc >= 0)
		rc = step(c);
	if (rc == 0 && !mq_stopping(c->mq) && !idle_too_long(c)) {
		sooner(&deadline_ns, find_deadline(c));
		rc = c->ended && (!c->handlers || mq_handlers_idle(c)) ? 0 : wait(c, &w, members, out, deadline_ns);
	}
	disarm_feeds(c);
	mq_wait_release(&w);
	return rc;
}

int mq_consume_run(struct mq_consume *c)
{
	for (;;) {
		int rc = step(c);
		if (rc < 0)
			return rc;
		if (c->ended && (!c->handlers || mq_handlers_idle(c)))
			return 0;
		if (rc > 0)
			continue;
		if (idle_too_long(c)) {
			c->ended = true;
			if (c->handlers)
				mq_handlers_stop(c);
			continue;
		}
		rc = sleep_until_more(c);
		if (rc < 0)
			return rc;
	}
}
