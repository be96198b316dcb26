/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: reading a partition. */
#include <stdlib.h>
#include <string.h>

#include "api/engine_spool_private.h"
#include "format/zip.h"
#include "sys/sys.h"

struct source {
	struct mq_source base;
	struct store *store;         /* borrowed */
	struct shared_topic *topic;
	uint32_t partition;
	struct mq_cursor cursor;
	struct mq_handle handle;     /* of the cursor's descriptors */
	/* Something is published and not visible: since when, and where visibility stood then. */
	int64_t invisible_since_ns;
	uint64_t invisible_at;
	struct mq_wait *armed; /* borrowed; NULL: awake */
	bool held;             /* armed on the bell, which is open meanwhile */
	int slot;              /* of `armed`, for state; -1: none */
	unsigned times;        /* it was told of so often, when the cursor was last told */
	int tick;              /* its slot that looks by the clock; -1: none */
	uint64_t waits;        /* of `armed`, when the cursor was last told */
};

enum { CURSOR_FDS = 6 }; /* directory, start, state, bell, segment, its index */
#define LEAD_AFTER_NS INT64_C(20000000)

static void rest(struct mq_handle *h)
{
	mq_cursor_rest(&MQ_HANDLE_OF(h, struct source, handle)->cursor);
}

/* The cursor has its descriptors, and others will be closed before it. */
static int at_work(struct source *r, struct mq_err *err)
{
	struct mq_topic *t = &r->topic->t;
	int rc;

	mq_handles_use(&r->store->handles, &r->handle);
	if (r->cursor.dir >= 0)
		return 0;
	rc = mq_partition_dir(t, r->partition, err);
	if (rc >= 0)
		rc = mq_cursor_resume(&r->cursor, rc, err);
	return mq_topic_lacks(t, rc, err);
}

int mq_engine_spool_source_open(struct mq_store *s, const char *topic, uint32_t p, struct mq_source **ret, struct mq_err *err)
{
	struct source *r = calloc(1, sizeof *r);
	int rc;

	if (!r)
		return mq_engine_no_memory(err);
	r->store = (struct store *)s;
	r->partition = p;
	r->slot = r->tick = -1;
	rc = mq_engine_spool_share_topic(r->store, topic, &r->topic, err);
	if (rc == 0) {
		mq_handles_add(&r->store->handles, &r->handle, CURSOR_FDS, rest);
		mq_handles_use(&r->store->handles, &r->handle); /* before it opens anything */
		rc = mq_partition_cursor(&r->topic->t, p, &r->cursor, err);
		if (rc < 0) {
			mq_handles_remove(&r->store->handles, &r->handle);
			mq_engine_spool_leave_topic(r->store, r->topic);
		}
	}
	if (rc < 0) {
		free(r);
		return rc;
	}
	r->base.engine = &mq_engine_file;
	*ret = &r->base;
	return 0;
}

void mq_engine_spool_source_close(struct mq_source *sp)
{
	struct source *r = (struct source *)sp;

	mq_handles_remove(&r->store->handles, &r->handle);
	mq_cursor_release(&r->cursor);
	mq_engine_spool_leave_topic(r->store, r->topic);
	free(r);
}

int mq_engine_spool_source_seek(struct mq_source *sp, uint64_t offset, struct mq_loss *ret_lost, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	int rc = at_work(r, err);

	if (rc == 0)
		rc = mq_cursor_seek(&r->cursor, offset, err);
	if (rc == 0 && ret_lost) {
		*ret_lost = (struct mq_loss){0};
		if (offset < r->cursor.log_start) {
			ret_lost->from = offset;
			ret_lost->to = r->cursor.log_start;
		}
	}
	return rc;
}

/* A durable publisher that died between its write and its sync leaves records that nobody sees.  Who may write leads the
 * sync for it, once they have stood for 20 ms.  1: done, look again; 0: not yet, or not ours to do. */
