/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Waiting for the disk beside the next appends: a list of what was appended, waited for in a thread that is made at first need.
 *
 *     rc = mq_syncer_add(s, appender, &ticket, arg) ...    nothing is at work: s->busy is false
 *     rc = mq_syncer_start(s, engine, level);              the list is waited for; -EAGAIN: no thread is to be had, mq_syncer_run
 *     if (mq_syncer_fetch(s, wait))                        it was, and each entry's rc says how it ended:
 *             … s->list[0 .. n-1].rc …; s->n = 0;          the first failure is that of all behind it, s->err the reason
 *     mq_syncer_release(s);                                waits for what is at work; before the appenders are closed
 *
 * All of it is for one thread, the other is inside.  A zeroed one is ready for use.
 */
#ifndef MQ_OPS_SYNCER_H
#define MQ_OPS_SYNCER_H

#include "api/engine.h"
#include "sys/thread.h"

struct mq_await {
	struct mq_appender *appender;
	struct mq_ticket ticket;
	void *arg;
	int rc;
};

struct mq_syncer {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool there, busy, ready, quit; /* busy: it has work; ready: done with it, not fetched yet */
	struct mq_await *list;
	size_t n, cap;
	const struct mq_engine *engine;
	enum mq_ack level;
	struct mq_err err;
};

int mq_syncer_add(struct mq_syncer *s, struct mq_appender *a, const struct mq_ticket *t, void *arg); /* -ENOMEM */
int mq_syncer_start(struct mq_syncer *s, const struct mq_engine *engine, enum mq_ack level);
/* 1: the list has been waited for; 0: nothing is at work, or, where that is not waited for, it is still. */
int mq_syncer_fetch(struct mq_syncer *s, bool wait);
/* The same without a thread: 0, or the first failure. */
int mq_syncer_run(struct mq_syncer *s, const struct mq_engine *engine, enum mq_ack level, struct mq_err *err);
void mq_syncer_release(struct mq_syncer *s);

#endif
