/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/lines.h"

#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <immintrin.h>
#if defined __has_include
#if __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h> /* what the dynamic linker asked the processor already: asking again costs a virtual machine 7 us */
#endif
#endif

enum { STEP = 128, ROUNDS_MAX = 255 };

/*
 * Count in whole steps.  A comparison gives -1 in each byte that is a newline, so subtracting it
 * counts; bytes hold 255 of that, then psadbw sums eight of them at once.
 */
static size_t count_sse2(const uint8_t *p, size_t steps)
{
	const __m128i nl = _mm_set1_epi8('\n'), zero = _mm_setzero_si128();
	__m128i total = zero;
	while (steps) {
		size_t rounds = 2 * steps < ROUNDS_MAX ? 2 * steps : ROUNDS_MAX - 1;
		__m128i a = zero, b = zero, c = zero, d = zero;
		steps -= rounds / 2;
		for (; rounds; rounds--, p += STEP / 2) {
			const __m128i *v = (const __m128i *)(const void *)p;
			a = _mm_sub_epi8(a, _mm_cmpeq_epi8(_mm_loadu_si128(v), nl));
			b = _mm_sub_epi8(b, _mm_cmpeq_epi8(_mm_loadu_si128(v + 1), nl));
			c = _mm_sub_epi8(c, _mm_cmpeq_epi8(_mm_loadu_si128(v + 2), nl));
			d = _mm_sub_epi8(d, _mm_cmpeq_epi8(_mm_loadu_si128(v + 3), nl));
		}
		total = _mm_add_epi64(total, _mm_add_epi64(_mm_sad_epu8(a, zero), _mm_sad_epu8(b, zero)));
		total = _mm_add_epi64(total, _mm_add_epi64(_mm_sad_epu8(c, zero), _mm_sad_epu8(d, zero)));
	}
	uint64_t sums[2];
	_mm_storeu_si128((__m128i *)(void *)sums, total);
	return (size_t)(sums[0] + sums[1]);
}

#ifdef CPU_FEATURE_ACTIVE
/* The same, twice as wide. */
__attribute__((target("avx2"))) static size_t count_avx2(const uint8_t *p, size_t steps)
{
	const __m256i nl = _mm256_set1_epi8('\n'), zero = _mm256_setzero_si256();
	__m256i total = zero;
	while (steps) {
		size_t rounds = steps < ROUNDS_MAX ? steps : ROUNDS_MAX;
		__m256i a = zero, b = zero, c = zero, d = zero;
		steps -= rounds;
		for (; rounds; rounds--, p += STEP) {
			const __m256i *v = (const __m256i *)(const void *)p;
			a = _mm256_sub_epi8(a, _mm256_cmpeq_epi8(_mm256_loadu_si256(v), nl));
			b = _mm256_sub_epi8(b, _mm256_cmpeq_epi8(_mm256_loadu_si256(v + 1), nl));
			c = _mm256_sub_epi8(c, _mm256_cmpeq_epi8(_mm256_loadu_si256(v + 2), nl));
			d = _mm256_sub_epi8(d, _mm256_cmpeq_epi8(_mm256_loadu_si256(v + 3), nl));
		}
		total = _mm256_add_epi64(total, _mm256_add_epi64(_mm256_sad_epu8(a, zero), _mm256_sad_epu8(b, zero)));
		total = _mm256_add_epi64(total, _mm256_add_epi64(_mm256_sad_epu8(c, zero), _mm256_sad_epu8(d, zero)));
	}
	uint64_t sums[4];
	_mm256_storeu_si256((__m256i *)(void *)sums, total);
	return (size_t)(sums[0] + sums[1] + sums[2] + sums[3]);
}

static size_t count_steps(const uint8_t *p, size_t steps)
{
	return CPU_FEATURE_ACTIVE(AVX2) ? count_avx2(p, steps) : count_sse2(p, steps);
}
#else
static size_t count_steps(const uint8_t *p, size_t steps)
{
	return count_sse2(p, steps);
}
#endif
#else
enum { STEP = 8 };

static size_t count_steps(const uint8_t *p, size_t steps)
{
	const uint64_t low7 = 0x7f7f7f7f7f7f7f7fu;
	size_t found = 0;
	for (; steps; steps--, p += STEP) {
		uint64_t v;
		memcpy(&v, p, sizeof v);
		v ^= 0x0a0a0a0a0a0a0a0au;
		uint64_t other = ((v & low7) + low7) | v | low7; /* high bit clear: that byte is zero */
		found += (size_t)__builtin_popcountll(~other);
	}
	return found;
}
#endif

size_t mq_lines_count(const void *bytes, size_t len)
{
	const uint8_t *p = bytes, *end = p + len;
	size_t steps = len / STEP, found = count_steps(p, steps);
	for (p += steps * STEP; p < end; p++)
		found += *p == '\n';
	return found;
}

size_t mq_lines_skip(const void *bytes, size_t len, size_t n)
{
	const uint8_t *start = bytes, *p = start, *end = p + len;
	if (n == 0)
		return 0;
	/* Pass whole stretches that do not hold it, in ever smaller ones, then look. */
	for (size_t stretch = 64 * STEP; stretch >= STEP; stretch /= 8)
		while ((size_t)(end - p) >= stretch) {
			size_t found = count_steps(p, stretch / STEP);
			if (found >= n)
				break;
			n -= found;
			p += stretch;
		}
	while (p < end)
		if (*p++ == '\n' && --n == 0)
			return (size_t)(p - start);
	return 0;
}

size_t mq_lines_whole(const void *bytes, size_t len)
{
	const uint8_t *last = len ? memrchr(bytes, '\n', len) : NULL;
	return last ? (size_t)(last - (const uint8_t *)bytes) + 1 : 0;
}
