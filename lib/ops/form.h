/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A record as text, in the forms of mq.h that are more than its bytes. */
#ifndef MQ_OPS_FORM_H
#define MQ_OPS_FORM_H

#include <stdbool.h>

#include "base/buf.h"
#include "format/record.h"

/* Where a record is. */
struct mq_form_place {
	const char *topic;
	uint32_t partition;
};

#define MQ_FORM_NO_TIME INT64_MIN /* in a record's time_us: its JSON says null, and who publishes that gets a new time */

/*
 * An object and a newline: v topic partition offset timestamp key headers tag id payload.  What a record does not
 * have is left out.  What is not UTF-8 stands in base64 under its name with _b64; headers whose names repeat are
 * an array of [name, value].  visible: for a terminal, so that no character that steers one stands as it is; the object is
 * the same.  0 or -ENOMEM.
 */
int mq_form_json(struct mq_buf *out, const struct mq_form_place *place, const struct mq_rec *r, bool visible);

/*
 * kcat's letters: %t topic %p partition %o offset %k key %s payload %S its length %K the key's length %T the time in
 * milliseconds %h headers (N=V,…) %%; \n \t \r \0 \\ \xHH.  Compiled once: MQ_EUSAGE for a letter that is none.
 */
int mq_form_compile(struct mq_buf *ret, const char *format, struct mq_err *err);
int mq_form_format(struct mq_buf *out, const struct mq_buf *compiled, const struct mq_form_place *place, const struct mq_rec *r,
                   bool visible);

/* Bytes as cat -v shows them, but for tab, and for UTF-8 that prints. */
int mq_form_visible(struct mq_buf *out, const char *bytes, size_t n);

#endif
