/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Checking is an engine's own business. */
#include "ops/ops.h"

int mq_check(struct mq *mq, const struct mq_check_request *req, struct mq_check_report *ret)
{
	int rc = mq_ops_begin(mq);
	*ret = (struct mq_check_report){0};
	if (rc < 0)
		return rc;
	if (!mq->store->engine->check)
		return mq_err_set(&mq->err, MQ_EUSAGE, "%s: there is nothing to check", mq->store->engine->scheme);
	return mq->store->engine->check(mq->store, req, ret, &mq->err);
}
