/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/areas.h"

#include <errno.h>
#include <string.h>

#include "sys/sys.h"

enum { PAIR_LEN = 2 * MQ_SLOT_BLOCK };

/* How much of the pair of blocks the file holds; the rest is zero. */
static ssize_t read_pair(int fd, uint32_t p, uint8_t raw[PAIR_LEN])
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < PAIR_LEN && n != 0) {
		n = mq_sys->pread(fd, raw + len, PAIR_LEN - len, (uint64_t)p * PAIR_LEN + len);
		if (n < 0 && n != -EINTR)
			return n;
		len += n > 0 ? (size_t)n : 0;
	}
	memset(raw + len, 0, PAIR_LEN - len);
	return (ssize_t)len;
}

/* end: bytes of the pair that are there. */
static void read_area(struct mq_area *a, uint32_t p, uint32_t area, const uint8_t raw[PAIR_LEN], uint64_t end)
{
	struct mq_commit c[2];
	uint64_t seq[2];

	memset(c, 0, sizeof c);
	for (uint32_t i = 0; i < 2; i++) {
		uint64_t at = mq_slot_at(mq_slot_number(i, area));
		const uint8_t *slot = raw + at;

		seq[i] = at + MQ_SLOT_LEN > end ? 0 : mq_commit_decode(slot, mq_slot_number(2 * p + i, area), &c[i]);
		a->is[i] = at + MQ_SLOT_LEN > end ? MQ_SLOT_CUT
		           : seq[i] > 0           ? MQ_SLOT_GOOD
		           : mq_slot_empty(slot)  ? MQ_SLOT_NEVER
		                                  : MQ_SLOT_BAD;
	}
	a->which = seq[0] == 0 && seq[1] == 0 ? -1 : seq[0] > seq[1] ? 0 : 1;
	a->seq = a->which < 0 ? 0 : seq[a->which];
	a->commit = c[a->which == 1];
	a->whole = seq[0] > 0 && seq[1] > 0 && c[0].generation == c[1].generation;
}

/* Nobody can know what it said.  unused: one before it was never used.  A cut takes all that was in the second block; the first
 * one says then what there was. */
static bool is_lost(const struct mq_area *a, bool first, bool unused)
{
	if (a->which >= 0 || (a->is[0] == MQ_SLOT_NEVER && a->is[1] == MQ_SLOT_NEVER))
		return false;
	if (a->is[1] == MQ_SLOT_CUT && (a->is[0] == MQ_SLOT_NEVER || (a->is[0] == MQ_SLOT_CUT && unused)))
		return first;
	return !(a->is[0] == MQ_SLOT_BAD && a->is[1] == MQ_SLOT_NEVER);
}

static bool is_sound(const struct mq_area *a)
{
	return a->is[0] < MQ_SLOT_BAD && a->is[1] < MQ_SLOT_BAD;
}

/* 1: each slot is good or was never written.  -1: nobody can know. */
static int decide(struct mq_areas *r)
{
	bool sound = true, lost = false, unused = false;

	r->counts = -1;
	for (int i = 0; i < MQ_SLOT_AREAS; i++) {
		const struct mq_area *a = &r->area[i];

		sound &= is_sound(a);
		lost |= is_lost(a, i == 0, unused);
		unused |= i > 0 && a->is[0] == MQ_SLOT_NEVER;
		if (a->which >= 0 && (r->counts < 0 || a->commit.generation > r->area[r->counts].commit.generation))
			r->counts = i;
	}
	r->torn = r->counts < 0 && r->area[0].is[0] == MQ_SLOT_BAD;
	r->cut = r->counts >= 0 && (r->area[r->counts].is[0] == MQ_SLOT_CUT || r->area[r->counts].is[1] == MQ_SLOT_CUT);
	return lost ? -1 : sound;
}

int mq_areas_read(const struct mq_group_topic *g, uint32_t p, bool made, struct mq_areas *ret, struct mq_err *err)
{
	uint8_t raw[PAIR_LEN];
	ssize_t n = 0;
	int rc = 0;

	/* A bad one may be a write seen half-way, and who writes on writes it over in place. */
	for (int attempt = 0; attempt < 9 && rc <= 0; attempt++) {
		n = read_pair(g->offsets, p, raw);
		if (n < 0)
			return mq_err_sys(err, (int)n, "offsets: cannot read");
		for (uint32_t a = 0; a < MQ_SLOT_AREAS; a++)
			read_area(&ret->area[a], p, a, raw, made ? (uint64_t)n : PAIR_LEN);
		rc = decide(ret);
	}
	if (rc >= 0)
		return 0;
	return mq_err_set(err, MQ_EDAMAGE, "offsets: %sno slot verifies; restore it, or set the place with mq-group seek",
	                  made && n < PAIR_LEN ? "it was cut short, and " : "");
}
