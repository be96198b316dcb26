/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where `state` does not hold: find the head by listing, verify above the durable mark, write again, sync,
 * and only then publish.  Under the append lock, so at most one recovers and nothing is appended meanwhile.
 *
 * What ends the log is told from what was damaged by the witness: the highest position that anything which
 * was itself written after a sync says is durable.  A bad batch below it is damage, above it the log ends.
 */
#include <errno.h>
#include <string.h>

#include "log/internal.h"
#include "log/start.h"
#include "log/visible.h"
#include "sys/sys.h"

struct recovery {
	struct mq_log *log;
	uint64_t size;          /* of the file */
	uint64_t durable_pos;   /* scanning starts here; below it nothing is written again */
	uint64_t durable_offset;
	uint64_t pos;           /* end of what verifies, so far */
	uint64_t offset;        /* next offset there */
	uint64_t witness_pos;   /* bytes below were promised */
	uint64_t witness_offset; /* next offset there, as far as it was told; else lower */
	uint64_t offset_min;    /* offsets below were visible or committed */
	int64_t max_time_us;
	bool damaged;
	bool cut;               /* a copy whose marks speak of more than its file holds */
};

static void note_batch(struct recovery *r, const struct mq_batch *b, uint64_t end)
{
	r->pos = end;
	r->offset = b->next_offset;
	if (b->max_time_us > r->max_time_us)
		r->max_time_us = b->max_time_us;
	if (b->durable_pos > r->witness_pos && b->durable_pos <= end)
		r->witness_pos = b->durable_pos;
	if (b->kind == MQ_BATCH_CONTROL && (b->control == MQ_CONTROL_SNAPSHOT || b->control == MQ_CONTROL_REGISTER))
		r->log->tail.flags |= MQ_TAIL_PRODUCERS;
}

/* Batches in a row from r->pos on. */
static int run(struct recovery *r, struct mq_err *err)
{
	for (;;) {
		struct mq_batch b;
		const uint8_t *body;
		int rc = mq_scan_batch(&r->log->scan, r->pos, r->size, &b, &body, err);

		if (rc == 1 && b.base_offset < r->offset)
			rc = MQ_EDAMAGE; /* a former life of these bytes */
		if (rc == 0 || rc == MQ_EDAMAGE)
			return 0;
		if (rc < 0)
			return rc;
		note_batch(r, &b, r->pos + mq_batch_len(&b));
	}
}

/* Batches behind the first bad place: what they witness of the bytes before them. */
static int look_behind(struct recovery *r, struct mq_err *err)
{
	uint64_t pos = r->pos + 1;

	for (;;) {
		struct mq_batch b;
		const uint8_t *body;
		int rc = mq_scan_resync(&r->log->scan, pos, r->size, &pos, err);

		if (rc <= 0)
			return rc;
		rc = mq_scan_batch(&r->log->scan, pos, r->size, &b, &body, err);
		if (rc < 0)
			return rc;
		if (b.durable_pos > r->witness_pos && b.durable_pos <= pos)
			r->witness_pos = b.durable_pos;
		pos += mq_batch_len(&b);
	}
}

