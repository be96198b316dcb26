/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/lines.h"
#include "format/record.h"

enum { PREAMBLE_LEN = 8 };

/* Step over n bytes; NULL where they are not all there. */
static const uint8_t *take(const uint8_t **at, const uint8_t *end, uint64_t n)
{
	const uint8_t *start = *at;
	if ((uint64_t)(end - start) < n)
		return NULL;
	*at = start + n;
	return start;
}

static uint64_t sum_plain(const uint8_t *lens, uint32_t n)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < n; i++)
		sum += mq_get_le32(lens + (size_t)4 * i);
	return sum;
}

/* Of lengths where 0 is "none" and n + 1 is n. */
static uint64_t sum_optional(const uint8_t *lens, uint32_t n)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t v = mq_get_le32(lens + (size_t)4 * i);
		sum += v - (v != 0);
	}
	return sum;
}

/* A column of lengths and the bytes they measure. */
static bool take_area(const uint8_t **at, const uint8_t *end, uint32_t n, bool optional,
                      const uint8_t **ret_lens, const uint8_t **ret_area)
{
	const uint8_t *lens = take(at, end, (uint64_t)4 * n);
	if (!lens)
		return false;
	const uint8_t *area = take(at, end, optional ? sum_optional(lens, n) : sum_plain(lens, n));
	*ret_lens = lens;
	*ret_area = area;
	return area;
}

static bool take_column(const uint8_t **at, const uint8_t *end, uint64_t bytes, const uint8_t **ret)
{
	*ret = take(at, end, bytes);
	return *ret;
}

/* All columns, in the order of their bits, up to exactly `end`. */
static bool take_table(struct mq_walk *w, const uint8_t *at, const uint8_t *end)
{
	const uint32_t n = w->batch->count, columns = w->columns;
	const uint64_t narrow = (uint64_t)4 * n, wide = (uint64_t)8 * n;
	bool ok = (columns & MQ_COL_LENGTHS) && take_column(&at, end, narrow, &w->lengths);
	if (ok && (columns & MQ_COL_KEYS))
		ok = take_area(&at, end, n, true, &w->key_lens, &w->keys);
	if (ok && (columns & MQ_COL_HEADERS))
		ok = take_area(&at, end, n, false, &w->header_lens, &w->headers);
	if (ok && (columns & MQ_COL_TIMES))
		ok = take_column(&at, end, wide, &w->times);
	if (ok && (columns & MQ_COL_IDS))
		ok = take_area(&at, end, n, true, &w->id_lens, &w->ids);
	if (ok && (columns & MQ_COL_TAGS))
		ok = take_area(&at, end, n, true, &w->tag_lens, &w->tags);
	if (ok && (columns & MQ_COL_ATTEMPTS))
		ok = take_column(&at, end, narrow, &w->attempts);
	if (ok && (columns & MQ_COL_OFFSETS))
		ok = take_column(&at, end, narrow, &w->offsets);
	if (ok && (columns & MQ_COL_SEQUENCES))
		ok = take_column(&at, end, narrow, &w->sequences);
	if (ok && (columns & MQ_COL_EXPIRY))
		ok = take_column(&at, end, wide, &w->expiry);
	if (ok && (columns & MQ_COL_GROUPS))
		ok = take_area(&at, end, n, true, &w->group_lens, &w->groups);
	if (ok && (columns & MQ_COL_DUE))
		ok = take_column(&at, end, wide, &w->due);
	return ok && at == end;
}

/* Every record's offset lies in the batch, above the one before. */
static bool offsets_rise(const struct mq_walk *w)
{
	const struct mq_batch *b = w->batch;
	uint64_t span = b->next_offset - b->base_offset, least = 0;
	for (uint32_t i = 0; i < b->count; i++) {
		uint64_t v = mq_get_le32(w->offsets + (size_t)4 * i);
		if (v < least || v >= span)
			return false;
		least = v + 1;
	}
	return true;
}

/* No sequence lies before 0. */
static bool sequences_fit(const struct mq_walk *w)
{
	for (uint32_t i = 0; i < w->batch->count; i++)
		if (mq_get_le32(w->sequences + (size_t)4 * i) > w->batch->who.number)
			return false;
	return true;
}

static int init_records(struct mq_walk *w, struct mq_err *err)
{
	const struct mq_batch *b = w->batch;
	if (b->raw_len < PREAMBLE_LEN)
		return mq_err_set(err, MQ_EDAMAGE, "the batch's body is too short for its table");
	w->columns = mq_get_le32(w->body);
	uint32_t table_len = mq_get_le32(w->body + 4);
	if (w->columns & ~(uint32_t)MQ_COL_KNOWN)
		return mq_err_set(err, MQ_ECONFIG, "the batch needs a newer mq (columns %#x)", w->columns);
	if (table_len < PREAMBLE_LEN || table_len > b->raw_len)
		return mq_err_set(err, MQ_EDAMAGE, "the batch's table leads out of its body");
	w->payload = w->body + table_len;
	if (!take_table(w, w->body + PREAMBLE_LEN, w->payload))
		return mq_err_set(err, MQ_EDAMAGE, "the batch's table does not fit its columns");
	if (sum_plain(w->lengths, b->count) != (uint64_t)(w->end - w->payload))
		return mq_err_set(err, MQ_EDAMAGE, "the batch's payloads are not as long as its table says");
	if ((w->offsets && !offsets_rise(w)) || (w->sequences && !sequences_fit(w)))
		return mq_err_set(err, MQ_EDAMAGE, "the batch's table numbers records that it cannot hold");
	return 0;
}

