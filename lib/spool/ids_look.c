/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/ids_look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "base/siphash.h"
#include "format/record.h"
#include "sys/sys.h"

static int64_t now_us(void)
{
	return mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
}

uint64_t mq_ids_look_hash(const struct mq_ids_look *o, const void *id, size_t len)
{
	return mq_siphash(o->topic->conf.id, id, len);
}

static void tell_lost(const struct mq_ids_look *o, uint64_t from, uint64_t to)
{
	const struct mq_spool *s = o->topic->spool;
	char text[MQ_NAME_MAX + 160];

	snprintf(text, sizeof text, "%s:%" PRIu32 ": ids were lost at offsets %" PRIu64 " to %" PRIu64 ": %s", o->topic->name,
	         o->partition, from, to - 1, o->window.lost);
	if (s->notice && to > from)
		s->notice(s->notice_arg, text);
}

static int no_memory(struct mq_err *err)
{
	return mq_err_set(err, -ENOMEM, "no memory for ids");
}

/* ---- the window ---- */
/* Made before, and not by a clock that had been set back: who knows when that was, and the one before it may be younger. */
static bool is_before(const struct mq_chain *c, size_t i, int64_t since_us)
{
	const struct mq_segment_header *h = &c->seg[i], *pred = i > 0 ? h - 1 : NULL;

	if (h->blind || h->created_us >= since_us)
		return false;
	if (!pred)
		return c->whole; /* else the one before it is looked at first */
	return pred->blind || pred->reason == MQ_SEGMENT_COMPACT || pred->created_us <= h->created_us;
}

/* Time: what was published before a segment was made is older than it, whatever the records say of themselves.  So the window
 * begins in the last segment that was made before. */
static int floor_by_time(struct mq_ids_look *o, struct mq_cursor *c, uint64_t *ret, struct mq_err *err)
{
	int64_t since_us = now_us() - o->window.us;

	for (;;) {
		uint64_t first = c->chain.seg[0].base_offset;
		int rc;

		for (size_t i = c->chain.n; i-- > 0;) {
			const struct mq_segment_header *h = &c->chain.seg[i];

			*ret = h->base_offset;
			if (is_before(&c->chain, i, since_us) || h->base_offset <= c->log_start)
				return 0;
		}
		if (c->chain.whole || first == 0)
			return 0;
		rc = mq_chain_extend(&c->chain, c->dir, first - 1, err);
		if (rc < 0)
			return rc;
		if (c->chain.seg[0].base_offset >= first)
			return 0;
	}
}

static int find_floor(struct mq_ids_look *o, struct mq_err *err)
{
	struct mq_cursor *c = &o->probe;
	uint64_t floor = 0;
	int rc = 0;

	if (!o->window.written) { /* the log start follows the window */
		o->floor = o->cursor.log_start;
		return 0;
	}
	rc = mq_cursor_seek(c, UINT64_MAX, err);
	if (rc == 0 && o->window.us > 0)
		rc = floor_by_time(o, c, &floor, err);
	c->positioned = false;
	if (o->window.count > 0 && c->visible_offset > o->window.count && c->visible_offset - o->window.count > floor)
		floor = c->visible_offset - o->window.count;
	o->floor = floor > o->cursor.log_start ? floor : o->cursor.log_start;
	return rc;
}

/* ---- what there is ---- */
static int walk(struct mq_ids_look *o, const struct mq_cursor_view *v, struct mq_batch *batch, struct mq_walk *ret, struct mq_err *err)
{
	const uint8_t *body = v->body;
	int rc = 0;

	*batch = v->batch;
	if (batch->zip != MQ_BATCH_PLAIN) {
		rc = mq_zip_unpack(&o->zip, v->body, batch->stored_len, batch->raw_len, &o->raw, err);
		body = (const uint8_t *)o->raw.p;
	}
	return rc < 0 ? rc : mq_walk_init(ret, batch, body, err);
}

static int take(struct mq_ids_look *o, const struct mq_cursor_view *v, struct mq_err *err)
{
	struct mq_batch batch;
	struct mq_walk w;
	struct mq_rec r;
	int rc = v->batch.kind == MQ_BATCH_LINES ? 0 : walk(o, v, &batch, &w, err);

	while (v->batch.kind != MQ_BATCH_LINES && rc >= 0 && (rc = mq_walk_next(&w, &r)) > 0)
		if (r.id && r.offset >= o->next && mq_once_recent_add(&o->recent, mq_ids_look_hash(o, r.id, r.id_len), r.offset) < 0)
			return no_memory(err);
	if (rc < 0)
		return err && err->code ? rc : mq_err_set(err, rc, "%s: the batch at %" PRIu64 " contradicts itself", o->topic->name, v->batch.base_offset);
	if (v->batch.next_offset > o->next)
		o->next = v->batch.next_offset;
	return 0;
}

