/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/run.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"

static const uint8_t MAGIC[8] = {'m', 'q', 'R', 'e', 'p', 'l', 'a', 'y'};

enum { /* mq-spool(5) */
	AT_VERSION = 8,
	AT_FLAGS = 10,
	AT_NUMBER = 12,
	AT_ASKED = 16,
	AT_BEGAN = 24,
	AT_RANGES = 32,
	AT_SPARE = 36,
	HEAD = 40,
	R_PARTITION = 0,
	R_SPARE = 4,
	R_START = 8,
	R_END = 16,
	RANGE = 24,
	VERSION = 1,
	ENDED = 1,
};

int mq_run_print(struct mq_buf *out, const struct mq_run_facts *f, const struct mq_run_range *ranges)
{
	uint8_t b[HEAD] = {0};

	if (mq_buf_reserve(out, HEAD + RANGE * (size_t)f->n) < 0)
		return -ENOMEM;
	memcpy(b, MAGIC, sizeof MAGIC);
	mq_put_le16(b + AT_VERSION, VERSION);
	mq_put_le16(b + AT_FLAGS, f->ended ? ENDED : 0);
	mq_put_le32(b + AT_NUMBER, f->number);
	mq_put_le64(b + AT_ASKED, f->asked);
	mq_put_le64(b + AT_BEGAN, (uint64_t)f->began_us);
	mq_put_le32(b + AT_RANGES, f->n);
	mq_buf_add(out, b, HEAD);
	for (uint32_t i = 0; i < f->n; i++) {
		uint8_t r[RANGE] = {0};

		mq_put_le32(r + R_PARTITION, ranges[i].partition);
		mq_put_le64(r + R_START, ranges[i].start);
		mq_put_le64(r + R_END, ranges[i].end);
		mq_buf_add(out, r, RANGE);
	}
	return 0;
}

struct mq_run_range mq_run_range_at(const void *payload, uint32_t nth)
{
	const uint8_t *r = (const uint8_t *)payload + HEAD + RANGE * (size_t)nth;

	return (struct mq_run_range){mq_get_le32(r + R_PARTITION), mq_get_le64(r + R_START), mq_get_le64(r + R_END)};
}

static bool ranges_ok(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct mq_run_range r = mq_run_range_at(p, i);

		if (r.end < r.start || mq_get_le32(p + HEAD + RANGE * (size_t)i + R_SPARE) != 0)
			return false;
		if (i > 0 && r.partition <= mq_run_range_at(p, i - 1).partition)
			return false;
	}
	return true;
}

int mq_run_read(const void *payload, size_t len, struct mq_run_facts *ret, struct mq_err *err)
{
	const uint8_t *p = payload;

	if (len < HEAD || memcmp(p, MAGIC, sizeof MAGIC) != 0)
		return mq_err_set(err, MQ_EDAMAGE, "this is no record of a run");
	if (mq_get_le16(p + AT_VERSION) != VERSION || mq_get_le16(p + AT_FLAGS) & ~ENDED)
		return mq_err_set(err, MQ_ECONFIG, "a run of a newer mq");
	struct mq_run_facts f = {
	    .ended = mq_get_le16(p + AT_FLAGS) & ENDED,
	    .number = mq_get_le32(p + AT_NUMBER),
	    .asked = mq_get_le64(p + AT_ASKED),
	    .began_us = (int64_t)mq_get_le64(p + AT_BEGAN),
	    .n = mq_get_le32(p + AT_RANGES),
	};
	if (f.number == 0 || mq_get_le32(p + AT_SPARE) != 0 || len != HEAD + RANGE * (size_t)f.n || !ranges_ok(p, f.n))
		return mq_err_set(err, MQ_EDAMAGE, "the record of a run contradicts itself");
	*ret = f;
	return 0;
}
