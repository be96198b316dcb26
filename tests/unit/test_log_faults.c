/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-test: timeout=1800
 *
 * Every call that a publisher makes fails, once and for ever, with each plausible errno or cut short, or the
 * process dies at it: what was acknowledged is there, nothing is invented, and the next publisher can go on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "log/compact.h"
#include "log/cursor.h"
#include "log/log.h"
#include "sys/fault.h"
#include "sys/sys.h"

enum { RECORDS = 12, RECORD_LEN = 200 };

static struct mq_log_options options(void)
{
	struct mq_log_options opt = {.segment_bytes = 1500, .mode = 0640, .label = "t/0"};

	memset(opt.topic_id, 7, 16);
	return opt;
}

static int make_bed(char path[64])
{
	struct mq_log_options opt = options();
	struct mq_err err = MQ_ERR_INIT;
	int dir;

	snprintf(path, 64, "faults-XXXXXX");
	assert_non_null(mkdtemp(path));
	dir = open(path, O_RDONLY | O_DIRECTORY);
	if (mq_log_create(dir, &opt, &err) < 0)
		fail_msg("%s", err.text);
	return dir;
}

static void remove_bed(const char *path, int dir)
{
	char command[128];

	close(dir);
	snprintf(command, sizeof command, "rm -rf %s", path);
	assert_int_equal(system(command), 0);
}

static void payload(char *ret, unsigned i)
{
	char number[16];
	int n = snprintf(number, sizeof number, "%u ", i);

	memset(ret, 'a' + (int)(i % 26), RECORD_LEN);
	memcpy(ret, number, (size_t)n);
	ret[RECORD_LEN - 1] = '\n';
}

/* Publish durably; tell each acknowledgement on the pipe.  The exit status: 0 all, 1 an error was told. */
static int publish(int dir, int out, unsigned first, unsigned n)
{
	struct mq_log_options opt = options();
	struct mq_err err = MQ_ERR_INIT;
	struct mq_log log;
	int failed = 0;

	if (mq_log_open(&log, dir, &opt, &err) < 0)
		return 1;
	for (unsigned i = first; i < first + n; i++) {
		char text[RECORD_LEN];
		struct mq_batch b = {.kind = MQ_BATCH_LINES, .ack = MQ_ACK_DURABLE, .count = 1};
		struct mq_log_ticket t;
		uint64_t told[2];

		payload(text, i);
		b.stored_len = b.raw_len = RECORD_LEN;
		b.body_crc = mq_crc32c(0, text, RECORD_LEN);
		err = (struct mq_err)MQ_ERR_INIT;
		if (mq_log_append(&log, &b, text, &t, &err) < 0 || mq_log_wait(&log, &t, MQ_ACK_DURABLE, &err) < 0) {
			if (err.code == 0 || err.text[0] == 0) {
				fprintf(stderr, "an error without a reason\n");
				_exit(3);
			}
			failed = 1;
			continue;
		}
		told[0] = i;
		told[1] = t.base_offset;
		if (write(out, told, sizeof told) != (ssize_t)sizeof told)
			_exit(2);
	}
	mq_log_release(&log);
	return failed;
}

struct seen {
	unsigned n;
	uint64_t offset[4 * RECORDS];
	unsigned record[4 * RECORDS];
};

static void read_back(int dir, struct seen *ret)
{
	struct mq_log_options opt = options();
	struct mq_cursor c;
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	struct mq_err err = MQ_ERR_INIT;
	int rc;

	ret->n = 0;
	if (mq_cursor_open(&c, dir, "t/0", opt.topic_id, opt.partition, &err) < 0 || mq_cursor_seek(&c, 0, &err) < 0)
		fail_msg("read: %s", err.text);
	while ((rc = mq_cursor_next(&c, &v, &loss, &err)) != 0) {
		char text[RECORD_LEN];
		unsigned i;

		if (rc == MQ_EDAMAGE && !loss.damage)
			continue; /* told by a gap batch */
		if (rc != 1)
			fail_msg("read: %d %s", rc, err.text);
		assert_int_equal(v.batch.stored_len, RECORD_LEN);
		i = (unsigned)strtoul((const char *)v.body, NULL, 10);
		payload(text, i);
		assert_memory_equal(text, v.body, RECORD_LEN);
		ret->offset[ret->n] = v.batch.base_offset;
		ret->record[ret->n++] = i;
		assert_true(ret->n < 4 * RECORDS);
	}
	mq_cursor_release(&c);
}

static void demand(const struct seen *s, const uint64_t told[2], const char *rule)
{
	for (unsigned k = 0; k < s->n; k++)
		if (s->offset[k] == told[1] && s->record[k] == told[0])
			return;
	fail_msg("%s: record %llu, acknowledged at offset %llu, is not there", rule, (unsigned long long)told[0],
	         (unsigned long long)told[1]);
}

