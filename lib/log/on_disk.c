/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Are published bytes on the disk?  After a sync that failed, or may have, no later sync of the file answers that.
 * Writing the same bytes again before it mends XFS, but not ext4 (delayed allocation, Linux 6.18): where a page of new
 * blocks could not be written out, these stay "unwritten" on the disk and are "written" in memory, so the second
 * write-out puts the bytes into blocks that read as zeros once the page is gone, and the sync answers 0
 * (tests/crash/kernel_eio.t).  So the disk is asked: each batch, verified in memory, is compared with what a read past
 * the cache gives.
 *
 * The same holds for what a killed publisher wrote and did not publish: the next batches are written over it, into pages whose
 * blocks may be such, and their sync answers 0.  It is compared as it lies there.  That may be changed meanwhile, by who writes
 * over it: so what differs is looked at again.  A block of zeros says nothing, and counts as not on the disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "log/internal.h"
#include "sys/sys.h"

enum {
	DIRECT_ALIGN = 4096, /* of places, lengths and memory: enough for every disk */
	DIRECT_CHUNK = 8 * DIRECT_ALIGN,
	TMPFS = 0x01021994, /* statfs(2): memory alone, which a sync has no part in */
};

static int not_there(const struct mq_log *log, uint64_t pos, struct mq_err *err)
{
	return mq_err_set(err, MQ_EBROKEN, "segment %s: what was published at %llu is not on the disk, though a sync succeeded",
	                  log->head.name, (unsigned long long)pos);
}

static int same(const struct mq_log *log, int fd, uint64_t pos, const uint8_t *bytes, uint64_t len, struct mq_err *err)
{
	_Alignas(DIRECT_ALIGN) uint8_t chunk[DIRECT_CHUNK];
	uint64_t end = pos + len;

	while (pos < end) {
		uint64_t at = pos / DIRECT_ALIGN * DIRECT_ALIGN, skip = pos - at, n;
		ssize_t got = mq_sys->pread(fd, chunk, sizeof chunk, at);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return mq_err_sys(err, (int)got, "segment %s: cannot read %llu from the disk", log->head.name,
			                  (unsigned long long)at);
		if ((uint64_t)got <= skip)
			return not_there(log, pos, err);
		n = (uint64_t)got - skip < end - pos ? (uint64_t)got - skip : end - pos;
		if (memcmp(chunk + skip, bytes, n) != 0)
			return not_there(log, pos, err);
		bytes += n;
		pos += n;
	}
	return 0;
}

static bool all_zero(const uint8_t *bytes, size_t n)
{
	return n > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

/* 1: the block that holds pos is on the disk as it is in the cache, up to `to`, and *ret_len bytes of it were compared. */
static int block_on_disk(const struct mq_log *log, int fd, uint64_t pos, uint64_t to, uint64_t *ret_len, struct mq_err *err)
{
	enum { TRIES = 10 };
	uint64_t most = DIRECT_ALIGN - pos % DIRECT_ALIGN;
	uint8_t cached[DIRECT_ALIGN];
	int rc = MQ_EBROKEN;

	if (most > to - pos)
		most = to - pos;
	for (int i = 0; i < TRIES && rc == MQ_EBROKEN; i++) {
		ssize_t got = mq_sys->pread(log->head.fd, cached, most, pos);

		if (got == -EINTR)
			continue;
		if (got < 0)
			return mq_err_sys(err, (int)got, "segment %s: cannot read %llu", log->head.name, (unsigned long long)pos);
		if (got == 0)
			return 0;
		*ret_len = (uint64_t)got;
		rc = pos % DIRECT_ALIGN == 0 && all_zero(cached, (size_t)got) ? not_there(log, pos, err)
		                                                              : same(log, fd, pos, cached, (uint64_t)got, err);
	}
	return rc < 0 ? rc : 1;
}

static int compare_rest(const struct mq_log *log, int fd, uint64_t pos, uint64_t to, struct mq_err *err)
{
	uint64_t n = 0;
	int rc = 1;

	for (; pos < to && rc == 1; pos += n)
		rc = block_on_disk(log, fd, pos, to, &n, err);
	if (rc >= 0 && err)
		*err = (struct mq_err)MQ_ERR_INIT;
	return rc < 0 ? rc : 0;
}

static int compare(struct mq_log *log, int fd, uint64_t from, uint64_t to, struct mq_err *err)
{
	struct mq_scan scan;
	uint64_t pos = from;
	int rc = 0;

	mq_scan_init(&scan);
	mq_scan_reset(&scan, &log->head);
	while (pos < to && rc == 0) {
		struct mq_batch b;
		const uint8_t *body;

		rc = mq_scan_batch(&scan, pos, to, &b, &body, err);
		if (rc == 0)
			rc = mq_err_set(err, MQ_EDAMAGE, "segment %s: no batch at %llu where one was published", log->head.name,
			                (unsigned long long)pos);
		if (rc < 0)
			break;
		rc = same(log, fd, pos, body - MQ_BATCH_HEADER_LEN, mq_batch_len(&b), err); /* they lie in one piece */
		pos += mq_batch_len(&b);
	}
	mq_scan_release(&scan);
	return rc;
}

/* 1: *ret_fd reads head past the cache.  0: there is nothing past it. */
static int open_disk(struct mq_log *log, int *ret_fd, struct mq_err *err)
{
	uint64_t magic = 0;
	int rc = mq_sys->fs_magic(log->dir, &magic);

	if (rc < 0)
		return mq_err_sys(err, rc, "cannot tell the file system");
	if (magic == TMPFS)
		return 0;
	*ret_fd = mq_sys->openat(log->dir, log->head.name, O_RDONLY | O_DIRECT, 0);
	if (*ret_fd < 0)
		return mq_err_sys(err, *ret_fd, "segment %s: cannot be read past the cache", log->head.name);
	return 1;
}

int mq_log_on_disk(struct mq_log *log, uint64_t from, uint64_t to, struct mq_err *err)
{
	int fd, rc;

	if (from >= to)
		return 0;
	rc = open_disk(log, &fd, err);
	if (rc <= 0)
		return rc;
	rc = compare(log, fd, from, to, err);
	(void)mq_sys->close(fd);
	return rc;
}

int mq_log_rest_on_disk(struct mq_log *log, uint64_t from, uint64_t to, struct mq_err *err)
{
	int fd, rc = from < to ? open_disk(log, &fd, err) : 0;

	if (rc <= 0)
		return rc;
	rc = compare_rest(log, fd, from, to, err);
	(void)mq_sys->close(fd);
	return rc;
}
