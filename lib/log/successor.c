/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The one act: a new segment whose header says what it follows and where that ends.  It serves rolling,
 * closing after a failed sync, stepping past damage and a torn end.  Nothing of the predecessor is changed.
 *
 *   temporary file: snapshot of producers, batches taken over, a gap batch     a stray file
 *   header, fdatasync                                                          a stray file
 *   publish the old tail with "rolling"                                        whoever comes looks for a newer name
 *   rename, fsync of the directory                                             the head; found by listing
 *   publish the new tail                                                       done
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "log/internal.h"
#include "sys/sys.h"

static int put_control(struct mq_log *log, struct mq_segment *s, enum mq_control control, uint64_t from, uint64_t to,
                       const void *body, size_t len, struct mq_err *err)
{
	struct mq_batch b = {.kind = MQ_BATCH_CONTROL,
	                     .control = control,
	                     .ack = MQ_ACK_DURABLE,
	                     .stored_len = (uint32_t)len,
	                     .raw_len = (uint32_t)len,
	                     .base_offset = from,
	                     .next_offset = to,
	                     .base_time_us = mq_log_now_us(),
	                     .epoch = s->h.epoch,
	                     .topic_generation = log->tail.generation,
	                     .durable_pos = MQ_SEGMENT_HEADER_LEN};

	b.max_time_us = log->tail.max_time_us; /* the running maximum goes on */
	b.body_crc = mq_crc32c(0, body, len);
	return mq_segment_put(s, &b, body, err);
}

static int put_snapshot(struct mq_log *log, struct mq_segment *s, uint64_t pred_end_pos, struct mq_err *err)
{
	struct mq_buf body = MQ_BUF_INIT;
	uint32_t dropped = 0;
	int rc;

	if (!(log->tail.flags & MQ_TAIL_PRODUCERS))
		return 0;
	rc = mq_producers_catch_up(&log->producers, log->dir, &log->scan, &log->head, pred_end_pos, err);
	if (rc < 0)
		return rc;
	rc = mq_producers_snapshot(&log->producers, &body, &dropped);
	if (rc < 0)
		mq_err_sys(err, rc, "cannot make the snapshot of producers");
	if (rc == 0 && dropped > 0)
		mq_log_notice(log, "%u producers unused for the longest time are forgotten (the table holds %d bytes)", dropped,
		              MQ_PRODUCERS_SNAPSHOT_MAX);
	if (rc == 0)
		rc = put_control(log, s, MQ_CONTROL_SNAPSHOT, s->end_offset, s->end_offset, body.p, body.len, err);
	mq_buf_release(&body);
	return rc;
}

static int put_gap(struct mq_log *log, struct mq_segment *s, uint64_t to, enum mq_segment_reason reason, struct mq_err *err)
{
	struct mq_gap gap = {reason, s->end_offset, to};
	uint8_t body[MQ_GAP_LEN];

	if (to <= s->end_offset)
		return 0;
	mq_log_notice(log, "offsets %llu to %llu are lost (%s)", (unsigned long long)gap.lost_from,
	              (unsigned long long)to - 1, reason == MQ_SEGMENT_CLOSED ? "a sync failed" : "they no longer verify");
	mq_gap_encode(&gap, body);
	return put_control(log, s, MQ_CONTROL_GAP, s->end_offset, to, body, sizeof body, err);
}

/*
 * Behind what a failed sync lost, does it stay behind?  A mover or a named producer is asked by its last number alone how far it
 * came (transfer_lines.c: a log is lost from behind), so a batch of its own that is there would answer for one that is not, which
 * nobody would write again.  One that asked to be durable was seen by nobody and acknowledged to nobody: so it goes with what was lost, and
 * whoever was told of the failure writes both.
 */
static bool answers_for_lost(const struct mq_batch *b)
{
	return b->who.kind != MQ_WHO_NOBODY && b->ack >= MQ_ACK_DURABLE;
}