static int lead_for_the_dead(struct source *r, struct mq_err *err)
{
	struct mq_partition part;
	struct mq_log log;
	int64_t now;
	int rc;

	if (!mq_cursor_sees_invisible(&r->cursor)) {
		r->invisible_since_ns = 0;
		return 0;
	}
	now = mq_sys->clock_ns(MQ_CLOCK_MONOTONIC);
	if (r->invisible_since_ns == 0 || r->invisible_at != r->cursor.visible_offset) {
		r->invisible_since_ns = now;
		r->invisible_at = r->cursor.visible_offset;
		return 0;
	}
	if (now - r->invisible_since_ns < LEAD_AFTER_NS)
		return 0;
	r->invisible_since_ns = now;
	rc = mq_partition_log(&part, &r->topic->t, r->partition, &log, NULL);
	if (rc < 0)
		return 0; /* a reader alone: the next publisher will lead */
	rc = mq_log_sync(&log, err);
	mq_log_release(&log);
	if (rc == -ETIMEDOUT) { /* who holds the lock may be about to do it */
		*err = (struct mq_err)MQ_ERR_INIT;
		return 0;
	}
	return rc < 0 ? rc : 1;
}

/* While something is invisible nobody may ring for it: a sleeper looks again by the clock, too.  That begins with any look:
 * a publisher that dies before its sync wakes sleepers that were announced long before, and they sleep on.  The slot
 * that is polled costs no watch, and the bell's own stays as it is. */
static int look_by_clock(struct source *r, struct mq_err *err)
{
	bool wanted = r->armed && (mq_cursor_sees_invisible(&r->cursor) || (!r->held && r->slot < 0));
	int rc = 0;

	if (wanted && r->tick < 0)
		rc = r->tick = mq_wait_watch(r->armed, r->topic->t.dir, IN_MODIFY, false);
	else if (!wanted && r->tick >= 0) {
		mq_wait_unwatch(r->armed, r->tick);
		r->tick = -1;
	}
	return rc < 0 ? mq_err_sys(err, rc, "cannot look by the clock") : 0;
}

/* Where not all can be open at once, sleepers watch `state`, which needs no descriptor of theirs, and hold no lock: they hear
 * of each step of a writer, and so of more than they need. */
static int watch_state(struct source *r, struct mq_wait *w, struct mq_err *err)
{
	int fd, rc = at_work(r, err);

	if (r->slot >= 0)
		mq_wait_unwatch(w, r->slot);
	r->slot = -1;
	if (rc == 0)
		rc = mq_cursor_arm_unheld(&r->cursor, &fd, err);
	if (rc == 0 && fd >= 0) {
		rc = r->slot = mq_wait_watch(w, fd, IN_MODIFY | IN_ATTRIB, r->store->spool.events);
		if (rc < 0)
			return mq_err_sys(err, rc, "cannot watch state");
		mq_wait_let_go(w, r->slot);
		r->times = 0;
	}
	return rc < 0 ? rc : 0;
}

/* A wait has ended.  Who watches the bell looks again whatever it was for; who watches state only where that was told of. */
static int hear(struct source *r, struct mq_err *err)
{
	uint32_t events;
	bool ticked;

	if (!r->armed || r->waits == r->armed->waits)
		return 0;
	r->waits = r->armed->waits;
	if (r->held) {
		mq_cursor_heard(&r->cursor);
		return 0;
	}
	ticked = r->tick >= 0;
	if (r->slot >= 0 && mq_wait_times(r->armed, r->slot) == r->times && !ticked)
		return 0;
	mq_cursor_heard(&r->cursor);
	if (r->slot < 0)
		return 0;
	r->times = mq_wait_times(r->armed, r->slot);
	events = mq_wait_events(r->armed, r->slot);
	/* perhaps another has its name now */
	return events & IN_ATTRIB || mq_wait_polled(r->armed, r->slot) == -ESTALE ? watch_state(r, r->armed, err) : 0;
}

int mq_engine_spool_source_next(struct mq_source *sp, struct mq_view *ret, struct mq_loss *ret_loss, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	struct mq_cursor_view v;
	struct mq_cursor_loss l;
	int rc = hear(r, err);

	if (rc < 0)
		return rc;
	do {
		rc = mq_cursor_is_idle(&r->cursor) ? 0 : at_work(r, err);
		if (rc == 0 && !mq_cursor_is_idle(&r->cursor))
			rc = mq_cursor_next(&r->cursor, &v, &l, err);
		if (rc == 0) {
			int led = lead_for_the_dead(r, err);

			if (led <= 0)
				return led < 0 ? led : look_by_clock(r, err);
			mq_cursor_heard(&r->cursor);
		}
	} while (rc == 0);
	if (rc == 1) {
		ret->batch = v.batch;
		ret->body = v.body;
		ret->first_offset = v.first_offset;
		ret->barriers = v.barriers;
		ret->n_barriers = v.n_barriers;
	} else if (rc == MQ_EDAMAGE) {
		*ret_loss = (struct mq_loss){.from = l.from, .to = l.to, .damage = l.damage};
		memcpy(ret_loss->where, l.where, sizeof ret_loss->where);
	}
	return rc;
}

