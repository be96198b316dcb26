/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/transfer_private.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "sys/sys.h"

int mq_transfer_no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "out of memory");
}

int mq_transfer_fenced(const struct mq_transfer *t, int rc, struct mq_err *err)
{
	if (rc != MQ_EDENIED)
		return rc;
	if (t->from.run)
		return mq_err_set(err, MQ_EAGAIN, "%s:%" PRIu32 ": another run goes through it now", t->from.topic, t->from.partition);
	return mq_err_set(err, MQ_EAGAIN, "group %s: another member owns %s:%" PRIu32 " now", t->from.group, t->from.topic,
	                  t->from.partition);
}

/* --- the mover ------------------------------------------------------------------------------ */

/* The internal topic's id is another one after the group or the topic was deleted: a mover of that name starts clean. */
static int open_mover(struct mq_transfer *t, const struct mq_topic_facts *facts, struct mq_err *err)
{
	struct mq_ticket mark;
	char id[33];

	mq_hex(facts->id, sizeof facts->id, id);
	snprintf(t->name, sizeof t->name, "%s:%" PRIu32, id, t->from.partition);
	t->log_generation = facts->generation;
	int rc = t->engine->appender_open(t->mq->store, t->intents, t->from.partition, &t->log, err);
	/* From here on no intent of an older owner comes … */
	if (rc == 0)
		rc = t->engine->mover_open(t->log, t->name, t->generation, 0, &t->who, err);
	/* … and the last one is there for good, though its maker may have died before he knew. */
	if (rc == 0)
		rc = t->engine->appender_mark(t->log, &mark, err);
	if (rc == 0)
		rc = t->engine->wait_durable(t->log, &mark, MQ_ACK_DURABLE, err);
	if (rc == 0)
		memcpy(t->log_segment, mark.segment, sizeof t->log_segment);
	return mq_transfer_fenced(t, rc, err);
}

static int open_intents(struct mq_transfer *t, bool create, struct mq_err *err)
{
	struct mq_topic_facts facts;
	struct mq_place place;
	const char *of = t->from.of ? t->from.of : t->from.topic;
	const char *group = !t->from.run ? t->from.group : t->from.run->restores ? "@restore" : "@run";
	int rc = t->engine->internal_open(t->mq->store, "intents", of, group, create, t->intents, &facts, err);

	if (rc == 0 && t->from.partition >= facts.partitions) /* made before the topic grew: nothing of this partition */
		rc = mq_err_set(err, MQ_ENOTOPIC, "%s has no partition %" PRIu32, t->intents, t->from.partition);
	if (rc == 0)
		rc = t->kind->place(t, &place, err);
	if (rc < 0)
		return rc;
	t->place = t->base.place = t->origin = place.offset;
	t->seeks = place.seeks;
	/* Either only ever rises, so their sum tells every two states of the place apart. */
	t->generation = place.generation + place.seeks;
	rc = open_mover(t, &facts, err);
	return rc < 0 ? rc : mq_transfer_resume(t, err);
}

int mq_transfer_open(struct mq_transfer **ret, struct mq *mq, const struct mq_transfer_source *from, bool create, struct mq_err *err)
{
	const struct mq_engine *e = mq->store->engine;
	*ret = NULL;
	if (!e->internal_open || !e->mover_open)
		return create ? mq_err_set(err, MQ_EUSAGE, "records cannot be moved here: %s keeps no intents", e->scheme) : 0;
	struct mq_transfer *t = calloc(1, sizeof *t);
	if (!t)
		return mq_transfer_no_memory(err);
	t->mq = mq;
	t->engine = e;
	t->from = *from;
	t->kind = from->run ? &mq_transfer_of_run : &mq_transfer_of_owner;
	mq_records_init(&t->one);
	int rc = open_intents(t, create, err);
	if (rc == 0) {
		*ret = t;
		return 0;
	}
	bool none = rc == MQ_ENOTOPIC && !create && !t->log;
	mq_transfer_close(t);
	if (none)
		*err = (struct mq_err){0};
	return none ? 0 : rc;
}

