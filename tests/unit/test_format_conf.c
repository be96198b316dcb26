/* SPDX-License-Identifier: GPL-2.0-or-later */
/* topic.conf and spool.conf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "format/conf_keys.h"
#include "format/conf_spool.h"
#include "format/conf_topic.h"

#define ID_TEXT "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"

/* want, and then the line that seals it. */
static void assert_prints(int rc, const struct mq_buf *b, const char *want)
{
	size_t len = strlen(want);
	assert_int_equal(rc, 0);
	assert_int_equal(b->len, len + strlen("sum=01234567\n"));
	assert_memory_equal(b->p, want, len);
	assert_true(mq_conf_sealed(b->p, b->len));
}

static void a_seal_holds_for_the_text_before_it_and_no_other(void **state)
{
	(void)state;
	char sealed[] = "a=1\nb=2\nsum=b27279b3\n";
	struct mq_buf out = MQ_BUF_INIT;
	assert_int_equal(mq_buf_printf(&out, "before\na=1\nb=2\n"), 0);
	assert_int_equal(mq_conf_seal(&out, strlen("before\n")), 0);
	assert_memory_equal(out.p + strlen("before\n"), sealed, strlen(sealed));
	assert_true(mq_conf_sealed(sealed, strlen(sealed)));
	for (size_t len = 0; len < strlen(sealed); len++)
		assert_false(mq_conf_sealed(sealed, len));
	for (size_t at = 0; at < strlen(sealed); at++)
		for (int bit = 0; bit < 8; bit++) {
			sealed[at] = (char)(sealed[at] ^ 1 << bit);
			assert_false(mq_conf_sealed(sealed, strlen(sealed)));
			sealed[at] = (char)(sealed[at] ^ 1 << bit);
		}
	mq_buf_release(&out);
}

static void a_topic_has_defaults_until_told_otherwise(void **state)
{
	(void)state;
	struct mq_topic_conf c;
	mq_topic_conf_init(&c, NULL);
	assert_int_equal(c.segment_bytes, 1073741824);
	assert_int_equal(c.max_message_bytes, 1048576);
	assert_int_equal(c.compression, MQ_BATCH_PLAIN);
	assert_int_equal(c.min_ack, MQ_ACK_NONE);
	assert_int_equal(c.when_full, MQ_WHEN_FULL_BLOCK);
	assert_int_equal(c.cleanup, MQ_CLEANUP_DELETE);
	assert_int_equal(c.min_insync_replicas, 2);
	assert_int_equal(c.segment_ms, 604800000);
	assert_true(c.retention_ms == -1 && c.retention_bytes == -1 && c.max_bytes == -1 && c.max_messages == -1 &&
	            c.ttl_ms == -1);
	mq_topic_conf_release(&c);
	mq_topic_conf_release(NULL);
}

static void a_topics_file_is_read_and_what_is_not_understood_is_kept(void **state)
{
	(void)state;
	static const char text[] = "# mine\n"
	                           "id=" ID_TEXT "\n"
	                           "partitions=8\n"
	                           "generations=0:4,3:8/no-barrier\n"
	                           "growing=5:12\n"
	                           "compression.type=zstd\n"
	                           "retention.ms=7d\n"
	                           "of.the.future = yes\n"
	                           "max.bytes=64K\n"
	                           "compression.type=none\n";
	struct mq_topic_conf c;
	struct mq_buf out = MQ_BUF_INIT;
	mq_topic_conf_init(&c, NULL);
	assert_int_equal(mq_topic_conf_parse(&c, text, sizeof text - 1, NULL), 0);
	assert_int_equal(c.id[15], 0xaf);
	assert_int_equal(c.partitions, 8);
	assert_int_equal(c.n_generations, 2);
	assert_true(c.generations[0].number == 0 && c.generations[0].partitions == 4);
	assert_true(c.generations[1].number == 3 && c.generations[1].partitions == 8 && c.generations[1].no_barrier);
	assert_true(c.growing.number == 5 && c.growing.partitions == 12 && !c.growing.no_barrier);
	assert_int_equal(c.retention_ms, 604800000);
	assert_int_equal(c.max_bytes, 65536);
	assert_int_equal(c.compression, MQ_BATCH_PLAIN); /* the last one counts */
	assert_true(mq_topic_conf_segment_bytes(&c) == 8192);
	assert_int_equal(mq_topic_conf_set(&c, "min.ack", "durable", NULL), 0);
	assert_prints(mq_topic_conf_print(&c, &out), &out,
	              "id=" ID_TEXT "\npartitions=8\ngenerations=0:4,3:8/no-barrier\ngrowing=5:12\nretention.ms=604800000\n"
	              "compression.type=none\nmin.ack=durable\nmax.bytes=65536\n# mine\nof.the.future = yes\n");

	struct mq_topic_conf again;
	struct mq_buf twice = MQ_BUF_INIT;
	mq_topic_conf_init(&again, NULL);
	assert_int_equal(mq_topic_conf_parse(&again, out.p, out.len, NULL), 0);
	assert_int_equal(mq_topic_conf_print(&again, &twice), 0);
	assert_int_equal(twice.len, out.len);
	assert_memory_equal(twice.p, out.p, out.len);
	mq_buf_release(&out);
	mq_buf_release(&twice);
	mq_topic_conf_release(&c);
	mq_topic_conf_release(&again);
}