/* The batch is found by the index; the record in it by walking. */
int mq_engine_spool_source_find_time(struct mq_source *sp, int64_t time_us, uint64_t *ret_offset, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	struct mq_buf raw = MQ_BUF_INIT;
	struct mq_view v;
	struct mq_loss loss;
	struct mq_walk w;
	struct mq_rec rec;
	int rc = at_work(r, err);

	if (rc == 0)
		rc = mq_cursor_find_time(&r->cursor, time_us, ret_offset, err);
	if (rc < 0)
		return rc;
	rc = mq_cursor_seek(&r->cursor, *ret_offset, err);
	if (rc == 0)
		rc = mq_engine_spool_source_next(sp, &v, &loss, err);
	if (rc != 1)
		return rc == MQ_EDAMAGE ? 0 : rc;
	if (v.batch.zip == MQ_BATCH_ZSTD) {
		struct mq_zip z;

		z = (struct mq_zip){0};
		rc = mq_zip_unpack(&z, v.body, v.batch.stored_len, v.batch.raw_len, &raw, err);
		mq_zip_release(&z);
	}
	if (rc >= 0)
		rc = mq_walk_init(&w, &v.batch, raw.len ? (const uint8_t *)raw.p : v.body, err);
	while (rc >= 0 && (rc = mq_walk_next(&w, &rec)) > 0)
		if (rec.time_us >= time_us && rec.offset >= *ret_offset) {
			*ret_offset = rec.offset;
			break;
		}
	mq_buf_release(&raw);
	return rc < 0 ? rc : 0;
}

uint32_t mq_engine_spool_source_met(struct mq_source *sp, uint64_t *ret_offset)
{
	const struct source *r = (struct source *)sp;

	*ret_offset = r->cursor.met_at;
	return r->cursor.met;
}

int mq_engine_spool_source_bounds(struct mq_source *sp, struct mq_bounds *ret, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	int rc = at_work(r, err);

	return rc < 0 ? rc : mq_engine_spool_fill_bounds(&r->cursor, ret, err);
}

static int watch_bell(struct source *r, struct mq_wait *w, struct mq_err *err)
{
	int rc = at_work(r, err);

	if (rc == 0)
		rc = mq_cursor_arm(&r->cursor, err);
	if (rc < 0)
		return rc;
	r->held = true;
	mq_handles_pin(&r->store->handles, &r->handle);
	rc = mq_wait_watch(w, r->cursor.bell, IN_MODIFY | IN_CLOSE_WRITE, r->store->spool.events);
	return rc < 0 ? mq_err_sys(err, rc, "cannot watch the bell") : 0;
}

int mq_engine_spool_source_arm(struct mq_source *sp, struct mq_wait *w, struct mq_err *err)
{
	struct source *r = (struct source *)sp;
	int rc;

	r->armed = w;
	r->waits = w->waits;
	rc = mq_handles_scarce(&r->store->handles) ? watch_state(r, w, err) : watch_bell(r, w, err);
	if (rc == 0)
		rc = look_by_clock(r, err);
	if (rc < 0)
		mq_engine_spool_source_disarm(sp);
	return rc;
}

void mq_engine_spool_source_disarm(struct mq_source *sp)
{
	struct source *r = (struct source *)sp;

	if (r->tick >= 0)
		mq_wait_unwatch(r->armed, r->tick);
	if (r->slot >= 0)
		mq_wait_unwatch(r->armed, r->slot);
	r->slot = r->tick = -1;
	r->armed = NULL;
	mq_cursor_disarm(&r->cursor);
	mq_handles_unpin(&r->store->handles, &r->handle);
	r->held = false;
}
