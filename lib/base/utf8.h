/* SPDX-License-Identifier: GPL-2.0-or-later */
/* UTF-8, and what of it may be shown to a person: one rule for records on a terminal and for reasons. */
#ifndef MQ_BASE_UTF8_H
#define MQ_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes of a well-formed UTF-8 sequence at p; 0: there is none. */
size_t mq_utf8_len(const char *p, size_t n);
bool mq_utf8_ok(const char *p, size_t n);

/* Whether a well-formed sequence shows as what it is and steers nothing: no control character of ASCII but tab, none of
 * U+0080 to U+009F, no separator of lines, nothing that turns text round.  len 0: no. */
bool mq_utf8_prints(const char *p, size_t len);

#endif
