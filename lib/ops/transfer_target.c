/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One partition that records of a transfer go to. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "ops/transfer_private.h"
#include "sys/sys.h"

static const int64_t LOOK_NS = 20000000; /* for the room in a full target, before that is told */

void mq_transfer_free_target(struct mq_transfer_target *x)
{
	if (x->appender)
		x->appender->engine->appender_close(x->appender);
	mq_records_release(&x->records);
	mq_buf_release(&x->positions);
	free(x);
}

void mq_transfer_drop_targets(struct mq_transfer *t)
{
	for (size_t i = 0; i < t->n_targets; i++)
		mq_transfer_free_target(t->targets[i]);
	t->n_targets = 0;
}

/* --- opening -------------------------------------------------------------------------------- */

/* Of a waiting room, too: no user's topic has such a name. */
static int learn(const struct mq_transfer *t, const struct mq_transfer_target *x, struct mq_topic_facts *ret, struct mq_err *err)
{
	if (strchr(x->now.topic, '@') && t->engine->internal_facts)
		return t->engine->internal_facts(t->mq->store, x->now.topic, ret, err);
	return t->engine->topic_facts(t->mq->store, x->now.topic, ret, err);
}

int mq_transfer_open_target(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	static const uint8_t any[16];
	struct mq_topic_facts facts;
	int rc = x->appender ? 0 : learn(t, x, &facts, err);

	if (rc < 0 || x->appender)
		return rc;
	x->gone = memcmp(x->now.topic_id, any, sizeof any) != 0 && memcmp(x->now.topic_id, facts.id, sizeof facts.id) != 0;
	if (x->gone)
		return 0;
	memcpy(x->now.topic_id, facts.id, sizeof facts.id);
	x->zip = facts.zip;
	x->generation = facts.generation;
	return t->engine->appender_open(t->mq->store, x->now.topic, x->now.partition, &x->appender, err);
}

int mq_transfer_ready_target(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	struct mq_ticket mark;
	int rc = mq_transfer_open_target(t, x, err);

	if (rc == 0 && x->who.kind != MQ_WHO_MOVER)
		rc = mq_transfer_fenced(t, t->engine->mover_open(x->appender, t->name, t->generation, 0, &x->who, err), err);
	if (rc == 0)
		rc = t->engine->appender_mark(x->appender, &mark, err);
	if (rc < 0)
		return rc;
	x->now.who_id = x->who.id;
	x->now.end = mark.next_offset;
	return 0;
}

/* --- what is to be appended ----------------------------------------------------------------- */

/* Of a body: records [from, from + most). */
static int fill_from_body(struct mq_transfer *t, const struct mq_transfer_target *x, uint32_t from, uint32_t most, uint32_t *ret_to,
                          struct mq_err *err)
{
	const struct mq_intent_target *now = &x->now;
	struct mq_batch b = {.kind = now->kind, .count = now->count, .stored_len = now->len, .raw_len = now->len,
	                     .next_offset = now->count, .base_time_us = now->base_time_us};
	struct mq_walk w;
	struct mq_rec r;
	int rc = mq_walk_init(&w, &b, now->data, err);

	for (uint32_t i = 0; rc == 0 && i < from + most; i++) {
		rc = mq_walk_next(&w, &r);
		if (rc == 1)
			rc = i < from ? 0 : mq_records_add(&t->one, &r);
		else
			rc = mq_err_set(err, MQ_EDAMAGE, "%s: the intent contradicts itself", t->intents);
	}
	*ret_to = from + most;
	return rc;
}

/* The record of the source as a copy: 1 added. */
static int add_copy(struct mq_transfer *t, const struct mq_transfer_target *x, const struct mq_rec *r)
{
	struct mq_rec copy = *r;

	if (!mq_transfer_is_room(x->now.topic))
		copy.due_us = 0;
	if (!copy.group && t->intent.carry) {
		copy.group = t->from.group;
		copy.group_len = (uint32_t)strlen(t->from.group);
	}
	return mq_records_add(&t->one, &copy);
}

/* Those of the view whose positions come next; *at moves behind them, and behind those that are not there any more. */
static int take_from_view(struct mq_transfer *t, const struct mq_transfer_target *x, const struct mq_view *v, uint32_t *at, uint32_t to,
                          struct mq_err *err)
{
	struct mq_walk w;
	struct mq_rec r;
	int rc = mq_body_walk(&t->body, v, &w, err);

