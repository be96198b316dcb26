/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Building a body; walking one is walk.c. */
#include "format/record.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bytes.h"

enum { PREAMBLE_LEN = 8, NARROW_BYTES = 4, WIDE_BYTES = 8 };

/* The columns whose entries are u64 while building, whatever they are on disk. */
enum { WIDE = MQ_COL_TIMES | MQ_COL_EXPIRY | MQ_COL_OFFSETS | MQ_COL_SEQUENCES | MQ_COL_DUE };

enum { ALL_BUFS = 19 };
_Static_assert(sizeof(struct mq_records) >= ALL_BUFS * sizeof(struct mq_buf), "a buffer is forgotten below");

static void all_bufs(struct mq_records *b, struct mq_buf *ret[ALL_BUFS])
{
	struct mq_buf *all[ALL_BUFS] = {
	    &b->payloads, &b->lengths,  &b->keys,    &b->key_lens,  &b->headers, &b->header_lens,
	    &b->times,    &b->ids,      &b->id_lens, &b->tags,      &b->tag_lens, &b->attempts,
	    &b->offsets,  &b->sequences, &b->expiry, &b->groups, &b->group_lens, &b->due, &b->out,
	};
	memcpy(ret, all, sizeof all);
}

void mq_records_init(struct mq_records *b)
{
	memset(b, 0, sizeof *b);
	b->body_bytes = PREAMBLE_LEN;
}

void mq_records_clear(struct mq_records *b)
{
	struct mq_buf *all[ALL_BUFS];
	all_bufs(b, all);
	for (int i = 0; i < ALL_BUFS; i++)
		mq_buf_clear(all[i]);
	b->count = b->columns = b->row_bytes = 0;
	b->max_time_us = 0;
	b->payload_bytes = b->area_bytes = 0;
	b->body_bytes = PREAMBLE_LEN;
}

void mq_records_release(struct mq_records *b)
{
	if (!b)
		return;
	struct mq_buf *all[ALL_BUFS];
	all_bufs(b, all);
	for (int i = 0; i < ALL_BUFS; i++)
		mq_buf_release(all[i]);
	mq_records_init(b);
}

/* mq_buf_reserve, without the call where there is room already. */
static inline int room(struct mq_buf *b, size_t n)
{
	if (__builtin_expect(b->p && n <= b->cap - b->len, 1))
		return 0;
	return mq_buf_reserve(b, n);
}

static inline void put32(struct mq_buf *b, uint32_t v)
{
	mq_put_le32(b->p + b->len, v);
	b->len += 4;
}

static inline void put64(struct mq_buf *b, uint64_t v)
{
	mq_put_le64(b->p + b->len, v);
	b->len += 8;
}

static inline void put_bytes(struct mq_buf *b, const char *bytes, uint32_t n)
{
	if (n)
		memcpy(b->p + b->len, bytes, n);
	b->len += n;
}

static uint32_t needs(const struct mq_rec *r)
{
	uint32_t columns = MQ_COL_LENGTHS;
	columns |= r->key ? MQ_COL_KEYS : 0;
	columns |= r->headers_len ? MQ_COL_HEADERS : 0;
	columns |= r->time_us ? MQ_COL_TIMES : 0;
	columns |= r->id ? MQ_COL_IDS : 0;
	columns |= r->tag ? MQ_COL_TAGS : 0;
	columns |= r->attempts ? MQ_COL_ATTEMPTS : 0;
	columns |= r->expiry_us ? MQ_COL_EXPIRY : 0;
	columns |= r->group ? MQ_COL_GROUPS : 0;
	columns |= r->due_us ? MQ_COL_DUE : 0;
	return columns;
}

/* The buffer of a column's fixed-width entries. */
static struct mq_buf *entries(struct mq_records *b, uint32_t column)
{
	switch (column) {
	case MQ_COL_LENGTHS:
		return &b->lengths;
	case MQ_COL_KEYS:
		return &b->key_lens;
	case MQ_COL_HEADERS:
		return &b->header_lens;
	case MQ_COL_TIMES:
		return &b->times;
	case MQ_COL_IDS:
		return &b->id_lens;
	case MQ_COL_TAGS:
		return &b->tag_lens;
	case MQ_COL_ATTEMPTS:
		return &b->attempts;
	case MQ_COL_OFFSETS:
		return &b->offsets;
	case MQ_COL_SEQUENCES:
		return &b->sequences;
	case MQ_COL_EXPIRY:
		return &b->expiry;
	case MQ_COL_DUE:
		return &b->due;
	default:
		return &b->group_lens;
	}
}

