/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The order of keys where a topic has grown: what lies behind the beginning of a generation in one partition is given out when
 * the partitions that its keys come from are done up to theirs.  A group is done where its committed place is: that lasts, and
 * every member sees it.  A follower without a group is done where it has read.
 *
 * Who waits sleeps: the owner whose commit reaches the beginning rings.
 */
#include <inttypes.h>

#include "ops/consume.h"
#include "sys/sys.h"

static const int64_t LOOK_NS = 100000000; /* at a place that is had with others */

/* --- the beginning of a generation ---------------------------------------------------------- */

/* Whoever waits for f to reach `at` may be asleep: it is rung when f's place gets there, or now. */
static int expect(struct mq_consume *c, struct mq_feed *f, uint64_t at)
{
	if (!f->owner || !c->engine->owner_ring)
		return 0;
	if (f->ring_to == 0)
		f->ring_from = at;
	f->ring_to = at > 0 ? at : 1;
	return mq_barrier_committed(c, f);
}

int mq_barrier_meet(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t at = 0;
	uint32_t met = c->engine->source_met ? c->engine->source_met(f->source, &at) : 0;
	uint32_t stamp = f->viewing ? f->view.batch.topic_generation : 0;
	bool is_new = met != f->met;

	if (stamp > c->known[f->topic_nth].generation)
		c->growth_due = true;
	if (is_new) {
		f->met = met;
		f->met_void = false;
		c->growth_due |= met > c->known[f->topic_nth].generation;
	}
	if (f->viewing) {
		f->met_void |= stamp < f->met;
		f->barred = f->view.n_barriers > 0;
		f->barrier = 0;
		f->barrier_looked = UINT64_MAX;
	}
	return is_new ? expect(c, f, at) : 0;
}

int mq_barrier_committed(struct mq_consume *c, struct mq_feed *f)
{
	if (f->ring_to == 0 || f->committed < f->ring_from)
		return 0;
	/* What is behind may be given out now: a power loss must not take this back. */
	int rc = f->unsynced ? c->engine->owner_sync(f->owner, c->err) : 0;
	if (rc < 0)
		return rc;
	f->unsynced = false;
	c->engine->owner_ring(f->owner);
	if (f->committed >= f->ring_to || f->ring_to == 1)
		f->ring_to = 0;
	return 0;
}

void mq_barrier_stir(struct mq_consume *c)
{
	c->wakes++;
	c->stirred = true;
}

/* A place that is had with others follows what is done now and then: here it is wanted soon. */
static int move_shared(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_place place;
	int rc = c->engine->owner_sync(f->owner, c->err);

	if (rc == 0)
		rc = c->engine->group_place(c->store, c->req->group, f->topic, f->partition, &place, c->err);
	if (rc < 0 || !place.set || place.offset <= f->committed)
		return rc;
	f->committed = place.offset;
	mq_barrier_stir(c); /* it may be waited for here */
	return mq_barrier_committed(c, f);
}

int mq_barrier_shared(struct mq_consume *c)
{
	int64_t now = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	int rc = 0;

	if (now < c->places_ns)
		return 0;
	c->places_ns = 0;
	for (size_t i = 0; i < c->feeds_n && rc >= 0; i++) {
		struct mq_feed *f = c->feeds[i];
		if (!f->owner || !f->shared.on || !f->ring_to)
			continue;
		rc = move_shared(c, f);
		c->places_ns = now + LOOK_NS;
		c->wakes++; /* what waits for it looks again, too */
	}
	return rc < 0 ? rc : 0;
}

bool mq_barrier_is_due(const struct mq_consume *c)
{
	bool waits = false, given = false;
	for (size_t i = 0; i < c->feeds_n; i++) {
		const struct mq_feed *f = c->feeds[i];
		bool undone = f->owner && f->done < f->next;
		if (f->ring_to && undone)
			return true;
		given |= undone;
		waits |= f->barred;
	}
	return waits && given; /* what is waited for may be one that ends where the growth begins, which it did not meet */
}

/* A reader that has taken all comes back for more, and none comes before this is done. */
int mq_barrier_drain(struct mq_consume *c)
{
	if (c->handlers || c->req->form == MQ_OUT_POSITIONS || !mq_barrier_is_due(c) || mq_sink_drained(&c->sink) <= 0)
		return 0;
	return mq_given_commit(c, true);
}

/* --- waiting -------------------------------------------------------------------------------- */

/* The feed of another partition of f's topic; NULL: it is not read here. */
static struct mq_feed *find(struct mq_consume *c, const struct mq_feed *f, uint32_t p)
{
	size_t guess = f->nth + p - f->partition; /* they are one behind the other, for the most part */

	if (guess < c->feeds_n && c->feeds[guess]->topic_nth == f->topic_nth && c->feeds[guess]->partition == p)
		return c->feeds[guess];
	for (size_t i = 0; i < c->feeds_n; i++)
		if (c->feeds[i]->partition == p && c->feeds[i]->topic_nth == f->topic_nth)
			return c->feeds[i];
	return NULL;
}

/* 1: what lies below is not held any more. */
static int is_gone(struct mq_consume *c, const struct mq_feed *f, const struct mq_barrier *b)
{
	struct mq_bounds bounds;
	int rc = c->engine->bounds(c->store, f->topic, b->partition, &bounds, c->err);

	return rc < 0 ? rc : bounds.log_start >= b->offset;
}

