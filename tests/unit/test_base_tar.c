/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/tar.h"

struct bytes {
	struct mq_buf buf;
	size_t at, fail_at; /* read so far; fail behind so many, 0: never */
	unsigned calls;
};

static int keep(void *arg, const void *bytes, size_t n, struct mq_err *err)
{
	struct bytes *b = arg;

	b->calls++;
	if (b->fail_at && b->buf.len + n > b->fail_at)
		return mq_err_set(err, -ENOSPC, "no space left, says the test");
	return mq_buf_add(&b->buf, bytes, n);
}

static ssize_t give(void *arg, void *buf, size_t n, struct mq_err *err)
{
	struct bytes *b = arg;
	size_t left = b->buf.len - b->at;

	if (b->fail_at && b->at >= b->fail_at)
		return mq_err_set(err, -EIO, "a bad disk, says the test");
	n = n < left ? n : left;
	n = n < 777 ? n : 777;
	memcpy(buf, b->buf.p + b->at, n);
	b->at += n;
	return (ssize_t)n;
}

/* Three members: text, nothing, and many bytes that do not compress. */
static void make(struct bytes *b)
{
	struct mq_tar_writer *w;
	struct mq_err err = MQ_ERR_INIT;
	char noise[100000];
	uint32_t seed = 1;

	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
	*b = (struct bytes){.buf = MQ_BUF_INIT};
	assert_int_equal(mq_tar_create(&w, keep, b, &err), 0);
	assert_int_equal(mq_tar_begin(w, "manifest.json", 7, 1000000, &err), 0);
	assert_int_equal(mq_tar_put(w, "{\"v\"", 4, &err), 0);
	assert_int_equal(mq_tar_put(w, ":1}", 3, &err), 0);
	assert_int_equal(mq_tar_begin(w, "orders/0/empty.seg", 0, 0, &err), 0);
	assert_int_equal(mq_tar_begin(w, "orders/0/noise.seg", sizeof noise, 2000000, &err), 0);
	assert_int_equal(mq_tar_put(w, noise, sizeof noise, &err), 0);
	assert_int_equal(mq_tar_finish(w, &err), 0);
}

/* Everything that is there: how many members and bytes; or what went wrong. */
static int read_all(struct bytes *b, unsigned *members, uint64_t *bytes, struct mq_err *err)
{
	struct mq_tar_reader *r;
	struct mq_tar_member m;
	char buf[5000];
	ssize_t n = 0;
	int rc;

	b->at = 0;
	*members = 0;
	*bytes = 0;
	rc = mq_tar_open(&r, give, b, err);
	if (rc < 0)
		return rc;
	while ((rc = mq_tar_next(r, &m, err)) > 0) {
		++*members;
		while ((n = mq_tar_take(r, buf, sizeof buf, err)) > 0)
			*bytes += (uint64_t)n;
		if (n < 0)
			break;
	}
	mq_tar_release(r);
	return n < 0 ? (int)n : rc;
}

static void what_was_written_is_read_again(void **state)
{
	(void)state;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_tar_reader *r;
	struct mq_tar_member m;
	struct bytes b;
	char buf[20];

	make(&b);
	assert_int_equal(mq_tar_open(&r, give, &b, &err), 0);
	assert_int_equal(mq_tar_next(r, &m, &err), 1);
	assert_string_equal(m.name, "manifest.json");
	assert_true(m.size == 7 && m.regular);
	assert_int_equal(mq_tar_take(r, buf, sizeof buf, &err), 7);
	assert_memory_equal(buf, "{\"v\":1}", 7);
	assert_int_equal(mq_tar_take(r, buf, sizeof buf, &err), 0);
	assert_int_equal(mq_tar_next(r, &m, &err), 1);
	assert_int_equal(mq_tar_take(r, buf, sizeof buf, &err), 0);
	assert_int_equal(mq_tar_next(r, &m, &err), 1);
	assert_string_equal(m.name, "orders/0/noise.seg");
	assert_int_equal(mq_tar_next(r, &m, &err), 0); /* what is left is passed over */
	mq_tar_release(r);
	mq_buf_release(&b.buf);
}

static void plain_tar_reads_it(void **state)
{
	(void)state;
	struct bytes b;
	char names[200] = "";
	FILE *file = fopen("test_base_tar.tmp", "w"), *list;

	make(&b);
	assert_non_null(file);
	assert_int_equal(fwrite(b.buf.p, 1, b.buf.len, file), b.buf.len);
	assert_int_equal(fclose(file), 0);
	list = popen("tar --zstd -tf test_base_tar.tmp", "r");
	assert_non_null(list);
	assert_true(fread(names, 1, sizeof names - 1, list) > 0);
	assert_string_equal(names, "manifest.json\norders/0/empty.seg\norders/0/noise.seg\n");
	assert_int_equal(pclose(list), 0);
	remove("test_base_tar.tmp");
	mq_buf_release(&b.buf);
}

