/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is durable of a transfer: written before the first append, found by whoever owns the source next, finished. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "ops/transfer_private.h"
#include "sys/sys.h"

/* --- making --------------------------------------------------------------------------------- */

int mq_transfer_build(const struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	int64_t now_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	const uint8_t *body;

	x->now.base_time_us = now_us;
	x->now.max_time_us = x->records.max_time_us > now_us ? x->records.max_time_us : now_us;
	if (t->intent.copies) {
		x->now.kind = MQ_BATCH_RECORDS;
		x->now.data = (const uint8_t *)x->positions.p;
		x->now.len = (uint32_t)x->positions.len;
		return 0;
	}
	int rc = mq_records_finish(&x->records, now_us, 0, 0, &x->now.kind, &body, &x->now.len);
	x->now.data = body;
	return rc < 0 ? mq_err_set(err, rc, "%s:%" PRIu32 ": a batch cannot be built", x->now.topic, x->now.partition) : 0;
}

/* What x is to get, in the words of the intent; nothing, where it may only be appended to later. */
static int describe(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	x->now.number = t->intent.last_number;
	if (x->now.count) {
		int rc = mq_transfer_ready_target(t, x, err);
		return rc < 0 ? rc : mq_transfer_build(t, x, err);
	}
	x->now.kind = MQ_BATCH_LINES;
	x->now.base_time_us = x->now.max_time_us = 0;
	x->now.data = NULL;
	x->now.len = 0;
	return 0;
}

/* Of those that have no part in it, an open-ended one names what the last one did. */
static bool is_named(const struct mq_transfer *t, const struct mq_transfer_target *x)
{
	return x->now.count > 0 || (t->intent.open_ended && x->open_ended);
}

/* Each target's records have the numbers behind those of the target before. */
static int describe_all(struct mq_transfer *t, struct mq_err *err)
{
	int rc = 0;

	/* A second transfer: there will be a third.  The first alone would cost a look, and an end. */
	t->intent.open_ended = (t->open_ended || t->again) && !t->intent.n_set;
	t->intent.n_targets = 0;
	t->intent.number = t->intent.last_number = mq_transfer_number(t, t->place);
	for (size_t i = 0; i < t->n_targets && rc == 0; i++) {
		struct mq_transfer_target *x = t->targets[i];
		if (!is_named(t, x))
			continue;
		rc = describe(t, x, err);
		t->intent.n_targets++;
		t->intent.last_number += x->now.count;
	}
	t->intent.generation = t->generation;
	t->intent.seeks = t->seeks;
	return rc;
}

static int print(struct mq_transfer *t, struct mq_err *err)
{
	mq_buf_clear(&t->payload);
	int rc = mq_intent_begin(&t->payload, &t->intent);
	for (size_t i = 0; i < t->n_targets && rc == 0; i++)
		if (is_named(t, t->targets[i]))
			rc = mq_intent_add(&t->payload, &t->targets[i]->now);
	return rc < 0 ? mq_transfer_no_memory(err) : 0;
}

/* Of all intents only the last one counts: where it begins a segment of its own, those before go with theirs. */
static void trim(struct mq_transfer *t, const struct mq_ticket *last)
{
	struct mq_err why = MQ_ERR_INIT;

	if (!t->engine->append_trim || memcmp(t->log_segment, last->segment, sizeof t->log_segment) == 0)
		return;
	memcpy(t->log_segment, last->segment, sizeof t->log_segment);
	if (t->engine->append_trim(t->log, last->base_offset, &why) < 0) /* it goes with the next */
		mq_ops_notice(t->mq, 0, "finished intents take room still: %s", why.text);
}

/* t->intent and its targets into the log, durably. */
static int write_intent(struct mq_transfer *t, struct mq_err *err)
{
	struct mq_batch b = {.ack = MQ_ACK_DURABLE, .count = 1, .topic_generation = t->log_generation};
	struct mq_ticket ticket;
	const uint8_t *body;
	int rc = print(t, err);

	if (rc < 0)
		return rc;
	struct mq_rec r = {.payload = t->payload.p, .payload_len = (uint32_t)t->payload.len};
	mq_records_clear(&t->one);
	rc = mq_records_add(&t->one, &r);
	if (rc == 0)
		rc = mq_records_finish(&t->one, mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, 0, 0, &b.kind, &body, &b.raw_len);
	if (rc < 0)
		return mq_err_set(err, rc, "%s: an intent of %zu bytes cannot be built", t->intents, t->payload.len);
	b.stored_len = b.raw_len;
	b.body_crc = mq_crc32c(0, body, b.stored_len);
	b.who = (struct mq_who){MQ_WHO_MOVER, t->who.id, t->generation, t->intent.last_number, t->intent.source_start, t->intent.source_end};
	rc = t->engine->append(t->log, &b, body, &ticket, err);
	if (rc < 0)
		return mq_transfer_fenced(t, rc, err);
	t->broken = true; /* until it is known to be durable, nobody knows whether it is there */
	rc = t->engine->wait_durable(t->log, &ticket, MQ_ACK_DURABLE, err);
	t->broken = rc < 0;
	if (rc < 0)
		return mq_err_set(err, MQ_EBROKEN, "%s: the intent may not be durable: run again", t->intents);
	trim(t, &ticket);
	return 0;
}

