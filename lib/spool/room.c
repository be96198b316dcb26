/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/room.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

static const struct mq_ids_entry NOTHING = {UINT64_MAX, UINT64_MAX};

static int no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "no memory for what waits");
}

/* ---- what comes ---- */
static int insert(struct mq_waiting_room *r, const struct mq_ids_entry *e)
{
	int rc = mq_buf_add(&r->tail, e, sizeof *e);
	struct mq_ids_entry *v = (struct mq_ids_entry *)(void *)r->tail.p;
	size_t n = r->tail.len / sizeof *v, lo = 0, hi = n - 1;

	if (rc < 0)
		return rc;
	while (lo < hi) {
		size_t at = lo + (hi - lo) / 2;

		if (mq_ids_order(&v[at], e) < 0)
			lo = at + 1;
		else
			hi = at;
	}
	memmove(v + lo + 1, v + lo, (n - 1 - lo) * sizeof *v);
	v[lo] = *e;
	return 0;
}

static int take_note(struct mq_waiting_room *r, const struct mq_rec *rec)
{
	struct mq_room_note note;
	int rc = mq_room_note_decode(rec->payload, rec->payload_len, &note);

	if (rc == 0 && note.kind != MQ_ROOM_CANCELLED && note.seen > 0)
		rc = mq_room_add_bound(r, &(struct mq_room_bound){note.seen, rec->offset, {note.bound_due, note.bound_offset}});
	for (uint32_t i = 0; rc == 0 && note.kind != MQ_ROOM_DELIVERED && i < note.n; i++)
		rc = mq_room_add_gone(r, mq_room_note_offset(&note, i), rec->offset);
	return rc;
}

uint64_t mq_room_due(const struct mq_rec *rec)
{
	return rec->due_us <= 0 ? 0 : (uint64_t)rec->due_us > MQ_ROOM_DUE_MAX ? MQ_ROOM_DUE_MAX : (uint64_t)rec->due_us;
}

static int take(struct mq_waiting_room *r, const struct mq_cursor_view *v, struct mq_err *err)
{
	const uint8_t *body = v->body;
	struct mq_walk w;
	struct mq_rec rec;
	int rc = 0;

	if (v->batch.zip != MQ_BATCH_PLAIN) {
		rc = mq_zip_unpack(&r->zip, v->body, v->batch.stored_len, v->batch.raw_len, &r->raw, err);
		body = (const uint8_t *)r->raw.p;
	}
	if (rc == 0)
		rc = mq_walk_init(&w, &v->batch, body, err);
	while (rc >= 0 && (rc = mq_walk_next(&w, &rec)) > 0) {
		if (rec.offset < r->next)
			continue;
		rc = mq_room_is_note(&rec) ? take_note(r, &rec) : insert(r, &(struct mq_ids_entry){mq_room_due(&rec), rec.offset});
	}
	if (rc < 0)
		return err && err->code ? rc : mq_err_set(err, rc, "%s:%" PRIu32 ": the batch at %" PRIu64 " contradicts itself", r->topic.name, r->partition, v->batch.base_offset);
	if (v->batch.next_offset > r->next)
		r->next = v->batch.next_offset;
	return 0;
}

static void tell_lost(const struct mq_waiting_room *r, const struct mq_cursor_loss *loss)
{
	const struct mq_spool *s = r->topic.spool;
	char text[320];

	snprintf(text, sizeof text, "%s:%" PRIu32 ": what waited at offsets %" PRIu64 " to %" PRIu64 " was lost (mq-check tells more)",
	         r->topic.name, r->partition, loss->from, loss->to - 1);
	if (s->notice && loss->to > loss->from && loss->damage)
		s->notice(s->notice_arg, text);
}

/* Of offsets that are durable only: after a power cut others may come to mean what no file says, and that would never come.  Who
 * cannot write them keeps more in memory. */
static int put_away(struct mq_waiting_room *r, struct mq_err *err)
{
	while (!r->readonly && r->next >> r->files.unit_log2 > r->from >> r->files.unit_log2) {
		uint64_t end = ((r->from >> r->files.unit_log2) + 1) << r->files.unit_log2, lasts;
		int rc = mq_cursor_durable(&r->cursor, &lasts, err);

		if (rc < 0 || lasts < end)
			return rc;
		rc = mq_room_put_away(r, end, err);
		if (rc == -ENOMEM)
			return rc;
		if (rc < 0) { /* it is a cache: what the disk refuses is had by reading */
			*err = (struct mq_err)MQ_ERR_INIT;
			r->readonly = true;
			return 1;
		}
		if (r->from != end) /* others made more than we have read */
			return 1;
	}
	return 0;
}

static int begin(struct mq_waiting_room *r, struct mq_err *err)
{
	int rc = mq_cursor_refresh(&r->cursor, err);

	if (rc == 0)
		rc = mq_room_load(r, err);
	mq_buf_clear(&r->tail);
	r->next = r->from;
	return rc < 0 ? rc : mq_cursor_seek(&r->cursor, r->next, err);
}

