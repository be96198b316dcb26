/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/group_walk.h"

static int look_at(struct mq *mq, const char *group, const char *topic, uint32_t p, struct mq_part_facts *f, struct mq_err *err)
{
	const struct mq_engine *e = mq->store->engine;
	int rc = e->group_place(mq->store, group, topic, p, &f->place, err);

	if (rc == 0)
		rc = e->group_owner(mq->store, group, topic, p, &f->pid, f->member, &f->handler_left, err);
	f->owned = rc > 0;
	f->owner_unknown = rc == MQ_EDENIED;
	if (f->owner_unknown) {
		*err = (struct mq_err)MQ_ERR_INIT;
		rc = 0;
	}
	if (rc < 0 || !e->group_share)
		return rc < 0 ? rc : 0;
	rc = e->group_share(mq->store, group, topic, p, &f->share, err);
	if (rc == MQ_EDAMAGE) {
		f->share_why = *err;
		*err = (struct mq_err)MQ_ERR_INIT;
		rc = 0;
	}
	return rc;
}

int mq_ops_group_walk(struct mq *mq, const char *group, const char *topic, uint32_t from, uint32_t to, bool sum,
                      int (*fn)(void *arg, uint32_t p, const struct mq_part_facts *facts, const struct mq_err *why), void *arg)
{
	const struct mq_engine *e = mq->store->engine;
	int rc = 0;

	if (e->group_walk)
		return e->group_walk(mq->store, group, topic, from, to, sum, fn, arg, &mq->err);
	for (uint32_t p = from; p < to && rc == 0; p++) {
		struct mq_part_facts f = {.pid = -1};
		struct mq_err why = MQ_ERR_INIT;

		rc = look_at(mq, group, topic, p, &f, &why);
		if (rc == MQ_ENOTOPIC) { /* it has read none of it */
			mq->err = why;
			return rc;
		}
		rc = fn(arg, p, rc < 0 ? NULL : &f, rc < 0 ? &why : NULL);
	}
	return rc;
}
