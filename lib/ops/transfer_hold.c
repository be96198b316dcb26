/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an open intent keeps from removal: the source positions of its copies. */
#include <inttypes.h>
#include <string.h>

#include "ops/replay_run.h"
#include "ops/transfer_private.h"

struct hold {
	struct mq *mq;
	const char *topic;
	uint32_t partition;
	struct mq_body body;
	struct mq_buf payload;
	uint64_t from;
	struct mq_err *err;
};

/* The last intent of a group's source partition, if it may be open: 1. */
static int open_intent(struct hold *h, const char *group, const char *intents, uint32_t p, struct mq_intent *ret)
{
	struct mq_store *s = h->mq->store;
	struct mq_intent_walk w;
	struct mq_place place;
	int rc = mq_transfer_last(s->engine, s, intents, p, &h->body, &h->payload, h->err);

	if (rc <= 0)
		return rc;
	rc = mq_intent_open(&w, h->payload.p, h->payload.len, ret, h->err);
	if (rc == 0)
		rc = s->engine->group_place(s, group, h->topic, p, &place, h->err);
	return rc < 0 ? rc : ret->seeks != place.seeks || place.offset < ret->source_end;
}

/* 1: there are intents of the group. */
static int find_intents(struct hold *h, const char *group, char ret_name[201], uint32_t *ret_partitions)
{
	struct mq_store *s = h->mq->store;
	struct mq_topic_facts facts;
	int rc = s->engine->internal_open(s, "intents", h->topic, group, false, ret_name, &facts, h->err);

	if (rc == MQ_ENOTOPIC)
		*h->err = (struct mq_err){0};
	else if (rc == 0)
		*ret_partitions = facts.partitions;
	return rc == MQ_ENOTOPIC ? 0 : rc < 0 ? rc : 1;
}

/* The same of a run, which has no place: while it is not known to have ended. */
static int open_of_run(struct hold *h, const char *intents, uint32_t p, struct mq_intent *ret)
{
	struct mq_store *s = h->mq->store;
	struct mq_run_facts run;
	struct mq_intent_walk w;
	int rc = mq_run_last(h->mq, h->topic, &run, h->err);

	if (rc <= 0 || run.ended)
		return rc < 0 ? rc : 0;
	rc = mq_transfer_last(s->engine, s, intents, p, &h->body, &h->payload, h->err);
	if (rc <= 0)
		return rc;
	rc = mq_intent_open(&w, h->payload.p, h->payload.len, ret, h->err);
	return rc < 0 ? rc : ret->n_targets > 0;
}

static void release(struct hold *h)
{
	mq_body_release(&h->body);
	mq_buf_release(&h->payload);
}

static const char RUN[] = "@run";

static int ask_group(void *arg, const char *group)
{
	struct hold *h = arg;
	struct mq_intent i;
	uint32_t n;
	char intents[201];
	int rc = find_intents(h, group, intents, &n);

	if (rc <= 0 || h->partition >= n)
		return rc < 0 ? rc : 0;
	rc = group == RUN ? open_of_run(h, intents, h->partition, &i) : open_intent(h, group, intents, h->partition, &i);
	if (rc == 1 && i.copies && i.source_start < h->from)
		h->from = i.source_start;
	return rc < 0 ? rc : 0;
}

int mq_transfer_hold(struct mq *mq, const char *topic, uint32_t partition, uint64_t *ret, struct mq_err *err)
{
	struct hold h = {.mq = mq, .topic = topic, .partition = partition, .from = UINT64_MAX, .err = err};
	const struct mq_engine *e = mq->store->engine;
	int rc = e->internal_open ? ask_group(&h, RUN) : 0;

	if (rc == 0 && e->internal_open)
		rc = e->group_list(mq->store, ask_group, &h, err);
	release(&h);
	*ret = h.from;
	return rc < 0 ? rc : h.from != UINT64_MAX;
}

static int refuse(void *arg, const char *group)
{
	struct hold *h = arg;
	struct mq_intent i;
	uint32_t n = 0;
	char intents[201];
	int rc = find_intents(h, group, intents, &n);

	for (uint32_t p = 0; p < n && rc >= 0; p++) {
		rc = group == RUN ? open_of_run(h, intents, p, &i) : open_intent(h, group, intents, p, &i);
		if (rc == 1 && group == RUN)
			return mq_err_set(h->err, MQ_EAGAIN, "mq-replay --to has not finished copying from %s:%" PRIu32
			                  ": give the same command again, which goes on, or use --force", h->topic, p);
		if (rc == 1)
			return mq_err_set(h->err, MQ_EAGAIN, "group %s has not finished moving records out of %s:%" PRIu32
			                  ": read on with mq-consume -g %s %s, which finishes it, or use --force", group, h->topic, p, group, h->topic);
	}
	return rc < 0 ? rc : 0;
}

int mq_transfer_refuse(struct mq *mq, const char *topic, const char *group, struct mq_err *err)
{
	struct hold h = {.mq = mq, .topic = topic, .err = err};
	const struct mq_engine *e = mq->store->engine;
	int rc = !e->internal_open ? 0 : group ? refuse(&h, group) : refuse(&h, RUN);

	if (rc == 0 && e->internal_open && !group)
		rc = e->group_list(mq->store, refuse, &h, err);

	release(&h);
	return rc;
}
