/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The places of a group in a topic: each area of each partition, and the zeros between them. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "log/cursor.h"
#include "spool/areas.h"
#include "spool/check_internal.h"
#include "sys/sys.h"

enum { PAIR_LEN = 2 * MQ_SLOT_BLOCK };

/* ---- what counts ---- */
/* The end as it is now: the group may have been quicker than the check. */
uint64_t mq_check_group_end(struct mq_check_group *g, uint32_t p)
{
	struct mq_cursor cursor;
	uint64_t end = 0;
	int dir = mq_partition_dir(g->t, p, NULL);

	if (dir < 0)
		return 0;
	if (mq_cursor_open(&cursor, dir, g->t->name, g->t->conf.id, p, NULL) == 0) {
		if (mq_cursor_refresh(&cursor, NULL) == 0)
			end = cursor.written_offset;
		mq_cursor_release(&cursor);
	}
	(void)mq_sys->close(dir);
	return end;
}

static int committed(struct mq_check_group *g, uint32_t p, const struct mq_area *a, uint32_t area)
{
	static const uint8_t none[16]; /* evicted before it had a place */
	const struct mq_commit *v = &a->commit;
	uint64_t end = g->end[p], now, at = mq_slot_at(mq_slot_number(2 * p + (uint32_t)a->which, area));

	if (memcmp(v->topic_id, none, 16) == 0)
		return 0;
	if (memcmp(v->topic_id, g->t->conf.id, 16) != 0)
		return mq_check_tell(g->c, MQ_CHECK_DEAD, g->where, "offsets", &(struct mq_check_place){.position = at, .length = MQ_SLOT_LEN},
		                     mq_check_not(g->c, "the group writes over it"), "a place in a former topic of this name");
	if (end == UINT64_MAX || v->offset <= end)
		return 0;
	now = mq_check_group_end(g, p);
	if (v->offset <= now)
		return 0;
	return mq_check_tell(g->c, MQ_CHECK_CONFIG, g->where, "offsets", &(struct mq_check_place){at, MQ_SLOT_LEN, end, v->offset},
	                     mq_check_not(g->c, "records it has read are gone; mq-group seek sets a place by hand"),
	                     "the group has committed %llu of partition %u, whose log ends at %llu", (unsigned long long)v->offset, p,
	                     (unsigned long long)end);
}

/* ---- slots ---- */
static int torn(struct mq_check_group *g, uint64_t at, const char *who, const char *text)
{
	return mq_check_tell(g->c, MQ_CHECK_TORN, g->where, "offsets", &(struct mq_check_place){.position = at, .length = MQ_SLOT_LEN},
	                     mq_check_not(g->c, who), "%s", text);
}

static int bad_slot(struct mq_check_group *g, const struct mq_areas *areas, uint32_t area, int i, uint64_t at)
{
	const struct mq_area *a = &areas->area[area];

	if (i == 0 && a->is[1] == MQ_SLOT_NEVER && area == 0)
		return torn(g, at, "the next member of the group writes over it",
		            "the first place does not verify: torn, or a flipped bit; nothing was committed yet");
	if (i == 0 && a->is[1] == MQ_SLOT_NEVER)
		return torn(g, at, "the next eviction writes over it", "a place does not verify: an eviction was not finished, or a flipped bit");
	if (a->which >= 0 && (int)area != areas->counts)
		return torn(g, at, "the next eviction writes over it",
		            "a slot of a former owner's place does not verify: an eviction was not finished, or a flipped bit");
	return mq_check_group_bad(g, "offsets", at, MQ_SLOT_LEN,
	                          a->which >= 0 ? "a slot of a place does not verify; the other one counts, and may be older"
	                                        : "no slot of a place verifies");
}

