/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is due goes to its topic.  Under the lock of the room's partition:
 *
 *   note of these offsets, durable     from here on they wait no more
 *   appends to the topic, each with the mover's number behind it; durable
 *
 * killed before the note: nothing happened.  after it: whoever has the lock next reads the last note, asks the topic's producer
 * table how far its mover came, and appends the rest.  A second note is written only when the first one's records are durable.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/crc32c.h"
#include "ops/room_private.h"
#include "sys/sys.h"

enum { GENERATION = 1 /* the lock fences: nobody holds it who is not at work */, STALE_MAX = 8, ROUNDS_MAX = 64, CHUNK_BYTES = 4 << 20 };

static int64_t now_us(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
}

static int settle_target(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	struct mq_ticket mark;
	int rc = r->engine->appender_mark(part->target, &mark, err);

	return rc < 0 ? rc : r->engine->wait_durable(part->target, &mark, MQ_ACK_DURABLE, err);
}

/* --- the target ----------------------------------------------------------------------------- */

/* The table had no room for the mover's entry any more: what it appended lies behind the note's end. */
static int scan(struct mq_rooms *r, const struct mq_room_part *part, const struct mq_room_note *note, uint64_t *ret, struct mq_err *err)
{
	struct mq_source *source;
	struct mq_loss loss;
	struct mq_view v;
	int rc = r->engine->source_open(r->mq->store, r->topic, part->partition, &source, err);

	*ret = note->number;
	if (rc < 0)
		return rc;
	rc = r->engine->source_seek(source, note->target_end, &loss, err);
	while (rc == 0 && (rc = r->engine->source_next(source, &v, &loss, err)) != 0) {
		const struct mq_who *w = &v.batch.who;

		if (rc == MQ_EDAMAGE)
			*err = (struct mq_err){0};
		else if (rc < 0)
			break;
		else if (w->kind == MQ_WHO_MOVER && w->id == note->who_id && w->number > *ret)
			*ret = w->number;
		rc = 0;
	}
	r->engine->source_close(source);
	return rc;
}

/* The mover there, as far as it came. */
static int open_mover(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, struct mq_err *err)
{
	char name[48];
	uint64_t number = 0;
	int rc = settle_target(r, part, err); /* what is there is seen, and lasts */

	snprintf(name, sizeof name, "%s:%" PRIu32, r->mover, part->partition);
	if (rc == 0)
		rc = r->engine->mover_look(part->target, name, &part->who, err);
	if (rc == 0 && note)
		rc = scan(r, part, note, &number, err);
	return rc < 0 ? rc : r->engine->mover_open(part->target, name, GENERATION, number, &part->who, err);
}

static int learn_target(struct mq_rooms *r, struct mq_err *err)
{
	return r->engine->topic_facts(r->mq->store, r->topic, &r->target, err);
}

static int open_target(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	int rc = part->target ? 0 : learn_target(r, err);

	return rc < 0 || part->target ? rc : r->engine->appender_open(r->mq->store, r->topic, part->partition, &part->target, err);
}

/* --- records -------------------------------------------------------------------------------- */

/* As it is to come: for all it comes now; for one group it is the record it was. */
static struct mq_rec as_due(const struct mq_rec *rec)
{
	struct mq_rec out = *rec;

	out.due_us = 0;
	if (!out.group)
		out.time_us = 0;
	return out;
}

/* Those from *from on into the builder, up to *to or as many as make a batch; *to: where they end.  1: the first is held by its id, in
 * *ret_unsafe, but not durably. */
static int gather(struct mq_rooms *r, struct mq_room_part *part, const uint64_t *offsets, uint32_t from, uint32_t *to, uint32_t *ret_unsafe,
                  struct mq_err *err)
{
	mq_records_clear(&r->records);
	for (uint32_t i = from; i < *to; i++) {
		struct mq_rec rec, out;
		int rc = mq_room_read(&part->reader, r, part->partition, offsets[i], &rec, err);

		if (rc < 0)
			return rc;
		if (rc == 0) {
			mq_ops_notice(r->mq, 0, "%s:%" PRIu32 ":%" PRIu64 ": a record that was to come cannot be read any more: look with mq-check",
			              r->name, part->partition, offsets[i]);
			continue;
		}
		rc = mq_rooms_ids_look(r, &rec, ret_unsafe, err);
		if (rc < 0)
			return rc;
		if (rc == MQ_ROOM_ID_HELD)
			continue;
		if (rc != MQ_ROOM_ID_NEW) {
			*to = i;
			return i == from;
		}
		out = as_due(&rec);
		rc = mq_records_add(&r->records, &out);
		if (rc < 0)
			return mq_err_set(err, rc, "%s:%" PRIu32 ":%" PRIu64 ": cannot be put into a batch", r->name, part->partition, offsets[i]);
		if (r->records.body_bytes >= CHUNK_BYTES)
			*to = i + 1;
	}
	return 0;
}

