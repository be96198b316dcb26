/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the tests of waiting share: a directory and a wait for each test.  Included after cmocka. */
#ifndef MQ_TESTS_WAIT_H
#define MQ_TESTS_WAIT_H

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sys/sys.h"
#include "sys/wait.h"

#include "test_sys_dir.h"

/* Far enough away that only a lost wake-up reaches it. */
#define NEVER_NS INT64_C(30000000000)

static int dir;
static struct mq_wait w;

static int fresh(void **state)
{
	dir = test_dir_make((struct test_dir **)state);
	mq_wait_init(&w);
	return dir < 0 ? -1 : 0;
}

static int gone(void **state)
{
	mq_sys = &mq_sys_real;
	mq_wait_release(&w);
	return test_dir_remove(*state);
}

static int file(const char *name)
{
	int fd = mq_sys_real.openat(dir, name, O_RDWR | O_CREAT, 0640);
	assert_true(fd >= 0);
	return fd;
}

static int64_t soon(int64_t in_ns)
{
	return mq_sys_real.clock_ns(MQ_CLOCK_MONOTONIC) + in_ns;
}

static int wait_long(void)
{
	return mq_wait_for(&w, soon(NEVER_NS));
}

/* All that is pending, and nothing more. */
static void drain(void)
{
	while (mq_wait_for(&w, 0) != MQ_WAIT_DEADLINE)
		;
}

static int in_child(void (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		body();
		_exit(99);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* In a child a failed assertion would run the other tests again. */
#define OR_EXIT(number, condition) \
	do { \
		if (!(condition)) \
			_exit(number); \
	} while (0)

#endif
