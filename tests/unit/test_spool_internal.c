/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Topics that no user names: made with their topic's partitions, growing with it, gone with it. */
#include "test_spool.h"

#include <errno.h>

#include "api/engine.h"
#include "api/engine_spool.h"
#include "base/crc32c.h"
#include "spool/check.h"
#include "spool/internal.h"

static const struct mq_engine *const engine = &mq_engine_file;

static bool is_there(struct bed *b, const char *name)
{
	struct mq_stat st;

	return mq_sys->statat(b->spool.topics, name, &st) == 0;
}

static void a_name_is_kind_topic_and_group(void **state)
{
	char name[MQ_NAME_MAX + 1];

	(void)state;
	mq_internal_name("once", "orders", "billing", name);
	assert_string_equal(name, "once@orders@billing");
	assert_true(mq_internal_is(name));
	assert_false(mq_internal_is("orders"));
	assert_false(mq_internal_is("@orders"));
	assert_false(mq_internal_is(".a@b"));
	assert_false(mq_internal_is("a/@b"));
}

static void a_long_name_keeps_its_beginning_and_ends_in_a_hash_of_it_all(void **state)
{
	char topic[MQ_NAME_MAX + 1], a[MQ_NAME_MAX + 1], other[MQ_NAME_MAX + 1];

	(void)state;
	memset(topic, 't', MQ_NAME_MAX);
	topic[MQ_NAME_MAX] = 0;
	mq_internal_name("once", topic, "g", a);
	mq_internal_name("once", topic, "h", other);
	assert_int_equal(strlen(a), 150 + 1 + 16);
	assert_int_equal(a[150], '~');
	assert_true(strncmp(a, "once@ttt", 8) == 0 && strncmp(a, other, 151) == 0);
	assert_string_not_equal(a, other);
	assert_true(mq_internal_is(a));
	topic[MQ_NAME_MAX - 7] = 0; /* once@ + 193 + @g: just fits */
	mq_internal_name("once", topic, "g", a);
	assert_int_equal(strlen(a), MQ_NAME_MAX);
	assert_null(strchr(a, '~'));
}

static void it_is_made_once_with_the_partitions_of_its_topic(void **state)
{
	struct bed *b = *state;
	struct mq_topic t;
	uint8_t id[16];

	assert_int_equal(mq_internal_open(&t, &b->spool, "intents", "t", "g", false, &bed_err), MQ_ENOTOPIC);
	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	assert_int_equal(t.conf.partitions, 2);
	assert_memory_equal(t.conf.of, b->topic.conf.id, 16);
	assert_string_equal(t.conf.internal, "intents@t@g");
	memcpy(id, t.conf.id, 16);
	mq_topic_release(&t);
	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	assert_memory_equal(t.conf.id, id, 16);
	mq_topic_release(&t);
	assert_int_equal(mq_internal_open(&t, &b->spool, "intents", "no-such", "g", true, &bed_err), MQ_ENOTOPIC);
	assert_int_equal(mq_internal_open(&t, &b->spool, "intents", "a@b", "g", true, &bed_err), MQ_EUSAGE);
}

static void it_grows_with_its_topic(void **state)
{
	struct bed *b = *state;
	struct mq_partition part;
	struct mq_topic t;
	struct mq_log log;

	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	mq_topic_release(&t);
	OK(mq_topic_widen(&b->topic, 5, &bed_err));
	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", false, &bed_err));
	assert_int_equal(t.conf.partitions, 2); /* who only looks makes nothing */
	mq_topic_release(&t);
	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	assert_int_equal(t.conf.partitions, 5);
	OK(mq_partition_log(&part, &t, 4, &log, &bed_err));
	OK(mq_log_settle(&log, &bed_err));
	mq_log_release(&log);
	mq_topic_release(&t);
}

static const char *rule;

static void widen_and_die(struct bed *b)
{
	struct mq_topic t;

	bed_faults(rule);
	(void)mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err);
}