/* Step over damaged places while something below the witness is missing. */
static int step_over(struct recovery *r, struct mq_err *err)
{
	while (r->pos < r->witness_pos) {
		uint64_t next;
		int rc = mq_scan_resync(&r->log->scan, r->pos + 1, r->size, &next, err);

		if (rc < 0)
			return rc;
		mq_log_notice(r->log, "damage in segment %s from %llu on: acknowledged bytes do not verify; run mq-check",
		              r->log->head.name, (unsigned long long)r->pos);
		r->damaged = true;
		if (rc == 0) {
			r->pos = r->witness_pos;
			if (r->offset < r->witness_offset)
				r->offset = r->witness_offset;
			return 0;
		}
		r->pos = next;
		rc = run(r, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

int mq_log_write_again(struct mq_log *log, struct mq_scan *scan, uint64_t from, uint64_t to, struct mq_err *err)
{
	uint64_t pos = from;

	mq_scan_reset(scan, &log->head);
	while (pos < to) {
		struct mq_batch b;
		const uint8_t *body;
		int rc = mq_scan_batch(scan, pos, to, &b, &body, err);

		if (rc == 0)
			rc = mq_err_set(err, MQ_EDAMAGE, "segment %s: no batch at %llu where one was published", log->head.name,
			                (unsigned long long)pos);
		if (rc == 1)
			rc = mq_segment_write(&log->head, pos, &b, body, err);
		if (rc < 0)
			return rc;
		pos += mq_batch_len(&b);
	}
	return 0;
}

static int open_head(struct mq_log *log, struct mq_segment_header *ret, struct mq_err *err)
{
	const struct mq_tail *t = &log->tail;
	struct mq_segment_header told = mq_chain_told(log->opt.topic_id, log->opt.partition, t);
	struct mq_segment s;
	int rc = mq_chain_find_head(log->dir, &told, ret, err);

	if (rc == 0)
		return mq_err_set(err, MQ_EDAMAGE, "no segment is left; restore the partition or delete the topic");
	if (rc < 0)
		return rc;
	rc = mq_sys->fsync(log->dir); /* its name may not be durable yet */
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot sync the directory");
	rc = mq_chain_open(ret, log->dir, true, &s, err);
	if (rc < 0)
		return rc;
	mq_log_set_head(log, &s);
	mq_scan_reset(&log->scan, &log->head);
	return 0;
}

/* The tail of a head of which nothing but what it was born with is known. */
static void born_tail(struct mq_log *log)
{
	struct mq_tail *t = &log->tail;
	const struct mq_segment_header *h = &log->head.h;

	t->segment = h->id;
	t->segment_base = h->base_offset;
	t->segment_created_us = h->created_us;
	t->epoch = h->epoch;
	t->pos = t->strict_start = t->strict_end = h->born_end_pos;
	t->next_offset = t->strict_offset = h->born_end_offset;
	t->index_pos = t->index_count = t->producers_pos = 0;
}

/* A roll was cut short, and the tail holds otherwise: nothing was appended behind it. */
static int finish_roll(struct mq_log *log, struct mq_err *err)
{
	struct mq_segment_id before = log->tail.segment;
	struct mq_segment_header h;
	int rc = open_head(log, &h, err);

	if (rc < 0)
		return rc;
	if (!mq_segment_id_equal(&h.id, &before))
		born_tail(log);
	log->tail.flags &= ~(uint32_t)MQ_TAIL_ROLLING;
	return mq_state_tail_publish(&log->state, &log->tail, ++log->tail_seq, err);
}

/* Something that was synced says: durable up to pos, where offset is the next. */
static void promised(struct recovery *r, uint64_t pos, uint64_t offset)
{
	if (offset > r->offset_min)
		r->offset_min = offset;
	if (r->log->opt.copied && pos > r->size) { /* of the original's disk */
		r->cut = true;
		return;
	}
	if (pos > r->witness_pos) {
		r->witness_pos = pos;
		r->witness_offset = offset;
	}
}

/* What the tail tells, trusted or not: what was visible, if only in a segment whose file somebody removed, and what a
 * recovery that was cut short had found out. */
static int ask_tail(struct recovery *r, struct mq_err *err)
{
	const struct mq_tail *t = &r->log->tail;
	uint64_t offset, pos, durable_pos, durable_offset;
	int rc;

	if (r->log->tail_seq == 0)
		return 0;
	rc = mq_state_durable(&r->log->state, MQ_STATE_MARKS, &t->segment, &durable_pos, &durable_offset, NULL, err);
	if (rc < 0)
		return rc;
	mq_visible_end(t, durable_pos, durable_offset, &pos, &offset);
	if (mq_segment_id_equal(&t->segment, &r->log->head.h.id))
		r->max_time_us = t->max_time_us;
	if (t->flags & MQ_TAIL_UNSETTLED) {
		if (offset < t->next_offset)
			offset = t->next_offset; /* it verified: whoever reads without a tail was shown it */
		if (offset < t->offset_min)
			offset = t->offset_min;
	}
	promised(r, 0, offset);
	return 0;
}

static int ask_outside(struct recovery *r, struct mq_err *err)
{
	struct mq_log *log = r->log;
	uint64_t pos = 0, offset = 0, committed = 0;
	/* What lies below the log start was visible, whatever else is left of it. */
	int rc = mq_log_start(log, &offset, err);

	if (rc < 0)
		return rc;
	promised(r, 0, offset);
	if (!log->opt.witness)
		return 0;
	offset = 0;
	rc = log->opt.witness(log->opt.witness_arg, &log->head.h.id, &pos, &offset, &committed);
	if (rc < 0)
		return mq_err_set(err, rc, "the log needs repair, and what the groups committed cannot be read: publish or run "
		                           "mq-check as the spool's owner");
	promised(r, pos, offset);
	promised(r, 0, committed);
	return 0;
}

/* Where to begin, and what was promised. */
static int survey_witnesses(struct recovery *r, struct mq_err *err)
{
	struct mq_log *log = r->log;
	const struct mq_segment_header *h = &log->head.h;
	uint64_t pos, offset;
	int rc = mq_state_durable(&log->state, MQ_STATE_MARKS, &h->id, &pos, &offset, NULL, err);

	if (rc < 0)
		return rc;
	promised(r, h->born_end_pos, h->born_end_offset);
	promised(r, pos, offset);
	r->durable_pos = h->born_end_pos;
	r->offset = h->born_end_offset;
	if (r->cut && r->durable_pos > r->size) { /* a copy that ends within what the segment was born with */
		r->durable_pos = MQ_SEGMENT_HEADER_LEN;
		r->offset = h->base_offset;
	}
	if (pos > r->durable_pos && pos <= r->size) {
		r->durable_pos = pos;
		r->offset = offset;
	}
	rc = ask_tail(r, err);
	if (rc == 0)
		rc = ask_outside(r, err);
	if (rc < 0)
		return rc;
	if (r->durable_pos > MQ_SEGMENT_HEADER_LEN)
		log->tail.flags |= MQ_TAIL_PRODUCERS; /* what lies below is not read: there may be some */
	r->pos = r->durable_pos;
	r->durable_offset = r->offset;
	return 0;
}

static int verify(struct recovery *r, struct mq_err *err)
{
	int rc = run(r, err);

	if (rc < 0 || r->pos >= r->size)
		goto out;
	rc = look_behind(r, err);
out:
	if (rc == 0)
		rc = step_over(r, err);
	if (rc == 0 && err)
		err->code = 0, err->text[0] = 0;
	return rc;
}

/* Publish a tail at r->pos in the head and sync, writing again what the last sync may not have reached. */
static int settle_head(struct recovery *r, struct mq_err *err)
{
	struct mq_log *log = r->log;
	struct mq_tail *t = &log->tail;
	int rc;

	born_tail(log);
	t->pos = r->pos;
	t->next_offset = r->offset;
	t->max_time_us = r->max_time_us;
	/* Invisible until the sync: whoever reads the tail before that waits for it. */
	t->strict_start = r->durable_pos;
	t->strict_offset = r->durable_offset;
	t->strict_end = r->pos;
	/* Until all is done, a gap batch included: who finds it begins anew, and knows what this one knows.  What is
	 * overwritten here, and in the mark by the sync, is told by nothing else. */
	t->flags &= ~(uint32_t)MQ_TAIL_ROLLING;
	t->flags |= MQ_TAIL_UNSETTLED;
	t->offset_min = r->offset_min;
	mq_state_tail_adopt(&log->state, t);
	(void)mq_index_last(&log->head, log->dir, r->pos, &t->index_count, &t->index_pos);
	if (!r->damaged) {
		rc = mq_log_write_again(log, &log->scan, r->durable_pos, r->pos, err);
		if (rc < 0)
			return rc;
	}
	rc = mq_state_tail_publish(&log->state, t, ++log->tail_seq, err);
	log->doubt = !r->damaged;
	if (rc == 0)
		rc = mq_log_sync_locked(log, err);
	log->doubt = false;
	return rc;
}

/* A publisher with an old view of the topic must not be let in by a tail made anew. */
static int ask_generation(struct mq_log *log, struct mq_err *err)
{
	log->tail.generation = log->opt.topic_generation;
	return log->opt.generation ? log->opt.generation(log->opt.witness_arg, &log->tail.generation, err) : 0;
}

static int full(struct mq_log *log, struct mq_err *err)
{
	struct recovery r = {.log = log};
	struct mq_segment_header h;
	struct mq_successor how = {.reason = MQ_SEGMENT_DAMAGE, .new_incarnation = true};
	int rc = open_head(log, &h, err);

	if (rc == 0)
		rc = mq_segment_size(&log->head, &r.size, err);
	if (rc == 0)
		rc = ask_generation(log, err);
	if (rc == 0)
		rc = survey_witnesses(&r, err);
	if (rc == 0)
		rc = verify(&r, err);
	if (rc < 0)
		return rc;
	if (r.offset_min < r.offset)
		r.offset_min = r.offset;
	rc = settle_head(&r, err);
	if (rc < 0) {
		/* Its sync failed: what verifies goes on in a successor, or 74. */
		how.reason = MQ_SEGMENT_CLOSED;
		how.pred_end_pos = r.durable_pos;
		how.pred_end_offset = r.durable_offset;
		how.copy_to = r.pos;
	} else {
		how.pred_end_pos = how.copy_to = r.pos;
		how.pred_end_offset = r.offset;
	}
	how.next_offset_min = r.offset_min;
	if (h.blind)
		mq_log_notice(log, "the header of segment %s does not verify: the log goes on in a new one; run mq-check", log->head.name);
	if (rc == 0 && r.size <= r.pos && !r.damaged && !r.cut && r.offset_min == r.offset && !h.blind) {
		log->tail.flags &= ~(uint32_t)MQ_TAIL_UNSETTLED;
		log->tail.offset_min = 0;
		log->tail.strict_start = log->tail.strict_end = r.pos; /* all of it is durable */
		log->tail.strict_offset = r.offset;
		return mq_state_tail_publish(&log->state, &log->tail, ++log->tail_seq, err);
	}
	/* Bytes behind the end may be batches of a former life: nothing is appended where they could join on. */
	return mq_log_succeed(log, &how, err);
}

int mq_log_recover(struct mq_log *log, struct mq_err *err)
{
	if (log->tail_seq > 0 && mq_state_tail_trusted(&log->state, &log->tail) && !(log->tail.flags & MQ_TAIL_UNSETTLED))
		return finish_roll(log, err);
	return full(log, err);
}
