/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What records look like on their way out: JSON, format letters, frames, and what a terminal gets. */
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "ops/b64.h"
#include "ops/form.h"
#include "ops/frame.h"

#define TEXT(s) .payload = s, .payload_len = sizeof s - 1
#define KEY(s) .key = s, .key_len = sizeof s - 1

static const struct mq_form_place place = {"orders", 3};
static const int64_t time_us = INT64_C(1714566896250000); /* 2024-05-01T12:34:56.25Z */

static void assert_text(struct mq_buf *got, const char *want)
{
	mq_buf_add_byte(got, 0);
	assert_string_equal(got->p, want);
	mq_buf_release(got);
}

static void header(struct mq_buf *blob, const char *name, const char *value, size_t value_len)
{
	assert_int_equal(mq_header_append(blob, name, strlen(name), value, value_len), 0);
}

/* --- JSON ----------------------------------------------------------------------------------- */

static void assert_json(const struct mq_rec *r, const char *want)
{
	struct mq_buf out = MQ_BUF_INIT;
	assert_int_equal(mq_form_json(&out, &place, r, false), 0);
	assert_text(&out, want);
}

static void json_leaves_out_what_a_record_does_not_have(void **state)
{
	(void)state;
	assert_json(&(struct mq_rec){TEXT("x"), .time_us = 0}, "{\"v\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":0,"
	            "\"timestamp\":\"1970-01-01T00:00:00.000000Z\",\"payload\":\"x\"}\n");
	assert_json(&(struct mq_rec){TEXT("x"), .time_us = MQ_FORM_NO_TIME}, "{\"v\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":0,"
	            "\"timestamp\":null,\"payload\":\"x\"}\n");
	assert_json(&(struct mq_rec){TEXT("hello"), .offset = 4096, .time_us = time_us},
	            "{\"v\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":4096,\"timestamp\":\"2024-05-01T12:34:56.250000Z\","
	            "\"payload\":\"hello\"}\n");
}

static void json_says_all_that_a_record_carries(void **state)
{
	(void)state;
	struct mq_buf blob = MQ_BUF_INIT;
	header(&blob, "trace", "7", 1);
	header(&blob, "from", "", 0);
	struct mq_rec r = {TEXT("hello"), KEY("k"), .id = "42", .id_len = 2, .tag = "paid", .tag_len = 4, .headers = blob.p,
	                   .headers_len = (uint32_t)blob.len, .offset = 4096, .time_us = time_us};
	assert_json(&r, "{\"v\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":4096,\"timestamp\":\"2024-05-01T12:34:56.250000Z\","
	                "\"key\":\"k\",\"headers\":{\"trace\":\"7\",\"from\":\"\"},\"tag\":\"paid\",\"id\":\"42\",\"payload\":\"hello\"}\n");
	mq_buf_release(&blob);
}

static void json_tells_an_empty_key_from_none(void **state)
{
	(void)state;
	assert_json(&(struct mq_rec){TEXT(""), KEY(""), .time_us = time_us},
	            "{\"v\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":0,\"timestamp\":\"2024-05-01T12:34:56.250000Z\",\"key\":\"\","
	            "\"payload\":\"\"}\n");
}

