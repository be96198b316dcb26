/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The closed segments of a log, the oldest first: what retention looks at, and how it removes what lies below the log start.
 *
 *   mq_cursor_each_old      which there are, how large and how old they are
 *   mq_start_advance        the log start, durably (start.h)
 *   mq_cursor_remove_old    segments that lie whole below it: the oldest first, each unlink durable before the next, so that what is
 *                           left is always the end of the chain
 *   mq_cursor_remove_dead   files that the chain does not name
 *
 * Two who remove at once do no harm.  killed, or power lost, between any two calls: what is below the log start is not of the log,
 * and goes the next time.
 */
#ifndef MQ_LOG_OLD_H
#define MQ_LOG_OLD_H

#include "log/cursor.h"

struct mq_old {
	uint64_t base, end;      /* offsets */
	uint64_t bytes;          /* that count */
	int64_t batch_us;        /* when its last batch was written, by its writer's clock; INT64_MIN: nobody can tell, or nobody asked */
	int64_t file_us;         /* the same as the file system tells it */
};

/* Each but the head.  timed: batch_us is wanted of what is not below the log start, a read each.  fn returns 0 to go on; its other
 * answers end it and are returned. */
int mq_cursor_each_old(struct mq_cursor *c, bool timed, int (*fn)(void *arg, const struct mq_old *o), void *arg, struct mq_err *err);

struct mq_removed {          /* added up */
	uint64_t segments, bytes;
};
/* below: a log start that is durable. */
int mq_cursor_remove_old(struct mq_cursor *c, uint64_t below, struct mq_removed *sum, struct mq_err *err);
/* Those that were written last before before_ns.  None where the chain is not whole by ids and headers that verify: what
 * is dead is known only by what is not.  dry_run: only counted. */
int mq_cursor_remove_dead(struct mq_cursor *c, int64_t before_ns, bool dry_run, struct mq_removed *sum, struct mq_err *err);

#endif
