/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libFuzzer target: the bytes of a segment, through the library's own scanner, decoders and walker.
 *
 * Checksums would stop every mutation at the door, so the mutator mends them: the fuzzer gets as far
 * as somebody who writes into a segment on purpose, with all checksums right.  What must hold:
 * nothing is read outside of what was given (each piece lies in memory of just its size, under
 * AddressSanitizer); the scanner gets from damage to the end; what verifies encodes to the same bytes.
 */
#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/control.h"
#include "format/record.h"
#include "format/zip.h"
#include "segment/scan.h"
#include "sys/sys.h"

enum {
	HEADER = MQ_SEGMENT_HEADER_LEN,
	UNZIPPED_MAX = 1 << 20, /* more is only slow */
	REPAIR_OFTEN = 8,       /* all but one in so many inputs are mended */
};

#define HOLDS(x)                                                                                              \
	do {                                                                                                  \
		if (!(x))                                                                                     \
			abort();                                                                              \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);

/* --- a file in memory, for the scanner ---------------------------------------------------------- */

static const uint8_t *image;
static size_t image_len;

static ssize_t image_pread(int fd, void *buf, size_t len, uint64_t at)
{
	(void)fd;
	if (at >= image_len)
		return 0;
	if (len > image_len - at)
		len = image_len - at;
	memcpy(buf, image + at, len);
	return (ssize_t)len;
}

static const struct mq_sys fuzz_sys = {.pread = image_pread};
const struct mq_sys *mq_sys = &fuzz_sys;

/* --- the checks --------------------------------------------------------------------------------- */

static volatile uint32_t touched;

static void touch(const void *bytes, size_t n)
{
	if (bytes)
		touched = mq_crc32c(touched, bytes, n);
}

static void check_headers(const struct mq_rec *r)
{
	const char *at = r->headers, *end = r->headers ? at + r->headers_len : at;
	struct mq_header_view v;
	while (at && mq_header_next(&at, end, &v) > 0) {
		touch(v.name, v.name_len);
		touch(v.value, v.value_len);
	}
}

static void same(const struct mq_rec *a, const struct mq_rec *b)
{
#define SAME_BYTES(m) HOLDS(!a->m == !b->m && a->m##_len == b->m##_len && (!a->m || !memcmp(a->m, b->m, a->m##_len)))
	SAME_BYTES(key);
	SAME_BYTES(headers);
	SAME_BYTES(id);
	SAME_BYTES(tag);
	SAME_BYTES(group);
	HOLDS(a->payload_len == b->payload_len && !memcmp(a->payload, b->payload, a->payload_len));
	HOLDS(a->attempts == b->attempts && a->expiry_us == b->expiry_us && a->offset == b->offset);
}

/* Build the records of a body anew.  False where the builder refuses, as it may: the body was nobody's. */
static int rebuild(const struct mq_batch *b, const uint8_t *body, struct mq_records *to, enum mq_batch_kind *ret_kind,
                   const uint8_t **ret_bytes, uint32_t *ret_len)
{
	struct mq_walk w;
	struct mq_rec r;
	mq_records_clear(to);
	to->columns |= MQ_COL_OFFSETS | (b->who.kind == MQ_WHO_PRODUCER ? MQ_COL_SEQUENCES : 0);
	HOLDS(mq_walk_init(&w, b, body, NULL) == 0);
	while (mq_walk_next(&w, &r) > 0)
		if (mq_records_add(to, &r) < 0)
			return 0;
	return mq_records_finish(to, b->base_time_us, b->base_offset, b->who.number, ret_kind, ret_bytes, ret_len) == 0;
}

static void check_rebuilt(const struct mq_batch *b, const uint8_t *body)
{
	struct mq_records one, two;
	struct mq_batch again = *b;
	const uint8_t *first, *second;
	uint32_t len;
	mq_records_init(&one);
	mq_records_init(&two);
	if (rebuild(b, body, &one, &again.kind, &first, &again.raw_len)) {
		struct mq_walk w, v;
		struct mq_rec r, q;
		HOLDS(mq_walk_init(&w, b, body, NULL) == 0 && mq_walk_init(&v, &again, first, NULL) == 0);
		while (mq_walk_next(&w, &r) > 0) {
			HOLDS(mq_walk_next(&v, &q) == 1);
			same(&r, &q);
		}
		HOLDS(mq_walk_next(&v, &q) == 0);
		enum mq_batch_kind kind;
		HOLDS(rebuild(&again, first, &two, &kind, &second, &len));
		HOLDS(kind == again.kind && len == again.raw_len && memcmp(first, second, len) == 0);
	}
	mq_records_release(&one);
	mq_records_release(&two);
}

