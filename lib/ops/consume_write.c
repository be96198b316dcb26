/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records to the sink, in the request's form. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/lines.h"
#include "ops/consume.h"
#include "ops/form.h"
#include "ops/frame.h"
#include "sys/sys.h"

enum {
	FLUSH_BYTES = 64 << 10,  /* what is formed is written when it is so much */
	SLICE_BYTES = 64 << 10,  /* in a group lines go in slices: what a reader took is told to the slice */
};

int mq_write_check(struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	if (req->form == MQ_OUT_FORMAT)
		return mq_form_compile(&c->spare, req->format, c->err);
	if (req->delimiter && !req->delimiter_len)
		return mq_err_set(c->err, MQ_EUSAGE, "an empty delimiter ends no record (--delimiter)");
	if (req->form == MQ_OUT_POSITIONS && !req->group)
		return mq_err_set(c->err, MQ_EUSAGE, "positions are acknowledged for a group: -g GROUP is missing");
	return 0;
}

uint64_t mq_consume_allow(struct mq_consume *c, uint64_t n)
{
	if (n > c->left_count)
		n = c->left_count;
	c->pace_until_ns = 0;
	if (n && c->pace.per_second > 0)
		n = mq_pace_take(&c->pace, n, mq_sys->clock_ns(MQ_CLOCK_MONOTONIC), &c->pace_until_ns);
	return n;
}

/* --- one record ----------------------------------------------------------------------------- */

static bool holds(const char *p, uint32_t n, const char *what, size_t what_len)
{
	return what_len == 1 ? n && memchr(p, *what, n) : memmem(p, n, what, what_len) != NULL;
}

static int refuse(struct mq_consume *c, const struct mq_feed *f, const struct mq_rec *r, const char *what, const char *holds_what)
{
	bool null = c->req->delimiter && c->req->delimiter_len == 1 && !*c->req->delimiter;
	return mq_err_set(c->err, MQ_EINPUT, "%s:%" PRIu32 ":%" PRIu64 ": the %s holds %s and would be split: use --frame%s", f->topic,
	                  f->partition, r->offset, what, holds_what, null ? " or --json" : ", --json or -0");
}

static int put(struct mq_consume *c, struct mq_buf *out, const char *p, uint32_t n)
{
	return c->req->visible_control ? mq_form_visible(out, p, n) : mq_buf_add(out, p, n);
}

static int write_line(struct mq_consume *c, const struct mq_feed *f, const struct mq_rec *r, struct mq_buf *out)
{
	const struct mq_consume_request *req = c->req;
	const char *end = req->delimiter ? req->delimiter : "\n", *cut = req->key_delimiter;
	size_t end_len = req->delimiter ? req->delimiter_len : 1;
	const char *end_name = end_len == 1 && *end == '\n' ? "a newline" : "the delimiter";
	int rc = 0;

	if (holds(r->payload, r->payload_len, end, end_len))
		return refuse(c, f, r, "payload", end_name);
	if (cut && r->key && holds(r->key, r->key_len, end, end_len))
		return refuse(c, f, r, "key", end_name);
	if (cut && r->key && *cut && holds(r->key, r->key_len, cut, strlen(cut)))
		return refuse(c, f, r, "key", "the key delimiter");
	if (cut && r->key)
		rc = put(c, out, r->key, r->key_len);
	if (cut && rc == 0)
		rc = mq_buf_add(out, cut, strlen(cut));
	if (rc == 0)
		rc = put(c, out, r->payload, r->payload_len);
	return rc < 0 ? rc : mq_buf_add(out, end, end_len);
}

static int write_position(struct mq_consume *c, const struct mq_feed *f, const struct mq_rec *r, struct mq_buf *out)
{
	int rc = mq_buf_printf(out, "%s:%" PRIu32 ":%" PRIu64 ":%s\t", f->topic, f->partition, r->offset, f->token);
	return rc < 0 ? rc : write_line(c, f, r, out);
}

/* On a terminal the bytes of a frame are shown, not sent: its first line tells their lengths. */
static int write_frame(struct mq_consume *c, const struct mq_rec *r, struct mq_buf *out)
{
	size_t before = out->len, line;
	int rc = mq_frame_write(out, r);

	if (rc < 0 || !c->req->visible_control)
		return rc;
	line = before + mq_lines_skip(out->p + before, out->len - before, 1);
	mq_buf_clear(&c->spare);
	rc = mq_form_visible(&c->spare, out->p + line, out->len - line);
	out->len = line;
	return rc < 0 ? rc : mq_buf_add(out, c->spare.p, c->spare.len);
}

int mq_write_record(struct mq_consume *c, const struct mq_feed *f, const struct mq_rec *r, struct mq_buf *out)
{
	struct mq_form_place place = {f->topic, f->partition};
	size_t before = out->len;
	int rc;

	if (c->req->told) {
		c->req->told(c->req->told_arg, f->topic, f->partition, r->offset, 1);
		return 0;
	}
	switch (c->req->form) {
	case MQ_OUT_JSON: rc = mq_form_json(out, &place, r, c->req->visible_control); break;
	case MQ_OUT_FRAMES: rc = write_frame(c, r, out); break;
	case MQ_OUT_FORMAT: rc = mq_form_format(out, &c->spare, &place, r, c->req->visible_control); break;
	case MQ_OUT_POSITIONS: rc = write_position(c, f, r, out); break;
	default: rc = write_line(c, f, r, out);
	}
	if (rc < 0)
		out->len = before; /* nothing of it is shown */
	return rc == -ENOMEM ? mq_consume_no_memory(c) : rc;
}

