/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What records of a shared partition leave behind: dead letters, and what is put aside to be tried again.
 *
 * Their tasks are done but for that; they stay claimed until a transfer puts what they leave and counts them as done, as a set
 * (transfer.h).  The lock of the partition's mover is held from a look whether this member was evicted until they are done for
 * all to see: so an intent is made by one alone, who has the records, and who finds it open knows its maker to be gone.
 *
 * A transfer that failed may have left its intent: then what it was about is given back by nobody.  It is free when this member
 * is gone, for those who look for an open intent first.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/consume_move.h"
#include "sys/sys.h"

enum { SOON_N = 512 }; /* offsets: of all members 2,048 may be claimed */
static const int64_t BUSY_NS = 5000000, TELL_NS = 1000000000;

struct act { /* one transfer */
	struct mq_consume *c;
	struct mq_feed *f;
	struct mq_transfer_source from;
	struct mq_transfer *x;
	uint64_t offsets[MQ_TRANSFER_SET_MAX];
	size_t n, bytes, records, tasks;
	char topics[2][201];      /* that it goes to: of dead letters, and the room */
	size_t n_topics;
};

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

int mq_share_move_task(struct mq_consume *c, struct mq_task *t)
{
	struct mq_shared *s = &t->feed->shared;
	struct mq_task **at = &s->leaving;

	if (!s->leaving && c->moves.pending++ == 0)
		c->moves.due_ns = c->moves.last_ns + c->moves.pause_ns;
	while (*at && (*at)->offset < t->offset)
		at = &(*at)->next;
	t->next = *at;
	*at = t;
	s->leaving_n += t->after - t->offset;
	c->moves.bytes += t->parcels_bytes;
	if (s->leaving_n >= SOON_N)
		c->moves.due_ns = now_ns();
	return 0;
}

/* --- one transfer --------------------------------------------------------------------------- */

static bool has_room(const struct act *a, const struct mq_task *t)
{
	return a->n + (t->after - t->offset) <= MQ_TRANSFER_SET_MAX &&
	       (!a->n || (a->bytes + t->parcels_bytes <= MQ_TRANSFER_BYTES_MAX && a->records + t->parcels_n <= MQ_TRANSFER_RECORDS_MAX));
}

static void name(struct act *a, const char *topic)
{
	for (size_t i = 0; i < a->n_topics; i++)
		if (strcmp(a->topics[i], topic) == 0)
			return;
	if (a->n_topics < 2)
		snprintf(a->topics[a->n_topics++], sizeof a->topics[0], "%s", topic);
}

static int put(struct act *a, const struct mq_task *t)
{
	int rc = 0;

	for (const struct mq_parcel *p = t->parcels; p && rc == 0; p = p->next) {
		rc = mq_transfer_put(a->x, p->topic, p->partition, &p->r, a->c->err);
		name(a, p->topic);
	}
	if (rc > 0)
		return mq_err_set(a->c->err, MQ_EBROKEN, "%s:%" PRIu32 ":%" PRIu64 ": what it leaves does not go at once", a->f->topic,
		                  a->f->partition, t->offset);
	for (uint64_t offset = t->offset; offset < t->after; offset++)
		a->offsets[a->n++] = offset;
	a->bytes += t->parcels_bytes;
	a->records += t->parcels_n;
	a->tasks++;
	return rc;
}

static int gather(struct act *a)
{
	int rc = 0;

	mq_transfer_begin_set(a->x, a->f->shared.leaving->offset);
	for (const struct mq_task *t = a->f->shared.leaving; t && has_room(a, t) && rc == 0; t = t->next)
		rc = put(a, t);
	if (rc == 0 && a->n == 0)
		rc = mq_err_set(a->c->err, MQ_EBROKEN, "%s:%" PRIu32 ": a batch of more than %d offsets does not go at once", a->f->topic,
		                a->f->partition, MQ_TRANSFER_SET_MAX);
	return rc;
}

static int act(struct act *a)
{
	struct mq_move_wait room = {0}, wait = {.topics = a->topics};
	int rc;

	do {
		rc = mq_transfer_open(&a->x, a->c->mq, &a->from, true, a->c->err);
		rc = rc < 0 ? mq_move_await_room(a->c, a->f, rc, &room) : 1;
	} while (rc == 0);
	if (rc > 0)
		rc = gather(a);
	wait.n_topics = a->n_topics;
	for (bool again = rc == 0; again;) {
		rc = mq_transfer_commit_set(a->x, a->offsets, a->n, a->c->err);
		again = rc < 0 && (rc = mq_move_await_room(a->c, a->f, rc, &wait)) == 0;
	}
	mq_transfer_close(a->x);
	return rc;
}

