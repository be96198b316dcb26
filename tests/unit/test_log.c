/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One partition on a real directory: what is appended comes back, and what a crash leaves is told apart. */
#include "test_log_bed.h"

#include <sys/stat.h>
#include <sys/wait.h>

#include "sys/sys.h"

static void what_is_appended_comes_back_in_order(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket t = append(log, "a\nb\n", 2, MQ_ACK_WRITTEN);

	assert_int_equal(t.base_offset, 0);
	assert_true(t.visible);
	t = append(log, "c\n", 1, MQ_ACK_WRITTEN);
	assert_int_equal(t.base_offset, 2);
	expect(bed, 0, "a\nb\nc\n");
	expect(bed, 2, "c\n");
	close_log(log);
}

static void a_durable_batch_is_invisible_until_synced_and_holds_back_those_behind_it(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket a, b;

	append(log, "x\n", 1, MQ_ACK_WRITTEN);
	a = append(log, "a\n", 1, MQ_ACK_DURABLE);
	b = append(log, "b\n", 1, MQ_ACK_WRITTEN);
	assert_false(a.visible);
	assert_false(b.visible);
	expect(bed, 0, "x\n");
	wait_for(log, &b, MQ_ACK_WRITTEN);
	expect(bed, 0, "x\na\nb\n");
	close_log(log);
}

/* ---- what another does while a call is under way ---- */
static struct {
	struct mq_sys sys;
	void (*in_pwritev)(void), (*in_fdatasync)(void);
	struct bed *bed;
	struct mq_log *other;
	struct mq_log_ticket ticket;
	uint64_t visible;
} beside;

static void once(void (**what)(void))
{
	void (*now)(void) = *what;

	*what = NULL;
	if (now)
		now();
}

static ssize_t pwritev_beside(int fd, const struct iovec *iov, int n, uint64_t at)
{
	once(&beside.in_pwritev);
	return mq_sys_real.pwritev(fd, iov, n, at);
}

static int fdatasync_beside(int fd)
{
	once(&beside.in_fdatasync);
	return mq_sys_real.fdatasync(fd);
}

static void have_beside(struct bed *bed)
{
	memset(&beside, 0, sizeof beside);
	beside.sys = mq_sys_real;
	beside.sys.pwritev = pwritev_beside;
	beside.sys.fdatasync = fdatasync_beside;
	beside.bed = bed;
	beside.other = open_log(bed);
	mq_sys = &beside.sys;
}

static void have_none_beside(void)
{
	mq_sys = &mq_sys_real;
	close_log(beside.other);
}

static uint64_t visible_end(struct bed *bed)
{
	uint64_t end;

	free(read_all(bed, 0, &end));
	return end;
}

/* The sync of the first batch, which was started before the second came, ends now. */
static void the_first_is_durable(void)
{
	struct mq_mark m = {.segment = beside.ticket.segment, .pos = beside.ticket.end_pos, .end_offset = beside.ticket.next_offset,
	                    .started = 1, .finished = 1};
	struct mq_err err = MQ_ERR_INIT;

	assert_int_equal(mq_state_mark_write(&beside.other->state, 0, &m, 1, &err), 0);
	beside.visible = visible_end(beside.bed);
}

static void what_was_visible_stays_so_though_a_writer_goes_by_an_older_mark(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);

	have_beside(bed);
	beside.ticket = append(beside.other, "a\n", 1, MQ_ACK_DURABLE);
	append(log, "b\n", 1, MQ_ACK_NONE);
	beside.in_pwritev = the_first_is_durable;
	append(log, "c\n", 1, MQ_ACK_DURABLE);
	assert_true(beside.visible >= 1);
	assert_true(visible_end(bed) >= beside.visible);
	have_none_beside();
	close_log(log);
}

static void another_comes(void)
{
	append(beside.other, "b\n", 1, MQ_ACK_NONE);
}

