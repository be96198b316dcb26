/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sys/patience.h"

#include <errno.h>

#include "sys/hold.h"

#define PAUSE_MIN_NS INT64_C(100000)
#define PAUSE_MAX_NS INT64_C(10000000)

int64_t mq_patience_end(const struct mq_patience *p)
{
	return p && p->ns >= 0 ? mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + p->ns : -1;
}

struct mq_patience mq_patience_at_least(const struct mq_patience *p, int64_t ns)
{
	struct mq_patience ret = p ? *p : (struct mq_patience){.ns = -1};

	if (ret.ns >= 0 && ret.ns < ns)
		ret.ns = ns;
	return ret;
}

static bool stopped(const struct mq_patience *p)
{
	return mq_stop_requested() || (p && p->stop && *p->stop);
}

/* Before the next try.  0, -ETIMEDOUT, -EINTR. */
static int pause_for(const struct mq_patience *p, int64_t end_ns, int64_t *pause_ns)
{
	int64_t left_ns = end_ns - mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	int rc;

	if (stopped(p))
		return -EINTR;
	if (left_ns <= 0)
		return -ETIMEDOUT;
	rc = mq_sys->poll(NULL, 0, left_ns < *pause_ns ? left_ns : *pause_ns);
	if (2 * *pause_ns <= PAUSE_MAX_NS)
		*pause_ns *= 2;
	return rc < 0 ? rc : 0;
}

int mq_patience_lock(const struct mq_patience *p, int64_t end_ns, int fd, enum mq_lock_kind kind, uint64_t start, uint64_t len)
{
	int64_t pause_ns = PAUSE_MIN_NS;
	int rc;

	for (;;) {
		if (stopped(p))
			return -EINTR;
		rc = mq_sys->lock(fd, kind, start, len, end_ns < 0);
		if (rc != -EAGAIN && rc != -EACCES)
			return rc;
		if (end_ns >= 0 && (rc = pause_for(p, end_ns, &pause_ns)) < 0)
			return rc;
	}
}

int mq_patience_mutex(const struct mq_patience *p, int64_t end_ns, pthread_mutex_t *m)
{
	int64_t pause_ns = PAUSE_MIN_NS;
	int rc;

	if (end_ns < 0)
		return -pthread_mutex_lock(m);
	while ((rc = -pthread_mutex_trylock(m)) == -EBUSY)
		if ((rc = pause_for(p, end_ns, &pause_ns)) < 0)
			break;
	return rc;
}
