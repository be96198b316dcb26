/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/sink.h"

#include <errno.h>
#include <sys/stat.h>

#include "ops/ops.h"
#include "sys/sys.h"

enum { PIPE_BYTES = 1 << 20 };

void mq_sink_init(struct mq_sink *s, struct mq *mq, int fd)
{
	struct mq_stat st;

	*s = (struct mq_sink){.fd = fd, .mq = mq};
	s->unknown = mq_sys->stat(fd, &st);
	if (s->unknown < 0)
		return;
	s->kind = S_ISFIFO(st.mode)   ? MQ_SINK_PIPE
	          : S_ISREG(st.mode)  ? MQ_SINK_FILE
	          : S_ISSOCK(st.mode) ? MQ_SINK_SOCKET
	                              : MQ_SINK_PLAIN;
	if (s->kind == MQ_SINK_PIPE) /* refused where a user has too many large ones: then it stays as it is */
		mq_sys->pipe_size(fd, PIPE_BYTES);
}

void mq_sink_release(struct mq_sink *s)
{
	mq_buf_release(&s->buf);
}

/* Until it takes something, or a stop was asked. */
static int wait_writable(struct mq_sink *s)
{
	struct pollfd fds[] = {{.fd = s->fd, .events = POLLOUT}, {.fd = mq_stop_fd(s->mq), .events = POLLIN}};
	int rc = mq_sys->poll(fds, 2, -1);
	return rc == -EINTR ? 0 : rc;
}

static int write_all(struct mq_sink *s, const char *p, size_t n, struct mq_err *err)
{
	if (s->unknown < 0) /* what it is decides what is done */
		return mq_ops_output_failed(err, s->unknown);
	while (n) {
		ssize_t k = mq_sys->write(s->fd, p, n);
		if (k == -EAGAIN)
			k = wait_writable(s) < 0 ? -EIO : -EINTR;
		if (k == -EINTR) {
			if (mq_stopping(s->mq))
				return -EINTR;
			continue;
		}
		if (k == -EPIPE) {
			s->gone = true;
			return -EPIPE;
		}
		if (k < 0)
			return mq_ops_output_failed(err, (int)k);
		s->written += (uint64_t)k;
		p += k;
		n -= (size_t)k;
		if (n && mq_stopping(s->mq))
			return -EINTR;
	}
	return 0;
}

int mq_sink_flush(struct mq_sink *s, struct mq_err *err)
{
	if (!s->buf.len)
		return 0;
	int rc = write_all(s, s->buf.p, s->buf.len, err);
	mq_buf_clear(&s->buf);
	return rc;
}

int mq_sink_write(struct mq_sink *s, const void *bytes, size_t n, struct mq_err *err)
{
	int rc = mq_sink_flush(s, err);
	return rc < 0 ? rc : write_all(s, bytes, n, err);
}

void mq_sink_look(struct mq_sink *s)
{
	int unread;

	if (s->kind == MQ_SINK_PLAIN) {
		s->done = s->written;
		return;
	}
	if (s->kind == MQ_SINK_FILE || s->done == s->written || mq_sys->unread(s->fd, &unread) < 0)
		return;
	if (s->kind == MQ_SINK_SOCKET) {
		if (unread == 0)
			s->done = s->written;
		return;
	}
	/* Others may write to this pipe as well: then less is known to be taken. */
	uint64_t taken = (uint64_t)unread < s->written ? s->written - (uint64_t)unread : 0;
	if (taken > s->taken) {
		s->done = s->taken;
		s->taken = taken;
	}
}

int mq_sink_sync(struct mq_sink *s, struct mq_err *err)
{
	if (s->kind != MQ_SINK_FILE || s->done == s->written)
		return 0;
	int rc = mq_sys->fdatasync(s->fd);
	if (rc < 0)
		return mq_err_sys(err, rc, "cannot sync the output");
	s->done = s->written;
	return 0;
}

int mq_sink_drained(struct mq_sink *s)
{
	struct pollfd fd = {.fd = s->fd, .events = POLLOUT};
	int unread;

	mq_sink_look(s);
	if (s->done == s->written)
		return 1;
	if (s->kind == MQ_SINK_PIPE && mq_sys->unread(s->fd, &unread) == 0 && unread == 0) {
		s->done = s->written;
		return 1;
	}
	if (mq_sys->poll(&fd, 1, 0) > 0 && (fd.revents & (POLLERR | POLLNVAL)))
		return -EPIPE;
	return 0;
}
