/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/offsets.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "spool/areas.h"
#include "spool/dirs.h"
#include "sys/sys.h"

int mq_offsets_lock(struct mq_group_topic *g, bool alone, struct mq_err *err)
{
	return mq_group_lock(g, alone ? MQ_LOCK_WRITE : MQ_LOCK_READ, MQ_GROUP_OFFSETS_BYTE, "offsets", err);
}

void mq_offsets_unlock(struct mq_group_topic *g)
{
	mq_group_unlock(g, MQ_GROUP_OFFSETS_BYTE);
}

static void take_file(struct mq_group_topic *g, int fd)
{
	(void)mq_sys->close(g->offsets);
	g->offsets = fd;
	g->offsets_no++;
	g->offsets_failed = false;
}

int mq_offsets_follow(struct mq_group_topic *g, struct mq_err *err)
{
	struct mq_stat st;
	int fd, rc = mq_sys->stat(g->offsets, &st);

	if (rc < 0)
		return mq_err_sys(err, rc, "%s: cannot look at offsets", g->label);
	if (st.nlink > 0)
		return 0;
	fd = mq_sys->openat(g->dir, "offsets", O_RDWR, 0);
	if (fd == -EACCES || fd == -EROFS)
		fd = mq_sys->openat(g->dir, "offsets", O_RDONLY, 0); /* to look */
	if (fd == -ENOENT)
		return mq_err_set(err, MQ_ENOTOPIC, "%s: the group was deleted", g->label);
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot open offsets", g->label);
	rc = mq_dir_sync(g->dir, g->label, err); /* whoever gave it its name may be dead */
	if (rc < 0) {
		(void)mq_sys->close(fd);
		return rc;
	}
	take_file(g, fd);
	return 1;
}

void mq_offsets_note_failed(struct mq_group_topic *g)
{
	int fd = mq_sys->openat(g->dir, "offsets.failed", O_WRONLY | O_CREAT, g->topic->spool->file_mode);

	if (fd >= 0) /* it need not last: after a power cut the disk's own word counts */
		(void)mq_sys->close(fd);
}

bool mq_offsets_failed(struct mq_group_topic *g)
{
	struct mq_stat st;

	return mq_sys->statat(g->dir, "offsets.failed", &st) == 0;
}

/* ---- the file anew ---- */
struct copy {
	int from, to;
	uint32_t made;        /* partitions that the old one was made with room for */
	uint32_t slot;        /* put in place of the one that is there, by its number; */
	const uint8_t *raw;   /* NULL: none */
	bool former;          /* it was made for a former topic: nothing was cut off */
	bool anew;            /* of its partition nothing is taken along that does not verify */
};

static int put_slot(int fd, uint32_t slot, const uint8_t raw[MQ_SLOT_LEN])
{
	ssize_t n = mq_sys->pwrite(fd, raw, MQ_SLOT_LEN, mq_slot_at(slot));

	return n == MQ_SLOT_LEN ? 0 : n < 0 ? (int)n : -EIO;
}

static bool is_dropped(const struct copy *c, uint32_t slot, const uint8_t raw[MQ_SLOT_LEN])
{
	struct mq_commit v;

	if (!c->raw || mq_slot_block(slot) / 2 != mq_slot_block(c->slot) / 2)
		return false;
	return slot == c->slot || (c->anew && mq_commit_decode(raw, slot, &v) == 0);
}

/* A block as it is read, which may be from memory alone: in the copy it becomes durable.  A place that was cut off must not
 * become one that was never written: it stays one that does not verify.  Of areas the first block says enough: *told, so many of
 * them are there, or known to be unused (areas.h). */
static int copy_block(const struct copy *c, uint32_t block, uint32_t *told)
{
	static const char cut_off[] = "this slot was cut off";
	uint8_t raw[MQ_SLOT_BLOCK] = {0};
	ssize_t n = mq_sys->pread(c->from, raw, sizeof raw, (uint64_t)block * MQ_SLOT_BLOCK);
	bool first = block % 2 == 0;
	int rc = n < 0 ? (int)n : 0;

	*told = first ? 0 : *told;
	for (uint32_t a = 0; a < MQ_SLOT_AREAS && rc == 0; a++) {
		uint32_t slot = mq_slot_number(block, a);
		uint8_t *at = raw + (size_t)a * MQ_SLOT_AREA_LEN;
		uint64_t needed = (uint64_t)a * MQ_SLOT_AREA_LEN + MQ_SLOT_LEN;
		bool whole = (uint64_t)n >= needed;

		if (!whole)
			memset(at, 0, MQ_SLOT_LEN);
		if (whole && first && *told < MQ_SLOT_AREAS)
			*told = a > 0 && mq_slot_empty(at) ? MQ_SLOT_AREAS : a + 1;
		if (!whole && !c->former && block / 2 < c->made && (a == 0 || a >= *told))
			memcpy(at, cut_off, sizeof cut_off);
		if (!mq_slot_empty(at) && !is_dropped(c, slot, at))
			rc = put_slot(c->to, slot, at);
	}
	return rc;
}

