/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records taken for handlers, their order, and the place behind what is done. */
#include <errno.h>
#include <stdlib.h>

#include "base/murmur2.h"
#include "ops/consume_move.h"
#include "ops/consume_once.h"
#include "sys/sys.h"

enum { WAITING_BYTES = 4 << 20, BATCH_BYTES = 4 << 20, AHEAD_MAX = 1000 };

void mq_task_free(struct mq_consume *c, struct mq_task *t)
{
	mq_move_forget(c, t);
	mq_buf_release(&t->input);
	mq_buf_release(&t->env);
	mq_buf_release(&t->nth);
	mq_once_task_release(t);
	free(t);
}

/* --- order ---------------------------------------------------------------------------------- */

static bool shares_key(const struct mq_task *a, const struct mq_task *b)
{
	for (int i = 0; i < 4; i++)
		if (a->keys[i] & b->keys[i])
			return true;
	return false;
}

/* Must `later` wait for `earlier`, which is not done? */
static bool keeps_apart(const struct mq_consume *c, const struct mq_task *earlier, const struct mq_task *later)
{
	/* At most once: the place moves by beginnings, so these keep their order. */
	if (c->req->commit_before && earlier->state == MQ_TASK_WAITING)
		return true;
	switch (c->req->order) {
	case MQ_ORDER_NONE: return false;
	case MQ_ORDER_KEY: return shares_key(earlier, later);
	default: return true;
	}
}

static bool is_over(const struct mq_task *t)
{
	return t->state == MQ_TASK_DONE || t->state == MQ_TASK_MARKED;
}

/* A failed one that is to be handled again keeps nothing waiting, but where the order was asked for. */
static bool holds_back(const struct mq_consume *c, const struct mq_task *t)
{
	return !is_over(t) && (!t->failures || c->req->order_asked);
}

/* A coproc keeps the order of what it was given by itself; but what has to wait behind a failed one, it must not have yet. */
static bool may_begin(const struct mq_consume *c, const struct mq_task *t)
{
	bool coproc = c->req->handler == MQ_HANDLER_COPROC && !(c->retry.on && c->req->order_asked);
	if (t->stands)
		return false;
	if (t->again_ns && mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) < t->again_ns)
		return false;
	for (const struct mq_task *e = t->feed->first_task; e != t; e = e->next)
		if ((coproc ? e->stands : holds_back(c, e)) && keeps_apart(c, e, t))
			return false;
	return true;
}

struct mq_task *mq_task_next(struct mq_consume *c, struct mq_feed *f)
{
	bool coproc = c->req->handler == MQ_HANDLER_COPROC;
	for (struct mq_task *t = f->waiting ? f->first_task : NULL; t; t = t->next) {
		if (t->state == MQ_TASK_WAITING && may_begin(c, t))
			return t;
		/* Behind a record that waits for its turn in the partition none comes. */
		if (!coproc && c->req->order == MQ_ORDER_PARTITION && holds_back(c, t))
			return NULL;
	}
	return NULL;
}

/* --- the place ------------------------------------------------------------------------------ */

static int move_place(struct mq_consume *c, struct mq_feed *f)
{
	int rc = 0;

	if (f->shared.on)
		return 0; /* each of its records is told for itself */
	while (f->first_task && f->first_task->state == MQ_TASK_DONE) {
		struct mq_task *t = f->first_task;
		rc = t->parcels ? mq_move_task(c, f, t) : 0;
		if (rc < 0)
			return rc;
		f->first_task = t->next;
		f->held -= t->count;
		if (!f->first_task)
			f->last_task = NULL;
		mq_task_free(c, t);
	}
	uint64_t place = f->first_task ? f->first_task->offset : f->next;
	if (!c->req->commit_before || !f->first_task)
		f->done = place > f->done ? place : f->done;
	return mq_move_is_pending(f) ? 0 : mq_group_commit_feed(c, f); /* with what is put, soon */
}

int mq_task_begin(struct mq_consume *c, struct mq_task *t)
{
	struct mq_handlers *h = c->handlers;
	struct mq_feed *f = t->feed;
	int rc = 0;

	if (c->req->commit_before && f->owner) {
		uint64_t next = f->next;
		f->next = t->after;
		rc = mq_group_commit_now(c, f);
		f->next = next;
	}
	if (f->shared.on) /* it may have waited for long, and this process been stopped */
		rc = c->engine->share_holds(f->owner, t->offset, c->err);
	if (rc < 0)
		return rc;
	t->state = MQ_TASK_RUNNING;
	h->again -= t->again_ns != 0;
	t->again_ns = 0;
	f->again -= t->failures != 0;
	f->waiting--;
	h->waiting--;
	h->waiting_bytes -= t->input.len;
	h->running++;
	c->report.records += t->count;
	c->report.bytes += t->bytes;
	return 0;
}

