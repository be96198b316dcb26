/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One partition being read. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/lines.h"
#include "ops/handler.h"
#include "sys/sys.h"

bool mq_feed_ended(const struct mq_feed *f)
{
	return f->left || (f->shared.on ? f->shared.over : f->next >= f->end);
}

/* --- what is not there ---------------------------------------------------------------------- */

/* What was damaged, for people: offsets, or where no record was, its place. */
static void tell_damage(struct mq_consume *c, struct mq_feed *f, const struct mq_loss *loss)
{
	char what[160];
	bool records = loss->to > loss->from;

	if (records)
		snprintf(what, sizeof what, "offsets %" PRIu64 " to %" PRIu64, loss->from, loss->to - 1);
	else
		snprintf(what, sizeof what, "a batch without records, %s", loss->where);
	if (!c->report.damage)
		snprintf(c->damage, sizeof c->damage, "%s:%" PRIu32 ": %s", f->topic, f->partition, what);
	if (records)
		mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": %s are damaged and passed over", f->topic, f->partition, what);
	else
		mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": a batch without records does not verify and is passed over (%s)", f->topic,
		              f->partition, loss->where);
}

/* Offsets that nobody will get: told, counted, passed. */
static int lose(struct mq_consume *c, struct mq_feed *f, const struct mq_loss *loss)
{
	uint64_t from = loss->from > f->next ? loss->from : f->next, to = loss->to < f->end ? loss->to : f->end;
	uint64_t n = to > from ? to - from : 0;

	if (f->shared.peeks) {
		f->next = to > f->next ? to : f->next;
		return 0;
	}
	if (loss->damage) {
		tell_damage(c, f, loss);
		c->report.damage++;
		c->report.damage_records += n;
	} else {
		/* A group counts them, and is told once a run; and a copy is not what was asked for. */
		mq_ops_notice(c->mq, (c->req->group || c->copies) && n && !c->told_lost ? 0 : 1,
		              "%s:%" PRIu32 ": offsets %" PRIu64 " to %" PRIu64 " are not held any more", f->topic, f->partition, loss->from,
		              loss->to - (loss->to > loss->from));
		c->told_lost |= n > 0;
	}
	f->lost += n;
	f->lost_to = n ? to : f->lost_to;
	if (to <= f->next)
		return 0;
	int rc = c->req->form == MQ_OUT_POSITIONS ? mq_manual_pass(c, f, f->next, to) : 0;
	f->next = to;
	return rc;
}

static void drop_view(struct mq_feed *f)
{
	f->viewing = f->walking = f->barred = false;
	f->raw = NULL;
}

void mq_feed_turn(struct mq_feed *f, uint64_t offset)
{
	if (f->viewing && offset < f->next) {
		f->walking = false;
		f->view.first_offset = offset;
	}
	if (offset != f->next)
		f->raw = NULL;
	f->next = offset;
}

int mq_feed_seek(struct mq_consume *c, struct mq_feed *f, uint64_t offset)
{
	struct mq_loss loss = {0};
	drop_view(f);
	f->next = offset;
	int rc = c->engine->source_seek(f->source, offset, &loss, c->err);
	return rc == 0 && loss.to > loss.from ? lose(c, f, &loss) : rc;
}

/* --- opening -------------------------------------------------------------------------------- */

int mq_feed_open(struct mq_consume *c, struct mq_feed *f, uint64_t offset)
{
	struct mq_loss loss = {0};
	int rc = f->source ? 0 : c->engine->source_open(c->store, f->topic, f->partition, &f->source, c->err);
	if (rc < 0)
		return rc;
	f->next = f->done = f->committed = f->given = offset;
	f->expired.n = f->expired.more = f->expired.seen = 0;
	drop_view(f);
	rc = c->engine->source_seek(f->source, offset, &loss, c->err);
	if (rc == 0 && loss.to > loss.from)
		rc = lose(c, f, &loss);
	if (rc < 0)
		mq_feed_close(c, f); /* it stands nowhere: nobody may read on from there */
	return rc;
}

