/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/areas.h"
#include "spool/evict.h"
#include "spool/group_conf.h"
#include "spool/offsets.h"
#include "spool/plan_make.h"

/* ---- the plan ---- */
/* May a member have what is to be another's, while that is free? */
static bool is_strict(const struct mq_assign_conf *conf)
{
	return conf->strategy == MQ_ASSIGN_ROOM || conf->strategy == MQ_ASSIGN_CONFIG;
}

/* Who does not count yet goes by what would be its own if nobody else were there: that it may have while it is free. */
static bool is_alone(const struct mq_plan *plan, const struct mq_assign_conf *conf)
{
	return is_strict(conf) && !plan->m->counts;
}

int mq_plan_strict(struct mq_spool *s, const char *group, struct mq_err *err)
{
	struct mq_assign_conf conf;
	int rc;

	mq_assign_conf_init(&conf);
	rc = mq_group_conf_read(s, group, &conf, err);
	if (rc == 0)
		rc = is_strict(&conf);
	mq_assign_conf_release(&conf);
	return rc;
}

static enum mq_plan_whose whose(const struct mq_plan_part *part, uint32_t p, int32_t me, bool strict, bool alone)
{
	if (alone)
		return part->owner[p] == me ? MQ_PLAN_OTHERS : MQ_PLAN_NOBODYS;
	if (part->owner[p] >= 0)
		return part->owner[p] == me ? MQ_PLAN_MINE : strict ? MQ_PLAN_NOBODYS : MQ_PLAN_OTHERS;
	return part->readers ? MQ_PLAN_NOBODYS : MQ_PLAN_ANYBODYS;
}

static void topic_byte(uint8_t *ret, const struct mq_plan_part *part, uint32_t p, int32_t me, const struct mq_assign_conf *conf,
                       bool alone)
{
	unsigned held = part->now[p] >= 0 && part->now[p] != me ? MQ_PLAN_HELD : 0;

	*ret = (uint8_t)(whose(part, p, me, is_strict(conf), alone) | held | (unsigned)part->area[p] << MQ_PLAN_AREA_SHIFT);
}

/* From the facts of all members to what this one goes by; into: room for each partition's two numbers, areas for one more. */
static int make(struct mq_plan *plan, const struct mq_crowd *c, const struct mq_assign_conf *conf, struct mq_plan_part *parts,
                int32_t *into, uint8_t *areas, struct mq_err *err)
{
	int32_t me = mq_crowd_find(c, plan->m->name);
	int rc = 0;

	for (size_t i = 0; i < plan->n && rc == 0; i++) {
		struct mq_plan_topic *topic = &plan->topics[i];

		parts[i] = (struct mq_plan_part){.n = topic->n, .now = into, .owner = into + topic->n, .area = areas};
		into += 2 * (size_t)topic->n;
		areas += topic->n;
		rc = mq_offsets_follow(&topic->g, err); /* by its places one knows who owns what */
		if (rc >= 0)
			rc = mq_plan_owners(&topic->g, c, &parts[i], err);
	}
	if (rc == 0)
		rc = mq_plan_give_out(conf, c, parts, err);
	for (size_t i = 0; i < plan->n && rc == 0; i++)
		for (uint32_t p = 0; p < parts[i].n; p++)
			topic_byte(&plan->topics[i].whose[p], &parts[i], p, me, conf, is_alone(plan, conf));
	return rc;
}

static void forget(struct mq_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		memset(plan->topics[i].whose, MQ_PLAN_ANYBODYS, plan->topics[i].n);
}

/* A topic may have grown since. */
static int widen(struct mq_plan *plan, size_t *ret_partitions, struct mq_err *err)
{
	*ret_partitions = 0;
	for (size_t i = 0; i < plan->n; i++) {
		struct mq_plan_topic *topic = &plan->topics[i];
		uint32_t n = topic->t->conf.partitions;
		uint8_t *whose = n > topic->n ? realloc(topic->whose, n) : topic->whose;

		if (!whose)
			return mq_err_set(err, -ENOMEM, "no memory for %u partitions", n);
		topic->whose = whose;
		if (n > topic->n) {
			memset(whose + topic->n, MQ_PLAN_ANYBODYS, n - topic->n);
			topic->n = n;
		}
		*ret_partitions += topic->n;
	}
	return 0;
}

static int make_with(struct mq_plan *plan, const struct mq_crowd *c, const struct mq_assign_conf *conf, struct mq_err *err)
{
	struct mq_plan_part *parts = calloc(plan->n + 1, sizeof *parts);
	size_t partitions;
	int rc = widen(plan, &partitions, err);
	int32_t *into = rc == 0 ? calloc(2 * partitions + 1, sizeof *into) : NULL;
	uint8_t *areas = rc == 0 ? calloc(partitions + 1, 1) : NULL;

	if (rc == 0 && (!parts || !into || !areas))
		rc = mq_err_set(err, -ENOMEM, "no memory for a plan");
	if (rc == 0)
		rc = make(plan, c, conf, parts, into, areas, err);
	free(parts);
	free(areas);
	free(into);
	return rc;
}

