/* SPDX-License-Identifier: GPL-2.0-or-later */
/* tests/traced.c: a program linked with it is recorded and failed as the environment says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sys/sys.h"

#include "test_sys_dir.h"

static char self[4096];

/* What the "tool" does: a file beneath DIR, synced, and a word on stdout.  Exit 1 when a call failed,
 * 2 when it got another descriptor than it would untraced. */
static int tool(const char *path)
{
	int lowest = dup(0), dir, fd;

	close(lowest);
	dir = mq_sys->open_path(path, O_RDONLY | O_DIRECTORY, 0);
	fd = mq_sys->openat(dir, "file", O_RDWR | O_CREAT, 0640);
	if (dir != lowest || fd != lowest + 1)
		return 2;
	if (mq_sys->pwrite(fd, "bytes", 5, 0) != 5 || mq_sys->fdatasync(fd) < 0)
		return 1;
	return mq_sys->write(1, "done\n", 5) == 5 ? 0 : 1;
}

static int fresh(void **state)
{
	return test_dir_make((struct test_dir **)state) < 0 ? -1 : 0;
}

static int gone(void **state)
{
	return test_dir_remove(*state);
}

static int run(const struct test_dir *d, const char *environment)
{
	char command[9000];
	int status;

	snprintf(command, sizeof command, "cd '%s' && mkdir -p root && env %s '%s' act root > out 2> err", d->path,
	         environment, self);
	status = system(command);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void assert_in(const struct test_dir *d, const char *name, const char *what, bool there)
{
	char text[20000] = "";
	int fd = openat(d->fd, name, O_RDONLY);
	ssize_t n = read(fd, text, sizeof text - 1);

	close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (!text[i])
			text[i] = '~';
	if (!strstr(text, what) == there)
		fail_msg("'%s' is %s '%s':\n%s", what, there ? "not in" : "in", name, text);
}

static void without_the_environment_nothing_is_changed(void **state)
{
	assert_int_equal(run(*state, ""), 0);
	assert_in(*state, "out", "done\n", true);
}

static void a_program_is_recorded_from_its_first_call_to_stdout(void **state)
{
	assert_int_equal(run(*state, "MQ_TEST_RECORD=trace MQ_TEST_RECORD_ROOT=root"), 0);
	assert_in(*state, "trace", " start root=", true);
	assert_in(*state, "trace", "~act~root~", true);
	assert_in(*state, "trace", " open_path path=root ", true);
	assert_in(*state, "trace", " file=file id=", true);
	assert_in(*state, "trace", " at=0 = 5 5\nbytes\n", true);
	assert_in(*state, "trace", " file=stdout ", true);
	assert_in(*state, "trace", " = 5 5\ndone\n\n", true);
}

static void a_program_is_failed_and_the_trace_says_so(void **state)
{
	assert_int_equal(run(*state, "MQ_TEST_RECORD=trace MQ_TEST_FAULT=fdatasync:1:EIO"), 1);
	assert_in(*state, "trace", "\nfdatasync:1:EIO at fdatasync number 1\n", true);
	assert_in(*state, "trace", " fdatasync fd=", false);
	assert_in(*state, "out", "done", false);
}

static void a_report_lists_the_calls_so_that_each_can_be_failed(void **state)
{
	assert_int_equal(run(*state, "MQ_TEST_FAULT= MQ_TEST_FAULT_REPORT=report"), 0);
	assert_in(*state, "report", " call openat 1\n", true);
	assert_in(*state, "report", " call pwrite 1\n", true);
	assert_in(*state, "report", " call write 1\n", true);
	assert_int_equal(run(*state, "MQ_TEST_FAULT=write:1:EPIPE MQ_TEST_FAULT_REPORT=report"), 1);
	assert_in(*state, "report", " rule write:1:EPIPE 1\n", true);
}

static void a_rule_not_understood_ends_the_program_before_it_begins(void **state)
{
	assert_int_equal(run(*state, "MQ_TEST_FAULT=nonsense"), 70);
	assert_in(*state, "err", "fault rule 'nonsense' is not", true);
}

#define T(test) cmocka_unit_test_setup_teardown(test, fresh, gone)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(without_the_environment_nothing_is_changed),
		T(a_program_is_recorded_from_its_first_call_to_stdout),
		T(a_program_is_failed_and_the_trace_says_so),
		T(a_report_lists_the_calls_so_that_each_can_be_failed),
		T(a_rule_not_understood_ends_the_program_before_it_begins),
	};
	ssize_t n;

	if (argc == 3 && strcmp(argv[1], "act") == 0)
		return tool(argv[2]);
	n = readlink("/proc/self/exe", self, sizeof self - 1);
	if (n < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
