/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A member's part in its group's plan: what it asks for, and what it gives.
 *
 * What is to be another's is given when that one asks for it: nothing more is read, what is in flight is finished and
 * committed, then it is let go.  Only partitions that move stand still meanwhile.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ops/consume_move.h"
#include "sys/sys.h"

static const int64_t COUNT_NS = 200000000; /* who is gone again before that moves nothing */

static const int64_t SETTLE_NS = 20000000; /* after news: what was told of is so by then, as a killed member's locks are gone */

static const int64_t LATER_NS = 100000000; /* so much later, for more news, at the most */

enum { PLAN_REST = 5 }; /* all members together compute for a fifth of the time that one processor has, */
static const int64_t PLAN_REST_MAX_NS = 500000000; /* but nobody waits for longer before he does */

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* --- joining -------------------------------------------------------------------------------- */

static bool reads_all_of(const struct mq_consume_request *req, const char *topic)
{
	for (size_t i = 0; i < req->n_topics; i++)
		if ((!req->partitions || req->partitions[i] < 0) && strcmp(req->topics[i], topic) == 0)
			return true;
	return false;
}

/* What it says that it reads: TOPIC:P where a partition was named, which then no plan moves. */
static int join(struct mq_consume *c, const char **texts, struct mq_buf *room)
{
	const struct mq_consume_request *req = c->req;
	struct mq_wish wish = {.topics = texts, .n_topics = req->n_topics, .room = req->room};
	int rc = 0;

	for (size_t i = 0; i < req->n_topics && rc == 0; i++)
		if (!reads_all_of(req, req->topics[i]))
			rc = mq_buf_printf(room, "%s:%lld%c", req->topics[i], (long long)req->partitions[i], 0);
	if (rc < 0)
		return mq_consume_no_memory(c);
	for (size_t i = 0, at = 0; i < req->n_topics; i++) {
		texts[i] = reads_all_of(req, req->topics[i]) ? req->topics[i] : room->p + at;
		at += texts[i] == req->topics[i] ? 0 : strlen(texts[i]) + 1;
	}
	return c->engine->member_join(c->store, req->group, &wish, &c->member, c->err);
}

/* --- asking --------------------------------------------------------------------------------- */

static int ask(struct mq_consume *c, struct mq_feed *f, bool on)
{
	int rc = f->asks == on ? 0 : c->engine->member_ask(c->member, f->topic, f->partition, on, c->err);
	if (rc < 0 || f->asks == on)
		return rc;
	f->asks = on;
	return on ? c->engine->member_ring(c->member, c->err) : 0;
}

int mq_plan_taken(struct mq_consume *c, struct mq_feed *f)
{
	c->plan_due |= c->count_at_ns >= 0;
	return f->asks ? ask(c, f, false) : 0;
}

int mq_plan_lets(struct mq_consume *c, const struct mq_feed *f)
{
	if (!c->engine->member_plan || f->whose == MQ_WHOSE_MINE)
		return 1;
	if (f->whose == MQ_WHOSE_NOBODYS)
		return 0;
	int asked = c->engine->member_asked(c->member, f->topic, f->partition, c->err);
	return asked < 0 ? asked : !asked;
}

/* --- giving --------------------------------------------------------------------------------- */

/* 1: nothing of it is in flight.  What a pipe's reader has taken counts as done here, as it does at the end. */
static int is_drained(struct mq_consume *c, struct mq_feed *f)
{
	if (c->handlers)
		return mq_handlers_let_go(c, f);
	int rc = c->req->form == MQ_OUT_POSITIONS ? 0 : mq_group_pass(c, f);
	if (rc < 0 || f->done >= f->next)
		return rc < 0 ? rc : 1;
	if (c->req->form == MQ_OUT_POSITIONS || mq_sink_drained(&c->sink) <= 0)
		return 0;
	rc = mq_given_commit(c, true);
	return rc < 0 ? rc : f->done >= f->next;
}

static int give(struct mq_consume *c, struct mq_feed *f)
{
	int rc = mq_group_commit_feed(c, f);
	if (rc == 0 && f->unsynced)
		rc = c->engine->owner_sync(f->owner, c->err);
	if (rc < 0)
		return rc;
	/* Said before it is so: who hears it knows until when it was ours. */
	mq_ops_notice(c->mq, 1, "%s:%" PRIu32 ": given to another member", f->topic, f->partition);
	mq_feed_close(c, f);
	mq_move_close(c, f);
	c->engine->owner_release(f->owner);
	f->owner = NULL;
	f->unsynced = f->leaving = false;
	f->left = !c->req->follow && !c->req->drain;
	return c->engine->member_ring(c->member, c->err);
}

/* 1: something was given. */
static int give_all(struct mq_consume *c)
{
	bool some = false;
	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = c->feeds[i];
		int rc = f->leaving ? is_drained(c, f) : 0;
		if (rc > 0)
			rc = give(c, f);
		else if (rc == 0)
			continue;
		if (rc < 0)
			return rc;
		some = c->plan_due = true;
	}
	return some;
}

