/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "log/internal.h"
#include "sys/sys.h"

/* How far the head is durable, as far as it matters: marks are read only while someone waits for a sync, and of them the
 * first alone.  The others are of those who found it stalled; a lower bound is as true, but what asks for no sync itself
 * must not stay invisible behind waiters that were served. */
static int refresh_durable(struct mq_log *log, enum mq_ack ack, struct mq_err *err)
{
	uint64_t pos, offset;
	int rc;

	if (log->durable_pos >= log->tail.strict_end)
		return 0;
	rc = mq_state_durable(&log->state, 1, &log->head.h.id, &pos, &offset, NULL, err);
	if (rc == 0 && pos < log->tail.strict_end && ack < MQ_ACK_DURABLE)
		rc = mq_state_durable(&log->state, MQ_STATE_MARKS, &log->head.h.id, &pos, &offset, NULL, err);
	if (rc == 0 && pos > log->durable_pos)
		log->durable_pos = pos;
	return rc;
}

/* A look-up, not a scan: does the table already hold this number?  Under the append lock. */
static int admit_who(struct mq_log *log, const struct mq_who *who, uint32_t generation, struct mq_err *err)
{
	const struct mq_producer *p;
	int rc;

	if (who->kind == MQ_WHO_NOBODY)
		return 0;
	rc = mq_producers_catch_up(&log->producers, log->dir, &log->scan, &log->head, log->tail.pos, err);
	if (rc < 0)
		return rc;
	p = mq_producers_get(&log->producers, who->id);
	log->stale = 0;
	if (!p)
		return mq_err_set(err, who->kind == MQ_WHO_MOVER ? -ESTALE : MQ_EBROKEN,
		                  "the producer's entry is gone: open the partition again");
	if (who->generation < p->generation)
		return mq_err_set(err, MQ_EDENIED, "generation %u of the producer %s has been replaced by %u", who->generation,
		                  p->name, p->generation);
	if (who->generation == p->generation && who->number <= mq_producers_number(&log->producers, p, generation))
		return mq_err_set(err, -EEXIST, "number %llu of the producer %s is held already",
		                  (unsigned long long)who->number, p->name);
	return 0;
}

static void index_batch(struct mq_log *log, const struct mq_batch *b)
{
	struct mq_index_entry e = {b->base_offset, log->tail.pos, log->tail.max_time_us};
	struct mq_err why = MQ_ERR_INIT;

	if (log->tail.index_count > 0 && log->tail.pos - log->tail.index_pos < MQ_INDEX_INTERVAL)
		return;
	if (mq_index_put(&log->head, log->dir, log->opt.mode, log->tail.index_count, &e, &why) < 0) {
		mq_log_notice(log, "%s; seeking will be slower", why.text); /* a cache: the log does not depend on it */
		return;
	}
	log->tail.index_pos = log->tail.pos;
	log->tail.index_count++;
}

/* Write at the tail, then publish. */
static int put_batch(struct mq_log *log, struct mq_batch *b, const void *body, struct mq_log_ticket *ret, struct mq_err *err)
{
	struct mq_tail *t = &log->tail;
	uint64_t start = t->pos, end = start + mq_batch_len(b);
	bool clear = log->durable_pos >= t->strict_end || t->strict_start >= t->strict_end;
	int rc = mq_segment_write(&log->head, start, b, body, err);

	if (rc == 0)
		rc = mq_log_drop_oldest(log, err);
	if (rc < 0)
		return rc;
	index_batch(log, b);
	if (b->ack >= MQ_ACK_DURABLE) {
		if (clear) {
			t->strict_start = start;
			t->strict_offset = b->base_offset;
		}
		t->strict_end = end;
	} else if (clear) {
		t->strict_start = t->strict_end;
	}
	t->pos = end;
	t->next_offset = b->next_offset;
	if (b->max_time_us > t->max_time_us)
		t->max_time_us = b->max_time_us;
	rc = mq_state_tail_publish(&log->state, t, log->tail_seq + 1, err);
	if (rc < 0) {
		log->broken = true; /* nobody can tell whether others see it */
		return rc;
	}
	log->tail_seq++;
	if (log->own.next != b->base_offset)
		log->own.from = b->base_offset;
	log->own.next = b->next_offset;
	rc = mq_producers_learn(&log->producers, b, body, start, end);
	if (rc < 0)
		mq_producers_release(&log->producers); /* no memory: read it from the log again */
	ret->segment = t->segment;
	ret->end_pos = end;
	ret->base_offset = b->base_offset;
	ret->next_offset = b->next_offset;
	ret->visible = clear && b->ack < MQ_ACK_DURABLE;
	return 0;
}

/* All who asked for a sync have been served, and something that did not lies behind the mark. */
static bool hides_for_nobody(const struct mq_log *log, const struct mq_tail *t)
{
	return mq_segment_id_equal(&t->segment, &log->head.h.id) && t->strict_start < t->strict_end &&
	       t->strict_end <= log->durable_pos && log->durable_pos < t->pos;
}

void mq_log_show_rest(struct mq_log *log)
{
	struct mq_tail t;
	uint64_t seq;
	bool hides;

	pthread_mutex_lock(&log->lead);
	hides = mq_state_tail_read(&log->state, &t, &seq, NULL) == 0 && seq > 0 && hides_for_nobody(log, &t);
	pthread_mutex_unlock(&log->lead);
	if (!hides || mq_log_enter_soon(log, NULL) < 0)
		return;
	if (hides_for_nobody(log, &log->tail)) {
		log->tail.strict_start = log->tail.strict_end;
		if (mq_state_tail_publish(&log->state, &log->tail, ++log->tail_seq, NULL) < 0)
			log->broken = true;
	}
	mq_log_leave(log);
}

