/* SPDX-License-Identifier: GPL-2.0-or-later */
/* claimed.P as it is written: slot by slot, half by half, or anew. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spool/claims_file.h"
#include "spool/dirs.h"
#include "sys/sys.h"

enum { KEPT = 1 }; /* the last slot is for what says where it goes on */

static int cannot_write(const struct mq_claims_file *f, int rc, struct mq_err *err)
{
	return mq_err_sys(err, rc, "%s: cannot write claimed.%u", f->g->label, f->partition);
}

static int write_at(int fd, const uint8_t *bytes, size_t len, uint64_t at)
{
	while (len > 0) {
		ssize_t n = mq_sys->pwrite(fd, bytes, len, at);

		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		bytes += n;
		at += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static uint64_t slot_at(unsigned half, uint64_t slot)
{
	return (uint64_t)half * MQ_CLAIM_HALF_LEN + MQ_CLAIM_HEAD_LEN + slot * MQ_CLAIM_LEN;
}

/* ---- slots ---- */
uint32_t mq_claims_file_left(const struct mq_claims_file *f)
{
	return f->closed || f->next + KEPT >= MQ_CLAIM_SLOTS ? 0 : MQ_CLAIM_SLOTS - f->next - KEPT;
}

int mq_claims_file_append(struct mq_claims_file *f, const struct mq_claim *c, size_t n, struct mq_err *err)
{
	enum { AT_ONCE = 64 };
	uint8_t bytes[AT_ONCE * MQ_CLAIM_LEN];

	while (n > 0) {
		uint32_t some = n < AT_ONCE ? (uint32_t)n : AT_ONCE;
		int rc;

		for (uint32_t i = 0; i < some; i++)
			mq_claim_encode(&c[i], f->head.epoch, slot_at(f->half, f->next + i), bytes + (size_t)i * MQ_CLAIM_LEN);
		rc = write_at(f->fd, bytes, some * (size_t)MQ_CLAIM_LEN, slot_at(f->half, f->next));
		if (rc < 0)
			return cannot_write(f, rc, err);
		memcpy(f->last, bytes + (some - 1) * (size_t)MQ_CLAIM_LEN, MQ_CLAIM_LEN);
		f->next += some;
		c += some;
		n -= some;
	}
	return 0;
}

/* ---- halves ---- */
/* The state as slots; what is free needs none, unless it failed before. */
static uint64_t fill(uint8_t *half, unsigned which, uint64_t epoch, const struct mq_claims_ranges *r)
{
	static const enum mq_claim_kind kinds[] = {MQ_CLAIM_RELEASED, MQ_CLAIM_TAKEN, MQ_CLAIM_DONE};
	uint64_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		const struct mq_claims_range *v = &r->v[i];
		struct mq_claim c = {kinds[v->state], v->attempt, v->from, v->to - v->from, v->member};

		if (v->state == MQ_CLAIMS_FREE && v->attempt == 0 && i + 1 < r->n)
			continue;
		mq_claim_encode(&c, epoch, slot_at(which, n), half + MQ_CLAIM_HEAD_LEN + n * MQ_CLAIM_LEN);
		n++;
	}
	return n;
}

/* Like take_slots after such a half was read. */
static void stand_behind(struct mq_claims_file *f, const uint8_t *half, unsigned which, const struct mq_claims_head *h)
{
	f->half = which;
	f->head = *h;
	f->next = (uint32_t)h->made_with;
	f->closed = false;
	memcpy(f->last, half + MQ_CLAIM_HEAD_LEN + (size_t)f->next * MQ_CLAIM_LEN - MQ_CLAIM_LEN, MQ_CLAIM_LEN);
}

/* The half as it is to be, but for its head; and h made whole for it. */
static uint8_t *make_half(unsigned which, struct mq_claims_head *h, const struct mq_claims_ranges *r)
{
	uint8_t *half = calloc(1, MQ_CLAIM_HALF_LEN);

	if (!half)
		return NULL;
	h->base = r->base;
	h->made_with = fill(half, which, h->epoch, r);
	return half;
}

static int close_half(struct mq_claims_file *f, struct mq_err *err)
{
	const struct mq_claim end = {.kind = MQ_CLAIM_CLOSED};
	int rc = f->closed ? 0 : mq_claims_file_append(f, &end, 1, err);

	f->closed = true; /* also where nobody knows how much of it is there */
	return rc;
}

static int turn(struct mq_claims_file *f, uint8_t *half, unsigned which, struct mq_claims_head *h, struct mq_err *err)
{
	uint64_t at = (uint64_t)which * MQ_CLAIM_HALF_LEN;
	int rc = mq_sys->fdatasync(f->fd); /* the half that counts, before the other one is written over */

	if (rc == 0)
		rc = write_at(f->fd, half, MQ_CLAIM_HALF_LEN, at);
	if (rc == 0)
		rc = mq_sys->fdatasync(f->fd);
	if (rc < 0)
		return cannot_write(f, rc, err);
	rc = close_half(f, err);
	if (rc < 0)
		return rc;
	mq_claims_head_encode(h, which, half);
	rc = write_at(f->fd, half, MQ_CLAIM_HEAD_LEN, at);
	if (rc == 0)
		rc = mq_sys->fdatasync(f->fd);
	return rc < 0 ? cannot_write(f, rc, err) : 0;
}

int mq_claims_file_turn(struct mq_claims_file *f, const struct mq_claims_head *head, const struct mq_claims_ranges *r,
                        struct mq_err *err)
{
	struct mq_claims_head h = *head;
	unsigned which = !f->half;
	uint8_t *half;
	int rc;

	h.epoch = f->head.epoch + 1;
	half = make_half(which, &h, r);
	if (!half)
		return mq_err_set(err, -ENOMEM, "no memory for half of claimed.%u", f->partition);
	rc = turn(f, half, which, &h, err);
	if (rc == 0)
		stand_behind(f, half, which, &h);
	free(half);
	return rc;
}

/* ---- anew ---- */
static void failed_name(uint32_t p, char ret[40])
{
	snprintf(ret, 40, "claimed.%u.failed", p);
}

int mq_claims_file_put(struct mq_group_topic *g, uint32_t p, const struct mq_claims_head *head, const struct mq_claims_ranges *r,
                       struct mq_err *err)
{
	unsigned mode = g->topic->spool->file_mode;
	struct mq_claims_head h = *head;
	uint8_t *bytes = calloc(1, MQ_CLAIMS_LEN);
	char name[40];
	int rc;

	if (!bytes)
		return mq_err_set(err, -ENOMEM, "no memory for claimed.%u", p);
	h.epoch++;
	h.base = r->base;
	h.made_with = fill(bytes, 0, h.epoch, r);
	mq_claims_head_encode(&h, 0, bytes);
	snprintf(name, sizeof name, "claimed.%u", p);
	rc = mq_file_put(g->dir, name, mode, bytes, MQ_CLAIMS_LEN, true, err);
	failed_name(p, name);
	if (rc == 0)
		(void)mq_sys->unlinkat(g->dir, name, false); /* one that stays costs a copy */
	free(bytes);
	if (rc < 0)
		mq_err_prefix(err, "%s", g->label);
	return rc;
}

bool mq_claims_file_failed(struct mq_group_topic *g, uint32_t p)
{
	struct mq_stat st;
	char name[40];

	failed_name(p, name);
	return mq_sys->statat(g->dir, name, &st) == 0;
}

int mq_claims_file_replace(struct mq_claims_file *f, const struct mq_claims_ranges *r, struct mq_err *err)
{
	const struct mq_claim end = {.kind = MQ_CLAIM_MOVED};
	char name[40];
	int rc, fd;

	failed_name(f->partition, name);
	fd = mq_sys->openat(f->g->dir, name, O_WRONLY | O_CREAT, f->g->topic->spool->file_mode);
	if (fd >= 0) /* it need not last: after a power cut the disk's own word counts */
		(void)mq_sys->close(fd);
	rc = f->closed || f->next == MQ_CLAIM_SLOTS ? 0 : mq_claims_file_append(f, &end, 1, err);
	f->closed = f->moved = true; /* also where nobody knows how much of it is there */
	return rc < 0 ? rc : mq_claims_file_put(f->g, f->partition, &f->head, r, err);
}
