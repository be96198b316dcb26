/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Of each key the last offset at which it was met: the table of a run of compaction, of 24 bytes a key and never more than it was
 * made with.  Keys are known by 128 bits of SipHash under a secret drawn for the run, so nobody can choose two that meet.
 */
#ifndef MQ_LOG_COMPACT_KEYS_H
#define MQ_LOG_COMPACT_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct mq_keys_slot;

struct mq_keys {
	struct mq_keys_slot *slot; /* owned */
	uint32_t n, used, used_max;
	uint8_t secret[2][16];
};

/* records: how many may come, at most.  bytes_max: of memory. */
int mq_keys_make(struct mq_keys *ret, uint64_t records, size_t bytes_max, struct mq_err *err);
void mq_keys_release(struct mq_keys *k);
void mq_keys_clear(struct mq_keys *k);

/* Offsets rise.  False: there is no room for another key. */
bool mq_keys_note(struct mq_keys *k, const void *key, size_t len, uint64_t offset);
/* The last offset noted; false: it was not met. */
bool mq_keys_last(const struct mq_keys *k, const void *key, size_t len, uint64_t *ret);

#endif
