/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A member of a group: partitions taken and given back, places committed. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops/consume.h"
#include "sys/sys.h"

enum { TAKES_MAX = 8 };
static const int64_t COMMIT_INTERVAL_NS = INT64_C(5000000000); /* auto.commit.interval.ms */
static const int64_t PROBE_NS = 1000000;                       /* the first pause between two takes; then twice it */
static const int64_t UNHEARD_NS = 1000000000;                  /* the pause where nobody will say that it is free */
static const int64_t HEARD_NS = INT64_C(10000000000);          /* where a member at work will */
static const int64_t TELL_NS = 1000000000;                     /* who waits longer says so */
static const int64_t LEFT_NS = INT64_C(10000000000);           /* how long a killed owner's handler is waited for */

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

int mq_group_join(struct mq_consume *c)
{
	c->take_again_ns = 0;
	c->synced_ns = now_ns();
	return c->engine->member_join(c->store, c->req->group, &c->member, c->err);
}

/* --- taking --------------------------------------------------------------------------------- */

int mq_group_stood(struct mq_consume *c, const struct mq_feed *f, uint64_t *ret)
{
	struct mq_place place;
	int rc = c->engine->group_place(c->store, c->req->group, f->topic, f->partition, &place, c->err);
	if (rc == MQ_ENOTOPIC) { /* it never read here; that the place cannot be read is no reason to forget it */
		*c->err = (struct mq_err){0};
		return 0;
	}
	if (rc == 0 && place.set)
		*ret = place.offset;
	return rc < 0 ? rc : place.set;
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
	int rc = c->req->range ? mq_group_stood(c, f, &at) : 1;
	return rc == 0 ? mq_consume_start(c, f, NULL, ret) : rc;
}

