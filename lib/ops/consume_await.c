/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a follower waits for before it can read: the spool, and a topic in it. */
#include <errno.h>

#include "ops/consume.h"
#include "sys/sys.h"

static const int64_t LOOK_NS = INT64_C(1000000000);   /* the way to a spool may change, and nobody tells */
static const int64_t MODE_NS = INT64_C(1000000000);   /* a directory has its name before it has its mode */
static const int64_t RETRY_NS = INT64_C(10000000);

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* until_idle_ns from now on; -1: for ever. */
static int64_t find_deadline(const struct mq_consume *c)
{
	return c->req->until_idle_ns ? now_ns() + c->req->until_idle_ns : -1;
}

/* 0: look again; -EINTR, and no reason: it did not come before a stop, or by the deadline.  look_ns: until the next look where
 * nothing tells; -1: for ever. */
static int wait_for(struct mq_consume *c, struct mq_wait *w, int64_t deadline_ns, int64_t look_ns, const char *what)
{
	int64_t look_at_ns = look_ns < 0 ? -1 : now_ns() + look_ns;
	bool looks = look_at_ns >= 0 && (deadline_ns < 0 || look_at_ns < deadline_ns);
	int rc = mq_stopping(c->mq) ? -EINTR : mq_wait_for(w, looks ? look_at_ns : deadline_ns);

	c->ended = rc == -EINTR || (rc == MQ_WAIT_DEADLINE && !looks);
	if (c->ended)
		return -EINTR;
	return rc < 0 ? mq_err_sys(c->err, rc, "cannot wait for %s", what) : 0;
}

static int watch_stop(struct mq_consume *c, struct mq_wait *w)
{
	return mq_wait_fd(w, mq_stop_fd(c->mq), POLLIN) < 0 ? mq_consume_no_memory(c) : 0;
}

/* --- the spool ------------------------------------------------------------------------------ */

struct await {
	int64_t deadline_ns;
	int64_t denied_ns; /* since when nobody is let in; -1: it is not so */
};

/* Who makes it may be between its name and its mode. */
static bool may_be_let_in(struct await *a, int rc)
{
	if (rc != -EACCES)
		a->denied_ns = -1;
	else if (a->denied_ns < 0)
		a->denied_ns = now_ns();
	return rc == -EACCES && now_ns() - a->denied_ns < MODE_NS;
}

static void tell_spool(struct mq_consume *c)
{
	if (!c->told_waiting)
		mq_ops_notice(c->mq, 0, "no spool at %s yet: waiting for topic %s", c->mq->awaited, c->req->topics[0]);
	c->told_waiting = true;
}

/* Watch, look, wait.  1: look once more. */
static int look_for_spool(struct mq_consume *c, struct await *a)
{
	struct mq_wait w;
	int dir = -1;
	mq_wait_init(&w);
	int rc = mq_open_awaited(c->mq, &w, &dir);
	int64_t look_ns = rc == 1 ? LOOK_NS : RETRY_NS;
	bool again = may_be_let_in(a, rc) || rc == 1 || rc == MQ_ENOTOPIC;
	if (again) {
		*c->err = (struct mq_err){0};
		tell_spool(c);
		rc = watch_stop(c, &w);
	}
	if (again && rc == 0)
		rc = wait_for(c, &w, a->deadline_ns, look_ns, "the spool");
	mq_wait_release(&w);
	if (dir >= 0)
		mq_sys->close(dir);
	return rc < 0 ? rc : again;
}

int mq_consume_open_spool(struct mq_consume *c)
{
	struct await a = {find_deadline(c), -1};
	int rc = !c->mq->store;
	while (rc > 0)
		rc = look_for_spool(c, &a);
	if (rc < 0)
		return rc;
	c->store = c->mq->store;
	c->engine = c->store->engine;
	return 0;
}

/* --- a topic -------------------------------------------------------------------------------- */

int mq_consume_await_topic(struct mq_consume *c, const char *topic, struct mq_topic_facts *ret)
{
	int64_t deadline_ns = find_deadline(c);
	struct mq_wait w;
	if (!c->told_waiting || topic != c->req->topics[0]) /* else that was said */
		mq_ops_notice(c->mq, 0, "topic %s is not there yet: waiting for it", topic);
	mq_wait_init(&w);
	int rc = c->engine->store_arm(c->store, &w, c->err);
	if (rc == 0)
		rc = watch_stop(c, &w);
	while (rc == 0) {
		rc = c->engine->topic_facts(c->store, topic, ret, c->err);
		if (rc != MQ_ENOTOPIC)
			break;
		*c->err = (struct mq_err){0};
		rc = wait_for(c, &w, deadline_ns, -1, topic);
	}
	mq_wait_release(&w);
	return rc;
}
