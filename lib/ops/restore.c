/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/murmur2.h"
#include "ops/dead.h"
#include "sys/sys.h"

/* --- the act -------------------------------------------------------------------------------- */

static int commit(struct mq_restoring *r, uint64_t place)
{
	struct mq_transfer_wait wait = {0};
	int rc;

	do {
		rc = mq_transfer_commit(r->transfer, place, r->err);
		rc = rc < 0 ? mq_transfer_await_room(r->mq, r->transfer, rc, r->req->timeout_ns, &wait, r->err) : 1;
	} while (rc == 0);
	r->robin++;
	r->pending = false;
	return rc < 0 ? rc : r->mq->store->engine->topic_facts(r->mq->store, r->to, &r->out, r->err);
}

/* Until one more may go: what went before does not wait for it. */
static int await_turn(struct mq_restoring *r, uint64_t place)
{
	int64_t until_ns = 0;

	while (!mq_pace_take(&r->pace, 1, mq_sys->clock_ns(MQ_CLOCK_MONOTONIC), &until_ns)) {
		int rc = r->pending ? commit(r, place) : 0;

		if (rc == 0 && mq_stopping(r->mq))
			rc = mq_err_set(r->err, MQ_EAGAIN, "stopped before the end: the same command goes on where this ended");
		if (rc < 0)
			return rc;
		int64_t pause_ns = until_ns - mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
		if (pause_ns > 0)
			(void)mq_sys->poll(NULL, 0, pause_ns); /* a signal is looked for above */
	}
	return 0;
}

static int put(struct mq_restoring *r, const struct mq_restore_part *part, const struct mq_rec *rec, uint32_t partition)
{
	uint64_t place = part->place + (rec->offset - part->from);
	uint32_t max = r->out.max_message_bytes;

	if (rec->payload_len > max || rec->key_len > max || rec->headers_len > max)
		return mq_err_set(r->err, MQ_EINPUT, "%s: %s:%" PRIu32 ":%" PRIu64 ": a record of %" PRIu32 " bytes, and %s takes %" PRIu32
		                  " (max.message.bytes)", r->file[part->file].path, r->file[part->file].topic, part->partition, rec->offset,
		                  rec->payload_len, r->to, max);
	int rc = await_turn(r, place);
	if (rc < 0)
		return rc;
	rc = mq_transfer_put(r->transfer, r->to, partition, rec, r->err);
	if (rc == 1) {
		rc = commit(r, place);
		if (rc == 0)
			rc = mq_transfer_put(r->transfer, r->to, partition, rec, r->err);
	}
	if (rc != 0)
		return rc < 0 ? rc : mq_err_set(r->err, MQ_EBROKEN, "%s: a record does not go at once", r->to);
	r->pending = true;
	r->report.records++;
	r->report.bytes += rec->payload_len;
	return 0;
}

/* --- records -------------------------------------------------------------------------------- */

static const char *group_of(const struct mq_restoring *r, const struct mq_restore_file *f)
{
	return r->req->to ? NULL : r->req->group ? r->req->group : f->group;
}

/* By its own time, or as old as the topic lets none become that it goes to. */
static bool is_expired(const struct mq_restoring *r, const struct mq_rec *rec, int64_t now_us)
{
	int64_t expiry_us = rec->expiry_us ? rec->expiry_us : r->out.ttl_us ? rec->time_us + r->out.ttl_us : INT64_MAX;

	return expiry_us <= now_us;
}

static bool is_wanted(struct mq_restoring *r, const char *group, const struct mq_rec *rec)
{
	bool other = rec->group && (!group || strlen(group) != rec->group_len || memcmp(group, rec->group, rec->group_len) != 0);

	if (other || (r->filter.any && !mq_filter_wants(&r->filter, rec))) {
		r->report.skipped_filter++;
		return false;
	}
	if (is_expired(r, rec, mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000) == r->req->expired)
		return true;
	if (!r->req->expired)
		r->report.skipped_expired++;
	return false;
}

static int take(struct mq_restoring *r, const struct mq_restore_part *part, const struct mq_rec *rec)
{
	const char *group = group_of(r, &r->file[part->file]);
	struct mq_rec again = *rec;
	uint32_t partition;
	int rc = 0;

	if (!is_wanted(r, group, rec))
		return 0;
	again.due_us = 0;
	if (group) {
		rc = mq_dead_again(&r->headers, rec, group, &again);
		partition = part->partition % r->out.partitions;
	} else {
		partition = rec->key ? mq_partition_of_key(rec->key, rec->key_len, r->out.partitions) : r->robin % r->out.partitions;
	}
	if (r->req->expired)
		again.expiry_us = again.time_us = 0; /* with them it would expire at once */
	return rc < 0 ? mq_err_set(r->err, rc, "%s: offset %" PRIu64 " cannot go back", r->file[part->file].path, rec->offset)
	              : put(r, part, &again, partition);
}

/* For each record of it that no earlier run put; 1: enough. */
typedef int take_fn(struct mq_restoring *r, const struct mq_restore_part *part, const struct mq_rec *rec);

