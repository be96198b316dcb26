/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A group's short locks, in bytes of `locks`: held for a few calls, with stop signals held off meanwhile. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "spool/group.h"
#include "spool/holders.h"
#include "sys/hold.h"
#include "sys/sys.h"

static const int64_t SHORT_NS = INT64_C(1000000000); /* whoever works needs it for less: a shorter patience is not about it */

static struct mq_patience patience_of(const struct mq_group_topic *g)
{
	return mq_patience_at_least(g->topic->spool->patience, SHORT_NS);
}

/* Once: whoever needs it for so long was stopped, or hangs. */
static void tell_holder(struct mq_group_topic *g, uint64_t byte, const char *what)
{
	struct mq_spool *s = g->topic->spool;
	struct mq_holders h = MQ_HOLDERS_INIT;
	struct mq_holder who = {0};
	char text[MQ_ERR_TEXT_MAX];
	size_t at = 0;

	if (g->told_holder || !s->notice)
		return;
	g->told_holder = true;
	if (mq_holders_next(&h, g->locks, byte, 1, &at, &who))
		snprintf(text, sizeof text, "%s: waiting for pid %" PRId64 "%s, which holds the lock of %s", g->label, who.pid,
		         who.stopped ? " (stopped)" : "", what);
	else
		snprintf(text, sizeof text, "%s: waiting for a process that holds the lock of %s", g->label, what);
	mq_holders_release(&h);
	s->notice(s->notice_arg, text);
}

/* A second of it first, which is enough but where the holder was stopped.  1: it was not. */
static int wait_shortly(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte, const struct mq_patience *p)
{
	struct mq_patience second = {.ns = SHORT_NS, .stop = p->stop};
	int rc = mq_patience_lock(&second, mq_patience_end(&second), g->locks, kind, byte, 1);

	return rc == -ETIMEDOUT && (p->ns < 0 || p->ns > SHORT_NS) ? 1 : rc;
}

/* Who holds it may have been stopped: a signal that asks for an end is not kept waiting for that.  Where members queue for it
 * all the time they wait in the kernel, whose queue is fair, and nobody is told of. */
static int wait_for(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte, const char *what, bool queues)
{
	struct mq_patience p = patience_of(g);
	int64_t end_ns = mq_patience_end(&p);
	int rc;

	mq_hold_wait_begins();
	rc = queues ? 1 : wait_shortly(g, kind, byte, &p);
	if (rc == 1 && !queues)
		tell_holder(g, byte, what);
	if (rc == 1)
		rc = mq_patience_lock(&p, end_ns, g->locks, kind, byte, 1);
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

static int take_lock(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte, const char *what, bool queues,
                     struct mq_err *err)
{
	int rc;

	mq_hold_signals();
	rc = mq_sys->lock(g->locks, kind, byte, 1, false);
	if (rc == -EAGAIN || rc == -EACCES || rc == -EINTR)
		rc = wait_for(g, kind, byte, what, queues);
	if (rc == 0)
		return 0;
	mq_unhold_signals();
	return lock_failed(g, what, rc, err);
}

int mq_group_lock(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte, const char *what, struct mq_err *err)
{
	return take_lock(g, kind, byte, what, false, err);
}

int mq_group_queue(struct mq_group_topic *g, enum mq_lock_kind kind, uint64_t byte, const char *what, struct mq_err *err)
{
	return take_lock(g, kind, byte, what, true, err);
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
