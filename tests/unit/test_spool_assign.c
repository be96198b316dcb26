/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Assignment by the worked examples of those who had these strategies first. */
#include "test_spool_assign.h"

/* C0, C1 … in no room. */
static void consumers(struct bed *b, size_t n, uint32_t partitions)
{
	char name[3] = "C0";

	bed_start(b);
	for (size_t i = 0; i < n; i++) {
		name[1] = (char)('0' + i);
		bed_join(b, name, "h", "");
	}
	b->partitions = partitions;
}

/* want: a letter for each partition: the place of its owner's name, or '-'. */
static void assert_owners(const struct bed *b, const char *want)
{
	char have[PARTITIONS_MAX + 1] = "";

	for (uint32_t p = 0; p < b->partitions; p++)
		have[p] = b->owner[p] < 0 ? '-' : (char)('0' + b->owner[p]);
	assert_string_equal(have, want);
}

static void owned(struct bed *b, const char *now)
{
	for (uint32_t p = 0; p < b->partitions; p++)
		b->now[p] = now[p] == '-' ? -1 : now[p] - '0';
}

/* n topics, all of that width. */
static void topics(struct bed *b, size_t n, uint32_t partitions)
{
	static const char *const names[TOPICS_MAX] = {"t0", "t1", "t2", "t3", "t4", "t5"};

	for (b->n_topics = 0; b->n_topics < n; b->n_topics++)
		b->topic[b->n_topics] = (struct mq_assign_topic){names[b->n_topics], partitions};
	b->partitions = (uint32_t)n * partitions;
}

