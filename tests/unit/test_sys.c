/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real filling, and holding signals. */
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

/* Runs body in a child and returns its exit status; 128 + signal if it was killed. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* --- names ---------------------------------------------------------------------------------- */

static void a_symlink_is_never_followed_beneath_a_directory(void **state)
{
	(void)state;
	struct mq_stat st;

	mq_sys->close(file("real"));
	assert_int_equal(mq_sys->mkdirat(dir, "d", 0750), 0);
	assert_int_equal(symlinkat("real", dir, "link"), 0);
	assert_int_equal(symlinkat("d", dir, "dlink"), 0);
	assert_int_equal(mq_sys->openat(dir, "link", O_RDONLY, 0), -ELOOP);
	assert_int_equal(mq_sys->openat(dir, "dlink/x", O_RDWR | O_CREAT, 0640), -ELOOP);
	assert_int_equal(mq_sys->mkdirat(dir, "dlink/x", 0750), -ELOOP);
	assert_int_equal(mq_sys->unlinkat(dir, "dlink/x", false), -ELOOP);
	assert_int_equal(mq_sys->renameat(dir, "real", dir, "dlink/x", true), -ELOOP);
	assert_int_equal(mq_sys->statat(dir, "dlink/x", &st), -ELOOP);
	assert_int_equal(mq_sys->statat(dir, "link", &st), 0);
	assert_true(S_ISLNK(st.mode));
}

static void a_name_that_leads_out_of_the_directory_is_refused(void **state)
{
	(void)state;
	struct mq_stat st;

	assert_int_equal(mq_sys->mkdirat(dir, "d", 0750), 0);
	assert_int_equal(mq_sys->openat(dir, "..", O_RDONLY, 0), -EXDEV);
	assert_int_equal(mq_sys->openat(dir, "d/../../x", O_RDWR | O_CREAT, 0640), -EXDEV);
	assert_int_equal(mq_sys->openat(dir, "/etc/passwd", O_RDONLY, 0), -EXDEV);
	assert_int_equal(mq_sys->mkdirat(dir, "../x", 0750), -EXDEV);
	assert_int_equal(mq_sys->mkdirat(dir, "/x", 0750), -EXDEV);
	assert_int_equal(mq_sys->statat(dir, "..", &st), -EXDEV);
	assert_int_equal(mq_sys->statat(dir, "d/..", &st), -EXDEV);
	assert_int_equal(mq_sys->unlinkat(dir, "..", true), -EXDEV);
}

static void a_longer_name_beneath_the_directory_works_in_every_call(void **state)
{
	(void)state;
	struct mq_stat st;

	assert_int_equal(mq_sys->mkdirat(dir, "a", 0750), 0);
	assert_int_equal(mq_sys->mkdirat(dir, "a/b", 0750), 0);
	mq_sys->close(file("a/b/f"));
	assert_int_equal(mq_sys->renameat(dir, "a/b/f", dir, "a/g", false), 0);
	assert_int_equal(mq_sys->statat(dir, "a/g", &st), 0);
	assert_int_equal(mq_sys->unlinkat(dir, "a/g", false), 0);
	assert_int_equal(mq_sys->unlinkat(dir, "a/b", true), 0);
}

static void a_rename_without_replacing_keeps_what_is_there(void **state)
{
	(void)state;
	mq_sys->close(file("a"));
	mq_sys->close(file("b"));
	assert_int_equal(mq_sys->renameat(dir, "a", dir, "b", false), -EEXIST);
	assert_int_equal(mq_sys->renameat(dir, "a", dir, "b", true), 0);
	assert_int_equal(mq_sys->unlinkat(dir, "a", false), -ENOENT);
}

static void every_descriptor_closes_on_exec_from_birth(void **state)
{
	(void)state;
	int p[2], s[2], fds[8], n = 0;
	sigset_t set;

	sigemptyset(&set);
	assert_int_equal(mq_sys->pipe(p), 0);
	assert_int_equal(mq_sys->socketpair(s), 0);
	fds[n++] = p[0], fds[n++] = p[1], fds[n++] = s[0], fds[n++] = s[1];
	fds[n++] = file("f");
	fds[n++] = mq_sys->open_path("/", O_RDONLY, 0);
	fds[n++] = mq_sys->signal_fd(&set);
	fds[n++] = mq_sys->pidfd(getpid());
	for (int i = 0; i < n; i++) {
		assert_int_equal(fcntl(fds[i], F_GETFD), FD_CLOEXEC);
		mq_sys->close(fds[i]);
	}
}

