/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/b64.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static const char DIGITS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int mq_b64_encode(struct mq_buf *out, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	if (mq_buf_reserve(out, (n + 2) / 3 * 4) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i += 3) {
		unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
		char *to = out->p + out->len;
		to[0] = DIGITS[v >> 18];
		to[1] = DIGITS[v >> 12 & 63];
		to[2] = i + 1 < n ? DIGITS[v >> 6 & 63] : '=';
		to[3] = i + 2 < n ? DIGITS[v & 63] : '=';
		out->len += 4;
	}
	return 0;
}

static int digit(char c)
{
	const char *at = c ? strchr(DIGITS, c) : NULL;
	return at ? (int)(at - DIGITS) : -1;
}

int mq_b64_decode(struct mq_buf *out, const char *text, size_t n)
{
	if (n % 4)
		return -EINVAL;
	if (mq_buf_reserve(out, n / 4 * 3 + 1) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i += 4) {
		bool last = i + 4 == n;
		int pad = last && text[i + 3] == '=' ? 1 + (text[i + 2] == '=') : 0, d[4];
		for (int k = 0; k < 4; k++) {
			d[k] = k >= 4 - pad ? 0 : digit(text[i + (size_t)k]);
			if (d[k] < 0)
				return -EINVAL;
		}
		unsigned v = (unsigned)d[0] << 18 | (unsigned)d[1] << 12 | (unsigned)d[2] << 6 | (unsigned)d[3];
		char *to = out->p + out->len;
		to[0] = (char)(v >> 16);
		to[1] = (char)(v >> 8);
		to[2] = (char)v;
		out->len += (size_t)(3 - pad);
	}
	return 0;
}