/* Of one record, at most: offsets and sequences shrink to 4 bytes on disk. */
static uint32_t row_bytes(uint32_t columns)
{
	return (uint32_t)(NARROW_BYTES * __builtin_popcount(columns & ~(uint32_t)WIDE) +
	                  WIDE_BYTES * __builtin_popcount(columns & WIDE));
}

static uint64_t body_bytes(const struct mq_records *b, uint32_t row, uint32_t count)
{
	return PREAMBLE_LEN + b->payload_bytes + b->area_bytes + (uint64_t)row * count;
}

/* Give the records there are their entry, 0, in columns that begin now.  A failure leaves b->columns as it
 * was; entries already filled in are filled again, from the start, when the column begins for good. */
static int begin_columns(struct mq_records *b, uint32_t columns)
{
	for (uint32_t column = 1; column & MQ_COL_KNOWN; column <<= 1) {
		if (!(columns & column))
			continue;
		struct mq_buf *e = entries(b, column);
		size_t there = (size_t)(column & WIDE ? WIDE_BYTES : NARROW_BYTES) * b->count;
		if ((b->columns & column) && e->len == there)
			continue;
		mq_buf_clear(e);
		int rc = mq_buf_reserve(e, there);
		if (rc < 0)
			return rc;
		memset(e->p, 0, there);
		e->len = there;
	}
	b->columns = columns;
	b->row_bytes = row_bytes(columns);
	return 0;
}

/* Room for every entry of a record, so that what follows cannot fail. */
static int make_room(struct mq_records *b, const struct mq_rec *r)
{
	uint32_t columns = b->columns;
	int rc = room(&b->payloads, r->payload_len) | room(&b->lengths, 4);
	if (columns & MQ_COL_KEYS)
		rc |= room(&b->keys, r->key_len) | room(&b->key_lens, 4);
	if (columns == (MQ_COL_LENGTHS | MQ_COL_KEYS))
		return rc ? -ENOMEM : 0;
	if (columns & MQ_COL_HEADERS)
		rc |= room(&b->headers, r->headers_len) | room(&b->header_lens, 4);
	if (columns & MQ_COL_TIMES)
		rc |= room(&b->times, 8);
	if (columns & MQ_COL_IDS)
		rc |= room(&b->ids, r->id_len) | room(&b->id_lens, 4);
	if (columns & MQ_COL_TAGS)
		rc |= room(&b->tags, r->tag_len) | room(&b->tag_lens, 4);
	if (columns & MQ_COL_ATTEMPTS)
		rc |= room(&b->attempts, 4);
	if (columns & MQ_COL_OFFSETS)
		rc |= room(&b->offsets, 8);
	if (columns & MQ_COL_SEQUENCES)
		rc |= room(&b->sequences, 8);
	if (columns & MQ_COL_EXPIRY)
		rc |= room(&b->expiry, 8);
	if (columns & MQ_COL_GROUPS)
		rc |= room(&b->groups, r->group_len) | room(&b->group_lens, 4);
	if (columns & MQ_COL_DUE)
		rc |= room(&b->due, 8);
	return rc ? -ENOMEM : 0;
}

/* An entry of a column "as keys": 0 none, else length + 1. */
static inline void put_optional(struct mq_buf *lens, struct mq_buf *area, const char *bytes, uint32_t len)
{
	put32(lens, bytes ? len + 1 : 0);
	if (bytes)
		put_bytes(area, bytes, len);
}