static void check_records(const struct mq_batch *b, const uint8_t *body)
{
	struct mq_walk w;
	struct mq_rec r;
	uint64_t least = b->base_offset;
	uint32_t n = 0;
	int rc = mq_walk_init(&w, b, body, NULL);
	if (rc < 0)
		return;
	while ((rc = mq_walk_next(&w, &r)) > 0) {
		HOLDS(r.offset >= least && r.offset < b->next_offset);
		least = r.offset + 1;
		touch(r.payload, r.payload_len);
		touch(r.key, r.key_len);
		touch(r.id, r.id_len);
		touch(r.tag, r.tag_len);
		touch(r.group, r.group_len);
		touch(r.headers, r.headers_len);
		check_headers(&r);
		n++;
	}
	if (rc < 0)
		return;
	HOLDS(n == b->count);
	for (uint64_t to = 0; to < 3; to++) {
		HOLDS(mq_walk_init(&w, b, body, NULL) == 0);
		HOLDS(mq_walk_skip(&w, b->base_offset + (b->next_offset - b->base_offset) * to / 2) == 0);
		while (mq_walk_next(&w, &r) > 0)
			touch(r.payload, r.payload_len);
	}
	check_rebuilt(b, body);
}

static void check_control(const struct mq_batch *b, const uint8_t *body)
{
	uint8_t again[MQ_GAP_LEN];
	struct mq_gap gap;
	struct mq_generation generation;
	if (b->control == MQ_CONTROL_GAP && mq_gap_decode(body, b->raw_len, &gap) == 0) {
		mq_gap_encode(&gap, again);
		HOLDS(memcmp(again, body, MQ_GAP_LEN) == 0);
	}
	if (b->control == MQ_CONTROL_GENERATION && mq_generation_decode(body, b->raw_len, &generation) == 0) {
		struct mq_buf whole = MQ_BUF_INIT;
		struct mq_generation_source *sources = calloc(generation.n_sources + 1, sizeof *sources);
		HOLDS(sources);
		for (uint32_t i = 0; i < generation.n_sources; i++)
			sources[i] = mq_generation_source_at(body, i);
		HOLDS(mq_generation_append(&whole, &generation, sources) == 0);
		HOLDS(whole.len == b->raw_len && memcmp(whole.p, body, whole.len) == 0);
		mq_buf_release(&whole);
		free(sources);
	}
	if (b->control != MQ_CONTROL_SNAPSHOT && b->control != MQ_CONTROL_REGISTER)
		return;
	struct mq_buf out = MQ_BUF_INIT;
	struct mq_producer p;
	const uint8_t *at = body;
	while (mq_producer_next(&at, body + b->raw_len, &p) > 0)
		HOLDS(mq_producer_append(&out, &p) == 0);
	HOLDS(out.len == (size_t)(at - body) && (out.len == 0 || memcmp(out.p, body, out.len) == 0));
	mq_buf_release(&out);
}

