/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "spool/acks_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "spool/dirs.h"
#include "sys/sys.h"

enum { READ_LEN = 2048 * MQ_ACK_LEN };

static uint32_t entry_crc(const uint8_t *e, uint64_t at)
{
	uint8_t pos[8];

	mq_put_le64(pos, at);
	return mq_crc32c(mq_crc32c(0, pos, sizeof pos), e, MQ_ACK_LEN - 4);
}

void mq_ack_encode(uint8_t e[MQ_ACK_LEN], uint64_t at, uint64_t offset, const struct mq_commit *now)
{
	mq_put_le64(e, offset);
	mq_put_le32(e + 8, now->generation);
	mq_put_le32(e + 12, now->seeks);
	memcpy(e + 16, now->topic_id, 4);
	mq_put_le32(e + 20, entry_crc(e, at));
}

bool mq_ack_decode(const uint8_t e[MQ_ACK_LEN], uint64_t at, const struct mq_commit *now, uint64_t *ret_offset)
{
	*ret_offset = mq_get_le64(e);
	return mq_get_le32(e + 20) == entry_crc(e, at) && mq_get_le32(e + 8) <= now->generation &&
	       mq_get_le32(e + 12) == now->seeks && memcmp(e + 16, now->topic_id, 4) == 0;
}

bool mq_ack_free(const uint8_t e[MQ_ACK_LEN])
{
	static const uint8_t zero[MQ_ACK_LEN];

	return memcmp(e, zero, MQ_ACK_LEN) == 0;
}

static void file_name(uint32_t p, char ret[32])
{
	snprintf(ret, 32, "acked.%u", p);
}

/* ---- reading ---- */
static int keep(struct mq_acks *a, uint64_t offset)
{
	if (a->n == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 256;
		uint64_t *v = realloc(a->offset, cap * sizeof *v);

		if (!v)
			return -ENOMEM;
		a->offset = v;
		a->cap = cap;
	}
	a->offset[a->n++] = offset;
	return 0;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void sort(struct mq_acks *a)
{
	size_t n = 0;

	if (a->n > 1)
		qsort(a->offset, a->n, sizeof *a->offset, compare);
	for (size_t i = 0; i < a->n; i++)
		if (i == 0 || a->offset[i] != a->offset[n - 1])
			a->offset[n++] = a->offset[i];
	a->n = n;
}

/* Entries from a->size on: 1 there may be more, 0 that was all. */
static int read_some(int fd, const struct mq_commit *now, uint8_t buf[READ_LEN], struct mq_acks *a)
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < READ_LEN && n != 0) {
		n = mq_sys->pread(fd, buf + len, READ_LEN - len, a->size + len);
		if (n < 0 && n != -EINTR)
			return (int)n;
		len += n > 0 ? (size_t)n : 0;
	}
	for (size_t at = 0; at + MQ_ACK_LEN <= len; at += MQ_ACK_LEN) {
		uint64_t offset;

		if (mq_ack_decode(buf + at, a->size + at, now, &offset) && offset >= now->offset && keep(a, offset) < 0)
			return -ENOMEM;
		a->used += a->size + at < MQ_ACKS_ROOM && !mq_ack_free(buf + at);
	}
	a->size += len;
	return len == READ_LEN;
}

int mq_acks_read(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, struct mq_acks *ret, struct mq_err *err)
{
	struct mq_acks a = {0};
	uint8_t *buf;
	char name[32];
	int fd, rc = 1;

	*ret = a;
	file_name(p, name);
	fd = mq_sys->openat(g->dir, name, O_RDONLY, 0);
	if (fd == -ENOENT)
		return 0;
	if (fd < 0)
		return mq_err_sys(err, fd, "%s: cannot open %s", g->label, name);
	buf = malloc(READ_LEN);
	if (!buf)
		rc = -ENOMEM;
	while (rc > 0)
		rc = read_some(fd, now, buf, &a);
	free(buf);
	(void)mq_sys->close(fd);
	if (rc < 0) {
		mq_acks_release(&a);
		return mq_err_sys(err, rc, "%s: cannot read %s", g->label, name);
	}
	sort(&a);
	*ret = a;
	return 0;
}

void mq_acks_release(struct mq_acks *a)
{
	free(a->offset);
	*a = (struct mq_acks){0};
}

/* ---- writing ---- */
int mq_acks_write_at(int fd, const uint8_t *bytes, size_t len, uint64_t at)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = mq_sys->pwrite(fd, bytes + done, len - done, at + done);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (size_t)n;
	}
	return 0;
}

