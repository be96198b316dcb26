/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What people write: names, numbers, times, ranges, configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/conf.h"
#include "base/name.h"
#include "base/parse.h"
#include "base/range.h"
#include "base/when.h"

static const int64_t NOW = 1714566896250000; /* 2024-05-01T12:34:56.25Z */

/* --- names -------------------------------------------------------------------------------------- */

static void names_are_letters_digits_dot_underscore_and_dash(void **state)
{
	(void)state;
	static const char *const good[] = {"a", "orders", "Orders.2024_x-1", "...", ".a", "-", "0"};
	static const char *const bad[] = {"", ".", "..", "a b", "a/b", "a:b", "\303\244", "a\n", "@x"};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(mq_name_check(good[i], "topic", NULL), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_name_check(bad[i], "topic", NULL), MQ_EUSAGE);
}

static void a_name_has_at_most_200_bytes(void **state)
{
	(void)state;
	char name[202];
	struct mq_err err = MQ_ERR_INIT;
	memset(name, 'x', sizeof name);
	name[200] = 0;
	assert_int_equal(mq_name_check(name, "topic", &err), 0);
	name[200] = 'x';
	name[201] = 0;
	assert_int_equal(mq_name_check(name, "topic", &err), MQ_EUSAGE);
	assert_string_equal(err.text, "topic name of 201 bytes: 200 at most");
}

static void a_bad_name_is_shown_with_what_would_be_right(void **state)
{
	(void)state;
	struct mq_err err = MQ_ERR_INIT;
	mq_name_check("my topic", "topic", &err);
	assert_string_equal(
	    err.text,
	    "bad topic name 'my topic': letters, digits, '.', '_' and '-' only, and not '.' or '..'");
}

/* --- numbers ------------------------------------------------------------------------------------ */

static void numbers_are_digits_and_nothing_else(void **state)
{
	(void)state;
	static const char *const bad[] = {"", " 1", "1 ", "+1", "-1", "0x10", "1.0", "1e3", "18446744073709551616",
	                                  "99999999999999999999999", "one"};
	uint64_t v;
	assert_int_equal(mq_to_u64("0", &v, NULL), 0);
	assert_true(v == 0);
	assert_int_equal(mq_to_u64("007", &v, NULL), 0);
	assert_true(v == 7);
	assert_int_equal(mq_to_u64("18446744073709551615", &v, NULL), 0);
	assert_true(v == UINT64_MAX);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_to_u64(bad[i], &v, NULL), MQ_EUSAGE);
	assert_true(v == UINT64_MAX); /* set only on success */
}

static void sizes_take_powers_of_1024(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"0", 0},         {"4096", 4096},        {"64K", 65536},
	            {"64k", 65536},   {"10M", 10485760},     {"1G", 1073741824},
	            {"2T", 2ull << 40}, {"16777215T", 16777215ull << 40}};
	static const char *const bad[] = {"", "K", "1X", "1KB", "1 K", "-1K", "1.5K", "16777216T", "1\200", "18446744073709551616"};
	uint64_t v;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(mq_to_size(good[i].text, &v, NULL), 0);
		assert_true(v == good[i].bytes);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_to_size(bad[i], &v, NULL), MQ_EUSAGE);
}

static void time_spans_take_units_and_a_bare_number_is_seconds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ns;
	} good[] = {{"300ms", 300000000},     {"10s", 10000000000},  {"5m", 300000000000},
	            {"2h", 7200000000000},    {"7d", 604800000000000}, {"10", 10000000000},
	            {"1.5s", 1500000000},     {"0.5ms", 500000},     {"0", 0},
	            {"9us", 9000},            {"9ns", 9},            {"0.0000000009s", 0},
	            {"106751d", 9223286400000000000}};
	static const char *const bad[] = {"", "s", "-1s", "1 s", "1S", "1w", "1.s", ".5s", "1s5", "106752d", "1h30m"};
	int64_t v;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(mq_to_duration(good[i].text, &v, NULL), 0);
		assert_true(v == good[i].ns);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_to_duration(bad[i], &v, NULL), MQ_EUSAGE);
}

