/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record that was not done, where the run goes on: it is handled again when its time has come, or it becomes a dead letter, with
 * which its place moves on.
 *
 * One that is rejected is dead at once; one that failed, when --retries are used up; without --retries a failure ends the run.
 * What is to be tried again soon waits with the member that has it, which alone knows of that failure: who takes over after it
 * begins to count anew, but for what the record itself tells.  So does what has to keep its order, and where the run waits for all.
 * What has more time is parked in the room of its topic (room.h): its place moves on, and it tells its attempts itself.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ops/dead.h"
#include "ops/handler.h"
#include "sys/sys.h"

static const int64_t SOON_NS = INT64_C(1000000000);

bool mq_retry_applies(const struct mq_consume *c)
{
	return c->req->group && c->req->handler != MQ_HANDLER_NONE && !c->req->commit_before && c->engine->mover_open &&
	       c->engine->internal_open;
}

int mq_retry_start(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	int rc = mq_retry_init(&c->retry, req->retry, req->retries, req->backoff, c->err);

	if (rc < 0 || !req->retry || mq_retry_applies(c))
		return rc;
	if (!req->group)
		return mq_err_set(c->err, MQ_EUSAGE, "what failed is handled again for a group: -g GROUP is missing");
	if (req->commit_before)
		return mq_err_set(c->err, MQ_EUSAGE, "what is committed before the work is never handled again: no --retries");
	return mq_err_set(c->err, MQ_EUSAGE, "nothing can be handled again here: %s keeps no intents", c->engine->scheme);
}

/* Which attempt it was that has just ended. */
static uint32_t attempt_of(const struct mq_task *t)
{
	return t->attempts + t->failures + 1;
}

static bool is_again(const struct mq_consume *c, const struct mq_task *t, const struct mq_ending *e)
{
	return strcmp(e->reason, "rejected") != 0 && mq_retry_again(&c->retry, attempt_of(t));
}

bool mq_retry_takes(const struct mq_consume *c, const struct mq_task *t, const struct mq_ending *e)
{
	char dead[MQ_NAME_MAX + 1];

	if (!mq_retry_applies(c) || (!c->retry.on && strcmp(e->reason, "rejected") != 0))
		return false;
	return is_again(c, t, e) || mq_dead_topic(t->feed->topic, dead);
}

static int64_t now_us(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
}

static int park(struct mq_consume *c, struct mq_task *t, struct mq_failure *why, int64_t wait_ns)
{
	int rc = mq_dead_park(c, t, why, why->last_us + wait_ns / 1000);

	if (rc < 0) {
		mq_task_end(c, t, false);
		return rc;
	}
	t->parked = true;
	return mq_task_end(c, t, true);
}

static int again(struct mq_consume *c, struct mq_task *t, struct mq_failure *why, const char *text)
{
	uint32_t chance, attempt = attempt_of(t);
	int64_t wait_ns;

	if (mq_sys->random(&chance, sizeof chance) < 0)
		chance = UINT32_MAX;
	wait_ns = mq_retry_wait_ns(&c->retry, attempt, chance);
	mq_ops_notice(c->mq, 1, "%s:%" PRIu32 ":%" PRIu64 ": %s; attempt %" PRIu32 " of %" PRIu64 ", the next in %.3g s", t->feed->topic,
	              t->feed->partition, t->offset, text, attempt, (uint64_t)c->retry.most + 1, (double)wait_ns / 1e9);
	c->report.retried += t->count;
	if (wait_ns > SOON_NS && !c->req->order_asked && !c->req->wait_retries)
		return park(c, t, why, wait_ns);
	if (!t->first_us)
		t->first_us = why->last_us;
	t->failures++;
	if (t->env.len && mq_env_attempt(&t->env, attempt + 1) < 0) {
		mq_task_end(c, t, false);
		return mq_consume_no_memory(c);
	}
	mq_task_again(c, t, mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + (wait_ns > 0 ? wait_ns : 1));
	return 0;
}

int mq_retry_take(struct mq_consume *c, struct mq_job *j, struct mq_task *t, const struct mq_ending *e, const char *text)
{
	struct mq_failure why = {.reason = e->reason, .status = e->status, .signal = e->signal, .attempts = t->failures + 1,
	                         .first_us = t->first_us, .last_us = now_us()};

	if (is_again(c, t, e)) {
		mq_stderr_forget(j);
		return again(c, t, &why, text);
	}
	if (j->out >= 0) /* it lives, and wrote this before its answer */
		mq_stderr_take(c, j, true);
	why.stderr_len = mq_stderr_end(j, why.stderr_end);
	mq_stderr_forget(j);
	snprintf(why.said, sizeof why.said, "%s", e->said);
	int rc = mq_dead_leave(c, t, &why);
	if (rc < 0) {
		mq_task_end(c, t, false);
		return rc;
	}
	t->dead = true;
	mq_ops_notice(c->mq, 1, "%s:%" PRIu32 ":%" PRIu64 ": %s; goes into %s.dead", t->feed->topic, t->feed->partition, t->offset, text,
	              t->feed->topic);
	return mq_task_end(c, t, true);
}
