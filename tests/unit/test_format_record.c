/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies: lines, records, headers, compressed ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "format/record.h"
#include "format/zip.h"

#include "test_format_hex.h"

#define TEXT(s) .payload = s, .payload_len = sizeof s - 1

struct body {
	enum mq_batch_kind kind;
	const uint8_t *bytes;
	uint32_t len;
};

static struct body finish(struct mq_records *b, int64_t time, uint64_t base, uint64_t last)
{
	struct body body;
	assert_int_equal(mq_records_finish(b, time, base, last, &body.kind, &body.bytes, &body.len), 0);
	return body;
}

static struct mq_batch header_for(const struct body *body, uint32_t count, uint64_t base)
{
	return (struct mq_batch){.kind = body->kind, .count = count, .stored_len = body->len, .raw_len = body->len,
	                         .base_offset = base, .next_offset = base + count, .base_time_us = 1000};
}

static void assert_bytes(const char *got, uint32_t got_len, const char *want, uint32_t want_len)
{
	if (!want) {
		assert_null(got);
		return;
	}
	assert_non_null(got);
	assert_int_equal(got_len, want_len);
	assert_memory_equal(got, want, want_len);
}

static void assert_same(const struct mq_rec *got, const struct mq_rec *want)
{
	assert_int_equal(got->payload_len, want->payload_len);
	if (want->payload_len)
		assert_memory_equal(got->payload, want->payload, want->payload_len);
	assert_bytes(got->key, got->key_len, want->key, want->key_len);
	assert_bytes(got->id, got->id_len, want->id, want->id_len);
	assert_bytes(got->tag, got->tag_len, want->tag, want->tag_len);
	assert_bytes(got->group, got->group_len, want->group, want->group_len);
	assert_int_equal(got->headers_len, want->headers_len);
	if (want->headers_len)
		assert_memory_equal(got->headers, want->headers, want->headers_len);
	assert_true(got->time_us == want->time_us && got->expiry_us == want->expiry_us && got->due_us == want->due_us);
	assert_true(got->attempts == want->attempts && got->offset == want->offset &&
	            got->sequence == want->sequence);
}

/* --- golden bytes ------------------------------------------------------------------------------- */

static void plain_records_become_lines_and_nothing_else(void **state)
{
	(void)state;
	struct mq_records b;
	mq_records_init(&b);
	assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("hello")}), 0);
	assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("")}), 0);
	assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("wor\0d\r")}), 0);
	struct body body = finish(&b, 1000, 5, 0);
	assert_int_equal(body.kind, MQ_BATCH_LINES);
	assert_int_equal(body.len, 14);
	assert_memory_equal(body.bytes, "hello\n\nwor\0d\r\n", 14);
	assert_true(body.len <= b.body_bytes);
	mq_records_release(&b);
}

static void a_newline_in_a_payload_makes_records(void **state)
{
	(void)state;
	struct mq_records b;
	uint8_t want[23];
	mq_records_init(&b);
	assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("a\nb")}), 0);
	assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("wxyz")}), 0);
	struct body body = finish(&b, 1000, 5, 0);
	assert_int_equal(body.kind, MQ_BATCH_RECORDS);
	unhex("01000000 10000000"   /* lengths only; the table has 16 bytes */
	      "03000000 04000000"
	      "610a62 7778797a", want, sizeof want);
	assert_int_equal(body.len, sizeof want);
	assert_memory_equal(body.bytes, want, sizeof want);
	mq_records_release(&b);
}

