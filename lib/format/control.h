/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of control batches.  Byte tables: mq-spool(5). */
#ifndef MQ_FORMAT_CONTROL_H
#define MQ_FORMAT_CONTROL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/batch.h"

/* What a partition remembers of a named producer or a mover. */
struct mq_producer {
	enum mq_who_kind kind;
	uint64_t id;          /* random, given at registration */
	uint32_t generation;
	uint64_t number;      /* the last sequence held here; 0 none */
	uint64_t last_base;   /* base offset of its last batch here; MQ_NO_OFFSET none */
	uint8_t name_len;     /* 1..200 */
	char name[201];       /* terminated */
};

/* 0 or -ENOMEM, the body unchanged. */
int mq_producer_append(struct mq_buf *body, const struct mq_producer *p);
/* 1 and an entry, 0 at the end, MQ_EDAMAGE. */
int mq_producer_next(const uint8_t **at, const uint8_t *end, struct mq_producer *ret);

struct mq_gap {
	uint32_t reason; /* enum mq_segment_reason */
	uint64_t lost_from, lost_to;
};
enum { MQ_GAP_LEN = 20 };
void mq_gap_encode(const struct mq_gap *g, uint8_t ret_bytes[MQ_GAP_LEN]);
int mq_gap_decode(const uint8_t *bytes, uint32_t len, struct mq_gap *ret); /* 0, MQ_EDAMAGE */

struct mq_generation {
	uint32_t number;
	uint32_t partitions_before, partitions_after;
};
enum { MQ_GENERATION_LEN = 12 };
void mq_generation_encode(const struct mq_generation *g, uint8_t ret_bytes[MQ_GENERATION_LEN]);
int mq_generation_decode(const uint8_t *bytes, uint32_t len, struct mq_generation *ret);

#endif