void mq_feed_close(struct mq_consume *c, struct mq_feed *f)
{
	if (f->armed)
		c->engine->source_disarm(f->source);
	f->armed = false;
	if (f->source)
		c->engine->source_close(f->source);
	f->source = NULL;
	drop_view(f);
	mq_body_release(&f->body);
	f->body = (struct mq_body){0};
}

/* --- batches -------------------------------------------------------------------------------- */

int mq_feed_look(struct mq_consume *c, struct mq_feed *f)
{
	while (!f->left && f->next < f->end) {
		struct mq_loss loss = {0};
		if (f->viewing && f->next < f->view.batch.next_offset)
			return mq_barrier_lets(c, f);
		drop_view(f);
		f->view.barriers = NULL;
		f->view.n_barriers = 0;
		int rc = c->engine->source_next(f->source, &f->view, &loss, c->err);
		if (rc == MQ_EDAMAGE) {
			*c->err = (struct mq_err){0};
			rc = lose(c, f, &loss);
			if (rc < 0)
				return rc;
			continue;
		}
		if (rc == 0)
			return mq_barrier_meet(c, f);
		if (rc < 0)
			return rc;
		/* Offsets may be missing that nobody lost. */
		uint64_t first = f->view.first_offset < f->end ? f->view.first_offset : f->end;
		if (first > f->next) {
			rc = c->req->form == MQ_OUT_POSITIONS ? mq_manual_pass(c, f, f->next, first) : 0;
			f->next = first;
		}
		if (rc < 0)
			return rc;
		f->viewing = f->view.batch.next_offset > f->next;
		rc = mq_barrier_meet(c, f);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* A batch whose lines carry nothing, where something is asked for: none of it is wanted. */
static bool none_wanted(const struct mq_consume *c, const struct mq_feed *f)
{
	return f->view.batch.kind == MQ_BATCH_LINES && c->filter.plain_never;
}

static int use_up(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t to = f->view.batch.next_offset < f->end ? f->view.batch.next_offset : f->end;
	int rc = 0;
	if (to > f->next) {
		c->report.skipped_filter += none_wanted(c, f) ? to - f->next : 0;
		rc = c->req->form == MQ_OUT_POSITIONS ? mq_manual_pass(c, f, f->next, to) : 0;
		f->next = to;
	}
	f->walking = false;
	f->raw = NULL;
	if (to == f->view.batch.next_offset) /* what is behind a run of one that is shared was not looked at, and its source is past it */
		drop_view(f);
	return rc;
}

static int begin_walk(struct mq_consume *c, struct mq_feed *f)
{
	if (f->next > f->view.first_offset)
		f->view.first_offset = f->next;
	int rc = mq_body_walk(&f->body, &f->view, &f->walk, c->err);
	if (rc < 0 && !c->err->code)
		mq_err_set(c->err, rc, "%s:%" PRIu32 ": the batch at %" PRIu64 " contradicts itself", f->topic, f->partition,
		           f->view.batch.base_offset);
	f->walking = rc == 0;
	return rc;
}

/* --- records -------------------------------------------------------------------------------- */

/* Its own expiry, else the topic's. */
static bool is_expired(const struct mq_feed *f, const struct mq_rec *r, int64_t now_us)
{
	int64_t expiry_us = r->expiry_us ? r->expiry_us : f->ttl_us ? r->time_us + f->ttl_us : INT64_MAX;

	return expiry_us <= now_us;
}

/* Counted when the place is past it: a run that is killed before meets it again. */
static void note_expired(struct mq_consume *c, struct mq_feed *f, uint64_t offset)
{
	if (!c->req->group || (!f->shared.on && offset < f->expired.seen))
		return; /* a group's; and this one was met before */
	f->expired.seen = offset + 1;
	if (!f->expired.n || f->expired.to == offset) {
		f->expired.n++;
		f->expired.to = offset + 1;
	} else {
		f->expired.more++;
		f->expired.more_to = offset + 1;
	}
}

void mq_feed_count_expired(struct mq_consume *c, struct mq_feed *f, uint64_t to)
{
	uint64_t n = 0;

	while (f->expired.n && f->expired.to <= to) {
		n += f->expired.n;
		f->expired.n = f->expired.more;
		f->expired.to = f->expired.more_to;
		f->expired.more = 0;
	}
	if (n && c->engine->owner_expired)
		c->engine->owner_expired(f->owner, n);
}

/* What has expired is passed over, or where that is asked for the rest. */
static bool is_over(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r)
{
	bool expires = r->expiry_us || f->ttl_us;

	if (!expires && !c->req->expired)
		return false;
	if ((expires && is_expired(f, r, mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000)) == c->req->expired)
		return false;
	if (c->req->expired)
		c->report.skipped_filter++;
	else
		c->report.skipped_expired++;
	if (!c->req->expired)
		note_expired(c, f, r->offset);
	return true;
}

static bool is_wanted(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r)
{
	/* A record that was put back for one group is none of another's business. */
	bool other = r->group && (c->req->group || c->copies) &&
	             (c->copies || strlen(c->req->group) != r->group_len || memcmp(c->req->group, r->group, r->group_len) != 0);
	if (other || (c->filter.any && !mq_filter_wants(&c->filter, r))) {
		c->report.skipped_filter++;
		return false;
	}
	f->over = is_over(c, f, r);
	if (f->over && mq_dead_takes_expired(c, f))
		return true;
	return !f->over;
}

int mq_feed_record(struct mq_consume *c, struct mq_feed *f, struct mq_rec *ret)
{
	uint64_t from = f->next;
	int rc = none_wanted(c, f) ? 0 : f->walking ? 1 : begin_walk(c, f);

	if (rc < 0)
		return rc;
	while (f->walking && (rc = mq_walk_next(&f->walk, ret)) > 0 && ret->offset < f->end) {
		if (ret->offset < f->next)
			continue;
		bool wanted = is_wanted(c, f, ret);
		if (wanted && ret->offset > from && c->req->form == MQ_OUT_POSITIONS)
			rc = mq_manual_pass(c, f, from, ret->offset);
		if (rc < 0)
			return rc;
		if (wanted)
			f->next = ret->offset + 1;
		if (wanted)
			return 1;
	}
	if (rc < 0)
		return mq_err_set(c->err, rc, "%s:%" PRIu32 ": the batch at %" PRIu64 " contradicts itself", f->topic, f->partition,
		                  f->view.batch.base_offset);
	return use_up(c, f);
}

/* f->raw: where the line of f->next begins. */
static int find_lines(struct mq_consume *c, struct mq_feed *f)
{
	const uint8_t *raw;
	uint64_t skip = f->next - f->view.batch.base_offset;
	int rc = mq_body_open(&f->body, &f->view, &raw, c->err);
	if (rc == 0)
		f->raw = raw + (skip ? mq_lines_skip(raw, f->view.batch.raw_len, skip) : 0);
	return rc;
}

int mq_feed_lines(struct mq_consume *c, struct mq_feed *f, uint64_t most, const char **ret, size_t *ret_len, uint64_t *ret_count)
{
	const struct mq_batch *b = &f->view.batch;

	if (b->kind != MQ_BATCH_LINES || c->filter.any || f->ttl_us || c->req->expired || f->walking)
		return 0;
	int rc = f->raw ? 0 : find_lines(c, f);
	if (rc < 0)
		return rc;
	const uint8_t *end = (b->zip == MQ_BATCH_ZSTD ? (const uint8_t *)f->body.raw.p : f->view.body) + b->raw_len;
	uint64_t to = b->next_offset < f->end ? b->next_offset : f->end;
	uint64_t n = to - f->next < most ? to - f->next : most;
	size_t left = (size_t)(end - f->raw);
	*ret = (const char *)f->raw;
	*ret_len = f->next + n == b->next_offset ? left : mq_lines_skip(f->raw, left, n);
	*ret_count = n;
	f->raw += *ret_len;
	f->next += n;
	return 1;
}