static void rates_are_per_second_minute_or_hour_and_above_zero(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "0", "0/s", "0.0/s", "-5/s", "5/d", "5s", "/s", "5/ s", "5/s "};
	double v;
	assert_int_equal(mq_to_rate("500/s", &v, NULL), 0);
	assert_true(v == 500);
	assert_int_equal(mq_to_rate("500", &v, NULL), 0);
	assert_true(v == 500);
	assert_int_equal(mq_to_rate("30/m", &v, NULL), 0);
	assert_true(v == 0.5);
	assert_int_equal(mq_to_rate("0.5/s", &v, NULL), 0);
	assert_true(v == 0.5);
	assert_int_equal(mq_to_rate("7200/h", &v, NULL), 0);
	assert_true(v == 2);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_to_rate(bad[i], &v, NULL), MQ_EUSAGE);
}

static void hexadecimal_goes_there_and_back(void **state)
{
	(void)state;
	uint8_t b[4] = {0};
	char text[9];
	assert_int_equal(mq_to_hex("1f0C22aB", 8, b, 4), 0);
	assert_memory_equal(b, "\x1f\x0c\x22\xab", 4);
	mq_hex(b, 4, text);
	assert_string_equal(text, "1f0c22ab");
	assert_int_equal(mq_to_hex("1f0c22a", 7, b, 4), MQ_EUSAGE);
	assert_int_equal(mq_to_hex("1f0c22ag", 8, b, 4), MQ_EUSAGE);
}

/* --- times -------------------------------------------------------------------------------------- */

static void times_are_rfc_3339_epoch_or_relative(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t us;
	} good[] = {
	    {"2024-05-01T12:34:56.25Z", 1714566896250000},
	    {"@2024-05-01T12:34:56.25Z", 1714566896250000},
	    {"2024-05-01 12:34:56z", 1714566896000000},
	    {"2024-05-01t14:34:56+02:00", 1714566896000000},
	    {"2024-05-01T07:04:56-05:30", 1714566896000000},
	    {"1970-01-01T00:00:00Z", 0},
	    {"1969-12-31T23:59:59.999999Z", -1},
	    {"2000-02-29T00:00:00Z", 951782400000000},
	    {"1714566896.25", 1714566896250000},
	    {"1714566896.1234567", 1714566896123456},
	    {"0", 0},
	    {"1530.0", 1530000000},
	    {"-1h", 1714566896250000 - 3600000000},
	    {"@-30s", 1714566896250000 - 30000000},
	    {"+5m", 1714566896250000 + 300000000},
	    {"now", 1714566896250000},
	};
	int64_t v;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_int_equal(mq_to_when(good[i].text, NOW, &v, NULL), 0);
		assert_true(v == good[i].us);
	}
}

static void other_times_are_left_to_date(void **state)
{
	(void)state;
	static const char *const ask[] = {"yesterday", "2024-05-01", "2024-05-01T12:34:56", "2024-02-30T00:00:00Z",
	                                  "2024-13-01T00:00:00Z", "12:00", "1714566896x", "1.", "2024-05-01T24:00:00Z"};
	static const char *const bad[] = {"", "@", "-5", "-", "+", "-1x", "-1h30m", "9999999999999999999",
	                                  "5m", "@2h", "1.5d", "1714566896000", "@1714566896250000", "@2026", "20260131", "1530"};
	int64_t v = 77;
	for (size_t i = 0; i < sizeof ask / sizeof ask[0]; i++)
		assert_int_equal(mq_to_when(ask[i], NOW, &v, NULL), MQ_WHEN_ASK_DATE);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_to_when(bad[i], NOW, &v, NULL), MQ_EUSAGE);
	assert_true(v == 77);
}

static void a_time_prints_as_it_would_be_written(void **state)
{
	(void)state;
	static const struct {
		int64_t us;
		const char *text;
	} t[] = {
	    {1714566896250000, "2024-05-01T12:34:56.250000Z"}, {0, "1970-01-01T00:00:00.000000Z"},
	    {-1, "1969-12-31T23:59:59.999999Z"},               {951782400000000, "2000-02-29T00:00:00.000000Z"},
	    {253402300799999999, "9999-12-31T23:59:59.999999Z"},
	};
	char text[MQ_WHEN_TEXT_MAX];
	int64_t back;
	for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
		mq_when_format(t[i].us, text);
		assert_string_equal(text, t[i].text);
	}
	/* every day from 1600 to 2500, at an odd time */
	for (int64_t day = -135140; day < 193900; day++) {
		int64_t us = day * 86400000000 + 12345678901;
		mq_when_format(us, text);
		assert_int_equal(mq_to_when(text, 0, &back, NULL), 0);
		assert_true(back == us);
	}
	mq_when_format(INT64_MAX, text);
	mq_when_format(INT64_MIN, text);
}

