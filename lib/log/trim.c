/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The beginning of a log goes: the log start first, durably, then the segments that lie whole below it, the oldest first, each
 * unlink durable before the next, so that what is left is always the end of the chain.  The head stays.
 *
 * killed, or power lost: after the log start: the segments lie below it, and go with the next trim.  between two unlinks: the same.
 */
#include "log/internal.h"
#include "log/start.h"

/* Under the append lock. */
static int trim(struct mq_log *log, uint64_t offset, struct mq_err *err)
{
	struct mq_chain c;
	int rc = mq_start_advance(log->dir, log->opt.topic_id, offset, err);

	if (rc < 0)
		return rc;
	mq_chain_init(&c);
	rc = mq_chain_load(&c, log->dir, &log->head.h, 0, err);
	for (size_t i = 0; rc == 0 && i + 1 < c.n && c.seg[i + 1].base_offset <= offset; i++)
		rc = mq_segment_remove(&c.seg[i], log->dir, err);
	mq_chain_release(&c);
	return rc;
}

int mq_log_trim(struct mq_log *log, uint64_t offset, struct mq_err *err)
{
	int rc = mq_log_enter(log, err);

	if (rc == 0) {
		rc = trim(log, offset, err);
		mq_log_leave(log);
	}
	if (rc < 0)
		mq_err_prefix(err, "%s", log->opt.label);
	return rc;
}
