/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How long to wait for a lock that another process holds.
 *
 * For ever is the kernel's own wait, and costs nothing more.  For so long is not among the kernel's waits: the lock is
 * tried again and again then, at first after a tenth of a millisecond, at last every ten.
 */
#ifndef MQ_SYS_PATIENCE_H
#define MQ_SYS_PATIENCE_H

#include <pthread.h>

#include "sys/sys.h"

struct mq_patience {
	int64_t ns;               /* -1: for ever */
	const volatile int *stop; /* not 0: an end was asked; NULL: only mq_stop_requested() tells */
};

/* The same, and so long at least: for what whoever works needs for less, so that a shorter patience is not about it.  NULL is for
 * ever. */
struct mq_patience mq_patience_at_least(const struct mq_patience *p, int64_t ns);

/* The end of it, counted from now, on the monotonic clock; -1: never.  NULL is for ever. */
int64_t mq_patience_end(const struct mq_patience *p);

/* Wait for the lock until then.  -ETIMEDOUT; -EINTR: a signal came, or an end was asked. */
int mq_patience_lock(const struct mq_patience *p, int64_t end_ns, int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len);
/* The same for what a thread of this process holds. */
int mq_patience_mutex(const struct mq_patience *p, int64_t end_ns, pthread_mutex_t *m);

#endif
