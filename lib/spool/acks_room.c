/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The beginning of acked.P, allocated ahead and used again and again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "spool/acks_file.h"
#include "sys/sys.h"

/* Where that fails it begins empty, and grows by what is added. */
static int make(struct mq_group_topic *g, const char *name)
{
	unsigned mode = g->topic->spool->file_mode;
	int rc, fd = mq_sys->openat(g->dir, name, O_RDWR | O_CREAT | O_EXCL, mode);

	if (fd < 0)
		return fd;
	rc = mq_sys->fchmod(fd, mode);
	if (rc < 0) {
		(void)mq_sys->close(fd);
		return rc;
	}
	(void)mq_sys->fallocate(fd, 0, MQ_ACKS_ROOM);
	return fd;
}

int mq_acks_open(struct mq_group_topic *g, uint32_t p)
{
	char name[32];
	struct mq_stat st;
	int fd;

	snprintf(name, sizeof name, "acked.%u", p);
	fd = mq_sys->openat(g->dir, name, O_RDWR, 0);
	if (fd >= 0 && mq_sys->stat(fd, &st) == 0 && st.size == 0)
		(void)mq_sys->fallocate(fd, 0, MQ_ACKS_ROOM); /* whoever made it was killed before that, or is about to */
	return fd == -ENOENT ? make(g, name) : fd;
}

int mq_acks_room_read(struct mq_acks_room *r, int fd, uint64_t size)
{
	size_t len = 0, want = size < MQ_ACKS_ROOM ? (size_t)size : MQ_ACKS_ROOM;
	ssize_t n = 1;

	r->used = r->changed = r->upto = 0;
	while (len < want && n != 0) {
		n = mq_sys->pread(fd, r->entry + len, want - len, len);
		if (n < 0 && n != -EINTR)
			return (int)n;
		len += n > 0 ? (size_t)n : 0;
	}
	r->slots = len / MQ_ACK_LEN;
	for (size_t i = 0; i < r->slots; i++)
		r->used += !mq_ack_free(r->entry + i * MQ_ACK_LEN);
	return 0;
}

static void change(struct mq_acks_room *r, size_t slot)
{
	size_t at = slot * MQ_ACK_LEN;

	if (r->upto == 0 || at < r->changed)
		r->changed = at;
	if (at + MQ_ACK_LEN > r->upto)
		r->upto = at + MQ_ACK_LEN;
}

bool mq_acks_room_add(struct mq_acks_room *r, const struct mq_commit *now, uint64_t offset)
{
	size_t left = r->slots - r->used, i = 0;

	if (left <= (offset == now->offset ? 0 : MQ_ACKS_KEPT))
		return false;
	while (!mq_ack_free(r->entry + i * MQ_ACK_LEN))
		i++;
	mq_ack_encode(r->entry + i * MQ_ACK_LEN, i * MQ_ACK_LEN, offset, now);
	r->used++;
	change(r, i);
	return true;
}

size_t mq_acks_room_clear(struct mq_acks_room *r, const struct mq_commit *now)
{
	size_t gone = 0;

	for (size_t i = 0; i < r->slots; i++) {
		uint8_t *e = r->entry + i * MQ_ACK_LEN;
		uint64_t offset;

		if (mq_ack_free(e) || (mq_ack_decode(e, i * MQ_ACK_LEN, now, &offset) && offset >= now->offset))
			continue;
		memset(e, 0, MQ_ACK_LEN);
		change(r, i);
		gone++;
	}
	r->used -= gone;
	return gone;
}

int mq_acks_room_write(struct mq_acks_room *r, int fd)
{
	return mq_acks_write_at(fd, r->entry + r->changed, r->upto - r->changed, r->changed);
}
