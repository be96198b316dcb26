/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How often, and how long after, a record that failed is handled again.  Pure arithmetic; the caller brings the chance.
 *
 *     mq_retry_init(&r, &req, err);
 *     if (mq_retry_again(&r, attempt)) … in mq_retry_wait_ns(&r, attempt, chance)
 *
 * The wait behind the nth failure is MIN doubled n - 1 times, at most MAX, times 0.5 … 1 by chance, so that what failed together
 * does not come back together; or of a list the nth level, the last one for all that follow, just as it is.
 */
#ifndef MQ_OPS_RETRY_H
#define MQ_OPS_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum { MQ_RETRY_LEVELS_MAX = 64 };

struct mq_retry {
	bool on;              /* else a failure ends the run */
	uint32_t most;        /* times beyond the first */
	int64_t min_ns, max_ns;
	int64_t levels_ns[MQ_RETRY_LEVELS_MAX];
	unsigned n_levels;    /* 0: by min_ns and max_ns */
};

/* backoff: "MIN..MAX", or levels "1s,10s,1m", one time too; NULL: "1s..1h".  MQ_EUSAGE. */
int mq_retry_init(struct mq_retry *r, bool on, uint64_t retries, const char *backoff, struct mq_err *err);
/* Is it handled again after the attempt of this number (the first is 1) has failed? */
bool mq_retry_again(const struct mq_retry *r, uint32_t attempt);
/* chance: any number, equally likely. */
int64_t mq_retry_wait_ns(const struct mq_retry *r, uint32_t attempt, uint32_t chance);

#endif
