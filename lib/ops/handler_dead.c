/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A task's records become dead letters, or are parked until they are to be handled again.  They are read again, since a task keeps
 * of them only what its handler gets.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "ops/consume_move.h"
#include "ops/consume_once.h"
#include "ops/dead.h"
#include "ops/room.h"
#include "sys/sys.h"

struct letters {
	struct mq_consume *c;
	struct mq_task *t;
	struct mq_failure *why;
	char topic[MQ_NAME_MAX + 1];
	uint32_t partition, left; /* of the task's records, to be found yet */
	int64_t due_us;           /* of those that come back; 0: they are dead */
	struct mq_buf headers;
	struct mq_body body;
};

int mq_dead_note(struct mq_task *t, uint64_t offset)
{
	uint8_t at[4];

	mq_put_le32(at, (uint32_t)(offset - t->offset));
	return mq_buf_add(&t->nth, at, sizeof at);
}

/* --- the topic ------------------------------------------------------------------------------ */

/* Made with one partition, and with room for what a dead letter says beside the largest record. */
static int make_topic(struct letters *l, struct mq_topic_facts *ret)
{
	struct mq_consume *c = l->c;
	int rc = c->engine->topic_create(c->store, l->topic, 1, NULL, 0, false, c->err);

	if (rc < 0 && rc != -EEXIST)
		return rc;
	*c->err = (struct mq_err){0};
	return c->engine->topic_facts(c->store, l->topic, ret, c->err);
}

static int find_topic(struct letters *l)
{
	struct mq_consume *c = l->c;
	struct mq_topic_facts facts;
	int rc = c->engine->topic_facts(c->store, l->topic, &facts, c->err);

	if (rc == MQ_ENOTOPIC) {
		*c->err = (struct mq_err){0};
		rc = make_topic(l, &facts);
	}
	if (rc == 0)
		l->partition = l->t->feed->partition % facts.partitions;
	return rc;
}

/* --- the records ---------------------------------------------------------------------------- */

