/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The faulting filling: every rule fires where it says and nowhere else. */
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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/calls.h"
#include "sys/fault.h"
#include "sys/record.h"
#include "sys/sys.h"

#include "test_sys_dir.h"

static int dir, fd;

static int fresh(void **state)
{
	dir = test_dir_make((struct test_dir **)state);
	fd = mq_sys_real.openat(dir, "file", O_RDWR | O_CREAT, 0640);
	return fd < 0 ? -1 : 0;
}

static int gone(void **state)
{
	mq_fault_on_fire(NULL);
	mq_sys = &mq_sys_real;
	mq_sys->close(fd);
	return test_dir_remove(*state);
}

static void rules(const char *text)
{
	struct mq_err err = MQ_ERR_INIT;
	const struct mq_sys *faulting = mq_fault_over(&mq_sys_real, text, &err);

	if (!faulting)
		fail_msg("%s", err.text);
	mq_sys = faulting;
}

static uint64_t size(void)
{
	struct mq_stat st;

	assert_int_equal(mq_sys_real.stat(fd, &st), 0);
	return st.size;
}

static void once_is_the_nth_call_alone(void **state)
{
	(void)state;
	rules("fdatasync:2:EIO:once");
	assert_int_equal(mq_sys->fdatasync(fd), 0);
	assert_int_equal(mq_sys->fdatasync(fd), -EIO);
	assert_int_equal(mq_sys->fdatasync(fd), 0);
	assert_int_equal(mq_fault_fired(0), 1);
	assert_int_equal(mq_fault_calls("fdatasync"), 3);
	assert_int_equal(mq_fault_calls("fsync"), 0);
}

static void ever_is_the_nth_call_and_all_later_ones(void **state)
{
	(void)state;
	rules("pwrite:2:ENOSPC:ever");
	assert_int_equal(mq_sys->pwrite(fd, "a", 1, 0), 1);
	assert_int_equal(mq_sys->pwrite(fd, "b", 1, 1), -ENOSPC);
	assert_int_equal(mq_sys->pwrite(fd, "c", 1, 1), -ENOSPC);
	assert_int_equal(size(), 1);
	assert_int_equal(mq_fault_fired(0), 2);
}

static void a_short_write_writes_just_that_many_bytes(void **state)
{
	(void)state;
	struct iovec iov[3] = {{"abc", 3}, {"def", 3}, {"ghi", 3}};
	char text[16] = "";

	rules("pwrite:1:short=2 pwritev:1:short=4, writev:1:short=0 write:1:short=1");
	assert_int_equal(mq_sys->pwrite(fd, "xyz", 3, 0), 2);
	assert_int_equal(mq_sys->pwritev(fd, iov, 3, 2), 4);
	assert_int_equal(mq_sys->writev(fd, iov, 3), 0);
	assert_int_equal(mq_sys->pread(fd, text, 15, 0), 6);
	assert_string_equal(text, "xyabcd");
	assert_int_equal(mq_sys->write(fd, "123", 3), 1);
	assert_int_equal(size(), 6);
}

static void a_short_read_leaves_the_rest_for_the_next(void **state)
{
	(void)state;
	char text[8] = "";

	assert_int_equal(mq_sys_real.pwrite(fd, "abcdef", 6, 0), 6);
	rules("read:1:short=2:ever pread:1:short=1");
	assert_int_equal(mq_sys->read(fd, text, 6), 2);
	assert_int_equal(mq_sys->read(fd, text + 2, 4), 2);
	assert_string_equal(text, "abcd");
	assert_int_equal(mq_sys->pread(fd, text, 6, 0), 1);
	assert_int_equal(mq_sys->pread(fd, text, 6, 0), 6);
}

static void a_path_picks_the_file_by_its_name_or_its_descriptor(void **state)
{
	(void)state;
	int other = mq_sys_real.openat(dir, "other", O_RDWR | O_CREAT, 0640);

	rules("fdatasync:1:path=/file:EIO openat:1:path=secret:EACCES renameat:1:path=.seg:EIO");
	assert_int_equal(mq_sys->fdatasync(other), 0);
	assert_int_equal(mq_sys->fdatasync(fd), -EIO);
	assert_int_equal(mq_sys->openat(dir, "none", O_RDONLY, 0), -ENOENT);
	assert_int_equal(mq_sys->openat(dir, "secret", O_RDONLY, 0), -EACCES);
	assert_int_equal(mq_sys->renameat(dir, "file", dir, "x.seg", true), -EIO);
	mq_sys->close(other);
}

