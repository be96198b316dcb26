/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/room_private.h"

/* The batch that holds it. */
static int find(struct mq_room_reader *r, struct mq_rooms *rooms, uint32_t p, uint64_t offset, struct mq_err *err)
{
	const struct mq_engine *e = rooms->engine;
	struct mq_loss loss;
	int rc = r->source ? 0 : e->source_open(rooms->mq->store, rooms->name, p, &r->source, err);

	r->viewed = false;
	if (rc == 0)
		rc = e->source_seek(r->source, offset, &loss, err);
	if (rc == 0)
		rc = e->source_next(r->source, &r->view, &loss, err);
	if (rc == MQ_EDAMAGE)
		*err = (struct mq_err){0};
	if (rc <= 0 || r->view.batch.base_offset > offset)
		return rc < 0 && rc != MQ_EDAMAGE ? rc : 0;
	r->viewed = true;
	return 1;
}

/* A batch is seen from where it was sought on, and what is due is not read in the order of its offsets. */
static bool holds(const struct mq_room_reader *r, uint64_t offset)
{
	return r->viewed && offset >= r->view.first_offset && offset < r->view.batch.next_offset;
}

int mq_room_read(struct mq_room_reader *r, struct mq_rooms *rooms, uint32_t p, uint64_t offset, struct mq_rec *ret, struct mq_err *err)
{
	int rc = 1;

	if (!holds(r, offset) || offset < r->at) {
		rc = holds(r, offset) ? 1 : find(r, rooms, p, offset, err);
		if (rc == 1)
			rc = mq_body_walk(&r->body, &r->view, &r->walk, err) < 0 ? err->code : 1;
		r->at = 0;
	}
	while (rc == 1 && (rc = mq_walk_next(&r->walk, ret)) == 1) {
		r->at = ret->offset + 1;
		if (ret->offset >= offset)
			return ret->offset == offset;
	}
	if (rc == MQ_EDAMAGE)
		*err = (struct mq_err){0};
	return rc == MQ_EDAMAGE ? 0 : rc;
}

void mq_room_reader_release(struct mq_room_reader *r)
{
	if (r->source)
		r->source->engine->source_close(r->source);
	mq_body_release(&r->body);
	*r = (struct mq_room_reader){0};
}