static void an_archive_that_was_cut_or_changed_is_damage_or_no_archive(void **state)
{
	(void)state;
	struct bytes b;
	unsigned members;
	uint64_t bytes, refused = 0;

	make(&b);
	size_t whole = b.buf.len;
	for (size_t len = 0; len < whole; len += len < 600 || len > whole - 600 ? 1 : 997) {
		struct mq_err err = MQ_ERR_INIT;
		b.buf.len = len;
		int rc = read_all(&b, &members, &bytes, &err);
		assert_true(rc == MQ_EDAMAGE || rc == MQ_EINPUT || (rc == 0 && members < 3) || (rc == 0 && bytes == 100007));
		assert_true(rc == 0 || err.text[0]);
	}
	b.buf.len = whole;
	for (size_t at = 0; at < whole; at += at < 200 ? 1 : 499) {
		struct mq_err err = MQ_ERR_INIT;
		b.buf.p[at] = (char)(b.buf.p[at] ^ 0x55);
		int rc = read_all(&b, &members, &bytes, &err);
		refused += rc < 0;
		assert_true(rc == MQ_EDAMAGE || rc == MQ_EINPUT || rc == 0);
		b.buf.p[at] = (char)(b.buf.p[at] ^ 0x55);
	}
	assert_true(refused > 0);
	mq_buf_release(&b.buf);
}

static void what_the_sink_or_the_source_says_is_what_is_told(void **state)
{
	(void)state;
	struct bytes b;
	unsigned members;
	uint64_t bytes;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_tar_writer *w;
	char some[100000] = {0};

	for (size_t i = 0; i < sizeof some; i++)
		some[i] = (char)(i * i >> 5);
	b = (struct bytes){.buf = MQ_BUF_INIT, .fail_at = 1};
	assert_int_equal(mq_tar_create(&w, keep, &b, &err), 0);
	assert_int_equal(mq_tar_begin(w, "x", sizeof some, 0, &err), 0);
	int rc = mq_tar_put(w, some, sizeof some, &err);
	assert_true(rc == 0 || rc == -ENOSPC);
	assert_int_equal(mq_tar_finish(w, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "says the test"));
	assert_int_equal(b.calls, 1);
	mq_buf_release(&b.buf);

	make(&b);
	b.fail_at = 3000;
	err = (struct mq_err)MQ_ERR_INIT;
	assert_int_equal(read_all(&b, &members, &bytes, &err), -EIO);
	assert_non_null(strstr(err.text, "says the test"));
	mq_buf_release(&b.buf);
}

static void a_member_has_just_the_bytes_that_were_announced(void **state)
{
	(void)state;
	struct bytes b = {.buf = MQ_BUF_INIT};
	struct mq_err err = MQ_ERR_INIT;
	struct mq_tar_writer *w;

	assert_int_equal(mq_tar_create(&w, keep, &b, &err), 0);
	assert_int_equal(mq_tar_begin(w, "x", 3, 0, &err), 0);
	assert_int_equal(mq_tar_put(w, "four", 4, &err), MQ_EUSAGE);
	assert_int_equal(mq_tar_begin(w, "y", 3, 0, &err), MQ_EUSAGE);
	assert_int_equal(mq_tar_put(w, "thr", 3, &err), 0);
	assert_int_equal(mq_tar_begin(w, "y", 1, 0, &err), 0);
	assert_int_equal(mq_tar_finish(w, &err), MQ_EUSAGE);
	mq_buf_release(&b.buf);
}

/* A gigabyte of zeros in some kilobytes: the reader takes as much as it wants, and no more is made than that. */
static void what_is_claimed_is_not_made_in_memory(void **state)
{
	(void)state;
	struct bytes b = {.buf = MQ_BUF_INIT};
	struct mq_err err = MQ_ERR_INIT;
	struct mq_tar_writer *w;
	struct mq_tar_reader *r;
	struct mq_tar_member m;
	static char zeros[1 << 20];

	assert_int_equal(mq_tar_create(&w, keep, &b, &err), 0);
	assert_int_equal(mq_tar_begin(w, "bomb", (uint64_t)1 << 30, 0, &err), 0);
	for (int i = 0; i < 1024; i++)
		assert_int_equal(mq_tar_put(w, zeros, sizeof zeros, &err), 0);
	assert_int_equal(mq_tar_finish(w, &err), 0);
	assert_true(b.buf.len < 200000);
	assert_int_equal(mq_tar_open(&r, give, &b, &err), 0);
	assert_int_equal(mq_tar_next(r, &m, &err), 1);
	assert_true(m.size == (uint64_t)1 << 30);
	assert_int_equal(mq_tar_take(r, zeros, 100, &err), 100);
	assert_true(b.at < b.buf.len / 2);
	mq_tar_release(r);
	mq_buf_release(&b.buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_again),
		cmocka_unit_test(plain_tar_reads_it),
		cmocka_unit_test(an_archive_that_was_cut_or_changed_is_damage_or_no_archive),
		cmocka_unit_test(what_the_sink_or_the_source_says_is_what_is_told),
		cmocka_unit_test(a_member_has_just_the_bytes_that_were_announced),
		cmocka_unit_test(what_is_claimed_is_not_made_in_memory),
	};

	return cmocka_run_group_tests_name("base_tar", tests, NULL, NULL);
}
