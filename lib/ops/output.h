/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a record looks like on its way out: lines, JSON, frames, kcat's format letters, positions.
 *
 *     struct mq_output o;
 *     mq_output_init(&o, req, err);
 *     mq_output_add(&o, &buf, &rec, topic, partition, token, err);
 *     mq_output_release(&o);
 */
#ifndef MQ_OPS_OUTPUT_H
#define MQ_OPS_OUTPUT_H

#include "api/mq.h"
#include "base/buf.h"
#include "base/err.h"
#include "format/record.h"

struct mq_output {
	enum mq_output_form form;
	const char *format;        /* the caller's */
	const char *delimiter;
	size_t delimiter_len;
	const char *key_delimiter; /* NULL: keys are not shown */
	bool visible_control;
	bool plain;                /* lines exactly as they are stored: a whole body of lines may be copied */
	struct mq_buf scratch;
};

/* MQ_EUSAGE for a format with an unknown letter. */
int mq_output_init(struct mq_output *o, const struct mq_consume_request *req, struct mq_err *err);
void mq_output_release(struct mq_output *o);

/* Append the record.  MQ_EINPUT where this form cannot show it without changing it (a payload with the delimiter inside,
 * a key with the key delimiter inside): names its position and the forms that can; nothing is added then.  token: for
 * positions ("TOPIC:PARTITION:OFFSET:TOKEN<TAB>payload"), else NULL. */
int mq_output_add(struct mq_output *o, struct mq_buf *buf, const struct mq_rec *r, const char *topic, uint32_t partition,
                  const char *token, struct mq_err *err);

#endif
