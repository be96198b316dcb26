/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mq-test: timeout=900
 *
 * A recovery may end at any of its calls, any number of times: what it found out must outlast it.  An offset that was
 * visible or committed never comes to mean another record.
 */
#include "test_log_bed.h"

#include <sys/wait.h>

#include "log/start.h"
#include "sys/fault.h"
#include "sys/sys.h"

static struct {
	int rc;
	uint64_t pos, offset, committed;
} groups; /* what they say */

static int witness(void *arg, const struct mq_segment_id *segment, uint64_t *pos, uint64_t *offset, uint64_t *committed)
{
	(void)arg;
	(void)segment;
	if (groups.pos > *pos) {
		*pos = groups.pos;
		*offset = groups.offset;
	}
	*committed = groups.committed;
	return groups.rc;
}

/* A log of three records, "a", "b", "c", each in a batch of its own, seen by a reader. */
static void three(struct bed *bed, enum mq_ack ack)
{
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket t;

	append(log, "a\n", 1, ack);
	append(log, "b\n", 1, ack);
	t = append(log, "c\n", 1, ack);
	if (ack >= MQ_ACK_DURABLE)
		wait_for(log, &t, ack);
	close_log(log);
	expect(bed, 0, "a\nb\nc\n");
}

static void cut_head(struct bed *bed, off_t to)
{
	char path[128];

	head_path(bed, path, sizeof path);
	assert_int_equal(truncate(path, to), 0);
}

static uint64_t publish(struct bed *bed, const char *text)
{
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket t = append(log, text, 1, MQ_ACK_DURABLE);

	wait_for(log, &t, MQ_ACK_DURABLE);
	close_log(log);
	return t.base_offset;
}

/* Publish in a process that a rule may kill; *ret_offset: where it was acknowledged.  Answers whether it was killed. */
static bool publish_killed(struct bed *bed, const char *rule, uint64_t *ret_offset)
{
	int fds[2], status;
	pid_t pid;

	*ret_offset = UINT64_MAX;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct mq_err err = MQ_ERR_INIT;
		const struct mq_sys *f = mq_fault_over(&mq_sys_real, rule, &err);
		uint64_t at;

		alarm(60);
		if (!f)
			_exit(70);
		mq_sys = f;
		at = publish(bed, "k\n");
		_exit(write(fds[1], &at, sizeof at) == (ssize_t)sizeof at ? 0 : 71);
	}
	close(fds[1]);
	if (read(fds[0], ret_offset, sizeof *ret_offset) <= 0)
		*ret_offset = UINT64_MAX;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		fail_msg("%s: status %x", rule, status);
	return false;
}

struct loss {
	enum mq_ack ack;   /* of the three */
	bool group;        /* one committed them */
	bool again;        /* the power fails after each kill */
	const char *rest;  /* what a reader is given of them at the end */
};

/* Killed at the nth call, then at the mth, then not.  Answers whether the nth came. */
static bool killed_twice(const struct loss *how, unsigned nth, unsigned mth)
{
	struct bed *bed;
	void *state;
	uint64_t at[3];
	char rule[2][64], *got, *p;
	bool came = false;

	setup(&state);
	bed = state;
	bed->opt.witness = witness;
	memset(&groups, 0, sizeof groups);
	three(bed, how->ack);
	groups.committed = how->group ? 3 : 0;
	cut_head(bed, 512);
	lose_power(bed);
	snprintf(rule[0], sizeof rule[0], "*:%u:kill-before", nth);
	snprintf(rule[1], sizeof rule[1], "*:%u:kill-after", mth);
	for (int i = 0; i < 2; i++) {
		at[i] = UINT64_MAX;
		if (i == 1 && mth == 0)
			break;
		if (publish_killed(bed, rule[i], &at[i])) {
			came |= i == 0;
			if (how->again)
				lose_power(bed);
		}
	}
	at[2] = publish(bed, "n\n");
	for (int i = 0; i < 3; i++)
		if (at[i] < 3)
			fail_msg("killed at %u and %u: published at %llu", nth, mth, (unsigned long long)at[i]);
	got = read_all(bed, 0, NULL);
	if (strncmp(got, how->rest, strlen(how->rest)) != 0)
		fail_msg("killed at %u and %u: read %s", nth, mth, got);
	for (p = got + strlen(how->rest); *p == 'k'; p += 2)
		;
	if (strcmp(p, "n\n") != 0)
		fail_msg("killed at %u and %u: read %s", nth, mth, got);
	free(got);
	teardown(&state);
	return came;
}

