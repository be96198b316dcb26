/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A partition of a group: taken, if it is free, or left to whoever has it. */
#include <inttypes.h>
#include <string.h>

#include "ops/consume_move.h"
#include "sys/sys.h"

static const int64_t TELL_NS = 1000000000;            /* who waits longer says so */
static const int64_t LEFT_NS = INT64_C(10000000000); /* how long a killed owner's handler is waited for */

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

int mq_group_stood(struct mq_consume *c, const struct mq_feed *f, uint64_t *ret)
{
	struct mq_place place;
	int rc = c->engine->group_place(c->store, c->req->group, f->topic, f->partition, &place, c->err);
	if (rc == MQ_ENOTOPIC) { /* it never read here; that the place cannot be read is no reason to forget it */
		*c->err = (struct mq_err){0};
		return 0;
	}
	if (rc == 0 && (place.set || place.grown)) /* of what grew meanwhile the beginning */
		*ret = place.offset;
	return rc < 0 ? rc : place.set || place.grown;
}

/* A start was named, and the group has one of its own. */
static void tell_place(struct mq_consume *c, const struct mq_feed *f, uint64_t at)
{
	if (c->told_place || strncmp(c->req->range, "..", 2) == 0 || c->range.start.kind == MQ_POINT_STORED)
		return;
	c->told_place = true;
	mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": group %s goes on from its place, %" PRIu64 ", not from -o: mq-group seek moves it",
	              f->topic, f->partition, c->req->group, at);
}

/* A new group begins where it is told.  0: *ret is that; 1: it has a place, and goes on from there: mq-group seek moves it. */
static int find_first(struct mq_consume *c, struct mq_feed *f, uint64_t *ret)
{
	uint64_t at;
	int rc = c->req->range && !f->grown ? mq_group_stood(c, f, &at) : 1;
	return rc == 0 ? mq_consume_start(c, f, NULL, ret) : rc;
}

/* Who is the first to share it owned it for a moment. */
static int share(struct mq_consume *c, struct mq_feed *f, const uint64_t *start)
{
	int rc = f->owner ? mq_move_finish(c, f) : 0;

	if (f->owner)
		c->engine->owner_release(f->owner);
	f->owner = NULL;
	return rc < 0 ? rc : mq_share_take(c, f, start);
}

static int begin(struct mq_consume *c, struct mq_feed *f, const uint64_t *first)
{
	struct mq_place place;
	uint64_t at;
	int rc = c->req->share ? c->engine->owner_place(f->owner, &place, c->err) : mq_move_finish(c, f);

	if (rc == 0 && !c->req->share)
		rc = c->engine->owner_merge_acks(f->owner, &place, c->err);
	if (rc == 0 && c->req->range && !(first && place.offset == *first))
		tell_place(c, f, place.offset);
	if (rc == 0)
		rc = mq_consume_start(c, f, &place.offset, &at);
	if (rc == 0)
		rc = mq_feed_open(c, f, at);
	if (rc == 0)
		rc = mq_group_pass(c, f);
	if (rc == 0 && c->req->form == MQ_OUT_POSITIONS)
		rc = c->engine->owner_token(f->owner, f->token, c->err);
	return rc;
}

/* The first place of a new group is set with it: whoever is killed leaves the one asked for, or none, and who looks at the same
 * time and comes later finds it. */
int mq_take(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t first;
	int rc = find_first(c, f, &first);
	const uint64_t *start = rc == 0 ? &first : NULL;
	int lets = rc >= 0 && !c->req->share ? mq_plan_lets(c, f) : rc < 0 ? rc : 1;
	if (lets <= 0)
		return lets;
	rc = c->engine->owner_take(c->member, f->topic, f->partition, start, &f->owner, c->err);
	if (rc >= 0 && c->req->share)
		rc = share(c, f, start);
	if (rc <= 0)
		return rc;
	rc = begin(c, f, start);
	if (rc < 0)
		return rc;
	if (c->req->share) {
		f->lost = 0; /* whoever takes those offsets tells that */
		mq_ops_notice(c->mq, 1, "%s:%" PRIu32 ": shared", f->topic, f->partition);
		return 1;
	}
	mq_ops_notice(c->mq, 1, "%s:%" PRIu32 ": taken, from %" PRIu64, f->topic, f->partition, f->next);
	rc = mq_plan_taken(c, f);
	return rc < 0 ? rc : 1;
}

/* waited_ns is that by which it was asked who has it: a later look at the clock would tell of a member what is one of the share. */
static void tell_waiting(struct mq_consume *c, const struct mq_feed *f, bool owned, const char *member, int64_t waited_ns)
{
	if (c->told_held || waited_ns < TELL_NS)
		return;
	c->told_held = true;
	mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": waiting for %s%s", f->topic, f->partition,
	              owned && member ? "member " : "what a killed member's handler holds", owned && member ? member : "");
}

int mq_take_or_leave(struct mq_consume *c, struct mq_feed *f)
{
	int64_t pid, waited_ns = now_ns() - c->began_ns, timeout_ns = c->req->timeout_ns;
	char member[64];
	bool handler_left;
	if (f->whose == MQ_WHOSE_NOBODYS && !c->req->drain) { /* its records are for members of another room */
		f->left = true;
		return 0;
	}
	int passed = c->req->drain ? mq_drain_passed(c, f) : 0;
	if (passed != 0) {
		f->left = passed > 0;
		return passed < 0 ? passed : 0;
	}
	int owned = c->engine->group_owner(c->store, c->req->group, f->topic, f->partition, &pid, member, &handler_left, c->err);
	if (owned < 0)
		return owned;
	/* A member at work does that work; one that was killed leaves it, as soon as its handler is gone. */
	bool manual = c->req->form == MQ_OUT_POSITIONS; /* then the timeout is for acknowledgements */
	bool otherwise = owned > 0 && mq_share_otherwise(c, f, waited_ns >= TELL_NS);
	bool nobodys = f->whose == MQ_WHOSE_NOBODYS && !owned && !handler_left; /* of a drain, which nobody would ever end */
	int64_t most_ns = nobodys ? TELL_NS : c->req->drain ? INT64_MAX : otherwise ? TELL_NS : owned ? 0 : LEFT_NS;
	int64_t patience_ns = timeout_ns >= 0 && !manual ? timeout_ns : most_ns;
	if (waited_ns < patience_ns) {
		tell_waiting(c, f, owned, handler_left ? NULL : member, waited_ns);
		return 0;
	}
	f->left = true;
	c->report.left += !owned || otherwise || (timeout_ns >= 0 && !manual);
	if (nobodys)
		mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": left: by the strategy of group %s it goes to nobody who is at work; "
		              "named, as %s:%" PRIu32 ", it is drained", f->topic, f->partition, c->req->group, f->topic, f->partition);
	else
		mq_ops_notice(c->mq, owned ? 2 : 0, "%s:%" PRIu32 ": left to %s%s of group %s", f->topic, f->partition,
		              handler_left ? "a killed member's handler" : "member ", member, c->req->group);
	return 0;
}
