/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bodies of control batches.  Byte tables: mq-spool(5). */
#ifndef MQ_FORMAT_CONTROL_H
#define MQ_FORMAT_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "format/batch.h"

/* What a partition remembers of a named producer or a mover. */
struct mq_producer {
	enum mq_who_kind kind;
	bool in_generation;   /* not an entry of its own, but what that producer's number was in one generation of the partition
	                       * count, which `generation` says; it has no name */
	uint64_t id;          /* random, given at registration */
	uint32_t generation;
	uint64_t number;      /* the last sequence held here; 0 none */
	uint64_t last_base;   /* base offset of its last batch here; MQ_NO_OFFSET none */
	uint8_t name_len;     /* 1..200; 0 with in_generation */
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

/* Where a further generation of the partition count begins in a partition.  What lies behind may be given out when the
 * partitions that its keys came from are done up to these offsets, their own batches of that generation. */
struct mq_generation {
	uint32_t number;
	uint32_t partitions_before, partitions_after;
	bool no_barrier;
	uint32_t n_sources;
};
struct mq_generation_source {
	uint32_t partition;
	uint64_t offset;
};
/* As a reader has met it: of which generation. */
struct mq_barrier {
	uint32_t generation, partition;
	uint64_t offset; /* all below is to be done */
};
enum { MQ_GENERATION_LEN = 20, MQ_GENERATION_SOURCE_LEN = 12 };
/* Add a body to out; partitions rise.  0 or -ENOMEM. */
int mq_generation_append(struct mq_buf *out, const struct mq_generation *g, const struct mq_generation_source *sources);
int mq_generation_decode(const uint8_t *bytes, uint32_t len, struct mq_generation *ret); /* 0, MQ_EDAMAGE */
/* Source i of a body that was decoded. */
struct mq_generation_source mq_generation_source_at(const uint8_t *bytes, uint32_t i);

#endif
