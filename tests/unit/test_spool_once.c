/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ids done: none is forgotten within the window, whatever becomes of the files that are a cache of them. */
#include "test_spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/siphash.h"
#include "spool/once.h"

enum { UNIT_LOG2 = 4, UNIT = 1 << UNIT_LOG2 };
static const int64_t WEEK_US = INT64_C(7) * 86400 * 1000000;

static void open_ids(struct mq_once_ids *o, struct bed *b, int64_t window_us)
{
	OK(mq_once_ids_open(o, &b->topic, "g", window_us, UNIT_LOG2, &bed_err));
}

static void mark(struct mq_once_ids *o, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		char id[32];
		struct mq_id_done done = {id, (uint32_t)snprintf(id, sizeof id, "payment-%u", i), 1, i};

		OK(mq_once_ids_mark(o, &done, 1, &bed_err));
	}
}

static bool knows(struct mq_once_ids *o, unsigned i)
{
	char id[32];
	uint64_t seen = 0;
	size_t len = (size_t)snprintf(id, sizeof id, "payment-%u", i);
	int rc = mq_once_ids_look(o, id, len, &seen, &bed_err);

	OK(rc);
	return rc == 1;
}

static void knows_these_alone(struct mq_once_ids *o, unsigned from, unsigned to, unsigned all)
{
	for (unsigned i = 0; i < all; i++)
		if (knows(o, i) != (i >= from && i < to))
			fail_msg("payment-%u is %sknown", i, i >= from && i < to ? "not " : "");
}

static int each_file(struct bed *b, void (*fn)(const char *path))
{
	char dir[400];
	struct dirent *e;
	int n = 0;
	DIR *d;

	snprintf(dir, sizeof dir, "%s/topics/once@t@g/0", b->path);
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[700];

		if (!strstr(e->d_name, ".ids"))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
		if (fn)
			fn(path);
		n++;
	}
	closedir(d);
	return n;
}

