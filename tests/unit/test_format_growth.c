/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom a partition waits for when a topic grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "format/growth.h"

enum { MAX = 48 };

static uint32_t sources(const struct mq_topic_generation *g, uint32_t n, uint32_t q, bool marks[MAX])
{
	uint32_t count;

	mq_growth_sources(g, n, q, marks, &count);
	return count;
}

static void a_multiple_waits_for_one_partition_and_old_ones_for_none(void **state)
{
	(void)state;
	const struct mq_topic_generation g[] = {{0, 4, false}, {1, 12, false}};
	bool marks[MAX];

	for (uint32_t q = 0; q < 4; q++)
		assert_int_equal(sources(g, 2, q, marks), 0);
	for (uint32_t q = 4; q < 12; q++) {
		assert_int_equal(sources(g, 2, q, marks), 1);
		assert_true(marks[q % 4]);
	}
}

static void what_is_no_multiple_waits_for_all_others(void **state)
{
	(void)state;
	const struct mq_topic_generation g[] = {{0, 4, false}, {1, 6, false}};
	bool marks[MAX];

	for (uint32_t q = 0; q < 6; q++) {
		assert_int_equal(sources(g, 2, q, marks), q < 4 ? 3 : 4);
		assert_true(q >= 4 || !marks[q]);
	}
}

static void without_a_barrier_nobody_waits(void **state)
{
	(void)state;
	const struct mq_topic_generation g[] = {{0, 4, false}, {1, 6, true}, {2, 12, false}};
	bool marks[MAX];

	for (uint32_t q = 0; q < 6; q++)
		assert_int_equal(sources(g, 2, q, marks), 0);
	for (uint32_t q = 6; q < 12; q++)
		assert_int_equal(sources(g, 3, q, marks), 1); /* of the last growth alone */
}

/* Wherever a key was before it came to q, q waits for it: some partition may hold nothing since. */
static void a_key_is_waited_for_wherever_it_was(void **state)
{
	(void)state;
	srand(7);
	for (int round = 0; round < 20000; round++) {
		struct mq_topic_generation g[6] = {{0, 1 + (uint32_t)rand() % 4, false}};
		uint32_t n = 1, h = (uint32_t)rand();
		bool marks[MAX];

		while (n < 6) {
			uint32_t last = g[n - 1].partitions, next = rand() % 3 ? 2 * last : last + 1 + (uint32_t)rand() % 3;
			if (next > MAX)
				break;
			g[n] = (struct mq_topic_generation){n, next, false};
			n++;
		}
		if (n < 2)
			continue;
		uint32_t q = h % g[n - 1].partitions;
		(void)sources(g, n, q, marks);
		/* Where it was in q already, q's own log has the barriers from before. */
		if (h % g[n - 2].partitions == q)
			continue;
		for (uint32_t i = 0; i < n - 1; i++)
			assert_true(h % g[i].partitions == q || marks[h % g[i].partitions]);
	}
}

static void the_next_multiple_is_told_as_far_as_there_is_one(void **state)
{
	(void)state;
	assert_int_equal(mq_growth_multiple(4, 6), 8);
	assert_int_equal(mq_growth_multiple(4, 8), 8);
	assert_int_equal(mq_growth_multiple(3000, 9500), 0);
	assert_int_equal(mq_growth_multiple(5000, 9999), 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_multiple_waits_for_one_partition_and_old_ones_for_none),
	    cmocka_unit_test(what_is_no_multiple_waits_for_all_others),
	    cmocka_unit_test(without_a_barrier_nobody_waits),
	    cmocka_unit_test(a_key_is_waited_for_wherever_it_was),
	    cmocka_unit_test(the_next_multiple_is_told_as_far_as_there_is_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
