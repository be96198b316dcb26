/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a group has not read, evenly over all partitions: those with more than their share give the first of it to those with
 * less, by transfers of copies for that group alone.
 *
 * Nothing of it is remembered but what the transfers leave: a run that was killed is gone on with by the next, which finishes
 * the intent that is open and counts anew.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "ops/body.h"
#include "ops/ops.h"
#include "ops/spread_take.h"
#include "ops/transfer.h"

enum { RUN_MAX = 1000 }; /* records in a row into one partition */

struct share {
	uint64_t place, end;      /* offsets not read yet: [place, end) */
	uint64_t fair;            /* so many it is to have */
	uint64_t moved;           /* out of it */
	uint64_t wants;           /* more */
	struct mq_owner *owner;   /* where it gives */
	struct mq_transfer *transfer;
};

struct spread {
	struct mq *mq;
	const struct mq_engine *engine;
	const struct mq_spread_request *req;
	struct mq_spread_report report;
	struct share *shares;     /* one a partition */
	uint32_t n;
	struct mq_member *member;
	uint32_t turn;            /* whose turn it is to get, and how many more in this run */
	uint64_t run_left, run;
	struct mq_body body;
	struct mq_err *err;
};

static uint64_t lag(const struct share *s)
{
	return s->end > s->place ? s->end - s->place : 0;
}

static uint64_t excess(const struct share *s)
{
	return lag(s) > s->fair ? lag(s) - s->fair : 0;
}

/* --- who is to have how much ---------------------------------------------------------------- */

static int look_at(struct spread *s, uint32_t p, bool *ret_set)
{
	struct share *x = &s->shares[p];
	struct mq_bounds b;
	struct mq_place place;
	int rc = s->engine->bounds(s->mq->store, s->req->topic, p, &b, s->err);

	if (rc == 0)
		rc = s->engine->group_place(s->mq->store, s->req->group, s->req->topic, p, &place, s->err);
	if (rc == MQ_ENOTOPIC) {
		*s->err = (struct mq_err){0};
		place = (struct mq_place){0};
		rc = 0;
	}
	*ret_set |= place.set;
	x->place = place.set && place.offset > b.log_start ? place.offset : b.log_start;
	x->end = b.visible;
	return rc;
}

static int by_lag(const void *a, const void *b)
{
	uint64_t x = lag(*(const struct share *const *)a), y = lag(*(const struct share *const *)b);

	return x < y ? 1 : x > y ? -1 : 0;
}

/* Within one of each other; who has most keeps one more, so that least is moved. */
static int divide(struct spread *s)
{
	struct share **order = malloc(s->n * sizeof(struct share *));
	uint64_t all = 0;

	if (!order)
		return mq_err_set(s->err, -ENOMEM, "out of memory");
	for (uint32_t p = 0; p < s->n; p++) {
		order[p] = &s->shares[p];
		all += lag(order[p]);
	}
	qsort(order, s->n, sizeof(struct share *), by_lag);
	for (uint32_t i = 0; i < s->n; i++)
		order[i]->fair = all / s->n + (i < all % s->n);
	free(order);
	return 0;
}

static int count(struct spread *s)
{
	bool set = false;
	int rc = 0;

	for (uint32_t p = 0; p < s->n && rc == 0; p++)
		rc = look_at(s, p, &set);
	if (rc == 0 && !set)
		rc = mq_err_set(s->err, MQ_ENOTOPIC, "group %s has not read topic %s: see mq-group list", s->req->group, s->req->topic);
	if (rc == 0)
		rc = divide(s);
	s->report.all = s->report.records = 0;
	for (uint32_t p = 0; p < s->n && rc == 0; p++) {
		struct share *x = &s->shares[p];
		x->wants = lag(x) < x->fair ? x->fair - lag(x) : 0;
		x->moved = 0;
		s->report.all += excess(x);
	}
	return rc;
}

static int tell_shares(struct spread *s)
{
	int rc = 0;

	for (uint32_t p = 0; p < s->n && rc == 0 && s->req->share; p++) {
		const struct mq_spread_share share = {p, lag(&s->shares[p]), s->shares[p].fair};
		rc = s->req->share(s->req->arg, &share);
	}
	return rc;
}

/* --- taking --------------------------------------------------------------------------------- */

