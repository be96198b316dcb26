/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/segment_header.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

static const uint8_t MAGIC[8] = {'m', 'q', 'S', 'e', 'g', 'm', '\r', '\n'};

enum { VERSION = 1, REFUSE_KNOWN = 0 };

enum { /* the byte table of mq-spool(5) */
	AT_MAGIC = 0,
	AT_CRC = 8,
	AT_VERSION = 12,
	AT_HEADER_LEN = 14,
	AT_REFUSE = 16,
	AT_IGNORE = 20,
	AT_ID = 24,
	AT_TOPIC_ID = 40,
	AT_PARTITION = 56,
	AT_REASON = 60,
	AT_BASE_OFFSET = 64,
	AT_ELECTION = 72,
	AT_INCARNATION = 76,
	AT_CREATED = 80,
	AT_PRED_ID = 88,
	AT_PRED_BASE = 104,
	AT_PRED_END_POS = 112,
	AT_PRED_END_OFFSET = 120,
	AT_BORN_END_POS = 128,
	AT_BORN_END_OFFSET = 136,
	AT_STANDS_ID = 144,
	AT_STANDS_END_POS = 160,
	AT_CLEAN_OFFSET = 168,
	AT_WRITTEN = 176,
	AT_ROUND = 184,
};

enum { MARK = 0xc0 };

static uint32_t header_crc(const uint8_t *bytes)
{
	return mq_crc32c(0, bytes + AT_VERSION, MQ_SEGMENT_HEADER_LEN - AT_VERSION);
}

void mq_segment_header_encode(const struct mq_segment_header *h, uint8_t ret_bytes[MQ_SEGMENT_HEADER_LEN])
{
	uint8_t *to = ret_bytes;
	memset(to, 0, MQ_SEGMENT_HEADER_LEN);
	memcpy(to + AT_MAGIC, MAGIC, sizeof MAGIC);
	mq_put_le16(to + AT_VERSION, VERSION);
	mq_put_le16(to + AT_HEADER_LEN, MQ_SEGMENT_HEADER_LEN);
	mq_put_le32(to + AT_REFUSE, h->refuse);
	mq_put_le32(to + AT_IGNORE, h->ignore);
	memcpy(to + AT_ID, h->id.b, 16);
	memcpy(to + AT_TOPIC_ID, h->topic_id, 16);
	mq_put_le32(to + AT_PARTITION, h->partition);
	mq_put_le32(to + AT_REASON, (uint32_t)h->reason);
	mq_put_le64(to + AT_BASE_OFFSET, h->base_offset);
	mq_put_le32(to + AT_ELECTION, h->epoch.election);
	mq_put_le32(to + AT_INCARNATION, h->epoch.incarnation);
	mq_put_le64(to + AT_CREATED, (uint64_t)h->created_us);
	memcpy(to + AT_PRED_ID, h->pred_id.b, 16);
	mq_put_le64(to + AT_PRED_BASE, h->pred_base);
	mq_put_le64(to + AT_PRED_END_POS, h->pred_end_pos);
	mq_put_le64(to + AT_PRED_END_OFFSET, h->pred_end_offset);
	mq_put_le64(to + AT_BORN_END_POS, h->born_end_pos);
	mq_put_le64(to + AT_BORN_END_OFFSET, h->born_end_offset);
	memcpy(to + AT_STANDS_ID, h->stands_id.b, 16);
	mq_put_le64(to + AT_STANDS_END_POS, h->stands_end_pos);
	mq_put_le64(to + AT_CLEAN_OFFSET, h->clean_offset);
	mq_put_le64(to + AT_WRITTEN, (uint64_t)h->written_us);
	mq_put_le32(to + AT_ROUND, h->round);
	mq_put_le32(to + AT_CRC, header_crc(to));
}

