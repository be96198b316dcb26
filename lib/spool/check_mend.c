/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What --mend changes.  Only what can be made again from the log, or was never part of it, and only under the append
 * lock of its partition, so that no publisher meets it half done.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "log/start.h"
#include "segment/index.h"
#include "spool/check_internal.h"
#include "sys/sys.h"

/* What was not mended for want of a lock, or of permission, is told at the end once more, by the status. */
static int kept_out(struct mq_check_partition *part, int rc, const struct mq_err *why)
{
	if ((rc == -ETIMEDOUT || rc == -EACCES || rc == -EPERM || rc == -EROFS) && part->c->late.code == 0) {
		part->c->late = *why;
		mq_err_prefix(&part->c->late, "not all was mended");
	}
	return rc;
}

/* The descriptor that holds the lock. */
static int take_append(struct mq_check_partition *part, struct mq_err *why)
{
	int fd = mq_log_hold_append(part->dir, part->c->spool->patience, why);

	if (fd < 0)
		mq_err_prefix(why, "%s:%u", part->t->name, part->number);
	return fd < 0 ? kept_out(part, fd, why) : fd;
}

int mq_mend_remove(struct mq_check_partition *part, const char *name, struct mq_err *why)
{
	int rc, lock = take_append(part, why);

	if (lock < 0)
		return lock;
	rc = mq_sys->unlinkat(part->dir, name, false);
	mq_log_let_go_append(lock);
	return rc < 0 && rc != -ENOENT ? mq_err_sys(why, rc, "cannot remove it") : 0;
}

/* state as it was looked at, not one that somebody made anew since. */
static int remove_state(struct mq_check_partition *part, struct mq_err *why)
{
	struct mq_stat st;
	int rc, lock = take_append(part, why);

	if (lock < 0)
		return lock;
	rc = mq_sys->statat(part->dir, "state", &st);
	if (rc == 0 && (part->state.fd < 0 || st.ino == part->state.ino))
		rc = mq_sys->unlinkat(part->dir, "state", false);
	mq_log_let_go_append(lock);
	return rc < 0 && rc != -ENOENT ? mq_err_sys(why, rc, "cannot remove it") : 0;
}

/* Nothing is wrong, but the next publisher would have to look at the log first, and may not be one who can. */
static bool unsettled(const struct mq_check_partition *part)
{
	bool unfinished = false;

	for (int m = 0; m < MQ_STATE_MARKS; m++)
		unfinished |= part->marks.seq[m] > 0 && part->marks.mark[m].started != part->marks.mark[m].finished &&
		              mq_segment_id_equal(&part->marks.mark[m].segment, &part->tail.segment);
	return !part->trusted || unfinished;
}

int mq_mend_log(struct mq_check_partition *part, struct mq_err *why)
{
	struct mq_partition hold;
	struct mq_log log;
	int rc = 0;

	if (part->state_bad)
		rc = remove_state(part, why);
	if (rc == 0 && part->producers_bad)
		rc = mq_mend_remove(part, "producers", why);
	if (rc < 0 || (!part->state_bad && !part->torn && !unsettled(part)))
		return rc;
	rc = mq_partition_log(&hold, part->t, part->number, &log, why);
	if (rc < 0)
		return rc;
	rc = mq_log_finish(&log, why);
	mq_log_release(&log);
	return kept_out(part, rc, why);
}

int mq_mend_start(struct mq_check_partition *part, struct mq_err *why)
{
	uint64_t start, now;
	int rc, lock;

	if (!part->have_start && part->n_chain == 0)
		return mq_err_set(why, MQ_EDAMAGE, "no segment is left to begin with");
	start = part->have_start ? part->log_start : part->file[part->chain[0]].base;
	lock = take_append(part, why);
	if (lock < 0)
		return lock;
	/* Somebody may have moved it since, or set it. */
	if (mq_start_read(part->dir, part->t->conf.id, &now, NULL) == 0)
		start = now;
	rc = mq_start_replace(part->dir, part->c->spool->file_mode, part->t->conf.id, start, why);
	mq_log_let_go_append(lock);
	return rc;
}

/* ---- index ---- */
struct rebuild {
	const struct mq_segment *s;
	int fd;            /* -1: only count */
	uint64_t n, last_pos;
	uint8_t buf[128 * MQ_INDEX_ENTRY_LEN];
	size_t len;
};

static int flush(struct rebuild *b)
{
	uint64_t at = b->n * MQ_INDEX_ENTRY_LEN - b->len;
	ssize_t n = b->fd < 0 || b->len == 0 ? (ssize_t)b->len : mq_sys->pwrite(b->fd, b->buf, b->len, at);

	if (n != (ssize_t)b->len)
		return n < 0 ? (int)n : -ENOSPC;
	b->len = 0;
	return 0;
}

static int add(struct rebuild *b, const struct mq_index_entry *e)
{
	mq_index_entry_encode(e, &b->s->h.id, b->n * MQ_INDEX_ENTRY_LEN, b->buf + b->len);
	b->len += MQ_INDEX_ENTRY_LEN;
	b->n++;
	b->last_pos = e->pos;
	return b->len == sizeof b->buf ? flush(b) : 0;
}

