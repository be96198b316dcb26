/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run: one way through ranges of a topic, by transfers, without a group.  What is known of it is durable in the internal topic
 * runs@TOPIC@ (format/run.h), and how far it is in intents@TOPIC@@run, so that one that was broken off goes on where it stood.
 *
 *     rc = mq_run_open(&run, mq, topic, asked, ranges, n, err);   1: it goes on with one that stood unfinished
 *     mq_run_facts(run)->n, mq_run_range(run, i)                  the ranges, as they were resolved when it began
 *     for each: mq_run_source(run, i, &source, &from); mq_transfer_open(&t, mq, &from, true, err) … mq_transfer_close(t)
 *     mq_run_finish(run, err);                                    all of it is done: the next one begins anew
 *     mq_run_close(run);
 *
 * Asked for the same (`asked`: a hash of it) after a kill, it goes on; of one that has ended a new one begins, for it is wanted.
 * Asked for something else while one stands unfinished: what that one has begun to move is moved, it is told, and the new one
 * begins.  One at a time in a topic: MQ_EAGAIN.
 */
#ifndef MQ_OPS_REPLAY_RUN_H
#define MQ_OPS_REPLAY_RUN_H

#include "format/run.h"
#include "ops/transfer.h"

struct mq_run_hold;

/* ranges: partitions rise.  1, 0, MQ_EAGAIN, MQ_EUSAGE (the engine has no transfers), … */
int mq_run_open(struct mq_run_hold **ret, struct mq *mq, const char *topic, uint64_t asked, const struct mq_run_range *ranges,
                uint32_t n, struct mq_err *err);
const struct mq_run_facts *mq_run_facts(const struct mq_run_hold *r);
struct mq_run_range mq_run_range(const struct mq_run_hold *r, uint32_t nth);
/* *ret leads to *ret_run, and into the run. */
void mq_run_source(const struct mq_run_hold *r, uint32_t nth, struct mq_transfer_run *ret_run, struct mq_transfer_source *ret);
int mq_run_finish(struct mq_run_hold *r, struct mq_err *err);
void mq_run_close(struct mq_run_hold *r); /* NULL, too */

/* The same of what archives hold (restore.h): the topic is the one that it goes to; ranges are numbered, and the source is one. */
int mq_run_open_restore(struct mq_run_hold **ret, struct mq *mq, const char *topic, uint64_t asked, const struct mq_run_range *ranges,
                        uint32_t n, struct mq_err *err);
void mq_run_source_restore(const struct mq_run_hold *r, struct mq_transfer_run *ret_run, struct mq_transfer_source *ret);

/* Without a lock: 1: *ret is what is known of the last one; 0: there never was one. */
int mq_run_last(struct mq *mq, const char *topic, struct mq_run_facts *ret, struct mq_err *err);

#endif