static void a_bad_topics_file_is_refused_with_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"", "no id in it"},
	    {"partitions=1\n", "no id in it"},
	    {"id=" ID_TEXT "\n", "no partitions in it"},
	    {"id=12\npartitions=1\n", "line 1: id: must be 32 hexadecimal digits"},
	    {"\nnonsense\n", "line 2: no '=' in it"},
	    {"id=" ID_TEXT "\npartitions=0\n", "line 2: partitions: must be 1 to 10000"},
	    {"id=" ID_TEXT "\npartitions=1x\n", "line 2: partitions: must be 1 to 10000"},
	    {"id=" ID_TEXT "\npartitions=4\ngenerations=0:4,1:8\n",
	     "partitions=4 but the last of generations has 8"},
	    {"generations=0:4,0:8\n", "line 1: generation 0 comes after 0"},
	    {"generations=0:4,1:4\n", "line 1: 4 partitions: there are 4, and there can only be more"},
	    {"generations=0:4,\n", "line 1: generations: must be NUMBER:PARTITIONS,... with both rising"},
	    {"generations=\n", "line 1: generations: must be NUMBER:PARTITIONS,... with both rising"},
	    {"generations=0:4,1:8/\n", "line 1: generations: must be NUMBER:PARTITIONS,... with both rising"},
	    {"growing=1:0\n", "line 1: growing: must be NUMBER:PARTITIONS"},
	    {"growing=1:8x\n", "line 1: growing: must be NUMBER:PARTITIONS"},
	    {"id=" ID_TEXT "\ngenerations=0:4,2:8\ngrowing=1:8\n", "growing=1 but the last of generations is 2"},
	    {"generations=0:10001\n", "line 1: 10001 partitions: must be 1 to 10000"},
	    {"generations=0:4;1:8\n", "line 1: generations: must be NUMBER:PARTITIONS,... with both rising"},
	    {"segment.bytes=1\n", "line 1: segment.bytes=1: must be a size (as 64K, 1G) from 4096 to 4611686018427387903"},
	    {"compression.type=lz4\n", "line 1: compression.type=lz4: must be one of none|zstd"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct mq_topic_conf c;
		struct mq_err err = MQ_ERR_INIT;
		mq_topic_conf_init(&c, NULL);
		assert_int_equal(mq_topic_conf_parse(&c, bad[i].text, strlen(bad[i].text), &err), MQ_ECONFIG);
		assert_string_equal(err.text, bad[i].why);
		assert_int_equal(err.code, MQ_ECONFIG);
		mq_topic_conf_release(&c);
	}
}

