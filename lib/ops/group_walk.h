/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a group has of a topic's partitions, whichever way the engine tells it. */
#ifndef MQ_OPS_GROUP_WALK_H
#define MQ_OPS_GROUP_WALK_H

#include "ops/ops.h"

/* As the engine's group_walk: one that has none is asked partition by partition. */
int mq_ops_group_walk(struct mq *mq, const char *group, const char *topic, uint32_t from, uint32_t to, bool sum,
                      int (*fn)(void *arg, uint32_t p, const struct mq_part_facts *facts, const struct mq_err *why), void *arg);

#endif
