/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A two-slot record in a file: the durable facts beside the log (log start, a group's offsets).
 *
 * Rule 3: a slot is written only while the other is known durable.  So: after taking one over, sync
 * once (both slots are durable then); then any number of writes go to the same slot, the other stays;
 * a sync makes the written one the durable one, and the next write goes to the other.  After a failed
 * sync the pair refuses; the file is to be replaced.
 *
 * The caller encodes and decodes: `raw` is 256 bytes, the decoders answer the sequence (format/state.h).
 */
#ifndef MQ_LOG_SLOTS_H
#define MQ_LOG_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "format/state.h"

struct mq_slots {
	int fd;            /* borrowed */
	uint32_t block;    /* slot 0's number (mq_slot_number); slot 1's is the next one */
	int latest;        /* the slot that holds the highest sequence; -1: none was ever written */
	uint64_t seq;      /* that sequence */
	bool known;        /* but for `latest` while dirty, both slots are durable */
	bool dirty;        /* latest was written and not synced: it alone may be written again */
	bool failed;
};

/* Read both.  *ret_which: the valid slot of the higher sequence (0, 1), or -1 where neither was ever
 * written.  Both unreadable, or one unreadable and the other never written: MQ_EDAMAGE, loudly: an
 * older value must not be made up; what to do about it the caller says.  made: the file was made with room for the pair, so that a slot
 * that is not whole was cut off, and is unreadable; 1 where the other one of such a pair counts. */
typedef uint64_t mq_slot_decode_fn(const uint8_t raw[MQ_SLOT_LEN], uint32_t block, void *ret);
int mq_slots_read(int fd, uint32_t block, bool made, mq_slot_decode_fn *decode, void *ret_value, size_t value_len,
                  int *ret_which, uint64_t *ret_seq, const char *what, struct mq_err *err);

/* Take the pair over for writing: seq and which as mq_slots_read gave them. */
void mq_slots_take(struct mq_slots *s, int fd, uint32_t block, int which, uint64_t seq);

/* The block to encode the next value for, and its sequence; syncs first where nothing is known durable. */
int mq_slots_prepare(struct mq_slots *s, uint32_t *ret_block, uint64_t *ret_seq, const char *what, struct mq_err *err);
int mq_slots_write(struct mq_slots *s, uint32_t block, uint64_t seq, const uint8_t raw[MQ_SLOT_LEN], const char *what,
                   struct mq_err *err);
int mq_slots_sync(struct mq_slots *s, const char *what, struct mq_err *err);

#endif
