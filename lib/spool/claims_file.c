/* SPDX-License-Identifier: GPL-2.0-or-later */
/* claimed.P as it is read.  claims_half.c writes it. */
#include "spool/claims_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/sys.h"

enum { READ_SLOTS = 256 };

static uint64_t slot_at(unsigned half, uint32_t slot)
{
	return (uint64_t)half * MQ_CLAIM_HALF_LEN + MQ_CLAIM_HEAD_LEN + (uint64_t)slot * MQ_CLAIM_LEN;
}

static int cannot_read(const struct mq_claims_file *f, int rc, struct mq_err *err)
{
	return mq_err_sys(err, rc, "%s: cannot read claimed.%u", f->g->label, f->partition);
}

/* As much as there is, *ret_got; the rest is zero. */
static int read_at(int fd, uint8_t *ret, size_t len, uint64_t at, size_t *ret_got)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = mq_sys->pread(fd, ret + got, len - got, at + got);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0)
			break;
		got += (size_t)n;
	}
	memset(ret + got, 0, len - got);
	*ret_got = got;
	return 0;
}

/* ---- all of it ---- */
static void note_bad(struct mq_claims_file *f, uint64_t at)
{
	if (f->bad++ == 0)
		f->bad_at = at;
}

/* The half of the higher epoch. */
static int choose(struct mq_claims_file *f, const uint8_t *bytes, struct mq_err *err)
{
	struct mq_claims_head h[2];
	int rc[2];

	for (unsigned i = 0; i < 2; i++) {
		const uint8_t *at = bytes + (size_t)i * MQ_CLAIM_HALF_LEN;

		rc[i] = mq_claims_head_decode(at, i, &h[i]);
		if (rc[i] == MQ_ECONFIG)
			return mq_err_set(err, MQ_ECONFIG, "%s: claimed.%u is of a newer version", f->g->label, f->partition);
		if (rc[i] < 0 && !mq_claims_head_unwritten(at))
			note_bad(f, (uint64_t)i * MQ_CLAIM_HALF_LEN);
	}
	if (rc[0] < 0 && rc[1] < 0 && f->bad == 0)
		note_bad(f, 0);
	if (rc[0] < 0 && rc[1] < 0)
		return mq_err_set(err, MQ_EDAMAGE, "%s: claimed.%u: neither half of it verifies; when no member shares it any more, the next mq-consume --share "
		                  "makes it anew from the place, and some records above that are given out once more",
		                  f->g->label, f->partition);
	f->half = rc[1] == 0 && (rc[0] < 0 || h[1].epoch > h[0].epoch);
	f->head = h[f->half];
	return 0;
}

/* A hole of zeros is what a power cut leaves of slots that were not synced; those behind it hold. */
static int take_slots(struct mq_claims_file *f, const uint8_t *half, struct mq_claims_ranges *r)
{
	int rc = 0;

	f->next = 0;
	for (uint32_t i = 0; i < MQ_CLAIM_SLOTS && rc == 0; i++) {
		const uint8_t *e = half + MQ_CLAIM_HEAD_LEN + (size_t)i * MQ_CLAIM_LEN;
		struct mq_claim c;

		if (mq_claim_empty(e) && i >= f->head.made_with)
			continue;
		f->next = i + 1; /* nothing is written over what did not verify */
		if (!mq_claim_decode(e, f->head.epoch, slot_at(f->half, i), &c)) {
			note_bad(f, slot_at(f->half, i));
			continue;
		}
		f->closed |= c.kind == MQ_CLAIM_CLOSED || c.kind == MQ_CLAIM_MOVED;
		f->moved |= c.kind == MQ_CLAIM_MOVED;
		rc = mq_claims_apply(r, &c);
	}
	memcpy(f->last, half + MQ_CLAIM_HEAD_LEN + (size_t)f->next * MQ_CLAIM_LEN - MQ_CLAIM_LEN, MQ_CLAIM_LEN);
	return rc;
}

