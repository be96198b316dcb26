/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: more partitions. */
#include "api/engine_spool_private.h"
#include "spool/grow.h"

int mq_engine_spool_topic_grow(struct mq_store *s, const char *topic, uint32_t partitions, bool no_barrier, bool dry_run,
                               uint32_t *ret_before, uint32_t *ret_generation, struct mq_buf *begins, struct mq_err *err)
{
	struct mq_growth g = {.partitions = partitions, .no_barrier = no_barrier, .begins = begins};
	struct mq_topic t;
	int rc = mq_engine_spool_open_users(&t, s, topic, err);

	if (rc < 0)
		return rc;
	rc = mq_topic_alive(&t, err);
	if (rc == 0)
		rc = mq_grow(&t, &g, dry_run, err);
	mq_topic_release(&t);
	*ret_before = g.before;
	*ret_generation = g.generation;
	return rc;
}
