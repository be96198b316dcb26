/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may write the log and not read it: appends, syncs and rolls, and leaves to others what needs looking at.
 *
 * What a killed leader began to sync must be verified and written again.  Its mark looks as that of one who is at work, but
 * for the sync byte, which is free.  So such a user waits for who is at work, where another may overtake; and where it finds
 * a dead one's mark before its append it stores nothing.
 */
#include <errno.h>

#include "log/internal.h"
#include "sys/sys.h"

int mq_log_cannot_look(const char *what, struct mq_err *err)
{
	return mq_err_set(err, -EBUSY, "%s, and this user may not read all of the log: publish or consume as one who may, or let him "
	                  "run mq-check --mend", what);
}

static bool unfinished(const struct mq_log *log, const struct mq_marks *all, int m)
{
	return all->seq[m] > 0 && all->mark[m].started != all->mark[m].finished &&
	       mq_segment_id_equal(&all->mark[m].segment, &log->head.h.id);
}

int mq_log_others_syncs(struct mq_log *log, struct mq_err *err)
{
	struct mq_marks all, again;
	int rc = mq_state_marks_read(&log->state, MQ_STATE_MARKS, &all, err);

	for (int m = 0; rc == 0 && m < MQ_STATE_MARKS; m++) {
		if (!unfinished(log, &all, m))
			continue;
		rc = mq_sys->lock_test(log->lock, MQ_LOCK_WRITE, (uint64_t)(MQ_LOG_SYNC_BYTE + m), 1);
		if (rc != 0) { /* it is at work */
			rc = rc < 0 ? mq_err_sys(err, rc, "cannot ask for a sync lock") : 0;
			continue;
		}
		/* Free; but it may have been finished, and another one begun, since we looked. */
		rc = mq_state_marks_read(&log->state, MQ_STATE_MARKS, &again, err);
		if (rc == 0 && unfinished(log, &again, m) && again.seq[m] == all.seq[m])
			rc = mq_log_cannot_look("a sync that a killed process began must be finished first", err);
	}
	return rc;
}

int mq_log_leave_repairs(struct mq_log *log, struct mq_err *err)
{
	int rc;

	if (!log->head.unreadable || pthread_mutex_trylock(&log->lead) != 0)
		return 0; /* or the other thread is at it */
	rc = mq_log_others_syncs(log, err);
	pthread_mutex_unlock(&log->lead);
	return rc;
}
