/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Partitions over the members of a group. */
#include <string.h>

#include "base/name.h"
#include "ops/ops.h"

static int tell(void *arg, const struct mq_assignment *a)
{
	const struct mq_rebalance_request *req = arg;
	bool asked = !req->n_topics;

	for (size_t i = 0; i < req->n_topics && !asked; i++)
		asked = strcmp(req->topics[i], a->topic) == 0;
	return asked && req->assignment ? req->assignment(req->arg, a) : 0;
}

static int check(struct mq *mq, const struct mq_rebalance_request *req)
{
	struct mq_topic_facts facts;
	int rc = mq_name_check(req->group, "group", &mq->err);

	for (size_t i = 0; i < req->n_topics && rc == 0; i++)
		rc = mq->store->engine->topic_facts(mq->store, req->topics[i], &facts, &mq->err);
	if (rc == 0 && !mq->store->engine->group_assign)
		rc = mq_err_set(&mq->err, MQ_EUSAGE, "partitions are not assigned here: whoever is first has one until it leaves");
	return rc;
}

int mq_rebalance(struct mq *mq, const struct mq_rebalance_request *req, struct mq_rebalance_report *ret)
{
	struct mq_rebalance_request all = *req, asked = *req;
	int rc = req->dry_run || (!req->n_set && !req->forget_assigns) ? mq_ops_look(mq) : mq_ops_begin(mq);

	*ret = (struct mq_rebalance_report){0};
	all.assignment = tell;
	all.arg = &asked;
	if (rc == 0)
		rc = check(mq, req);
	if (rc == 0)
		rc = mq->store->engine->group_assign(mq->store, &all, ret, &mq->err);
	return mq_ops_looked(mq, rc);
}
