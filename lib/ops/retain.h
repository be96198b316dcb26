/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the files of retention ask of each other: retain.c walks and decides, retain_hold.c knows who needs what. */
#ifndef MQ_OPS_RETAIN_H
#define MQ_OPS_RETAIN_H

#include "ops/ops.h"

/* One run. */
struct mq_retaining {
	struct mq *mq;
	const struct mq_engine *e;
	const struct mq_retain_request *req;
	struct mq_retain_report *sum;
	struct mq_retain *memory;
	int64_t now_us;
};

/* Of one partition.  What groups and open intents still need begins at *ret; UINT64_MAX: nobody needs anything.  *ret_groups: how
 * many have a place there and count. */
int mq_retain_held(struct mq_retaining *r, const char *topic, uint32_t p, uint64_t *ret, uint32_t *ret_groups, struct mq_err *err);

#endif
