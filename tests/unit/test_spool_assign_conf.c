/* SPDX-License-Identifier: GPL-2.0-or-later */
/* group.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "format/conf_keys.h"
#include "spool/assign_conf.h"

/* want, and then the line that seals it. */
static void assert_prints(const struct mq_assign_conf *c, const char *want)
{
	struct mq_buf b = MQ_BUF_INIT;

	assert_int_equal(mq_assign_conf_print(c, &b), 0);
	assert_true(mq_conf_sealed(b.p, b.len));
	assert_int_equal(mq_buf_add_byte(&b, 0), 0);
	b.p[b.len - 1 - strlen("sum=01234567\n")] = 0;
	assert_string_equal(b.p, want);
	mq_buf_release(&b);
}

static void a_group_without_a_file_is_sticky(void **state)
{
	struct mq_assign_conf c;
	(void)state;
	mq_assign_conf_init(&c);
	assert_int_equal(mq_assign_conf_parse(&c, NULL, 0, NULL), 0);
	assert_int_equal(c.strategy, MQ_ASSIGN_STICKY);
	assert_int_equal(c.within, MQ_ASSIGN_STICKY);
	assert_int_equal(c.virtual_nodes, 100);
	assert_prints(&c, "");
	mq_assign_conf_release(&c);
	mq_assign_conf_release(NULL);
}

static void a_groups_file_is_read_and_what_is_not_understood_is_kept(void **state)
{
	static const char text[] = "# mine\n"
	                           "strategy = nearby\n"
	                           "room.b = 8,4-6,7\n"
	                           "of.the.future=yes\n"
	                           "room.a=0-5\n"
	                           "virtual.nodes=20\n"
	                           "assign.x=*:1\n"
	                           "assign.east=east-??.*:fe:0-9999\n"
	                           "strategy.within=average\n"
	                           "room.a=3,0,1,2,2\n"
	                           "assign.x=\n"
	                           "sum=00000000\n";
	static const char prints[] = "strategy=nearby\nstrategy.within=average\nvirtual.nodes=20\nroom.b=4-8\nroom.a=0-3\n"
	                             "assign.east=east-??.*:fe:0-9999\n# mine\nof.the.future=yes\n";
	struct mq_assign_conf c, again;
	(void)state;
	mq_assign_conf_init(&c);
	assert_int_equal(mq_assign_conf_parse(&c, text, sizeof text - 1, NULL), 0);
	assert_int_equal(c.strategy, MQ_ASSIGN_NEARBY);
	assert_int_equal(c.within, MQ_ASSIGN_AVERAGE);
	assert_int_equal(c.virtual_nodes, 20);
	assert_string_equal(c.assigns.v[0].pattern, "east-??.*:fe"); /* the last ':' parts them */
	assert_prints(&c, prints);
	mq_assign_conf_init(&again);
	assert_int_equal(mq_assign_conf_parse(&again, prints, sizeof prints - 1, NULL), 0);
	assert_prints(&again, prints);
	mq_assign_conf_release(&c);
	mq_assign_conf_release(&again);
}

static const struct {
	const char *key, *value, *why;
} bad[] = {
    {"strategy", "fair", "strategy=fair: must be one of average|circle|sticky|hash|room|nearby|config"},
    {"strategy.within", "room", "strategy.within=room: must be one of average|circle|sticky|hash"},
    {"virtual.nodes", "0", "virtual.nodes=0: must be a number from 1 to 1000"},
    {"room.", "1", "room.: a bad name"},
    {"room...", "1", "room...: a bad name"},
    {"room.a", "1,", "room.a: '1,': must be partitions from 0 to 9999, as 0-3,8"},
    {"room.a", "x", "room.a: 'x': must be partitions from 0 to 9999, as 0-3,8"},
    {"room.a", "3-1", "room.a: '3-1': must be partitions from 0 to 9999, as 0-3,8"},
    {"room.a", "1-", "room.a: '1-': must be partitions from 0 to 9999, as 0-3,8"},
    {"room.a", "0-10000", "room.a: '0-10000': must be partitions from 0 to 9999, as 0-3,8"},
    {"room.a", "18446744073709551616", "room.a: '18446744073709551616': must be partitions from 0 to 9999, as 0-3,8"},
    {"assign.a", "0-3", "assign.a: must be PATTERN:PARTITIONS, as east-*:0-3, with a pattern of 1 to 200 bytes and no blanks"},
    {"assign.a", ":0", "assign.a: must be PATTERN:PARTITIONS, as east-*:0-3, with a pattern of 1 to 200 bytes and no blanks"},
    {"assign.a", "a b:0", "assign.a: must be PATTERN:PARTITIONS, as east-*:0-3, with a pattern of 1 to 200 bytes and no blanks"},
    {"assign.a", "east:", "assign.a: '': must be partitions from 0 to 9999, as 0-3,8"},
};

