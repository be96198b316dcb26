/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes cut into records, however they arrive; and the pace at which records go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "ops/input.h"
#include "ops/pace.h"

/* A pipe into which the next piece is put just before it is read. */
struct feed {
	struct mq_input in;
	int write;
	const char *at, *end;
	size_t piece;
};

static int put_piece(void *arg, struct mq_input *in)
{
	struct feed *f = arg;
	size_t n = (size_t)(f->end - f->at) < f->piece ? (size_t)(f->end - f->at) : f->piece;
	(void)in;
	if (n == 0 && f->write >= 0) {
		close(f->write);
		f->write = -1;
	}
	if (n)
		assert_int_equal(write(f->write, f->at, n), n);
	f->at += n;
	return 0;
}

static void begin(struct feed *f, const char *bytes, size_t n, size_t piece)
{
	int fd[2];
	assert_int_equal(pipe(fd), 0);
	mq_input_init(&f->in, fd[0], "test");
	f->in.before_read = put_piece;
	f->in.before_read_arg = f;
	f->write = fd[1];
	f->at = bytes;
	f->end = bytes + n;
	f->piece = piece;
}

static void end(struct feed *f)
{
	close(f->in.fd);
	if (f->write >= 0)
		close(f->write);
	mq_input_release(&f->in);
}

/* The records of text, each in brackets. */
static void assert_cut(const char *text, const char *delimiter, const char *want)
{
	for (size_t piece = 1; piece < 8; piece++) {
		struct feed f;
		char got[256] = "";
		const char *p;
		size_t len;
		begin(&f, text, strlen(text), piece);
		while (mq_input_line(&f.in, delimiter, strlen(delimiter), 100, &p, &len, NULL) > 0) {
			strcat(got, "[");
			strncat(got, p, len);
			strcat(got, "]");
		}
		assert_string_equal(got, want);
		end(&f);
	}
}

static void records_come_whole_however_they_arrive(void **state)
{
	(void)state;
	assert_cut("one\ntwo\n\nfour\n", "\n", "[one][two][][four]");
	assert_cut("", "\n", "");
	assert_cut("\n", "\n", "[]");
}

static void the_last_record_needs_no_delimiter(void **state)
{
	(void)state;
	assert_cut("one\nlast", "\n", "[one][last]");
	assert_cut("a--last-", "--", "[a][last-]");
}

static void a_delimiter_of_several_bytes_is_found_across_reads(void **state)
{
	(void)state;
	assert_cut("a--b--", "--", "[a][b]");
	assert_cut("a---b--c", "--", "[a][-b][c]");
	assert_cut("abcabdabc", "abd", "[abc][abc]");
}

static void a_record_of_the_greatest_length_passes_and_one_byte_more_does_not(void **state)
{
	(void)state;
	const char *text = "12345\n123456\n";
	for (size_t piece = 1; piece < 14; piece++) {
		struct feed f;
		const char *p;
		size_t len;
		begin(&f, text, strlen(text), piece);
		assert_int_equal(mq_input_line(&f.in, "\n", 1, 5, &p, &len, NULL), 1);
		assert_int_equal(mq_input_line(&f.in, "\n", 1, 5, &p, &len, NULL), MQ_EINPUT);
		end(&f);
	}
}

static void a_record_without_an_end_takes_no_more_memory_than_it_may(void **state)
{
	(void)state;
	size_t max = 3 * MQ_INPUT_BYTES;
	char *bytes = malloc(2 * max);
	struct feed f;
	const char *p;
	size_t len;
	memset(bytes, 'x', 2 * max);
	begin(&f, bytes, 2 * max, 4096);
	struct mq_err err = MQ_ERR_INIT;
	assert_int_equal(mq_input_line(&f.in, "\n", 1, max, &p, &len, &err), MQ_EINPUT);
	assert_int_equal(err.code, 0);
	assert_true(f.in.cap <= max + 2);
	end(&f);
	free(bytes);
}