static void put_rare(struct mq_records *b, const struct mq_rec *r)
{
	uint32_t columns = b->columns;
	if (columns & MQ_COL_HEADERS) {
		put32(&b->header_lens, r->headers_len);
		put_bytes(&b->headers, r->headers, r->headers_len);
	}
	if (columns & MQ_COL_TIMES)
		put64(&b->times, (uint64_t)r->time_us);
	if (columns & MQ_COL_IDS)
		put_optional(&b->id_lens, &b->ids, r->id, r->id_len);
	if (columns & MQ_COL_TAGS)
		put_optional(&b->tag_lens, &b->tags, r->tag, r->tag_len);
	if (columns & MQ_COL_ATTEMPTS)
		put32(&b->attempts, r->attempts);
	if (columns & MQ_COL_OFFSETS)
		put64(&b->offsets, r->offset);
	if (columns & MQ_COL_SEQUENCES)
		put64(&b->sequences, r->sequence);
	if (columns & MQ_COL_EXPIRY)
		put64(&b->expiry, (uint64_t)r->expiry_us);
	if (columns & MQ_COL_GROUPS)
		put_optional(&b->group_lens, &b->groups, r->group, r->group_len);
	if (columns & MQ_COL_DUE)
		put64(&b->due, (uint64_t)r->due_us);
}

static uint64_t area_bytes(const struct mq_rec *r)
{
	return (uint64_t)(r->key ? r->key_len : 0) + r->headers_len + (r->id ? r->id_len : 0) +
	       (r->tag ? r->tag_len : 0) + (r->group ? r->group_len : 0);
}

int mq_records_add(struct mq_records *b, const struct mq_rec *r)
{
	uint32_t columns = b->columns | needs(r);
	bool begins = columns != b->columns || b->count == 0;
	uint32_t row = begins ? row_bytes(columns) : b->row_bytes;
	uint64_t area = area_bytes(r);
	uint64_t body = body_bytes(b, row, b->count + 1) + area + r->payload_len;
	if (body > MQ_BATCH_BODY_MAX)
		return MQ_EINPUT;
	int rc = begins ? begin_columns(b, columns) : 0;
	if (rc == 0)
		rc = make_room(b, r);
	if (rc < 0)
		return rc;

	put32(&b->lengths, r->payload_len);
	put_bytes(&b->payloads, r->payload, r->payload_len);
	if (columns & MQ_COL_KEYS)
		put_optional(&b->key_lens, &b->keys, r->key, r->key_len);
	if (columns & ~(uint32_t)(MQ_COL_LENGTHS | MQ_COL_KEYS))
		put_rare(b, r);
	if (r->time_us && (r->time_us > b->max_time_us || b->max_time_us == 0))
		b->max_time_us = r->time_us;
	b->count++;
	b->payload_bytes += r->payload_len;
	b->area_bytes += area;
	b->body_bytes = body;
	return 0;
}

/* --- finish ------------------------------------------------------------------------------------- */

/* Times given as 0 are the base time.  True: every record has it, the column says nothing. */
static bool settle_times(struct mq_buf *times, int64_t base_time_us)
{
	bool plain = true;
	for (size_t at = 0; at < times->len; at += 8) {
		int64_t t = (int64_t)mq_get_le64(times->p + at);
		if (t == 0)
			mq_put_le64(times->p + at, (uint64_t)base_time_us);
		else if (t != base_time_us)
			plain = false;
	}
	return plain;
}

/* 1: base, base+1, …; 0: not so; MQ_EINPUT. */
static int check_offsets(const struct mq_buf *offsets, uint64_t base)
{
	int plain = 1;
	uint64_t least = base;
	for (size_t at = 0; at < offsets->len; at += 8) {
		uint64_t offset = mq_get_le64(offsets->p + at);
		if (offset < least || offset - base > UINT32_MAX)
			return MQ_EINPUT;
		if (offset != base + at / 8)
			plain = 0;
		least = offset + 1;
	}
	return plain;
}

/* 1: … last-1, last; 0: not so; MQ_EINPUT. */
static int check_sequences(const struct mq_buf *sequences, uint64_t last, uint32_t count)
{
	int plain = 1;
	for (size_t at = 0; at < sequences->len; at += 8) {
		uint64_t sequence = mq_get_le64(sequences->p + at);
		if (sequence > last || last - sequence > UINT32_MAX)
			return MQ_EINPUT;
		if (last - sequence != count - 1 - at / 8)
			plain = 0;
	}
	return plain;
}