static void what_asked_for_no_sync_is_seen_when_those_before_it_were_served(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket t;

	have_beside(bed);
	t = append(log, "a\n", 1, MQ_ACK_DURABLE);
	beside.in_fdatasync = another_comes;
	wait_for(log, &t, MQ_ACK_DURABLE);
	expect(bed, 0, "a\nb\n");
	t = append(log, "c\n", 1, MQ_ACK_NONE);
	assert_true(t.visible);
	expect(bed, 0, "a\nb\nc\n");
	have_none_beside();
	close_log(log);
}

static int stopped_with_lock;

static void another_comes_and_a_third_is_stopped(void)
{
	another_comes();
	stopped_with_lock = openat(beside.bed->dir, "lock", O_RDWR);
	assert_int_equal(mq_sys->lock(stopped_with_lock, MQ_LOCK_WRITE, MQ_LOG_APPEND_BYTE, 1, false), 0);
}

/* What is durable may be acknowledged, whoever was stopped with the append lock in his hand. */
static void an_acknowledgement_waits_for_no_lock(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket t;

	have_beside(bed);
	t = append(log, "a\n", 1, MQ_ACK_DURABLE);
	beside.in_fdatasync = another_comes_and_a_third_is_stopped;
	alarm(60);
	wait_for(log, &t, MQ_ACK_DURABLE);
	alarm(0);
	expect(bed, 0, "a\n");
	close(stopped_with_lock);
	append(log, "c\n", 1, MQ_ACK_NONE);
	expect(bed, 0, "a\nb\nc\n");
	have_none_beside();
	close_log(log);
}

static void a_full_segment_rolls_and_the_chain_is_read_through(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log;
	char text[64];
	uint64_t next;
	char *got;

	bed->opt.segment_bytes = 1024;
	log = open_log(bed);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof text, "%d\n", i);
		append(log, text, 1, i % 3 ? MQ_ACK_WRITTEN : MQ_ACK_DURABLE);
	}
	assert_int_equal(mq_log_sync(log, NULL), 0);
	got = read_all(bed, 97, &next);
	assert_string_equal(got, "97\n98\n99\n");
	assert_int_equal(next, 100);
	free(got);
	got = read_all(bed, 0, NULL);
	assert_int_equal(strlen(got), 10 * 2 + 90 * 3);
	free(got);
	close_log(log);
}

static void state_removed_under_a_live_writer_is_made_anew(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);

	append(log, "a\n", 1, MQ_ACK_WRITTEN);
	assert_int_equal(unlinkat(bed->dir, "state", 0), 0);
	expect(bed, 0, "a\n");
	append(log, "b\n", 1, MQ_ACK_WRITTEN);
	expect(bed, 0, "a\nb\n");
	close_log(log);
}

static void damage_below_the_witness_is_stepped_around_and_told(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket t;
	char path[128];

	for (int i = 0; i < 3; i++) {
		char text[] = {(char)('a' + i), '\n', 0};

		t = append(log, text, 1, MQ_ACK_DURABLE);
		wait_for(log, &t, MQ_ACK_DURABLE);
	}
	head_path(bed, path, sizeof path);
	flip(path, 512 + 130 + 128); /* the body of "b" */
	expect(bed, 0, "a\n<1-2>c\n");
	unlinkat(bed->dir, "state", 0);
	t = append(log, "d\n", 1, MQ_ACK_DURABLE);
	wait_for(log, &t, MQ_ACK_DURABLE);
	assert_int_equal(t.base_offset, 3);
	expect(bed, 0, "a\n<1-2>c\nd\n");
	close_log(log);
}