static int fill(struct mq_group_topic *g, const struct copy *c)
{
	struct mq_stat st;
	uint32_t block = mq_slot_block(c->slot);
	uint32_t told = 0;
	uint64_t size = (uint64_t)(c->raw && block >= 2 * c->made ? block + 1 : 2 * c->made) * MQ_SLOT_BLOCK;
	int rc = mq_sys->fchmod(c->to, g->topic->spool->file_mode);

	if (rc == 0)
		rc = mq_sys->stat(c->from, &st);
	if (rc == 0 && st.size > size)
		size = st.size;
	if (rc == 0) /* a later commit needs no space */
		rc = mq_sys->fallocate(c->to, 0, size);
	for (uint32_t b = 0; rc == 0 && (uint64_t)b * MQ_SLOT_BLOCK < size; b++)
		rc = copy_block(c, b, &told);
	if (rc == 0 && c->raw)
		rc = put_slot(c->to, c->slot, c->raw);
	return rc < 0 ? rc : mq_sys->fdatasync(c->to);
}

int mq_offsets_replace(struct mq_group_topic *g, uint32_t slot, const uint8_t raw[MQ_SLOT_LEN], bool anew, struct mq_err *err)
{
	struct copy c = {g->offsets, -1, mq_group_made_for(g), slot, raw, mq_group_topic_former(g), anew};
	char tmp[32];
	int fd, rc = mq_random_name(".tmp-", tmp, err);

	if (rc < 0)
		return rc;
	fd = mq_sys->openat(g->dir, tmp, O_RDWR | O_CREAT | O_EXCL, g->topic->spool->file_mode);
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot replace offsets", g->label);
	c.to = fd;
	rc = fill(g, &c);
	if (rc == 0)
		rc = mq_sys->renameat(g->dir, tmp, g->dir, "offsets", true);
	if (rc < 0) {
		(void)mq_sys->unlinkat(g->dir, tmp, false);
		(void)mq_sys->close(fd);
		return mq_err_sys(err, rc, "%s: cannot replace offsets", g->label);
	}
	take_file(g, fd);
	rc = mq_dir_sync(g->dir, g->label, err);
	if (rc == 0)
		(void)mq_sys->unlinkat(g->dir, "offsets.failed", false); /* one that stays costs a copy */
	return rc;
}

/* What nobody can read is set anew.  Its seek count is above any that was reached by counting, its generation above any that an area
 * may have had which does not verify, so that whoever has the place in his hands, an owner or a printed position, is told from
 * who comes now.  *which, *seq: of the slot that is given up. */
static void set_anew(const struct mq_areas *areas, struct mq_commit *c, int *which, uint64_t *seq)
{
	const struct mq_area *best = areas->counts < 0 ? &areas->area[0] : &areas->area[areas->counts];
	bool evicted = false;

	for (int a = 1; a < MQ_SLOT_AREAS; a++)
		evicted |= areas->area[a].is[0] != MQ_SLOT_NEVER;
	*c = (struct mq_commit){.seeks = (uint32_t)(mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000000000)};
	c->area = areas->counts < 0 ? 0 : (uint32_t)areas->counts;
	c->generation = evicted ? best->commit.generation + MQ_SLOT_AREAS : 0;
	*which = best->which;
	*seq = best->seq;
}

static int set_place(struct mq_group_topic *g, uint32_t p, uint64_t offset, struct mq_err *err)
{
	uint8_t raw[MQ_SLOT_LEN];
	struct mq_areas areas;
	struct mq_commit c;
	uint32_t slot;
	uint64_t seq;
	bool anew;
	int which, rc = mq_offsets_follow(g, err);

	if (rc >= 0)
		rc = mq_group_topic_read(g, p, &c, &which, &seq, err);
	anew = rc == MQ_EDAMAGE;
	if (anew && err)
		*err = (struct mq_err)MQ_ERR_INIT;
	if (anew)
		rc = mq_group_topic_areas(g, p, &areas, err);
	if (rc < 0 && rc != MQ_EDAMAGE)
		return rc;
	if (anew)
		set_anew(&areas, &c, &which, &seq);
	if (err)
		*err = (struct mq_err)MQ_ERR_INIT;
	memcpy(c.topic_id, g->topic->conf.id, sizeof c.topic_id);
	c.offset = offset;
	c.seeks++;
	c.time_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	/* The other one: all of the copy is durable before it counts. */
	slot = mq_slot_number(p * 2 + (which == 0 || which == -2), c.area);
	mq_commit_encode(&c, seq + 1, slot, raw);
	mq_offsets_note_failed(g);
	return mq_offsets_replace(g, slot, raw, anew, err);
}

int mq_offsets_force_seek(struct mq_group_topic *g, uint32_t p, uint64_t offset, struct mq_err *err)
{
	int rc = mq_offsets_lock(g, true, err);

	if (rc < 0)
		return rc;
	rc = set_place(g, p, offset, err);
	mq_offsets_unlock(g);
	if (rc == 0)
		mq_group_ring(g->dir);
	return rc;
}