/* What lies behind its claim, and was handled, is this member's still: who evicted it does not let go of that before it has the
 * lock, too. */
static int holds(struct mq_consume *c, struct mq_feed *f)
{
	int rc = c->engine->owner_look(f->owner, true, c->err);

	return rc < 0 ? rc : c->engine->share_holds(f->owner, f->shared.leaving->offset, c->err);
}

static void forget(struct act *a)
{
	struct mq_shared *s = &a->f->shared;
	struct mq_put put = {0};

	while (a->tasks-- > 0) {
		struct mq_task *t = s->leaving;
		mq_put_add(&put, t);
		s->leaving = t->next;
		s->leaving_n -= t->after - t->offset;
		a->c->moves.bytes -= t->parcels_bytes;
		mq_task_free(a->c, t);
	}
	a->c->moves.pending -= !s->leaving;
	mq_put_tell(a->c, &put);
}

static int move_some(struct mq_consume *c, struct mq_feed *f)
{
	struct act *a = calloc(1, sizeof *a);
	int64_t began_ns = now_ns();
	int rc;

	if (!a)
		return mq_consume_no_memory(c);
	a->c = c;
	a->f = f;
	a->from = (struct mq_transfer_source){
	    .group = c->req->group, .topic = f->topic, .partition = f->partition, .owner = f->owner, .as_is = true};
	rc = holds(c, f);
	if (rc == 0)
		rc = act(a);
	if (rc == 0)
		forget(a);
	f->unsynced = c->unsynced = f->shared.unwritten = true;
	mq_move_took(c, began_ns);
	free(a);
	return rc;
}

/* --- all of them ---------------------------------------------------------------------------- */

/* 1: the lock is ours.  0: another member has it. */
static int take_mover(struct mq_consume *c, struct mq_feed *f, bool wait)
{
	int64_t began_ns = now_ns(), timeout_ns = c->req->timeout_ns;
	bool told = false;
	int rc;

	while ((rc = c->engine->share_mover(f->owner, true, c->err)) == 0 && wait) {
		int64_t waited_ns = now_ns() - began_ns;
		if (mq_stopping(c->mq) && waited_ns >= TELL_NS)
			return mq_err_set(c->err, MQ_EAGAIN, "%s:%" PRIu32 ": stopped while another member of group %s moves records out of it; what "
			                  "was not moved is given out again", f->topic, f->partition, c->req->group);
		if (timeout_ns >= 0 && waited_ns >= timeout_ns)
			return mq_err_set(c->err, MQ_EAGAIN, "%s:%" PRIu32 ": another member of group %s moves records out of it, and did not end in "
			                  "time (--timeout); what was not moved is given out again", f->topic, f->partition, c->req->group);
		if (!told && waited_ns >= TELL_NS)
			mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": waiting for another member of group %s, which moves records out of it", f->topic,
			              f->partition, c->req->group);
		told |= waited_ns >= TELL_NS;
		int slept = mq_sys->poll(NULL, 0, BUSY_NS);
		if (slept < 0 && slept != -EINTR)
			return mq_err_sys(c->err, slept, "cannot wait");
	}
	if (rc == 0)
		c->moves.busy_ns = now_ns() + BUSY_NS;
	return rc;
}

static int move(struct mq_consume *c, struct mq_feed *f, bool wait)
{
	int rc = take_mover(c, f, wait);

	if (rc <= 0)
		return rc;
	for (rc = 0; rc == 0 && f->shared.leaving;)
		rc = move_some(c, f);
	f->shared.move_failed = rc < 0;
	(void)c->engine->share_mover(f->owner, false, c->err);
	return rc;
}

int mq_share_move_all(struct mq_consume *c, bool wait)
{
	int rc = 0;

	for (size_t i = 0; i < c->feeds_n && rc == 0 && c->moves.pending; i++) {
		struct mq_feed *f = c->feeds[i];
		if (f->owner && f->shared.leaving && !f->shared.move_failed)
			rc = move(c, f, wait);
	}
	return rc;
}

void mq_share_move_free(struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n; i++)
		while (c->feeds[i]->shared.leaving) {
			struct mq_task *t = c->feeds[i]->shared.leaving;
			c->feeds[i]->shared.leaving = t->next;
			mq_task_free(c, t);
		}
}
