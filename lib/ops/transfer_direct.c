/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transfer of one batch into one partition is that batch: it carries its source, and is in whole or not at all.  Whoever owns
 * the source next must only know where to look for it; so it may go where the last intent, an open-ended one, says that more
 * may follow, and nowhere else.  Its number tells how far it has done the source (mq_transfer_number), so to look it up is all.
 */
#include <errno.h>
#include <inttypes.h>

#include "ops/transfer_private.h"

struct mq_transfer_target *mq_transfer_direct_target(const struct mq_transfer *t)
{
	for (size_t i = 0; i < t->n_targets && t->open_ended; i++) {
		struct mq_transfer_target *x = t->targets[i];
		if (x->now.count)
			return x->open_ended && x->now.count == t->records ? x : NULL;
	}
	return NULL;
}

static int append(struct mq_transfer *t, struct mq_transfer_target *x, uint64_t number, struct mq_err *err)
{
	int rc = mq_transfer_append_whole(t, x, number, err);

	for (int again = 0; rc == -ESTALE && again < MQ_TRANSFER_STALE_MAX; again++) {
		*err = (struct mq_err){0};
		rc = mq_transfer_refresh(t, x, err);
		if (rc == 0)
			rc = mq_transfer_append_whole(t, x, number, err);
	}
	return mq_transfer_fenced(t, rc, err);
}

int mq_transfer_direct(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	uint64_t number = mq_transfer_number(t, t->intent.source_end);
	int rc = mq_transfer_build(t, x, err);

	if (rc == 0)
		rc = append(t, x, number, err);
	if (rc < 0)
		return rc;
	x->who.number = number;
	t->broken = true; /* until it is known to be durable, nobody knows whether it is there */
	rc = mq_transfer_settle(t, x, err);
	t->broken = rc < 0;
	return rc < 0 ? mq_err_set(err, MQ_EBROKEN, "%s:%" PRIu32 ": what was moved there may not be durable: run again", x->now.topic,
	                           x->now.partition) : 0;
}
