/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When a member tries to take which partitions.
 *
 * Of what may make one free some is told (a member's end, an eviction, what is given), before or after it is so, and some never
 * is (the end of a killed member's handler, of mq-group).  So news is followed by a few tries, ever more rarely, and then by one
 * now and then.  All members hear the same news: where they are many each tries, and plans, at a moment of its own.
 *
 * What must stay true:
 *   1. A try that is due is made, whatever is heard meanwhile.
 *   2. What a plan finds free is tried for at once: nothing that was told of stays free for longer than until then.
 *   3. What a plan says of who has what is believed when it was made so long after the last news that what was told of then
 *      was so (SETTLE_NS in consume_plan.c).
 */
#include "ops/consume_once.h"
#include "sys/sys.h"

enum { FEW = 4, MANY = 200, PLAN_CROWD = 2 }; /* members that are not in each other's way; a plan takes as much longer than a try */
enum { TAKES_MAX = 8, TAKES_WHOLE = 3 }; /* each third time all are asked for, else those that were nearly free */
static const int64_t PROBE_NS = 1000000;              /* the first pause between two tries; then twice it */
static const int64_t UNHEARD_NS = 1000000000;         /* the pause where nobody will say that it is free */
static const int64_t PLANNED_NS = 250000000;          /* where that is about to be planned */
static const int64_t HEARD_NS = INT64_C(10000000000); /* where a member at work will */
static const int64_t CROWD_NS = 2000000;              /* for each member, up to MANY, the moment in which they try gets longer */

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

/* --- the moment ----------------------------------------------------------------------------- */

static int64_t find_crowd(const struct mq_consume *c)
{
	return c->req->share || c->plan_members <= FEW ? 0 : CROWD_NS * (c->plan_members < MANY ? c->plan_members : MANY);
}

/* If all did it at once, what a dead member held, and what a new owner begins, would wait for all of them. */
static void choose_moment(struct mq_consume *c)
{
	int64_t now = now_ns(), crowd_ns = find_crowd(c);
	bool waits = c->takes == 0 && c->take_again_ns >= 0; /* for the one it chose before, perhaps a moment ago */
	uint32_t chance = 0;

	if (crowd_ns == 0 || mq_sys->random(&chance, sizeof chance) < 0) {
		c->take_again_ns = 0;
		mq_plan_stir(c, 0);
		return;
	}
	if (!waits)
		c->take_again_ns = now + crowd_ns * (chance & 0xffff) / 0x10000;
	mq_plan_stir(c, PLAN_CROWD * (crowd_ns * (chance >> 16) / 0x10000));
}

void mq_group_stir(struct mq_consume *c)
{
	choose_moment(c);
	c->takes = 0;
	mq_once_stir(c);
	if (c->req->share)
		mq_share_stir(c);
}

/* --- worth the try? ------------------------------------------------------------------------- */

/* A living member was seen to have it, and nothing was heard since. */
static bool is_held(struct mq_consume *c, const struct mq_feed *f)
{
	return c->engine->member_had && !c->req->share && !c->plan_due &&
	       c->engine->member_had(c->member, f->topic, f->partition) == MQ_HAD_BY_MEMBER;
}

/* To take is dear, so it is asked before whether it is worth the try; in the moments in which a dead member's locks go, those
 * of the living are not asked for, and of the others seldom those that were not free: a member's locks go before its file. */
static bool is_worth_it(struct mq_consume *c, struct mq_feed *f, bool due)
{
	if (!due && !f->nearly_free)
		return false;
	if (due && c->takes > 0 && c->takes < TAKES_MAX && (is_held(c, f) || (!f->nearly_free && c->takes % TAKES_WHOLE)))
		return false;
	f->nearly_free = c->req->share /* with those who have it */ || !c->engine->member_may_be_free ||
	                 c->engine->member_may_be_free(c->member, f->topic, f->partition);
	return f->nearly_free;
}

/* --- the next try --------------------------------------------------------------------------- */

/* The wake-up comes before the lock is free: try again, ever more rarely; without follow until it is left.  With it the
 * quick tries end, and then it matters who has the partition: a member's end is heard, that of mq-group or of a dead
 * member's handler is not.  The line that names a member may be older than the lock, so it is not believed for ever. */
static int find_pause(struct mq_consume *c, int64_t *ret_ns)
{
	int64_t pid;
	char member[64];
	bool handler_left;

	*ret_ns = PROBE_NS << (c->takes < TAKES_MAX ? c->takes : c->req->drain ? 6 : 4);
	if (c->takes < TAKES_MAX || !c->req->follow)
		return 0;
	*ret_ns = c->plan_due ? PLANNED_NS : HEARD_NS;
	if (c->plan_due) /* it tells that of all at once, soon: to ask for each is dear */
		return 0;
	for (size_t i = 0; i < c->feeds_n; i++) {
		const struct mq_feed *f = c->feeds[i];
		if (f->source || f->left || is_held(c, f))
			continue;
		int owned = c->engine->group_owner(c->store, c->req->group, f->topic, f->partition, &pid, member, &handler_left, c->err);
		if (owned < 0)
			return owned;
		if (owned && *member)
			continue;
		*ret_ns = UNHEARD_NS;
		return 0;
	}
	return 0;
}

/* Why a member that follows does nothing, or less than it could. */
static void tell_held(struct mq_consume *c)
{
	size_t held = 0;
	if (c->told_held) /* to find it out is dear: of 100 members each would ask thousands of calls after every death */
		return;
	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = c->feeds[i];
		bool holds = !f->source && !f->left;
		if (holds && !is_held(c, f) && mq_share_otherwise(c, f, true))
			return;
		held += holds;
	}
	mq_ops_notice(c->mq, held < c->feeds_n ? 1 : 2,
	              "%zu of %zu partitions are held by other members of group %s: waiting until they leave or give up a share", held,
	              c->feeds_n, c->req->group);
	c->told_held = true;
}

/* due: else what was found free alone.  *ret_waits: of what is wanted some may be free soon, though nobody says so.  1: more is
 * wanted. */
static int try_all(struct mq_consume *c, bool due, bool *ret_some, bool *ret_waits)
{
	bool wanting = false;

	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = c->feeds[i];
		int rc = f->source || f->left || !is_worth_it(c, f, due) ? 0 : mq_take(c, f);
		*ret_some |= rc > 0;
		if (rc == 0 && due && !f->source && !f->left && !c->req->follow)
			rc = mq_take_or_leave(c, f);
		if (rc < 0)
			return rc;
		wanting |= !f->source && !f->left;
		*ret_waits |= !f->source && !f->left && !is_held(c, f);
	}
	return wanting;
}

int mq_group_take(struct mq_consume *c)
{
	bool some = false, waits = false, due = c->take_again_ns >= 0 && now_ns() >= c->take_again_ns;
	int64_t pause_ns;

	if (!due && !c->plan_found)
		return 0;
	c->plan_found = false;
	bool rarely = due && c->takes == TAKES_MAX && c->count_at_ns != 0;
	int wanting = try_all(c, due, &some, &waits);
	if (wanting < 0 || !due)
		return wanting < 0 ? wanting : some;
	c->take_again_ns = -1;
	if (!wanting)
		return some;
	c->takes = c->takes + 1 < TAKES_MAX && waits ? c->takes + 1 : TAKES_MAX;
	if (c->takes == TAKES_MAX && c->req->follow) /* it is not the moment in which one leaves and another comes */
		tell_held(c);
	int rc = find_pause(c, &pause_ns);
	if (rc < 0)
		return rc;
	c->take_again_ns = now_ns() + pause_ns;
	c->plan_due |= rarely; /* nothing was heard for long: not everything can be */
	return some;
}

