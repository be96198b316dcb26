/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Acknowledgements from outside: their file stays small, never wedges a group, and none is lost. */
#include "test_spool.h"

static void add(struct bed *b, uint64_t first, uint64_t second)
{
	const uint64_t offsets[] = {first, second};

	OK(mq_acks_add(b->o.g, 0, &b->o.commit, offsets, 2, &(size_t){0}, &bed_err));
}

/* There is always one above a gap, as with workers in parallel. */
static void the_file_stays_small_though_one_always_waits(void **state)
{
	struct bed *b = *state;

	bed_take(b);
	add(b, 1, 1);
	for (uint64_t gap = 0; gap < 2000; gap += 2) {
		add(b, gap, gap + 3);
		OK(mq_acks_merge(&b->o, &bed_err));
		assert_int_equal(b->o.commit.offset, gap + 2);
		assert_true(bed_size(b, "acked.0") <= 8192);
	}
}

static void a_file_that_is_too_long_is_no_wedge(void **state)
{
	struct bed *b = *state;
	char path[600];
	uint64_t above;

	bed_take(b);
	add(b, 1, 2);
	snprintf(path, sizeof path, "%s/groups/g/topics/t/acked.0", b->path);
	assert_int_equal(truncate(path, 65 << 20), 0);
	OK(mq_acks_count(b->o.g, 0, &b->o.commit, &above, &bed_err));
	assert_int_equal(above, 2);
	OK(mq_acks_merge(&b->o, &bed_err));
	add(b, 0, 4);
	OK(mq_acks_merge(&b->o, &bed_err));
	assert_int_equal(b->o.commit.offset, 3);
	assert_true(bed_size(b, "acked.0") <= 4096);
}

/* So many wait above one record that no more are taken, but for that record's. */
static void the_record_that_all_wait_for_is_always_taken(void **state)
{
	enum { MANY = 3000000, AT_ONCE = 100000 };
	struct bed *b = *state;
	uint64_t *v = malloc(AT_ONCE * sizeof *v);
	uint64_t next = 1;
	int rc = 0;

	bed_take(b);
	while (rc == 0 && next < MANY) {
		for (unsigned i = 0; i < AT_ONCE; i++)
			v[i] = next + i;
		rc = mq_acks_add(b->o.g, 0, &b->o.commit, v, AT_ONCE, &(size_t){0}, &bed_err);
		next += rc == 0 ? AT_ONCE : 0;
	}
	assert_int_equal(rc, MQ_EAGAIN);
	assert_non_null(strstr(bed_err.text, "mq-group seek"));
	OK(mq_acks_merge(&b->o, &bed_err));
	add(b, 0, 0);
	OK(mq_acks_merge(&b->o, &bed_err));
	assert_int_equal(b->o.commit.offset, next);
	assert_true(bed_size(b, "acked.0") <= 4096);
	free(v);
}

static const char *rule;

static void merge_and_die(struct bed *b)
{
	bed_take(b);
	bed_faults(rule);
	(void)mq_acks_merge(&b->o, &bed_err);
}

/* 300 entries below the place and one above it: the next merge makes the file anew. */
static void many_below(struct bed *b)
{
	bed_faults(NULL);
	bed_take(b);
	for (uint64_t i = 0; i < 150; i++)
		add(b, b->o.commit.offset + 2 * i, b->o.commit.offset + 2 * i + 1);
	add(b, b->o.commit.offset + 300, b->o.commit.offset + 302);
	bed_let_go(b);
}

static void a_merge_that_is_killed_anywhere_loses_none(void **state)
{
	static const char *const calls[] = {"pwrite", "write", "fdatasync", "fsync", "renameat", "openat", "close", "lock", NULL};
	struct bed *b = *state;
	uint64_t above, place = 0;
	char text[64];

	for (size_t i = 0; calls[i]; i++)
		for (unsigned nth = 1; nth < 4; nth++)
			for (int after = 0; after < 2; after++) {
				many_below(b);
				snprintf(text, sizeof text, "%s:%u:kill-%s", calls[i], nth, after ? "after" : "before");
				rule = text;
				(void)bed_child(merge_and_die, b);
				bed_take(b);
				assert_true(b->o.commit.offset == place || b->o.commit.offset == place + 301);
				OK(mq_acks_merge(&b->o, &bed_err));
				assert_int_equal(b->o.commit.offset, place + 301);
				OK(mq_acks_count(b->o.g, 0, &b->o.commit, &above, &bed_err));
				assert_int_equal(above, 1);
				place += 301;
				OK(mq_ownership_seek(&b->o, ++place, &bed_err));
				bed_let_go(b);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    BED_TEST(the_file_stays_small_though_one_always_waits),
	    BED_TEST(a_file_that_is_too_long_is_no_wedge),
	    BED_TEST(the_record_that_all_wait_for_is_always_taken),
	    BED_TEST(a_merge_that_is_killed_anywhere_loses_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
