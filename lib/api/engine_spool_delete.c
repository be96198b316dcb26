/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: the end of a topic. */
#include "api/engine_spool_private.h"
#include "spool/internal.h"

/* Is any group's member at work on it, or a handler that a killed one left? */
struct in_use {
	struct mq_topic *t;
	struct mq_err *err;
};

static int group_at_work(void *arg, const char *group)
{
	const struct in_use *u = arg;
	struct mq_group_topic g;
	char line[MQ_GROUP_OWNER_LEN];
	bool handler = false;
	uint32_t p = 0;
	int owned = 0;

	if (mq_group_topic_open(&g, u->t, group, false, NULL) < 0)
		return 0;
	for (; p < u->t->conf.partitions && owned != 1 && !handler; p++)
		owned = mq_group_owner(&g, p, line, &handler, NULL);
	mq_group_topic_release(&g);
	if (owned == 1)
		return mq_err_set(u->err, MQ_EAGAIN, "group %s is at work on %s:%u: stop it, or use --force", group, u->t->name, p - 1);
	if (handler)
		return mq_err_set(u->err, MQ_EAGAIN, "group %s, %s:%u: a killed member's handler lives on: stop it, or use --force", group,
		                  u->t->name, p - 1);
	return 0;
}

int mq_engine_spool_topic_delete(struct mq_store *s, const char *topic, bool force, bool dry_run, struct mq_err *err)
{
	struct mq_topic t;
	struct in_use u = {&t, err};
	int rc = mq_engine_spool_open_users(&t, s, topic, err);

	if (rc < 0)
		return rc;
	if (!force)
		rc = mq_group_each(mq_engine_spool_of(s), group_at_work, &u, err);
	if (rc == 0 && !dry_run)
		rc = mq_topic_remove(&t, err);
	if (rc == 0 && !dry_run)
		rc = mq_internal_remove(mq_engine_spool_of(s), t.conf.id, NULL, NULL, err);
	mq_topic_release(&t);
	return rc;
}
