/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Slots: records of two checksummed copies, for `state`, `start` and a group's `offsets`.
 * Byte tables: mq-spool(5).  A slot is 256 bytes at the start of its own 4096-byte block, so a
 * torn block never takes both copies, and 256 bytes lie in one 512-byte sector.
 */
#ifndef MQ_FORMAT_STATE_H
#define MQ_FORMAT_STATE_H

#include <stdint.h>

#include "format/segment_header.h"

enum {
	MQ_SLOT_LEN = 256,
	MQ_SLOT_BLOCK = 4096,
	MQ_STATE_BLOCKS = 12,
	MQ_STATE_TAIL_BLOCK = 1,  /* and 2 */
	MQ_STATE_MARK_BLOCK = 3,  /* mark m: blocks 3 + 2m and 4 + 2m */
	MQ_STATE_MARKS = 4,
	MQ_STATE_FUTEX_BLOCK = 11,
	MQ_STATE_MOUNTS = 8,
	MQ_SLOT_AREAS = 8,        /* that a block of `offsets` has room for, */
	MQ_SLOT_AREA_LEN = 512,   /* a sector each */
	MQ_SLOT_AREA_SHIFT = 29,
};

enum { MQ_TAIL_ROLLING = 1, MQ_TAIL_GONE = 2, MQ_TAIL_PRODUCERS = 4, MQ_TAIL_UNSETTLED = 8 };

struct mq_tail {
	uint32_t flags;
	struct mq_segment_id segment;
	uint64_t segment_base;
	uint64_t pos;              /* end of the published bytes */
	uint64_t next_offset;
	uint64_t strict_start;     /* start of the first batch asked durable and not known so; pos when none */
	uint64_t strict_end;       /* end of the last batch asked durable */
	uint64_t index_pos;        /* position of the batch of the last index entry */
	uint64_t index_count;
	uint8_t boot_id[16];
	uint64_t state_ino;
	int64_t state_btime_ns;
	struct mq_epoch epoch;
	uint64_t mounts[MQ_STATE_MOUNTS];
	int64_t segment_created_us;
	int64_t max_time_us;
	uint64_t producers_pos;
	uint64_t strict_offset;    /* offset at strict_start */
	uint64_t offset_min;       /* unsettled: offsets below were visible or committed, whatever verifies */
	uint32_t generation;       /* of the partition count: the last that began here, whether or not topic.conf came to know it */
};

struct mq_mark {
	struct mq_segment_id segment;
	uint64_t pos;
	uint64_t end_offset;
	uint64_t started, finished;
	uint64_t last_sync_ns;
	uint64_t aim_pos;          /* the sync that was started last makes this segment durable up to here */
};

struct mq_start {
	uint8_t topic_id[16];
	uint64_t log_start;
};

struct mq_commit {
	uint8_t topic_id[16];
	uint64_t offset;          /* the next one to read */
	struct mq_segment_id mark_segment;
	uint64_t mark_pos;
	uint64_t mark_offset;
	uint32_t generation;      /* of ownership */
	uint32_t seeks;
	int64_t time_us;
	uint64_t lost;            /* records lost to damage that this group passed */
	uint64_t expired;         /* and those that had expired; in a slot of before there was this count 0 */
	uint32_t began;           /* the generation of the partition count when it was first set; in a slot of before there was this 0 */
	uint32_t area;            /* not in the bytes: where they stood */
};

/* A slot's number, which its checksum goes by: the block of the file that it lies in, and in the high three bits the area of that
 * block, which is 0 but in `offsets`. */
static inline uint32_t mq_slot_number(uint32_t block, uint32_t area)
{
	return area << MQ_SLOT_AREA_SHIFT | block;
}
static inline uint32_t mq_slot_block(uint32_t slot)
{
	return slot & ((UINT32_C(1) << MQ_SLOT_AREA_SHIFT) - 1);
}
static inline uint64_t mq_slot_at(uint32_t slot)
{
	return (uint64_t)mq_slot_block(slot) * MQ_SLOT_BLOCK + (uint64_t)(slot >> MQ_SLOT_AREA_SHIFT) * MQ_SLOT_AREA_LEN;
}

void mq_state_head_encode(uint8_t ret_bytes[16]);
int mq_state_head_decode(const uint8_t bytes[16]); /* 0, MQ_EDAMAGE, MQ_ECONFIG */

/* Each encode fills 256 bytes for `block` (its number in the file, mq_slot_number) with sequence `seq` ≥ 1; each
 * decode answers the sequence, or 0 when the slot is empty or does not verify. */
void mq_tail_encode(const struct mq_tail *t, uint64_t seq, uint32_t block, uint8_t ret_bytes[MQ_SLOT_LEN]);
uint64_t mq_tail_decode(const uint8_t bytes[MQ_SLOT_LEN], uint32_t block, struct mq_tail *ret);
void mq_mark_encode(const struct mq_mark *m, uint64_t seq, uint32_t block, uint8_t ret_bytes[MQ_SLOT_LEN]);
uint64_t mq_mark_decode(const uint8_t bytes[MQ_SLOT_LEN], uint32_t block, struct mq_mark *ret);
void mq_start_encode(const struct mq_start *s, uint64_t seq, uint32_t block, uint8_t ret_bytes[MQ_SLOT_LEN]);
uint64_t mq_start_decode(const uint8_t bytes[MQ_SLOT_LEN], uint32_t block, struct mq_start *ret);
void mq_commit_encode(const struct mq_commit *c, uint64_t seq, uint32_t block, uint8_t ret_bytes[MQ_SLOT_LEN]);
uint64_t mq_commit_decode(const uint8_t bytes[MQ_SLOT_LEN], uint32_t block, struct mq_commit *ret);

/* True when 256 bytes are all zero: a slot never written, as against one that does not verify. */
bool mq_slot_empty(const uint8_t bytes[MQ_SLOT_LEN]);

#endif
