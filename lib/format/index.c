/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/index.h"

#include "base/bytes.h"
#include "base/crc32c.h"

enum { AT_OFFSET = 0, AT_POS = 8, AT_MAX_TIME = 16, AT_SPARE = 24, AT_CRC = 28 };

static uint32_t entry_crc(const uint8_t *bytes, const struct mq_segment_id *id, uint64_t at)
{
	return mq_crc32c(mq_batch_seed(id->b, at), bytes, AT_CRC);
}

void mq_index_entry_encode(const struct mq_index_entry *e, const struct mq_segment_id *id, uint64_t at,
                           uint8_t ret_bytes[MQ_INDEX_ENTRY_LEN])
{
	mq_put_le64(ret_bytes + AT_OFFSET, e->offset);
	mq_put_le64(ret_bytes + AT_POS, e->pos);
	mq_put_le64(ret_bytes + AT_MAX_TIME, (uint64_t)e->max_time_us);
	mq_put_le32(ret_bytes + AT_SPARE, 0);
	mq_put_le32(ret_bytes + AT_CRC, entry_crc(ret_bytes, id, at));
}

bool mq_index_entry_decode(const uint8_t bytes[MQ_INDEX_ENTRY_LEN], const struct mq_segment_id *id, uint64_t at,
                           struct mq_index_entry *ret)
{
	if (mq_get_le32(bytes + AT_CRC) != entry_crc(bytes, id, at) || mq_get_le32(bytes + AT_SPARE) != 0)
		return false;
	ret->offset = mq_get_le64(bytes + AT_OFFSET);
	ret->pos = mq_get_le64(bytes + AT_POS);
	ret->max_time_us = (int64_t)mq_get_le64(bytes + AT_MAX_TIME);
	return true;
}
