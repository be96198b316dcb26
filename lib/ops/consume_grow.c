/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Partitions that a topic got while it is followed.  One that was named with its partition stays that one. */
#include <inttypes.h>
#include <string.h>

#include "ops/consume.h"

void mq_grow_heard(struct mq_consume *c)
{
	c->wakes++;
	if (!c->req->follow || c->growth_due)
		return;
	/* Where the beginning of a generation was met topic.conf may have come to know it by now. */
	for (size_t i = 0; i < c->feeds_n && !c->growth_due; i++) {
		const struct mq_feed *f = c->feeds[i];
		c->growth_due = f->met > c->known[f->topic_nth].generation && !f->met_void;
	}
}

static int open_now(struct mq_consume *c, struct mq_feed *f)
{
	uint64_t at;
	int rc = c->req->group ? 0 : mq_consume_start(c, f, NULL, &at);

	return rc < 0 || c->req->group ? rc : mq_feed_open(c, f, at);
}

static int add(struct mq_consume *c, size_t nth, const struct mq_topic_facts *facts)
{
	struct mq_known *known = &c->known[nth];
	int rc = 0;

	for (uint32_t p = known->partitions; p < facts->partitions && rc == 0; p++) {
		struct mq_feed *f;
		rc = mq_consume_add_feed(c, nth, p, facts, &f);
		if (rc == 0 && f) {
			f->grown = true;
			rc = open_now(c, f);
		}
	}
	if (rc < 0)
		return rc;
	mq_ops_notice(c->mq, 1, "%s: %" PRIu32 " partitions, now %" PRIu32, c->req->topics[nth], known->partitions, facts->partitions);
	known->partitions = facts->partitions;
	known->generation = facts->generation;
	return 1;
}

/* Others may be asleep who own nothing, and so heard of nothing. */
static int tell_group(struct mq_consume *c)
{
	if (!c->member)
		return 0;
	mq_group_stir(c);
	return c->engine->member_ring ? c->engine->member_ring(c->member, c->err) : 0;
}

int mq_grow_step(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	bool some = false;
	int rc = 0;

	if (!c->growth_due)
		return 0;
	c->growth_due = false;
	for (size_t i = 0; i < req->n_topics && rc >= 0 && req->follow; i++) {
		struct mq_topic_facts facts;
		if (req->partitions && req->partitions[i] >= 0)
			continue;
		rc = c->engine->topic_facts(c->store, req->topics[i], &facts, c->err);
		if (rc == 0 && facts.partitions > c->known[i].partitions)
			rc = add(c, i, &facts);
		some |= rc > 0;
	}
	if (rc >= 0 && some && c->handlers)
		rc = mq_handlers_more(c);
	if (rc >= 0 && some)
		rc = tell_group(c);
	return rc < 0 ? rc : some;
}