static int end_of_child(const char *text)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		mq_sys = mq_fault_over(&mq_sys_real, text, NULL);
		mq_sys->pwrite(fd, "abc", 3, 0);
		_exit(0);
	}
	waitpid(pid, &status, WUNTRACED);
	if (WIFSTOPPED(status)) {
		kill(pid, SIGCONT);
		waitpid(pid, &status, 0);
		return WIFEXITED(status) ? SIGSTOP : -1;
	}
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_process_is_killed_before_or_after_the_call(void **state)
{
	(void)state;
	assert_int_equal(end_of_child("pwrite:1:kill-before"), SIGKILL);
	assert_int_equal(size(), 0);
	assert_int_equal(end_of_child("pwrite:1:kill-after"), SIGKILL);
	assert_int_equal(size(), 3);
	assert_int_equal(end_of_child("pwrite:2:kill-after"), 0);
}

static void a_process_is_stopped_and_goes_on(void **state)
{
	(void)state;
	assert_int_equal(end_of_child("pwrite:1:stop-before"), SIGSTOP);
	assert_int_equal(end_of_child("pwrite:1:stop-after"), SIGSTOP);
	assert_int_equal(size(), 3);
}

static void a_star_is_any_call(void **state)
{
	(void)state;
	rules("*:3:EIO");
	assert_int_equal(mq_sys->fdatasync(fd), 0);
	assert_int_equal(mq_sys->pwrite(fd, "a", 1, 0), 1);
	assert_int_equal(mq_sys->fsync(fd), -EIO);
	assert_int_equal(mq_sys->fsync(fd), 0);
}

static void the_first_rule_that_applies_decides_and_each_counts(void **state)
{
	(void)state;
	rules("fsync:1:5 fsync:1:EROFS fsync:2:EDQUOT");
	assert_int_equal(mq_sys->fsync(fd), -EIO);
	assert_int_equal(mq_sys->fsync(fd), -EDQUOT);
	assert_int_equal(mq_fault_fired(0), 1);
	assert_int_equal(mq_fault_fired(1), 0);
	assert_int_equal(mq_fault_fired(2), 1);
}

static void a_mapping_fails_with_errno_and_a_close_closes_all_the_same(void **state)
{
	(void)state;
	int other = mq_sys_real.openat(dir, "other", O_RDWR | O_CREAT, 0640);

	rules("map_shared:1:ENOMEM close:1:EIO");
	errno = 0;
	assert_null(mq_sys->map_shared(fd, 0, 4096));
	assert_int_equal(errno, ENOMEM);
	assert_int_equal(mq_sys->close(other), -EIO);
	assert_int_equal(fcntl(other, F_GETFD), -1);
}

