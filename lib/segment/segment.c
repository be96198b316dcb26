/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "segment/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "sys/sys.h"

void mq_segment_init(struct mq_segment *s)
{
	memset(s, 0, sizeof *s);
	s->fd = s->idx = -1;
}

void mq_segment_release(struct mq_segment *s)
{
	if (s->fd >= 0)
		(void)mq_sys->close(s->fd); /* every write that counts was synced or is unpromised */
	if (s->idx >= 0)
		(void)mq_sys->close(s->idx);
	mq_segment_init(s);
}

static int read_header(struct mq_segment *s, struct mq_err *err)
{
	uint8_t bytes[MQ_SEGMENT_HEADER_LEN];
	ssize_t n = mq_sys->pread(s->fd, bytes, sizeof bytes, 0);
	int rc;

	if (n < 0)
		return mq_err_sys(err, (int)n, "segment %s: cannot read the header", s->name);
	if (n < (ssize_t)sizeof bytes)
		return mq_err_set(err, MQ_EDAMAGE, "segment %s: shorter than its header (%zd bytes); try mq-check",
		                  s->name, n);
	rc = mq_segment_header_decode(bytes, &s->h, err);
	if (rc < 0)
		mq_err_prefix(err, "segment %s", s->name);
	return rc;
}

int mq_segment_open(struct mq_segment *ret, int dir, uint64_t base, const uint8_t id4[4], bool writable,
                    struct mq_err *err)
{
	struct mq_segment s;
	struct mq_segment_id id = {{0}};
	int rc;

	mq_segment_init(&s);
	memcpy(id.b, id4, 4);
	mq_segment_name(base, &id, "seg", s.name);
	s.writable = writable;
	s.fd = mq_sys->openat(dir, s.name, writable ? O_RDWR : O_RDONLY, 0);
	if (s.fd < 0)
		return mq_err_sys(err, s.fd, "cannot open segment %s", s.name);
	rc = read_header(&s, err);
	if (rc == 0 && (s.h.base_offset != base || memcmp(s.h.id.b, id4, 4) != 0))
		rc = mq_err_set(err, MQ_EDAMAGE, "segment %s: its header is another segment's (base %llu)", s.name,
		                (unsigned long long)s.h.base_offset);
	if (rc < 0) {
		mq_segment_release(&s);
		return rc;
	}
	*ret = s;
	return 0;
}

int mq_segment_open_blind(struct mq_segment *ret, int dir, const struct mq_segment_header *told, bool writable,
                          struct mq_err *err)
{
	struct mq_segment s;

	mq_segment_init(&s);
	mq_segment_name(told->base_offset, &told->id, "seg", s.name);
	s.writable = writable;
	s.fd = mq_sys->openat(dir, s.name, writable ? O_RDWR : O_RDONLY, 0);
	if (s.fd < 0)
		return mq_err_sys(err, s.fd, "cannot open segment %s", s.name);
	s.h = *told;
	*ret = s;
	return 0;
}

int mq_segment_open_to_append(struct mq_segment *ret, int dir, const struct mq_segment_header *told, struct mq_err *err)
{
	struct mq_segment s;
	int rc = mq_segment_open(ret, dir, told->base_offset, told->id.b, true, err);

	if (rc != -EACCES)
		return rc;
	mq_segment_init(&s);
	mq_segment_name(told->base_offset, &told->id, "seg", s.name);
	s.fd = mq_sys->openat(dir, s.name, O_WRONLY, 0);
	if (s.fd < 0)
		return rc; /* nor write: told already */
	if (err)
		*err = (struct mq_err)MQ_ERR_INIT;
	s.writable = s.unreadable = true;
	s.h = *told;
	*ret = s;
	return 0;
}

static void temporary_name(const struct mq_segment *s, char ret[MQ_SEGMENT_NAME_MAX + 8])
{
	/* ".BASE.ID.tmp": the dot and the suffix keep it from ever being taken for a segment. */
	snprintf(ret, MQ_SEGMENT_NAME_MAX + 8, ".%.29s.tmp", s->name);
}

int mq_segment_begin(struct mq_segment *ret, int dir, const struct mq_segment_header *h, unsigned mode,
                     struct mq_err *err)
{
	struct mq_segment s;
	char tmp[MQ_SEGMENT_NAME_MAX + 8];
	int rc;

	mq_segment_init(&s);
	s.h = *h;
	s.writable = true;
	s.end = MQ_SEGMENT_HEADER_LEN;
	s.end_offset = h->base_offset;
	mq_segment_name(h->base_offset, &h->id, "seg", s.name);
	temporary_name(&s, tmp);
	s.fd = mq_sys->openat(dir, tmp, O_RDWR | O_CREAT | O_EXCL, mode);
	if (s.fd < 0)
		return mq_err_sys(err, s.fd, "cannot create segment %s", s.name);
	rc = mq_sys->fchmod(s.fd, mode); /* whatever the umask */
	if (rc < 0) {
		mq_err_sys(err, rc, "cannot set the mode of segment %s", s.name);
		mq_segment_abandon(&s, dir);
		return rc;
	}
	*ret = s;
	return 0;
}

