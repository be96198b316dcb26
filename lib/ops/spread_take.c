/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The partitions that are to give, as a member has them from others: it joins for those alone, counts, asks, and whoever is at work
 * on one finishes what is in flight and lets go.  When this one leaves they take them again.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ops/spread_take.h"
#include "sys/sys.h"

static const int64_t PATIENCE_NS = INT64_C(10000000000); /* where nobody said how long */
static const int64_t LOOK_NS = INT64_C(50000000);        /* not all that is waited for rings */

static int no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "out of memory");
}

int mq_spread_join(struct mq *mq, const char *group, const char *topic, const uint32_t *p, size_t n, struct mq_member **ret,
                   struct mq_err *err)
{
	const char **texts = calloc(n + 1, sizeof *texts);
	struct mq_buf room = MQ_BUF_INIT;
	int rc = texts ? 0 : -ENOMEM;

	for (size_t i = 0; i < n && rc == 0; i++)
		rc = mq_buf_printf(&room, "%s:%" PRIu32 "%c", topic, p[i], 0);
	for (size_t i = 0, at = 0; i < n && rc == 0; i++) {
		texts[i] = room.p + at;
		at += strlen(texts[i]) + 1;
	}
	const struct mq_wish wish = {.topics = texts, .n_topics = n};
	rc = rc < 0 ? no_memory(err) : mq->store->engine->member_join(mq->store, group, &wish, ret, err);
	mq_buf_release(&room);
	free(texts);
	return rc;
}

/* One look: 1 and the owner; 0: not yet.  It rings once: all members hear that, this one too, and each looks then. */
static int look(const struct mq_engine *e, struct mq_member *m, const char *topic, uint32_t p, bool *asked, struct mq_owner **ret,
                struct mq_err *err)
{
	int rc = e->member_plan(m, err);

	if (rc < 0)
		return rc;
	if (!*asked && e->member_plan_of(m, topic, p) == MQ_WHOSE_MINE) {
		rc = e->member_ask(m, topic, p, true, err);
		if (rc == 0)
			rc = e->member_ring(m, err);
		*asked = rc == 0;
	}
	return rc < 0 ? rc : e->owner_take(m, topic, p, NULL, ret, err);
}

int mq_spread_ask(struct mq *mq, struct mq_member *m, const char *topic, uint32_t p, struct mq_owner **ret, struct mq_err *err)
{
	const struct mq_engine *e = mq->store->engine;
	int64_t patience_ns = mq->timeout_ns < 0 ? PATIENCE_NS : mq->timeout_ns;
	int64_t end_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + patience_ns;
	struct mq_wait w;
	bool asked = false;
	int rc = e->member_plan ? e->member_count(m, err) : 0;

	if (rc < 0 || !e->member_plan)
		return rc;
	mq_wait_init(&w);
	rc = mq_wait_fd(&w, mq_stop_fd(mq), POLLIN) < 0 ? no_memory(err) : e->member_arm(m, &w, err);
	while (rc == 0 && (rc = look(e, m, topic, p, &asked, ret, err)) == 0) {
		int64_t now_ns = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
		if (mq_stopping(mq) || now_ns >= end_ns)
			break;
		rc = mq_wait_for(&w, now_ns + LOOK_NS < end_ns ? now_ns + LOOK_NS : end_ns);
		rc = rc == -EINTR || rc > 0 ? 0 : rc < 0 ? mq_err_sys(err, rc, "cannot wait for %s:%" PRIu32, topic, p) : 0;
	}
	mq_wait_release(&w);
	if (rc >= 0) {
		int off = e->member_ask(m, topic, p, false, err);
		rc = off < 0 && rc == 0 ? off : rc;
	}
	return rc;
}