int mq_transfer_make(struct mq_transfer *t, struct mq_err *err)
{
	int rc = describe_all(t, err);

	if (rc == 0)
		rc = write_intent(t, err);
	t->made = rc == 0;
	return rc;
}

/* One of nothing. */
int mq_transfer_end(struct mq_transfer *t, struct mq_err *err)
{
	uint64_t number = mq_transfer_number(t, t->place) + 1;
	t->intent = (struct mq_intent){.generation = t->generation,
	                               .seeks = t->seeks,
	                               .source_start = t->place,
	                               .source_end = t->place,
	                               .number = number,
	                               .last_number = number};
	mq_transfer_drop_targets(t);
	int rc = write_intent(t, err);
	if (rc < 0)
		return rc;
	t->set_open = false;
	t->base.place = t->place;
	t->base.number = number;
	t->open_ended = false;
	return 0;
}

/* --- finishing ------------------------------------------------------------------------------ */

int mq_transfer_finish(struct mq_transfer *t, struct mq_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < t->n_targets && rc == 0; i++)
		if (t->targets[i]->now.count && !t->targets[i]->gone)
			rc = mq_transfer_append(t, t->targets[i], err);
	for (size_t i = 0; i < t->n_targets && rc == 0; i++)
		if (t->targets[i]->now.count && !t->targets[i]->gone)
			rc = mq_transfer_settle(t, t->targets[i], err);
	if (rc < 0)
		return rc;
	t->base.place = t->intent.n_set ? t->place : t->intent.source_end;
	t->base.number = t->intent.last_number;
	t->open_ended = t->intent.open_ended;
	t->set_open = t->intent.n_set > 0 || t->from.run;
	for (size_t i = 0; i < t->n_targets; i++)
		t->targets[i]->open_ended = is_named(t, t->targets[i]) && t->open_ended && !t->targets[i]->gone;
	return 0;
}

/* --- finding -------------------------------------------------------------------------------- */

static int take_payload(struct mq_body *body, const struct mq_view *v, uint64_t offset, struct mq_buf *payload, struct mq_err *err)
{
	struct mq_walk w;
	struct mq_rec r;
	int rc = mq_body_walk(body, v, &w, err);

	while (rc == 0 && (rc = mq_walk_next(&w, &r)) == 1) {
		rc = 0;
		if (r.offset != offset)
			continue;
		mq_buf_clear(payload);
		rc = mq_buf_add(payload, r.payload, r.payload_len);
		return rc < 0 ? mq_transfer_no_memory(err) : 1;
	}
	return rc < 0 ? rc : MQ_EDAMAGE;
}

int mq_transfer_last(const struct mq_engine *e, struct mq_store *s, const char *intents, uint32_t partition, struct mq_body *body,
                     struct mq_buf *payload, struct mq_err *err)
{
	struct mq_source *source;
	struct mq_bounds b;
	struct mq_loss loss;
	struct mq_view v;
	int rc = e->source_open(s, intents, partition, &source, err);

	if (rc < 0)
		return rc;
	rc = e->source_bounds(source, &b, err);
	if (rc == 0 && b.visible > b.log_start) {
		rc = e->source_seek(source, b.visible - 1, &loss, err);
		if (rc == 0)
			rc = e->source_next(source, &v, &loss, err);
		rc = rc == 1 ? take_payload(body, &v, b.visible - 1, payload, err) : rc == 0 ? MQ_EDAMAGE : rc;
	}
	e->source_close(source);
	if (rc == MQ_EDAMAGE)
		mq_err_set(err, rc, "%s:%" PRIu32 ":%" PRIu64 ": the last intent does not verify: look with mq-check", intents, partition,
		           b.visible - 1);
	return rc;
}

/* --- resuming ------------------------------------------------------------------------------- */

/* The table of the target had no room for the mover's entry any more: what it appended is found from where the log ended when
 * the intent was made.  What was there and is gone, with all that came then, is appended once more. */
static int scan(struct mq_transfer *t, const struct mq_transfer_target *x, uint64_t *ret_number, struct mq_err *err)
{
	struct mq_source *source;
	struct mq_loss loss;
	struct mq_view v;
	int rc = t->engine->source_open(t->mq->store, x->now.topic, x->now.partition, &source, err);

	*ret_number = x->now.number;
	if (rc < 0)
		return rc;
	rc = t->engine->source_seek(source, x->now.end, &loss, err);
	while (rc == 0 && (rc = t->engine->source_next(source, &v, &loss, err)) != 0) {
		const struct mq_who *w = &v.batch.who;
		if (rc == MQ_EDAMAGE)
			*err = (struct mq_err){0};
		else if (rc < 0)
			break;
		else if (w->kind == MQ_WHO_MOVER && w->id == x->now.who_id && w->number > *ret_number)
			*ret_number = w->number;
		rc = 0;
	}
	t->engine->source_close(source);
	return rc;
}

