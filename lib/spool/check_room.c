/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sorted files of a waiting room (room.h), beside the log that they are a cache of.  A file knows what was known when it was
 * made, so it may hold records that wait no more; what must be so:
 *
 *   1. of the records in its range that still wait, by all that the log says, it holds each, with its time, and of no others:
 *      a missing one would not come
 *   2. what notes in its range name, it names: else that would come though it was cancelled
 *   3. of the notes of deliveries in its range it has each that none behind it, wherever that is, makes superfluous, as it is,
 *      and no others: else what came would come again
 *
 * 2 only where its whole range is still held.  Somebody may be at work, and a file be younger than what was read of the
 * log: so what is not as it must be is looked at again, with what is known by then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "spool/check_internal.h"
#include "spool/room.h"

struct room_file {
	const struct mq_waiting_room *known;
	uint64_t from, start, end;
	struct mq_check_sum waits, log_waits, gone, log_gone;
	struct mq_buf bounds;     /* struct mq_ids_entry: three of each delivery, as they stand there */
	size_t wanted, met;       /* deliveries in it of which the log is held; of those, in the log */
	const char *wrong;
};

static int no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "no memory for what waits");
}

/* ---- all that the log says ---- */
static bool is_bound(const struct mq_room_note *note)
{
	return note->kind != MQ_ROOM_CANCELLED && note->seen > 0;
}

static int know(void *arg, const struct mq_rec *r)
{
	struct mq_room_note note;
	int rc;

	if (!mq_room_is_note(r))
		return 0;
	rc = mq_room_note_decode(r->payload, r->payload_len, &note);
	if (rc == 0 && is_bound(&note))
		rc = mq_room_add_bound(arg, &(struct mq_room_bound){note.seen, r->offset, {note.bound_due, note.bound_offset}});
	for (uint32_t i = 0; rc == 0 && note.kind != MQ_ROOM_DELIVERED && i < note.n; i++)
		rc = mq_room_add_gone(arg, mq_room_note_offset(&note, i), r->offset);
	return rc;
}

void mq_check_room_forget(struct mq_check_partition *part)
{
	if (!part->known)
		return;
	mq_buf_release(&part->known->bounds);
	mq_buf_release(&part->known->gone);
	free(part->known);
	part->known = NULL;
}

/* Where not all of it can be read nothing can be said: known is NULL then. */
static int know_all(struct mq_check_partition *part, struct mq_err *err)
{
	int rc;

	part->asked = true;
	mq_check_room_forget(part);
	if (!part->have_start)
		return 0;
	part->known = calloc(1, sizeof *part->known);
	if (!part->known)
		return no_memory(err);
	rc = mq_check_ids_log(part, part->log_start, UINT64_MAX, know, part->known, err);
	if (rc <= 0)
		mq_check_room_forget(part);
	return rc == -ENOMEM ? no_memory(err) : rc < 0 ? rc : 0;
}

/* ---- the file ---- */
static int add_bound_entry(struct room_file *f, const struct mq_ids_entry *e)
{
	uint64_t at = (e->hash & ~MQ_ROOM_BOUND) / 4;

	if (at < f->start || at >= f->end)
		f->wrong = "a delivery is of no note of its range";
	f->wanted += e->hash % 4 == 0 && at >= f->from;
	return mq_buf_add(&f->bounds, e, sizeof *e);
}

static int add_entry(void *arg, const struct mq_ids_entry *e)
{
	struct room_file *f = arg;

	if (e->hash & MQ_ROOM_BOUND)
		return add_bound_entry(f, e);
	if (e->hash == MQ_ROOM_GONE)
		mq_check_add(&f->gone, e);
	else if (e->hash > MQ_ROOM_GONE || e->offset < f->start || e->offset >= f->end)
		f->wrong = "an entry is of no record of its range";
	else if (e->offset >= f->from && f->known && !mq_room_is_gone(f->known, e))
		mq_check_add(&f->waits, e);
	return 0;
}

/* ---- its range of the log ---- */
static const struct mq_ids_entry *find_bound(const struct room_file *f, uint64_t at)
{
	const struct mq_ids_entry *e = (const struct mq_ids_entry *)(const void *)f->bounds.p;

	for (size_t i = 0; i + 2 < f->bounds.len / sizeof *e; i += 3)
		if (e[i].hash == (MQ_ROOM_BOUND | at * 4))
			return e + i;
	return NULL;
}