static int finish_lines(struct mq_records *b)
{
	struct mq_buf *out = &b->out;
	int rc = mq_buf_reserve(out, b->payloads.len + b->count);
	if (rc < 0)
		return rc;
	const char *from = b->payloads.p;
	for (uint32_t i = 0; i < b->count; i++) {
		uint32_t len = mq_get_le32(b->lengths.p + (size_t)4 * i);
		put_bytes(out, from, len);
		out->p[out->len++] = '\n';
		from += len;
	}
	return 0;
}

static void put_column(struct mq_buf *out, const struct mq_buf *entries_of, const struct mq_buf *area)
{
	put_bytes(out, entries_of->p, (uint32_t)entries_of->len);
	if (area)
		put_bytes(out, area->p, (uint32_t)area->len);
}

/* columns: those that are written, in the order of their bits. */
static int finish_table(struct mq_records *b, uint32_t columns, uint64_t base_offset, uint64_t last_sequence)
{
	struct mq_buf *out = &b->out;
	int rc = mq_buf_reserve(out, (size_t)body_bytes(b, b->row_bytes, b->count));
	if (rc < 0)
		return rc;
	put32(out, columns);
	put32(out, 0); /* the table's length: known at its end */
	put_column(out, &b->lengths, NULL);
	if (columns & MQ_COL_KEYS)
		put_column(out, &b->key_lens, &b->keys);
	if (columns & MQ_COL_HEADERS)
		put_column(out, &b->header_lens, &b->headers);
	if (columns & MQ_COL_TIMES)
		put_column(out, &b->times, NULL);
	if (columns & MQ_COL_IDS)
		put_column(out, &b->id_lens, &b->ids);
	if (columns & MQ_COL_TAGS)
		put_column(out, &b->tag_lens, &b->tags);
	if (columns & MQ_COL_ATTEMPTS)
		put_column(out, &b->attempts, NULL);
	if (columns & MQ_COL_OFFSETS)
		for (size_t at = 0; at < b->offsets.len; at += 8)
			put32(out, (uint32_t)(mq_get_le64(b->offsets.p + at) - base_offset));
	if (columns & MQ_COL_SEQUENCES)
		for (size_t at = 0; at < b->sequences.len; at += 8)
			put32(out, (uint32_t)(last_sequence - mq_get_le64(b->sequences.p + at)));
	if (columns & MQ_COL_EXPIRY)
		put_column(out, &b->expiry, NULL);
	if (columns & MQ_COL_GROUPS)
		put_column(out, &b->group_lens, &b->groups);
	if (columns & MQ_COL_DUE)
		put_column(out, &b->due, NULL);
	mq_put_le32(out->p + 4, (uint32_t)out->len);
	put_column(out, &b->payloads, NULL);
	return 0;
}

int mq_records_finish(struct mq_records *b, int64_t base_time_us, uint64_t base_offset, uint64_t last_sequence,
                      enum mq_batch_kind *ret_kind, const uint8_t **ret_bytes, uint32_t *ret_len)
{
	assert(b->count > 0);
	uint32_t columns = b->columns;
	if ((columns & MQ_COL_TIMES) && settle_times(&b->times, base_time_us))
		columns &= ~(uint32_t)MQ_COL_TIMES;
	if (columns & MQ_COL_OFFSETS) {
		int rc = check_offsets(&b->offsets, base_offset);
		if (rc < 0)
			return rc;
		columns &= rc ? ~(uint32_t)MQ_COL_OFFSETS : ~0u;
	}
	if (columns & MQ_COL_SEQUENCES) {
		int rc = check_sequences(&b->sequences, last_sequence, b->count);
		if (rc < 0)
			return rc;
		columns &= rc ? ~(uint32_t)MQ_COL_SEQUENCES : ~0u;
	}
	mq_buf_clear(&b->out);
	bool lines = columns == MQ_COL_LENGTHS &&
	             (b->payloads.len == 0 || !memchr(b->payloads.p, '\n', b->payloads.len));
	int rc = lines ? finish_lines(b) : finish_table(b, columns, base_offset, last_sequence);
	if (rc < 0)
		return rc;
	*ret_kind = lines ? MQ_BATCH_LINES : MQ_BATCH_RECORDS;
	*ret_bytes = (const uint8_t *)b->out.p;
	*ret_len = (uint32_t)b->out.len;
	return 0;
}
