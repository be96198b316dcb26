/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A byte buffer that grows.  init needs no memory; release gives it up; clear keeps it.
 * Growing doubles; no call ends the process: -ENOMEM comes back.
 */
#ifndef MQ_BASE_BUF_H
#define MQ_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct mq_buf {
	char *p;
	size_t len, cap;
};

#define MQ_BUF_INIT {0, 0, 0}

void mq_buf_init(struct mq_buf *b);
void mq_buf_release(struct mq_buf *b);
void mq_buf_clear(struct mq_buf *b);
/* Room for `more` bytes behind len (at most SIZE_MAX / 2 in all); 0 or -ENOMEM. */
int mq_buf_reserve(struct mq_buf *b, size_t more);
int mq_buf_add(struct mq_buf *b, const void *bytes, size_t n);
int mq_buf_add_byte(struct mq_buf *b, char c);
int mq_buf_add_le32(struct mq_buf *b, uint32_t v);
int mq_buf_add_le64(struct mq_buf *b, uint64_t v);
int mq_buf_printf(struct mq_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drop the first n bytes. */
void mq_buf_drop(struct mq_buf *b, size_t n);

#endif