int mq_walk_init(struct mq_walk *w, const struct mq_batch *batch, const uint8_t *body, struct mq_err *err)
{
	*w = (struct mq_walk){
	    .batch = batch, .body = body, .end = body + batch->raw_len, .payload = body};
	return batch->kind == MQ_BATCH_RECORDS ? init_records(w, err) : 0;
}

static inline const char *optional(const uint8_t *lens, const uint8_t **area, uint32_t i, uint32_t *ret_len)
{
	uint32_t v = mq_get_le32(lens + (size_t)4 * i);
	if (v == 0)
		return NULL;
	const char *bytes = (const char *)*area;
	*ret_len = v - 1;
	*area += v - 1;
	return bytes;
}

static void get_rare(struct mq_walk *w, struct mq_rec *ret)
{
	const uint32_t i = w->index, columns = w->columns;
	const size_t narrow = (size_t)4 * i, wide = (size_t)8 * i;
	if (columns & MQ_COL_HEADERS) {
		ret->headers_len = mq_get_le32(w->header_lens + narrow);
		ret->headers = ret->headers_len ? (const char *)w->headers : NULL;
		w->headers += ret->headers_len;
	}
	if (columns & MQ_COL_TIMES)
		ret->time_us = (int64_t)mq_get_le64(w->times + wide);
	if (columns & MQ_COL_IDS)
		ret->id = optional(w->id_lens, &w->ids, i, &ret->id_len);
	if (columns & MQ_COL_TAGS)
		ret->tag = optional(w->tag_lens, &w->tags, i, &ret->tag_len);
	if (columns & MQ_COL_ATTEMPTS)
		ret->attempts = mq_get_le32(w->attempts + narrow);
	if (columns & MQ_COL_OFFSETS)
		ret->offset = w->batch->base_offset + mq_get_le32(w->offsets + narrow);
	if (columns & MQ_COL_SEQUENCES)
		ret->sequence = w->batch->who.number - mq_get_le32(w->sequences + narrow);
	if (columns & MQ_COL_EXPIRY)
		ret->expiry_us = (int64_t)mq_get_le64(w->expiry + wide);
	if (columns & MQ_COL_GROUPS)
		ret->group = optional(w->group_lens, &w->groups, i, &ret->group_len);
	if (columns & MQ_COL_DUE)
		ret->due_us = (int64_t)mq_get_le64(w->due + wide);
}

static int end_of_walk(const struct mq_walk *w)
{
	return w->batch->kind == MQ_BATCH_LINES && w->payload != w->end ? MQ_EDAMAGE : 0;
}

int mq_walk_next(struct mq_walk *w, struct mq_rec *ret)
{
	const struct mq_batch *b = w->batch;
	const uint32_t i = w->index;
	if (i >= b->count)
		return end_of_walk(w);

	uint32_t len, passed;
	if (b->kind == MQ_BATCH_LINES) {
		const uint8_t *nl = memchr(w->payload, '\n', (size_t)(w->end - w->payload));
		if (!nl)
			return MQ_EDAMAGE;
		len = (uint32_t)(nl - w->payload);
		passed = len + 1;
	} else {
		len = passed = mq_get_le32(w->lengths + (size_t)4 * i);
	}
	*ret = (struct mq_rec){
	    .payload = (const char *)w->payload,
	    .payload_len = len,
	    .time_us = b->base_time_us,
	    .offset = b->base_offset + i,
	    .sequence = b->who.kind == MQ_WHO_PRODUCER ? b->who.number - (b->count - 1 - i) : 0,
	};
	if (w->columns & MQ_COL_KEYS)
		ret->key = optional(w->key_lens, &w->keys, i, &ret->key_len);
	if (w->columns & ~(uint32_t)(MQ_COL_LENGTHS | MQ_COL_KEYS))
		get_rare(w, ret);
	w->payload += passed;
	w->index = i + 1;
	return 1;
}

/* How many of the records that come next lie below `offset`. */
static uint32_t below(const struct mq_walk *w, uint64_t offset)
{
	const struct mq_batch *b = w->batch;
	uint32_t left = b->count - w->index, low = 0, high = left;
	if (offset <= b->base_offset)
		return 0;
	uint64_t from_base = offset - b->base_offset;
	if (!w->offsets)
		return from_base <= w->index ? 0
		                             : from_base - w->index > left ? left : (uint32_t)(from_base - w->index);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (mq_get_le32(w->offsets + (size_t)4 * (w->index + middle)) < from_base)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void skip_optional(const uint8_t *lens, const uint8_t **area, uint32_t i, uint32_t n)
{
	if (lens)
		*area += sum_optional(lens + (size_t)4 * i, n);
}

int mq_walk_skip(struct mq_walk *w, uint64_t offset)
{
	uint32_t n = below(w, offset), i = w->index;
	if (n == 0)
		return 0;
	if (w->batch->kind == MQ_BATCH_LINES) {
		size_t passed = mq_lines_skip(w->payload, (size_t)(w->end - w->payload), n);
		if (passed == 0)
			return MQ_EDAMAGE;
		w->payload += passed;
		w->index += n;
		return 0;
	}
	w->payload += sum_plain(w->lengths + (size_t)4 * i, n);
	if (w->headers)
		w->headers += sum_plain(w->header_lens + (size_t)4 * i, n);
	skip_optional(w->key_lens, &w->keys, i, n);
	skip_optional(w->id_lens, &w->ids, i, n);
	skip_optional(w->tag_lens, &w->tags, i, n);
	skip_optional(w->group_lens, &w->groups, i, n);
	w->index += n;
	return 0;
}
