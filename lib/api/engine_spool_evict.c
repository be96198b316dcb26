/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: members evicted. */
#include <string.h>

#include "api/engine_spool_private.h"
#include "spool/evict.h"

static void take(struct mq_evicted *ret, const struct mq_eviction *e)
{
	*ret = (struct mq_evicted){.pid = e->pid, .handler_left = e->handler_left, .generation = e->generation};
	memcpy(ret->member, e->member, sizeof ret->member);
}

int mq_engine_spool_group_evict(struct mq_store *s, const char *group, const char *topic, uint32_t p, const char *member,
                                bool dry_run, struct mq_evicted *ret, struct mq_err *err)
{
	struct mq_eviction e;
	struct group_handle h;
	int rc = mq_engine_spool_group_open(s, group, topic, p, &h, err);

	if (rc < 0)
		return rc;
	rc = mq_evict(&h.g, p, member, dry_run, dry_run ? 0 : ret->generation, &e, err);
	if (rc == 1)
		take(ret, &e);
	mq_engine_spool_group_close(&h);
	return rc;
}

int mq_engine_spool_group_evict_member(struct mq_store *s, const char *group, const char *member, bool dry_run,
                                       struct mq_evicted *ret, struct mq_err *err)
{
	struct mq_eviction e;
	int rc = mq_evict_member(mq_engine_spool_of(s), group, member, dry_run, &e, err);

	if (rc == 1)
		take(ret, &e);
	return rc;
}
