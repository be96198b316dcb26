/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Dedupe: of one id a topic stores one record within a window (dedupe.ms, dedupe.count of topic.conf).
 *
 *   lock → catch up with what all partitions hold → look → append what was not found → unlock → wait, and acknowledge
 *
 * The log itself is asked, of what is written whether visible or not; there is no second list of ids that could disagree with
 * it.  So whatever a publisher is killed at, the next one finds the record where it was written, and nowhere else:
 *
 *   before the append, or in it     nothing was stored, nothing is found, the next one stores it
 *   after it, before its sync       it is found; the next one waits for the sync, or leads it, and takes it for a duplicate
 *   power lost                      it is found if it survived, and only then
 *
 * The lock is byte 2^50 of the topic's producers.lock: one call a batch, however many ids are in it.  It is not held while a
 * sync is waited for, nor for space.  What is found are those that publishers and transfers stored; transfers look for nothing.
 */
#ifndef MQ_SPOOL_DEDUPE_H
#define MQ_SPOOL_DEDUPE_H

#include "spool/ids_look.h"

#define MQ_DEDUPE_BYTE (UINT64_C(1) << 50)
/* Of more partitions none keeps its descriptors between two looks. */
enum { MQ_DEDUPE_OPEN_MAX = 4, MQ_DEDUPE_UNIT_LOG2 = 10, MQ_DEDUPE_LEVEL_MAX = 12 };

struct mq_dedupe_ids {
	struct mq_topic topic;
	int lock;
	struct mq_ids_look **parts; /* one a partition */
	uint32_t n_parts;
};

/* Its window is that of the topic's configuration as it is now.  -EACCES: who may not read cannot look. */
int mq_dedupe_open(struct mq_dedupe_ids *ret, struct mq_spool *s, const char *topic, struct mq_err *err);
void mq_dedupe_release(struct mq_dedupe_ids *d);

/* As patient as the spool: -ETIMEDOUT, -EINTR. */
int mq_dedupe_lock(struct mq_dedupe_ids *d, struct mq_err *err);
void mq_dedupe_unlock(struct mq_dedupe_ids *d);

/* Under the lock: what the topic holds by now; it has so many partitions, at least. */
int mq_dedupe_catch_up(struct mq_dedupe_ids *d, uint32_t partitions, struct mq_err *err);
/* Then, 1: it is there.  *ret_durable: and lasts. */
int mq_dedupe_find(struct mq_dedupe_ids *d, const void *id, size_t len, uint32_t *ret_partition, uint64_t *ret_offset,
                   bool *ret_durable, struct mq_err *err);
/* Not under the lock: all that a partition holds by now is as safe as this. */
int mq_dedupe_await(struct mq_dedupe_ids *d, uint32_t partition, enum mq_ack level, struct mq_err *err);

#endif
