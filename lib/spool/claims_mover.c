/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Of those who share a partition the one that moves records out of it. */
#include <errno.h>

#include "spool/areas.h"
#include "spool/claims.h"
#include "sys/sys.h"

/* Nobody waits for it in the kernel: its holder waits for the disk, and for room.  An eviction of all who share gives their successors
 * another byte: what an evicted one does with this one is refused by its generation (transfer.h). */
int mq_claims_mover_take(struct mq_claims *c, struct mq_err *err)
{
	int rc = mq_group_try_byte(c->o->g->locks, mq_group_mover_byte(c->o->area, c->o->partition));

	if (rc == -EAGAIN)
		return 0;
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot lock the mover of partition %u", c->o->g->label, c->o->partition) : 1;
}

void mq_claims_mover_leave(struct mq_claims *c)
{
	(void)mq_sys->lock(c->o->g->locks, MQ_LOCK_NONE, mq_group_mover_byte(c->o->area, c->o->partition), 1, false);
}

int mq_claims_now(struct mq_claims *c, struct mq_commit *ret, struct mq_err *err)
{
	uint64_t seq;
	int which, rc = mq_claims_holds(c, err);

	return rc < 0 ? rc : mq_group_topic_peek(c->o->g, c->o->partition, ret, &which, &seq, err);
}