/* Run the rule in a child; then demand what it told; then publish without faults.  Answers whether the rule fired. */
static bool try_rule(const char *rule, unsigned *ret_acked)
{
	char path[64];
	int dir = make_bed(path), fds[2], status;
	uint64_t told[RECORDS + 2][2];
	ssize_t got;
	size_t n = 0;
	struct seen s;
	pid_t pid;
	bool fired;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct mq_err err = MQ_ERR_INIT;
		const struct mq_sys *f = mq_fault_over(&mq_sys_real, rule, &err);
		int rc;

		alarm(60);
		if (!f)
			_exit(70);
		mq_sys = f;
		rc = publish(dir, fds[1], 0, RECORDS);
		_exit(mq_fault_fired(0) ? 10 + rc : 20 + rc);
	}
	close(fds[1]);
	while (n < RECORDS && (got = read(fds[0], told[n], sizeof told[n])) == (ssize_t)sizeof told[n])
		n++;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		fired = true;
		if (WTERMSIG(status) != SIGKILL)
			fail_msg("%s: died of signal %d", rule, WTERMSIG(status));
	} else {
		fired = WEXITSTATUS(status) / 10 == 1;
		if (WEXITSTATUS(status) / 10 != 1 && WEXITSTATUS(status) != 20)
			fail_msg("%s: exit status %d", rule, WEXITSTATUS(status));
		if (WEXITSTATUS(status) == 10 && n != RECORDS)
			fail_msg("%s: success with %zu acknowledgements of %d", rule, n, RECORDS);
	}
	*ret_acked = (unsigned)n;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(publish(dir, fds[1], RECORDS, 2), 0);
	close(fds[1]);
	while ((got = read(fds[0], told[n], sizeof told[n])) == (ssize_t)sizeof told[n])
		n++;
	close(fds[0]);
	read_back(dir, &s);
	for (size_t i = 0; i < n; i++)
		demand(&s, told[i], rule);
	for (unsigned k = 1; k < s.n; k++)
		if (s.offset[k] <= s.offset[k - 1])
			fail_msg("%s: offset %llu twice", rule, (unsigned long long)s.offset[k]);
	remove_bed(path, dir);
	return fired;
}

static unsigned every_place(const char *call, const char *action, const char *how)
{
	unsigned fired = 0, acked;

	for (unsigned nth = 1; nth < 400; nth++) {
		char rule[96];

		snprintf(rule, sizeof rule, "%s:%u:%s%s%s", call, nth, action, *how ? ":" : "", how);
		if (!try_rule(rule, &acked))
			break;
		fired++;
	}
	return fired;
}

static void every_failing_call_is_told_and_loses_nothing(void **state)
{
	static const struct {
		const char *call, *actions[6];
	} plan[] = {
	    {"pwritev", {"EIO", "ENOSPC", "short=0", "short=77", "short=130"}},
	    {"pwrite", {"EIO", "ENOSPC", "short=0", "short=100"}},
	    {"fdatasync", {"EIO", "ENOSPC", "EDQUOT"}},
	    {"fsync", {"EIO", "ENOSPC"}},
	    {"renameat", {"EIO", "ENOSPC", "EROFS"}},
	    {"openat", {"EIO", "EMFILE", "ENOMEM", "EACCES"}},
	    {"pread", {"EIO", "short=0", "short=10"}},
	    {"stat", {"EIO"}},
	    {"lock", {"ENOLCK", "EIO"}},
	    {"fchmod", {"EIO"}},
	    {"random", {"EIO"}},
	    {"write_out", {"EIO"}},
	    {"lock_test", {"ENOLCK"}},
	};
	unsigned total = 0;

	(void)state;
	for (size_t i = 0; i < sizeof plan / sizeof plan[0]; i++)
		for (int a = 0; a < 6 && plan[i].actions[a]; a++) {
			total += every_place(plan[i].call, plan[i].actions[a], "once");
			total += every_place(plan[i].call, plan[i].actions[a], "ever");
		}
	printf("# %u faults fired\n", total);
	assert_true(total > 500);
}

static void a_publisher_killed_at_any_call_loses_nothing(void **state)
{
	unsigned total = 0;

	(void)state;
	total += every_place("*", "kill-before", "");
	total += every_place("*", "kill-after", "");
	printf("# %u kills\n", total);
	assert_true(total > 300);
}

static int one(struct mq_log *log, unsigned i, struct mq_err *err)
{
	char text[RECORD_LEN];
	struct mq_batch b = {.kind = MQ_BATCH_LINES, .ack = MQ_ACK_WRITTEN, .count = 1, .stored_len = RECORD_LEN, .raw_len = RECORD_LEN};
	struct mq_log_ticket t;

	payload(text, i);
	b.body_crc = mq_crc32c(0, text, RECORD_LEN);
	return mq_log_append(log, &b, text, &t, err);
}

static int count_tmp(const char *path)
{
	char command[128], answer[16] = "";
	FILE *f;

	snprintf(command, sizeof command, "ls -A %s | grep -c tmp", path);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(answer, sizeof answer, f));
	pclose(f);
	return atoi(answer);
}

