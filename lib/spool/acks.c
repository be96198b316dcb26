/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Acknowledgements from outside, above the committed offset: acked.P, entries of 24 bytes
 *
 *   u64 offset, u32 generation, u32 seeks, u32 first 4 bytes of the topic id, u32 CRC32C of the 20 before, seeded
 *   with the entry's position
 *
 * Changed only under byte 2^33 + p, and opened by name under it; the owner removes the file when its place has passed
 * every entry.  An entry that does not verify (a torn end) was promised to nobody: the adder syncs before it answers.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "spool/dirs.h"
#include "spool/owner.h"
#include "sys/hold.h"
#include "sys/sys.h"

enum { ENTRY_LEN = 24, ACKS_MAX = 64 << 20 };

static uint32_t entry_crc(const uint8_t *e, uint64_t at)
{
	uint8_t pos[8];

	mq_put_le64(pos, at);
	return mq_crc32c(mq_crc32c(0, pos, sizeof pos), e, ENTRY_LEN - 4);
}

static void encode(uint8_t *e, uint64_t at, uint64_t offset, const struct mq_commit *now)
{
	mq_put_le64(e, offset);
	mq_put_le32(e + 8, now->generation);
	mq_put_le32(e + 12, now->seeks);
	memcpy(e + 16, now->topic_id, 4);
	mq_put_le32(e + 20, entry_crc(e, at));
}

static bool decode(const uint8_t *e, uint64_t at, const struct mq_commit *now, uint64_t *ret_offset)
{
	*ret_offset = mq_get_le64(e);
	return mq_get_le32(e + 20) == entry_crc(e, at) && mq_get_le32(e + 8) == now->generation &&
	       mq_get_le32(e + 12) == now->seeks && memcmp(e + 16, now->topic_id, 4) == 0;
}

static void file_name(uint32_t p, char ret[32])
{
	snprintf(ret, 32, "acked.%u", p);
}

static int lock_acks(struct mq_group_topic *g, uint32_t p, struct mq_err *err)
{
	int rc;

	mq_hold_signals();
	do
		rc = mq_sys->lock(g->locks, MQ_LOCK_WRITE, MQ_GROUP_ACKED_BYTE + p, 1, true);
	while (rc == -EINTR);
	if (rc < 0) {
		mq_unhold_signals();
		mq_err_sys(err, rc, "%s: cannot lock the acknowledgements", g->label);
	}
	return rc;
}

