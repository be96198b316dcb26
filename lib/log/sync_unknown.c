/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of a batch that no sync is known to have made durable. */
#include <errno.h>
#include <stdio.h>

#include "log/internal.h"

enum { RANGE_LEN = 64 };

/* "offsets A to B, "; "" of a mark, which has none. */
static const char *range_of(const struct mq_log_ticket *t, char ret[RANGE_LEN])
{
	ret[0] = 0;
	if (t->next_offset > t->base_offset)
		snprintf(ret, RANGE_LEN, "offsets %llu to %llu, ", (unsigned long long)t->base_offset, (unsigned long long)t->next_offset - 1);
	return ret;
}

/* The ticket's segment is no longer the head: its successor says whether the batch lies before its end. */
int mq_log_fate(struct mq_log *log, const struct mq_tail *t, const struct mq_log_ticket *ticket, struct mq_err *err)
{
	struct mq_segment_header h;
	struct mq_segment s;
	struct mq_segment_id id = t->segment;
	uint64_t base = t->segment_base;
	char range[RANGE_LEN];

	for (;;) {
		int rc = mq_segment_open(&s, log->dir, base, id.b, false, err);

		if (rc == -EACCES)
			return mq_err_set(err, MQ_EBROKEN, "the outcome is unknown: a new segment says it, and this user may not read that");
		if (rc < 0)
			return rc;
		h = s.h;
		mq_segment_release(&s);
		if (mq_segment_id_equal(&h.pred_id, &ticket->segment)) {
			if (h.pred_end_pos >= ticket->end_pos)
				return 1;
			break;
		}
		if (mq_segment_id_none(&h.pred_id))
			break;
		id = h.pred_id;
		base = h.pred_base;
	}
	return mq_err_set(err, MQ_EBROKEN,
	                  "%sof a segment that was closed after a failed sync; the outcome is unknown: look before publishing again",
	                  range_of(ticket, range));
}

/* Leading failed: close the segment for all, then say what happened to ours: nobody knows. */
int mq_log_unknown(struct mq_log *log, const struct mq_log_ticket *ticket, int rc, struct mq_err *err)
{
	struct mq_err why = MQ_ERR_INIT;
	char range[RANGE_LEN];

	if (rc != -EBUSY) /* that did not fail: it is for another to lead */
		(void)mq_log_close_failed(log, &ticket->segment, &why); /* what fails here meets the next publisher as well */
	mq_err_prefix(err, "%soutcome unknown", range_of(ticket, range));
	mq_err_suffix(err, "; look before publishing again");
	if (err)
		err->code = MQ_EBROKEN;
	return MQ_EBROKEN;
}

/* Nobody who leads ends, and our patience has.  The segment is not closed: the next one who leads may still make it durable. */
int mq_log_too_late(const struct mq_log_ticket *ticket, const struct mq_patience *p, struct mq_err *err)
{
	char range[RANGE_LEN];

	return mq_err_set(err, MQ_EBROKEN,
	                  "%soutcome unknown: it is written, and no sync of it ended within %g s (--timeout): look before publishing again",
	                  range_of(ticket, range), (double)p->ns / 1e9);
}