static void every_column_lies_where_the_table_says(void **state)
{
	(void)state;
	static const char WANT[] = "ff0f0000"                          /* all twelve */
	                           "8f000000"                          /* 143 bytes of table */
	                           "01000000 02000000"                 /* lengths 1, 2 */
	                           "00000000 03000000 6b31"            /* no key; "k1" */
	                           "00000000 09000000 0100 78 02000000 7679" /* no headers; x=vy */
	                           "e803000000000000 d007000000000000" /* times 1000, 2000 */
	                           "01000000 02000000 69"              /* empty id; "i" */
	                           "00000000 02000000 74"              /* no tag; "t" */
	                           "00000000 03000000"                 /* attempts 0, 3 */
	                           "00000000 05000000"                 /* offsets +0, +5 */
	                           "07000000 00000000"                 /* sequences 100-7, 100-0 */
	                           "0000000000000000 0900000000000000" /* expiry never, 9 */
	                           "00000000 03000000 6767"            /* no group; "gg" */
	                           "0400000000000000 0000000000000000" /* due at 4; there */
	                           "41 4242";
	struct mq_records b;
	uint8_t want[200];
	size_t len = unhex(WANT, want, sizeof want);
	mq_records_init(&b);
	b.columns |= MQ_COL_OFFSETS | MQ_COL_SEQUENCES;
	struct mq_rec r[2] = {
	    {TEXT("A"), .id = "", .due_us = 4, .offset = 50, .sequence = 93},
	    {TEXT("BB"), .key = "k1", .key_len = 2, .headers = "\1\0x\2\0\0\0vy", .headers_len = 9, .id = "i", .id_len = 1,
	     .tag = "t", .tag_len = 1, .group = "gg", .group_len = 2, .time_us = 2000, .expiry_us = 9, .attempts = 3,
	     .offset = 55, .sequence = 100}};
	for (int i = 0; i < 2; i++)
		assert_int_equal(mq_records_add(&b, &r[i]), 0);
	assert_true(b.max_time_us == 2000);
	struct body body = finish(&b, 1000, 50, 100);
	assert_int_equal(mq_get_le32(want + 4), len - 3);
	assert_int_equal(body.len, len);
	assert_memory_equal(body.bytes, want, len);
	assert_true(body.len <= b.body_bytes);

	struct mq_batch h = header_for(&body, 2, 50);
	struct mq_walk w;
	struct mq_rec got;
	h.next_offset = 56;
	h.who = (struct mq_who){.kind = MQ_WHO_PRODUCER, .number = 100};
	assert_int_equal(mq_walk_init(&w, &h, body.bytes, NULL), 0);
	r[0].time_us = 1000;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(mq_walk_next(&w, &got), 1);
		assert_same(&got, &r[i]);
	}
	assert_int_equal(mq_walk_next(&w, &got), 0);
	mq_records_release(&b);
}

/* --- building ----------------------------------------------------------------------------------- */

static void columns_that_say_nothing_are_left_out(void **state)
{
	(void)state;
	struct mq_records b;
	mq_records_init(&b);
	b.columns |= MQ_COL_OFFSETS | MQ_COL_SEQUENCES;
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("x"), .time_us = i ? 1000 : 0, .offset = 50 + i,
		                                                    .sequence = 98 + i}), 0);
	struct body body = finish(&b, 1000, 50, 100);
	assert_int_equal(body.kind, MQ_BATCH_LINES);
	assert_memory_equal(body.bytes, "x\nx\nx\n", 6);
	mq_records_release(&b);
}

static void offsets_and_sequences_out_of_reach_are_refused(void **state)
{
	(void)state;
	static const struct {
		uint64_t first, second;
	} bad[] = {{49, 51}, {50, 50}, {51, 50}, {50, 50 + (1ull << 32)}};
	struct mq_records b;
	mq_records_init(&b);
	struct body body;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		mq_records_clear(&b);
		b.columns |= MQ_COL_OFFSETS;
		mq_records_add(&b, &(struct mq_rec){TEXT("x"), .offset = bad[i].first});
		mq_records_add(&b, &(struct mq_rec){TEXT("x"), .offset = bad[i].second});
		assert_int_equal(mq_records_finish(&b, 0, 50, 0, &body.kind, &body.bytes, &body.len), MQ_EINPUT);
	}
	mq_records_clear(&b);
	b.columns |= MQ_COL_SEQUENCES;
	mq_records_add(&b, &(struct mq_rec){TEXT("x"), .sequence = 101});
	assert_int_equal(mq_records_finish(&b, 0, 50, 100, &body.kind, &body.bytes, &body.len), MQ_EINPUT);
	mq_records_release(&b);
}

