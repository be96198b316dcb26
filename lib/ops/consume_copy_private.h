/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the two halves of consume_copy share: consume_copy_begin.c settles what is asked for, consume_copy.c does it. */
#ifndef MQ_OPS_CONSUME_COPY_PRIVATE_H
#define MQ_OPS_CONSUME_COPY_PRIVATE_H

#include "ops/consume_copy.h"
#include "ops/replay_run.h"

struct mq_copying {
	struct mq_transfer_run run;
	struct mq_transfer_source from;
	struct mq_transfer *t;
	bool pending;
	bool opens;                 /* its next transfers are made so that lines may follow them as they lie; */
	unsigned tries;             /* so many were in vain */
};

struct mq_copies {
	struct mq_run_hold **runs;  /* by topic of the request; NULL: the same as an earlier one */
	struct mq_topic_facts out;
	int64_t out_ns;             /* when they were looked at */
	uint32_t robin;
	unsigned pending;           /* feeds */
	int64_t last_ns;            /* of a commit */
	struct mq_buf headers;      /* of a dead letter that goes back */
};

/* What the other topic is, if that was not looked at a moment ago. */
int mq_copy_learn(struct mq_consume *c);

#endif
