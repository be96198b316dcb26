/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The byte tables of mq-spool(5), structure by structure.  The golden bytes are written out by hand
 * from the tables, their checksums by another program than the one under test.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "format/batch.h"
#include "format/control.h"
#include "format/index.h"
#include "format/segment_header.h"
#include "format/state.h"

#include "test_format_hex.h"

static const struct mq_segment_id ID = {{0x1f, 0x0c, 0x22, 0xab, 0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77,
                                         0x88, 0x99, 0xaa, 0xbb}};
static const uint8_t TOPIC_ID[16] = {0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
                                     0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};

/* --- batch -------------------------------------------------------------------------------------- */

static const char BATCH[] = "6d714201"          /* magic "mqB\1" */
                            "02dcf338"          /* header checksum */
                            "ec558f53"          /* body checksum */
                            "2500"              /* records, zstd, durable */
                            "0000"              /* data */
                            "0c000000"          /* stored length 12 */
                            "0c000000"          /* raw length 12 */
                            "0010000000000000"  /* base offset 4096 */
                            "0210000000000000"  /* next offset 4098 */
                            "02000000"          /* two records */
                            "01000000"          /* of a producer */
                            "40e2010000000600"  /* base time */
                            "41e2010000000600"  /* greatest time */
                            "07000000 03000000" /* epoch 7, 3 */
                            "efcdab8967452301"  /* its id */
                            "09000000"          /* its generation */
                            "05000000"          /* generation of the partition count */
                            "6400000000000000"  /* last sequence 100 */
                            "000f000000000000"  /* its previous batch at 3840 */
                            "ffffffffffffffff"  /* source end */
                            "0002000000000000"  /* durable up to 512 */
                            "0000000000000000";
static const uint64_t BATCH_AT = 512;

static const struct mq_batch BATCH_MEANS = {
    .kind = MQ_BATCH_RECORDS,
    .zip = MQ_BATCH_ZSTD,
    .ack = MQ_ACK_DURABLE,
    .stored_len = 12,
    .raw_len = 12,
    .body_crc = 0x538f55ec,
    .base_offset = 4096,
    .next_offset = 4098,
    .count = 2,
    .base_time_us = 0x600000001e240,
    .max_time_us = 0x600000001e241,
    .epoch = {7, 3},
    .topic_generation = 5,
    .who = {MQ_WHO_PRODUCER, 0x0123456789abcdef, 9, 100, 3840, UINT64_MAX},
    .durable_pos = 512,
};

static void a_batch_header_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	uint8_t want[MQ_BATCH_HEADER_LEN], got[MQ_BATCH_HEADER_LEN];
	assert_int_equal(unhex(BATCH, want, sizeof want), sizeof want);
	mq_batch_encode(&BATCH_MEANS, mq_batch_seed(ID.b, BATCH_AT), got);
	assert_memory_equal(got, want, sizeof want);
}

static void a_batch_header_reads_back_as_it_was_written(void **state)
{
	(void)state;
	uint8_t bytes[MQ_BATCH_HEADER_LEN], again[MQ_BATCH_HEADER_LEN];
	struct mq_batch b;
	unhex(BATCH, bytes, sizeof bytes);
	assert_int_equal(mq_batch_decode(bytes, mq_batch_seed(ID.b, BATCH_AT), &b, NULL), 0);
	assert_int_equal(b.kind, MQ_BATCH_RECORDS);
	assert_int_equal(b.zip, MQ_BATCH_ZSTD);
	assert_int_equal(b.ack, MQ_ACK_DURABLE);
	assert_int_equal(b.count, 2);
	assert_true(b.base_time_us == BATCH_MEANS.base_time_us && b.max_time_us == BATCH_MEANS.max_time_us);
	assert_true(b.who.id == BATCH_MEANS.who.id && b.who.source_end == UINT64_MAX);
	assert_true(mq_batch_len(&b) == 140);
	mq_batch_encode(&b, mq_batch_seed(ID.b, BATCH_AT), again);
	assert_memory_equal(again, bytes, sizeof bytes);
	assert_true(mq_batch_body_ok(&b, "hello\nworld\n"));
	assert_false(mq_batch_body_ok(&b, "hello\nworld!"));
}

