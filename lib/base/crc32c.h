/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CRC32C (Castagnoli, RFC 3720).  mq_crc32c(0, "123456789", 9) is 0xe3069283; the checksum of two
 * pieces is mq_crc32c(mq_crc32c(0, a, na), b, nb), as zlib's crc32 continues.
 */
#ifndef MQ_BASE_CRC32C_H
#define MQ_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

uint32_t mq_crc32c(uint32_t crc, const void *bytes, size_t n);

#endif
