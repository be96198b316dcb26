/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "format/room_note.h"

#include <string.h>

#include "base/bytes.h"

bool mq_room_is_note(const struct mq_rec *r)
{
	return r->group && r->group_len == strlen(MQ_ROOM_GROUP) && memcmp(r->group, MQ_ROOM_GROUP, r->group_len) == 0;
}

int mq_room_note_encode(const struct mq_room_note *note, const uint64_t *offsets, struct mq_buf *out)
{
	uint8_t head[MQ_ROOM_NOTE_HEAD];
	int rc;

	mq_put_le32(head, note->kind);
	mq_put_le32(head + 4, note->n);
	mq_put_le64(head + 8, note->seen);
	mq_put_le64(head + 16, note->bound_due);
	mq_put_le64(head + 24, note->bound_offset);
	mq_put_le64(head + 32, note->number);
	mq_put_le64(head + 40, note->who_id);
	mq_put_le64(head + 48, note->target_end);
	memcpy(head + 56, note->target_id, 16);
	mq_buf_clear(out);
	rc = mq_buf_add(out, head, sizeof head);
	for (uint32_t i = 0; i < note->n && rc == 0; i++) {
		uint8_t at[8];

		mq_put_le64(at, offsets[i]);
		rc = mq_buf_add(out, at, sizeof at);
	}
	return rc;
}

int mq_room_note_decode(const void *payload, size_t len, struct mq_room_note *ret)
{
	const uint8_t *p = payload;

	if (len < MQ_ROOM_NOTE_HEAD)
		return MQ_EDAMAGE;
	*ret = (struct mq_room_note){
	    .kind = (enum mq_room_kind)mq_get_le32(p),
	    .n = mq_get_le32(p + 4),
	    .seen = mq_get_le64(p + 8),
	    .bound_due = mq_get_le64(p + 16),
	    .bound_offset = mq_get_le64(p + 24),
	    .number = mq_get_le64(p + 32),
	    .who_id = mq_get_le64(p + 40),
	    .target_end = mq_get_le64(p + 48),
	    .offsets = p + MQ_ROOM_NOTE_HEAD,
	};
	memcpy(ret->target_id, p + 56, 16);
	if (ret->kind != MQ_ROOM_DELIVERED && ret->kind != MQ_ROOM_CANCELLED && ret->kind != MQ_ROOM_MOVED)
		return MQ_ECONFIG;
	return (ret->n == 0 && ret->kind != MQ_ROOM_MOVED) || ret->n > MQ_ROOM_NOTE_MAX || len != MQ_ROOM_NOTE_HEAD + 8 * (size_t)ret->n ? MQ_EDAMAGE : 0;
}

uint64_t mq_room_note_offset(const struct mq_room_note *note, uint32_t i)
{
	return mq_get_le64(note->offsets + 8 * (size_t)i);
}
