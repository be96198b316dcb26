/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Frames as input: frame.h. */
#include "ops/frame.h"
#include "ops/publish.h"

static int refuse(struct mq_publish *pub, const struct mq_input *in, uint64_t at, const char *why)
{
	return mq_err_set(pub->err, MQ_EINPUT, "%s: byte %llu: %s (record %llu)", in->name, (unsigned long long)at, why,
	                  (unsigned long long)pub->record_no);
}

/* What the request gives to every record, where the frame does not say otherwise. */
static void add_common(const struct mq_rec *c, struct mq_rec *r)
{
	if (!r->key) {
		r->key = c->key;
		r->key_len = c->key_len;
	}
	if (!r->headers) {
		r->headers = c->headers;
		r->headers_len = c->headers_len;
	}
	if (!r->id) {
		r->id = c->id;
		r->id_len = c->id_len;
	}
	if (!r->tag) {
		r->tag = c->tag;
		r->tag_len = c->tag_len;
	}
	r->due_us = c->due_us;
	if (!r->expiry_us)
		r->expiry_us = c->expiry_us;
}

static int take_frame(struct mq_publish *pub, struct mq_input *in, const char *line, size_t len, uint64_t start)
{
	struct mq_rec r;
	size_t bad;

	if (in->p[in->pos - 1] != '\n' || in->passed - start != len + 1)
		return refuse(pub, in, start + len, "the frame's line has no end");
	if (mq_frame_parse(line, len, &r, &bad) < 0)
		return refuse(pub, in, start + bad, "no frame (mqf1 KEY HEADERS ID TAG PAYLOAD TIME EXPIRY)");
	/* Before any memory is taken. */
	uint64_t body = mq_frame_body_len(&r), max = pub->facts.max_message_bytes;
	if (r.payload_len > max || body - r.payload_len > max)
		return mq_publish_too_large(pub, in);
	uint64_t body_at = in->passed;
	int rc = mq_input_need(in, (size_t)body, pub->err);
	if (rc == 0 && in->len - in->pos < body)
		return refuse(pub, in, body_at + in->len - in->pos, "the input ends within a frame");
	if (rc < 0)
		return rc;
	if (mq_frame_point(&r, in->p + in->pos, &bad) < 0)
		return refuse(pub, in, body_at + bad, "the frame's headers do not fit their length");
	mq_input_take(in, (size_t)body);
	add_common(&pub->common, &r);
	return mq_publish_record(pub, &r);
}

int mq_publish_frames(struct mq_publish *pub, struct mq_input *in)
{
	const char *line;
	size_t len;

	for (;;) {
		uint64_t start = in->passed;
		int rc = mq_input_line(in, "\n", 1, MQ_FRAME_LINE_MAX, &line, &len, pub->err);
		if (rc == 0)
			return 0;
		pub->record_no += rc > 0 || rc == MQ_EINPUT;
		if (rc == MQ_EINPUT && !pub->err->code)
			rc = refuse(pub, in, start, "no frame: its line does not end");
		else if (rc > 0)
			rc = take_frame(pub, in, line, len, start);
		if (rc < 0)
			return rc;
	}
}