static void stat_tells_identity_birth_and_mount(void **state)
{
	(void)state;
	struct mq_stat a, b;
	int fd = file("f");

	assert_int_equal(mq_sys->pwrite(fd, "12345", 5, 3), 5);
	assert_int_equal(mq_sys->stat(fd, &a), 0);
	assert_int_equal(mq_sys->statat(dir, "f", &b), 0);
	assert_int_equal(a.size, 8);
	assert_int_equal(a.nlink, 1);
	assert_true(S_ISREG(a.mode));
	assert_true(a.ino == b.ino && a.btime_ns == b.btime_ns && a.mnt_id == b.mnt_id);
	assert_true(a.mnt_id != 0);
	mq_sys->close(fd);
}

/* --- locks ---------------------------------------------------------------------------------- */

static void a_lock_is_kept_when_another_descriptor_of_the_file_closes(void **state)
{
	(void)state;
	int a = file("l"), b = file("l"), c = file("l");

	assert_int_equal(mq_sys->lock(a, MQ_LOCK_WRITE, 0, 1, false), 0);
	mq_sys->close(b);
	assert_int_equal(mq_sys->lock_test(c, MQ_LOCK_WRITE, 0, 1), 1);
	assert_int_equal(mq_sys->lock(c, MQ_LOCK_WRITE, 0, 1, false), -EAGAIN);
	assert_int_equal(mq_sys->lock_test(c, MQ_LOCK_WRITE, 1, 1), 0);
	assert_int_equal(mq_sys->lock(a, MQ_LOCK_NONE, 0, 1, false), 0);
	assert_int_equal(mq_sys->lock_test(c, MQ_LOCK_WRITE, 0, 1), 0);
	mq_sys->close(a);
	mq_sys->close(c);
}

static void readers_share_a_lock_and_a_writer_sees_them(void **state)
{
	(void)state;
	int a = file("l"), b = file("l");

	assert_int_equal(mq_sys->lock(a, MQ_LOCK_READ, 0, 1, false), 0);
	assert_int_equal(mq_sys->lock_test(b, MQ_LOCK_READ, 0, 1), 0);
	assert_int_equal(mq_sys->lock_test(b, MQ_LOCK_WRITE, 0, 1), 1);
	assert_int_equal(mq_sys->lock(b, MQ_LOCK_READ, 0, 1, false), 0);
	mq_sys->close(a);
	mq_sys->close(b);
}

static int lock_and_die(void)
{
	int fd = file("l");
	mq_sys->lock(fd, MQ_LOCK_WRITE, 0, 1, false);
	kill(getpid(), SIGKILL);
	return 0;
}

static void a_lock_is_gone_when_its_holder_is_killed(void **state)
{
	(void)state;
	int fd = file("l");

	assert_int_equal(in_child(lock_and_die), 128 + SIGKILL);
	assert_int_equal(mq_sys->lock(fd, MQ_LOCK_WRITE, 0, 1, false), 0);
	mq_sys->close(fd);
}

static void a_write_lock_needs_a_descriptor_that_may_write(void **state)
{
	(void)state;
	mq_sys->close(file("l"));
	int fd = mq_sys->openat(dir, "l", O_RDONLY, 0);
	assert_int_equal(mq_sys->lock(fd, MQ_LOCK_WRITE, 0, 1, false), -EBADF);
	mq_sys->close(fd);
}

/* --- shared words --------------------------------------------------------------------------- */

