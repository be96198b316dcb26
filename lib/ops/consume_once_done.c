/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --once: what is done is marked, then durable, then the place moves.  All that ended meanwhile shares a mark and a sync. */
#include <stdlib.h>

#include "ops/consume_once.h"

void mq_once_end(struct mq_consume *c, struct mq_task *t, bool done)
{
	struct mq_once_state *o = c->once;

	if (!done) {
		mq_once_let_go(c, t);
		return;
	}
	t->next_due = NULL;
	*(o->due ? &o->due_last->next_due : &o->due) = t;
	o->due_last = t;
	if (!o->unmarked)
		o->unmarked = t;
}

static size_t add(const struct mq_task *t, struct mq_id_done *all)
{
	size_t n = 0;
	for (size_t i = 0; i < t->recs_n; i++) {
		const struct mq_once_rec *r = &t->recs[i];
		if (r->has_id && !r->done)
			all[n++] = (struct mq_id_done){t->ids.p + r->id_at, r->id_len, t->feed->partition, r->offset};
	}
	return n;
}

static int mark_topic(struct mq_consume *c, struct mq_once_topic *o)
{
	struct mq_id_done *all;
	size_t n = 0, most = 0;

	for (const struct mq_task *t = c->once->unmarked; t; t = t->next_due)
		most += t->feed->once == o ? t->locks_n : 0;
	if (!most)
		return 0;
	all = malloc(most * sizeof *all);
	if (!all)
		return mq_consume_no_memory(c);
	for (const struct mq_task *t = c->once->unmarked; t; t = t->next_due)
		n += t->feed->once == o ? add(t, all + n) : 0;
	int rc = c->engine->once_mark(o->ids, all, n, c->err);
	free(all);
	o->unsynced |= rc == 0;
	return rc;
}

/* They were handled, and nobody will know: the run ends, and their places stay before them. */
static int forget(struct mq_consume *c, int rc)
{
	struct mq_err why = *c->err;
	mq_err_prefix(&why, "handled, but not to be remembered as done (--once), so it may be handled again");
	while (c->once->due) {
		struct mq_task *t = c->once->due;
		c->once->due = t->next_due;
		mq_once_let_go(c, t);
		t->state = MQ_TASK_FAILED;
		(void)mq_task_settled(c, t); /* the first reason stands */
	}
	c->once->unmarked = NULL;
	*c->err = why;
	return rc;
}

int mq_once_mark(struct mq_consume *c)
{
	int rc = 0;
	if (!c->once || !c->once->unmarked)
		return 0;
	for (struct mq_once_topic *o = c->once->topics; o && rc == 0; o = o->next)
		rc = mark_topic(c, o);
	if (rc < 0)
		return forget(c, rc);
	for (struct mq_task *t = c->once->unmarked; t; t = t->next_due) {
		mq_once_let_go(c, t);
		t->state = MQ_TASK_MARKED;
	}
	c->once->unmarked = NULL;
	return 1;
}

int mq_once_settle(struct mq_consume *c)
{
	int rc = 0;
	if (!c->once || !c->once->due)
		return 0;
	for (struct mq_once_topic *o = c->once->topics; o && rc == 0; o = o->next) {
		rc = o->unsynced ? c->engine->once_sync(o->ids, c->err) : 0;
		o->unsynced = o->unsynced && rc < 0;
	}
	if (rc < 0)
		return forget(c, rc);
	while (c->once->due && rc == 0) {
		struct mq_task *t = c->once->due;
		c->once->due = t->next_due;
		t->state = MQ_TASK_DONE;
		rc = mq_task_settled(c, t);
	}
	return rc < 0 ? rc : 1;
}
