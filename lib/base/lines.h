/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Newlines in a buffer, many bytes at a time. */
#ifndef MQ_BASE_LINES_H
#define MQ_BASE_LINES_H

#include <stddef.h>

/* How many newlines. */
size_t mq_lines_count(const void *bytes, size_t len);

/* The position behind the nth newline (n ≥ 1), which is where line n, counted from 0, begins; 0
 * when there are fewer than n, or n is 0. */
size_t mq_lines_skip(const void *bytes, size_t len, size_t n);

/* The position behind the last newline: the bytes before it are whole lines.  0 without any. */
size_t mq_lines_whole(const void *bytes, size_t len);

#endif
