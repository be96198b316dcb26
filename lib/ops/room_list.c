/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What waits, as people ask for it; and what is to wait no more. */
#include <inttypes.h>
#include <string.h>

#include "ops/room_private.h"

/* --- listing -------------------------------------------------------------------------------- */

static int look(struct mq_rooms *r, struct mq_room_part *part, struct mq_err *err)
{
	int rc = mq_rooms_open_part(r, part, err);

	return rc < 0 ? rc : r->engine->room_look(part->waiting, &part->due_us, err);
}

static int count_part(struct mq_rooms *r, struct mq_room_part *part, struct mq_delayed_sum *sum, struct mq_err *err)
{
	struct mq_ids_entry e;
	int rc = look(r, part, err);

	if (rc == 0 && part->due_us < sum->next_us)
		sum->next_us = part->due_us;
	while (rc == 0 && (rc = r->engine->room_next(part->waiting, &e, err)) == 1) {
		sum->records++;
		rc = 0;
	}
	return rc < 0 ? rc : 0;
}

/* What is not there any more is passed over. */
static int tell(struct mq_rooms *r, struct mq_room_part *part, const struct mq_ids_entry *e,
                int (*fn)(void *arg, const struct mq_delayed_info *info), void *arg, struct mq_err *err)
{
	struct mq_delayed_info info = {.partition = part->partition, .offset = e->offset, .due_us = (int64_t)e->hash};
	struct mq_rec rec;
	int rc = mq_room_read(&part->reader, r, part->partition, e->offset, &rec, err);

	if (rc <= 0)
		return rc;
	info.key = rec.key;
	info.key_len = rec.key_len;
	info.id = rec.id;
	info.id_len = rec.id_len;
	info.tag = rec.tag;
	info.tag_len = rec.tag_len;
	info.group = rec.group;
	info.group_len = rec.group_len;
	info.stored_us = rec.time_us;
	info.attempts = rec.attempts;
	info.bytes = rec.payload_len;
	return fn(arg, &info);
}

/* What comes first of all partitions is told first. */
static int tell_all(struct mq_rooms *r, uint64_t count, int (*fn)(void *arg, const struct mq_delayed_info *info), void *arg, struct mq_err *err)
{
	int rc = 0;

	for (uint32_t p = 0; p < r->n && rc == 0; p++) {
		struct mq_room_part *part = &r->parts[p];

		rc = look(r, part, err);
		part->have = rc < 0 ? rc : r->engine->room_next(part->waiting, &part->head, err);
		rc = rc < 0 ? rc : part->have < 0 ? part->have : 0;
	}
	for (uint64_t told = 0; rc == 0 && (!count || told < count); told++) {
		struct mq_room_part *least = NULL;

		for (uint32_t p = 0; p < r->n; p++)
			if (r->parts[p].have == 1 && (!least || r->parts[p].head.hash < least->head.hash))
				least = &r->parts[p];
		if (!least)
			break;
		rc = tell(r, least, &least->head, fn, arg, err);
		if (rc != 0)
			break;
		least->have = r->engine->room_next(least->waiting, &least->head, err);
		rc = least->have < 0 ? least->have : 0;
	}
	return rc;
}

static int known_topic(struct mq *mq, const char *topic)
{
	struct mq_topic_facts facts;

	return mq->store->engine->topic_facts(mq->store, topic, &facts, &mq->err);
}

int mq_topic_delayed(struct mq *mq, const char *topic, uint64_t count, int (*fn)(void *arg, const struct mq_delayed_info *info), void *arg,
                     struct mq_delayed_sum *ret)
{
	struct mq_delayed_sum sum = {.next_us = INT64_MAX};
	struct mq_rooms *r = NULL;
	int rc = mq_ops_look(mq);

	if (rc < 0)
		return rc;
	rc = known_topic(mq, topic);
	if (rc == 0)
		rc = mq_rooms_open(&r, mq, topic, &mq->err);
	for (uint32_t p = 0; r && p < r->n && rc == 0 && ret; p++)
		rc = count_part(r, &r->parts[p], &sum, &mq->err);
	if (r && rc == 0 && fn)
		rc = tell_all(r, count, fn, arg, &mq->err);
	mq_rooms_close(r);
	if (ret)
		*ret = sum;
	return mq_ops_looked(mq, rc);
}

/* --- cancelling ----------------------------------------------------------------------------- */

struct cancel {
	const char *id;
	size_t id_len;
	uint64_t offsets[MQ_ROOM_NOTE_MAX];
	struct mq_room_note note;
	bool dry_run;
	uint64_t cancelled;
};

static int put_note(struct mq_rooms *r, struct mq_room_part *part, struct cancel *c, struct mq_err *err)
{
	int rc = c->note.n && !c->dry_run ? mq_rooms_note(r, part, &c->note, c->offsets, err) : 0;

	if (rc == 0)
		c->cancelled += c->note.n;
	c->note.n = 0;
	return rc;
}

static int take(struct mq_rooms *r, struct mq_room_part *part, struct cancel *c, const struct mq_ids_entry *e, struct mq_err *err)
{
	struct mq_rec rec;
	int rc = mq_room_read(&part->reader, r, part->partition, e->offset, &rec, err);

	if (rc <= 0 || !rec.id || rec.id_len != c->id_len || memcmp(rec.id, c->id, c->id_len) != 0)
		return rc < 0 ? rc : 0;
	c->offsets[c->note.n++] = e->offset;
	return c->note.n == MQ_ROOM_NOTE_MAX ? put_note(r, part, c, err) : 0;
}

/* Under the lock, so nothing of it is delivered meanwhile; what a killed process had begun to deliver is finished first. */
static int cancel_in(struct mq_rooms *r, struct mq_room_part *part, struct cancel *c, struct mq_err *err)
{
	struct mq_ids_entry e;
	int rc = c->dry_run ? look(r, part, err) : mq_rooms_look(r, part, err);

	if (rc == 0 && !c->dry_run)
		rc = mq_rooms_settle(r, part, err);
	while (rc == 0 && (rc = r->engine->room_next(part->waiting, &e, err)) == 1)
		rc = take(r, part, c, &e, err);
	return rc < 0 ? rc : put_note(r, part, c, err);
}

static int cancel_part(struct mq_rooms *r, struct mq_room_part *part, struct cancel *c, struct mq_err *err)
{
	int rc = mq_rooms_open_part(r, part, err);

	if (rc == 0 && !c->dry_run)
		rc = r->engine->room_lock(part->waiting, true, err);
	if (rc < 0)
		return rc;
	rc = cancel_in(r, part, c, err);
	if (!c->dry_run)
		r->engine->room_unlock(part->waiting);
	return rc;
}

int mq_topic_cancel(struct mq *mq, const char *topic, const char *id, bool dry_run, uint64_t *ret_cancelled)
{
	struct cancel c = {.id = id, .id_len = strlen(id), .note = {.kind = MQ_ROOM_CANCELLED}, .dry_run = dry_run};
	struct mq_rooms *r = NULL;
	int rc = dry_run ? mq_ops_look(mq) : mq_ops_begin(mq);

	*ret_cancelled = 0;
	if (rc < 0)
		return rc;
	rc = known_topic(mq, topic);
	if (rc == 0)
		rc = mq_rooms_open(&r, mq, topic, &mq->err);
	for (uint32_t p = 0; r && p < r->n && rc == 0; p++)
		rc = cancel_part(r, &r->parts[p], &c, &mq->err);
	mq_rooms_close(r);
	*ret_cancelled = c.cancelled;
	return dry_run ? mq_ops_looked(mq, rc) : rc;
}