/* Take over, at the same offsets, each batch of the head behind its end that still verifies. */
static int take_over(struct mq_log *log, struct mq_segment *s, const struct mq_successor *how, struct mq_err *err)
{
	uint64_t pos = how->pred_end_pos, to = how->copy_to;
	bool hole = false;

	mq_scan_reset(&log->scan, &log->head);
	while (pos < to) {
		struct mq_batch b;
		const uint8_t *body;
		int rc = mq_scan_batch(&log->scan, pos, to, &b, &body, err);

		if (rc == MQ_EDAMAGE || rc == 0) {
			rc = mq_scan_resync(&log->scan, pos + 1, to, &pos, err);
			if (rc <= 0)
				return rc;
			continue;
		}
		if (rc < 0)
			return rc;
		pos += mq_batch_len(&b);
		if (b.base_offset < s->end_offset)
			continue;
		hole |= b.base_offset > s->end_offset;
		if (hole && how->unacknowledged && answers_for_lost(&b))
			continue;
		rc = put_gap(log, s, b.base_offset, how->reason, err);
		b.durable_pos = MQ_SEGMENT_HEADER_LEN;
		b.epoch = s->h.epoch;
		if (rc == 0)
			rc = mq_segment_put(s, &b, body, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Everything of the new segment up to its fdatasync. */
static int make(struct mq_log *log, const struct mq_successor *how, struct mq_segment *s, struct mq_err *err)
{
	struct mq_segment_header h = {.partition = log->opt.partition,
	                              .reason = how->reason,
	                              .base_offset = how->pred_end_offset,
	                              .epoch = log->tail.epoch,
	                              .created_us = mq_log_now_us(),
	                              .pred_id = log->head.h.id,
	                              .pred_base = log->head.h.base_offset,
	                              .pred_end_pos = how->pred_end_pos,
	                              .pred_end_offset = how->pred_end_offset};
	int rc = mq_sys->random(h.id.b, sizeof h.id.b);

	if (rc < 0)
		return mq_err_sys(err, rc, "cannot draw a segment id");
	mq_segment_id_unmark(&h.id);
	memcpy(h.topic_id, log->opt.topic_id, sizeof h.topic_id);
	if (how->new_incarnation)
		h.epoch.incarnation++;
	rc = mq_segment_begin(s, log->dir, &h, log->opt.mode, err);
	if (rc < 0)
		return rc;
	rc = put_snapshot(log, s, how->pred_end_pos, err);
	if (rc == 0)
		rc = take_over(log, s, how, err);
	if (rc == 0)
		rc = put_gap(log, s, how->next_offset_min, how->reason, err);
	if (rc == 0)
		rc = mq_segment_bear(s, err);
	if (rc < 0)
		mq_segment_abandon(s, log->dir);
	return rc;
}

/* It could not be named.  Where the directory had no room for the name nothing has happened, and the same may be tried
 * again; else whether the name is there, or durable, nobody knows: "rolling" stays, the next one looks. */
static void not_named(struct mq_log *log, struct mq_segment *s, int why)
{
	struct mq_stat st;
	bool named = mq_sys->statat(log->dir, s->name, &st) != -ENOENT;

	if (named)
		mq_segment_release(s);
	else
		mq_segment_abandon(s, log->dir);
	log->broken = true;
	if (named || (why != -ENOSPC && why != -EDQUOT))
		return;
	log->tail.flags &= ~(uint32_t)MQ_TAIL_ROLLING;
	log->broken = mq_state_tail_publish(&log->state, &log->tail, ++log->tail_seq, NULL) < 0;
}

int mq_log_succeed(struct mq_log *log, const struct mq_successor *how, struct mq_err *err)
{
	struct mq_segment s;
	struct mq_tail *t = &log->tail;
	int rc = make(log, how, &s, err);

	if (rc < 0)
		return rc;
	t->flags |= MQ_TAIL_ROLLING;
	rc = mq_state_tail_publish(&log->state, t, ++log->tail_seq, err);
	if (rc == 0)
		rc = mq_segment_name_it(&s, log->dir, err);
	if (rc < 0) {
		not_named(log, &s, rc);
		return rc;
	}
	t->flags &= ~(uint32_t)(MQ_TAIL_ROLLING | MQ_TAIL_UNSETTLED);
	t->offset_min = 0;
	t->segment = s.h.id;
	t->segment_base = s.h.base_offset;
	t->segment_created_us = s.h.created_us;
	t->epoch = s.h.epoch;
	t->pos = t->strict_start = t->strict_end = s.h.born_end_pos;
	t->next_offset = t->strict_offset = s.h.born_end_offset;
	t->index_pos = t->index_count = t->producers_pos = 0;
	rc = mq_state_tail_publish(&log->state, t, ++log->tail_seq, err);
	if (rc < 0) {
		log->broken = true;
		mq_segment_release(&s);
		return rc;
	}
	mq_log_set_head(log, &s);
	mq_scan_reset(&log->scan, &log->head);
	return 0;
}

/* The head's sync failed; under the append lock.  It ends at its durable mark from now on. */
static int close_head(struct mq_log *log, struct mq_err *err)
{
	struct mq_successor how = {.reason = MQ_SEGMENT_CLOSED, .new_incarnation = true, .unacknowledged = true};
	int rc = mq_state_durable(&log->state, MQ_STATE_MARKS, &log->head.h.id, &how.pred_end_pos, &how.pred_end_offset, NULL,
	                          err);

	if (rc < 0)
		return rc;
	if (how.pred_end_pos < log->head.h.born_end_pos) {
		how.pred_end_pos = log->head.h.born_end_pos;
		how.pred_end_offset = log->head.h.born_end_offset;
	}
	how.copy_to = log->tail.pos;
	how.next_offset_min = log->tail.next_offset;
	mq_log_notice(log, "segment %s is closed at %llu: a sync failed; what verifies goes on in a new one", log->head.name,
	              (unsigned long long)how.pred_end_pos);
	return mq_log_succeed(log, &how, err);
}

int mq_log_close_failed(struct mq_log *log, const struct mq_segment_id *failed, struct mq_err *err)
{
	int rc = mq_log_enter(log, err);

	if (rc < 0)
		return rc;
	if (mq_segment_id_equal(&log->head.h.id, failed))
		rc = close_head(log, err);
	mq_log_leave(log);
	mq_log_ring(log);
	return rc;
}

int mq_log_sync_or_close(struct mq_log *log, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	int rc = mq_log_sync_locked(log, err);

	if (rc < 0 && rc != -EBUSY && log->state.fd >= 0 && close_head(log, &why) == 0)
		return 1; /* the waiters of the old one learn their fate from the new one's header */
	return rc;
}

int mq_log_roll_if_due(struct mq_log *log, uint64_t len, int64_t now_us, struct mq_err *err)
{
	struct mq_successor how = {.reason = MQ_SEGMENT_ROLL};
	struct mq_tail *t = &log->tail;
	bool has_records = t->next_offset > log->head.h.base_offset;
	int rc;

	if (!has_records)
		return 0; /* two segments of one base would tie */
	if (t->pos + len <= log->opt.segment_bytes &&
	    (log->opt.segment_ms == 0 || now_us - t->segment_created_us < log->opt.segment_ms * 1000))
		return 0;
	rc = mq_log_sync_or_close(log, err);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	how.pred_end_pos = how.copy_to = t->pos;
	how.pred_end_offset = how.next_offset_min = t->next_offset;
	return mq_log_succeed(log, &how, err);
}
