/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An intent comes back as it was made; none that contradicts itself is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "format/intent.h"

static const uint8_t positions[] = {0, 0, 0, 0, 5, 0, 0, 0, 9, 0, 0, 0};

static struct mq_buf make(bool copies)
{
	struct mq_intent i = {.copies = copies, .carry = copies, .n_targets = 2, .generation = 3, .seeks = 2, .source_start = 100,
	                      .source_end = 110, .number = 40, .last_number = 45};
	struct mq_intent_target a = {.topic = "a", .partition = 7, .who_id = 77, .end = 1000, .number = 40, .count = 3,
	                             .kind = MQ_BATCH_RECORDS, .base_time_us = 5, .max_time_us = 6, .len = sizeof positions,
	                             .data = positions};
	struct mq_intent_target b = {.topic = "a-longer-name", .number = 43, .count = 2, .len = 4, .data = (const uint8_t *)"x\ny\n"};
	struct mq_buf out = MQ_BUF_INIT;

	if (copies) {
		b.len = 8;
		b.data = positions;
	}
	memset(a.topic_id, 1, 16);
	assert_int_equal(mq_intent_begin(&out, &i), 0);
	assert_int_equal(mq_intent_add(&out, &a), 0);
	assert_int_equal(mq_intent_add(&out, &b), 0);
	return out;
}

/* 0 where all of it can be read, and it says what it says. */
static int read_all(const struct mq_buf *b, unsigned *ret_n)
{
	struct mq_intent_walk w;
	struct mq_intent_target t;
	struct mq_intent i;
	int rc = mq_intent_open(&w, b->p, b->len, &i, NULL);

	*ret_n = 0;
	while (rc == 0 && (rc = mq_intent_next(&w, &t)) > 0) {
		++*ret_n;
		rc = 0;
	}
	return rc;
}

static void what_was_made_is_read(void **state)
{
	struct mq_buf b = make(true);
	struct mq_intent_walk w;
	struct mq_intent_target t;
	struct mq_intent i;

	(void)state;
	assert_int_equal(mq_intent_open(&w, b.p, b.len, &i, NULL), 0);
	assert_true(i.copies && i.carry && i.n_targets == 2 && i.generation == 3 && i.seeks == 2 && i.source_start == 100 &&
	            i.source_end == 110 && i.number == 40 && i.last_number == 45);
	assert_int_equal(mq_intent_next(&w, &t), 1);
	assert_string_equal(t.topic, "a");
	assert_true(t.topic_id[15] == 1 && t.partition == 7 && t.who_id == 77 && t.end == 1000 && t.number == 40 && t.count == 3 &&
	            t.kind == MQ_BATCH_RECORDS && t.base_time_us == 5 && t.max_time_us == 6 && t.len == 12);
	assert_memory_equal(t.data, positions, 12);
	assert_int_equal(mq_intent_next(&w, &t), 1);
	assert_string_equal(t.topic, "a-longer-name");
	assert_int_equal(t.number, 43);
	assert_int_equal(mq_intent_next(&w, &t), 0);
	mq_buf_release(&b);
}

static void bytes_are_held_as_they_are(void **state)
{
	struct mq_buf b = make(false);
	struct mq_intent_walk w;
	struct mq_intent_target t;
	struct mq_intent i;

	(void)state;
	assert_int_equal(mq_intent_open(&w, b.p, b.len, &i, NULL), 0);
	assert_false(i.copies || i.carry);
	assert_int_equal(mq_intent_next(&w, &t), 1);
	assert_int_equal(mq_intent_next(&w, &t), 1);
	assert_memory_equal(t.data, "x\ny\n", 4);
	assert_int_equal(mq_intent_next(&w, &t), 0);
	mq_buf_release(&b);
}

static void one_that_is_cut_short_or_followed_by_more_is_none(void **state)
{
	struct mq_buf b = make(true);
	size_t len = b.len;
	unsigned n;

	(void)state;
	for (b.len = 0; b.len < len; b.len++) {
		char *copy = malloc(b.len + 1); /* so that a sanitizer sees who reads behind it */
		struct mq_buf cut = {.p = copy, .len = b.len, .cap = b.len};

		memcpy(copy, b.p, b.len);
		assert_true(read_all(&cut, &n) < 0);
		free(copy);
	}
	mq_buf_add_byte(&b, 0);
	assert_int_equal(read_all(&b, &n), MQ_EDAMAGE);
	mq_buf_release(&b);
}

static void a_newer_one_is_not_guessed_at(void **state)
{
	struct mq_buf b = make(true);
	unsigned n;

	(void)state;
	b.p[8] = 2;
	assert_int_equal(read_all(&b, &n), MQ_ECONFIG);
	b.p[8] = 1;
	b.p[10] = 16;
	assert_int_equal(read_all(&b, &n), MQ_ECONFIG);
	mq_buf_release(&b);
}