static void everywhere(const struct loss *how)
{
	unsigned nth = 1;

	while (killed_twice(how, nth, 0))
		nth++;
	assert_true(nth > 40);
	for (unsigned i = 1; i < nth; i += 9)
		for (unsigned k = 1 + i % 13; k < nth; k += 13)
			killed_twice(how, i, k);
}

static void what_was_visible_is_not_given_anew_though_recovery_is_killed_anywhere(void **state)
{
	(void)state;
	everywhere(&(struct loss){MQ_ACK_NONE, false, false, "<0-3 told>"});
}

static void what_was_committed_is_not_given_anew_though_recovery_is_killed_anywhere(void **state)
{
	(void)state;
	everywhere(&(struct loss){MQ_ACK_NONE, true, true, "<0-3 told>"});
}

static void what_was_durable_stays_damage_though_recovery_is_killed_anywhere(void **state)
{
	(void)state;
	everywhere(&(struct loss){MQ_ACK_DURABLE, false, true, "<0-3>"});
}

/* Half of it is left: the rest is adopted, shown, and may be committed before it was synced. */
static void what_a_killed_recovery_adopted_is_not_given_anew_after_the_next_power_loss(void **state)
{
	(void)state;
	for (unsigned nth = 1;; nth++) {
		struct bed *bed;
		void *hold;
		char rule[64];
		uint64_t at;
		bool killed;

		setup(&hold);
		bed = hold;
		three(bed, MQ_ACK_NONE);
		lose_power(bed);
		snprintf(rule, sizeof rule, "fdatasync:%u:kill-before", nth);
		killed = publish_killed(bed, rule, &at);
		if (nth == 1) {
			cut_head(bed, 512);
			lose_power(bed);
			assert_int_equal(publish(bed, "n\n"), 3);
			expect(bed, 0, "<0-3 told>n\n");
		}
		teardown(&hold);
		if (!killed)
			break;
	}
}

static int append_rc(struct bed *bed)
{
	struct mq_log *log = open_log(bed);
	struct mq_batch b = lines("n\n", 1, MQ_ACK_DURABLE);
	struct mq_log_ticket t;
	struct mq_err err = MQ_ERR_INIT;
	int rc = mq_log_append(log, &b, "n\n", &t, &err);

	assert_int_equal(rc, err.code);
	close_log(log);
	return rc;
}

static void who_cannot_ask_the_groups_repairs_nothing(void **state)
{
	struct bed *bed = *state;

	bed->opt.witness = witness;
	memset(&groups, 0, sizeof groups);
	three(bed, MQ_ACK_NONE);
	cut_head(bed, 512);
	unlinkat(bed->dir, "state", 0);
	groups.rc = -EBUSY;
	assert_int_equal(append_rc(bed), -EBUSY);
	groups.rc = 0;
	groups.committed = 3;
	assert_int_equal(publish(bed, "n\n"), 3);
}

/* a, b and c, each durable before the next is written, and no state: the byte at `flip_at` is not as it was. */
static void read_without_writing(off_t flip_at, off_t size, bool marks, const char *before, const char *after)
{
	struct bed *bed;
	void *hold;
	char path[128];

	setup(&hold);
	bed = hold;
	publish(bed, "a\n");
	publish(bed, "b\n");
	publish(bed, "c\n");
	lose_power(bed);
	if (!marks)
		unlinkat(bed->dir, "state", 0);
	head_path(bed, path, sizeof path);
	flip(path, flip_at);
	cut_head(bed, size);
	expect(bed, 0, before);
	publish(bed, "n\n");
	expect(bed, 0, after);
	teardown(&hold);
}