/* -E2BIG, -ESTALE: nothing was appended. */
static int append(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, uint32_t to, struct mq_err *err)
{
	struct mq_batch b = {.ack = MQ_ACK_DURABLE, .count = r->records.count, .base_time_us = now_us(), .topic_generation = r->target.generation};
	struct mq_ticket ticket;
	const uint8_t *body;
	int rc;

	if (b.count == 0)
		return 0;
	rc = mq_records_finish(&r->records, b.base_time_us, 0, 0, &b.kind, &body, &b.raw_len);
	if (rc < 0)
		return mq_err_set(err, rc, "%s:%" PRIu32 ": a batch cannot be built", r->topic, part->partition);
	b.max_time_us = r->records.max_time_us > b.base_time_us ? r->records.max_time_us : b.base_time_us;
	b.who = (struct mq_who){MQ_WHO_MOVER, part->who.id, GENERATION, note->number + to, 0, note->seen};
	b.stored_len = b.raw_len;
	b.body_crc = mq_crc32c(0, body, b.stored_len);
	return r->engine->append(part->target, &b, body, &ticket, err);
}

/* What comes next, up to *to or as far as a batch goes; *to: how far that was. */
static int put_batch(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, const uint64_t *offsets, uint32_t from,
                     uint32_t *to, struct mq_err *err)
{
	uint32_t unsafe = 0;
	int rc = mq_rooms_ids_begin(r, err);

	if (rc == 0)
		rc = gather(r, part, offsets, from, to, &unsafe, err);
	if (rc == 0)
		rc = append(r, part, note, *to, err);
	mq_rooms_ids_end(r);
	return rc > 0 ? r->engine->dedupe_await(r->ids, unsafe, MQ_ACK_DURABLE, err) : rc;
}

/* A smaller batch than that of `most` records. */
static uint32_t shrink(struct mq_rooms *r, const struct mq_room_part *part, uint32_t most)
{
	struct mq_room room;

	r->engine->append_room(part->target, &room);
	most /= 2;
	return room.records > 0 && room.records < most ? (uint32_t)room.records : most;
}

/* What was left out at the end is told by no number in the target, and what it was left out for may be purged: a note says that all
 * is done. */
static int close_note(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, struct mq_err *err)
{
	struct mq_room_note done = *note;

	done.kind = MQ_ROOM_MOVED;
	done.number += done.n;
	done.n = 0;
	return mq_rooms_note(r, part, &done, NULL, err);
}

static int append_all(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, const uint64_t *offsets, struct mq_err *err)
{
	uint64_t held = part->who.number > note->number ? part->who.number - note->number : 0;
	uint32_t from = held < note->n ? (uint32_t)held : note->n, most = note->n;
	int stale = 0, known = learn_target(r, err); /* it may have grown, or look for ids by now */
	bool some = false, told = true; /* by a number in the target */

	if (known < 0)
		return known;
	while (from < note->n) {
		uint32_t to = note->n - from < most ? note->n : from + most;
		int rc = put_batch(r, part, note, offsets, from, &to, err);

		if (rc == -E2BIG && to - from > 1) {
			*err = (struct mq_err){0};
			most = shrink(r, part, to - from);
			continue;
		}
		if (rc == -ESTALE && stale++ < STALE_MAX) { /* grown, or the mover's entry went with a new segment */
			*err = (struct mq_err){0};
			rc = learn_target(r, err);
			if (rc == 0)
				rc = open_mover(r, part, note, err);
			held = part->who.number > note->number ? part->who.number - note->number : 0;
			from = held < note->n ? (uint32_t)held : note->n;
			if (rc == 0)
				continue;
		}
		if (rc < 0) {
			struct mq_err why = MQ_ERR_INIT;
			int settled = some ? settle_target(r, part, &why) : 0; /* what found room is seen now, though the rest did not */

			if (settled < 0)
				*err = why;
			return settled < 0 ? settled : rc;
		}
		part->who.number = note->number + to;
		from = to;
		some = true;
		told = r->records.count > 0;
	}
	int rc = settle_target(r, part, err);
	return rc < 0 || told ? rc : close_note(r, part, note, err);
}

/* --- the act -------------------------------------------------------------------------------- */

static int finish(struct mq_rooms *r, struct mq_room_part *part, uint64_t at, struct mq_err *err)
{
	uint64_t offsets[MQ_ROOM_NOTE_MAX];
	struct mq_room_note note;
	struct mq_rec rec;
	int rc = mq_room_read(&part->reader, r, part->partition, at, &rec, err);

	if (rc == 1)
		rc = mq_room_note_decode(rec.payload, rec.payload_len, &note);
	else if (rc == 0)
		rc = MQ_EDAMAGE;
	if (rc < 0)
		return err->code ? rc : mq_err_set(err, rc, "%s:%" PRIu32 ":%" PRIu64 ": the note of the last delivery does not verify: look with mq-check",
		                                   r->name, part->partition, at);
	if (note.kind == MQ_ROOM_MOVED) /* written when the last delivery was done */
		note.n = 0;
	for (uint32_t i = 0; i < note.n; i++)
		offsets[i] = mq_room_note_offset(&note, i);
	rc = open_mover(r, part, &note, err);
	if (rc == 0)
		rc = append_all(r, part, &note, offsets, err);
	if (rc == 0) {
		part->number = note.number + note.n;
		part->settled = at + 1;
	}
	return rc;
}