/* --- the plan ------------------------------------------------------------------------------- */

/* Own: give it, if it is to be another's who asks, or may not be had at all.  Not own: ask for it, if it is to be. */
static int follow(struct mq_consume *c, struct mq_feed *f)
{
	f->whose = c->engine->member_plan_of(c->member, f->topic, f->partition);
	if (!f->owner)
		return ask(c, f, f->whose == MQ_WHOSE_MINE && !f->left);
	int asked = f->whose == MQ_WHOSE_OTHERS ? c->engine->member_asked(c->member, f->topic, f->partition, c->err) : 0;
	if (asked < 0)
		return asked;
	f->leaving = asked > 0 || f->whose == MQ_WHOSE_NOBODYS;
	return 0;
}

static int follow_all(struct mq_consume *c)
{
	int rc = 0;
	c->plan_asked = false;
	for (size_t i = 0; i < c->feeds_n && rc == 0; i++)
		rc = follow(c, c->feeds[i]);
	return rc;
}

/* What nobody had is tried for, by whoever may have it. */
static void find_free(struct mq_consume *c)
{
	for (size_t i = 0; i < c->feeds_n && c->engine->member_had; i++) {
		struct mq_feed *f = c->feeds[i];
		if (f->owner || f->left || f->whose == MQ_WHOSE_NOBODYS ||
		    c->engine->member_had(c->member, f->topic, f->partition) != MQ_HAD_BY_NOBODY)
			continue;
		f->nearly_free = c->plan_found = true;
	}
}

/* What others do comes in bursts; the more members there are the more each has to look at, and the more do it at once. */
static int plan(struct mq_consume *c)
{
	int64_t began_ns = now_ns(), rest_ns;
	int members = c->engine->member_plan(c->member, c->err);
	if (members < 0)
		return members;
	c->plan_due = began_ns < c->plan_sure_ns; /* once more, then */
	c->plan_members = members;
	rest_ns = PLAN_REST * members * (now_ns() - began_ns);
	c->plan_next_ns = now_ns() + (rest_ns < PLAN_REST_MAX_NS ? rest_ns : PLAN_REST_MAX_NS);
	if (c->plan_due && c->plan_next_ns < c->plan_sure_ns)
		c->plan_next_ns = c->plan_sure_ns;
	int rc = follow_all(c);
	find_free(c);
	return rc;
}

void mq_plan_stir(struct mq_consume *c, int64_t wait_ns)
{
	int64_t sure_ns = now_ns() + SETTLE_NS;

	/* Of many each plans once, late enough: a plan is dear, and the next one has to wait for long behind it. */
	if (wait_ns > 0 && !c->plan_due) {
		c->plan_next_ns = c->plan_next_ns < sure_ns + wait_ns ? sure_ns + wait_ns : c->plan_next_ns;
		c->plan_latest_ns = c->plan_next_ns + LATER_NS;
	} else if (wait_ns > 0 && c->plan_next_ns < sure_ns) {
		c->plan_next_ns = sure_ns < c->plan_latest_ns ? sure_ns : c->plan_next_ns;
	}
	c->plan_sure_ns = wait_ns > 0 ? 0 : sure_ns;
	c->plan_due = c->plan_asked = c->count_at_ns != 0;
}

int64_t mq_plan_due(const struct mq_consume *c)
{
	return c->plan_due && c->engine->member_plan ? c->plan_next_ns : -1;
}

int mq_plan_join(struct mq_consume *c)
{
	const char **texts = calloc(c->req->n_topics + 1, sizeof *texts);
	struct mq_buf room = MQ_BUF_INIT;
	int rc = texts ? join(c, texts, &room) : mq_consume_no_memory(c);

	c->count_at_ns = c->engine->member_plan ? now_ns() + COUNT_NS : 0;
	if (rc == 0 && c->engine->member_strict)
		rc = c->engine->member_strict(c->member, c->err);
	if (rc > 0) /* nothing may be taken before it is known to be this one's */
		rc = plan(c);
	free(texts);
	mq_buf_release(&room);
	return rc < 0 ? rc : 0;
}

int mq_plan_step(struct mq_consume *c)
{
	int rc = 0;
	if (c->count_at_ns > 0 && now_ns() >= c->count_at_ns) {
		c->count_at_ns = -1;
		c->plan_due = true;
		rc = c->engine->member_count(c->member, c->err);
	}
	if (rc == 0 && mq_plan_due(c) >= 0 && now_ns() >= mq_plan_due(c))
		rc = plan(c);
	else if (rc == 0 && c->plan_asked && c->engine->member_plan)
		rc = follow_all(c); /* by what was computed last: who asks is not kept waiting */
	if (rc == 0)
		rc = give_all(c);
	return rc != 0 ? rc : c->plan_found;
}
