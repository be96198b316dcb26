/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A drain: a member that ends when the group is done with all there was when it began, whoever did it.
 *
 * Where each partition ended is asked once, before the first record is given out (consume_setup).  What other members have is
 * waited for until the group's place has passed that; what they let go of is taken.
 */
#include <stdlib.h>
#include <string.h>

#include "ops/consume.h"
#include "sys/sys.h"

static const int64_t TELL_NS = 200000000; /* how often progress is told */

struct mq_drain {
	int *fds;             /* by topic of the request: nobody else drains it; -1: not held */
	uint64_t *from;       /* by feed, of those there were at the beginning: where the group stood */
	size_t n;
	int64_t tell_ns;
	uint64_t all;
};

static bool is_named_before(const struct mq_consume_request *req, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (strcmp(req->topics[k], req->topics[i]) == 0)
			return true;
	return false;
}

/* What a killed one had just forked for a handler has its files until it becomes the handler, and with them the lock: so that
 * somebody drains it is believed after a second of tries, and one after that: this process may have stood still. */
static int hold(struct mq_consume *c, size_t i)
{
	static const int64_t FIRST_NS = 1000000, ALL_NS = 1000000000;
	int64_t until_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + ALL_NS, pause_ns = FIRST_NS;

	if (!c->engine->group_drain_fd || is_named_before(c->req, i))
		return 0;
	int rc = c->engine->group_drain_fd(c->store, c->req->group, c->req->topics[i], c->err);
	for (bool last = false; rc == MQ_EAGAIN && !last && !mq_stopping(c->mq); pause_ns *= 2) {
		last = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) >= until_ns;
		if (mq_sys->poll(NULL, 0, pause_ns) < 0)
			continue; /* a signal */
		*c->err = (struct mq_err){0};
		rc = c->engine->group_drain_fd(c->store, c->req->group, c->req->topics[i], c->err);
	}
	if (rc < 0)
		return rc;
	c->drain->fds[i] = rc;
	return 0;
}

/* Where the group stands: 0. */
static int find_place(struct mq_consume *c, const struct mq_feed *f, uint64_t *ret)
{
	struct mq_bounds b;
	int rc = c->engine->bounds(c->store, f->topic, f->partition, &b, c->err);
	uint64_t at = 0;

	if (rc < 0)
		return rc;
	rc = f->owner ? 0 : mq_group_stood(c, f, &at);
	if (f->owner)
		at = f->done;
	*ret = at > b.log_start ? at : b.log_start;
	return rc < 0 ? rc : 0;
}

int mq_drain_begin(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	int rc = 0;

	if (!req->drain)
		return 0;
	struct mq_drain *d = c->drain = calloc(1, sizeof *d);
	if (!d || !(d->fds = malloc((req->n_topics + 1) * sizeof *d->fds)))
		return mq_consume_no_memory(c);
	for (size_t i = 0; i < req->n_topics; i++)
		d->fds[i] = -1;
	if (!(d->from = calloc(c->feeds_n + 1, sizeof *d->from)))
		return mq_consume_no_memory(c);
	for (size_t i = 0; i < req->n_topics && rc == 0; i++)
		rc = hold(c, i);
	for (d->n = 0; d->n < c->feeds_n && rc == 0; d->n++) {
		const struct mq_feed *f = c->feeds[d->n];
		rc = find_place(c, f, &d->from[d->n]);
		d->all += f->end > d->from[d->n] ? f->end - d->from[d->n] : 0;
	}
	return rc;
}

void mq_drain_end(struct mq_consume *c)
{
	struct mq_drain *d = c->drain;

	if (!d)
		return;
	for (size_t i = 0; d->fds && i < c->req->n_topics; i++)
		if (d->fds[i] >= 0)
			mq_sys->close(d->fds[i]);
	free(d->fds);
	free(d->from);
	free(d);
	c->drain = NULL;
}

int mq_drain_passed(struct mq_consume *c, const struct mq_feed *f)
{
	uint64_t at;
	int rc = find_place(c, f, &at);

	return rc < 0 ? rc : at >= f->end;
}

int64_t mq_drain_due(const struct mq_consume *c)
{
	return c->drain && c->req->progress ? c->drain->tell_ns : -1;
}

int mq_drain_tell(struct mq_consume *c, bool now)
{
	struct mq_drain *d = c->drain;
	uint64_t done = 0;
	int rc = 0;

	if (!d || !c->req->progress || (!now && mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) < d->tell_ns))
		return 0;
	for (size_t i = 0; i < d->n && rc == 0; i++) {
		const struct mq_feed *f = c->feeds[i];
		uint64_t at = 0;
		rc = find_place(c, f, &at);
		at = at < f->end ? at : f->end;
		done += at > d->from[i] ? at - d->from[i] : 0;
	}
	if (rc < 0)
		return rc;
	c->req->progress(c->req->progress_arg, done, d->all);
	d->tell_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + TELL_NS;
	return 0;
}
