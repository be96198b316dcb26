/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a waiting room says of its own records: a note is a record of the room for the group MQ_ROOM_GROUP, which no user can
 * name, without a time at which it is due.
 *
 *     delivered   these are due and go to the topic: written before the first of them is there.  Nothing stored below `seen`
 *                 waits any more that is not behind `bound` in the order of (due, offset).
 *     cancelled   these wait no more
 *     moved       these are what the n records before it are, in the same batch, and wait no more where they were.  What follows
 *                 repeats the last delivery, of which all is done by then; all 0: there was none.  Of none: that alone.
 *
 * Byte table: mq-spool(5).
 */
#ifndef MQ_FORMAT_ROOM_NOTE_H
#define MQ_FORMAT_ROOM_NOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "format/record.h"

#define MQ_ROOM_GROUP "@room"

enum { MQ_ROOM_NOTE_HEAD = 72, MQ_ROOM_NOTE_MAX = 1024 /* offsets */ };
enum mq_room_kind { MQ_ROOM_DELIVERED = 1, MQ_ROOM_CANCELLED = 2, MQ_ROOM_MOVED = 3 };

struct mq_room_note {
	enum mq_room_kind kind;
	uint32_t n;              /* offsets */
	uint64_t seen;           /* delivered and moved, and what follows: up to where the room was looked at */
	uint64_t bound_due;      /* the last of them: due (us), offset */
	uint64_t bound_offset;
	uint64_t number;         /* of the mover, before the first of them */
	uint64_t who_id;         /* of the mover in the target */
	uint64_t target_end;     /* the target's end when this was written */
	uint8_t target_id[16];   /* the topic's */
	const uint8_t *offsets;  /* n x u64 in the order in which they go; borrowed */
};

bool mq_room_is_note(const struct mq_rec *r);
/* Replace out's contents by the payload.  offsets: n of them.  -ENOMEM. */
int mq_room_note_encode(const struct mq_room_note *note, const uint64_t *offsets, struct mq_buf *out);
/* MQ_EDAMAGE: it contradicts itself; MQ_ECONFIG: of a kind that this version does not know. */
int mq_room_note_decode(const void *payload, size_t len, struct mq_room_note *ret);
uint64_t mq_room_note_offset(const struct mq_room_note *note, uint32_t i);

#endif