static void unlock_acks(struct mq_group_topic *g, uint32_t p)
{
	(void)mq_sys->lock(g->locks, MQ_LOCK_NONE, MQ_GROUP_ACKED_BYTE + p, 1, false);
	mq_unhold_signals();
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* The offsets at or above now->offset, sorted; *ret_bytes: the file's length.  The caller frees. */
static int read_acks(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, uint64_t **ret, size_t *ret_n,
                     struct mq_err *err)
{
	struct mq_buf b = MQ_BUF_INIT;
	char name[32];
	uint64_t *v = NULL;
	size_t n = 0;
	int rc;

	*ret = NULL;
	*ret_n = 0;
	file_name(p, name);
	rc = mq_file_read(g->dir, name, ACKS_MAX, &b, NULL);
	if (rc == -ENOENT)
		rc = 0;
	else if (rc < 0)
		mq_err_set(err, rc, "%s: cannot read %s", g->label, name);
	if (rc == 0 && b.len >= ENTRY_LEN) {
		v = malloc(b.len / ENTRY_LEN * sizeof *v);
		if (!v)
			rc = mq_err_set(err, -ENOMEM, "no memory for %zu acknowledgements", b.len / ENTRY_LEN);
		for (size_t at = 0; v && at + ENTRY_LEN <= b.len; at += ENTRY_LEN)
			if (decode((const uint8_t *)b.p + at, at, now, &v[n]) && v[n] >= now->offset)
				n++;
	}
	mq_buf_release(&b);
	if (rc < 0)
		return rc;
	if (n > 1)
		qsort(v, n, sizeof *v, compare);
	*ret = v;
	*ret_n = n;
	return 0;
}

int mq_acks_merge(struct mq_ownership *o, struct mq_err *err)
{
	uint64_t *v, place = o->commit.offset;
	size_t n, i;
	char name[32];
	int rc = lock_acks(&o->g, o->partition, err);

	if (rc < 0)
		return rc;
	rc = read_acks(&o->g, o->partition, &o->commit, &v, &n, err);
	if (rc < 0)
		goto out;
	for (i = 0; i < n && v[i] <= place; i++)
		if (v[i] == place)
			place++;
	if (place > o->commit.offset)
		rc = mq_ownership_commit(o, place, 0, err);
	if (rc == 0 && n > 0 && i == n) {
		/* All of them lie below the place: it must be durable before they go. */
		rc = mq_ownership_sync(o, err);
		file_name(o->partition, name);
		if (rc == 0) {
			rc = mq_sys->unlinkat(o->g.dir, name, false);
			if (rc < 0)
				mq_err_sys(err, rc, "%s: cannot remove %s", o->g.label, name);
		}
	}
	free(v);
out:
	unlock_acks(&o->g, o->partition);
	return rc;
}

int mq_acks_count(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, uint64_t *ret, struct mq_err *err)
{
	uint64_t *v;
	size_t n;
	int rc = read_acks(g, p, now, &v, &n, err);

	if (rc < 0)
		return rc;
	*ret = 0;
	for (size_t i = 0; i < n; i++)
		*ret += i == 0 || v[i] != v[i - 1];
	free(v);
	return 0;
}

static void ring(struct mq_group_topic *g)
{
	int fd = mq_sys->openat(g->dir, "bell", O_WRONLY, 0);

	if (fd < 0)
		return; /* the owner's poll covers it */
	(void)mq_sys->pwrite(fd, "", 1, 0);
	(void)mq_sys->close(fd);
}

static int append(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                  struct mq_err *err)
{
	unsigned mode = g->topic->spool->file_mode;
	struct mq_stat st;
	uint8_t *bytes;
	uint64_t at;
	char name[32];
	bool fresh;
	int fd, rc;

	file_name(p, name);
	fd = mq_sys->openat(g->dir, name, O_RDWR, 0);
	fresh = fd == -ENOENT;
	if (fresh)
		fd = mq_sys->openat(g->dir, name, O_RDWR | O_CREAT | O_EXCL, mode);
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot open %s", g->label, name);
	rc = fresh ? mq_sys->fchmod(fd, mode) : 0;
	if (rc == 0)
		rc = mq_sys->stat(fd, &st);
	bytes = malloc(n * ENTRY_LEN);
	if (rc == 0 && !bytes)
		rc = -ENOMEM;
	if (rc == 0) {
		at = st.size - st.size % ENTRY_LEN; /* a torn end is written over */
		for (size_t i = 0; i < n; i++)
			encode(bytes + i * ENTRY_LEN, at + i * ENTRY_LEN, offsets[i], now);
		for (size_t done = 0; done < n * ENTRY_LEN && rc == 0;) {
			ssize_t w = mq_sys->pwrite(fd, bytes + done, n * ENTRY_LEN - done, at + done);

			if (w <= 0)
				rc = w < 0 ? (int)w : -EIO;
			else
				done += (size_t)w;
		}
	}
	if (rc == 0)
		rc = mq_sys->fdatasync(fd);
	if (rc == 0 && fresh)
		rc = mq_sys->fsync(g->dir);
	free(bytes);
	(void)mq_sys->close(fd);
	return rc < 0 ? mq_err_sys(err, rc, "%s: cannot write %s", g->label, name) : 0;
}

int mq_acks_add(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                struct mq_err *err)
{
	int rc = lock_acks(g, p, err);

	if (rc < 0)
		return rc;
	rc = append(g, p, now, offsets, n, err);
	unlock_acks(g, p);
	if (rc == 0)
		ring(g);
	return rc;
}
