/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Written by hand: a record is formed many times faster than through a tree of values. */
#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "base/when.h"
#include "ops/b64.h"
#include "ops/form.h"

static int put(struct mq_buf *out, const char *text)
{
	return mq_buf_add(out, text, strlen(text));
}

static int put_number(struct mq_buf *out, uint64_t n)
{
	char digits[20];
	size_t at = sizeof digits;
	do
		digits[--at] = (char)('0' + n % 10);
	while ((n /= 10));
	return mq_buf_add(out, digits + at, sizeof digits - at);
}

/* Records of a batch mostly have one time: it is formed once. */
static int put_time(struct mq_buf *out, int64_t us)
{
	static _Thread_local char text[MQ_WHEN_TEXT_MAX];
	static _Thread_local int64_t of_us;
	if (us != of_us || !*text) {
		mq_when_format(us, text);
		of_us = us;
	}
	return put(out, text);
}

/* \" \\ \n …, or \u and the character's number.  At most 6 bytes. */
static char *escape(char *to, unsigned c)
{
	static const char hex[] = "0123456789abcdef";
	*to++ = '\\';
	if (c == '"' || c == '\\') {
		*to++ = (char)c;
	} else if (c == '\n' || c == '\t' || c == '\r') {
		*to++ = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
	} else {
		*to++ = 'u';
		for (int shift = 12; shift >= 0; shift -= 4)
			*to++ = hex[c >> shift & 15];
	}
	return to;
}

/* The sequence at p, of two or three bytes. */
static unsigned decode(const unsigned char *p, size_t len)
{
	return len == 2 ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu) : (p[0] & 0xfu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
}

/* A string with its quotes; p is UTF-8.  What JSON does not ask to be escaped, and steers a terminal, is for one. */
static int put_string(struct mq_buf *out, const char *p, size_t n, bool visible)
{
	if (mq_buf_reserve(out, 6 * n + 2) < 0)
		return -ENOMEM;
	char *to = out->p + out->len;
	*to++ = '"';
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		if (c >= 0x20 && c != '"' && c != '\\' && (c < 0x7f || !visible)) {
			*to++ = (char)c;
			continue;
		}
		size_t len = c < 0x7f ? 1 : mq_utf8_len(p + i, n - i);
		if (c < 0x7f || !mq_utf8_prints(p + i, len)) {
			to = escape(to, len == 1 ? c : decode((const unsigned char *)p + i, len));
		} else {
			memcpy(to, p + i, len);
			to += len;
		}
		i += len - 1;
	}
	*to++ = '"';
	out->len = (size_t)(to - out->p);
	return 0;
}

/* ,"name":"text" or ,"name_b64":"…"; nothing where there is none. */
static int put_member(struct mq_buf *out, const char *name, const char *p, uint32_t n, bool visible)
{
	if (!p)
		return 0;
	bool text = mq_utf8_ok(p, n);
	int rc = put(out, ",\"");
	if (rc == 0)
		rc = put(out, name);
	if (rc == 0)
		rc = put(out, text ? "\":" : "_b64\":");
	if (rc < 0)
		return rc;
	if (text)
		return put_string(out, p, n, visible);
	rc = put(out, "\"");
	if (rc == 0)
		rc = mq_b64_encode(out, p, n);
	return rc < 0 ? rc : put(out, "\"");
}

/* --- headers -------------------------------------------------------------------------------- */

struct headers {
	bool repeat, text; /* a name comes twice; all is UTF-8 */
	unsigned n;
};

static struct headers look(const struct mq_rec *r)
{
	struct headers found = {.text = true};
	const char *at = r->headers, *end = at + r->headers_len;
	struct mq_header_view h, other;
	while (at && mq_header_next(&at, end, &h) > 0) {
		const char *later = at;
		found.n++;
		/* A name that is not UTF-8 is lost in JSON anyhow: shown as an array of base64 would not help. */
		if (!mq_utf8_ok(h.value, h.value_len) || !mq_utf8_ok(h.name, h.name_len))
			found.text = false;
		while (!found.repeat && mq_header_next(&later, end, &other) > 0)
			found.repeat = other.name_len == h.name_len && memcmp(other.name, h.name, h.name_len) == 0;
	}
	return found;
}

