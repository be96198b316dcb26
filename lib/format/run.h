/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is known of a run (mq-replay --to), as the payload of one record of the internal topic runs@TOPIC@: that it began, and what
 * it is to copy; and the same once more when it has ended.  The last record alone counts.  Byte table: mq-spool(5).
 */
#ifndef MQ_FORMAT_RUN_H
#define MQ_FORMAT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct mq_run_facts {
	bool ended;
	uint32_t number;  /* counts up; the seek count of its intents */
	uint64_t asked;   /* hash of what was asked for */
	int64_t began_us;
	uint32_t n;       /* ranges */
};

struct mq_run_range { /* of a partition: what the arguments meant when it began */
	uint32_t partition;
	uint64_t start, end;
};

/* 0 or -ENOMEM, the buffer as it was.  Partitions rise. */
int mq_run_print(struct mq_buf *out, const struct mq_run_facts *f, const struct mq_run_range *ranges);
/* 0, MQ_EDAMAGE (it contradicts itself), MQ_ECONFIG (a newer format). */
int mq_run_read(const void *payload, size_t len, struct mq_run_facts *ret, struct mq_err *err);
/* The nth range of a payload that was read. */
struct mq_run_range mq_run_range_at(const void *payload, uint32_t nth);

#endif
