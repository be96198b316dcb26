/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an open intent keeps from removal: the source positions of its copies, and its targets. */
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
	const struct mq_topic_facts *into; /* only intents that have this topic for a target count; NULL: all */
	const char *into_name;
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

/* Does the intent that was read last have the topic for a target? */
static int goes_there(struct hold *h)
{
	struct mq_intent_walk w;
	struct mq_intent i;
	struct mq_intent_target t;
	int rc = mq_intent_open(&w, h->payload.p, h->payload.len, &i, h->err);

	while (rc == 0 && (rc = mq_intent_next(&w, &t)) > 0)
		rc = strcmp(t.topic, h->into_name) == 0 && memcmp(t.topic_id, h->into->id, sizeof t.topic_id) == 0;
	return rc;
}

static int tell_open(struct hold *h, const char *group, uint32_t p)
{
	const char *into = h->into ? " into " : "", *name = h->into ? h->into_name : "", *lost = h->into ? ", and what is left of it is lost" : "";

	if (group == RUN)
		return mq_err_set(h->err, MQ_EAGAIN, "mq-replay --to has not finished copying from %s:%" PRIu32
		                  "%s%s: give the same command again, which goes on, or use --force%s", h->topic, p, into, name, lost);
	if (h->into)
		return mq_err_set(h->err, MQ_EAGAIN, "group %s has not finished moving records from %s:%" PRIu32
		                  " into %s: run again what did (where that is full, make room), or use --force%s", group, h->topic, p, name, lost);
	return mq_err_set(h->err, MQ_EAGAIN, "group %s has not finished moving records out of %s:%" PRIu32
	                  ": read on with mq-consume -g %s %s, which finishes it, or use --force", group, h->topic, p, group, h->topic);
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
		if (rc == 1 && h->into)
			rc = goes_there(h);
		if (rc == 1)
			return tell_open(h, group, p);
	}
	return rc < 0 ? rc : 0;
}

/* Runs, and all groups. */
static int refuse_all(struct hold *h)
{
	int rc = refuse(h, RUN);

	return rc == 0 ? h->mq->store->engine->group_list(h->mq->store, refuse, h, h->err) : rc;
}

int mq_transfer_refuse(struct mq *mq, const char *topic, const char *group, struct mq_err *err)
{
	struct hold h = {.mq = mq, .topic = topic, .err = err};
	const struct mq_engine *e = mq->store->engine;
	int rc = !e->internal_open ? 0 : group ? refuse(&h, group) : refuse_all(&h);

	release(&h);
	return rc;
}

/* 1: the last intent of any partition, open or not, has it for a target. */
static int was_there(struct hold *h, const char *name)
{
	struct mq_store *s = h->mq->store;
	struct mq_topic_facts facts;
	int rc = strncmp(name, "intents@", 8) == 0 ? s->engine->internal_facts(s, name, &facts, h->err) : MQ_ENOTOPIC;

	if (rc == MQ_ENOTOPIC) { /* of another kind; or it has gone meanwhile */
		*h->err = (struct mq_err){0};
		return 0;
	}
	for (uint32_t p = 0; rc == 0 && p < facts.partitions; p++) {
		rc = mq_transfer_last(s->engine, s, name, p, &h->body, &h->payload, h->err);
		rc = rc > 0 ? goes_there(h) : rc;
	}
	return rc;
}

static int refuse_into(struct hold *h)
{
	struct mq_ops_names internal = {MQ_BUF_INIT, h->err}, topics = {MQ_BUF_INIT, h->err};
	struct mq_store *s = h->mq->store;
	int rc = s->engine->internal_list(s, mq_ops_keep_name, &internal, h->err);

	for (size_t at = 0; at < internal.buf.len && rc == 0; at += strlen(internal.buf.p + at) + 1)
		rc = was_there(h, internal.buf.p + at);
	if (rc > 0) /* of which topic, and open? */
		rc = s->engine->topic_list(s, mq_ops_keep_name, &topics, h->err);
	for (size_t at = 0; at < topics.buf.len && rc == 0; at += strlen(topics.buf.p + at) + 1) {
		h->topic = topics.buf.p + at;
		rc = refuse_all(h);
	}
	mq_buf_release(&internal.buf);
	mq_buf_release(&topics.buf);
	return rc;
}

int mq_transfer_refuse_into(struct mq *mq, const char *topic, struct mq_err *err)
{
	const struct mq_engine *e = mq->store->engine;
	struct mq_topic_facts facts;
	struct hold h = {.mq = mq, .into = &facts, .into_name = topic, .err = err};
	int rc = e->internal_open && e->internal_list ? e->topic_facts(mq->store, topic, &facts, err) : 0;

	if (rc == 0 && e->internal_open && e->internal_list)
		rc = refuse_into(&h);
	release(&h);
	return rc;
}
