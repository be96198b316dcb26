/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The topic's limit: so many records, so many bytes from the log start on.  A batch is in whole or not at all; one
 * of which a part would fit is refused as such, and its maker cuts it.  Under drop-oldest the log start moves: by
 * records as far as needed, by bytes whole segments at a time.  It does when the batch is written and before it is published,
 * so that nothing is dropped for what the disk has no space for.  That is not synced: nothing is removed here, and a start
 * that a power loss puts back is moved again by the next append.
 */
#include <errno.h>

#include "log/internal.h"
#include "log/start.h"
#include "log/visible.h"

enum { PART_BYTES_MIN = 4096 }; /* smaller parts would be headers for the most part */

static int full(const char *what, uint64_t limit, struct mq_err *err)
{
	return mq_err_set(err, MQ_EAGAIN, "the topic is full (%s=%llu): purge it, or raise the limit", what,
	                  (unsigned long long)limit);
}

/* Nobody chose the size of the batch: what of it fits is told, and the rest is another batch's. */
static int in_parts(struct mq_log *log, uint64_t records, uint64_t bytes, struct mq_err *err)
{
	log->room.records = records;
	log->room.bytes = bytes;
	return mq_err_set(err, -E2BIG, "the batch fits the topic's limits only in parts");
}

static int never(const struct mq_log *log, const struct mq_batch *b, uint64_t around, struct mq_err *err)
{
	return mq_err_set(err, MQ_EINPUT, "a record of %u bytes, with %llu around it, never fits max.bytes=%llu", b->stored_len,
	                  (unsigned long long)around, (unsigned long long)log->opt.max_bytes);
}

/* A batch has an eighth of max.bytes at most, as a segment has, so that drop-oldest goes by small steps. */
int mq_log_check_size(struct mq_log *log, const struct mq_batch *b, struct mq_err *err)
{
	const struct mq_log_options *o = &log->opt;
	uint64_t whole = MQ_SEGMENT_HEADER_LEN + mq_batch_len(b), most = o->segment_bytes;

	if (o->max_bytes == 0 || b->count == 0)
		return 0;
	if (b->count == 1 && whole > o->max_bytes)
		return never(log, b, whole - b->stored_len, err);
	if (most < PART_BYTES_MIN)
		most = o->max_bytes < PART_BYTES_MIN ? o->max_bytes : PART_BYTES_MIN;
	if (b->count == 1 || whole <= most)
		return 0;
	return in_parts(log, b->count, most > whole - b->stored_len ? most - (whole - b->stored_len) : 0, err);
}

/* Nothing that others published is dropped before it could be seen: behind a batch that waits for its sync, that sync is
 * made first.  What this handle wrote in one go it may drop unseen, or a batch that the limit cuts into parts would cost a
 * sync for each. */
static int let_see(struct mq_log *log, uint64_t offset, struct mq_err *err)
{
	uint64_t pos, durable, visible_pos, visible;
	int rc = mq_state_durable(&log->state, MQ_STATE_MARKS, &log->head.h.id, &pos, &durable, NULL, err);

	if (rc < 0)
		return rc;
	mq_visible_end(&log->tail, pos, durable, &visible_pos, &visible);
	if (offset <= visible || (log->own.next == log->tail.next_offset && log->own.from <= visible))
		return 0;
	rc = mq_log_sync_or_close(log, err);
	return rc < 0 ? rc : 0;
}

static int limit_messages(struct mq_log *log, const struct mq_batch *b, uint64_t *start, struct mq_err *err)
{
	uint64_t max = log->opt.max_messages, next = log->tail.next_offset, held = next > *start ? next - *start : 0;
	uint64_t let_in = log->opt.drop_oldest ? max : held < max ? max - held : 0;
	int rc;

	if (max == 0 || held + b->count <= max)
		return 0;
	if (b->count > let_in)
		return let_in ? in_parts(log, let_in, UINT64_MAX, err) : full("max.messages", max, err);
	rc = let_see(log, next + b->count - max, err);
	if (rc == 0)
		*start = next + b->count - max;
	return rc;
}

/* No space can be made any more: nothing but this batch would be there. */
static bool alone(const struct mq_log *log, const struct mq_batch *b, uint64_t oldest_end)
{
	return b->count == 1 && oldest_end == UINT64_MAX && log->tail.next_offset == log->head.h.base_offset;
}

static int limit_bytes(struct mq_log *log, const struct mq_batch *b, uint64_t *start, struct mq_err *err)
{
	uint64_t max = log->opt.max_bytes, bytes = 0, end = UINT64_MAX, around = mq_batch_len(b) - b->stored_len;
	int rc = max > 0 ? mq_log_measure(log, *start, &bytes, &end, err) : 0;

	while (rc == 0 && max > 0 && bytes + mq_batch_len(b) > max) {
		if (alone(log, b, end))
			return never(log, b, bytes + around, err);
		if (!log->opt.drop_oldest || end == UINT64_MAX)
			return b->count > 1 && bytes + around < max ? in_parts(log, b->count, max - bytes - around, err)
			                                            : full("max.bytes", max, err);
		*start = end;
		rc = mq_log_measure(log, *start, &bytes, &end, err);
	}
	return rc;
}

int mq_log_make_room(struct mq_log *log, const struct mq_batch *b, struct mq_err *err)
{
	uint64_t was, start;
	int rc;

	log->start_due = 0;
	if (log->opt.max_messages == 0 && log->opt.max_bytes == 0)
		return 0;
	rc = mq_log_start(log, &was, err);
	start = was;
	if (rc == 0)
		rc = limit_messages(log, b, &start, err);
	if (rc == 0)
		rc = limit_bytes(log, b, &start, err);
	if (rc == 0 && start > was)
		log->start_due = start;
	return rc;
}

int mq_log_drop_oldest(struct mq_log *log, struct mq_err *err)
{
	return log->start_due ? mq_start_advance_soon(log->dir, log->opt.topic_id, log->start_due, err) : 0;
}
