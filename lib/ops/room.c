/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/room.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/parse.h"
#include "ops/room_private.h"
#include "sys/sys.h"

enum { HELD_MAX = 64 /* partitions that are held open */, STALE_MAX = 8 };
static const int64_t SECOND_NS = INT64_C(1000000000);
static const int64_t LONGEST_NS = 60 * INT64_C(1000000000);
/* Another one is at it, who may have looked before this was due, and tells nobody when it is done; or the topic is full: the longer
 * it lasts, the later it is looked again. */
static const int64_t RETRY_MIN_NS = INT64_C(1000000), RETRY_MAX_NS = INT64_C(50000000);

static int64_t now_ns(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
}

int mq_room_name(struct mq *mq, const char *topic, bool create, char ret[201], struct mq_topic_facts *ret_facts, struct mq_err *err)
{
	const struct mq_engine *e = mq->store->engine;

	if (!e->internal_open || !e->room_open)
		return mq_err_set(err, create ? MQ_EUSAGE : MQ_ENOTOPIC, "records cannot wait here: %s keeps no waiting rooms", e->scheme);
	return e->internal_open(mq->store, "wait", topic, "", create, ret, ret_facts, err);
}

/* --- partitions ----------------------------------------------------------------------------- */

int mq_rooms_open_part(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	return part->waiting ? 0 : r->engine->room_open(r->mq->store, r->name, part->partition, &part->waiting, err);
}

void mq_rooms_close_part(struct mq_rooms *r, struct mq_room_part *part)
{
	mq_room_reader_release(&part->reader);
	if (part->log)
		r->engine->appender_close(part->log);
	if (part->target)
		r->engine->appender_close(part->target);
	if (part->waiting)
		r->engine->room_close(part->waiting);
	*part = (struct mq_room_part){.partition = part->partition, .due_us = part->due_us, .begun = part->begun, .bell = part->bell};
}

int mq_rooms_log(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	return part->log ? 0 : r->engine->appender_open(r->mq->store, r->name, part->partition, &part->log, err);
}

int mq_rooms_note_behind(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, const uint64_t *offsets,
                         struct mq_ticket *ret, struct mq_err *err)
{
	struct mq_batch b = {.ack = MQ_ACK_DURABLE, .base_time_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000};
	const uint8_t *body;
	int rc = mq_rooms_log(r, part, err);

	if (rc < 0)
		return rc;
	rc = mq_room_note_encode(note, offsets, &r->payload);
	if (rc == 0)
		rc = mq_records_add(&r->records, &(struct mq_rec){.payload = r->payload.p, .payload_len = (uint32_t)r->payload.len,
		                                                  .group = MQ_ROOM_GROUP, .group_len = sizeof MQ_ROOM_GROUP - 1});
	if (rc == 0)
		rc = mq_records_finish(&r->records, b.base_time_us, 0, 0, &b.kind, &body, &b.raw_len);
	if (rc < 0)
		return mq_err_set(err, rc, "%s:%" PRIu32 ": a note cannot be built", r->name, part->partition);
	b.count = r->records.count;
	b.max_time_us = r->records.max_time_us > b.base_time_us ? r->records.max_time_us : b.base_time_us;
	b.stored_len = b.raw_len;
	b.body_crc = mq_crc32c(0, body, b.stored_len);
	for (int i = 0; i < STALE_MAX; i++) {
		b.topic_generation = r->facts.generation;
		rc = r->engine->append(part->log, &b, body, ret, err);
		if (rc != -ESTALE)
			break;
		*err = (struct mq_err){0};
		rc = r->engine->internal_facts(r->mq->store, r->name, &r->facts, err);
		if (rc < 0)
			break;
		rc = -ESTALE;
	}
	return rc < 0 ? rc : r->engine->wait_durable(part->log, ret, MQ_ACK_DURABLE, err);
}

int mq_rooms_note(struct mq_rooms *r, struct mq_room_part *part, const struct mq_room_note *note, const uint64_t *offsets,
                  struct mq_err *err)
{
	struct mq_ticket ticket;

	mq_records_clear(&r->records);
	return mq_rooms_note_behind(r, part, note, offsets, &ticket, err);
}

/* --- all of them ---------------------------------------------------------------------------- */

/* It may have got more partitions. */
static int reread(struct mq_rooms *r, struct mq_err *err)
{
	struct mq_room_part *more;
	int rc = r->engine->internal_facts(r->mq->store, r->name, &r->facts, err);

	r->reread_ns = now_ns();
	if (rc < 0 || r->facts.partitions <= r->n)
		return rc;
	more = realloc(r->parts, r->facts.partitions * sizeof *more);
	if (!more)
		return mq_err_set(err, -ENOMEM, "out of memory");
	r->parts = more;
	for (; r->n < r->facts.partitions; r->n++)
		r->parts[r->n] = (struct mq_room_part){.partition = r->n, .due_us = INT64_MAX};
	return 1;
}

int mq_rooms_open(struct mq_rooms **ret, struct mq *mq, const char *topic, struct mq_err *err)
{
	char name[201];
	struct mq_topic_facts facts;
	int rc = mq_room_name(mq, topic, false, name, &facts, err);

	*ret = NULL;
	if (rc == MQ_ENOTOPIC) {
		*err = (struct mq_err){0};
		return 0;
	}
	if (rc < 0)
		return rc;
	struct mq_rooms *r = calloc(1, sizeof *r);
	if (!r)
		return mq_err_set(err, -ENOMEM, "out of memory");
	r->mq = mq;
	r->engine = mq->store->engine;
	snprintf(r->topic, sizeof r->topic, "%s", topic);
	snprintf(r->name, sizeof r->name, "%s", name);
	mq_hex(facts.id, sizeof facts.id, r->mover);
	mq_records_init(&r->records);
	rc = reread(r, err);
	if (rc < 0) {
		mq_rooms_close(r);
		return rc;
	}
	*ret = r;
	return 0;
}