static int begin(struct mq_consume *c, struct mq_feed *f, const uint64_t *first)
{
	struct mq_place place;
	uint64_t at;
	int rc = c->engine->owner_merge_acks(f->owner, &place, c->err);
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

/* The first place of a new group is set as the partition is taken: whoever is killed leaves the one asked for, or none, and
 * who looks at the same time and comes later finds it. */
static int take(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t first;
	int rc = find_first(c, f, &first);
	const uint64_t *start = rc == 0 ? &first : NULL;
	if (rc >= 0)
		rc = c->engine->owner_take(c->member, f->topic, f->partition, start, &f->owner, c->err);
	if (rc <= 0)
		return rc;
	rc = begin(c, f, start);
	if (rc < 0)
		return rc;
	mq_ops_notice(c->mq, 1, "%s:%" PRIu32 ": taken, from %" PRIu64, f->topic, f->partition, f->next);
	return 1;
}

static void tell_waiting(struct mq_consume *c, const struct mq_feed *f, bool owned, const char *member)
{
	if (c->told_held || now_ns() - c->began_ns < TELL_NS)
		return;
	c->told_held = true;
	mq_ops_notice(c->mq, 0, "%s:%" PRIu32 ": waiting for %s%s", f->topic, f->partition,
	              owned && member ? "member " : "what a killed member's handler holds", owned && member ? member : "");
}

/* Without follow: is it worth while to wait for one that is not free? */
static int leave(struct mq_consume *c, struct mq_feed *f)
{
	int64_t pid, waited_ns = now_ns() - c->began_ns, timeout_ns = c->req->timeout_ns;
	char member[64];
	bool handler_left;
	int owned = c->engine->group_owner(c->store, c->req->group, f->topic, f->partition, &pid, member, &handler_left, c->err);
	if (owned < 0)
		return owned;
	/* A member at work does that work; one that was killed leaves it, as soon as its handler is gone. */
	bool manual = c->req->form == MQ_OUT_POSITIONS; /* then the timeout is for acknowledgements */
	int64_t patience_ns = timeout_ns >= 0 && !manual ? timeout_ns : owned ? 0 : LEFT_NS;
	if (waited_ns < patience_ns) {
		tell_waiting(c, f, owned, handler_left ? NULL : member);
		return 0;
	}
	f->left = true;
	c->report.left += !owned || (timeout_ns >= 0 && !manual);
	mq_ops_notice(c->mq, owned ? 2 : 0, "%s:%" PRIu32 ": left to %s%s of group %s", f->topic, f->partition,
	              handler_left ? "a killed member's handler" : "member ", member, c->req->group);
	return 0;
}

void mq_group_stir(struct mq_consume *c)
{
	c->takes = 0;
	c->take_again_ns = 0;
}

/* The wake-up comes before the lock is free: probe again, ever more rarely; without follow until it is left.  With it the
 * quick probes end, and then it matters who has the partition: a member's end is heard, that of mq-group or of a dead
 * member's handler is not.  The line that names a member may be older than the lock, so it is not believed for ever. */
static int find_pause(struct mq_consume *c, int64_t *ret_ns)
{
	int64_t pid;
	char member[64];
	bool handler_left;

	*ret_ns = PROBE_NS << (c->takes < TAKES_MAX ? c->takes : 4);
	if (c->takes < TAKES_MAX || !c->req->follow)
		return 0;
	*ret_ns = HEARD_NS;
	for (size_t i = 0; i < c->feeds_n; i++) {
		const struct mq_feed *f = &c->feeds[i];
		if (f->source || f->left)
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
	for (size_t i = 0; i < c->feeds_n; i++)
		held += !c->feeds[i].source && !c->feeds[i].left;
	if (!c->told_held)
		mq_ops_notice(c->mq, held < c->feeds_n ? 1 : 2, "%zu of %zu partitions are held by other members of group %s: waiting until they leave", held,
		              c->feeds_n, c->req->group);
	c->told_held = true;
}

int mq_group_take(struct mq_consume *c)
{
	bool some = false, wanting = false;
	int64_t pause_ns;

	if (c->take_again_ns > 0 && now_ns() < c->take_again_ns)
		return 0;
	for (size_t i = 0; i < c->feeds_n; i++) {
		struct mq_feed *f = &c->feeds[i];
		int rc = f->source || f->left ? 0 : take(c, f);
		some |= rc > 0;
		if (rc == 0 && !f->source && !f->left && !c->req->follow)
			rc = leave(c, f);
		if (rc < 0)
			return rc;
		wanting |= !f->source && !f->left;
	}
	c->take_again_ns = -1;
	if (!wanting)
		return some;
	c->takes += c->takes < TAKES_MAX;
	if (c->takes == TAKES_MAX && c->req->follow) /* it is not the moment in which one leaves and another comes */
		tell_held(c);
	int rc = find_pause(c, &pause_ns);
	if (rc < 0)
		return rc;
	c->take_again_ns = now_ns() + pause_ns;
	return some;
}

int mq_group_look(struct mq_consume *c)
{
	const char *topic = "";
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc >= 0 && c->look_again; i++) {
		const struct mq_feed *f = &c->feeds[i];
		if (f->owner)
			rc = c->engine->owner_look(f->owner, strcmp(topic, f->topic) != 0, c->err);
		topic = f->owner ? f->topic : topic;
	}
	c->look_again = false;
	return rc < 0 ? rc : 0;
}

/* --- committing ----------------------------------------------------------------------------- */

int mq_group_commit_feed(struct mq_consume *c, struct mq_feed *f)
{
	if (f->done == f->committed || !f->owner)
		return 0;
	bool passed = f->done >= f->lost_to; /* what was lost further on is told when the place is behind it */
	int rc = c->engine->owner_commit(f->owner, f->done, passed ? f->lost : 0, c->err);
	if (rc < 0)
		return rc;
	f->committed = f->done;
	f->lost = passed ? 0 : f->lost;
	f->unsynced = c->unsynced = true;
	return 0;
}

int mq_group_pass(struct mq_consume *c, struct mq_feed *f)
{
	if (!f->owner || f->next <= f->given)
		return 0;
	if (c->handlers)
		return mq_handlers_pass(c, f);
	return c->req->form == MQ_OUT_POSITIONS ? 0 : mq_group_given(c, f); /* by hand each is passed as it is met */
}

int mq_group_commit_now(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t done = f->done;
	f->done = f->next;
	int rc = mq_group_commit_feed(c, f);
	if (rc < 0)
		f->done = done; /* a later commit must not carry the place past what is not given out now */
	if (rc == 0 && f->unsynced)
		rc = c->engine->owner_sync(f->owner, c->err);
	f->unsynced = f->unsynced && rc < 0;
	return rc;
}

int mq_group_sync(struct mq_consume *c, bool now)
{
	int rc = 0;
	if (!c->unsynced || (!now && now_ns() - c->synced_ns < COMMIT_INTERVAL_NS))
		return 0;
	for (size_t i = 0; i < c->feeds_n && rc == 0; i++)
		if (c->feeds[i].owner && c->feeds[i].unsynced) {
			rc = c->engine->owner_sync(c->feeds[i].owner, c->err);
			c->feeds[i].unsynced = false;
		}
	c->unsynced = false;
	c->synced_ns = now_ns();
	return rc;
}

int mq_group_release(struct mq_consume *c)
{
	int rc = mq_group_sync(c, true);
	for (size_t i = 0; i < c->feeds_n; i++) {
		if (c->feeds[i].owner)
			c->engine->owner_release(c->feeds[i].owner);
		c->feeds[i].owner = NULL;
	}
	if (c->member)
		c->engine->member_leave(c->member);
	c->member = NULL;
	return rc;
}