static void the_hash_is_the_one_of_its_paper(void **state)
{
	uint8_t bytes[16];

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		bytes[i] = (uint8_t)i;
	assert_true(mq_siphash(bytes, bytes, 15) == UINT64_C(0xa129ca6149be45e5));
	assert_true(mq_siphash(bytes, bytes, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(mq_siphash(bytes, bytes, 8) == UINT64_C(0x93f5f5799a932462));
}

static void an_id_that_was_marked_is_done_for_all_members(void **state)
{
	struct bed *b = *state;
	struct mq_once_ids one, other;

	open_ids(&one, b, WEEK_US);
	open_ids(&other, b, WEEK_US);
	assert_false(knows(&other, 0));
	mark(&one, 0, 1);
	assert_true(knows(&other, 0));
	assert_true(knows(&one, 0));
	assert_false(knows(&one, 1));
	OK(mq_once_ids_sync(&one, &bed_err));
	mq_once_ids_release(&one);
	mark(&other, 1, 2);
	mq_once_ids_release(&other);
	open_ids(&one, b, WEEK_US);
	knows_these_alone(&one, 0, 2, 5);
	mq_once_ids_release(&one);
}

static void an_id_is_forgotten_when_its_window_is_over(void **state)
{
	struct bed *b = *state;
	struct mq_once_ids wide, narrow;

	open_ids(&wide, b, WEEK_US);
	mark(&wide, 0, 3);
	open_ids(&narrow, b, 1);
	knows_these_alone(&narrow, 0, 0, 3);
	knows_these_alone(&wide, 0, 3, 3); /* another member's window takes nothing away */
	mq_once_ids_release(&narrow);
	mq_once_ids_release(&wide);
	open_ids(&wide, b, WEEK_US);
	knows_these_alone(&wide, 0, 3, 3);
	mq_once_ids_release(&wide);
}

static void what_is_older_than_every_window_goes(void **state)
{
	struct bed *b = *state;
	struct mq_once_ids o;
	int64_t since_ns;

	open_ids(&o, b, 1000);
	mark(&o, 0, 5 * UNIT);
	since_ns = mq_sys->clock_ns(MQ_CLOCK_REAL);
	(void)knows(&o, 0);
	assert_true(each_file(b, NULL) > 0);
	while (mq_sys->clock_ns(MQ_CLOCK_REAL) - since_ns < 3000000) /* a millisecond and its eighth, and more */
		;
	knows_these_alone(&o, 0, 0, 5 * UNIT);
	mq_once_ids_release(&o);
	open_ids(&o, b, 1000);
	assert_true(o.ids.cursor.log_start >= 5 * UNIT - 1);
	assert_true(each_file(b, NULL) <= 1);
	mq_once_ids_release(&o);
}

/* However many there are, few are in memory, and few files beside it. */
static void memory_and_files_stay_few(void **state)
{
	enum { ALL = 40 * UNIT + 3 };
	struct bed *b = *state;
	struct mq_once_ids o, other;

	open_ids(&o, b, WEEK_US);
	open_ids(&other, b, WEEK_US);
	for (unsigned i = 0; i < ALL; i++) {
		mark(&o, i, i + 1);
		assert_true(knows(&o, i));
		assert_true(o.ids.recent.n <= UNIT + 1);
	}
	assert_int_equal(o.ids.files.n, 2); /* 32 + 8 units */
	assert_int_equal(each_file(b, NULL), 2);
	knows_these_alone(&other, 0, ALL, ALL + 100);
	assert_true(other.ids.recent.n <= UNIT);
	mq_once_ids_release(&other);
	mq_once_ids_release(&o);
	open_ids(&o, b, WEEK_US);
	assert_int_equal(o.ids.recent.n, 0); /* nothing is read that a file holds */
	knows_these_alone(&o, 0, ALL, ALL + 100);
	assert_int_equal(o.ids.recent.n, 3);
	mq_once_ids_release(&o);
}

static void many_of_one_mark_are_known(void **state)
{
	enum { ALL = 5 * UNIT + 7 };
	struct bed *b = *state;
	struct mq_id_done done[ALL];
	char ids[ALL][32];
	struct mq_once_ids o;

	for (unsigned i = 0; i < ALL; i++)
		done[i] = (struct mq_id_done){ids[i], (uint32_t)snprintf(ids[i], sizeof ids[i], "payment-%u", i), 0, i};
	open_ids(&o, b, WEEK_US);
	OK(mq_once_ids_mark(&o, done, ALL, &bed_err));
	knows_these_alone(&o, 0, ALL, ALL + 10);
	assert_true(o.ids.recent.n <= UNIT);
	mq_once_ids_release(&o);
}

static void take_away(const char *path)
{
	assert_int_equal(unlink(path), 0);
}

static void cut(const char *path)
{
	assert_int_equal(truncate(path, 4000), 0);
}

static void empty(const char *path)
{
	assert_int_equal(truncate(path, 0), 0);
}

static void flip(const char *path)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_int_equal(pread(fd, &byte, 1, 4096 + 23), 1);
	byte ^= 4;
	assert_int_equal(pwrite(fd, &byte, 1, 4096 + 23), 1);
	close(fd);
}

static void copy_of_another(const char *path)
{
	char *wrong = strdup(path);
	char *digit = strstr(wrong, ".ids") - 1;

	*digit = *digit == '0' ? '6' : '0';
	assert_int_equal(rename(path, wrong), 0);
	free(wrong);
}

/* The files are a cache: with any of them gone or bad the ids are as known as before. */
static void bad_files_are_made_anew(void **state)
{
	enum { ALL = 7 * UNIT + 3 };
	static void (*const harms[])(const char *path) = {take_away, cut, empty, flip, copy_of_another};
	struct bed *b = *state;
	struct mq_once_ids o;

	open_ids(&o, b, WEEK_US);
	mark(&o, 0, ALL);
	assert_true(knows(&o, 0));
	mq_once_ids_release(&o);
	for (size_t i = 0; i < sizeof harms / sizeof *harms; i++) {
		each_file(b, harms[i]);
		open_ids(&o, b, WEEK_US);
		knows_these_alone(&o, 0, ALL, ALL + 50);
		assert_true(o.ids.recent.n <= UNIT);
		mq_once_ids_release(&o);
		assert_int_equal(each_file(b, NULL), 3);
		/* Under one that is at work. */
		open_ids(&o, b, WEEK_US);
		each_file(b, harms[i]);
		knows_these_alone(&o, 0, ALL, ALL + 50);
		mq_once_ids_release(&o);
	}
}

/* Two of one hash: the id decides. */
static void a_hash_alone_proves_nothing(void **state)
{
	struct bed *b = *state;
	struct mq_once_ids o;
	uint64_t seen = 0;

	open_ids(&o, b, WEEK_US);
	mark(&o, 0, 1);
	assert_true(knows(&o, 0));
	OK(mq_once_recent_add(&o.ids.recent, mq_once_ids_hash(&o, "innocent", 8), 0));
	assert_int_equal(mq_once_ids_look(&o, "innocent", 8, &seen, &bed_err), 0);
	mq_once_ids_release(&o);
}

static void the_lock_of_an_id_is_one_members(void **state)
{
	struct bed *b = *state;
	struct mq_once_ids one, other;
	uint64_t x, y;
	int handler;

	open_ids(&one, b, WEEK_US);
	open_ids(&other, b, WEEK_US);
	x = mq_once_ids_key(&one, "x", 1);
	y = mq_once_ids_key(&one, "y", 1);
	assert_true(x == mq_once_ids_key(&other, "x", 1));
	assert_int_equal(mq_once_ids_lock(&one, x, &bed_err), 1);
	assert_int_equal(mq_once_ids_lock(&other, x, &bed_err), 0);
	assert_int_equal(mq_once_ids_lock(&other, y, &bed_err), 1);
	bed_take(b);
	handler = mq_ownership_handler_fd(&b->o, &bed_err);
	assert_true(handler >= 0);
	OK(mq_once_ids_handler(&one, handler, x, true, &bed_err));
	mq_once_ids_unlock(&one, x);
	assert_int_equal(mq_once_ids_lock(&other, x, &bed_err), 0); /* its handler lives */
	assert_int_equal(close(handler), 0);
	assert_int_equal(mq_once_ids_lock(&other, x, &bed_err), 1);
	mq_once_ids_release(&other);
	assert_int_equal(mq_once_ids_lock(&one, y, &bed_err), 1);
	mq_once_ids_release(&one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_is_the_one_of_its_paper),
		BED_TEST(an_id_that_was_marked_is_done_for_all_members),
		BED_TEST(an_id_is_forgotten_when_its_window_is_over),
		BED_TEST(what_is_older_than_every_window_goes),
		BED_TEST(memory_and_files_stay_few),
		BED_TEST(many_of_one_mark_are_known),
		BED_TEST(bad_files_are_made_anew),
		BED_TEST(a_hash_alone_proves_nothing),
		BED_TEST(the_lock_of_an_id_is_one_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