static void every_flipped_bit_of_a_batch_header_is_detected(void **state)
{
	(void)state;
	uint8_t bytes[MQ_BATCH_HEADER_LEN];
	struct mq_batch b;
	uint32_t seed = mq_batch_seed(ID.b, BATCH_AT);
	unhex(BATCH, bytes, sizeof bytes);
	for (int bit = 0; bit < 8 * MQ_BATCH_HEADER_LEN; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(mq_batch_decode(bytes, seed, &b, NULL), MQ_EDAMAGE);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(mq_batch_decode(bytes, seed, &b, NULL), 0);
}

static void a_batch_verifies_at_its_place_in_its_segment_only(void **state)
{
	(void)state;
	uint8_t bytes[MQ_BATCH_HEADER_LEN];
	struct mq_batch b;
	struct mq_segment_id other = ID;
	unhex(BATCH, bytes, sizeof bytes);
	for (uint64_t at = 0; at < 4096; at++)
		assert_int_equal(mq_batch_decode(bytes, mq_batch_seed(ID.b, at), &b, NULL),
		                 at == BATCH_AT ? 0 : MQ_EDAMAGE);
	for (int bit = 0; bit < 128; bit++) {
		other.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(mq_batch_decode(bytes, mq_batch_seed(other.b, BATCH_AT), &b, NULL), MQ_EDAMAGE);
		other.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* Set bytes at `at` in the golden header, mend its checksum, decode. */
static int decode_with(size_t at, const char *hex, struct mq_err *err)
{
	uint8_t bytes[MQ_BATCH_HEADER_LEN], patch[16];
	struct mq_batch b;
	uint32_t seed = mq_batch_seed(ID.b, BATCH_AT);
	unhex(BATCH, bytes, sizeof bytes);
	size_t n = unhex(hex, patch, sizeof patch);
	memcpy(bytes + at, patch, n);
	mq_put_le32(bytes + 4, mq_crc32c(seed, bytes + 8, 120));
	return mq_batch_decode(bytes, seed, &b, err);
}

static void what_a_later_format_may_mean_is_refused_not_guessed(void **state)
{
	(void)state;
	struct mq_err err = MQ_ERR_INIT;
	assert_int_equal(decode_with(12, "6500", &err), MQ_ECONFIG); /* flag bit 6 */
	assert_string_equal(err.text, "the batch needs a newer mq (unknown flags)");
	assert_int_equal(decode_with(12, "2580", NULL), MQ_ECONFIG); /* flag bit 15 */
	assert_int_equal(decode_with(12, "2700", NULL), MQ_ECONFIG); /* kind 3 */
	assert_int_equal(decode_with(12, "2900", NULL), MQ_ECONFIG); /* compression 2 */
	assert_int_equal(decode_with(14, "0600", NULL), MQ_ECONFIG); /* control type 6 */
	assert_int_equal(decode_with(44, "03000000", NULL), MQ_ECONFIG);
	assert_int_equal(decode_with(120, "0100000000000000", NULL), 0); /* spare bytes may get a meaning */
}

static void a_header_that_verifies_but_contradicts_itself_is_damage(void **state)
{
	(void)state;
	assert_int_equal(decode_with(16, "01001040", NULL), MQ_EDAMAGE);         /* stored above the bound */
	assert_int_equal(decode_with(20, "01001040", NULL), MQ_EDAMAGE);         /* raw above the bound */
	assert_int_equal(decode_with(16, "00001040", NULL), 0);                  /* at the bound */
	assert_int_equal(decode_with(12, "2100 0000 0c000000 0d000000", NULL), MQ_EDAMAGE); /* plain, two lengths */
	assert_int_equal(decode_with(32, "0010000000000000", NULL), MQ_EDAMAGE); /* no room for records */
	assert_int_equal(decode_with(32, "ff0f000000000000", NULL), MQ_EDAMAGE); /* ends before its start */
	assert_int_equal(decode_with(40, "00000000", NULL), MQ_EDAMAGE);         /* no record */
	assert_int_equal(decode_with(40, "03000000", NULL), MQ_EDAMAGE);         /* more than offsets */
	assert_int_equal(decode_with(40, "01000000", NULL), 0);                  /* records may leave gaps … */
	assert_int_equal(decode_with(12, "2400", NULL), 0);
	assert_int_equal(decode_with(32, "0310000000000000", NULL), 0);
	assert_int_equal(decode_with(12, "2600", NULL), MQ_EDAMAGE);             /* control without type */
	assert_int_equal(decode_with(14, "0300", NULL), MQ_EDAMAGE);             /* data with a control type */
	assert_int_equal(decode_with(12, "2600 0300", NULL), MQ_EDAMAGE);        /* control with records */
}

static void lines_have_no_gaps_between_their_offsets(void **state)
{
	(void)state;
	struct mq_batch b = BATCH_MEANS, got;
	uint8_t bytes[MQ_BATCH_HEADER_LEN];
	b.kind = MQ_BATCH_LINES;
	b.next_offset++;
	mq_batch_encode(&b, 0, bytes);
	assert_int_equal(mq_batch_decode(bytes, 0, &got, NULL), MQ_EDAMAGE);
	b.count++;
	mq_batch_encode(&b, 0, bytes);
	assert_int_equal(mq_batch_decode(bytes, 0, &got, NULL), 0);
}

static void a_gap_batch_covers_offsets_and_holds_no_record(void **state)
{
	(void)state;
	struct mq_batch b = {.kind = MQ_BATCH_CONTROL, .control = MQ_CONTROL_GAP, .stored_len = 20, .raw_len = 20,
	                     .base_offset = 10, .next_offset = 30}, got;
	uint8_t bytes[MQ_BATCH_HEADER_LEN];
	mq_batch_encode(&b, 77, bytes);
	assert_int_equal(mq_batch_decode(bytes, 77, &got, NULL), 0);
	assert_true(got.control == MQ_CONTROL_GAP && got.base_offset == 10 && got.next_offset == 30);
}

/* --- segment header ----------------------------------------------------------------------------- */

static const char SEGMENT[] = "6d715365676d0d0a"                 /* magic */
                              "cb03b830"                         /* checksum */
                              "0100"                             /* version */
                              "0002"                             /* header length 512 */
                              "00000000"                         /* refuse */
                              "01000000"                         /* ignore */
                              "1f0c22ab00112233445566778899aabb" /* id */
                              "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf" /* topic id */
                              "03000000"                         /* partition 3 */
                              "01000000"                         /* roll */
                              "0010000000000000"                 /* base offset 4096 */
                              "07000000 02000000"                /* epoch 7, 2 */
                              "40e2010000000600"                 /* created */
                              "0102030405060708090a0b0c0d0e0f10" /* predecessor */
                              "0008000000000000"                 /* its base 2048 */
                              "00c0ff0f00000000"                 /* its end position */
                              "0010000000000000"                 /* its end offset */
                              "0004000000000000"                 /* born end 1024 */
                              "0210000000000000";                /* born end offset 4098 */

static void a_segment_header_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	uint8_t want[MQ_SEGMENT_HEADER_LEN], got[MQ_SEGMENT_HEADER_LEN];
	struct mq_segment_header h = {
	    .ignore = 1, .id = ID, .partition = 3, .reason = MQ_SEGMENT_ROLL, .base_offset = 4096, .epoch = {7, 2},
	    .created_us = 0x600000001e240, .pred_id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
	    .pred_base = 2048, .pred_end_pos = 0x0fffc000, .pred_end_offset = 4096, .born_end_pos = 1024,
	    .born_end_offset = 4098};
	memcpy(h.topic_id, TOPIC_ID, 16);
	assert_int_equal(unhex(SEGMENT, want, sizeof want), 144);
	mq_segment_header_encode(&h, got);
	assert_memory_equal(got, want, sizeof want);

	struct mq_segment_header back;
	assert_int_equal(mq_segment_header_decode(want, &back, NULL), 0);
	assert_true(mq_segment_id_equal(&back.id, &ID));
	assert_memory_equal(back.topic_id, TOPIC_ID, 16);
	assert_true(back.partition == 3 && back.reason == MQ_SEGMENT_ROLL && back.born_end_offset == 4098);
	mq_segment_header_encode(&back, got);
	assert_memory_equal(got, want, sizeof want);
}

static void every_flipped_bit_of_a_segment_header_is_detected(void **state)
{
	(void)state;
	uint8_t bytes[MQ_SEGMENT_HEADER_LEN];
	struct mq_segment_header h;
	unhex(SEGMENT, bytes, sizeof bytes);
	for (int bit = 0; bit < 8 * MQ_SEGMENT_HEADER_LEN; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(mq_segment_header_decode(bytes, &h, NULL), MQ_EDAMAGE);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static int segment_with(size_t at, const char *hex, struct mq_err *err)
{
	uint8_t bytes[MQ_SEGMENT_HEADER_LEN], patch[16];
	struct mq_segment_header h;
	unhex(SEGMENT, bytes, sizeof bytes);
	size_t n = unhex(hex, patch, sizeof patch);
	memcpy(bytes + at, patch, n);
	mq_put_le32(bytes + 8, mq_crc32c(0, bytes + 12, 500));
	return mq_segment_header_decode(bytes, &h, err);
}

static void a_segment_of_a_newer_format_is_refused_by_name(void **state)
{
	(void)state;
	struct mq_err err = MQ_ERR_INIT;
	assert_int_equal(segment_with(12, "0200", &err), MQ_ECONFIG);
	assert_string_equal(err.text, "the segment has format 2, which needs a newer mq");
	assert_int_equal(segment_with(14, "0004", NULL), MQ_ECONFIG);
	assert_int_equal(segment_with(16, "02000000", &err), MQ_ECONFIG);
	assert_string_equal(err.text, "the segment needs a newer mq (features 0x2)");
	assert_int_equal(segment_with(20, "ffffffff", NULL), 0); /* ignore */
	assert_int_equal(segment_with(60, "06000000", NULL), MQ_ECONFIG);
	assert_int_equal(segment_with(128, "ff01000000000000", NULL), MQ_EDAMAGE);
	assert_int_equal(segment_with(136, "ff0f000000000000", NULL), MQ_EDAMAGE);
	assert_int_equal(segment_with(500, "01", NULL), 0);
}

static void a_segments_name_shows_its_base_and_its_id(void **state)
{
	(void)state;
	char name[MQ_SEGMENT_NAME_MAX];
	uint64_t base;
	uint8_t id4[4];
	mq_segment_name(4096, &ID, "seg", name);
	assert_string_equal(name, "00000000000000004096.1f0c22ab.seg");
	assert_true(mq_segment_name_parse(name, "seg", &base, id4));
	assert_true(base == 4096);
	assert_memory_equal(id4, ID.b, 4);
	assert_false(mq_segment_name_parse(name, "idx", &base, id4));
	mq_segment_name(UINT64_MAX, &ID, "idx", name);
	assert_string_equal(name, "18446744073709551615.1f0c22ab.idx");
	assert_true(mq_segment_name_parse(name, "idx", &base, id4));
	assert_true(base == UINT64_MAX);
}

static void other_files_are_no_segments(void **state)
{
	(void)state;
	static const char *const bad[] = {
	    "", "state", "lock", "0000000000000004096.1f0c22ab.seg", "00000000000000004096.1F0C22AB.seg",
	    "00000000000000004096.1f0c22a.seg", "00000000000000004096-1f0c22ab.seg", "18446744073709551616.1f0c22ab.seg",
	    "00000000000000004096.1f0c22ab.seg~", ".00000000000000004096.1f0c22ab.tmp", "0000000000000000409x.1f0c22ab.seg",
	    "00000000000000004096.1f0c22ab.sex", "00000000000000004096.1f0c22abcseg", "99999999999999999999.1f0c22ab.seg"};
	uint64_t base = 7;
	uint8_t id4[4];
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(mq_segment_name_parse(bad[i], "seg", &base, id4));
	assert_true(base == 7);
}

static void an_id_of_zeros_is_none(void **state)
{
	(void)state;
	struct mq_segment_id zero = {{0}};
	assert_true(mq_segment_id_none(&zero));
	assert_false(mq_segment_id_none(&ID));
	zero.b[15] = 1;
	assert_false(mq_segment_id_none(&zero));
}

/* --- index -------------------------------------------------------------------------------------- */

static const char INDEX[] = "0010000000000000" /* offset 4096 */
                            "0002000000000000" /* position 512 */
                            "40e2010000000600" /* greatest time */
                            "00000000"
                            "5b80b5d8";        /* checksum, for place 64 */

static void an_index_entry_has_the_bytes_of_the_table_and_verifies_at_its_place_only(void **state)
{
	(void)state;
	uint8_t want[MQ_INDEX_ENTRY_LEN], got[MQ_INDEX_ENTRY_LEN];
	struct mq_index_entry e = {4096, 512, 0x600000001e240}, back;
	assert_int_equal(unhex(INDEX, want, sizeof want), sizeof want);
	mq_index_entry_encode(&e, &ID, 64, got);
	assert_memory_equal(got, want, sizeof want);
	assert_true(mq_index_entry_decode(want, &ID, 64, &back));
	assert_true(back.offset == 4096 && back.pos == 512 && back.max_time_us == e.max_time_us);
	assert_false(mq_index_entry_decode(want, &ID, 32, &back));
	struct mq_segment_id other = ID;
	other.b[0]++;
	assert_false(mq_index_entry_decode(want, &other, 64, &back));
}

static void every_flipped_bit_of_an_index_entry_is_detected(void **state)
{
	(void)state;
	uint8_t bytes[MQ_INDEX_ENTRY_LEN];
	struct mq_index_entry e;
	unhex(INDEX, bytes, sizeof bytes);
	for (int bit = 0; bit < 8 * MQ_INDEX_ENTRY_LEN; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(mq_index_entry_decode(bytes, &ID, 64, &e));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	memset(bytes, 0, sizeof bytes);
	assert_false(mq_index_entry_decode(bytes, &ID, 0, &e)); /* a hole */
}

/* --- state, start, offsets ---------------------------------------------------------------------- */

static const char TAIL[] = "0807060504030201"                 /* sequence */
                           "c40ee260"                         /* checksum, for block 2 */
                           "01000000"                         /* rolling */
                           "1f0c22ab00112233445566778899aabb" /* segment */
                           "0010000000000000"                 /* its base */
                           "0c03000000000000"                 /* position 780 */
                           "0210000000000000"                 /* next offset */
                           "0002000000000000"                 /* strict from 512 */
                           "8002000000000000"                 /* strict to 640 */
                           "0102000000000000"                 /* last index entry's batch */
                           "0300000000000000"                 /* index entries */
                           "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf" /* boot id */
                           "3930000000000000"                 /* inode 12345 */
                           "15cd5b0700000000"                 /* birth time 123456789 */
                           "07000000 02000000"                /* epoch */
                           "0100000000000000 0200000000000000 0300000000000000 0400000000000000"
                           "0500000000000000 0600000000000000 0700000000000000 0800000000000000"
                           "40e2010000000600"                 /* segment created */
                           "41e2010000000600"                 /* greatest time */
                           "0903000000000000"                 /* producers up to 777 */
                           "0110000000000000"                 /* offset where strict begins */
                           "0310000000000000";                /* unsettled: the least fresh offset */

static const char MARK[] = "0300000000000000"                 /* sequence */
                           "9a939d5f"                         /* checksum, for block 6 */
                           "00000000"
                           "1f0c22ab00112233445566778899aabb" /* segment */
                           "0c03000000000000"                 /* position */
                           "0210000000000000"                 /* end offset */
                           "0500000000000000"                 /* syncs started */
                           "0400000000000000"                 /* finished */
                           "a086010000000000";                /* the last took 100000 ns */

static const char START[] = "0100000000000000" /* sequence */
                            "d371acbc"         /* checksum, for block 0 */
                            "00000000"
                            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf" /* topic id */
                            "0010000000000000";                /* log start */

/* One of before there was a count of what had expired, */
static const char COMMIT[] = "0900000000000000" /* sequence */
                             "a1e2f8a4"         /* checksum, for block 3 */
                             "00000000"
                             "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf" /* topic id */
                             "0110000000000000"                 /* committed 4097 */
                             "1f0c22ab00112233445566778899aabb" /* mark: segment */
                             "0c03000000000000"                 /* position */
                             "0210000000000000"                 /* end offset there */
                             "04000000"                         /* generation */
                             "02000000"                         /* seeks */
                             "40e2010000000600"                 /* time */
                             "0700000000000000";                /* lost */

/* and one with it. */
static const char COMMIT_EXPIRED[] = "0900000000000000" /* sequence */
                             "da73be89"         /* checksum, for block 3 */
                             "00000000"
                             "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf" /* topic id */
                             "0110000000000000"                 /* committed 4097 */
                             "1f0c22ab00112233445566778899aabb" /* mark: segment */
                             "0c03000000000000"                 /* position */
                             "0210000000000000"                 /* end offset there */
                             "04000000"                         /* generation */
                             "02000000"                         /* seeks */
                             "40e2010000000600"                 /* time */
                             "0700000000000000"                 /* lost */
                             "0300000000000000";                /* expired */

static void a_tail_slot_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	uint8_t want[MQ_SLOT_LEN], got[MQ_SLOT_LEN];
	struct mq_tail t = {.flags = MQ_TAIL_ROLLING, .segment = ID, .segment_base = 4096, .pos = 780, .next_offset = 4098,
	                    .strict_start = 512, .strict_end = 640, .index_pos = 513, .index_count = 3,
	                    .state_ino = 12345, .state_btime_ns = 123456789, .epoch = {7, 2},
	                    .mounts = {1, 2, 3, 4, 5, 6, 7, 8}, .segment_created_us = 0x600000001e240,
	                    .max_time_us = 0x600000001e241, .producers_pos = 777, .strict_offset = 4097,
	                    .offset_min = 4099}, back;
	for (int i = 0; i < 16; i++)
		t.boot_id[i] = (uint8_t)(0xb0 + i);
	assert_int_equal(unhex(TAIL, want, sizeof want), 232);
	mq_tail_encode(&t, 0x0102030405060708, 2, got);
	assert_memory_equal(got, want, sizeof want);
	assert_true(mq_tail_decode(want, 2, &back) == 0x0102030405060708);
	mq_tail_encode(&back, 0x0102030405060708, 2, got);
	assert_memory_equal(got, want, sizeof want);
	assert_true(mq_tail_decode(want, 1, &back) == 0); /* the other slot's place */
}

static void a_mark_slot_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	uint8_t want[MQ_SLOT_LEN], got[MQ_SLOT_LEN];
	struct mq_mark m = {ID, 780, 4098, 5, 4, 100000, 0}, back;
	unhex(MARK, want, sizeof want);
	mq_mark_encode(&m, 3, 6, got);
	assert_memory_equal(got, want, sizeof want);
	assert_true(mq_mark_decode(want, 6, &back) == 3);
	mq_mark_encode(&back, 3, 6, got);
	assert_memory_equal(got, want, sizeof want);
	m.aim_pos = 0x0102030405060708;
	mq_mark_encode(&m, 3, 6, got);
	assert_memory_equal(got + 72, "\x08\x07\x06\x05\x04\x03\x02\x01", 8);
	assert_true(mq_mark_decode(got, 6, &back) == 3 && back.aim_pos == m.aim_pos);
	assert_true(mq_mark_decode(want, 5, &back) == 0);
}

static void a_start_slot_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	uint8_t want[MQ_SLOT_LEN], got[MQ_SLOT_LEN];
	struct mq_start s = {.log_start = 4096}, back;
	memcpy(s.topic_id, TOPIC_ID, 16);
	unhex(START, want, sizeof want);
	mq_start_encode(&s, 1, 0, got);
	assert_memory_equal(got, want, sizeof want);
	assert_true(mq_start_decode(want, 0, &back) == 1);
	assert_true(back.log_start == 4096);
	assert_memory_equal(back.topic_id, TOPIC_ID, 16);
	assert_true(mq_start_decode(want, 1, &back) == 0);
}

static void a_commit_slot_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	uint8_t want[MQ_SLOT_LEN], got[MQ_SLOT_LEN];
	struct mq_commit c = {.offset = 4097, .mark_segment = ID, .mark_pos = 780, .mark_offset = 4098, .generation = 4,
	                      .seeks = 2, .time_us = 0x600000001e240, .lost = 7}, back;
	memcpy(c.topic_id, TOPIC_ID, 16);
	unhex(COMMIT, want, sizeof want);
	mq_commit_encode(&c, 9, 3, got);
	assert_memory_equal(got, want, sizeof want);
	assert_true(mq_commit_decode(want, 3, &back) == 9);
	mq_commit_encode(&back, 9, 3, got);
	assert_memory_equal(got, want, sizeof want);
	assert_true(mq_commit_decode(want, 2, &back) == 0);
	assert_true(back.expired == 0);
	c.expired = 3;
	unhex(COMMIT_EXPIRED, want, sizeof want);
	mq_commit_encode(&c, 9, 3, got);
	assert_memory_equal(got, want, sizeof want);
	assert_true(mq_commit_decode(want, 3, &back) == 9);
	assert_true(back.expired == 3 && back.lost == 7 && back.began == 0);
	c.began = 5;
	mq_commit_encode(&c, 9, 3, got);
	assert_true(mq_commit_decode(got, 3, &back) == 9);
	assert_true(back.began == 5 && back.expired == 3 && got[104] == 5);
}

static void every_flipped_bit_of_a_slot_is_detected(void **state)
{
	(void)state;
	static const char *const slots[] = {TAIL, MARK, START, COMMIT};
	static const uint32_t blocks[] = {2, 6, 0, 3};
	for (int i = 0; i < 4; i++) {
		uint8_t bytes[MQ_SLOT_LEN];
		union {
			struct mq_tail t;
			struct mq_mark m;
			struct mq_start s;
			struct mq_commit c;
		} u;
		unhex(slots[i], bytes, sizeof bytes);
		assert_false(mq_slot_empty(bytes));
		for (int bit = -1; bit < 8 * MQ_SLOT_LEN; bit++) {
			if (bit >= 0)
				bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			uint64_t seq = i == 0   ? mq_tail_decode(bytes, blocks[i], &u.t)
			               : i == 1 ? mq_mark_decode(bytes, blocks[i], &u.m)
			               : i == 2 ? mq_start_decode(bytes, blocks[i], &u.s)
			                        : mq_commit_decode(bytes, blocks[i], &u.c);
			if (bit >= 0)
				bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_int_equal(seq != 0, bit < 0);
		}
	}
}

static void a_slot_never_written_is_empty_and_not_valid(void **state)
{
	(void)state;
	uint8_t bytes[MQ_SLOT_LEN] = {0};
	struct mq_tail t;
	assert_true(mq_slot_empty(bytes));
	assert_true(mq_tail_decode(bytes, 1, &t) == 0);
	bytes[MQ_SLOT_LEN - 1] = 1;
	assert_false(mq_slot_empty(bytes));
	bytes[MQ_SLOT_LEN - 1] = 0;
	bytes[0] = 1;
	assert_false(mq_slot_empty(bytes));
}

static void the_head_of_state_tells_its_format(void **state)
{
	(void)state;
	uint8_t want[16], got[16];
	unhex("6d715374617465 0a 01000000 9354cde3", want, sizeof want);
	mq_state_head_encode(got);
	assert_memory_equal(got, want, sizeof want);
	assert_int_equal(mq_state_head_decode(want), 0);
	for (int bit = 0; bit < 128; bit++) {
		want[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(mq_state_head_decode(want), MQ_EDAMAGE);
		want[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	mq_put_le32(want + 8, 2);
	mq_put_le32(want + 12, mq_crc32c(0, want, 12));
	assert_int_equal(mq_state_head_decode(want), MQ_ECONFIG);
}

/* --- control bodies ----------------------------------------------------------------------------- */

static void a_producer_entry_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	static const char ENTRY[] = "efcdab8967452301 09000000 6400000000000000 000f000000000000 02 05 696e676573";
	uint8_t want[35];
	struct mq_producer p = {.kind = MQ_WHO_MOVER, .id = 0x0123456789abcdef, .generation = 9, .number = 100,
	                        .last_base = 3840, .name_len = 5, .name = "inges"}, back;
	struct mq_buf b = MQ_BUF_INIT;
	assert_int_equal(unhex(ENTRY, want, sizeof want), sizeof want);
	assert_int_equal(mq_producer_append(&b, &p), 0);
	assert_int_equal(b.len, sizeof want);
	assert_memory_equal(b.p, want, sizeof want);

	p.name_len = 1;
	assert_int_equal(mq_producer_append(&b, &p), 0);
	const uint8_t *at = (const uint8_t *)b.p, *end = at + b.len;
	assert_int_equal(mq_producer_next(&at, end, &back), 1);
	assert_string_equal(back.name, "inges");
	assert_true(back.id == p.id && back.number == 100 && back.last_base == 3840 && back.kind == MQ_WHO_MOVER);
	assert_int_equal(mq_producer_next(&at, end, &back), 1);
	assert_string_equal(back.name, "i");
	assert_int_equal(mq_producer_next(&at, end, &back), 0);
	mq_buf_release(&b);
}

static void a_producer_entry_cut_anywhere_is_damage(void **state)
{
	(void)state;
	struct mq_producer p = {.kind = MQ_WHO_PRODUCER, .name_len = 3, .name = "abc"}, back;
	struct mq_buf b = MQ_BUF_INIT;
	assert_int_equal(mq_producer_append(&b, &p), 0);
	for (size_t len = 1; len < b.len; len++) {
		const uint8_t *at = (const uint8_t *)b.p;
		assert_int_equal(mq_producer_next(&at, at + len, &back), MQ_EDAMAGE);
	}
	static const struct {
		size_t at;
		char byte;
	} bad[] = {{28, 0}, {28, 3}, {29, 0}, {29, (char)201}, {31, 0}};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		char was = b.p[bad[i].at];
		const uint8_t *at = (const uint8_t *)b.p;
		b.p[bad[i].at] = bad[i].byte;
		assert_int_equal(mq_producer_next(&at, at + b.len, &back), MQ_EDAMAGE);
		b.p[bad[i].at] = was;
	}
	mq_buf_release(&b);
}

static void a_gap_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	uint8_t want[MQ_GAP_LEN], got[MQ_GAP_LEN];
	struct mq_gap g = {MQ_SEGMENT_DAMAGE, 4096, 4100}, back;
	unhex("03000000 0010000000000000 0410000000000000", want, sizeof want);
	mq_gap_encode(&g, got);
	assert_memory_equal(got, want, sizeof want);
	assert_int_equal(mq_gap_decode(want, MQ_GAP_LEN, &back), 0);
	assert_true(back.reason == MQ_SEGMENT_DAMAGE && back.lost_from == 4096 && back.lost_to == 4100);
	assert_int_equal(mq_gap_decode(want, MQ_GAP_LEN - 1, &back), MQ_EDAMAGE);
	g.lost_to = 4095;
	mq_gap_encode(&g, got);
	assert_int_equal(mq_gap_decode(got, MQ_GAP_LEN, &back), MQ_EDAMAGE);
}

static void a_generation_has_the_bytes_of_the_table(void **state)
{
	(void)state;
	uint8_t want[MQ_GENERATION_LEN + 2 * MQ_GENERATION_SOURCE_LEN];
	const struct mq_generation g = {3, 4, 8, false, 2};
	const struct mq_generation_source sources[] = {{1, 4096}, {3, 7}};
	struct mq_generation back;
	struct mq_buf got = MQ_BUF_INIT;
	unhex("03000000 04000000 08000000 00000000 02000000 01000000 0010000000000000 03000000 0700000000000000", want, sizeof want);
	assert_int_equal(mq_generation_append(&got, &g, sources), 0);
	assert_int_equal(got.len, sizeof want);
	assert_memory_equal(got.p, want, sizeof want);
	mq_buf_release(&got);
	assert_int_equal(mq_generation_decode(want, sizeof want, &back), 0);
	assert_true(back.number == 3 && back.partitions_before == 4 && back.partitions_after == 8 && !back.no_barrier &&
	            back.n_sources == 2);
	assert_true(mq_generation_source_at(want, 1).partition == 3 && mq_generation_source_at(want, 1).offset == 7);
}

static void a_generation_that_contradicts_itself_is_damage(void **state)
{
	(void)state;
	static const struct {
		size_t at;
		uint8_t byte;
	} bad[] = {{0, 0}, {4, 0}, {8, 4}, {12, 1}, {12, 2}, {16, 1}, {16, 3}, {20, 4}, {20, 3}, {32, 1}};
	uint8_t whole[MQ_GENERATION_LEN + 2 * MQ_GENERATION_SOURCE_LEN];
	struct mq_generation back;
	unhex("03000000 04000000 08000000 00000000 02000000 01000000 0010000000000000 03000000 0700000000000000", whole, sizeof whole);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		uint8_t was = whole[bad[i].at];
		whole[bad[i].at] = bad[i].byte;
		assert_int_equal(mq_generation_decode(whole, sizeof whole, &back), MQ_EDAMAGE);
		whole[bad[i].at] = was;
	}
	assert_int_equal(mq_generation_decode(whole, sizeof whole - 1, &back), MQ_EDAMAGE);
	assert_int_equal(mq_generation_decode(whole, MQ_GENERATION_LEN - 1, &back), MQ_EDAMAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_batch_header_has_the_bytes_of_the_table),
	    cmocka_unit_test(a_batch_header_reads_back_as_it_was_written),
	    cmocka_unit_test(every_flipped_bit_of_a_batch_header_is_detected),
	    cmocka_unit_test(a_batch_verifies_at_its_place_in_its_segment_only),
	    cmocka_unit_test(what_a_later_format_may_mean_is_refused_not_guessed),
	    cmocka_unit_test(a_header_that_verifies_but_contradicts_itself_is_damage),
	    cmocka_unit_test(lines_have_no_gaps_between_their_offsets),
	    cmocka_unit_test(a_gap_batch_covers_offsets_and_holds_no_record),
	    cmocka_unit_test(a_segment_header_has_the_bytes_of_the_table),
	    cmocka_unit_test(every_flipped_bit_of_a_segment_header_is_detected),
	    cmocka_unit_test(a_segment_of_a_newer_format_is_refused_by_name),
	    cmocka_unit_test(a_segments_name_shows_its_base_and_its_id),
	    cmocka_unit_test(other_files_are_no_segments),
	    cmocka_unit_test(an_id_of_zeros_is_none),
	    cmocka_unit_test(an_index_entry_has_the_bytes_of_the_table_and_verifies_at_its_place_only),
	    cmocka_unit_test(every_flipped_bit_of_an_index_entry_is_detected),
	    cmocka_unit_test(a_tail_slot_has_the_bytes_of_the_table),
	    cmocka_unit_test(a_mark_slot_has_the_bytes_of_the_table),
	    cmocka_unit_test(a_start_slot_has_the_bytes_of_the_table),
	    cmocka_unit_test(a_commit_slot_has_the_bytes_of_the_table),
	    cmocka_unit_test(every_flipped_bit_of_a_slot_is_detected),
	    cmocka_unit_test(a_slot_never_written_is_empty_and_not_valid),
	    cmocka_unit_test(the_head_of_state_tells_its_format),
	    cmocka_unit_test(a_producer_entry_has_the_bytes_of_the_table),
	    cmocka_unit_test(a_producer_entry_cut_anywhere_is_damage),
	    cmocka_unit_test(a_gap_has_the_bytes_of_the_table),
	    cmocka_unit_test(a_generation_has_the_bytes_of_the_table),
	    cmocka_unit_test(a_generation_that_contradicts_itself_is_damage),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
