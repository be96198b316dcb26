/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The small files of a partition: state, start, producers. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/control.h"
#include "spool/check_internal.h"
#include "sys/sys.h"

static uint64_t tail_slot(const uint8_t raw[MQ_SLOT_LEN], uint32_t block, void *ret)
{
	return mq_tail_decode(raw, block, ret);
}

static uint64_t mark_slot(const uint8_t raw[MQ_SLOT_LEN], uint32_t block, void *ret)
{
	return mq_mark_decode(raw, block, ret);
}

static uint64_t start_slot(const uint8_t raw[MQ_SLOT_LEN], uint32_t block, void *ret)
{
	return mq_start_decode(raw, block, ret);
}

static void state_bad(struct mq_check_partition *part, uint64_t position, uint64_t length, const char *text)
{
	part->state_bad = true;
	mq_check_later(part, MQ_CHECK_CACHE, "state", position, length, NULL, "%s", text);
}

/* Slots of tail and marks.  A tail slot that does not verify may have been the newer one: then no tail is trusted. */
static int state_slots(struct mq_check_partition *part, bool *ret_tail_bad)
{
	for (uint32_t block = MQ_STATE_TAIL_BLOCK; block < MQ_STATE_FUTEX_BLOCK; block++) {
		bool tail = block < MQ_STATE_MARK_BLOCK;
		union {
			struct mq_tail tail;
			struct mq_mark mark;
		} v;
		uint64_t seq;
		int rc = mq_check_slot(part->state.fd, block, tail ? tail_slot : mark_slot, &v, &seq);

		if (rc < 0 && rc != MQ_EDAMAGE)
			return rc;
		if (rc != MQ_EDAMAGE)
			continue;
		*ret_tail_bad |= tail;
		state_bad(part, (uint64_t)block * MQ_SLOT_BLOCK, MQ_SLOT_LEN,
		          tail ? "a slot of the tail does not verify" : "a slot of a durable mark does not verify");
	}
	return 0;
}

/* What lies between the records is zero. */
static int state_padding(struct mq_check_partition *part)
{
	for (uint32_t block = 0; block < MQ_STATE_BLOCKS; block++) {
		uint64_t used = block == 0 ? 16 : block == MQ_STATE_FUTEX_BLOCK ? 4 : MQ_SLOT_LEN;
		uint64_t at = (uint64_t)block * MQ_SLOT_BLOCK + used, bad;
		int rc = mq_check_zeros(part->state.fd, at, MQ_SLOT_BLOCK - used, &bad);

		if (rc < 0)
			return rc;
		if (bad != UINT64_MAX)
			state_bad(part, bad, 1, "a byte that belongs to nothing is not zero");
	}
	return 0;
}

static int state_unreadable(struct mq_check_partition *part, int rc, const char *why)
{
	if (rc == -ENOENT || rc == MQ_EDAMAGE) {
		state_bad(part, 0, 0, rc == -ENOENT ? "it is missing" : "its head does not verify, or it was cut short");
		return 0;
	}
	if (rc == MQ_ECONFIG)
		return mq_check_tell(part->c, MQ_CHECK_NEWER, part->where, "state", NULL, mq_check_not(part->c, "it is of a newer mq"),
		                     "%s", why);
	return mq_err_set(part->c->err, rc, "%s: %s", part->where, why);
}

int mq_check_state(struct mq_check_partition *part)
{
	struct mq_err why = MQ_ERR_INIT;
	struct mq_stat st;
	bool tail_bad = false;
	int rc = mq_state_file_open(&part->state, part->dir, false, &why);

	if (rc < 0)
		return state_unreadable(part, rc, why.text);
	rc = state_slots(part, &tail_bad);
	if (rc == 0)
		rc = state_padding(part);
	if (rc == 0)
		rc = mq_sys->stat(part->state.fd, &st);
	if (rc < 0)
		return mq_err_sys(part->c->err, rc, "%s: cannot read state", part->where);
	if (st.size != (uint64_t)MQ_STATE_BLOCKS * MQ_SLOT_BLOCK)
		state_bad(part, st.size, 0, "it is longer than it ever is");
	rc = mq_state_tail_read(&part->state, &part->tail, &part->tail_seq, part->c->err);
	if (rc == 0)
		rc = mq_state_marks_read(&part->state, MQ_STATE_MARKS, &part->marks, part->c->err);
	part->trusted = rc == 0 && part->tail_seq > 0 && !tail_bad && !(part->tail.flags & MQ_TAIL_UNSETTLED) &&
	                mq_state_tail_trusted(&part->state, &part->tail);
	for (int m = 0; rc == 0 && m < MQ_STATE_MARKS; m++)
		if (part->trusted && part->marks.seq[m] > 0 && mq_segment_id_equal(&part->marks.mark[m].segment, &part->tail.segment) &&
		    part->marks.mark[m].pos > part->tail.pos) {
			/* It may have been read before a batch that a mark speaks of: look once more. */
			rc = mq_state_tail_read(&part->state, &part->tail, &part->tail_seq, part->c->err);
			if (rc == 0 && mq_segment_id_equal(&part->marks.mark[m].segment, &part->tail.segment) &&
			    part->marks.mark[m].pos > part->tail.pos) {
				part->trusted = false;
				state_bad(part, MQ_STATE_TAIL_BLOCK * MQ_SLOT_BLOCK, 0, "the tail lies before what a mark calls durable");
			}
		}
	return rc;
}