static json_t *load(const struct mq_rec *r, bool visible)
{
	struct mq_buf out = MQ_BUF_INIT;
	json_error_t why;
	assert_int_equal(mq_form_json(&out, &place, r, visible), 0);
	assert_int_equal(out.p[out.len - 1], '\n');
	assert_null(memchr(out.p, '\n', out.len - 1)); /* one object a line */
	json_t *o = json_loadb(out.p, out.len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
	if (!o)
		fail_msg("%s: %.*s", why.text, (int)out.len, out.p);
	mq_buf_release(&out);
	return o;
}

/* To a terminal it is the same object. */
static json_t *parsed(const struct mq_rec *r)
{
	json_t *o = load(r, false), *shown = load(r, true);
	assert_true(json_equal(o, shown));
	json_decref(shown);
	return o;
}

static void assert_string(const json_t *s, const char *want, size_t want_len)
{
	assert_non_null(s);
	assert_int_equal(json_string_length(s), want_len);
	assert_memory_equal(json_string_value(s), want, want_len);
}

static void every_byte_comes_back_through_json_as_text_or_as_base64(void **state)
{
	(void)state;
	char bytes[256 + 3];
	for (int n = 0; n < 128; n++)
		bytes[n] = (char)n;
	struct mq_rec r = {.payload = bytes, .payload_len = 128, .key = bytes, .key_len = 128, .time_us = time_us};
	json_t *o = parsed(&r);
	assert_string(json_object_get(o, "payload"), bytes, 128);
	assert_string(json_object_get(o, "key"), bytes, 128);
	assert_null(json_object_get(o, "payload_b64"));
	json_decref(o);

	for (int n = 0; n < 256; n++)
		bytes[n] = (char)n;
	for (uint32_t more = 0; more < 3; more++) { /* each length modulo 3 */
		struct mq_buf back = MQ_BUF_INIT;
		r.payload_len = r.key_len = 256 + more;
		o = parsed(&r);
		assert_null(json_object_get(o, "payload"));
		const json_t *b64 = json_object_get(o, "payload_b64");
		assert_int_equal(mq_b64_decode(&back, json_string_value(b64), json_string_length(b64)), 0);
		assert_int_equal(back.len, r.payload_len);
		assert_memory_equal(back.p, bytes, back.len);
		assert_non_null(json_object_get(o, "key_b64"));
		mq_buf_release(&back);
		json_decref(o);
	}
}

static void utf8_is_text_and_what_only_looks_like_it_is_not(void **state)
{
	(void)state;
	static const char *const good[] = {"", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
	                                   "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "Zo\xc3\xab \xe2\x82\xac \xf0\x9f\x90\x98"};
	static const char *const bad[] = {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc2", "\xc2 ", "\xe0\x9f\xbf", "\xed\xa0\x80",
	                                  "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "12345678\xff",
	                                  "1234567\xc3", "\xf0\x9f\x90"};
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_true(mq_utf8_ok(good[i], strlen(good[i])));
		json_decref(parsed(&(struct mq_rec){.payload = good[i], .payload_len = (uint32_t)strlen(good[i])}));
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(mq_utf8_ok(bad[i], strlen(bad[i])));
}

static void json_for_a_terminal_holds_nothing_that_steers_it(void **state)
{
	(void)state;
	static const char *const shown[][2] = {
	    {"\x7f", "\\u007f"},           {"\xc2\x80", "\\u0080"},     {"\xc2\x9b", "\\u009b"},     {"\xc2\x9f", "\\u009f"},
	    {"\xc2\xa0", "\xc2\xa0"},      {"\xe2\x80\xa7", "\xe2\x80\xa7"}, {"\xe2\x80\xa8", "\\u2028"}, {"\xe2\x80\xa9", "\\u2029"},
	    {"\xe2\x80\xaa", "\\u202a"},   {"\xe2\x80\xae", "\\u202e"}, {"\xe2\x80\xaf", "\xe2\x80\xaf"}, {"\xe2\x81\xa6", "\\u2066"},
	    {"\xe2\x81\xa9", "\\u2069"},   {"\x1b\t", "\\u001b\\t"}, {"\xf0\x9f\x90\x98", "\xf0\x9f\x90\x98"}};
	for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
		struct mq_rec r = {TEXT("x"), .key = shown[i][0], .key_len = (uint32_t)strlen(shown[i][0]), .time_us = time_us};
		struct mq_buf out = MQ_BUF_INIT;
		char want[200];
		snprintf(want, sizeof want,
		         "{\"v\":1,\"topic\":\"orders\",\"partition\":3,\"offset\":0,\"timestamp\":\"2024-05-01T12:34:56.250000Z\",\"key\":\"%s\","
		         "\"payload\":\"x\"}\n",
		         shown[i][1]);
		assert_int_equal(mq_form_json(&out, &place, &r, true), 0);
		assert_text(&out, want);
		json_decref(parsed(&r));
	}
}

static void headers_that_repeat_are_an_array_in_their_order(void **state)
{
	(void)state;
	struct mq_buf blob = MQ_BUF_INIT;
	header(&blob, "a", "1", 1);
	header(&blob, "b", "2", 1);
	header(&blob, "a", "3", 1);
	json_t *o = parsed(&(struct mq_rec){TEXT(""), .headers = blob.p, .headers_len = (uint32_t)blob.len});
	json_t *want = json_loads("[[\"a\",\"1\"],[\"b\",\"2\"],[\"a\",\"3\"]]", 0, NULL);
	assert_true(json_equal(json_object_get(o, "headers"), want));
	json_decref(want);
	json_decref(o);
	mq_buf_release(&blob);
}

static void header_values_that_are_no_text_are_all_base64(void **state)
{
	(void)state;
	struct mq_buf blob = MQ_BUF_INIT;
	header(&blob, "a", "\xff", 1);
	header(&blob, "b", "x", 1);
	json_t *o = parsed(&(struct mq_rec){TEXT(""), .headers = blob.p, .headers_len = (uint32_t)blob.len});
	json_t *want = json_loads("{\"a\":\"/w==\",\"b\":\"eA==\"}", 0, NULL);
	assert_null(json_object_get(o, "headers"));
	assert_true(json_equal(json_object_get(o, "headers_b64"), want));
	json_decref(want);
	json_decref(o);
	mq_buf_release(&blob);
}

static void base64_that_is_none_is_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {"A", "AA", "AAA", "A===", "====", "=AAA", "AA=A", "AA==AAAA", "AA\n=", "AAA\0", "A-_A"};
	struct mq_buf out = MQ_BUF_INIT;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		mq_buf_clear(&out);
		assert_true(mq_b64_decode(&out, bad[i], i == 9 ? 4 : strlen(bad[i])) < 0);
	}
	mq_buf_release(&out);
}