static void damage_in_the_last_batch_below_the_witness_is_no_end_of_the_log(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket t;
	char path[128];

	t = append(log, "a\n", 1, MQ_ACK_DURABLE);
	wait_for(log, &t, MQ_ACK_DURABLE);
	t = append(log, "b\n", 1, MQ_ACK_DURABLE);
	wait_for(log, &t, MQ_ACK_DURABLE);
	close_log(log);
	head_path(bed, path, sizeof path);
	flip(path, 512 + 130 + 128);
	expect(bed, 0, "a\n<1-2>");
	log = open_log(bed);
	t = append(log, "c\n", 1, MQ_ACK_DURABLE);
	wait_for(log, &t, MQ_ACK_DURABLE);
	assert_int_equal(t.base_offset, 2);
	expect(bed, 0, "a\n<1-2>c\n");
	close_log(log);
}

static void a_torn_end_nobody_was_promised_ends_the_log_in_a_new_segment(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_log_ticket t;
	char path[128];
	int fd;

	t = append(log, "a\n", 1, MQ_ACK_DURABLE);
	wait_for(log, &t, MQ_ACK_DURABLE);
	close_log(log);
	head_path(bed, path, sizeof path);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "mqB\1torn", 8), 8);
	close(fd);
	unlinkat(bed->dir, "state", 0);
	log = open_log(bed);
	t = append(log, "b\n", 1, MQ_ACK_DURABLE);
	wait_for(log, &t, MQ_ACK_DURABLE);
	assert_int_equal(t.base_offset, 1);
	expect(bed, 0, "a\nb\n");
	close_log(log);
	char after[128];
	head_path(bed, after, sizeof after);
	assert_string_not_equal(path, after);
}

