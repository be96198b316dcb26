/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: waiting rooms. */
#include <stdlib.h>

#include "api/engine_spool_private.h"
#include "spool/room.h"

struct waiting {
	struct mq_waiting base;
	struct mq_waiting_room room;
};

static struct mq_waiting_room *room_of(struct mq_waiting *w)
{
	return &((struct waiting *)w)->room;
}

int mq_engine_spool_room_open(struct mq_store *s, const char *room, uint32_t p, struct mq_waiting **ret, struct mq_err *err)
{
	struct waiting *w = calloc(1, sizeof *w);

	if (!w)
		return mq_engine_no_memory(err);
	int rc = mq_room_open(&w->room, mq_engine_spool_of(s), room, p, MQ_ROOM_UNIT_LOG2, s->looks, err);
	if (rc < 0) {
		free(w);
		return rc;
	}
	w->base.engine = &mq_engine_file;
	*ret = &w->base;
	return 0;
}

void mq_engine_spool_room_close(struct mq_waiting *w)
{
	if (!w)
		return;
	mq_room_release(room_of(w));
	free(w);
}

int mq_engine_spool_room_lock(struct mq_waiting *w, bool wait, struct mq_err *err)
{
	return mq_room_lock(room_of(w), wait, err);
}

void mq_engine_spool_room_unlock(struct mq_waiting *w)
{
	mq_room_unlock(room_of(w));
}

int mq_engine_spool_room_look(struct mq_waiting *w, int64_t *ret_due_us, struct mq_err *err)
{
	return mq_room_look(room_of(w), ret_due_us, err);
}

int mq_engine_spool_room_next(struct mq_waiting *w, struct mq_ids_entry *ret, struct mq_err *err)
{
	return mq_room_next(room_of(w), ret, err);
}

void mq_engine_spool_room_marks(struct mq_waiting *w, struct mq_room_marks *ret)
{
	struct mq_waiting_room *r = room_of(w);

	ret->seen = r->next;
	ret->floor = mq_room_floor(r);
	ret->delivered = mq_room_last(r, &ret->last) > 0;
}