int mq_plan_make(struct mq_plan *plan, struct mq_err *err)
{
	const char **names = calloc(plan->n + 1, sizeof *names);
	struct mq_assign_conf conf;
	struct mq_crowd c = {0};
	int rc;

	mq_assign_conf_init(&conf);
	for (size_t i = 0; i < plan->n && names; i++)
		names[i] = plan->topics[i].t->name;
	rc = names ? mq_evict_look(plan->m, err) : mq_err_set(err, -ENOMEM, "no memory for a plan");
	if (rc == 0)
		rc = mq_group_conf_read(plan->m->spool, plan->m->group, &conf, err);
	if (rc == 0)
		rc = mq_crowd_gather(&c, plan->m->spool, plan->m->group, names, plan->n,
		                     is_alone(plan, &conf) ? MQ_CROWD_ALONE : MQ_CROWD_COUNTED, plan->m->name, err);
	plan->members = c.n;
	if (rc == 0 && c.n == 0)
		forget(plan);
	else if (rc == 0)
		rc = make_with(plan, &c, &conf, err);
	mq_crowd_release(&c);
	mq_assign_conf_release(&conf);
	free(names);
	return rc;
}

bool mq_plan_may_be_free(const struct mq_plan_topic *topic, uint32_t p)
{
	uint32_t area = p < topic->n ? topic->whose[p] >> MQ_PLAN_AREA_SHIFT & MQ_PLAN_AREA : 0;

	return mq_sys->lock_test(topic->g.locks, MQ_LOCK_WRITE, mq_group_owner_byte(area, p), 1) != 1;
}

/* ---- requests ---- */
int mq_plan_ask(struct mq_plan_topic *topic, uint32_t p, bool on, struct mq_err *err)
{
	int rc = mq_sys->lock(topic->g.locks, on ? MQ_LOCK_READ : MQ_LOCK_NONE, MQ_GROUP_ASKED_BYTE + p, 1, false);

	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot ask for partition %u", topic->g.label, p) : 0;
}

int mq_plan_asked(struct mq_plan_topic *topic, uint32_t p, struct mq_err *err)
{
	int rc = mq_sys->lock_test(topic->g.locks, MQ_LOCK_WRITE, MQ_GROUP_ASKED_BYTE + p, 1);

	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot ask for locks", topic->g.label) : rc;
}

/* ---- its topics ---- */
void mq_plan_open(struct mq_plan *plan, struct mq_membership *m)
{
	*plan = (struct mq_plan){.m = m};
}

/* Where the topic is, or belongs. */
static size_t find_place(const struct mq_plan *plan, const char *topic)
{
	size_t low = 0, high = plan->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(plan->topics[middle].t->name, topic) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct mq_plan_topic *mq_plan_find(const struct mq_plan *plan, const char *topic)
{
	size_t at = find_place(plan, topic);

	return at < plan->n && strcmp(plan->topics[at].t->name, topic) == 0 ? &plan->topics[at] : NULL;
}

/* A file was not there: it went with the group, or is lost. */
static int was_deleted(const struct mq_plan *plan, const struct mq_topic *t, int rc, struct mq_err *err)
{
	char path[2 * MQ_NAME_MAX + 32];
	struct mq_stat st;

	snprintf(path, sizeof path, "%s/topics/%s/bell", plan->m->group, t->name);
	if ((rc == -ENOENT || rc == MQ_ECONFIG) && mq_sys->statat(t->spool->groups, path, &st) == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "group %s, %s: the group was deleted", plan->m->group, t->name);
	return rc;
}

static void release_topic(struct mq_plan_topic *topic)
{
	mq_group_topic_release(&topic->g);
	free(topic->whose);
}

static int open_topic(struct mq_plan *plan, struct mq_plan_topic *ret, struct mq_topic *t, struct mq_err *err)
{
	int rc = mq_group_topic_open(&ret->g, t, plan->m->group, true, err);

	if (rc < 0)
		return was_deleted(plan, t, rc, err);
	ret->t = t;
	ret->n = t->conf.partitions;
	ret->whose = calloc(ret->n, 1);
	if (ret->g.locks < 0)
		rc = mq_err_set(err, MQ_EDENIED, "%s: locks cannot be opened", ret->g.label);
	else if (!ret->whose)
		rc = mq_err_set(err, -ENOMEM, "no memory for %u partitions", ret->n);
	if (rc < 0)
		release_topic(ret);
	return rc;
}

int mq_plan_add(struct mq_plan *plan, struct mq_topic *t, struct mq_err *err)
{
	size_t at = find_place(plan, t->name), cap = plan->cap ? 2 * plan->cap : 4;
	struct mq_plan_topic topic = {0}, *topics;
	int rc;

	if (mq_plan_find(plan, t->name))
		return 0;
	if (plan->n == plan->cap) {
		topics = realloc(plan->topics, cap * sizeof *topics);
		if (!topics)
			return mq_err_set(err, -ENOMEM, "no memory for a plan");
		plan->topics = topics;
		plan->cap = cap;
	}
	rc = open_topic(plan, &topic, t, err);
	if (rc < 0)
		return rc;
	memmove(plan->topics + at + 1, plan->topics + at, (plan->n - at) * sizeof topic);
	plan->topics[at] = topic;
	plan->n++;
	return 0;
}

void mq_plan_release(struct mq_plan *plan)
{
	for (size_t i = 0; i < plan->n; i++)
		release_topic(&plan->topics[i]);
	free(plan->topics);
	*plan = (struct mq_plan){0};
}
