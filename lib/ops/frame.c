/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/frame.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"

static const char MAGIC[] = "mqf1";

/* --- writing -------------------------------------------------------------------------------- */

static char *put_number(char *to, uint64_t n, bool there)
{
	char digits[20];
	int i = 0;

	*to++ = ' ';
	if (!there) {
		*to++ = '-';
		return to;
	}
	do
		digits[i++] = (char)('0' + n % 10);
	while ((n /= 10));
	while (i)
		*to++ = digits[--i];
	return to;
}

static void put_bytes(struct mq_buf *out, const char *p, uint32_t n)
{
	if (p && n)
		memcpy(out->p + out->len, p, n);
	out->len += p ? n : 0;
}

int mq_frame_write(struct mq_buf *out, const struct mq_rec *r)
{
	if (mq_buf_reserve(out, MQ_FRAME_LINE_MAX + (size_t)mq_frame_body_len(r)) < 0)
		return -ENOMEM;
	char *to = out->p + out->len;
	memcpy(to, MAGIC, 4);
	to = put_number(to + 4, r->key_len, r->key);
	to = put_number(to, r->headers_len, r->headers_len);
	to = put_number(to, r->id_len, r->id);
	to = put_number(to, r->tag_len, r->tag);
	to = put_number(to, r->payload_len, true);
	to = put_number(to, (uint64_t)r->time_us, r->time_us > 0);
	to = put_number(to, (uint64_t)r->expiry_us, r->expiry_us > 0);
	*to++ = '\n';
	out->len = (size_t)(to - out->p);
	put_bytes(out, r->key, r->key_len);
	put_bytes(out, r->headers, r->headers_len);
	put_bytes(out, r->id, r->id_len);
	put_bytes(out, r->tag, r->tag_len);
	put_bytes(out, r->payload, r->payload_len);
	return 0;
}

/* --- reading -------------------------------------------------------------------------------- */

/* " 12" or " -": *at moves behind it; 1 a number, 0 none, MQ_EINPUT with *at at the odd byte. */
static int take_number(const char *line, size_t len, size_t *at, uint64_t *ret)
{
	size_t used;
	*ret = 0;
	if (*at >= len || line[*at] != ' ')
		return MQ_EINPUT;
	++*at;
	if (*at < len && line[*at] == '-') {
		++*at;
		return 0;
	}
	if (mq_to_u64_prefix(line + *at, len - *at, ret, &used) < 0)
		return MQ_EINPUT;
	*at += used;
	return 1;
}

static int take_length(const char *line, size_t len, size_t *at, const char **ret_there, uint32_t *ret)
{
	uint64_t n;
	size_t start = *at;
	int rc = take_number(line, len, at, &n);
	if (rc < 0)
		return rc;
	if (n > MQ_BATCH_BODY_MAX) {
		*at = start + 1;
		return MQ_EINPUT;
	}
	*ret_there = rc ? "" : NULL;
	*ret = (uint32_t)n;
	return rc;
}

static int take_time(const char *line, size_t len, size_t *at, int64_t *ret)
{
	uint64_t n;
	size_t start = *at;
	if (*at == len)
		return 0;
	int rc = take_number(line, len, at, &n);
	if (rc >= 0 && n > INT64_MAX) {
		*at = start + 1;
		rc = MQ_EINPUT;
	}
	*ret = rc < 0 ? 0 : (int64_t)n;
	return rc;
}

int mq_frame_parse(const char *line, size_t len, struct mq_rec *ret, size_t *ret_bad)
{
	struct mq_rec r = {0};
	size_t at = 0;

	while (at < 4 && at < len && line[at] == MAGIC[at])
		at++;
	int rc = at == 4 ? 0 : MQ_EINPUT;
	if (rc >= 0)
		rc = take_length(line, len, &at, &r.key, &r.key_len);
	if (rc >= 0)
		rc = take_length(line, len, &at, &r.headers, &r.headers_len);
	if (rc >= 0)
		rc = take_length(line, len, &at, &r.id, &r.id_len);
	if (rc >= 0)
		rc = take_length(line, len, &at, &r.tag, &r.tag_len);
	if (rc >= 0) {
		size_t start = at;
		rc = take_length(line, len, &at, &r.payload, &r.payload_len);
		if (rc == 0) { /* "-" is no payload */
			at = start + 1;
			rc = MQ_EINPUT;
		}
	}
	if (rc >= 0)
		rc = take_time(line, len, &at, &r.time_us);
	if (rc >= 0)
		rc = take_time(line, len, &at, &r.expiry_us);
	if (rc >= 0 && at == len) {
		*ret = r;
		return 0;
	}
	*ret_bad = at;
	return MQ_EINPUT;
}

uint64_t mq_frame_body_len(const struct mq_rec *r)
{
	return (uint64_t)(r->key ? r->key_len : 0) + r->headers_len + (r->id ? r->id_len : 0) + (r->tag ? r->tag_len : 0) +
	       r->payload_len;
}

static const char *point(const char **there, const char *at, uint32_t len)
{
	if (!*there)
		return at;
	*there = at;
	return at + len;
}

int mq_frame_point(struct mq_rec *r, const char *bytes, size_t *ret_bad)
{
	struct mq_header_view h;
	const char *at = point(&r->key, bytes, r->key_len);
	const char *header = at, *header_end = at + r->headers_len;
	int rc;

	at = point(&r->headers, at, r->headers_len);
	do
		rc = mq_header_next(&header, header_end, &h);
	while (rc > 0 && h.name_len > 0);
	if (rc > 0)
		rc = MQ_EINPUT; /* a header without a name */
	if (rc < 0) {
		*ret_bad = (size_t)(header - bytes);
		return MQ_EINPUT;
	}
	if (r->headers_len == 0)
		r->headers = NULL;
	at = point(&r->id, at, r->id_len);
	at = point(&r->tag, at, r->tag_len);
	r->payload = at;
	return 0;
}
