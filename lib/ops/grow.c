/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb: more partitions for a topic. */
#include "format/growth.h"
#include "ops/ops.h"

static int grow(struct mq *mq, const char *topic, uint32_t partitions, bool no_barrier, bool dry_run, struct mq_growth_report *ret)
{
	const struct mq_engine *e = mq->store->engine;
	int rc;

	if (!e->topic_grow)
		return mq_err_set(&mq->err, MQ_EUSAGE, "a topic of this spool cannot grow");
	rc = e->topic_grow(mq->store, topic, partitions, no_barrier, dry_run, &ret->before, &ret->generation, &mq->scratch,
	                   &mq->err);
	if (rc < 0)
		return rc;
	ret->after = partitions;
	if (!dry_run)
		ret->begins = (const uint64_t *)(const void *)mq->scratch.p;
	if (!no_barrier && partitions % ret->before != 0)
		ret->multiple = mq_growth_multiple(ret->before, partitions);
	return 0;
}

int mq_topic_grow(struct mq *mq, const char *topic, uint32_t partitions, bool no_barrier, bool dry_run, struct mq_growth_report *ret)
{
	int rc = dry_run ? mq_ops_look(mq) : mq_ops_begin(mq);

	*ret = (struct mq_growth_report){0};
	mq_buf_clear(&mq->scratch);
	if (rc == 0)
		rc = grow(mq, topic, partitions, no_barrier, dry_run, ret);
	return dry_run ? mq_ops_looked(mq, rc) : rc;
}