static int tell_owner(struct spread *s, uint32_t p)
{
	int64_t pid = -1;
	char member[64] = "";
	bool handler_left = false;
	int rc = s->engine->group_owner(s->mq->store, s->req->group, s->req->topic, p, &pid, member, &handler_left, s->err);

	if (rc < 0)
		return rc;
	if (handler_left)
		return mq_err_set(s->err, MQ_EAGAIN, "%s:%" PRIu32 " has more than its share, and a killed member's handler holds it: stop that first",
		                  s->req->topic, p);
	return mq_err_set(s->err, MQ_EAGAIN, "%s:%" PRIu32 " has more than its share, and member %s of group %s is at work on it and does not let go of it: stop that first",
	                  s->req->topic, p, *member ? member : "?", s->req->group);
}

/* What a killed one has begun is finished by this. */
static int take(struct spread *s, uint32_t p)
{
	struct share *x = &s->shares[p];
	int rc = s->engine->owner_take(s->member, s->req->topic, p, NULL, &x->owner, s->err);

	if (rc == 0)
		rc = mq_spread_ask(s->mq, s->member, s->req->topic, p, &x->owner, s->err);
	if (rc <= 0)
		return rc < 0 ? rc : tell_owner(s, p);
	const struct mq_transfer_source from = {.group = s->req->group, .topic = s->req->topic, .partition = p, .owner = x->owner};
	return mq_transfer_open(&x->transfer, s->mq, &from, true, s->err);
}

static void release(struct spread *s)
{
	for (uint32_t p = 0; p < s->n; p++) {
		mq_transfer_close(s->shares[p].transfer);
		if (s->shares[p].owner)
			s->engine->owner_release(s->shares[p].owner);
		s->shares[p].transfer = NULL;
		s->shares[p].owner = NULL;
	}
	if (s->member)
		s->engine->member_leave(s->member);
	s->member = NULL;
}

static int hold(struct spread *s)
{
	struct mq_topic_facts facts;
	char intents[201];

	if (!s->engine->internal_open)
		return mq_err_set(s->err, MQ_EUSAGE, "records cannot be moved here: %s keeps no intents", s->engine->scheme);
	int rc = s->engine->internal_open(s->mq->store, "intents", s->req->topic, s->req->group, true, intents, &facts, s->err);
	if (rc == 0)
		rc = s->engine->producer_hold(s->mq->store, intents, "spread", s->err);
	return rc == MQ_EAGAIN ? mq_err_set(s->err, rc, "another one is spreading what group %s has not read of %s", s->req->group, s->req->topic)
	                       : rc;
}

static int join(struct spread *s)
{
	uint32_t *giving = malloc((s->n + 1) * sizeof *giving);
	size_t n = 0;

	if (!giving)
		return mq_err_set(s->err, -ENOMEM, "out of memory");
	for (uint32_t p = 0; p < s->n; p++)
		if (excess(&s->shares[p]))
			giving[n++] = p;
	int rc = mq_spread_join(s->mq, s->req->group, s->req->topic, giving, n, &s->member, s->err);
	free(giving);
	return rc;
}

static int take_all(struct spread *s)
{
	int rc = hold(s);

	if (rc == 0)
		rc = join(s);
	for (uint32_t p = 0; p < s->n && rc == 0; p++)
		if (excess(&s->shares[p]))
			rc = take(s, p);
	return rc == 0 ? count(s) : rc; /* places have moved, perhaps */
}

/* --- moving --------------------------------------------------------------------------------- */

/* The next one that wants more, a run at a time; where none does, any: what is passed must go somewhere. */
static uint32_t choose(struct spread *s)
{
	for (uint32_t i = 0; i <= s->n; i++) {
		struct share *x = &s->shares[s->turn];
		if (s->run_left && x->wants) {
			x->wants--;
			s->run_left--;
			return s->turn;
		}
		s->turn = (s->turn + 1) % s->n;
		s->run_left = s->run;
	}
	return s->turn;
}

static int commit(struct spread *s, struct share *x, uint64_t end)
{
	uint64_t before = mq_transfer_place(x->transfer);
	int rc = mq_transfer_commit(x->transfer, end, s->err);

	if (rc < 0)
		return rc;
	s->report.transfers++;
	s->report.records += end - before;
	if (s->req->progress)
		s->req->progress(s->req->arg, s->report.records, s->report.all);
	return mq_stopping(s->mq) ? mq_err_set(s->err, MQ_EAGAIN, "stopped; run it again to move the rest") : 0;
}

