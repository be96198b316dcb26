/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The append lock, and what must hold before anything is written under it. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log/internal.h"
#include "log/start.h"
#include "sys/hold.h"
#include "sys/sys.h"

/* Longer than anybody who is not stopped holds the lock, but for a roll. */
#define SOON_NS INT64_C(100000000)

int64_t mq_log_now_us(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
}

void mq_log_notice(struct mq_log *log, const char *fmt, ...)
{
	char text[512];
	int n = snprintf(text, sizeof text, "%s: ", log->opt.label);
	va_list ap;

	if (!log->opt.notice)
		return;
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof text - (size_t)n, fmt, ap);
	va_end(ap);
	log->opt.notice(log->opt.notice_arg, text);
}

static int gone(struct mq_err *err)
{
	return mq_err_set(err, MQ_ENOTOPIC, "the topic was deleted");
}

/* The state file that the directory names now.  One that someone removed or that does not verify is made anew:
 * it is a cache, and recovery follows because a new one holds no tail. */
static int reopen_state(struct mq_log *log, struct mq_err *err)
{
	int rc;

	mq_state_file_release(&log->state);
	rc = mq_state_file_open(&log->state, log->dir, true, err);
	if (rc != -ENOENT && rc != MQ_EDAMAGE)
		return rc;
	rc = mq_state_file_create(log->dir, log->opt.mode, err);
	if (rc == -ENOENT)
		return gone(err); /* the directory itself was removed */
	if (rc < 0)
		return rc;
	mq_log_notice(log, "state was missing or did not verify: made anew, the log is verified");
	return mq_state_file_open(&log->state, log->dir, true, err);
}

static int ensure_state(struct mq_log *log, struct mq_err *err)
{
	struct mq_stat st;
	int rc = 0;

	if (log->state.fd >= 0) {
		rc = mq_sys->stat(log->state.fd, &st);
		if (rc < 0)
			return mq_err_sys(err, rc, "cannot look at state");
		if (st.nlink > 0)
			return 0;
		rc = mq_sys->stat(log->lock, &st);
		if (rc < 0)
			return mq_err_sys(err, rc, "cannot look at lock");
		if (st.nlink == 0)
			return gone(err);
	}
	pthread_mutex_lock(&log->lead);
	rc = reopen_state(log, err);
	pthread_mutex_unlock(&log->lead);
	return rc;
}

void mq_log_set_head(struct mq_log *log, const struct mq_segment *s)
{
	pthread_mutex_lock(&log->lead);
	mq_segment_release(&log->head);
	log->head = *s;
	log->durable_pos = log->wrote_out = s->h.born_end_pos;
	pthread_mutex_unlock(&log->lead);
}

static int switch_head(struct mq_log *log, struct mq_err *err)
{
	struct mq_segment_header told = mq_chain_told(log->opt.topic_id, log->opt.partition, &log->tail);
	struct mq_segment s;
	int rc = mq_segment_open_to_append(&s, log->dir, &told, err);

	if (rc < 0)
		return rc == -ENOENT ? mq_err_lacks(err) : rc;
	if (!mq_chain_siblings(&s.h, &told)) {
		mq_segment_release(&s);
		return mq_chain_foreign(err);
	}
	if (!mq_segment_id_equal(&s.h.id, &log->tail.segment)) {
		mq_segment_release(&s);
		return mq_err_set(err, MQ_EDAMAGE, "state and the segment at offset %llu disagree; remove state and run mq-check",
		                  (unsigned long long)log->tail.segment_base);
	}
	mq_log_set_head(log, &s);
	return 0;
}

static int read_tail(struct mq_log *log, struct mq_err *err)
{
	int rc = ensure_state(log, err);

	if (rc == 0)
		rc = mq_state_tail_read(&log->state, &log->tail, &log->tail_seq, err);
	if (rc < 0)
		return rc;
	return log->tail_seq > 0 && (log->tail.flags & MQ_TAIL_GONE) ? gone(err) : 0;
}

/* Who may write the log and not read it must leave that to others. */
static int recover(struct mq_log *log, struct mq_err *err)
{
	int rc = mq_log_recover(log, err);

	return rc == -EACCES ? mq_log_cannot_look("what it holds must be verified first", err) : rc;
}

int mq_log_start(struct mq_log *log, uint64_t *ret, struct mq_err *err)
{
	int rc = mq_start_read(log->dir, log->opt.topic_id, ret, err);

	return rc == -ENOENT ? mq_err_lacks(err) : rc;
}

/* A durable fact: whoever publishes without it, and be it that he does not need it, hides that it was lost. */
static int has_start(struct mq_log *log, struct mq_err *err)
{
	uint64_t start;
	int rc = log->begins ? 0 : mq_log_start(log, &start, err);

	log->begins = rc == 0;
	return rc;
}