static void whoever_comes_after_one_that_was_killed_while_it_grew_goes_on(void **state)
{
	static const char *const calls[] = {"openat", "lock", "mkdirat", "pwrite", "fdatasync", "renameat", "fsync", NULL};
	struct bed *b = *state;
	uint32_t n = 2;

	for (size_t i = 0; calls[i]; i++)
		for (unsigned nth = 1; nth < 12; nth++) {
			struct mq_partition part;
			struct mq_topic t;
			struct mq_log log;
			char text[64];

			OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
			mq_topic_release(&t);
			if (n == 2 + 2 * 30)
				return;
			n += 2;
			OK(mq_topic_widen(&b->topic, n, &bed_err));
			snprintf(text, sizeof text, "%s:%u:kill-%s", calls[i], nth, nth % 2 ? "after" : "before");
			rule = text;
			(void)bed_child(widen_and_die, b);
			OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
			assert_int_equal(t.conf.partitions, n);
			for (uint32_t p = n - 2; p < n; p++) {
				OK(mq_partition_log(&part, &t, p, &log, &bed_err));
				OK(mq_log_settle(&log, &bed_err));
				mq_log_release(&log);
			}
			mq_topic_release(&t);
		}
}

static void ids_done_lie_in_one_partition(void **state)
{
	struct bed *b = *state;
	struct mq_topic t;

	for (int i = 0; i < 2; i++) {
		OK(mq_internal_open(&t, &b->spool, "once", "t", "g", true, &bed_err));
		assert_int_equal(t.conf.partitions, 1);
		mq_topic_release(&t);
	}
}

static void a_topic_made_again_starts_clean(void **state)
{
	struct bed *b = *state;
	struct mq_topic t, again;
	uint8_t id[16];

	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	memcpy(id, t.conf.id, 16);
	mq_topic_release(&t);
	OK(mq_topic_open(&again, &b->spool, "t", &bed_err));
	OK(mq_topic_remove(&again, &bed_err)); /* and killed then */
	mq_topic_release(&again);
	assert_true(is_there(b, "intents@t@g"));
	OK(mq_topic_make(&b->spool, "t", 3, NULL, 0, false, &bed_err));
	assert_int_equal(mq_internal_open(&t, &b->spool, "intents", "t", "g", false, &bed_err), MQ_ENOTOPIC);
	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	assert_int_equal(t.conf.partitions, 3);
	assert_memory_not_equal(t.conf.id, id, 16);
	mq_topic_release(&t);
}

static struct mq_store *store(struct bed *b)
{
	struct mq_store *s;

	OK(engine->store_open(&s, b->path, true, &bed_err));
	return s;
}

static int count(void *arg, const char *name)
{
	(void)name;
	++*(unsigned *)arg;
	return 0;
}

static void users_neither_see_nor_reach_it(void **state)
{
	struct bed *b = *state;
	struct mq_store *s = store(b);
	struct mq_topic_facts facts;
	struct mq_appender *a;
	struct mq_place place;
	char name[201];
	unsigned n = 0;

	OK(engine->internal_open(s, "intents", "t", "g", true, name, &facts, &bed_err));
	assert_string_equal(name, "intents@t@g");
	assert_int_equal(facts.partitions, 2);
	OK(engine->appender_open(s, name, 1, &a, &bed_err));
	engine->appender_close(a);
	OK(engine->topic_list(s, count, &n, &bed_err));
	assert_int_equal(n, 1); /* t */
	assert_int_equal(engine->topic_facts(s, name, &facts, &bed_err), MQ_EUSAGE);
	assert_int_equal(engine->topic_create(s, "x@t@g", 1, NULL, 0, false, &bed_err), MQ_EUSAGE);
	assert_int_equal(engine->topic_auto_create(s, name, 0, &bed_err), MQ_EUSAGE);
	assert_int_equal(engine->topic_set(s, name, NULL, 0, false, &bed_err), MQ_EUSAGE);
	assert_int_equal(engine->topic_delete(s, name, true, false, &bed_err), MQ_EUSAGE);
	assert_int_equal(engine->group_place(s, "g", name, 0, &place, &bed_err), MQ_EUSAGE);
	assert_int_equal(engine->group_seek(s, "g", name, 0, 0, true, &bed_err), MQ_EUSAGE);
	engine->store_close(s);
}

static void it_goes_with_its_topic(void **state)
{
	struct bed *b = *state;
	struct mq_store *s = store(b);
	struct mq_topic t;

	OK(mq_topic_make(&b->spool, "other", 1, NULL, 0, false, &bed_err));
	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	mq_topic_release(&t);
	OK(mq_internal_open(&t, &b->spool, "intents", "other", "g", true, &bed_err));
	mq_topic_release(&t);
	OK(engine->topic_delete(s, "t", true, false, &bed_err));
	assert_false(is_there(b, "intents@t@g"));
	assert_true(is_there(b, "intents@other@g"));
	engine->store_close(s);
}

