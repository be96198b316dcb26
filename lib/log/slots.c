/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "log/slots.h"

#include <errno.h>
#include <string.h>

#include "sys/sys.h"

enum { PAIR_LEN = MQ_SLOT_BLOCK + MQ_SLOT_LEN };

/* How much of the pair the file holds; the rest is zero. */
static ssize_t read_pair(int fd, uint32_t block, uint8_t raw[PAIR_LEN])
{
	size_t len = 0;
	ssize_t n = 1;

	while (len < PAIR_LEN && n != 0) {
		n = mq_sys->pread(fd, raw + len, PAIR_LEN - len, (uint64_t)block * MQ_SLOT_BLOCK + len);
		if (n < 0 && n != -EINTR)
			return n;
		len += n > 0 ? (size_t)n : 0;
	}
	memset(raw + len, 0, PAIR_LEN - len);
	return (ssize_t)len;
}

int mq_slots_read(int fd, uint32_t block, bool made, mq_slot_decode_fn *decode, void *ret_value, size_t value_len,
                  int *ret_which, uint64_t *ret_seq, const char *what, struct mq_err *err)
{
	uint8_t raw[PAIR_LEN];
	uint8_t value[2][256];
	uint64_t seq[2];
	bool empty[2], cut;
	int best;

	for (int attempt = 0;; attempt++) {
		ssize_t n = read_pair(fd, block, raw);

		if (n < 0)
			return mq_err_sys(err, (int)n, "%s: cannot read", what);
		cut = made && n < PAIR_LEN;
		for (int i = 0; i < 2; i++) {
			const uint8_t *slot = raw + (size_t)i * MQ_SLOT_BLOCK;
			bool there = n >= (ssize_t)(slot - raw) + MQ_SLOT_LEN;

			seq[i] = there || !made ? decode(slot, block + (uint32_t)i, value[i]) : 0;
			empty[i] = seq[i] == 0 && mq_slot_empty(slot) && (there || !made);
		}
		best = seq[0] > seq[1] ? 0 : 1;
		if ((seq[0] > 0 || empty[0]) && (seq[1] > 0 || empty[1]))
			break;
		if (attempt < 8)
			continue; /* a write seen half-way, perhaps, and the later slot is written over in place */
		if (seq[best] > 0)
			break;
		return mq_err_set(err, MQ_EDAMAGE, "%s: %sno slot verifies", what,
		                  cut ? "it was cut short, and " : "");
	}
	*ret_seq = seq[best];
	*ret_which = seq[best] > 0 ? best : -1;
	if (seq[best] > 0)
		memcpy(ret_value, value[best], value_len);
	return cut;
}

void mq_slots_take(struct mq_slots *s, int fd, uint32_t block, int which, uint64_t seq)
{
	s->fd = fd;
	s->block = block;
	s->latest = which;
	s->seq = seq;
	s->known = which < 0;
	s->dirty = which >= 0; /* by a former owner, as far as we know */
	s->failed = false;
}

static int refused(const char *what, struct mq_err *err)
{
	return mq_err_set(err, MQ_EBROKEN, "%s: refused after an earlier failed write or sync", what);
}

int mq_slots_prepare(struct mq_slots *s, uint32_t *ret_block, uint64_t *ret_seq, const char *what, struct mq_err *err)
{
	if (s->failed)
		return refused(what, err);
	if (!s->known) {
		int rc = mq_slots_sync(s, what, err);

		if (rc < 0)
			return rc;
	}
	if (s->latest < 0)
		*ret_block = s->block;
	else
		*ret_block = s->block + (uint32_t)(s->dirty ? s->latest : 1 - s->latest);
	*ret_seq = s->seq + 1;
	return 0;
}

int mq_slots_write(struct mq_slots *s, uint32_t block, uint64_t seq, const uint8_t raw[MQ_SLOT_LEN], const char *what,
                   struct mq_err *err)
{
	ssize_t n = mq_sys->pwrite(s->fd, raw, MQ_SLOT_LEN, mq_slot_at(block));

	if (n != MQ_SLOT_LEN) {
		s->failed = true;
		return mq_err_sys(err, n < 0 ? (int)n : -EIO, "%s: cannot write", what);
	}
	s->latest = (int)(block - s->block);
	s->seq = seq;
	s->dirty = true;
	return 0;
}

int mq_slots_sync(struct mq_slots *s, const char *what, struct mq_err *err)
{
	int rc;

	if (s->failed)
		return refused(what, err);
	if (s->dirty) {
		rc = mq_sys->fdatasync(s->fd);
		if (rc < 0) {
			s->failed = true;
			return mq_err_sys(err, rc, "%s: cannot make it durable", what);
		}
	}
	s->known = true;
	s->dirty = false;
	return 0;
}
