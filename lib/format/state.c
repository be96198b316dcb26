/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/state.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"

static const uint8_t MAGIC[8] = {'m', 'q', 'S', 't', 'a', 't', 'e', '\n'};

enum { STATE_VERSION = 1, STATE_HEAD_LEN = 16 };
enum { AT_SEQ = 0, AT_CRC = 8, AT_BODY = 12 }; /* of every slot */

void mq_state_head_encode(uint8_t ret_bytes[STATE_HEAD_LEN])
{
	memcpy(ret_bytes, MAGIC, sizeof MAGIC);
	mq_put_le32(ret_bytes + 8, STATE_VERSION);
	mq_put_le32(ret_bytes + 12, mq_crc32c(0, ret_bytes, 12));
}

int mq_state_head_decode(const uint8_t bytes[STATE_HEAD_LEN])
{
	if (memcmp(bytes, MAGIC, sizeof MAGIC) != 0 || mq_get_le32(bytes + 12) != mq_crc32c(0, bytes, 12))
		return MQ_EDAMAGE;
	return mq_get_le32(bytes + 8) == STATE_VERSION ? 0 : MQ_ECONFIG;
}

static uint32_t slot_crc(const uint8_t *bytes, uint32_t block)
{
	uint8_t place[4];
	mq_put_le32(place, block);
	uint32_t crc = mq_crc32c(mq_crc32c(0, bytes + AT_SEQ, 8), place, sizeof place);
	return mq_crc32c(crc, bytes + AT_BODY, MQ_SLOT_LEN - AT_BODY);
}

static void seal(uint8_t *bytes, uint64_t seq, uint32_t block)
{
	assert(seq >= 1);
	mq_put_le64(bytes + AT_SEQ, seq);
	mq_put_le32(bytes + AT_CRC, slot_crc(bytes, block));
}

/* The sequence of a slot that verifies at its place; 0. */
static uint64_t opened(const uint8_t *bytes, uint32_t block)
{
	return mq_get_le32(bytes + AT_CRC) == slot_crc(bytes, block) ? mq_get_le64(bytes + AT_SEQ) : 0;
}

bool mq_slot_empty(const uint8_t bytes[MQ_SLOT_LEN])
{
	return bytes[0] == 0 && memcmp(bytes, bytes + 1, MQ_SLOT_LEN - 1) == 0;
}

void mq_tail_encode(const struct mq_tail *t, uint64_t seq, uint32_t block, uint8_t ret_bytes[MQ_SLOT_LEN])
{
	uint8_t *to = ret_bytes;
	memset(to, 0, MQ_SLOT_LEN);
	mq_put_le32(to + 12, t->flags);
	memcpy(to + 16, t->segment.b, 16);
	mq_put_le64(to + 32, t->segment_base);
	mq_put_le64(to + 40, t->pos);
	mq_put_le64(to + 48, t->next_offset);
	mq_put_le64(to + 56, t->strict_start);
	mq_put_le64(to + 64, t->strict_end);
	mq_put_le64(to + 72, t->index_pos);
	mq_put_le64(to + 80, t->index_count);
	memcpy(to + 88, t->boot_id, 16);
	mq_put_le64(to + 104, t->state_ino);
	mq_put_le64(to + 112, (uint64_t)t->state_btime_ns);
	mq_put_le32(to + 120, t->epoch.election);
	mq_put_le32(to + 124, t->epoch.incarnation);
	for (int i = 0; i < MQ_STATE_MOUNTS; i++)
		mq_put_le64(to + 128 + 8 * i, t->mounts[i]);
	mq_put_le64(to + 192, (uint64_t)t->segment_created_us);
	mq_put_le64(to + 200, (uint64_t)t->max_time_us);
	mq_put_le64(to + 208, t->producers_pos);
	mq_put_le64(to + 216, t->strict_offset);
	mq_put_le64(to + 224, t->offset_min);
	mq_put_le32(to + 232, t->generation);
	seal(to, seq, block);
}

uint64_t mq_tail_decode(const uint8_t bytes[MQ_SLOT_LEN], uint32_t block, struct mq_tail *ret)
{
	uint64_t seq = opened(bytes, block);
	if (seq == 0)
		return 0;
	*ret = (struct mq_tail){
	    .flags = mq_get_le32(bytes + 12),
	    .segment_base = mq_get_le64(bytes + 32),
	    .pos = mq_get_le64(bytes + 40),
	    .next_offset = mq_get_le64(bytes + 48),
	    .strict_start = mq_get_le64(bytes + 56),
	    .strict_end = mq_get_le64(bytes + 64),
	    .index_pos = mq_get_le64(bytes + 72),
	    .index_count = mq_get_le64(bytes + 80),
	    .state_ino = mq_get_le64(bytes + 104),
	    .state_btime_ns = (int64_t)mq_get_le64(bytes + 112),
	    .epoch = {mq_get_le32(bytes + 120), mq_get_le32(bytes + 124)},
	    .segment_created_us = (int64_t)mq_get_le64(bytes + 192),
	    .max_time_us = (int64_t)mq_get_le64(bytes + 200),
	    .producers_pos = mq_get_le64(bytes + 208),
	    .strict_offset = mq_get_le64(bytes + 216),
	    .offset_min = mq_get_le64(bytes + 224),
	    .generation = mq_get_le32(bytes + 232),
	};
	memcpy(ret->segment.b, bytes + 16, 16);
	memcpy(ret->boot_id, bytes + 88, 16);
	for (int i = 0; i < MQ_STATE_MOUNTS; i++)
		ret->mounts[i] = mq_get_le64(bytes + 128 + 8 * i);
	return seq;
}

