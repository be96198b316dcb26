/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting where inotify does not reach: limits, overflows, files that go away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/fault.h"
#include "sys/hold.h"
#include "sys/sys.h"
#include "sys/wait.h"

#include "test_wait.h"

/* --- where inotify does not reach --------------------------------------------------------------- */

static void expect_polling(int slot, int why)
{
	assert_int_equal(mq_wait_polled(&w, slot), why);
	for (int i = 0; i < 2; i++) {
		int64_t before = soon(0);
		assert_int_equal(wait_long(), MQ_WAIT_WATCH);
		assert_int_equal(mq_wait_events(&w, slot), IN_Q_OVERFLOW);
		assert_true(soon(0) - before < NEVER_NS / 10);
	}
}

static void a_file_system_that_is_not_trusted_is_polled(void **state)
{
	(void)state;
	int bell = file("bell");

	expect_polling(mq_wait_watch(&w, bell, IN_MODIFY, false), -EOPNOTSUPP);
	mq_sys->close(bell);
}

static void only_the_slot_without_a_watch_is_polled(void **state)
{
	(void)state;
	int a = file("a"), b = file("b"), sa = mq_wait_watch(&w, a, IN_MODIFY, true);

	mq_sys = mq_fault_over(&mq_sys_real, "watch_add:1:ENOSPC:ever", NULL);
	int sb = mq_wait_watch(&w, b, IN_MODIFY, true);
	expect_polling(sb, -ENOSPC);
	assert_int_equal(mq_wait_polled(&w, sa), 0);
	assert_int_equal(mq_wait_events(&w, sa), 0);
	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	assert_true(wait_long() & MQ_WAIT_WATCH);
	assert_true(mq_wait_events(&w, sa) == IN_MODIFY || mq_wait_events(&w, sb) == IN_Q_OVERFLOW);
	mq_sys->close(a), mq_sys->close(b);
}

static void a_watch_that_can_be_had_again_is_taken_and_the_polling_ends(void **state)
{
	(void)state;
	int a = file("a"), slot;

	mq_sys = mq_fault_over(&mq_sys_real, "watch_add:1:ENOSPC:once", NULL);
	slot = mq_wait_watch(&w, a, IN_MODIFY, true);
	assert_int_equal(mq_wait_polled(&w, slot), -ENOSPC);
	while (mq_wait_polled(&w, slot)) {
		assert_int_equal(wait_long(), MQ_WAIT_WATCH);
		assert_int_equal(mq_wait_events(&w, slot), IN_Q_OVERFLOW);
	}
	assert_int_equal(mq_wait_for(&w, soon(2 * MQ_WAIT_POLL_NS)), MQ_WAIT_DEADLINE);
	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, slot), IN_MODIFY);
	mq_sys->close(a);
}

/* A limit of this process's own: to use up the user's would break what else of his runs now. */
static bool allow_no_instances(void)
{
	int limit;

	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	limit = open("/proc/sys/user/max_inotify_instances", O_WRONLY);
	return limit >= 0 && write(limit, "0", 1) == 1;
}

static void wait_without_an_instance(void)
{
	int bell = mq_sys_real.openat(dir, "bell", O_RDWR | O_CREAT, 0640), slot;

	if (allow_no_instances())
		OR_EXIT(1, inotify_init1(IN_CLOEXEC) < 0 && errno == EMFILE);
	else
		mq_sys = mq_fault_over(&mq_sys_real, "watch_open:1:EMFILE:ever", NULL);
	slot = mq_wait_watch(&w, bell, IN_MODIFY, true);
	OR_EXIT(2, mq_wait_polled(&w, slot) == -EMFILE);
	OR_EXIT(3, wait_long() == MQ_WAIT_WATCH && mq_wait_events(&w, slot) == IN_Q_OVERFLOW);
	_exit(0);
}

/* Runs before any test that opens this process's instance. */
static void when_no_instance_is_left_the_wait_polls(void **state)
{
	(void)state;
	assert_int_equal(in_child(wait_without_an_instance), 0);
}