/* What counts: a record below the place is done already. */
static size_t encode_all(uint8_t *bytes, uint64_t at, const struct mq_commit *now, const uint64_t *offsets, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		if (offsets[i] >= now->offset) {
			mq_ack_encode(bytes + len, at + len, offsets[i], now);
			len += MQ_ACK_LEN;
		}
	return len;
}

static bool holds(const uint64_t *offsets, size_t n, uint64_t offset)
{
	for (size_t i = 0; i < n; i++)
		if (offsets[i] == offset)
			return true;
	return false;
}

/* Behind the last whole entry: zeros, over a torn one, so that the length tells of no doubt any more.  Without room for them the
 * next one syncs the directory again. */
static void even(int fd, uint64_t *size)
{
	static const uint8_t zero[MQ_ACK_LEN];
	uint64_t at = *size - *size % MQ_ACK_LEN;

	*size = at;
	if (mq_acks_write_at(fd, zero, sizeof zero, at) == 0)
		*size = at + MQ_ACK_LEN;
}

/* What counts, in the room and behind the end: a record below the place is done already. */
static int add_all(struct mq_group_topic *g, int fd, uint64_t size, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                   uint8_t *bytes, size_t *ret_done)
{
	struct mq_acks_room r;
	size_t i = 0;
	int behind = 0, rc = mq_acks_room_read(&r, fd, size);

	if (rc == 0 && (r.used == 0 || size % MQ_ACK_LEN != 0))
		rc = mq_sys->fsync(g->dir);
	if (rc < 0)
		return rc;
	if (size % MQ_ACK_LEN != 0)
		even(fd, &size);
	while (i < n && (offsets[i] < now->offset || mq_acks_room_add(&r, now, offsets[i])))
		i++;
	if (r.upto > 0)
		rc = mq_acks_room_write(&r, fd);
	if (rc == 0 && i < n)
		behind = mq_acks_write_at(fd, bytes, encode_all(bytes, size, now, offsets + i, n - i), size);
	if (rc == 0 && (r.upto > 0 || i < n))
		rc = mq_sys->fdatasync(fd);
	if (rc == 0)
		*ret_done = behind < 0 ? i : n;
	return rc < 0 ? rc : behind;
}

int mq_acks_append(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                   size_t *ret_done, struct mq_err *err)
{
	uint8_t *bytes = malloc(n * MQ_ACK_LEN + 1);
	struct mq_stat st;
	char name[32];
	int fd, rc;

	*ret_done = 0;
	file_name(p, name);
	fd = bytes ? mq_acks_open(g, p) : -ENOMEM;
	rc = fd < 0 ? fd : mq_sys->stat(fd, &st);
	if (rc < 0) {
		mq_err_sys(err, rc, "%s: cannot open %s", g->label, name);
	} else if (st.size >= MQ_ACKS_MAX && !holds(offsets, n, now->offset)) {
		rc = mq_err_set(err, MQ_EAGAIN,
		                "%s: %u acknowledgements wait above offset %llu of partition %u, which has none: acknowledge that record, "
		                "or set the place with mq-group seek",
		                g->label, MQ_ACKS_MAX / MQ_ACK_LEN, (unsigned long long)now->offset, p);
	} else {
		rc = add_all(g, fd, st.size, now, offsets, n, bytes, ret_done);
		if (rc < 0)
			mq_err_sys(err, rc, "%s: cannot write %s", g->label, name);
	}
	free(bytes);
	if (fd >= 0)
		(void)mq_sys->close(fd);
	return rc;
}

int mq_acks_rewrite(struct mq_group_topic *g, uint32_t p, const struct mq_commit *now, const uint64_t *offsets, size_t n,
                    struct mq_err *err)
{
	enum { SHORT = MQ_ACKS_ROOM - MQ_ACK_LEN }; /* the entry that evens it out is the room's last */
	uint8_t *bytes = calloc(1, SHORT + n * MQ_ACK_LEN + 1);
	char name[32];
	size_t len;
	int rc;

	if (!bytes)
		return mq_err_set(err, -ENOMEM, "no memory for %zu acknowledgements", n);
	file_name(p, name);
	len = encode_all(bytes, 0, now, offsets, n);
	rc = mq_file_put(g->dir, name, g->topic->spool->file_mode, bytes, (len < SHORT ? SHORT : len) + 1, true, err);
	free(bytes);
	if (rc < 0)
		mq_err_prefix(err, "%s", g->label);
	return rc;
}
