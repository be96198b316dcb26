/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What handlers write to stderr: passed on as it comes, byte for byte, and the end of it kept for a dead letter.
 *
 * Each job has a pipe for it, which outlives its processes: one that writes nothing costs one look, when it has ended.  What our
 * own stderr does not take now stays in the pipe, so that the handler waits, not we; but for what is there when it has ended.
 * Where no pipe can be had, or they have a fifth of all descriptors, it writes to our stderr itself, and nothing is kept.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ops/handler.h"
#include "sys/sys.h"

enum {
	CHUNK_BYTES = 4096,   /* what a pipe that takes something takes for certain */
	CHUNKS_AT_END = 256,  /* a descendant of the handler may write for ever */
};
static const int64_t PATIENCE_NS = INT64_C(1000000000);

void mq_stderr_open(const struct mq_consume *c, struct mq_job *j)
{
	mq_stderr_forget(j);
	if (j->err[1] || !mq_retry_applies(c))
		return;
	mq_stderr_close(c, j);
	if (c->handlers->stderrs <= 0)
		return;
	j->err_nth = -1;
	j->tail = calloc(1, sizeof *j->tail);
	c->handlers->stderrs -= j->tail && mq_sys->pipe(j->err) == 0;
	if (!j->err[0] || mq_sys->set_nonblock(j->err[0], true) < 0)
		mq_stderr_close(c, j);
}

void mq_stderr_shut(struct mq_job *j)
{
	if (j->err[1])
		mq_sys->close(j->err[1]);
	j->err[1] = 0;
}

void mq_stderr_close(const struct mq_consume *c, struct mq_job *j)
{
	mq_stderr_shut(j);
	if (j->err[0]) {
		mq_sys->close(j->err[0]);
		c->handlers->stderrs++;
	}
	j->err[0] = 0;
	j->err_heard = j->err_stands = false;
	free(j->tail);
	j->tail = NULL;
}

void mq_stderr_forget(struct mq_job *j)
{
	if (j->tail)
		j->tail->all = 0;
}

static void keep(struct mq_tail *t, const char *p, size_t n)
{
	if (n > sizeof t->bytes) {
		p += n - sizeof t->bytes;
		t->all += n - sizeof t->bytes;
		n = sizeof t->bytes;
	}
	size_t at = t->all % sizeof t->bytes, first = n < sizeof t->bytes - at ? n : sizeof t->bytes - at;
	memcpy(t->bytes + at, p, first);
	memcpy(t->bytes, p + first, n - first);
	t->all += n;
}

size_t mq_stderr_end(const struct mq_job *j, char *ret)
{
	const struct mq_tail *t = j->tail;
	if (!t)
		return 0;
	size_t n = t->all < sizeof t->bytes ? (size_t)t->all : sizeof t->bytes, at = t->all % sizeof t->bytes;

	if (t->all <= sizeof t->bytes) {
		memcpy(ret, t->bytes, n);
	} else {
		memcpy(ret, t->bytes + at, sizeof t->bytes - at);
		memcpy(ret + sizeof t->bytes - at, t->bytes, at);
	}
	return n;
}

static bool is_taken(const struct mq_consume *c, int64_t wait_ns)
{
	struct pollfd p = {.fd = c->req->err_fd, .events = POLLOUT};

	return mq_sys->poll(&p, 1, wait_ns) > 0;
}

/* Who cannot be written to has closed it, or is full for good: that is no failure of the record, as it is none of a program that
 * says something there. */
static void pass_on(const struct mq_consume *c, const char *p, size_t n)
{
	while (n) {
		ssize_t w = mq_sys->write(c->req->err_fd, p, n);
		if (w == -EINTR || (w == -EAGAIN && is_taken(c, PATIENCE_NS)))
			continue;
		if (w <= 0)
			return;
		p += w;
		n -= (size_t)w;
	}
}

bool mq_stderr_take(const struct mq_consume *c, struct mq_job *j, bool ended)
{
	char buf[CHUNK_BYTES];
	bool some = false;

	j->err_heard = j->err_stands = false;
	for (int i = 0; j->err[0] && i < CHUNKS_AT_END; i++) {
		if (!ended && !is_taken(c, 0)) {
			j->err_stands = true;
			return some;
		}
		ssize_t n = mq_sys->read(j->err[0], buf, sizeof buf);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return some;
		keep(j->tail, buf, (size_t)n);
		pass_on(c, buf, (size_t)n);
		some = true;
		if ((size_t)n < sizeof buf)
			return some;
	}
	return some;
}

int mq_stderr_arm(const struct mq_consume *c, struct mq_job *j, struct mq_wait *w)
{
	if (!j->err[0])
		return 0;
	j->err_nth = j->err_stands ? mq_wait_fd(w, c->req->err_fd, POLLOUT) : mq_wait_fd(w, j->err[0], POLLIN);
	return j->err_nth < 0 ? j->err_nth : 0;
}

void mq_handlers_hear(struct mq_consume *c)
{
	struct mq_handlers *h = c->handlers;

	for (size_t i = 0; h && i < h->jobs_n; i++) {
		struct mq_job *j = &h->jobs[i];
		if (j->err[0] && j->err_nth >= 0)
			j->err_heard = mq_wait_ready(&c->wait, j->err_nth) != 0;
		j->err_nth = -1;
	}
}

bool mq_stderr_work(struct mq_consume *c)
{
	struct mq_handlers *h = c->handlers;
	bool some = false;

	for (size_t i = 0; i < h->jobs_n; i++)
		if (h->jobs[i].err_heard)
			some |= mq_stderr_take(c, &h->jobs[i], false);
	return some;
}
