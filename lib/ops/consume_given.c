/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was given to the sink, in order, and when it counts as done. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops/consume.h"
#include "sys/sys.h"

static const int64_t FILE_SYNC_NS = 1000000000;              /* a file is synced at most once in */
static const int64_t LOOK_MIN_NS = 1000000, LOOK_MAX_NS = 200000000;

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

static int room(struct mq_consume *c)
{
	if (c->given_at == c->given_n)
		c->given_at = c->given_n = 0;
	if (c->given_n < c->given_cap)
		return 0;
	if (c->given_at > c->given_cap / 2) {
		memmove(c->given, c->given + c->given_at, (c->given_n - c->given_at) * sizeof *c->given);
		c->given_n -= c->given_at;
		c->given_at = 0;
		return 0;
	}
	size_t cap = c->given_cap ? 2 * c->given_cap : 32;
	struct mq_given *p = realloc(c->given, cap * sizeof *p);
	if (!p)
		return mq_consume_no_memory(c);
	c->given = p;
	c->given_cap = cap;
	return 0;
}

int mq_group_given(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_given *last = c->given_at < c->given_n ? &c->given[c->given_n - 1] : NULL;
	uint64_t from = f->shared.on ? f->shared.told : f->given;
	c->look_ns = LOOK_MIN_NS;
	f->given = f->shared.told = f->next;
	if (last && last->feed == f && last->bytes == c->sink.written && (!f->shared.on || last->next == from)) {
		last->next = f->next;
		return 0;
	}
	int rc = room(c);
	if (rc == 0)
		c->given[c->given_n++] = (struct mq_given){f, c->sink.written, from, f->next};
	return rc;
}

int mq_given_commit(struct mq_consume *c, bool idle)
{
	if (c->given_at == c->given_n)
		return 0;
	if (c->sink.kind == MQ_SINK_FILE) {
		int64_t now = now_ns();
		bool due = now - c->sink_synced_ns >= FILE_SYNC_NS;
		int rc = due || c->ended ? mq_sink_sync(&c->sink, c->err) : 0;
		if (rc < 0)
			return rc;
		if (due)
			c->sink_synced_ns = now;
	}
	mq_sink_look(&c->sink);
	size_t before = c->given_at;
	while (c->given_at < c->given_n && c->given[c->given_at].bytes <= c->sink.done) {
		struct mq_given *g = &c->given[c->given_at++];
		struct mq_feed *f = g->feed;
		f->done = g->next;
		bool more = c->given_at < c->given_n && c->given[c->given_at].bytes <= c->sink.done;
		int rc = f->shared.on ? mq_share_given(c, g) : more && c->given[c->given_at].feed == f ? 0 : mq_group_commit_feed(c, f);
		if (rc < 0)
			return rc;
	}
	if (before != c->given_at)
		c->look_ns = LOOK_MIN_NS;
	else if (idle && c->look_ns < LOOK_MAX_NS)
		c->look_ns *= 2;
	return 0;
}

int64_t mq_given_deadline(struct mq_consume *c)
{
	if (c->given_at == c->given_n)
		return -1;
	if (c->sink.kind == MQ_SINK_FILE)
		return c->sink_synced_ns + FILE_SYNC_NS;
	/* A pipe whose reader has taken all shows nothing new before more is written. */
	if (c->sink.kind == MQ_SINK_PIPE && c->sink.taken == c->sink.written && !mq_barrier_is_due(c))
		return -1;
	return now_ns() + c->look_ns;
}

static int sleep_until(struct mq_consume *c, int64_t until_ns)
{
	struct pollfd stop = {.fd = mq_stop_fd(c->mq), .events = POLLIN};
	int64_t left_ns = until_ns - now_ns();
	int rc = left_ns > 0 ? mq_sys->poll(&stop, 1, left_ns) : 0;
	return rc < 0 && rc != -EINTR ? mq_err_sys(c->err, rc, "cannot wait") : 0;
}

int mq_given_drain(struct mq_consume *c)
{
	int64_t timeout_ns = c->req->timeout_ns, deadline_ns = timeout_ns < 0 ? INT64_MAX : now_ns() + timeout_ns;
	int rc = mq_given_commit(c, true);

	while (rc == 0 && c->given_at < c->given_n && !c->sink.gone && !mq_stopping(c->mq)) {
		int drained = mq_sink_drained(&c->sink);
		if (drained < 0) {
			c->sink.gone = true;
			break;
		}
		rc = mq_given_commit(c, true);
		if (rc < 0 || drained > 0)
			break;
		if (now_ns() >= deadline_ns)
			return mq_err_set(c->err, MQ_EAGAIN, "the reader of the output did not take all of it in time (--timeout)");
		rc = sleep_until(c, now_ns() + (c->look_ns < LOOK_MAX_NS / 10 ? c->look_ns : LOOK_MAX_NS / 10));
	}
	return rc;
}