/* Calls each entry of the table so that it can be refused; what it would do is never done. */
static int refused(enum mq_sys_call call)
{
	struct mq_spawn what = {.argv = (char *[]){"true", NULL}};
	struct mq_stat st;
	struct iovec iov = {"x", 1};
	struct pollfd p = {.fd = -1};
	uint32_t word[2] = {0, 0}, events;
	uint64_t magic;
	sigset_t set;
	char buf[8];
	int n, two[2];

	switch (call) {
	case CALL_open_path: return mq_sys->open_path("x", O_RDONLY, 0);
	case CALL_openat: return mq_sys->openat(dir, "x", O_RDONLY, 0);
	case CALL_close: return mq_sys->close(dup(fd));
	case CALL_mkdir_path: return mq_sys->mkdir_path("x", 0);
	case CALL_mkdirat: return mq_sys->mkdirat(dir, "x", 0);
	case CALL_renameat: return mq_sys->renameat(dir, "x", dir, "y", true);
	case CALL_unlinkat: return mq_sys->unlinkat(dir, "x", false);
	case CALL_fchmod: return mq_sys->fchmod(fd, 0);
	case CALL_getdents: return (int)mq_sys->getdents(dir, buf, 8);
	case CALL_lseek_start: return mq_sys->lseek_start(dir);
	case CALL_read: return (int)mq_sys->read(fd, buf, 8);
	case CALL_write: return (int)mq_sys->write(fd, "x", 1);
	case CALL_writev: return (int)mq_sys->writev(fd, &iov, 1);
	case CALL_pread: return (int)mq_sys->pread(fd, buf, 8, 0);
	case CALL_pwrite: return (int)mq_sys->pwrite(fd, "x", 1, 0);
	case CALL_pwritev: return (int)mq_sys->pwritev(fd, &iov, 1, 0);
	case CALL_fdatasync: return mq_sys->fdatasync(fd);
	case CALL_fsync: return mq_sys->fsync(fd);
	case CALL_write_out: return mq_sys->write_out(fd, 0, 1);
	case CALL_fallocate: return mq_sys->fallocate(fd, 0, 1);
	case CALL_stat: return mq_sys->stat(fd, &st);
	case CALL_statat: return mq_sys->statat(dir, "x", &st);
	case CALL_fs_magic: return mq_sys->fs_magic(fd, &magic);
	case CALL_unread: return mq_sys->unread(fd, &n);
	case CALL_pipe_size: return mq_sys->pipe_size(fd, 0);
	case CALL_set_nonblock: return mq_sys->set_nonblock(fd, true);
	case CALL_lock: return mq_sys->lock(fd, MQ_LOCK_WRITE, 0, 1, false);
	case CALL_lock_test: return mq_sys->lock_test(fd, MQ_LOCK_WRITE, 0, 1);
	case CALL_map_shared: return mq_sys->map_shared(fd, 0, 4096) ? 0 : -errno;
	case CALL_unmap: return mq_sys->unmap(NULL, 0);
	case CALL_futex_wait: return mq_sys->futex_wait(word, 1, 1, 0);
	case CALL_futex_wake: return mq_sys->futex_wake(word, 1, 1);
	case CALL_futex_add: return mq_sys->futex_add(word);
	case CALL_clock_ns: return (int)mq_sys->clock_ns(MQ_CLOCK_REAL);
	case CALL_random: return mq_sys->random(buf, 8);
	case CALL_pid: return mq_sys->pid();
	case CALL_fds_max: return mq_sys->fds_max();
	case CALL_yield: return mq_sys->yield();
	case CALL_spawn: return mq_sys->spawn(&what);
	case CALL_wait_child: return mq_sys->wait_child(-1, &n, false);
	case CALL_kill: return mq_sys->kill(getpid(), 0);
	case CALL_pidfd: return mq_sys->pidfd(getpid());
	case CALL_leash: return mq_sys->leash(two);
	case CALL_leash_to: return mq_sys->leash_to(fd, 0);
	case CALL_pipe: return mq_sys->pipe(two);
	case CALL_socketpair: return mq_sys->socketpair(two);
	case CALL_signal_mask: return mq_sys->signal_mask(SIG_BLOCK, NULL, &set);
	case CALL_signal_fd: return sigemptyset(&set), mq_sys->signal_fd(&set);
	case CALL_poll: return mq_sys->poll(&p, 1, 0);
	case CALL_watch_open: return mq_sys->watch_open();
	case CALL_watch_add: return mq_sys->watch_add("x", 1);
	case CALL_watch_remove: return mq_sys->watch_remove(1);
	case CALL_watch_next: return mq_sys->watch_next(&events);
	case CALLS_N: break;
	}
	return 0;
}

static void every_call_of_the_table_can_be_failed_and_is_counted(void **state)
{
	(void)state;
#define NAME(name) #name,
	static const char *const name[] = {MQ_SYS_CALLS(NAME)};
#undef NAME
	char text[64];

	/* the list is the whole table: as many names as pointers */
	assert_int_equal(CALLS_N, sizeof(struct mq_sys) / sizeof(void (*)(void)));
	for (int i = 0; i < CALLS_N; i++) {
		snprintf(text, sizeof text, "%s:1:ENXIO", name[i]);
		rules(text);
		if (refused((enum mq_sys_call)i) != -ENXIO)
			fail_msg("%s did not fail", name[i]);
		assert_int_equal(mq_fault_calls(name[i]), 1);
	}
}

