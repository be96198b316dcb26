/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/offsets.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

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

static int put_slot(int fd, uint32_t block, const uint8_t raw[MQ_SLOT_LEN])
{
	ssize_t n = mq_sys->pwrite(fd, raw, MQ_SLOT_LEN, (uint64_t)block * MQ_SLOT_BLOCK);

	return n == MQ_SLOT_LEN ? 0 : n < 0 ? (int)n : -EIO;
}

/* A slot as it is read, which may be from memory alone: in the copy it becomes durable.  One that was cut off must not become
 * one that was never written: it stays one that does not verify. */
static int copy_slot(int from, int to, uint32_t block, bool made)
{
	static const char cut_off[] = "this slot was cut off";
	uint8_t raw[MQ_SLOT_LEN];
	ssize_t n = mq_sys->pread(from, raw, MQ_SLOT_LEN, (uint64_t)block * MQ_SLOT_BLOCK);

	if (n < 0)
		return (int)n;
	memset(raw + n, 0, (size_t)(MQ_SLOT_LEN - n));
	if (n < MQ_SLOT_LEN && made)
		memcpy(raw, cut_off, sizeof cut_off);
	return mq_slot_empty(raw) ? 0 : put_slot(to, block, raw);
}

static int fill(struct mq_group_topic *g, int fd, uint32_t block, const uint8_t *raw)
{
	struct mq_stat st;
	uint32_t made = 2 * mq_group_made_for(g);
	uint64_t size = (uint64_t)(raw && block >= made ? block + 1 : made) * MQ_SLOT_BLOCK;
	int rc = mq_sys->fchmod(fd, g->topic->spool->file_mode);

	if (rc == 0)
		rc = mq_sys->stat(g->offsets, &st);
	if (rc == 0 && st.size > size)
		size = st.size;
	if (rc == 0) /* a later commit needs no space */
		rc = mq_sys->fallocate(fd, 0, size);
	for (uint32_t b = 0; rc == 0 && (uint64_t)b * MQ_SLOT_BLOCK < size; b++)
		if (!raw || b != block)
			rc = copy_slot(g->offsets, fd, b, b < made);
	if (rc == 0 && raw)
		rc = put_slot(fd, block, raw);
	return rc < 0 ? rc : mq_sys->fdatasync(fd);
}

int mq_offsets_replace(struct mq_group_topic *g, uint32_t block, const uint8_t raw[MQ_SLOT_LEN], struct mq_err *err)
{
	char tmp[32];
	int fd, rc = mq_random_name(".tmp-", tmp, err);

	if (rc < 0)
		return rc;
	fd = mq_sys->openat(g->dir, tmp, O_RDWR | O_CREAT | O_EXCL, g->topic->spool->file_mode);
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot replace offsets", g->label);
	rc = fill(g, fd, block, raw);
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

/* What nobody can read is set anew.  Its seek count is above any that was reached by counting, so that whoever has the place
 * in his hands, an owner or a printed position, is told from who comes now. */
static void set_anew(struct mq_commit *c, int *which, uint64_t *seq, struct mq_err *err)
{
	memset(c, 0, sizeof *c);
	c->seeks = (uint32_t)(mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000000000);
	*which = -1;
	*seq = 0;
	if (err)
		*err = (struct mq_err)MQ_ERR_INIT;
}

static int set_place(struct mq_group_topic *g, uint32_t p, uint64_t offset, struct mq_err *err)
{
	uint8_t raw[MQ_SLOT_LEN];
	struct mq_commit c;
	uint32_t block;
	uint64_t seq;
	int which, rc = mq_offsets_follow(g, err);

	if (rc >= 0)
		rc = mq_group_topic_read(g, p, &c, &which, &seq, err);
	if (rc == MQ_EDAMAGE)
		set_anew(&c, &which, &seq, err);
	else if (rc < 0)
		return rc;
	memcpy(c.topic_id, g->topic->conf.id, sizeof c.topic_id);
	c.offset = offset;
	c.seeks++;
	c.time_us = mq_sys->clock_ns(MQ_CLOCK_REAL) / 1000;
	block = p * 2 + (which == 0 || which == -2); /* the other one: all of the copy is durable before it counts */
	mq_commit_encode(&c, seq + 1, block, raw);
	mq_offsets_note_failed(g);
	return mq_offsets_replace(g, block, raw, err);
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