/* Bytes up to the ticket that are not known durable; another leader may have passed it. */
static uint64_t unsynced(const struct mq_log *log, const struct mq_log_ticket *t)
{
	uint64_t durable = log->durable_pos;

	return t->end_pos > durable ? t->end_pos - durable : 0;
}

/* Of those, what nobody here has begun to write out. */
static uint64_t not_begun(const struct mq_log *log, const struct mq_log_ticket *t)
{
	uint64_t wrote = log->wrote_out, bytes = unsynced(log, t);

	return t->end_pos <= wrote ? 0 : bytes < t->end_pos - wrote ? bytes : t->end_pos - wrote;
}

/* Rule 1: unsynced bytes stay bounded, so that no roll, sync or recovery meets more.  What mq_log_wait begins early, beside
 * the next appends, has long been done here; who never waits does it now. */
static int bound_unsynced(struct mq_log *log, struct mq_log_ticket *t, struct mq_err *err)
{
	uint64_t pos, offset;
	int rc;

	t->due = not_begun(log, t) >= MQ_LOG_WRITE_OUT_BYTES;
	if (unsynced(log, t) < MQ_LOG_UNSYNCED_MAX_BYTES)
		return 0;
	rc = mq_state_durable(&log->state, MQ_STATE_MARKS, &t->segment, &pos, &offset, NULL, err);
	if (rc < 0)
		return rc;
	if (pos > log->durable_pos)
		log->durable_pos = pos;
	if (unsynced(log, t) < MQ_LOG_UNSYNCED_MAX_BYTES)
		return 0;
	return mq_log_wait(log, t, MQ_ACK_DURABLE, err);
}

int mq_log_write_behind(struct mq_log *log, const struct mq_log_ticket *t, struct mq_err *err)
{
	uint64_t bytes, left = 0;

	pthread_mutex_lock(&log->lead);
	if (mq_segment_id_equal(&log->head.h.id, &t->segment)) { /* a roll syncs what it leaves */
		bytes = not_begun(log, t);
		if (bytes >= MQ_LOG_WRITE_OUT_BYTES) {
			/* Only a hint to the kernel; what it fails at, the sync tells. */
			(void)mq_sys->write_out(log->head.fd, t->end_pos - bytes, bytes);
			log->wrote_out = t->end_pos;
		}
		left = unsynced(log, t);
	}
	pthread_mutex_unlock(&log->lead);
	return left >= MQ_LOG_UNSYNCED_MAX_BYTES / 2 ? mq_log_wait(log, t, MQ_ACK_DURABLE, err) : 0;
}

int mq_log_append_locked(struct mq_log *log, struct mq_batch *b, const void *body, struct mq_log_ticket *ret,
                         struct mq_err *err)
{
	struct mq_segment_id before = log->head.h.id;
	int64_t now = mq_log_now_us();
	int rc = admit_who(log, &b->who, b->topic_generation, err);

	if (rc < 0)
		return rc;
	rc = mq_log_check_size(log, b, err);
	if (rc == 0)
		rc = mq_log_roll_if_due(log, mq_batch_len(b), now, err);
	if (rc == 0)
		rc = mq_log_make_room(log, b, err);
	if (rc == 0 && !mq_segment_id_equal(&before, &log->head.h.id))
		rc = admit_who(log, &b->who, b->topic_generation, err); /* the new segment's table may have had no room for it */
	if (rc < 0)
		return rc;
	if (b->ack < log->opt.min_ack)
		b->ack = log->opt.min_ack;
	rc = refresh_durable(log, b->ack, err);
	if (rc < 0)
		return rc;
	b->base_offset = log->tail.next_offset;
	b->next_offset = b->base_offset + b->count;
	b->epoch = log->tail.epoch;
	b->durable_pos = log->durable_pos;
	if (b->base_time_us == 0)
		b->base_time_us = now;
	if (b->max_time_us == 0)
		b->max_time_us = b->base_time_us;
	return put_batch(log, b, body, ret, err);
}

/* Who routed it by fewer partitions than there are now must do so anew: what lies behind a generation's batch was routed by it. */
static int check_generation(struct mq_log *log, const struct mq_batch *b, struct mq_err *err)
{
	uint32_t here = log->tail.generation;

	if (here <= b->topic_generation || here <= log->looked_up)
		return 0;
	log->stale = here;
	return mq_err_set(err, -ESTALE, "the topic has more partitions since generation %u", here);
}

int mq_log_append(struct mq_log *log, const struct mq_batch *given, const void *body, struct mq_log_ticket *ret,
                  struct mq_err *err)
{
	struct mq_batch b = *given;
	struct mq_log_ticket t;
	int rc = mq_log_enter(log, err);

	if (rc == 0) {
		rc = check_generation(log, &b, err);
		if (rc == 0)
			rc = mq_log_append_locked(log, &b, body, &t, err);
		mq_log_leave(log);
	}
	if (rc == 0) {
		if (t.visible)
			mq_log_ring(log);
		rc = bound_unsynced(log, &t, err);
	}
	if (rc < 0) {
		mq_err_prefix(err, "%s", log->opt.label);
		return rc;
	}
	*ret = t;
	return 0;
}