/* A directory has no room for one more name. */
static void a_roll_that_finds_no_room_for_the_name_may_be_tried_again(void **state)
{
	struct mq_log_options opt = options();
	struct mq_err err = MQ_ERR_INIT;
	struct mq_log log;
	char path[64];
	int dir = make_bed(path), full = 0;

	(void)state;
	mq_sys = mq_fault_over(&mq_sys_real, "renameat:1:ENOSPC,renameat:2:EDQUOT", &err);
	assert_int_equal(mq_log_open(&log, dir, &opt, &err), 0);
	for (unsigned i = 0; i < RECORDS;) {
		int rc = one(&log, i, &err);

		if (rc == 0) {
			i++;
			continue;
		}
		assert_true(rc == -ENOSPC || rc == -EDQUOT);
		assert_int_equal(count_tmp(path), 0);
		full++;
	}
	assert_int_equal(full, 2);
	mq_log_release(&log);
	mq_sys = &mq_sys_real;
	remove_bed(path, dir);
}

/* Under a reader that stands at record 5: what is closed is joined into one segment, and more comes. */
static void change_the_chain(int dir)
{
	const struct mq_sys *faulty = mq_sys;
	struct mq_log_options opt = options();
	struct mq_compact_options how = {.segment_bytes = 1 << 20, .tombstones_us = -1, .mode = 0640};
	struct mq_compacted sum = {0};
	struct mq_err err = MQ_ERR_INIT;
	struct mq_cursor c;
	struct mq_log log;

	mq_sys = &mq_sys_real;
	assert_int_equal(mq_cursor_open(&c, dir, "t/0", opt.topic_id, opt.partition, &err), 0);
	if (mq_cursor_compact(&c, &how, &sum, &err) < 0)
		fail_msg("compact: %s", err.text);
	assert_true(sum.made > 0);
	mq_cursor_release(&c);
	assert_int_equal(mq_log_open(&log, dir, &opt, &err), 0);
	for (unsigned i = RECORDS; i < 2 * RECORDS; i++)
		assert_int_equal(one(&log, i, &err), 0);
	mq_log_release(&log);
	mq_sys = faulty;
}

/* All that is there, asking again after each failure.  Answers how often it was asked again. */
static unsigned read_on(int dir, const char *rule)
{
	struct mq_log_options opt = options();
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_cursor c;
	unsigned n = 0, failed = 0;
	bool changed = false;
	int rc;

	while ((rc = mq_cursor_open(&c, dir, "t/0", opt.topic_id, opt.partition, &err)) < 0)
		failed++;
	if (mq_cursor_seek(&c, 1, &err) < 0)
		failed++; /* and mq_cursor_next tries it again */
	while (n < 2 * RECORDS - 1) {
		rc = mq_cursor_next(&c, &v, &loss, &err);
		if (rc < 0 && ++failed < 20)
			continue;
		if (rc != 1)
			fail_msg("%s: %d after %u records, of %u: %s", rule, rc, n, 2 * RECORDS - 1, err.text);
		n++;
		if (v.first_offset != n || strtoul((const char *)v.body, NULL, 10) != n)
			fail_msg("%s: offset %llu, record %.4s in place of %u", rule, (unsigned long long)v.first_offset, (const char *)v.body, n);
		if (n == 5 && !changed) {
			change_the_chain(dir);
			changed = true;
		}
	}
	mq_cursor_release(&c);
	return failed;
}

static void a_reader_that_asks_again_after_a_failure_goes_on_where_it_was(void **state)
{
	static const struct {
		const char *call, *error;
	} calls[] = {{"openat", "EIO"}, {"pread", "EIO"}, {"stat", "EIO"}, {"getdents", "EIO"}, {"openat", "EMFILE"}};
	unsigned told = 0;

	(void)state;
	for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
		for (unsigned nth = 1, fired = 1; fired; nth++) {
			struct mq_log_options opt = options();
			struct mq_err err = MQ_ERR_INIT;
			struct mq_log log;
			char path[64], rule[64];
			int dir = make_bed(path);

			assert_int_equal(mq_log_open(&log, dir, &opt, &err), 0);
			for (unsigned r = 0; r < RECORDS; r++)
				assert_int_equal(one(&log, r, &err), 0);
			mq_log_release(&log);
			snprintf(rule, sizeof rule, "%s:%u:%s", calls[i].call, nth, calls[i].error);
			mq_sys = mq_fault_over(&mq_sys_real, rule, &err);
			told += read_on(dir, rule);
			fired = mq_fault_fired(0) > 0;
			mq_sys = &mq_sys_real;
			remove_bed(path, dir);
		}
	printf("# %u failures told to a reader\n", told);
	assert_true(told > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_reader_that_asks_again_after_a_failure_goes_on_where_it_was),
	    cmocka_unit_test(a_roll_that_finds_no_room_for_the_name_may_be_tried_again),
	    cmocka_unit_test(every_failing_call_is_told_and_loses_nothing),
	    cmocka_unit_test(a_publisher_killed_at_any_call_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