static void a_column_that_begins_late_is_filled_up_for_those_before(void **state)
{
	(void)state;
	struct mq_records b;
	mq_records_init(&b);
	for (int round = 0; round < 2; round++) { /* the second uses the memory of the first */
		mq_records_clear(&b);
		for (int i = 0; i < 100; i++)
			assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("plain")}), 0);
		struct mq_rec late = {TEXT("late"), .key = "k", .key_len = 1, .attempts = 7, .expiry_us = 3, .time_us = 5};
		assert_int_equal(mq_records_add(&b, &late), 0);
		assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("plain")}), 0);
		struct body body = finish(&b, 1000, 10, 0);
		struct mq_batch h = header_for(&body, 102, 10);
		struct mq_walk w;
		struct mq_rec got, plain = {TEXT("plain"), .time_us = 1000};
		assert_int_equal(mq_walk_init(&w, &h, body.bytes, NULL), 0);
		for (uint32_t i = 0; i < 102; i++) {
			plain.offset = late.offset = 10 + i;
			assert_int_equal(mq_walk_next(&w, &got), 1);
			assert_same(&got, i == 100 ? &late : &plain);
		}
		assert_int_equal(mq_walk_next(&w, &got), 0);
	}
	mq_records_release(&b);
	mq_records_release(&b);
	mq_records_release(NULL);
}

static void a_record_too_large_for_any_body_is_refused_and_changes_nothing(void **state)
{
	(void)state;
	struct mq_records b;
	mq_records_init(&b);
	assert_int_equal(mq_records_add(&b, &(struct mq_rec){TEXT("x")}), 0);
	assert_int_equal(mq_records_add(&b, &(struct mq_rec){.payload = "x", .payload_len = MQ_BATCH_BODY_MAX, .key = "k"}),
	                 MQ_EINPUT);
	assert_int_equal(mq_records_add(&b, &(struct mq_rec){.payload = "x", .payload_len = UINT32_MAX, .headers = "k",
	                                                    .headers_len = UINT32_MAX}), MQ_EINPUT);
	struct body body = finish(&b, 0, 0, 0);
	assert_int_equal(body.kind, MQ_BATCH_LINES);
	assert_memory_equal(body.bytes, "x\n", 2);
	mq_records_release(&b);
}

/* --- walking ------------------------------------------------------------------------------------ */

