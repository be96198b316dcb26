/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers as people write them.  The whole text must be the number; no sign, no blanks, no
 * locale.  0, or MQ_EUSAGE with a reason that shows the text and what would be right; err may be NULL.
 */
#ifndef MQ_BASE_PARSE_H
#define MQ_BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Decimal digits. */
int mq_to_u64(const char *text, uint64_t *ret, struct mq_err *err);

/* The same of len bytes; *ret_used digits were there (at least 1).  -ERANGE above 2^64-1, -EINVAL. */
int mq_to_u64_prefix(const char *text, size_t len, uint64_t *ret, size_t *ret_used);

/* "64K", "10M", "1G", "2T", "4096": bytes, powers of 1024. */
int mq_to_size(const char *text, uint64_t *ret_bytes, struct mq_err *err);

/* "300ms", "10s", "5m", "2h", "7d", "1.5s", also us and ns; without a unit seconds, as sleep(1) takes them. */
int mq_to_duration(const char *text, int64_t *ret_ns, struct mq_err *err);

/* "500/s", "30/m", "10/h", "0.5/s"; without a unit a second.  More than 0. */
int mq_to_rate(const char *text, double *ret_per_second, struct mq_err *err);

/* 2 * n hexadecimal digits, either case. */
int mq_to_hex(const char *text, size_t len, uint8_t *ret_bytes, size_t n);
/* Writes 2 * n digits and a NUL. */
void mq_hex(const uint8_t *bytes, size_t n, char *ret_text);

#endif
