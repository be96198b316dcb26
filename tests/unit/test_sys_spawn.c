/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real filling: starting programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/hold.h"
#include "sys/sys.h"

#include "test_sys_dir.h"

static int dir; /* a fresh directory for each test */

static int fresh(void **state)
{
	dir = test_dir_make((struct test_dir **)state);
	return dir < 0 ? -1 : 0;
}

static int gone(void **state)
{
	return test_dir_remove(*state);
}

static int file(const char *name)
{
	int fd = mq_sys->openat(dir, name, O_RDWR | O_CREAT, 0640);
	assert_true(fd >= 0);
	return fd;
}

/* --- processes ------------------------------------------------------------------------------ */

static char *no_env[] = {NULL};

static int run(char *const *argv, int out, int keep)
{
	struct mq_spawn what = {.argv = argv, .envp = no_env, .in = -1, .out = out, .err = -1,
	                        .keep_fd = keep};
	int status = -1;
	pid_t pid = mq_sys->spawn(&what);

	if (pid < 0)
		return pid;
	assert_int_equal(mq_sys->wait_child(pid, &status, true), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void a_program_is_found_in_path_and_its_status_comes_back(void **state)
{
	(void)state;
	assert_int_equal(run((char *[]){"sh", "-c", "exit 7", NULL}, -1, -1), 7);
	assert_int_equal(run((char *[]){"/bin/sh", "-c", "kill -9 $$", NULL}, -1, -1), 128 + SIGKILL);
}

static void a_program_that_cannot_begin_is_told_by_spawn_and_leaves_no_child(void **state)
{
	(void)state;
	int status;

	assert_int_equal(run((char *[]){"no-such-command-here", NULL}, -1, -1), -ENOENT);
	assert_int_equal(run((char *[]){"/nowhere/at/all", NULL}, -1, -1), -ENOENT);
	assert_int_equal(run((char *[]){"/etc/passwd", NULL}, -1, -1), -EACCES);
	assert_int_equal(run((char *[]){"", NULL}, -1, -1), -ENOENT);
	assert_int_equal(mq_sys->wait_child(-1, &status, false), -ECHILD);
}

static void a_script_without_an_interpreter_is_not_given_to_a_shell(void **state)
{
	(void)state;
	char path[64];
	int fd = file("script");

	assert_int_equal(mq_sys->write(fd, "exit 0\n", 7), 7);
	assert_int_equal(mq_sys->fchmod(fd, 0755), 0);
	mq_sys->close(fd);
	snprintf(path, sizeof path, "/proc/self/fd/%d/script", dir);
	assert_int_equal(run((char *[]){path, NULL}, -1, -1), -ENOEXEC);
}

static void a_child_has_stdio_and_the_kept_descriptor_and_no_other(void **state)
{
	(void)state;
	int leak = dup(1), keep = file("kept"), other = file("other"), out = file("out");
	char text[256] = "", want[32];

	assert_true(leak >= 0 && !(fcntl(leak, F_GETFD) & FD_CLOEXEC));
	assert_int_equal(run((char *[]){"ls", "/proc/self/fd", NULL}, out, keep), 0);
	assert_true(mq_sys->pread(out, text, sizeof text - 1, 0) > 0);
	/* ls itself opens the directory, at the lowest that is free */
	snprintf(want, sizeof want, "0\n1\n2\n3\n%d\n", keep);
	assert_string_equal(text, want);
	assert_true(keep > 3);
	mq_sys->close(leak), mq_sys->close(keep), mq_sys->close(other), mq_sys->close(out);
}

static void stdin_stdout_and_stderr_can_be_exchanged(void **state)
{
	(void)state;
	/* in a child of its own, since it takes 0, 1 and 2 */
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		char text[16] = "";
		int a = file("a"), b = file("b");
		dup2(a, 1), dup2(b, 2);
		struct mq_spawn what = {.argv = (char *[]){"sh", "-c", "echo out; echo err >&2", NULL},
		                        .envp = no_env, .in = -1, .out = 2, .err = 1, .keep_fd = -1};
		pid_t p = mq_sys->spawn(&what);
		if (p < 0 || mq_sys->wait_child(p, &status, true) != p)
			_exit(1);
		if (mq_sys->pread(b, text, 15, 0) != 4 || strcmp(text, "out\n") != 0)
			_exit(2);
		if (mq_sys->pread(a, text, 15, 0) != 4 || strcmp(text, "err\n") != 0)
			_exit(3);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_child_has_default_signals_and_an_empty_mask(void **state)
{
	(void)state;
	int out = file("out");
	char text[4096] = "";

	mq_hold_signals();
	signal(SIGPIPE, SIG_IGN);
	int r = run((char *[]){"cat", "/proc/self/status", NULL}, out, -1);
	signal(SIGPIPE, SIG_DFL);
	mq_unhold_signals();
	assert_int_equal(r, 0);
	assert_true(mq_sys->pread(out, text, sizeof text - 1, 0) > 0);
	assert_non_null(strstr(text, "SigBlk:\t0000000000000000\n"));
	assert_non_null(strstr(text, "SigIgn:\t0000000000000000\n"));
	mq_sys->close(out);
}

static void a_child_can_be_the_head_of_its_own_group(void **state)
{
	(void)state;
	struct mq_spawn what = {.argv = (char *[]){"cat", NULL}, .envp = no_env, .in = -1, .out = -1,
	                        .err = -1, .keep_fd = -1, .own_group = true};
	int p[2], status;

	assert_int_equal(mq_sys->pipe(p), 0);
	what.in = p[0];
	pid_t pid = mq_sys->spawn(&what);
	assert_true(pid > 0);
	assert_int_equal(getpgid(pid), pid);
	assert_int_equal(mq_sys->wait_child(pid, &status, false), 0);
	assert_int_equal(mq_sys->kill(-pid, SIGTERM), 0);
	assert_int_equal(mq_sys->wait_child(pid, &status, true), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	mq_sys->close(p[0]), mq_sys->close(p[1]);
}

/* A parent that spawns a child, which keeps a lock and an end of a pipe, and is killed. */
static void a_child_dies_with_its_parent_and_its_lock_goes_then(void **state)
{
	(void)state;
	int told[2], block[2], mine = file("l"), status;
	char byte;
	pid_t pid;

	assert_int_equal(mq_sys->pipe(told), 0);
	assert_int_equal(mq_sys->pipe(block), 0);
	pid = fork();
	if (pid == 0) {
		int lock = file("l");
		struct mq_spawn what = {.argv = (char *[]){"cat", NULL}, .envp = no_env, .in = block[0],
		                        .out = told[1], .err = -1, .keep_fd = lock};
		mq_sys->lock(lock, MQ_LOCK_WRITE, 0, 1, false);
		if (mq_sys->spawn(&what) < 0)
			_exit(1);
		mq_sys->close(lock); /* the child alone holds the lock now */
		(void)!write(told[1], "x", 1);
		for (;;)
			pause();
	}
	mq_sys->close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	assert_int_equal(mq_sys->lock_test(mine, MQ_LOCK_WRITE, 0, 1), 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* end of file: the last holder of the other end, the child, is gone */
	assert_int_equal(read(told[0], &byte, 1), 0);
	while (mq_sys->lock(mine, MQ_LOCK_WRITE, 0, 1, true) == -EINTR)
		;
	assert_int_equal(mq_sys->lock_test(mine, MQ_LOCK_WRITE, 0, 1), 0);
	mq_sys->close(told[0]), mq_sys->close(block[0]), mq_sys->close(block[1]), mq_sys->close(mine);
}

/* --- leashes -------------------------------------------------------------------------------- */

/* No child that dies with its parent: it ends with status 7 when it is told to, if nobody has killed it by then. */
static pid_t bystander(int tell[2])
{
	char byte;
	pid_t pid;

	assert_int_equal(pipe(tell), 0);
	pid = fork();
	if (pid == 0) {
		close(tell[1]);
		_exit(read(tell[0], &byte, 1) == 1 ? 7 : 8);
	}
	close(tell[0]);
	return pid;
}

/* What became of it: 7, or 128 and the signal that was there first. */
static int ends(pid_t pid, const int tell[2])
{
	int status;

	signal(SIGPIPE, SIG_IGN); /* it may be gone */
	(void)!write(tell[1], "x", 1);
	signal(SIGPIPE, SIG_DFL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(tell[1]);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A process that lays a leash on these, one after the other, and is killed.  When it has been waited for, all it had is closed. */
static void lay_and_die(const pid_t *on, size_t n, bool let_go)
{
	int told[2], status, leash[2];
	char byte;
	pid_t pid;

	assert_int_equal(mq_sys->pipe(told), 0);
	pid = fork();
	if (pid == 0) {
		bool laid = mq_sys->leash(leash) == 0 && leash[0] >= 0 && leash[1] > leash[0];
		for (size_t i = 0; i < n && laid; i++)
			laid = mq_sys->leash_to(leash[0], on[i]) == 0;
		if (let_go)
			mq_sys->close(leash[0]);
		(void)!write(told[1], laid ? "1" : "0", 1);
		for (;;)
			pause();
	}
	mq_sys->close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	assert_int_equal(byte, '1');
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	mq_sys->close(told[0]);
}

static void whom_a_leash_was_laid_on_last_dies_with_who_holds_it(void **state)
{
	int tell[2][2];
	pid_t before = bystander(tell[0]), last = bystander(tell[1]);

	(void)state;
	lay_and_die((pid_t[]){before, last}, 2, false);
	assert_int_equal(ends(before, tell[0]), 7);
	assert_int_equal(ends(last, tell[1]), 128 + SIGKILL);
}

static void a_leash_that_was_let_go_or_is_on_nobody_kills_nobody(void **state)
{
	int tell[2], leash[2];
	pid_t pid = bystander(tell);

	(void)state;
	lay_and_die(NULL, 0, false);
	lay_and_die((pid_t[]){pid, 0}, 2, false);
	lay_and_die(&pid, 1, true);
	assert_int_equal(ends(pid, tell), 7);

	/* That it ended before is nobody else's matter; not this process's either. */
	pid = bystander(tell);
	assert_int_equal(mq_sys->leash(leash), 0);
	assert_int_equal(mq_sys->leash_to(leash[0], pid), 0);
	assert_int_equal(ends(pid, tell), 7);
	mq_sys->close(leash[1]), mq_sys->close(leash[0]);
	assert_int_equal(mq_sys->leash(leash), 0);
	assert_true(fcntl(leash[0], F_GETFD) & FD_CLOEXEC && fcntl(leash[1], F_GETFD) & FD_CLOEXEC);
	mq_sys->close(leash[1]), mq_sys->close(leash[0]);
}

static void a_kept_descriptor_below_three_is_refused(void **state)
{
	(void)state;
	assert_int_equal(run((char *[]){"true", NULL}, -1, 2), -EINVAL);
}

static void unread_counts_what_a_pipe_holds_and_what_a_socket_has_not_delivered(void **state)
{
	(void)state;
	int p[2], s[2], n = -1;

	assert_int_equal(mq_sys->pipe(p), 0);
	assert_int_equal(mq_sys->write(p[1], "abc", 3), 3);
	assert_int_equal(mq_sys->unread(p[0], &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(mq_sys->unread(p[1], &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(mq_sys->socketpair(s), 0);
	assert_int_equal(mq_sys->unread(s[0], &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(mq_sys->write(s[0], "abc", 3), 3);
	assert_int_equal(mq_sys->unread(s[0], &n), 0);
	assert_true(n > 0);
	assert_true(mq_sys->pipe_size(p[0], 0) >= 4096);
	mq_sys->close(p[0]), mq_sys->close(p[1]), mq_sys->close(s[0]), mq_sys->close(s[1]);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_program_is_found_in_path_and_its_status_comes_back),
		T(a_program_that_cannot_begin_is_told_by_spawn_and_leaves_no_child),
		T(a_script_without_an_interpreter_is_not_given_to_a_shell),
		T(a_child_has_stdio_and_the_kept_descriptor_and_no_other),
		T(stdin_stdout_and_stderr_can_be_exchanged),
		T(a_child_has_default_signals_and_an_empty_mask),
		T(a_child_can_be_the_head_of_its_own_group),
		T(a_child_dies_with_its_parent_and_its_lock_goes_then),
		T(whom_a_leash_was_laid_on_last_dies_with_who_holds_it),
		T(a_leash_that_was_let_go_or_is_on_nobody_kills_nobody),
		T(a_kept_descriptor_below_three_is_refused),
		T(unread_counts_what_a_pipe_holds_and_what_a_socket_has_not_delivered),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
