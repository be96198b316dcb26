/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/evict.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/slots.h"
#include "spool/areas.h"
#include "spool/dirs.h"
#include "spool/offsets.h"
#include "sys/sys.h"

struct work {
	struct mq_group_topic *g;
	uint32_t p, area;        /* the one that the place goes to */
	struct mq_areas areas;
	struct mq_commit now;    /* what counts */
	bool locked;             /* byte 2^34 is held */
	struct mq_err *err;
};

/* ---- who ---- */
static bool is_meant(const struct mq_eviction *e, const char *member)
{
	char pid[24];

	snprintf(pid, sizeof pid, "%" PRId64, e->pid);
	return !member || strcmp(member, e->member) == 0 || (e->pid > 0 && strcmp(member, pid) == 0);
}

static void take_line(struct mq_eviction *e, const char *line)
{
	long long pid = -1;

	*e = (struct mq_eviction){.pid = -1};
	(void)sscanf(line, "%lld %63s", &pid, e->member);
	if (!mq_name_ok(e->member, strlen(e->member)) || strcmp(e->member, "-") == 0)
		e->member[0] = 0; /* of one without a name, or not written by a member at all */
	e->pid = pid > 0 ? pid : -1;
}

/* 1: somebody holds a byte of that area. */
static int find_holder(struct work *w, uint32_t area, struct mq_eviction *ret)
{
	char line[MQ_GROUP_OWNER_LEN];
	bool handler;
	int rc = mq_group_owner_in(w->g, area, w->p, line, &handler, w->err);

	take_line(ret, line);
	ret->handler_left = rc == 0 && handler;
	return rc < 0 ? rc : rc || handler;
}

/* With other members: the owner's byte is read-locked. */
static bool is_shared(const struct work *w)
{
	return mq_sys->lock_test(w->g->locks, MQ_LOCK_READ, mq_group_owner_byte(w->now.area, w->p), 1) == 0;
}

static int read_place(struct work *w)
{
	uint64_t seq;
	int which, rc = mq_offsets_follow(w->g, w->err);

	if (rc >= 0)
		rc = mq_group_topic_peek(w->g, w->p, &w->now, &which, &seq, w->err);
	if (rc >= 0)
		rc = mq_group_topic_areas(w->g, w->p, &w->areas, w->err);
	return rc;
}

/* ---- where to ---- */
static int refuse(struct work *w)
{
	char who[400] = "";
	size_t len = 0;

	for (uint32_t a = 0; a < MQ_SLOT_AREAS && len < sizeof who; a++) {
		struct mq_eviction e;

		if (a != w->now.area && find_holder(w, a, &e) == 1)
			len += (size_t)snprintf(who + len, sizeof who - len, "%s%s%" PRId64, len ? ", " : "", e.handler_left ? "the handler of pid " : "pid ",
			                        e.pid);
	}
	return mq_err_set(w->err, MQ_EAGAIN,
	                  "%s: %d who were evicted from partition %u live on (%s): let them end (kill -CONT), or kill them, and evict again",
	                  w->g->label, MQ_SLOT_AREAS - 1, w->p, who);
}

/* An area whose bytes nobody holds; its owner's is ours then. */
static int take_area(struct work *w)
{
	for (uint32_t i = 1; i < MQ_SLOT_AREAS; i++) {
		uint32_t a = (w->now.area + i) % MQ_SLOT_AREAS;
		int rc = mq_group_try_byte(w->g->locks, mq_group_owner_byte(a, w->p));

		if (rc == -EAGAIN && w->areas.area[a].is[0] == MQ_SLOT_NEVER) /* areas are first used in order (areas.h) */
			return mq_err_set(w->err, MQ_EAGAIN, "%s: another process, which deletes it perhaps, holds all of it: try again", w->g->label);
		if (rc == -EAGAIN)
			continue;
		if (rc == 0)
			rc = mq_sys->lock_test(w->g->locks, MQ_LOCK_WRITE, mq_group_handler_byte(a, w->p), 1);
		w->area = a;
		if (rc == 0)
			return 0;
		(void)mq_sys->lock(w->g->locks, MQ_LOCK_NONE, mq_group_owner_byte(a, w->p), 1, false);
		if (rc < 0)
			return mq_err_sys(w->err, rc, "%s: cannot lock partition %u", w->g->label, w->p);
	}
	return refuse(w);
}

static void leave_area(struct work *w)
{
	(void)mq_sys->lock(w->g->locks, MQ_LOCK_NONE, mq_group_owner_byte(w->area, w->p), 1, false);
}

/* ---- the place ---- */
static uint32_t slot_of(const struct work *w, int i)
{
	return mq_slot_number(2 * w->p + (uint32_t)i, w->area);
}

