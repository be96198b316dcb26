/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/control.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

enum { /* a producer entry, mq-spool(5) */
	AT_ID = 0,
	AT_GENERATION = 8,
	AT_NUMBER = 12,
	AT_LAST_BASE = 20,
	AT_KIND = 28,
	AT_NAME_LEN = 29,
	AT_NAME = 30,
	NAME_MAX_LEN = 200,
};

int mq_producer_append(struct mq_buf *body, const struct mq_producer *p)
{
	uint8_t fixed[AT_NAME];
	assert(p->name_len >= 1 && p->name_len <= NAME_MAX_LEN);
	mq_put_le64(fixed + AT_ID, p->id);
	mq_put_le32(fixed + AT_GENERATION, p->generation);
	mq_put_le64(fixed + AT_NUMBER, p->number);
	mq_put_le64(fixed + AT_LAST_BASE, p->last_base);
	fixed[AT_KIND] = (uint8_t)p->kind;
	fixed[AT_NAME_LEN] = p->name_len;

	int rc = mq_buf_reserve(body, AT_NAME + (size_t)p->name_len); /* all of an entry or none */
	if (rc < 0)
		return rc;
	mq_buf_add(body, fixed, sizeof fixed);
	mq_buf_add(body, p->name, p->name_len);
	return 0;
}

int mq_producer_next(const uint8_t **at, const uint8_t *end, struct mq_producer *ret)
{
	const uint8_t *p = *at;
	if (p == end)
		return 0;
	if (end - p < AT_NAME)
		return MQ_EDAMAGE;
	unsigned kind = p[AT_KIND], name_len = p[AT_NAME_LEN];
	if (kind != MQ_WHO_PRODUCER && kind != MQ_WHO_MOVER)
		return MQ_EDAMAGE;
	if (name_len < 1 || name_len > NAME_MAX_LEN || (size_t)(end - p) - AT_NAME < name_len ||
	    memchr(p + AT_NAME, 0, name_len))
		return MQ_EDAMAGE;
	*ret = (struct mq_producer){
	    .kind = (enum mq_who_kind)kind,
	    .id = mq_get_le64(p + AT_ID),
	    .generation = mq_get_le32(p + AT_GENERATION),
	    .number = mq_get_le64(p + AT_NUMBER),
	    .last_base = mq_get_le64(p + AT_LAST_BASE),
	    .name_len = (uint8_t)name_len,
	};
	memcpy(ret->name, p + AT_NAME, name_len);
	*at = p + AT_NAME + name_len;
	return 1;
}

void mq_gap_encode(const struct mq_gap *g, uint8_t ret_bytes[MQ_GAP_LEN])
{
	mq_put_le32(ret_bytes, g->reason);
	mq_put_le64(ret_bytes + 4, g->lost_from);
	mq_put_le64(ret_bytes + 12, g->lost_to);
}

int mq_gap_decode(const uint8_t *bytes, uint32_t len, struct mq_gap *ret)
{
	if (len != MQ_GAP_LEN || mq_get_le64(bytes + 12) < mq_get_le64(bytes + 4))
		return MQ_EDAMAGE;
	ret->reason = mq_get_le32(bytes);
	ret->lost_from = mq_get_le64(bytes + 4);
	ret->lost_to = mq_get_le64(bytes + 12);
	return 0;
}

void mq_generation_encode(const struct mq_generation *g, uint8_t ret_bytes[MQ_GENERATION_LEN])
{
	mq_put_le32(ret_bytes, g->number);
	mq_put_le32(ret_bytes + 4, g->partitions_before);
	mq_put_le32(ret_bytes + 8, g->partitions_after);
}

int mq_generation_decode(const uint8_t *bytes, uint32_t len, struct mq_generation *ret)
{
	if (len != MQ_GENERATION_LEN)
		return MQ_EDAMAGE;
	ret->number = mq_get_le32(bytes);
	ret->partitions_before = mq_get_le32(bytes + 4);
	ret->partitions_after = mq_get_le32(bytes + 8);
	return 0;
}