int mq_transfer_look(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	uint64_t number = 0;
	int rc;

	x->appended = false;
	rc = mq_transfer_settle(t, x, err); /* what is there is seen, and lasts */
	if (rc == 0)
		rc = t->engine->mover_look(x->appender, t->name, &x->who, err);
	if (rc == 0)
		rc = scan(t, x, &number, err);
	if (rc >= 0)
		rc = t->engine->mover_open(x->appender, t->name, t->generation, number, &x->who, err);
	return mq_transfer_fenced(t, rc, err);
}

static int look_up(struct mq_transfer *t, struct mq_transfer_target *x, struct mq_err *err)
{
	int rc = mq_transfer_open_target(t, x, err);

	if (rc == MQ_ENOTOPIC || (rc == 0 && x->gone)) {
		*err = (struct mq_err){0};
		x->gone = true;
		if (x->now.count)
			mq_ops_notice(t->mq, 0, "%s:%" PRIu32 ": of a transfer that was begun, %" PRIu32 " records have nowhere to go: topic %s was deleted",
			              t->from.topic, t->from.partition, x->now.count, x->now.topic);
		return 0;
	}
	return rc < 0 ? rc : mq_transfer_look(t, x, err);
}

static int add_target(struct mq_transfer *t, const struct mq_intent_target *now, struct mq_err *err)
{
	struct mq_transfer_target *x = t->n_targets < MQ_TRANSFER_TARGETS_MAX ? calloc(1, sizeof *x) : NULL;
	if (!x)
		return mq_transfer_no_memory(err);
	x->now = *now;
	mq_records_init(&x->records);
	t->targets[t->n_targets++] = x;
	return look_up(t, x, err);
}

/* Every target; *ret_last: the highest number that any of them holds. */
static int find_targets(struct mq_transfer *t, struct mq_intent_walk *w, uint64_t *ret_last, struct mq_err *err)
{
	struct mq_intent_target now;
	int rc;

	*ret_last = t->intent.last_number;
	while ((rc = mq_intent_next(w, &now)) == 1) {
		if ((rc = add_target(t, &now, err)) < 0)
			return rc;
		const struct mq_transfer_target *x = t->targets[t->n_targets - 1];
		if (!x->gone && x->who.number > *ret_last)
			*ret_last = x->who.number;
	}
	if (rc < 0)
		return mq_err_set(err, rc, "%s:%" PRIu32 ": the last intent contradicts itself: look with mq-check", t->intents,
		                  t->from.partition);
	return 0;
}

static int move_place(struct mq_transfer *t, uint64_t to, struct mq_err *err)
{
	if (to <= t->place)
		return 0;
	int rc = t->kind->commit(t, to, 0, err);
	if (rc == 0)
		rc = t->kind->sync(t, err);
	if (rc == 0)
		t->place = to;
	return rc;
}

/* Nobody appends to a topic that has gone. */
static void drop_gone(struct mq_transfer *t)
{
	for (size_t i = t->n_targets; i-- > 0;)
		if (!t->targets[i]->open_ended) {
			mq_transfer_free_target(t->targets[i]);
			t->targets[i] = t->targets[--t->n_targets];
		}
}

/* What is open is finished, and then the place. */
static int finish_found(struct mq_transfer *t, struct mq_intent_walk *w, struct mq_err *err)
{
	struct mq_intent i = t->intent;
	bool ours = i.seeks == t->seeks; /* of a place that was set by hand meanwhile the range is no business any more */
	uint64_t last;
	int rc = find_targets(t, w, &last, err);

	if (rc == 0)
		rc = mq_transfer_finish(t, err); /* whoever went on had finished: then this finds nothing to append */
	if (rc == 0 && ours)
		rc = i.n_set ? mq_transfer_acknowledge(t, err) : move_place(t, i.source_end + (last - i.last_number), err);
	if (rc == 0 && (!ours || i.n_set)) {
		t->base.place = t->place;
		t->base.number = last;
		rc = mq_transfer_end(t, err); /* else nobody could tell that it is closed */
	}
	mq_transfer_begin(t);
	drop_gone(t);
	return rc;
}

int mq_transfer_resume(struct mq_transfer *t, struct mq_err *err)
{
	struct mq_intent_walk w;
	int rc = mq_transfer_last(t->engine, t->mq->store, t->intents, t->from.partition, &t->body, &t->payload, err);

	if (rc <= 0)
		return rc;
	rc = mq_intent_open(&w, t->payload.p, t->payload.len, &t->intent, err);
	if (rc < 0) {
		mq_err_prefix(err, "%s:%" PRIu32, t->intents, t->from.partition);
		return rc;
	}
	t->base.place = t->intent.n_set ? t->place : t->intent.source_end;
	t->base.number = t->intent.last_number;
	if (t->intent.seeks == t->seeks && t->place >= t->intent.source_end && !t->intent.open_ended)
		return 0;
	return finish_found(t, &w, err);
}
