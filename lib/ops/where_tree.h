/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tree of an expression: made by where.c, walked by where_eval.c. */
#ifndef MQ_OPS_WHERE_TREE_H
#define MQ_OPS_WHERE_TREE_H

#include <regex.h>

#include "base/buf.h"
#include "ops/where.h"

enum mq_where_kind { MQ_WHERE_TEST, MQ_WHERE_NOT, MQ_WHERE_AND, MQ_WHERE_OR };
enum mq_where_op {
	MQ_WHERE_THERE, MQ_WHERE_EQ, MQ_WHERE_NE, MQ_WHERE_LT, MQ_WHERE_LE, MQ_WHERE_GT, MQ_WHERE_GE, MQ_WHERE_MATCH,
	MQ_WHERE_NO_MATCH,
};
enum mq_where_field {
	MQ_FIELD_KEY, MQ_FIELD_ID, MQ_FIELD_TAG, MQ_FIELD_OFFSET, MQ_FIELD_TIMESTAMP, MQ_FIELD_SIZE, MQ_FIELD_HEADER,
	MQ_FIELD_PAYLOAD,
};

struct mq_where_number { /* a whole number is kept whole: a double has 53 bits */
	bool is, whole;
	int64_t n;
	double real;
};

struct mq_where {
	enum mq_where_kind kind;
	struct mq_where *left, *right;
	/* of a test */
	enum mq_where_field field;
	enum mq_where_op op;
	char *name, *value;
	size_t value_len;
	bool pattern_there;
	struct mq_where_number number;
	regex_t pattern;
	struct mq_buf scratch; /* what a pattern is matched against ends in a NUL */
};

/* The whole text as a decimal number. */
struct mq_where_number mq_where_number(const char *text, size_t len);

#endif
