/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who holds records back from removal: groups that have not read them, and open transfers that will read them again.
 *
 * A group that nobody has seen for offsets.retention.minutes holds nothing: no member of it lives, and neither a commit nor a member was
 * seen since.  That is told once, and again only when it was seen in between.
 */
#include "ops/retain.h"
#include "ops/transfer.h"

struct hold {
	struct mq_retaining *r;
	const char *topic;
	uint32_t partition;
	uint64_t from;
	uint32_t groups;
	struct mq_err *err;
};

static int one_lives(void *arg, const struct mq_member_info *m)
{
	(void)arg;
	(void)m;
	return 1;
}

/* 1: a member of the group lives, which is noted. */
static int lives(struct hold *h, const char *group)
{
	struct mq_retaining *r = h->r;
	int rc = r->e->group_members ? r->e->group_members(r->mq->store, group, one_lives, NULL, h->err) : 0;

	return rc == 1 && r->e->retain_note(r->memory, "seen", group, r->now_us, h->err) < 0 ? h->err->code : rc;
}

/* Later commits of the group elsewhere: it is seen by any of them. */
struct latest {
	struct hold *h;
	const char *group;
	int64_t time_us;
};

static int latest_in(void *arg, uint32_t p, const struct mq_part_facts *f, const struct mq_err *why)
{
	struct latest *l = arg;

	(void)p;
	(void)why;
	if (f && f->place.set && f->place.time_us > l->time_us)
		l->time_us = f->place.time_us;
	return 0;
}

static int latest_of(void *arg, const char *topic)
{
	struct latest *l = arg;
	struct mq_retaining *r = l->h->r;
	struct mq_topic_facts facts;
	struct mq_err ignored = MQ_ERR_INIT;

	/* What cannot be read here is told where it is held. */
	if (r->e->group_walk && r->e->topic_facts(r->mq->store, topic, &facts, &ignored) == 0)
		(void)r->e->group_walk(r->mq->store, l->group, topic, 0, facts.partitions, true, latest_in, l, &ignored);
	return 0;
}

static int tell_once(struct hold *h, const char *group, int64_t seen_us)
{
	struct mq_retaining *r = h->r;

	if (r->e->retain_noted(r->memory, "told", group) == seen_us)
		return 0;
	mq_ops_notice(r->mq, 0, "group %s was not seen for %.3g days: it holds nothing any more (offsets.retention.minutes); mq-group delete %s "
	              "forgets it", group, (double)(r->now_us - seen_us) / 86400e6, group);
	return r->e->retain_note(r->memory, "told", group, seen_us, h->err);
}

/* 1: it counts; time_us: of its commit here. */
static int counts(struct hold *h, const char *group, int64_t time_us)
{
	struct mq_retaining *r = h->r;
	int64_t patience_us = r->e->retain_patience_us(r->memory), noted = r->e->retain_noted(r->memory, "seen", group);
	struct latest l = {h, group, noted > time_us ? noted : time_us};
	int rc;

	if (r->now_us - l.time_us < patience_us)
		return 1;
	rc = lives(h, group);
	if (rc != 0)
		return rc;
	rc = r->e->group_topics(r->mq->store, group, latest_of, &l, h->err);
	if (rc < 0 || r->now_us - l.time_us < patience_us)
		return rc < 0 ? rc : 1;
	return tell_once(h, group, l.time_us);
}

static int ask_group(void *arg, const char *group)
{
	struct hold *h = arg;
	struct mq_place place;
	int rc = h->r->e->group_place(h->r->mq->store, group, h->topic, h->partition, &place, h->err);

	if (rc == MQ_ENOTOPIC || (rc == 0 && !place.set && !place.grown)) {
		*h->err = (struct mq_err){0};
		return 0; /* it never read here */
	}
	if (rc == 0)
		rc = counts(h, group, place.time_us);
	if (rc <= 0)
		return rc;
	h->groups++;
	if (place.offset < h->from)
		h->from = place.offset;
	return 0;
}

int mq_retain_held(struct mq_retaining *r, const char *topic, uint32_t p, uint64_t *ret, uint32_t *ret_groups, struct mq_err *err)
{
	struct hold h = {.r = r, .topic = topic, .partition = p, .from = UINT64_MAX, .err = err};
	uint64_t intents = UINT64_MAX;
	int rc = r->req->unread ? 0 : r->e->group_list(r->mq->store, ask_group, &h, err);

	if (rc == 0)
		rc = mq_transfer_hold(r->mq, topic, p, &intents, err);
	if (rc < 0)
		return rc;
	*ret = intents < h.from ? intents : h.from;
	*ret_groups = h.groups;
	return 0;
}
