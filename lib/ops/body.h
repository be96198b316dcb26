/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A batch as read, ready to be walked. */
#ifndef MQ_OPS_BODY_H
#define MQ_OPS_BODY_H

#include "api/engine.h"
#include "format/zip.h"

struct mq_body {
	struct mq_zip zip;
	struct mq_buf raw;
	struct mq_batch batch; /* of the last one opened; the walk points here */
};

/* The bytes of the view decompressed: in the view or in b, valid until either changes. */
int mq_body_open(struct mq_body *b, const struct mq_view *v, const uint8_t **ret, struct mq_err *err);

/* The same, and a walk over its records from first_offset on. */
int mq_body_walk(struct mq_body *b, const struct mq_view *v, struct mq_walk *ret, struct mq_err *err);

void mq_body_release(struct mq_body *b);

#endif
