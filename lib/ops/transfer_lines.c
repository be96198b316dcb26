/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whole lines of the source as a batch of a target, without a look into them: appended at once, each by itself a transfer without
 * an intent (transfer_direct.c), and synced beside those that follow into the same partition: what a commit waits for is the rest.
 *
 * That several are on their way is no matter as long as they are in one log: it is lost from behind, so the last one that is there
 * says how far the source is done, and all before it are there, too.  So into another partition nothing goes before a commit.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "ops/transfer_private.h"

enum { SYNC_BYTES = 8 << 20 }; /* so much is worth a sync that nobody waits for */

/* The partition, if the last intent says that more may come there. */
static struct mq_transfer_target *find_open(const struct mq_transfer *t, const char *topic, uint32_t partition)
{
	for (size_t i = 0; i < t->n_targets && t->open_ended; i++) {
		struct mq_transfer_target *x = t->targets[i];
		if (x->now.partition == partition && strcmp(x->now.topic, topic) == 0)
			return x->open_ended && x->appender ? x : NULL;
	}
	return NULL;
}

static int append(struct mq_transfer *t, struct mq_transfer_target *x, const struct mq_transfer_lines *l, struct mq_err *err)
{
	uint64_t number = mq_transfer_number(t, l->end);
	int rc = 0;

	for (int again = 0; again <= MQ_TRANSFER_STALE_MAX; again++) {
		struct mq_batch b = {.kind = MQ_BATCH_LINES, .count = l->count, .raw_len = l->len, .base_time_us = l->time_us, .max_time_us = l->time_us};
		rc = mq_transfer_append_batch(t, x, &b, l->lines, l->verified ? &l->crc : NULL, number, err);
		if (rc != -ESTALE)
			break;
		*err = (struct mq_err){0};
		rc = mq_transfer_refresh(t, x, err);
		if (rc < 0)
			break;
	}
	if (rc == 0)
		x->who.number = number;
	return mq_transfer_fenced(t, rc, err);
}

/* --- durable -------------------------------------------------------------------------------- */

static int may_be_lost(struct mq_transfer *t, struct mq_err *err)
{
	t->broken = true;
	return mq_err_set(err, MQ_EBROKEN, "%s:%" PRIu32 ": what was moved there may not be durable: run again", t->chain->now.topic,
	                  t->chain->now.partition);
}

/* The sync at work, if it has ended or `wait`. */
static int take_sync(struct mq_transfer *t, bool wait, struct mq_err *err)
{
	struct mq_syncer *s = &t->syncer;

	if (!mq_syncer_fetch(s, wait) || s->list[0].rc == 0)
		return 0;
	*err = s->err;
	return may_be_lost(t, err);
}

/* One at a time.  Without a thread, or without memory, the commit waits for all of it. */
static void sync_beside(struct mq_transfer *t)
{
	struct mq_syncer *s = &t->syncer;

	if (s->busy || t->bytes - t->chain_synced < SYNC_BYTES)
		return;
	s->n = 0;
	if (mq_syncer_add(s, t->chain->appender, &t->chain->ticket, NULL) == 0 && mq_syncer_start(s, t->engine, MQ_ACK_DURABLE) == 0)
		t->chain_synced = t->bytes;
}

int mq_transfer_lines(struct mq_transfer *t, const char *topic, uint32_t partition, const struct mq_transfer_lines *l, struct mq_err *err)
{
	struct mq_transfer_target *x = find_open(t, topic, partition);

	if (t->broken)
		return mq_err_set(err, MQ_EBROKEN, "%s:%" PRIu32 ": an earlier transfer failed", t->from.topic, t->from.partition);
	if (!x)
		return MQ_TRANSFER_ONE_BY_ONE;
	if ((t->records && t->chain != x) || (t->records && t->bytes + l->len > MQ_TRANSFER_LINES_MAX))
		return MQ_TRANSFER_FULL;
	int rc = take_sync(t, false, err); /* behind what is lost nothing may come */
	if (rc == 0)
		rc = mq_transfer_settle_source(t, l->end, err);
	if (rc < 0)
		return rc;
	t->intent.source_start = t->chain ? t->chain_end : t->place;
	t->intent.source_end = l->end;
	rc = append(t, x, l, err);
	if (rc == -E2BIG) {
		*err = (struct mq_err){0};
		return t->chain ? MQ_TRANSFER_FULL : MQ_TRANSFER_ONE_BY_ONE;
	}
	if (rc < 0)
		return rc;
	t->chain = x;
	t->chain_end = l->end;
	t->bytes += l->len;
	t->records += l->count;
	sync_beside(t);
	return 0;
}

int mq_transfer_settle_lines(struct mq_transfer *t, uint64_t end, struct mq_err *err)
{
	struct mq_transfer_target *x = t->chain;

	if (end < t->chain_end)
		return mq_err_set(err, MQ_EUSAGE, "%s:%" PRIu32 ": lines up to %" PRIu64 " are moved: a transfer cannot end at %" PRIu64,
		                  t->from.topic, t->from.partition, t->chain_end, end);
	t->broken = true; /* until they are known to be durable, nobody knows whether they are there */
	int rc = take_sync(t, true, err);
	if (rc == 0)
		rc = mq_transfer_settle(t, x, err);
	t->broken = rc < 0;
	return rc < 0 ? may_be_lost(t, err) : 0;
}
