/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the facts to who is to own what: the topics of a group, sorted by who reads them, each sort given out by mq_assign.
 * Who looks at some of the topics only finds the same for them, as long as he has all that their readers read together.
 */
#ifndef MQ_SPOOL_PLAN_MAKE_H
#define MQ_SPOOL_PLAN_MAKE_H

#include "spool/assign_conf.h"
#include "spool/crowd.h"
#include "spool/group.h"

enum { MQ_PLAN_PART_FREE = 8 }; /* nobody holds its owner's byte */

struct mq_plan_part { /* of a topic of the crowd */
	uint32_t n;       /* partitions */
	int32_t *now;     /* n: who owns each, an index into the crowd; -1: nobody, or none of it */
	int32_t *owner;   /* n, the answer; -1: nobody's */
	uint8_t *area;    /* n: the area that counts of each, and MQ_PLAN_PART_FREE; NULL: nobody asks */
	/* of the answer, too: */
	size_t readers;   /* how many take part in giving it out */
	uint32_t sort;    /* topics of one number are given out in one, */
	uint32_t shared;  /* so many partitions in all */
};

/* parts: one a topic of the crowd, in its order.  0 or -ENOMEM. */
int mq_plan_give_out(const struct mq_assign_conf *conf, const struct mq_crowd *c, struct mq_plan_part *parts, struct mq_err *err);

/* Who owns what in g's topic: `now` and `area` of ret, which have room for n. */
int mq_plan_owners(struct mq_group_topic *g, const struct mq_crowd *c, struct mq_plan_part *ret, struct mq_err *err);

#endif
