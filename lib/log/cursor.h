/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading one partition in order.  Needs no lock and no permission to write: what may be seen is told by
 * `state` where that holds; where it does not, what verifies is shown, as far as a writer will adopt it by state and
 * log alone.
 *
 *   mq_cursor_open; mq_cursor_seek; while ((rc = mq_cursor_next(…)) != 0) …; mq_cursor_release
 *
 * One that is not at work may rest: it keeps its place and no descriptor.
 */
#ifndef MQ_LOG_CURSOR_H
#define MQ_LOG_CURSOR_H

#include "base/buf.h"
#include "format/control.h"
#include "log/chain.h"
#include "log/state_file.h"
#include "segment/index.h"

struct mq_cursor {
	int dir, bell, start;     /* owned; dir -1: it rests */
	char label[224];
	uint8_t topic_id[16];
	uint32_t partition;
	struct mq_state_file state;
	uint64_t tail_seq;        /* of its tail at the last look */
	struct mq_chain chain;
	size_t at;                /* chain.seg[at] is open in seg */
	struct mq_segment seg;
	struct mq_scan scan;
	uint64_t pos;             /* of the next batch in seg */
	uint64_t next_offset;     /* expected there */
	uint64_t want;            /* records below are not wanted */
	uint64_t log_start;
	bool to_written;          /* set after opening: what is written counts as visible, for who must not miss it */
	uint64_t visible_pos, visible_offset; /* in the head: the last of chain */
	uint64_t written_offset;
	bool positioned;
	bool hole;                /* from next_offset to the base of seg: in no file */
	bool given;               /* a view of the scan's bytes, by the last call */
	bool sleeping;            /* holds the bell's read lock, or somebody watches state for it */
	struct mq_buf barriers;   /* struct mq_barrier: of generations that were met, and of which it is not known yet whether they hold */
	bool barriers_given;      /* they were, by the last call */
	uint32_t met;             /* the last generation of which the beginning was met here; 0: none */
	uint64_t met_at;          /* the offset there */
	bool looked;              /* at the end, since then and since the last wake-up: whoever publishes later rings */
};

struct mq_cursor_view {
	struct mq_batch batch;
	const uint8_t *body;      /* until the next call */
	uint64_t first_offset;
	/* Generations of the partition count began between the batch given before, or the place that was sought, and this one: what
	 * it waits for.  Until the next call. */
	const struct mq_barrier *barriers;
	size_t n_barriers;
};

struct mq_cursor_loss {
	uint64_t from, to;
	bool damage;              /* found here; false: a gap batch tells of it */
	char where[80];           /* of bytes that do not verify: "segment 0….seg, byte 640"; else empty */
};

int mq_cursor_open(struct mq_cursor *ret, int dir, const char *label, const uint8_t topic_id[16], uint32_t partition,
                   struct mq_err *err);
void mq_cursor_release(struct mq_cursor *c);

/* Look again at where the log ends and starts. */
int mq_cursor_refresh(struct mq_cursor *c, struct mq_err *err);

/* Up to where the log was durable at the last look, or later. */
int mq_cursor_durable(struct mq_cursor *c, uint64_t *ret, struct mq_err *err);

/* The next batch is the one that holds offset, or the first behind it.  Below the log start: that start. */
int mq_cursor_seek(struct mq_cursor *c, uint64_t offset, struct mq_err *err);

/* 1: a data batch.  0: the visible end.  MQ_EDAMAGE: *ret_loss; the next call goes on behind it. */
int mq_cursor_next(struct mq_cursor *c, struct mq_cursor_view *ret, struct mq_cursor_loss *ret_loss, struct mq_err *err);

/* The base offset of the first batch that holds a record of time ≥ time_us; else the visible end. */
int mq_cursor_find_time(struct mq_cursor *c, int64_t time_us, uint64_t *ret, struct mq_err *err);

/* The oldest offset still held, the bytes and number of segments in the chain. */
int mq_cursor_extent(struct mq_cursor *c, uint64_t *ret_stored, uint64_t *ret_bytes, uint32_t *ret_segments, struct mq_err *err);

/* cursor_rest.c.  Give all descriptors back; a view that was given stays valid.  Until mq_cursor_resume only that,
 * mq_cursor_is_idle, mq_cursor_heard, mq_cursor_disarm and mq_cursor_release may be called. */
void mq_cursor_rest(struct mq_cursor *c);
/* dir: the partition's directory again; taken, also on failure. */
int mq_cursor_resume(struct mq_cursor *c, int dir, struct mq_err *err);
/* It is at the end, and was told of nothing since it looked there: mq_cursor_next would give 0. */
bool mq_cursor_is_idle(const struct mq_cursor *c);

/* Announce sleep on the bell (then look once more), and its end.  The bell's path to watch: /proc/self/fd/N.  Not resting from
 * here to the end. */
int mq_cursor_arm(struct mq_cursor *c, struct mq_err *err);
/* Sleep without a lock, and so without a descriptor: the caller watches `state` (then looks once more), in which all that
 * writers do shows, as it is written.  *ret_fd: it, to watch; -1: there is none, look by the clock. */
int mq_cursor_arm_unheld(struct mq_cursor *c, int *ret_fd, struct mq_err *err);
void mq_cursor_disarm(struct mq_cursor *c);
/* A sleeper's wait has ended: what it looked at before may be old. */
void mq_cursor_heard(struct mq_cursor *c);
/* Something is published and not visible: who may write leads the sync after 20 ms. */
bool mq_cursor_sees_invisible(const struct mq_cursor *c);

#endif