/* --- format letters ------------------------------------------------------------------------- */

static void assert_format(const char *format, const struct mq_rec *r, bool visible, const char *want)
{
	struct mq_buf compiled = MQ_BUF_INIT, out = MQ_BUF_INIT;
	struct mq_err err = MQ_ERR_INIT;
	if (mq_form_compile(&compiled, format, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(mq_form_format(&out, &compiled, &place, r, visible), 0);
	mq_buf_release(&compiled);
	assert_text(&out, want);
}

static void kcat_s_letters_mean_what_kcat_means(void **state)
{
	(void)state;
	struct mq_buf blob = MQ_BUF_INIT;
	header(&blob, "a", "1", 1);
	header(&blob, "b", "", 0);
	struct mq_rec r = {TEXT("hello"), KEY("key"), .headers = blob.p, .headers_len = (uint32_t)blob.len, .offset = 9,
	                   .time_us = time_us};
	assert_format("%t:%p:%o %k=%s (%K,%S) %T [%h]\\n", &r, false, "orders:3:9 key=hello (3,5) 1714566896250 [a=1,b=]\n");
	assert_format("%k|%K|%h", &(struct mq_rec){TEXT("x")}, false, "|-1|");
	assert_format("%K", &(struct mq_rec){TEXT("x"), KEY("")}, false, "0");
	mq_buf_release(&blob);
}

static void escapes_are_taken_and_the_rest_is_as_it_is(void **state)
{
	(void)state;
	assert_format("100%%\\t\\r\\\\\\x41 b", &(struct mq_rec){TEXT("")}, false, "100%\t\r\\A b");
	assert_format("", &(struct mq_rec){TEXT("x")}, false, "");
	assert_format("%s%s", &(struct mq_rec){TEXT("%s")}, false, "%s%s");
}

static void an_unknown_letter_is_refused_by_name(void **state)
{
	(void)state;
	static const char *const bad[][2] = {{"%s %x", "%x"}, {"%", "%(end)"}, {"a%", "%(end)"}, {"\\q", "\\q"}, {"\\", "\\"},
	                                     {"\\x4", "\\x"}, {"\\xzz", "\\x"}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct mq_buf compiled = MQ_BUF_INIT;
		struct mq_err err = MQ_ERR_INIT;
		assert_int_equal(mq_form_compile(&compiled, bad[i][0], &err), MQ_EUSAGE);
		if (!strstr(err.text, bad[i][1]))
			fail_msg("%s", err.text);
		mq_buf_release(&compiled);
	}
}

/* --- for terminals -------------------------------------------------------------------------- */

static void assert_visible(const char *bytes, size_t n, const char *want)
{
	struct mq_buf out = MQ_BUF_INIT;
	assert_int_equal(mq_form_visible(&out, bytes, n), 0);
	assert_text(&out, want);
}

static void control_bytes_are_shown_as_cat_v_shows_them(void **state)
{
	(void)state;
	assert_visible("a\tb", 3, "a\tb");
	assert_visible("\0\x01\x1b[31m\x7f", 8, "^@^A^[[31m^?");
	assert_visible("\x80\x9b\xff\x8a\xe1", 5, "M-^@M-^[M-^?M-^JM-a");
}

static void utf8_is_shown_but_for_what_moves_cursors_or_turns_text(void **state)
{
	(void)state;
	assert_visible("Zo\xc3\xab \xe2\x82\xac", 8, "Zo\xc3\xab \xe2\x82\xac");
	assert_visible("\xc2\x9b\x33\x31m", 5, "M-BM-^[31m");             /* U+009B, CSI */
	assert_visible("\xe2\x80\xae", 3, "M-bM-^@M-.");                   /* U+202E, right to left */
	assert_visible("\xe2\x80\xa8", 3, "M-bM-^@M-(");                   /* U+2028, a line ends */
	assert_visible("\xe2\x82", 2, "M-bM-^B");
}

static void what_a_format_shows_of_a_record_is_made_visible_and_the_format_is_not(void **state)
{
	(void)state;
	assert_format("\\x1b[1m%k\\n%s", &(struct mq_rec){TEXT("\x1b[0m"), KEY("\a")}, true, "\x1b[1m^G\n^[[0m");
}

/* --- frames --------------------------------------------------------------------------------- */

static void assert_same(const char *got, uint32_t got_len, const char *want, uint32_t want_len)
{
	assert_int_equal(got != NULL, want != NULL);
	assert_int_equal(got ? got_len : 0, want ? want_len : 0);
	if (want && want_len)
		assert_memory_equal(got, want, want_len);
}

static void assert_passes(const struct mq_rec *r)
{
	struct mq_buf out = MQ_BUF_INIT;
	struct mq_rec got;
	size_t bad;
	assert_int_equal(mq_frame_write(&out, r), 0);
	const char *end = memchr(out.p, '\n', out.len);
	assert_non_null(end);
	assert_in_range(end - out.p, 1, MQ_FRAME_LINE_MAX - 1);
	assert_int_equal(mq_frame_parse(out.p, (size_t)(end - out.p), &got, &bad), 0);
	assert_int_equal(mq_frame_body_len(&got), out.len - (size_t)(end + 1 - out.p));
	assert_int_equal(mq_frame_point(&got, end + 1, &bad), 0);
	assert_same(got.payload, got.payload_len, r->payload, r->payload_len);
	assert_same(got.key, got.key_len, r->key, r->key_len);
	assert_same(got.headers, got.headers_len, r->headers, r->headers_len);
	assert_same(got.id, got.id_len, r->id, r->id_len);
	assert_same(got.tag, got.tag_len, r->tag, r->tag_len);
	assert_true(got.time_us == r->time_us && got.expiry_us == r->expiry_us);
	mq_buf_release(&out);
}

static void a_frame_brings_back_all_that_a_record_carries(void **state)
{
	(void)state;
	struct mq_buf blob = MQ_BUF_INIT;
	header(&blob, "a", "\0\n", 2);
	header(&blob, "a", "", 0);
	assert_passes(&(struct mq_rec){TEXT("\0\n\xff mqf1 - - - - 3\n")});
	assert_passes(&(struct mq_rec){TEXT("")});
	assert_passes(&(struct mq_rec){TEXT("p"), KEY(""), .id = "", .tag = "", .time_us = 1});
	assert_passes(&(struct mq_rec){TEXT("p"), KEY("k\nk"), .id = "42", .id_len = 2, .tag = "t", .tag_len = 1, .headers = blob.p,
	                               .headers_len = (uint32_t)blob.len, .time_us = INT64_MAX, .expiry_us = INT64_MAX});
	mq_buf_release(&blob);
}

static void the_longest_line_fits_what_a_reader_takes(void **state)
{
	(void)state;
	/* All lengths are bounded by a batch's: ten digits each, and times by 63 bits. */
	enum { MAGIC = 4, LENGTHS = 5 * (1 + 10), TIMES = 2 * (1 + 19), NEWLINE = 1 };
	assert_in_range(MAGIC + LENGTHS + TIMES + NEWLINE, 1, MQ_FRAME_LINE_MAX);
}

static void a_frame_is_as_its_page_says(void **state)
{
	(void)state;
	struct mq_buf out = MQ_BUF_INIT;
	assert_int_equal(mq_frame_write(&out, &(struct mq_rec){TEXT("hello"), KEY("k"), .tag = "", .time_us = 7}), 0);
	assert_text(&out, "mqf1 1 - - 0 5 7 -\nkhello");
	struct mq_rec r;
	size_t bad;
	assert_int_equal(mq_frame_parse("mqf1 - - - - 3", 14, &r, &bad), 0); /* the line may end behind PAYLOAD */
	assert_null(r.key);
	assert_int_equal(r.payload_len, 3);
}

static void an_odd_byte_is_told_by_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		size_t bad;
	} lines[] = {
	    {"", 0}, {"mqf2 - - - - 3", 3}, {"MQF1 - - - - 3", 0}, {"mqf1", 4}, {"mqf1  - - - 3", 5}, {"mqf1 - - - - -", 13},
	    {"mqf1 - - - - x", 13}, {"mqf1 - - - - 3x", 14}, {"mqf1 - - - - 3 - - ", 18}, {"mqf1 -1 - - - 3", 6},
	    {"mqf1 99999999999 - - - 3", 5}, {"mqf1 - - - - 3 9223372036854775808", 15}, {"mqf1 - - - - 99999999999999999999", 13},
	    {"mqf1 - - - - 3\r", 14},
	};
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct mq_rec r;
		size_t bad = 999;
		assert_int_equal(mq_frame_parse(lines[i].line, strlen(lines[i].line), &r, &bad), MQ_EINPUT);
		if (bad != lines[i].bad)
			fail_msg("'%s': byte %zu, not %zu", lines[i].line, bad, lines[i].bad);
	}
}

