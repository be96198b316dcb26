/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Errors, buffers, checksums, newlines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/lines.h"
#include "base/murmur2.h"

/* --- err ---------------------------------------------------------------------------------------- */

static void a_reason_names_what_was_tried_and_the_errno_in_one_line(void **state)
{
	(void)state;
	struct mq_err err = MQ_ERR_INIT;
	assert_int_equal(mq_err_sys(&err, -ENOSPC, "cannot append to %s", "000.seg"), -ENOSPC);
	assert_int_equal(err.code, -ENOSPC);
	assert_string_equal(err.text, "cannot append to 000.seg: no space left on device");
	mq_err_prefix(&err, "orders/%d", 3);
	assert_string_equal(err.text, "orders/3: cannot append to 000.seg: no space left on device");
}

static void a_reason_holds_no_control_bytes(void **state)
{
	(void)state;
	struct mq_err err = MQ_ERR_INIT;
	mq_err_set(&err, MQ_EUSAGE, "bad topic name '%s'", "a\033[2Jb\nc\177");
	assert_string_equal(err.text, "bad topic name 'a?[2Jb?c?'");
}

static void a_reason_too_long_is_cut_and_still_tells_the_errno(void **state)
{
	(void)state;
	static char name[2 * MQ_ERR_TEXT_MAX];
	struct mq_err err = MQ_ERR_INIT;
	memset(name, 'x', sizeof name - 1);
	mq_err_sys(&err, -EIO, "%s", name);
	assert_int_equal(strlen(err.text), MQ_ERR_TEXT_MAX - 1);
	assert_non_null(strstr(err.text, "x: input/output error"));
	mq_err_prefix(&err, "%s", name);
	assert_int_equal(strlen(err.text), MQ_ERR_TEXT_MAX - 1);
}

static void who_does_not_care_for_the_reason_passes_null(void **state)
{
	(void)state;
	assert_int_equal(mq_err_set(NULL, MQ_EDAMAGE, "x"), MQ_EDAMAGE);
	assert_int_equal(mq_err_sys(NULL, -EIO, "x"), -EIO);
	mq_err_prefix(NULL, "x");
}

static void each_code_has_the_exit_status_of_the_pages(void **state)
{
	(void)state;
	static const struct {
		int code, status;
	} t[] = {
	    {0, 0},           {5, 0},           {MQ_ENOTHING, 1},   {MQ_EDAMAGE, 2},  {MQ_EUSAGE, 64},
	    {MQ_EINPUT, 65},  {MQ_ENOTOPIC, 66}, {MQ_EREPLICAS, 69}, {MQ_EBROKEN, 74}, {MQ_EAGAIN, 75},
	    {MQ_EDENIED, 77}, {MQ_ECONFIG, 78}, {-EIO, 74},         {-ENOSPC, 75},    {-EDQUOT, 75},
	    {-EACCES, 77},    {-EPERM, 77},     {-EROFS, 77},       {-ENOTDIR, 78},   {-ELOOP, 78},
	    {-ENOENT, 66},    {-EINVAL, 74},    {-ENOMEM, 75},      {-EMFILE, 75},
	};
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		assert_int_equal(mq_err_status(t[i].code), t[i].status);
}

/* --- buf ---------------------------------------------------------------------------------------- */