/* --- ranges and operands ------------------------------------------------------------------------ */

static void ranges_are_start_dots_end(void **state)
{
	(void)state;
	struct mq_range r;
	assert_int_equal(mq_to_range("100..200", NOW, &r, NULL), 0);
	assert_true(r.has_end && r.start.kind == MQ_POINT_OFFSET && r.start.n == 100 &&
	            r.end.kind == MQ_POINT_OFFSET && r.end.n == 200);
	assert_int_equal(mq_to_range("100", NOW, &r, NULL), 0);
	assert_true(!r.has_end && r.start.n == 100 && r.end.kind == MQ_POINT_END);
	assert_int_equal(mq_to_range("..end", NOW, &r, NULL), 0);
	assert_true(r.has_end && r.start.kind == MQ_POINT_BEGINNING && r.end.kind == MQ_POINT_END);
	assert_int_equal(mq_to_range("stored..", NOW, &r, NULL), 0);
	assert_true(r.has_end && r.start.kind == MQ_POINT_STORED && r.end.kind == MQ_POINT_END);
	assert_int_equal(mq_to_range("-10..-5", NOW, &r, NULL), 0);
	assert_true(r.start.kind == MQ_POINT_FROM_END && r.start.n == 10 && r.end.kind == MQ_POINT_FROM_END &&
	            r.end.n == 5);
	assert_int_equal(mq_to_range("@-1h..@2024-05-01T12:00:00.5Z", NOW, &r, NULL), 0);
	assert_true(r.start.kind == MQ_POINT_TIME && r.start.time_us == NOW - 3600000000 &&
	            r.end.kind == MQ_POINT_TIME && r.end.time_us == 1714564800500000);
	assert_int_equal(mq_to_range("@yesterday 10:00..@now", NOW, &r, NULL), 0);
	assert_int_equal(r.start.kind, MQ_POINT_DATE);
	assert_string_equal(r.start.text, "yesterday 10:00");
	assert_true(r.end.kind == MQ_POINT_TIME && r.end.time_us == NOW);
}

static void bad_ranges_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"",     "x",   "1..x",   "200..100", "1...2", "+1", "1.2", "begin",
	                                  "--1", "@..1", "1..2..3", "-",       "@-5"};
	struct mq_range r;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_to_range(bad[i], NOW, &r, NULL), MQ_EUSAGE);
	char text[400];
	memset(text, '1', sizeof text - 1);
	text[sizeof text - 1] = 0;
	assert_int_equal(mq_to_range(text, NOW, &r, NULL), MQ_EUSAGE);
	text[0] = '@';
	assert_int_equal(mq_to_point(text, NOW, &r.start, NULL), MQ_EUSAGE);
}

static void operands_are_topic_partition_offset(void **state)
{
	(void)state;
	static const char *const bad[] = {"", ":3", "a:", "a::4", "a:x", "a:-1", "a:3:", "a:3x", "a b", "a:4294967296"};
	struct mq_operand_parts o;
	assert_int_equal(mq_to_operand("orders", &o, NULL), 0);
	assert_string_equal(o.topic, "orders");
	assert_true(o.partition == -1 && !o.offset);
	assert_int_equal(mq_to_operand("orders:3", &o, NULL), 0);
	assert_true(o.partition == 3 && !o.offset);
	assert_int_equal(mq_to_operand("orders:3:4096", &o, NULL), 0);
	assert_true(o.partition == 3);
	assert_string_equal(o.offset, "4096");
	assert_int_equal(mq_to_operand("orders:3:@12:00..end", &o, NULL), 0);
	assert_string_equal(o.offset, "@12:00..end");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_to_operand(bad[i], &o, NULL), MQ_EUSAGE);
}

/* --- conf --------------------------------------------------------------------------------------- */

static const char CONF[] = "# a comment\n"
                           "\n"
                           "retention.ms = 7 \n"
                           "\tunknown.key=a = b\t\r\n"
                           "retention.ms=8";

