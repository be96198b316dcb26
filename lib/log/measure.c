/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many bytes a partition holds, for max.bytes.  Headers say which segments are the log and where each ends.  Who may
 * not read them goes by names and sizes: a dead file, or dead bytes behind an end, count then, so that rather too much is
 * taken to be there.
 */
#include <errno.h>

#include "log/internal.h"
#include "sys/sys.h"

static int by_headers(struct mq_log *log, uint64_t log_start, uint64_t *ret_bytes, uint64_t *ret_oldest_end, struct mq_err *err)
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

/* Segments before the head, by the offsets in their names. */
struct listing {
	const struct mq_log *log;
	uint64_t log_start;
	uint64_t oldest;  /* base of the one that holds the log start, or of the first behind it */
	uint64_t next;    /* base of the one behind that; the head's */
	uint64_t bytes;   /* of those from oldest on */
	bool any;
};

static bool is_before_head(const struct listing *l, const char *name, uint64_t *ret_base)
{
	uint8_t id4[4];

	return mq_segment_name_parse(name, "seg", ret_base, id4) && *ret_base < l->log->tail.segment_base;
}

static int find_oldest(void *arg, const char *name)
{
	struct listing *l = arg;
	uint64_t base;
	bool holds;

	if (!is_before_head(l, name, &base))
		return 0;
	holds = base <= l->log_start;
	if (!l->any || (holds ? l->oldest > l->log_start || base > l->oldest : base < l->oldest))
		l->oldest = base;
	l->any = true;
	return 0;
}

static int add_size(void *arg, const char *name)
{
	struct listing *l = arg;
	struct mq_stat st;
	uint64_t base;

	if (!is_before_head(l, name, &base) || base < l->oldest || mq_sys->statat(l->log->dir, name, &st) < 0)
		return 0; /* or it went meanwhile */
	l->bytes += st.size;
	if (base > l->oldest && base < l->next)
		l->next = base;
	return 0;
}

static int by_names(struct mq_log *log, uint64_t log_start, uint64_t *ret_bytes, uint64_t *ret_oldest_end, struct mq_err *err)
{
	struct listing l = {.log = log, .log_start = log_start, .next = log->tail.segment_base, .bytes = log->tail.pos};
	int rc = 0;

	if (log_start < l.next)
		rc = mq_chain_each_file(log->dir, find_oldest, &l, err);
	if (rc == 0 && l.any)
		rc = mq_chain_each_file(log->dir, add_size, &l, err);
	*ret_bytes = l.bytes;
	*ret_oldest_end = l.any ? l.next : UINT64_MAX;
	return rc;
}

int mq_log_measure(struct mq_log *log, uint64_t log_start, uint64_t *ret_bytes, uint64_t *ret_oldest_end, struct mq_err *err)
{
	int rc = log->head.unreadable ? -EACCES : by_headers(log, log_start, ret_bytes, ret_oldest_end, err);

	if (rc != -EACCES)
		return rc;
	if (err)
		*err = (struct mq_err)MQ_ERR_INIT;
	return by_names(log, log_start, ret_bytes, ret_oldest_end, err);
}
