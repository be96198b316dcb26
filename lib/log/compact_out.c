/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writing a segment that stands for others.  Each of its batches reaches to where the next one begins, so that what went leaves no
 * hole that would look like a loss; where there is no record to reach, a control batch says so.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/compact_internal.h"
#include "log/internal.h"
#include "sys/sys.h"

enum {
	BODY_BYTES = 1 << 20,          /* records are gathered up to this */
	WRITE_OUT_BYTES = 8 << 20,
	DRAWS_MAX = 4096,
};

void mq_compact_out_init(struct mq_compact_out *o, const struct mq_compact_options *opt, int dir)
{
	*o = (struct mq_compact_out){.opt = opt, .dir = dir};
	mq_segment_init(&o->seg);
	mq_records_init(&o->records);
}

void mq_compact_out_release(struct mq_compact_out *o)
{
	if (o->seg.fd >= 0)
		mq_segment_abandon(&o->seg, o->dir);
	mq_records_release(&o->records);
	mq_buf_release(&o->index);
	mq_buf_release(&o->packed);
	mq_zip_release(&o->zip);
}

/* One byte alone of a name like this is free, and what stood for the same before, dead or of a killed run, may have it already. */
static int draw_id(const struct mq_compact_out *o, uint64_t base, const struct mq_segment_id *stands, struct mq_segment_id *ret)
{
	char name[MQ_SEGMENT_NAME_MAX];
	struct mq_stat st;
	int rc = 0;

	for (int i = 0; i < DRAWS_MAX && rc == 0; i++) {
		rc = mq_sys->random(ret->b, sizeof ret->b);
		if (rc < 0)
			return rc;
		mq_segment_id_mark(ret, stands);
		mq_segment_name(base, ret, "seg", name);
		rc = mq_sys->statat(o->dir, name, &st);
	}
	return rc == -ENOENT ? 0 : rc == 0 ? -EEXIST : rc;
}

int mq_compact_out_begin(struct mq_compact_out *o, const struct mq_compact_part *first, const struct mq_compact_part *last,
                         bool beside_damage, struct mq_err *err)
{
	struct mq_segment_header h = first->h; /* its topic, base and predecessor */
	int rc = draw_id(o, h.base_offset, &last->stands_id, &h.id);

	if (rc < 0)
		return mq_err_sys(err, rc, "cannot draw a segment id");
	h.refuse = 0;
	h.ignore = beside_damage ? MQ_SEGMENT_BESIDE_DAMAGE : 0;
	h.reason = MQ_SEGMENT_COMPACT;
	h.epoch = last->h.epoch;
	h.created_us = mq_log_now_us();
	h.stands_id = last->stands_id;
	h.stands_end_pos = last->stands_end_pos;
	h.written_us = INT64_MIN;
	h.round = 0;
	for (const struct mq_compact_part *p = first; p <= last; p++) {
		h.round = p->h.reason == MQ_SEGMENT_COMPACT && p->h.round > h.round ? p->h.round : h.round;
		h.ignore |= p->h.reason == MQ_SEGMENT_COMPACT ? p->h.ignore & MQ_SEGMENT_BESIDE_DAMAGE : 0;
		h.written_us = p->written_us > h.written_us ? p->written_us : h.written_us;
	}
	h.round++;
	mq_records_clear(&o->records);
	mq_buf_clear(&o->index);
	o->like = (struct mq_batch){0};
	o->from = h.base_offset;
	o->wrote_out = 0;
	o->max_time_us = 0;
	return mq_segment_begin(&o->seg, o->dir, &h, o->opt->mode, err);
}

static int put(struct mq_compact_out *o, struct mq_batch *b, const void *body, struct mq_err *err)
{
	struct mq_index_entry e = {b->base_offset, o->seg.end, o->max_time_us};
	uint64_t last = 0;
	int rc;

	if (o->index.len)
		memcpy(&last, o->index.p + o->index.len - sizeof e + offsetof(struct mq_index_entry, pos), sizeof last);
	if ((last == 0 || e.pos - last >= MQ_INDEX_INTERVAL) && mq_buf_add(&o->index, &e, sizeof e) < 0)
		return mq_err_set(err, -ENOMEM, "no memory for an index");
	b->durable_pos = MQ_SEGMENT_HEADER_LEN;
	rc = mq_segment_put(&o->seg, b, body, err);
	if (rc < 0)
		return rc;
	if (b->max_time_us > o->max_time_us)
		o->max_time_us = b->max_time_us;
	o->from = b->next_offset;
	if (o->seg.end - o->wrote_out >= WRITE_OUT_BYTES) { /* so that the sync has not all of it to do; the sync tells what fails */
		(void)mq_sys->write_out(o->seg.fd, o->wrote_out, o->seg.end - o->wrote_out);
		o->wrote_out = o->seg.end;
	}
	return 0;
}

/* No record is left from `from` up to there. */
static int cover(struct mq_compact_out *o, uint64_t to, struct mq_err *err)
{
	struct mq_batch b = {.kind = MQ_BATCH_CONTROL, .control = MQ_CONTROL_COMPACTED, .ack = MQ_ACK_DURABLE, .base_offset = o->from,
	                     .next_offset = to, .base_time_us = o->like.base_time_us, .max_time_us = o->max_time_us, .epoch = o->seg.h.epoch,
	                     .topic_generation = o->like.topic_generation};

	b.body_crc = mq_crc32c(0, NULL, 0);
	return to > o->from ? put(o, &b, NULL, err) : 0;
}

