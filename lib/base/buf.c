/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

enum { CAP_MIN = 64 };

void mq_buf_init(struct mq_buf *b)
{
	*b = (struct mq_buf)MQ_BUF_INIT;
}

void mq_buf_release(struct mq_buf *b)
{
	if (!b)
		return;
	free(b->p);
	mq_buf_init(b);
}

void mq_buf_clear(struct mq_buf *b)
{
	b->len = 0;
}

int mq_buf_reserve(struct mq_buf *b, size_t more)
{
	if (more <= b->cap - b->len && b->p)
		return 0;
	if (more > SIZE_MAX / 2 - b->len)
		return -ENOMEM;
	size_t cap = b->cap * 2;
	if (cap < b->len + more)
		cap = b->len + more;
	if (cap < CAP_MIN)
		cap = CAP_MIN;
	char *p = realloc(b->p, cap);
	if (!p)
		return -ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

int mq_buf_add(struct mq_buf *b, const void *bytes, size_t n)
{
	int rc = mq_buf_reserve(b, n);
	if (rc < 0)
		return rc;
	if (n)
		memcpy(b->p + b->len, bytes, n);
	b->len += n;
	return 0;
}

int mq_buf_add_byte(struct mq_buf *b, char c)
{
	return mq_buf_add(b, &c, 1);
}

int mq_buf_add_le32(struct mq_buf *b, uint32_t v)
{
	uint8_t bytes[4];
	mq_put_le32(bytes, v);
	return mq_buf_add(b, bytes, sizeof bytes);
}

int mq_buf_add_le64(struct mq_buf *b, uint64_t v)
{
	uint8_t bytes[8];
	mq_put_le64(bytes, v);
	return mq_buf_add(b, bytes, sizeof bytes);
}

int mq_buf_printf(struct mq_buf *b, const char *fmt, ...)
{
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	int rc = n < 0 ? -EINVAL : mq_buf_reserve(b, (size_t)n + 1); /* vsnprintf ends it with a NUL */
	if (rc == 0) {
		vsnprintf(b->p + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
	return rc;
}

void mq_buf_drop(struct mq_buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->len - n);
	b->len -= n;
}
