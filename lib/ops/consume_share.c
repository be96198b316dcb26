/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A member that shares partitions: it takes records that nobody has, as many as it can begin with and --prefetch more.
 *
 * What it takes is a run of offsets, cut from what its view of the log shows, so that all of them are visible.  A run ends in
 * tasks, or in what was given to the sink; what of it nobody wants is done at once.
 */
#include <errno.h>
#include <inttypes.h>

#include "ops/handler.h"
#include "sys/sys.h"

enum {
	SINK_RUN = 256,  /* records at once, to a descriptor */
	WISH_MAX = 1024, /* offsets at once, where few of them are wanted */
	TRIES_MAX = 64,  /* others may be quicker that often before anything else is looked at */
};
static const int64_t LOOK_NS = 1000000;              /* whether a full pipe is empty */
static const int64_t LEFT_NS = INT64_C(10000000000); /* how long those are waited for, without follow */

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* --- what may be taken ---------------------------------------------------------------------- */

/* Of a coproc's partition: each has its own, and what is taken ahead is counted over all of them. */
static uint64_t room_of(const struct mq_consume *c, const struct mq_feed *f)
{
	const struct mq_handlers *h = c->handlers;
	uint64_t tasks = f->tasks - f->again, idle = tasks < h->at_once ? h->at_once - tasks : 0;

	return idle + (h->ahead < c->req->prefetch ? c->req->prefetch - h->ahead : 0);
}

uint64_t mq_share_wants(const struct mq_consume *c, const struct mq_feed *f)
{
	const struct mq_handlers *h = c->handlers;
	uint64_t n = SINK_RUN;
	if (h && mq_handlers_far_ahead(c, f))
		return 0;
	if (h && c->req->handler == MQ_HANDLER_COPROC) {
		n = room_of(c, f);
	} else if (h) {
		uint64_t have = h->running + h->waiting - h->again, most = (uint64_t)h->at_once + c->req->prefetch;
		n = have < most ? (most - have) * (c->req->handler == MQ_HANDLER_BATCH && c->req->batch ? c->req->batch : 1) : 0;
	}
	return n < c->left_count ? n : c->left_count;
}

bool mq_share_room(const struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n; i++)
		if (!c->feeds[i]->shared.on || mq_share_wants(c, c->feeds[i]) > 0)
			return true;
	return c->feeds_n == 0;
}

/* --- the view ------------------------------------------------------------------------------- */

/* f->view is to hold `offset`, or the first that is there behind it.  1; 0: there is none yet. */
static int see(struct mq_consume *c, struct mq_feed *f, uint64_t offset)
{
	const struct mq_batch *b = &f->view.batch;
	if (f->viewing && offset >= f->view.first_offset && offset < b->next_offset) {
		mq_feed_turn(f, offset);
		return mq_barrier_lets(c, f);
	}
	bool follows = f->viewing ? offset == b->next_offset : offset == f->next;
	int rc = follows ? 0 : mq_feed_seek(c, f, offset);
	if (rc == 0 && follows)
		mq_feed_turn(f, offset);
	return rc < 0 ? rc : mq_feed_look(c, f);
}

/* Without a word about what is lost: that is for who takes it. */
static int peek(struct mq_consume *c, struct mq_feed *f, uint64_t offset)
{
	f->end = f->shared.end;
	f->shared.peeks = true;
	int rc = see(c, f, offset);
	f->shared.peeks = false;
	return rc;
}

/* --- a run ---------------------------------------------------------------------------------- */

static int done(struct mq_consume *c, struct mq_feed *f, uint64_t from, uint64_t to)
{
	f->unsynced = c->unsynced = f->shared.unwritten = true;
	return c->engine->share_done(f->owner, from, to, c->err);
}

static int finish_run(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_shared *s = &f->shared;
	int rc = 0;
	if (f->lost > 0)
		rc = c->engine->owner_commit(f->owner, 0, f->lost, c->err);
	f->lost = 0;
	mq_feed_count_expired(c, f, UINT64_MAX);
	if (rc == 0 && s->told < s->run_to) {
		f->next = s->run_to;
		rc = c->handlers ? done(c, f, s->told, s->run_to) : mq_group_given(c, f);
		s->told = s->run_to;
	}
	f->end = s->end;
	return rc;
}

static int give_back(struct mq_consume *c, struct mq_feed *f, uint64_t from, uint64_t to, bool counted)
{
	f->unsynced = c->unsynced = f->shared.unwritten = true;
	f->shared.gave_back |= to > from;
	return to > from ? c->engine->share_give_back(f->owner, from, to, counted, c->err) : 0;
}

