/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "base/utf8.h"
#include "ops/form.h"

/* --- for terminals -------------------------------------------------------------------------- */

/* M-x for bytes above 127, ^x for control bytes. */
static void put_caret(struct mq_buf *out, unsigned char c)
{
	if (c >= 0x80) {
		out->p[out->len++] = 'M';
		out->p[out->len++] = '-';
		c &= 0x7f;
	}
	if (c < 0x20 || c == 0x7f) {
		out->p[out->len++] = '^';
		c ^= 0x40;
	}
	out->p[out->len++] = (char)c;
}

int mq_form_visible(struct mq_buf *out, const char *bytes, size_t n)
{
	if (mq_buf_reserve(out, 4 * n) < 0)
		return -ENOMEM;
	for (size_t at = 0; at < n;) {
		size_t len = mq_utf8_len(bytes + at, n - at);
		if (mq_utf8_prints(bytes + at, len)) {
			memcpy(out->p + out->len, bytes + at, len);
			out->len += len;
			at += len;
		} else {
			put_caret(out, (unsigned char)bytes[at++]);
		}
	}
	return 0;
}