void mq_transfer_close(struct mq_transfer *t)
{
	if (!t)
		return;
	mq_syncer_release(&t->syncer);
	/* Lines on their way are found by who comes next, since the last intent is an open-ended one. */
	if ((t->open_ended || t->set_open) && !t->broken && !t->made && !t->chain)
		(void)mq_transfer_end(t, &(struct mq_err)MQ_ERR_INIT); /* whoever comes next need not look; he may find it open as well */
	mq_transfer_drop_targets(t);
	if (t->log)
		t->engine->appender_close(t->log);
	mq_buf_release(&t->payload);
	mq_buf_release(&t->set);
	mq_buf_release(&t->zipped);
	mq_records_release(&t->one);
	mq_zip_release(&t->zip);
	mq_body_release(&t->body);
	free(t);
}

uint64_t mq_transfer_place(const struct mq_transfer *t)
{
	return t->place;
}

uint64_t mq_transfer_number(const struct mq_transfer *t, uint64_t place)
{
	return t->base.number + (place - t->base.place);
}

/* --- gathering ------------------------------------------------------------------------------ */

void mq_transfer_begin(struct mq_transfer *t)
{
	for (size_t i = 0; i < t->n_targets; i++) {
		struct mq_transfer_target *x = t->targets[i];
		x->now.count = 0;
		x->appended = false;
		mq_records_clear(&x->records);
		mq_buf_clear(&x->positions);
	}
	mq_buf_clear(&t->set);
	t->intent = (struct mq_intent){0};
	t->origin = t->place;
	t->bytes = t->records = 0;
	t->chain = NULL;
	t->chain_synced = 0;
	t->broken |= t->made; /* an intent that is open cannot be left for another */
	t->made = false;
}

/* Of those that had no part in this transfer one makes room for another. */
static void drop_idle(struct mq_transfer *t)
{
	for (size_t i = 0; i < t->n_targets; i++)
		if (t->targets[i]->now.count == 0) {
			mq_transfer_free_target(t->targets[i]);
			t->targets[i] = t->targets[--t->n_targets];
			return;
		}
}

/* 1: there is room for no more. */
static int find_target(struct mq_transfer *t, const char *topic, uint32_t partition, struct mq_transfer_target **ret,
                       struct mq_err *err)
{
	for (size_t i = 0; i < t->n_targets; i++) {
		struct mq_transfer_target *x = t->targets[i];
		if (x->now.partition == partition && strcmp(x->now.topic, topic) == 0) {
			*ret = x;
			return 0;
		}
	}
	if (t->n_targets == MQ_TRANSFER_TARGETS_MAX)
		drop_idle(t);
	if (t->n_targets == MQ_TRANSFER_TARGETS_MAX)
		return 1;
	struct mq_transfer_target *x = calloc(1, sizeof *x);
	if (!x)
		return mq_transfer_no_memory(err);
	snprintf(x->now.topic, sizeof x->now.topic, "%s", topic);
	x->now.partition = partition;
	mq_records_init(&x->records);
	t->targets[t->n_targets++] = *ret = x;
	return 0;
}

static size_t size_of(const struct mq_rec *r)
{
	return (size_t)r->payload_len + r->key_len + r->headers_len + r->id_len + r->tag_len + 64;
}

static int add(struct mq_transfer *t, const char *topic, uint32_t partition, const struct mq_rec *r, struct mq_transfer_target **ret,
               struct mq_err *err)
{
	size_t size = size_of(r);
	if (t->records && (t->bytes + size > MQ_TRANSFER_BYTES_MAX || t->records == MQ_TRANSFER_RECORDS_MAX))
		return 1;
	int rc = find_target(t, topic, partition, ret, err);
	if (rc != 0)
		return rc;
	rc = mq_records_add(&(*ret)->records, r);
	if (rc < 0)
		return mq_err_set(err, rc, "%s:%" PRIu32 ": the record at %" PRIu64 " cannot be moved", topic, partition, r->offset);
	(*ret)->now.count++;
	t->bytes += size;
	t->records++;
	return 0;
}

int mq_transfer_put(struct mq_transfer *t, const char *topic, uint32_t partition, const struct mq_rec *r, struct mq_err *err)
{
	struct mq_transfer_target *x;

	if (t->chain)
		return MQ_TRANSFER_FULL;
	if (t->records && t->intent.copies)
		return mq_err_set(err, MQ_EUSAGE, "a transfer is of copies or of other records, not of both");
	return add(t, topic, partition, r, &x, err);
}

