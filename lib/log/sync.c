/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Group commit across processes.
 *
 * Whoever wants durability tries sync byte 0.  The one that gets it leads: it notes "started" in its mark,
 * syncs all that is published, notes "finished" with the new durable position, wakes the rest.  The others
 * wait on the futex word.  A leader that died left its byte free, and its "started" without a "finished":
 * then the kernel may have told it alone of a failure, so the next one first writes the bytes again, and after its
 * sync looks whether they are on the disk.  A leader that stalls (longer than max(20 ms, 4 x the last sync)) keeps its
 * byte; who waits takes the next.
 *
 * Durability is (segment, position), never an offset: after a close the same offset may stand elsewhere.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "log/internal.h"
#include "log/visible.h"
#include "sys/hold.h"
#include "sys/sys.h"

#define SHORT_NS INT64_C(1000000000) /* a sync may take so long: a shorter patience is not about it */

static int64_t max_i64(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/*
 * Who waits belongs to one of two classes, by the futex word that it saw and whether the sync at work then covers its
 * batch: that sync's end, which adds 1 to the word, is for class word & 1; the next one's for the other.  So whoever a sync
 * does not cover sleeps on, but for one: it leads the next.  All wake within two ends of what they saw; a wake-up too many
 * costs a look, one too few (its reader was killed) the time-out.
 */
enum { CLASS_BOTH = 3 };

static uint32_t class_of(uint32_t word)
{
	return 1u << (word & 1);
}

/* What these calls fail at, the waiters' time-out covers. */
static void wake(struct mq_log *log, int m, int rc)
{
	uint32_t *word = mq_state_futex(&log->state, NULL), seen;

	if (!word)
		return;
	if (m != 0 || rc < 0 || mq_state_futex_read(&log->state, &seen, NULL) < 0) { /* a stall, a failure: all look */
		(void)mq_sys->futex_add(word);
		(void)mq_sys->futex_wake(word, INT_MAX, CLASS_BOTH);
		return;
	}
	(void)mq_sys->futex_add(word);
	(void)mq_sys->futex_wake(word, INT_MAX, class_of(seen));
	(void)mq_sys->futex_wake(word, 1, class_of(seen + 1));
}

/* Of leaders that were stopped, perhaps.  A stop signal is held off with the append lock, so it does not end this. */
static int wait_for_bytes(struct mq_log *log, uint64_t first, uint64_t n)
{
	struct mq_patience p = mq_patience_at_least(log->opt.patience, SHORT_NS);
	int64_t end_ns = mq_patience_end(&p);
	int rc;

	p.stop = NULL;
	do
		rc = mq_patience_lock(&p, end_ns, log->lock, MQ_LOCK_WRITE, first, n);
	while (rc == -EINTR && !mq_stop_requested());
	return rc;
}

int mq_log_sync_locked(struct mq_log *log, struct mq_err *err)
{
	bool alone = log->head.unreadable; /* then nobody else may be at work */
	uint64_t n = alone ? MQ_STATE_MARKS : 1;
	int rc = -EAGAIN, m;

	pthread_mutex_lock(&log->lead);
	for (m = 0; m < MQ_STATE_MARKS && rc < 0 && !alone; m++)
		rc = mq_sys->lock(log->lock, MQ_LOCK_WRITE, (uint64_t)(MQ_LOG_SYNC_BYTE + m), 1, false);
	m -= !alone;
	if (rc == -EAGAIN || rc == -EACCES || rc == -EINTR)
		rc = wait_for_bytes(log, (uint64_t)(MQ_LOG_SYNC_BYTE + m), n);
	if (rc == -EINTR) { /* nothing failed, so nobody closes the segment for it */
		rc = mq_err_set(err, -EBUSY, "stopped while others who began syncs did not end them");
	} else if (rc == -ETIMEDOUT) {
		rc = mq_err_set(err, -EBUSY, "others began syncs, and did not end one within %g s (--timeout)",
		                (double)mq_patience_at_least(log->opt.patience, SHORT_NS).ns / 1e9);
	} else if (rc == 0) {
		rc = mq_log_lead(log, m, NULL, err);
		(void)mq_sys->lock(log->lock, MQ_LOCK_NONE, (uint64_t)(MQ_LOG_SYNC_BYTE + m), n, false);
		wake(log, m, rc);
		if (rc == 1)
			rc = mq_err_set(err, MQ_EBROKEN, "the head changed under the append lock");
	} else {
		mq_err_sys(err, rc, "cannot take a sync lock");
	}
	pthread_mutex_unlock(&log->lead);
	return rc;
}

/* What the durable marks say of a ticket that is not safe yet. */
struct outlook {
	uint64_t sync_ns;  /* how long the slowest sync took */
	bool at_work;      /* a sync of its segment was started on byte 0, which … */
	bool covers;       /* … makes it durable */
};

/* 1: as safe as asked.  0: not yet.  marks: how many to look at. */
static int check(struct mq_log *log, const struct mq_log_ticket *ticket, enum mq_ack level, int marks, struct outlook *ret,
                 struct mq_err *err)
{
	struct mq_marks all;
	struct mq_mark best = {0};
	struct mq_tail t;
	uint64_t seq, visible;
	int rc = mq_state_marks_read(&log->state, marks, &all, err);

	if (rc < 0)
		return rc;
	*ret = (struct outlook){0};
	for (int m = 0; m < marks; m++) {
		const struct mq_mark *v = &all.mark[m];

		if (v->last_sync_ns > ret->sync_ns)
			ret->sync_ns = v->last_sync_ns;
		if (all.seq[m] == 0 || !mq_segment_id_equal(&v->segment, &ticket->segment))
			continue;
		if (v->pos > best.pos)
			best = *v;
		if (m == 0) {
			ret->at_work = v->started != v->finished;
			ret->covers = v->aim_pos >= ticket->end_pos;
		}
	}
	if (best.pos >= ticket->end_pos)
		return 1;
	if (best.pos > 0 && marks == 1 && level >= MQ_ACK_DURABLE)
		return 0; /* the leader is at work in this segment; were it closed meanwhile, the time-out looks at all */
	rc = mq_state_tail_read(&log->state, &t, &seq, err);
	if (rc < 0)
		return rc;
	if (seq == 0)
		return mq_err_set(err, MQ_EBROKEN, "state lost its tail while waiting; the outcome is unknown");
	if (!mq_segment_id_equal(&t.segment, &ticket->segment))
		return mq_log_fate(log, &t, ticket, err);
	if (level == MQ_ACK_WRITTEN) {
		mq_visible_end(&t, best.pos, best.end_offset, &visible, NULL);
		return visible >= ticket->end_pos;
	}
	return 0;
}

/*
 * Those whom the last sync served are about to write again.  One that begins at once leaves them to the next, and so two
 * crowds take turns, each at half the size: who slept for others before it leads gives them the processor first, which is
 * nothing where nobody wants it.
 */
static void let_others_write(struct mq_log *log)
{
	enum { YIELDS = 4 };

	for (int i = 0; i < YIELDS && log->crowded; i++)
		(void)mq_sys->yield();
	log->crowded = false;
}

/* Try to lead on byte m.  1: done.  0: somebody else has the byte, or the head has changed: check. */
static int try_lead(struct mq_log *log, int m, const struct mq_log_ticket *ticket, struct mq_err *err)
{
	int rc;

	mq_hold_signals();
	pthread_mutex_lock(&log->lead);
	rc = mq_sys->lock(log->lock, MQ_LOCK_WRITE, (uint64_t)(MQ_LOG_SYNC_BYTE + m), 1, false);
	if (rc < 0) {
		pthread_mutex_unlock(&log->lead);
		mq_unhold_signals();
		return rc == -EAGAIN || rc == -EACCES || rc == -EINTR ? 0 : mq_err_sys(err, rc, "cannot take a sync lock");
	}
	let_others_write(log);
	rc = mq_log_lead(log, m, ticket, err);
	(void)mq_sys->lock(log->lock, MQ_LOCK_NONE, (uint64_t)(MQ_LOG_SYNC_BYTE + m), 1, false);
	wake(log, m, rc);
	pthread_mutex_unlock(&log->lead);
	mq_unhold_signals();
	if (rc < 0)
		return rc;
	if (rc == 1 || !mq_segment_id_equal(&ticket->segment, &log->head.h.id))
		return 0;
	mq_log_show_rest(log);
	mq_log_ring(log);
	return 1;
}

/* When to look again: when the leader seems to be stalled, at the end of our patience at the latest. */
static int64_t nap(int64_t end_ns, uint64_t sync_ns)
{
	int64_t stall_ns = max_i64(20 * 1000 * 1000, 4 * (int64_t)sync_ns), left_ns;

	if (end_ns < 0)
		return stall_ns;
	left_ns = max_i64(end_ns - mq_sys->clock_ns(MQ_CLOCK_MONOTONIC), 0);
	return left_ns < stall_ns ? left_ns : stall_ns;
}

/* Sleep until a leader has finished, or end_ns (-1: never) is there.  1: done; 0: look again; *m: the byte to try next. */
static int await(struct mq_log *log, const struct mq_log_ticket *ticket, enum mq_ack level, int *m, int64_t end_ns, struct mq_err *err)
{
	struct outlook o = {0};
	uint32_t *word, seen;
	int rc;

	pthread_mutex_lock(&log->lead);
	word = mq_state_futex(&log->state, err);
	rc = word ? mq_state_futex_read(&log->state, &seen, err) : MQ_EBROKEN;
	if (rc == 0)
		rc = check(log, ticket, level, *m == 0 ? 1 : MQ_STATE_MARKS, &o, err);
	log->crowded |= rc == 0;
	pthread_mutex_unlock(&log->lead);
	if (rc == 0) {
		uint32_t classes = o.at_work && *m == 0 ? class_of(o.covers ? seen : seen + 1) : CLASS_BOTH;
		int slept = mq_sys->futex_wait(word, seen, classes, nap(end_ns, o.sync_ns));

		if (slept == -ETIMEDOUT) { /* stalled: all marks count, and the next byte is tried */
			*m = (*m + 1) % MQ_STATE_MARKS;
		} else if (slept == -EFAULT) {
			rc = mq_err_sys(err, -EIO, "cannot wait for a sync: state's page cannot be had");
		} else {
			pthread_mutex_lock(&log->lead);
			rc = check(log, ticket, level, *m == 0 ? 1 : MQ_STATE_MARKS, &o, err);
			pthread_mutex_unlock(&log->lead);
		}
	}
	return rc;
}

int mq_log_wait(struct mq_log *log, const struct mq_log_ticket *ticket, enum mq_ack level, struct mq_err *err)
{
	struct mq_patience p = mq_patience_at_least(log->patience, SHORT_NS);
	int64_t end_ns = 0;
	bool late = false; /* who stood still tries once more: what was waited for may have come, or its byte be free */
	int m = 0;

	if (level == MQ_ACK_NONE)
		return mq_log_write_behind(log, ticket, err);
	for (;;) {
		struct outlook o;
		int rc;

		if (level == MQ_ACK_WRITTEN) { /* visible without a sync, perhaps */
			pthread_mutex_lock(&log->lead);
			rc = check(log, ticket, level, MQ_STATE_MARKS, &o, err);
			pthread_mutex_unlock(&log->lead);
			if (rc != 0)
				return rc < 0 ? rc : mq_log_write_behind(log, ticket, err);
		}
		rc = try_lead(log, m, ticket, err);
		if (rc < 0)
			return mq_log_unknown(log, ticket, rc, err);
		if (rc == 0 && end_ns == 0)
			end_ns = mq_patience_end(&p);
		if (rc == 0)
			rc = await(log, ticket, level, &m, end_ns, err);
		if (rc != 0)
			return rc < 0 ? rc : 0;
		if (late)
			return mq_log_too_late(ticket, &p, err);
		late = end_ns >= 0 && mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) >= end_ns;
	}
}

int mq_log_sync(struct mq_log *log, struct mq_err *err)
{
	struct mq_log_ticket t = {0};
	int rc = mq_log_enter(log, err);

	if (rc == 0) {
		t.segment = log->tail.segment;
		t.end_pos = log->tail.pos;
		t.base_offset = t.next_offset = log->tail.next_offset;
		mq_log_leave(log);
		rc = mq_log_wait(log, &t, MQ_ACK_DURABLE, err);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s", log->opt.label);
	return rc;
}
