/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The spool as an engine: one record an id. */
#include <stdlib.h>

#include "api/engine_spool_private.h"
#include "spool/dedupe.h"

struct dedupe {
	struct mq_dedupe base;
	struct mq_dedupe_ids ids;
};

static struct mq_dedupe_ids *ids_of(struct mq_dedupe *dp)
{
	return &((struct dedupe *)dp)->ids;
}

int mq_engine_spool_dedupe_open(struct mq_store *s, const char *topic, struct mq_dedupe **ret, struct mq_err *err)
{
	struct dedupe *d = calloc(1, sizeof *d);
	int rc = d ? mq_dedupe_open(&d->ids, mq_engine_spool_of(s), topic, err) : mq_engine_no_memory(err);

	if (rc < 0) {
		free(d);
		return rc;
	}
	d->base.engine = &mq_engine_file;
	*ret = &d->base;
	return 0;
}

void mq_engine_spool_dedupe_close(struct mq_dedupe *dp)
{
	mq_dedupe_release(ids_of(dp));
	free(dp);
}

int mq_engine_spool_dedupe_lock(struct mq_dedupe *dp, struct mq_err *err)
{
	return mq_dedupe_lock(ids_of(dp), err);
}

void mq_engine_spool_dedupe_unlock(struct mq_dedupe *dp)
{
	mq_dedupe_unlock(ids_of(dp));
}

int mq_engine_spool_dedupe_catch_up(struct mq_dedupe *dp, uint32_t partitions, struct mq_err *err)
{
	return mq_dedupe_catch_up(ids_of(dp), partitions, err);
}

int mq_engine_spool_dedupe_find(struct mq_dedupe *dp, const void *id, size_t len, uint32_t *ret_partition, uint64_t *ret_offset,
                                bool *ret_durable, struct mq_err *err)
{
	return mq_dedupe_find(ids_of(dp), id, len, ret_partition, ret_offset, ret_durable, err);
}

int mq_engine_spool_dedupe_await(struct mq_dedupe *dp, uint32_t partition, enum mq_ack level, struct mq_err *err)
{
	return mq_dedupe_await(ids_of(dp), partition, level, err);
}
