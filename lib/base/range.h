/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What to read: operands TOPIC[:PARTITION[:OFFSET]] and ranges START..END, as text to parts. */
#ifndef MQ_BASE_RANGE_H
#define MQ_BASE_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum mq_point_kind {
	MQ_POINT_OFFSET,    /* n: an offset */
	MQ_POINT_BEGINNING, /* the log start */
	MQ_POINT_END,       /* the visible end, as it is when asked */
	MQ_POINT_STORED,    /* where the group stands */
	MQ_POINT_FROM_END,  /* n records before the end */
	MQ_POINT_TIME,      /* time_us: the first record not older */
	MQ_POINT_DATE,      /* text: ask date(1), then it is a TIME */
};

enum { MQ_POINT_TEXT_MAX = 64 };

struct mq_point {
	enum mq_point_kind kind;
	uint64_t n;
	int64_t time_us;
	char text[MQ_POINT_TEXT_MAX]; /* without the '@' */
};

struct mq_range {
	struct mq_point start, end; /* end excluded */
	bool has_end;               /* false: a START alone; end is then END */
};

/* An offset, "beginning", "end", "stored", "-N" (from the end) or "@TIME".  0 or MQ_EUSAGE. */
int mq_to_point(const char *text, int64_t now_us, struct mq_point *ret, struct mq_err *err);

/* "START..END", either of them may be left out ("100..", "..end"), or a START alone. */
int mq_to_range(const char *text, int64_t now_us, struct mq_range *ret, struct mq_err *err);

/* "TOPIC[:PARTITION[:OFFSET]]".  OFFSET may be whatever mq_to_point takes. */
struct mq_operand_parts {
	char topic[201];
	int64_t partition;  /* -1: not given */
	const char *offset; /* into the text given; NULL: not given */
};
int mq_to_operand(const char *text, struct mq_operand_parts *ret, struct mq_err *err);

#endif