static int put(struct work *w, int i, uint64_t seq, bool sync)
{
	uint8_t raw[MQ_SLOT_LEN];
	ssize_t n;
	int rc;

	mq_commit_encode(&w->now, seq, slot_of(w, i), raw);
	n = mq_sys->pwrite(w->g->offsets, raw, sizeof raw, mq_slot_at(slot_of(w, i)));
	if (n != MQ_SLOT_LEN)
		return mq_err_sys(w->err, n < 0 ? (int)n : -EIO, "%s: cannot write offsets", w->g->label);
	rc = sync ? mq_sys->fdatasync(w->g->offsets) : 0;
	return rc < 0 ? mq_err_sys(w->err, rc, "%s: offsets: cannot make it durable", w->g->label) : 0;
}

static int lock_offsets(struct work *w, bool alone, struct mq_err *err)
{
	int rc = mq_offsets_lock(w->g, alone, err);

	w->locked = rc == 0;
	return rc;
}

static void unlock_offsets(struct work *w)
{
	if (w->locked)
		mq_offsets_unlock(w->g);
	w->locked = false;
}

/* The file could not be written or synced, as *w->err says: it goes on in a copy.  Where that fails, too, the first reason
 * stands. */
static int replace(struct work *w, int i, uint64_t seq)
{
	uint8_t raw[MQ_SLOT_LEN];
	struct mq_err why = MQ_ERR_INIT;
	int rc;

	mq_offsets_note_failed(w->g);
	unlock_offsets(w);
	rc = lock_offsets(w, true, &why);
	if (rc == 0)
		rc = mq_offsets_follow(w->g, &why);
	mq_commit_encode(&w->now, seq, slot_of(w, i), raw);
	if (rc >= 0)
		rc = mq_offsets_replace(w->g, slot_of(w, i), raw, false, &why);
	if (rc < 0)
		return w->err->code;
	*w->err = (struct mq_err)MQ_ERR_INIT;
	return 0;
}

/* The slot that is worth less first: a torn one must cost nothing. */
static int write_place(struct work *w)
{
	const struct mq_area *a = &w->areas.area[w->area];
	int i = a->which == 0, rc;

	w->now.generation++;
	w->now.area = w->area;
	w->now.time_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	if (w->g->offsets_failed || mq_offsets_failed(w->g))
		rc = mq_err_set(w->err, -EIO, "%s: a sync of offsets failed before", w->g->label);
	else
		rc = put(w, i, a->seq + 1, true);
	if (rc < 0)
		rc = replace(w, i, a->seq + 1);
	if (rc == 0 && put(w, 1 - i, a->seq + 2, false) < 0) /* the first one counts */
		*w->err = (struct mq_err)MQ_ERR_INIT;
	return rc;
}

/* 1: done.  0: the place was set by hand meanwhile, and with it its owner passed over. */
static int move_place(struct work *w)
{
	unsigned mode = w->g->topic->spool->file_mode;
	struct mq_err unheard = MQ_ERR_INIT;
	uint32_t before = w->now.generation;
	char name[24];
	int rc;

	mq_group_owners_name(w->area, name); /* for people: without it they see less */
	(void)mq_file_ensure(w->g->dir, name, mode, (size_t)w->g->topic->conf.partitions * MQ_GROUP_OWNER_LEN, &unheard);
	rc = lock_offsets(w, false, w->err);
	if (rc == 0)
		rc = read_place(w);
	if (rc >= 0 && w->now.generation == before)
		rc = write_place(w);
	unlock_offsets(w);
	return rc < 0 ? rc : w->now.generation != before;
}

/* ---- */
/* Under the lock.  before: the generation that was seen first: of two who evict at once one is late. */
static int evict(struct work *w, uint32_t before, const char *member, bool dry_run, struct mq_eviction *ret)
{
	int rc = read_place(w);

	if (rc < 0 || w->now.generation != before)
		return rc < 0 ? rc : 0;
	rc = find_holder(w, w->now.area, ret);
	if (rc <= 0 || !is_meant(ret, member) || (member && !ret->handler_left && is_shared(w)))
		return rc < 0 ? rc : 0; /* those who share it go on without the one, who is evicted as a member */
	ret->generation = before + 1;
	rc = take_area(w);
	if (rc < 0)
		return rc;
	rc = dry_run ? 1 : move_place(w);
	leave_area(w);
	return rc;
}

int mq_evict(struct mq_group_topic *g, uint32_t p, const char *member, bool dry_run, uint32_t next, struct mq_eviction *ret,
             struct mq_err *err)
{
	struct work w = {.g = g, .p = p, .err = err};
	uint32_t before;
	int rc = read_place(&w);

	*ret = (struct mq_eviction){.pid = -1};
	if (rc < 0)
		return rc;
	if (g->locks < 0)
		return mq_err_set(err, MQ_EDENIED, "%s: locks cannot be opened", g->label);
	before = next ? next - 1 : w.now.generation;
	rc = mq_group_lock(g, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE + p, "acknowledgements", err);
	if (rc < 0)
		return rc;
	rc = evict(&w, before, member, dry_run, ret);
	mq_group_unlock(g, MQ_GROUP_ACKED_BYTE + p);
	if (rc == 1 && !dry_run) {
		mq_group_ring(g->dir);
		mq_evict_ring(g->topic->spool, g->group);
	}
	return rc;
}