static void wait_with_many_descriptors(void)
{
	struct rlimit limit = {4096, 4096};
	int bell = mq_sys_real.openat(dir, "bell", O_RDWR | O_CREAT, 0640), fd, slot;

	OR_EXIT(1, setrlimit(RLIMIT_NOFILE, &limit) == 0);
	do
		fd = dup(0);
	while (fd >= 0 && fd < 1100);
	slot = mq_wait_watch(&w, bell, IN_MODIFY, true);
	OR_EXIT(2, mq_wait_polled(&w, slot) == 0);
	OR_EXIT(3, mq_sys->pwrite(bell, "x", 1, 0) == 1);
	OR_EXIT(4, wait_long() == MQ_WAIT_WATCH && mq_wait_events(&w, slot) == IN_MODIFY);
	OR_EXIT(5, mq_wait_for(&w, 0) == MQ_WAIT_DEADLINE);
	_exit(0);
}

static void a_process_with_thousands_of_descriptors_can_wait(void **state)
{
	(void)state;
	assert_int_equal(in_child(wait_with_many_descriptors), 0);
}

static void after_an_overflow_every_slot_is_told_to_look(void **state)
{
	(void)state;
	int a = file("a"), sd = mq_wait_watch(&w, dir, IN_CREATE | IN_DELETE, true),
	    sa = mq_wait_watch(&w, a, IN_MODIFY, true);

	for (int i = 0; i < 10000; i++) {
		close(openat(dir, "x", O_WRONLY | O_CREAT, 0600));
		unlinkat(dir, "x", 0);
	}
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_true(mq_wait_events(&w, sd) & IN_Q_OVERFLOW);
	assert_int_equal(mq_wait_events(&w, sa), IN_Q_OVERFLOW);
	assert_int_equal(mq_wait_polled(&w, sd), 0);
	drain();
	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, sa), IN_MODIFY);
	mq_sys->close(a);
}

static void a_file_that_is_removed_is_told_and_then_polled(void **state)
{
	(void)state;
	int a = file("a"), slot = mq_wait_watch(&w, a, IN_MODIFY, true);

	assert_int_equal(mq_sys->unlinkat(dir, "a", false), 0);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, slot), IN_DELETE_SELF);
	expect_polling(slot, -ESTALE);
	mq_sys->close(a);
}

static void a_directory_removed_while_open_is_told_by_its_parent_alone(void **state)
{
	(void)state;
	assert_int_equal(mq_sys->mkdirat(dir, "d", 0750), 0);
	int d = mq_sys->openat(dir, "d", O_RDONLY | O_DIRECTORY, 0),
	    slot = mq_wait_watch(&w, d, IN_CREATE, true), above = mq_wait_watch(&w, dir, IN_DELETE, true);

	assert_int_equal(mq_sys->unlinkat(dir, "d", true), 0);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, above), IN_DELETE | IN_ISDIR);
	assert_int_equal(mq_wait_events(&w, slot), 0);
	mq_sys->close(d);
}

static void a_file_that_is_moved_away_is_told_and_then_polled(void **state)
{
	(void)state;
	int a = file("a"), slot = mq_wait_watch(&w, a, IN_MODIFY, true);

	assert_int_equal(mq_sys->renameat(dir, "a", dir, "b", true), 0);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, slot), IN_MOVE_SELF);
	expect_polling(slot, -ESTALE);
	mq_sys->close(a);
}

static void removing_the_watch_of_a_removed_file_says_nothing_on_stderr(void **state)
{
	(void)state;
	int a = file("a"), slot = mq_wait_watch(&w, a, IN_MODIFY, true), was = dup(2), out = file("err");
	struct mq_stat st;

	/* closed before the slot is given up, so that the kernel drops the watch by itself */
	assert_int_equal(mq_sys->unlinkat(dir, "a", false), 0);
	mq_sys->close(a);
	dup2(out, 2);
	mq_wait_unwatch(&w, slot);
	dup2(was, 2);
	close(was);
	assert_int_equal(mq_sys->stat(out, &st), 0);
	assert_int_equal(st.size, 0);
	mq_sys->close(out);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(when_no_instance_is_left_the_wait_polls),
		T(a_process_with_thousands_of_descriptors_can_wait),
		T(a_file_system_that_is_not_trusted_is_polled),
		T(only_the_slot_without_a_watch_is_polled),
		T(a_watch_that_can_be_had_again_is_taken_and_the_polling_ends),
		T(after_an_overflow_every_slot_is_told_to_look),
		T(a_file_that_is_removed_is_told_and_then_polled),
		T(a_directory_removed_while_open_is_told_by_its_parent_alone),
		T(a_file_that_is_moved_away_is_told_and_then_polled),
		T(removing_the_watch_of_a_removed_file_says_nothing_on_stderr),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
