/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "sys/sys.h"

void mq_state_file_init(struct mq_state_file *s)
{
	memset(s, 0, sizeof *s);
	s->fd = -1;
}

void mq_state_file_release(struct mq_state_file *s)
{
	if (s->futex)
		(void)mq_sys->unmap(s->futex, MQ_SLOT_BLOCK);
	if (s->fd >= 0)
		(void)mq_sys->close(s->fd); /* nothing in it is promised by the close */
	mq_state_file_init(s);
}

/* Two hex digits to a byte, dashes passed over: the kernel's form of a boot id. */
static int parse_uuid(const char *text, size_t len, uint8_t ret[16])
{
	int digits = 0;

	memset(ret, 0, 16);
	for (size_t i = 0; i < len && digits < 32; i++) {
		char c = text[i];
		int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;

		if (v < 0)
			continue;
		ret[digits / 2] = (uint8_t)(ret[digits / 2] << 4 | v);
		digits++;
	}
	return digits == 32 ? 0 : -EIO;
}

int mq_state_boot_id(uint8_t ret[16], struct mq_err *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	char text[64];
	ssize_t n;
	int fd = mq_sys->open_path(path, O_RDONLY, 0);

	if (fd < 0)
		return mq_err_sys(err, fd, "cannot open %s (is /proc mounted?)", path);
	n = mq_sys->read(fd, text, sizeof text);
	(void)mq_sys->close(fd);
	if (n < 0 || parse_uuid(text, (size_t)n, ret) < 0)
		return mq_err_sys(err, n < 0 ? (int)n : -EIO, "cannot read %s", path);
	return 0;
}

int mq_state_file_open(struct mq_state_file *s, int dir, bool writable, struct mq_err *err)
{
	uint8_t head[16];
	struct mq_stat st;
	ssize_t n;
	int rc;

	mq_state_file_init(s);
	s->fd = mq_sys->openat(dir, "state", writable ? O_RDWR : O_RDONLY, 0);
	if (s->fd < 0) {
		rc = s->fd;
		s->fd = -1;
		return mq_err_sys(err, rc, "cannot open state");
	}
	s->writable = writable;
	n = mq_sys->pread(s->fd, head, sizeof head, 0);
	rc = n < 0 ? (int)n : mq_sys->stat(s->fd, &st);
	if (rc < 0)
		mq_err_sys(err, rc, "cannot read state");
	if (rc == 0)
		rc = n < (ssize_t)sizeof head || st.size < (uint64_t)MQ_STATE_BLOCKS * MQ_SLOT_BLOCK
		         ? MQ_EDAMAGE
		         : mq_state_head_decode(head);
	if (rc == 0)
		rc = mq_state_boot_id(s->boot_id, err);
	if (rc < 0) {
		if (rc == MQ_EDAMAGE)
			mq_err_set(err, rc, "state does not verify");
		else if (rc == MQ_ECONFIG)
			mq_err_set(err, rc, "state is of a newer format; use a newer mq");
		mq_state_file_release(s);
		return rc;
	}
	s->ino = st.ino;
	s->btime_ns = st.btime_ns;
	s->mount = st.mnt_id;
	return 0;
}

int mq_state_file_create(int dir, unsigned mode, struct mq_err *err)
{
	static const char tmp[] = ".state.tmp";
	uint8_t head[16];
	int fd, rc;

	(void)mq_sys->unlinkat(dir, tmp, false); /* one left by a kill; a failure shows in the open */
	fd = mq_sys->openat(dir, tmp, O_RDWR | O_CREAT | O_EXCL, mode);
	if (fd < 0)
		return mq_err_sys(err, fd, "cannot create state");
	rc = mq_sys->fchmod(fd, mode);
	if (rc == 0)
		rc = mq_sys->fallocate(fd, 0, (uint64_t)MQ_STATE_BLOCKS * MQ_SLOT_BLOCK);
	if (rc == 0) {
		ssize_t n;

		mq_state_head_encode(head);
		n = mq_sys->pwrite(fd, head, sizeof head, 0);
		rc = n == (ssize_t)sizeof head ? 0 : n < 0 ? (int)n : -ENOSPC;
	}
	if (rc == 0)
		rc = mq_sys->fdatasync(fd); /* or a crash leaves zeros, and on a full disk there is no room for another */
	if (rc == 0)
		rc = mq_sys->renameat(dir, tmp, dir, "state", true);
	(void)mq_sys->close(fd);
	if (rc < 0) {
		(void)mq_sys->unlinkat(dir, tmp, false);
		return mq_err_sys(err, rc, "cannot make state");
	}
	return 0;
}

