/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/batch.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

_Static_assert(sizeof(struct mq_epoch) == 8, "two 32-bit numbers");

static const uint8_t MAGIC[4] = {'m', 'q', 'B', 1};

enum { /* the byte table of mq-spool(5) */
	AT_MAGIC = 0,
	AT_CRC = 4,
	AT_BODY_CRC = 8,
	AT_FLAGS = 12,
	AT_CONTROL = 14,
	AT_STORED_LEN = 16,
	AT_RAW_LEN = 20,
	AT_BASE_OFFSET = 24,
	AT_NEXT_OFFSET = 32,
	AT_COUNT = 40,
	AT_WHO_KIND = 44,
	AT_BASE_TIME = 48,
	AT_MAX_TIME = 56,
	AT_ELECTION = 64,
	AT_INCARNATION = 68,
	AT_WHO_ID = 72,
	AT_WHO_GENERATION = 80,
	AT_TOPIC_GENERATION = 84,
	AT_WHO_NUMBER = 88,
	AT_SOURCE_START = 96,
	AT_SOURCE_END = 104,
	AT_DURABLE_POS = 112,
	AT_SPARE = 120,
};

enum { KIND_SHIFT = 0, ZIP_SHIFT = 2, ACK_SHIFT = 4, FLAGS_KNOWN = 0x3f };

uint32_t mq_batch_seed(const uint8_t id[16], uint64_t position)
{
	uint8_t place[24];
	memcpy(place, id, 16);
	mq_put_le64(place + 16, position);
	return mq_crc32c(0, place, sizeof place);
}

static uint32_t header_crc(const uint8_t *bytes, uint32_t seed)
{
	return mq_crc32c(seed, bytes + AT_BODY_CRC, MQ_BATCH_HEADER_LEN - AT_BODY_CRC);
}

void mq_batch_encode(const struct mq_batch *b, uint32_t seed, uint8_t ret_bytes[MQ_BATCH_HEADER_LEN])
{
	uint8_t *to = ret_bytes;
	unsigned flags = (unsigned)b->kind << KIND_SHIFT | (unsigned)b->zip << ZIP_SHIFT |
	                 (unsigned)b->ack << ACK_SHIFT;
	assert((flags & ~(unsigned)FLAGS_KNOWN) == 0);

	memcpy(to + AT_MAGIC, MAGIC, sizeof MAGIC);
	mq_put_le32(to + AT_BODY_CRC, b->body_crc);
	mq_put_le16(to + AT_FLAGS, (uint16_t)flags);
	mq_put_le16(to + AT_CONTROL, (uint16_t)b->control);
	mq_put_le32(to + AT_STORED_LEN, b->stored_len);
	mq_put_le32(to + AT_RAW_LEN, b->raw_len);
	mq_put_le64(to + AT_BASE_OFFSET, b->base_offset);
	mq_put_le64(to + AT_NEXT_OFFSET, b->next_offset);
	mq_put_le32(to + AT_COUNT, b->count);
	mq_put_le32(to + AT_WHO_KIND, (uint32_t)b->who.kind);
	mq_put_le64(to + AT_BASE_TIME, (uint64_t)b->base_time_us);
	mq_put_le64(to + AT_MAX_TIME, (uint64_t)b->max_time_us);
	mq_put_le32(to + AT_ELECTION, b->epoch.election);
	mq_put_le32(to + AT_INCARNATION, b->epoch.incarnation);
	mq_put_le64(to + AT_WHO_ID, b->who.id);
	mq_put_le32(to + AT_WHO_GENERATION, b->who.generation);
	mq_put_le32(to + AT_TOPIC_GENERATION, b->topic_generation);
	mq_put_le64(to + AT_WHO_NUMBER, b->who.number);
	mq_put_le64(to + AT_SOURCE_START, b->who.source_start);
	mq_put_le64(to + AT_SOURCE_END, b->who.source_end);
	mq_put_le64(to + AT_DURABLE_POS, b->durable_pos);
	mq_put_le64(to + AT_SPARE, 0);
	mq_put_le32(to + AT_CRC, header_crc(to, seed));
}

