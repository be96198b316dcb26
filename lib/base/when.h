/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Points in time: microseconds since 1970, UTC.  Pure arithmetic; the caller brings the clock.
 * Days from civil dates: Howard Hinnant, "chrono-compatible low-level date algorithms".
 */
#ifndef MQ_BASE_WHEN_H
#define MQ_BASE_WHEN_H

#include <stdint.h>

#include "base/err.h"

enum { MQ_WHEN_ASK_DATE = 1, MQ_WHEN_TEXT_MAX = 48 };

/*
 * "2024-05-01T12:34:56.5Z", "…+02:00" (RFC 3339), "1714566896.25" (epoch seconds), "-1h", "+30s" (from
 * now), "now"; a leading '@' is passed over.  0; MQ_WHEN_ASK_DATE: none of these, date(1) may know it; MQ_EUSAGE:
 * it is one of these and wrong.
 */
int mq_to_when(const char *text, int64_t now_us, int64_t *ret_us, struct mq_err *err);

/* RFC 3339 with microseconds, in UTC: "2024-05-01T12:34:56.500000Z". */
void mq_when_format(int64_t us, char ret_text[MQ_WHEN_TEXT_MAX]);

#endif
