/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transfer of records that are taken out of their order: what it counts as done is a set, and the place follows.  Its number
 * says nothing of the place, so it always has an intent, and that is closed by another one.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "ops/transfer_private.h"

static_assert((int)MQ_TRANSFER_SET_MAX == (int)MQ_INTENT_SET_MAX, "what is taken at once, its intent holds");

void mq_transfer_begin_set(struct mq_transfer *t, uint64_t lowest)
{
	mq_transfer_begin(t);
	t->origin = lowest;
}

int mq_transfer_acknowledge(struct mq_transfer *t, struct mq_err *err)
{
	const struct mq_intent *i = &t->intent;
	uint64_t *offsets = malloc((i->n_set + (size_t)1) * sizeof *offsets);
	struct mq_place place;
	int rc;

	if (!offsets)
		return mq_transfer_no_memory(err);
	for (uint32_t n = 0; n < i->n_set; n++)
		offsets[n] = i->source_start + mq_get_le32(i->set + 4 * (size_t)n);
	rc = mq_transfer_fenced(t, t->kind->set(t, offsets, i->n_set, err), err);
	free(offsets);
	if (rc == 0)
		rc = t->kind->place(t, &place, err);
	if (rc < 0)
		return rc;
	if (place.offset > t->place)
		t->place = place.offset;
	return 0;
}

/* As the intent holds it. */
static int take_set(struct mq_transfer *t, const uint64_t *offsets, size_t n, struct mq_err *err)
{
	uint8_t at[4];

	mq_buf_clear(&t->set);
	for (size_t i = 0; i < n; i++) {
		if (offsets[i] < t->origin || offsets[i] - t->origin > UINT32_MAX - 1 || (i > 0 && offsets[i] <= offsets[i - 1]))
			return mq_err_set(err, MQ_EUSAGE, "%s:%" PRIu32 ": %" PRIu64 " cannot be taken behind what was taken before", t->from.topic,
			                  t->from.partition, offsets[i]);
		mq_put_le32(at, (uint32_t)(offsets[i] - t->origin));
		if (mq_buf_add(&t->set, at, sizeof at) < 0)
			return mq_transfer_no_memory(err);
	}
	t->intent.n_set = (uint32_t)n;
	t->intent.set = (const uint8_t *)t->set.p;
	return 0;
}

static int act(struct mq_transfer *t, uint64_t end, struct mq_err *err)
{
	int rc = t->records && !t->made ? mq_transfer_begin_act(t, end, err) : 0;

	t->intent.source_start = t->origin;
	if (rc == 0 && t->made)
		rc = mq_transfer_finish(t, err);
	if (rc == 0)
		rc = mq_transfer_acknowledge(t, err);
	if (rc < 0)
		return rc;
	if (t->made)
		t->base.place = t->place;
	t->made = false;
	return 0;
}

int mq_transfer_commit_set(struct mq_transfer *t, const uint64_t *offsets, size_t n, struct mq_err *err)
{
	if (t->broken)
		return mq_err_set(err, MQ_EBROKEN, "%s:%" PRIu32 ": an earlier transfer failed", t->from.topic, t->from.partition);
	if (t->from.run || !t->engine->owner_set)
		return t->kind->set(t, offsets, n, err); /* says why not */
	if (n == 0 || n > MQ_TRANSFER_SET_MAX)
		return mq_err_set(err, MQ_EUSAGE, "a transfer of %zu records out of their order: 1 to %d can be", n, MQ_TRANSFER_SET_MAX);
	int rc = take_set(t, offsets, n, err);
	if (rc == 0)
		rc = act(t, offsets[n - 1] + 1, err);
	if (rc == 0)
		mq_transfer_begin(t);
	t->broken |= rc < 0 && rc != MQ_EAGAIN && rc != -ENOSPC && rc != -EDQUOT && rc != MQ_EUSAGE;
	return rc;
}
