/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A descriptor to write to, and how much of what was written counts as done by who reads it:
 *
 *   pipe           what the reader had taken when he came back for more; all, when the pipe is empty at the end
 *   regular file   after its fdatasync
 *   stream socket  when nothing is unsent any more
 *   anything else  when written
 */
#ifndef MQ_OPS_SINK_H
#define MQ_OPS_SINK_H

#include <stdbool.h>

#include "api/engine.h"

enum mq_sink_kind { MQ_SINK_PLAIN, MQ_SINK_PIPE, MQ_SINK_FILE, MQ_SINK_SOCKET };

struct mq_sink {
	int fd;
	struct mq *mq;          /* whose stop ends a write that stands still */
	enum mq_sink_kind kind;
	struct mq_buf buf;      /* formed, not written yet */
	uint64_t written;       /* bytes, without buf */
	uint64_t taken, done;
	bool gone;              /* the reader had enough */
	int unknown;            /* < 0: it could not be asked what it is, and nothing is written */
};

void mq_sink_init(struct mq_sink *s, struct mq *mq, int fd);
void mq_sink_release(struct mq_sink *s);

/* Write buf, then these bytes.  -EPIPE: the reader is gone.  -EINTR: asked to stop while nobody read. */
int mq_sink_write(struct mq_sink *s, const void *bytes, size_t n, struct mq_err *err);
int mq_sink_flush(struct mq_sink *s, struct mq_err *err);

/* Look what is done; s->done. */
void mq_sink_look(struct mq_sink *s);
/* The regular file's fdatasync. */
int mq_sink_sync(struct mq_sink *s, struct mq_err *err);
/* At the end: 1: all is done, 0: not yet, -EPIPE: it never will be. */
int mq_sink_drained(struct mq_sink *s);

#endif
