/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a transfer's source stands, and what counts there as done: of a group, and of a run. */
#include <inttypes.h>

#include "ops/transfer_private.h"

/* --- a group's partition -------------------------------------------------------------------- */
static int owner_place(struct mq_transfer *t, struct mq_place *ret, struct mq_err *err)
{
	return t->engine->owner_place(t->from.owner, ret, err);
}

static int owner_commit(struct mq_transfer *t, uint64_t end, uint64_t lost, struct mq_err *err)
{
	return t->engine->owner_commit(t->from.owner, end, lost, err);
}

static int owner_sync(struct mq_transfer *t, struct mq_err *err)
{
	return t->engine->owner_sync(t->from.owner, err);
}

static int owner_set(struct mq_transfer *t, const uint64_t *offsets, size_t n, struct mq_err *err)
{
	if (!t->engine->owner_set)
		return mq_err_set(err, MQ_EUSAGE, "%s cannot count as done what lies above what is not", t->engine->scheme);
	return t->engine->owner_set(t->from.owner, offsets, n, err);
}

/* --- a run: its intents are all that is known of its place ---------------------------------- */
static int run_place(struct mq_transfer *t, struct mq_place *ret, struct mq_err *err)
{
	(void)err;
	*ret = (struct mq_place){.offset = t->from.run->start, .set = true, .seeks = t->from.run->number};
	return 0;
}

static int run_commit(struct mq_transfer *t, uint64_t end, uint64_t lost, struct mq_err *err)
{
	(void)t, (void)end, (void)lost, (void)err;
	return 0;
}

static int run_sync(struct mq_transfer *t, struct mq_err *err)
{
	(void)t, (void)err;
	return 0;
}

static int run_set(struct mq_transfer *t, const uint64_t *offsets, size_t n, struct mq_err *err)
{
	(void)offsets, (void)n;
	return mq_err_set(err, MQ_EUSAGE, "%s:%" PRIu32 ": a run takes records in their order", t->from.topic, t->from.partition);
}

const struct mq_transfer_kind mq_transfer_of_owner = {owner_place, owner_commit, owner_sync, owner_set};
const struct mq_transfer_kind mq_transfer_of_run = {run_place, run_commit, run_sync, run_set};