static uint32_t rnd(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

static void whatever_is_built_walks_back_and_skips_to_every_offset(void **state)
{
	(void)state;
	enum { N = 40 };
	static const char bytes[] = "abcdefgh\nijklmnopqrstuvwxyz0123456789";
	struct mq_records b;
	struct mq_rec r[N];
	uint32_t seed = 42;
	mq_records_init(&b);
	for (int round = 0; round < 500; round++) {
		uint32_t wants = rnd(&seed) & rnd(&seed);
		uint64_t offset = 1000, sequence = 1ull << 40;
		mq_records_clear(&b);
		b.columns |= wants & (MQ_COL_OFFSETS | MQ_COL_SEQUENCES);
		for (int i = 0; i < N; i++) {
			struct mq_rec *x = &r[i];
			*x = (struct mq_rec){.payload = bytes, .payload_len = rnd(&seed) % (round % 2 ? 8 : 37)};
			bool some = rnd(&seed) % 3;
			if (some && (wants & MQ_COL_KEYS))
				x->key = bytes + 3, x->key_len = rnd(&seed) % 20;
			if (some && (wants & MQ_COL_HEADERS))
				x->headers = bytes + 4, x->headers_len = 1 + rnd(&seed) % 20;
			if (some && (wants & MQ_COL_IDS))
				x->id = bytes + 5, x->id_len = rnd(&seed) % 20;
			if (some && (wants & MQ_COL_TAGS))
				x->tag = bytes + 6, x->tag_len = rnd(&seed) % 20;
			if (some && (wants & MQ_COL_GROUPS))
				x->group = bytes + 7, x->group_len = rnd(&seed) % 20;
			x->time_us = wants & MQ_COL_TIMES ? 1 + rnd(&seed) : 0;
			x->expiry_us = some && wants & MQ_COL_EXPIRY ? rnd(&seed) : 0;
			x->due_us = some && wants & MQ_COL_DUE ? rnd(&seed) : 0;
			x->attempts = some && wants & MQ_COL_ATTEMPTS ? rnd(&seed) : 0;
			offset += wants & MQ_COL_OFFSETS && i ? 1 + rnd(&seed) % 3 : i != 0;
			sequence += wants & MQ_COL_SEQUENCES ? 1 + rnd(&seed) % 3 : 1;
			x->offset = offset;
			x->sequence = sequence;
			assert_int_equal(mq_records_add(&b, x), 0);
			if (x->time_us == 0)
				x->time_us = 1000;
		}
		struct body body = finish(&b, 1000, 1000, sequence);
		assert_true(body.len <= b.body_bytes);
		struct mq_batch h = header_for(&body, N, 1000);
		h.next_offset = offset + 1;
		h.who = (struct mq_who){.kind = MQ_WHO_PRODUCER, .number = sequence};
		for (uint64_t to = 995; to < offset + 5; to++) {
			struct mq_walk w;
			struct mq_rec got;
			int i = 0;
			assert_int_equal(mq_walk_init(&w, &h, body.bytes, NULL), 0);
			if (to % 3 == 0 && r[0].offset < to) { /* skip from within, too */
				assert_int_equal(mq_walk_next(&w, &got), 1);
				i = 1;
			}
			assert_int_equal(mq_walk_skip(&w, to), 0);
			while (i < N && r[i].offset < to)
				i++;
			for (; i < N; i++) {
				assert_int_equal(mq_walk_next(&w, &got), 1);
				assert_same(&got, &r[i]);
			}
			assert_int_equal(mq_walk_next(&w, &got), 0);
		}
	}
	mq_records_release(&b);
}

/* Walk a body that may be wrong, in memory of just its size: 0 when all of it is good. */
static int walk_all(const struct mq_batch *h, const uint8_t *bytes, uint32_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	struct mq_batch cut = *h;
	struct mq_walk w;
	struct mq_rec r;
	cut.raw_len = cut.stored_len = len;
	int rc = mq_walk_init(&w, &cut, copy, NULL);
	if (rc == 0)
		while ((rc = mq_walk_next(&w, &r)) > 0)
			;
	free(copy);
	return rc;
}

static struct body all_columns(struct mq_records *b)
{
	mq_records_init(b);
	b->columns |= MQ_COL_OFFSETS | MQ_COL_SEQUENCES;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(
		    mq_records_add(b, &(struct mq_rec){TEXT("some\npayload"), .key = "key", .key_len = 3, .headers = "\1\0x\1\0\0\0v",
		                                       .headers_len = 8, .id = "id", .id_len = 2, .tag = "t", .tag_len = 1,
		                                       .group = "g", .group_len = 1, .time_us = 7, .expiry_us = 9,
		                                       .due_us = 11, .attempts = 1, .offset = 100 + 2 * i, .sequence = 10 + 2 * i}), 0);
	return finish(b, 1000, 100, 14);
}

static void every_truncation_of_a_body_is_refused(void **state)
{
	(void)state;
	struct mq_records b;
	struct body body = all_columns(&b);
	struct mq_batch h = header_for(&body, 3, 100);
	h.next_offset = 105;
	h.who = (struct mq_who){.kind = MQ_WHO_PRODUCER, .number = 14};
	assert_int_equal(walk_all(&h, body.bytes, body.len), 0);
	for (uint32_t len = 0; len < body.len; len++)
		assert_int_equal(walk_all(&h, body.bytes, len), MQ_EDAMAGE);
	mq_records_release(&b);

	static const char lines[] = "one\ntwo\n\nfour\n";
	h = (struct mq_batch){.kind = MQ_BATCH_LINES, .count = 4, .next_offset = 4};
	assert_int_equal(walk_all(&h, (const uint8_t *)lines, 14), 0);
	for (uint32_t len = 0; len < 14; len++)
		assert_int_equal(walk_all(&h, (const uint8_t *)lines, len), MQ_EDAMAGE);
}

static void lines_that_are_more_than_their_count_are_refused(void **state)
{
	(void)state;
	struct mq_batch h = {.kind = MQ_BATCH_LINES, .count = 1, .next_offset = 1};
	assert_int_equal(walk_all(&h, (const uint8_t *)"a\nb\n", 4), MQ_EDAMAGE);
	assert_int_equal(walk_all(&h, (const uint8_t *)"a\nb", 3), MQ_EDAMAGE);
}

static void no_flipped_bit_of_a_table_leads_outside(void **state)
{
	(void)state;
	struct mq_records b;
	struct body body = all_columns(&b);
	struct mq_batch h = header_for(&body, 3, 100);
	uint8_t *copy = malloc(body.len);
	int refused = 0;
	assert_non_null(copy);
	h.next_offset = 105;
	h.who = (struct mq_who){.kind = MQ_WHO_PRODUCER, .number = 14};
	for (uint32_t bit = 0; bit < 8 * body.len; bit++) {
		memcpy(copy, body.bytes, body.len);
		copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
		int rc = walk_all(&h, copy, body.len); /* the sanitizer build says whether it stays inside */
		assert_true(rc == 0 || rc == MQ_EDAMAGE || rc == MQ_ECONFIG);
		refused += rc != 0;
	}
	assert_true(refused > 400);
	free(copy);
	mq_records_release(&b);
}

static void an_unknown_column_is_refused_not_guessed(void **state)
{
	(void)state;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_batch h = {.kind = MQ_BATCH_RECORDS, .count = 1, .next_offset = 1, .raw_len = 13};
	struct mq_walk w;
	uint8_t body[13];
	unhex("01100000 0c000000 01000000 41", body, sizeof body);
	assert_int_equal(mq_walk_init(&w, &h, body, &err), MQ_ECONFIG);
	assert_string_equal(err.text, "the batch needs a newer mq (columns 0x1001)");
	body[1] = 0;
	assert_int_equal(mq_walk_init(&w, &h, body, &err), 0);
	body[0] = 0; /* no lengths */
	assert_int_equal(mq_walk_init(&w, &h, body, &err), MQ_EDAMAGE);
}

static void a_control_batch_has_no_records(void **state)
{
	(void)state;
	struct mq_batch h = {.kind = MQ_BATCH_CONTROL, .control = MQ_CONTROL_GAP, .next_offset = 9, .raw_len = 20};
	uint8_t body[20] = {0};
	struct mq_walk w;
	struct mq_rec r;
	assert_int_equal(mq_walk_init(&w, &h, body, NULL), 0);
	assert_int_equal(mq_walk_skip(&w, 5), 0);
	assert_int_equal(mq_walk_next(&w, &r), 0);
}

/* --- headers ------------------------------------------------------------------------------------ */

static void headers_go_there_and_back_with_any_bytes(void **state)
{
	(void)state;
	struct mq_buf blob = MQ_BUF_INIT;
	struct mq_header_view v;
	uint8_t want[20];
	assert_int_equal(mq_header_append(&blob, "trace", 5, "a\nb", 3), 0);
	assert_int_equal(mq_header_append(&blob, "", 0, "", 0), 0);
	unhex("0500 7472616365 03000000 610a62 0000 00000000", want, sizeof want);
	assert_int_equal(blob.len, 20);
	assert_memory_equal(blob.p, want, 20);
	const char *at = blob.p, *end = at + blob.len;
	assert_int_equal(mq_header_next(&at, end, &v), 1);
	assert_bytes(v.name, v.name_len, "trace", 5);
	assert_bytes(v.value, v.value_len, "a\nb", 3);
	assert_int_equal(mq_header_next(&at, end, &v), 1);
	assert_int_equal(v.name_len + v.value_len, 0);
	assert_int_equal(mq_header_next(&at, end, &v), 0);
	for (size_t len = 1; len < 14; len++) {
		at = blob.p;
		assert_int_equal(mq_header_next(&at, at + len, &v), MQ_EDAMAGE);
	}
	assert_int_equal(mq_header_append(&blob, blob.p, 65536, "", 0), MQ_EINPUT);
	assert_int_equal(blob.len, 20);
	mq_buf_release(&blob);
}

/* --- zip ---------------------------------------------------------------------------------------- */

static void a_compressed_body_comes_back_and_no_other_length_is_believed(void **state)
{
	(void)state;
	enum { N = 100000 };
	struct mq_zip z = MQ_ZIP_INIT;
	struct mq_buf frame = MQ_BUF_INIT, out = MQ_BUF_INIT;
	char *text = malloc(N);
	assert_non_null(text);
	for (int i = 0; i < N; i++)
		text[i] = (char)('a' + i % 7 * (i / 1000) % 26);
	assert_int_equal(mq_zip_pack(&z, text, N, &frame), 0);
	assert_true(frame.len < N / 10);
	assert_int_equal(mq_zip_unpack(&z, frame.p, frame.len, N, &out, NULL), 0);
	assert_int_equal(out.len, N);
	assert_memory_equal(out.p, text, N);
	assert_int_equal(mq_zip_unpack(&z, frame.p, frame.len, N - 1, &out, NULL), MQ_EDAMAGE);
	assert_int_equal(mq_zip_unpack(&z, frame.p, frame.len, N + 1, &out, NULL), MQ_EDAMAGE);
	assert_int_equal(mq_zip_unpack(&z, frame.p, frame.len, 0, &out, NULL), MQ_EDAMAGE);
	for (size_t len = 0; len < frame.len; len += 1 + frame.len / 50)
		assert_int_equal(mq_zip_unpack(&z, frame.p, len, N, &out, NULL), MQ_EDAMAGE);
	size_t once = frame.len; /* two frames are not one */
	assert_int_equal(mq_buf_reserve(&frame, once), 0);
	memcpy(frame.p + once, frame.p, once);
	assert_int_equal(mq_zip_unpack(&z, frame.p, 2 * once, 2 * N, &out, NULL), MQ_EDAMAGE);
	assert_int_equal(mq_zip_unpack(&z, text, N, N, &out, NULL), MQ_EDAMAGE); /* nonsense */
	assert_int_equal(mq_zip_pack(&z, "", 0, &frame), 0);
	assert_int_equal(mq_zip_unpack(&z, frame.p, frame.len, 0, &out, NULL), 0);
	assert_int_equal(out.len, 0);
	free(text);
	mq_buf_release(&frame);
	mq_buf_release(&out);
	mq_zip_release(&z);
	mq_zip_release(&z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_records_become_lines_and_nothing_else),
	    cmocka_unit_test(a_newline_in_a_payload_makes_records),
	    cmocka_unit_test(every_column_lies_where_the_table_says),
	    cmocka_unit_test(columns_that_say_nothing_are_left_out),
	    cmocka_unit_test(offsets_and_sequences_out_of_reach_are_refused),
	    cmocka_unit_test(a_column_that_begins_late_is_filled_up_for_those_before),
	    cmocka_unit_test(a_record_too_large_for_any_body_is_refused_and_changes_nothing),
	    cmocka_unit_test(whatever_is_built_walks_back_and_skips_to_every_offset),
	    cmocka_unit_test(every_truncation_of_a_body_is_refused),
	    cmocka_unit_test(lines_that_are_more_than_their_count_are_refused),
	    cmocka_unit_test(no_flipped_bit_of_a_table_leads_outside),
	    cmocka_unit_test(an_unknown_column_is_refused_not_guessed),
	    cmocka_unit_test(a_control_batch_has_no_records),
	    cmocka_unit_test(headers_go_there_and_back_with_any_bytes),
	    cmocka_unit_test(a_compressed_body_comes_back_and_no_other_length_is_believed),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format_record", tests, NULL, NULL);
}
