/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The plan of a whole group, computed by one who is no member: of all topics that it has read, or that its members read.
 *
 *     rc = mq_plan_look(&look, spool, "billing", err);       the facts: who is there, who has what
 *     rc = mq_plan_look_make(&look, &conf, err);             by this configuration
 *     … look.crowd.v[look.parts[t].owner[p]].name …          mq_plan_look_release(&look);
 *
 * Nothing is written.
 */
#ifndef MQ_SPOOL_PLAN_LOOK_H
#define MQ_SPOOL_PLAN_LOOK_H

#include "base/buf.h"
#include "spool/plan_make.h"

struct mq_plan_look {
	struct mq_buf text;         /* the names of topics */
	const char **topics;        /* n, by rising name */
	size_t n;
	struct mq_crowd crowd;
	struct mq_plan_part *parts; /* one a topic */
	int32_t **owned;            /* one a topic: what its part's arrays are in */
};

/* MQ_ENOTOPIC: no such group, unless it may be missing.  Release it in any case. */
int mq_plan_look(struct mq_plan_look *ret, struct mq_spool *s, const char *group, bool may_miss, struct mq_err *err);
int mq_plan_look_make(struct mq_plan_look *look, const struct mq_assign_conf *conf, struct mq_err *err);
void mq_plan_look_release(struct mq_plan_look *look);

#endif
