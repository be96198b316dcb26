/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: whose partitions are to be. */
#include <stdlib.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "spool/evict.h"
#include "spool/plan.h"

struct member_plan {
	struct mq_plan plan;
	bool whole;                  /* all its topics are in it */
	size_t n;
	struct shared_topic *topics[]; /* as the member named them */
};

static int add_topic(struct spool_member *m, const char *name, struct mq_err *err)
{
	struct member_plan *p = m->plan;
	int rc = mq_engine_spool_share_topic(m->store, name, &p->topics[p->n], err);

	if (rc < 0)
		return rc;
	p->n++; /* left when the plan is */
	return mq_plan_add(&p->plan, &p->topics[p->n - 1]->t, err);
}

static int open_plan(struct spool_member *m, struct mq_err *err)
{
	size_t n = 0;
	int rc = 0;

	for (const char *at = m->topics; *at; at += strlen(at) + 1)
		n++;
	mq_engine_spool_forget_plan(m);
	m->plan = calloc(1, sizeof *m->plan + n * sizeof *m->plan->topics);
	if (!m->plan)
		return mq_engine_no_memory(err);
	mq_plan_open(&m->plan->plan, &m->m);
	for (const char *at = m->topics; *at && rc == 0; at += strlen(at) + 1)
		rc = add_topic(m, at, err);
	m->plan->whole = rc == 0;
	return rc;
}

void mq_engine_spool_forget_plan(struct spool_member *m)
{
	struct member_plan *p = m->plan;

	if (!p)
		return;
	mq_plan_release(&p->plan);
	while (p->n > 0)
		mq_engine_spool_leave_topic(m->store, p->topics[--p->n]);
	free(p);
	m->plan = NULL;
}

static struct mq_plan_topic *find(struct mq_member *mp, const char *topic)
{
	struct member_plan *p = ((struct spool_member *)mp)->plan;

	return p ? mq_plan_find(&p->plan, topic) : NULL;
}

int mq_engine_spool_member_count(struct mq_member *mp, struct mq_err *err)
{
	return mq_membership_count(&((struct spool_member *)mp)->m, err);
}

int mq_engine_spool_member_strict(struct mq_member *mp, struct mq_err *err)
{
	const struct mq_membership *m = &((struct spool_member *)mp)->m;

	return mq_plan_strict(m->spool, m->group, err);
}

int mq_engine_spool_member_plan(struct mq_member *mp, struct mq_err *err)
{
	struct spool_member *m = (struct spool_member *)mp;
	int rc = m->plan && m->plan->whole ? 0 : open_plan(m, err);

	if (rc == 0)
		rc = mq_plan_make(&m->plan->plan, err);
	return rc < 0 ? rc : (int)m->plan->plan.members;
}

enum mq_whose mq_engine_spool_member_plan_of(struct mq_member *mp, const char *topic, uint32_t part)
{
	const struct mq_plan_topic *t = find(mp, topic);

	return t ? (enum mq_whose)mq_plan_of(t, part) : MQ_WHOSE_ANYBODYS;
}

int mq_engine_spool_member_look(struct mq_member *mp, struct mq_err *err)
{
	return mq_evict_look(&((struct spool_member *)mp)->m, err);
}

enum mq_had mq_engine_spool_member_had(struct mq_member *mp, const char *topic, uint32_t part)
{
	const struct mq_plan_topic *t = find(mp, topic);

	return !t ? MQ_HAD_OTHERWISE : mq_plan_held(t, part) ? MQ_HAD_BY_MEMBER : mq_plan_free(t, part) ? MQ_HAD_BY_NOBODY : MQ_HAD_OTHERWISE;
}

bool mq_engine_spool_member_may_be_free(struct mq_member *mp, const char *topic, uint32_t part)
{
	const struct mq_plan_topic *t = find(mp, topic);

	return !t || mq_plan_may_be_free(t, part);
}

int mq_engine_spool_member_ask(struct mq_member *mp, const char *topic, uint32_t part, bool on, struct mq_err *err)
{
	struct mq_plan_topic *t = find(mp, topic);

	return t ? mq_plan_ask(t, part, on, err) : 0;
}

int mq_engine_spool_member_asked(struct mq_member *mp, const char *topic, uint32_t part, struct mq_err *err)
{
	struct mq_plan_topic *t = find(mp, topic);

	return t ? mq_plan_asked(t, part, err) : 0;
}

int mq_engine_spool_member_ring(struct mq_member *mp, struct mq_err *err)
{
	return mq_membership_ring(&((struct spool_member *)mp)->m, err);
}
