/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record that is to come in a year would keep all that is stored behind it for a year.  So the room is looked at from its
 * beginning on, WINDOW offsets (but no more than a segment is long) at a time: where less than a tenth of that waits it is copied
 * to the end, and behind it, in the same batch, goes the note that it waits no more where it was.  Then the log start follows.
 *
 * Under the lock of the room's partition, when the last delivery was finished, which the note says, so that nobody needs an
 * older one.  killed before the batch: nothing happened; after it: each waits once, and the log start follows the next time.
 * A record costs its copy once for ten times as many that go.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "ops/room_private.h"

enum { WINDOW = 4096, WINDOW_LEAST = 16, SPARSE = 10, SEGMENT_BYTES = 4 << 20, CHUNK_BYTES = 1 << 20 };

struct emptying {
	struct mq_rooms *r;
	struct mq_room_part *part;
	uint64_t *offset;           /* of all that waits, rising */
	size_t n;
	uint64_t window, seen;
	struct mq_room_note last;   /* of the last delivery, as the next note repeats it */
	uint64_t moved;             /* batches */
};

static int rising(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static int gather(struct emptying *e, struct mq_err *err)
{
	struct mq_buf all = MQ_BUF_INIT;
	struct mq_ids_entry one;
	int rc;

	while ((rc = e->r->engine->room_next(e->part->waiting, &one, err)) == 1)
		if (mq_buf_add(&all, &one.offset, sizeof one.offset) < 0) {
			rc = mq_err_set(err, -ENOMEM, "no memory for what waits");
			break;
		}
	e->offset = (uint64_t *)(void *)all.p;
	e->n = all.len / sizeof *e->offset;
	if (e->n > 1)
		qsort(e->offset, e->n, sizeof *e->offset, rising);
	return rc;
}

/* What the last delivery's note says, as it is after that. */
static int read_last(struct emptying *e, const struct mq_room_marks *marks, struct mq_err *err)
{
	struct mq_rec rec;
	int rc;

	e->last = (struct mq_room_note){.kind = MQ_ROOM_MOVED};
	if (!marks->delivered)
		return 0;
	rc = mq_room_read(&e->part->reader, e->r, e->part->partition, marks->last, &rec, err);
	if (rc == 1)
		rc = mq_room_note_decode(rec.payload, rec.payload_len, &e->last);
	else if (rc == 0)
		rc = MQ_EDAMAGE;
	if (rc < 0)
		return err->code ? rc : mq_err_set(err, rc, "%s:%" PRIu32 ":%" PRIu64 ": the note of the last delivery does not verify: look with mq-check",
		                                   e->r->name, e->part->partition, marks->last);
	if (e->last.kind == MQ_ROOM_DELIVERED)
		e->last.number += e->last.n;
	e->last.kind = MQ_ROOM_MOVED;
	return 0;
}

/* Up to n of them into one batch: how many.  0: the first cannot be read, and stays until mq-check was asked. */
static int copy(struct emptying *e, const uint64_t *offset, size_t n, struct mq_err *err)
{
	struct mq_ticket ticket;
	uint32_t i = 0;

	mq_records_clear(&e->r->records);
	for (; i < n && i < MQ_ROOM_NOTE_MAX && e->r->records.body_bytes < CHUNK_BYTES; i++) {
		struct mq_rec rec;
		int rc = mq_room_read(&e->part->reader, e->r, e->part->partition, offset[i], &rec, err);

		if (rc == 1 && mq_records_add(&e->r->records, &rec) < 0)
			rc = mq_err_set(err, -ENOMEM, "no memory for what waits");
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
	}
	if (i == 0 && n > 0)
		return 0;
	e->last.n = i;
	int rc = mq_rooms_note_behind(e->r, e->part, &e->last, offset, &ticket, err);
	e->moved += rc == 0;
	return rc < 0 ? rc : (int)i;
}

/* From the first on, as long as little waits; *ret_from: of those that stay the first is this one. */
static int move_some(struct emptying *e, size_t *ret_from, struct mq_err *err)
{
	size_t i = 0;

	while (i < e->n && e->offset[i] + e->window <= e->seen) {
		size_t end = i;
		int rc = 0;

		while (end < e->n && e->offset[end] < e->offset[i] + e->window)
			end++;
		if ((end - i) * SPARSE >= e->window)
			break;
		while (i < end && (rc = copy(e, e->offset + i, end - i, err)) > 0)
			i += (size_t)rc;
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
	}
	*ret_from = i;
	return 0;
}

static int work(struct emptying *e, uint64_t log_start, struct mq_err *err)
{
	struct mq_room_marks marks;
	uint64_t floor;
	size_t from = 0;
	int rc = mq_rooms_look(e->r, e->part, err);

	if (rc == 0)
		rc = mq_rooms_settle(e->r, e->part, err);
	if (rc == 0) /* what was finished may have left a note of its own */
		rc = mq_rooms_look(e->r, e->part, err);
	if (rc == 0)
		rc = gather(e, err);
	e->r->engine->room_marks(e->part->waiting, &marks);
	e->seen = marks.seen;
	if (rc == 0)
		rc = read_last(e, &marks, err);
	if (rc == 0)
		rc = move_some(e, &from, err);
	floor = from < e->n ? e->offset[from] : e->seen;
	if (rc == 0 && e->moved == 0 && marks.delivered && marks.last + e->window <= floor)
		rc = copy(e, NULL, 0, err); /* the note alone keeps what lies behind it */
	if (e->moved == 0 && marks.delivered && marks.last < floor)
		floor = marks.last;
	return rc < 0 || floor <= log_start ? rc : e->r->engine->append_trim(e->part->log, floor, err);
}

static int empty_part(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	struct emptying e = {.r = r, .part = part};
	struct mq_bounds b;
	int rc = r->engine->bounds(r->mq->store, r->name, part->partition, &b, err);

	if (rc < 0 || b.segments < 2) /* nothing would go */
		return rc;
	e.window = SEGMENT_BYTES / (b.bytes / (b.written - b.log_start + 1) + 1);
	e.window = e.window < WINDOW_LEAST ? WINDOW_LEAST : e.window > WINDOW ? WINDOW : e.window;
	rc = mq_rooms_open_part(r, part, err);
	if (rc == 0)
		rc = r->engine->room_lock(part->waiting, false, err);
	if (rc <= 0)
		return rc;
	rc = work(&e, b.log_start, err);
	r->engine->room_unlock(part->waiting);
	free(e.offset);
	return rc;
}

void mq_rooms_empty(struct mq *mq, const char *topic)
{
	struct mq_rooms *r = NULL;
	struct mq_err why = MQ_ERR_INIT;
	int rc = mq->store->engine->append_trim ? mq_rooms_open(&r, mq, topic, &why) : 0;

	for (uint32_t p = 0; r && p < r->n && rc >= 0; p++) {
		rc = empty_part(r, &r->parts[p], &why);
		mq_rooms_close_part(r, &r->parts[p]);
	}
	mq_rooms_close(r);
	mq_rooms_told(mq, topic, rc, &why);
}