/* More was taken than there is room for, since few of it was thought to be wanted. */
static int cut_run(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_shared *s = &f->shared;
	uint64_t from = s->told > f->next ? s->told : f->next;
	int rc = give_back(c, f, from, s->run_to, false);
	s->run_to = from;
	s->wish = 0;
	return rc < 0 ? rc : finish_run(c, f);
}

/* What is to be had next: 1, the view shows it or what comes behind it; 0: nothing. */
static int find(struct mq_consume *c, struct mq_feed *f, uint64_t *ret_from)
{
	struct mq_shared *s = &f->shared;
	uint64_t to;
	for (bool fresh = s->stale;; fresh = true) {
		int rc = c->engine->share_next(f->owner, fresh, ret_from, &to, c->err);
		s->stale = false;
		if (rc < 0)
			return rc;
		s->full = rc == 0;
		rc = rc == 0 || *ret_from >= s->end ? 0 : peek(c, f, *ret_from);
		if (rc != 0 || fresh)
			return rc;
	}
}

/* What is done goes with the next claim, but of another partition it would wait until this record has begun: then a kill would
 * give out both again. */
static int write_others(struct mq_consume *c, const struct mq_feed *but)
{
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc == 0; i++) {
		struct mq_feed *f = c->feeds[i];
		if (f == but)
			continue;
		if (f->owner && f->shared.unwritten)
			rc = c->engine->share_write(f->owner, c->err);
		f->shared.unwritten = false;
	}
	return rc;
}

/* 1: it is this member's.  0: others were quicker. */
static int claim(struct mq_consume *c, struct mq_feed *f, uint64_t from)
{
	struct mq_shared *s = &f->shared;
	uint64_t want = mq_share_wants(c, f), limit = f->view.batch.next_offset < s->end ? f->view.batch.next_offset : s->end;
	uint64_t gap = f->next > from ? f->next - from : 0;
	struct mq_claimed run;
	if (gap > want)
		want = gap < WISH_MAX ? gap : WISH_MAX;
	if (s->wish > want)
		want = s->wish;
	int rc = write_others(c, f);
	if (rc < 0)
		return rc;
	rc = c->engine->share_claim(f->owner, limit, want, &run, c->err);
	s->unwritten = false;
	if (rc <= 0)
		return rc;
	s->run_from = s->told = run.from;
	s->run_to = f->end = run.to;
	s->attempt = run.attempt;
	rc = see(c, f, run.from);
	return rc < 0 ? rc : 1;
}

static int next_run(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t from;
	for (int i = 0; i < TRIES_MAX; i++) {
		int rc = find(c, f, &from);
		if (rc > 0)
			rc = claim(c, f, from);
		else
			return rc;
		if (rc != 0)
			return rc;
	}
	f->shared.stale = true;
	return 1; /* there is something, and it is not this member's; look at everything else */
}

/* Its records to whoever is to have them. */
static int use_run(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_shared *s = &f->shared;
	uint64_t records = c->handlers ? f->waiting : c->report.records;
	int rc = mq_feed_look(c, f);
	if (rc > 0)
		rc = c->handlers ? mq_handlers_feed(c, f) : mq_write_view(c, f);
	else if (rc == 0 && f->barred) /* not before others are done */
		return cut_run(c, f) < 0 ? c->err->code : 0;
	else if (rc == 0)
		f->next = s->run_to;
	if (rc < 0)
		return rc;
	bool none = records == (c->handlers ? f->waiting : c->report.records);
	if (f->next >= s->run_to) {
		uint64_t n = s->run_to - s->run_from;
		s->wish = !none ? 0 : 2 * n < WISH_MAX ? 2 * n : WISH_MAX;
		int ended = finish_run(c, f);
		return ended < 0 ? ended : 1;
	}
	if (c->handlers && mq_share_wants(c, f) == 0)
		return cut_run(c, f) < 0 ? c->err->code : 1;
	return !none;
}

int mq_share_filled(struct mq_consume *c, struct mq_feed *f, const struct mq_task *t)
{
	struct mq_shared *s = &f->shared;
	uint64_t to = t ? t->offset : f->next;
	int rc = to > s->told ? done(c, f, s->told, to) : 0; /* what lies before it was not wanted */
	s->told = t ? t->after : to > s->told ? to : s->told;
	return rc;
}

/* --- what became of it ---------------------------------------------------------------------- */

int mq_share_given(struct mq_consume *c, const struct mq_given *g)
{
	return done(c, g->feed, g->from, g->next);
}