static int catch_up(struct mq_waiting_room *r, struct mq_err *err)
{
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	int rc;

	while ((rc = mq_cursor_next(&r->cursor, &v, &loss, err)) != 0) {
		if (rc == MQ_EDAMAGE) {
			*err = (struct mq_err)MQ_ERR_INIT;
			tell_lost(r, &loss);
			r->next = loss.to > r->next ? loss.to : r->next;
			rc = 0;
		} else if (rc > 0) {
			rc = take(r, &v, err);
		}
		if (rc == 0)
			rc = put_away(r, err);
		uint64_t from = r->from;
		if (rc == 1 && (rc = begin(r, err)) == 0) {
			r->readonly |= r->from <= from; /* a file that does not last is made once, not for ever */
			continue;
		}
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* ---- what comes next ---- */
static int advance(struct mq_waiting_room *r, size_t i, struct mq_err *err)
{
	int rc;

	do {
		rc = mq_once_walk_next(&r->walks[i], &r->heads[i], err);
	} while (rc > 0 && r->heads[i].hash < MQ_ROOM_GONE && mq_room_is_gone(r, &r->heads[i]));
	if (rc == 0 || r->heads[i].hash >= MQ_ROOM_GONE)
		r->heads[i] = NOTHING;
	return rc < 0 ? rc : 0;
}

/* The highest bound that goes for all of a file. */
static struct mq_ids_entry start_of(const struct mq_waiting_room *r, const struct mq_once_file *f)
{
	const struct mq_room_bound *b = (const struct mq_room_bound *)(const void *)r->bounds.p;
	struct mq_ids_entry start = {0, 0};

	for (size_t i = 0; i < r->bounds.len / sizeof *b; i++)
		if (b[i].seen >= f->h.end && mq_ids_order(&b[i].upto, &start) > 0)
			start = b[i].upto;
	return start;
}

static int place_walks(struct mq_waiting_room *r, struct mq_err *err)
{
	if (r->fresh)
		return 0;
	free(r->walks);
	free(r->heads);
	r->walks = calloc(r->files.n + 1, sizeof *r->walks);
	r->heads = calloc(r->files.n + 1, sizeof *r->heads);
	r->walks_n = r->walks && r->heads ? r->files.n : 0;
	if (!r->walks || !r->heads)
		return no_memory(err);
	for (size_t i = 0; i < r->walks_n; i++) {
		struct mq_ids_entry start = start_of(r, &r->files.v[i]);
		int rc = mq_once_walk_seek(&r->walks[i], &r->files.v[i], &start, err);

		if (rc == 0)
			rc = advance(r, i, err);
		if (rc < 0)
			return rc;
	}
	r->tail_at = 0;
	r->fresh = true;
	return 0;
}

static const struct mq_ids_entry *tail_head(struct mq_waiting_room *r)
{
	const struct mq_ids_entry *v = (const struct mq_ids_entry *)(const void *)r->tail.p;
	size_t n = r->tail.len / sizeof *v;

	while (r->tail_at < n && mq_room_is_gone(r, &v[r->tail_at]))
		r->tail_at++;
	return r->tail_at < n ? &v[r->tail_at] : &NOTHING;
}

static const struct mq_ids_entry *least(struct mq_waiting_room *r, size_t *ret_i)
{
	const struct mq_ids_entry *best = tail_head(r);

	*ret_i = r->walks_n;
	for (size_t i = 0; i < r->walks_n; i++)
		if (mq_ids_order(&r->heads[i], best) < 0) {
			best = &r->heads[i];
			*ret_i = i;
		}
	return best;
}

/* A file that does not verify any more: all is made anew. */
static int mend(struct mq_waiting_room *r, int rc, struct mq_err *err)
{
	if (rc != MQ_EDAMAGE)
		return rc;
	*err = (struct mq_err)MQ_ERR_INIT;
	for (size_t i = r->files.n; i-- > 0;)
		mq_room_disbelieve(r, i);
	rc = begin(r, err);
	if (rc == 0)
		rc = catch_up(r, err);
	r->fresh = false;
	return rc == 0 ? place_walks(r, err) : rc;
}

int mq_room_next(struct mq_waiting_room *r, struct mq_ids_entry *ret, struct mq_err *err)
{
	size_t i;
	int rc = place_walks(r, err);

	if (rc < 0)
		return mend(r, rc, err);
	*ret = *least(r, &i);
	if (ret->hash == UINT64_MAX)
		return 0;
	if (i == r->walks_n)
		r->tail_at++;
	else
		rc = advance(r, i, err);
	return rc < 0 ? rc : 1;
}

void mq_room_rewind(struct mq_waiting_room *r)
{
	r->fresh = false;
}

int mq_room_look(struct mq_waiting_room *r, int64_t *ret_due, struct mq_err *err)
{
	size_t i;
	int rc = catch_up(r, err);

	r->fresh = false;
	if (rc == 0)
		rc = place_walks(r, err);
	rc = mend(r, rc, err);
	if (rc < 0)
		return rc;
	const struct mq_ids_entry *first = least(r, &i);
	*ret_due = first->hash == UINT64_MAX ? INT64_MAX : (int64_t)first->hash;
	return 0;
}

uint64_t mq_room_floor(struct mq_waiting_room *r)
{
	const struct mq_ids_entry *v = (const struct mq_ids_entry *)(const void *)r->tail.p;
	uint64_t floor = r->next, last;

	for (size_t i = 0; i < r->tail.len / sizeof *v; i++)
		if (v[i].offset < floor && !mq_room_is_gone(r, &v[i]))
			floor = v[i].offset;
	for (size_t i = r->walks_n; i-- > 0;)
		if (r->heads[i].hash != UINT64_MAX)
			floor = r->files.v[i].h.start;
	return mq_room_last(r, &last) && last < floor ? last : floor;
}

/* ---- the lock ---- */
int mq_room_lock(struct mq_waiting_room *r, bool wait, struct mq_err *err)
{
	const struct mq_patience *p = r->topic.spool->patience;

	if (r->lock < 0)
		r->lock = mq_sys->openat(r->dir, "lock", O_RDWR, 0);
	if (r->lock < 0)
		return mq_err_sys(err, r->lock, "%s:%" PRIu32 ": cannot open lock", r->topic.name, r->partition);
	int rc = wait ? mq_patience_lock(p, mq_patience_end(p), r->lock, MQ_LOCK_WRITE, MQ_ROOM_LOCK_BYTE, 1)
	              : mq_sys->lock(r->lock, MQ_LOCK_WRITE, MQ_ROOM_LOCK_BYTE, 1, false);
	if (rc == -EAGAIN && !wait)
		return 0;
	return rc < 0 ? mq_err_sys(err, rc, "%s:%" PRIu32 ": cannot lock it", r->topic.name, r->partition) : 1;
}

void mq_room_unlock(struct mq_waiting_room *r)
{
	if (r->lock >= 0)
		(void)mq_sys->lock(r->lock, MQ_LOCK_NONE, MQ_ROOM_LOCK_BYTE, 1, false);
}

/* ---- life ---- */
int mq_room_configure(struct mq_topic *room, struct mq_err *err)
{
	static const char *const set[] = {"segment.bytes=4M", "retention.ms=-1", "retention.bytes=-1", "max.bytes=-1",
	                                  "max.messages=-1", "ttl.ms=-1", "cleanup.policy=delete", "compression.type=none", "min.ack=none",
	                                  "when.full=block"};

	if (room->conf.segment_bytes == 4 << 20 && room->conf.retention_ms < 0 && room->conf.max_bytes < 0)
		return 0;
	return mq_topic_change(room, set, sizeof set / sizeof *set, false, err);
}

int mq_room_open(struct mq_waiting_room *r, struct mq_spool *s, const char *name, uint32_t p, unsigned unit_log2, bool looks,
                 struct mq_err *err)
{
	int rc;

	memset(r, 0, sizeof *r);
	r->readonly = looks;
	r->ignore_from = UINT64_MAX;
	r->dir = r->lock = r->topic.dir = -1;
	r->partition = p;
	rc = mq_topic_open(&r->topic, s, name, err);
	if (rc == 0)
		rc = mq_partition_cursor(&r->topic, p, &r->cursor, err);
	r->cursor_open = r->topic.dir >= 0 && rc == 0;
	if (rc == 0)
		rc = r->dir = mq_partition_dir(&r->topic, p, err);
	if (rc >= 0) {
		r->files = (struct mq_sorted_files){.topic = &r->topic, .dir = r->dir, .partition = p, .unit_log2 = unit_log2, .level_max = MQ_ROOM_LEVEL_MAX};
		rc = begin(r, err);
	}
	if (rc < 0)
		mq_room_release(r);
	return rc < 0 ? rc : 0;
}

void mq_room_release(struct mq_waiting_room *r)
{
	mq_sorted_files_release(&r->files);
	free(r->walks);
	free(r->heads);
	mq_buf_release(&r->tail);
	mq_buf_release(&r->bounds);
	mq_buf_release(&r->gone);
	mq_buf_release(&r->raw);
	mq_zip_release(&r->zip);
	if (r->lock >= 0)
		(void)mq_sys->close(r->lock);
	if (r->dir >= 0)
		(void)mq_sys->close(r->dir);
	if (r->cursor_open)
		mq_cursor_release(&r->cursor);
	mq_topic_release(&r->topic);
	r->dir = r->lock = -1;
}
