/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which records are wanted: --key, --id, --tag 'a || b', --header, --where, --dead-letters; all must hold. */
#ifndef MQ_OPS_FILTER_H
#define MQ_OPS_FILTER_H

#include "api/mq.h"
#include "base/err.h"
#include "format/record.h"
#include "ops/where.h"

struct mq_filter {
	const char *key, *id;
	size_t key_len, id_len;
	const struct mq_pair *headers;
	size_t n_headers;
	struct mq_buf tags, not_tags; /* each ended by a NUL */
	struct mq_where *where;
	const char *letters_of, *letters_group;
	bool any;                /* something is asked for */
	bool plain_never;        /* a record that is but a line never has it */
};

/* MQ_EUSAGE: an expression that is none. */
int mq_filter_init(struct mq_filter *f, const struct mq_consume_request *req, struct mq_err *err);
void mq_filter_release(struct mq_filter *f);
bool mq_filter_wants(struct mq_filter *f, const struct mq_rec *r);

/* The value of the last header of that name; NULL: none. */
const char *mq_header_find(const struct mq_rec *r, const char *name, size_t name_len, uint32_t *ret_len);

#endif