/* Every field of a header that verified, with no judgement. */
static void unpack(const uint8_t *p, struct mq_batch *ret)
{
	unsigned flags = mq_get_le16(p + AT_FLAGS);
	*ret = (struct mq_batch){
	    .kind = (enum mq_batch_kind)(flags >> KIND_SHIFT & 3),
	    .zip = (enum mq_batch_zip)(flags >> ZIP_SHIFT & 3),
	    .ack = (enum mq_ack)(flags >> ACK_SHIFT & 3),
	    .control = (enum mq_control)mq_get_le16(p + AT_CONTROL),
	    .stored_len = mq_get_le32(p + AT_STORED_LEN),
	    .raw_len = mq_get_le32(p + AT_RAW_LEN),
	    .body_crc = mq_get_le32(p + AT_BODY_CRC),
	    .base_offset = mq_get_le64(p + AT_BASE_OFFSET),
	    .next_offset = mq_get_le64(p + AT_NEXT_OFFSET),
	    .count = mq_get_le32(p + AT_COUNT),
	    .base_time_us = (int64_t)mq_get_le64(p + AT_BASE_TIME),
	    .max_time_us = (int64_t)mq_get_le64(p + AT_MAX_TIME),
	    .epoch = {mq_get_le32(p + AT_ELECTION), mq_get_le32(p + AT_INCARNATION)},
	    .topic_generation = mq_get_le32(p + AT_TOPIC_GENERATION),
	    .who = {.kind = (enum mq_who_kind)mq_get_le32(p + AT_WHO_KIND),
	            .id = mq_get_le64(p + AT_WHO_ID),
	            .generation = mq_get_le32(p + AT_WHO_GENERATION),
	            .number = mq_get_le64(p + AT_WHO_NUMBER),
	            .source_start = mq_get_le64(p + AT_SOURCE_START),
	            .source_end = mq_get_le64(p + AT_SOURCE_END)},
	    .durable_pos = mq_get_le64(p + AT_DURABLE_POS),
	};
}

/* What a later format may have given a meaning.  NULL: nothing this reader does not know. */
static const char *newer(const uint8_t *p)
{
	unsigned flags = mq_get_le16(p + AT_FLAGS);
	if (flags & ~(unsigned)FLAGS_KNOWN)
		return "flags";
	if ((flags >> KIND_SHIFT & 3) > MQ_BATCH_CONTROL)
		return "kind";
	if ((flags >> ZIP_SHIFT & 3) > MQ_BATCH_ZSTD)
		return "compression";
	if (mq_get_le16(p + AT_CONTROL) > MQ_CONTROL_COMPACTED)
		return "control type";
	if (mq_get_le32(p + AT_WHO_KIND) > MQ_WHO_MOVER)
		return "who kind";
	return NULL;
}

/* What no writer makes.  NULL: consistent. */
static const char *contradiction(const struct mq_batch *b)
{
	if (b->stored_len > MQ_BATCH_BODY_MAX || b->raw_len > MQ_BATCH_BODY_MAX)
		return "a body longer than any";
	if (b->zip == MQ_BATCH_PLAIN && b->raw_len != b->stored_len)
		return "two lengths of one plain body";
	if (b->next_offset < b->base_offset)
		return "an end before its start";
	if ((b->kind == MQ_BATCH_CONTROL) != (b->control != MQ_CONTROL_DATA))
		return "a control type that does not fit its kind";
	if (b->kind == MQ_BATCH_CONTROL)
		return b->count ? "records in a control batch" : NULL;
	uint64_t span = b->next_offset - b->base_offset;
	if (b->count == 0 || b->count > span || (b->kind == MQ_BATCH_LINES && b->count != span))
		return "a count that does not fit its offsets";
	if (b->raw_len < b->count)
		return "a count that does not fit its body";
	return NULL;
}

int mq_batch_decode(const uint8_t bytes[MQ_BATCH_HEADER_LEN], uint32_t seed, struct mq_batch *ret,
                    struct mq_err *err)
{
	if (memcmp(bytes + AT_MAGIC, MAGIC, sizeof MAGIC) != 0)
		return mq_err_set(err, MQ_EDAMAGE, "no batch header there");
	if (mq_get_le32(bytes + AT_CRC) != header_crc(bytes, seed))
		return mq_err_set(err, MQ_EDAMAGE, "the batch header does not verify");
	const char *what = newer(bytes);
	if (what)
		return mq_err_set(err, MQ_ECONFIG, "the batch needs a newer mq (unknown %s)", what);
	struct mq_batch b;
	unpack(bytes, &b);
	what = contradiction(&b);
	if (what)
		return mq_err_set(err, MQ_EDAMAGE, "the batch header verifies but tells of %s", what);
	*ret = b;
	return 0;
}

bool mq_batch_body_ok(const struct mq_batch *b, const void *body)
{
	return mq_crc32c(0, body, b->stored_len) == b->body_crc;
}
