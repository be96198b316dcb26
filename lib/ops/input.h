/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes from a descriptor, cut into what a record is made of.
 *
 *     struct mq_input in;
 *     mq_input_init(&in, fd, "stdin");
 *     while ((rc = mq_input_line(&in, "\n", 1, max, &line, &len, err)) > 0) …
 *     mq_input_release(&in);
 *
 * One read takes as much as there is, up to the buffer; the buffer grows for a record that is larger,
 * up to what the caller allows.  Bytes given out are valid until the next call.
 */
#ifndef MQ_OPS_INPUT_H
#define MQ_OPS_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { MQ_INPUT_BYTES = 1 << 20 };

struct mq_input {
	int fd;                /* not closed here */
	const char *name;      /* for reasons */
	bool regular, pipe;    /* a regular file is always ready */
	bool eof, filled;      /* filled: the last read got all it asked for */
	char *p;
	size_t pos, len, cap;  /* p[pos..len): read and not given out yet; there is room for one byte more than cap */
	size_t scanned;        /* of these, so many hold no end of a line */
	uint64_t passed;       /* bytes given out in all */
	/* Called before each read that may stand still; what it returns below 0 ends the reading. */
	int (*before_read)(void *arg, struct mq_input *in);
	void *before_read_arg;
};

void mq_input_init(struct mq_input *in, int fd, const char *name);
void mq_input_release(struct mq_input *in);

/* Read once, behind what is there.  1: some bytes came; 0: the end; negative.  With `max` bytes there already:
 * MQ_EINPUT, err untouched. */
int mq_input_fill(struct mq_input *in, size_t max, struct mq_err *err);

/* At least n bytes at p + pos: 1; 0: the input ended before (what there is stays); negative. */
int mq_input_need(struct mq_input *in, size_t n, struct mq_err *err);

/* Bytes given out: they are not given again. */
void mq_input_take(struct mq_input *in, size_t n);

/* The bytes up to the delimiter, which is taken too; at the end of the input they need none.  1, 0 at the end;
 * MQ_EINPUT with err untouched: more than max bytes. */
int mq_input_line(struct mq_input *in, const char *delimiter, size_t delimiter_len, size_t max, const char **ret, size_t *ret_len,
                  struct mq_err *err);

#endif
