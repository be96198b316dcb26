/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Waiting: what ends it and what it tells. */
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

#include "sys/hold.h"
#include "sys/sys.h"
#include "sys/wait.h"

#include "test_wait.h"

static bool has_inotify(void)
{
	char link[40], to[64];

	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		n = readlink(link, to, sizeof to - 1);
		if (n > 0 && (to[n] = 0, strcmp(to, "anon_inode:inotify") == 0))
			return true;
	}
	return false;
}

/* --- what ends a wait ------------------------------------------------------------------------- */

static void wait_for_a_descriptor(void)
{
	int p[2], number;

	OR_EXIT(1, mq_sys->pipe(p) == 0);
	number = mq_wait_fd(&w, p[0], POLLIN);
	OR_EXIT(2, mq_sys->write(p[1], "x", 1) == 1);
	OR_EXIT(3, wait_long() == MQ_WAIT_FD && mq_wait_ready(&w, number) == POLLIN);
	OR_EXIT(4, !has_inotify());
	_exit(0);
}

static void who_watches_no_file_has_no_inotify_instance(void **state)
{
	(void)state;
	assert_int_equal(in_child(wait_for_a_descriptor), 0);
}

static void a_deadline_ends_a_wait_in_which_nothing_happens(void **state)
{
	(void)state;
	int64_t before = soon(0);

	assert_int_equal(mq_wait_for(&w, before + 2000000), MQ_WAIT_DEADLINE);
	assert_true(soon(0) >= before + 2000000);
	assert_int_equal(mq_wait_for(&w, 0), MQ_WAIT_DEADLINE);
}

static void what_happens_between_the_look_and_the_wait_is_not_lost(void **state)
{
	(void)state;
	int bell = file("bell"), slot = mq_wait_watch(&w, bell, IN_MODIFY, true);

	assert_int_equal(mq_wait_polled(&w, slot), 0);
	drain();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(mq_sys->pwrite(bell, "x", 1, 0), 1);
		assert_int_equal(wait_long(), MQ_WAIT_WATCH);
		assert_int_equal(mq_wait_events(&w, slot), IN_MODIFY);
	}
	assert_int_equal(mq_wait_for(&w, 0), MQ_WAIT_DEADLINE);
	assert_int_equal(mq_wait_events(&w, slot), 0);
	mq_sys->close(bell);
}

static void a_ring_from_another_process_ends_the_wait(void **state)
{
	(void)state;
	int bell = file("bell"), slot = mq_wait_watch(&w, bell, IN_MODIFY, true), status;
	pid_t pid = fork();

	if (pid == 0) {
		int mine = mq_sys->openat(dir, "bell", O_WRONLY, 0);
		_exit(mq_sys->pwrite(mine, "x", 1, 0) == 1 ? 0 : 1);
	}
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, slot), IN_MODIFY);
	waitpid(pid, &status, 0);
	mq_sys->close(bell);
}

static void a_new_name_in_a_watched_directory_is_told(void **state)
{
	(void)state;
	int slot = mq_wait_watch(&w, dir, IN_CREATE | IN_MOVED_TO, true);

	mq_sys->close(file("new"));
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, slot), IN_CREATE);
}

static void the_death_of_a_writer_is_a_close_event(void **state)
{
	(void)state;
	int f = file("member"), slot = mq_wait_watch(&w, f, IN_CLOSE_WRITE, true), status;
	pid_t pid;

	drain();
	pid = fork();
	if (pid == 0) {
		mq_sys->openat(dir, "member", O_RDWR, 0);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_true(mq_wait_events(&w, slot) & IN_CLOSE_WRITE);
	mq_sys->close(f);
}

static void what_is_kept_misses_nothing_while_the_rest_is_given_up_and_asked_for_again(void **state)
{
	int a = file("a"), b = file("b"), sa = mq_wait_watch(&w, a, IN_MODIFY, true), p[2];

	(void)state;
	assert_int_equal(mq_sys->pipe(p), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(mq_wait_watch(&w, b, IN_MODIFY, true), sa + 1);
		assert_int_equal(mq_wait_fd(&w, p[0], POLLIN), 0);
		mq_wait_keep(&w, sa + 1);
		assert_int_equal(mq_sys->pwrite(b, "x", 1, 0), 1);
		assert_int_equal(mq_wait_for(&w, 0), MQ_WAIT_DEADLINE);
		assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
		assert_int_equal(mq_wait_watch(&w, b, IN_MODIFY, true), sa + 1);
		mq_wait_keep(&w, sa + 1);
		assert_int_equal(wait_long(), MQ_WAIT_WATCH);
		assert_int_equal(mq_wait_events(&w, sa), IN_MODIFY);
	}
	mq_wait_keep(&w, 0);
	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	assert_int_equal(mq_wait_for(&w, 0), MQ_WAIT_DEADLINE);
}

static void each_slot_is_told_its_own_events_and_two_may_watch_one_file(void **state)
{
	(void)state;
	int a = file("a"), b = file("b"), sa = mq_wait_watch(&w, a, IN_MODIFY, true),
	    sb = mq_wait_watch(&w, b, IN_MODIFY, true), again = mq_wait_watch(&w, a, IN_MODIFY, true);

	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, sa), IN_MODIFY);
	assert_int_equal(mq_wait_events(&w, again), IN_MODIFY);
	assert_int_equal(mq_wait_events(&w, sb), 0);
	mq_wait_unwatch(&w, sa);
	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, again), IN_MODIFY);
	mq_wait_unwatch(&w, again);
	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	assert_int_equal(mq_wait_for(&w, soon(2000000)), MQ_WAIT_DEADLINE);
	mq_sys->close(a), mq_sys->close(b);
}

