/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/pace.h"

/* Fast paces go in steps of this, so that batches stay worth their while. */
static const double STEP_S = 0.01, CREDIT_MAX_S = 0.1;

void mq_pace_init(struct mq_pace *p, double per_second)
{
	*p = (struct mq_pace){.per_second = per_second, .credit = 1, .at_ns = -1};
}

uint64_t mq_pace_take(struct mq_pace *p, uint64_t want, int64_t now_ns, int64_t *ret_until_ns)
{
	if (p->per_second <= 0)
		return want;
	if (p->at_ns >= 0)
		p->credit += (double)(now_ns - p->at_ns) / 1e9 * p->per_second;
	p->at_ns = now_ns;
	double most = p->per_second * CREDIT_MAX_S;
	if (p->credit > (most > 1 ? most : 1))
		p->credit = most > 1 ? most : 1;
	if (p->credit >= 1) {
		uint64_t n = p->credit < (double)want ? (uint64_t)p->credit : want;
		p->credit -= (double)n;
		return n;
	}
	double wait_s = (1 - p->credit) / p->per_second;
	*ret_until_ns = now_ns + (int64_t)((wait_s > STEP_S ? wait_s : STEP_S) * 1e9);
	return 0;
}
