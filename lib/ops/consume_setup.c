/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the request to partitions with a start and an end. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "ops/consume.h"
#include "sys/sys.h"

int mq_consume_no_memory(struct mq_consume *c)
{
	return mq_err_set(c->err, -ENOMEM, "out of memory");
}

/* --- topics --------------------------------------------------------------------------------- */

static int learn_facts(struct mq_consume *c, const char *topic, struct mq_topic_facts *ret)
{
	int rc = c->engine->topic_facts(c->store, topic, ret, c->err);
	if (rc == MQ_ENOTOPIC && c->req->follow && c->req->wait_topic) {
		*c->err = (struct mq_err){0};
		rc = mq_consume_await_topic(c, topic, ret);
	}
	return rc;
}

/* --- ends and starts ------------------------------------------------------------------------ */

/* A point of a partition that is not open yet. */
static int resolve(struct mq_consume *c, struct mq_feed *f, const struct mq_point *point, const struct mq_bounds *b,
                   uint64_t *ret)
{
	struct mq_source *source = NULL;
	uint64_t stored = 0; /* where the group never was */
	int rc = 0;
	if (point->kind == MQ_POINT_TIME)
		rc = c->engine->source_open(c->store, f->topic, f->partition, &source, c->err);
	else if (point->kind == MQ_POINT_STORED && c->req->group)
		rc = mq_group_stood(c, f, &stored);
	if (rc >= 0)
		rc = mq_ops_point(c->mq, point, source, b, c->req->group ? &stored : NULL, ret);
	if (source)
		c->engine->source_close(source);
	return rc;
}

/* Rule 3: as it is now. */
static int find_end(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_bounds b;
	uint64_t end = UINT64_MAX;
	bool asked = c->req->range && c->range.has_end;

	if (c->req->follow && !asked)
		return 0;
	int rc = c->engine->bounds(c->store, f->topic, f->partition, &b, c->err);
	if (rc == 0 && asked)
		rc = resolve(c, f, &c->range.end, &b, &end);
	if (rc == 0)
		f->end = c->req->follow || end < b.visible ? end : b.visible;
	return rc;
}

int mq_consume_start(struct mq_consume *c, struct mq_feed *f, const uint64_t *stored, uint64_t *ret)
{
	struct mq_bounds b;
	int rc = c->engine->bounds(c->store, f->topic, f->partition, &b, c->err);
	if (rc < 0)
		return rc;
	if (stored && *stored > b.visible)
		return mq_err_set(c->err, MQ_EDAMAGE,
		                  "%s:%" PRIu32 ": group %s stands at %" PRIu64 ", behind the end %" PRIu64
		                  ": records are lost; look with mq-check, then mq-group seek",
		                  f->topic, f->partition, c->req->group, *stored, b.visible);
	if (stored) {
		*ret = *stored;
		return 0;
	}
	*ret = b.log_start;
	rc = c->req->range && !f->grown ? resolve(c, f, &c->range.start, &b, ret) : 0;
	if (c->req->group && *ret < b.log_start)
		*ret = b.log_start; /* a new group has lost nothing */
	return rc;
}

/* --- partitions ----------------------------------------------------------------------------- */

int mq_consume_add_feed(struct mq_consume *c, size_t topic_nth, uint32_t partition, const struct mq_topic_facts *facts,
                        struct mq_feed **ret)
{
	const char *topic = c->req->topics[topic_nth];

	if (ret)
		*ret = NULL;
	for (size_t i = 0; i < c->feeds_n && c->req->group; i++)
		if (c->feeds[i]->partition == partition && strcmp(c->feeds[i]->topic, topic) == 0)
			return 0; /* given twice; a partition has one owner */
	if (c->feeds_n == c->feeds_cap) {
		size_t cap = c->feeds_cap ? 2 * c->feeds_cap : 8;
		struct mq_feed **p = realloc(c->feeds, cap * sizeof(struct mq_feed *));
		if (!p)
			return mq_consume_no_memory(c);
		c->feeds = p;
		c->feeds_cap = cap;
	}
	struct mq_feed *f = malloc(sizeof *f);
	if (!f)
		return mq_consume_no_memory(c);
	*f = (struct mq_feed){.topic = topic, .topic_nth = topic_nth, .partition = partition, .nth = c->feeds_n,
	                      .ttl_us = facts->ttl_us, .expired_dead = facts->expired_dead, .end = UINT64_MAX};
	c->feeds[c->feeds_n++] = f;
	if (ret)
		*ret = f;
	return find_end(c, f);
}

