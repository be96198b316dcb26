/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A group's short locks, in bytes of `locks`: held for a few calls, with stop signals held off meanwhile. */
#include <errno.h>

#include "spool/group.h"
#include "sys/hold.h"
#include "sys/sys.h"

static const int64_t SHORT_NS = INT64_C(1000000000); /* whoever works needs it for less: a shorter patience is not about it */

static struct mq_patience patience_of(const struct mq_group_topic *g)
{
	return mq_patience_at_least(g->topic->spool->patience, SHORT_NS);
}

/* Who holds it may have been stopped: a signal that asks for an end is not kept waiting for that. */
static int wait_for(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte)
{
	struct mq_patience p = patience_of(g);
	int rc;

	mq_hold_wait_begins();
	rc = mq_patience_lock(&p, mq_patience_end(&p), g->locks, kind, byte, 1);
	mq_hold_wait_ends();
	return rc;
}

static int lock_failed(const struct mq_group_topic *g, const char *what, int rc, struct mq_err *err)
{
	if (rc == -ETIMEDOUT)
		return mq_err_set(err, rc, "%s: another process holds the lock of %s, and did not let it go within %g s (--timeout)", g->label,
		                  what, (double)patience_of(g).ns / 1e9);
	if (rc == -EINTR)
		return mq_err_set(err, rc, "%s: stopped while another process holds the lock of %s", g->label, what);
	return mq_err_sys(err, rc, "%s: cannot lock %s", g->label, what);
}

int mq_group_lock(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte, const char *what, struct mq_err *err)
{
	int rc;

	mq_hold_signals();
	rc = mq_sys->lock(g->locks, kind, byte, 1, false);
	if (rc == -EAGAIN || rc == -EACCES || rc == -EINTR)
		rc = wait_for(g, kind, byte);
	if (rc == 0)
		return 0;
	mq_unhold_signals();
	return lock_failed(g, what, rc, err);
}

void mq_group_unlock(struct mq_group_topic *g, uint64_t byte)
{
	(void)mq_sys->lock(g->locks, MQ_LOCK_NONE, byte, 1, false);
	mq_unhold_signals();
}

int mq_group_try_byte(int fd, uint64_t byte)
{
	int rc;

	do
		rc = mq_sys->lock(fd, MQ_LOCK_WRITE, byte, 1, false);
	while (rc == -EINTR);
	return rc == -EACCES ? -EAGAIN : rc;
}