static int copy(struct spread *s, struct share *x, const struct mq_rec *r)
{
	bool other = r->group && (strlen(s->req->group) != r->group_len || memcmp(r->group, s->req->group, r->group_len) != 0);

	if (other)
		return 0;
	uint32_t to = choose(s);
	int rc = mq_transfer_copy(x->transfer, s->req->topic, to, r, s->err);
	if (rc != 1)
		return rc;
	rc = commit(s, x, r->offset);
	if (rc == 0)
		rc = mq_transfer_copy(x->transfer, s->req->topic, to, r, s->err);
	return rc;
}

static int copy_view(struct spread *s, struct share *x, const struct mq_view *v, uint64_t from, uint64_t to)
{
	struct mq_walk w;
	struct mq_rec r;
	int rc = mq_body_walk(&s->body, v, &w, s->err);

	while (rc == 0 && (rc = mq_walk_next(&w, &r)) == 1) {
		rc = 0;
		if (r.offset >= to)
			break;
		if (r.offset >= from)
			rc = copy(s, x, &r);
	}
	if (rc == MQ_EDAMAGE && !s->err->code)
		mq_err_set(s->err, rc, "the batch at %" PRIu64 " contradicts itself", v->batch.base_offset);
	return rc;
}

/* [place, to) of a partition. */
static int move_range(struct spread *s, struct share *x, struct mq_source *source, uint64_t to)
{
	uint64_t at = mq_transfer_place(x->transfer);
	struct mq_loss loss = {0};
	int rc = s->engine->source_seek(source, at, &loss, s->err);

	mq_transfer_begin(x->transfer);
	while (rc == 0 && at < to) {
		struct mq_view v;
		rc = s->engine->source_next(source, &v, &loss, s->err);
		if (rc == 0)
			return mq_err_set(s->err, MQ_EAGAIN, "records before %" PRIu64 " cannot be seen any more: run it again", to);
		if (rc == MQ_EDAMAGE) {
			*s->err = (struct mq_err){0};
			mq_transfer_lose(x->transfer, loss.from > at ? loss.from : at, loss.to);
			at = loss.to > at ? loss.to : at;
			rc = 0;
			continue;
		}
		rc = rc < 0 ? rc : copy_view(s, x, &v, at, to);
		at = v.batch.next_offset > at ? v.batch.next_offset : at;
	}
	return rc < 0 ? rc : commit(s, x, to);
}

static int move_out(struct spread *s, uint32_t p)
{
	struct share *x = &s->shares[p];
	struct mq_source *source;
	uint64_t n = excess(x);

	if (n == 0 || !x->transfer) /* it has come to have more only now: the next run's */
		return 0;
	s->run = n / (4 * (uint64_t)s->n) < 1 ? 1 : n / (4 * (uint64_t)s->n);
	s->run = s->run < RUN_MAX ? s->run : RUN_MAX;
	s->run_left = s->run;
	int rc = s->engine->source_open(s->mq->store, s->req->topic, p, &source, s->err);
	if (rc < 0)
		return rc;
	rc = move_range(s, x, source, mq_transfer_place(x->transfer) + n);
	s->engine->source_close(source);
	if (rc == 0)
		rc = s->engine->owner_sync(x->owner, s->err);
	if (rc < 0)
		mq_err_prefix(s->err, "%s:%" PRIu32, s->req->topic, p);
	return rc;
}

/* --- */
static int spread(struct spread *s)
{
	struct mq_topic_facts facts;
	int rc = mq_name_check(s->req->group, "group", s->err);

	if (rc == 0)
		rc = s->engine->topic_facts(s->mq->store, s->req->topic, &facts, s->err);
	if (rc < 0)
		return rc;
	s->n = facts.partitions;
	s->shares = calloc(s->n, sizeof *s->shares);
	if (!s->shares)
		return mq_err_set(s->err, -ENOMEM, "out of memory");
	rc = count(s);
	if (rc == 0 && !s->req->dry_run)
		rc = take_all(s);
	if (rc == 0)
		rc = tell_shares(s);
	for (uint32_t p = 0; p < s->n && rc == 0 && !s->req->dry_run; p++)
		rc = move_out(s, p);
	return rc;
}

int mq_spread(struct mq *mq, const struct mq_spread_request *req, struct mq_spread_report *ret)
{
	int rc = req->dry_run ? mq_ops_look(mq) : mq_ops_begin(mq);

	memset(ret, 0, sizeof *ret);
	if (rc < 0)
		return rc;
	struct spread s = {.mq = mq, .engine = mq->store->engine, .req = req, .err = &mq->err};
	rc = spread(&s);
	release(&s);
	free(s.shares);
	mq_body_release(&s.body);
	*ret = s.report;
	return mq_ops_looked(mq, rc);
}