static int pack(struct mq_compact_out *o, struct mq_batch *b, const uint8_t **body)
{
	int rc = o->opt->zip == MQ_BATCH_ZSTD ? mq_zip_pack(&o->zip, *body, b->raw_len, &o->packed) : 0;

	if (rc == 0 && o->opt->zip == MQ_BATCH_ZSTD && o->packed.len < b->raw_len) {
		b->zip = MQ_BATCH_ZSTD;
		b->stored_len = (uint32_t)o->packed.len;
		*body = (const uint8_t *)o->packed.p;
	}
	return rc;
}

/* What was gathered is written, and reaches up to `to`. */
static int flush(struct mq_compact_out *o, uint64_t to, struct mq_err *err)
{
	struct mq_batch b = o->like;
	const uint8_t *body;
	int rc;

	if (o->records.count == 0)
		return cover(o, to, err);
	b.zip = MQ_BATCH_PLAIN;
	b.count = o->records.count;
	b.max_time_us = o->records.max_time_us;
	b.base_offset = o->from;
	rc = mq_records_finish(&o->records, b.base_time_us, o->from, b.who.number, &b.kind, &body, &b.raw_len);
	if (rc < 0)
		return mq_err_set(err, rc, "cannot gather records at %llu", (unsigned long long)o->from);
	b.stored_len = b.raw_len;
	b.next_offset = b.kind == MQ_BATCH_LINES ? b.base_offset + b.count : to; /* lines have no holes */
	rc = pack(o, &b, &body);
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot compress records");
	b.body_crc = mq_crc32c(0, body, b.stored_len);
	rc = put(o, &b, body, err);
	mq_records_clear(&o->records);
	return rc < 0 ? rc : cover(o, to, err);
}

/* May records of b stand in one batch with those gathered? */
static bool is_like(const struct mq_compact_out *o, const struct mq_batch *b, const struct mq_rec *r)
{
	const struct mq_batch *a = &o->like;

	return a->topic_generation == b->topic_generation && a->epoch.election == b->epoch.election &&
	       a->epoch.incarnation == b->epoch.incarnation && a->who.kind == b->who.kind && a->who.id == b->who.id &&
	       a->who.generation == b->who.generation && (b->who.kind != MQ_WHO_MOVER || a->who.number == b->who.number) &&
	       r->offset - o->from < UINT32_MAX && (b->who.kind != MQ_WHO_PRODUCER || b->who.number - o->first_sequence < UINT32_MAX) &&
	       o->records.body_bytes < BODY_BYTES;
}

int mq_compact_out_record(struct mq_compact_out *o, const struct mq_batch *b, const struct mq_rec *r, struct mq_err *err)
{
	int rc = 0;

	if (o->records.count && !is_like(o, b, r))
		rc = flush(o, r->offset, err);
	if (rc == 0 && o->records.count == 0 && r->offset - o->from >= UINT32_MAX) /* further than a column reaches */
		rc = cover(o, r->offset, err);
	if (rc < 0)
		return rc;
	if (o->records.count == 0) {
		o->records.columns |= MQ_COL_OFFSETS | (b->who.kind == MQ_WHO_PRODUCER ? MQ_COL_SEQUENCES : 0);
		o->first_sequence = r->sequence;
	}
	o->like = *b;
	rc = mq_records_add(&o->records, r);
	if (rc == MQ_EINPUT && o->records.count) { /* one body holds no more */
		rc = flush(o, r->offset, err);
		return rc < 0 ? rc : mq_compact_out_record(o, b, r, err);
	}
	return rc < 0 ? mq_err_sys(err, rc, "cannot gather a record") : 0;
}

void mq_compact_out_pass(struct mq_compact_out *o, const struct mq_batch *b)
{
	if (o->records.count == 0)
		o->like = *b;
}

int mq_compact_out_batch(struct mq_compact_out *o, const struct mq_batch *b, const uint8_t *body, struct mq_err *err)
{
	struct mq_batch as_it_is = *b;
	int rc = flush(o, b->base_offset, err);

	if (rc < 0)
		return rc;
	if (b->kind != MQ_BATCH_CONTROL)
		o->like = *b;
	return put(o, &as_it_is, body, err);
}

/* A cache: nothing hangs on it. */
static void put_index(struct mq_compact_out *o)
{
	for (size_t n = 0; (n + 1) * sizeof(struct mq_index_entry) <= o->index.len; n++) {
		struct mq_index_entry e;

		memcpy(&e, o->index.p + n * sizeof e, sizeof e);
		if (mq_index_put(&o->seg, o->dir, o->opt->mode, n, &e, NULL) < 0)
			return;
	}
}

int mq_compact_out_end(struct mq_compact_out *o, const struct mq_compact_part *last, uint64_t clean, struct mq_err *err)
{
	int rc = flush(o, last->end_offset, err);

	o->seg.h.clean_offset = clean < last->end_offset ? clean : last->end_offset;
	if (rc == 0)
		rc = mq_segment_bear(&o->seg, err);
	if (rc == 0)
		rc = mq_segment_name_it(&o->seg, o->dir, err);
	if (rc < 0) {
		mq_segment_abandon(&o->seg, o->dir); /* named, but not durably: the old ones are there as well */
		return rc;
	}
	o->made_bytes = o->seg.h.born_end_pos;
	put_index(o);
	mq_segment_release(&o->seg);
	return 0;
}