static void who_may_not_write_is_told_of_damage_below_the_witness_and_of_none_above_it(void **state)
{
	enum { A = 512, B = A + 130, C = B + 130, END = C + 130, BODY = 128 };

	(void)state;
	read_without_writing(A + BODY, END, false, "<0-1>b\nc\n", "<0-1>b\nc\nn\n");
	read_without_writing(A + 20, END, false, "<0-1>b\nc\n", "<0-1>b\nc\nn\n");
	read_without_writing(B + BODY, END, false, "a\n<1-2>c\n", "a\n<1-2>c\nn\n");
	read_without_writing(C + BODY, END, false, "a\nb\n", "a\nb\nn\n");
	read_without_writing(C + BODY, END, true, "a\nb\n<2-3>", "a\nb\n<2-3>n\n");
	read_without_writing(A + BODY, C, true, "<0-1>b\n<2-3>", "<0-1>b\n<2-3>n\n");
}

/* By hand, for no crash does that. */
static void a_head_that_was_removed_gives_no_offset_anew(void **state)
{
	struct bed *bed = *state;
	char path[128];

	bed->opt.segment_bytes = 700;
	publish(bed, "a\n");
	publish(bed, "b\n"); /* in a segment of its own */
	publish(bed, "c\n");
	head_path(bed, path, sizeof path);
	assert_int_equal(unlink(path), 0);
	lose_power(bed);
	assert_int_equal(publish(bed, "n\n"), 3);
	expect(bed, 0, "a\nb\n<2-3 told>n\n");
}

static void a_torn_copy_is_no_damage_and_gives_no_offset_anew(void **state)
{
	static const off_t cuts[] = {1, 50, 131, 200, 390}; /* bytes off its end */

	(void)state;
	for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
		struct bed *bed;
		void *hold;
		char want[64];
		uint64_t kept = (3 * 130 - (uint64_t)cuts[i]) / 130;

		setup(&hold);
		bed = hold;
		bed->opt.witness = witness;
		memset(&groups, 0, sizeof groups);
		three(bed, MQ_ACK_DURABLE);
		groups.committed = 2;
		cut_head(bed, 512 + 3 * 130 - cuts[i]);
		lose_power(bed);
		bed->opt.copied = true;
		assert_int_equal(publish(bed, "n\n"), 3);
		snprintf(want, sizeof want, "%.*s<%d-3 told>n\n", (int)kept * 2, "a\nb\n", (int)kept);
		expect(bed, 0, want);
		teardown(&hold);
	}
}

static void a_copy_cut_within_what_its_segment_was_born_with_is_no_damage(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_producer p;
	struct mq_err err = MQ_ERR_INIT;

	bed->opt.segment_bytes = log->opt.segment_bytes = 700;
	assert_int_equal(mq_log_producer(log, MQ_WHO_PRODUCER, "till-7", &p, &err), 0);
	for (int i = 0; i < 3; i++) {
		struct mq_log_ticket t = append(log, "a\n", 1, MQ_ACK_DURABLE);

		wait_for(log, &t, MQ_ACK_DURABLE);
	}
	assert_true(log->head.h.base_offset > 0);
	assert_true(log->head.h.born_end_pos > 512);
	close_log(log);
	cut_head(bed, 600);
	lose_power(bed);
	bed->opt.copied = true;
	assert_int_equal(publish(bed, "n\n"), 3);
	expect(bed, 2, "<2-3 told>n\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_was_visible_is_not_given_anew_though_recovery_is_killed_anywhere),
	    cmocka_unit_test(what_was_committed_is_not_given_anew_though_recovery_is_killed_anywhere),
	    cmocka_unit_test(what_was_durable_stays_damage_though_recovery_is_killed_anywhere),
	    cmocka_unit_test(what_a_killed_recovery_adopted_is_not_given_anew_after_the_next_power_loss),
	    cmocka_unit_test_setup_teardown(who_cannot_ask_the_groups_repairs_nothing, setup, teardown),
	    cmocka_unit_test(who_may_not_write_is_told_of_damage_below_the_witness_and_of_none_above_it),
	    cmocka_unit_test_setup_teardown(a_head_that_was_removed_gives_no_offset_anew, setup, teardown),
	    cmocka_unit_test(a_torn_copy_is_no_damage_and_gives_no_offset_anew),
	    cmocka_unit_test_setup_teardown(a_copy_cut_within_what_its_segment_was_born_with_is_no_damage, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