static void a_futex_wakes_a_waiter_in_another_process(void **state)
{
	(void)state;
	int fd = file("words"), status;
	uint32_t *word;
	pid_t pid;

	assert_int_equal(mq_sys->fallocate(fd, 0, 4096), 0);
	word = mq_sys->map_shared(fd, 0, 4096);
	assert_non_null(word);
	pid = fork();
	if (pid == 0) {
		uint32_t *mine = mq_sys->map_shared(fd, 0, 4096);
		int r = 0;
		while (__atomic_load_n(mine, __ATOMIC_ACQUIRE) == 0 && (r == 0 || r == -EAGAIN || r == -EINTR))
			r = mq_sys->futex_wait(mine, 0, INT64_C(20000000000));
		_exit(__atomic_load_n(mine, __ATOMIC_ACQUIRE) == 7 ? 0 : 1);
	}
	while (waitpid(pid, &status, WNOHANG) == 0) {
		/* until the waiter has been woken once */
		if (mq_sys->futex_wake(word) > 0) {
			__atomic_store_n(word, 7, __ATOMIC_RELEASE);
			mq_sys->futex_wake(word);
			waitpid(pid, &status, 0);
			break;
		}
	}
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(mq_sys->futex_wait(word, 0, -1), -EAGAIN);
	assert_int_equal(mq_sys->futex_wait(word, 7, 1000000), -ETIMEDOUT);
	assert_int_equal(mq_sys->unmap(word, 4096), 0);
	mq_sys->close(fd);
}

static void a_mapping_that_cannot_be_made_says_why_in_errno(void **state)
{
	(void)state;
	errno = 0;
	assert_null(mq_sys->map_shared(-1, 0, 4096));
	assert_int_equal(errno, EBADF);
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

/* --- holding signals ------------------------------------------------------------------------ */

static volatile sig_atomic_t caught;

static void catch(int sig)
{
	caught = sig;
}

static void a_signal_is_held_until_the_outermost_hold_ends(void **state)
{
	(void)state;
	signal(SIGTERM, catch);
	caught = 0;
	mq_hold_signals();
	mq_hold_signals();
	kill(getpid(), SIGTERM);
	assert_int_equal(caught, 0);
	mq_unhold_signals();
	assert_int_equal(caught, 0);
	mq_unhold_signals();
	assert_int_equal(caught, SIGTERM);
	signal(SIGTERM, SIG_DFL);
}

static void a_stop_signal_is_held_too(void **state)
{
	(void)state;
	sigset_t now;

	mq_hold_signals();
	sigprocmask(SIG_BLOCK, NULL, &now);
	for (size_t i = 0; i < 8; i++)
		assert_true(sigismember(&now, (int[]){SIGTSTP, SIGTTIN, SIGTTOU, SIGINT, SIGTERM, SIGHUP,
		                                      SIGQUIT, SIGALRM}[i]));
	assert_false(sigismember(&now, SIGSEGV));
	mq_unhold_signals();
}

static void the_first_request_to_stop_is_kept(void **state)
{
	(void)state;
	assert_int_equal(mq_stop_requested(), 0);
	mq_stop_request(SIGINT);
	mq_stop_request(SIGTERM);
	assert_int_equal(mq_stop_requested(), SIGINT);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_symlink_is_never_followed_beneath_a_directory),
		T(a_name_that_leads_out_of_the_directory_is_refused),
		T(a_longer_name_beneath_the_directory_works_in_every_call),
		T(a_rename_without_replacing_keeps_what_is_there),
		T(every_descriptor_closes_on_exec_from_birth),
		T(stat_tells_identity_birth_and_mount),
		T(a_lock_is_kept_when_another_descriptor_of_the_file_closes),
		T(readers_share_a_lock_and_a_writer_sees_them),
		T(a_lock_is_gone_when_its_holder_is_killed),
		T(a_write_lock_needs_a_descriptor_that_may_write),
		T(a_futex_wakes_a_waiter_in_another_process),
		T(a_mapping_that_cannot_be_made_says_why_in_errno),
		T(a_program_is_found_in_path_and_its_status_comes_back),
		T(a_program_that_cannot_begin_is_told_by_spawn_and_leaves_no_child),
		T(a_script_without_an_interpreter_is_not_given_to_a_shell),
		T(a_child_has_stdio_and_the_kept_descriptor_and_no_other),
		T(stdin_stdout_and_stderr_can_be_exchanged),
		T(a_child_has_default_signals_and_an_empty_mask),
		T(a_child_can_be_the_head_of_its_own_group),
		T(a_child_dies_with_its_parent_and_its_lock_goes_then),
		T(a_kept_descriptor_below_three_is_refused),
		T(unread_counts_what_a_pipe_holds_and_what_a_socket_has_not_delivered),
		T(a_signal_is_held_until_the_outermost_hold_ends),
		T(a_stop_signal_is_held_too),
		T(the_first_request_to_stop_is_kept),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