int mq_rooms_settle(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	struct mq_room_marks marks;
	int rc;

	r->engine->room_marks(part->waiting, &marks);
	if (marks.delivered && part->settled == marks.last + 1)
		return 0;
	rc = open_target(r, part, err);
	if (rc == 0 && marks.delivered)
		return finish(r, part, marks.last, err);
	if (rc == 0 && part->who.kind != MQ_WHO_MOVER) {
		rc = open_mover(r, part, NULL, err);
		part->number = part->who.number;
	}
	return rc;
}

/* Up to MQ_ROOM_NOTE_MAX that are due: how many. */
static int choose(struct mq_rooms *r, struct mq_room_part *part, int64_t now, struct mq_room_note *note, uint64_t *offsets, struct mq_err *err)
{
	struct mq_ids_entry e;
	int rc = 0;

	while (note->n < MQ_ROOM_NOTE_MAX && (rc = r->engine->room_next(part->waiting, &e, err)) == 1 && (int64_t)e.hash <= now) {
		offsets[note->n++] = e.offset;
		note->bound_due = e.hash;
		note->bound_offset = e.offset;
	}
	return rc < 0 ? rc : (int)note->n;
}

static int round_of(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	uint64_t offsets[MQ_ROOM_NOTE_MAX];
	struct mq_room_note note = {.kind = MQ_ROOM_DELIVERED, .number = part->number, .who_id = part->who.id};
	struct mq_room_marks marks;
	struct mq_ticket mark;
	int rc = choose(r, part, now_us(), &note, offsets, err);

	if (rc <= 0)
		return rc;
	r->engine->room_marks(part->waiting, &marks);
	note.seen = marks.seen;
	memcpy(note.target_id, r->target.id, sizeof note.target_id);
	rc = r->engine->appender_mark(part->target, &mark, err);
	note.target_end = mark.next_offset;
	if (rc == 0)
		rc = mq_rooms_note(r, part, &note, offsets, err);
	if (rc == 0)
		rc = append_all(r, part, &note, offsets, err);
	if (rc < 0)
		return rc;
	part->number += note.n;
	rc = r->engine->room_look(part->waiting, &part->due_us, err);
	r->engine->room_marks(part->waiting, &marks);
	part->settled = marks.delivered ? marks.last + 1 : 0;
	return rc < 0 ? rc : 1;
}

/* What lies below the first that waits is needed no more; now and then, since it costs syncs. */
static int trim(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	enum { WORTH = 4096 };
	struct mq_room_marks marks;
	struct mq_bounds b;
	int rc;

	r->engine->room_marks(part->waiting, &marks);
	if (marks.floor < WORTH || !r->engine->append_trim)
		return 0;
	rc = r->engine->bounds(r->mq->store, r->name, part->partition, &b, err);
	if (rc < 0 || marks.floor < b.log_start + WORTH)
		return rc;
	rc = mq_rooms_log(r, part, err);
	return rc < 0 ? rc : r->engine->append_trim(part->log, marks.floor, err);
}

/* Whoever had the lock before may have been killed when a note was written and not synced: it is seen by nobody then, and would
 * be there later all the same. */
int mq_rooms_look(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	struct mq_ticket mark;
	int rc = mq_rooms_log(r, part, err);

	if (rc == 0)
		rc = r->engine->appender_mark(part->log, &mark, err);
	if (rc == 0)
		rc = r->engine->wait_durable(part->log, &mark, MQ_ACK_DURABLE, err);
	return rc < 0 ? rc : r->engine->room_look(part->waiting, &part->due_us, err);
}

static int deliver(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	int some = 0, rc = mq_rooms_look(r, part, err);

	if (rc == 0)
		rc = mq_rooms_settle(r, part, err);
	for (int i = 0; rc == 0 && i < ROUNDS_MAX && part->due_us <= now_us(); i++) {
		rc = round_of(r, part, err);
		some |= rc > 0;
		rc = rc > 0 ? 0 : rc < 0 ? rc : 1;
	}
	if (rc >= 0 && some)
		rc = trim(r, part, err);
	return rc < 0 ? rc : some;
}

int mq_rooms_deliver_part(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	int rc = r->engine->room_lock(part->waiting, false, err);

	if (rc <= 0)
		return rc;
	rc = deliver(r, part, err);
	r->engine->room_unlock(part->waiting);
	return rc;
}
