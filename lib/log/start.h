/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log start: the first offset that is still of the log, in the file `start` of a partition.  It only
 * moves up, and is durable before anything below it is removed; but for a power loss, which may take back moves that
 * were made for a limit alone.
 */
#ifndef MQ_LOG_START_H
#define MQ_LOG_START_H

#include <stdint.h>

#include "base/err.h"

/* Allocated whole, written with 0 and synced. */
int mq_start_create(int dir, unsigned mode, const uint8_t topic_id[16], struct mq_err *err);
/* A new file in the place of what is there, or is not.  Under the append lock; durable. */
int mq_start_replace(int dir, unsigned mode, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err);
/* -ENOENT: somebody took it away: who goes on without it would bring back what was purged. */
int mq_start_read(int dir, const uint8_t topic_id[16], uint64_t *ret, struct mq_err *err);
/* The same through a descriptor that the caller keeps; who mends it alone replaces it. */
int mq_start_open(int dir, struct mq_err *err);
int mq_start_look(int fd, const uint8_t topic_id[16], uint64_t *ret, struct mq_err *err);
/* Under the append lock; durable.  0 also where it is there already or above. */
int mq_start_advance(int dir, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err);
/* The same without a sync: after a power loss it may be where it was before.  For a limit, which the next append enforces
 * again; never for what is to be unlinked. */
int mq_start_advance_soon(int dir, const uint8_t topic_id[16], uint64_t offset, struct mq_err *err);

#endif
