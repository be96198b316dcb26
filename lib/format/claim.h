/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The bytes of claimed.P: who of a sharing group works at which records of a partition, and which are done.
 *
 * Two halves of 128 KiB, used in turn.  Each: a head, then slots of 32 bytes that are written one behind the other.
 *
 *   head    0   8  magic "mqClaim\n"
 *           8   4  version, 1
 *          12   4  zero
 *          16  16  topic id
 *          32   4  ownership generation of the place that it goes with: an eviction makes void who has what
 *          36   4  and its seek count: a place set by hand makes all of it void
 *          40   8  base: all below is done
 *          48   8  how many slots the head was made with: the state at that moment
 *          56  56  zero
 *         112   8  epoch: of two halves whose head verifies the higher one counts
 *         120   4  zero
 *         124   4  CRC32C of bytes 0..123, begun with the position of the head in the file
 *
 *   slot    0   1  kind
 *           1   1  zero
 *           2   2  attempt: how often it was given back as failed
 *           4   8  offset: the first one
 *          12   8  how many
 *          20   8  member: its name is this number in 16 hexadecimal digits; zero: nobody's
 *          28   4  CRC32C of bytes 0..27, begun with the epoch of the half and the position of the slot in the file
 *
 * A head is written last, over zeros: one without magic, or whose last 16 bytes are zero, was not written whole.
 * A slot never written is zero.  One that is neither zero nor verifies is damage: the kernel tears writes at multiples of 4096
 * bytes, the disk at 512, and a slot lies across neither.
 */
#ifndef MQ_FORMAT_CLAIM_H
#define MQ_FORMAT_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

enum {
	MQ_CLAIM_LEN = 32,
	MQ_CLAIM_HEAD_LEN = 128,
	MQ_CLAIM_HALF_LEN = 128 << 10,
	MQ_CLAIMS_LEN = 2 * MQ_CLAIM_HALF_LEN,
	MQ_CLAIM_SLOTS = (MQ_CLAIM_HALF_LEN - MQ_CLAIM_HEAD_LEN) / MQ_CLAIM_LEN,
};

enum mq_claim_kind {
	MQ_CLAIM_TAKEN = 1, /* the member works at these */
	MQ_CLAIM_DONE,      /* these are done; nobody else had them */
	MQ_CLAIM_RELEASED,  /* what the member has of these (member zero: what nobody has done) is free */
	MQ_CLAIM_CLOSED,    /* it goes on in the other half */
	MQ_CLAIM_MOVED,     /* it goes on in another file of that name: a sync of this one failed */
};

struct mq_claim {
	enum mq_claim_kind kind;
	uint16_t attempt;
	uint64_t offset, count;
	uint64_t member;
};

struct mq_claims_head {
	uint8_t topic_id[16];
	uint32_t generation, seeks;
	uint64_t base;
	uint64_t made_with; /* slots */
	uint64_t epoch;     /* from 1 */
};

/* half: 0 or 1. */
void mq_claims_head_encode(const struct mq_claims_head *h, unsigned half, uint8_t ret[MQ_CLAIM_HEAD_LEN]);
/* It was never written, or not to its end when the power went: nothing of it counts. */
bool mq_claims_head_unwritten(const uint8_t bytes[MQ_CLAIM_HEAD_LEN]);
/* 0; MQ_EDAMAGE; MQ_ECONFIG: of a newer version. */
int mq_claims_head_decode(const uint8_t bytes[MQ_CLAIM_HEAD_LEN], unsigned half, struct mq_claims_head *ret);

/* at: the slot's position in the file. */
void mq_claim_encode(const struct mq_claim *c, uint64_t epoch, uint64_t at, uint8_t ret[MQ_CLAIM_LEN]);
bool mq_claim_decode(const uint8_t bytes[MQ_CLAIM_LEN], uint64_t epoch, uint64_t at, struct mq_claim *ret);
bool mq_claim_empty(const uint8_t bytes[MQ_CLAIM_LEN]);

#endif