static void tell(struct mq_consume *c, struct mq_feed *f, const struct mq_barrier *b, bool elsewhere)
{
	if (!f->told_barred)
		mq_ops_notice(c->mq, elsewhere ? 0 : 1,
		              "%s:%" PRIu32 ": the topic has grown: what follows here waits until %s:%" PRIu32 " is done up to %" PRIu64
		              "%s", f->topic, f->partition, f->topic, b->partition, b->offset,
		              elsewhere ? ", which no partition named here is (mq-group seek passes it)" : "");
	f->told_barred = true;
}

/* Something of it is in this member's hands: a handler's, or given and not known to be done. */
static bool is_at_work(const struct mq_consume *c, const struct mq_feed *f)
{
	for (size_t i = c->given_at; i < c->given_n; i++)
		if (c->given[i].feed == f)
			return true;
	return f->first_task || f->shared.leaving || f->shared.unwritten;
}

/* f, which is had with others, has come to its end here.  1: it is done up to `at`, or will be: what of it is at work ends, and its
 * place, which moves once a second, is looked at. */
static int comes_about(struct mq_consume *c, struct mq_feed *f, uint64_t at)
{
	struct mq_share_facts facts;
	int rc = is_at_work(c, f) ? 0 : move_shared(c, f);

	if (rc < 0 || f->committed >= at)
		return rc < 0 ? rc : 1;
	rc = f->ring_to ? 0 : expect(c, f, at);
	if (rc < 0 || is_at_work(c, f))
		return rc < 0 ? rc : 1;
	rc = c->engine->group_share(c->store, c->req->group, f->topic, f->partition, &facts, c->err);
	return rc < 0 ? rc : facts.base >= at;
}

/* 1: somebody has what f waits for, or a killed member's handler has. */
static int is_had(struct mq_consume *c, const struct mq_feed *f, const struct mq_barrier *b)
{
	int64_t pid;
	char member[64];
	bool handler_left;
	int rc = c->engine->group_owner(c->store, c->req->group, f->topic, b->partition, &pid, member, &handler_left, c->err);

	return rc == 0 ? handler_left : rc;
}

/* Nobody will do it while this one waits: with an end, that is one. */
static int give_up(struct mq_consume *c, struct mq_feed *f, const struct mq_barrier *b, struct mq_feed *other)
{
	if (!c->req->follow && other && other->owner && other->shared.on && other->shared.over) {
		int rc = comes_about(c, other, b->offset);
		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	bool ended = other && (other->shared.on ? other->shared.over : mq_feed_ended(other) && other->committed >= other->next);
	bool unacked = other && other->owner && !ended && mq_manual_is_over(c, other);
	bool moves = other && other->owner && !ended && !unacked;
	if (c->req->follow || moves || (other && !other->owner && !other->left))
		return 0;
	if (other && other->owner && !unacked) { /* its end was seen before the topic grew, f's after that */
		f->shared.over = f->shared.on;
		f->end = f->next;
		mq_barrier_stir(c);
		return 0;
	}
	int rc = unacked ? 0 : is_had(c, f, b);
	if (rc != 0)
		return rc < 0 ? rc : 0;
	f->left = true;
	mq_barrier_stir(c);
	c->report.left++;
	mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": left: the topic has grown, and %s:%" PRIu32 " must be done up to %" PRIu64 " before",
	              f->topic, f->partition, f->topic, b->partition, b->offset);
	return 0;
}

/* Where the group stands in a partition that another member has. */
static int others_place(struct mq_consume *c, struct mq_feed *f, const struct mq_barrier *b)
{
	struct mq_place place;
	int rc;

	if (f->barrier_looked == c->wakes)
		return 0; /* nothing was heard since */
	rc = c->engine->group_place(c->store, c->req->group, f->topic, b->partition, &place, c->err);
	if (rc == MQ_ENOTOPIC) {
		*c->err = (struct mq_err){0};
		place.set = false;
		rc = 0;
	}
	if (rc < 0)
		return rc;
	return place.set && place.offset >= b->offset ? 1 : is_gone(c, f, b);
}

static int is_done(struct mq_consume *c, struct mq_feed *f, const struct mq_barrier *b)
{
	struct mq_feed *other = find(c, f, b->partition);
	int rc;

	if (!c->req->group)
		return !other || other->next >= b->offset || mq_feed_ended(other);
	if (other && other->owner && !other->shared.on)
		rc = other->committed >= b->offset;
	else
		rc = others_place(c, f, b);
	if (rc == 0 && other && other->owner && mq_manual_is_over(c, other)) { /* who stood still has not seen what came in time */
		rc = mq_manual_merge_of(c, other);
		if (rc == 0)
			rc = other->committed >= b->offset;
	}
	if (rc == 0 && (f->barrier_looked != c->wakes || (other && mq_manual_is_over(c, other)))) {
		tell(c, f, b, !other);
		rc = give_up(c, f, b, other);
		if (rc == 0 && other && other->owner && other->committed >= b->offset) /* its place was moved by the look */
			rc = 1;
	}
	return rc;
}

int mq_barrier_lets(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t wakes = c->wakes;
	int rc = 1;

	if (!f->barred)
		return 1;
	if (!c->req->group && !c->req->follow)
		f->barrier = f->view.n_barriers; /* in turn: one generation after the other */
	while (rc > 0 && f->barrier < f->view.n_barriers) {
		rc = is_done(c, f, &f->view.barriers[f->barrier]);
		f->barrier += rc > 0;
	}
	if (rc <= 0) {
		f->barrier_looked = wakes; /* what came about meanwhile is looked at */
		return rc;
	}
	f->barred = false;
	if (f->told_barred)
		mq_ops_notice(c->mq, 1, "%s:%" PRIu32 ": goes on", f->topic, f->partition);
	return 1;
}
