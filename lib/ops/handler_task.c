/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records taken for handlers, their order, and the place behind what is done. */
#include <errno.h>
#include <stdlib.h>

#include "base/murmur2.h"
#include "ops/handler.h"

enum { WAITING_BYTES = 4 << 20, BATCH_BYTES = 4 << 20 };

void mq_task_free(struct mq_task *t)
{
	mq_buf_release(&t->input);
	mq_buf_release(&t->env);
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

static bool may_begin(const struct mq_consume *c, const struct mq_task *t)
{
	for (const struct mq_task *e = t->feed->first_task; e != t; e = e->next)
		if (e->state != MQ_TASK_DONE && keeps_apart(c, e, t))
			return false;
	return true;
}

struct mq_task *mq_task_next(struct mq_consume *c, struct mq_feed *f)
{
	bool coproc = c->req->handler == MQ_HANDLER_COPROC; /* it keeps the order by itself */
	for (struct mq_task *t = f->waiting ? f->first_task : NULL; t; t = t->next) {
		if (t->state == MQ_TASK_WAITING && (coproc || may_begin(c, t)))
			return t;
		/* Behind a record that waits for its turn in the partition none comes. */
		if (!coproc && c->req->order == MQ_ORDER_PARTITION && t->state != MQ_TASK_DONE)
			return NULL;
	}
	return NULL;
}

/* --- the place ------------------------------------------------------------------------------ */

static int move_place(struct mq_consume *c, struct mq_feed *f)
{
	while (f->first_task && f->first_task->state == MQ_TASK_DONE) {
		struct mq_task *t = f->first_task;
		f->first_task = t->next;
		if (!f->first_task)
			f->last_task = NULL;
		mq_task_free(t);
	}
	uint64_t place = f->first_task ? f->first_task->offset : f->next;
	if (!c->req->commit_before || !f->first_task)
		f->done = place > f->done ? place : f->done;
	return mq_group_commit_feed(c, f);
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
	if (rc < 0)
		return rc;
	t->state = MQ_TASK_RUNNING;
	f->waiting--;
	h->waiting--;
	h->waiting_bytes -= t->input.len;
	h->running++;
	c->report.records += t->count;
	c->report.bytes += t->bytes;
	return 0;
}

int mq_task_end(struct mq_consume *c, struct mq_task *t, bool done)
{
	c->handlers->running--;
	t->state = done ? MQ_TASK_DONE : MQ_TASK_FAILED;
	return done ? move_place(c, t->feed) : 0;
}

/* --- taking --------------------------------------------------------------------------------- */

/* How many tasks of one partition may wait: enough to find one that may begin. */
static unsigned waiting_max(const struct mq_consume *c)
{
	unsigned jobs = c->handlers->at_once;
	if (c->req->handler == MQ_HANDLER_COPROC)
		return c->handlers->in_flight_max;
	switch (c->req->order) {
	case MQ_ORDER_NONE: return 2 * jobs;
	case MQ_ORDER_KEY: return 8 * jobs < 64 ? 64 : 8 * jobs;
	default: return 1;
	}
}

bool mq_handlers_room(const struct mq_consume *c)
{
	const struct mq_handlers *h = c->handlers;
	return !h->no_more && h->waiting_bytes < WAITING_BYTES;
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
	int rc = add_input(c, f, r, t);
	if (rc == 0 && t->count == 0 && c->req->handler != MQ_HANDLER_COPROC && mq_env_record(&t->env, f, r, batch) < 0)
		rc = mq_consume_no_memory(c);
	if (rc < 0)
		return rc;
	if (c->req->order == MQ_ORDER_KEY && r->key) {
		uint32_t bit = mq_murmur2(r->key, r->key_len) & 255;
		t->keys[bit / 64] |= UINT64_C(1) << (bit % 64);
	}
	if (t->count == 0)
		t->offset = r->offset;
	t->after = r->offset + 1;
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

/* As many records as belong on one stdin and are there. */
static int fill(struct mq_consume *c, struct mq_feed *f, struct mq_task *t)
{
	uint32_t most = c->req->handler == MQ_HANDLER_BATCH && c->req->batch ? c->req->batch : 1;
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
		rc = add_record(c, f, &r, t);
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
	bool some = false;

	while (f->waiting < waiting_max(c) && mq_handlers_room(c) && c->left_count) {
		struct mq_task *t = calloc(1, sizeof *t);
		if (!t)
			return mq_consume_no_memory(c);
		t->feed = f;
		int rc = fill(c, f, t);
		if (t->count == 0) {
			mq_task_free(t);
			rc = rc < 0 ? rc : move_place(c, f); /* past what nobody wanted */
			return rc < 0 ? rc : some;
		}
		/* Also after a failure: f->next is behind what the task holds, and only the task keeps the place before it. */
		append(h, f, t);
		if (rc < 0)
			return rc;
		some = true;
		if (c->req->handler == MQ_HANDLER_RECORD && c->req->order == MQ_ORDER_PARTITION)
			break;
	}
	return some;
}