static void a_user_sets_known_keys_within_their_bounds(void **state)
{
	(void)state;
	static const struct {
		const char *pair, *why;
	} bad[] = {
	    {"retention.ms", "'retention.ms' is not KEY=VALUE"},
	    {"retention=1", "no such key: retention (see CONFIGURATION in mq-topic(1))"},
	    {"=1", "no such key:  (see CONFIGURATION in mq-topic(1))"},
	    {"id=" ID_TEXT, "id cannot be set"},
	    {"partitions=3", "partitions cannot be set: mq-rebalance TOPIC --partitions N gives a topic more"},
	    {"retention.ms=x", "retention.ms=x: must be milliseconds or a time span (as 7d) from 0 to 9223372036854, or -1 for none"},
	    {"retention.ms=-2", "retention.ms=-2: must be milliseconds or a time span (as 7d) from 0 to 9223372036854, or -1 for none"},
	    {"segment.ms=0", "segment.ms=0: must be milliseconds or a time span (as 7d) from 1 to 9223372036854"},
	    {"max.message.bytes=2G", "max.message.bytes=2G: must be a size (as 64K, 1G) from 1 to 1073741824"},
	    {"max.messages=1K", "max.messages=1K: must be a number from 0 to 9223372036854775807, or -1 for none"},
	    {"when.full=drop", "when.full=drop: must be one of block|fail|drop-oldest"},
	    {"min.ack=", "min.ack=: must be one of none|written|durable"},
	    {"min.ack=none|written", "min.ack=none|written: must be one of none|written|durable"},
	    {"min.cleanable.dirty.ratio=1.5", "min.cleanable.dirty.ratio=1.5: must be a part of the whole, from 0 to 1 (as 0.5)"},
	    {"min.cleanable.dirty.ratio=0.1234567", "min.cleanable.dirty.ratio=0.1234567: must be a part of the whole, from 0 to 1 (as 0.5)"},
	    {"min.cleanable.dirty.ratio=.", "min.cleanable.dirty.ratio=.: must be a part of the whole, from 0 to 1 (as 0.5)"},
	    {"min.insync.replicas=0", "min.insync.replicas=0: must be a number from 1 to 100"},
	};
	static const char *const good[] = {"retention.ms=-1", "retention.ms=0", "ttl.ms=90s", "segment.bytes=4K",
	                                   "cleanup.policy=compact,delete", "when.full=drop-oldest",
	                                   "max.message.bytes=1G", "min.ack=written", "max.messages=0",
	                                   "min.cleanable.dirty.ratio=0.025"};
	struct mq_topic_conf c;
	struct mq_buf out = MQ_BUF_INIT;
	mq_topic_conf_init(&c, NULL);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct mq_err err = MQ_ERR_INIT;
		assert_int_equal(mq_topic_conf_set_pair(&c, bad[i].pair, &err), MQ_EUSAGE);
		assert_string_equal(err.text, bad[i].why);
	}
	assert_int_equal(c.set, 0);
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		assert_int_equal(mq_topic_conf_set_pair(&c, good[i], NULL), 0);
	assert_true(c.ttl_ms == 90000 && c.segment_bytes == 4096 && c.cleanup == MQ_CLEANUP_COMPACT_DELETE &&
	            c.when_full == MQ_WHEN_FULL_DROP_OLDEST && c.retention_ms == 0 && c.dirty_millionths == 25000);
	assert_int_equal(mq_topic_conf_print(&c, &out), 0);
	assert_non_null(memmem(out.p, out.len, "\nmin.cleanable.dirty.ratio=0.025\n", strlen("\nmin.cleanable.dirty.ratio=0.025\n")));
	mq_buf_release(&out);
	mq_topic_conf_release(&c);
}

static void every_key_is_listed_with_whether_it_was_set(void **state)
{
	(void)state;
	struct mq_topic_conf c;
	struct mq_buf value = MQ_BUF_INIT;
	const char *key;
	bool is_default;
	size_t i, changed = 0;
	mq_topic_conf_init(&c, NULL);
	assert_int_equal(mq_topic_conf_set(&c, "cleanup.policy", "compact", NULL), 0);
	for (i = 0; mq_topic_conf_at(&c, i, &key, &value, &is_default) > 0; i++) {
		assert_true(mq_topic_conf_knows(key, strlen(key)));
		if (strcmp(key, "cleanup.policy") == 0)
			assert_string_equal(value.p, "compact");
		if (strcmp(key, "segment.bytes") == 0)
			assert_string_equal(value.p, "1073741824");
		changed += !is_default;
	}
	assert_int_equal(i, 18);
	assert_int_equal(changed, 1);
	mq_buf_release(&value);
	mq_topic_conf_release(&c);
}

static void partitions_only_grow_and_each_growth_has_a_fresh_number(void **state)
{
	(void)state;
	struct mq_topic_conf c;
	mq_topic_conf_init(&c, NULL);
	assert_int_equal(mq_topic_conf_add_generation(&c, 0, 0, NULL), MQ_EUSAGE);
	assert_int_equal(mq_topic_conf_add_generation(&c, 0, 4, NULL), 0);
	assert_int_equal(mq_topic_conf_add_generation(&c, 1, 4, NULL), MQ_EUSAGE);
	assert_int_equal(mq_topic_conf_add_generation(&c, 0, 8, NULL), MQ_EUSAGE);
	assert_int_equal(mq_topic_conf_add_generation(&c, 2, 8, NULL), 0);
	assert_int_equal(c.partitions, 8);
	for (uint32_t i = 2; i < MQ_GENERATIONS_MAX; i++)
		assert_int_equal(mq_topic_conf_add_generation(&c, i + 1, 7 + i, NULL), 0);
	assert_int_equal(mq_topic_conf_add_generation(&c, 1000, 1000, NULL), MQ_EUSAGE);
	mq_topic_conf_release(&c);
}