	while (rc == 0 && *at < to && (rc = mq_walk_next(&w, &r)) == 1) {
		rc = 0;
		while (*at < to && t->intent.source_start + mq_get_le32(x->now.data + 4 * (size_t)*at) < r.offset)
			++*at;
		if (*at < to && t->intent.source_start + mq_get_le32(x->now.data + 4 * (size_t)*at) == r.offset) {
			rc = add_copy(t, x, &r);
			++*at;
		}
	}
	return rc;
}

/* Of the source: positions [from, from + most).  What retention or damage took is passed over, and told. */
static int fill_from_source(struct mq_transfer *t, const struct mq_transfer_target *x, uint32_t from, uint32_t most, uint32_t *ret_to,
                            struct mq_err *err)
{
	uint64_t first = t->intent.source_start + mq_get_le32(x->now.data + 4 * (size_t)from);
	uint32_t at = from, to = from + most;
	struct mq_source *source;
	struct mq_loss loss;
	int rc = t->engine->source_open(t->mq->store, t->from.topic, t->from.partition, &source, err);

	if (rc < 0)
		return rc;
	rc = t->engine->source_seek(source, first, &loss, err);
	while (rc == 0 && at < to) {
		struct mq_view v;
		rc = t->engine->source_next(source, &v, &loss, err);
		if (rc == 0 || (rc == 1 && v.batch.base_offset >= t->intent.source_end))
			break;
		if (rc == MQ_EDAMAGE)
			*err = (struct mq_err){0};
		rc = rc == MQ_EDAMAGE ? 0 : rc < 0 ? rc : take_from_view(t, x, &v, &at, to, err);
	}
	t->engine->source_close(source);
	if (rc < 0)
		return rc;
	if (t->one.count < most)
		mq_ops_notice(t->mq, 0, "%s:%" PRIu32 ": %" PRIu32 " records that were to go to %s:%" PRIu32 " are not held any more",
		              t->from.topic, t->from.partition, most - t->one.count, x->now.topic, x->now.partition);
	*ret_to = to;
	return 0;
}

/* --- appending ------------------------------------------------------------------------------ */

int mq_transfer_append_batch(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_batch *b, const void *body,
                             const uint32_t *crc, uint64_t number, struct mq_err *err)
{
	b->ack = MQ_ACK_DURABLE;
	b->topic_generation = x->generation;
	b->stored_len = b->raw_len;
	b->who = (struct mq_who){MQ_WHO_MOVER, x->who.id, t->generation, number, t->intent.source_start, t->intent.source_end};
	if (x->zip == MQ_BATCH_ZSTD && mq_zip_pack(&t->zip, body, b->raw_len, &t->zipped) == 0 && t->zipped.len < b->raw_len) {
		b->zip = MQ_BATCH_ZSTD;
		b->stored_len = (uint32_t)t->zipped.len;
		body = t->zipped.p;
		crc = NULL;
	}
	b->body_crc = crc ? *crc : mq_crc32c(0, body, b->stored_len);
	int rc = t->engine->append(x->appender, b, body, &x->ticket, err);
	x->appended |= rc == 0;
	if (rc == MQ_EAGAIN) /* full: the next try goes by the limit as it is by then, and says itself what is wrong */
		(void)t->engine->wait_space(x->appender, mq_sys->clock_ns(MQ_CLOCK_MONOTONIC) + LOOK_NS, &(struct mq_err)MQ_ERR_INIT);
	if (rc == MQ_EAGAIN || rc == -ENOSPC || rc == -EDQUOT) {
		memcpy(t->full, x->now.topic, sizeof t->full);
		t->full_partition = x->now.partition;
	}
	return rc;
}

/* Records [from, *to) as one batch, built anew; *to: where they end. */
static int append_some(struct mq_transfer *t, struct mq_transfer_target *x, uint32_t from, uint32_t *to, struct mq_err *err)
{
	struct mq_batch b = {.base_time_us = x->now.base_time_us};
	const uint8_t *body;
	uint32_t most = *to - from;

	mq_records_clear(&t->one);
	int rc = t->intent.copies ? fill_from_source(t, x, from, most, to, err) : fill_from_body(t, x, from, most, to, err);
	if (rc == 0 && t->one.count == 0)
		return 0;
	b.count = t->one.count;
	if (rc == 0)
		rc = mq_records_finish(&t->one, b.base_time_us, 0, 0, &b.kind, &body, &b.raw_len);
	b.max_time_us = t->one.max_time_us > b.base_time_us ? t->one.max_time_us : b.base_time_us;
	if (rc < 0)
		return err->code ? rc : mq_err_set(err, rc, "%s:%" PRIu32 ": a batch cannot be built", x->now.topic, x->now.partition);
	return mq_transfer_append_batch(t, x, &b, body, NULL, x->now.number + *to, err);
}

