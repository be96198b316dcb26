/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/ids.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"
#include "base/parse.h"

enum { VERSION = 1, DIGITS = 20, ENTRY_LEN = 16 };
static const char MAGIC[8] = {'m', 'q', 'I', 'd', 's', '\r', '\n', 0};

void mq_ids_name(uint64_t start, uint64_t end, char ret[MQ_IDS_NAME_MAX])
{
	snprintf(ret, MQ_IDS_NAME_MAX, "%020" PRIu64 ".%020" PRIu64 ".ids", start, end);
}

static bool to_offset(const char *digits, uint64_t *ret)
{
	size_t used;

	return strspn(digits, "0123456789") == DIGITS && mq_to_u64_prefix(digits, DIGITS, ret, &used) == 0 && used == DIGITS;
}

bool mq_ids_name_parse(const char *name, uint64_t *ret_start, uint64_t *ret_end)
{
	return strlen(name) == 2 * DIGITS + 5 && name[DIGITS] == '.' && strcmp(name + 2 * DIGITS + 1, ".ids") == 0 &&
	       to_offset(name, ret_start) && to_offset(name + DIGITS + 1, ret_end) && *ret_start < *ret_end;
}

void mq_ids_header_encode(const struct mq_ids_header *h, uint8_t ret[MQ_IDS_BLOCK_LEN])
{
	memset(ret, 0, MQ_IDS_BLOCK_LEN);
	memcpy(ret, MAGIC, sizeof MAGIC);
	mq_put_le32(ret + 12, VERSION);
	memcpy(ret + 16, h->topic_id, 16);
	mq_put_le64(ret + 32, h->start);
	mq_put_le64(ret + 40, h->end);
	mq_put_le64(ret + 48, h->count);
	mq_put_le32(ret + 56, h->partition);
	mq_put_le32(ret + 8, mq_crc32c(0, ret + 12, MQ_IDS_BLOCK_LEN - 12));
}

int mq_ids_header_decode(const uint8_t bytes[MQ_IDS_BLOCK_LEN], struct mq_ids_header *ret)
{
	if (memcmp(bytes, MAGIC, sizeof MAGIC) != 0 || mq_get_le32(bytes + 8) != mq_crc32c(0, bytes + 12, MQ_IDS_BLOCK_LEN - 12))
		return MQ_EDAMAGE;
	if (mq_get_le32(bytes + 12) != VERSION)
		return MQ_ECONFIG;
	memcpy(ret->topic_id, bytes + 16, 16);
	ret->start = mq_get_le64(bytes + 32);
	ret->end = mq_get_le64(bytes + 40);
	ret->count = mq_get_le64(bytes + 48);
	ret->partition = mq_get_le32(bytes + 56);
	return ret->start < ret->end ? 0 : MQ_EDAMAGE; /* a waiting room's names offsets below its start, and due times */
}

static uint32_t seal(const struct mq_ids_header *h, uint64_t number, const uint8_t bytes[MQ_IDS_BLOCK_LEN])
{
	uint8_t place[44];

	memcpy(place, h->topic_id, 16);
	mq_put_le32(place + 16, h->partition);
	mq_put_le64(place + 20, h->start);
	mq_put_le64(place + 28, h->end);
	mq_put_le64(place + 36, number);
	return mq_crc32c(mq_crc32c(0, place, sizeof place), bytes + 4, MQ_IDS_BLOCK_LEN - 4);
}

void mq_ids_block_encode(const struct mq_ids_header *h, uint64_t number, const struct mq_ids_entry *entries, uint32_t n,
                         uint8_t ret[MQ_IDS_BLOCK_LEN])
{
	memset(ret, 0, MQ_IDS_BLOCK_LEN);
	mq_put_le32(ret + 4, n);
	for (uint32_t i = 0; i < n; i++) {
		mq_put_le64(ret + ENTRY_LEN * (i + 1), entries[i].hash);
		mq_put_le64(ret + ENTRY_LEN * (i + 1) + 8, entries[i].offset);
	}
	mq_put_le32(ret, seal(h, number, ret));
}

int mq_ids_block_decode(const struct mq_ids_header *h, uint64_t number, const uint8_t bytes[MQ_IDS_BLOCK_LEN],
                        struct mq_ids_entry ret[MQ_IDS_PER_BLOCK])
{
	uint32_t n = mq_get_le32(bytes + 4);

	if (n < 1 || n > MQ_IDS_PER_BLOCK || mq_get_le32(bytes) != seal(h, number, bytes))
		return MQ_EDAMAGE;
	for (uint32_t i = 0; i < n; i++) {
		ret[i].hash = mq_get_le64(bytes + ENTRY_LEN * (i + 1));
		ret[i].offset = mq_get_le64(bytes + ENTRY_LEN * (i + 1) + 8);
		if (i > 0 && mq_ids_order(&ret[i - 1], &ret[i]) >= 0)
			return MQ_EDAMAGE;
	}
	return (int)n;
}
