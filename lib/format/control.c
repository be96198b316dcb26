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
	KIND_IN_GENERATION = 3,
};

int mq_producer_append(struct mq_buf *body, const struct mq_producer *p)
{
	uint8_t fixed[AT_NAME];
	assert(p->in_generation ? p->name_len == 0 && p->kind == MQ_WHO_PRODUCER : p->name_len >= 1 && p->name_len <= NAME_MAX_LEN);
	mq_put_le64(fixed + AT_ID, p->id);
	mq_put_le32(fixed + AT_GENERATION, p->generation);
	mq_put_le64(fixed + AT_NUMBER, p->number);
	mq_put_le64(fixed + AT_LAST_BASE, p->last_base);
	fixed[AT_KIND] = p->in_generation ? KIND_IN_GENERATION : (uint8_t)p->kind;
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
	bool in_generation = kind == KIND_IN_GENERATION;
	if (kind != MQ_WHO_PRODUCER && kind != MQ_WHO_MOVER && !in_generation)
		return MQ_EDAMAGE;
	if ((name_len < 1) != in_generation || name_len > NAME_MAX_LEN || (size_t)(end - p) - AT_NAME < name_len ||
	    memchr(p + AT_NAME, 0, name_len))
		return MQ_EDAMAGE;
	*ret = (struct mq_producer){
	    .kind = in_generation ? MQ_WHO_PRODUCER : (enum mq_who_kind)kind,
	    .in_generation = in_generation,
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

enum { /* a generation, mq-spool(5) */
	AT_BEFORE = 4,
	AT_AFTER = 8,
	AT_FLAGS = 12,
	AT_SOURCES = 16,
	FLAG_NO_BARRIER = 1,
};

int mq_generation_append(struct mq_buf *out, const struct mq_generation *g, const struct mq_generation_source *sources)
{
	uint8_t fixed[MQ_GENERATION_LEN], one[MQ_GENERATION_SOURCE_LEN];
	int rc = mq_buf_reserve(out, sizeof fixed + (size_t)g->n_sources * sizeof one);
	if (rc < 0)
		return rc;
	mq_put_le32(fixed, g->number);
	mq_put_le32(fixed + AT_BEFORE, g->partitions_before);
	mq_put_le32(fixed + AT_AFTER, g->partitions_after);
	mq_put_le32(fixed + AT_FLAGS, g->no_barrier ? FLAG_NO_BARRIER : 0);
	mq_put_le32(fixed + AT_SOURCES, g->n_sources);
	mq_buf_add(out, fixed, sizeof fixed);
	for (uint32_t i = 0; i < g->n_sources; i++) {
		mq_put_le32(one, sources[i].partition);
		mq_put_le64(one + 4, sources[i].offset);
		mq_buf_add(out, one, sizeof one);
	}
	return 0;
}

struct mq_generation_source mq_generation_source_at(const uint8_t *bytes, uint32_t i)
{
	const uint8_t *at = bytes + MQ_GENERATION_LEN + (size_t)i * MQ_GENERATION_SOURCE_LEN;
	return (struct mq_generation_source){mq_get_le32(at), mq_get_le64(at + 4)};
}

int mq_generation_decode(const uint8_t *bytes, uint32_t len, struct mq_generation *ret)
{
	if (len < MQ_GENERATION_LEN)
		return MQ_EDAMAGE;
	uint32_t flags = mq_get_le32(bytes + AT_FLAGS);
	struct mq_generation g = {
	    .number = mq_get_le32(bytes),
	    .partitions_before = mq_get_le32(bytes + AT_BEFORE),
	    .partitions_after = mq_get_le32(bytes + AT_AFTER),
	    .no_barrier = flags & FLAG_NO_BARRIER,
	    .n_sources = mq_get_le32(bytes + AT_SOURCES),
	};
	if (len != MQ_GENERATION_LEN + (uint64_t)g.n_sources * MQ_GENERATION_SOURCE_LEN || (flags & ~(uint32_t)FLAG_NO_BARRIER) ||
	    g.number == 0 || g.partitions_before < 1 || g.partitions_after <= g.partitions_before || (g.no_barrier && g.n_sources))
		return MQ_EDAMAGE;
	for (uint32_t i = 0; i < g.n_sources; i++) {
		uint32_t p = mq_generation_source_at(bytes, i).partition;
		if (p >= g.partitions_before || (i && p <= mq_generation_source_at(bytes, i - 1).partition))
			return MQ_EDAMAGE;
	}
	*ret = g;
	return 0;
}