void mq_rooms_close(struct mq_rooms *r)
{
	if (!r)
		return;
	mq_rooms_disarm(r);
	for (uint32_t p = 0; p < r->n; p++)
		mq_rooms_close_part(r, &r->parts[p]);
	free(r->parts);
	if (r->ids)
		r->engine->dedupe_close(r->ids);
	mq_records_release(&r->records);
	mq_buf_release(&r->payload);
	free(r);
}

/* Whoever wrote the last note may have been killed before it was done, or its topic is full. */
static bool is_begun(struct mq_rooms *r, struct mq_room_part *part)
{
	struct mq_room_marks marks;

	r->engine->room_marks(part->waiting, &marks);
	return marks.delivered && part->settled != marks.last + 1;
}

static int deliver_one(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	int rc = mq_rooms_open_part(r, part, err);

	if (rc == 0)
		rc = r->engine->room_look(part->waiting, &part->due_us, err);
	part->begun = rc == 0 && is_begun(r, part);
	if (rc == 0 && (part->begun || part->due_us <= mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000)) {
		rc = mq_rooms_deliver_part(r, part, err);
		part->begun = is_begun(r, part);
	}
	if (rc < 0 || r->n > HELD_MAX)
		mq_rooms_close_part(r, part);
	return rc;
}

/* Something should be in its topic by now, and is not. */
static bool is_late(const struct mq_rooms *r)
{
	int64_t real_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	bool late = false;

	for (uint32_t p = 0; p < r->n; p++)
		late |= r->parts[p].begun || r->parts[p].due_us <= real_us;
	return late;
}

int mq_rooms_deliver(struct mq_rooms *r, struct mq_err *err)
{
	struct mq_err first = {0};
	int rc = now_ns() - r->reread_ns >= SECOND_NS ? reread(r, err) : 0, some = 0;

	for (uint32_t p = 0; p < r->n && rc >= 0; p++) {
		struct mq_err why = {0};
		int one = deliver_one(r, &r->parts[p], &why);

		some |= one > 0;
		if (one < 0 && !first.code)
			first = why;
	}
	r->retry_ns = some || r->retry_ns == 0 ? RETRY_MIN_NS : r->retry_ns < RETRY_MAX_NS / 2 ? r->retry_ns * 2 : RETRY_MAX_NS;
	if (!is_late(r))
		r->retry_ns = 0;
	if (rc >= 0 && first.code) {
		*err = first;
		rc = first.code;
	}
	return rc < 0 ? rc : some;
}

int64_t mq_rooms_next_ns(const struct mq_rooms *r)
{
	int64_t real_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000, least = INT64_MAX, wait_ns = LONGEST_NS;

	for (uint32_t p = 0; p < r->n; p++)
		least = r->parts[p].due_us < least ? r->parts[p].due_us : least;
	if (r->retry_ns)
		wait_ns = r->retry_ns;
	else if (least <= real_us)
		wait_ns = 0;
	else if (least - real_us < LONGEST_NS / 1000)
		wait_ns = (least - real_us) * 1000;
	if (r->n > HELD_MAX && wait_ns > SECOND_NS)
		wait_ns = SECOND_NS; /* nobody tells what is parked there */
	return now_ns() + wait_ns;
}

/* --- waiting -------------------------------------------------------------------------------- */

int mq_rooms_arm(struct mq_rooms *r, struct mq_wait *w, struct mq_err *err)
{
	int rc = 0;

	for (uint32_t p = 0; p < r->n && r->n <= HELD_MAX && rc >= 0; p++) {
		struct mq_room_part *part = &r->parts[p];

		if (!part->bell)
			rc = r->engine->source_open(r->mq->store, r->name, p, &part->bell, err);
		if (rc >= 0)
			rc = r->engine->source_arm(part->bell, w, err);
	}
	return rc < 0 ? rc : 0;
}

void mq_rooms_disarm(struct mq_rooms *r)
{
	for (uint32_t p = 0; p < r->n; p++)
		if (r->parts[p].bell) {
			r->engine->source_disarm(r->parts[p].bell);
			r->engine->source_close(r->parts[p].bell);
			r->parts[p].bell = NULL;
		}
}

/* --- passing by ----------------------------------------------------------------------------- */

static bool is_quiet(int rc)
{
	return rc == -EACCES || rc == -EPERM || rc == -EROFS || rc == MQ_EDENIED || rc == MQ_ENOTOPIC || rc == MQ_EAGAIN || rc == -ENOSPC ||
	       rc == -EDQUOT || rc == -EINTR || rc == -ETIMEDOUT;
}

void mq_rooms_told(struct mq *mq, const char *topic, int rc, const struct mq_err *why)
{
	if (rc < 0 && !is_quiet(rc))
		mq_ops_notice(mq, 0, "%s: what is due cannot be delivered: %s", topic, why->text);
}

void mq_rooms_pass(struct mq *mq, const char *topic)
{
	struct mq_err why = {0};
	struct mq_rooms *r;
	int rc = mq->store->looks ? 0 : mq_rooms_open(&r, mq, topic, &why);

	if (mq->store->looks)
		return;
	if (rc == 0 && r) {
		rc = mq_rooms_deliver(r, &why);
		mq_rooms_close(r);
	}
	mq_rooms_told(mq, topic, rc, &why);
}
