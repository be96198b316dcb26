/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "ops/body.h"

int mq_body_open(struct mq_body *b, const struct mq_view *v, const uint8_t **ret, struct mq_err *err)
{
	b->batch = v->batch;
	*ret = v->body;
	if (v->batch.zip != MQ_BATCH_ZSTD)
		return 0;
	int rc = mq_zip_unpack(&b->zip, v->body, v->batch.stored_len, v->batch.raw_len, &b->raw, err);
	*ret = (const uint8_t *)b->raw.p;
	return rc;
}

int mq_body_walk(struct mq_body *b, const struct mq_view *v, struct mq_walk *ret, struct mq_err *err)
{
	const uint8_t *raw;
	int rc = mq_body_open(b, v, &raw, err);
	if (rc == 0)
		rc = mq_walk_init(ret, &b->batch, raw, err);
	if (rc == 0)
		rc = mq_walk_skip(ret, v->first_offset);
	return rc;
}

void mq_body_release(struct mq_body *b)
{
	mq_zip_release(&b->zip);
	mq_buf_release(&b->raw);
}