static void headers_that_do_not_fit_their_length_are_refused(void **state)
{
	(void)state;
	static const char *const blobs[] = {"\1\0a\1\0\0\0", "\1\0a", "\1", "\0\0\1\0\0\0x", "\1\0a\377\377\377\377x"};
	static const uint32_t lens[] = {7, 3, 1, 7, 8};
	for (size_t i = 0; i < sizeof blobs / sizeof *blobs; i++) {
		struct mq_rec r = {.headers = "", .headers_len = lens[i], .payload = ""};
		size_t bad;
		assert_int_equal(mq_frame_point(&r, blobs[i], &bad), MQ_EINPUT);
		assert_in_range(bad, 0, lens[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(json_leaves_out_what_a_record_does_not_have),
	    cmocka_unit_test(json_says_all_that_a_record_carries),
	    cmocka_unit_test(json_tells_an_empty_key_from_none),
	    cmocka_unit_test(every_byte_comes_back_through_json_as_text_or_as_base64),
	    cmocka_unit_test(utf8_is_text_and_what_only_looks_like_it_is_not),
	    cmocka_unit_test(json_for_a_terminal_holds_nothing_that_steers_it),
	    cmocka_unit_test(headers_that_repeat_are_an_array_in_their_order),
	    cmocka_unit_test(header_values_that_are_no_text_are_all_base64),
	    cmocka_unit_test(base64_that_is_none_is_refused),
	    cmocka_unit_test(kcat_s_letters_mean_what_kcat_means),
	    cmocka_unit_test(escapes_are_taken_and_the_rest_is_as_it_is),
	    cmocka_unit_test(an_unknown_letter_is_refused_by_name),
	    cmocka_unit_test(control_bytes_are_shown_as_cat_v_shows_them),
	    cmocka_unit_test(utf8_is_shown_but_for_what_moves_cursors_or_turns_text),
	    cmocka_unit_test(what_a_format_shows_of_a_record_is_made_visible_and_the_format_is_not),
	    cmocka_unit_test(a_frame_brings_back_all_that_a_record_carries),
	    cmocka_unit_test(the_longest_line_fits_what_a_reader_takes),
	    cmocka_unit_test(a_frame_is_as_its_page_says),
	    cmocka_unit_test(an_odd_byte_is_told_by_its_place),
	    cmocka_unit_test(headers_that_do_not_fit_their_length_are_refused),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ops_output", tests, NULL, NULL);
}