static void a_bad_groups_file_is_refused_with_its_line(void **state)
{
	char text[256], why[512];
	struct mq_err err;
	struct mq_assign_conf c;
	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		mq_assign_conf_init(&c);
		snprintf(text, sizeof text, "strategy=room\n%s=%s\n", bad[i].key, bad[i].value);
		snprintf(why, sizeof why, "line 2: %s", bad[i].why);
		assert_int_equal(mq_assign_conf_parse(&c, text, strlen(text), &err), MQ_ECONFIG);
		assert_string_equal(err.text, why);
		assert_int_equal(err.code, MQ_ECONFIG);
		mq_assign_conf_release(&c);
	}
}

static void what_a_user_sets_wrongly_changes_nothing(void **state)
{
	static const char before[] = "strategy=room\nroom.a=0-3\nassign.a=*:7\n";
	struct mq_err err;
	struct mq_assign_conf c;
	(void)state;
	mq_assign_conf_init(&c);
	assert_int_equal(mq_assign_conf_parse(&c, before, sizeof before - 1, NULL), 0);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_int_equal(mq_assign_conf_set(&c, bad[i].key, bad[i].value, &err), MQ_EUSAGE);
		assert_string_equal(err.text, bad[i].why);
		assert_prints(&c, before);
	}
	assert_int_equal(mq_assign_conf_set(&c, "nonsense", "1", &err), MQ_EUSAGE);
	assert_string_equal(err.text, "no such key: nonsense (one of room.NAME, assign.NAME, strategy.within, virtual.nodes is wanted)");
	assert_int_equal(mq_assign_conf_set(&c, "sum", "1", &err), MQ_EUSAGE);
	assert_string_equal(err.text, "sum cannot be set");
	assert_int_equal(mq_assign_conf_set(&c, "assign.a", "a\nstrategy=hash\n:1", &err), MQ_EUSAGE);
	assert_prints(&c, before);
	mq_assign_conf_release(&c);
}

static void a_partition_is_in_one_room_only(void **state)
{
	static const char both[] = "room.a=0-3\nroom.b=63,64,3\n";
	struct mq_err err;
	struct mq_assign_conf c;
	(void)state;
	mq_assign_conf_init(&c);
	assert_int_equal(mq_assign_conf_parse(&c, both, sizeof both - 1, &err), MQ_ECONFIG);
	assert_string_equal(err.text, "partition 3 is in room.a and in room.b: it can be in one room only");
	mq_assign_conf_release(&c);

	mq_assign_conf_init(&c);
	assert_int_equal(mq_assign_conf_set(&c, "room.a", "0-70", NULL), 0);
	assert_int_equal(mq_assign_conf_set(&c, "room.b", "70-80", &err), MQ_EUSAGE);
	assert_string_equal(err.text, "room.b: partition 70 is in room.a already");
	assert_int_equal(mq_assign_conf_set(&c, "room.a", "0-69", NULL), 0);
	assert_int_equal(mq_assign_conf_set(&c, "room.b", "70-80", NULL), 0);
	assert_int_equal(mq_assign_conf_set(&c, "room.a", "", NULL), 0);
	assert_int_equal(mq_assign_conf_set(&c, "room.a", "", NULL), 0);
	assert_prints(&c, "room.b=70-80\n");
	mq_assign_conf_release(&c);
}

static void there_is_a_limit_to_rooms_and_to_patterns(void **state)
{
	char key[32];
	struct mq_err err;
	struct mq_assign_conf c;
	(void)state;
	mq_assign_conf_init(&c);
	for (unsigned i = 0; i < MQ_ASSIGN_RULES_MAX; i++) {
		snprintf(key, sizeof key, "assign.%u", i);
		assert_int_equal(mq_assign_conf_set(&c, key, "*:1", NULL), 0);
	}
	assert_int_equal(mq_assign_conf_set(&c, "assign.more", "*:1", &err), MQ_EUSAGE);
	assert_string_equal(err.text, "assign.more: there are 256 assign.* lines: no more");
	assert_int_equal(mq_assign_conf_set(&c, "assign.255", "*:2", NULL), 0);
	mq_assign_conf_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_group_without_a_file_is_sticky),
	    cmocka_unit_test(a_groups_file_is_read_and_what_is_not_understood_is_kept),
	    cmocka_unit_test(a_bad_groups_file_is_refused_with_its_line),
	    cmocka_unit_test(what_a_user_sets_wrongly_changes_nothing),
	    cmocka_unit_test(a_partition_is_in_one_room_only),
	    cmocka_unit_test(there_is_a_limit_to_rooms_and_to_patterns),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("spool_assign_conf", tests, NULL, NULL);
}
