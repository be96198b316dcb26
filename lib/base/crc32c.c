/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

#include <isa-l/crc.h>

#if defined(__x86_64__) && defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
#include <nmmintrin.h>
#include <sys/platform/x86.h>

/*
 * ISA-L asks the processor which code to run at its first call, and a virtual machine answers each
 * such question in 7 µs: too much for a tool that checksums a few headers and ends.  glibc has
 * asked already and tells for nothing.
 */
enum { SHORT_MAX = 512 };

__attribute__((target("sse4.2"))) static uint32_t crc_short(uint32_t state, const uint8_t *p, size_t n)
{
	uint64_t s = state;
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t v;
		memcpy(&v, p, sizeof v);
		s = _mm_crc32_u64(s, v);
	}
	state = (uint32_t)s;
	for (; n; n--, p++)
		state = _mm_crc32_u8(state, *p);
	return state;
}

#define USE_SHORT(n) ((n) <= SHORT_MAX && CPU_FEATURE_ACTIVE(SSE4_2))
#else
#define USE_SHORT(n) false
#define crc_short(state, p, n) (state)
#endif

uint32_t mq_crc32c(uint32_t crc, const void *bytes, size_t n)
{
	/* crc32_iscsi takes and gives the bare register: neither inverted before nor after. */
	uint32_t state = ~crc;
	const uint8_t *p = bytes;

	if (USE_SHORT(n))
		return ~crc_short(state, p, n);
	while (n) {
		int piece = n > (1 << 30) ? 1 << 30 : (int)n; /* its length is an int */
		state = crc32_iscsi((unsigned char *)(uintptr_t)p, piece, state);
		p += piece;
		n -= (size_t)piece;
	}
	return ~state;
}