static void positions_rise_and_lie_within_the_range(void **state)
{
	struct mq_buf b = make(true);
	const size_t at = 64 + 80 + 1;
	unsigned n;

	(void)state;
	assert_int_equal(read_all(&b, &n), 0);
	mq_put_le32(b.p + at + 8, 10);
	assert_int_equal(read_all(&b, &n), MQ_EDAMAGE);
	mq_put_le32(b.p + at + 8, 5);
	assert_int_equal(read_all(&b, &n), MQ_EDAMAGE);
	mq_put_le32(b.p + at + 8, 6);
	assert_int_equal(read_all(&b, &n), 0);
	mq_buf_release(&b);
}

static void numbers_leave_no_gap(void **state)
{
	struct mq_buf b = make(true);
	unsigned n;

	(void)state;
	b.p[64 + 32] = 41;
	assert_int_equal(read_all(&b, &n), MQ_EDAMAGE);
	b.p[64 + 32] = 40;
	b.p[48] = 46;
	assert_int_equal(read_all(&b, &n), MQ_EDAMAGE);
	mq_buf_release(&b);
}

static void a_target_of_nothing_is_one_where_more_may_follow(void **state)
{
	struct mq_intent i = {.open_ended = true, .n_targets = 1, .number = 7, .last_number = 7};
	struct mq_intent_target t = {.topic = "a", .number = 7, .end = 3};
	struct mq_buf b = MQ_BUF_INIT;
	struct mq_intent_walk w;
	unsigned n;

	(void)state;
	assert_int_equal(mq_intent_begin(&b, &i), 0);
	assert_int_equal(mq_intent_add(&b, &t), 0);
	assert_int_equal(mq_intent_open(&w, b.p, b.len, &i, NULL), 0);
	assert_true(i.open_ended);
	assert_int_equal(mq_intent_next(&w, &t), 1);
	assert_true(t.count == 0 && t.end == 3);
	assert_int_equal(mq_intent_next(&w, &t), 0);
	b.p[10] = 0;
	assert_int_equal(read_all(&b, &n), MQ_EDAMAGE);
	b.p[10] = 4;
	mq_buf_clear(&b);
	assert_int_equal(mq_intent_begin(&b, &i), 0);
	t.data = (const uint8_t *)"x\n";
	t.len = 2;
	assert_int_equal(mq_intent_add(&b, &t), 0);
	assert_int_equal(read_all(&b, &n), MQ_EDAMAGE);
	mq_buf_release(&b);
}

static void a_set_of_the_range_comes_back_and_none_that_contradicts_itself(void **state)
{
	static const uint8_t set[] = {1, 0, 0, 0, 3, 0, 0, 0, 9, 0, 0, 0};
	struct mq_intent i = {.n_set = 3, .set = set, .source_start = 100, .source_end = 110, .number = 4, .last_number = 4}, got;
	struct mq_buf b = MQ_BUF_INIT;
	struct mq_intent_walk w;
	struct mq_intent_target t;

	(void)state;
	assert_int_equal(mq_intent_begin(&b, &i), 0);
	assert_int_equal(mq_intent_open(&w, b.p, b.len, &got, NULL), 0);
	assert_int_equal(got.n_set, 3);
	assert_memory_equal(got.set, set, sizeof set);
	assert_int_equal(mq_intent_next(&w, &t), 0);
	assert_int_equal(mq_intent_open(&w, b.p, b.len - 1, &got, NULL), MQ_EDAMAGE);
	b.p[64] = 4; /* not rising */
	assert_int_equal(mq_intent_open(&w, b.p, b.len, &got, NULL), MQ_EDAMAGE);
	b.p[64] = 1;
	b.p[32]++; /* the range ends behind the last one */
	assert_int_equal(mq_intent_open(&w, b.p, b.len, &got, NULL), MQ_EDAMAGE);
	b.p[32]--;
	b.p[10] |= 4; /* open-ended */
	assert_int_equal(mq_intent_open(&w, b.p, b.len, &got, NULL), MQ_EDAMAGE);
	b.p[10] = 0; /* a set that is none */
	assert_int_equal(mq_intent_open(&w, b.p, b.len, &got, NULL), MQ_EDAMAGE);
	mq_buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_made_is_read),
	    cmocka_unit_test(a_set_of_the_range_comes_back_and_none_that_contradicts_itself),
	    cmocka_unit_test(bytes_are_held_as_they_are),
	    cmocka_unit_test(one_that_is_cut_short_or_followed_by_more_is_none),
	    cmocka_unit_test(a_newer_one_is_not_guessed_at),
	    cmocka_unit_test(positions_rise_and_lie_within_the_range),
	    cmocka_unit_test(numbers_leave_no_gap),
	    cmocka_unit_test(a_target_of_nothing_is_one_where_more_may_follow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