static void a_named_producer_keeps_its_number_across_rolls_and_lost_state(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log;
	struct mq_producer p;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_log_ticket t;

	bed->opt.segment_bytes = 700;
	log = open_log(bed);
	if (mq_log_producer(log, MQ_WHO_PRODUCER, "till-7", &p, &err) < 0)
		fail_msg("%s", err.text);
	for (uint64_t i = 1; i <= 20; i++) {
		struct mq_batch b = lines("p\n", 1, MQ_ACK_WRITTEN);

		b.who = (struct mq_who){.kind = MQ_WHO_PRODUCER, .id = p.id, .number = i, .source_start = MQ_NO_OFFSET};
		if (mq_log_append(log, &b, "p\n", &t, &err) < 0)
			fail_msg("%s", err.text);
		append(log, "other\n", 1, MQ_ACK_WRITTEN);
	}
	close_log(log);
	unlinkat(bed->dir, "state", 0);
	log = open_log(bed);
	if (mq_log_producer(log, MQ_WHO_PRODUCER, "till-7", &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(p.number, 20);
	{
		struct mq_batch b = lines("p\n", 1, MQ_ACK_WRITTEN);

		b.who = (struct mq_who){.kind = MQ_WHO_PRODUCER, .id = p.id, .number = 20};
		assert_int_equal(mq_log_append(log, &b, "p\n", &t, &err), -EEXIST);
	}
	close_log(log);
}

/* Where state is lost right after a roll, what the segment was born with lies below where recovery begins to read. */
static void a_named_producer_outlives_a_lost_state_and_the_rolls_behind_it(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log;
	struct mq_producer p;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_segment_header before, after;

	bed->opt.segment_bytes = 1200;
	log = open_log(bed);
	if (mq_log_producer(log, MQ_WHO_PRODUCER, "till-7", &p, &err) < 0)
		fail_msg("%s", err.text);
	find_head(bed, &before);
	do {
		append(log, "x\n", 1, MQ_ACK_WRITTEN);
		find_head(bed, &after);
	} while (mq_segment_id_equal(&before.id, &after.id));
	close_log(log);
	unlinkat(bed->dir, "state", 0);
	log = open_log(bed);
	for (int i = 0; i < 20; i++)
		append(log, "y\n", 1, MQ_ACK_WRITTEN);
	close_log(log);
	log = open_log(bed);
	uint64_t id = p.id;
	if (mq_log_producer(log, MQ_WHO_PRODUCER, "till-7", &p, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(p.id, id);
	close_log(log);
}

static void writers_in_many_processes_share_syncs_and_lose_nothing(void **state)
{
	struct bed *bed = *state;
	enum { WRITERS = 8, EACH = 50 };
	pid_t pid[WRITERS];
	char *got;
	size_t n = 0;

	for (int w = 0; w < WRITERS; w++) {
		pid[w] = fork();
		if (pid[w] == 0) {
			struct mq_log *log = open_log(bed);

			for (int i = 0; i < EACH; i++) {
				struct mq_log_ticket t = append(log, "w\n", 1, MQ_ACK_DURABLE);

				wait_for(log, &t, MQ_ACK_DURABLE);
			}
			close_log(log);
			_exit(0);
		}
	}
	for (int w = 0; w < WRITERS; w++) {
		int status;

		assert_int_equal(waitpid(pid[w], &status, 0), pid[w]);
		assert_int_equal(status, 0);
	}
	got = read_all(bed, 0, NULL);
	n = strlen(got);
	assert_int_equal(n, 2 * WRITERS * EACH);
	free(got);
}

/* The snapshot has room for fewer than there are: the last one registered must be among those kept. */
static void a_producer_whose_first_batch_rolls_is_known_afterwards(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log;
	struct mq_producer p;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_log_ticket t;
	char name[201], big[60000];

	bed->opt.segment_bytes = 160000;
	log = open_log(bed);
	for (int i = 0; i <= 290; i++) {
		struct mq_batch b = lines("p\n", 1, MQ_ACK_WRITTEN);

		snprintf(name, sizeof name, "%0200d", i);
		if (mq_log_producer(log, MQ_WHO_PRODUCER, name, &p, &err) < 0)
			fail_msg("%s", err.text);
		b.who = (struct mq_who){.kind = MQ_WHO_PRODUCER, .id = p.id, .number = 1, .source_start = MQ_NO_OFFSET};
		if (i < 290 && mq_log_append(log, &b, "p\n", &t, &err) < 0)
			fail_msg("%s", err.text);
	}
	memset(big, 'x', sizeof big);
	big[sizeof big - 2] = '\n';
	big[sizeof big - 1] = 0;
	for (int i = 0; i < 2; i++) {
		struct mq_batch b = lines(big, 1, MQ_ACK_WRITTEN);
		int rc;

		if (mq_log_producer(log, MQ_WHO_PRODUCER, name, &p, &err) < 0)
			fail_msg("%s", err.text);
		b.who = (struct mq_who){.kind = MQ_WHO_PRODUCER, .id = p.id, .number = 1, .source_start = MQ_NO_OFFSET};
		rc = mq_log_append(log, &b, big, &t, &err);
		assert_int_equal(rc, i == 0 ? 0 : -EEXIST);
		assert_true(log->head.h.base_offset > 0);
	}
	close_log(log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(what_is_appended_comes_back_in_order, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_durable_batch_is_invisible_until_synced_and_holds_back_those_behind_it, setup,
	                                    teardown),
	    cmocka_unit_test_setup_teardown(what_was_visible_stays_so_though_a_writer_goes_by_an_older_mark, setup, teardown),
	    cmocka_unit_test_setup_teardown(what_asked_for_no_sync_is_seen_when_those_before_it_were_served, setup, teardown),
	    cmocka_unit_test_setup_teardown(an_acknowledgement_waits_for_no_lock, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_producer_whose_first_batch_rolls_is_known_afterwards, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_full_segment_rolls_and_the_chain_is_read_through, setup, teardown),
	    cmocka_unit_test_setup_teardown(state_removed_under_a_live_writer_is_made_anew, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_below_the_witness_is_stepped_around_and_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(damage_in_the_last_batch_below_the_witness_is_no_end_of_the_log, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_torn_end_nobody_was_promised_ends_the_log_in_a_new_segment, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_named_producer_keeps_its_number_across_rolls_and_lost_state, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_named_producer_outlives_a_lost_state_and_the_rolls_behind_it, setup, teardown),
	    cmocka_unit_test_setup_teardown(writers_in_many_processes_share_syncs_and_lose_nothing, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