static void it_goes_with_its_groups_place(void **state)
{
	struct bed *b = *state;
	struct mq_store *s = store(b);
	struct mq_topic t;

	bed_take(b);
	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	mq_topic_release(&t);
	OK(mq_internal_open(&t, &b->spool, "intents", "t", "h", true, &bed_err));
	mq_topic_release(&t);
	assert_int_equal(engine->group_delete(s, "g", NULL, false, false, &bed_err), MQ_EAGAIN);
	assert_true(is_there(b, "intents@t@g"));
	bed_let_go(b);
	OK(engine->group_delete(s, "g", NULL, false, true, &bed_err));
	assert_true(is_there(b, "intents@t@g"));
	OK(engine->group_delete(s, "g", NULL, false, false, &bed_err));
	assert_false(is_there(b, "intents@t@g"));
	assert_true(is_there(b, "intents@t@h"));
	engine->store_close(s);
}

static int left(void *arg, const struct mq_check_finding *f)
{
	if (strstr(f->text, "a topic that was deleted") && strcmp(f->what, "topics/intents@t@g") == 0)
		*(int *)arg += f->mended ? 100 : 1;
	return 0;
}

static void the_check_walks_it_and_removes_it_where_its_topic_is_gone(void **state)
{
	struct bed *b = *state;
	int found = 0;
	struct mq_check_options opt = {.partition = -1, .found = left, .arg = &found};
	struct mq_check_sums sums;
	struct mq_topic t, gone;

	OK(mq_internal_open(&t, &b->spool, "intents", "t", "g", true, &bed_err));
	mq_topic_release(&t);
	OK(mq_spool_check(&b->spool, &opt, &sums, &bed_err));
	assert_int_equal(sums.partitions, 4);
	assert_int_equal(sums.found[MQ_CHECK_DEAD] + sums.found[MQ_CHECK_LEFT] + sums.found[MQ_CHECK_CONFIG], 0);
	OK(mq_topic_open(&gone, &b->spool, "t", &bed_err));
	OK(mq_topic_remove(&gone, &bed_err));
	mq_topic_release(&gone);
	OK(mq_spool_check(&b->spool, &opt, &sums, &bed_err));
	assert_int_equal(found, 1);
	opt.mend = true;
	OK(mq_spool_check(&b->spool, &opt, &sums, &bed_err));
	assert_int_equal(found, 101);
	assert_false(is_there(b, "intents@t@g"));
}

static int no_intent(void *arg, const struct mq_check_finding *f)
{
	*(int *)arg += strstr(f->text, "this is no intent") != NULL;
	return 0;
}

static void the_check_knows_an_intent_from_other_records(void **state)
{
	struct bed *b = *state;
	struct mq_batch batch = {.kind = MQ_BATCH_LINES, .ack = MQ_ACK_DURABLE, .count = 1, .stored_len = 2, .raw_len = 2};
	struct mq_store *s = store(b);
	int found = 0;
	struct mq_check_options opt = {.partition = -1, .found = no_intent, .arg = &found};
	struct mq_check_sums sums;
	struct mq_topic_facts facts;
	struct mq_appender *a;
	struct mq_ticket ticket;
	char name[201];

	batch.body_crc = mq_crc32c(0, "x\n", 2);
	OK(engine->internal_open(s, "intents", "t", "g", true, name, &facts, &bed_err));
	OK(engine->appender_open(s, name, 0, &a, &bed_err));
	OK(engine->append(a, &batch, "x\n", &ticket, &bed_err));
	OK(engine->wait_durable(a, &ticket, MQ_ACK_DURABLE, &bed_err));
	engine->appender_close(a);
	OK(mq_spool_check(&b->spool, &opt, &sums, &bed_err));
	assert_int_equal(found, 1);
	engine->store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_name_is_kind_topic_and_group),
	    cmocka_unit_test(a_long_name_keeps_its_beginning_and_ends_in_a_hash_of_it_all),
	    BED_TEST(it_is_made_once_with_the_partitions_of_its_topic),
	    BED_TEST(it_grows_with_its_topic),
	    BED_TEST(whoever_comes_after_one_that_was_killed_while_it_grew_goes_on),
	    BED_TEST(ids_done_lie_in_one_partition),
	    BED_TEST(a_topic_made_again_starts_clean),
	    BED_TEST(users_neither_see_nor_reach_it),
	    BED_TEST(it_goes_with_its_topic),
	    BED_TEST(it_goes_with_its_groups_place),
	    BED_TEST(the_check_walks_it_and_removes_it_where_its_topic_is_gone),
	    BED_TEST(the_check_knows_an_intent_from_other_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