/* The entries that the writer would have made, by the headers alone. */
static int rebuild(struct mq_check_partition *part, struct rebuild *b, uint64_t limit)
{
	uint64_t pos = MQ_SEGMENT_HEADER_LEN;
	int64_t max_time_us = 0;
	int rc = 0;

	mq_scan_reset(&part->scan, b->s);
	while (pos < limit) {
		struct mq_batch batch;

		rc = mq_scan_header(&part->scan, pos, limit, &batch, NULL);
		if (rc != 1) {
			rc = mq_scan_resync(&part->scan, pos + 1, limit, &pos, NULL);
			if (rc == 1)
				continue;
			break;
		}
		if (pos >= b->s->h.born_end_pos && (b->n == 0 || pos - b->last_pos >= MQ_INDEX_INTERVAL)) {
			rc = add(b, &(struct mq_index_entry){batch.base_offset, pos, max_time_us});
			if (rc < 0)
				break;
		}
		if (batch.max_time_us > max_time_us)
			max_time_us = batch.max_time_us;
		pos += mq_batch_len(&batch);
	}
	return rc < 0 ? rc : flush(b);
}

/* Nobody appends to it: a new file in the place of the old one. */
static int replace(struct mq_check_partition *part, struct rebuild *b, const char *name, uint64_t limit, struct mq_err *why)
{
	char tmp[MQ_SEGMENT_NAME_MAX + 8];
	unsigned mode = part->c->spool->file_mode;
	int rc;

	snprintf(tmp, sizeof tmp, ".%s.tmp", name);
	(void)mq_sys->unlinkat(part->dir, tmp, false); /* one left by a kill; a failure shows in the open */
	b->fd = mq_sys->openat(part->dir, tmp, O_RDWR | O_CREAT | O_EXCL, mode);
	if (b->fd < 0)
		return mq_err_sys(why, b->fd, "cannot make it anew");
	rc = mq_sys->fchmod(b->fd, mode);
	if (rc == 0)
		rc = rebuild(part, b, limit);
	if (rc == 0)
		rc = mq_sys->renameat(part->dir, tmp, part->dir, name, true);
	(void)mq_sys->close(b->fd);
	if (rc < 0)
		(void)mq_sys->unlinkat(part->dir, tmp, false);
	return rc < 0 ? mq_err_sys(why, rc, "cannot make it anew") : 0;
}

/* Publishers have it open, and state counts its entries: in place, and only where the counts agree. */
static int overwrite(struct mq_check_partition *part, struct rebuild *b, const char *name, struct mq_err *why)
{
	unsigned mode = part->c->spool->file_mode;
	struct mq_tail now;
	struct mq_stat st;
	uint64_t seq;
	int rc = part->trusted ? mq_state_tail_read(&part->state, &now, &seq, why) : MQ_EDAMAGE;

	if (rc < 0 || seq == 0 || !mq_segment_id_equal(&now.segment, &b->s->h.id))
		return mq_err_set(why, MQ_EAGAIN, "state does not tell how many entries it has; try again after the next publish");
	rc = rebuild(part, b, now.pos);
	if (rc < 0)
		return mq_err_sys(why, rc, "cannot read the segment");
	if (b->n != now.index_count || b->last_pos != now.index_pos)
		return mq_err_set(why, MQ_EAGAIN, "it is being written; seeking is slower until the segment is full");
	b->n = b->last_pos = 0;
	b->fd = mq_sys->openat(part->dir, name, O_RDWR, 0);
	if (b->fd == -ENOENT)
		b->fd = mq_sys->openat(part->dir, name, O_RDWR | O_CREAT | O_EXCL, mode);
	if (b->fd < 0)
		return mq_err_sys(why, b->fd, "cannot open it");
	rc = mq_sys->fchmod(b->fd, mode);
	if (rc == 0)
		rc = rebuild(part, b, now.pos);
	if (rc == 0)
		rc = mq_sys->stat(b->fd, &st);
	(void)mq_sys->close(b->fd);
	if (rc == 0 && st.size > now.index_count * MQ_INDEX_ENTRY_LEN)
		return mq_err_set(why, MQ_EAGAIN, "bytes behind its last entry stay until more entries are made");
	return rc < 0 ? mq_err_sys(why, rc, "cannot write it") : 0;
}

int mq_mend_index(struct mq_check_index *ix, const struct mq_segment *s, uint64_t limit, bool head, struct mq_err *why)
{
	struct mq_check_partition *part = ix->part;
	struct rebuild b = {.s = s, .fd = -1};
	char name[MQ_SEGMENT_NAME_MAX];
	int rc, lock;

	if (ix->f->header != 0)
		return mq_err_set(why, MQ_EDAMAGE, "the segment's header does not verify");
	mq_check_segment_name(ix->f, "idx", name);
	lock = take_append(part, why);
	if (lock < 0)
		return lock;
	rc = head ? overwrite(part, &b, name, why) : replace(part, &b, name, limit, why);
	mq_log_let_go_append(lock);
	return rc;
}
