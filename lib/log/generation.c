/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A further generation of the partition count begins here.  All partitions of the topic are held at once, so each keeps no more
 * open than its lock; what else it needs it opens again.
 *
 * The tail carries the number from then on, published with the batch: a publisher that knows a lower one is sent to look at
 * topic.conf, and finds there whether the generation came about.
 */
#include <fcntl.h>

#include "base/crc32c.h"
#include "log/internal.h"
#include "sys/sys.h"

static void close_it(int *fd)
{
	if (*fd >= 0)
		(void)mq_sys->close(*fd);
	*fd = -1;
}

static void rest(struct mq_log *log)
{
	mq_state_file_release(&log->state);
	mq_segment_release(&log->head);
	mq_producers_release(&log->producers);
	mq_scan_release(&log->scan);
	close_it(&log->bell);
	close_it(&log->dir);
}

static int resume(struct mq_log *log, int dir, struct mq_err *err)
{
	log->dir = mq_sys->openat(dir, ".", O_RDONLY | O_DIRECTORY, 0);
	if (log->dir < 0)
		return mq_err_sys(err, log->dir, "cannot open the partition");
	log->bell = mq_sys->openat(log->dir, "bell", O_WRONLY, 0);
	if (log->bell < 0)
		return mq_err_sys(err, log->bell, "cannot open bell");
	return mq_log_look_around(log, err);
}

int mq_log_generation_take(struct mq_log *log, uint64_t *ret_end, struct mq_err *err)
{
	int rc = mq_log_enter(log, err);

	if (rc < 0) {
		mq_err_prefix(err, "%s", log->opt.label);
		return rc;
	}
	*ret_end = log->tail.next_offset;
	rest(log);
	return 0;
}

static int put(struct mq_log *log, uint32_t number, const void *body, size_t len, struct mq_err *err)
{
	struct mq_batch b = {.kind = MQ_BATCH_CONTROL,
	                     .control = MQ_CONTROL_GENERATION,
	                     .ack = MQ_ACK_DURABLE,
	                     .stored_len = (uint32_t)len,
	                     .raw_len = (uint32_t)len,
	                     .body_crc = mq_crc32c(0, body, len),
	                     .topic_generation = number,
	                     .max_time_us = log->tail.max_time_us}; /* the running maximum goes on */
	struct mq_log_ticket t;
	int rc;

	log->tail.generation = number;
	rc = mq_log_append_locked(log, &b, body, &t, err);
	/* Its segment may be closed by that: then a new one has the batch, synced before it got its name. */
	return rc < 0 ? rc : mq_log_sync_or_close(log, err);
}

int mq_log_generation_put(struct mq_log *log, int dir, uint32_t number, const void *body, size_t len, struct mq_err *err)
{
	int rc = resume(log, dir, err);

	if (rc == 0)
		rc = put(log, number, body, len, err);
	rest(log);
	if (rc < 0)
		mq_err_prefix(err, "%s", log->opt.label);
	return rc < 0 ? rc : 0;
}

void mq_log_ring_at(int dir)
{
	int bell = mq_sys->openat(dir, "bell", O_WRONLY, 0);

	if (bell < 0)
		return; /* sleepers look by the clock, too */
	if (mq_sys->lock_test(bell, MQ_LOCK_WRITE, 0, 1) != 0)
		(void)mq_sys->pwrite(bell, "", 1, 0);
	(void)mq_sys->close(bell);
}

void mq_log_generation_end(struct mq_log *log, int dir)
{
	mq_log_leave(log);
	mq_log_ring_at(dir);
}
