/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/start.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "log/slots.h"
#include "sys/sys.h"

#define TO_DO "mq-check --mend sets it to the first record held"

static const char what[] = "start";

static uint64_t decode(const uint8_t raw[MQ_SLOT_LEN], uint32_t block, void *ret)
{
	return mq_start_decode(raw, block, ret);
}

static int put(struct mq_slots *slots, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err)
{
	struct mq_start v = {.log_start = offset};
	uint8_t raw[MQ_SLOT_LEN];
	uint32_t block;
	uint64_t seq;
	int rc = mq_slots_prepare(slots, &block, &seq, what, err);

	if (rc < 0)
		return rc;
	memcpy(v.topic_id, topic_id, 16);
	mq_start_encode(&v, seq, block, raw);
	return mq_slots_write(slots, block, seq, raw, what, err);
}

static int write_one(struct mq_slots *slots, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err)
{
	int rc = put(slots, topic_id, offset, err);

	return rc < 0 ? rc : mq_slots_sync(slots, what, err);
}

/* Into both, one after the other: whichever of them is damaged later, the other says the same. */
static int write_start(struct mq_slots *slots, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err)
{
	int rc = write_one(slots, topic_id, offset, err);

	return rc < 0 ? rc : write_one(slots, topic_id, offset, err);
}

static int make(int dir, const char *name, unsigned mode, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err)
{
	struct mq_slots slots;
	int fd = mq_sys->openat(dir, name, O_RDWR | O_CREAT | O_EXCL, mode), rc;

	if (fd < 0)
		return mq_err_sys(err, fd, "cannot create %s", what);
	rc = mq_sys->fchmod(fd, mode);
	if (rc == 0)
		rc = mq_sys->fallocate(fd, 0, 2 * MQ_SLOT_BLOCK);
	if (rc < 0) {
		mq_err_sys(err, rc, "cannot make %s", what);
	} else {
		mq_slots_take(&slots, fd, 0, -1, 0);
		rc = write_start(&slots, topic_id, offset, err);
	}
	(void)mq_sys->close(fd);
	return rc;
}

int mq_start_create(int dir, unsigned mode, const uint8_t topic_id[16], struct mq_err *err)
{
	return make(dir, what, mode, topic_id, 0, err);
}

int mq_start_replace(int dir, unsigned mode, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err)
{
	static const char tmp[] = ".start.tmp";
	int rc;

	(void)mq_sys->unlinkat(dir, tmp, false); /* one left by a kill; a failure shows in the open */
	rc = make(dir, tmp, mode, topic_id, offset, err);
	if (rc == 0) {
		rc = mq_sys->renameat(dir, tmp, dir, what, true);
		if (rc == 0)
			rc = mq_sys->fsync(dir);
		if (rc < 0)
			mq_err_sys(err, rc, "cannot put %s in its place", what);
	}
	if (rc < 0)
		(void)mq_sys->unlinkat(dir, tmp, false);
	return rc;
}

static int read_start(int fd, const uint8_t topic_id[16], uint64_t *ret, int *ret_which, uint64_t *ret_seq, struct mq_err *err)
{
	struct mq_start v = {0};
	int rc = mq_slots_read(fd, 0, true, decode, &v, sizeof v, ret_which, ret_seq, what, err);

	if (rc >= 0 && (*ret_which < 0 || memcmp(v.topic_id, topic_id, 16) != 0))
		rc = mq_err_set(err, MQ_EDAMAGE, "%s holds no log start of this topic", what);
	if (rc == MQ_EDAMAGE)
		mq_err_suffix(err, "; " TO_DO);
	if (rc < 0)
		return rc;
	*ret = v.log_start;
	return 0;
}

int mq_start_open(int dir, struct mq_err *err)
{
	int fd = mq_sys->openat(dir, what, O_RDONLY, 0);

	if (fd == -ENOENT)
		return mq_err_set(err, fd, "%s is missing; " TO_DO, what);
	return fd < 0 ? mq_err_sys(err, fd, "cannot open %s", what) : fd;
}

int mq_start_look(int fd, const uint8_t topic_id[16], uint64_t *ret, struct mq_err *err)
{
	uint64_t seq;
	int which;

	return read_start(fd, topic_id, ret, &which, &seq, err);
}

int mq_start_read(int dir, const uint8_t topic_id[16], uint64_t *ret, struct mq_err *err)
{
	int fd = mq_start_open(dir, err), rc;

	if (fd < 0)
		return fd;
	rc = mq_start_look(fd, topic_id, ret, err);
	(void)mq_sys->close(fd);
	return rc;
}

/* Over the later slot, which nobody counts on: the other is durable, since none is written before that (rule 3).  1: the
 * other one does not verify, so this one is needed. */
static int write_over(struct mq_slots *slots, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err)
{
	uint32_t other = 1 - (uint32_t)slots->latest;
	struct mq_start v;
	uint8_t raw[MQ_SLOT_LEN];
	ssize_t n = mq_sys->pread(slots->fd, raw, sizeof raw, (uint64_t)other * MQ_SLOT_BLOCK);

	if (n < 0)
		return mq_err_sys(err, (int)n, "%s: cannot read", what);
	if (n < (ssize_t)sizeof raw || mq_start_decode(raw, other, &v) == 0)
		return 1;
	slots->known = true;
	return put(slots, topic_id, offset, err);
}

static int advance(int dir, const uint8_t topic_id[16], uint64_t offset, bool lasting, struct mq_err *err)
{
	struct mq_slots slots;
	uint64_t now, seq;
	int which, rc, fd = mq_sys->openat(dir, what, O_RDWR, 0);

	if (fd < 0)
		return mq_err_sys(err, fd, "cannot open %s", what);
	rc = read_start(fd, topic_id, &now, &which, &seq, err);
	if (rc == 0) {
		mq_slots_take(&slots, fd, 0, which, seq);
		rc = lasting ? 1 : offset > now ? write_over(&slots, topic_id, offset, err) : 0;
	}
	if (rc == 1) /* one that was moved without a sync is synced, too */
		rc = offset > now ? write_start(&slots, topic_id, offset, err) : mq_slots_sync(&slots, what, err);
	(void)mq_sys->close(fd);
	return rc;
}

int mq_start_advance(int dir, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err)
{
	return advance(dir, topic_id, offset, true, err);
}

int mq_start_advance_soon(int dir, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err)
{
	return advance(dir, topic_id, offset, false, err);
}
