/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --format, compiled into pieces: a byte 0, then the letter; or a byte 1, a length (u32) and bytes as they are.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/bytes.h"
#include "base/parse.h"
#include "ops/form.h"

enum { PIECE_LETTER, PIECE_BYTES };

/* --- compiling ------------------------------------------------------------------------------ */

static int add_bytes(struct mq_buf *to, struct mq_buf *bytes)
{
	int rc = 0;
	if (bytes->len) {
		rc = mq_buf_add_byte(to, PIECE_BYTES);
		if (rc == 0)
			rc = mq_buf_add_le32(to, (uint32_t)bytes->len);
		if (rc == 0)
			rc = mq_buf_add(to, bytes->p, bytes->len);
	}
	mq_buf_clear(bytes);
	return rc;
}

/* What stands behind a backslash; *at moves behind it.  -EINVAL. */
static int take_escape(const char **at, struct mq_buf *bytes)
{
	static const char from[] = "ntr0\\", to[] = "\n\t\r\0\\";
	const char *known = **at ? strchr(from, **at) : NULL;
	uint8_t c;
	if (known) {
		++*at;
		return mq_buf_add_byte(bytes, to[known - from]);
	}
	if (**at != 'x' || mq_to_hex(*at + 1, strnlen(*at + 1, 2), &c, 1) != 0)
		return -EINVAL;
	*at += 3;
	return mq_buf_add_byte(bytes, (char)c);
}

static int compile(struct mq_buf *ret, struct mq_buf *bytes, const char *format, struct mq_err *err)
{
	int rc = 0;
	for (const char *at = format; *at && rc == 0;) {
		char c = *at++;
		if (c == '\\') {
			const char *from = at - 1;
			rc = take_escape(&at, bytes);
			if (rc == -EINVAL)
				return mq_err_set(err, MQ_EUSAGE, "'%s': \\n \\t \\r \\0 \\\\ \\xHH are understood, not '%.2s' (--format)",
				                  format, from);
		} else if (c == '%' && *at != '%') {
			if (!*at || !strchr("tpoksSKTh", *at))
				return mq_err_set(err, MQ_EUSAGE, "'%s': %%%s%.1s is none of %%t %%p %%o %%k %%s %%S %%K %%T %%h %%%% (--format)",
				                  format, *at ? "" : "(end)", at);
			rc = add_bytes(ret, bytes);
			if (rc == 0)
				rc = mq_buf_add_byte(ret, PIECE_LETTER);
			if (rc == 0)
				rc = mq_buf_add_byte(ret, *at++);
		} else {
			at += c == '%';
			rc = mq_buf_add_byte(bytes, c);
		}
	}
	return rc < 0 ? rc : add_bytes(ret, bytes);
}

int mq_form_compile(struct mq_buf *ret, const char *format, struct mq_err *err)
{
	struct mq_buf bytes = MQ_BUF_INIT;
	mq_buf_clear(ret);
	int rc = compile(ret, &bytes, format, err);
	mq_buf_release(&bytes);
	return rc == -ENOMEM ? mq_err_set(err, rc, "out of memory") : rc;
}

/* --- forming -------------------------------------------------------------------------------- */

static int put_bytes(struct mq_buf *out, const char *p, uint32_t n, bool visible)
{
	return visible ? mq_form_visible(out, p, n) : mq_buf_add(out, p, n);
}

static int put_headers(struct mq_buf *out, const struct mq_rec *r, bool visible)
{
	const char *at = r->headers;
	struct mq_header_view h;
	int rc = 0;
	for (bool first = true; rc == 0 && at && mq_header_next(&at, r->headers + r->headers_len, &h) > 0; first = false) {
		rc = first ? 0 : mq_buf_add_byte(out, ',');
		if (rc == 0)
			rc = put_bytes(out, h.name, h.name_len, visible);
		if (rc == 0)
			rc = mq_buf_add_byte(out, '=');
		if (rc == 0)
			rc = put_bytes(out, h.value, h.value_len, visible);
	}
	return rc;
}

static int put_letter(struct mq_buf *out, char letter, const struct mq_form_place *place, const struct mq_rec *r, bool visible)
{
	switch (letter) {
	case 't': return mq_buf_add(out, place->topic, strlen(place->topic));
	case 'p': return mq_buf_printf(out, "%" PRIu32, place->partition);
	case 'o': return mq_buf_printf(out, "%" PRIu64, r->offset);
	case 'k': return r->key ? put_bytes(out, r->key, r->key_len, visible) : 0;
	case 's': return put_bytes(out, r->payload, r->payload_len, visible);
	case 'S': return mq_buf_printf(out, "%" PRIu32, r->payload_len);
	case 'K': return r->key ? mq_buf_printf(out, "%" PRIu32, r->key_len) : mq_buf_printf(out, "-1");
	case 'T': return mq_buf_printf(out, "%" PRId64, r->time_us / 1000);
	default: return put_headers(out, r, visible);
	}
}

int mq_form_format(struct mq_buf *out, const struct mq_buf *compiled, const struct mq_form_place *place, const struct mq_rec *r,
                   bool visible)
{
	const char *at = compiled->p, *end = at + compiled->len;
	int rc = 0;
	while (at < end && rc == 0) {
		if (*at == PIECE_LETTER) {
			rc = put_letter(out, at[1], place, r, visible);
			at += 2;
		} else {
			uint32_t n = mq_get_le32(at + 1);
			rc = mq_buf_add(out, at + 5, n);
			at += 5 + n;
		}
	}
	return rc;
}
