/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: the ids that a group has done. */
#include <stdlib.h>

#include "api/engine_spool_private.h"
#include "spool/once.h"

struct once {
	struct mq_once base;
	struct store *store;        /* borrowed */
	struct shared_topic *topic;
	struct mq_once_ids ids;
};

static struct mq_once_ids *ids_of(struct mq_once *op)
{
	return &((struct once *)op)->ids;
}

int mq_engine_spool_once_open(struct mq_member *mp, const char *topic, int64_t window_us, struct mq_once **ret, struct mq_err *err)
{
	struct spool_member *m = (struct spool_member *)mp;
	struct once *o = calloc(1, sizeof *o);
	int rc;

	if (!o)
		return mq_engine_no_memory(err);
	o->store = m->store;
	rc = mq_engine_spool_share_topic(o->store, topic, &o->topic, err);
	if (rc < 0)
		goto free;
	rc = mq_once_ids_open(&o->ids, &o->topic->t, m->m.group, window_us, MQ_ONCE_UNIT_LOG2, err);
	if (rc < 0)
		goto topic;
	o->base.engine = &mq_engine_file;
	*ret = &o->base;
	return 0;
topic:
	mq_engine_spool_leave_topic(o->store, o->topic);
free:
	free(o);
	return rc;
}

void mq_engine_spool_once_close(struct mq_once *op)
{
	struct once *o = (struct once *)op;

	mq_once_ids_release(&o->ids);
	mq_engine_spool_leave_topic(o->store, o->topic);
	free(o);
}

uint64_t mq_engine_spool_once_key(const struct mq_once *op, const void *id, size_t len)
{
	return mq_once_ids_key(&((const struct once *)op)->ids, id, len);
}

int mq_engine_spool_once_lock(struct mq_once *op, uint64_t key, struct mq_err *err)
{
	return mq_once_ids_try(ids_of(op), key, err);
}

int mq_engine_spool_once_handled(struct mq_once *op, const uint64_t *keys, size_t n, struct mq_err *err)
{
	return mq_once_ids_handled(ids_of(op), keys, n, err);
}

void mq_engine_spool_once_unlock(struct mq_once *op, const uint64_t *keys, size_t n)
{
	for (size_t i = 0; keys && i < n; i++)
		mq_once_ids_unlock(ids_of(op), keys[i]);
	if (!keys)
		mq_once_ids_unlock_all(ids_of(op));
	if (n > 0)
		mq_once_ids_ring(ids_of(op));
}

int mq_engine_spool_once_await(struct mq_once *op, bool on, struct mq_err *err)
{
	return mq_once_ids_await(ids_of(op), on, err);
}

int mq_engine_spool_once_handler(struct mq_once *op, int fd, uint64_t key, bool on, struct mq_err *err)
{
	return mq_once_ids_handler(ids_of(op), fd, key, on, err);
}

int mq_engine_spool_once_look(struct mq_once *op, const void *id, size_t len, bool fresh, uint64_t *seen,
                              struct mq_err *err)
{
	return fresh ? mq_once_ids_look(ids_of(op), id, len, seen, err) : mq_once_ids_look_known(ids_of(op), id, len, seen, err);
}

int mq_engine_spool_once_mark(struct mq_once *op, const struct mq_id_done *done, size_t n, struct mq_err *err)
{
	return mq_once_ids_mark(ids_of(op), done, n, err);
}

int mq_engine_spool_once_sync(struct mq_once *op, struct mq_err *err)
{
	return mq_once_ids_sync(ids_of(op), err);
}