static int load_files(struct mq_ids_look *o, uint64_t *ret_end, struct mq_err *err)
{
	o->files.dir = o->dir;
	o->files.wanted = o->floor;
	o->files.log_start = o->files.floor = o->cursor.log_start;
	return mq_sorted_files_load(&o->files, ret_end, err);
}

/* What is recent, up to `end`, as a file. */
static int add_file(struct mq_ids_look *o, uint64_t end, struct mq_err *err)
{
	struct mq_ids_entry *entries;
	size_t n;
	int rc = mq_once_recent_sorted(&o->recent, end, &entries, &n);

	if (rc < 0)
		return no_memory(err);
	rc = mq_sorted_files_add(&o->files, end, entries, n, err);
	free(entries);
	return rc;
}

/* Begin anew behind what the files hold. */
static int begin(struct mq_ids_look *o, struct mq_err *err)
{
	int rc = mq_cursor_refresh(&o->cursor, err);

	mq_once_recent_release(&o->recent);
	if (rc == 0)
		rc = find_floor(o, err);
	if (rc == 0)
		rc = load_files(o, &o->from, err);
	if (rc == 0)
		rc = mq_sorted_files_cut(&o->files, &o->cursor, &o->from, err);
	o->next = o->from;
	return rc < 0 ? rc : mq_cursor_seek(&o->cursor, o->next, err);
}

/* A unit is full.  Others may have made its file, and some for what comes behind it. */
static int put_away(struct mq_ids_look *o, uint64_t end, struct mq_err *err)
{
	uint64_t covered;
	int rc = find_floor(o, err);

	if (rc == 0)
		rc = load_files(o, &covered, err);
	if (rc == 0 && covered < end) {
		rc = add_file(o, end, err);
		if (rc == 0)
			rc = load_files(o, &covered, err);
	}
	if (rc < 0)
		return rc;
	if (covered > o->next)
		return begin(o, err);
	o->from = covered;
	if (covered < end)
		return mq_err_set(err, MQ_EAGAIN, "%s: somebody takes away the files of ids that are made", o->topic->name);
	return mq_once_recent_drop(&o->recent, covered) < 0 ? no_memory(err) : 0;
}

static uint64_t unit_end(const struct mq_ids_look *o)
{
	return ((o->from >> o->window.unit_log2) + 1) << o->window.unit_log2;
}

/* Full units go to files, if their offsets mean for ever what they mean now. */
static int put_away_full(struct mq_ids_look *o, struct mq_err *err)
{
	uint64_t lasts = UINT64_MAX;
	int rc = 0;

	if (o->window.written && o->next >= unit_end(o))
		rc = mq_cursor_durable(&o->cursor, &lasts, err);
	while (rc == 0 && o->next >= unit_end(o) && lasts >= unit_end(o))
		rc = put_away(o, unit_end(o), err);
	return rc;
}

/* ---- descriptors ---- */
void mq_ids_look_rest(struct mq_ids_look *o)
{
	mq_sorted_files_release(&o->files);
	if (o->probe_open)
		mq_cursor_release(&o->probe);
	o->probe_open = false;
	if (o->cursor_open)
		mq_cursor_rest(&o->cursor);
	if (o->dir >= 0)
		(void)mq_sys->close(o->dir);
	o->dir = -1;
}

static int open_cursor(struct mq_ids_look *o, struct mq_cursor *c, bool *ret_open, struct mq_err *err)
{
	int rc = mq_partition_cursor(o->topic, o->partition, c, err);

	*ret_open = rc == 0;
	if (rc == 0)
		c->to_written = o->window.written;
	return rc;
}

static int at_work(struct mq_ids_look *o, struct mq_err *err)
{
	uint64_t covered;
	int rc, dir;

	if (o->dir >= 0)
		return 0;
	rc = dir = mq_partition_dir(o->topic, o->partition, err);
	if (rc >= 0)
		rc = mq_cursor_resume(&o->cursor, dir, err);
	if (rc == 0)
		rc = open_cursor(o, &o->probe, &o->probe_open, err);
	if (rc == 0)
		rc = o->dir = mq_partition_dir(o->topic, o->partition, err);
	if (rc >= 0)
		rc = load_files(o, &covered, err);
	if (rc < 0 || covered == o->from)
		return rc;
	if (covered < o->from || covered > o->next) /* somebody took files away, or made some of what is not known here */
		return begin(o, err);
	o->from = covered;
	return mq_once_recent_drop(&o->recent, covered) < 0 ? no_memory(err) : 0;
}

/* ---- the look ---- */
int mq_ids_look_catch_up(struct mq_ids_look *o, struct mq_err *err)
{
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	int rc = at_work(o, err);

	if (rc < 0)
		return mq_topic_lacks(o->topic, rc, err);
	while ((rc = mq_cursor_next(&o->cursor, &v, &loss, err)) != 0) {
		/* A segment was closed before what was written in it last, and these offsets mean something else. */
		if (rc > 0 && v.first_offset < o->next)
			o->next = v.first_offset;
		if (rc == MQ_EDAMAGE) {
			*err = (struct mq_err)MQ_ERR_INIT;
			tell_lost(o, loss.from, loss.to);
			o->next = loss.to > o->next ? loss.to : o->next;
			rc = 0;
		} else if (rc > 0) {
			rc = take(o, &v, err);
		}
		if (rc == 0)
			rc = put_away_full(o, err);
		if (rc < 0)
			return rc;
	}
	return 0;
}