/* What became of it is known for good. */
static int is_settled(struct mq_consume *c, struct mq_task *t)
{
	bool done = t->state == MQ_TASK_DONE;
	if (t->feed->shared.on)
		return mq_share_task_ended(c, t, done);
	return done ? move_place(c, t->feed) : 0;
}

int mq_task_end(struct mq_consume *c, struct mq_task *t, bool done)
{
	c->handlers->running--;
	if (!done)
		mq_move_forget(c, t);
	/* What it leaves goes with the place, and its ids are not remembered as done: it may have to come again. */
	bool marks = done && t->locks_n && !t->parcels;
	t->state = !done ? MQ_TASK_FAILED : marks ? MQ_TASK_RUNNING : MQ_TASK_DONE;
	if (t->locks_n)
		mq_once_end(c, t, marks);
	return t->state == MQ_TASK_RUNNING ? 0 : is_settled(c, t);
}

void mq_task_again(struct mq_consume *c, struct mq_task *t, int64_t at_ns)
{
	struct mq_handlers *h = c->handlers;

	mq_once_end(c, t, false);
	mq_move_forget(c, t);
	t->why = (struct mq_err){0};
	t->state = MQ_TASK_WAITING;
	t->again_ns = at_ns;
	h->running--;
	h->again += at_ns != 0;
	h->waiting++;
	t->feed->waiting++;
	t->feed->again += t->failures != 0;
	h->waiting_bytes += t->input.len;
}

int64_t mq_task_again_ns(const struct mq_consume *c)
{
	int64_t first_ns = -1;

	for (size_t i = 0; i < c->feeds_n && c->handlers->again && !c->handlers->enough; i++)
		for (const struct mq_task *t = c->feeds[i]->first_task; t; t = t->next)
			if (t->again_ns && (first_ns < 0 || t->again_ns < first_ns))
				first_ns = t->again_ns;
	return first_ns;
}

int mq_task_settled(struct mq_consume *c, struct mq_task *t)
{
	return is_settled(c, t);
}

int mq_task_skip(struct mq_consume *c, struct mq_task *t)
{
	t->state = MQ_TASK_DONE;
	c->handlers->again -= t->again_ns != 0;
	t->feed->again -= t->failures != 0;
	t->feed->waiting--;
	c->handlers->waiting--;
	c->handlers->waiting_bytes -= t->input.len;
	return is_settled(c, t);
}

/* --- taking --------------------------------------------------------------------------------- */

/* How many tasks of one partition may wait: enough to find one that may begin. */
static unsigned waiting_max(const struct mq_consume *c)
{
	unsigned jobs = c->handlers->at_once;
	if (c->req->share)
		return UINT32_MAX; /* no more than there is room for was taken */
	if (c->req->handler == MQ_HANDLER_COPROC)
		return c->handlers->in_flight_max;
	switch (c->req->order) {
	case MQ_ORDER_NONE: return 2 * jobs;
	case MQ_ORDER_KEY: return 8 * jobs < 64 ? 64 : 8 * jobs;
	default: return 1;
	}
}

/* What is done behind a record that is not is done again after a kill, so that has an end: more is taken when the place moves. */
bool mq_handlers_far_ahead(const struct mq_consume *c, const struct mq_feed *f)
{
	const struct mq_handlers *h = c->handlers;
	uint64_t batch = c->req->handler == MQ_HANDLER_BATCH && c->req->batch ? c->req->batch : 1, most = 2 * h->in_flight_max * batch;

	return f->held >= (most > AHEAD_MAX ? most : AHEAD_MAX);
}

bool mq_handlers_room(const struct mq_consume *c)
{
	const struct mq_handlers *h = c->handlers;
	return !h->no_more && h->waiting_bytes < WAITING_BYTES && (!c->req->share || mq_share_room(c));
}

/* What a handler of it reads, added to the task's; nothing is added on failure. */
static int add_input(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r, struct mq_task *t)
{
	if (c->req->handler != MQ_HANDLER_RECORD)
		return mq_write_record(c, f, r, &t->input);
	return mq_buf_add(&t->input, r->payload, r->payload_len) < 0 ? mq_consume_no_memory(c) : 0;
}