void mq_mark_encode(const struct mq_mark *m, uint64_t seq, uint32_t block, uint8_t ret_bytes[MQ_SLOT_LEN])
{
	uint8_t *to = ret_bytes;
	memset(to, 0, MQ_SLOT_LEN);
	memcpy(to + 16, m->segment.b, 16);
	mq_put_le64(to + 32, m->pos);
	mq_put_le64(to + 40, m->end_offset);
	mq_put_le64(to + 48, m->started);
	mq_put_le64(to + 56, m->finished);
	mq_put_le64(to + 64, m->last_sync_ns);
	mq_put_le64(to + 72, m->aim_pos);
	seal(to, seq, block);
}

uint64_t mq_mark_decode(const uint8_t bytes[MQ_SLOT_LEN], uint32_t block, struct mq_mark *ret)
{
	uint64_t seq = opened(bytes, block);
	if (seq == 0)
		return 0;
	*ret = (struct mq_mark){
	    .pos = mq_get_le64(bytes + 32),
	    .end_offset = mq_get_le64(bytes + 40),
	    .started = mq_get_le64(bytes + 48),
	    .finished = mq_get_le64(bytes + 56),
	    .last_sync_ns = mq_get_le64(bytes + 64),
	    .aim_pos = mq_get_le64(bytes + 72),
	};
	memcpy(ret->segment.b, bytes + 16, 16);
	return seq;
}

void mq_start_encode(const struct mq_start *s, uint64_t seq, uint32_t block, uint8_t ret_bytes[MQ_SLOT_LEN])
{
	memset(ret_bytes, 0, MQ_SLOT_LEN);
	memcpy(ret_bytes + 16, s->topic_id, 16);
	mq_put_le64(ret_bytes + 32, s->log_start);
	seal(ret_bytes, seq, block);
}

uint64_t mq_start_decode(const uint8_t bytes[MQ_SLOT_LEN], uint32_t block, struct mq_start *ret)
{
	uint64_t seq = opened(bytes, block);
	if (seq == 0)
		return 0;
	memcpy(ret->topic_id, bytes + 16, 16);
	ret->log_start = mq_get_le64(bytes + 32);
	return seq;
}

void mq_commit_encode(const struct mq_commit *c, uint64_t seq, uint32_t block, uint8_t ret_bytes[MQ_SLOT_LEN])
{
	uint8_t *to = ret_bytes;
	memset(to, 0, MQ_SLOT_LEN);
	memcpy(to + 16, c->topic_id, 16);
	mq_put_le64(to + 32, c->offset);
	memcpy(to + 40, c->mark_segment.b, 16);
	mq_put_le64(to + 56, c->mark_pos);
	mq_put_le64(to + 64, c->mark_offset);
	mq_put_le32(to + 72, c->generation);
	mq_put_le32(to + 76, c->seeks);
	mq_put_le64(to + 80, (uint64_t)c->time_us);
	mq_put_le64(to + 88, c->lost);
	mq_put_le64(to + 96, c->expired);
	mq_put_le32(to + 104, c->began);
	seal(to, seq, block);
}

uint64_t mq_commit_decode(const uint8_t bytes[MQ_SLOT_LEN], uint32_t block, struct mq_commit *ret)
{
	uint64_t seq = opened(bytes, block);
	if (seq == 0)
		return 0;
	*ret = (struct mq_commit){
	    .offset = mq_get_le64(bytes + 32),
	    .mark_pos = mq_get_le64(bytes + 56),
	    .mark_offset = mq_get_le64(bytes + 64),
	    .generation = mq_get_le32(bytes + 72),
	    .seeks = mq_get_le32(bytes + 76),
	    .time_us = (int64_t)mq_get_le64(bytes + 80),
	    .lost = mq_get_le64(bytes + 88),
	    .expired = mq_get_le64(bytes + 96),
	    .began = mq_get_le32(bytes + 104),
	    .area = block >> MQ_SLOT_AREA_SHIFT,
	};
	memcpy(ret->topic_id, bytes + 16, 16);
	memcpy(ret->mark_segment.b, bytes + 40, 16);
	return seq;
}
