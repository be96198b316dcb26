/* SPDX-License-Identifier: GPL-2.0-or-later */
/* --once: what is known of a record as it is taken. */
#include "ops/consume_once.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int mq_once_start(struct mq_consume *c)
{
	if (!c->req->once)
		return 0;
	if (!c->req->group || c->req->handler == MQ_HANDLER_NONE || c->req->commit_before)
		return mq_err_set(c->err, MQ_EUSAGE, "--once is for handlers of a group, whose records are committed after the work");
	if (c->req->once_window_ns < 1000)
		return mq_err_set(c->err, MQ_EUSAGE, "--once: a window is wanted in which ids are remembered");
	if (!c->engine->once_open)
		return mq_err_set(c->err, MQ_EUSAGE, "--once: a spool of this kind (%s) remembers no ids", c->engine->scheme);
	c->once = calloc(1, sizeof *c->once);
	return c->once ? 0 : mq_consume_no_memory(c);
}

void mq_once_free(struct mq_consume *c)
{
	while (c->once && c->once->topics) {
		struct mq_once_topic *t = c->once->topics;
		c->once->topics = t->next;
		c->engine->once_close(t->ids);
		free(t);
	}
	free(c->once);
	c->once = NULL;
}

/* Of f's topic: opened when the first record with an id is met there. */
static int find_topic(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_once_topic *t = c->once->topics;

	while (t && strcmp(t->topic, f->topic) != 0)
		t = t->next;
	if (!t) {
		t = calloc(1, sizeof *t);
		if (!t)
			return mq_consume_no_memory(c);
		t->topic = f->topic;
		t->stale = true;
		int rc = c->engine->once_open(c->member, f->topic, c->req->once_window_ns / 1000, &t->ids, c->err);
		if (rc < 0) {
			free(t);
			return rc;
		}
		t->next = c->once->topics;
		c->once->topics = t;
	}
	f->once = t;
	return 0;
}

int mq_once_knows(struct mq_consume *c, struct mq_feed *f, struct mq_task *t, const struct mq_rec *r)
{
	uint64_t seen = 0;

	if (!c->once)
		return 0;
	if (!r->id) {
		if (!c->once->told_no_id)
			mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ":%" PRIu64 " has no id: --once cannot tell whether such a record was done, and handles it",
			              f->topic, f->partition, r->offset);
		c->once->told_no_id = true;
		c->report.without_id++;
		return 0;
	}
	int rc = f->once ? 0 : find_topic(c, f);
	if (rc == 0) /* what comes while these are gathered is seen when their ids are locked */
		rc = c->engine->once_look(f->once->ids, r->id, r->id_len, f->once->stale, &seen, c->err);
	if (rc >= 0)
		f->once->stale = false;
	c->report.skipped_once += rc > 0;
	t->seen = seen;
	return rc;
}

/* Records without an id are kept, too, where others may have to be taken out from beside them. */
int mq_once_added(struct mq_consume *c, struct mq_task *t, const struct mq_rec *r)
{
	if (!c->once || (!r->id && c->req->handler != MQ_HANDLER_BATCH))
		return 0;
	if (t->recs_n == t->recs_cap) {
		size_t cap = t->recs_cap ? 2 * t->recs_cap : 1;
		struct mq_once_rec *p = realloc(t->recs, cap * sizeof *p);
		if (!p)
			return mq_consume_no_memory(c);
		t->recs = p;
		t->recs_cap = cap;
	}
	if (mq_buf_add(&t->ids, r->id ? r->id : "", r->id ? r->id_len : 0) < 0)
		return mq_consume_no_memory(c);
	t->recs[t->recs_n++] = (struct mq_once_rec){
	    .offset = r->offset,
	    .time_us = r->time_us,
	    .attempts = r->attempts,
	    .has_id = r->id != NULL,
	    .id_len = r->id ? r->id_len : 0,
	    .id_at = t->ids.len - (r->id ? r->id_len : 0),
	    .key = r->id ? c->engine->once_key(t->feed->once->ids, r->id, r->id_len) : 0,
	    .seen = t->seen,
	    .bytes = r->payload_len,
	    .input_end = t->input.len,
	};
	t->locks_n += r->id != NULL;
	return 0;
}

void mq_once_task_release(struct mq_task *t)
{
	free(t->recs);
	free(t->by_key);
	mq_buf_release(&t->ids);
}