static void events_read_while_another_watch_is_removed_are_not_lost(void **state)
{
	(void)state;
	int a = file("a"), b = file("b"), sa = mq_wait_watch(&w, a, IN_MODIFY, true),
	    sb = mq_wait_watch(&w, b, IN_MODIFY, true);

	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	mq_wait_unwatch(&w, sb);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, sa), IN_MODIFY);
	mq_sys->close(a), mq_sys->close(b);
}

static void two_waits_share_the_instance_and_each_gets_its_events(void **state)
{
	(void)state;
	struct mq_wait other;
	int a = file("a"), b = file("b"), sa = mq_wait_watch(&w, a, IN_MODIFY, true), sb;

	mq_wait_init(&other);
	sb = mq_wait_watch(&other, b, IN_MODIFY, true);
	assert_int_equal(mq_sys->pwrite(a, "x", 1, 0), 1);
	assert_int_equal(mq_sys->pwrite(b, "x", 1, 0), 1);
	assert_int_equal(mq_wait_for(&other, soon(NEVER_NS)), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&other, sb), IN_MODIFY);
	/* its event was read by the other */
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, sa), IN_MODIFY);
	mq_wait_release(&other);
	mq_sys->close(a), mq_sys->close(b);
}

static void a_descriptor_number_used_again_watches_the_new_file(void **state)
{
	(void)state;
	int a = file("a"), slot = mq_wait_watch(&w, a, IN_MODIFY, true), old = a;

	/* closed without giving the slot up: a mistake that must not mix up watches */
	mq_sys->close(a);
	int b = file("b");
	assert_int_equal(b, old);
	int sb = mq_wait_watch(&w, b, IN_MODIFY, true);
	assert_int_equal(mq_sys->pwrite(b, "x", 1, 0), 1);
	assert_int_equal(wait_long(), MQ_WAIT_WATCH);
	assert_int_equal(mq_wait_events(&w, slot), 0);
	assert_int_equal(mq_wait_events(&w, sb), IN_MODIFY);
	mq_sys->close(b);
}

static void the_end_of_a_child_makes_its_pidfd_ready(void **state)
{
	(void)state;
	struct mq_spawn what = {.argv = (char *[]){"true", NULL}, .envp = (char *[]){NULL}, .in = -1,
	                        .out = -1, .err = -1, .keep_fd = -1};
	pid_t pid = mq_sys->spawn(&what);
	int pidfd = mq_sys->pidfd(pid), number = mq_wait_fd(&w, pidfd, POLLIN), status;

	assert_int_equal(wait_long(), MQ_WAIT_FD);
	assert_int_equal(mq_wait_ready(&w, number), POLLIN);
	assert_int_equal(mq_sys->wait_child(pid, &status, false), pid);
	mq_sys->close(pidfd);
}

static void a_descriptor_turned_off_ends_no_wait_until_turned_on(void **state)
{
	(void)state;
	int p[2], number, second;

	assert_int_equal(mq_sys->pipe(p), 0);
	number = mq_wait_fd(&w, p[0], POLLIN);
	mq_wait_fd_set(&w, number, p[0], 0);
	mq_sys->close(p[1]);
	assert_int_equal(mq_wait_for(&w, soon(1000000)), MQ_WAIT_DEADLINE);
	second = mq_wait_fd(&w, p[0], 0);
	assert_int_not_equal(second, number);
	mq_wait_fd_set(&w, number, p[0], POLLIN);
	assert_int_equal(wait_long(), MQ_WAIT_FD);
	assert_true(mq_wait_ready(&w, number) & POLLHUP);
	mq_wait_fd_set(&w, number, -1, 0);
	assert_int_equal(mq_wait_fd(&w, p[0], POLLIN), number);
	mq_sys->close(p[0]);
}

static void wait_for_signals(void)
{
	sigset_t set;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	OR_EXIT(1, mq_wait_signals(&w, &set) == 0);
	kill(getpid(), SIGTERM);
	OR_EXIT(2, wait_long() == MQ_WAIT_SIGNAL);
	OR_EXIT(3, mq_wait_signal(&w) == SIGTERM && mq_wait_signal(&w) == 0);
	OR_EXIT(4, mq_stop_requested() == SIGTERM);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	OR_EXIT(5, wait_long() == MQ_WAIT_SIGNAL && mq_wait_signal(&w) == SIGCHLD);
	OR_EXIT(6, mq_sys->wait_child(pid, &status, false) == pid);
	mq_wait_release(&w);
	kill(getpid(), SIGTERM); /* the mask is as it was: this ends the process */
	_exit(7);
}

static void a_signal_ends_the_wait_and_sets_the_stop_flag(void **state)
{
	(void)state;
	assert_int_equal(in_child(wait_for_signals), 128 + SIGTERM);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(who_watches_no_file_has_no_inotify_instance),
		T(a_deadline_ends_a_wait_in_which_nothing_happens),
		T(what_happens_between_the_look_and_the_wait_is_not_lost),
		T(a_ring_from_another_process_ends_the_wait),
		T(a_new_name_in_a_watched_directory_is_told),
		T(the_death_of_a_writer_is_a_close_event),
		T(what_is_kept_misses_nothing_while_the_rest_is_given_up_and_asked_for_again),
		T(each_slot_is_told_its_own_events_and_two_may_watch_one_file),
		T(events_read_while_another_watch_is_removed_are_not_lost),
		T(two_waits_share_the_instance_and_each_gets_its_events),
		T(a_descriptor_number_used_again_watches_the_new_file),
		T(the_end_of_a_child_makes_its_pidfd_ready),
		T(a_descriptor_turned_off_ends_no_wait_until_turned_on),
		T(a_signal_ends_the_wait_and_sets_the_stop_flag),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
