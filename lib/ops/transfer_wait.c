/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A transfer of a run, whose target is full. */
#include <errno.h>

#include "ops/ops.h"
#include "ops/transfer_private.h"
#include "sys/sys.h"

static const int64_t TELL_NS = 1000000000;

int mq_transfer_await_room(struct mq *mq, struct mq_transfer *t, int rc, int64_t timeout_ns, struct mq_transfer_wait *w, struct mq_err *err)
{
	int64_t now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	struct mq_err why = *err;

	if (!mq_ops_is_full(rc))
		return rc;
	if (!w->since_ns)
		w->since_ns = now_ns;
	if (mq_stopping(mq))
		return mq_err_set(err, MQ_EAGAIN, "%s; stopped while waiting for space: the same command goes on where this ended", why.text);
	if (timeout_ns >= 0 && now_ns - w->since_ns >= timeout_ns)
		return mq_err_set(err, MQ_EAGAIN, "%s; no space came in time (--timeout): the same command goes on where this ended", why.text);
	if (!w->told && now_ns - w->since_ns >= TELL_NS) {
		mq_ops_notice(mq, 0, "%s; waiting for space%s", why.text, timeout_ns < 0 ? " (--timeout bounds the wait)" : "");
		w->told = true;
	}
	rc = mq_transfer_await_space(t, timeout_ns < 0 ? -1 : w->since_ns + timeout_ns, err);
	if (rc == MQ_EAGAIN && (timeout_ns < 0 || mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) < w->since_ns + timeout_ns))
		return rc; /* it is to fail */
	if (rc == 0 || rc == MQ_EAGAIN)
		*err = (struct mq_err){0};
	return rc == MQ_EAGAIN ? 0 : rc;
}
