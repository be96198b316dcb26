/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SipHash-2-4 (Aumasson, Bernstein, 2012): a hash of short texts under a key, so that who chooses the texts cannot choose
 * where they meet.  With the key 00 01 … 0f the bytes 00 01 … 0e give a129ca6149be45e5.
 */
#ifndef MQ_BASE_SIPHASH_H
#define MQ_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t mq_siphash(const uint8_t key[16], const void *bytes, size_t n);

#endif
