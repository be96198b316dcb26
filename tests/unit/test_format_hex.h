/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bytes written out by hand in a test: hexadecimal digits, blanks between them as one likes. */
#ifndef TEST_FORMAT_HEX_H
#define TEST_FORMAT_HEX_H

#include <stdint.h>
#include <string.h>

/* Returns how many bytes; the rest of ret_bytes, up to room, is zero. */
static inline size_t unhex(const char *text, uint8_t *ret_bytes, size_t room)
{
	size_t digits = 0;
	memset(ret_bytes, 0, room);
	for (; *text; text++) {
		int v = *text >= '0' && *text <= '9' ? *text - '0' : *text >= 'a' && *text <= 'f' ? *text - 'a' + 10 : -1;
		if (v < 0)
			continue;
		assert_true(digits / 2 < room);
		ret_bytes[digits / 2] = (uint8_t)(ret_bytes[digits / 2] << 4 | v);
		digits++;
	}
	assert_int_equal(digits % 2, 0);
	return digits / 2;
}

#endif
