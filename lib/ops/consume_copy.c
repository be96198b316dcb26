/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/consume_copy_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/murmur2.h"
#include "ops/consume_to.h"
#include "ops/dead.h"
#include "sys/sys.h"

enum {
	LINES_MIN = 16 << 10, /* fewer bytes are put together with others */
	OPEN_MAX = 3,         /* so often a partition is opened for lines, one after the other, before they go one by one */
};
static const int64_t PAUSE_NS = 200000000, FACTS_NS = 1000000000;

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* --- the other topic ------------------------------------------------------------------------ */

int mq_copy_learn(struct mq_consume *c)
{
	struct mq_copies *k = c->copies;
	int64_t now = now_ns();

	if (k->out_ns && now - k->out_ns < FACTS_NS)
		return 0;
	k->out_ns = now;
	return c->engine->topic_facts(c->store, c->req->to, &k->out, c->err);
}

/* --- copying -------------------------------------------------------------------------------- */

static int commit(struct mq_consume *c, struct mq_feed *f, uint64_t end)
{
	struct mq_copying *x = f->copying;
	struct mq_copies *k = c->copies;
	struct mq_transfer_wait wait = {0};
	int rc;

	if (end <= mq_transfer_place(x->t))
		return 0;
	do {
		rc = mq_transfer_commit(x->t, end, c->err);
		rc = rc < 0 ? mq_transfer_await_room(c->mq, x->t, rc, c->req->timeout_ns, &wait, c->err) : 1;
	} while (rc == 0);
	if (x->pending)
		k->pending--;
	x->pending = false;
	k->last_ns = now_ns();
	k->robin += !x->opens;
	return rc < 0 ? rc : mq_copy_learn(c);
}

int mq_copy_open(struct mq_consume *c, struct mq_feed *f, uint64_t *ret)
{
	struct mq_copying *x = f->copying;
	const struct mq_run_hold *run = NULL;
	int rc = 0;

	*ret = f->next;
	if (x || f->left)
		return 0;
	for (size_t i = 0; i < c->req->n_topics; i++)
		if (c->copies->runs[i] && strcmp(c->req->topics[i], f->topic) == 0)
			run = c->copies->runs[i];
	f->copying = x = calloc(1, sizeof *x);
	if (!x)
		return mq_consume_no_memory(c);
	for (uint32_t n = 0; n < mq_run_facts(run)->n; n++)
		if (mq_run_range(run, n).partition == f->partition)
			mq_run_source(run, n, &x->run, &x->from);
	rc = mq_transfer_open(&x->t, c->mq, &x->from, true, c->err);
	if (rc < 0)
		return rc;
	mq_transfer_begin(x->t);
	*ret = mq_transfer_place(x->t) > *ret ? mq_transfer_place(x->t) : *ret;
	return 0;
}

static uint32_t choose(const struct mq_copies *k, const struct mq_rec *r)
{
	return r->key ? mq_partition_of_key(r->key, r->key_len, k->out.partitions) : k->robin % k->out.partitions;
}

static void note(struct mq_consume *c, struct mq_copying *x, uint64_t records, uint64_t bytes)
{
	c->copies->pending += !x->pending;
	x->pending = true;
	c->report.records += records;
	c->report.bytes += bytes;
}

/* A record on its way: as a copy, or as another one. */
struct going {
	struct mq_rec r;
	uint32_t partition;
	bool anew;
};

/* What has expired goes as a new record: with its times it would be over where it comes, too.  A dead letter as what it was. */
static int prepare(struct mq_consume *c, const struct mq_feed *f, const struct mq_rec *r, struct going *ret)
{
	struct mq_copies *k = c->copies;
	int rc = 0;

	*ret = (struct going){.r = *r, .partition = choose(k, r), .anew = c->req->expired || c->req->letters_of};
	if (c->req->expired)
		ret->r.expiry_us = ret->r.time_us = 0;
	if (c->req->letters_of) {
		rc = mq_dead_back(&k->headers, r, c->req->letters_of, &ret->r, &ret->partition);
		ret->partition %= k->out.partitions;
	}
	return rc < 0 ? mq_err_set(c->err, rc, "%s:%" PRIu32 ":%" PRIu64 ": this dead letter cannot go back", f->topic, f->partition, r->offset) : 0;
}

static int put(struct mq_consume *c, struct mq_feed *f, const struct going *g)
{
	return g->anew ? mq_transfer_put(f->copying->t, c->req->to, g->partition, &g->r, c->err)
	               : mq_transfer_copy(f->copying->t, c->req->to, g->partition, &g->r, c->err);
}

static int copy(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r)
{
	uint32_t max = c->copies->out.max_message_bytes;
	struct going g;
	int rc = prepare(c, f, r, &g);

	if (rc < 0)
		return rc;
	if (g.r.payload_len > max || g.r.key_len > max || g.r.headers_len > max || g.r.id_len > max || g.r.tag_len > max)
		return mq_err_set(c->err, MQ_EINPUT, "%s:%" PRIu32 ":%" PRIu64 ": a record of %" PRIu32 " bytes, and %s takes %" PRIu32
		                  " (max.message.bytes)", f->topic, f->partition, r->offset, r->payload_len, c->req->to, max);
	rc = put(c, f, &g);
	if (rc == 1) {
		rc = commit(c, f, r->offset);
		if (rc == 0)
			rc = put(c, f, &g);
	}
	if (rc != 0)
		return rc < 0 ? rc : mq_err_set(c->err, MQ_EBROKEN, "%s:%" PRIu32 ":%" PRIu64 ": it does not go at once", f->topic, f->partition, r->offset);
	note(c, f->copying, 1, r->payload_len);
	return 0;
}