static void check_batch(const struct mq_batch *b, const uint8_t *bytes, uint32_t seed)
{
	uint8_t again[MQ_BATCH_HEADER_LEN];
	mq_batch_encode(b, seed, again);
	/* the spare bytes are a later format's, and the checksum covers them */
	HOLDS(memcmp(again, bytes, 4) == 0 && memcmp(again + 8, bytes + 8, 112) == 0);
	HOLDS(mq_get_le64(bytes + 120) != 0 || memcmp(again, bytes, sizeof again) == 0);

	const uint8_t *stored = bytes + MQ_BATCH_HEADER_LEN;
	uint8_t *body = NULL;
	if (b->zip == MQ_BATCH_ZSTD) {
		struct mq_zip z = MQ_ZIP_INIT;
		struct mq_buf out = MQ_BUF_INIT;
		if (b->raw_len <= UNZIPPED_MAX &&
		    mq_zip_unpack(&z, stored, b->stored_len, b->raw_len, &out, NULL) == 0) {
			HOLDS(out.len == b->raw_len);
			stored = (const uint8_t *)out.p;
			body = malloc(b->raw_len ? b->raw_len : 1);
			HOLDS(body);
			memcpy(body, stored, b->raw_len);
		}
		mq_buf_release(&out);
		mq_zip_release(&z);
	} else {
		body = malloc(b->raw_len ? b->raw_len : 1);
		HOLDS(body);
		memcpy(body, stored, b->raw_len);
	}
	if (body && b->kind == MQ_BATCH_CONTROL)
		check_control(b, body);
	else if (body)
		check_records(b, body);
	free(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mq_segment seg;
	struct mq_segment_header h;
	struct mq_scan scan;
	if (size < HEADER)
		return 0;
	memset(&seg, 0, sizeof seg);
	if (mq_segment_header_decode(data, &h, NULL) == 0) {
		uint8_t again[HEADER];
		seg.h = h;
		mq_segment_header_encode(&h, again);
		HOLDS(memcmp(again + 12, data + 12, 132) == 0);
	} else {
		memcpy(seg.h.id.b, data + 24, 16);
	}
	image = data;
	image_len = size;
	mq_scan_init(&scan);
	mq_scan_reset(&scan, &seg);
	for (uint64_t pos = HEADER; pos < size;) {
		struct mq_batch b;
		const uint8_t *body;
		int rc = mq_scan_batch(&scan, pos, size, &b, &body, NULL);
		if (rc == 1) {
			check_batch(&b, body - MQ_BATCH_HEADER_LEN, mq_batch_seed(seg.h.id.b, pos));
			HOLDS(mq_batch_len(&b) <= size - pos);
			pos += mq_batch_len(&b);
			continue;
		}
		HOLDS(rc == 0 || rc == MQ_EDAMAGE || rc == MQ_ECONFIG);
		uint64_t next;
		if (rc == 0 || mq_scan_resync(&scan, pos + 1, size, &next, NULL) != 1)
			break;
		HOLDS(next > pos);
		pos = next;
	}
	mq_scan_release(&scan);
	return 0;
}

/* --- the mutator -------------------------------------------------------------------------------- */

static uint32_t rnd(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Give the batch at pos right checksums.  Returns where the next one would begin. */
static size_t mend_batch(uint8_t *data, size_t size, size_t pos, uint32_t *seed)
{
	uint8_t *p = data + pos;
	size_t room = size - pos - MQ_BATCH_HEADER_LEN;
	uint32_t stored = mq_get_le32(p + 16);
	memcpy(p, "mqB\1", 4);
	if (stored > room) {
		stored = room ? (uint32_t)(rnd(seed) % (room + 1)) : 0;
		mq_put_le32(p + 16, stored);
	}
	if ((p[12] >> 2 & 3) == MQ_BATCH_PLAIN && rnd(seed) % REPAIR_OFTEN)
		mq_put_le32(p + 20, stored);
	mq_put_le32(p + 8, mq_crc32c(0, p + MQ_BATCH_HEADER_LEN, stored));
	mq_put_le32(p + 4, mq_crc32c(mq_batch_seed(data + 24, pos), p + 8, MQ_BATCH_HEADER_LEN - 8));
	return pos + MQ_BATCH_HEADER_LEN + stored;
}

static void mend(uint8_t *data, size_t size, uint32_t *seed)
{
	memcpy(data, "mqSegm\r\n", 8);
	mq_put_le32(data + 8, mq_crc32c(0, data + 12, HEADER - 12));
	for (size_t pos = HEADER; pos + MQ_BATCH_HEADER_LEN <= size;)
		pos = mend_batch(data, size, pos, seed);
}

/* A batch of some records, as the library makes them; what the fuzzer starts from. */
static size_t fresh_batch(uint8_t *to, size_t room, uint32_t *seed)
{
	static const char bytes[] = "\1\0x\3\0\0\0abc-key\n-payload";
	struct mq_records b;
	struct mq_zip z = MQ_ZIP_INIT;
	struct mq_buf packed = MQ_BUF_INIT;
	uint32_t columns = rnd(seed) & MQ_COL_KNOWN, n = 1 + rnd(seed) % 4;
	struct mq_batch h = {.count = n, .base_offset = 100, .next_offset = 200, .who = {.kind = MQ_WHO_PRODUCER, .number = 50}};
	size_t len = 0;
	mq_records_init(&b);
	b.columns |= columns & (MQ_COL_OFFSETS | MQ_COL_SEQUENCES);
	for (uint32_t i = 0; i < n; i++) {
		struct mq_rec r = {.payload = bytes + 10, .payload_len = rnd(seed) % 14, .offset = 100 + 3 * i, .sequence = 20 + 2 * i};
		if (columns & MQ_COL_KEYS)
			r.key = bytes + 11, r.key_len = rnd(seed) % 4;
		if (columns & MQ_COL_HEADERS)
			r.headers = bytes, r.headers_len = 10;
		if (columns & MQ_COL_IDS)
			r.id = bytes + 11, r.id_len = i;
		if (columns & MQ_COL_TAGS)
			r.tag = bytes + 11, r.tag_len = 1;
		if (columns & MQ_COL_GROUPS)
			r.group = bytes + 11, r.group_len = 2;
		r.time_us = columns & MQ_COL_TIMES ? i + 1 : 0;
		r.expiry_us = columns & MQ_COL_EXPIRY ? i : 0;
		r.attempts = columns & MQ_COL_ATTEMPTS ? i : 0;
		HOLDS(mq_records_add(&b, &r) == 0);
	}
	const uint8_t *body;
	HOLDS(mq_records_finish(&b, 0, 100, 50, &h.kind, &body, &h.raw_len) == 0);
	h.stored_len = h.raw_len;
	if (h.kind == MQ_BATCH_LINES)
		h.next_offset = 100 + n;
	if (rnd(seed) % 4 == 0) {
		HOLDS(mq_zip_pack(&z, body, h.raw_len, &packed) == 0);
		h.zip = MQ_BATCH_ZSTD;
		h.stored_len = (uint32_t)packed.len;
		body = (const uint8_t *)packed.p;
	} else if (rnd(seed) % 4 == 0) {
		struct mq_producer p = {.kind = MQ_WHO_MOVER, .name_len = 4, .name = "name"};
		mq_buf_clear(&packed);
		for (uint32_t i = 0; i < n; i++)
			HOLDS(mq_producer_append(&packed, &p) == 0);
		h.kind = MQ_BATCH_CONTROL;
		h.control = (enum mq_control)(1 + rnd(seed) % 4);
		h.count = 0;
		h.stored_len = h.raw_len = h.control == MQ_CONTROL_GAP ? MQ_GAP_LEN : h.control == MQ_CONTROL_GENERATION ? MQ_GENERATION_LEN : (uint32_t)packed.len;
		body = (const uint8_t *)packed.p;
	}
	if (mq_batch_len(&h) <= room) {
		mq_batch_encode(&h, 0, to);
		memcpy(to + MQ_BATCH_HEADER_LEN, body, h.stored_len);
		len = MQ_BATCH_HEADER_LEN + h.stored_len;
	}
	mq_records_release(&b);
	mq_zip_release(&z);
	mq_buf_release(&packed);
	return len;
}

/* Change bytes of one batch, so that what follows it stays where it is. */
static void mutate_in_place(uint8_t *data, size_t size, uint32_t *seed)
{
	size_t at = HEADER + rnd(seed) % (size - HEADER), n = 1 + rnd(seed) % 16;
	if (n > size - at)
		n = size - at;
	LLVMFuzzerMutate(data + at, n, n);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned fuzz_seed)
{
	uint32_t seed = fuzz_seed, what = rnd(&seed) % 4;
	if (max < HEADER + MQ_BATCH_HEADER_LEN)
		return LLVMFuzzerMutate(data, size, max);
	if (size < HEADER) {
		struct mq_segment_header h = {.born_end_pos = HEADER};
		mq_segment_header_encode(&h, data);
		size = HEADER;
	}
	if (size == HEADER || what == 0)
		size += fresh_batch(data + size, max - size, &seed);
	if (what == 1 || size == HEADER)
		size = LLVMFuzzerMutate(data, size, max);
	else if (what > 1)
		mutate_in_place(data, size, &seed);
	if (size >= HEADER && rnd(&seed) % REPAIR_OFTEN)
		mend(data, size, &seed);
	return size;
}
