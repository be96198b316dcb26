/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The topic's limit: so many records, so many bytes from the log start on.  A batch is in whole or not at all.  Under
 * drop-oldest the log start moves, durably, before the batch is written: by records as far as needed, by bytes whole
 * segments at a time.
 */
#include "log/internal.h"
#include "log/start.h"
#include "log/visible.h"

/* Bytes of the segments that hold anything at or above log_start, the head's up to its tail; and where the oldest of
 * them ends (UINT64_MAX: it is the head). */
static int measure(struct mq_log *log, uint64_t log_start, uint64_t *ret_bytes, uint64_t *ret_oldest_end, struct mq_err *err)
{
	struct mq_chain chain;
	size_t i;
	int rc;

	mq_chain_init(&chain);
	rc = mq_chain_load(&chain, log->dir, &log->head.h, log_start, err);
	if (rc == 0) {
		i = mq_chain_find(&chain, log_start);
		*ret_oldest_end = mq_chain_end_offset(&chain, i);
		*ret_bytes = log->tail.pos;
		for (; i + 1 < chain.n; i++)
			*ret_bytes += mq_chain_end_pos(&chain, i);
	}
	mq_chain_release(&chain);
	return rc;
}

static int full(const char *what, uint64_t limit, struct mq_err *err)
{
	return mq_err_set(err, MQ_EAGAIN, "the topic is full (%s=%llu): wait for consumers, purge it, or raise the limit", what,
	                  (unsigned long long)limit);
}

/* Up to where others may see.  Nothing is dropped before it could be seen: behind a batch that waits for its sync, that
 * sync is made first. */
static int let_see(struct mq_log *log, uint64_t offset, struct mq_err *err)
{
	uint64_t pos, durable, visible_pos, visible;
	int rc = mq_state_durable(&log->state, MQ_STATE_MARKS, &log->head.h.id, &pos, &durable, NULL, err);

	if (rc < 0)
		return rc;
	mq_visible_end(&log->tail, pos, durable, &visible_pos, &visible);
	if (offset <= visible)
		return 0;
	rc = mq_log_sync_or_close(log, err);
	return rc < 0 ? rc : 0;
}

int mq_log_make_room(struct mq_log *log, const struct mq_batch *b, struct mq_err *err)
{
	const struct mq_log_options *o = &log->opt;
	uint64_t start, bytes = 0, end = UINT64_MAX, next = log->tail.next_offset + b->count;
	int rc;

	if (o->max_messages == 0 && o->max_bytes == 0)
		return 0;
	rc = mq_start_read(log->dir, o->topic_id, &start, err);
	if (rc < 0)
		return rc;
	if (o->max_messages > 0 && next - start > o->max_messages) {
		if (!o->drop_oldest || b->count > o->max_messages)
			return full("max.messages", o->max_messages, err);
		start = next - o->max_messages;
		rc = let_see(log, start, err);
		if (rc == 0)
			rc = mq_start_advance(log->dir, o->topic_id, start, err);
	}
	while (rc == 0 && o->max_bytes > 0) {
		rc = measure(log, start, &bytes, &end, err);
		if (rc < 0 || bytes + mq_batch_len(b) <= o->max_bytes)
			break;
		if (!o->drop_oldest || end == UINT64_MAX)
			return full("max.bytes", o->max_bytes, err);
		start = end;
		rc = mq_start_advance(log->dir, o->topic_id, start, err);
	}
	return rc;
}
