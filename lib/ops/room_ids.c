/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is due in a topic that stores one record of an id: whether it has that id is asked when the record comes, as a publisher asks
 * then (publish_dedupe.c), under the same lock.  What waits is in no topic yet, so it keeps nobody from storing the id, and the
 * first that comes is the one.
 *
 * A record that is left out counts as delivered with those beside it, so what it is left out for must last before they go.
 */
#include "base/siphash.h"
#include "ops/room_private.h"

int mq_rooms_ids_begin(struct mq_rooms *r, struct mq_err *err)
{
	int rc = 0;

	r->n_ids = 0;
	if (!r->target.dedupe || !r->engine->dedupe_open)
		return 0;
	if (!r->ids)
		rc = r->engine->dedupe_open(r->mq->store, r->topic, &r->ids, err);
	if (rc == 0)
		rc = r->engine->dedupe_lock(r->ids, err);
	if (rc < 0)
		return rc;
	r->looks = true;
	return r->engine->dedupe_catch_up(r->ids, r->target.partitions, err);
}

void mq_rooms_ids_end(struct mq_rooms *r)
{
	if (r->looks)
		r->engine->dedupe_unlock(r->ids);
	r->looks = false;
}

/* One that is meant for a group alone was stored before, with this id. */
int mq_rooms_ids_look(struct mq_rooms *r, const struct mq_rec *rec, uint32_t *ret_partition, struct mq_err *err)
{
	static const uint8_t key[16];
	uint64_t offset, hash;
	bool durable;

	if (!r->looks || !rec->id || rec->group)
		return MQ_ROOM_ID_NEW;
	hash = mq_siphash(key, rec->id, rec->id_len);
	for (uint32_t i = 0; i < r->n_ids; i++)
		if (r->id[i] == hash)
			return MQ_ROOM_ID_TWIN;
	int rc = r->engine->dedupe_find(r->ids, rec->id, rec->id_len, ret_partition, &offset, &durable, err);
	if (rc == 0)
		r->id[r->n_ids++] = hash;
	return rc < 0 ? rc : rc == 0 ? MQ_ROOM_ID_NEW : durable ? MQ_ROOM_ID_HELD : MQ_ROOM_ID_UNSAFE;
}