static int put_value(struct mq_buf *out, const struct mq_header_view *h, bool text, bool visible)
{
	if (text)
		return put_string(out, h->value, h->value_len, visible);
	int rc = put(out, "\"");
	if (rc == 0)
		rc = mq_b64_encode(out, h->value, h->value_len);
	return rc < 0 ? rc : put(out, "\"");
}

/* A name is a member's name and must be text: bytes that are none become U+FFFD. */
static int put_name(struct mq_buf *out, const struct mq_header_view *h, bool visible)
{
	struct mq_buf clean = MQ_BUF_INIT;
	int rc = 0;
	if (mq_utf8_ok(h->name, h->name_len))
		return put_string(out, h->name, h->name_len, visible);
	for (size_t at = 0; at < h->name_len && rc == 0;) {
		size_t len = mq_utf8_len(h->name + at, h->name_len - at);
		rc = len ? mq_buf_add(&clean, h->name + at, len) : put(&clean, "\xef\xbf\xbd");
		at += len ? len : 1;
	}
	if (rc == 0)
		rc = put_string(out, clean.p, clean.len, visible);
	mq_buf_release(&clean);
	return rc;
}

static int put_headers(struct mq_buf *out, const struct mq_rec *r, bool visible)
{
	if (!r->headers_len)
		return 0;
	struct headers what = look(r);
	const char *at = r->headers, *end = at + r->headers_len;
	struct mq_header_view h;
	bool first = true;
	int rc = put(out, what.text ? ",\"headers\":" : ",\"headers_b64\":");
	if (rc == 0)
		rc = put(out, what.repeat ? "[" : "{");
	while (rc == 0 && mq_header_next(&at, end, &h) > 0) {
		rc = put(out, first ? what.repeat ? "[" : "" : what.repeat ? ",[" : ",");
		first = false;
		if (rc == 0)
			rc = put_name(out, &h, visible);
		if (rc == 0)
			rc = put(out, what.repeat ? "," : ":");
		if (rc == 0)
			rc = put_value(out, &h, what.text, visible);
		if (rc == 0 && what.repeat)
			rc = put(out, "]");
	}
	return rc < 0 ? rc : put(out, what.repeat ? "]" : "}");
}

int mq_form_json(struct mq_buf *out, const struct mq_form_place *place, const struct mq_rec *r, bool visible)
{
	bool timed = r->time_us != MQ_FORM_NO_TIME;
	int rc = put(out, "{\"v\":1,\"topic\":\"");
	if (rc == 0)
		rc = put(out, place->topic);
	if (rc == 0)
		rc = put(out, "\",\"partition\":");
	if (rc == 0)
		rc = put_number(out, place->partition);
	if (rc == 0)
		rc = put(out, ",\"offset\":");
	if (rc == 0)
		rc = put_number(out, r->offset);
	if (rc == 0)
		rc = put(out, timed ? ",\"timestamp\":\"" : ",\"timestamp\":null");
	if (rc == 0 && timed)
		rc = put_time(out, r->time_us);
	if (rc == 0 && timed)
		rc = put(out, "\"");
	if (rc == 0)
		rc = put_member(out, "key", r->key, r->key_len, visible);
	if (rc == 0)
		rc = put_headers(out, r, visible);
	if (rc == 0)
		rc = put_member(out, "tag", r->tag, r->tag_len, visible);
	if (rc == 0)
		rc = put_member(out, "id", r->id, r->id_len, visible);
	if (rc == 0 && r->expiry_us > 0) {
		char when[MQ_WHEN_TEXT_MAX];
		mq_when_format(r->expiry_us, when);
		rc = mq_buf_printf(out, ",\"expiry\":\"%s\"", when);
	}
	if (rc == 0)
		rc = put_member(out, "payload", r->payload ? r->payload : "", r->payload_len, visible);
	return rc < 0 ? rc : put(out, "}\n");
}