int mq_transfer_append_whole(struct mq_transfer *t, struct mq_transfer_target *x, uint64_t number, struct mq_err *err)
{
	struct mq_batch b = {.base_time_us = x->now.base_time_us, .count = x->now.count};
	const uint8_t *body = x->now.data;

	b.kind = x->now.kind;
	b.raw_len = x->now.len;
	b.max_time_us = x->now.max_time_us;
	if (t->intent.copies) {
		int rc = mq_records_finish(&x->records, b.base_time_us, 0, 0, &b.kind, &body, &b.raw_len);
		if (rc < 0)
			return mq_err_set(err, rc, "%s:%" PRIu32 ": a batch cannot be built", x->now.topic, x->now.partition);
	}
	return mq_transfer_append_batch(t, x, &b, body, NULL, number, err);
}

/* How many of its records are there: a look-up. */
static uint32_t held(const struct mq_transfer_target *x)
{
	uint64_t n = x->who.number > x->now.number ? x->who.number - x->now.number : 0;

	return n < x->now.count ? (uint32_t)n : x->now.count;
}

/* A smaller batch than that of `most` records, of which the limits of the topic let in so much. */
static uint32_t shrink(const struct mq_transfer *t, const struct mq_transfer_target *x, uint32_t most)
{
	struct mq_room room;

	t->engine->append_room(x->appender, &room);
	most /= 2;
	return room.records > 0 && room.records < most ? (uint32_t)room.records : most;
}

/* The topic has grown: a partition that was named stays the one that is meant.  Or so many movers came meanwhile that the entry of
 * this one went with a new segment, and with it what kept an older owner out: so its name is made again first, and then the
 * intents' partition is asked, which a newer owner raises before he looks at any target. */
int mq_transfer_refresh(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	struct mq_topic_facts facts;
	int rc = learn(t, x, &facts, err);

	if (rc < 0)
		return rc;
	x->generation = facts.generation;
	rc = mq_transfer_look(t, x, err);
	if (rc == 0)
		rc = mq_transfer_fenced(t, t->engine->mover_open(t->log, t->name, t->generation, 0, &t->who, err), err);
	return rc;
}

int mq_transfer_append(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	uint32_t from = held(x), most = x->now.count - from;
	unsigned again = 0;

	while (from < x->now.count) {
		uint32_t to = x->now.count - from < most ? x->now.count : from + most;
		bool whole = from == 0 && to == x->now.count && (!t->intent.copies || x->records.count == x->now.count);
		int rc = whole ? mq_transfer_append_whole(t, x, x->now.number + to, err) : append_some(t, x, from, &to, err);
		if (rc == -E2BIG && most > 1) {
			most = shrink(t, x, most);
			*err = (struct mq_err){0};
			continue;
		}
		if (rc == -ESTALE && again++ < MQ_TRANSFER_STALE_MAX) {
			*err = (struct mq_err){0};
			rc = mq_transfer_refresh(t, x, err);
			from = held(x);
			if (rc == 0)
				continue;
		}
		if (rc < 0)
			return mq_transfer_fenced(t, rc, err);
		from = to;
		x->who.number = x->now.number + to;
	}
	return 0;
}

int mq_transfer_settle(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	int rc = x->appended ? 0 : t->engine->appender_mark(x->appender, &x->ticket, err);

	return rc < 0 ? rc : t->engine->wait_durable(x->appender, &x->ticket, MQ_ACK_DURABLE, err);
}

int mq_transfer_await_space(struct mq_transfer *t, int64_t deadline_ns, struct mq_err *err)
{
	struct mq_topic_facts facts;
	struct mq_err why = *err;

	for (size_t i = 0; i < t->n_targets; i++) {
		struct mq_transfer_target *x = t->targets[i];
		if (!x->appender || x->now.partition != t->full_partition || strcmp(x->now.topic, t->full) != 0)
			continue;
		int rc = learn(t, x, &facts, err);
		if (rc == 0 && facts.when_full == MQ_FULL_FAIL) {
			*err = why;
			return MQ_EAGAIN;
		}
		return rc < 0 ? rc : t->engine->wait_space(x->appender, deadline_ns, err);
	}
	int rc = mq_sys->poll(NULL, 0, INT64_C(50000000)); /* the intent itself found none */
	return rc < 0 && rc != -EINTR ? mq_err_sys(err, rc, "cannot wait") : 0;
}
