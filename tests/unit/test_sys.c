/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The real filling: names, facts, locks, shared words; and holding signals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <limits.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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

static bool sleeps_on_a_futex(pid_t pid)
{
	char path[64];
	long call = -1;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/syscall", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	if (fscanf(f, "%ld", &call) != 1) /* "running" */
		call = -1;
	fclose(f);
	return call == SYS_futex;
}

static void a_futex_wakes_a_waiter_in_another_process(void **state)
{
	(void)state;
	int fd = file("words"), status;
	const uint32_t last = 1u << 31;
	uint32_t *word;
	pid_t pid;

	assert_int_equal(mq_sys->fallocate(fd, 0, 4096), 0);
	word = mq_sys->map_shared(fd, 0, 4096);
	assert_non_null(word);
	pid = fork();
	if (pid == 0) {
		uint32_t *mine = mq_sys->map_shared(fd, 0, 4096), seen;
		int r = 0;
		while ((seen = __atomic_load_n(mine, __ATOMIC_ACQUIRE)) < last && (r == 0 || r == -EAGAIN || r == -EINTR))
			r = mq_sys->futex_wait(mine, seen, 2, INT64_C(20000000000));
		_exit(seen >= last ? 0 : 1);
	}
	while (!sleeps_on_a_futex(pid))
		sched_yield();
	do { /* the first addition finds the word 0, and the child asleep */
		assert_int_equal(mq_sys->futex_add(word), 0);
		assert_int_equal(mq_sys->futex_wake(word, 1, 1), 0); /* of another class */
	} while (mq_sys->futex_wake(word, 1, 3) == 0);
	__atomic_store_n(word, last, __ATOMIC_RELEASE);
	assert_int_equal(mq_sys->futex_add(word), 0);
	assert_in_range(mq_sys->futex_wake(word, INT_MAX, 2), 0, 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	assert_int_equal(*word, last + 1);
	assert_int_equal(mq_sys->futex_wait(word, 0, 1, -1), -EAGAIN);
	assert_int_equal(mq_sys->futex_wait(word, last + 1, 1, 1000000), -ETIMEDOUT);
	/* A page that cannot be had is an error, not a signal. */
	assert_int_equal(ftruncate(fd, 0), 0);
	assert_int_equal(mq_sys->futex_add(word), -EFAULT);
	assert_int_equal(mq_sys->futex_wake(word, 1, 1), -EFAULT);
	assert_int_equal(mq_sys->futex_wait(word, 0, 1, 1000000), -EFAULT);
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
		T(a_signal_is_held_until_the_outermost_hold_ends),
		T(a_stop_signal_is_held_too),
		T(the_first_request_to_stop_is_kept),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