int mq_state_tail_read(struct mq_state_file *s, struct mq_tail *ret, uint64_t *ret_seq, struct mq_err *err)
{
	uint8_t raw[MQ_SLOT_BLOCK + MQ_SLOT_LEN];
	struct mq_tail t[2];
	uint64_t seq[2] = {0, 0};
	int best = 0;

	/* A slot that is being written may be seen half written by a reader without the lock: not for long. */
	for (int attempt = 0; attempt < 8; attempt++) {
		ssize_t n = mq_sys->pread(s->fd, raw, sizeof raw, (uint64_t)MQ_STATE_TAIL_BLOCK * MQ_SLOT_BLOCK);

		if (n < 0)
			return mq_err_sys(err, (int)n, "cannot read state");
		memset(raw + n, 0, sizeof raw - (size_t)n);
		seq[0] = mq_tail_decode(raw, MQ_STATE_TAIL_BLOCK, &t[0]);
		seq[1] = mq_tail_decode(raw + MQ_SLOT_BLOCK, MQ_STATE_TAIL_BLOCK + 1, &t[1]);
		best = seq[0] > seq[1] ? 0 : 1;
		if (seq[best] > 0 && (seq[1 - best] > 0 || mq_slot_empty(raw + (1 - best) * MQ_SLOT_BLOCK)))
			break;
	}
	*ret_seq = seq[best];
	if (seq[best] == 0) {
		memset(ret, 0, sizeof *ret);
		return 0;
	}
	*ret = t[best];
	if (seq[1 - best] == 0 && !mq_slot_empty(raw + (1 - best) * MQ_SLOT_BLOCK))
		memset(ret->boot_id, 0, sizeof ret->boot_id); /* the bad one may have been the newer: nobody goes by this one */
	return 0;
}

static int write_slot(struct mq_state_file *s, const uint8_t raw[MQ_SLOT_LEN], uint32_t block, struct mq_err *err)
{
	ssize_t n = mq_sys->pwrite(s->fd, raw, MQ_SLOT_LEN, (uint64_t)block * MQ_SLOT_BLOCK);

	if (n != MQ_SLOT_LEN)
		return mq_err_sys(err, n < 0 ? (int)n : -EIO, "cannot write state");
	return 0;
}

int mq_state_tail_publish(struct mq_state_file *s, const struct mq_tail *t, uint64_t seq, struct mq_err *err)
{
	uint8_t raw[MQ_SLOT_LEN];
	uint32_t block = MQ_STATE_TAIL_BLOCK + (uint32_t)(seq & 1);

	mq_tail_encode(t, seq, block, raw);
	return write_slot(s, raw, block, err);
}

bool mq_state_tail_same_boot(const struct mq_state_file *s, const struct mq_tail *t)
{
	return memcmp(t->boot_id, s->boot_id, 16) == 0 && t->state_ino == s->ino && t->state_btime_ns == s->btime_ns;
}

bool mq_state_tail_trusted(const struct mq_state_file *s, const struct mq_tail *t)
{
	if (!mq_state_tail_same_boot(s, t))
		return false;
	for (int i = 0; i < MQ_STATE_MOUNTS; i++)
		if (t->mounts[i] == s->mount)
			return true;
	return false;
}

void mq_state_tail_adopt(const struct mq_state_file *s, struct mq_tail *t)
{
	if (!mq_state_tail_same_boot(s, t))
		memset(t->mounts, 0, sizeof t->mounts);
	memcpy(t->boot_id, s->boot_id, 16);
	t->state_ino = s->ino;
	t->state_btime_ns = s->btime_ns;
	for (int i = 0; i < MQ_STATE_MOUNTS; i++)
		if (t->mounts[i] == s->mount)
			return;
	memmove(&t->mounts[1], &t->mounts[0], sizeof t->mounts - sizeof t->mounts[0]);
	t->mounts[0] = s->mount;
}