static int each_of_batch(struct mq_restoring *r, const struct mq_restore_part *part, const struct mq_view *v, take_fn *fn)
{
	uint64_t begun = r->transfer ? mq_transfer_place(r->transfer) : 0;
	struct mq_walk walk;
	struct mq_rec rec;
	int rc = mq_body_walk(&r->body, v, &walk, r->err);

	while (rc == 0 && (rc = mq_walk_next(&walk, &rec)) > 0) {
		rc = 0;
		if (rec.offset < part->from || part->place + (rec.offset - part->from) < begun)
			continue;
		if (rec.offset >= part->to)
			break;
		rc = fn(r, part, &rec);
	}
	if (rc < 0 && !r->err->code)
		mq_err_set(r->err, rc, "%s: the batch at %" PRIu64 " contradicts itself", r->file[part->file].path, v->batch.base_offset);
	return rc;
}

static int each(struct mq_restoring *r, const struct mq_restore_part *part, take_fn *fn)
{
	struct mq_store *s = r->archive->store;
	struct mq_loss loss = {0};
	struct mq_source *source;
	struct mq_view v;
	int rc = s->engine->source_open(s, r->file[part->file].topic, part->partition, &source, r->err);

	if (rc < 0)
		return rc;
	rc = s->engine->source_seek(source, part->from, NULL, r->err);
	while (rc == 0 && (rc = s->engine->source_next(source, &v, &loss, r->err)) != 0) {
		if (rc == MQ_EDAMAGE) {
			mq_ops_notice(r->mq, 0, "%s", r->err->text);
			r->report.damage++;
			r->report.damage_records += loss.to > loss.from ? loss.to - loss.from : 0;
			*r->err = (struct mq_err){0};
			rc = 0;
		} else if (rc > 0 && v.batch.base_offset >= part->to) {
			rc = 0;
			break;
		} else if (rc > 0) {
			rc = each_of_batch(r, part, &v, fn);
		}
		if (rc > 0)
			break;
		if (rc == 0 && mq_stopping(r->mq))
			rc = mq_err_set(r->err, MQ_EAGAIN, "stopped before the end: the same command goes on where this ended");
	}
	s->engine->source_close(source);
	return rc < 0 ? rc : 0;
}

static int count_off(struct mq_restoring *r, const struct mq_restore_part *part, const struct mq_rec *rec)
{
	if (!is_wanted(r, group_of(r, &r->file[part->file]), rec) || --r->left > 0)
		return 0;
	r->part[part - r->part].to = rec->offset + 1;
	return 1;
}

int mq_restore_count(struct mq_restoring *r)
{
	size_t open = SIZE_MAX;
	int rc = 0;

	r->left = r->req->count;
	for (size_t i = 0; i < r->n_parts && rc == 0; i++) {
		struct mq_restore_part *part = &r->part[i];

		if (r->left && part->file != open)
			rc = mq_restore_open_file(r, open = part->file);
		if (rc == 0 && r->left)
			rc = each(r, part, count_off);
		else
			part->to = part->from;
	}
	r->report = (struct mq_consume_report){0};
	return rc;
}

/* --- the verb ------------------------------------------------------------------------------- */

static int take_all(struct mq_restoring *r)
{
	const struct mq_restore_part *last = &r->part[r->n_parts - 1];
	uint64_t end = last->place + (last->to - last->from);
	size_t open = SIZE_MAX;
	int rc = 0;

	for (size_t i = 0; i < r->n_parts && rc == 0; i++) {
		const struct mq_restore_part *part = &r->part[i];

		if (part->place + (part->to - part->from) <= mq_transfer_place(r->transfer))
			continue;
		if (part->file != open)
			rc = mq_restore_open_file(r, open = part->file);
		if (rc == 0)
			rc = each(r, part, take);
	}
	if (rc == 0 && end > mq_transfer_place(r->transfer))
		rc = commit(r, end);
	return rc;
}

static void release(struct mq_restoring *r)
{
	mq_transfer_close(r->transfer);
	mq_run_close(r->run);
	mq_free(r->archive);
	mq_filter_release(&r->filter);
	mq_body_release(&r->body);
	mq_buf_release(&r->headers);
	free(r->file);
	free(r->part);
}

int mq_restore(struct mq *mq, const struct mq_consume_request *req, struct mq_consume_report *ret)
{
	struct mq_restoring r = {.mq = mq, .req = req, .err = &mq->err};
	struct mq_transfer_run run;
	struct mq_transfer_source from;
	int rc = mq_ops_begin(mq);

	if (rc == 0)
		rc = mq_restore_begin(&r);
	if (rc == 0 && r.run) {
		mq_run_source_restore(r.run, &run, &from);
		rc = mq_transfer_open(&r.transfer, mq, &from, true, &mq->err);
		if (rc == 0) {
			mq_transfer_begin(r.transfer);
			rc = take_all(&r);
		}
		if (rc == 0) {
			mq_transfer_close(r.transfer);
			r.transfer = NULL;
			rc = mq_run_finish(r.run, &mq->err);
		}
	}
	*ret = r.report;
	release(&r);
	if (rc == 0 && ret->damage)
		rc = mq_err_set(&mq->err, MQ_EDAMAGE, "an archive is damaged: what could be read of it was put back");
	return rc;
}
