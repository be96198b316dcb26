/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A batch that the topic's limits let in only in parts: how many records came together was nobody's choice, so it must
 * not decide what is stored.  It is cut from the front, each part as large as there was room at its time.
 */
#include <errno.h>
#include <string.h>

#include "base/lines.h"
#include "ops/publish.h"

enum { ROW_BYTES_MAX = 64 }; /* of one record in all columns */

/* Records `from` on of the whole, as many as the room takes, one at least. */
static int cut_lines(const struct mq_load *whole, uint32_t *at, uint32_t from, const struct mq_room *room, struct mq_load *ret)
{
	const char *p = (const char *)whole->body + *at;
	size_t left = whole->len - *at, bytes = left > room->bytes ? mq_lines_whole(p, room->bytes) : left;

	if (bytes == 0)
		bytes = mq_lines_skip(p, left, 1);
	size_t n = mq_lines_count(p, bytes);
	if (n > room->records) {
		n = room->records;
		bytes = mq_lines_skip(p, bytes, n);
	}
	*ret = *whole;
	ret->body = p;
	ret->len = (uint32_t)bytes;
	ret->count = (uint32_t)n;
	ret->last_sequence = whole->last_sequence - (whole->count - from - n);
	*at += ret->len;
	return 0;
}

static uint64_t record_bytes(const struct mq_rec *r)
{
	return (uint64_t)r->payload_len + r->key_len + r->headers_len + r->id_len + r->tag_len + r->group_len + ROW_BYTES_MAX;
}

int mq_publish_walk(struct mq_publish *pub, const struct mq_load *l, struct mq_batch *ret_batch, struct mq_walk *ret)
{
	*ret_batch = (struct mq_batch){
	    .kind = l->kind,
	    .raw_len = l->len,
	    .count = l->count,
	    .next_offset = l->count,
	    .base_time_us = l->base_us,
	    .who = {.kind = pub->req->producer ? MQ_WHO_PRODUCER : MQ_WHO_NOBODY, .number = l->last_sequence},
	};
	return mq_walk_init(ret, ret_batch, l->body, pub->err);
}

static int cut_records(struct mq_publish *pub, const struct mq_load *whole, uint32_t from, const struct mq_room *room,
                       struct mq_load *ret)
{
	struct mq_records *part = &pub->part;
	struct mq_batch b;
	struct mq_walk w;
	struct mq_rec r;
	const uint8_t *body;
	int rc = mq_publish_walk(pub, whole, &b, &w);

	mq_records_clear(part);
	if (pub->req->producer)
		part->columns |= MQ_COL_SEQUENCES;
	*ret = *whole;
	if (rc == 0)
		rc = mq_walk_skip(&w, from);
	while (rc == 0 && part->count < room->records && (rc = mq_walk_next(&w, &r)) > 0) {
		if (part->count && part->body_bytes + record_bytes(&r) > room->bytes)
			break;
		rc = mq_records_add(part, &r);
		ret->last_sequence = r.sequence;
	}
	if (rc >= 0)
		rc = mq_records_finish(part, whole->base_us, 0, ret->last_sequence, &ret->kind, &body, &ret->len);
	if (rc < 0)
		return mq_err_set(pub->err, rc, "%s: a part of a batch cannot be built", pub->req->topic);
	ret->body = body;
	ret->count = part->count;
	ret->max_us = part->max_time_us ? part->max_time_us : whole->base_us;
	return 0;
}

int mq_publish_send_parts(struct mq_publish *pub, struct mq_out *out, const struct mq_load *whole)
{
	struct mq_room room;
	struct mq_load part;
	uint32_t done = 0, at = 0;
	int rc;

	pub->engine->append_room(out->appender, &room);
	do {
		uint32_t next = at;
		rc = whole->kind == MQ_BATCH_LINES ? cut_lines(whole, &next, done, &room, &part)
		                                   : cut_records(pub, whole, done, &room, &part);
		if (rc == 0)
			rc = mq_publish_send_batch(pub, out, &part);
		if (rc == -E2BIG) {
			pub->engine->append_room(out->appender, &room);
		} else if (rc == 0) {
			done += part.count;
			at = next;
			/* What is there now nobody knows: rather refused once more than small for ever. */
			room.records = room.records > UINT64_MAX / 2 ? UINT64_MAX : 2 * room.records;
			room.bytes = room.bytes > UINT64_MAX / 2 ? UINT64_MAX : 2 * room.bytes;
		}
	} while (rc == -E2BIG || (rc == 0 && done < whole->count));
	pub->part_sent = done;
	return rc;
}
