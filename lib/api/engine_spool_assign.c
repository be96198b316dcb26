/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: how a group assigns, set and told by who is no member. */
#include <stdio.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "api/mq.h"
#include "spool/group_conf.h"
#include "spool/plan_look.h"

static bool is_there(struct mq_spool *s, const char *group)
{
	struct mq_stat st;

	return mq_sys->statat(s->groups, group, &st) == 0;
}

static const char *name_of(const struct mq_plan_look *look, int32_t member)
{
	return member < 0 ? NULL : look->crowd.v[member].name;
}

static int tell(const struct mq_plan_look *look, const struct mq_rebalance_request *req)
{
	int rc = 0;

	for (size_t t = 0; t < look->n; t++) {
		const struct mq_plan_part *part = &look->parts[t];
		struct mq_assignment a = {.topic = look->topics[t], .sort = part->sort, .readers = (uint32_t)part->readers, .shared = part->shared};

		for (uint32_t p = 0; p < part->n && rc == 0; p++) {
			a.partition = p;
			a.now = name_of(look, part->now[p]);
			a.next = part->readers ? name_of(look, part->owner[p]) : part->owner[p] >= 0 ? name_of(look, part->owner[p]) : a.now;
			rc = req->assignment(req->arg, &a);
		}
	}
	return rc;
}

/* The facts are gathered before the members hear of anything: what is told as it is now is so. */
static int assign(struct mq_spool *s, const struct mq_rebalance_request *req, struct mq_rebalance_report *ret,
                  struct mq_plan_look *look, struct mq_assign_conf *conf, struct mq_err *err)
{
	const struct mq_group_conf_change change = {req->set, req->n_set, req->forget_assigns};
	bool sets = req->n_set > 0 || req->forget_assigns;
	int rc = mq_plan_look(look, s, req->group, sets, err);

	if (rc == 0)
		ret->made = !is_there(s, req->group);
	if (rc == 0 && sets)
		rc = mq_group_conf_change(s, req->group, &change, req->dry_run, conf, &ret->changed, err);
	else if (rc == 0)
		rc = mq_group_conf_read(s, req->group, conf, err);
	if (rc == 0)
		rc = mq_plan_look_make(look, conf, err);
	if (rc < 0)
		return rc;
	snprintf(ret->strategy, sizeof ret->strategy, "%s", mq_assign_word(conf->strategy));
	snprintf(ret->within, sizeof ret->within, "%s", mq_assign_word(conf->within));
	return req->assignment ? tell(look, req) : 0;
}

int mq_engine_spool_group_assign(struct mq_store *s, const struct mq_rebalance_request *req, struct mq_rebalance_report *ret,
                                 struct mq_err *err)
{
	struct mq_plan_look look = {.text = MQ_BUF_INIT};
	struct mq_assign_conf conf;
	int rc;

	mq_assign_conf_init(&conf);
	rc = assign(mq_engine_spool_of(s), req, ret, &look, &conf, err);
	mq_assign_conf_release(&conf);
	mq_plan_look_release(&look);
	return rc;
}
