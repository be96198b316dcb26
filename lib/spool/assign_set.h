/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A set of partitions, written as "0-3,8". */
#ifndef MQ_SPOOL_ASSIGN_SET_H
#define MQ_SPOOL_ASSIGN_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/conf_topic.h"

enum { MQ_ASSIGN_SET_WORDS = (MQ_PARTITIONS_MAX + 63) / 64 };

struct mq_assign_set { /* all zero: empty */
	uint64_t bits[MQ_ASSIGN_SET_WORDS];
};

static inline bool mq_assign_set_has(const struct mq_assign_set *s, uint32_t p)
{
	return p < MQ_PARTITIONS_MAX && (s->bits[p / 64] >> p % 64 & 1);
}

/* Numbers and ranges (both ends included) in any order, at least one; what comes twice is there once.  0 or MQ_EUSAGE. */
int mq_assign_set_parse(struct mq_assign_set *ret, const char *text, size_t len, struct mq_err *err);

/* Rising, in the longest ranges there are.  0 or -ENOMEM. */
int mq_assign_set_print(const struct mq_assign_set *s, struct mq_buf *out);

/* The lowest partition in both; -1. */
int32_t mq_assign_set_meet(const struct mq_assign_set *a, const struct mq_assign_set *b);

#endif
