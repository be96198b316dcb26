/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/claim.h"

#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/err.h"

static const char MAGIC[8] = {'m', 'q', 'C', 'l', 'a', 'i', 'm', '\n'};
enum { VERSION = 1 };

static uint32_t head_crc(const uint8_t *h, unsigned half)
{
	uint8_t at[8];

	mq_put_le64(at, (uint64_t)half * MQ_CLAIM_HALF_LEN);
	return mq_crc32c(mq_crc32c(0, at, sizeof at), h, MQ_CLAIM_HEAD_LEN - 4);
}

void mq_claims_head_encode(const struct mq_claims_head *h, unsigned half, uint8_t ret[MQ_CLAIM_HEAD_LEN])
{
	memset(ret, 0, MQ_CLAIM_HEAD_LEN);
	memcpy(ret, MAGIC, sizeof MAGIC);
	mq_put_le32(ret + 8, VERSION);
	memcpy(ret + 16, h->topic_id, 16);
	mq_put_le32(ret + 32, h->generation);
	mq_put_le32(ret + 36, h->seeks);
	mq_put_le64(ret + 40, h->base);
	mq_put_le64(ret + 48, h->made_with);
	mq_put_le64(ret + 112, h->epoch);
	mq_put_le32(ret + 124, head_crc(ret, half));
}

bool mq_claims_head_unwritten(const uint8_t bytes[MQ_CLAIM_HEAD_LEN])
{
	static const uint8_t zero[16];

	return memcmp(bytes, zero, sizeof MAGIC) == 0 || memcmp(bytes + 112, zero, 16) == 0;
}

int mq_claims_head_decode(const uint8_t bytes[MQ_CLAIM_HEAD_LEN], unsigned half, struct mq_claims_head *ret)
{
	if (memcmp(bytes, MAGIC, sizeof MAGIC) != 0 || mq_get_le32(bytes + 124) != head_crc(bytes, half))
		return MQ_EDAMAGE;
	if (mq_get_le32(bytes + 8) != VERSION)
		return MQ_ECONFIG;
	memcpy(ret->topic_id, bytes + 16, 16);
	ret->generation = mq_get_le32(bytes + 32);
	ret->seeks = mq_get_le32(bytes + 36);
	ret->base = mq_get_le64(bytes + 40);
	ret->made_with = mq_get_le64(bytes + 48);
	ret->epoch = mq_get_le64(bytes + 112);
	return ret->epoch > 0 && ret->made_with <= MQ_CLAIM_SLOTS ? 0 : MQ_EDAMAGE;
}

static uint32_t slot_crc(const uint8_t *e, uint64_t epoch, uint64_t at)
{
	uint8_t seed[16];

	mq_put_le64(seed, epoch);
	mq_put_le64(seed + 8, at);
	return mq_crc32c(mq_crc32c(0, seed, sizeof seed), e, MQ_CLAIM_LEN - 4);
}

void mq_claim_encode(const struct mq_claim *c, uint64_t epoch, uint64_t at, uint8_t ret[MQ_CLAIM_LEN])
{
	ret[0] = (uint8_t)c->kind;
	ret[1] = 0;
	ret[2] = (uint8_t)c->attempt;
	ret[3] = (uint8_t)(c->attempt >> 8);
	mq_put_le64(ret + 4, c->offset);
	mq_put_le64(ret + 12, c->count);
	mq_put_le64(ret + 20, c->member);
	mq_put_le32(ret + 28, slot_crc(ret, epoch, at));
}

bool mq_claim_decode(const uint8_t bytes[MQ_CLAIM_LEN], uint64_t epoch, uint64_t at, struct mq_claim *ret)
{
	if (bytes[0] < MQ_CLAIM_TAKEN || bytes[0] > MQ_CLAIM_MOVED || mq_get_le32(bytes + 28) != slot_crc(bytes, epoch, at))
		return false;
	ret->kind = (enum mq_claim_kind)bytes[0];
	ret->attempt = (uint16_t)(bytes[2] | bytes[3] << 8);
	ret->offset = mq_get_le64(bytes + 4);
	ret->count = mq_get_le64(bytes + 12);
	ret->member = mq_get_le64(bytes + 20);
	return ret->offset + ret->count >= ret->offset;
}

bool mq_claim_empty(const uint8_t bytes[MQ_CLAIM_LEN])
{
	static const uint8_t zero[MQ_CLAIM_LEN];

	return memcmp(bytes, zero, sizeof zero) == 0;
}