/* Of a batch not every record between its first and its last was wanted, or had still to be handled. */
static bool is_in(const struct mq_task *t, uint64_t offset)
{
	const uint8_t *p = (const uint8_t *)t->nth.p;
	size_t low = 0, n = t->nth.len / 4;

	for (size_t i = 0; i < t->recs_n; i++)
		if (t->recs[i].offset == offset && t->recs[i].done)
			return false;
	if (n == 0)
		return offset == t->offset;
	for (size_t high = n; low < high;) {
		size_t mid = (low + high) / 2;
		if (t->offset + mq_get_le32(p + 4 * mid) < offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low < n && t->offset + mq_get_le32(p + 4 * low) == offset;
}

static int leave(struct letters *l, const struct mq_rec *r)
{
	const struct mq_feed *f = l->t->feed;
	struct mq_rec letter;
	uint32_t here = l->why->attempts;

	l->why->attempts += r->attempts + l->t->given_back;
	int rc = l->due_us ? mq_dead_retry(&l->headers, r, f->topic, f->partition, l->c->req->group, l->why, l->due_us, &letter)
	                   : mq_dead_letter(&l->headers, r, f->topic, f->partition, l->c->req->group, l->why, &letter);
	l->why->attempts = here;
	if (rc < 0)
		return mq_err_set(l->c->err, rc, "%s:%" PRIu32 ":%" PRIu64 ": its headers cannot be written", f->topic, f->partition, r->offset);
	l->left -= l->left > 0;
	return mq_move_leave(l->c, l->t, l->topic, l->partition, &letter);
}

/* 1: there may be more behind this batch. */
static int leave_batch(struct letters *l, const struct mq_view *v)
{
	struct mq_walk walk;
	struct mq_rec r;
	int rc = mq_body_walk(&l->body, v, &walk, l->c->err);

	while (rc >= 0 && (rc = mq_walk_next(&walk, &r)) > 0 && r.offset < l->t->after) {
		int left = is_in(l->t, r.offset) ? leave(l, &r) : 0;
		if (left < 0)
			return left;
	}
	if (rc < 0 && !l->c->err->code)
		mq_err_set(l->c->err, rc, "%s:%" PRIu32 ": the batch at %" PRIu64 " contradicts itself", l->t->feed->topic, l->t->feed->partition,
		           v->batch.base_offset);
	return rc < 0 ? rc : v->batch.next_offset < l->t->after;
}

static int leave_all(struct letters *l, struct mq_source *source)
{
	const struct mq_engine *e = l->c->engine;
	struct mq_loss loss = {0};
	struct mq_view v = {0};
	int rc = e->source_seek(source, l->t->offset, &loss, l->c->err);

	for (bool more = rc == 0; more && rc >= 0;) {
		rc = e->source_next(source, &v, &loss, l->c->err);
		if (rc == MQ_EDAMAGE) { /* it was passed since: what is left is dead all the same */
			*l->c->err = (struct mq_err){0};
			rc = 1;
			continue;
		}
		if (rc > 0)
			rc = leave_batch(l, &v);
		more = rc > 0;
	}
	return rc < 0 ? rc : 0;
}

static int read_and_leave(struct letters *l)
{
	const struct mq_feed *f = l->t->feed;
	struct mq_source *source;
	int rc = l->c->engine->source_open(l->c->store, f->topic, f->partition, &source, l->c->err);

	if (rc < 0)
		return rc;
	rc = leave_all(l, source);
	l->c->engine->source_close(source);
	mq_body_release(&l->body);
	if (rc == 0 && l->left) /* the log start moved past it while it was handled */
		mq_ops_notice(l->c->mq, 0, "%s:%" PRIu32 ": %" PRIu32 " records from %" PRIu64 " on are not held any more: nothing is left of them",
		              f->topic, f->partition, l->left, l->t->offset);
	return rc;
}

static int read_all(struct letters *l)
{
	mq_move_forget(l->c, l->t); /* what it printed goes nowhere (--to) */
	l->left = l->t->count;
	return read_and_leave(l);
}

/* 0; else nothing is left behind. */
static int ended(struct letters *l, int rc, const char *what)
{
	mq_buf_release(&l->headers);
	if (rc == 0)
		return 0;
	mq_move_forget(l->c, l->t);
	mq_err_prefix(l->c->err, "%s", what);
	return rc;
}

int mq_dead_leave(struct mq_consume *c, struct mq_task *t, struct mq_failure *why)
{
	struct letters l = {.c = c, .t = t, .why = why};
	int rc = mq_dead_topic(t->feed->topic, l.topic) ? find_topic(&l) : mq_err_set(c->err, MQ_EUSAGE, "%s has no dead letters", t->feed->topic);

	if (rc == 0)
		rc = read_all(&l);
	if (rc == MQ_EINPUT && why->stderr_len) { /* it is as large as a record may be, as it is */
		*c->err = (struct mq_err){0};
		why->stderr_len = 0;
		rc = read_all(&l);
	}
	return ended(&l, rc, "its dead letter could not be made");
}

bool mq_dead_takes_expired(const struct mq_consume *c, const struct mq_feed *f)
{
	char dead[MQ_NAME_MAX + 1];

	return f->expired_dead && mq_retry_applies(c) && mq_dead_topic(f->topic, dead);
}

/* It is at hand, so it is not read again; and no handler had it. */
int mq_dead_expired(struct mq_consume *c, struct mq_task *t, const struct mq_rec *r)
{
	struct mq_failure why = {.reason = "expired", .status = -1, .last_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000};
	struct letters l = {.c = c, .t = t, .why = &why};
	int rc = mq_dead_topic(t->feed->topic, l.topic) ? find_topic(&l) : MQ_EUSAGE;

	if (rc == 0)
		rc = leave(&l, r);
	rc = ended(&l, rc, "it has expired, and its dead letter could not be made");
	if (rc < 0)
		return rc;
	t->offset = r->offset;
	t->after = r->offset + 1;
	t->count = 1;
	t->state = MQ_TASK_DONE;
	t->dead = true;
	return 0;
}

int mq_dead_park(struct mq_consume *c, struct mq_task *t, struct mq_failure *why, int64_t due_us)
{
	struct letters l = {.c = c, .t = t, .why = why, .partition = t->feed->partition, .due_us = due_us};
	struct mq_topic_facts facts;
	int rc = mq_room_name(c->mq, t->feed->topic, true, l.topic, &facts, c->err);

	if (rc == 0)
		rc = read_all(&l);
	return ended(&l, rc, "it could not be put aside to be tried again");
}