int mq_share_task_ended(struct mq_consume *c, struct mq_task *t, bool was_done)
{
	struct mq_feed *f = t->feed;
	struct mq_task **at = &f->first_task, *before = NULL;
	int rc = !was_done ? give_back(c, f, t->offset, t->after, !t->uncounted) : t->parcels ? 0 : done(c, f, t->offset, t->after);
	while (*at != t) {
		before = *at;
		at = &before->next;
	}
	*at = t->next;
	f->held -= t->count;
	c->handlers->ahead -= f->tasks-- > c->handlers->at_once;
	if (f->last_task == t)
		f->last_task = before;
	if (was_done && t->parcels)
		return mq_share_move_task(c, t);
	mq_task_free(c, t);
	return rc;
}

int mq_share_write(struct mq_consume *c)
{
	return write_others(c, NULL);
}

/* What handlers have still in hand, where waiting for them failed, stays this member's until they end. */
int mq_share_leave(struct mq_consume *c)
{
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc == 0; i++) {
		struct mq_feed *f = c->feeds[i];
		for (struct mq_task *t = f->owner && f->shared.on ? f->first_task : NULL; t && rc == 0; t = t->next)
			if (t->state == MQ_TASK_WAITING)
				rc = give_back(c, f, t->offset, t->after, false);
		if (rc == 0 && f->owner && f->shared.told < f->shared.run_to)
			rc = give_back(c, f, f->shared.told, f->shared.run_to, false);
	}
	for (size_t i = c->given_at; i < c->given_n && rc == 0; i++)
		if (c->given[i].feed->owner)
			rc = give_back(c, c->given[i].feed, c->given[i].from, c->given[i].next, false);
	return rc < 0 ? rc : mq_share_write(c);
}

/* --- reading -------------------------------------------------------------------------------- */

static bool has_patience(const struct mq_consume *c)
{
	int64_t most_ns = c->req->timeout_ns >= 0 ? c->req->timeout_ns : LEFT_NS;
	return now_ns() - c->began_ns < most_ns;
}

/* Without follow: nothing is left that nobody has.  What a killed member's handler has in hand is waited for. */
static void look_for_end(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_shared *s = &f->shared;
	if (c->req->follow && s->end == UINT64_MAX)
		return;
	if (s->full || ((s->handled > 0 || s->busy) && has_patience(c)))
		return;
	s->over = true;
	mq_barrier_stir(c); /* what has grown may wait for it */
	if (s->handled == 0 && !s->busy)
		return;
	c->report.left++;
	if (s->busy)
		mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": another member of group %s moves records out of it; what killed members had is left",
		              f->topic, f->partition, c->req->group);
	if (s->busy)
		return;
	mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": %" PRIu64 " records are left to handlers of killed members of group %s", f->topic, f->partition,
	              s->handled, c->req->group);
}

/* All that may be at work is, and some of it lies in the pipe, whose reader comes back for more when there is more: what it
 * took counts as done here, as at the end.  1: there is room again. */
static int make_room(struct mq_consume *c)
{
	if (c->handlers || c->given_at == c->given_n)
		return 0;
	int drained = mq_sink_drained(&c->sink);
	c->share.again_ns = now_ns() + LOOK_NS;
	if (drained <= 0)
		return drained < 0 ? -EPIPE : 0;
	int rc = mq_given_commit(c, true);
	return rc < 0 ? rc : 1;
}

int mq_share_pump(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_shared *s = &f->shared;
	int rc = mq_share_watch(c), some = 0;
	if (rc >= 0 && !s->looked) { /* nothing is claimed yet */
		look_for_end(c, f);
		return 0;
	}
	while (rc >= 0 && c->left_count && !c->pace_until_ns && mq_share_wants(c, f) > 0) {
		bool at_hand = f->next < s->run_to;
		rc = at_hand ? 1 : next_run(c, f);
		if (rc == 0 && s->gave_back) { /* what this member gave back itself may be there, once it is written */
			s->gave_back = false;
			s->stale = true;
			rc = mq_share_write(c);
			return rc < 0 ? rc : 1;
		}
		if (rc == 0 && !f->barred)
			look_for_end(c, f);
		if (rc == 0 && s->full)
			rc = make_room(c);
		if (rc > 0 && s->told < s->run_to)
			rc = use_run(c, f);
		else if (rc > 0)
			return 1;
		if (rc <= 0)
			break;
		some = 1;
		c->active_ns = 0;
	}
	return rc < 0 ? rc : some;
}