/* ---- start ---- */
/* Told when the log is known. */
static void start_bad(struct mq_check_partition *part, uint64_t position, uint64_t length, const char *text)
{
	part->start_bad = true;
	mq_check_later(part, MQ_CHECK_CONFIG, "start", position, length, NULL, "%s", text);
}

static int start_slots(struct mq_check_partition *part, int fd, uint64_t size)
{
	struct mq_start v[2] = {{{0}, 0}, {{0}, 0}};
	uint64_t seq[2] = {0, 0}, bad;
	int which;

	for (uint32_t i = 0; i < 2; i++) {
		bool whole = size >= (uint64_t)i * MQ_SLOT_BLOCK + MQ_SLOT_LEN; /* else that it was cut is told */
		int rc = whole ? mq_check_slot(fd, i, start_slot, &v[i], &seq[i]) : 0;

		if (rc == MQ_EDAMAGE) {
			start_bad(part, (uint64_t)i * MQ_SLOT_BLOCK, MQ_SLOT_LEN, "a slot of the log start does not verify");
			seq[i] = 0;
		} else if (rc >= 0) {
			rc = mq_check_zeros(fd, (uint64_t)i * MQ_SLOT_BLOCK + MQ_SLOT_LEN, MQ_SLOT_BLOCK - MQ_SLOT_LEN, &bad);
			if (rc == 0 && bad != UINT64_MAX)
				start_bad(part, bad, 1, "a byte that belongs to nothing is not zero");
		}
		if (rc < 0 && rc != MQ_EDAMAGE)
			return mq_err_sys(part->c->err, rc, "%s: cannot read start", part->where);
	}
	which = seq[0] > seq[1] ? 0 : 1;
	if (seq[which] == 0) {
		start_bad(part, 0, 0, "no slot holds a log start");
	} else if (memcmp(v[which].topic_id, part->t->conf.id, 16) != 0) {
		start_bad(part, (uint64_t)which * MQ_SLOT_BLOCK, MQ_SLOT_LEN, "it is the log start of another topic");
	} else {
		part->log_start = v[which].log_start;
		part->have_start = true;
	}
	return 0;
}

int mq_check_start(struct mq_check_partition *part)
{
	struct mq_stat st;
	int rc, fd = mq_sys->openat(part->dir, "start", O_RDONLY, 0);

	if (fd == -ENOENT) {
		start_bad(part, 0, 0, "it is missing");
		return 0;
	}
	if (fd < 0)
		return mq_err_sys(part->c->err, fd, "%s: cannot open start", part->where);
	rc = mq_sys->stat(fd, &st);
	if (rc < 0)
		mq_err_sys(part->c->err, rc, "%s: cannot look at start", part->where);
	else if (st.size != 2 * MQ_SLOT_BLOCK)
		start_bad(part, st.size, 0, "it has not the length that it was made with");
	if (rc == 0)
		rc = start_slots(part, fd, st.size);
	(void)mq_sys->close(fd);
	return rc;
}

/* ---- producers: 16 bytes segment id, u64 position, u32 length, u32 checksum, entries ---- */
enum { PRODUCERS_HEAD = 32, PRODUCERS_MAX = 64 << 20 };

/* What is wrong with it; NULL: nothing. */
static const char *producers_fault(const uint8_t *p, size_t len)
{
	const uint8_t *at = p + PRODUCERS_HEAD;
	struct mq_producer v;
	int rc;

	if (len < PRODUCERS_HEAD || mq_get_le32(p + 24) != len - PRODUCERS_HEAD)
		return "it has not the length that it tells";
	if (mq_get_le32(p + 28) != mq_crc32c(mq_batch_seed(p, mq_get_le64(p + 16)), at, len - PRODUCERS_HEAD))
		return "it does not verify";
	while ((rc = mq_producer_next(&at, p + len, &v)) > 0)
		;
	return rc < 0 ? "it verifies but contradicts itself" : NULL;
}

int mq_check_producers(struct mq_check_partition *part)
{
	const char *fault = NULL;
	struct mq_stat st;
	uint8_t *p;
	ssize_t n;
	int rc, fd = mq_sys->openat(part->dir, "producers", O_RDONLY, 0);

	if (fd == -ENOENT)
		return 0;
	rc = fd < 0 ? fd : mq_sys->stat(fd, &st);
	if (rc < 0)
		goto out;
	if (st.size > PRODUCERS_HEAD + PRODUCERS_MAX) {
		fault = "it is longer than it ever is";
		goto out;
	}
	p = malloc(st.size + 1);
	n = p ? mq_check_read(fd, p, st.size, 0) : -ENOMEM;
	if (n < 0)
		rc = (int)n;
	else
		fault = producers_fault(p, (size_t)n);
	free(p);
out:
	if (fd >= 0)
		(void)mq_sys->close(fd);
	if (rc < 0)
		return mq_err_sys(part->c->err, rc, "%s: cannot read producers", part->where);
	if (fault) {
		part->producers_bad = true;
		mq_check_later(part, MQ_CHECK_CACHE, "producers", 0, st.size, NULL, "%s", fault);
	}
	return 0;
}