static void average_is_rocketmqs_and_kafkas_range(void **state)
{
	static const struct {
		size_t members;
		uint32_t partitions;
		const char *owners;
	} is[] = {
	    {4, 10, "0001112233"}, /* RocketMQ, AllocateMessageQueueAveragelyTest: 3, 3, 2, 2 */
	    {3, 8, "00011122"},    /* … 3, 3, 2 */
	    {2, 3, "001"},         /* Kafka, javadoc of RangeAssignor, topic t0 (and t1): C0 p0 p1, C1 p2 */
	    {2, 1, "0"},           /* Kafka, RangeAssignorTest: two consumers, one topic, one partition */
	    {2, 2, "01"},          /* … and two */
	    {1, 3, "000"},         /* … one consumer */
	    {3, 1, "0"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof is / sizeof is[0]; i++) {
		struct bed b;
		consumers(&b, is[i].members, is[i].partitions);
		bed_assign(&b, MQ_ASSIGN_AVERAGE);
		assert_owners(&b, is[i].owners);
	}
}

static void circle_is_rocketmqs_and_kafkas_round_robin(void **state)
{
	struct bed b;
	(void)state;
	consumers(&b, 4, 10); /* RocketMQ, AllocateMessageQueueAveragelyByCircleTest: 0 4 8, 1 5 9, 2 6, 3 7 */
	bed_assign(&b, MQ_ASSIGN_CIRCLE);
	assert_owners(&b, "0123012301");
	consumers(&b, 2, 3); /* Kafka, javadoc of RoundRobinAssignor, topic t0: C0 p0 p2, C1 p1 */
	bed_assign(&b, MQ_ASSIGN_CIRCLE);
	assert_owners(&b, "010");
	consumers(&b, 3, 8); /* Kafka, javadoc of StickyAssignor, example 1, with t0p0 … t3p1 as partitions 0 … 7 */
	bed_assign(&b, MQ_ASSIGN_CIRCLE);
	assert_owners(&b, "01201201");
	consumers(&b, 2, 8); /* … C1 is gone: round robin moves C0's t1p1 and C2's t1p0, t2p1 also */
	bed_assign(&b, MQ_ASSIGN_CIRCLE);
	assert_owners(&b, "01010101");
}

static void topics_that_are_read_together_are_given_out_together(void **state)
{
	struct bed b;
	(void)state;
	consumers(&b, 2, 0);
	topics(&b, 2, 3);
	bed_assign(&b, MQ_ASSIGN_AVERAGE); /* Kafka, javadoc of RangeAssignor: C0 t0p0 t0p1 t1p0 t1p1, C1 t0p2 t1p2 */
	assert_owners(&b, "001001");
	bed_assign(&b, MQ_ASSIGN_CIRCLE); /* … of RoundRobinAssignor: C0 t0p0 t0p2 t1p1, C1 t0p1 t1p0 t1p2 */
	assert_owners(&b, "010101");
	consumers(&b, 3, 0);
	topics(&b, 4, 2);
	bed_assign(&b, MQ_ASSIGN_STICKY); /* … of StickyAssignor, example 1 */
	assert_owners(&b, "01201201");
	consumers(&b, 3, 0);
	topics(&b, 6, 1);
	bed_assign(&b, MQ_ASSIGN_STICKY); /* many topics of one partition: not all at the first member */
	assert_owners(&b, "012012");
	consumers(&b, 2, 0);
	topics(&b, 2, 3);
	assert_int_equal(mq_assign_conf_set(&b.conf, "assign.a", "C1:0", NULL), 0);
	assert_int_equal(mq_assign_conf_set(&b.conf, "assign.b", "C0:2", NULL), 0);
	bed_assign(&b, MQ_ASSIGN_CONFIG); /* partition 0 of each topic */
	assert_owners(&b, "1-01-0");
	mq_assign_conf_release(&b.conf);
	bed_start(&b);
	bed_join(&b, "C0", "h", "west");
	bed_join(&b, "C1", "h", "east");
	bed_join(&b, "C2", "h", "east");
	topics(&b, 2, 3);
	assert_int_equal(mq_assign_conf_set(&b.conf, "room.east", "0,2", NULL), 0);
	bed_assign(&b, MQ_ASSIGN_ROOM);
	assert_owners(&b, "1-21-2");
	bed_assign(&b, MQ_ASSIGN_NEARBY);
	assert_owners(&b, "102112");
	mq_assign_conf_release(&b.conf);
}

/* The javadoc of StickyAssignor, example 1, with t0p0, t0p1 … t3p1 as partitions 0 … 7 of one topic. */
static void sticky_does_as_the_example_of_kafkas_sticky_assignor(void **state)
{
	struct bed b;
	(void)state;
	consumers(&b, 3, 8); /* C0 t0p0 t1p1 t3p0, C1 t0p1 t2p0 t3p1, C2 t1p0 t2p1 */
	bed_assign(&b, MQ_ASSIGN_STICKY);
	assert_owners(&b, "01201201");
	consumers(&b, 2, 8); /* C1 is gone: C0 t0p0 t1p1 t3p0 and t2p0, C2 t1p0 t2p1 and t0p1 t3p1 */
	owned(&b, "0-10-10-");
	bed_assign(&b, MQ_ASSIGN_STICKY);
	assert_owners(&b, "01100101");
}

/* Kafka, AbstractStickyAssignorTest, testAddRemoveConsumerOneTopic. */
static void sticky_does_as_kafka_tests_a_consumer_that_comes_and_goes(void **state)
{
	struct bed b;
	(void)state;
	consumers(&b, 1, 3);
	bed_assign(&b, MQ_ASSIGN_STICKY);
	assert_owners(&b, "000");
	bed_follow(&b);
	bed_join(&b, "C1", "h", "");
	bed_assign(&b, MQ_ASSIGN_STICKY);
	assert_owners(&b, "001");
	owned(&b, "--0"); /* the first is gone, and C1 is the only one */
	b.n = 1;
	bed_assign(&b, MQ_ASSIGN_STICKY);
	assert_owners(&b, "000");
}

static void one_more_stays_with_whom_it_is(void **state)
{
	struct bed b;
	(void)state;
	consumers(&b, 3, 4);
	owned(&b, "0122");
	bed_assign(&b, MQ_ASSIGN_STICKY);
	assert_owners(&b, "0122");
	owned(&b, "2201"); /* nor is it made the same as if nobody owned anything */
	bed_assign(&b, MQ_ASSIGN_STICKY);
	assert_owners(&b, "2201");
}

static void nobody_gets_anything_without_members_and_nothing_without_partitions(void **state)
{
	struct bed b;
	(void)state;
	for (int64_t strategy = MQ_ASSIGN_AVERAGE; strategy <= MQ_ASSIGN_CONFIG; strategy++) {
		consumers(&b, 0, 3);
		owned(&b, "012");
		bed_assign(&b, strategy);
		assert_owners(&b, "---");
		consumers(&b, 3, 0);
		bed_assign(&b, strategy);
		assert_owners(&b, "");
	}
	consumers(&b, 2, 3);
	bed_assign_topic(&b, "t");
	assert_owners(&b, "010");
}

static void set(struct bed *b, const char *key, const char *value)
{
	assert_int_equal(mq_assign_conf_set(&b->conf, key, value, NULL), 0);
}

/* RocketMQ, AllocateMessageQueueByMachineRoomTest: of 10 queues the first 5 are in the room that is asked for: 3 and 2 for its two
 * consumers, none of the others.  (That one puts what is left over behind all; here it is strategy.within that says which.) */
static void a_rooms_partitions_go_to_its_members_alone(void **state)
{
	struct bed b;
	(void)state;
	bed_start(&b);
	bed_join(&b, "C0", "h", "room1");
	bed_join(&b, "C1", "h", "room1");
	bed_join(&b, "C2", "h", "");
	b.partitions = 12;
	set(&b, "room.room1", "0-4");
	set(&b, "room.room2", "5-9");
	set(&b, "strategy.within", "average");
	bed_assign(&b, MQ_ASSIGN_ROOM);
	assert_owners(&b, "00011-------");
	bed_assign(&b, MQ_ASSIGN_NEARBY); /* AllocateMachineRoomNearby: room2 is deserted, and all share what it has */
	assert_owners(&b, "000110001122");
	set(&b, "strategy.within", "circle");
	bed_assign(&b, MQ_ASSIGN_NEARBY);
	assert_owners(&b, "010100120120");
	mq_assign_conf_release(&b.conf);
}

static void a_configured_partition_goes_to_the_first_living_member_it_is_for(void **state)
{
	struct bed b;
	(void)state;
	bed_start(&b);
	bed_join(&b, "C0", "west-1", "");
	bed_join(&b, "C1", "east-1", "");
	bed_join(&b, "C2", "east-2", "");
	b.partitions = 8;
	set(&b, "assign.east", "east-*:0-3");
	set(&b, "assign.second", "east-?:2,7");
	set(&b, "assign.c2", "C2:3-4");
	set(&b, "assign.any", "*st-1:4");
	set(&b, "assign.north", "north-*:6");
	set(&b, "assign.beyond", "*:8-9999");
	bed_assign(&b, MQ_ASSIGN_CONFIG);
	assert_owners(&b, "11110--1");
	mq_assign_conf_release(&b.conf);
}

/* All members compute the ring, of whatever version: these owners were found by a ring kept whole, in another language
 * (FNV-1a seeds, SplitMix64 outputs, the first node at or after the partition). */
static void the_rings_positions_are_fixed_for_good(void **state)
{
	struct bed b;
	(void)state;
	consumers(&b, 5, 40);
	b.conf.strategy = MQ_ASSIGN_HASH;
	bed_assign_topic(&b, "orders");
	assert_owners(&b, "4342303413114320434021110421341124430221");
	b.conf.virtual_nodes = 3;
	bed_assign_topic(&b, "orders");
	assert_owners(&b, "1323423133224120232042202142304102302241");
	bed_assign_topic(&b, "payments");
	assert_owners(&b, "1210444404412014131001102230401144342441");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(average_is_rocketmqs_and_kafkas_range),
	    cmocka_unit_test(circle_is_rocketmqs_and_kafkas_round_robin),
	    cmocka_unit_test(topics_that_are_read_together_are_given_out_together),
	    cmocka_unit_test(sticky_does_as_the_example_of_kafkas_sticky_assignor),
	    cmocka_unit_test(sticky_does_as_kafka_tests_a_consumer_that_comes_and_goes),
	    cmocka_unit_test(one_more_stays_with_whom_it_is),
	    cmocka_unit_test(nobody_gets_anything_without_members_and_nothing_without_partitions),
	    cmocka_unit_test(a_rooms_partitions_go_to_its_members_alone),
	    cmocka_unit_test(a_configured_partition_goes_to_the_first_living_member_it_is_for),
	    cmocka_unit_test(the_rings_positions_are_fixed_for_good),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spool_assign", tests, NULL, NULL);
}
