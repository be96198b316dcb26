/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/utf8.h"

#include "base/bytes.h"

static bool follows(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
size_t mq_utf8_len(const char *bytes, size_t n)
{
	const unsigned char *p = (const unsigned char *)bytes;
	if (n == 0)
		return 0;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		return n >= 2 && follows(p[1]) ? 2 : 0;
	if ((p[0] & 0xf0) == 0xe0) {
		if (n < 3 || !follows(p[1]) || !follows(p[2]))
			return 0;
		return (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ? 0 : 3;
	}
	if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		if (n < 4 || !follows(p[1]) || !follows(p[2]) || !follows(p[3]))
			return 0;
		return (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f) ? 0 : 4;
	}
	return 0;
}

bool mq_utf8_ok(const char *p, size_t n)
{
	const char *end = p + n;
	while (p < end) {
		while (end - p >= 8 && !(mq_get_le64(p) & 0x8080808080808080u))
			p += 8;
		size_t len = mq_utf8_len(p, (size_t)(end - p));
		if (p < end && len == 0)
			return false;
		p += len;
	}
	return true;
}

/* U+0080 to U+009F move cursors, too; U+2028 and U+2029 end lines; U+202A … U+202E and U+2066 … U+2069 turn text round. */
bool mq_utf8_prints(const char *s, size_t len)
{
	const unsigned char *p = (const unsigned char *)s;
	if (len == 1)
		return p[0] == '\t' || (p[0] >= 0x20 && p[0] != 0x7f);
	if (len == 2)
		return p[0] != 0xc2 || p[1] >= 0xa0;
	if (len == 3 && p[0] == 0xe2)
		return !((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
	return len > 0;
}