static int add_topic(struct mq_consume *c, size_t nth, int64_t partition)
{
	const char *topic = c->req->topics[nth];
	struct mq_topic_facts facts;
	int rc = learn_facts(c, topic, &facts);
	if (rc == 0 && partition >= facts.partitions)
		return mq_err_set(c->err, MQ_ENOTOPIC, "%s:%" PRId64 ": no such partition: there are %" PRIu32, topic, partition,
		                  facts.partitions);
	if (rc == 0)
		c->known[nth] = (struct mq_known){facts.generation, facts.partitions};
	for (uint32_t p = 0; rc == 0 && p < facts.partitions; p++)
		if (partition < 0 || p == partition)
			rc = mq_consume_add_feed(c, nth, p, &facts, NULL);
	return rc;
}

static int take_range(struct mq_consume *c)
{
	if (!c->req->range)
		return 0;
	int rc = mq_ops_range(c->mq, c->req->range, &c->range);
	bool stored = c->range.start.kind == MQ_POINT_STORED || (c->range.has_end && c->range.end.kind == MQ_POINT_STORED);
	if (rc == 0 && stored && !c->req->group)
		rc = mq_err_set(c->err, MQ_EUSAGE, "'stored' is where a group stands: -g GROUP is missing");
	return rc;
}

/* More handlers were asked for than can ever run beside each other: a person would wonder. */
static void tell_idle_jobs(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	if (req->handler == MQ_HANDLER_NONE || req->order != MQ_ORDER_PARTITION || req->jobs <= c->feeds_n)
		return;
	mq_ops_notice(c->mq, 2,
	              "%zu of %" PRIu32 " jobs can run at once: a partition's records go one after the other, and there %s %zu"
	              " (--order key or --order none lets more run)",
	              c->feeds_n, req->jobs, c->feeds_n == 1 ? "is" : "are", c->feeds_n);
}

static int check_share(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	if (!req->group)
		return mq_err_set(c->err, MQ_EUSAGE, "what is shared is shared by a group: -g GROUP is missing");
	if (req->form == MQ_OUT_POSITIONS || req->commit_before)
		return mq_err_set(c->err, MQ_EUSAGE, "a shared record is done when its handler is, or its reader: neither by hand nor before");
	if (req->handler != MQ_HANDLER_NONE && req->order != MQ_ORDER_NONE)
		return mq_err_set(c->err, MQ_EUSAGE, "records that are shared have no order");
	return 0;
}

/* What is wrong with the request, whatever the spool holds: told before anything is waited for. */
static int check(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	int rc = mq_write_check(c);

	if (rc == 0 && req->group)
		rc = mq_name_check(req->group, "group", c->err);
	if (rc == 0 && req->room)
		rc = mq_name_check(req->room, "room", c->err);
	if (rc == 0 && req->share)
		rc = check_share(c);
	if (rc == 0 && req->discard && (!req->drain || req->to || req->handler != MQ_HANDLER_NONE))
		rc = mq_err_set(c->err, MQ_EUSAGE, "what is discarded is a drain's, and goes to nobody");
	if (rc == 0 && req->archive && !req->discard)
		rc = mq_err_set(c->err, MQ_EUSAGE, "what is archived is what a drain discards");
	if (rc == 0 && req->drain && !req->group)
		rc = mq_err_set(c->err, MQ_EUSAGE, "a backlog is a group's: -g GROUP is missing");
	if (rc == 0 && req->speed > 0 && (req->group || req->handler != MQ_HANDLER_NONE))
		rc = mq_err_set(c->err, MQ_EUSAGE, "records keep their distances where they are printed: not in a group, nor with a handler");
	if (rc == 0)
		rc = mq_filter_init(&c->filter, req, c->err);
	if (rc == 0)
		rc = take_range(c);
	if (rc == 0 && !req->n_topics)
		rc = mq_err_set(c->err, MQ_EUSAGE, "no topic is given");
	for (size_t i = 0; i < req->n_topics && rc == 0; i++)
		rc = mq_name_check(req->topics[i], "topic", c->err);
	return rc;
}

int mq_consume_setup(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	int rc = check(c);

	if (rc == 0)
		rc = mq_consume_open_spool(c);
	if (rc == 0)
		rc = mq_waits_begin(c);
	c->left_count = req->count ? req->count : UINT64_MAX;
	mq_pace_init(&c->pace, req->rate);
	if (rc == 0 && !(c->known = calloc(req->n_topics, sizeof *c->known)))
		rc = mq_consume_no_memory(c);
	for (size_t i = 0; i < req->n_topics && rc == 0; i++)
		rc = add_topic(c, i, req->partitions ? req->partitions[i] : -1);
	if (rc == 0)
		tell_idle_jobs(c);
	return rc;
}
