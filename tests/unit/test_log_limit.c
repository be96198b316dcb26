/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A topic's limits: what is dropped, when, and how many syncs that costs. */
#include "test_log_bed.h"

#include "log/start.h"
#include "sys/sys.h"

/* ---- syncs are counted ---- */
static struct mq_sys counting;
static unsigned syncs;

static int fdatasync_counted(int fd)
{
	syncs++;
	return mq_sys_real.fdatasync(fd);
}

static int setup_counting(void **state)
{
	counting = mq_sys_real;
	counting.fdatasync = fdatasync_counted;
	mq_sys = &counting;
	return setup(state);
}

static int teardown_counting(void **state)
{
	mq_sys = &mq_sys_real;
	return teardown(state);
}

static struct mq_log *open_small(struct bed *bed, uint64_t max_messages)
{
	bed->opt.max_messages = max_messages;
	bed->opt.drop_oldest = true;
	return open_log(bed);
}

static uint64_t log_start(struct bed *bed)
{
	struct mq_err err = MQ_ERR_INIT;
	uint64_t start;

	if (mq_start_read(bed->dir, bed->opt.topic_id, &start, &err) < 0)
		fail_msg("start: %s", err.text);
	return start;
}

/* ---- */
static void what_is_dropped_for_records_of_the_same_publisher_costs_no_sync(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_small(bed, 5);
	struct mq_log_ticket t = append(log, "0\n1\n2\n3\n4\n", 5, MQ_ACK_DURABLE);
	uint64_t end;
	char *got;

	wait_for(log, &t, MQ_ACK_DURABLE);
	syncs = 0;
	for (int i = 0; i < 200; i++)
		t = append(log, "a\nb\nc\nd\ne\n", 5, MQ_ACK_DURABLE);
	assert_int_equal(syncs, 0);
	wait_for(log, &t, MQ_ACK_DURABLE);
	assert_int_equal(syncs, 1);
	assert_int_equal(log_start(bed), 1000);
	got = read_all(bed, 0, &end);
	assert_string_equal(got, "a\nb\nc\nd\ne\n");
	assert_int_equal(end, 1005);
	free(got);
	close_log(log);
}

static void nothing_of_others_is_dropped_before_it_could_be_seen(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_small(bed, 2), *other = open_small(bed, 2);
	struct mq_cursor c;
	struct mq_err err = MQ_ERR_INIT;
	uint64_t durable;

	if (mq_cursor_open(&c, bed->dir, "t/0", bed->opt.topic_id, 0, &err) < 0)
		fail_msg("%s", err.text);
	append(log, "a\n", 1, MQ_ACK_DURABLE);
	for (int i = 0; i < 5; i++) {
		append(i % 2 ? log : other, "b\n", 1, i % 2 ? MQ_ACK_DURABLE : MQ_ACK_NONE);
		assert_int_equal(mq_cursor_refresh(&c, &err), 0);
		assert_int_equal(mq_cursor_durable(&c, &durable, &err), 0);
		assert_true(c.log_start <= durable);
	}
	assert_int_equal(log_start(bed), 4);
	mq_cursor_release(&c);
	close_log(log);
	close_log(other);
}

/* The end lies never below the start, so that nobody counts below zero. */
static void a_start_above_what_is_visible_is_the_end(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_small(bed, 2);
	struct mq_log_ticket t = {0};
	uint64_t end;

	for (int i = 0; i < 9; i++)
		t = append(log, "a\n", 1, MQ_ACK_DURABLE);
	free(read_all(bed, 0, &end));
	assert_int_equal(log_start(bed), 7);
	assert_int_equal(end, 7);
	expect(bed, 0, "");
	wait_for(log, &t, MQ_ACK_DURABLE);
	expect(bed, 0, "a\na\n");
	close_log(log);
}

/* A power loss may take the last moves back, never what was told to be done: a purge syncs though nothing is to move. */
static void a_start_that_was_moved_for_good_is_durable(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_small(bed, 2);
	struct mq_err err = MQ_ERR_INIT;

	for (int i = 0; i < 9; i++)
		append(log, "a\n", 1, MQ_ACK_WRITTEN);
	syncs = 0;
	assert_int_equal(mq_start_advance(bed->dir, bed->opt.topic_id, 3, &err), 0);
	assert_int_not_equal(syncs, 0);
	assert_int_equal(log_start(bed), 7);
	close_log(log);
}

static void a_bad_slot_of_the_start_is_written_over_and_not_the_good_one(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_small(bed, 2);
	struct mq_err err = MQ_ERR_INIT;
	char path[96];

	snprintf(path, sizeof path, "%s/start", bed->path);
	for (int i = 0; i < 9; i++)
		append(log, "a\n", 1, MQ_ACK_WRITTEN);
	for (int bad = 0; bad < 2; bad++) {
		assert_int_equal(mq_start_advance(bed->dir, bed->opt.topic_id, 7, &err), 0);
		flip(path, bad * 4096 + 40);
		append(log, "b\n", 1, MQ_ACK_WRITTEN);
		flip(path, (1 - bad) * 4096 + 40); /* both say it now */
		assert_int_equal(log_start(bed), 8 + (uint64_t)bad);
		flip(path, (1 - bad) * 4096 + 40);
	}
	close_log(log);
}

#define COUNTED(test) cmocka_unit_test_setup_teardown(test, setup_counting, teardown_counting)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    COUNTED(what_is_dropped_for_records_of_the_same_publisher_costs_no_sync),
	    COUNTED(nothing_of_others_is_dropped_before_it_could_be_seen),
	    COUNTED(a_start_above_what_is_visible_is_the_end),
	    COUNTED(a_start_that_was_moved_for_good_is_durable),
	    COUNTED(a_bad_slot_of_the_start_is_written_over_and_not_the_good_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