/* made: room for them was made, and of what lies behind the end it was told that it was cut off. */
static int slots_of(struct mq_check_group *g, int fd, uint32_t p, bool made)
{
	const struct mq_group_topic file = {.offsets = fd};
	struct mq_areas areas;
	int rc = 0;

	for (int attempt = 0; attempt < 5; attempt++) {
		bool bad = false;

		rc = mq_areas_read(&file, p, made, &areas, NULL);
		if (rc < 0 && rc != MQ_EDAMAGE)
			return mq_check_group_cannot(g, rc, "offsets");
		for (int a = 0; a < MQ_SLOT_AREAS; a++)
			bad |= areas.area[a].is[0] == MQ_SLOT_BAD || areas.area[a].is[1] == MQ_SLOT_BAD;
		if (!bad)
			break;
		(void)mq_sys->poll(NULL, 0, attempt < 4 ? 100000 : 0); /* seen half written, perhaps */
	}
	rc = 0;
	for (uint32_t a = 0; a < MQ_SLOT_AREAS && rc == 0; a++)
		for (int i = 0; i < 2 && rc == 0; i++)
			if (areas.area[a].is[i] == MQ_SLOT_BAD)
				rc = bad_slot(g, &areas, a, i, mq_slot_at(mq_slot_number(2 * p + (uint32_t)i, a)));
	return rc == 0 && areas.counts >= 0 ? committed(g, p, &areas.area[areas.counts], (uint32_t)areas.counts) : rc;
}

/* Behind each slot, up to the next area. */
static int zeros_of(struct mq_check_group *g, int fd, uint32_t p)
{
	uint8_t raw[PAIR_LEN];
	uint64_t from = (uint64_t)p * PAIR_LEN;
	ssize_t n = mq_check_read(fd, raw, sizeof raw, from);
	int rc = 0;

	if (n < 0)
		return mq_check_group_cannot(g, (int)n, "offsets");
	for (ssize_t at = 0; at < n && rc == 0; at++) {
		if (at % MQ_SLOT_AREA_LEN == 0)
			at += MQ_SLOT_LEN;
		if (at < n && raw[at]) {
			rc = mq_check_group_bad(g, "offsets", from + (uint64_t)at, 1, "a byte that belongs to nothing is not zero");
			at += MQ_SLOT_AREA_LEN - at % MQ_SLOT_AREA_LEN - 1; /* once each */
		}
	}
	return rc;
}

/* ---- the file ---- */
/* Made with room for the partitions that there were; a place of a later one ends in its slot, or its pair. */
static bool is_whole(const struct mq_topic *t, uint64_t size)
{
	uint64_t least = (uint64_t)t->conf.generations[0].partitions * PAIR_LEN;

	return size >= least && (size % MQ_SLOT_BLOCK == 0 || (size > least && size % MQ_SLOT_AREA_LEN == MQ_SLOT_LEN));
}

/* Who reads a place behind the cut is told that nobody can know it.  One slot of a pair is enough. */
static int cut_short(struct mq_check_group *g, int fd, uint64_t size)
{
	const struct mq_group_topic file = {.offsets = fd};
	uint32_t made = g->t->conf.generations[0].partitions, left = (uint32_t)(size / PAIR_LEN);
	struct mq_areas areas;
	char text[160];

	if (size % PAIR_LEN && mq_areas_read(&file, left, true, &areas, NULL) == 0 && areas.counts >= 0)
		left++;
	if (left < made)
		snprintf(text, sizeof text, "it was cut short: the places of partitions %u to %u are gone", left, made - 1);
	else
		snprintf(text, sizeof text, "it was cut short: a slot of the last place is gone; the other one counts, and may be older");
	return mq_check_group_bad(g, "offsets", size, 0, text);
}

int mq_check_offsets(struct mq_check_group *g, int fd, uint64_t size)
{
	struct mq_stat st;
	int64_t only = g->c->opt->partition;
	const struct mq_group_topic file = {.topic = g->t, .offsets = fd};
	bool whole = is_whole(g->t, size) || mq_group_topic_former(&file), made = mq_sys->statat(g->dir, "bell", &st) != -ENOENT;
	int rc = whole ? 0 : made ? cut_short(g, fd, size) : mq_check_group_unfinished(g, "offsets", size);

	for (uint32_t p = 0; p < g->t->conf.partitions && rc == 0; p++) {
		if (only < 0 || only == p)
			rc = slots_of(g, fd, p, made && !whole);
		if (rc == 0 && (only < 0 || only == p))
			rc = zeros_of(g, fd, p);
	}
	return rc;
}
