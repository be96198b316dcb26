/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Records that are read without a group and go to another topic (request: `to`, no group): a run for each topic that is read
 * (replay_run.h), whose transfers are begun as views come and committed as they are full, or nothing else is to be done.
 *
 * Where a keyed record goes its key says, as a publisher would have it; those without a key go round, a transfer's worth at a
 * time.  A record that was put back for one group alone is passed over: it is none of everybody's.
 *
 * What the arguments mean is settled when a run begins: the ranges, and with `count` where that is reached, by reading ahead.
 */
#ifndef MQ_OPS_CONSUME_COPY_H
#define MQ_OPS_CONSUME_COPY_H

#include "ops/consume.h"

/* Feeds are there; from here on they are those of the runs, and end where these do. */
int mq_copy_begin(struct mq_consume *c);
/* Where f goes on. */
int mq_copy_open(struct mq_consume *c, struct mq_feed *f, uint64_t *ret);
/* The view of f, as far as count and pace let it.  1: something was done; 0: paced. */
int mq_copy_view(struct mq_consume *c, struct mq_feed *f);
/* Commit what is pending, if nothing else is to be done; when there is something to commit; -1: never. */
int mq_copy_step(struct mq_consume *c, bool idle);
int64_t mq_copy_due(const struct mq_consume *c);
/* f is at its end, or has to wait for others: all of it that was read is copied.  Nothing, where it is no run. */
int mq_copy_close(struct mq_consume *c, struct mq_feed *f);
/* After all of it, which ended with rc: those that are through have ended.  MQ_EAGAIN: it was stopped before that. */
int mq_copy_end(struct mq_consume *c, int rc);
void mq_copy_free(struct mq_consume *c);

#endif
