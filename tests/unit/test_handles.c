/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose descriptors are closed when there are too many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sys/handles.h"
#include "sys/sys.h"

enum { N = 8, EACH = 10 };

static struct mq_sys calls;
static struct mq_handles all;
static struct mq_handle h[N];
static int asked, last_closed;

static int four_may_be_open(void)
{
	asked++;
	return 2 * 4 * EACH;
}

static void closed(struct mq_handle *which)
{
	last_closed = (int)(which - h);
}

static int begin(void **state)
{
	(void)state;
	calls = mq_sys_real;
	calls.fds_max = four_may_be_open;
	mq_sys = &calls;
	all = (struct mq_handles){0};
	asked = 0;
	last_closed = -1;
	for (int i = 0; i < N; i++)
		mq_handles_add(&all, &h[i], EACH, closed);
	return 0;
}

static void use(int from, int to)
{
	for (int i = from; i < to; i++)
		mq_handles_use(&all, &h[i]);
}

static void those_that_fit_stay_open_and_the_limit_of_few_is_not_asked(void **state)
{
	(void)state;
	use(0, 3);
	assert_int_equal(asked, 0);
	use(3, 4);
	use(0, 4);
	assert_int_equal(asked, 1);
	assert_int_equal(last_closed, -1);
	assert_true(mq_handles_takes(&all, &h[4]));
	assert_false(mq_handles_takes(&all, &h[3]));
}

static void the_least_recently_used_goes_first(void **state)
{
	(void)state;
	use(0, 4);
	use(0, 1);
	use(4, 5);
	assert_int_equal(last_closed, 1);
	use(5, 6);
	assert_int_equal(last_closed, 2);
	mq_handles_remove(&all, &h[3]);
	use(6, 7);
	assert_int_equal(last_closed, 2);
	use(7, 8);
	assert_int_equal(last_closed, 0);
}

static void one_that_is_pinned_stays(void **state)
{
	(void)state;
	use(0, 4);
	mq_handles_pin(&all, &h[0]);
	use(4, 5);
	assert_int_equal(last_closed, 1);
	mq_handles_unpin(&all, &h[0]);
	use(5, 8);
	assert_int_equal(last_closed, 4);
	use(1, 2);
	assert_int_equal(last_closed, 0);
}

static void it_is_known_whether_all_can_be_open_at_once(void **state)
{
	(void)state;
	assert_true(mq_handles_scarce(&all));
	for (int i = 4; i < N; i++)
		mq_handles_remove(&all, &h[i]);
	assert_false(mq_handles_scarce(&all));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(those_that_fit_stay_open_and_the_limit_of_few_is_not_asked, begin),
	    cmocka_unit_test_setup(the_least_recently_used_goes_first, begin),
	    cmocka_unit_test_setup(one_that_is_pinned_stays, begin),
	    cmocka_unit_test_setup(it_is_known_whether_all_can_be_open_at_once, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