int mq_state_marks_read(struct mq_state_file *s, int n, struct mq_marks *ret, struct mq_err *err)
{
	uint8_t raw[(2 * MQ_STATE_MARKS - 1) * MQ_SLOT_BLOCK + MQ_SLOT_LEN];
	size_t want = (size_t)(2 * n - 1) * MQ_SLOT_BLOCK + MQ_SLOT_LEN;
	ssize_t got = mq_sys->pread(s->fd, raw, want, (uint64_t)MQ_STATE_MARK_BLOCK * MQ_SLOT_BLOCK);

	if (got < (ssize_t)want)
		return mq_err_sys(err, got < 0 ? (int)got : -EIO, "cannot read state");
	for (int m = 0; m < n; m++) {
		uint32_t block = MQ_STATE_MARK_BLOCK + 2 * (uint32_t)m;
		const uint8_t *at = raw + (size_t)(2 * m) * MQ_SLOT_BLOCK;
		struct mq_mark v[2];
		uint64_t seq[2] = {mq_mark_decode(at, block, &v[0]), mq_mark_decode(at + MQ_SLOT_BLOCK, block + 1, &v[1])};
		int best = seq[0] > seq[1] ? 0 : 1;

		ret->seq[m] = seq[best];
		if (seq[best] > 0)
			ret->mark[m] = v[best];
		else
			memset(&ret->mark[m], 0, sizeof ret->mark[m]);
	}
	return 0;
}

int mq_state_mark_write(struct mq_state_file *s, int m, const struct mq_mark *v, uint64_t seq, struct mq_err *err)
{
	uint8_t raw[MQ_SLOT_LEN];
	uint32_t block = MQ_STATE_MARK_BLOCK + 2 * (uint32_t)m + (uint32_t)(seq & 1);

	mq_mark_encode(v, seq, block, raw);
	return write_slot(s, raw, block, err);
}

int mq_state_durable(struct mq_state_file *s, int n, const struct mq_segment_id *segment, uint64_t *ret_pos,
                     uint64_t *ret_offset, uint64_t *ret_sync_ns, struct mq_err *err)
{
	struct mq_marks all;
	uint64_t pos = 0, offset = 0, slowest = 0;
	int rc = mq_state_marks_read(s, n, &all, err);

	if (rc < 0)
		return rc;
	for (int m = 0; m < n; m++) {
		const struct mq_mark *v = &all.mark[m];

		if (v->last_sync_ns > slowest)
			slowest = v->last_sync_ns;
		if (all.seq[m] > 0 && mq_segment_id_equal(&v->segment, segment) && v->pos > pos) {
			pos = v->pos;
			offset = v->end_offset;
		}
	}
	*ret_pos = pos;
	*ret_offset = offset;
	if (ret_sync_ns)
		*ret_sync_ns = slowest;
	return 0;
}

uint32_t *mq_state_futex(struct mq_state_file *s, struct mq_err *err)
{
	if (!s->futex) {
		s->futex = mq_sys->map_shared(s->fd, (uint64_t)MQ_STATE_FUTEX_BLOCK * MQ_SLOT_BLOCK, MQ_SLOT_BLOCK);
		if (!s->futex)
			mq_err_set(err, MQ_EBROKEN, "cannot map state's futex page");
	}
	return s->futex;
}

int mq_state_futex_read(struct mq_state_file *s, uint32_t *ret, struct mq_err *err)
{
	uint32_t seen;
	ssize_t n = mq_sys->pread(s->fd, &seen, sizeof seen, (uint64_t)MQ_STATE_FUTEX_BLOCK * MQ_SLOT_BLOCK);

	if (n != (ssize_t)sizeof seen)
		return mq_err_sys(err, n < 0 ? (int)n : -EIO, "cannot read state");
	*ret = seen;
	return 0;
}