static int add_record(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r, struct mq_task *t)
{
	uint32_t batch = c->req->handler == MQ_HANDLER_BATCH ? c->req->batch : 1;
	size_t before = t->input.len;
	int rc = add_input(c, f, r, t);
	if (rc == 0 && t->count == 0 && c->req->handler != MQ_HANDLER_COPROC && mq_env_record(&t->env, f, r, batch) < 0)
		rc = mq_consume_no_memory(c);
	if (rc == 0)
		rc = mq_once_added(c, t, r);
	if (rc < 0) {
		t->input.len = before;
		return rc;
	}
	if (c->req->order == MQ_ORDER_KEY && r->key) {
		uint32_t bit = mq_murmur2(r->key, r->key_len) & 255;
		t->keys[bit / 64] |= UINT64_C(1) << (bit % 64);
	}
	if (t->count == 0)
		t->offset = r->offset;
	if (batch > 1 && mq_retry_applies(c) && mq_dead_note(t, r->offset) < 0) {
		t->input.len = before;
		return mq_consume_no_memory(c);
	}
	t->after = r->offset + 1;
	uint32_t attempts = r->attempts + f->shared.attempt;
	t->given_back = f->shared.attempt;
	t->attempts = attempts > t->attempts ? attempts : t->attempts;
	t->count++;
	t->bytes += r->payload_len;
	return 0;
}

/* This record cannot be given: what lies before it is, and then it ends. */
static void refuse(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r)
{
	bool enough = c->handlers->enough;
	f->next = r->offset;
	f->left = true;
	mq_result_fail(c, NULL, c->err->code, "%s", c->err->text);
	*c->err = (struct mq_err){0};
	c->handlers->enough = enough;
	c->left_count = 0;
}

/* One that has expired is a task of its own, that is done: what was taken before it goes alone. */
static int take_expired(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r, struct mq_task *t)
{
	if (t->count) {
		c->report.skipped_expired--; /* it will be met again */
		mq_feed_turn(f, r->offset);
		return 0;
	}
	if (mq_dead_expired(c, t, r) < 0)
		refuse(c, f, r);
	return 0;
}

/* As many records as belong on one stdin and are there. */
static int fill(struct mq_consume *c, struct mq_feed *f, struct mq_task *t)
{
	enum { PASS_MAX = 256 }; /* then handlers are looked after */
	uint32_t most = c->req->handler == MQ_HANDLER_BATCH && c->req->batch ? c->req->batch : 1;
	unsigned passed = 0;
	struct mq_rec r;

	while (t->count < most && t->input.len < BATCH_BYTES && c->left_count) {
		if (c->pace.per_second > 0 && !c->allowed && !(c->allowed = mq_consume_allow(c, 1)))
			return 0;
		int rc = mq_feed_look(c, f);
		if (rc <= 0)
			return rc;
		rc = mq_feed_record(c, f, &r);
		if (rc < 0)
			return rc;
		if (rc == 0)
			continue; /* the view was used up */
		if (f->over)
			return take_expired(c, f, &r, t);
		rc = mq_once_knows(c, f, t, &r);
		if (rc > 0 && ++passed == PASS_MAX)
			return 0;
		if (rc > 0)
			continue;
		rc = rc < 0 ? rc : add_record(c, f, &r, t);
		if (rc < 0) {
			refuse(c, f, &r);
			return 0;
		}
		c->left_count--;
		c->allowed -= c->allowed > 0;
	}
	return 0;
}

static void append(struct mq_handlers *h, struct mq_feed *f, struct mq_task *t)
{
	if (f->last_task)
		f->last_task->next = t;
	else
		f->first_task = t;
	f->last_task = t;
	f->held += t->count;
	if (f->shared.on)
		h->ahead += ++f->tasks > h->at_once;
	if (t->state == MQ_TASK_DONE)
		return;
	f->waiting++;
	h->waiting++;
	h->waiting_bytes += t->input.len;
}

int mq_handlers_pass(struct mq_consume *c, struct mq_feed *f)
{
	f->given = f->next;
	return move_place(c, f);
}

int mq_handlers_feed(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_handlers *h = c->handlers;
	uint64_t skipped = c->report.skipped_once;
	bool some = false;

	while (f->waiting - f->again < waiting_max(c) && !mq_handlers_far_ahead(c, f) && mq_handlers_room(c) && c->left_count &&
	       !(f->first_task && mq_move_is_much(c))) {
		struct mq_task *t = calloc(1, sizeof *t);
		if (!t)
			return mq_consume_no_memory(c);
		t->feed = f;
		int rc = fill(c, f, t);
		if (rc >= 0 && f->shared.on)
			rc = mq_share_filled(c, f, t->count ? t : NULL);
		if (t->count == 0) {
			mq_task_free(c, t);
			rc = rc < 0 ? rc : move_place(c, f); /* past what nobody wanted */
			return rc < 0 ? rc : some || c->report.skipped_once > skipped;
		}
		/* Also after a failure: f->next is behind what the task holds, and only the task keeps the place before it. */
		append(h, f, t);
		if (rc < 0)
			return rc;
		some = true;
		if (t->state == MQ_TASK_DONE) { /* which may free it */
			rc = f->shared.on ? mq_share_task_ended(c, t, true) : move_place(c, f);
			if (rc < 0)
				return rc;
			continue;
		}
		if (c->req->handler == MQ_HANDLER_RECORD && c->req->order == MQ_ORDER_PARTITION)
			break;
	}
	return some;
}