int mq_log_look_around(struct mq_log *log, struct mq_err *err)
{
	int rc = read_tail(log, err);

	if (rc == 0)
		rc = has_start(log, err);
	if (rc < 0)
		return rc;
	if (log->tail_seq == 0 || (log->tail.flags & (MQ_TAIL_ROLLING | MQ_TAIL_UNSETTLED)) || !mq_state_tail_trusted(&log->state, &log->tail))
		return recover(log, err);
	if (!mq_segment_id_equal(&log->tail.segment, &log->head.h.id) || log->head.fd < 0)
		rc = switch_head(log, err);
	if (rc == MQ_EDAMAGE) { /* its header: nothing more is appended to it, but what it holds is not given up */
		log->tail.flags |= MQ_TAIL_UNSETTLED;
		rc = recover(log, err);
	}
	return rc < 0 ? rc : mq_log_leave_repairs(log, err);
}

/* Whoever has it may be stopped, or its disk hang: a signal that asks for an end is not kept waiting for that. */
static int wait_for_lock(int fd, const struct mq_patience *patience, int64_t end_ns)
{
	int rc;

	mq_hold_wait_begins();
	rc = mq_patience_lock(patience, end_ns, fd, MQ_LOCK_WRITE, MQ_LOG_APPEND_BYTE, 1);
	mq_hold_wait_ends();
	return rc;
}

static int try_lock(int fd, const struct mq_patience *patience, int64_t end_ns)
{
	int rc = mq_sys->lock(fd, MQ_LOCK_WRITE, MQ_LOG_APPEND_BYTE, 1, false);

	return rc == -EAGAIN || rc == -EACCES || rc == -EINTR ? wait_for_lock(fd, patience, end_ns) : rc;
}

/* One patience for both: the thread of this process that has the first may be waiting for the second itself. */
static int take_both(struct mq_log *log, const struct mq_patience *patience)
{
	int64_t end_ns = mq_patience_end(patience);
	int rc = mq_patience_mutex(patience, end_ns, &log->append);

	if (rc < 0)
		return rc;
	rc = try_lock(log->lock, patience, end_ns);
	if (rc < 0)
		pthread_mutex_unlock(&log->append);
	return rc;
}

static int lock_failed(const struct mq_patience *p, int rc, struct mq_err *err)
{
	if (rc == -ETIMEDOUT)
		return mq_err_set(err, rc, "another process holds the append lock, and did not let it go within %g s (--timeout)",
		                  (double)p->ns / 1e9);
	if (rc == -EINTR)
		return mq_err_set(err, rc, "stopped while another process holds the append lock");
	return mq_err_sys(err, rc, "cannot take the append lock");
}

int mq_log_hold_append(int dir, const struct mq_patience *patience, struct mq_err *err)
{
	int rc, fd = mq_sys->openat(dir, "lock", O_RDWR, 0);

	if (fd < 0)
		return mq_err_sys(err, fd, "cannot open lock");
	mq_hold_signals();
	rc = try_lock(fd, patience, mq_patience_end(patience));
	if (rc == 0)
		return fd;
	mq_unhold_signals();
	(void)mq_sys->close(fd);
	return lock_failed(patience, rc, err);
}

void mq_log_let_go_append(int fd)
{
	(void)mq_sys->close(fd);
	mq_unhold_signals();
}

static int take_lock(struct mq_log *log, const struct mq_patience *patience, struct mq_err *err)
{
	int rc;

	if (log->broken)
		return mq_err_set(err, MQ_EBROKEN, "refused after an earlier failed write");
	mq_hold_signals();
	rc = take_both(log, patience);
	if (rc < 0) {
		mq_unhold_signals();
		return lock_failed(patience, rc, err);
	}
	log->locked = true;
	return 0;
}

static int enter(struct mq_log *log, const struct mq_patience *patience, struct mq_err *err)
{
	int rc = take_lock(log, patience, err);

	if (rc < 0)
		return rc;
	rc = mq_log_look_around(log, err);
	if (rc < 0)
		mq_log_leave(log);
	return rc;
}

int mq_log_enter(struct mq_log *log, struct mq_err *err)
{
	return enter(log, log->opt.patience, err);
}

int mq_log_enter_soon(struct mq_log *log, struct mq_err *err)
{
	static const struct mq_patience soon = {.ns = SOON_NS};

	return enter(log, &soon, err);
}

int mq_log_enter_as_it_is(struct mq_log *log, struct mq_err *err)
{
	int rc = take_lock(log, log->opt.patience, err);

	if (rc < 0)
		return rc;
	rc = read_tail(log, err);
	if (rc < 0)
		mq_log_leave(log);
	return rc;
}

void mq_log_leave(struct mq_log *log)
{
	log->locked = false;
	(void)mq_sys->lock(log->lock, MQ_LOCK_NONE, MQ_LOG_APPEND_BYTE, 1, false); /* cannot fail on an open file */
	pthread_mutex_unlock(&log->append);
	mq_unhold_signals();
}