static void configuration_lines_are_read_with_blanks_passed_over(void **state)
{
	(void)state;
	struct mq_conf_scan s = MQ_CONF_SCAN(CONF, sizeof CONF - 1);
	struct mq_conf_item item;
	assert_int_equal(mq_conf_next(&s, &item, NULL), 1);
	assert_true(mq_conf_key_is(&item, "retention.ms") && mq_conf_value_is(&item, "7"));
	assert_int_equal(item.line_no, 3);
	assert_int_equal(mq_conf_next(&s, &item, NULL), 1);
	assert_true(mq_conf_key_is(&item, "unknown.key") && mq_conf_value_is(&item, "a = b"));
	assert_int_equal(mq_conf_next(&s, &item, NULL), 1);
	assert_true(mq_conf_key_is(&item, "retention.ms") && mq_conf_value_is(&item, "8"));
	assert_int_equal(mq_conf_next(&s, &item, NULL), 0);
	assert_int_equal(mq_conf_get(CONF, sizeof CONF - 1, "retention.ms", &item, NULL), 1);
	assert_true(mq_conf_value_is(&item, "8")); /* the last one counts */
	assert_int_equal(mq_conf_get(CONF, sizeof CONF - 1, "other", &item, NULL), 0);
}

static void a_bad_configuration_line_is_told_by_its_number(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"a=1\nnonsense\n", "line 2: no '=' in it"},
	    {"=1\n", "line 1: a bad key"},
	    {"#\n\na b=1\n", "line 3: a bad key"},
	    {"a=x\001\n", "line 1: control bytes in its value"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct mq_err err = MQ_ERR_INIT;
		struct mq_conf_item item;
		assert_int_equal(mq_conf_get(bad[i].text, strlen(bad[i].text), "a", &item, &err), MQ_ECONFIG);
		assert_string_equal(err.text, bad[i].why);
	}
}

static void setting_a_key_changes_its_line_and_no_other(void **state)
{
	(void)state;
	struct mq_buf b = MQ_BUF_INIT;
	mq_buf_add(&b, CONF, sizeof CONF - 1);
	assert_int_equal(mq_conf_set(&b, "retention.ms", "9", NULL), 0);
	assert_int_equal(mq_conf_set(&b, "new", "x", NULL), 0);
	assert_int_equal(mq_conf_set(&b, "unknown.key", "c", NULL), 0);
	static const char want[] = "# a comment\n\nretention.ms = 7 \nunknown.key=c\nretention.ms=9\nnew=x\n";
	assert_int_equal(b.len, sizeof want - 1);
	assert_memory_equal(b.p, want, b.len);
	assert_int_equal(mq_conf_set(&b, "new", "x\ny", NULL), MQ_EUSAGE);
	assert_int_equal(mq_conf_set(&b, "new", " x", NULL), MQ_EUSAGE);
	assert_int_equal(mq_conf_set(&b, "n=w", "x", NULL), MQ_EUSAGE);
	assert_int_equal(b.len, sizeof want - 1);
	mq_buf_release(&b);
	assert_int_equal(mq_conf_set(&b, "first", "", NULL), 0);
	assert_memory_equal(b.p, "first=\n", 7);
	mq_buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_letters_digits_dot_underscore_and_dash),
	    cmocka_unit_test(a_name_has_at_most_200_bytes),
	    cmocka_unit_test(a_bad_name_is_shown_with_what_would_be_right),
	    cmocka_unit_test(numbers_are_digits_and_nothing_else),
	    cmocka_unit_test(sizes_take_powers_of_1024),
	    cmocka_unit_test(time_spans_take_units_and_a_bare_number_is_seconds),
	    cmocka_unit_test(rates_are_per_second_minute_or_hour_and_above_zero),
	    cmocka_unit_test(hexadecimal_goes_there_and_back),
	    cmocka_unit_test(times_are_rfc_3339_epoch_or_relative),
	    cmocka_unit_test(other_times_are_left_to_date),
	    cmocka_unit_test(a_time_prints_as_it_would_be_written),
	    cmocka_unit_test(ranges_are_start_dots_end),
	    cmocka_unit_test(bad_ranges_are_refused),
	    cmocka_unit_test(operands_are_topic_partition_offset),
	    cmocka_unit_test(configuration_lines_are_read_with_blanks_passed_over),
	    cmocka_unit_test(a_bad_configuration_line_is_told_by_its_number),
	    cmocka_unit_test(setting_a_key_changes_its_line_and_no_other),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("base_text", tests, NULL, NULL);
}
