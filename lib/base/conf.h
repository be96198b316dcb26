/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * key=value files, as text in memory.  A line is blank, a comment ("#" first) or KEY=VALUE; blanks
 * around both are passed over; a key is [A-Za-z0-9._-]+; a value holds no control bytes.  Keys may
 * repeat: the last one counts.  The text itself is the store, so what is not understood is kept.
 *
 *     struct mq_conf_scan s = MQ_CONF_SCAN(text, len);
 *     while ((rc = mq_conf_next(&s, &item, err)) > 0) …
 */
#ifndef MQ_BASE_CONF_H
#define MQ_BASE_CONF_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

struct mq_conf_item { /* views into the text */
	const char *key, *value;
	size_t key_len, value_len;
	const char *line; /* whole, without its newline */
	size_t line_len;
	unsigned line_no; /* from 1 */
};

struct mq_conf_scan {
	const char *at, *end;
	unsigned line_no;
};
#define MQ_CONF_SCAN(text, len) {(text), (text) + (len), 0}

/* 1 and an item; 0 at the end; MQ_ECONFIG for a line that is none, with its number in the reason. */
int mq_conf_next(struct mq_conf_scan *s, struct mq_conf_item *ret, struct mq_err *err);

/* The last of that key: 1, 0 none, MQ_ECONFIG. */
int mq_conf_get(const char *text, size_t len, const char *key, struct mq_conf_item *ret, struct mq_err *err);

/* Add all comment lines to out.  0 or -ENOMEM. */
int mq_conf_comments(const char *text, size_t len, struct mq_buf *out);

/* Put KEY=VALUE in the place of the key's last line, else at the end.  -ENOMEM, MQ_ECONFIG; MQ_EUSAGE for a key or
 * value that a line cannot hold. */
int mq_conf_set(struct mq_buf *text, const char *key, const char *value, struct mq_err *err);

/* True when the item's key (value) is that text. */
int mq_conf_key_is(const struct mq_conf_item *item, const char *key);
int mq_conf_value_is(const struct mq_conf_item *item, const char *value);

#endif
