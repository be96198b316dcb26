/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which records are wanted: key, id, tag expression, headers, --where; all that are given must hold. */
#ifndef MQ_OPS_FILTER_H
#define MQ_OPS_FILTER_H

#include "api/mq.h"
#include "base/err.h"
#include "format/record.h"

struct mq_where; /* a parsed --where: where.c */

struct mq_filter {
	const struct mq_consume_request *req; /* borrowed */
	struct mq_where *where;
	bool any; /* something is asked at all */
};

/* MQ_EUSAGE with the place in the expression. */
int mq_filter_init(struct mq_filter *f, const struct mq_consume_request *req, struct mq_err *err);
void mq_filter_release(struct mq_filter *f);

/* 1 wanted, 0 not; negative: no memory, headers that contradict themselves. */
int mq_filter_wants(struct mq_filter *f, const struct mq_rec *r, struct mq_err *err);

#endif
