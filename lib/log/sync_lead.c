/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the one does that leads a sync (sync.c): its mark says "started", the sync, "finished" with how far that made durable.
 *
 * A start without a finish is of one who was killed, or failed and could not close the segment: the kernel may have told it
 * alone, so what was in the cache then may be on the disk or not, and no later sync says.  All of that is written again,
 * synced, and compared with the disk, before anything is called durable or the start is taken for done.
 */
#include <errno.h>

#include "log/internal.h"
#include "sys/sys.h"

/* Marks of all leaders: how far the head is durable, and whether a sync was started in it and not finished. */
static void survey(const struct mq_segment_header *h, const struct mq_marks *all, struct mq_mark *ret_durable,
                   bool *ret_unfinished)
{
	ret_durable->segment = h->id;
	ret_durable->pos = h->born_end_pos;
	ret_durable->end_offset = h->born_end_offset;
	*ret_unfinished = false;
	for (int m = 0; m < MQ_STATE_MARKS; m++) {
		const struct mq_mark *v = &all->mark[m];

		if (all->seq[m] == 0 || !mq_segment_id_equal(&v->segment, &h->id))
			continue;
		if (v->started != v->finished)
			*ret_unfinished = true;
		if (v->pos > ret_durable->pos) {
			ret_durable->pos = v->pos;
			ret_durable->end_offset = v->end_offset;
		}
	}
}

/* Leaders that died in this segment: what they had begun is done.  One that merely stalls still has its byte. */
static int settle_unfinished(struct mq_log *log, int mine, const struct mq_mark *done, struct mq_err *err)
{
	int rc = 0;

	for (int m = 0; m < MQ_STATE_MARKS && rc == 0; m++) {
		uint64_t byte = (uint64_t)(MQ_LOG_SYNC_BYTE + m);
		struct mq_marks all;
		struct mq_mark *v = &all.mark[m];

		if (m == mine || mq_sys->lock(log->lock, MQ_LOCK_WRITE, byte, 1, false) < 0)
			continue;
		rc = mq_state_marks_read(&log->state, MQ_STATE_MARKS, &all, err);
		if (rc == 0 && all.seq[m] > 0 && v->started != v->finished && mq_segment_id_equal(&v->segment, &done->segment)) {
			v->pos = done->pos;
			v->end_offset = done->end_offset;
			v->finished = v->started;
			rc = mq_state_mark_write(&log->state, m, v, all.seq[m] + 1, err);
		}
		(void)mq_sys->lock(log->lock, MQ_LOCK_NONE, byte, 1, false);
	}
	return rc;
}

static int write_again(struct mq_log *log, uint64_t from, uint64_t to, struct mq_err *err)
{
	struct mq_scan scan;
	int rc;

	mq_scan_init(&scan);
	rc = mq_log_write_again(log, &scan, from, to, err);
	mq_scan_release(&scan);
	return rc;
}

int mq_log_lead(struct mq_log *log, int m, const struct mq_log_ticket *ticket, struct mq_err *err)
{
	struct mq_marks all;
	struct mq_mark mark, durable;
	struct mq_tail t;
	uint64_t tail_seq, seq, size = 0;
	bool unfinished;
	int64_t t0, took;
	int rc = mq_state_tail_read(&log->state, &t, &tail_seq, err);

	if (rc < 0)
		return rc;
	if (tail_seq == 0 || !mq_segment_id_equal(&t.segment, &log->head.h.id))
		return 1;
	rc = mq_state_marks_read(&log->state, MQ_STATE_MARKS, &all, err);
	if (rc < 0)
		return rc;
	survey(&log->head.h, &all, &durable, &unfinished);
	if (ticket && mq_segment_id_equal(&ticket->segment, &durable.segment) && durable.pos >= ticket->end_pos)
		return 0; /* the one before us has done it */
	if (log->head.failed)
		return mq_err_set(err, MQ_EBROKEN, "segment %s: refused after an earlier failed sync", log->head.name);
	if (unfinished && log->head.unreadable)
		return (rc = mq_log_others_syncs(log, err)) < 0 ? rc : 1;
	if (unfinished)
		rc = mq_segment_size(&log->head, &size, err); /* of all that is there now, published or not */
	if (rc < 0)
		return rc;
	mark = durable;
	mark.started = all.mark[m].finished + 1;
	mark.finished = all.mark[m].finished;
	mark.last_sync_ns = all.mark[m].last_sync_ns;
	mark.aim_pos = t.pos;
	seq = all.seq[m];
	rc = mq_state_mark_write(&log->state, m, &mark, ++seq, err);
	if (rc < 0)
		return rc;
	if (unfinished)
		rc = write_again(log, durable.pos, t.pos, err);
	if (rc < 0)
		return rc;
	t0 = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	rc = mq_segment_sync(&log->head, err);
	if (rc < 0)
		return rc; /* "started" stays: it holds the next one off */
	mark.pos = t.pos;
	mark.end_offset = t.next_offset;
	mark.finished = mark.started;
	took = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) - t0;
	mark.last_sync_ns = took > 0 ? (uint64_t)took : 0;
	if (unfinished || log->doubt)
		rc = mq_log_on_disk(log, durable.pos, t.pos, err);
	if (rc == 0 && unfinished)
		rc = mq_log_rest_on_disk(log, t.pos, size, err);
	if (rc < 0)
		return rc;
	rc = mq_state_mark_write(&log->state, m, &mark, ++seq, err);
	if (rc == 0)
		log->durable_pos = t.pos;
	if (rc == 0 && unfinished)
		rc = settle_unfinished(log, m, &mark, err);
	return rc;
}
