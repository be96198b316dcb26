/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "base/murmur2.h"

#include "base/bytes.h"

enum { R = 24 };
static const uint32_t SEED = 0x9747b28c, M = 0x5bd1e995;

uint32_t mq_murmur2(const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	uint32_t h = SEED ^ (uint32_t)n;
	for (; n >= 4; n -= 4, p += 4) {
		uint32_t k = mq_get_le32(p) * M;
		k ^= k >> R;
		h = h * M ^ k * M;
	}
	for (size_t i = n; i-- > 0;)
		h ^= (uint32_t)p[i] << (8 * i);
	if (n)
		h *= M;
	h ^= h >> 13;
	h *= M;
	return h ^ h >> 15;
}

uint32_t mq_partition_of_key(const void *key, size_t n, uint32_t partitions)
{
	return (mq_murmur2(key, n) & 0x7fffffff) % partitions;
}
