/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Groups in few numbers.  Where thousands of groups read the same topics, the ends of those are looked at once: those of the last
 * few topics are kept until all groups are told, so what is published meanwhile is in no lag.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "ops/group_walk.h"

enum { TOPICS_KEPT = 8, PARTITIONS_KEPT = 1 << 16 };

struct ends {
	char topic[MQ_NAME_MAX + 1];
	uint64_t *end, *start; /* of each partition; an end of UINT64_MAX was not looked at yet */
	uint32_t n;
};

struct sum {
	struct mq *mq;
	struct mq_group_sum to;
	struct ends kept[TOPICS_KEPT];
	unsigned turn;
	struct ends *ends;    /* of the topic at hand; NULL: they are not kept */
	const char *topic;
	struct mq_err why;    /* not all of this group could be read */
};

static void release(struct ends *e)
{
	free(e->end);
	*e = (struct ends){0};
}

static struct ends *find_ends(struct sum *s, const char *topic, uint32_t n)
{
	struct ends *e;

	for (size_t i = 0; i < TOPICS_KEPT; i++)
		if (s->kept[i].n == n && strcmp(s->kept[i].topic, topic) == 0)
			return &s->kept[i];
	e = &s->kept[s->turn++ % TOPICS_KEPT];
	release(e);
	e->end = n > PARTITIONS_KEPT ? NULL : malloc(2 * (size_t)n * sizeof *e->end + 1);
	if (!e->end)
		return NULL;
	memset(e->end, 0xff, 2 * (size_t)n * sizeof *e->end);
	e->start = e->end + n;
	e->n = n;
	memcpy(e->topic, topic, strlen(topic) + 1);
	return e;
}

static int find_bounds(struct sum *s, uint32_t p, uint64_t *ret_start, uint64_t *ret_end)
{
	struct mq_bounds b;
	bool known = s->ends && p < s->ends->n && s->ends->end[p] != UINT64_MAX;
	int rc = known ? 0 : s->mq->store->engine->bounds(s->mq->store, s->topic, p, &b, &s->mq->err);

	if (rc < 0)
		return rc;
	*ret_start = known ? s->ends->start[p] : b.log_start;
	*ret_end = known ? s->ends->end[p] : b.visible;
	if (s->ends && p < s->ends->n) {
		s->ends->start[p] = *ret_start;
		s->ends->end[p] = *ret_end;
	}
	return 0;
}

/* What cannot be read is in no number. */
static int add_part(void *arg, uint32_t p, const struct mq_part_facts *f, const struct mq_err *why)
{
	struct sum *s = arg;
	uint64_t start = 0, end = 0, from;
	int rc = f ? find_bounds(s, p, &start, &end) : why->code;

	if (rc == MQ_ENOTOPIC)
		return rc;
	s->to.partitions++;
	if (rc < 0) {
		if (!s->why.code)
			s->why = f ? s->mq->err : *why;
		return 0;
	}
	from = f->place.set && f->place.offset > start ? f->place.offset : start;
	if (f->place.set && f->share.ever && f->share.base > from)
		from = f->share.base;
	if (f->share_why.code && !s->why.code)
		s->why = f->share_why;
	s->to.owned += f->owned;
	s->to.owners_unknown |= f->owner_unknown;
	s->to.lag += end > from ? end - from : 0;
	return 0;
}

static void add_topic(struct sum *s, const char *group, const char *topic)
{
	uint32_t from = 0, to = 0;
	int rc = mq_ops_partitions(s->mq, topic, -1, &from, &to);

	s->topic = topic;
	if (rc == 0) {
		s->ends = find_ends(s, topic, to);
		rc = mq_ops_group_walk(s->mq, group, topic, from, to, true, add_part, s);
	}
	s->to.topics += rc != MQ_ENOTOPIC; /* deleted, or joined and never read */
	if (rc < 0 && rc != MQ_ENOTOPIC && !s->why.code)
		s->why = s->mq->err;
	s->mq->err = (struct mq_err){0};
}

static int add_member(void *arg, const struct mq_member_info *m)
{
	struct mq_group_sum *to = arg;

	to->members++;
	to->stopped += m->state == MQ_MEMBER_IS_STOPPED;
	return 0;
}

static int add_members(struct mq *mq, const char *group, struct mq_group_sum *to)
{
	const struct mq_engine *e = mq->store->engine;
	int rc = e->group_members ? e->group_members(mq->store, group, add_member, to, &mq->err) : 0;

	to->members_unknown = !e->group_members || rc == -EACCES || rc == MQ_EDENIED;
	if (to->members_unknown) {
		mq->err = (struct mq_err){0};
		rc = 0;
	}
	return rc;
}

/* One that is gone by now is none. */
static int sum_up(struct sum *s, const char *group)
{
	struct mq_ops_names topics = {MQ_BUF_INIT, &s->mq->err};
	int rc = s->mq->store->engine->group_topics(s->mq->store, group, mq_ops_keep_name, &topics, &s->mq->err);

	if (rc == MQ_ENOTOPIC) /* or it has only ever joined */
		rc = 0;
	if (rc == 0) {
		s->mq->err = (struct mq_err){0};
		rc = add_members(s->mq, group, &s->to);
	}
	for (size_t at = 0; at < topics.buf.len && rc == 0; at += strlen(topics.buf.p + at) + 1)
		add_topic(s, group, topics.buf.p + at);
	mq_buf_release(&topics.buf);
	if (rc < 0)
		s->why = s->mq->err;
	return rc;
}

static int tell(struct sum *s, const char *group, int (*fn)(void *arg, const struct mq_group_sum *g), void *arg,
                struct mq_err *ret_first)
{
	s->to = (struct mq_group_sum){.group = group};
	s->why = (struct mq_err){0};
	(void)sum_up(s, group);
	if (s->why.code)
		s->to.why = s->why.text;
	if (s->why.code && !ret_first->code)
		*ret_first = s->why;
	s->mq->err = (struct mq_err){0};
	return fn(arg, &s->to);
}

int mq_group_sums(struct mq *mq, int (*fn)(void *arg, const struct mq_group_sum *g), void *arg)
{
	struct mq_ops_names groups = {MQ_BUF_INIT, &mq->err};
	struct mq_err first = {0};
	struct sum s = {.mq = mq};
	int rc = mq_ops_look(mq);

	if (rc == 0)
		rc = mq->store->engine->group_list(mq->store, mq_ops_keep_name, &groups, &mq->err);
	if (rc == 0)
		rc = mq_ops_sort_names(&groups);
	for (size_t at = 0; at < groups.buf.len && rc == 0; at += strlen(groups.buf.p + at) + 1)
		rc = tell(&s, groups.buf.p + at, fn, arg, &first);
	for (size_t i = 0; i < TOPICS_KEPT; i++)
		release(&s.kept[i]);
	mq_buf_release(&groups.buf);
	mq_ops_looked(mq, rc);
	if (rc != 0 || !first.code)
		return rc;
	mq->err = first;
	return first.code;
}