/* The lines that come next, into the partition whose turn it is.  0, or as mq_transfer_lines. */
static int append_lines(struct mq_consume *c, struct mq_feed *f, const struct mq_transfer_lines *l, uint64_t first)
{
	struct mq_copies *k = c->copies;
	struct mq_transfer_wait wait = {0};
	int rc;

	for (;;) {
		rc = mq_transfer_lines(f->copying->t, c->req->to, k->robin % k->out.partitions, l, c->err);
		if (rc == MQ_TRANSFER_FULL)
			rc = commit(c, f, first);
		else
			rc = rc < 0 ? mq_transfer_await_room(c->mq, f->copying->t, rc, c->req->timeout_ns, &wait, c->err) : rc == 0 ? MQ_TRANSFER_FULL : rc;
		if (rc != 0)
			return rc == MQ_TRANSFER_FULL ? 0 : rc;
	}
}

/* Plain lines as they lie in the view: 1: they went.  -ENOTSUP: one by one.  The first of a partition go by themselves, so that it
 * is one where more may come. */
static int copy_lines(struct mq_consume *c, struct mq_feed *f)
{
	const struct mq_batch *b = &f->view.batch;
	struct mq_copying *x = f->copying;
	uint64_t first = f->next, n;
	const char *p;
	size_t len;

	if (b->kind != MQ_BATCH_LINES || c->filter.any || f->ttl_us || c->req->expired || f->walking || c->pace.per_second > 0 || c->req->speed > 0)
		return -ENOTSUP;
	int rc = mq_feed_lines(c, f, UINT64_MAX, &p, &len, &n);
	if (rc <= 0)
		return rc < 0 ? rc : -ENOTSUP;
	struct mq_transfer_lines l = mq_to_lines(f, p, len, n);
	rc = len < LINES_MIN || mq_to_is_too_long(p, len, c->copies->out.max_message_bytes) ? MQ_TRANSFER_ONE_BY_ONE : append_lines(c, f, &l, first);
	if (rc == 0) {
		x->tries = 0;
		note(c, x, n, len - n);
		return 1;
	}
	mq_feed_turn(f, first);
	x->opens = rc == MQ_TRANSFER_ONE_BY_ONE && len >= LINES_MIN && ++x->tries <= OPEN_MAX;
	return rc < 0 ? rc : -ENOTSUP;
}

static int copy_records(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_rec r;
	int rc = 1;

	while (rc > 0) {
		if (!c->allowed)
			c->allowed = mq_consume_allow(c, c->pace.per_second > 0 ? 1 : UINT64_MAX);
		if (!c->allowed)
			return 0;
		rc = mq_feed_record(c, f, &r);
		if (rc <= 0)
			break;
		if (!mq_speed_lets(c, r.time_us)) {
			mq_feed_turn(f, r.offset);
			return 0;
		}
		c->allowed--;
		rc = copy(c, f, &r);
		if (rc < 0)
			f->next = r.offset; /* what came before goes */
		else if (f->copying->opens) {
			rc = commit(c, f, f->next);
			mq_feed_turn(f, f->next);
			f->walking = false;
			f->copying->opens = false;
			break;
		} else
			rc = 1;
	}
	return rc < 0 ? rc : 1;
}

int mq_copy_view(struct mq_consume *c, struct mq_feed *f)
{
	int rc = copy_lines(c, f);

	return rc == -ENOTSUP ? copy_records(c, f) : rc;
}

/* --- when it is committed ------------------------------------------------------------------- */

static int commit_all(struct mq_consume *c)
{
	int rc = 0;

	for (size_t i = 0; i < c->feeds_n && rc == 0 && c->copies->pending; i++)
		if (c->feeds[i]->copying && c->feeds[i]->copying->pending)
			rc = commit(c, c->feeds[i], c->feeds[i]->next);
	return rc;
}

int64_t mq_copy_due(const struct mq_consume *c)
{
	return c->copies && c->copies->pending ? c->copies->last_ns + PAUSE_NS : -1;
}

int mq_copy_step(struct mq_consume *c, bool idle)
{
	bool due = c->copies && idle && c->copies->pending && now_ns() >= mq_copy_due(c);

	return due ? commit_all(c) : 0;
}

int mq_copy_close(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_copying *x = f->copying;

	if (!x)
		return 0;
	int rc = x->pending ? commit(c, f, f->next) : 0;
	mq_transfer_close(x->t);
	c->copies->pending -= x->pending;
	free(x);
	f->copying = NULL;
	return rc;
}

int mq_copy_end(struct mq_consume *c, int rc)
{
	bool all = rc == 0;

	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = c->feeds[i];

		all &= f->left || mq_feed_ended(f);
		int closed = rc < 0 && rc != MQ_EINPUT ? 0 : mq_copy_close(c, f);
		rc = rc < 0 ? rc : closed;
	}
	if (rc == 0 && !all)
		return mq_err_set(c->err, MQ_EAGAIN, "stopped before the end: the same command goes on where this ended");
	for (size_t i = 0; i < c->req->n_topics && rc == 0; i++)
		if (c->copies->runs[i])
			rc = mq_run_finish(c->copies->runs[i], c->err);
	return rc;
}

void mq_copy_free(struct mq_consume *c)
{
	if (!c->copies)
		return;
	for (size_t i = 0; i < c->feeds_n; i++)
		if (c->feeds[i]->copying) {
			mq_transfer_close(c->feeds[i]->copying->t);
			free(c->feeds[i]->copying);
		}
	for (size_t i = 0; i < c->req->n_topics && c->copies->runs; i++)
		mq_run_close(c->copies->runs[i]);
	mq_buf_release(&c->copies->headers);
	free(c->copies->runs);
	free(c->copies);
}