int mq_claims_file_open(struct mq_claims_file *f, struct mq_group_topic *g, uint32_t p, struct mq_claims_ranges *r, struct mq_err *err)
{
	uint8_t *bytes;
	size_t got = 0;
	char name[32];
	int rc;

	*f = (struct mq_claims_file){.g = g, .partition = p, .fd = -1};
	snprintf(name, sizeof name, "claimed.%u", p);
	f->fd = mq_sys->openat(g->dir, name, O_RDWR, 0);
	if (f->fd == -EACCES || f->fd == -EROFS)
		f->fd = mq_sys->openat(g->dir, name, O_RDONLY, 0);
	if (f->fd < 0) {
		rc = f->fd;
		f->fd = -1;
		return rc == -ENOENT ? rc : mq_err_sys(err, rc, "%s: cannot open %s", g->label, name);
	}
	bytes = malloc(MQ_CLAIMS_LEN);
	rc = bytes ? read_at(f->fd, bytes, MQ_CLAIMS_LEN, 0, &got) : -ENOMEM;
	if (rc == 0 && got < MQ_CLAIMS_LEN)
		note_bad(f, got); /* it was made so long before it had its name */
	if (rc < 0)
		cannot_read(f, rc, err);
	else
		rc = choose(f, bytes, err);
	if (rc == 0) {
		mq_claims_ranges_release(r);
		mq_claims_ranges_init(r, f->head.base);
		rc = take_slots(f, bytes + (size_t)f->half * MQ_CLAIM_HALF_LEN, r);
		if (rc < 0)
			cannot_read(f, rc, err);
	}
	free(bytes);
	if (rc < 0)
		mq_claims_file_release(f);
	return rc;
}

void mq_claims_file_release(struct mq_claims_file *f)
{
	if (f->fd >= 0)
		(void)mq_sys->close(f->fd);
	f->fd = -1;
}

/* ---- what came since ---- */
/* n slots from f->next on.  1: it goes on elsewhere; 0: go on reading; 2: that was all. */
static int take_new(struct mq_claims_file *f, const uint8_t *e, uint32_t n, struct mq_claims_ranges *r, bool locked,
                    struct mq_err *err)
{
	for (uint32_t i = 0; i < n; i++, e += MQ_CLAIM_LEN) {
		uint64_t at = slot_at(f->half, f->next);
		struct mq_claim c;

		if (mq_claim_empty(e))
			return 2;
		if (!mq_claim_decode(e, f->head.epoch, at, &c))
			return locked ? mq_err_set(err, MQ_EDAMAGE,
			                           "%s: claimed.%u does not verify at byte %llu; stop all members that share and begin again: "
			                           "what it said is lost, and some records may be given out once more",
			                           f->g->label, f->partition, (unsigned long long)at)
			              : 2;
		if (c.kind == MQ_CLAIM_CLOSED || c.kind == MQ_CLAIM_MOVED)
			return 1;
		if (mq_claims_apply(r, &c) < 0)
			return mq_err_set(err, -ENOMEM, "no memory");
		memcpy(f->last, e, MQ_CLAIM_LEN);
		f->next++;
	}
	return n == READ_SLOTS ? 0 : 2;
}

int mq_claims_file_read(struct mq_claims_file *f, struct mq_claims_ranges *r, bool locked, struct mq_err *err)
{
	uint8_t bytes[(READ_SLOTS + 1) * MQ_CLAIM_LEN];
	size_t got;
	int rc = 0;

	if (f->closed)
		return 1;
	while (rc == 0) {
		uint32_t n = MQ_CLAIM_SLOTS - f->next < READ_SLOTS ? MQ_CLAIM_SLOTS - f->next : READ_SLOTS;

		rc = read_at(f->fd, bytes, (n + 1) * (size_t)MQ_CLAIM_LEN, slot_at(f->half, f->next) - MQ_CLAIM_LEN, &got);
		if (rc < 0)
			return cannot_read(f, rc, err);
		if (memcmp(bytes, f->last, MQ_CLAIM_LEN) != 0)
			return 1; /* the half was written over */
		rc = take_new(f, bytes + MQ_CLAIM_LEN, n, r, locked, err);
	}
	return rc == 2 ? 0 : rc;
}