static void a_rule_not_understood_is_refused_and_named(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"frobnicate:1:EIO", "pwrite", "pwrite:1", "pwrite:0:EIO", "pwrite:x:EIO", "pwrite:1:EWHAT",
		"pwrite:1:0", "pwrite:1:short=", "pwrite:1:short=-1", "fsync:1:short=3", "pwrite:1:EIO:twice",
		"pwrite:1:EIO:once:more", "pwrite:1:path=:EIO", "pwrite:1:path=x", ":1:EIO",
	};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct mq_err err = MQ_ERR_INIT;
		if (mq_fault_over(&mq_sys_real, bad[i], &err))
			fail_msg("'%s' was taken", bad[i]);
		assert_int_equal(err.code, MQ_EUSAGE);
		assert_non_null(strstr(err.text, bad[i]));
	}
}

static char told_text[300];

static void told(const char *text)
{
	snprintf(told_text, sizeof told_text, "%s", text);
}

static void a_rule_that_fires_is_told_and_reported(void **state)
{
	(void)state;
	char text[1000] = "", want[100];
	int out = mq_sys_real.openat(dir, "report", O_RDWR | O_CREAT, 0640);

	rules("fsync:2:EIO pwrite:1:EIO");
	mq_fault_on_fire(told);
	assert_int_equal(mq_sys->fsync(fd), 0);
	assert_string_equal(told_text, "");
	assert_int_equal(mq_sys->fsync(fd), -EIO);
	assert_string_equal(told_text, "fsync:2:EIO at fsync number 2");
	assert_int_equal(mq_fault_report(out), 0);
	assert_true(mq_sys_real.pread(out, text, sizeof text - 1, 0) > 0);
	snprintf(want, sizeof want, "%d call fsync 2\n%d rule fsync:2:EIO 1\n%d rule pwrite:1:EIO 0\n",
	         getpid(), getpid(), getpid());
	assert_string_equal(text, want);
	mq_sys_real.close(out);
}

static void over_a_recording_what_was_failed_is_a_note_and_no_call(void **state)
{
	(void)state;
	int trace = openat(dir, "trace", O_RDWR | O_CREAT | O_APPEND, 0600);
	char text[8000] = "";

	mq_sys = mq_fault_over(mq_record_over(&mq_sys_real, trace, NULL, NULL),
	                       "fdatasync:1:EIO pwrite:1:short=2", NULL);
	mq_fault_on_fire(mq_record_note);
	assert_int_equal(mq_sys->pwrite(fd, "abc", 3, 0), 2);
	assert_int_equal(mq_sys->fdatasync(fd), -EIO);
	assert_true(pread(trace, text, sizeof text - 1, 0) > 0);
	assert_non_null(strstr(text, " at=0 = 2 2\nab\n"));
	assert_non_null(strstr(text, "\nfdatasync:1:EIO at fdatasync number 1\n"));
	assert_null(strstr(text, " fdatasync fd="));
	close(trace);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(once_is_the_nth_call_alone),
		T(ever_is_the_nth_call_and_all_later_ones),
		T(a_short_write_writes_just_that_many_bytes),
		T(a_short_read_leaves_the_rest_for_the_next),
		T(a_path_picks_the_file_by_its_name_or_its_descriptor),
		T(a_process_is_killed_before_or_after_the_call),
		T(a_process_is_stopped_and_goes_on),
		T(a_star_is_any_call),
		T(the_first_rule_that_applies_decides_and_each_counts),
		T(a_mapping_fails_with_errno_and_a_close_closes_all_the_same),
		T(every_call_of_the_table_can_be_failed_and_is_counted),
		T(a_rule_not_understood_is_refused_and_named),
		T(a_rule_that_fires_is_told_and_reported),
		T(over_a_recording_what_was_failed_is_a_note_and_no_call),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
