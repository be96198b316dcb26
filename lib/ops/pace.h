/* SPDX-License-Identifier: GPL-2.0-or-later */
/* At most so many records a second, over the whole process; a pause is not made up for. */
#ifndef MQ_OPS_PACE_H
#define MQ_OPS_PACE_H

#include <stdint.h>

struct mq_pace {
	double per_second; /* 0: as fast as it goes */
	double credit;     /* records that may go now; below 0 while in debt */
	int64_t at_ns;     /* when credit was last counted, of CLOCK_MONOTONIC */
};

void mq_pace_init(struct mq_pace *p, double per_second);

/* How many of `want` (≥ 1) may go now; they count as gone.  0: none before *ret_until_ns. */
uint64_t mq_pace_take(struct mq_pace *p, uint64_t want, int64_t now_ns, int64_t *ret_until_ns);

#endif
