/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a verb that works on certain partitions of a group has them from its members. */
#ifndef MQ_OPS_SPREAD_TAKE_H
#define MQ_OPS_SPREAD_TAKE_H

#include "ops/ops.h"

/* A member that wants these n partitions of the topic, and no others. */
int mq_spread_join(struct mq *mq, const char *group, const char *topic, const uint32_t *p, size_t n, struct mq_member **ret,
                   struct mq_err *err);
/* One that another has: it is asked for, and waited for as long as the session's patience, or ten seconds.  1: *ret; 0: it was not
 * let go in time, or an end was asked. */
int mq_spread_ask(struct mq *mq, struct mq_member *m, const char *topic, uint32_t p, struct mq_owner **ret, struct mq_err *err);

#endif
