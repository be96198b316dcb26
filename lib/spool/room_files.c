/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The sorted files of a waiting room: what they say is taken in, and what is known of a whole unit becomes one. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "spool/room.h"
#include "sys/sys.h"

/* Bounds come in threes, one behind the other. */
static int take_bound(struct mq_waiting_room *r, const struct mq_ids_entry *e, struct mq_room_bound *b)
{
	uint64_t what = e->hash & ~MQ_ROOM_BOUND;

	if (what % 4 == 0)
		*b = (struct mq_room_bound){.seen = e->offset, .at = what / 4};
	else if (b->at != what / 4)
		return MQ_EDAMAGE;
	else if (what % 4 == 1)
		b->upto.hash = e->offset;
	else
		b->upto.offset = e->offset;
	return what % 4 == 2 ? mq_room_add_bound(r, b) : 0;
}

/* What one says of records that wait no more. */
static int learn(struct mq_waiting_room *r, struct mq_once_file *f, struct mq_err *err)
{
	struct mq_ids_entry e = {MQ_ROOM_GONE, 0};
	struct mq_room_bound b = {0};
	struct mq_once_walk w;
	int rc = mq_once_walk_seek(&w, f, &e, err);

	while (rc == 0 && (rc = mq_once_walk_next(&w, &e, err)) > 0)
		rc = e.hash == MQ_ROOM_GONE ? mq_room_add_gone(r, e.offset, 0) : take_bound(r, &e, &b);
	if (rc < 0 && (!err || !err->code))
		mq_err_set(err, rc, rc == -ENOMEM ? "no memory" : "a file of a waiting room does not verify");
	return rc;
}

/* Of those from the one that does not verify on, nothing is believed by who may not remove it. */
static void leave_out(struct mq_waiting_room *r)
{
	struct mq_sorted_files *f = &r->files;

	while (f->n > 0 && f->v[f->n - 1].h.end > r->ignore_from) {
		mq_once_file_release(&f->v[--f->n]);
		r->from = f->n > 0 ? f->v[f->n - 1].h.end : f->log_start;
	}
}

void mq_room_disbelieve(struct mq_waiting_room *r, size_t i)
{
	if (r->readonly)
		r->ignore_from = r->files.v[i].h.start;
	else
		mq_sorted_files_remove(&r->files, i);
}

/* What those said that do not verify is read from the log again. */
int mq_room_load(struct mq_waiting_room *r, struct mq_err *err)
{
	for (int attempt = 0;; attempt++) {
		size_t i = 0;
		r->files.log_start = r->files.wanted = r->cursor.log_start;
		int rc = mq_sorted_files_load(&r->files, &r->from, err);

		if (rc == 0 && !r->readonly)
			rc = mq_sorted_files_cut(&r->files, &r->cursor, &r->from, err);
		leave_out(r);
		mq_buf_clear(&r->bounds);
		mq_buf_clear(&r->gone);
		for (; rc == 0 && i < r->files.n; i++)
			rc = learn(r, &r->files.v[i], err);
		if (rc != MQ_EDAMAGE || attempt > MQ_SORTED_FILES_MAX)
			return rc;
		*err = (struct mq_err)MQ_ERR_INIT;
		mq_room_disbelieve(r, i - 1);
	}
}

static int add(struct mq_buf *to, uint64_t hash, uint64_t offset)
{
	struct mq_ids_entry e = {hash, offset};

	return mq_buf_add(to, &e, sizeof e);
}

/* Those of the notes in [start, end). */
static int add_notes(const struct mq_waiting_room *r, uint64_t start, uint64_t end, struct mq_buf *to)
{
	const struct mq_room_gone *g = (const struct mq_room_gone *)(const void *)r->gone.p;
	const struct mq_room_bound *b = (const struct mq_room_bound *)(const void *)r->bounds.p;
	int rc = 0;

	for (size_t i = 0; i < r->gone.len / sizeof *g && rc == 0; i++)
		if (g[i].at >= start && g[i].at < end && g[i].at > 0)
			rc = add(to, MQ_ROOM_GONE, g[i].offset);
	for (size_t i = 0; i < r->bounds.len / sizeof *b && rc == 0; i++) {
		uint64_t hash = MQ_ROOM_BOUND | b[i].at * 4;

		if (b[i].at < start || b[i].at >= end)
			continue;
		rc = add(to, hash, b[i].seen);
		if (rc == 0)
			rc = add(to, hash + 1, b[i].upto.hash);
		if (rc == 0)
			rc = add(to, hash + 2, b[i].upto.offset);
	}
	return rc;
}

/* The tail loses what the unit has. */
static int split(struct mq_waiting_room *r, uint64_t end, struct mq_buf *to)
{
	struct mq_ids_entry *e = (struct mq_ids_entry *)(void *)r->tail.p;
	size_t n = r->tail.len / sizeof *e, kept = 0;
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++)
		if (e[i].offset >= end)
			e[kept++] = e[i];
		else if (!mq_room_is_gone(r, &e[i]))
			rc = mq_buf_add(to, &e[i], sizeof *e);
	if (rc == 0)
		r->tail.len = kept * sizeof *e;
	return rc;
}

static int compare(const void *a, const void *b)
{
	return mq_ids_order(a, b);
}

int mq_room_put_away(struct mq_waiting_room *r, uint64_t end, struct mq_err *err)
{
	uint64_t start = end - (UINT64_C(1) << r->files.unit_log2), covered;
	struct mq_buf entries = MQ_BUF_INIT;
	int rc = split(r, end, &entries);

	if (rc == 0)
		rc = add_notes(r, start, end, &entries);
	if (rc < 0)
		mq_err_set(err, rc, "no memory");
	struct mq_ids_entry *e = (struct mq_ids_entry *)(void *)entries.p;
	size_t n = entries.len / sizeof *e;
	if (n > 1)
		qsort(e, n, sizeof *e, compare);
	if (rc == 0)
		rc = mq_sorted_files_add(&r->files, end, e, n, err);
	mq_buf_release(&entries);
	if (rc < 0)
		return rc;
	r->files.log_start = r->files.wanted = r->cursor.log_start;
	rc = mq_sorted_files_load(&r->files, &covered, err);
	if (rc == 0 && covered < end)
		rc = mq_err_set(err, MQ_EAGAIN, "%s:%" PRIu32 ": somebody takes away the sorted files that are made", r->topic.name, r->partition);
	r->from = covered;
	return rc;
}
