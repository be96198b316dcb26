/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * START20.END20.ids: the ids that a group has done (--once), sorted by their hash: a cache beside the log that they are
 * records of, for the records from offset START to END, END excluded.
 *
 * Blocks of 4096 bytes: a header, then entries, 255 a block, each block with a checksum seeded by where it belongs, so that
 * a stale or misplaced one never verifies.  Byte table: mq-spool(5).
 */
#ifndef MQ_FORMAT_IDS_H
#define MQ_FORMAT_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MQ_IDS_BLOCK_LEN = 4096, MQ_IDS_PER_BLOCK = 255, MQ_IDS_NAME_MAX = 48 };

struct mq_ids_entry {
	uint64_t hash;   /* of the id: SipHash-2-4 under the topic's id */
	uint64_t offset; /* of the record that says so */
};

/* What such a record says: this id was done, of the record at that place. */
struct mq_id_done {
	const char *id;
	uint32_t id_len;
	uint32_t partition;
	uint64_t offset;
};

struct mq_ids_header {
	uint8_t topic_id[16];
	uint32_t partition;
	uint64_t start, end; /* offsets */
	uint64_t count;      /* entries */
};

void mq_ids_name(uint64_t start, uint64_t end, char ret[MQ_IDS_NAME_MAX]);
bool mq_ids_name_parse(const char *name, uint64_t *ret_start, uint64_t *ret_end);

static inline uint64_t mq_ids_blocks(const struct mq_ids_header *h)
{
	return (h->count + MQ_IDS_PER_BLOCK - 1) / MQ_IDS_PER_BLOCK;
}

/* Below zero, zero, above it: a before b, the same, behind it. */
static inline int mq_ids_order(const struct mq_ids_entry *a, const struct mq_ids_entry *b)
{
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	return a->offset < b->offset ? -1 : a->offset > b->offset;
}

void mq_ids_header_encode(const struct mq_ids_header *h, uint8_t ret[MQ_IDS_BLOCK_LEN]);
/* 0; MQ_EDAMAGE: it does not verify; MQ_ECONFIG: it does, and is of a newer version. */
int mq_ids_header_decode(const uint8_t bytes[MQ_IDS_BLOCK_LEN], struct mq_ids_header *ret);

/* Block `number` of entries, from 0 on: n of them, sorted.  Of h only what is known before the end is looked at: not count. */
void mq_ids_block_encode(const struct mq_ids_header *h, uint64_t number, const struct mq_ids_entry *entries, uint32_t n,
                         uint8_t ret[MQ_IDS_BLOCK_LEN]);
/* How many entries went to ret; MQ_EDAMAGE. */
int mq_ids_block_decode(const struct mq_ids_header *h, uint64_t number, const uint8_t bytes[MQ_IDS_BLOCK_LEN],
                        struct mq_ids_entry ret[MQ_IDS_PER_BLOCK]);

#endif