static void a_spools_file_goes_there_and_back_with_topic_defaults(void **state)
{
	(void)state;
	static const char text[] = "format=1\nid=" ID_TEXT "\ninode=12345\nmode=0660\nauto.create.topics=false\n"
	                           "default.retention.ms=7d\ndefault.of.the.future=1\n# comment\nnew=2\n";
	struct mq_spool_conf c;
	struct mq_topic_conf t;
	struct mq_buf out = MQ_BUF_INIT;
	mq_spool_conf_init(&c);
	assert_true(c.mode == 0640 && c.auto_create == 1 && c.any_filesystem == 0 && c.num_partitions == 1);
	assert_int_equal(mq_spool_conf_parse(&c, text, sizeof text - 1, NULL), 0);
	assert_true(c.inode == 12345 && c.mode == 0660 && c.auto_create == 0 && c.id[0] == 0xa0);
	mq_topic_conf_init(&t, &c.defaults);
	assert_int_equal(t.retention_ms, 604800000);
	assert_int_equal(t.set, 0);
	assert_int_equal(mq_spool_conf_set(&c, "num.partitions", "8", NULL), 0);
	assert_int_equal(mq_spool_conf_set(&c, "default.min.ack", "written", NULL), 0);
	assert_prints(mq_spool_conf_print(&c, &out), &out,
	              "format=1\nid=" ID_TEXT "\ninode=12345\nmode=0660\nauto.create.topics=false\nnum.partitions=8\n"
	              "default.retention.ms=604800000\ndefault.min.ack=written\n# comment\ndefault.of.the.future=1\nnew=2\n");
	mq_buf_release(&out);
	mq_topic_conf_release(&t);
	mq_spool_conf_release(&c);
	mq_spool_conf_release(NULL);
}

static void a_bad_spools_file_is_refused_with_its_line(void **state)
{
	(void)state;
	static const struct {
		const char *text, *why;
	} bad[] = {
	    {"", "no format in it"},
	    {"format=1\n", "no id in it"},
	    {"id=" ID_TEXT "\n", "no format in it"},
	    {"format=2\n", "line 1: the spool has format 2, which needs a newer mq"},
	    {"format=one\n", "line 1: format: must be a number"},
	    {"format=1\nid=x\n", "line 2: id: must be 32 hexadecimal digits"},
	    {"inode=x\n", "line 1: inode: must be a number"},
	    {"mode=999\n", "line 1: mode=999: must be a file mode (as 0640) from 0600 to 0666"},
	    {"auto.create.topics=yes\n", "line 1: auto.create.topics=yes: must be one of false|true"},
	    {"default.segment.bytes=1\n",
	     "line 1: segment.bytes=1: must be a size (as 64K, 1G) from 4096 to 4611686018427387903"},
	};
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct mq_spool_conf c;
		struct mq_err err = MQ_ERR_INIT;
		mq_spool_conf_init(&c);
		assert_int_equal(mq_spool_conf_parse(&c, bad[i].text, strlen(bad[i].text), &err), MQ_ECONFIG);
		assert_string_equal(err.text, bad[i].why);
		mq_spool_conf_release(&c);
	}
}

static void a_user_cannot_set_what_a_spool_is(void **state)
{
	(void)state;
	static const char *const bad[] = {"format", "id", "inode", "nonsense", "default.nonsense", "default.id", "default."};
	struct mq_spool_conf c;
	mq_spool_conf_init(&c);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(mq_spool_conf_set(&c, bad[i], "1", NULL), MQ_EUSAGE);
	assert_int_equal(mq_spool_conf_set(&c, "mode", "0666x", NULL), MQ_EUSAGE);
	mq_spool_conf_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_topic_has_defaults_until_told_otherwise),
	    cmocka_unit_test(a_seal_holds_for_the_text_before_it_and_no_other),
	    cmocka_unit_test(a_topics_file_is_read_and_what_is_not_understood_is_kept),
	    cmocka_unit_test(a_bad_topics_file_is_refused_with_its_line),
	    cmocka_unit_test(a_user_sets_known_keys_within_their_bounds),
	    cmocka_unit_test(every_key_is_listed_with_whether_it_was_set),
	    cmocka_unit_test(partitions_only_grow_and_each_growth_has_a_fresh_number),
	    cmocka_unit_test(a_spools_file_goes_there_and_back_with_topic_defaults),
	    cmocka_unit_test(a_bad_spools_file_is_refused_with_its_line),
	    cmocka_unit_test(a_user_cannot_set_what_a_spool_is),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("format_conf", tests, NULL, NULL);
}
