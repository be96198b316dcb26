/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What may end a consumer's sleep, and what it heard. */
#include <string.h>

#include "ops/consume_copy.h"
#include "ops/consume_move.h"
#include "sys/sys.h"

static const int64_t HEAR_NS = INT64_C(10000000); /* how long a member that is busy hears nobody */

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

bool mq_sleep_reads(const struct mq_consume *c)
{
	return !c->ended && !c->pace_until_ns && (!c->handlers || mq_handlers_room(c));
}

static void sooner(int64_t *deadline_ns, int64_t at_ns)
{
	if (at_ns >= 0 && (*deadline_ns < 0 || at_ns < *deadline_ns))
		*deadline_ns = at_ns;
}

static int64_t find_deadline(struct mq_consume *c)
{
	int64_t deadline_ns = -1;
	if (c->pace_until_ns)
		sooner(&deadline_ns, c->pace_until_ns);
	bool plans = c->member && !c->ended; /* what is not done at the end any more is not waited for */
	if (plans && c->take_again_ns > 0)
		sooner(&deadline_ns, c->take_again_ns);
	if (plans && c->count_at_ns > 0)
		sooner(&deadline_ns, c->count_at_ns);
	if (plans)
		sooner(&deadline_ns, mq_plan_due(c));
	if (c->req->share && mq_sleep_reads(c)) /* who has no room looks when it has again */
		sooner(&deadline_ns, c->share.again_ns);
	if (c->acks_ns && c->acks_ns > now_ns() && !c->ended)
		sooner(&deadline_ns, c->acks_ns);
	if (c->places_ns)
		sooner(&deadline_ns, c->places_ns);
	sooner(&deadline_ns, mq_drain_due(c));
	sooner(&deadline_ns, mq_waits_due(c));
	sooner(&deadline_ns, mq_move_due(c));
	sooner(&deadline_ns, mq_copy_due(c));
	if (c->req->until_idle_ns)
		sooner(&deadline_ns, (c->active_ns ? c->active_ns : now_ns()) + c->req->until_idle_ns);
	if (c->unsynced)
		sooner(&deadline_ns, c->synced_ns + MQ_COMMIT_INTERVAL_NS);
	if (c->member && !c->handlers && c->req->form != MQ_OUT_POSITIONS)
		sooner(&deadline_ns, mq_given_deadline(c));
	return deadline_ns;
}

static int arm_feeds(struct mq_consume *c)
{
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc >= 0; i++) {
		struct mq_feed *f = c->feeds[i];
		if (c->armed_reading && f->source && !mq_feed_ended(f)) {
			rc = c->engine->source_arm(f->source, &c->wait, c->err);
			f->armed = rc >= 0;
		}
	}
	return rc;
}

/* What is done to the place of one is told in its topic. */
static int arm_places(struct mq_consume *c)
{
	const char *topic = NULL;
	int rc = 0;
	for (size_t i = 0; i < c->feeds_n && rc >= 0; i++) {
		const struct mq_feed *f = c->feeds[i];
		if (!f->owner || (topic && strcmp(topic, f->topic) == 0))
			continue;
		topic = f->topic;
		rc = c->engine->owner_arm(f->owner, &c->wait, c->err);
		c->look_again = true;
	}
	return rc;
}

/* Of other members everything is heard from here on, whatever else is waited for and when; what came before is looked for. */
static int listen_to_members(struct mq_consume *c)
{
	if (c->listens)
		return 0;
	mq_wait_init(&c->wait);
	c->listens = true;
	int rc = c->member ? c->engine->member_arm(c->member, &c->wait, c->err) : 0;
	c->armed_members = c->wait.slots_n;
	if (c->member)
		mq_group_stir(c);
	c->growth_due |= c->member != NULL;
	if (rc >= 0)
		rc = mq_waits_listen(c);
	c->armed_waits = c->wait.slots_n;
	return rc;
}

