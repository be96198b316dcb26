/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A spool of its own for each test, with the topic t, and a member of the group g that owns its partition 0. */
#ifndef MQ_TESTS_SPOOL_H
#define MQ_TESTS_SPOOL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "spool/dirs.h"
#include "spool/owner.h"
#include "sys/fault.h"
#include "sys/sys.h"
#include "test_sys_dir.h"

struct bed {
	struct test_dir *dir;
	char path[300];
	struct mq_spool spool;
	struct mq_topic topic;
	struct mq_membership member;
	struct mq_ownership o;
	bool owned;
};

static struct mq_err bed_err;

#define OK(call) \
	do { \
		int rc_ = (call); \
		if (rc_ < 0) \
			fail_msg("%s: %d: %s", #call, rc_, bed_err.text); \
	} while (0)

static inline void bed_faults(const char *rules)
{
	mq_sys = &mq_sys_real;
	if (rules)
		mq_sys = mq_fault_over(&mq_sys_real, rules, &bed_err);
	assert_non_null(mq_sys);
}

static inline void bed_open(struct bed *b)
{
	bed_err = (struct mq_err)MQ_ERR_INIT;
	OK(mq_spool_open(&b->spool, b->path, true, &bed_err));
	if (mq_topic_open(&b->topic, &b->spool, "t", &bed_err) == MQ_ENOTOPIC) {
		OK(mq_topic_make(&b->spool, "t", 2, NULL, 0, false, &bed_err));
		OK(mq_topic_open(&b->topic, &b->spool, "t", &bed_err));
	}
	OK(mq_membership_join(&b->member, &b->spool, "g", NULL, &bed_err));
}

static inline void bed_take(struct bed *b)
{
	int rc = mq_ownership_take(&b->o, &b->member, &b->topic, 0, 0, &bed_err);

	OK(rc);
	assert_int_equal(rc, 1);
	b->owned = true;
}

static inline void bed_let_go(struct bed *b)
{
	if (b->owned)
		mq_ownership_release(&b->o);
	b->owned = false;
}

static inline int bed_make(void **state)
{
	struct bed *b = calloc(1, sizeof *b);

	if (test_dir_make(&b->dir) < 0)
		return -1;
	snprintf(b->path, sizeof b->path, "%s/spool", b->dir->path);
	bed_open(b);
	*state = b;
	return 0;
}

static inline int bed_remove(void **state)
{
	struct bed *b = *state;

	bed_faults(NULL);
	bed_let_go(b);
	mq_membership_leave(&b->member);
	mq_topic_release(&b->topic);
	mq_spool_release(&b->spool);
	test_dir_remove(b->dir);
	free(b);
	return 0;
}

/* The size of a file of the group's, -1 where there is none. */
static inline long long bed_size(const struct bed *b, const char *name)
{
	char path[600];
	struct stat st;

	snprintf(path, sizeof path, "%s/groups/g/topics/t/%s", b->path, name);
	return stat(path, &st) < 0 ? -1 : (long long)st.st_size;
}

/* Run in a child; its wait status. */
static inline int bed_child(void (*fn)(struct bed *b), struct bed *b)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		fn(b);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#define BED_TEST(fn) cmocka_unit_test_setup_teardown(fn, bed_make, bed_remove)

#endif
