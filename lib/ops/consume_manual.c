/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Positions printed, acknowledged from outside.  The place moves by acknowledgements; offsets that were not
 * printed (filtered, expired, lost) wait for none, so the place is moved past them when it stands before them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/consume.h"
#include "sys/sys.h"

int mq_manual_pass(struct mq_consume *c, struct mq_feed *f, uint64_t from, uint64_t to)
{
	if (f->passed_at < f->passed_n && f->passed[f->passed_n - 1].to == from) {
		f->passed[f->passed_n - 1].to = to;
		return 0;
	}
	if (f->passed_at == f->passed_n)
		f->passed_at = f->passed_n = 0;
	if (f->passed_n == f->passed_cap && f->passed_at > f->passed_cap / 2) {
		memmove(f->passed, f->passed + f->passed_at, (f->passed_n - f->passed_at) * sizeof *f->passed);
		f->passed_n -= f->passed_at;
		f->passed_at = 0;
	}
	if (f->passed_n == f->passed_cap) {
		size_t cap = f->passed_cap ? 2 * f->passed_cap : 16;
		struct mq_passed *p = realloc(f->passed, cap * sizeof *p);
		if (!p)
			return mq_consume_no_memory(c);
		f->passed = p;
		f->passed_cap = cap;
	}
	f->passed[f->passed_n++] = (struct mq_passed){from, to};
	return 0;
}

static int64_t acks_deadline(const struct mq_consume *c)
{
	return c->req->timeout_ns < 0 ? 0 : mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + c->req->timeout_ns;
}

bool mq_manual_is_over(struct mq_consume *c, const struct mq_feed *f)
{
	if (c->req->form != MQ_OUT_POSITIONS || c->req->follow || !mq_feed_ended(f))
		return false;
	if (!c->acks_ns)
		c->acks_ns = acks_deadline(c);
	return c->acks_ns && mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) >= c->acks_ns;
}

/* Take in what was acknowledged; past what needs no acknowledgement; again.  Acknowledgements of an earlier run may lead
 * past what this one has printed: that is not printed any more. */
static int merge(struct mq_consume *c, struct mq_feed *f)
{
	for (;;) {
		struct mq_place place;
		int rc = c->engine->owner_merge_acks(f->owner, &place, c->err);
		if (rc < 0)
			return rc;
		uint64_t at = place.set ? place.offset : f->committed;
		if (at > f->committed) {
			f->unsynced = c->unsynced = true;
			f->committed = f->done = at;
			f->next = at > f->next ? at : f->next;
			c->acks_ns = c->acks_ns ? acks_deadline(c) : 0;
			rc = mq_barrier_committed(c, f);
			if (rc < 0)
				return rc;
		}
		while (f->passed_at < f->passed_n && f->passed[f->passed_at].to <= at)
			f->passed_at++;
		if (f->passed_at == f->passed_n || f->passed[f->passed_at].from > at)
			return 0;
		f->done = f->passed[f->passed_at++].to;
		rc = mq_group_commit_feed(c, f);
		if (rc < 0)
			return rc;
	}
}

int mq_manual_merge_of(struct mq_consume *c, struct mq_feed *f)
{
	return merge(c, f);
}

int mq_manual_merge(struct mq_consume *c)
{
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc == 0; i++)
		if (c->feeds[i]->owner)
			rc = merge(c, c->feeds[i]);
	return rc;
}

static uint64_t outstanding(const struct mq_consume *c)
{
	uint64_t n = 0;
	for (size_t i = 0; i < c->feeds_n; i++)
		if (c->feeds[i]->owner)
			n += c->feeds[i]->next - c->feeds[i]->done;
	return n;
}

/* Watch, look, wait. */
static int wait_for_acks(struct mq_consume *c, int64_t deadline_ns)
{
	struct mq_wait w;
	const char *topic = NULL;
	int rc = 0;

	mq_wait_init(&w);
	for (size_t i = 0; i < c->feeds_n && rc >= 0; i++) {
		const struct mq_feed *f = c->feeds[i];
		if (!f->owner || f->next <= f->done || (topic && strcmp(topic, f->topic) == 0))
			continue;
		topic = f->topic; /* one owner's wake-up is that of all in it */
		rc = c->engine->owner_arm(f->owner, &w, c->err);
	}
	if (rc >= 0)
		rc = mq_wait_fd(&w, mq_stop_fd(c->mq), POLLIN) < 0 ? mq_consume_no_memory(c) : 0;
	while (rc == 0 && !mq_stopping(c->mq)) {
		rc = mq_manual_merge(c);
		if (rc < 0 || outstanding(c) == 0)
			break;
		rc = mq_wait_for(&w, deadline_ns);
		if (rc == MQ_WAIT_DEADLINE) {
			rc = mq_manual_merge(c);
			break;
		}
		rc = rc < 0 ? mq_err_sys(c->err, rc, "cannot wait for acknowledgements") : 0;
	}
	mq_wait_release(&w);
	return rc;
}

int mq_manual_finish(struct mq_consume *c)
{
	int64_t timeout_ns = c->req->timeout_ns;
	int rc = mq_manual_merge(c);
	if (rc < 0)
		return rc;
	/* Whoever reads the positions must see their end, or it may never acknowledge the last. */
	mq_sys->close(c->sink.fd);
	c->sink.fd = -1;
	if (outstanding(c))
		rc = wait_for_acks(c, timeout_ns < 0 ? -1 : mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + timeout_ns);
	uint64_t n = outstanding(c);
	if (rc < 0 || n == 0)
		return rc;
	return mq_err_set(c->err, MQ_EAGAIN, "%" PRIu64 " records were printed and not acknowledged%s", n,
	                  mq_stopping(c->mq) ? "" : " in time (mq-group commit; --timeout)");
}
