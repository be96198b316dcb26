/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a partition remembers of movers: whether an append was made is a look-up, and an older generation is kept out. */
#include "test_log_bed.h"

static struct mq_err why;

static struct mq_producer mover(struct mq_log *log, uint32_t generation)
{
	struct mq_producer p;

	why = (struct mq_err)MQ_ERR_INIT;
	if (mq_log_open_mover(log, "m", generation, 0, &p, &why) < 0)
		fail_msg("%s", why.text);
	return p;
}

/* One record, with this number. */
static int move(struct mq_log *log, const struct mq_producer *p, uint32_t generation, uint64_t number)
{
	struct mq_batch b = lines("m\n", 1, MQ_ACK_WRITTEN);
	struct mq_log_ticket t;

	why = (struct mq_err)MQ_ERR_INIT;
	b.who = (struct mq_who){MQ_WHO_MOVER, p->id, generation, number, number - 1, number};
	return mq_log_append(log, &b, "m\n", &t, &why);
}

static void a_number_that_is_held_is_refused(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_producer p = mover(log, 0);

	assert_int_equal(move(log, &p, 0, 3), 0);
	assert_int_equal(move(log, &p, 0, 3), -EEXIST);
	assert_int_equal(move(log, &p, 0, 2), -EEXIST);
	assert_int_equal(move(log, &p, 0, 4), 0);
	p = mover(log, 0);
	assert_int_equal(p.number, 4);
	close_log(log);
	expect(bed, 0, "m\nm\n");
}

static void an_older_generation_is_refused_from_the_moment_a_newer_one_is_opened(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed), *woken = open_log(bed);
	struct mq_producer p = mover(woken, 1), q;

	assert_int_equal(move(woken, &p, 1, 1), 0);
	q = mover(log, 2); /* has appended nothing yet */
	assert_int_equal(q.number, 1);
	assert_int_equal(q.id, p.id);
	assert_int_equal(move(woken, &p, 1, 2), MQ_EDENIED);
	assert_int_equal(mq_log_open_mover(woken, "m", 1, 0, &q, &why), MQ_EDENIED);
	assert_non_null(strstr(why.text, "generation 1 of the mover m has been replaced by 2"));
	assert_int_equal(move(log, &p, 2, 2), 0);
	assert_int_equal(move(woken, &p, 1, 3), MQ_EDENIED);
	close_log(log);
	close_log(woken);
	expect(bed, 0, "m\nm\n");
}

static void the_table_is_carried_into_every_new_segment(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log;
	struct mq_producer p, q;
	struct mq_segment_header head;

	bed->opt.segment_bytes = 700;
	log = open_log(bed);
	p = mover(log, 7);
	assert_int_equal(move(log, &p, 7, 12), 0);
	for (int i = 0; i < 30; i++)
		append(log, "another\n", 1, MQ_ACK_WRITTEN);
	close_log(log);
	find_head(bed, &head);
	assert_true(head.base_offset > 20);
	unlinkat(bed->dir, "state", 0);
	unlinkat(bed->dir, "producers", 0);
	log = open_log(bed);
	assert_int_equal(mq_log_look_producer(log, MQ_WHO_MOVER, "m", &q, &why), 1);
	assert_int_equal(q.id, p.id);
	assert_int_equal(q.generation, 7);
	assert_int_equal(q.number, 12);
	assert_int_equal(q.last_base, 0);
	assert_int_equal(move(log, &p, 7, 12), -EEXIST);
	assert_int_equal(move(log, &p, 6, 13), MQ_EDENIED);
	close_log(log);
}

static void to_look_registers_nothing(void **state)
{
	struct bed *bed = *state;
	struct mq_log *log = open_log(bed);
	struct mq_producer p;

	assert_int_equal(mq_log_look_producer(log, MQ_WHO_MOVER, "m", &p, &why), 0);
	assert_int_equal(mq_log_look_producer(log, MQ_WHO_MOVER, "m", &p, &why), 0);
	assert_int_equal(log->tail.pos, MQ_SEGMENT_HEADER_LEN);
	if (mq_log_open_mover(log, "m", 4, 9, &p, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(mq_log_look_producer(log, MQ_WHO_MOVER, "m", &p, &why), 1);
	assert_int_equal(p.number, 9);
	assert_int_equal(p.generation, 4);
	assert_int_equal(p.last_base, MQ_NO_OFFSET);
	assert_int_equal(mq_log_look_producer(log, MQ_WHO_PRODUCER, "m", &p, &why), 0); /* another of that name */
	close_log(log);
}

static void what_a_process_read_before_does_not_blind_it(void **state)
{
	struct bed *bed = *state;
	struct mq_log *a = open_log(bed), *b = open_log(bed);
	struct mq_producer p = mover(a, 0);

	assert_int_equal(move(a, &p, 0, 1), 0);
	p = mover(b, 0);
	assert_int_equal(move(b, &p, 0, 2), 0);
	assert_int_equal(move(a, &p, 0, 2), -EEXIST);
	close_log(a);
	close_log(b);
}

#define BED_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(a_number_that_is_held_is_refused),
	    BED_TEST(an_older_generation_is_refused_from_the_moment_a_newer_one_is_opened),
	    BED_TEST(the_table_is_carried_into_every_new_segment),
	    BED_TEST(to_look_registers_nothing),
	    BED_TEST(what_a_process_read_before_does_not_blind_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