int mq_sleep_listen_anew(struct mq_consume *c)
{
	mq_sleep_disarm(c);
	if (!c->listens)
		return 0;
	mq_waits_deaf(c);
	mq_wait_keep(&c->wait, c->armed_members);
	int rc = mq_waits_listen(c);
	c->armed_waits = c->wait.slots_n;
	return rc;
}

/* Announce it, and gather everything that may end the sleep. */
int mq_sleep_arm(struct mq_consume *c)
{
	struct mq_wait *w = &c->wait;
	int rc = listen_to_members(c);
	c->armed = true;
	c->armed_reading = mq_sleep_reads(c);
	c->armed_deadline_ns = c->armed_out = -1;
	c->armed_places = w->slots_n;
	if (rc >= 0 && (!c->req->share || mq_share_listens(c)))
		rc = arm_places(c);
	mq_grow_heard(c); /* another's place, or topic.conf, may have got there before this was armed: it is looked at once more */
	c->armed_places = w->slots_n;
	if (rc >= 0)
		rc = arm_feeds(c);
	if (rc >= 0 && c->handlers)
		rc = mq_handlers_arm(c, w, &c->armed_deadline_ns);
	if (rc >= 0 && mq_wait_fd(w, mq_stop_fd(c->mq), POLLIN) < 0)
		rc = mq_consume_no_memory(c);
	/* Nothing but the end of its reader is waited for. */
	if (rc >= 0 && !c->handlers && (c->sink.kind == MQ_SINK_PIPE || c->sink.kind == MQ_SINK_SOCKET))
		c->armed_out = mq_wait_fd(w, c->sink.fd, POLLPRI);
	return rc < 0 ? rc : 0;
}

void mq_sleep_disarm(struct mq_consume *c)
{
	if (!c->armed)
		return;
	for (size_t i = 0; i < c->feeds_n; i++) {
		if (c->feeds[i]->armed)
			c->engine->source_disarm(c->feeds[i]->source);
		c->feeds[i]->armed = false;
	}
	mq_wait_keep(&c->wait, c->armed_waits);
	c->armed = false;
}

static int wait_until(struct mq_consume *c, int64_t deadline_ns)
{
	int rc = mq_wait_for(&c->wait, deadline_ns);
	if (rc < 0)
		return mq_err_sys(c->err, rc, "cannot wait");
	c->heard_ns = now_ns();
	mq_grow_heard(c);
	for (int i = 0; i < c->armed_members; i++)
		if (mq_wait_events(&c->wait, i)) {
			mq_group_stir(c);
			c->growth_due = true;
		}
	for (int i = c->armed_members; i < c->armed_waits; i++)
		if (mq_wait_events(&c->wait, i))
			mq_waits_heard(c);
	for (int i = c->armed_waits; i < c->armed_places && c->armed; i++)
		if (mq_wait_events(&c->wait, i)) {
			c->look_again = true;
			mq_share_rung(c);
		}
	return 0;
}

int mq_sleep(struct mq_consume *c)
{
	int64_t deadline_ns = find_deadline(c);
	if (c->armed_deadline_ns >= 0)
		sooner(&deadline_ns, c->armed_deadline_ns);
	int rc = wait_until(c, deadline_ns);
	if (rc < 0)
		return rc;
	mq_handlers_hear(c);
	if (c->armed_out >= 0 && (mq_wait_ready(&c->wait, c->armed_out) & (POLLERR | POLLNVAL)))
		c->sink.gone = true;
	c->pace_until_ns = 0;
	return 0;
}

/* A member that has much to do does not sleep, and others may wait for what is to be theirs. */
int mq_sleep_hear(struct mq_consume *c)
{
	if (!c->member || now_ns() - c->heard_ns < HEAR_NS)
		return 0;
	int rc = listen_to_members(c);
	return rc < 0 ? rc : wait_until(c, 0);
}
