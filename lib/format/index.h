/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An entry of the sparse index: a cache, so an entry that does not verify is passed over. */
#ifndef MQ_FORMAT_INDEX_H
#define MQ_FORMAT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "format/segment_header.h"

enum { MQ_INDEX_ENTRY_LEN = 32 };

struct mq_index_entry {
	uint64_t offset;   /* base offset of the batch */
	uint64_t pos;      /* its place in the segment */
	int64_t max_time_us; /* greatest record time in the segment before this batch: a running maximum */
};

/* at: position of the entry in the index file, a multiple of 32. */
void mq_index_entry_encode(const struct mq_index_entry *e, const struct mq_segment_id *id, uint64_t at,
                           uint8_t ret_bytes[MQ_INDEX_ENTRY_LEN]);
bool mq_index_entry_decode(const uint8_t bytes[MQ_INDEX_ENTRY_LEN], const struct mq_segment_id *id, uint64_t at,
                           struct mq_index_entry *ret);

#endif
