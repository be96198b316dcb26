/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All that a cursor shows of a partition, each record held against what was published. */
#ifndef MQ_TESTS_CRASH_READING_H
#define MQ_TESTS_CRASH_READING_H

#include "facts.h"
#include "log/cursor.h"
#include "spool/topic.h"

struct seen {
	uint64_t offset;
	uint32_t serial;
	uint64_t producer, number; /* of its batch; producer 0: none */
};

struct reading {
	struct seen *r;
	size_t n, cap;
	struct mq_cursor_loss *lost;
	size_t n_lost, cap_lost;
	uint64_t end, log_start;
};

/* 0; -1 with why: an error, or a record that was never published just so.  What was tried in [from, cut) of the trace counts. */
int reading_take(struct reading *ret, struct mq_topic *t, uint32_t partition, const struct facts *f, size_t from,
                 size_t cut, char *why, size_t len);
void reading_free(struct reading *r);
const struct seen *reading_at(const struct reading *r, uint64_t offset);

#endif
