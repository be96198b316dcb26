/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "sys/sys.h"

enum { PIPE_BYTES = 1 << 20 };

void mq_input_init(struct mq_input *in, int fd, const char *name)
{
	struct mq_stat st;

	*in = (struct mq_input){.fd = fd, .name = name};
	if (mq_sys->stat(fd, &st) < 0)
		return;
	in->regular = S_ISREG(st.mode);
	in->pipe = S_ISFIFO(st.mode);
	if (in->pipe) /* refused where a user has too many large ones: then it stays as it is */
		mq_sys->pipe_size(fd, PIPE_BYTES);
}

void mq_input_release(struct mq_input *in)
{
	if (!in)
		return;
	free(in->p);
	in->p = NULL;
}

static int make_room(struct mq_input *in, size_t max)
{
	if (in->pos) {
		memmove(in->p, in->p + in->pos, in->len - in->pos);
		in->len -= in->pos;
		in->pos = 0;
	}
	if (in->len < in->cap)
		return 0;
	if (in->len >= max)
		return MQ_EINPUT;
	size_t cap = in->cap ? in->cap * 2 : MQ_INPUT_BYTES;
	if (cap > max && max > in->cap && in->cap)
		cap = max;
	char *p = realloc(in->p, cap + 1);
	if (!p)
		return -ENOMEM;
	in->p = p;
	in->cap = cap;
	return 0;
}

int mq_input_fill(struct mq_input *in, size_t max, struct mq_err *err)
{
	int rc = in->eof ? 0 : make_room(in, max);
	if (rc == -ENOMEM)
		return mq_err_set(err, rc, "%s: no memory for a record of more than %zu bytes", in->name, in->len);
	if (rc < 0 || in->eof)
		return rc;
	for (;;) {
		rc = in->before_read ? in->before_read(in->before_read_arg, in) : 0;
		if (rc < 0)
			return rc;
		size_t room = in->cap - in->len;
		ssize_t n = mq_sys->read(in->fd, in->p + in->len, room);
		if (n == -EINTR || (n == -EAGAIN && in->before_read))
			continue; /* before_read waits, and knows whether to stop */
		if (n < 0)
			return mq_err_sys(err, (int)n, "cannot read %s", in->name);
		in->eof = n == 0;
		in->filled = (size_t)n == room;
		in->len += (size_t)n;
		return n > 0;
	}
}

int mq_input_need(struct mq_input *in, size_t n, struct mq_err *err)
{
	while (in->len - in->pos < n) {
		int rc = mq_input_fill(in, n > MQ_INPUT_BYTES ? n : MQ_INPUT_BYTES, err);
		if (rc <= 0)
			return rc;
	}
	return 1;
}

void mq_input_take(struct mq_input *in, size_t n)
{
	in->pos += n;
	in->passed += n;
	in->scanned = 0;
}

static const char *find(const char *p, size_t n, const char *delimiter, size_t delimiter_len)
{
	if (delimiter_len == 1)
		return memchr(p, *delimiter, n);
	return memmem(p, n, delimiter, delimiter_len);
}

int mq_input_line(struct mq_input *in, const char *delimiter, size_t delimiter_len, size_t max, const char **ret, size_t *ret_len,
                  struct mq_err *err)
{
	for (;;) {
		const char *from = in->p + in->pos;
		size_t have = in->len - in->pos;
		const char *end = have > in->scanned
		                      ? find(from + in->scanned, have - in->scanned, delimiter, delimiter_len)
		                      : NULL;
		size_t len = end ? (size_t)(end - from) : have;
		if (len > max + (end ? 0 : delimiter_len - 1))
			return MQ_EINPUT;
		if (end || (in->eof && have)) {
			if (len > max)
				return MQ_EINPUT;
			mq_input_take(in, end ? len + delimiter_len : len);
			*ret = from;
			*ret_len = len;
			return 1;
		}
		if (in->eof)
			return 0;
		/* The delimiter may have begun in the last bytes. */
		in->scanned = have >= delimiter_len ? have - (delimiter_len - 1) : 0;
		int rc = mq_input_fill(in, max + delimiter_len, err);
		if (rc < 0)
			return rc;
	}
}
