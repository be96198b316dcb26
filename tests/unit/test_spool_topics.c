/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process is killed while it makes or deletes a topic: what the next one acknowledges lasts, and what it is asked is done. */
#include "test_spool.h"

#include <errno.h>

#include "api/engine.h"
#include "api/engine_spool.h"
#include "base/crc32c.h"

static const struct mq_engine *const engine = &mq_engine_file;

static struct mq_store *store(struct bed *b)
{
	struct mq_store *s;

	OK(engine->store_open(&s, b->path, true, &bed_err));
	return s;
}

/* 0: opened, and closed again. */
static int appender(struct bed *b, const char *topic)
{
	struct mq_store *s = store(b);
	struct mq_appender *a;
	int rc = engine->appender_open(s, topic, 0, &a, &bed_err);

	if (rc == 0)
		engine->appender_close(a);
	engine->store_close(s);
	return rc;
}

static void publish(struct bed *b, const char *topic)
{
	struct mq_batch batch = {.kind = MQ_BATCH_LINES, .ack = MQ_ACK_DURABLE, .count = 1, .stored_len = 2, .raw_len = 2};
	struct mq_store *s = store(b);
	struct mq_appender *a;
	struct mq_ticket ticket;

	batch.body_crc = mq_crc32c(0, "x\n", 2);
	OK(engine->topic_auto_create(s, topic, 0, &bed_err));
	OK(engine->appender_open(s, topic, 0, &a, &bed_err));
	OK(engine->append(a, &batch, "x\n", &ticket, &bed_err));
	OK(engine->wait_durable(a, &ticket, MQ_ACK_DURABLE, &bed_err));
	engine->appender_close(a);
	engine->store_close(s);
}

static const char *rule;

static void make_u_and_die(struct bed *b)
{
	bed_faults(rule);
	(void)mq_topic_make(&b->spool, "u", 1, NULL, 0, false, &bed_err);
}

static void a_name_that_may_not_last_is_synced_before_the_first_acknowledgement(void **state)
{
	struct bed *b = *state;
	struct mq_stat st;
	char text[64];

	/* Killed at the rename that gives it its name, the last of some. */
	for (unsigned nth = 1; mq_sys->statat(b->spool.topics, "u", &st) < 0; nth++) {
		snprintf(text, sizeof text, "renameat:%u:kill-after", nth);
		rule = text;
		assert_true(WIFSIGNALED(bed_child(make_u_and_die, b)));
	}
	bed_faults("fsync:1:EIO");
	assert_true(appender(b, "u") < 0);
	bed_faults("fsync:2:EIO");
	assert_true(appender(b, "u") < 0);
	bed_faults("");
	assert_int_equal(appender(b, "u"), 0);
	assert_int_equal(mq_fault_calls("fsync"), 2);
	bed_faults("");
	assert_int_equal(appender(b, "u"), 0);
	assert_int_equal(mq_fault_calls("fsync"), 0);
}

static void a_topic_made_to_the_end_costs_no_sync(void **state)
{
	struct bed *b = *state;

	bed_faults("");
	assert_int_equal(appender(b, "t"), 0);
	assert_int_equal(mq_fault_calls("fsync"), 0);
}

static void the_directories_above_a_spool_are_synced_by_who_finishes_it(void **state)
{
	struct bed *b = *state;
	struct mq_spool s;
	char path[400];

	assert_int_equal(mkdirat(b->dir->fd, "deep", 0755), 0); /* as by one who was killed then */
	assert_int_equal(mkdirat(b->dir->fd, "deep/down", 0755), 0);
	snprintf(path, sizeof path, "%s/deep/down", b->dir->path);
	for (unsigned nth = 1; nth <= 2; nth++) {
		char text[64];

		snprintf(text, sizeof text, "fsync:%u:path=/deep:EIO", nth);
		bed_faults(text);
		assert_int_equal(mq_spool_open(&s, path, true, &bed_err), -EIO);
	}
	bed_faults("");
	OK(mq_spool_open(&s, path, true, &bed_err));
	mq_spool_release(&s);
	assert_true(mq_fault_calls("fsync") >= 4); /* itself, deep, the test's directory, the name of spool.conf */
}

static void delete_and_die(struct bed *b)
{
	struct mq_topic t;

	OK(mq_topic_open(&t, &b->spool, "u", &bed_err));
	bed_faults(rule);
	(void)mq_topic_remove(&t, &bed_err);
}

static int count(void *arg, const char *name)
{
	(void)name;
	++*(unsigned *)arg;
	return 0;
}

/* Alive, or gone and made anew; deleted again; listed or not. */
static void go_on(struct bed *b, bool list_first)
{
	struct mq_store *s = store(b);
	struct mq_topic_facts facts;
	unsigned n = 0;

	OK(engine->topic_list(s, count, &n, &bed_err));
	if (!list_first && engine->topic_facts(s, "u", &facts, &bed_err) == MQ_ENOTOPIC)
		OK(engine->topic_create(s, "u", 2, NULL, 0, false, &bed_err));
	publish(b, "u");
	OK(engine->topic_facts(s, "u", &facts, &bed_err));
	OK(engine->topic_delete(s, "u", false, false, &bed_err));
	assert_int_equal(engine->topic_facts(s, "u", &facts, &bed_err), MQ_ENOTOPIC);
	n = 0;
	OK(engine->topic_list(s, count, &n, &bed_err));
	assert_int_equal(n, 1); /* t */
	engine->store_close(s);
}

static void who_comes_after_a_deleter_that_was_killed_goes_on(void **state)
{
	static const char *const calls[] = {"openat", "lock", "renameat", "fsync", "pwrite", "unlinkat", "close", NULL};
	struct bed *b = *state;
	char text[64];

	for (size_t i = 0; calls[i]; i++)
		for (unsigned nth = 1; nth < 6; nth++)
			for (int after = 0; after < 2; after++) {
				bed_faults(NULL);
				OK(mq_topic_make(&b->spool, "u", 2, NULL, 0, false, &bed_err));
				publish(b, "u");
				snprintf(text, sizeof text, "%s:%u:kill-%s", calls[i], nth, after ? "after" : "before");
				rule = text;
				(void)bed_child(delete_and_die, b);
				go_on(b, nth % 2);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(a_name_that_may_not_last_is_synced_before_the_first_acknowledgement),
	    BED_TEST(a_topic_made_to_the_end_costs_no_sync),
	    BED_TEST(the_directories_above_a_spool_are_synced_by_who_finishes_it),
	    BED_TEST(who_comes_after_a_deleter_that_was_killed_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
