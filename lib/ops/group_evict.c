/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Members evicted: from a partition, from a topic, from the group.  All is looked at before the first one goes, and what has
 * changed by then is left alone: of two who evict at once one does it. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/name.h"
#include "ops/ops.h"

struct found {
	const char *topic;     /* borrowed; NULL: the member itself */
	uint32_t partition;
	struct mq_evicted who; /* its generation is the one that is to begin */
};

struct evict {
	struct mq *mq;
	const char *group, *member;
	int64_t partition;
	bool dry_run;
	int (*fn)(void *arg, const struct mq_evict_move *m);
	void *arg;
	struct mq_buf found;
};

/* --- looking -------------------------------------------------------------------------------- */

static int keep(struct evict *e, const char *topic, uint32_t p, const struct mq_evicted *who)
{
	struct found f = {topic, p, *who};

	return mq_buf_add(&e->found, &f, sizeof f) < 0 ? mq_err_set(&e->mq->err, -ENOMEM, "no memory") : 0;
}

/* asked: the topic was named, so that it must be there. */
static int look_at_topic(struct evict *e, const char *topic, bool asked)
{
	const struct mq_engine *engine = e->mq->store->engine;
	uint32_t from = 0, to = 0;
	int rc = mq_ops_partitions(e->mq, topic, e->partition, &from, &to);

	for (uint32_t p = from; p < to && rc == 0; p++) {
		struct mq_evicted who = {0};

		rc = engine->group_evict(e->mq->store, e->group, topic, p, e->member, true, &who, &e->mq->err);
		if (rc == 1)
			rc = keep(e, topic, p, &who);
	}
	if (rc != MQ_ENOTOPIC || asked)
		return rc;
	e->mq->err = (struct mq_err){0}; /* deleted, or it joined and never read */
	return 0;
}

/* All that a member owns, and then itself: who is killed in between finds it again. */
static int look_at_member(struct evict *e, struct mq_ops_names *topics)
{
	const struct mq_engine *engine = e->mq->store->engine;
	struct mq_evicted who;
	int rc = engine->group_topics(e->mq->store, e->group, mq_ops_keep_name, topics, &e->mq->err);

	if (rc == MQ_ENOTOPIC) { /* it has read none: is there such a member? */
		e->mq->err = (struct mq_err){0};
		rc = 0;
	}
	if (rc == 0)
		rc = mq_ops_sort_names(topics);
	for (size_t at = 0; at < topics->buf.len && rc == 0; at += strlen(topics->buf.p + at) + 1)
		rc = look_at_topic(e, topics->buf.p + at, false);
	if (rc == 0)
		rc = engine->group_evict_member(e->mq->store, e->group, e->member, true, &who, &e->mq->err);
	if (rc == 1)
		return keep(e, NULL, 0, &who);
	if (rc == 0 && e->found.len == 0)
		return mq_err_set(&e->mq->err, MQ_ENOTOPIC, "group %s has no member %s: see mq-group show -g %s", e->group, e->member, e->group);
	return rc;
}

/* --- acting --------------------------------------------------------------------------------- */

static int act(struct evict *e, const struct found *f)
{
	const struct mq_engine *engine = e->mq->store->engine;
	struct mq_evicted who = f->who;
	struct mq_evict_move m = {.topic = f->topic, .partition = f->partition};
	int rc = 1;

	if (!e->dry_run && f->topic)
		rc = engine->group_evict(e->mq->store, e->group, f->topic, f->partition, e->member, false, &who, &e->mq->err);
	else if (!e->dry_run)
		rc = engine->group_evict_member(e->mq->store, e->group, f->who.member, false, &who, &e->mq->err);
	if (rc <= 0)
		return rc;
	m.member = *who.member ? who.member : NULL;
	m.pid = who.pid;
	m.handler_left = who.handler_left;
	m.generation = who.generation;
	return e->fn ? e->fn(e->arg, &m) : 0;
}

int mq_group_evict(struct mq *mq, const char *group, const char *topic, int64_t partition, const char *member, bool dry_run,
                   int (*fn)(void *arg, const struct mq_evict_move *m), void *arg)
{
	struct evict e = {mq, group, member, partition, dry_run, fn, arg, MQ_BUF_INIT};
	struct mq_ops_names topics = {MQ_BUF_INIT, &mq->err};
	int rc = dry_run ? mq_ops_look(mq) : mq_ops_begin(mq);

	if (rc == 0)
		rc = mq_name_check(group, "group", &mq->err);
	if (rc == 0 && !mq->store->engine->group_evict)
		rc = mq_err_set(&mq->err, MQ_EUSAGE, "this spool knows no eviction: kill the member");
	if (rc == 0 && !topic && !member)
		rc = mq_err_set(&mq->err, MQ_EUSAGE, "evict whom? A member, or whoever owns a topic's partitions");
	if (rc == 0)
		rc = topic ? look_at_topic(&e, topic, true) : look_at_member(&e, &topics);
	for (size_t at = 0; at < e.found.len && rc == 0; at += sizeof(struct found)) {
		struct found f;

		memcpy(&f, e.found.p + at, sizeof f);
		rc = act(&e, &f);
	}
	mq_buf_release(&e.found);
	mq_buf_release(&topics.buf);
	return mq_ops_looked(mq, rc);
}
