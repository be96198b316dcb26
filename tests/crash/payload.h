/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is published: each record has a serial number of its own in a scenario, and from it all its bytes. */
#ifndef MQ_TESTS_CRASH_PAYLOAD_H
#define MQ_TESTS_CRASH_PAYLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PAYLOAD_MIN = 10, PAYLOAD_MAX = 64 * 1024 };
/* Of a topic that grows: record n has the key 'a' + n % GROW_KEYS.  Those lead to all partitions of 2, of 3 and of 4; of 2 to 4
 * some stay and some move, of 2 to 3 all move but one. */
enum { GROW_KEYS = 8, GROW_LEN = 24 };
static inline char grow_key(uint32_t serial)
{
	return (char)('a' + serial % GROW_KEYS);
}

/* Of a topic that is compacted: record n has a key by n % 4, one of three, or none (0); one without bytes is a tombstone. */
static inline char compact_key(uint32_t serial)
{
	return serial % 4 == 3 ? 0 : (char)('a' + serial % 4);
}

/* binary: any byte may follow the number; else letters.  ret has room for len + 1. */
static inline void payload_make(uint32_t serial, uint32_t len, bool binary, char *ret)
{
	uint32_t x = serial * 2654435761u + 12345;

	snprintf(ret, PAYLOAD_MIN + 1, "#%08u ", serial % 100000000);
	for (uint32_t i = PAYLOAD_MIN; i < len; i++) {
		x = x * 1664525u + 1013904223u;
		ret[i] = binary ? (char)(x >> 24) : (char)('a' + (x >> 24) % 26);
	}
}

#endif