struct probe {
	struct mq_ids_look *o;
	const void *id;
	size_t len;
	uint64_t from;          /* offsets below are of no interest */
	uint64_t found;
	struct mq_err *err;
};

static bool within(const struct mq_ids_look *o, const struct mq_batch *b, uint64_t offset)
{
	if (o->window.us > 0 && b->base_time_us <= now_us() - o->window.us)
		return false;
	return o->window.count == 0 || o->next - offset <= o->window.count;
}

/* Is the record at this offset of that id, and of the window?  What the log does not hold any more is not there; nor is, for
 * publishers, what is there for one group alone. */
static int verify(void *arg, uint64_t offset)
{
	struct probe *p = arg;
	struct mq_cursor *c = &p->o->probe;
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	struct mq_batch batch;
	struct mq_walk w;
	struct mq_rec r;
	int rc;

	if (offset < p->from)
		return 0;
	rc = mq_cursor_seek(c, offset, p->err);
	if (rc == 0 && offset >= c->log_start)
		rc = mq_cursor_next(c, &v, &loss, p->err);
	if (rc == MQ_EDAMAGE) {
		*p->err = (struct mq_err)MQ_ERR_INIT;
		tell_lost(p->o, loss.from, loss.to);
	}
	if (rc <= 0)
		return rc == MQ_EDAMAGE ? 0 : rc;
	if (v.batch.kind == MQ_BATCH_LINES || !within(p->o, &v.batch, offset))
		return 0;
	rc = walk(p->o, &v, &batch, &w, p->err);
	while (rc >= 0 && (rc = mq_walk_next(&w, &r)) > 0)
		if (r.offset == offset) {
			p->found = offset;
			return r.id && !(p->o->window.written && r.group) && r.id_len == p->len && memcmp(r.id, p->id, p->len) == 0;
		}
	return rc;
}

/* In files, of which a bad one is made anew. */
static int look_in_files(struct mq_ids_look *o, uint64_t hash, struct probe *p)
{
	for (int attempt = 0;; attempt++) {
		size_t i = o->files.n;
		int rc = 0;

		while (rc == 0 && i-- > 0)
			if (o->files.v[i].h.end > p->from)
				rc = mq_once_file_find(&o->files.v[i], hash, verify, p, p->err);
		if (rc != MQ_EDAMAGE || attempt == MQ_SORTED_FILES_MAX)
			return rc;
		mq_sorted_files_remove(&o->files, i);
		*p->err = (struct mq_err)MQ_ERR_INIT;
		rc = begin(o, p->err);
		if (rc == 0)
			rc = mq_ids_look_catch_up(o, p->err);
		if (rc < 0)
			return rc;
	}
}

int mq_ids_look_find(struct mq_ids_look *o, const void *id, size_t len, uint64_t *seen, uint64_t *ret_offset, struct mq_err *err)
{
	uint64_t hash = mq_ids_look_hash(o, id, len);
	struct probe p = {.o = o, .id = id, .len = len, .from = *seen, .err = err};
	int rc = at_work(o, err);

	if (rc == 0 && o->from > *seen)
		rc = look_in_files(o, hash, &p);
	if (rc == 0)
		rc = mq_once_recent_find(&o->recent, hash, verify, &p);
	if (rc == 0)
		*seen = o->next;
	if (rc > 0 && ret_offset)
		*ret_offset = p.found;
	return rc;
}

/* ---- opening ---- */
int mq_ids_look_open(struct mq_ids_look *o, struct mq_topic *t, uint32_t partition, const struct mq_ids_window *window,
                     struct mq_err *err)
{
	int rc;

	memset(o, 0, sizeof *o);
	o->topic = t;
	o->partition = partition;
	o->window = *window;
	o->dir = -1;
	o->files = (struct mq_sorted_files){.topic = t, .partition = partition, .unit_log2 = window->unit_log2, .level_max = window->level_max,
	                                    .advice = "choose a shorter window"};
	rc = open_cursor(o, &o->cursor, &o->cursor_open, err);
	if (rc == 0)
		rc = open_cursor(o, &o->probe, &o->probe_open, err);
	if (rc == 0)
		rc = o->dir = mq_partition_dir(t, partition, err);
	if (rc >= 0)
		rc = begin(o, err);
	if (rc < 0)
		mq_ids_look_release(o);
	return rc;
}

void mq_ids_look_release(struct mq_ids_look *o)
{
	mq_ids_look_rest(o);
	if (o->cursor_open)
		mq_cursor_release(&o->cursor);
	o->cursor_open = false;
	mq_once_recent_release(&o->recent);
	mq_zip_release(&o->zip);
	mq_buf_release(&o->raw);
}