static void unpack(const uint8_t *p, struct mq_segment_header *ret)
{
	*ret = (struct mq_segment_header){
	    .refuse = mq_get_le32(p + AT_REFUSE),
	    .ignore = mq_get_le32(p + AT_IGNORE),
	    .partition = mq_get_le32(p + AT_PARTITION),
	    .reason = (enum mq_segment_reason)mq_get_le32(p + AT_REASON),
	    .base_offset = mq_get_le64(p + AT_BASE_OFFSET),
	    .epoch = {mq_get_le32(p + AT_ELECTION), mq_get_le32(p + AT_INCARNATION)},
	    .created_us = (int64_t)mq_get_le64(p + AT_CREATED),
	    .pred_base = mq_get_le64(p + AT_PRED_BASE),
	    .pred_end_pos = mq_get_le64(p + AT_PRED_END_POS),
	    .pred_end_offset = mq_get_le64(p + AT_PRED_END_OFFSET),
	    .born_end_pos = mq_get_le64(p + AT_BORN_END_POS),
	    .born_end_offset = mq_get_le64(p + AT_BORN_END_OFFSET),
	    .stands_end_pos = mq_get_le64(p + AT_STANDS_END_POS),
	    .clean_offset = mq_get_le64(p + AT_CLEAN_OFFSET),
	    .written_us = (int64_t)mq_get_le64(p + AT_WRITTEN),
	    .round = mq_get_le32(p + AT_ROUND),
	};
	memcpy(ret->id.b, p + AT_ID, 16);
	memcpy(ret->topic_id, p + AT_TOPIC_ID, 16);
	memcpy(ret->pred_id.b, p + AT_PRED_ID, 16);
	memcpy(ret->stands_id.b, p + AT_STANDS_ID, 16);
}

int mq_segment_header_decode(const uint8_t bytes[MQ_SEGMENT_HEADER_LEN], struct mq_segment_header *ret,
                             struct mq_err *err)
{
	if (memcmp(bytes + AT_MAGIC, MAGIC, sizeof MAGIC) != 0)
		return mq_err_set(err, MQ_EDAMAGE, "no segment header there");
	if (mq_get_le32(bytes + AT_CRC) != header_crc(bytes))
		return mq_err_set(err, MQ_EDAMAGE, "the segment header does not verify");
	unsigned version = mq_get_le16(bytes + AT_VERSION);
	if (version != VERSION || mq_get_le16(bytes + AT_HEADER_LEN) != MQ_SEGMENT_HEADER_LEN)
		return mq_err_set(err, MQ_ECONFIG, "the segment has format %u, which needs a newer mq", version);

	struct mq_segment_header h;
	unpack(bytes, &h);
	if (h.refuse & ~(uint32_t)REFUSE_KNOWN)
		return mq_err_set(err, MQ_ECONFIG, "the segment needs a newer mq (features %#x)", h.refuse);
	if (mq_get_le32(bytes + AT_REASON) > MQ_SEGMENT_COMPACT)
		return mq_err_set(err, MQ_ECONFIG, "the segment needs a newer mq (unknown reason)");
	if (h.born_end_pos < MQ_SEGMENT_HEADER_LEN || h.born_end_offset < h.base_offset)
		return mq_err_set(err, MQ_EDAMAGE, "the segment header verifies but ends before its start");
	*ret = h;
	return 0;
}

bool mq_segment_id_equal(const struct mq_segment_id *a, const struct mq_segment_id *b)
{
	return memcmp(a->b, b->b, sizeof a->b) == 0;
}

void mq_segment_id_mark(struct mq_segment_id *id, const struct mq_segment_id *stands_for)
{
	id->b[0] = stands_for->b[8];
	id->b[1] = stands_for->b[9];
	id->b[3] = MARK;
}

void mq_segment_id_unmark(struct mq_segment_id *id)
{
	if (id->b[3] == MARK)
		id->b[3] = 0;
}

bool mq_segment_id_marked(const uint8_t id4[4])
{
	return id4[3] == MARK;
}

bool mq_segment_id_marked_for(const uint8_t id4[4], const struct mq_segment_id *stands_for)
{
	return id4[3] == MARK && id4[0] == stands_for->b[8] && id4[1] == stands_for->b[9];
}

bool mq_segment_id_none(const struct mq_segment_id *a)
{
	static const struct mq_segment_id none;
	return mq_segment_id_equal(a, &none);
}