int mq_segment_put(struct mq_segment *s, const struct mq_batch *b, const void *body, struct mq_err *err)
{
	int rc = mq_segment_write(s, s->end, b, body, err);

	if (rc < 0)
		return rc;
	s->end += mq_batch_len(b);
	s->end_offset = b->next_offset;
	return 0;
}

/* Write all of `len` bytes at `pos`. */
static int write_whole(int fd, const void *bytes, size_t len, uint64_t pos)
{
	const uint8_t *p = bytes;

	while (len > 0) {
		ssize_t n = mq_sys->pwrite(fd, p, len, pos);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		p += n;
		pos += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

int mq_segment_bear(struct mq_segment *s, struct mq_err *err)
{
	uint8_t bytes[MQ_SEGMENT_HEADER_LEN];
	int rc;

	s->h.born_end_pos = s->end;
	s->h.born_end_offset = s->end_offset;
	mq_segment_header_encode(&s->h, bytes);
	rc = write_whole(s->fd, bytes, sizeof bytes, 0);
	if (rc < 0) {
		s->failed = true;
		return mq_err_sys(err, rc, "cannot write the header of segment %s", s->name);
	}
	return mq_segment_sync(s, err);
}

int mq_segment_name_it(struct mq_segment *s, int dir, struct mq_err *err)
{
	char tmp[MQ_SEGMENT_NAME_MAX + 8];
	int rc;

	temporary_name(s, tmp);
	rc = mq_sys->renameat(dir, tmp, dir, s->name, false);
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot give segment %s its name", s->name);
	rc = mq_sys->fsync(dir);
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot sync the directory after naming segment %s", s->name);
	return 0;
}

void mq_segment_abandon(struct mq_segment *s, int dir)
{
	char tmp[MQ_SEGMENT_NAME_MAX + 8];

	temporary_name(s, tmp);
	(void)mq_sys->unlinkat(dir, tmp, false); /* a stray that stays is told by mq-check */
	mq_segment_release(s);
}

int mq_segment_write(struct mq_segment *s, uint64_t pos, const struct mq_batch *b, const void *body,
                     struct mq_err *err)
{
	uint8_t header[MQ_BATCH_HEADER_LEN];
	struct iovec iov[2] = {{header, sizeof header}, {(void *)(uintptr_t)body, b->stored_len}};
	ssize_t n;
	int rc = 0;

	if (s->failed)
		return mq_err_set(err, MQ_EBROKEN, "segment %s: refused after an earlier failed write", s->name);
	mq_batch_encode(b, mq_batch_seed(s->h.id.b, pos), header);
	do
		n = mq_sys->pwritev(s->fd, iov, b->stored_len > 0 ? 2 : 1, pos);
	while (n == -EINTR);
	if (n < 0) {
		rc = (int)n;
	} else if ((uint64_t)n < mq_batch_len(b)) {
		size_t done = (size_t)n, head_left = done < sizeof header ? sizeof header - done : 0;

		/* A short write is legal anywhere (full disk, RLIMIT_FSIZE): the next one says why. */
		if (head_left > 0)
			rc = write_whole(s->fd, header + done, head_left, pos + done);
		if (rc == 0) {
			size_t body_done = head_left > 0 ? 0 : done - sizeof header;

			rc = write_whole(s->fd, (const uint8_t *)body + body_done, b->stored_len - body_done,
			                 pos + sizeof header + body_done);
		}
	}
	if (rc < 0) {
		/* No space, or a limit of this process, is no broken file: what stands behind pos was promised to nobody and is written
		 * over. */
		if (rc != -ENOSPC && rc != -EDQUOT && rc != -EFBIG)
			s->failed = true;
		return mq_err_sys(err, rc, "segment %s: cannot write %llu bytes at %llu", s->name,
		                  (unsigned long long)mq_batch_len(b), (unsigned long long)pos);
	}
	return 0;
}

int mq_segment_sync(struct mq_segment *s, struct mq_err *err)
{
	int rc = mq_sys->fdatasync(s->fd);

	if (rc < 0) {
		s->failed = true;
		return mq_err_sys(err, rc, "segment %s: cannot make it durable", s->name);
	}
	return 0;
}

int mq_segment_size(const struct mq_segment *s, uint64_t *ret, struct mq_err *err)
{
	struct mq_stat st;
	int rc = mq_sys->stat(s->fd, &st);

	if (rc < 0)
		return mq_err_sys(err, rc, "segment %s: cannot look at it", s->name);
	*ret = st.size;
	return 0;
}
