/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a handler prints, where that goes to a topic (--to): gathered while it runs, cut into records when it has ended well. */
#include <errno.h>
#include <string.h>

#include "ops/consume_move.h"
#include "ops/consume_to.h"
#include "ops/frame.h"
#include "ops/transfer.h"
#include "sys/sys.h"

enum { READ_BYTES = 64 << 10 };

int mq_output_open(struct mq_consume *c, struct mq_job *j, int *ret_write)
{
	int fd[2], rc = mq_sys->pipe(fd);

	if (rc < 0)
		return mq_err_sys(c->err, rc, "cannot make a pipe for what the handler prints");
	j->out = fd[0];
	*ret_write = fd[1];
	mq_buf_clear(&j->output);
	j->output_over = false;
	rc = mq_sys->set_nonblock(fd[0], true);
	return rc < 0 ? mq_err_sys(c->err, rc, "cannot read what the handler prints") : 0;
}

static void close_out(struct mq_job *j)
{
	mq_sys->close(j->out);
	j->out = -1;
}

/* Beyond what can be moved at once it is read, so that the handler ends, and forgotten. */
int mq_output_read(struct mq_consume *c, struct mq_job *j)
{
	bool some = false;

	for (unsigned i = 0; j->out >= 0 && i < 2 * MQ_TRANSFER_BYTES_MAX / READ_BYTES; i++) {
		if (mq_buf_reserve(&j->output, READ_BYTES) < 0)
			return mq_consume_no_memory(c);
		ssize_t n = mq_sys->read(j->out, j->output.p + j->output.len, READ_BYTES);
		if (n == -EAGAIN)
			break;
		if (n == -EINTR)
			continue;
		if (n < 0)
			return mq_err_sys(c->err, (int)n, "cannot read what the handler prints");
		if (n == 0)
			close_out(j);
		some = true;
		j->output_over |= j->output.len + (size_t)n > MQ_TRANSFER_BYTES_MAX;
		j->output.len = j->output_over ? 0 : j->output.len + (size_t)n;
	}
	return some;
}

/* --- records -------------------------------------------------------------------------------- */

static int refuse(struct mq_consume *c, uint64_t nth, const char *why)
{
	return mq_err_set(c->err, MQ_EINPUT, "record %llu that its handler printed: %s", (unsigned long long)nth, why);
}

static int leave(struct mq_consume *c, struct mq_task *t, const struct mq_rec *r)
{
	int rc = mq_to_need(c);

	if (rc == 0)
		rc = mq_to_fits(c, t->feed, t->offset, r);
	return rc < 0 ? rc : mq_move_leave(c, t, c->req->to, mq_to_choose(c, t->feed, r), r);
}

int mq_output_line(struct mq_consume *c, struct mq_task *t, const char *p, size_t len, uint64_t nth)
{
	const char *cut = c->req->key_delimiter, *at;
	struct mq_rec r = {.payload = p, .payload_len = (uint32_t)len};

	if (!cut)
		return leave(c, t, &r);
	at = *cut ? memmem(p, len, cut, strlen(cut)) : NULL;
	if (!at)
		return refuse(c, nth, "it has no key: the delimiter is not in it (--key-delimiter)");
	r.key = p;
	r.key_len = (uint32_t)(at - p);
	r.payload = at + strlen(cut);
	r.payload_len -= r.key_len + (uint32_t)strlen(cut);
	return leave(c, t, &r);
}

/* The last one needs no end. */
static int take_lines(struct mq_consume *c, const struct mq_buf *b, struct mq_task *t)
{
	const char *cut = c->req->delimiter ? c->req->delimiter : "\n", *p = b->p, *end = b->p + b->len;
	size_t cut_len = c->req->delimiter ? c->req->delimiter_len : 1;
	int rc = 0;

	for (uint64_t nth = 1; p < end && rc == 0; nth++) {
		const char *at = memmem(p, (size_t)(end - p), cut, cut_len);
		rc = mq_output_line(c, t, p, (size_t)((at ? at : end) - p), nth);
		p = at ? at + cut_len : end;
	}
	return rc;
}

static int take_frames(struct mq_consume *c, const struct mq_buf *b, struct mq_task *t)
{
	const char *p = b->p, *end = b->p + b->len;
	int rc = 0;

	for (uint64_t nth = 1; p < end && rc == 0; nth++) {
		const char *line_end = memchr(p, '\n', (size_t)(end - p));
		struct mq_rec r;
		size_t bad;
		if (!line_end || mq_frame_parse(p, (size_t)(line_end - p), &r, &bad) < 0)
			return refuse(c, nth, "it is no frame (mqf1 KEY HEADERS ID TAG PAYLOAD TIME EXPIRY)");
		p = line_end + 1;
		if (mq_frame_body_len(&r) > (uint64_t)(end - p))
			return refuse(c, nth, "the output ends within it");
		if (mq_frame_point(&r, p, &bad) < 0)
			return refuse(c, nth, "its headers do not fit their length");
		p += mq_frame_body_len(&r);
		rc = leave(c, t, &r);
	}
	return rc;
}

int mq_output_take(struct mq_consume *c, struct mq_job *j, struct mq_task *t)
{
	const struct mq_buf *b = &j->output;
	int rc;

	if (j->output_over)
		return mq_err_set(c->err, MQ_EINPUT, "its handler printed more than goes to a topic at once (%d MiB)", MQ_TRANSFER_BYTES_MAX >> 20);
	if (!b->len)
		return 0;
	if (c->req->to_one)
		rc = leave(c, t, &(struct mq_rec){.payload = b->p, .payload_len = (uint32_t)b->len});
	else
		rc = c->req->form == MQ_OUT_FRAMES ? take_frames(c, b, t) : take_lines(c, b, t);
	if (rc == 0)
		mq_to_turn(c, t->feed);
	if (b->len > READ_BYTES)
		mq_buf_release(&j->output);
	return rc;
}