/* --- plain lines ---------------------------------------------------------------------------- */

/* Lines are written as they lie in the batch. */
static bool as_they_are(const struct mq_consume *c)
{
	const struct mq_consume_request *req = c->req;
	if (req->told)
		return true;
	return req->form == MQ_OUT_LINES && !req->key_delimiter && !req->visible_control &&
	       (!req->delimiter || (req->delimiter_len == 1 && *req->delimiter == '\n'));
}

/* In slices of whole lines, each with its own place in what is given to the sink. */
static int write_slices(struct mq_consume *c, struct mq_feed *f, const char *p, size_t len, uint64_t first)
{
	uint64_t next = f->next;
	int rc = 0;
	for (f->next = first; len && rc == 0;) {
		size_t n = len;
		if (n > SLICE_BYTES) {
			n = mq_lines_whole(p, SLICE_BYTES);
			n = n ? n : (size_t)((const char *)memchr(p, '\n', len) + 1 - p);
		}
		rc = mq_sink_write(&c->sink, p, n, c->err);
		if (rc < 0)
			break;
		f->next = n == len ? next : f->next + mq_lines_count(p, n);
		rc = mq_group_given(c, f);
		mq_sink_look(&c->sink);
		p += n;
		len -= n;
	}
	return rc;
}

static int write_lines(struct mq_consume *c, struct mq_feed *f)
{
	const char *p;
	size_t len;
	uint64_t n, first = f->next, there = f->view.batch.next_offset - f->next;

	if (f->view.batch.kind != MQ_BATCH_LINES || c->filter.any || f->ttl_us || c->req->expired || f->walking)
		return -ENOTSUP;
	if (!mq_speed_lets(c, f->view.batch.base_time_us))
		return 0;
	n = mq_consume_allow(c, f->end - f->next < there ? f->end - f->next : there);
	if (n == 0)
		return 0;
	int rc = mq_feed_lines(c, f, n, &p, &len, &n);
	if (rc < 0)
		return rc;
	if (c->req->commit_before && f->owner)
		rc = mq_group_commit_now(c, f);
	if (rc >= 0 && c->req->told)
		c->req->told(c->req->told_arg, f->topic, f->partition, first, n);
	else if (rc >= 0)
		rc = f->owner ? write_slices(c, f, p, len, first) : mq_sink_write(&c->sink, p, len, c->err);
	if (rc < 0)
		return rc;
	c->left_count -= n;
	c->report.records += n;
	c->report.bytes += len - n;
	return 1;
}

/* --- a view --------------------------------------------------------------------------------- */

/* Write what was formed; with it the place of f is where it stands.  At most once: the place moves first. */
static int give(struct mq_consume *c, struct mq_feed *f)
{
	int rc = c->req->commit_before && f->owner && c->sink.buf.len ? mq_group_commit_now(c, f) : 0;
	if (rc == 0)
		rc = mq_sink_flush(&c->sink, c->err);
	return rc == 0 && f->owner ? mq_group_given(c, f) : rc;
}

/* What came before this one is whole, and goes; this one was not given. */
static int give_before(struct mq_consume *c, struct mq_feed *f, const struct mq_rec *r, int rc)
{
	struct mq_err why = *c->err;
	f->next = r->offset;
	give(c, f);
	*c->err = why;
	return rc;
}

/* With them what has expired would expire at once where it is published anew. */
static void leave_out_times(const struct mq_consume *c, struct mq_rec *r)
{
	r->expiry_us = 0;
	r->time_us = c->req->form == MQ_OUT_JSON ? MQ_FORM_NO_TIME : 0; /* a frame's 0 is none */
}

static int write_records(struct mq_consume *c, struct mq_feed *f)
{
	struct mq_rec r;
	int rc;

	while (c->sink.buf.len < FLUSH_BYTES) {
		if (!c->allowed)
			c->allowed = mq_consume_allow(c, c->pace.per_second > 0 ? 1 : UINT64_MAX);
		if (c->allowed > c->left_count)
			c->allowed = c->left_count; /* plain lines went meanwhile */
		if (!c->allowed)
			break;
		rc = mq_feed_record(c, f, &r);
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
		if (!mq_speed_lets(c, r.time_us)) {
			mq_feed_turn(f, r.offset);
			break;
		}
		if (c->req->expired && (c->req->form == MQ_OUT_JSON || c->req->form == MQ_OUT_FRAMES))
			leave_out_times(c, &r);
		rc = mq_write_record(c, f, &r, &c->sink.buf);
		if (rc < 0)
			return give_before(c, f, &r, rc);
		c->allowed--;
		c->left_count--;
		c->report.records++;
		c->report.bytes += r.payload_len;
	}
	rc = give(c, f);
	return rc < 0 ? rc : c->pace_until_ns ? 0 : 1;
}

int mq_write_view(struct mq_consume *c, struct mq_feed *f)
{
	int rc = as_they_are(c) ? write_lines(c, f) : -ENOTSUP;
	return rc == -ENOTSUP ? write_records(c, f) : rc;
}
