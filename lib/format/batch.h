/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The batch header: 128 bytes that stand before every body in a segment.
 *
 * The byte table is in mq-spool(5).  A batch verifies at a place when its header checksum, seeded
 * with the segment's id and the batch's file position, and then its body checksum hold.  To change
 * the format: a new bit in the segment header's refuse word where old readers must not guess, in
 * its ignore word where they may; never another meaning for a byte that is taken.
 */
#ifndef MQ_FORMAT_BATCH_H
#define MQ_FORMAT_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
	MQ_BATCH_HEADER_LEN = 128,
	MQ_BATCH_BODY_MAX = (1 << 30) + (1 << 20), /* bytes, stored or raw */
};

enum mq_batch_kind { MQ_BATCH_LINES = 0, MQ_BATCH_RECORDS = 1, MQ_BATCH_CONTROL = 2 };
enum mq_batch_zip { MQ_BATCH_PLAIN = 0, MQ_BATCH_ZSTD = 1 };
enum mq_ack { MQ_ACK_NONE = 0, MQ_ACK_WRITTEN = 1, MQ_ACK_DURABLE = 2, MQ_ACK_ALL = 3 };
enum mq_control {
	MQ_CONTROL_DATA = 0,
	MQ_CONTROL_SNAPSHOT = 1,
	MQ_CONTROL_REGISTER = 2,
	MQ_CONTROL_GAP = 3,
	MQ_CONTROL_GENERATION = 4,
	MQ_CONTROL_COMPACTED = 5, /* its offsets held records that compaction took away; no body */
};
enum mq_who_kind { MQ_WHO_NOBODY = 0, MQ_WHO_PRODUCER = 1, MQ_WHO_MOVER = 2 };

#define MQ_NO_OFFSET UINT64_MAX

/* Compared election first, then incarnation. */
struct mq_epoch {
	uint32_t election;
	uint32_t incarnation;
};

struct mq_who {
	enum mq_who_kind kind;
	uint64_t id;
	uint32_t generation;
	uint64_t number;       /* producer: last sequence in the batch; mover: its number */
	uint64_t source_start; /* producer: base offset of its previous batch here, or MQ_NO_OFFSET */
	uint64_t source_end;
};

struct mq_batch {
	enum mq_batch_kind kind;
	enum mq_batch_zip zip;
	enum mq_ack ack;
	enum mq_control control;
	uint32_t stored_len;  /* bytes of body that follow the header */
	uint32_t raw_len;     /* bytes of body after decompression */
	uint32_t body_crc;
	uint64_t base_offset;
	uint64_t next_offset; /* > base_offset unless a control batch */
	uint32_t count;
	int64_t base_time_us;
	int64_t max_time_us;
	struct mq_epoch epoch;
	uint32_t topic_generation;
	struct mq_who who;
	uint64_t durable_pos; /* position in this segment known durable when written */
};

/* The CRC32C state that a header at `position` of segment `id` (16 bytes) continues from. */
uint32_t mq_batch_seed(const uint8_t id[16], uint64_t position);

/* Write the header's 128 bytes, checksum included. */
void mq_batch_encode(const struct mq_batch *b, uint32_t seed, uint8_t ret_bytes[MQ_BATCH_HEADER_LEN]);

/*
 * Read 128 bytes.  0: the header verifies and every field is within its range (kind, zip, control
 * known; lengths bounded; next ≥ base; lines count = next - base).  MQ_EDAMAGE: it does not
 * verify.  MQ_ECONFIG: it verifies but needs a newer reader.  err may be NULL.
 */
int mq_batch_decode(const uint8_t bytes[MQ_BATCH_HEADER_LEN], uint32_t seed, struct mq_batch *ret,
                    struct mq_err *err);

/* True when `body` (stored_len bytes) is what the header says. */
bool mq_batch_body_ok(const struct mq_batch *b, const void *body);

/* Bytes of header and stored body. */
static inline uint64_t mq_batch_len(const struct mq_batch *b)
{
	return MQ_BATCH_HEADER_LEN + (uint64_t)b->stored_len;
}

#endif