static void a_record_larger_than_the_buffer_comes_whole(void **state)
{
	(void)state;
	size_t n = 2 * MQ_INPUT_BYTES + 17;
	char *bytes = malloc(n + 5);
	struct feed f;
	const char *p;
	size_t len;
	memset(bytes, 'x', n);
	memcpy(bytes + n, "\nend\n", 5);
	begin(&f, bytes, n + 5, 65536);
	assert_int_equal(mq_input_line(&f.in, "\n", 1, n, &p, &len, NULL), 1);
	assert_int_equal(len, n);
	assert_memory_equal(p, bytes, n);
	assert_int_equal(mq_input_line(&f.in, "\n", 1, n, &p, &len, NULL), 1);
	assert_int_equal(len, 3);
	assert_int_equal(mq_input_line(&f.in, "\n", 1, n, &p, &len, NULL), 0);
	assert_int_equal(f.in.passed, n + 5);
	end(&f);
	free(bytes);
}

static void so_many_bytes_are_there_or_the_input_ended(void **state)
{
	(void)state;
	struct feed f;
	begin(&f, "abcdef", 6, 1);
	assert_int_equal(mq_input_need(&f.in, 4, NULL), 1);
	mq_input_take(&f.in, 4);
	assert_int_equal(mq_input_need(&f.in, 3, NULL), 0);
	assert_int_equal(f.in.len - f.in.pos, 2);
	end(&f);
}

/* --- pace ----------------------------------------------------------------------------------- */

static uint64_t taken(struct mq_pace *p, int64_t from_ns, int64_t for_ns, uint64_t want)
{
	uint64_t n = 0;
	int64_t now_ns = from_ns, until_ns;
	while (now_ns < from_ns + for_ns) {
		uint64_t k = mq_pace_take(p, want, now_ns, &until_ns);
		n += k;
		now_ns = k ? now_ns + 1000 : until_ns;
	}
	return n;
}

static void a_pace_is_kept_at_any_speed(void **state)
{
	(void)state;
	static const double rates[] = {0.5, 3, 100, 5000, 1e6};
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
		struct mq_pace p;
		mq_pace_init(&p, rates[i]);
		uint64_t n = taken(&p, 0, INT64_C(20000000000), 1 << 20);
		assert_true((double)n <= 20 * rates[i] + 1);
		assert_true((double)n >= 20 * rates[i] * 0.97 - 1);
	}
}

static void a_pause_is_not_made_up_for(void **state)
{
	(void)state;
	struct mq_pace p;
	int64_t until_ns;
	mq_pace_init(&p, 100);
	taken(&p, 0, 1000000000, 1);
	assert_true(mq_pace_take(&p, 1000, INT64_C(60000000000), &until_ns) <= 10);
}

static void without_a_pace_all_goes(void **state)
{
	(void)state;
	struct mq_pace p;
	mq_pace_init(&p, 0);
	assert_int_equal(mq_pace_take(&p, 12345, 0, NULL), 12345);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(records_come_whole_however_they_arrive),
	    cmocka_unit_test(the_last_record_needs_no_delimiter),
	    cmocka_unit_test(a_delimiter_of_several_bytes_is_found_across_reads),
	    cmocka_unit_test(a_record_of_the_greatest_length_passes_and_one_byte_more_does_not),
	    cmocka_unit_test(a_record_without_an_end_takes_no_more_memory_than_it_may),
	    cmocka_unit_test(a_record_larger_than_the_buffer_comes_whole),
	    cmocka_unit_test(so_many_bytes_are_there_or_the_input_ended),
	    cmocka_unit_test(a_pace_is_kept_at_any_speed),
	    cmocka_unit_test(a_pause_is_not_made_up_for),
	    cmocka_unit_test(without_a_pace_all_goes),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ops_input", tests, NULL, NULL);
}