int mq_transfer_copy(struct mq_transfer *t, const char *topic, uint32_t partition, const struct mq_rec *r, struct mq_err *err)
{
	struct mq_transfer_target *x;
	struct mq_rec copy = *r;
	uint8_t at[4];

	if (t->chain)
		return MQ_TRANSFER_FULL;
	if (t->records && !t->intent.copies)
		return mq_err_set(err, MQ_EUSAGE, "a transfer is of copies or of other records, not of both");
	if (r->offset - t->origin > UINT32_MAX - 1)
		return 1;
	if (!mq_transfer_is_room(topic))
		copy.due_us = 0;
	if (!copy.group && !t->from.as_is && t->from.group) {
		copy.group = t->from.group;
		copy.group_len = (uint32_t)strlen(t->from.group);
	}
	int rc = add(t, topic, partition, &copy, &x, err);
	if (rc != 0)
		return rc;
	t->intent.copies = true;
	t->intent.carry = !t->from.as_is && t->from.group;
	mq_put_le32(at, (uint32_t)(r->offset - t->origin));
	rc = mq_buf_add(&x->positions, at, sizeof at);
	return rc < 0 ? mq_transfer_no_memory(err) : 0;
}

void mq_transfer_lose(struct mq_transfer *t, uint64_t from, uint64_t to)
{
	t->lost += to > from ? to - from : 0;
}

/* --- the act -------------------------------------------------------------------------------- */

/* What is done for good must not be lost at its source: the offsets would come to mean other records. */
int mq_transfer_settle_source(struct mq_transfer *t, uint64_t end, struct mq_err *err)
{
	struct mq_appender *a;
	struct mq_ticket mark;
	struct mq_bounds b;

	if (end <= t->source_settled || (t->from.run && t->from.run->restores))
		return 0;
	int rc = t->engine->bounds(t->mq->store, t->from.topic, t->from.partition, &b, err);
	if (rc == 0)
		t->source_settled = b.durable;
	if (rc < 0 || b.durable >= end)
		return rc;
	rc = t->engine->appender_open(t->mq->store, t->from.topic, t->from.partition, &a, err);
	if (rc < 0)
		return rc;
	rc = t->engine->appender_mark(a, &mark, err);
	if (rc == 0)
		rc = t->engine->wait_durable(a, &mark, MQ_ACK_DURABLE, err);
	t->engine->appender_close(a);
	return rc;
}

int mq_transfer_begin_act(struct mq_transfer *t, uint64_t end, struct mq_err *err)
{
	t->intent.source_start = t->origin;
	t->intent.source_end = end;
	struct mq_transfer_target *x = t->intent.n_set ? NULL : mq_transfer_direct_target(t);
	int rc = mq_transfer_settle_source(t, end, err);
	if (rc == 0)
		rc = x ? mq_transfer_direct(t, x, err) : -E2BIG;
	if (rc != -E2BIG)
		return rc;
	*err = (struct mq_err){0};
	return mq_transfer_make(t, err);
}

static int act(struct mq_transfer *t, uint64_t end, struct mq_err *err)
{
	int rc = 0;

	if (end < t->place || (end == t->place && t->records) || (t->records && t->origin != t->place))
		return mq_err_set(err, MQ_EUSAGE, "%s:%" PRIu32 ": a transfer that begins at %" PRIu64 " cannot end at %" PRIu64,
		                  t->from.topic, t->from.partition, t->place, end);
	if (t->chain)
		rc = mq_transfer_settle_lines(t, end, err);
	else if (t->records && !t->made)
		rc = mq_transfer_begin_act(t, end, err);
	if (rc == 0 && t->made)
		rc = mq_transfer_finish(t, err);
	if (rc == 0 && end > t->place) {
		rc = t->kind->commit(t, end, t->lost, err);
		t->broken = rc < 0; /* what was moved is moved, and who opens the next one knows it */
	}
	if (rc < 0)
		return rc;
	t->again |= t->records > 0;
	t->made = false;
	t->place = end;
	t->lost = 0;
	return 0;
}

int mq_transfer_commit(struct mq_transfer *t, uint64_t end, struct mq_err *err)
{
	if (t->broken)
		return mq_err_set(err, MQ_EBROKEN, "%s:%" PRIu32 ": an earlier transfer failed", t->from.topic, t->from.partition);
	int rc = act(t, end, err);
	if (rc == 0)
		mq_transfer_begin(t);
	t->broken |= rc < 0 && rc != MQ_EAGAIN && rc != -ENOSPC && rc != -EDQUOT;
	return rc;
}