static void a_buffer_grows_keeps_its_bytes_and_drops_from_the_front(void **state)
{
	(void)state;
	struct mq_buf b = MQ_BUF_INIT;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(mq_buf_add_byte(&b, (char)('a' + i % 26)), 0);
	assert_int_equal(b.len, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(b.p[i], 'a' + i % 26);
	mq_buf_drop(&b, 990);
	assert_int_equal(b.len, 10);
	assert_int_equal(b.p[0], 'a' + 990 % 26);
	mq_buf_drop(&b, 99);
	assert_int_equal(b.len, 0);
	mq_buf_release(&b);
	assert_null(b.p);
	mq_buf_release(&b);
	mq_buf_release(NULL);
}

static void a_buffer_prints_behind_what_it_holds(void **state)
{
	(void)state;
	struct mq_buf b = MQ_BUF_INIT;
	assert_int_equal(mq_buf_printf(&b, "%d", 12), 0);
	assert_int_equal(mq_buf_printf(&b, "-%0100d", 7), 0);
	assert_int_equal(b.len, 103);
	assert_memory_equal(b.p, "12-000", 6);
	mq_buf_clear(&b);
	assert_int_equal(mq_buf_add_le32(&b, 0x01020304), 0);
	assert_int_equal(mq_buf_add_le64(&b, 0x0102030405060708), 0);
	assert_memory_equal(b.p, "\4\3\2\1\10\7\6\5\4\3\2\1", 12);
	mq_buf_release(&b);
}

static void a_buffer_refuses_a_size_that_would_wrap(void **state)
{
	(void)state;
	struct mq_buf b = MQ_BUF_INIT;
	assert_int_equal(mq_buf_add(&b, "abc", 3), 0);
	assert_int_equal(mq_buf_reserve(&b, SIZE_MAX), -ENOMEM);
	assert_int_equal(mq_buf_reserve(&b, SIZE_MAX / 2 - 2), -ENOMEM);
	assert_int_equal(b.len, 3);
	assert_memory_equal(b.p, "abc", 3);
	mq_buf_release(&b);
}

/* --- bytes, crc32c ------------------------------------------------------------------------------ */

static void integers_lie_least_byte_first_at_any_alignment(void **state)
{
	(void)state;
	uint8_t b[16] = {0};
	mq_put_le16(b + 1, 0x0102);
	assert_memory_equal(b, "\0\2\1\0", 4);
	assert_int_equal(mq_get_le16(b + 1), 0x0102);
	mq_put_le32(b + 3, 0xfffefdfc);
	assert_memory_equal(b + 3, "\xfc\xfd\xfe\xff", 4);
	assert_int_equal(mq_get_le32(b + 3), 0xfffefdfc);
	mq_put_le64(b + 5, 0xf0e0d0c0b0a09080);
	assert_memory_equal(b + 5, "\x80\x90\xa0\xb0\xc0\xd0\xe0\xf0", 8);
	assert_true(mq_get_le64(b + 5) == 0xf0e0d0c0b0a09080);
}

/* A bit at a time, as the RFC defines it. */
static uint32_t crc_by_definition(const uint8_t *p, size_t n)
{
	uint32_t crc = 0xffffffff;
	for (; n; n--, p++) {
		crc ^= *p;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return ~crc;
}

static void crc32c_gives_the_vectors_of_rfc_3720(void **state)
{
	(void)state;
	uint8_t b[32];
	assert_int_equal(mq_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(mq_crc32c(0, "", 0), 0);
	memset(b, 0, sizeof b);
	assert_int_equal(mq_crc32c(0, b, 32), 0x8a9136aa);
	memset(b, 0xff, sizeof b);
	assert_int_equal(mq_crc32c(0, b, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	assert_int_equal(mq_crc32c(0, b, 32), 0x46dd794e);
}

static void crc32c_is_the_same_in_pieces_at_every_length(void **state)
{
	(void)state;
	enum { N = 3000 };
	uint8_t *b = malloc(N);
	assert_non_null(b);
	for (int i = 0; i < N; i++)
		b[i] = (uint8_t)(i * 131 + (i >> 7));
	for (size_t n = 0; n < N; n += n < 600 ? 1 : 97) {
		uint32_t want = crc_by_definition(b, n);
		assert_int_equal(mq_crc32c(0, b, n), want);
		assert_int_equal(mq_crc32c(mq_crc32c(0, b, n / 3), b + n / 3, n - n / 3), want);
	}
	free(b);
}

/* --- lines -------------------------------------------------------------------------------------- */

static void newlines_are_counted_and_found_as_a_plain_loop_would(void **state)
{
	(void)state;
	enum { N = 40000 };
	char *b = malloc(N);
	assert_non_null(b);
	uint32_t seed = 1;
	for (int density = 1; density <= 300; density = density * 3 + 1) {
		for (int i = 0; i < N; i++) {
			seed = seed * 1664525 + 1013904223;
			b[i] = (seed >> 8) % (uint32_t)density == 0 ? '\n' : (char)(seed >> 24);
		}
		for (size_t start = 0; start < 70; start += 23)
			for (size_t len = 0; len <= N - start; len += len < 300 ? 1 : 9973) {
				size_t found = 0, last = 0, at7 = 0;
				for (size_t i = 0; i < len; i++)
					if (b[start + i] == '\n') {
						last = i + 1;
						if (++found == 7)
							at7 = i + 1;
					}
				assert_int_equal(mq_lines_count(b + start, len), found);
				assert_int_equal(mq_lines_whole(b + start, len), last);
				assert_int_equal(mq_lines_skip(b + start, len, 7), at7);
				assert_int_equal(mq_lines_skip(b + start, len, found), last);
				assert_int_equal(mq_lines_skip(b + start, len, found + 1), 0);
			}
	}
	free(b);
}

static void a_buffer_full_of_newlines_does_not_wrap_the_byte_counters(void **state)
{
	(void)state;
	enum { N = 1 << 17 };
	char *b = malloc(N);
	assert_non_null(b);
	memset(b, '\n', N);
	assert_int_equal(mq_lines_count(b, N), N);
	assert_int_equal(mq_lines_skip(b, N, N - 1), N - 1);
	free(b);
}

/* --- murmur2 ------------------------------------------------------------------------------------ */

static void keys_hash_as_kafkas_utils_test_says(void **state)
{
	(void)state;
	static const struct {
		const char *key;
		int32_t hash;
	} t[] = {
	    {"21", -973932308},
	    {"foobar", -790332482},
	    {"a-little-bit-long-string", -985981536},
	    {"a-little-bit-longer-string", -1486304829},
	    {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
	    {"abc", 479470107},
	};
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++)
		assert_int_equal((int32_t)mq_murmur2(t[i].key, strlen(t[i].key)), t[i].hash);
}

static void a_keys_partition_is_the_positive_hash_modulo_their_number(void **state)
{
	(void)state;
	/* -973932308 & 0x7fffffff = 1173551340 */
	assert_int_equal(mq_partition_of_key("21", 2, 8), 1173551340 % 8);
	assert_int_equal(mq_partition_of_key("21", 2, 10000), 1340);
	assert_int_equal(mq_partition_of_key("abc", 3, 1000), 107);
	assert_int_equal(mq_partition_of_key("abc", 3, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_reason_names_what_was_tried_and_the_errno_in_one_line),
	    cmocka_unit_test(a_reason_holds_no_control_bytes),
	    cmocka_unit_test(a_reason_too_long_is_cut_and_still_tells_the_errno),
	    cmocka_unit_test(who_does_not_care_for_the_reason_passes_null),
	    cmocka_unit_test(each_code_has_the_exit_status_of_the_pages),
	    cmocka_unit_test(a_buffer_grows_keeps_its_bytes_and_drops_from_the_front),
	    cmocka_unit_test(a_buffer_prints_behind_what_it_holds),
	    cmocka_unit_test(a_buffer_refuses_a_size_that_would_wrap),
	    cmocka_unit_test(integers_lie_least_byte_first_at_any_alignment),
	    cmocka_unit_test(crc32c_gives_the_vectors_of_rfc_3720),
	    cmocka_unit_test(crc32c_is_the_same_in_pieces_at_every_length),
	    cmocka_unit_test(newlines_are_counted_and_found_as_a_plain_loop_would),
	    cmocka_unit_test(a_buffer_full_of_newlines_does_not_wrap_the_byte_counters),
	    cmocka_unit_test(keys_hash_as_kafkas_utils_test_says),
	    cmocka_unit_test(a_keys_partition_is_the_positive_hash_modulo_their_number),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