/* By a note behind it. */
static bool is_superfluous(const struct mq_waiting_room *known, const struct mq_room_note *note, uint64_t at)
{
	const struct mq_room_bound *b = (const struct mq_room_bound *)(const void *)known->bounds.p;

	for (size_t i = 0; i < known->bounds.len / sizeof *b; i++)
		if (b[i].at > at && b[i].seen >= note->seen &&
		    mq_ids_order(&b[i].upto, &(struct mq_ids_entry){note->bound_due, note->bound_offset}) >= 0)
			return true;
	return false;
}

static void add_bound(struct room_file *f, const struct mq_room_note *note, uint64_t at)
{
	const struct mq_ids_entry *e = find_bound(f, at);

	if (!e && !is_superfluous(f->known, note, at))
		f->wrong = "a delivery is missing";
	if (e && (e[0].offset != note->seen || e[1].hash != e[0].hash + 1 || e[1].offset != note->bound_due || e[2].hash != e[0].hash + 2 ||
	          e[2].offset != note->bound_offset))
		f->wrong = "a delivery is not the one of the log";
	f->met += e != NULL;
}

static int add_record(void *arg, const struct mq_rec *r)
{
	struct room_file *f = arg;
	struct mq_room_note note;
	int rc;

	if (r->offset < f->from || r->offset >= f->end)
		return 0;
	if (!mq_room_is_note(r)) {
		struct mq_ids_entry e = {mq_room_due(r), r->offset};

		if (!mq_room_is_gone(f->known, &e))
			mq_check_add(&f->log_waits, &e);
		return 0;
	}
	rc = mq_room_note_decode(r->payload, r->payload_len, &note);
	if (rc == 0 && is_bound(&note))
		add_bound(f, &note, r->offset);
	for (uint32_t i = 0; rc == 0 && note.kind != MQ_ROOM_DELIVERED && i < note.n; i++)
		mq_check_add(&f->log_gone, &(struct mq_ids_entry){MQ_ROOM_GONE, mq_room_note_offset(&note, i)});
	return rc;
}

/* ---- together ---- */
static const char *judge(const struct room_file *f)
{
	if (f->wrong)
		return f->wrong;
	if (!mq_check_same(&f->waits, &f->log_waits))
		return "what waits by it is not what waits by the log";
	if (f->met != f->wanted)
		return "a delivery is not in the log";
	return f->from == f->start && !mq_check_same(&f->gone, &f->log_gone) ? "what it says is gone is not what the log says" : NULL;
}

/* *ret NULL: it is as it must be, as far as can be said. */
static int compare(struct mq_check_partition *part, struct mq_once_file *file, const char **ret, struct mq_err *why)
{
	struct room_file f = {.known = part->known, .from = mq_check_ids_from(part, file), .start = file->h.start, .end = file->h.end};
	int rc = mq_check_ids_walk(file, add_entry, &f, why);

	if (rc == 0 && f.bounds.len % (3 * sizeof(struct mq_ids_entry)) != 0)
		f.wrong = "a delivery is not whole";
	*ret = f.wrong;
	if (rc == 0 && !f.wrong && f.known && f.from < f.end && (rc = mq_check_ids_log(part, f.from, f.end, add_record, &f, why)) == 1)
		*ret = judge(&f);
	mq_buf_release(&f.bounds);
	return rc == -ENOMEM ? no_memory(why) : rc < 0 ? rc : 0;
}

int mq_check_room(struct mq_check_partition *part, struct mq_once_file *f, struct mq_err *why)
{
	const char *wrong = NULL;
	int rc = part->asked ? 0 : know_all(part, why);

	if (rc == 0)
		rc = compare(part, f, &wrong, why);
	if (rc == 0 && wrong)
		rc = know_all(part, why);
	if (rc == 0 && wrong)
		rc = compare(part, f, &wrong, why);
	return rc == 0 && wrong ? mq_err_set(why, MQ_EDAMAGE, "%s", wrong) : rc;
}
