/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One partition on a real directory, for the tests of log/: make it, append, read it back, damage it. */
#ifndef MQ_TESTS_UNIT_TEST_LOG_BED_H
#define MQ_TESTS_UNIT_TEST_LOG_BED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "log/cursor.h"
#include "log/log.h"

struct bed {
	char path[64];
	int dir;
	struct mq_log_options opt;
};

static inline int setup(void **state)
{
	struct bed *bed = calloc(1, sizeof *bed);
	struct mq_err err = MQ_ERR_INIT;

	snprintf(bed->path, sizeof bed->path, "log-XXXXXX");
	assert_non_null(mkdtemp(bed->path));
	bed->dir = open(bed->path, O_RDONLY | O_DIRECTORY);
	memset(bed->opt.topic_id, 7, 16);
	bed->opt.segment_bytes = 1 << 20;
	bed->opt.mode = 0640;
	bed->opt.label = "t/0";
	if (mq_log_create(bed->dir, &bed->opt, &err) < 0)
		fail_msg("%s", err.text);
	*state = bed;
	return 0;
}

static inline int teardown(void **state)
{
	struct bed *bed = *state;
	char command[128];

	close(bed->dir);
	snprintf(command, sizeof command, "rm -rf %s", bed->path);
	assert_int_equal(system(command), 0);
	free(bed);
	return 0;
}

static inline struct mq_batch lines(const char *text, uint32_t count, enum mq_ack ack)
{
	struct mq_batch b = {.kind = MQ_BATCH_LINES, .ack = ack, .count = count};

	b.stored_len = b.raw_len = (uint32_t)strlen(text);
	b.body_crc = mq_crc32c(0, text, strlen(text));
	return b;
}

static inline struct mq_log_ticket append(struct mq_log *log, const char *text, uint32_t count, enum mq_ack ack)
{
	struct mq_err err = MQ_ERR_INIT;
	struct mq_batch b = lines(text, count, ack);
	struct mq_log_ticket t;

	if (mq_log_append(log, &b, text, &t, &err) < 0)
		fail_msg("append: %s", err.text);
	return t;
}

static inline void wait_for(struct mq_log *log, const struct mq_log_ticket *t, enum mq_ack level)
{
	struct mq_err err = MQ_ERR_INIT;

	if (mq_log_wait(log, t, level, &err) < 0)
		fail_msg("wait: %s", err.text);
}

static inline struct mq_log *open_log(struct bed *bed)
{
	struct mq_log *log = malloc(sizeof *log);
	struct mq_err err = MQ_ERR_INIT;

	if (mq_log_open(log, bed->dir, &bed->opt, &err) < 0)
		fail_msg("open: %s", err.text);
	return log;
}

static inline void close_log(struct mq_log *log)
{
	mq_log_release(log);
	free(log);
}

/* All that a reader sees from offset on, joined; damage shows as "<from-to>". */
static inline char *read_all(struct bed *bed, uint64_t from, uint64_t *ret_next)
{
	struct mq_cursor c;
	struct mq_err err = MQ_ERR_INIT;
	struct mq_cursor_view v;
	struct mq_cursor_loss loss;
	struct mq_buf out = MQ_BUF_INIT;
	int rc;

	if (mq_cursor_open(&c, bed->dir, "t/0", bed->opt.topic_id, bed->opt.partition, &err) < 0 || mq_cursor_seek(&c, from, &err) < 0)
		fail_msg("cursor: %s", err.text);
	while ((rc = mq_cursor_next(&c, &v, &loss, &err)) != 0) {
		if (rc == 1)
			mq_buf_add(&out, v.body, v.batch.stored_len);
		else if (rc == MQ_EDAMAGE)
			mq_buf_printf(&out, "<%llu-%llu%s>", (unsigned long long)loss.from, (unsigned long long)loss.to,
			              loss.damage ? "" : " told");
		else
			fail_msg("next: %s", err.text);
	}
	mq_buf_add_byte(&out, 0);
	if (ret_next)
		*ret_next = c.visible_offset;
	mq_cursor_release(&c);
	return out.p;
}

static inline void expect(struct bed *bed, uint64_t from, const char *want)
{
	char *got = read_all(bed, from, NULL);

	assert_string_equal(got, want);
	free(got);
}

/* Of whatever state says. */
static inline void find_head(struct bed *bed, struct mq_segment_header *ret)
{
	struct mq_segment_header ours = mq_chain_told(bed->opt.topic_id, bed->opt.partition, &(struct mq_tail){0});
	struct mq_err err = MQ_ERR_INIT;

	if (mq_chain_find_head(bed->dir, &ours, ret, &err) != 1)
		fail_msg("head: %s", err.text);
}

/* The path of the only segment file. */
static inline void head_path(struct bed *bed, char *ret, size_t len)
{
	struct mq_segment_header h;
	char name[MQ_SEGMENT_NAME_MAX];

	find_head(bed, &h);
	mq_segment_name(h.base_offset, &h.id, "seg", name);
	snprintf(ret, len, "%s/%s", bed->path, name);
}

static inline void flip(const char *path, off_t at)
{
	int fd = open(path, O_RDWR);
	char c;

	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
	close(fd);
}

/* What a power loss leaves of state: its bytes as they were, told by no boot or mount; here another inode. */
static inline void lose_power(struct bed *bed)
{
	static char bytes[12 * 4096];
	int from = openat(bed->dir, "state", O_RDONLY), to = openat(bed->dir, "x", O_WRONLY | O_CREAT | O_EXCL, 0640);

	assert_int_equal(read(from, bytes, sizeof bytes), sizeof bytes);
	assert_int_equal(write(to, bytes, sizeof bytes), sizeof bytes);
	close(from);
	close(to);
	assert_int_equal(renameat(bed->dir, "x", bed->dir, "state"), 0);
}

#endif
