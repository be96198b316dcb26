/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The recording filling: what it writes down is enough to do the same again. */
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

#include "sys/record.h"
#include "sys/sys.h"

#include "test_sys_dir.h"

/* DIR/trace, DIR/root (recorded), DIR/again (replayed) */
static struct test_dir *here;
static int trace_fd, root;

static int fresh(void **state)
{
	char path[300];

	if (test_dir_make((struct test_dir **)state) < 0)
		return -1;
	here = *state;
	mkdirat(here->fd, "root", 0750);
	mkdirat(here->fd, "again", 0750);
	trace_fd = openat(here->fd, "trace", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	snprintf(path, sizeof path, "%s/root", here->path);
	mq_sys = mq_record_over(&mq_sys_real, trace_fd, path, (char *[]){"a tool", "-x", NULL});
	if (!mq_sys)
		return -1;
	root = mq_sys->open_path(path, O_RDONLY | O_DIRECTORY, 0);
	return root < 0 ? -1 : 0;
}

static int gone(void **state)
{
	mq_sys->close(root);
	mq_sys = &mq_sys_real;
	close(trace_fd);
	return test_dir_remove(*state);
}

/* The whole trace as text; the caller frees it. */
static char *trace_text(void)
{
	struct stat st;
	char *text;

	assert_int_equal(fstat(trace_fd, &st), 0);
	text = calloc(1, (size_t)st.st_size + 1);
	assert_non_null(text);
	assert_int_equal(pread(trace_fd, text, (size_t)st.st_size, 0), st.st_size);
	for (off_t i = 0; i < st.st_size; i++)
		if (!text[i])
			text[i] = '~'; /* strings go on behind a NUL here */
	return text;
}

static void assert_traced(const char *what)
{
	char *text = trace_text();

	if (!strstr(text, what))
		fail_msg("'%s' is not in:\n%s", what, text);
	free(text);
}

static int shell(const char *fmt, ...)
{
	char command[2048], *src = getenv("MQ_SRC");
	va_list ap;
	int n = snprintf(command, sizeof command, "cd '%s' && TRACE='%s/tests/unit/sys_trace.py' && ",
	                 here->path, src ? src : ".");

	if (!src) {
		char cwd[1024];
		assert_non_null(getcwd(cwd, sizeof cwd));
		n = snprintf(command, sizeof command,
		             "cd '%s' && TRACE='%s/tests/unit/sys_trace.py' && ", here->path, cwd);
	}
	va_start(ap, fmt);
	vsnprintf(command + n, sizeof command - (size_t)n, fmt, ap);
	va_end(ap);
	return system(command);
}

static void assert_replay_gives_the_same(void)
{
	assert_int_equal(shell("python3 \"$TRACE\" replay trace again"), 0);
	assert_int_equal(shell("diff -r root again"), 0);
}

static int file(const char *name)
{
	int fd = mq_sys->openat(root, name, O_RDWR | O_CREAT, 0640);
	assert_true(fd >= 0);
	return fd;
}

/* --- the format ----------------------------------------------------------------------------- */

static void an_entry_has_call_arguments_data_and_result(void **state)
{
	(void)state;
	int fd = file("a file");
	char want[64];

	assert_int_equal(mq_sys->pwrite(fd, "two\nlines\n", 10, 7), 10);
	assert_traced(" start root=");
	assert_traced(" = 0 10\na tool~-x~\n@mq 1 ");
	assert_traced(" path=a%20file flags=0x42 mode=0640 fd=");
	snprintf(want, sizeof want, " pwrite fd=%d file=a%%20file id=", fd);
	assert_traced(want);
	assert_traced(" at=7 = 10 10\ntwo\nlines\n\n");
	mq_sys->close(fd);
}

static void a_write_to_stdout_is_an_entry(void **state)
{
	(void)state;
	int was = dup(1), p[2];

	assert_int_equal(pipe(p), 0);
	dup2(p[1], 1);
	ssize_t n = mq_sys->write(1, "hello\n", 6);
	dup2(was, 1);
	close(was), close(p[0]), close(p[1]);
	assert_int_equal(n, 6);
	assert_traced(" write fd=1 file=stdout id=");
	assert_traced(" = 6 6\nhello\n\n");
}

static void a_sync_is_written_down_when_it_begins_and_when_it_ends(void **state)
{
	(void)state;
	int fd = file("f");
	char *text, *begin, *end;

	assert_int_equal(mq_sys->fdatasync(fd), 0);
	text = trace_text();
	begin = strstr(text, " fdatasync-begin fd=");
	end = strstr(text, " fdatasync fd=");
	assert_true(begin && end && begin < end);
	free(text);
	mq_sys->close(fd);
}

static void a_failed_call_is_written_down_with_its_errno(void **state)
{
	(void)state;
	char want[64];

	assert_int_equal(mq_sys->openat(root, "none", O_RDONLY, 0), -ENOENT);
	snprintf(want, sizeof want, " path=none flags=0x0 mode=00 = %d 0\n", -ENOENT);
	assert_traced(want);
	errno = 0;
	assert_null(mq_sys->map_shared(-1, 0, 4096));
	assert_int_equal(errno, EBADF);
}

static void a_file_keeps_its_identity_when_it_is_renamed(void **state)
{
	(void)state;
	int fd = file("old");
	char *text, *id, want[200];

	assert_int_equal(mq_sys->renameat(root, "old", root, "new", false), 0);
	assert_int_equal(mq_sys->write(fd, "x", 1), 1);
	text = trace_text();
	id = strstr(text, "file=old id=");
	assert_non_null(id);
	id += strlen("file=old ");
	id[strcspn(id, " ")] = 0;
	snprintf(want, sizeof want, " from=old todir=%d to=new replace=0 %s = 0", root, id);
	assert_traced(want);
	free(text);
	mq_sys->close(fd);
}

static void a_note_is_an_entry(void **state)
{
	(void)state;
	mq_record_note("what the test thinks");
	assert_traced(" note = 0 20\nwhat the test thinks\n");
}

/* --- completeness --------------------------------------------------------------------------- */

static void a_replay_makes_the_same_directory(void **state)
{
	(void)state;
	int a, b, d;
	struct iovec iov[3] = {{"one", 3}, {"", 0}, {"two\0three", 9}};
	char big[100000];

	memset(big, 'b', sizeof big);
	assert_int_equal(mq_sys->mkdirat(root, "d", 0750), 0);
	assert_int_equal(mq_sys->mkdirat(root, "d/e", 0750), 0);
	assert_int_equal(mq_sys->mkdirat(root, "empty", 0750), 0);
	d = mq_sys->openat(root, "d", O_RDONLY | O_DIRECTORY, 0);
	a = mq_sys->openat(d, "a.tmp", O_RDWR | O_CREAT | O_EXCL, 0640);
	assert_int_equal(mq_sys->write(a, "header", 6), 6);
	assert_int_equal(mq_sys->fallocate(a, 0, 5000), 0);
	assert_int_equal(mq_sys->renameat(d, "a.tmp", d, "a", false), 0);
	assert_int_equal(mq_sys->pwritev(a, iov, 3, 4090), 12);
	/* the directory moves while it is open */
	assert_int_equal(mq_sys->renameat(root, "d", root, "moved here", false), 0);
	b = mq_sys->openat(d, "b", O_RDWR | O_CREAT, 0640);
	assert_int_equal(mq_sys->writev(b, iov, 3), 12);
	assert_int_equal(mq_sys->pwrite(b, big, sizeof big, 12), sizeof big);
	/* a name that is taken over, an open file without a name, a name used again */
	mq_sys->close(file("x"));
	assert_int_equal(mq_sys->renameat(d, "b", root, "x", true), 0);
	assert_int_equal(mq_sys->unlinkat(d, "a", false), 0);
	assert_int_equal(mq_sys->pwrite(a, "nobody sees this", 16, 0), 16);
	mq_sys->close(a);
	a = mq_sys->openat(d, "a", O_RDWR | O_CREAT, 0640);
	assert_int_equal(mq_sys->write(a, "again", 5), 5);
	assert_int_equal(mq_sys->unlinkat(root, "empty", true), 0);
	mq_sys->close(a), mq_sys->close(b), mq_sys->close(d);
	assert_replay_gives_the_same();
}

static void an_entry_is_complete_though_its_process_is_killed_right_after_the_call(void **state)
{
	(void)state;
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		int fd = mq_sys->openat(root, "killed", O_RDWR | O_CREAT, 0640);
		if (mq_sys->pwrite(fd, "last words", 10, 0) == 10)
			kill(getpid(), SIGKILL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_traced(" = 10 10\nlast words\n");
	assert_replay_gives_the_same();
}

/* Appends under a lock, as publishers do, with lengths that tell who wrote and when. */
static void append_under_lock(unsigned seed)
{
	int lock = file("lock"), data = file("data");
	struct mq_stat st;
	char bytes[64];

	for (unsigned i = 0; i < 200; i++) {
		size_t len = 1 + (seed * 7 + i * 13) % sizeof bytes;
		memset(bytes, (int)('a' + (seed + i) % 26), len);
		while (mq_sys->lock(lock, MQ_LOCK_WRITE, 0, 1, true) == -EINTR)
			;
		if (mq_sys->stat(data, &st) < 0 ||
		    mq_sys->pwrite(data, bytes, len, st.size) != (ssize_t)len)
			_exit(1);
		/* overlap the next one's bytes: a wrong order would show */
		if (mq_sys->pwrite(data, bytes, len, st.size / 2) != (ssize_t)len)
			_exit(1);
		mq_sys->lock(lock, MQ_LOCK_NONE, 0, 1, false);
	}
	_exit(0);
}

static void several_processes_share_a_trace_and_a_lock_gives_the_order(void **state)
{
	(void)state;
	enum { WRITERS = 4 };
	int status;

	mq_sys->close(file("lock"));
	mq_sys->close(file("data"));
	for (unsigned i = 0; i < WRITERS; i++)
		if (fork() == 0)
			append_under_lock(i);
	for (int i = 0; i < WRITERS; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	assert_replay_gives_the_same();
}

static void the_root_may_come_into_being_later(void **state)
{
	(void)state;
	char path[300];

	snprintf(path, sizeof path, "%s/again/later", here->path);
	mq_sys = mq_record_over(&mq_sys_real, trace_fd, path, NULL);
	assert_non_null(mq_sys);
	assert_int_equal(mq_sys->mkdir_path(path, 0750), 0);
	assert_traced(" mkdir_path path=. mode=0750 id=");
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_entry_has_call_arguments_data_and_result),
		T(a_write_to_stdout_is_an_entry),
		T(a_sync_is_written_down_when_it_begins_and_when_it_ends),
		T(a_failed_call_is_written_down_with_its_errno),
		T(a_file_keeps_its_identity_when_it_is_renamed),
		T(a_note_is_an_entry),
		T(a_replay_makes_the_same_directory),
		T(an_entry_is_complete_though_its_process_is_killed_right_after_the_call),
		T(several_processes_share_a_trace_and_a_lock_gives_the_order),
		T(the_root_may_come_into_being_later),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
